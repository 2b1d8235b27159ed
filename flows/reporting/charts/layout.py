"""What every chart has around its plot: title, subtitle, legend and footer, in a wide and in a narrow layout.

A chart is as wide as its container, which only the browser knows. So the specification holds both layouts, and the
parameter `narrow` chooses: below 600 pixels names stand under the plot instead of beside it, and texts have shorter
lines. Both layouts are worked out here, in pixels, because a chart's height is fixed.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from flows.reporting.charts.axes import Scale, Ticks
from flows.reporting.charts.text import shortened, text_width, wrapped
from flows.reporting.charts.theme import LABEL_SIZE, SUBTITLE_SIZE, TITLE_SIZE, Theme

HEIGHT = 320
#: Below this width of the container a chart is narrow; its texts are then made for the least width.
NARROW_BELOW, LEAST_WIDTH = 600, 280
#: Lines of a wide chart end here, however wide it is: long lines are hard to read.
LINE = 570
LEGEND_ROW = 19


@dataclass(frozen=True)
class Entry:
    """A line of the legend: a name with its colour and dashes."""

    text: str
    colour: str
    dash: tuple[int, ...] = (1, 0)


@dataclass(frozen=True)
class Around:
    """The words around a plot: the finding, what is shown, and the lines of the footer."""

    finding: str
    subtitle: str
    footer: Sequence[str] = ()


def data(rows: list[dict[str, Any]], name: str | None = None) -> alt.InlineData:
    """Rows as the text that a browser reads. Altair would check rows one by one, for a minute where there are many."""
    text, form = json.dumps(rows), alt.JsonDataFormat(type="json")
    return alt.InlineData(values=text, format=form, name=name) if name else alt.InlineData(values=text, format=form)


def expression(narrow: object, wide: object) -> alt.ExprRef:
    """One of two constants, as the layout is."""
    return alt.ExprRef(f"narrow ? {json.dumps(narrow)} : {json.dumps(wide)}")


def left_of(scale: Scale) -> float:
    """The room that the labels of a value axis need."""
    return 12 + max((text_width(line, LABEL_SIZE) for label in scale.ticks.labels for line in label), default=0)


def value_axis(scale: Scale) -> alt.Axis:
    """The axis of values, as wide as `left_of` says."""
    left = left_of(scale)
    return alt.Axis(
        values=list(scale.ticks.values),
        labelExpr=_labels(scale.ticks),
        domain=False,
        ticks=False,
        labelPadding=6,
        minExtent=left,
        maxExtent=left,
        title=None,
    )


def value_encoding(field: str, scale: Scale) -> alt.Y:
    kind: dict[str, Any] = {"type": "log"} if scale.is_log else {"zero": False}
    return alt.Y(
        f"{field}:Q",
        title=None,
        scale=alt.Scale(domain=[scale.low, scale.high], nice=False, **kind),
        axis=value_axis(scale),
    )


def flat_axis(narrow: Ticks, wide: Ticks) -> alt.Axis:
    """The horizontal axis, with fewer ticks where there is less room."""
    return alt.Axis(
        values=expression(narrow.values, wide.values),
        labelExpr=f"narrow ? {_labels(narrow)} : {_labels(wide)}",
        grid=False,
        labelFlush=False,
        labelPadding=4,
        title=None,
    )


def _labels(ticks: Ticks) -> str:
    """An expression: the label of a tick by its place in the list."""
    texts = [label[0] if len(label) == 1 else list(label) for label in ticks.labels]
    return f"{json.dumps(texts)}[indexof({json.dumps(ticks.values)}, +datum.value)]"


def legend(entries: Sequence[Entry], left: float, top: float) -> tuple[list[alt.Chart], float]:
    """The legend of the narrow layout, in rows under the plot, and its height."""
    rows: list[dict[str, Any]] = []
    across, row = 0.0, 0
    for entry in entries:
        text = shortened(entry.text, LEAST_WIDTH - 30, LABEL_SIZE, bold=True)
        room = 24 + text_width(text, LABEL_SIZE, bold=True) + 10
        if across and across + room > LEAST_WIDTH:
            across, row = 0.0, row + 1
        y = top + row * LEGEND_ROW
        start = across - left + 2
        rows.append({"text": text, "colour": entry.colour, "dash": entry.dash, "x": start, "end": start + 18, "y": y})
        across += room
    if not rows:
        return [], 0.0
    base = alt.Chart(data(rows)).transform_filter("narrow")
    layers = [
        base.mark_rule(strokeWidth=3, strokeDash=alt.ExprRef("datum.dash")).encode(
            x=_pixel("x"), x2=alt.X2("end:Q"), y=_pixel("y"), color=alt.Color("colour:N", scale=None)
        ),
        base.mark_text(align="left", baseline="middle", fontSize=LABEL_SIZE, fontWeight="bold", dx=23).encode(
            x=_pixel("x"), y=_pixel("y"), text="text:N", color=alt.Color("colour:N", scale=None)
        ),
    ]
    return layers, (row + 1) * LEGEND_ROW + 6


def _pixel(field: str) -> Any:
    channel = alt.Y if field.startswith("y") else alt.X
    return channel(f"{field}:Q", scale=None, axis=None)


def finished(
    layers: Sequence[alt.Chart],
    around: Around,
    theme: Theme,
    *,
    left: float,
    bottom: float,
    entries: Sequence[Entry] = (),
    width: int | None = None,
    height: float = HEIGHT,
    tall: tuple[float, float] | None = None,
    points: list[dict[str, Any]] | None = None,
) -> alt.LayerChart:
    """The chart with everything around its plot.

    Args:
        left: how far the axis reaches to the left of the plot.
        bottom: how far it reaches below it.
        entries: the names that stand under the plot while the chart is narrow.
        width: in pixels; by default that of the container.
        tall: how far marks reach below the plot of the narrow and of the wide layout, where the height depends on it.
        points: the rows of the layers that have none of their own.
    """
    below, legend_height = legend(entries, left, height + bottom + 8)
    above = _subtitle(around.subtitle, left, theme)
    footer = _footer(around.footer, left, height + bottom, tall or (legend_height, 0), theme)
    narrow = (
        f"width >= 0 && isFinite(containerSize()[0]) && containerSize()[0] < {NARROW_BELOW}"
        if width is None
        else json.dumps(width < NARROW_BELOW)
    )
    chart: alt.LayerChart = (
        alt.LayerChart(data=data(points or [{}], "points"), layer=[*layers, *below, above, footer])
        .add_params(alt.param(name="narrow", expr=narrow))
        .properties(
            width=width or "container",
            height=height,
            autosize=alt.AutoSizeParams(type="fit-x", contains="padding"),
            padding={"left": 4, "right": 10, "top": 8, "bottom": 8},
            # A screen reader hears this instead of "Vega visualization".
            description=f"{around.finding}. {around.subtitle}",
            title=alt.TitleParams(
                text=expression(
                    wrapped(around.finding, LEAST_WIDTH, TITLE_SIZE, bold=True),
                    wrapped(around.finding, LINE, TITLE_SIZE, bold=True),
                ),
            ),
        )
        .configure(**theme.config())
    )
    return chart


def _subtitle(text: str, left: float, theme: Theme) -> alt.Chart:
    """A mark above the plot: the subtitle of a Vega-Lite title has one layout only."""
    narrow, wide = (wrapped(text, pixels, SUBTITLE_SIZE) for pixels in (LEAST_WIDTH, LINE))
    top, tall = -16.0, SUBTITLE_SIZE + 4
    return _paragraph(narrow, wide, -left, top - tall * len(narrow), top - tall * len(wide), SUBTITLE_SIZE, theme.quiet)


def _footer(texts: Sequence[str], left: float, top: float, below: tuple[float, float], theme: Theme) -> alt.Chart:
    narrow, wide = (
        [line for text in texts for line in wrapped(text, pixels, LABEL_SIZE)] for pixels in (LEAST_WIDTH, LINE)
    )
    return _paragraph(narrow, wide, -left, top + 14 + below[0], top + 14 + below[1], LABEL_SIZE, theme.quiet)


def _paragraph(
    narrow: list[str], wide: list[str], x: float, narrow_y: float, wide_y: float, size: int, colour: str
) -> alt.Chart:
    """Lines of text from a place on downwards."""
    paragraph: alt.Chart = alt.Chart(data([{}])).mark_text(
        align="left",
        baseline="top",
        fontSize=size,
        lineHeight=size + 4,
        color=colour,
        text=expression(narrow, wide),
        x=x,
        y=expression(narrow_y, wide_y),
    )
    return paragraph


def sentence(around: Around, text: str, theme: Theme, *, width: int | None = None) -> alt.LayerChart:
    """What stands where there is nothing to draw: why, and when there will be."""
    mark = _paragraph(wrapped(text, LEAST_WIDTH, 14), wrapped(text, LINE, 14), 0, 8, 8, 14, theme.text)
    return finished([mark], around, theme, left=0, bottom=0, width=width, height=90)
