"""The mart of base models on a snapshot date: each range gives its terms, and their sums are the rows."""

import polars as pl

from transforms.day.changes import Changes
from transforms.day.facts import FactDay
from transforms.day.inputs import DayInputs
from transforms.lake.state import STATE_STOCK, counters_state
from transforms.star.facts import DOWNLOADS
from transforms.star.mart import base_model_terms
from transforms.tables import DimModelVersion, FactModelVersionDaily

_STATE = counters_state(FactModelVersionDaily).name


def mart_terms(inputs: DayInputs, changes: Changes, versions: FactDay) -> pl.DataFrame:
    """The terms of the mart in a range. Downloads are compared with the last date that has them.

    Args:
        inputs: those of the range.
        changes: what the date changes in dim_model_version.
        versions: fact_model_version_daily of the date.
    """
    columns = ["version_id", "base_model"]
    before, after = (
        current_versions(rows, state)
        for rows, state in (
            (inputs.held.columns(DimModelVersion.table_name(), columns), inputs.held[_STATE]),
            (
                changes.columns(DimModelVersion, inputs, columns),
                versions.changes.replaced.get(_STATE, inputs.held[_STATE]),
            ),
        )
    )
    counted = inputs.held[STATE_STOCK.name] if inputs.counted_on else before
    new_versions = versions.rows.filter("is_new").select("version_id") if inputs.day.before.complete else None
    return base_model_terms(before, counted, after, versions.rows.select("version_id", "downloads_delta"), new_versions)


def note_stock(inputs: DayInputs) -> Changes:
    """Keeps the versions at the last date with downloads while downloads are withheld."""
    kept = inputs.held[STATE_STOCK.name]
    if DOWNLOADS not in inputs.withheld.get(FactModelVersionDaily, ()):
        return Changes(replaced={STATE_STOCK.name: kept.clear()} if kept.height else {})
    if inputs.counted_on:
        return Changes()
    versions = inputs.held.columns(DimModelVersion.table_name(), ["version_id", "base_model"])
    current = current_versions(versions, inputs.held[_STATE])
    stock = current.select("version_id", "base_model", DOWNLOADS, counted_on=pl.lit(inputs.day.before.date))
    return Changes(replaced={STATE_STOCK.name: stock})


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
