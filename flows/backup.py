"""Backs up a data directory: a consistent copy, in which a second backup copies only what changed.

A backup has the warehouse with its archive, the published files with what the next build needs of them,
`analytics.duckdb` and the account. High-water marks, pagination state and decisions are rows of the warehouse. Left
out is what says nothing about the data: dlt's working folder, logs, Prefect's database, locks.

It holds the writer lock, and can stop between two files for a snapshot that waits. Readers of `analytics.duckdb` go on
reading.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

import duckdb
import msgspec

from pipelines.crawl.snapshot import drain
from pipelines.memory import duckdb_config
from pipelines.progress import Progress, Silent
from pipelines.raw.archive import fingerprint
from pipelines.raw.kinds import SNAPSHOT_KINDS
from pipelines.raw.tables import RAW_VERSION, observations_table
from pipelines.raw.warehouse import archive_of, archived_files, connect, first_load, fold_log
from pipelines.settings import Settings
from pipelines.storage.backup_folder import (
    BackedUpFile,
    BackupError,
    BackupFolder,
    Manifest,
    TableSum,
    bytes_report,
    describe,
    refuse_overlap,
    refuse_too_small,
)
from pipelines.storage.data_directory import DataDirectory
from pipelines.storage.directory import storage_errors
from pipelines.storage.lock import SafePoint, go_on, writer_lock
from pipelines.storage.replacement import replace_text
from pipelines.storage.sql import parquet_rows
from transforms.continuity import lost_dates, raw_observations, refuse_lost_dates
from transforms.lake.files import Lake, LakeFile
from transforms.lake.publish import read_manifest
from transforms.tables import DECLARATIONS_VERSION

#: In a data directory: when it was backed up last, and to where.
LAST_BACKUP = "last-backup.json"
#: How many dates a message names.
NAMED = 3

Thing = TypeVar("Thing")


class LastBackup(msgspec.Struct, frozen=True):
    """When a data directory was backed up last, and to where."""

    at: datetime
    directory: str


@dataclass(frozen=True)
class BackupReport:
    """What a backup holds, and how many files and bytes were new."""

    manifest: Manifest
    files_copied: int
    bytes_copied: int


@dataclass(frozen=True)
class RestoreReport:
    """What was restored, and where what was there before lies now."""

    manifest: Manifest
    moved_aside: tuple[Path, ...]


# -------------------------------------------------------------------------------------------------------------- backup


def back_up(
    settings: Settings,
    folder: Path,
    progress: Progress = Silent(),
    *,
    wait_seconds: float = 0.0,
    safe_point: SafePoint = go_on,
) -> BackupReport:
    """Bring the backup in `folder` up to date with the data directory; only what changed is copied.

    A load that was cut off is finished first, as by every command that writes. `safe_point` is called between two files
    and two tables, and may raise: what was copied by then is not copied again.

    Raises:
        BackupError: the folder cannot hold this backup, or its disk fails; the backup that was there stays.
        CivitaiEtlError: the lock is held, there is no raw data, a file of the data directory is damaged, or raw lacks
            published dates.
    """
    directory = settings.directory
    refuse_overlap(folder, directory.root, directory.lake)
    if not directory.warehouse.exists():
        raise BackupError(f"There is nothing to back up at {directory.root}: run `civitai-etl snapshot` first.")
    backup = BackupFolder(folder)
    lock = locked(directory, wait_seconds=wait_seconds, progress=progress)
    with lock, storage_errors(directory.root, directory.lake), backup.locked(for_writing=True):
        before = backup.manifest()
        drain(settings, progress)
        fold_log(directory.warehouse)
        sources = dict(_sources(directory))
        files = _described(sources, progress, safe_point)
        refuse_lost_dates(directory)
        observations, load = raw_observations(directory.warehouse), first_load(directory.warehouse)
        if before:
            _refuse_poorer(backup, before, observations, load)
        missing = {file.sha256: (sources[file.path], file) for file in files if not backup.has(file)}
        size = sum(file.bytes for _, file in missing.values())
        refuse_too_small([(backup.root, size)], "make room, or back up to another disk.")
        backup.add(_between(missing.values(), safe_point), bytes_report(progress, "copy", size))
        manifest = Manifest(
            program=version("civitai-etl"),
            duckdb=duckdb.__version__,
            raw_version=RAW_VERSION,
            tables_version=DECLARATIONS_VERSION,
            created_at=datetime.now(UTC),
            data_dir=str(directory.root),
            identity=_identity(directory),
            first_load=load,
            observations=observations,
            files=files,
            tables=table_sums(Lake(directory.lake), read_manifest(directory.analytics), progress, safe_point),
        ).sealed()
        backup.commit(manifest)
        last = LastBackup(manifest.created_at, str(backup.root))
        replace_text(directory.root / LAST_BACKUP, msgspec.json.encode(last).decode())
    return BackupReport(manifest, len(missing), size)


@contextmanager
def locked(
    directory: DataDirectory, *, restores: bool = False, wait_seconds: float = 0.0, progress: Progress = Silent()
) -> Iterator[None]:
    """The locks of account and data directory, in the order in which the vault's commands take them."""
    with ExitStack() as locks:
        if directory.account.exists():
            locks.enter_context(writer_lock(directory.account, wait_seconds=wait_seconds, progress=progress))
        root = writer_lock(
            directory.root, directory.lake, restores=restores, wait_seconds=wait_seconds, progress=progress
        )
        locks.enter_context(root)
        yield


def _refuse_poorer(backup: BackupFolder, before: Manifest, observations: Mapping[date, int], load: str) -> None:
    """Keeps a backup that has what the data directory does not have."""
    if before.first_load != load:
        raise BackupError(
            f"{backup.root} is the backup of other data, of {before.data_dir}: name another directory. Nothing was "
            "changed."
        )
    if lost := lost_dates(observations, before.observations):
        raise BackupError(
            f"The backup in {backup.root} has observations of {named(lost)} that the data directory lacks: they would "
            "be lost. Restore it, or name another directory. Nothing was changed."
        )


def named(dates: Sequence[date]) -> str:
    """How many dates, and the first ones."""
    some = ", ".join(map(str, dates[:NAMED])) + (", ..." if len(dates) > NAMED else "")
    return f"{len(dates):,} date{'s' if len(dates) > 1 else ''} ({some})"


def _sources(directory: DataDirectory) -> Iterator[tuple[str, Path]]:
    """Every file that a backup has, by its path in the manifest."""
    yield "warehouse.duckdb", directory.warehouse
    with connect(directory.warehouse) as connection:
        for table in map(observations_table, SNAPSHOT_KINDS):
            for file in archived_files(connection, table):
                yield f"archive/{file.relative_to(archive_of(directory.warehouse))}", file
    if directory.analytics.exists():
        yield "analytics.duckdb", directory.analytics
        files = read_manifest(directory.analytics)
        Lake(directory.lake).refuse_damaged(files)
        for each in files:
            yield f"lake/{each.path}", directory.lake / each.path
    for file in account_files(directory.account):
        yield f"account/{file.name}", file


def account_files(account: Path) -> list[Path]:
    """Tables, plan and journal of the member."""
    kept = {".parquet", ".json", ".ndjson"}
    files = account.iterdir() if account.exists() else ()
    return sorted(file for file in files if file.suffix in kept and not file.name.startswith(".") and file.is_file())


def _between(things: Iterable[Thing], safe_point: SafePoint) -> Iterator[Thing]:
    """The same things; before each is a moment when the backup can stop."""
    for each in things:
        safe_point()
        yield each


def _described(sources: Mapping[str, Path], progress: Progress, safe_point: SafePoint) -> tuple[BackedUpFile, ...]:
    """The files with size and checksum. All are read: a damaged one must not take the place of one that is whole."""
    report = bytes_report(progress, "read", sum(source.stat().st_size for source in sources.values()))
    return tuple(describe(path, source, report) for path, source in _between(sources.items(), safe_point))


def table_sums(
    lake: Lake, files: list[LakeFile], progress: Progress = Silent(), safe_point: SafePoint = go_on
) -> tuple[TableSum, ...]:
    """Count and checksum of the rows of every published table, by name. Another DuckDB has other checksums."""
    by_table: dict[str, list[Path]] = {}
    for file in files:
        if file.path.startswith("star/"):
            by_table.setdefault(file.table, []).append(lake.root / file.path)
    sums = []
    with duckdb.connect(config=duckdb_config(lake.root)) as connection:
        connection.execute("SET enable_progress_bar = false")
        for number, (name, of_table) in enumerate(_between(sorted(by_table.items()), safe_point), start=1):
            rows = parquet_rows(of_table)
            columns = [column for (column, *_) in connection.execute(f"DESCRIBE FROM {rows}").fetchall()]
            count, total = fingerprint(connection, rows, columns)
            sums.append(TableSum(name, count, str(total or 0)))
            progress.update("table checksums", number, len(by_table), unit="tables")
    return tuple(sums)


def _identity(directory: DataDirectory) -> str | None:
    path = directory.root / "identity"
    return path.read_text(encoding="utf-8").strip() if path.exists() else None


def last_backup(data_dir: Path) -> LastBackup | None:
    """The last backup of a data directory; None if there was none since it was made or restored."""
    path = data_dir / LAST_BACKUP
    try:
        return msgspec.json.decode(path.read_bytes(), type=LastBackup) if path.exists() else None
    except msgspec.DecodeError:  # no text, or that of another version
        return None


# -------------------------------------------------------------------------------------------------------------- verify


def verify(folder: Path, progress: Progress = Silent()) -> Manifest:
    """Read a whole backup and compare it with its checksums; nothing is changed.

    Raises:
        BackupError: there is no backup, it is damaged, or another process is writing it.
    """
    backup = BackupFolder(folder)
    with backup.locked(for_writing=False):
        return whole(backup, progress)


def whole(backup: BackupFolder, progress: Progress) -> Manifest:
    """The manifest of a backup after all its files were read; errors as above."""
    manifest = backup.manifest()
    if manifest is None:
        raise BackupError(
            f"There is no whole backup in {backup.root}: name the directory of one. If a first backup was cut off "
            "there, run it again."
        )
    backup.refuse_damaged(manifest, progress)
    return manifest
