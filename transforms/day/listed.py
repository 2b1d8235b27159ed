"""The tables with a row per item of a list on a snapshot date, as creators and tags, and the names that models have."""

import polars as pl

from pipelines.raw.kinds import KINDS
from transforms.day.changes import Changes, accepted, upserted
from transforms.day.inputs import DayInputs
from transforms.day.models import ModelsDay
from transforms.staging.payloads import STAGED_KINDS
from transforms.star.base_models import describe
from transforms.tables import BridgeModelTag, DimBaseModel, DimCreator, DimModel, DimModelVersion, DimTag, Table


def build_listed(inputs: DayInputs, models: ModelsDay) -> Changes:
    """Upserts the tables of lists; names that models have get a row, too."""
    in_models: dict[type[Table], pl.DataFrame] = {
        DimCreator: models.candidates[DimModel].select("username").unique(),
        DimTag: models.candidates[BridgeModelTag].select("tag").unique(),
    }
    changes = Changes()
    for kind in inputs.staged:
        table = STAGED_KINDS[kind].table
        if table and table.storage == "whole":
            changes |= _of_list(inputs, kind, table, in_models.get(table))
    return changes


def build_base_models(inputs: DayInputs, models: ModelsDay) -> Changes:
    """The base models that versions name."""
    # All names, so that one that was added to the file since is classified as in a rebuild.
    known = inputs.rows(DimBaseModel).select("base_model")
    base_models = pl.concat([known, models.candidates[DimModelVersion].select("base_model")]).unique()
    return upserted(DimBaseModel, inputs, describe(base_models.sort("base_model")))


def _of_list(inputs: DayInputs, kind: str, table: type[Table], in_models: pl.DataFrame | None) -> Changes:
    """Upserts a table from the list of a kind, which has attributes, and from names `in_models` that may be new."""
    rows = inputs.staged[kind].rows[table.table_name()]
    if KINDS[kind].is_named:
        rows = rows.join(inputs.spellings(kind), left_on="spelling", right_on="entity_id", how="semi").drop("spelling")
    if in_models is not None:
        key = table.primary_key()
        new = in_models.join(rows, on=key, how="anti").join(inputs.rows(table), on=key, how="anti")
        rows = pl.concat([rows, new], how="diagonal")
    good, refusals = accepted(table, inputs, rows)
    return refusals | upserted(table, inputs, good)
