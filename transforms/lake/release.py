"""The star while it is being built: rows that may still change are in memory, immutable rows are in files.

A release starts from the published one (or from nothing), `transforms.day` adds one snapshot date after the other, and
it ends as the list of files to publish. An unchanged table keeps its file.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import date
from typing import Self

import polars as pl

from transforms.lake.files import Lake, LakeFile, month_of
from transforms.quality.checks import MEASURES
from transforms.star.facts import ENTITY_ID, empty_state
from transforms.tables import TABLES
from transforms.tables.dictionary import arrow_schema
from transforms.tables.state import StateEntity

STAR = {table.table_name(): table for table in TABLES}
ARROW_SCHEMAS = {name: arrow_schema(table) for name, table in STAR.items()}
#: The measures of the last complete crawl.
STATE_MEASURES = "state_measures"
#: While downloads are withheld: the versions at the last snapshot with downloads. Otherwise no row.
STATE_STOCK = "state_stock"
#: The models whose list item the last complete crawls did not read, each with the last crawl that could have listed it.
STATE_UNREAD = "state_unread"
#: Which models list a version of another model, and since when.
STATE_CLAIMS = "state_claims"
#: What the build carries from day to day: the documents observed last, the last known counters of each daily fact, and
#: what the data-quality checks compare with.
STATE_SCHEMAS: dict[str, dict[str, pl.DataType]] = (
    {StateEntity.table_name(): StateEntity.polars_schema()}
    | {f"state_{fact.table_name()}": dict(empty_state(fact).schema) for fact in ENTITY_ID}
    | {STATE_MEASURES: MEASURES}
    | {
        STATE_STOCK: {
            "version_id": pl.Int64(),
            "base_model": pl.String(),
            "download_count": pl.Int64(),
            "counted_on": pl.Date(),
        }
    }
    | {
        STATE_UNREAD: {
            "model_id": pl.Int64(),
            "complete_on": pl.Date(),
            "complete_from": pl.Datetime("us", "UTC"),
        }
    }
    | {STATE_CLAIMS: {"version_id": pl.Int64(), "model_id": pl.Int64(), "since": pl.Date()}}
)
STATE_KEYS = (
    {StateEntity.table_name(): StateEntity.primary_key()}
    | {f"state_{fact.table_name()}": [entity_id] for fact, entity_id in ENTITY_ID.items()}
    | {STATE_MEASURES: ["table_name", "column_name"]}
    | {STATE_STOCK: ["version_id"], STATE_UNREAD: ["model_id"], STATE_CLAIMS: ["version_id", "model_id"]}
)
#: The roles of files that a release writes again: all rows of a table, or the open rows of a type 2 table.
CHANGING_ROLES = ("whole", "open")


class Release:
    """The rows and files of a star while it is being built."""

    def __init__(self, lake: Lake, published: Sequence[LakeFile] = (), kept: Sequence[LakeFile] = ()) -> None:
        """Starts from the `published` files; if `kept` has a day of a fact or its month, that file is used."""
        self.lake = lake
        self._files = list(published)
        # The other thread compresses Parquet meanwhile.
        self._writer = ThreadPoolExecutor(max_workers=1)
        self._writes: list[Future[LakeFile]] = []
        self._kept = {(file.table, file.role, file.snapshot_date): file for file in kept}
        self._changing: dict[str, pl.DataFrame] = {}
        self._changed: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """Waits for the write under way, so that nothing continues after a build, even a failed one."""
        self._writer.shutdown(cancel_futures=True)

    def rows(self, table: str) -> pl.DataFrame:
        """The rows that may still change: all of them, or the open ones of a type 2 table."""
        if table not in self._changing:
            # Changing parts are written at the end only, so there is no write under way to wait for.
            files = [file for file in self._files if file.table == table and file.role in CHANGING_ROLES]
            self._changing[table] = self.lake.read(files, self._schema(table))
        return self._changing[table]

    def replace(self, table: str, rows: pl.DataFrame) -> None:
        """Replaces the rows that `rows(table)` returned."""
        self._changing[table] = rows.select(list(self._schema(table)))
        self._changed.add(table)

    def add(self, table: str, rows: pl.DataFrame, on: date) -> None:
        """Adds immutable rows of a snapshot date: the rows of a fact, closed rows, or new texts."""
        declared = STAR[table]
        role = "closed" if declared.storage == "type2" else declared.storage
        kept = self._kept.get((table, "daily", on)) or self._kept.get((table, "monthly", month_of(on)))
        if kept:
            if kept not in self._files:
                self._files.append(kept)
        elif rows.height:
            self._write(table, rows.select(declared.column_names()), role, on)

    def immutable(self, table: str) -> pl.LazyFrame:
        """The rows of a table's immutable files."""
        files = [file for file in self.files() if file.table == table and file.role not in CHANGING_ROLES]
        return self.lake.scan(files, self._schema(table))

    def savepoint(self) -> Callable[[], None]:
        """Returns a function that restores the present state: a refused date leaves no rows."""
        files, writes = list(self._files), list(self._writes)
        changing, changed = dict(self._changing), set(self._changed)

        def roll_back() -> None:
            self.files()  # waits for writes under way
            self._files, self._writes, self._changing, self._changed = files, writes, changing, changed

        return roll_back

    def files(self) -> list[LakeFile]:
        """The files that are written so far."""
        self._files += [write.result() for write in self._writes]
        self._writes.clear()
        return self._files

    def finish(self) -> list[LakeFile]:
        """Writes the changed rows and returns the files of the whole release.

        A table without rows has one empty file, so that its view has its columns.
        """
        stale = [file for file in self.files() if file.table in self._changed and file.role in CHANGING_ROLES]
        self._files = [file for file in self._files if file.role != "empty" and file not in stale]
        for table in sorted(self._changed):
            role = "open" if table in STAR and STAR[table].storage == "type2" else "whole"
            self._write(table, self._changing[table], role)
        self._changed.clear()
        filled = {file.table for file in self.files()}
        for table, declared in STAR.items():
            if table not in filled:
                self._write(table, declared.empty(), "empty")
        return sorted(self.files(), key=lambda file: (file.table, file.role, str(file.snapshot_date), file.path))

    def _write(self, table: str, rows: pl.DataFrame, role: str, on: date | None = None) -> None:
        if table in STAR:
            area, key = "star", STAR[table].primary_key() or STAR[table].column_names()
        else:
            area, key = "state", STATE_KEYS[table]
        schema = ARROW_SCHEMAS.get(table)
        self._writes.append(
            self._writer.submit(self.lake.write, rows, table, role=role, key=key, area=area, on=on, schema=schema)
        )

    @staticmethod
    def _schema(table: str) -> dict[str, pl.DataType]:
        return STAR[table].polars_schema() if table in STAR else STATE_SCHEMAS[table]
