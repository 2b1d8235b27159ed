"""The tables of names on a snapshot date: creators, tags and base models."""

import polars as pl

from transforms.day.changes import Changes, accepted, upserted
from transforms.day.inputs import DayInputs
from transforms.day.models import ModelsDay
from transforms.star.base_models import describe
from transforms.tables import BridgeModelTag, DimBaseModel, DimCreator, DimModel, DimModelVersion, DimTag, Table


def build_names(inputs: DayInputs, models: ModelsDay) -> Changes:
    """Creators, tags and base models: those that models name, and those that the service lists."""
    named = models.candidates
    # All names, so that one that was added to the file since is classified as in a rebuild.
    known = inputs.rows(DimBaseModel).select("base_model")
    base_models = pl.concat([known, named[DimModelVersion].select("base_model")]).unique()
    return (
        _entered(DimCreator, inputs, "creator", named[DimModel].select("username").unique())
        | _entered(DimTag, inputs, "tag", named[BridgeModelTag].select("tag").unique())
        | upserted(DimBaseModel, inputs, describe(base_models.sort("base_model")))
    )


def _entered(table: type[Table], inputs: DayInputs, kind: str, named: pl.DataFrame) -> Changes:
    """Upserts a table of names from the list of a kind, which has attributes, and from names that may be new."""
    (key,) = table.primary_key()
    listed = inputs.staged[kind].rows[table.table_name()]
    listed = listed.join(inputs.spellings(kind), left_on="spelling", right_on="entity_id", how="semi").drop("spelling")
    new = named.join(listed, on=key, how="anti").join(inputs.rows(table), on=key, how="anti")
    rows, refusals = accepted(table, inputs, pl.concat([listed, new], how="diagonal"))
    return refusals | upserted(table, inputs, rows)
