"""The files of the star: immutable Parquet, named by their content.

A file is written aside and moved to its name, `star/<table>/[snapshot_date=D/]<hash>.parquet`, so that a name always
stands for whole bytes. The same rows give the same bytes: sorted by key, in one chunk, with fixed row groups and an
eager write (stack-notes.md). A file that is already there is not written again.
"""

import hashlib
import os
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import polars as pl

ROW_GROUP_ROWS = 122_880


@dataclass(frozen=True, order=True)
class LakeFile:
    """A file of the lake. `part` is whole, open, closed, appended or daily; `snapshot_date` is the day that it belongs
    to, if any; `path` is relative to the lake.
    """

    table: str
    part: str
    snapshot_date: date | None
    path: str
    rows: int
    bytes: int


class Lake:
    """A directory of content-named Parquet files."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(
        self, frame: pl.DataFrame, table: str, *, part: str, key: list[str], area: str, on: date | None
    ) -> LakeFile:
        """Writes a frame, whose columns are in their declared order, sorted by `key`."""
        folder = self.root / area / table
        if part == "daily":
            folder /= f"snapshot_date={on}"
        folder.mkdir(parents=True, exist_ok=True)
        aside = folder / f".{os.getpid()}.tmp"
        try:
            with aside.open("wb") as sink:
                frame.sort(key, maintain_order=True).rechunk().write_parquet(
                    sink, compression="zstd", row_group_size=ROW_GROUP_ROWS, statistics=True
                )
                sink.flush()
                os.fsync(sink.fileno())
            with aside.open("rb") as written:
                digest = hashlib.file_digest(written, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
            path = folder / f"{digest}.parquet"
            size = aside.stat().st_size
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)
        return LakeFile(table, part, on, str(path.relative_to(self.root)), frame.height, size)

    def read(self, files: list[LakeFile], schema: dict[str, pl.DataType]) -> pl.DataFrame:
        """The rows of several files of one table."""
        frames = [pl.read_parquet(self.root / file.path, hive_partitioning=False) for file in files]
        return pl.concat([pl.DataFrame(schema=schema), *frames]).rechunk()

    def scan(self, files: list[LakeFile], schema: dict[str, pl.DataType]) -> pl.LazyFrame:
        """The same, read when it is needed and only as far as it is needed."""
        if not files:
            return pl.LazyFrame(schema=schema)
        return pl.scan_parquet([self.root / file.path for file in files], hive_partitioning=False)
