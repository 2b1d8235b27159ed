"""Every chart as Chromium shows it, in pairs of situations; `make charts` looks at all of them."""

import os

import pytest

from flows.reporting import charts
from flows.reporting.charts.theme import THEMES
from tests.charts import chromium, star
from tests.charts.cases import FORMS, all_cases, grain_of, pairwise
from tests.charts.looks import faults, seen

pytestmark = [
    pytest.mark.skipif(
        chromium.found() is None and not os.environ.get("CI"), reason="Chromium is not installed (docs/testing.md)"
    ),
    # One browser for all of them.
    pytest.mark.xdist_group("chromium"),
]


@pytest.fixture(scope="module")
def tab():
    with chromium.tab() as opened:
        yield opened


def wrong_with(tab, case, folder):
    """What is wrong with the chart of a case, as sentences."""
    connection = star.make(case.days, case.event, case.names)
    figure, values = FORMS[case.form](connection, list(star.NAMES[case.names]), grain_of(case.days))
    page = folder / "page.html"
    page.write_text(charts.page(figure), encoding="utf-8")
    tab.errors.clear()
    tab.size(case.width)
    tab.theme(case.theme)
    tab.open(page.as_uri())
    found = [fault for fault in faults(seen(tab), figure, values, THEMES[case.theme]) if fault]
    return [*found, *tab.errors]


@pytest.mark.parametrize("case", pairwise(all_cases()), ids=lambda case: "-".join(map(str, case)))
def test_a_chart_is_whole_readable_and_right(case, tab, tmp_path):
    assert wrong_with(tab, case, tmp_path) == []


def test_a_rule_at_the_nearest_day_shows_all_values_from_the_highest_down(tab, tmp_path):
    connection = star.make(60, "none", "plain")
    names = ["Pony", "Flux.1 D", "SD 1.5"]
    page = tmp_path / "page.html"
    page.write_text(charts.page(charts.lines(charts.daily(connection), names)), encoding="utf-8")
    tab.size(1000)
    tab.theme("light")
    tab.open(page.as_uri())
    seen(tab)
    # Anywhere in the plot: near no line, a few pixels below its top.
    tab.move_to(500, 115)
    tab.move_to(501, 116)
    told = tab.run(
        "drawn.then(() => new Promise(done => setTimeout(done, 300))).then("
        "() => document.querySelector('#vg-tooltip-element').innerText.split(/\\s*\\n\\s*|\\t/))"
    )
    day = next(line for line in told if "202" in line)
    means = connection.execute(
        """
        select base_model, round(avg(gained)) from given
        where day between strptime(?, '%-d %B %Y')::date - 6 and strptime(?, '%-d %B %Y')::date
        group by all order by 2 desc
        """,
        [day, day],
    ).fetchall()
    values = [line for line in told if ": " in line]
    assert values == [f"{name}: {number:,.0f}" for name, number in means if name in names]


def test_connectors_lead_from_the_ends_of_lines_to_their_names(tab, tmp_path):
    names = list(star.NAMES["plain"])[:7]
    page = tmp_path / "page.html"
    figure = charts.lines(charts.daily(star.make(730, "gap", "plain")), names)
    page.write_text(charts.page(figure), encoding="utf-8")
    tab.size(1000)
    tab.theme("light")
    tab.open(page.as_uri())
    seen(tab)
    ends, connectors = tab.run(
        """drawn.then(() => {
            const at = (line, where) => {
                const point = line.getPointAtLength(where * line.getTotalLength());
                const moved = point.matrixTransform(line.getScreenCTM());
                return [Math.round(moved.x), Math.round(moved.y)];
            };
            const lines = [...document.querySelectorAll(".mark-line path")].filter(
                path => path.getAttribute("stroke-width") === "2.25");
            const rules = [...document.querySelectorAll(".mark-rule line")].filter(
                line => line.getAttribute("opacity") === "0.55" && line.getTotalLength() > 0);
            return [lines.map(line => at(line, 1)), rules.map(rule => at(rule, 0))];
        })"""
    )
    assert len(connectors) == len(ends) == len(names)
    for connector, end in zip(sorted(connectors), sorted(ends), strict=True):
        assert connector == pytest.approx(end, abs=1)
