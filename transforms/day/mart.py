"""The marts on a snapshot date: each range gives its terms, and their sums are the rows."""

from collections.abc import Sequence

import polars as pl

from transforms.day.changes import Changes
from transforms.day.facts import FactDay
from transforms.day.inputs import DayInputs
from transforms.lake.state import STATE_LONGER_FLOWS, STATE_STOCK, counters_state
from transforms.star.facts import DOWNLOADS
from transforms.star.mart import CELL, longer_flows, terms, with_cell
from transforms.tables import DimModel, DimModelVersion, FactModelVersionDaily

_STATE = counters_state(FactModelVersionDaily).name
_OF_VERSIONS = ["version_id", "model_id", "base_model", "nsfw_level"]
_OF_MODELS = ["model_id", "type", "nsfw_level"]


def mart_terms(inputs: DayInputs, changes: Changes, versions: FactDay) -> pl.DataFrame:
    """The terms of the marts in a range. Downloads are compared with the last date that has them.

    Args:
        inputs: those of the range.
        changes: what the date changes in dim_model and dim_model_version.
        versions: fact_model_version_daily of the date.
    """
    before = _held_versions(inputs)
    after = current_versions(
        changes.columns(DimModelVersion, inputs, _OF_VERSIONS),
        changes.columns(DimModel, inputs, _OF_MODELS),
        versions.changes.replaced.get(_STATE, inputs.held[_STATE]),
    )
    counted = inputs.held[STATE_STOCK.name] if inputs.counted_on else before
    new_versions = versions.rows.filter("is_new").select("version_id") if inputs.day.before.complete else None
    return terms(before, counted, after, versions.rows.select("version_id", "downloads_delta"), new_versions)


def longer_of_range(inputs: DayInputs, changes: Changes, versions: FactDay) -> pl.DataFrame:
    """The flows of more than a day in a range (LONGER_FLOWS); arguments as in `mart_terms`."""
    longer = versions.rows.filter(pl.col("downloads_days") > 1)
    current = changes.columns(DimModelVersion, inputs, ["version_id", "base_model"])
    return longer_flows(longer.join(current, on="version_id"))


def note_longer_flows(inputs: DayInputs, of_ranges: Sequence[pl.DataFrame]) -> Changes:
    """Adds the flows of more than a day of all ranges."""
    known, new = inputs.held[STATE_LONGER_FLOWS.name], longer_flows(pl.concat(of_ranges))
    return Changes(replaced={STATE_LONGER_FLOWS.name: pl.concat([known, new])} if new.height else {})


def note_stock(inputs: DayInputs) -> Changes:
    """Keeps the versions at the last date with downloads while downloads are withheld."""
    kept = inputs.held[STATE_STOCK.name]
    if DOWNLOADS not in inputs.withheld.get(FactModelVersionDaily, ()):
        return Changes(replaced={STATE_STOCK.name: kept.clear()} if kept.height else {})
    if inputs.counted_on:
        return Changes()
    stock = _held_versions(inputs).select("version_id", *CELL, DOWNLOADS, counted_on=pl.lit(inputs.day.before.date))
    return Changes(replaced={STATE_STOCK.name: stock})


def _held_versions(inputs: DayInputs) -> pl.DataFrame:
    """The versions of a range before the date."""
    held = inputs.held
    return current_versions(
        held.columns(DimModelVersion.table_name(), _OF_VERSIONS),
        held.columns(DimModel.table_name(), _OF_MODELS),
        held[_STATE],
    )


def current_versions(versions: pl.DataFrame, models: pl.DataFrame, state: pl.DataFrame) -> pl.DataFrame:
    """The current `versions` with their cells and last known counters. Downloads are null while hidden.

    Args:
        versions: open rows of dim_model_version.
        models: open rows of dim_model.
        state: the last known counters of versions (`facts.empty_state`).
    """
    return (
        with_cell(versions, models)
        .join(state, on="version_id", how="left", maintain_order="left")
        .with_columns(pl.when("is_shown").then(DOWNLOADS).alias(DOWNLOADS))
        .select("version_id", *CELL, DOWNLOADS, "thumbs_up_count", "thumbs_down_count", "rating_count", "rating")
    )
