"""A figure on the disk: a picture, and a page that needs no network."""

import json
from functools import cache
from html import escape
from io import StringIO
from pathlib import Path
from string import Template
from typing import Any

import altair as alt
import polars as pl

from flows.reporting.charts.figure import Figure
from flows.reporting.charts.text import FONT, number, shown
from flows.reporting.charts.theme import DARK, LIGHT
from pipelines.storage.replacement import replacing

#: Pixels of a picture, and how many of a screen's make one.
PICTURE_WIDTH, PICTURE_SCALE = 1000, 2


def write_chart(figure: Figure, directory: Path, name: str) -> tuple[Path, Path]:
    """Write a figure as `<name>.png`, light, and as `<name>.html`, which is light or dark as its reader's system is."""
    directory.mkdir(parents=True, exist_ok=True)
    png, html = directory / f"{name}.png", directory / f"{name}.html"
    with replacing(png) as aside:
        figure.chart(width=PICTURE_WIDTH).save(aside, format="png", scale_factor=PICTURE_SCALE)
    with replacing(html) as aside:
        aside.write_text(page(figure), encoding="utf-8")
    return png, html


def svg(figure: Figure, width: int) -> str:
    """A figure as an SVG picture on light paper, as wide as so many pixels."""
    with StringIO() as written:
        figure.chart(width=width).save(written, format="svg")
        return written.getvalue()


def page(figure: Figure, *, renderer: str = "svg") -> str:
    """An HTML page with the chart, its scripts and its numbers as a table."""
    charts = {theme.name: figure.chart(theme.name).to_dict() for theme in (LIGHT, DARK)}
    # The specification brings its own colours and fonts, so no theme of the embedding page changes them.
    return _PAGE.substitute(
        title=escape(figure.finding),
        scripts=_scripts(),
        charts=_in_script(charts),
        options=_in_script({"renderer": renderer, "actions": False}),
        table=_table(figure.table),
        font=FONT,
        light=f"background: {LIGHT.paper}; color: {LIGHT.text}",
        dark=f"background: {DARK.paper}; color: {DARK.text}",
    )


def _in_script(value: Any) -> str:
    """JSON that ends no script, whatever names are in it."""
    return json.dumps(value).replace("<", "\\u003c")


@cache
def _scripts() -> str:
    import vl_convert

    bundle: str = vl_convert.javascript_bundle(
        "window.vegaEmbed = vegaEmbed;", vl_version=".".join(alt.SCHEMA_VERSION.lstrip("v").split(".")[:2])
    )
    return bundle.replace("</script", "<\\/script")


def _table(table: pl.DataFrame) -> str:
    head = "".join(f"<th scope='col'>{escape(column)}</th>" for column in table.columns)
    rows = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in table.iter_rows())
    return f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody>"


def _cell(value: object) -> str:
    if value is None:
        return "<td>unknown</td>"
    if isinstance(value, int | float):
        return f"<td class='number'>{number(value)}</td>"
    return f"<td>{escape(shown(str(value)))}</td>"


_PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
:root { color-scheme: light dark; }
body { margin: 0; padding: 8px; font: 14px $font; $light; }
#chart { width: 100%; }
details { margin: 12px 4px; }
table { border-collapse: collapse; font-size: 12px; }
th, td { padding: 2px 12px 2px 0; text-align: left; overflow-wrap: anywhere; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
@media (prefers-color-scheme: dark) { body { $dark; } }
</style>
<script>$scripts</script>
</head>
<body>
<div id="chart"></div>
<details><summary>The numbers as a table</summary><table>$table</table></details>
<script>
const charts = $charts;
const dark = window.matchMedia("(prefers-color-scheme: dark)");
function draw() {
  const options = {...$options, tooltip: {theme: dark.matches ? "dark" : "light"}};
  window.drawn = vegaEmbed("#chart", charts[dark.matches ? "dark" : "light"], options);
}
dark.addEventListener("change", draw);
draw();
</script>
</body>
</html>
""")
