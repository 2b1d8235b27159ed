"""What analysts ask first, worked out once."""

import dataframely as dy
import polars as pl

from transforms.tables.declaration import Table
from transforms.tables.facts import SNAPSHOT_DATE


class MartBaseModelDaily(Table):
    """One row per base model and snapshot date: stocks, flows, share and ratings of its versions.

    A version counts while its row in dim_model_version is open, with its last known counters: a version that a crawl
    did not reach keeps its stock, so a partial crawl never looks like a fall. The stock balances:
    download_count = download_count of the date before + downloads_delta + downloads_entered - downloads_left
    + downloads_reclassified + downloads_hidden, and likewise version_count.
    """

    storage = "daily"

    snapshot_date = dy.Date(primary_key=True, description=SNAPSHOT_DATE)
    base_model = dy.String(primary_key=True, description="Architecture, as in dim_base_model.")
    days_since_previous = dy.Int32(
        nullable=True, min=1, description="Days since the snapshot before; null at the first."
    )
    version_count = dy.Int64(min=0, description="Versions that are served.")
    versions_published = dy.Int64(
        nullable=True,
        description="Versions first seen now and published since the last complete crawl; null before there is one.",
    )
    versions_entered = dy.Int64(min=0, description="Versions that were not there at the snapshot before.")
    versions_left = dy.Int64(min=0, description="Versions that are gone since the snapshot before.")
    versions_reclassified = dy.Int64(description="Versions that came from another base model, less those that went.")
    download_count = dy.Int64(description="Stock: downloads so far of its versions, where known.")
    downloads_delta = dy.Int64(
        nullable=True,
        description="Flow: downloads of its versions since their last known value; null if none is known.",
    )
    downloads_entered = dy.Int64(description="Stock that came with versions that entered, beyond their flow.")
    downloads_left = dy.Int64(description="Stock that went with versions that left.")
    downloads_reclassified = dy.Int64(description="Stock that moved in from other base models, less what moved out.")
    downloads_hidden = dy.Int64(
        description="Stock of counters that were shown again, less that of counters that were hidden."
    )
    downloads_share = dy.Float64(
        nullable=True,
        description="Its part of the date's flow over all base models; beyond 0 to 1 only where a flow is negative.",
    )
    thumbs_up_count = dy.Int64(nullable=True, description="Stock: recommendations; null if none is known.")
    thumbs_down_count = dy.Int64(nullable=True, description="Stock: dissuasions; null if none is known.")
    rating_count = dy.Int64(nullable=True, description="Stock: ratings (until 2025); null if none is known.")
    rating = dy.Float64(
        nullable=True,
        description="Mean of the versions' ratings, weighted with their counts, 0 to 5; null where nobody rated.",
    )
    approval_rate = dy.Float64(nullable=True, description="thumbs_up / (thumbs_up + thumbs_down); null without either.")
    approval_lower_bound = dy.Float64(
        nullable=True, description="Wilson lower bound of approval_rate at 95 %: small samples count for less."
    )

    @dy.rule()
    def approval_is_a_share(cls) -> pl.Expr:  # noqa: N805 (dataframely passes the class)
        return pl.col("approval_rate").is_null() | pl.col("approval_rate").is_between(0, 1)
