"""Lines over time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import polars as pl

from flows.reporting.charts.axes import Scale, apart, value_scale
from flows.reporting.charts.colours import colour, dashes
from flows.reporting.charts.figure import Figure
from flows.reporting.charts.grain import Grain
from flows.reporting.charts.layout import (
    HEIGHT,
    Around,
    Entry,
    data,
    finished,
    left_of,
    sentence,
    value_encoding,
)
from flows.reporting.charts.measures import DOWNLOADS, Form, Measure
from flows.reporting.charts.series import (
    BOTTOM,
    COLOURED,
    SOURCE,
    Points,
    alone,
    change,
    cut_off,
    day_marks,
    first_and_last,
    grey_note,
    hover_values,
    moved_most,
    points_of,
    time_encoding,
)
from flows.reporting.charts.text import day, shortened, shown, text_width
from flows.reporting.charts.theme import LABEL_SIZE, Theme

#: Between the end of the plot and the names beside it, and the most room that a name gets.
GUTTER, LABEL_ROOM = 22, 230
_LABEL_GAP = 16


def lines(
    frame: pl.DataFrame,
    names: Sequence[str],
    measure: Measure = DOWNLOADS,
    *,
    by: str = "base_model",
    grain: Grain | None = None,
    form: Form = "absolute",
    log: bool = False,
    source: str = SOURCE,
) -> Figure:
    """One line per name, with its name and last value at the end; the rest of more than seven names is grey.

    Args:
        frame: a row per name and day: `snapshot_date`, the name in `by`, the measure's column, `days` if it is a flow;
            `status` of the day is optional. It has all names if the form is a share.
        grain: by default days, weeks above 90 days, months above 540.
        log: a logarithmic axis; it does not show zeros and negative values.
    """
    points = points_of(frame, by, measure, form, grain)
    names = list(dict.fromkeys(names))
    if points is None or points.rows.filter(pl.col("name").is_in(names), pl.col(points.line).is_not_null()).is_empty():
        return nothing_to_draw(points, measure.in_form(form), source)
    shown_rows = points.rows.filter(pl.col("name").is_in(names))
    coloured = names[:COLOURED]
    of_ends = first_and_last(shown_rows, coloured, points.line) or first_and_last(shown_rows, names, points.line)
    mover = moved_most(of_ends)
    finding = _total(of_ends, points) if form == "cumulative" else change(mover, *of_ends[mover], points.measure)
    rows = _rows(shown_rows, names, points.line)
    values = [shown_rows.filter(pl.col("name") == name)["value"].drop_nulls().to_list() for name in names]
    scale = value_scale(values, points.measure, log=log)
    footer = [
        *cut_off(rows, scale, points.measure),
        *grey_note(len(names) - len(coloured)),
        *(["Zeros and negative values are not drawn on this axis."] if log and _below_zero(rows) else []),
        *points.footer(source),
    ]
    around = Around(finding, points.subtitle(*(["logarithmic"] if log else [])), footer)

    def draw(theme: Theme, width: int | None) -> alt.LayerChart:
        x = time_encoding(points)
        drawn = drawable(rows, coloured, scale)
        entries, beside = labelled(line_ends(rows, coloured, scale, theme, points.measure), x)
        layers = [
            *line_layers(drawn, coloured, scale, x, theme, points.line),
            *beside,
            *day_marks(points, x, theme),
            hover_values(points, coloured, x, theme),
        ]
        return finished(
            layers,
            around,
            theme,
            left=left_of(scale),
            bottom=BOTTOM,
            entries=entries,
            width=width,
            points=drawn,
        )

    table = shown_rows.select("name", "begins", "ends", "value", *(["mean"] if points.line == "mean" else []))
    return Figure(finding, table.sort("begins", "name"), draw)


def nothing_to_draw(points: Points | None, measure: Measure, source: str) -> Figure:
    """The sentence instead of an empty chart."""
    if points is None:
        text, footer = "There is no snapshot in this range.", [f"Source: {source}."]
    elif measure.is_flow:
        text = (
            f"{measure.title} is the difference between two complete snapshots, and there is only one so far. "
            "Come back after the next one."
        )
        footer = points.footer(source)
    else:
        text, footer = "The snapshots of this range have no such number.", points.footer(source)
    title = f"{measure.title}: nothing to draw yet"
    around = Around(title, points.subtitle() if points else measure.title, footer)
    empty = pl.DataFrame(schema={"name": pl.String, "begins": pl.Date, "ends": pl.Date, "value": pl.Float64})
    return Figure(title, empty, lambda theme, width: sentence(around, text, theme, width=width))


def _total(of: dict[str, tuple[float, float]], points: Points) -> str:
    name = max(of, key=lambda name: of[name][1])
    return f"{shown(name)} gained {points.measure.said(of[name][1])}, more than any other shown"


def _below_zero(rows: list[dict[str, Any]]) -> bool:
    return any(row["value"] is not None and row["value"] <= 0 for row in rows)


def _rows(shown_rows: pl.DataFrame, names: Sequence[str], line: str) -> list[dict[str, Any]]:
    """The rows of the chart's data, by name in the order of `names` and by place; a gap is a row of nulls."""
    rows = []
    for place, name in enumerate(names):
        of_name = shown_rows.filter(pl.col("name") == name).sort("x")
        single = alone(of_name[line].to_list())
        faint = alone(of_name["value"].to_list())
        for (x, value, mean, ends), is_alone, is_faint in zip(
            of_name.select("x", "value", "mean", "ends").iter_rows(), single, faint, strict=True
        ):
            row = {"series": place, "name": name, "x": x, "value": value, "mean": mean, "when": day(ends)}
            rows.append(row | {"alone": is_alone, "faint": is_faint and line == "mean"})
    return rows


def drawable(rows: list[dict[str, Any]], coloured: Sequence[str], scale: Scale) -> list[dict[str, Any]]:
    """The rows as `line_layers` draws them: each knows whether it is coloured; a logarithm of zero is a gap."""
    painted = [row | {"kind": "line" if row["name"] in coloured else "grey"} for row in rows]
    if not scale.is_log:
        return painted
    columns = ("value", "mean")
    return [row | {column: row[column] if (row[column] or 0) > 0 else None for column in columns} for row in painted]


def line_layers(
    painted: list[dict[str, Any]],
    coloured: Sequence[str],
    scale: Scale,
    x: alt.X,
    theme: Theme,
    line: str,
    *,
    step: bool = False,
) -> list[alt.Chart]:
    """Grey lines, faint daily values, lines, single points between gaps, and a mark where a value is cut off.

    The layers have no data of their own: they draw the chart's (`drawable`).
    """
    names = list(dict.fromkeys(row["name"] for row in painted))
    domain = list(range(len(names)))
    paint = [colour(name, dark=theme.is_dark) if name in coloured else theme.grey for name in names]
    patterns = dashes(coloured)
    strokes = [patterns.get(name, (1, 0)) for name in names]
    base = alt.Chart().encode(x=x, detail="series:N")
    hues = alt.Color("series:N", legend=None, scale=alt.Scale(domain=domain, range=paint))
    dash = alt.StrokeDash("series:N", legend=None, scale=alt.Scale(domain=domain, range=strokes))
    main = value_encoding(line, scale)
    path: dict[str, Any] = {
        "invalid": "break-paths-show-domains",
        "clip": True,
        **({"interpolate": "step-after"} if step else {}),
    }
    layers = []
    if any(row["kind"] == "grey" for row in painted):
        grey = base.transform_filter("datum.kind == 'grey'")
        layers.append(grey.mark_line(strokeWidth=1, opacity=0.6, color=theme.grey, **path).encode(y=main))
    seen = base.transform_filter("datum.kind == 'line'")
    if line == "mean":
        daily = value_encoding("value", scale)
        layers.append(seen.mark_line(strokeWidth=1, opacity=0.28, **path).encode(y=daily, color=hues))
        if any(row["faint"] for row in painted):
            dots = seen.transform_filter("datum.faint").mark_circle(size=14, opacity=0.35, clip=True)
            layers.append(dots.encode(y=daily, color=hues))
    layers.append(seen.mark_line(strokeWidth=2.25, **path).encode(y=main, color=hues, strokeDash=dash))
    if any(row["alone"] for row in painted):
        dots = base.transform_filter("datum.alone").mark_circle(size=34, opacity=1)
        layers.append(dots.encode(y=main, color=hues))
    if scale.cap is not None:
        over = base.transform_filter(f"datum.value > {scale.cap!r}")
        layers.append(over.mark_point(shape="triangle-up", filled=True, size=44, opacity=1, y=4).encode(color=hues))
    return layers


@dataclass(frozen=True)
class End:
    """Where a line or a part of a bar ends: pixels from the top, place on the x axis; and what its label says."""

    y: float
    x: float
    name: str
    value: str
    colour: str
    dash: tuple[int, ...] = (1, 0)


def line_ends(
    rows: list[dict[str, Any]], names: Sequence[str], scale: Scale, theme: Theme, measure: Measure
) -> list[End]:
    """The last known values of the coloured lines."""
    patterns = dashes(names)
    found = []
    for name in names:
        of_name = [row for row in rows if row["name"] == name]
        column = "mean" if any(row["mean"] is not None for row in of_name) else "value"
        known = [row for row in of_name if row[column] is not None and (not scale.is_log or row[column] > 0)]
        if known:
            value = known[-1][column]
            text, paint = measure.written(value), colour(name, dark=theme.is_dark)
            found.append(End(scale.pixels(value, HEIGHT), known[-1]["x"], name, text, paint, patterns[name]))
    return found


def labelled(found: Sequence[End], x: alt.X) -> tuple[list[Entry], list[alt.Chart]]:
    """Names beside the ends of lines, each with a connector to its line; and the same names for a legend.

    Names that would overlap move up or down (`axes.apart`).
    """
    found = sorted(found, key=lambda end: (end.y, end.name))
    places = apart([end.y for end in found], _LABEL_GAP, 4, HEIGHT - 4)
    labels, entries = [], []
    for end, place in zip(found, places, strict=True):
        room = LABEL_ROOM - text_width(f" {end.value}", LABEL_SIZE, bold=True)
        text = f"{shortened(shown(end.name), room, LABEL_SIZE, bold=True)} {end.value}"
        labels.append({"x": end.x, "y": end.y, "place_y": place, "text": text, "colour": end.colour})
        entries.append(Entry(text, end.colour, end.dash))
    base = alt.Chart(data(labels)).transform_filter("!narrow")
    paint = alt.Color("colour:N", scale=None)
    connectors = base.mark_rule(strokeWidth=1, opacity=0.55).encode(
        x=x,
        x2=alt.value(alt.ExprRef(f"width + {GUTTER - 4}")),
        y=alt.Y("y:Q", scale=None, axis=None),
        y2=alt.Y2("place_y:Q"),
        color=paint,
    )
    texts = base.mark_text(
        align="left", baseline="middle", fontSize=LABEL_SIZE, fontWeight="bold", x=alt.ExprRef(f"width + {GUTTER}")
    ).encode(y=alt.Y("place_y:Q", scale=None, axis=None), text="text:N", color=paint)
    return entries, [connectors, texts]
