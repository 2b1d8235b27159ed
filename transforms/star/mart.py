"""The marts: stocks and flows of versions, by cell of the cube or by base model; the terms add up to the stock."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date

import polars as pl

from transforms.star.facts import DOWNLOADS
from transforms.tables.approval import Z

#: By what the cube cuts versions.
CELL = ["base_model", "type", "browsing_level"]
#: Names of browsing levels, the bits of a version's `nsfw_level` from the highest. Its highest bit decides.
BROWSING_LEVELS = {32: "Blocked", 16: "XXX", 8: "X", 4: "R", 2: "PG13", 1: "PG"}
UNRATED, UNKNOWN = "unrated", "(unknown)"

#: Flows of more than a day, of a date. The marts have them whole, and over some days they count by their share of days.
LONGER_FLOWS: dict[str, pl.DataType] = {
    "base_model": pl.String(),
    "snapshot_date": pl.Date(),
    "downloads_days": pl.Int32(),
    "downloads_delta": pl.Int64(),
}

_REVIEWS, _POINTS = ("reviews_up", "reviews_down"), ("rating_points", "rating_points_count")
#: The columns that are null while the counter that they are computed from is withheld.
MADE_OF: dict[str, tuple[str, ...]] = {
    "download_count": (
        *("download_count", "downloads_delta", "downloads_entered", "downloads_left", "downloads_reclassified"),
        *("downloads_hidden", "downloads_share", "downloads_days"),
    ),
    "thumbs_up_count": ("thumbs_up_count", "approval_rate", "approval_lower_bound", *_REVIEWS),
    "thumbs_down_count": ("thumbs_down_count", "approval_rate", "approval_lower_bound", *_REVIEWS),
    "rating_count": ("rating_count", "rating", *_POINTS),
    "rating": ("rating", *_POINTS),
}


def _differs(suffix: str) -> pl.Expr:
    """Whether a version is in another cell than then."""
    return pl.any_horizontal(pl.col(name) != pl.col(name + suffix) for name in CELL)


#: Versions by what happened to them since the snapshot before, and since the last one that counted downloads.
_ENTERED = ~pl.col("was_there") & pl.col("is_there")
_LEFT = pl.col("was_there") & ~pl.col("is_there")
_MOVED = pl.col("was_there") & pl.col("is_there") & _differs("_before")
_STAYED = pl.col("was_counted") & pl.col("is_there")
_CAME = ~pl.col("was_counted") & pl.col("is_there")
_WENT = pl.col("was_counted") & ~pl.col("is_there")
_CHANGED = _STAYED & _differs("_counted")
#: An unknown number is not zero: only a version with both numbers says which part of its reviews recommend it.
_IS_JUDGED = pl.col("thumbs_up_count").is_not_null() & pl.col("thumbs_down_count").is_not_null()
_IS_RATED = pl.col("rating").is_not_null() & pl.col("rating_count").is_not_null()
_TERMS = [
    *("version_count", "versions_entered", "versions_moved_in", "versions_left", "versions_moved_out"),
    *("download_count", "downloads_entered", "downloads_moved_in", "downloads_shown"),
    *("downloads_left", "downloads_moved_out", "downloads_hid", "versions_published"),
]


def terms(
    before: pl.DataFrame,
    counted: pl.DataFrame,
    after: pl.DataFrame,
    flows: pl.DataFrame,
    new_versions: pl.DataFrame | None,
) -> pl.DataFrame:
    """The terms of each cell from some of the versions: those of all versions are their sums.

    Args:
        before: the versions at the snapshot before: version_id, cell, download_count (null while hidden).
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
        .join(_departures(versions), on=CELL, how="full", coalesce=True)
        .join(_departures_of_downloads(versions), on=CELL, how="full", coalesce=True)
    )


@dataclass(frozen=True)
class MartDay:
    """A snapshot date as the marts see it.

    `since`: the snapshot before. `counted_since`: the last one whose downloads were not withheld. `has_new`: whether
    there was a complete crawl before, because only then it is known which versions are new. `withheld`: the counters of
    versions that are withheld on the date.
    """

    on: date
    since: date | None
    counted_since: date | None
    has_new: bool
    withheld: Collection[str] = ()


def cube_day(terms: pl.DataFrame, day: MartDay) -> pl.DataFrame:
    """One snapshot date of mart_daily, from the `terms` of all versions, of some after the other."""
    return _without_withheld(_added_up(terms, CELL, day), day).sort(CELL)


def base_model_day(terms: pl.DataFrame, day: MartDay) -> pl.DataFrame:
    """One snapshot date of mart_base_model_daily, likewise."""
    up, votes = pl.col("reviews_up"), pl.col("reviews_up") + pl.col("reviews_down")
    rows = _added_up(terms, ["base_model"], day).with_columns(
        downloads_share=ratio(pl.col("downloads_delta"), pl.col("downloads_delta").sum()),
        rating=ratio(pl.col("rating_points"), pl.col("rating_points_count")) / 100,
        approval_rate=ratio(up, votes),
        approval_lower_bound=wilson_lower_bound(up, votes),
    )
    return _without_withheld(rows, day).sort("base_model")


def longer_flows(flows: pl.DataFrame) -> pl.DataFrame:
    """LONGER_FLOWS from flows of versions with their base model, or from those of some versions after the other."""
    *key, flow = LONGER_FLOWS
    return flows.group_by(key).agg(pl.col(flow).sum())


def with_cell(versions: pl.DataFrame, models: pl.DataFrame) -> pl.DataFrame:
    """Versions (model_id, base_model, nsfw_level) with their cell. The type is that of their model, and so is the level
    where only models have one, as in the specification: `models` has model_id, type and nsfw_level.
    """
    level = pl.coalesce("nsfw_level", "nsfw_level_of_model")
    of_bits = pl.coalesce(pl.when((level & bit) > 0).then(pl.lit(name)) for bit, name in BROWSING_LEVELS.items())
    of_models = models.select("model_id", "type", nsfw_level_of_model="nsfw_level")
    return versions.join(of_models, on="model_id", how="left", maintain_order="left").with_columns(
        pl.col("type").fill_null(UNKNOWN),
        browsing_level=pl.when(level.is_null()).then(pl.lit(UNKNOWN)).otherwise(of_bits.fill_null(UNRATED)),
    )


def _added_up(terms: pl.DataFrame, key: list[str], day: MartDay) -> pl.DataFrame:
    """The terms by key, and the columns that all rows of the date share."""
    days, downloads_days = (
        pl.lit(None if start is None else (day.on - start).days, dtype=pl.Int32)
        for start in (day.since, day.counted_since)
    )
    return (
        terms.group_by(key)
        .agg(total(name) for name in terms.columns if name not in CELL)
        .with_columns(pl.col(_TERMS).fill_null(0))
        .with_columns(
            snapshot_date=pl.lit(day.on),
            days_since_previous=days,
            downloads_days=downloads_days,
            versions_published=pl.when(pl.lit(day.has_new)).then("versions_published"),
            versions_reclassified=pl.col("versions_moved_in") - pl.col("versions_moved_out"),
            downloads_reclassified=pl.col("downloads_moved_in") - pl.col("downloads_moved_out"),
            downloads_hidden=pl.col("downloads_shown") - pl.col("downloads_hid"),
        )
    )


def _without_withheld(rows: pl.DataFrame, day: MartDay) -> pl.DataFrame:
    """The rows with null where a number is made of a withheld counter."""
    unknown = {name for counter in day.withheld for name in MADE_OF[counter]}
    return rows.with_columns(pl.lit(None).alias(name) for name in sorted(unknown & {*rows.columns}))


def _versions(
    before: pl.DataFrame,
    counted: pl.DataFrame,
    after: pl.DataFrame,
    flows: pl.DataFrame,
    new_versions: pl.DataFrame | None,
) -> pl.DataFrame:
    """One row per version of any of the three stocks, with what it was in each; arguments as in `terms`."""
    published = flows.clear() if new_versions is None else new_versions
    then = [*_cell_then("_before"), pl.lit(value=True).alias("was_there")]
    of_stock = [
        *_cell_then("_counted"),
        pl.col(DOWNLOADS).alias("stock_before"),
        pl.lit(value=True).alias("was_counted"),
    ]
    if counted is before:
        stocks = before.select("version_id", *then, *of_stock)
    else:
        stocks = before.select("version_id", *then).join(
            counted.select("version_id", *of_stock), on="version_id", how="full", coalesce=True
        )
    return (
        stocks.join(after.with_columns(is_there=True), on="version_id", how="full", coalesce=True)
        .join(flows, on="version_id", how="left")
        .join(published.select("version_id", is_new=True), on="version_id", how="left")
        .with_columns(pl.col("was_there", "was_counted", "is_there", "is_new").fill_null(False))  # noqa: FBT003
    )


def _cell_then(suffix: str) -> list[pl.Expr]:
    return [pl.col(name).alias(name + suffix) for name in CELL]


def _arrivals(versions: pl.DataFrame) -> pl.DataFrame:
    """Stocks, flows, and what came to each cell."""
    stock, stock_before, flow = pl.col(DOWNLOADS), pl.col("stock_before"), pl.col("downloads_delta").fill_null(0)
    hundredths = (pl.col("rating") * 100).round().cast(pl.Int64)
    return (
        versions.filter("is_there")
        .group_by(CELL)
        .agg(
            version_count=pl.len().cast(pl.Int64),
            versions_published=pl.col("is_new").sum().cast(pl.Int64),
            versions_entered=_ENTERED.sum().cast(pl.Int64),
            versions_moved_in=_MOVED.sum().cast(pl.Int64),
            download_count=stock.sum(),
            downloads_delta=total("downloads_delta"),
            downloads_entered=amount(_CAME, stock - flow),
            downloads_moved_in=amount(_CHANGED, stock_before),
            downloads_shown=amount(_STAYED & stock_before.is_null(), stock - flow),
            downloads_hid=amount(_STAYED & stock.is_null(), stock_before),
            thumbs_up_count=total("thumbs_up_count"),
            thumbs_down_count=total("thumbs_down_count"),
            reviews_up=_known_sum(pl.col("thumbs_up_count"), _IS_JUDGED),
            reviews_down=_known_sum(pl.col("thumbs_down_count"), _IS_JUDGED),
            rating_count=total("rating_count"),
            rating_points=_known_sum(hundredths * pl.col("rating_count"), _IS_RATED),
            rating_points_count=_known_sum(pl.col("rating_count"), _IS_RATED),
        )
    )


def _departures(versions: pl.DataFrame) -> pl.DataFrame:
    """The versions that left each cell."""
    return (
        versions.filter("was_there")
        .group_by(pl.col(f"{name}_before").alias(name) for name in CELL)
        .agg(versions_left=_LEFT.sum().cast(pl.Int64), versions_moved_out=_MOVED.sum().cast(pl.Int64))
    )


def _departures_of_downloads(versions: pl.DataFrame) -> pl.DataFrame:
    """The downloads that left each cell with their versions."""
    stock_before = pl.col("stock_before")
    return (
        versions.filter("was_counted")
        .group_by(pl.col(f"{name}_counted").alias(name) for name in CELL)
        .agg(downloads_left=amount(_WENT, stock_before), downloads_moved_out=amount(_CHANGED, stock_before))
    )


def amount(condition: pl.Expr, value: pl.Expr) -> pl.Expr:
    """The sum of the values of some versions; 0 if there are none."""
    return value.filter(condition).fill_null(0).sum().cast(pl.Int64)


def total(column: str) -> pl.Expr:
    """The sum of the known values; null if none is known."""
    return _known_sum(pl.col(column), pl.col(column).is_not_null())


def _known_sum(value: pl.Expr, is_known: pl.Expr) -> pl.Expr:
    """The sum of the values of the versions that have one; null if none has."""
    return pl.when(is_known.any()).then(value.filter(is_known).sum())


def ratio(part: pl.Expr, whole: pl.Expr) -> pl.Expr:
    """Part / whole; null where the whole is not positive."""
    return pl.when(whole > 0).then(part / whole)


def wilson_lower_bound(successes: pl.Expr, trials: pl.Expr) -> pl.Expr:
    """Lower bound of a share at 95 % (Wilson score interval), rounding never makes it negative; null without trials."""
    share = successes / trials
    centre = share + Z**2 / (2 * trials)
    margin = Z * ((share * (1 - share) + Z**2 / (4 * trials)) / trials).sqrt()
    return pl.when(trials > 0).then(((centre - margin) / (1 + Z**2 / trials)).clip(lower_bound=0))
