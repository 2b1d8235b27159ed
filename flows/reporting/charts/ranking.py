"""Bars from the highest to the lowest: one number per name."""

import altair as alt
import polars as pl

from flows.reporting.charts.colours import colour
from flows.reporting.charts.figure import Figure
from flows.reporting.charts.layout import Around, finished, sentence
from flows.reporting.charts.measures import Measure
from flows.reporting.charts.series import SOURCE
from flows.reporting.charts.text import percent, shortened, shown
from flows.reporting.charts.theme import LABEL_SIZE, Theme

#: A row: the name above its bar, so that a long one has the whole width.
_ROW, _BAR = 34, 12


def ranking(
    frame: pl.DataFrame,
    measure: Measure,
    *,
    by: str = "base_model",
    most: int = 20,
    source: str = SOURCE,
) -> Figure:
    """One bar per name, highest first, with its name above and its number at its end; a name without a number has none.

    Args:
        frame: one row per name: the name in `by`, and the measure's column.
        most: how many bars there are; the footer says how many names more there are.
    """
    table = frame.select(name=by, value=pl.col(measure.column).cast(pl.Float64)).sort(
        "value", "name", descending=[True, False], nulls_last=True
    )
    top = table.head(most)
    known = top.drop_nulls("value")
    more = [f"{table.height - top.height:,} more are not shown."] if table.height > top.height else []
    footer = [*more, f"Source: {source}."]
    if known.is_empty():
        title = f"{measure.title}: nothing to draw yet"
        around = Around(title, measure.title, footer)
        text = "The snapshots have no such number yet."
        return Figure(title, table, lambda theme, width: sentence(around, text, theme, width=width))
    finding = _finding(table.drop_nulls("value"), measure)
    around = Around(finding, measure.title, footer)
    numbers: list[float] = known["value"].to_list()
    low, high = min(0.0, *numbers), max(0.0, *numbers)
    reach = (high - low) or 1.0

    def draw(theme: Theme, width: int | None) -> alt.LayerChart:
        rows = [
            {
                "name": shortened(shown(name), 300, LABEL_SIZE),
                "value": value,
                "text": "unknown" if value is None else measure.written(value),
                "from": (min(value or 0.0, 0.0) - low) / reach,
                "to": (max(value or 0.0, 0.0) - low) / reach,
                "colour": colour(name, dark=theme.is_dark),
                "name_y": _ROW * place + 7,
                "y": _ROW * place + 16,
                "y_end": _ROW * place + 16 + _BAR,
                "text_y": _ROW * place + 16 + _BAR / 2,
            }
            for place, (name, value) in enumerate(top.iter_rows())
        ]
        base = alt.Chart()
        # The plot is as wide as it can be, less the numbers at the ends of the bars.
        bars = base.transform_calculate(left="datum.from * (width - 70)", right="datum.to * (width - 70)")
        x, paint = alt.X("left:Q", scale=None, axis=None), alt.Color("colour:N", scale=None)
        said = [alt.Tooltip("name:N", title="name"), alt.Tooltip("text:N", title=measure.title)]
        layers = [
            bars.mark_rect().encode(
                x=x,
                x2=alt.X2("right:Q"),
                y=alt.Y("y:Q", scale=None, axis=None),
                y2=alt.Y2("y_end:Q"),
                color=paint,
                tooltip=said,
            ),
            base.mark_text(align="left", baseline="middle", fontSize=LABEL_SIZE, color=theme.text, x=0).encode(
                y=alt.Y("name_y:Q", scale=None, axis=None), text="name:N"
            ),
            bars.mark_text(
                align="left", baseline="middle", fontSize=LABEL_SIZE, fontWeight="bold", color=theme.quiet, dx=6
            ).encode(
                x=alt.X("right:Q", scale=None, axis=None),
                y=alt.Y("text_y:Q", scale=None, axis=None),
                text="text:N",
            ),
        ]
        return finished(layers, around, theme, left=0, bottom=0, width=width, height=_ROW * len(rows), points=rows)

    return Figure(finding, table, draw)


def _finding(known: pl.DataFrame, measure: Measure) -> str:
    name, value = known.row(0)
    total = known["value"].sum()
    part = f", {percent(value / total)} of all" if measure.whole and known.height > 1 and total > 0 else ""
    return f"{shown(name)} leads with {measure.said(value)}{part}"
