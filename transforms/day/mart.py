"""The mart of base models on a snapshot date."""

import polars as pl

from transforms.day.changes import Changes, appended
from transforms.day.facts import FactsDay
from transforms.day.inputs import DayInputs
from transforms.day.models import ModelsDay
from transforms.lake.release import STATE_STOCK
from transforms.star.facts import DOWNLOADS
from transforms.star.mart import Stock, base_model_day
from transforms.tables import DimModelVersion, FactModelVersionDaily, MartBaseModelDaily

_STATE = f"state_{FactModelVersionDaily.table_name()}"


def build_mart(inputs: DayInputs, models: ModelsDay, facts: FactsDay) -> Changes:
    """The mart of the date. Downloads are compared with the last date that has them, whose versions are stored while
    downloads are withheld.
    """
    withheld = facts.withheld(FactModelVersionDaily)
    before = Stock(inputs.day.before.date, current_versions(inputs.rows(DimModelVersion), inputs.held[_STATE]))
    after = current_versions(
        models.changes.rows(DimModelVersion, inputs),
        facts.of_versions.changes.replaced.get(_STATE, inputs.held[_STATE]),
    )
    kept = inputs.held[STATE_STOCK]
    counted = Stock(kept["counted_on"][0], kept) if kept.height else before
    stock = {}
    if DOWNLOADS in withheld:
        stock = {STATE_STOCK: counted.versions.with_columns(counted_on=pl.lit(counted.on))}
    elif kept.height:
        stock = {STATE_STOCK: kept.clear()}
    rows = facts.of_versions.rows
    new_versions = rows.filter("is_new").select("version_id") if inputs.day.before.complete else None
    flows = rows.select("version_id", "downloads_delta")
    mart = base_model_day(before, counted, after, flows, new_versions, on=inputs.on, withheld=withheld)
    return appended(MartBaseModelDaily, MartBaseModelDaily.validate(mart, cast=True)) | Changes(replaced=stock)


def current_versions(versions: pl.DataFrame, state: pl.DataFrame) -> pl.DataFrame:
    """The current `versions` with their last known counters. Downloads are null while hidden.

    Args:
        versions: open rows of dim_model_version.
        state: the last known counters (`facts.empty_state`).
    """
    return (
        versions.select("version_id", "base_model")
        .join(state, on="version_id", how="left", maintain_order="left")
        .with_columns(pl.when("is_shown").then(DOWNLOADS).alias(DOWNLOADS))
        .select("version_id", "base_model", DOWNLOADS, "thumbs_up_count", "thumbs_down_count", "rating_count", "rating")
    )
