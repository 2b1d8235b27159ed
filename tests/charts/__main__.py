"""`python -m tests.charts [DATA_DIR]`: looks at every chart in every situation, and takes the pictures of docs/images.

Prints how far it is, and what is wrong, a line per case, and ends with 1 if anything is. The pictures are of the demo's
data.
"""

import sys
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

from flows.reporting import charts, report
from flows.reporting.charts.theme import THEMES as PAPERS
from tests.charts import chromium, star
from tests.charts.cases import FORMS, THEMES, WIDTHS, grain_of
from tests.charts.looks import faults, seen

IMAGES = Path(__file__).parents[2] / "docs" / "images"


def main(data_dir="data/demo"):
    wrong = total = 0
    with TemporaryDirectory() as folder, chromium.tab() as tab:
        page = Path(folder) / "page.html"
        situations = list(product(FORMS, star.DAYS, star.EVENTS, star.NAMES))
        for form, days, event, names in situations:
            figure, values = FORMS[form](star.make(days, event, names), list(star.NAMES[names]), grain_of(days))
            page.write_text(charts.page(figure), encoding="utf-8")
            for width, theme in product(WIDTHS, THEMES):
                tab.errors.clear()
                look(tab, page, width, theme)
                found = [*faults(seen(tab), figure, values, PAPERS[theme]), *tab.errors]
                total, wrong = total + 1, wrong + bool(found)
                for fault in found:
                    print(f"{form}, {days} days, {event}, {names}, {width} px, {theme}: {fault}", flush=True)
            if not total % 96:
                print(f"{total:,} of {len(situations) * len(WIDTHS) * len(THEMES):,} charts looked at", flush=True)
        take_pictures(tab, page, Path(data_dir))
    print(f"{total - wrong} of {total} charts are whole, readable and right.")
    return 1 if wrong else 0


def look(tab, page, width, theme, height=900):
    tab.size(width, height)
    tab.theme(theme)
    tab.open(page.as_uri())


def take_pictures(tab, page, data_dir):
    """The charts of the README and of docs/charts.md."""
    with report.open_analytics(data_dir / "analytics.duckdb") as connection:
        frame = charts.daily(connection)
    names = charts.leading(frame, 6)
    pictures = {
        "downloads-by-base-model": (charts.lines(frame, names), 1000, "light"),
        "downloads-by-base-model-dark": (charts.lines(frame, names), 1000, "dark"),
        "downloads-by-base-model-360": (charts.lines(frame, names), 360, "light"),
        "share-by-base-model": (charts.stack(frame, names), 1000, "light"),
        "every-base-model": (charts.multiples(frame, charts.leading(frame, 16)), 1000, "light"),
    }
    for name, (figure, width, theme) in pictures.items():
        page.write_text(charts.page(figure), encoding="utf-8")
        look(tab, page, width, theme, height=10)
        tab.run("document.querySelector('details').remove(); drawn.then(({view}) => view.runAsync()).then(() => 1)")
        tab.picture(IMAGES / f"{name}.png", scale=1.5)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
