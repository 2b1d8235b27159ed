"""The files of the star: immutable Parquet, named by their content.

A file is written aside and moved to its name, `star/<table>/[snapshot_date=D/]<hash>.parquet`, so that a name always
stands for whole bytes. The same rows give the same bytes: sorted by key, in one chunk, with fixed row groups and an
eager write (stack-notes.md).
"""

import hashlib
import os
import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import polars as pl
import pyarrow as pa

from pipelines.errors import CivitaiEtlError

ROW_GROUP_ROWS = 122_880
AREAS = ("star", "state")
#: A content-named file, or what a killed writer left of one.
OWN_NAME = re.compile(r"[0-9a-f]{32}\.parquet|\.[0-9]+\.tmp")


@dataclass(frozen=True, order=True)
class LakeFile:
    """A file of the lake. `part` is whole, open, closed, appended, daily or empty; `snapshot_date` is the day that it
    belongs to, if any; `path` is relative to the lake.
    """

    table: str
    part: str
    snapshot_date: date | None
    path: str
    rows: int
    bytes: int


class MissingFileError(CivitaiEtlError):
    """A file that the published star names is not there."""


class Lake:
    """A directory of content-named Parquet files."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(
        self,
        frame: pl.DataFrame,
        table: str,
        *,
        part: str,
        key: list[str],
        area: str,
        on: date | None,
        schema: pa.Schema | None,
    ) -> LakeFile:
        """Writes a frame, whose columns are in their declared order, sorted by `key`; with `schema`, under its comments
        and nullability.
        """
        folder = self.root / area / table
        if part == "daily":
            folder /= f"snapshot_date={on}"
        folder.mkdir(parents=True, exist_ok=True)
        aside = folder / f".{os.getpid()}.tmp"
        try:
            with aside.open("wb") as sink:
                frame.sort(key, maintain_order=True).rechunk().write_parquet(
                    sink,
                    compression="zstd",
                    row_group_size=ROW_GROUP_ROWS,
                    statistics=True,
                    arrow_schema=schema,
                    metadata=None if schema is None else {k.decode(): v.decode() for k, v in schema.metadata.items()},
                )
                sink.flush()
                os.fsync(sink.fileno())
            with aside.open("rb") as written:
                digest = hashlib.file_digest(written, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
            path = folder / f"{digest}.parquet"
            size = aside.stat().st_size
            aside.replace(path)
            sync(folder)
        finally:
            aside.unlink(missing_ok=True)
        return LakeFile(table, part, on, str(path.relative_to(self.root)), frame.height, size)

    def own_files(self) -> list[Path]:
        """Every file that `write` made or was about to make, whichever generation it is of."""
        found = [path for area in AREAS for path in (self.root / area).glob("*/**/*") if OWN_NAME.fullmatch(path.name)]
        return [path for path in found if path.is_file()]

    def read(self, files: list[LakeFile], schema: dict[str, pl.DataType]) -> pl.DataFrame:
        """The rows of several files of one table.

        Raises:
            MissingFileError: one of them is gone.
        """
        for file in files:
            if not (self.root / file.path).exists():
                raise MissingFileError(
                    f"{self.root / file.path} is gone: run `civitai-etl rebuild`, which makes the star anew from raw."
                )
        frames = [pl.read_parquet(self.root / file.path, hive_partitioning=False) for file in files]
        return pl.concat([pl.DataFrame(schema=schema), *frames]).rechunk()

    def scan(self, files: list[LakeFile], schema: dict[str, pl.DataType]) -> pl.LazyFrame:
        """The same, read when it is needed and only as far as it is needed."""
        if not files:
            return pl.LazyFrame(schema=schema)
        return pl.scan_parquet([self.root / file.path for file in files], hive_partitioning=False)


def sync(path: Path) -> None:
    """Has the operating system write a file or a folder down."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
