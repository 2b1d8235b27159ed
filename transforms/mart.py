"""mart_base_model_daily: the stocks and flows of each base model's versions, balanced term by term."""

from datetime import date

import polars as pl

from transforms.facts import DOWNLOADS

#: The normal quantile of a two-sided interval at 95 %.
Z = 1.959963984540054


def base_model_day(
    before: pl.DataFrame,
    after: pl.DataFrame,
    flows: pl.DataFrame,
    births: pl.DataFrame | None,
    *,
    on: date,
    previous: date | None,
) -> pl.DataFrame:
    """One snapshot date of the mart.

    Args:
        before: the versions that were served at the snapshot before: version_id, base_model, download_count (null while
            hidden).
        after: the same on `on`, and the last known thumbs_up_count, thumbs_down_count, rating_count and rating.
        flows: version_id and downloads_delta of the versions observed on `on`.
        births: version_id of versions first seen on `on` and published since the last complete crawl; None where there
            was none yet, so that nobody knows.
        on: the snapshot date.
        previous: the snapshot date before; None at the first.
    """
    born = flows.clear() if births is None else births
    versions = (
        before.select("version_id", base_model_before="base_model", stock_before=DOWNLOADS, was_there=True)
        .join(after.with_columns(is_there=True), on="version_id", how="full", coalesce=True)
        .join(flows, on="version_id", how="left")
        .join(born.select("version_id", is_birth=True), on="version_id", how="left")
        .with_columns(pl.col("was_there", "is_there", "is_birth").fill_null(False))  # noqa: FBT003
    )
    stock, stock_before, flow = pl.col(DOWNLOADS), pl.col("stock_before"), pl.col("downloads_delta").fill_null(0)
    stayed = pl.col("was_there") & pl.col("is_there")
    entered = ~pl.col("was_there") & pl.col("is_there")
    left = pl.col("was_there") & ~pl.col("is_there")
    moved = stayed & (pl.col("base_model") != pl.col("base_model_before"))
    shown = stayed & stock_before.is_null()

    def amount(condition: pl.Expr, value: pl.Expr) -> pl.Expr:
        return value.filter(condition).fill_null(0).sum().cast(pl.Int64)

    arrivals = (
        versions.filter("is_there")
        .group_by("base_model")
        .agg(
            version_count=pl.len().cast(pl.Int64),
            versions_published=pl.col("is_birth").sum().cast(pl.Int64),
            versions_entered=entered.sum().cast(pl.Int64),
            versions_moved_in=moved.sum().cast(pl.Int64),
            download_count=stock.sum(),
            downloads_delta=pl.when(pl.col("downloads_delta").count() > 0).then(pl.col("downloads_delta").sum()),
            downloads_entered=amount(entered, stock - flow),
            downloads_moved_in=amount(moved, stock_before),
            downloads_shown=amount(shown, stock - flow),
            downloads_hid=amount(stayed & stock.is_null(), stock_before),
            thumbs_up_count=total("thumbs_up_count"),
            thumbs_down_count=total("thumbs_down_count"),
            rating_count=total("rating_count"),
            rating_points=((pl.col("rating") * 100).round().cast(pl.Int64) * pl.col("rating_count")).sum(),
            ratings_with_points=pl.col("rating_count").filter(pl.col("rating").is_not_null()).sum(),
        )
    )
    departures = (
        versions.filter("was_there")
        .group_by(base_model="base_model_before")
        .agg(
            versions_left=left.sum().cast(pl.Int64),
            versions_moved_out=moved.sum().cast(pl.Int64),
            downloads_left=amount(left, stock_before),
            downloads_moved_out=amount(moved, stock_before),
        )
    )
    terms = [
        *("version_count", "versions_entered", "versions_moved_in", "versions_left", "versions_moved_out"),
        *("download_count", "downloads_entered", "downloads_moved_in", "downloads_shown"),
        *("downloads_left", "downloads_moved_out", "downloads_hid", "versions_published"),
    ]
    days = None if previous is None else (on - previous).days
    up, down = pl.col("thumbs_up_count"), pl.col("thumbs_down_count")
    votes = up + down
    return (
        arrivals.join(departures, on="base_model", how="full", coalesce=True)
        .with_columns(pl.col(terms).fill_null(0))
        .with_columns(
            snapshot_date=pl.lit(on),
            days_since_previous=pl.lit(days, dtype=pl.Int32),
            versions_published=pl.when(pl.lit(births is not None)).then("versions_published"),
            versions_reclassified=pl.col("versions_moved_in") - pl.col("versions_moved_out"),
            downloads_reclassified=pl.col("downloads_moved_in") - pl.col("downloads_moved_out"),
            downloads_hidden=pl.col("downloads_shown") - pl.col("downloads_hid"),
            downloads_share=ratio(pl.col("downloads_delta"), pl.col("downloads_delta").sum()),
            rating=ratio(pl.col("rating_points"), pl.col("ratings_with_points")) / 100,
            approval_rate=ratio(up, votes),
            approval_lower_bound=wilson_lower_bound(up, votes),
        )
        .sort("base_model")
    )


def total(column: str) -> pl.Expr:
    """The sum of the known values; null if none is known."""
    return pl.when(pl.col(column).count() > 0).then(pl.col(column).sum())


def ratio(part: pl.Expr, whole: pl.Expr) -> pl.Expr:
    """Part / whole; null where the whole is not positive."""
    return pl.when(whole > 0).then(part / whole)


def wilson_lower_bound(successes: pl.Expr, trials: pl.Expr) -> pl.Expr:
    """Lower bound of a share at 95 % (Wilson score interval); null without trials."""
    share = successes / trials
    centre = share + Z**2 / (2 * trials)
    margin = Z * ((share * (1 - share) + Z**2 / (4 * trials)) / trials).sqrt()
    return pl.when(trials > 0).then((centre - margin) / (1 + Z**2 / trials))
