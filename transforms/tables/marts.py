"""What analysts ask first, worked out once: versions added up, in a cube and by base model."""

import dataframely as dy
import polars as pl

from transforms.tables.declaration import Table, made
from transforms.tables.facts import snapshot_date

VERSIONS = "fact_model_version_daily"
HISTORY = "dim_model_version"


def _known(example: int, text: str) -> dy.Int64:
    """A stock of reviews or ratings."""
    return dy.Int64(
        nullable=True,
        description=text,
        metadata=made(VERSIONS, example=example, null="no version's number is known, or it is withheld; never zero"),
    )


def thumbs_up_count() -> dy.Int64:
    return _known(49617, "Stock: users who recommend one of the versions that are there, added up over versions.")


def thumbs_down_count() -> dy.Int64:
    return _known(961, "Stock: users who advise against one of the versions that are there, added up over versions.")


def rating_count() -> dy.Int64:
    return _known(2767, "Stock: ratings in stars of the versions that are there; the service dropped them in 2025.")


class _VersionsDaily(Table):
    """Stocks and flows of versions by snapshot date: what both marts have. All columns but the spans add up."""

    storage = "daily"

    snapshot_date = snapshot_date()
    base_model = dy.String(
        primary_key=True,
        description="Architecture of the versions that are added up, as each stated it on that date.",
        metadata=made(HISTORY, example="Flux.1 D", references="dim_base_model.base_model"),
    )
    days_since_previous = dy.Int32(
        nullable=True,
        min=1,
        description="Days since the snapshot before, with which the versions are compared.",
        metadata=made("the snapshot dates", unit="days", example=1, null="it is the first snapshot"),
    )
    downloads_days = dy.Int32(
        nullable=True,
        min=1,
        description="Days since the last snapshot with a download_count, which most flows of downloads span: more than "
        "days_since_previous where the counter was withheld in between.",
        metadata=made(
            "the snapshot dates", unit="days", example=1, null="it is the first snapshot, or downloads are withheld"
        ),
    )
    version_count = dy.Int64(
        min=0,
        description="Stock: versions that the service had on that date.",
        metadata=made(HISTORY, example=266),
    )
    versions_published = dy.Int64(
        nullable=True,
        description="Versions that were met first on that date and published after the last complete crawl began.",
        metadata=made(HISTORY, example=1, null="there was no complete crawl before, so nobody knows"),
    )
    versions_entered = dy.Int64(
        min=0,
        description="Versions that were not there at the snapshot before: new ones, returned ones, and old ones that "
        "no crawl had reached.",
        metadata=made(HISTORY, example=1),
    )
    versions_left = dy.Int64(
        min=0,
        description="Versions that were there at the snapshot before and are not any more.",
        metadata=made(HISTORY, example=0),
    )
    versions_reclassified = dy.Int64(
        description="Versions that moved between rows since the snapshot before, as when a creator changed their base "
        "model: those that came, less those that went.",
        metadata=made(HISTORY, example=0),
    )
    download_count = dy.Int64(
        nullable=True,
        description="Stock: downloads of all time of the versions that are there, each as it was last known. Versions "
        "whose creator hides the number are not in it.",
        metadata=made(VERSIONS, example=562977, null="the counter is withheld on that date"),
    )
    downloads_delta = dy.Int64(
        nullable=True,
        description="Flow: downloads that the versions observed on that date gained, each since its own last known "
        "value; negative where counters fell.",
        metadata=made(
            VERSIONS, example=2736, null="no version's gain is known, or the counter is withheld; never zero"
        ),
    )
    downloads_entered = dy.Int64(
        nullable=True,
        description="Downloads of all time that came with the versions that entered, beyond what is in "
        "downloads_delta.",
        metadata=made(VERSIONS, example=0, null="the counter is withheld on that date"),
    )
    downloads_left = dy.Int64(
        nullable=True,
        description="Downloads of all time that went with the versions that left.",
        metadata=made(VERSIONS, example=0, null="the counter is withheld on that date"),
    )
    downloads_reclassified = dy.Int64(
        nullable=True,
        description="Downloads of all time that came with versions that moved between rows, less those that went.",
        metadata=made(VERSIONS, example=0, null="the counter is withheld on that date"),
    )
    downloads_hidden = dy.Int64(
        nullable=True,
        description="Downloads of all time of versions whose number was shown again, beyond what is in "
        "downloads_delta, less those of versions whose number was hidden since the snapshot before.",
        metadata=made(VERSIONS, example=0, null="the counter is withheld on that date"),
    )


class MartDaily(_VersionsDaily):
    """One row per base model, type, browsing level and snapshot date: the cube, whose stocks and flows add up over any
    of them.

    A version counts while its row in dim_model_version is open, with its last known counters: a version that a crawl
    did not reach keeps its stock, so a partial crawl never looks like a fall. The stock balances:
    download_count = download_count of the date before + downloads_delta + downloads_entered - downloads_left
    + downloads_reclassified + downloads_hidden, and likewise version_count. A sum over rows is null only if all its
    parts are; shares and rates are computed from sums, as the views over this table do.

    Where the service's downloads of a date are withheld (ops_withheld), everything about downloads is null on it, and
    the terms of the next date span the day (downloads_days): "the date before" is then the last one with a stock.
    """

    type = dy.String(
        primary_key=True,
        description="Kind of the versions' models on that date, as in dim_model; (unknown) where it is not given.",
        metadata=made("dim_model", example="LORA"),
    )
    browsing_level = dy.String(
        primary_key=True,
        description="Highest browsing level of the versions' images as it was then, or else of their models': PG, "
        "PG13, R, X, XXX or Blocked; unrated, or (unknown) where the service gives neither.",
        metadata=made(f"{HISTORY}.nsfw_level, dim_model.nsfw_level", example="PG"),
    )
    thumbs_up_count = thumbs_up_count()
    thumbs_down_count = thumbs_down_count()
    reviews_up = _known(49617, "Part of thumbs_up_count of the versions both of whose numbers are known.")
    reviews_down = _known(961, "Part of thumbs_down_count of the versions both of whose numbers are known.")
    rating_count = rating_count()
    rating_points = dy.Int64(
        nullable=True,
        description="Ratings added up: each version's mean in hundredths of a star, times its number of ratings.",
        metadata=made(
            VERSIONS, unit="0.01 stars", example=1210971, null="no version has both numbers, or they are withheld"
        ),
    )
    rating_points_count = dy.Int64(
        nullable=True,
        description="Ratings that are in rating_points: rating = rating_points / rating_points_count / 100.",
        metadata=made(VERSIONS, example=2767, null="no version has both numbers, or they are withheld"),
    )


class MartBaseModelDaily(_VersionsDaily):
    """One row per base model and snapshot date: stocks, flows, share and ratings of its versions.

    A version counts while its row in dim_model_version is open, with its last known counters: a version that a crawl
    did not reach keeps its stock, so a partial crawl never looks like a fall. The stock balances:
    download_count = download_count of the date before + downloads_delta + downloads_entered - downloads_left
    + downloads_reclassified + downloads_hidden, and likewise version_count.

    Where the service's downloads of a date are withheld (ops_withheld), everything about downloads is null on it, and
    the terms of the next date span the day (downloads_days): "the date before" is then the last one with a stock.
    """

    downloads_share = dy.Float64(
        nullable=True,
        description="Part of this base model in the downloads_delta of all base models on that date; outside 0 to 1 "
        "only where some flow is negative.",
        metadata=made(
            "downloads_delta",
            unit="share",
            example=0.30059,
            null="there are no downloads to share, or they are withheld",
        ),
    )
    thumbs_up_count = thumbs_up_count()
    thumbs_down_count = thumbs_down_count()
    rating_count = rating_count()
    rating = dy.Float64(
        nullable=True,
        description="Mean of the versions' ratings, 0 to 5, each weighted with its number of ratings.",
        metadata=made(
            "rating, rating_count", unit="stars", example=4.37648, null="nobody rated, or the ratings are withheld"
        ),
    )
    approval_rate = dy.Float64(
        nullable=True,
        description="Part of the reviews that recommend: up / (up + down), added up over the versions both of whose "
        "numbers are known.",
        metadata=made(
            "thumbs_up_count, thumbs_down_count",
            unit="share",
            example=0.981,
            null="nobody reviewed, no version has both numbers, or the counters are withheld",
        ),
    )
    approval_lower_bound = dy.Float64(
        nullable=True,
        description="Lower end of the 95 % Wilson interval around approval_rate: rank by it, and a few good reviews "
        "weigh less than many.",
        metadata=made(
            "thumbs_up_count, thumbs_down_count",
            unit="share",
            example=0.97977,
            null="nobody reviewed, no version has both numbers, or the counters are withheld",
        ),
    )

    @dy.rule()
    def approval_is_a_share(cls) -> pl.Expr:  # noqa: N805 (dataframely passes the class)
        return pl.col("approval_rate").is_null() | pl.col("approval_rate").is_between(0, 1)
