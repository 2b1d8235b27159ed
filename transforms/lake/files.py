"""The files of the star: immutable Parquet, named by their content.

A file is written under a temporary name and moved to `star/<table>/[snapshot_date=D/]<hash>.parquet`, so a name always
stands for the whole content. The same rows give the same bytes: sorted by key, in one chunk, with fixed row groups and
an eager write.
"""

import json
import re
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.errors import CivitaiEtlError
from pipelines.storage.parquet import ROW_GROUP_ROWS, content_named, write_rows
from pipelines.storage.sql import parquet_rows
from transforms.ordered import ordered

AREAS = ("star", "state")
#: The roles of files that a release writes again: all rows of a table, or the open rows of a type 2 table.
CHANGING_ROLES = ("whole", "open")
#: The roles of files that a date adds to a table, and that only a merge takes away.
ADDED_ROLES = ("closed", "appended")
#: By role, the column of a key that decides no order: a day has one date, and no two open rows differ in it alone.
UNDECISIVE = {"daily": "snapshot_date", "open": "valid_from"}
#: A row group of long texts ends earlier.
ROW_GROUP_BYTES = 32 * 1024**2
#: In the metadata of a file by range: number, first row group and the one after the last, of each range.
RANGES = b"ranges"
#: A content-named file, or what a killed writer left of one.
OWN_NAME = re.compile(r"[0-9a-f]{32}\.parquet|\.[0-9]+\.tmp")


@dataclass(frozen=True, order=True)
class LakeFile:
    """A file of the lake. `role` is whole, open, closed, appended, daily, monthly or empty; `snapshot_date` is the day
    that it belongs to, if any: of a monthly one the first of its month, and of closed and appended ones that were
    merged the last of theirs. `path` is relative to the lake.
    """

    table: str
    role: str
    snapshot_date: date | None
    path: str
    rows: int
    bytes: int


class UnreadableStarError(CivitaiEtlError):
    """The published star cannot be read, or a file of it is gone or damaged."""


class Lake:
    """A directory of content-named Parquet files."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def writer(
        self, table: str, *, role: str, key: list[str], area: str, on: date | None, schema: pa.Schema
    ) -> "Writer":
        """A writer of one file, under the comments and nullability of `schema`; each range is sorted by `key`."""
        folder = self.root / area / table
        return Writer(
            self.root, folder / f"snapshot_date={on}" if role == "daily" else folder, table, role, key, on, schema
        )

    def ranges(self, file: LakeFile) -> dict[int, range]:
        """The row groups of each range in a file that was written by range."""
        found = pq.read_metadata(self.root / file.path).metadata[RANGES]
        return {number: range(first, last) for number, first, last in json.loads(found)}

    def read_range(self, file: LakeFile, row_groups: range, columns: list[str] | None = None) -> pl.DataFrame:
        """The rows of some row groups."""
        with pq.ParquetFile(self.root / file.path) as parquet:
            rows = pl.from_arrow(parquet.read_row_groups([*row_groups], columns=columns))
        assert isinstance(rows, pl.DataFrame)
        return rows

    def merge(
        self, files: list[LakeFile], key: list[str], schema: pa.Schema, connection: duckdb.DuckDBPyConnection
    ) -> LakeFile:
        """Writes the rows of all files of a daily table in one month as one file, sorted by `key`.

        Args:
            key: columns without two equal rows, or all of them.
            schema: that of the table's files.
            connection: sorts, on its disk what memory cannot hold.

        Raises:
            UnreadableStarError: one of them is gone, or is not the file that was written.
        """
        self.refuse_damaged(files)
        table, on = files[0].table, files[0].snapshot_date
        assert on is not None
        columns, order = (", ".join(f'"{name}"' for name in names) for names in (schema.names, key))
        rows = connection.sql(
            f"SELECT {columns} FROM {parquet_rows(self.root / file.path for file in files)} ORDER BY {order}"
        )
        written = write_rows(rows, schema, self.root / "star" / table)
        path = str(written.path.relative_to(self.root))
        return LakeFile(table, "monthly", month_of(on), path, sum(file.rows for file in files), written.bytes)

    def own_files(self) -> list[Path]:
        """Every file that `write` made or was about to make, of whichever release."""
        found = [path for area in AREAS for path in (self.root / area).glob("*/**/*") if OWN_NAME.fullmatch(path.name)]
        return [path for path in found if path.is_file()]

    def read(self, files: list[LakeFile], schema: dict[str, pl.DataType], *, partly: bool = False) -> pl.DataFrame:
        """The rows of several files of one table; `partly` if they may lack columns.

        Raises:
            UnreadableStarError: one of them is gone, or is not the file that was written.
        """
        self.refuse_damaged(files)
        frames = [pl.read_parquet(self.root / file.path, hive_partitioning=False, glob=False) for file in files]
        how: Literal["diagonal", "vertical"] = "diagonal" if partly else "vertical"
        return pl.concat([pl.DataFrame(schema=schema), *frames], how=how).rechunk()

    def scan(self, files: list[LakeFile], schema: dict[str, pl.DataType]) -> pl.LazyFrame:
        """The same, read when it is needed and only as far as it is needed."""
        if not files:
            return pl.LazyFrame(schema=schema)
        # A path is no pattern, and `name=value` in it no column.
        paths = [self.root / file.path for file in files]
        return pl.scan_parquet(paths, hive_partitioning=False, glob=False)

    def refuse_damaged(self, files: list[LakeFile]) -> None:
        """See that all files are there with their sizes.

        Raises:
            UnreadableStarError: one of them is gone, or is not the file that was written.
        """
        for file in files:
            path = self.root / file.path
            if not path.exists() or path.stat().st_size != file.bytes:
                state = f"has {path.stat().st_size:,} bytes and had {file.bytes:,}" if path.exists() else "is gone"
                raise UnreadableStarError(
                    f"{path} {state}: run `civitai-etl rebuild`, which makes the star again from raw."
                )


class Writer:
    """Writes a file range by range, each of them sorted by key. The same rows give the same bytes.

    A range that may change (roles whole and open) begins a row group of its own, and the file says which: so it can be
    read without the others. The row groups of other files are full.
    """

    def __init__(
        self, root: Path, folder: Path, table: str, role: str, key: list[str], on: date | None, schema: pa.Schema
    ) -> None:
        self.table, self.role, self.on = table, role, on
        self._root, self._schema = root, schema
        # To sort by two columns takes five times as long as by one.
        self._key = [name for name in key if name != UNDECISIVE.get(role)]
        self._ranges: list[tuple[int, int, int]] = []
        self._groups = self._rows = 0
        self._held: list[pa.Table] = []
        self._exit = ExitStack()
        self._aside = self._exit.enter_context(content_named(folder))
        integers = [
            field.name for field in schema if pa.types.is_integer(field.type) or pa.types.is_timestamp(field.type)
        ]
        self._parquet = self._exit.enter_context(
            pq.ParquetWriter(
                self._aside.path,
                schema,
                compression="zstd",
                # What is written again every day takes half of the time at level 1, and is hardly larger.
                compression_level=1 if role in CHANGING_ROLES else 3,
                # Differences of sorted ids and of counters take two thirds of the bytes, and half of the time.
                column_encoding=dict.fromkeys(integers, "DELTA_BINARY_PACKED"),
                use_dictionary=[name for name in schema.names if name not in integers],
            )
        )

    def add(self, number: int, rows: pl.DataFrame) -> None:
        """Adds the rows of a range; ranges come in order."""
        data = ordered(rows.select(self._schema.names), self._key).to_arrow().cast(self._schema)
        self._rows += data.num_rows
        if self.role in CHANGING_ROLES:
            first = self._groups
            self._write([data])
            self._ranges.append((number, first, self._groups))
        else:
            self._held.append(data)
            while sum(each.num_rows for each in self._held) >= ROW_GROUP_ROWS:
                together = pa.concat_tables(self._held)
                self._write([together.slice(0, ROW_GROUP_ROWS)])
                self._held = [together.slice(ROW_GROUP_ROWS)]
            if sum(each.nbytes for each in self._held) >= ROW_GROUP_BYTES:
                self._write(self._held)
                self._held = []

    def finish(self) -> LakeFile:
        """Completes the file and moves it to its name."""
        if self._held:
            self._write(self._held)
        self._parquet.add_key_value_metadata({RANGES: json.dumps(self._ranges)})
        self._exit.close()
        path = str(self._aside.path.relative_to(self._root))
        return LakeFile(self.table, self.role, self.on, path, self._rows, self._aside.bytes)

    def discard(self) -> None:
        """Removes what was written."""
        self._exit.__exit__(_Discarded, _Discarded(), None)

    def _write(self, tables: list[pa.Table]) -> None:
        for start in range(0, max(1, sum(each.num_rows for each in tables)), ROW_GROUP_ROWS):
            group = pa.concat_tables(tables).slice(start, ROW_GROUP_ROWS).combine_chunks()
            self._parquet.write_table(group, row_group_size=ROW_GROUP_ROWS)
            self._groups += 1


class _Discarded(Exception):  # noqa: N818 -- no error: it only ends the blocks of a writer
    """A writer was told to remove its file."""


def month_of(on: date) -> date:
    """The first day of a date's month."""
    return on.replace(day=1)
