"""Bars over time, stacked: parts of a whole."""

from collections.abc import Sequence
from typing import Any

import altair as alt
import polars as pl

from flows.reporting.charts.axes import Scale, milliseconds, value_scale
from flows.reporting.charts.colours import colour
from flows.reporting.charts.figure import Figure
from flows.reporting.charts.grain import WINDOW, Grain
from flows.reporting.charts.layout import HEIGHT, Around, finished, left_of, value_encoding
from flows.reporting.charts.lines import End, labelled, nothing_to_draw
from flows.reporting.charts.measures import DOWNLOADS, Form, Measure
from flows.reporting.charts.series import (
    BOTTOM,
    COLOURED,
    SOURCE,
    Points,
    bucket_label,
    change,
    day_marks,
    hover_rule,
    moved_most,
    points_of,
    time_encoding,
)
from flows.reporting.charts.text import shown
from flows.reporting.charts.theme import Theme


def stack(
    frame: pl.DataFrame,
    names: Sequence[str],
    measure: Measure = DOWNLOADS,
    *,
    by: str = "base_model",
    grain: Grain | None = None,
    share: bool = True,
    source: str = SOURCE,
) -> Figure:
    """One bar per day, week or month, as wide as the days that it stands for.

    Args:
        frame: as for `lines.lines`, with all names.
        names: the parts, from below; what is not among the first seven is one grey part on top.
        share: parts of all that the bar's days have; otherwise the numbers themselves. A flow is divided by the days
            of its bar, so the parts of a bar add up.
    """
    form: Form = "share" if share else "absolute"
    points = points_of(frame, by, measure, form, grain, smooth=False)
    names = list(dict.fromkeys(names))[:COLOURED]
    if points is None or points.rows["value"].is_null().all():
        return nothing_to_draw(points, measure.in_form(form), source)
    others = points.rows.filter(~pl.col("name").is_in(names))["name"].n_unique()
    # A part is known by its number: a base model may be called anything, also "all others".
    labels = [*map(shown, names), f"all {others:,} others" if others > 1 else "1 other"]
    parts = _stacked(_parts(points.rows, names, share=share))
    bars = parts.drop_nulls("value")["bucket"].n_unique()
    # A single day is chance.
    ends = WINDOW if bars >= 2 * WINDOW else 1
    finding = _finding(parts, labels, points.measure, ends)
    compared = [f"The title compares the means of the first and the last {WINDOW} bars."] if ends > 1 else []
    scale = value_scale([[*parts["low"].drop_nulls(), *parts["high"].drop_nulls()]], points.measure)
    rows = _rows(parts, labels, points)
    around = Around(finding, points.subtitle(), [*compared, *points.footer(source)])

    def draw(theme: Theme, width: int | None) -> alt.LayerChart:
        x = time_encoding(points)
        paint = [*(colour(name, dark=theme.is_dark) for name in names), theme.grey]
        text_paint = [*paint[:-1], theme.quiet]
        entries, beside = labelled(_ends(rows, scale, text_paint, points.measure), x)
        rectangles = (
            alt.Chart()
            # A seam in the colour of the paper parts neighbours whose colours are near, if the bar is wide enough.
            .mark_rect(stroke=theme.paper, strokeWidth=alt.ExprRef(f"width > {6 * bars} ? 1 : 0"))
            .encode(
                x=time_encoding(points, "begins_at"),
                x2=alt.X2("ends_at:Q"),
                y=value_encoding("low", scale),
                y2=alt.Y2("high:Q"),
                color=alt.Color("part:N", legend=None, scale=alt.Scale(domain=list(range(len(paint))), range=paint)),
            )
        )
        layers = [rectangles, *beside, *day_marks(points, x, theme), _hover(rows, points.measure, x, theme)]
        # From above, as the parts stand in the bars.
        return finished(
            layers, around, theme, left=left_of(scale), bottom=BOTTOM, entries=entries, width=width, points=rows
        )

    table = parts.select(
        pl.col("part").replace_strict(dict(enumerate(labels)), return_dtype=pl.String).alias("name"),
        "begins",
        "ends",
        "value",
    )
    return Figure(finding, table.sort("begins", "name"), draw)


def _parts(rows: pl.DataFrame, names: Sequence[str], *, share: bool) -> pl.DataFrame:
    """One row per bucket and part: `value`, null where nothing of the part is known; `begins` and `ends` of the bar."""
    of_bar = rows.with_columns(
        pl.col("begins").filter(pl.col("value").is_not_null()).min().over("bucket"),
        pl.col("ends").filter(pl.col("value").is_not_null()).max().over("bucket"),
        bar_days=pl.col("days").max().over("bucket"),
        part=pl.col("name").replace_strict(names, range(len(names)), default=len(names), return_dtype=pl.Int64),
    )
    number = pl.col("value") if share else pl.coalesce(pl.col("gained") / pl.col("bar_days"), "value")
    return (
        of_bar.with_columns(number=number)
        .group_by("bucket", "part", "begins", "ends", "x")
        # A sum of only nulls is unknown, not zero.
        .agg(value=pl.when(pl.col("number").is_not_null().any()).then(pl.col("number").sum()))
        .sort("bucket", "part")
    )


def _stacked(parts: pl.DataFrame) -> pl.DataFrame:
    """Adds `low` and `high` of each part: positive values stand on each other, negative ones hang below zero."""
    value, sign = pl.col("value"), pl.col("value") < 0
    sums = value.cum_sum().over("bucket", sign)
    return parts.with_columns(
        low=pl.min_horizontal(sums - value, sums).over("bucket", sign, mapping_strategy="group_to_rows"),
        high=pl.max_horizontal(sums - value, sums).over("bucket", sign, mapping_strategy="group_to_rows"),
    )


def _rows(parts: pl.DataFrame, labels: Sequence[str], points: Points) -> list[dict[str, Any]]:
    """The rectangles: a bar reaches from the middle of the night before its first day to that after its last one."""
    return [
        {
            "part": row["part"],
            "name": labels[row["part"]],
            "value": row["value"],
            "low": row["low"],
            "high": row["high"],
            "begins_at": milliseconds(row["begins"], hours=-12),
            "ends_at": milliseconds(row["ends"], hours=12),
            "when": bucket_label(points, row["bucket"], row["ends"]),
        }
        for row in parts.iter_rows(named=True)
        if row["value"] is not None
    ]


def _ends(rows: list[dict[str, Any]], scale: Scale, paint: Sequence[str], measure: Measure) -> list[End]:
    """The parts of the last bar."""
    last = max(row["ends_at"] for row in rows)
    return [
        End(
            (scale.pixels(row["low"], HEIGHT) + scale.pixels(row["high"], HEIGHT)) / 2,
            last,
            row["name"],
            measure.written(row["value"]),
            paint[row["part"]],
        )
        for row in rows
        if row["ends_at"] == last
    ]


def _hover(rows: list[dict[str, Any]], measure: Measure, x: alt.X, theme: Theme) -> alt.Chart:
    bars: dict[tuple[float, str], list[tuple[str, float | None]]] = {}
    for row in rows:
        place = ((row["begins_at"] + row["ends_at"]) / 2, row["when"])
        bars.setdefault(place, []).append((row["name"], row["value"]))
    return hover_rule([(at, when, values) for (at, when), values in bars.items()], measure, x, theme)


def _finding(parts: pl.DataFrame, labels: Sequence[str], measure: Measure, bars: int) -> str:
    """What the named part that moved most did, from its first to its last few bars; of the grey part if it is alone."""
    known = parts.with_columns(name=pl.col("part").cast(pl.String)).drop_nulls("value").sort("x")
    of_parts = known.group_by("name").agg(
        pl.col("value").head(bars).mean().alias("first"), pl.col("value").tail(bars).mean().alias("last")
    )
    ends = {name: (first, last) for name, first, last in of_parts.sort("name").iter_rows()}
    grey = str(len(labels) - 1)
    part = moved_most({name: values for name, values in ends.items() if name != grey} or ends)
    return change(labels[int(part)], *ends[part], measure)
