"""What goes into the build of a snapshot date: the star before it, and what raw has of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import polars as pl

from pipelines.raw.kinds import SNAPSHOT_KINDS
from pipelines.settings import Limits
from transforms.day.snapshot_day import SnapshotDay
from transforms.lake.release import STAR, STATE_SCHEMAS, Release
from transforms.staging.flatten import named
from transforms.staging.raw_reader import RawReader
from transforms.staging.stage import Staged, stage
from transforms.tables import DimImage, ModelText, Table
from transforms.tables.state import StateEntity

#: The id of a model, from its text in raw.
MODEL_ID = pl.col("entity_id").cast(pl.Int64).alias("model_id")

#: The append-only tables whose rows may be met again, and the key by which they are known.
APPENDED: dict[type[Table], list[str]] = {ModelText: ["model_id", "description_hash"], DimImage: ["image_id"]}


@dataclass(frozen=True)
class DayInputs:
    """The inputs of a snapshot date; the functions of this package only read them.

    `held` has, by table, the rows that may still change, as they were before the date, and `known_keys` the keys of the
    tables in APPENDED. `staged` has what each payload kind brought. `not_found` are the models that answered 404
    (entity_id), `rejects` the items without a readable id (rows of raw.rejects).
    """

    day: SnapshotDay
    limits: Limits
    held: Mapping[str, pl.DataFrame]
    known_keys: Mapping[type[Table], pl.DataFrame]
    staged: Mapping[str, Staged]
    not_found: pl.DataFrame
    rejects: pl.DataFrame

    @property
    def on(self) -> date:
        return self.day.on

    @property
    def models(self) -> Staged:
        return self.staged["model"]

    def rows(self, table: type[Table]) -> pl.DataFrame:
        """The rows of a table before the date: all of them, or the open ones of a type 2 table."""
        return self.held[table.table_name()]

    def entities(self, kind: str) -> pl.DataFrame:
        """The documents of a kind that were observed before the date (`StateEntity`)."""
        return self.rows(StateEntity).filter(pl.col("kind") == kind)

    def spellings(self, kind: str) -> pl.DataFrame:
        """entity_id of the record that represents each name of a kind: the one without white space around the name, or
        else the first in the alphabet, of all that were ever observed. The other spellings are duplicates.
        """
        observed = self.staged[kind].observations
        met = pl.concat([self.entities(kind).select("entity_id"), observed.select("entity_id")]).unique()
        name = named(pl.col("entity_id"))
        ordered = met.with_columns(name=name).sort(pl.col("entity_id") != name, "entity_id")
        return ordered.unique("name", keep="first", maintain_order=True).select("entity_id")


def read_inputs(star: Release, raw: RawReader, day: SnapshotDay, limits: Limits) -> DayInputs:
    """Reads the inputs of a date, which the star does not have yet."""
    held = {name: star.rows(name) for name in (*STAR, *STATE_SCHEMAS)}
    entities = held[StateEntity.table_name()]
    staged = {}
    for kind in SNAPSHOT_KINDS:
        known = entities.filter(pl.col("kind") == kind)
        settled = known.filter("is_settled").select("entity_id", "content_hash")
        staged[kind] = stage(raw, kind, day.on, settled, known.filter("is_listed").select("entity_id"))
    return DayInputs(
        day,
        limits,
        held,
        {table: star.immutable(table.table_name()).select(key).collect() for table, key in APPENDED.items()},
        staged,
        raw.tombstones(day.on, "model"),
        raw.rejects(day.on),
    )
