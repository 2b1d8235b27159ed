"""The files of the star: immutable Parquet, named by their content.

A file is written under a temporary name and moved to `star/<table>/[snapshot_date=D/]<hash>.parquet`, so a name always
stands for the whole content. The same rows give the same bytes: sorted by key, in one chunk, with fixed row groups and
an eager write.
"""

import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal

import duckdb
import polars as pl
import pyarrow as pa

from pipelines.errors import CivitaiEtlError
from pipelines.storage.parquet import ROW_GROUP_ROWS, content_named, write_rows
from pipelines.storage.sql import parquet_rows

AREAS = ("star", "state")
#: A content-named file, or what a killed writer left of one.
OWN_NAME = re.compile(r"[0-9a-f]{32}\.parquet|\.[0-9]+\.tmp")


@dataclass(frozen=True, order=True)
class LakeFile:
    """A file of the lake. `role` is whole, open, closed, appended, daily, monthly or empty; `snapshot_date` is the day
    that it belongs to, if any, and of a monthly one the first of its month; `path` is relative to the lake.
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

    def write(
        self,
        frame: pl.DataFrame,
        table: str,
        *,
        role: str,
        key: list[str],
        area: str,
        on: date | None,
        schema: pa.Schema | None,
    ) -> LakeFile:
        """Writes a frame, whose columns are in their declared order, sorted by `key`; with `schema`, under its comments
        and nullability.
        """
        folder = self.root / area / table
        if role == "daily":
            folder /= f"snapshot_date={on}"
        metadata = None if schema is None else {k.decode(): v.decode() for k, v in schema.metadata.items()}
        with content_named(folder) as aside, aside.path.open("wb") as sink:
            frame.sort(key, maintain_order=True).rechunk().write_parquet(
                sink,
                compression="zstd",
                row_group_size=ROW_GROUP_ROWS,
                statistics=True,
                arrow_schema=schema,
                metadata=metadata,
            )
        return LakeFile(table, role, on, str(aside.path.relative_to(self.root)), frame.height, aside.bytes)

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


def month_of(on: date) -> date:
    """The first day of a date's month."""
    return on.replace(day=1)
