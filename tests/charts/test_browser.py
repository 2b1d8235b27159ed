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
