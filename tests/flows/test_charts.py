import re
from datetime import date

import duckdb
import pytest

from flows.reporting import charts
from tests.transforms.conftest import Workshop, model, version


@pytest.fixture
def frame(analytics):
    with duckdb.connect(str(analytics), read_only=True) as connection:
        return charts.daily(connection)


def values(frame, base_model, column):
    return frame.filter(base_model=base_model).sort("snapshot_date")[column].to_list()


def test_a_flow_over_a_gap_and_a_partial_day_is_drawn_per_day_at_the_next_complete_one(frame):
    assert values(frame, "A", "downloads_per_day") == [None, 600, None, None, None, 600]
    assert values(frame, "A", "versions_per_day") == [None, 3, None, None, None, 1.5]


def test_the_part_of_a_flow_that_a_partial_day_saw_makes_no_dip_and_no_peak(frame):
    assert values(frame, "A", "downloads") == [None, 600, None, None, None, 600 + 3 * 600]
    assert values(frame, "A", "downloads_share") == [None, 0.6, None, None, None, 0.6]


def test_a_flow_that_spans_several_snapshots_is_drawn_over_all_of_them(tmp_path):
    # 100 a day of Pony, hidden on the 2nd, 3rd and 5th; no snapshot on the 4th, and a partial one on the 6th.
    workshop = Workshop(tmp_path)
    for on in (1, 2, 3, 5, 6, 7):
        pony = {} if on in (2, 3, 5) else {"downloadCount": 1000 + 100 * on}
        other = {"downloadCount": 50 * on}
        workshop.raw.crawl(
            date(2026, 1, on),
            status="partial" if on == 6 else "complete",
            model=[model(1, version(10, "Pony", stats=pony), stats=pony), model(2, version(20, stats=other))],
        )
    workshop.build()
    with duckdb.connect(str(workshop.analytics), read_only=True) as connection:
        drawn = charts.daily(connection)
    assert values(drawn, "Pony", "downloads") == [None, 100, 100, None, 200, None, 200]
    assert values(drawn, "Pony", "downloads_share") == [None, *[pytest.approx(2 / 3)] * 2, None, *[2 / 3, None, 2 / 3]]


def test_a_total_that_is_not_positive_has_no_shares(tmp_path):
    workshop = Workshop(tmp_path)
    for on in (1, 2):
        fallen, risen = {"downloadCount": 100 - 10 * on}, {"downloadCount": 100 + 5 * on}
        workshop.raw.crawl(
            date(2026, 1, on),
            model=[model(1, version(10, stats=fallen)), model(2, version(20, "Pony", stats=risen))],
        )
    workshop.build()
    with duckdb.connect(str(workshop.analytics), read_only=True) as connection:
        drawn = charts.daily(connection)
    assert values(drawn, "Pony", "downloads") == [None, 5]
    assert values(drawn, "Pony", "downloads_share") == [None, None]


def test_the_base_models_with_most_downloads_lead(frame):
    assert charts.leading(frame, 3) == ["A", "B", "C"]


def test_the_status_of_a_day_says_why_it_has_no_number(frame):
    assert values(frame, "A", "status") == ["complete", "complete", "partial", "missing", "missing", "complete"]
    assert values(frame, "A", "days") == [None, 1, None, None, None, 4]


def test_a_day_with_withheld_downloads_is_not_complete_for_a_chart(analytics):
    with duckdb.connect(str(analytics)) as connection:
        connection.execute(
            "update star.mart_base_model_daily set download_count = null where snapshot_date = '2026-01-02'"
        )
        withheld = charts.daily(connection)
    assert values(withheld, "A", "status")[1] == "withheld"
    assert values(withheld, "A", "downloads") == [None, None, None, None, None, 600 + 4 * 600]


def test_what_is_not_chosen_is_one_grey_part_and_a_day_without_a_snapshot_has_no_bar(frame):
    table = charts.stack(frame, ["A"]).table
    on = lambda day: dict(table.filter(ends=date(2026, 1, day)).select("name", "value").rows())  # noqa: E731
    assert on(2) == pytest.approx({"A": 0.6, "all 3 others": 0.4})
    assert on(6) == pytest.approx({"A": 0.6, "all 3 others": 0.4})
    assert table.filter(begins=date(2026, 1, 3), ends=date(2026, 1, 6)).height == 2
    assert table.drop_nulls("value").height == 4


def test_a_chart_is_written_as_png_and_as_html_that_loads_nothing_from_a_network(frame, tmp_path):
    png, html = charts.write_chart(charts.lines(frame, ["A", "B"]), tmp_path / "charts", "downloads")
    assert png.read_bytes().startswith(b"\x89PNG")
    text = html.read_text()
    assert "<td>A</td>" in text
    assert not re.search(r"<(script|link)[^>]+(src|href)=", text)
    assert "import(" not in re.sub(r"//.*", "", text.split("<script")[1][:300])
