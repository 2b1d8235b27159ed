"""The tables of models, versions, files, hashes and tags on a snapshot date, and which of their keys are gone.

`transforms.star.scd2` closes the rows of a key that is gone. A version is owned by one of the models that
list it (`transforms.day.owners`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from operator import or_

import polars as pl

from transforms.day.changes import Changes, accepted, merged, newly_appended, upserted
from transforms.day.inputs import MODEL_ID, DayInputs
from transforms.day.owners import Owners
from transforms.day.snapshot_day import SnapshotDay
from transforms.star.scd2 import is_of, natural_key
from transforms.tables import (
    BridgeModelTag,
    DimFile,
    DimModel,
    DimModelVersion,
    FileHash,
    ModelText,
    Table,
)

#: The tables of the documents of models, in the order of their levels.
MODEL_TABLES: tuple[type[Table], ...] = (DimModel, ModelText, DimModelVersion, DimFile, FileHash, BridgeModelTag)
_OWNED = ["version_id", "model_id"]


@dataclass(frozen=True)
class ModelsDay:
    """What the date does to the tables of models in a range.

    `candidates`: the accepted candidate rows by table. `deleted`: model_id of the models that are gone. `conflicting`:
    model_id of the models that list a version of another model; they are read every day, because the version may become
    theirs.
    """

    candidates: Mapping[type[Table], pl.DataFrame]
    deleted: pl.DataFrame
    conflicting: pl.DataFrame
    changes: Changes


def build_models(inputs: DayInputs, owners: Owners) -> ModelsDay:
    """Merges the tables of models in a range.

    What a model no longer lists is gone if the crawl was complete. Everything of a model that answered 404 is gone.
    A model that was in no list but answered by id was observed, and its answer changes nothing. If no list has
    shown the model since it was last gone, its answers by id count as lists.
    """
    deleted = deleted_models(inputs)
    if inputs.models.decoded.is_empty() and deleted.is_empty():
        candidates = {table: inputs.models.rows[table.table_name()] for table in MODEL_TABLES}
        return ModelsDay(candidates, deleted, owners.of_others, Changes())
    rows, refusals = _accepted_rows(inputs, owners)
    incoming = rows[DimModelVersion]
    listed = inputs.models.decoded.select(MODEL_ID)
    listed = listed if inputs.day.is_complete else listed.clear()
    owned = _of(inputs.rows(DimModelVersion).select(_OWNED), "model_id", listed, deleted)
    gone_versions = owned.join(incoming, on="version_id", how="anti").select("version_id")
    listed_versions = pl.concat([owned, incoming.select(_OWNED)]).join(listed, on="model_id", how="semi")

    def gone(table: type[Table]) -> pl.DataFrame:
        """Keys that the service no longer has, of a table below models or versions."""
        owner, lists, removed = (
            ("model_id", listed, deleted)
            if "model_id" in table.primary_key()
            else ("version_id", listed_versions, gone_versions)
        )
        key = natural_key(table)
        return _of(inputs.rows(table).select(key), owner, lists, removed).join(rows[table], on=key, how="anti")

    changes = (
        merged(DimModel, inputs, rows[DimModel], deleted),
        merged(BridgeModelTag, inputs, rows[BridgeModelTag], gone(BridgeModelTag)),
        merged(FileHash, inputs, rows[FileHash], gone(FileHash)),
        upserted(DimFile, inputs, rows[DimFile], gone(DimFile)),
        merged(DimModelVersion, inputs, rows[DimModelVersion], gone_versions),
        newly_appended(ModelText, inputs, rows[ModelText]),
    )
    return ModelsDay(
        rows,
        deleted,
        owners.of_others,
        reduce(or_, changes, refusals),
    )


def _of(rows: pl.DataFrame, owner: str, *owners: pl.DataFrame) -> pl.DataFrame:
    """The rows of any of the owners."""
    return rows.filter(is_of(rows, owner, *owners))


def deleted_models(inputs: DayInputs) -> pl.DataFrame:
    """model_id of the models of a range that answered 404. Only a complete crawl marks a model as deleted, and never
    one that was observed on the date, even as a quarantined record.
    """
    models = inputs.models
    return not_observed(inputs.day, inputs.not_found, pl.concat([models.observations.select("entity_id"), models.bad]))


def not_observed(day: SnapshotDay, not_found: pl.DataFrame, observed: pl.DataFrame) -> pl.DataFrame:
    """model_id of the models that are deleted, of those that were not found and those that were observed."""
    deleted = not_found.join(observed, on="entity_id", how="anti").select(MODEL_ID)
    return deleted if day.is_complete else deleted.clear()


def _accepted_rows(inputs: DayInputs, owners: Owners) -> tuple[dict[type[Table], pl.DataFrame], Changes]:
    """The accepted candidate rows by table. A version, its files and its hashes come from its owner only; what other
    models list of them is ignored.
    """
    rows, changes = {}, Changes()
    for table in MODEL_TABLES:
        found = inputs.models.rows[table.table_name()]
        if table in (DimModelVersion, DimFile, FileHash):
            found = owners.only(found)
        rows[table], refusals = accepted(table, inputs, found)
        changes |= refusals
    return rows, changes
