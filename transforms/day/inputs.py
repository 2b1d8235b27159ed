"""What goes into the build of a range of ids on a snapshot date: the star before it, and what raw has of it."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date

import polars as pl

from transforms.day.snapshot_day import SnapshotDay
from transforms.lake.release import Release
from transforms.lake.state import entities_state, keys_state
from transforms.staging.flatten import named
from transforms.staging.records import Staged
from transforms.tables import Table

#: The id of a model, from its text in raw.
MODEL_ID = pl.col("entity_id").cast(pl.Int64).alias("model_id")


class Held(Mapping[str, pl.DataFrame]):
    """By table, the rows of a range that may still change, as they were before the date. They are read when they are
    needed: a range without news leaves most of its tables unread.
    """

    def __init__(self, star: Release, number: int) -> None:
        self._star, self._number = star, number
        self._read: dict[str, pl.DataFrame] = {}

    def __getitem__(self, table: str) -> pl.DataFrame:
        if table not in self._read:
            self._read[table] = self._star.rows(table, self._number)
        return self._read[table]

    def __iter__(self) -> Iterator[str]:
        return iter(self._read)

    def __len__(self) -> int:
        return len(self._read)

    def columns(self, table: str, columns: Collection[str]) -> pl.DataFrame:
        """Some columns of a table."""
        if table in self._read:
            return self._read[table].select(columns)
        return self._star.rows(table, self._number, [*columns])


@dataclass(frozen=True)
class DayInputs:
    """The inputs of a range on a snapshot date; the functions of this package only read them.

    `number`: that of the range. `held`: the star before the date. `staged`: what the payload kinds brought there.
    `not_found`: the models that answered 404 (entity_id). `withheld`: by fact, the counters that are withheld on the
    date. `counted_on`: while downloads are withheld, the last date that has them.
    """

    day: SnapshotDay
    number: int
    held: Held
    staged: Mapping[str, Staged]
    not_found: pl.DataFrame
    withheld: Mapping[type[Table], Collection[str]] = field(default_factory=dict)
    counted_on: date | None = None

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
        """The documents of a kind that were observed before the date (`entities_state`)."""
        return self.held[entities_state(kind).name]

    def known_keys(self, table: type[Table]) -> pl.DataFrame:
        """The keys of a table of APPENDED before the date."""
        return self.held[keys_state(table).name]

    def respelled(self, kind: str) -> pl.DataFrame:
        """entity_id of the records whose name another one represents, which differs in white space around it: the one
        without any, or else the first in the alphabet, of all that were ever observed. They are duplicates.
        """
        name = named(pl.col("entity_id"))
        observed = self.staged[kind].observations
        ids = [frame.select("entity_id", name=name) for frame in (self.entities(kind), observed)]
        # Nearly all names have no white space around them, and are not looked at again.
        spaced = pl.concat([each.filter(pl.col("entity_id").ne_missing(pl.col("name"))) for each in ids])["name"]
        met = pl.concat([each.filter(pl.col("name").is_in(spaced.implode(), nulls_equal=True)) for each in ids])
        ordered = met.unique().sort(pl.col("entity_id") != name, "entity_id")
        return ordered.filter(~pl.col("name").is_first_distinct()).select("entity_id")
