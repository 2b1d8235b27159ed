"""From snapshots to days, weeks or months: pure functions from frame to frame.

A *flow* counts what came since the complete snapshot before, which may be days ago. Flows add up, and so do their days:
the rate of a week is what the flows that end in it gained, divided by the days that they span. Nothing is divided
between two weeks, so the charts of all grains add up to the same total. A *level* (a rating, a stock) is that of the
last snapshot of the week that has it. What is unknown stays unknown: null is not zero.
"""

from datetime import date
from typing import Literal

import polars as pl

from flows.reporting.charts.measures import Measure

Grain = Literal["day", "week", "month"]
#: From how many days on a chart has a point per week, or per month.
WEEKS_ABOVE, MONTHS_ABOVE = 90, 540
#: Days of the mean that is drawn over the daily values of a flow.
WINDOW = 7


def grain_of(first: date, last: date) -> Grain:
    """The grain that a chart from `first` to `last` has if nobody chooses one."""
    days = (last - first).days + 1
    return "day" if days <= WEEKS_ABOVE else "week" if days <= MONTHS_ABOVE else "month"


def aggregated(frame: pl.DataFrame, by: str, measure: Measure, grain: Grain) -> pl.DataFrame:
    """One row per name and day, week or month that `frame` has, sorted by them.

    Args:
        frame: a row per name and day: `snapshot_date`, the name in `by`, the measure's column, and `days` if the
            measure is a flow. A day without a number is null.

    Returns:
        `name`; `bucket`, the first day of the day, week (Monday) or month; `begins` and `ends`, first and last day that
        the number stands for; `gained` and `days`, the sums over the flows (null for a level); `value`, the rate per
        day or the level, null where it is unknown.
    """
    every = {"day": "1d", "week": "1w", "month": "1mo"}[grain]
    known = pl.col(measure.column).is_not_null()
    if measure.is_flow:
        known &= pl.col("days").is_not_null()
    rows = frame.select(
        "snapshot_date",
        pl.col(by).alias("name"),
        pl.col("snapshot_date").dt.truncate(every).alias("bucket"),
        pl.when(known).then(pl.col(measure.column)).alias("number"),
        pl.when(known).then(pl.col("days") if measure.is_flow else pl.lit(1)).alias("spans"),
    ).sort("name", "snapshot_date")
    since = (pl.col("snapshot_date") - pl.duration(days=pl.col("spans") - 1)).drop_nulls().min()
    last = pl.col("snapshot_date").filter(pl.col("number").is_not_null()).max()
    any_known = pl.col("number").is_not_null().any()
    buckets = rows.group_by("name", "bucket", maintain_order=True).agg(
        (since.fill_null(pl.col("snapshot_date").min()) if measure.is_flow else pl.col("snapshot_date").min()).alias(
            "begins"
        ),
        last.fill_null(pl.col("snapshot_date").max()).alias("ends"),
        # A sum of only nulls is unknown, not zero.
        pl.when(any_known).then(pl.col("number").sum()).cast(pl.Float64).alias("gained"),
        pl.when(any_known).then(pl.col("spans").sum()).cast(pl.Int64).alias("days"),
        pl.col("number").drop_nulls().last().cast(pl.Float64).alias("level"),
    )
    if measure.is_flow:
        return buckets.with_columns(value=pl.col("gained") / pl.col("days")).drop("level")
    nothing = (pl.lit(None, pl.Float64).alias("gained"), pl.lit(None, pl.Int64).alias("days"))
    return buckets.with_columns(nothing).rename({"level": "value"})


def mean_of_seven_days(daily: pl.DataFrame) -> pl.DataFrame:
    """Adds `mean` to daily flows: what the last seven days gained, per day that the flows of these days span.

    It is null where the day itself has no flow, and while the flows span fewer than seven days.
    """
    windows = (
        daily.sort("name", "bucket")
        .rolling("bucket", period=f"{WINDOW}d", group_by="name")
        .agg(window_gained=pl.col("gained").sum(), window_days=pl.col("days").sum())
    )
    enough = pl.col("value").is_not_null() & (pl.col("window_days") >= WINDOW)
    return (
        daily.join(windows, on=["name", "bucket"], how="left", maintain_order="left")
        .with_columns(mean=pl.when(enough).then(pl.col("window_gained") / pl.col("window_days")))
        .drop("window_gained", "window_days")
    )
