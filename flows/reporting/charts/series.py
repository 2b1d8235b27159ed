"""What the charts over time have in common: the points of a frame, their places, the days to mark, and the words."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import altair as alt
import polars as pl

from flows.reporting.charts.axes import Scale, milliseconds, time_ticks
from flows.reporting.charts.grain import Grain, aggregated, grain_of, mean_of_seven_days
from flows.reporting.charts.layout import data, flat_axis
from flows.reporting.charts.measures import Form, Measure
from flows.reporting.charts.text import day, listed, number, period, shown
from flows.reporting.charts.theme import Theme
from flows.reporting.charts.values import formed

SOURCE = "Civitai, daily snapshots (UTC)"
#: Below the plot: tick, a line with the day and one with the year.
BOTTOM = 36
#: Most coloured names of a chart. More colours than that cannot be told apart.
COLOURED = 7
#: From how many seven-day means on a chart draws them.
MEANS = 8
_MARKS = {"partial": ("triangle-down", "a partial snapshot"), "withheld": ("cross", "withheld downloads")}


@dataclass(frozen=True)
class Points:
    """A row per name and bucket of `grain.aggregated`, in the form asked for, with `x`, the middle of the bucket.

    `line` is what the line follows: `mean` if there are enough of them, else `value`. `marked` is a frame of the
    `snapshot_date` and `status` of the partial and the withheld days.
    """

    rows: pl.DataFrame
    measure: Measure
    grain: Grain
    line: str
    first: date
    last: date
    last_complete: date | None
    has_gap: bool
    marked: pl.DataFrame

    @property
    def period(self) -> str:
        return period(self.first, self.last)

    def subtitle(self, *more: str) -> str:
        what = {"day": "", "week": ", by week", "month": ", by month"}[self.grain]
        mean = ", 7-day mean over daily values" if self.line == "mean" else ""
        return "; ".join((f"{self.measure.title}{what}{mean}", *more, self.period))

    def footer(self, source: str = SOURCE) -> list[str]:
        """Where the numbers are from, and what the gaps and marks are."""
        complete = f" Last complete snapshot: {day(self.last_complete)}." if self.last_complete else ""
        notes = [f"Source: {source}.{complete}"]
        if self.has_gap and self.grain == "day":
            notes.append("A day without a complete snapshot is a gap.")
        signs = {"partial": "▽", "withheld": "✚"}
        marks = [f"{signs[status]} {_MARKS[status][1]}" for status in _MARKS if status in set(self.marked["status"])]
        if marks:
            notes.append(f"{', '.join(marks)}: what such a day gained counts with the next complete snapshot.")
        return notes


def points_of(
    frame: pl.DataFrame, by: str, measure: Measure, form: Form, grain: Grain | None, *, smooth: bool = True
) -> Points | None:
    """The points of a frame (see `grain.aggregated`; `status` of the days is optional), or none if it has no day.

    `smooth` adds seven-day means to the days of a flow.
    """
    if frame.is_empty():
        return None
    first, last = frame["snapshot_date"].min(), frame["snapshot_date"].max()
    assert isinstance(first, date)
    assert isinstance(last, date)
    grain = grain or grain_of(first, last)
    rows = aggregated(frame, by, measure, grain)
    line = "value"
    if smooth and measure.is_flow and grain == "day" and form in {"absolute", "indexed"}:
        with_mean = mean_of_seven_days(rows)
        if with_mean.filter(pl.col("mean").is_not_null())["bucket"].n_unique() >= MEANS:
            rows, line = with_mean, "mean"
    rows = formed(rows, form)
    if "mean" not in rows.columns:
        rows = rows.with_columns(mean=pl.lit(None, pl.Float64))
    days = frame.select("snapshot_date", status=pl.col("status") if "status" in frame.columns else None).unique()
    complete = days.filter(pl.col("status") == "complete")["snapshot_date"].max()
    return Points(
        _placed(rows, measure, grain),
        measure.in_form(form),
        grain,
        line,
        first,
        last,
        complete if isinstance(complete, date) else None,
        has_gap=days.filter(pl.col("status") != "complete").height > 0,
        marked=days.filter(pl.col("status").is_in(list(_MARKS))).sort("snapshot_date"),
    )


def _placed(rows: pl.DataFrame, measure: Measure, grain: Grain) -> pl.DataFrame:
    """Adds `x`, milliseconds: the day itself, the middle of the days of a week or month, or the day of a level."""
    begins = pl.max_horizontal("begins", "bucket").min().over("bucket")
    ends = pl.col("ends").max().over("bucket")
    days = ends.dt.epoch("d") + (begins.dt.epoch("d") if measure.is_flow and grain != "day" else ends.dt.epoch("d"))
    return rows.with_columns(x=days * 43_200_000.0)


def time_encoding(points: Points, field: str = "x") -> alt.X:
    """A field of milliseconds on the axis of days: a tick stands in the middle of the bar of its day."""
    domain = [milliseconds(points.first, hours=-12), milliseconds(points.last, hours=12)]
    axis = flat_axis(time_ticks(points.first, points.last, 5), time_ticks(points.first, points.last, 10))
    return alt.X(f"{field}:Q", title=None, scale=alt.Scale(domain=domain, nice=False, zero=False), axis=axis)


def day_marks(points: Points, x: alt.X, theme: Theme) -> list[alt.Chart]:
    """Signs at the top of the plot for partial snapshots and withheld downloads."""
    rows = [
        {"x": milliseconds(on), "sign": _MARKS[status][0], "note": f"{day(on)}: {_MARKS[status][1]}"}
        for on, status in points.marked.iter_rows()
    ]
    if not rows:
        return []
    sign = alt.Chart(data(rows)).mark_point(size=34, filled=True, color=theme.quiet, opacity=1, y=-7)
    return [sign.encode(x=x, shape=alt.Shape("sign:N", scale=None), tooltip=alt.Tooltip("note:N", title="day"))]


def hover_rule(
    rows: Sequence[tuple[float, str, Sequence[tuple[str, float | None]]]],
    measure: Measure,
    x: alt.X,
    theme: Theme,
) -> alt.Chart:
    """A rule at the place that is nearest to the pointer, anywhere in the plot, with all values there, highest first.

    Args:
        rows: place, its name, and the values there by name.
    """
    names = dict.fromkeys(name for _, _, values in rows for name, _ in values)
    listed_rows = []
    for place, label, values in rows:
        there = dict(values)
        known = sorted(((value, name) for name, value in there.items() if value is not None), reverse=True)
        texts = [f"{shown(name)}: {measure.written(value)}" for value, name in known]
        texts += [f"{shown(name)}: unknown" for name in names if there.get(name) is None]
        # The rank is part of the name of the field, so that no name of a base model can be one.
        listed_rows.append({"x": place, "when": label, **{f"rank_{rank}": text for rank, text in enumerate(texts, 1)}})
    nearest = alt.selection_point(on="pointermove", nearest=True, encodings=["x"], empty=False, clear="pointerout")
    # The pointer is over the cell around a rule, whose datum is the rule. A key like "1" would move to the front.
    row = "(datum.datum || datum)"
    said = ", ".join([f'"at": {row}.when', *(f'"{rank}.": {row}.rank_{rank}' for rank in range(1, len(names) + 1))])
    drawn: alt.Chart = (
        alt.Chart(data(listed_rows))
        .mark_rule(color=theme.text, strokeWidth=1, tooltip=alt.ExprRef(f"{{{said}}}"))
        .encode(x=x, opacity=alt.when(nearest).then(alt.value(0.55)).otherwise(alt.value(0)))
        .add_params(nearest)
    )
    return drawn


def bucket_label(points: Points, bucket: date, ends: date) -> str:
    """The name of a day, a week (its first day) or a month."""
    return {"day": day(ends), "week": f"week from {day(bucket)}", "month": f"{bucket:%B %Y}"}[points.grain]


def hover_values(points: Points, names: Sequence[str], x: alt.X, theme: Theme) -> alt.Chart:
    """The rule of `hover_rule` at the buckets of some names."""
    rows = []
    for (place,), at in points.rows.filter(pl.col("name").is_in(names)).group_by("x", maintain_order=True):
        values = dict(at.select("name", points.line).iter_rows())
        label = bucket_label(points, *at.select("bucket", pl.col("ends").max()).row(0))
        rows.append((float(str(place)), label, [(name, values.get(name)) for name in names]))
    return hover_rule(sorted(rows, key=lambda row: row[0]), points.measure, x, theme)


def first_and_last(rows: pl.DataFrame, names: Sequence[str], column: str) -> dict[str, tuple[float, float]]:
    """The first and the last known value of each name that has one."""
    known = (
        rows.drop_nulls(column).sort("x").group_by("name").agg(pl.col(column).first().alias("a"), pl.col(column).last())
    )
    values = {name: (first, last) for name, first, last in known.select("name", "a", column).iter_rows()}
    return {name: values[name] for name in names if name in values}


def moved_most(of: dict[str, tuple[float, float]]) -> str:
    """The name whose first and last value are farthest apart."""
    return max(of, key=lambda name: (abs(of[name][1] - of[name][0]), abs(of[name][1])))


def change(name: str, first: float, last: float, measure: Measure) -> str:
    """A finding: what a name did from its first to its last value."""
    who, now = shown(name), measure.said(last)
    if measure.is_share:
        points = 100 * (last - first)
        if abs(points) < 0.05:
            return f"{who} stands at {now}"
        return f"{who} {'rose' if points > 0 else 'fell'} from {measure.written(first)} to {now}"
    now = f"to {now}" if measure.unit else "from its first value"
    if first <= 0 or abs(last / first - 1) < 0.005:
        return f"{who} {'stands at' if first == last else 'went to'} {measure.said(last)}"
    if last == 0:
        return f"{who} fell to {measure.said(last)}"
    percent = abs(100 * (last / first - 1))
    if last >= 3 * first:
        return f"{who} rose {number(last / first)}-fold {now}"
    return f"{who} {'rose' if last > first else 'fell'} {percent:.{0 if percent >= 9.5 else 1}f} % {now}"


def alone(values: Sequence[float | None]) -> list[bool]:
    """Which values have no known neighbour, so that a line does not show them."""
    padded = [None, *values, None]
    return [
        value is not None and padded[place] is None and padded[place + 2] is None for place, value in enumerate(values)
    ]


def grey_note(others: int) -> list[str]:
    """A line of the footer for the names beyond the coloured ones."""
    return [f"Grey: {others:,} {'other' if others == 1 else 'others'}."] if others > 0 else []


def cut_off(rows: Sequence[dict[str, Any]], scale: Scale, measure: Measure) -> list[str]:
    """A line of the footer for the values above the end of the axis."""
    if scale.cap is None:
        return []
    over = [row for row in rows if row["value"] is not None and row["value"] > scale.cap]
    texts = [f"{shown(row['name'])} {measure.written(row['value'])} ({row['when']})" for row in over]
    return [f"▲ cut off: {listed(texts, 3)}."] if texts else []
