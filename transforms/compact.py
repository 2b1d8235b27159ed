"""Retention: closed months of the daily tables become one file each, and their raw observations leave the warehouse.

The grain and all rows stay. The daily files of a month become one file sorted by key and date, which compresses better
(docs/operations.md has the numbers). Raw observations go to the archive (`pipelines.raw.archive`). A build and a
rebuild read the archive like the warehouse. If rows come late for a month, they write daily files for it again; the
next `compact` gives the same bytes as if nothing had come late.

Before anything is replaced, the star is rebuilt from the new warehouse and its archive in a separate folder, and every
table must have the rows of the published one. Then the warehouse is replaced and the star is published, one rename
each. If the run is killed between the two, the next run finds the raw layer done and does the rest.
"""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from pathlib import Path

import duckdb

from pipelines.memory import duckdb_config
from pipelines.progress import Progress, Silent
from pipelines.raw.archive import LossError, archived, closed_before, fingerprint, replace
from pipelines.raw.warehouse import archive_of
from pipelines.settings import Limits
from pipelines.storage.data_directory import DataDirectory
from pipelines.storage.lock import SafePoint, go_on
from pipelines.storage.sql import parquet_rows
from transforms.build import rebuild
from transforms.lake.files import Lake, LakeFile, month_of
from transforms.lake.publish import publish, read_manifest
from transforms.lake.release import ARROW_SCHEMAS, STAR
from transforms.tables import OpsDrift

#: Made from a sample of documents in raw's order: a rebuild may have other examples.
NOT_COMPARED = {OpsDrift.table_name()}


@dataclass(frozen=True)
class Sizes:
    """Bytes of the files that a data directory needs."""

    warehouse: int
    archive: int
    star: int


@dataclass(frozen=True)
class CompactReport:
    """What `compact` did: the rows that moved to the archive, how many star files became how many, and the bytes before
    and after. `closed_before` is the first day that is not of a closed month; None if there is no such month.
    """

    closed_before: date | None
    rows_archived: int
    files_merged: int
    files_made: int
    before: Sizes
    after: Sizes


def compact(
    directory: DataDirectory,
    *,
    limits: Limits = Limits(),
    progress: Progress = Silent(),
    safe_point: SafePoint = go_on,
) -> CompactReport:
    """Merges closed months of the published star and archives their observations; a second call does nothing.

    The caller holds the writer lock. No load package is pending, and the star is up to date with raw.

    Args:
        directory: where raw and the star are.
        limits: those under which the star was built.
        progress: receives every phase.
        safe_point: called in every phase before the first replacement. If it raises, nothing is changed.

    Raises:
        LossError: a table would have other rows than before; nothing was changed.
    """
    lake, warehouse = Lake(directory.lake), directory.warehouse
    published = read_manifest(directory.analytics)
    sizes = measure(warehouse, published)
    before = closed_before(warehouse)
    if before is None:
        return CompactReport(None, 0, 0, 0, sizes, sizes)
    with workplace(warehouse) as folder, archived(warehouse, before, progress, safe_point) as moved:
        if moved:
            other = DataDirectory.at(folder, warehouse=moved.warehouse)
            rebuild(other, limits=limits, progress=progress, safe_point=safe_point)
            refuse_difference(lake, published, Lake(other.lake), read_manifest(other.analytics), progress, safe_point)
        months = closed_months(published, before)
        merged = merge(lake, months, folder, progress, safe_point)
        replaced = {file for month in months for file in month}
        files = sorted([file for file in published if file not in replaced] + merged)
        refuse_difference(lake, published, lake, files, progress, safe_point)
        if moved:
            replace(warehouse, moved.warehouse)
        if merged:
            publish(lake, directory.analytics, files)
    return CompactReport(
        before, moved.rows if moved else 0, len(replaced), len(merged), sizes, measure(warehouse, files)
    )


def closed_months(files: Sequence[LakeFile], before: date) -> list[list[LakeFile]]:
    """The files of each daily table and month before `before` that has a day's file."""

    def table_and_month(file: LakeFile) -> tuple[str, date]:
        assert file.snapshot_date is not None
        return file.table, month_of(file.snapshot_date)

    dated = [file for file in files if file.role in {"daily", "monthly"}]
    closed = [file for file in dated if file.snapshot_date and file.snapshot_date < before]
    months = [list(group) for _, group in groupby(sorted(closed, key=table_and_month), key=table_and_month)]
    return [month for month in months if any(file.role == "daily" for file in month)]


def merge(
    lake: Lake, months: list[list[LakeFile]], folder: Path, progress: Progress, safe_point: SafePoint
) -> list[LakeFile]:
    """One file for each of `months`, sorted by key and date; what memory cannot hold is sorted in `folder`."""
    merged = []
    with duckdb.connect(config=duckdb_config(folder)) as connection:
        connection.execute("SET enable_progress_bar = false; SET threads = 1")  # as in pipelines.raw.archive
        for number, files in enumerate(months, start=1):
            safe_point()
            table = STAR[files[0].table]
            columns = table.primary_key() or table.column_names()
            key = [name for name in columns if name != "snapshot_date"] + ["snapshot_date"]
            merged.append(lake.merge(files, key, ARROW_SCHEMAS[files[0].table], connection))
            progress.update("merge", number, len(months), unit="files")
    return merged


def refuse_difference(
    lake: Lake,
    files: list[LakeFile],
    other_lake: Lake,
    other_files: list[LakeFile],
    progress: Progress,
    safe_point: SafePoint,
) -> None:
    """Compares every star table of two generations, row for row.

    Raises:
        LossError: a table has other rows.
    """
    with duckdb.connect(config=duckdb_config(lake.root)) as connection:
        connection.execute("SET enable_progress_bar = false")
        tables = [table for table in STAR.values() if table.table_name() not in NOT_COMPARED]
        for number, table in enumerate(tables, start=1):
            safe_point()
            name = table.table_name()
            one, other = (
                [where.root / file.path for file in release if file.table == name]
                for where, release in ((lake, files), (other_lake, other_files))
            )
            # Files are named by their content.
            if {path.name for path in one} != {path.name for path in other}:
                (count, total), (other_count, other_total) = (
                    fingerprint(connection, parquet_rows(paths), table.column_names()) for paths in (one, other)
                )
                if (count, total) != (other_count, other_total):
                    raise LossError(
                        f"{name} has {count:,} rows and would have {other_count:,}, or others: nothing was changed. "
                        "If civitai-etl was upgraded since these tables were made, run `civitai-etl rebuild` and try "
                        "again; else please report this."
                    )
            progress.update("compare star", number, len(tables), unit="tables")


@contextmanager
def workplace(warehouse: Path) -> Iterator[Path]:
    """An empty folder beside the warehouse, gone at the end of the block; what a killed run left goes before."""
    folder = warehouse.parent / "compacting"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def measure(warehouse: Path, files: Sequence[LakeFile]) -> Sizes:
    """Bytes of the raw layer, and of the star files of a release."""
    archive = sum(path.stat().st_size for path in archive_of(warehouse).rglob("*.parquet"))
    star = sum(file.bytes for file in files if file.path.startswith("star/"))
    return Sizes(warehouse.stat().st_size, archive, star)
