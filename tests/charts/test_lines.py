"""What figures say: findings, footers, tables, sentences instead of empty charts."""

import json

import polars as pl
import pytest

from flows.reporting import charts
from flows.reporting.charts.text import NAMELESS, number, period, shortened, shown, text_width, wrapped
from tests.charts import star
from tests.charts.test_grain import FIRST, flows


def spec(figure):
    return figure.chart().to_json()


def test_a_title_says_what_the_line_that_moved_most_did():
    frame = pl.concat([flows(0, 100, 54), flows(0, 10, 12, name="B")])
    assert charts.lines(frame, ["A", "B"]).finding == "A fell 46 % to 54 downloads a day"
    assert charts.lines(frame, ["B"]).finding == "B rose 20 % to 12 downloads a day"
    assert charts.lines(frame, ["B"], form="share").finding == "B rose from 9.09 % to 18.2 % of downloads"
    assert charts.lines(frame, ["A"], form="indexed").finding == "A fell 46 % from its first value"
    assert charts.lines(frame, ["A"], form="cumulative").finding.startswith("A gained 154 downloads")
    assert charts.multiples(frame, ["A", "B"]).finding == "1 of 2 base models rose, 1 fell"


def test_a_line_that_ends_at_zero_fell_to_zero_and_one_from_zero_has_no_percentage():
    assert charts.lines(flows(0, 100, 0), ["A"]).finding == "A fell to 0 downloads a day"
    assert charts.lines(flows(0, 0, 7), ["A"]).finding == "A went to 7 downloads a day"
    assert charts.lines(flows(0, 7, 49), ["A"]).finding == "A rose 7-fold to 49 downloads a day"
    assert charts.lines(flows(0, 7), ["A"]).finding == "A stands at 7 downloads a day"


@pytest.mark.parametrize("draw", [charts.lines, charts.stack, charts.multiples])
def test_one_day_has_a_sentence_instead_of_an_empty_chart(draw):
    figure = draw(flows(1), ["A"])
    assert "nothing to draw yet" in figure.finding
    assert "there is only one so far" in spec(figure)
    assert "There is no snapshot in this range" in spec(draw(flows(1).clear(), ["A"]))


def test_a_footer_has_the_source_the_last_complete_snapshot_and_what_the_marks_mean():
    text = spec(charts.lines(charts.daily(star.make(60, "partial", "plain")), ["Pony"]))
    assert "Source: Civitai, daily snapshots (UTC). Last complete snapshot: 18 January 2025." in text
    assert "a partial snapshot: what such a day gained counts with the next complete snapshot." in text
    withheld = spec(charts.lines(charts.daily(star.make(2, "withheld", "plain")), ["Pony"]))
    assert "Last complete snapshot: 20 November 2024." in withheld
    assert "withheld downloads" in withheld


def test_at_most_seven_lines_are_coloured():
    frame = charts.daily(star.make(60, "none", "sixty"))
    rows = json.loads(charts.lines(frame, star.NAMES["sixty"]).chart().to_dict()["data"]["values"])
    assert len({row["name"] for row in rows if row["kind"] == "line"}) == charts.COLOURED
    assert len({row["name"] for row in rows if row["kind"] == "grey"}) == 53


def test_a_value_beyond_the_axis_is_named():
    frame = charts.daily(star.make(60, "none", "plain"))
    assert "cut off: Illustrious 60,000 (30 December 2024)." in spec(charts.lines(frame, ["Illustrious"]))


def test_a_table_has_the_numbers_with_unknown_ones_as_unknown():
    figure = charts.lines(flows(0, 5, None, 8), ["A"])
    assert figure.table["value"].to_list() == [None, 5.0, None, 4.0]
    page = charts.page(figure)
    assert page.count("<td>unknown</td>") == 2
    assert "<details>" in page


def test_a_page_ends_no_script_because_of_a_name():
    names = list(star.HOSTILE)
    page = charts.page(charts.lines(charts.daily(star.make(60, "none", "hostile")), names))
    assert page.count("</script>") == 2
    assert "<b>bold" not in page


def test_a_ranking_has_no_bar_for_what_is_unknown():
    frame = pl.DataFrame({"base_model": ["A", "B", "C"], "downloads": [3, None, 9]})
    figure = charts.ranking(frame, charts.Measure("downloads", "Downloads", "downloads", whole=True))
    assert figure.finding == "C leads with 9 downloads, 75 % of all"
    assert figure.table.rows() == [("C", 9.0), ("A", 3.0), ("B", None)]


def test_curves_compare_on_a_day_that_most_have_reached():
    frame = pl.DataFrame(
        {"base_model": ["A", "A", "B", "B", "B"], "days": [0, 1, 0, 1, 9], "gained": [1.0, 20.0, 2.0, 5.0, 99.0]}
    )
    figure = charts.curves(frame, ["A", "B"], charts.Measure("gained", "Downloads", "downloads"))
    assert figure.finding == "A leads 1 day after its release: 20 downloads"


def test_names_of_strangers_are_one_line_and_never_empty():
    assert shown("") == shown(" \n") == NAMELESS
    assert shown("a\nb\tc \u202ed") == "a b c d"
    assert shortened("Wan Video 2.2 T2V-A14B", 90, 11).startswith("Wan")
    assert shortened("Wan Video 2.2 T2V-A14B", 90, 11).endswith("14B")
    assert text_width(shortened("W" * 300, 100, 11), 11) <= 100
    assert wrapped("one two three", 40, 11) == ["one", "two", "three"]


def test_numbers_and_periods_are_as_a_reader_says_them():
    numbers = [0, 0.0429, 0.5, 1, 9.5, 12.34, 1974.4, -3]
    assert list(map(number, numbers)) == ["0", "0.0429", "0.5", "1", "9.5", "12.3", "1,974", "-3"]
    assert period(FIRST, FIRST) == "1 January 2026"
    assert period(FIRST, FIRST.replace(day=30)) == "1 to 30 January 2026"
    assert period(FIRST, FIRST.replace(month=3)) == "1 January to 1 March 2026"
    assert period(FIRST, FIRST.replace(year=2027)) == "1 January 2026 to 1 January 2027"


def test_days_that_nobody_has_reached_take_no_place_in_curves():
    frame = pl.DataFrame({"days": [0, 1, 2, 90], "base_model": ["A"] * 4, "gained": [1, None, 3, None]})
    figure = charts.curves(frame, ["A"], charts.Measure("gained", "Downloads", "downloads"))
    assert "90" not in str(figure.chart(width=800).to_dict()["datasets"])
