"""mart_base_model_daily: stocks and flows of each base model's versions; the terms add up to the stock."""

from collections.abc import Collection
from datetime import date

import polars as pl

from transforms.star.facts import DOWNLOADS

#: The normal quantile of a two-sided interval at 95 %.
Z = 1.959963984540054


#: The columns that are null while the counter that they are computed from is withheld.
MADE_OF: dict[str, tuple[str, ...]] = {
    "download_count": (
        *("download_count", "downloads_delta", "downloads_entered", "downloads_left", "downloads_reclassified"),
        *("downloads_hidden", "downloads_share", "downloads_days"),
    ),
    "thumbs_up_count": ("thumbs_up_count", "approval_rate", "approval_lower_bound"),
    "thumbs_down_count": ("thumbs_down_count", "approval_rate", "approval_lower_bound"),
    "rating_count": ("rating_count", "rating"),
    "rating": ("rating",),
}


#: Versions by what happened to them since the snapshot before, and since the last one that counted downloads.
_ENTERED = ~pl.col("was_there") & pl.col("is_there")
_LEFT = pl.col("was_there") & ~pl.col("is_there")
_MOVED = pl.col("was_there") & pl.col("is_there") & (pl.col("base_model") != pl.col("base_model_before"))
_STAYED = pl.col("was_counted") & pl.col("is_there")
_CAME = ~pl.col("was_counted") & pl.col("is_there")
_WENT = pl.col("was_counted") & ~pl.col("is_there")
_CHANGED = _STAYED & (pl.col("base_model") != pl.col("base_model_counted"))
#: An unknown number is not zero: only a version with both numbers says which part of its reviews recommend it.
_IS_JUDGED = pl.col("thumbs_up_count").is_not_null() & pl.col("thumbs_down_count").is_not_null()
_TERMS = [
    *("version_count", "versions_entered", "versions_moved_in", "versions_left", "versions_moved_out"),
    *("download_count", "downloads_entered", "downloads_moved_in", "downloads_shown"),
    *("downloads_left", "downloads_moved_out", "downloads_hid", "versions_published"),
]


def base_model_terms(
    before: pl.DataFrame,
    counted: pl.DataFrame,
    after: pl.DataFrame,
    flows: pl.DataFrame,
    new_versions: pl.DataFrame | None,
) -> pl.DataFrame:
    """The terms of each base model from some of the versions: those of all versions are their sums.

    Args:
        before: the versions at the snapshot before: version_id, base_model, download_count (null while hidden).
        counted: the versions at the last snapshot whose downloads were not withheld: the terms of downloads are the
            differences from there. The same as `before` but after dates with withheld downloads.
        after: the current versions on the date, and the last known thumbs_up_count, thumbs_down_count, rating_count
            and rating.
        flows: version_id and downloads_delta of the versions observed on the date.
        new_versions: version_id of versions first seen on the date and published since the last complete crawl; None
            if there was no complete crawl yet.
    """
    versions = _versions(before, counted, after, flows, new_versions)
    return (
        _arrivals(versions)
        .join(_departures(versions), on="base_model", how="full", coalesce=True)
        .join(_departures_of_downloads(versions), on="base_model", how="full", coalesce=True)
    )


def base_model_day(
    terms: pl.DataFrame,
    since: date | None,
    counted_since: date | None,
    *,
    on: date,
    has_new: bool,
    withheld: Collection[str] = (),
) -> pl.DataFrame:
    """One snapshot date of the mart.

    Args:
        terms: `base_model_terms` of all versions, of some after the other.
        since: the snapshot before.
        counted_since: the last snapshot whose downloads were not withheld.
        on: the snapshot date.
        has_new: whether there was a complete crawl before: only then is it known which versions are new.
        withheld: the counters of versions that are withheld on it; columns computed from them are null.
    """
    days, downloads_days = (
        pl.lit(None if start is None else (on - start).days, dtype=pl.Int32) for start in (since, counted_since)
    )
    up = pl.col("ups_judged")
    votes = up + pl.col("downs_judged")
    return (
        terms.group_by("base_model")
        .agg(total(name) for name in terms.columns if name != "base_model")
        .with_columns(pl.col(_TERMS).fill_null(0))
        .with_columns(
            snapshot_date=pl.lit(on),
            days_since_previous=days,
            downloads_days=downloads_days,
            versions_published=pl.when(pl.lit(has_new)).then("versions_published"),
            versions_reclassified=pl.col("versions_moved_in") - pl.col("versions_moved_out"),
            downloads_reclassified=pl.col("downloads_moved_in") - pl.col("downloads_moved_out"),
            downloads_hidden=pl.col("downloads_shown") - pl.col("downloads_hid"),
            downloads_share=ratio(pl.col("downloads_delta"), pl.col("downloads_delta").sum()),
            rating=ratio(pl.col("rating_points"), pl.col("ratings_with_points")) / 100,
            approval_rate=ratio(up, votes),
            approval_lower_bound=wilson_lower_bound(up, votes),
        )
        .with_columns(
            pl.lit(None).alias(column) for column in sorted({name for each in withheld for name in MADE_OF[each]})
        )
        .sort("base_model")
    )


def _versions(
    before: pl.DataFrame,
    counted: pl.DataFrame,
    after: pl.DataFrame,
    flows: pl.DataFrame,
    new_versions: pl.DataFrame | None,
) -> pl.DataFrame:
    """One row per version of any of the three stocks, with what it was in each; arguments as in `base_model_terms`."""
    published = flows.clear() if new_versions is None else new_versions
    return (
        before.select("version_id", base_model_before="base_model", was_there=True)
        .join(
            counted.select("version_id", base_model_counted="base_model", stock_before=DOWNLOADS, was_counted=True),
            on="version_id",
            how="full",
            coalesce=True,
        )
        .join(after.with_columns(is_there=True), on="version_id", how="full", coalesce=True)
        .join(flows, on="version_id", how="left")
        .join(published.select("version_id", is_new=True), on="version_id", how="left")
        .with_columns(pl.col("was_there", "was_counted", "is_there", "is_new").fill_null(False))  # noqa: FBT003
    )


def _arrivals(versions: pl.DataFrame) -> pl.DataFrame:
    """Stocks, flows, and what came to each base model."""
    stock, stock_before, flow = pl.col(DOWNLOADS), pl.col("stock_before"), pl.col("downloads_delta").fill_null(0)
    return (
        versions.filter("is_there")
        .group_by("base_model")
        .agg(
            version_count=pl.len().cast(pl.Int64),
            versions_published=pl.col("is_new").sum().cast(pl.Int64),
            versions_entered=_ENTERED.sum().cast(pl.Int64),
            versions_moved_in=_MOVED.sum().cast(pl.Int64),
            download_count=stock.sum(),
            downloads_delta=pl.when(pl.col("downloads_delta").count() > 0).then(pl.col("downloads_delta").sum()),
            downloads_entered=amount(_CAME, stock - flow),
            downloads_moved_in=amount(_CHANGED, stock_before),
            downloads_shown=amount(_STAYED & stock_before.is_null(), stock - flow),
            downloads_hid=amount(_STAYED & stock.is_null(), stock_before),
            thumbs_up_count=total("thumbs_up_count"),
            thumbs_down_count=total("thumbs_down_count"),
            ups_judged=pl.col("thumbs_up_count").filter(_IS_JUDGED).sum(),
            downs_judged=pl.col("thumbs_down_count").filter(_IS_JUDGED).sum(),
            rating_count=total("rating_count"),
            rating_points=((pl.col("rating") * 100).round().cast(pl.Int64) * pl.col("rating_count")).sum(),
            ratings_with_points=pl.col("rating_count").filter(pl.col("rating").is_not_null()).sum(),
        )
    )


def _departures(versions: pl.DataFrame) -> pl.DataFrame:
    """The versions that left each base model."""
    return (
        versions.filter("was_there")
        .group_by(base_model="base_model_before")
        .agg(versions_left=_LEFT.sum().cast(pl.Int64), versions_moved_out=_MOVED.sum().cast(pl.Int64))
    )


def _departures_of_downloads(versions: pl.DataFrame) -> pl.DataFrame:
    """The downloads that left each base model with their versions."""
    stock_before = pl.col("stock_before")
    return (
        versions.filter("was_counted")
        .group_by(base_model="base_model_counted")
        .agg(downloads_left=amount(_WENT, stock_before), downloads_moved_out=amount(_CHANGED, stock_before))
    )


def amount(condition: pl.Expr, value: pl.Expr) -> pl.Expr:
    """The sum of the values of some versions; 0 if there are none."""
    return value.filter(condition).fill_null(0).sum().cast(pl.Int64)


def total(column: str) -> pl.Expr:
    """The sum of the known values; null if none is known."""
    return pl.when(pl.col(column).count() > 0).then(pl.col(column).sum())


def ratio(part: pl.Expr, whole: pl.Expr) -> pl.Expr:
    """Part / whole; null where the whole is not positive."""
    return pl.when(whole > 0).then(part / whole)


def wilson_lower_bound(successes: pl.Expr, trials: pl.Expr) -> pl.Expr:
    """Lower bound of a share at 95 % (Wilson score interval), rounding never makes it negative; null without trials."""
    share = successes / trials
    centre = share + Z**2 / (2 * trials)
    margin = Z * ((share * (1 - share) + Z**2 / (4 * trials)) / trials).sqrt()
    return pl.when(trials > 0).then(((centre - margin) / (1 + Z**2 / trials)).clip(lower_bound=0))
