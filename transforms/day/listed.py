"""The tables with a row per item of a list on a snapshot date, as creators and tags, and the names that models have."""

from collections.abc import Mapping

import polars as pl

from pipelines.raw.kinds import KINDS
from transforms.day.changes import Changes, accepted, upserted
from transforms.day.inputs import DayInputs
from transforms.staging.payloads import STAGED_KINDS
from transforms.star.base_models import describe
from transforms.tables import DimBaseModel


def build_list(inputs: DayInputs, kind: str, in_models: Mapping[str, pl.DataFrame]) -> Changes:
    """Upserts the table of a list; names that are in models (by the column of the key) get a row, too."""
    table = STAGED_KINDS[kind].table
    if not table:
        return Changes()
    rows = inputs.staged[kind].rows[table.table_name()]
    if KINDS[kind].is_named:
        rows = rows.join(inputs.respelled(kind), left_on="spelling", right_on="entity_id", how="anti").drop("spelling")
    (key,) = table.primary_key()
    if key in in_models:
        new = in_models[key].join(rows, on=key, how="anti").join(inputs.rows(table), on=key, how="anti")
        rows = pl.concat([rows, new], how="diagonal")
    good, refusals = accepted(table, inputs, rows)
    return refusals | upserted(table, inputs, good)


def build_base_models(inputs: DayInputs, in_models: pl.DataFrame) -> Changes:
    """The base models that versions name."""
    # All names, so that one that was added to the file since is classified as in a rebuild.
    known = inputs.rows(DimBaseModel).select("base_model")
    return upserted(DimBaseModel, inputs, describe(pl.concat([known, in_models]).unique().sort("base_model")))
