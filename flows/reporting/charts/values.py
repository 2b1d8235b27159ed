"""Absolute, as a share, indexed or cumulative: pure functions from aggregated frame to aggregated frame."""

import polars as pl

from flows.reporting.charts.measures import Form


def formed(buckets: pl.DataFrame, form: Form) -> pl.DataFrame:
    """`value` (and `mean`, if there is one) of `grain.aggregated` in another form.

    - share: of what all names of the bucket gained together (of the sum of values, for a level). Null where the
      total is unknown or not positive.
    - indexed: the first known value of the name is 100; null if that one is not positive. With a seven-day mean, its
      first value is 100, because a single day is chance.
    - cumulative: what was gained up to the bucket. Null where the bucket is; the sum goes on behind a gap. It has no
      mean.
    """
    if form == "absolute":
        return buckets
    if form == "cumulative":
        total = pl.when(pl.col("gained").is_not_null()).then(pl.col("gained").fill_null(0).cum_sum().over("name"))
        return buckets.sort("name", "bucket").with_columns(value=total).drop("mean", strict=False)
    columns = [column for column in ("value", "mean") if column in buckets.columns]
    if form == "indexed":
        base = (pl.col(columns[-1]).drop_nulls().first()).over("name")
        base = pl.when(base > 0).then(base)
        return buckets.sort("name", "bucket").with_columns(pl.col(column) * 100 / base for column in columns)
    part = pl.coalesce("gained", "value")
    whole = part.sum().over("bucket")
    shares = buckets.with_columns(value=pl.when(whole > 0).then(part / whole))
    return shares.drop("mean", strict=False)
