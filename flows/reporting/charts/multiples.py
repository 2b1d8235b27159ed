"""Small multiples: a little chart for every name, each with an axis of its own."""

from collections.abc import Sequence
from typing import Any

import altair as alt
import polars as pl

from flows.reporting.charts.colours import colour
from flows.reporting.charts.figure import Figure
from flows.reporting.charts.grain import Grain
from flows.reporting.charts.layout import Around, data, finished
from flows.reporting.charts.lines import nothing_to_draw
from flows.reporting.charts.measures import DOWNLOADS, Measure
from flows.reporting.charts.series import SOURCE, alone, first_and_last, points_of
from flows.reporting.charts.text import number, shortened, shown, text_width
from flows.reporting.charts.theme import LABEL_SIZE, Theme

#: Panels beside each other, and pixels of a panel.
_NARROW_COLUMNS, _WIDE_COLUMNS = 2, 4
_PANEL, _TOP, _PLOT, _BETWEEN = 92, 30, 46, 16
#: The least width of a panel: half of the narrowest page.
_LEAST = 148
_TEXT = LABEL_SIZE


def multiples(
    frame: pl.DataFrame,
    names: Sequence[str],
    measure: Measure = DOWNLOADS,
    *,
    by: str = "base_model",
    grain: Grain | None = None,
    source: str = SOURCE,
) -> Figure:
    """One panel per name, in the order of `names`: its line from zero to its own highest value, and its last value.

    Args:
        frame: as for `lines.lines`.
    """
    points = points_of(frame, by, measure, "absolute", grain)
    names = list(dict.fromkeys(names))
    if points is None:
        return nothing_to_draw(points, measure, source)
    rows = points.rows.filter(pl.col("name").is_in(names))
    if rows["value"].is_null().all():
        return nothing_to_draw(points, measure, source)
    line = points.line
    ends = first_and_last(rows, names, line)
    finding = _finding(ends, by.replace("_", " "))
    footer = ["Each panel has an axis of its own, up to its highest value.", *points.footer(source)]
    around = Around(finding, points.subtitle(), footer)
    panels = _panels(rows, names, line, measure, ends)
    columns = f"(narrow ? {_NARROW_COLUMNS} : {_WIDE_COLUMNS})"
    tall = {wide: _PANEL * -(-len(names) // count) for wide, count in ((False, _NARROW_COLUMNS), (True, _WIDE_COLUMNS))}

    def draw(theme: Theme, width: int | None) -> alt.LayerChart:
        room = f"((width + {_BETWEEN}) / {columns} - {_BETWEEN})"
        left = f"(datum.panel % {columns}) * ({room} + {_BETWEEN})"
        top = f"floor(datum.panel / {columns}) * {_PANEL}"

        def placed(base: alt.Chart) -> alt.Chart:
            chart: alt.Chart = base.transform_calculate(
                px=f"{left} + datum.across * {room}",
                py=f"{top} + {_TOP} + (1 - datum.up) * {_PLOT}",
                top=top,
                left=left,
                right=f"{left} + {room}",
                bottom=f"{top} + {_TOP + _PLOT}",
            )
            return chart

        def pixel(field: str, channel: Any = alt.Y) -> Any:
            return channel(f"{field}:Q", scale=None, axis=None)

        for panel in panels:
            panel["colour"] = colour(panel["full_name"], dark=theme.is_dark)
        paint = alt.Color("colour:N", scale=None)
        heads = placed(
            alt.Chart(data([{key: panel[key] for key in _HEAD} | {"across": 0, "up": 0} for panel in panels]))
        )
        drawn = [row | {"colour": panel["colour"]} for panel in panels for row in panel["rows"]]
        base = placed(alt.Chart().transform_filter("isValid(datum.up)"))
        text: dict[str, Any] = {"baseline": "top", "fontSize": _TEXT}
        layers = [
            heads.mark_rule(color=theme.grid).encode(x=pixel("left", alt.X), x2=alt.X2("right:Q"), y=pixel("bottom")),
            base.mark_line(strokeWidth=1.75).encode(
                x=pixel("px", alt.X),
                y=pixel("py"),
                detail=["panel:N", "piece:N"],
                color=paint,
                order=alt.Order("across:Q"),
            ),
            base.transform_filter("datum.alone")
            .mark_circle(size=22, opacity=1)
            .encode(x=pixel("px", alt.X), y=pixel("py"), color=paint),
            heads.mark_text(align="left", fontWeight="bold", **text).encode(
                x=pixel("left", alt.X), y=pixel("top"), text="name:N", color=paint
            ),
            heads.mark_text(align="left", dy=14, color=theme.quiet, **text).encode(
                x=pixel("left", alt.X), y=pixel("top"), text="last:N"
            ),
            base.mark_circle(size=90, opacity=0).encode(
                x=pixel("px", alt.X),
                y=pixel("py"),
                tooltip=[
                    alt.Tooltip("when:N", title="at"),
                    alt.Tooltip("name:N", title="name"),
                    alt.Tooltip("text:N", title=measure.title),
                ],
            ),
        ]
        return finished(
            layers, around, theme, left=0, bottom=0, width=width, height=0, tall=(tall[False], tall[True]), points=drawn
        )

    table = rows.select("name", "begins", "ends", "value", *(["mean"] if line == "mean" else []))
    return Figure(finding, table.sort("begins", "name"), draw)


_HEAD = ("panel", "name", "last", "colour")


def _panels(
    rows: pl.DataFrame, names: Sequence[str], line: str, measure: Measure, ends: dict[str, tuple[float, float]]
) -> list[dict[str, Any]]:
    first, last = rows["x"].min(), rows["x"].max()
    assert isinstance(first, float)
    assert isinstance(last, float)
    panels = []
    for place, name in enumerate(names):
        of_name = rows.filter(pl.col("name") == name).sort("x")
        values = of_name[line].to_list()
        known = [value for value in values if value is not None]
        low, high = min([0.0, *known]), max([0.0, *known])
        text = shortened(shown(name), _LEAST, _TEXT, bold=True)
        points = [
            {
                "panel": place,
                "name": text,
                "value": daily,
                "across": (x - first) / (last - first) if last > first else 0.5,
                "up": None if value is None else (value - low) / ((high - low) or 1.0),
                # A line is drawn per piece between two gaps.
                "piece": values[:index].count(None),
                "alone": alone,
                "text": None if value is None else measure.written(value),
                "when": f"{on:%-d %B %Y}",
            }
            for index, (x, daily, value, on, alone) in enumerate(
                zip(of_name["x"], of_name["value"], values, of_name["ends"], alone(values), strict=True)
            )
        ]
        latest = f"{measure.written(ends[name][1])} (highest {measure.written(high)})" if name in ends else "unknown"
        if text_width(latest, _TEXT) > _LEAST:
            latest = measure.written(ends[name][1])
        panels.append({"panel": place, "name": text, "full_name": name, "last": latest, "rows": points})
    return panels


def _finding(ends: dict[str, tuple[float, float]], what: str) -> str:
    """How many of the names that have a first and a last value rose."""
    rose = sum(last > first for first, last in ends.values())
    fell = sum(last < first for first, last in ends.values())
    return f"{number(rose)} of {number(len(ends))} {what}s rose, {number(fell)} fell"
