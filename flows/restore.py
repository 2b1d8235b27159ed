"""Restores a data directory from a backup: afterwards it is what it was when it was backed up.

1. Every byte of the backup is compared with its checksum.
2. What is missing is copied: files of lake and archive to their places, where nobody names them yet, and the others
   beside their places. The tables are counted there.
3. A mark is written. The warehouse, the account and dlt's working folder are moved aside, and the new ones take their
   places. The tables are published with a rename. The mark is removed.

A kill before the mark leaves the old state. After a kill before its end, every other writer is refused, and the next
restore completes it. Readers see the old tables until the publish. Nothing is deleted but what can be made again.
"""

import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb

from flows.backup import LAST_BACKUP, account_files, locked, named, table_sums, whole
from pipelines.progress import Progress, Silent
from pipelines.raw.archive import sweep
from pipelines.raw.tables import RAW_VERSION
from pipelines.raw.warehouse import UnreadableFileError, archive_of, first_load
from pipelines.settings import Settings
from pipelines.storage.backup_folder import (
    BackedUpFile,
    BackupError,
    BackupFolder,
    Manifest,
    bytes_report,
    copy,
    inside,
    refuse_overlap,
    refuse_too_small,
    sha256_of,
)
from pipelines.storage.data_directory import DataDirectory
from pipelines.storage.directory import StorageError, prepare_directory, storage_errors
from pipelines.storage.lock import RESTORING
from pipelines.storage.replacement import DATABASE_LOGS, aside_of, real, replace_database, replace_text, sync
from transforms.continuity import lost_dates, published_observations, raw_observations
from transforms.lake.files import Lake, LakeFile, UnreadableStarError
from transforms.lake.publish import MANIFEST, is_outdated, publish, read_manifest
from transforms.tables import DECLARATIONS_VERSION


@dataclass(frozen=True)
class RestoreReport:
    """What was restored, and where what was there before lies now. `is_outdated`: an earlier version made the tables,
    and the next `snapshot` or `rebuild` makes them again.
    """

    manifest: Manifest
    moved_aside: tuple[Path, ...]
    is_outdated: bool


def restore(settings: Settings, folder: Path, progress: Progress = Silent(), *, replace: bool = False) -> RestoreReport:
    """Make the data directory what it was when it was backed up. What is replaced is moved aside and kept.

    Args:
        settings: the data directory and the lake to restore to.
        folder: the backup.
        progress: receives every phase.
        replace: also a data directory of other data, or with observations that the backup lacks.

    Raises:
        BackupError: there is no whole backup, a later version made it, the data directory has more than the backup, or
            a disk has no room.
        CivitaiEtlError: the lock is held, or the disk fails.
    """
    directory = settings.directory
    refuse_overlap(folder, directory.root, directory.lake)
    backup = BackupFolder(folder)
    with backup.locked(for_writing=False):
        manifest = whole(backup, progress)
        _refuse_later(backup, manifest)
        prepare_directory(directory.root)
        _take_identity(directory, manifest)
        with locked(directory, restores=True), storage_errors(directory.root, directory.lake):
            # After a kill what is here is a mixture, and it was decided before.
            if not (replace or (directory.root / RESTORING).exists()):
                _refuse_richer(backup, manifest, directory)
            return _Restore(directory, backup, manifest, progress).run()


def _refuse_later(backup: BackupFolder, manifest: Manifest) -> None:
    if manifest.raw_version > RAW_VERSION or manifest.tables_version > DECLARATIONS_VERSION:
        raise BackupError(
            f"The backup in {backup.root} was made by a later version of civitai-etl ({manifest.program}): upgrade "
            "civitai-etl and run again. Nothing was changed."
        )


def _take_identity(directory: DataDirectory, manifest: Manifest) -> None:
    """An empty data directory takes the identity that was backed up: a lake elsewhere that is left is then its own."""
    identity = directory.root / "identity"
    is_empty = not (identity.exists() or directory.warehouse.exists() or directory.analytics.exists())
    if manifest.identity and is_empty:
        with storage_errors(directory.root):
            replace_text(identity, f"{manifest.identity}\n")


def _refuse_richer(backup: BackupFolder, manifest: Manifest, directory: DataDirectory) -> None:
    """Keeps a data directory that has what the backup does not have. A file that cannot be read is what a restore is
    for. It is moved aside like the others, and the other files still count.
    """
    load, more = "", set[date]()
    unreadable = (UnreadableFileError, UnreadableStarError, StorageError, duckdb.Error)
    with suppress(*unreadable):
        more.update(lost_dates(manifest.observations, raw_observations(directory.warehouse)))
        load = first_load(directory.warehouse)
    with suppress(*unreadable):
        more.update(lost_dates(manifest.observations, published_observations(directory)))
    if load not in ("", manifest.first_load):
        problem = f"{directory.root} holds other data than the backup in {backup.root}"
    elif more:
        problem = f"{directory.root} has observations of {named(sorted(more))} that the backup in {backup.root} lacks"
    else:
        return
    raise BackupError(
        f"{problem}. Nothing was changed: set CIVITAI_ETL_DATA_DIR to a new directory, or give --replace, which moves "
        "aside what is here."
    )


@dataclass(frozen=True)
class _Swap:
    """A file or folder of the data directory, and what takes its place; None if nothing does."""

    place: Path
    staged: Path | None


class _Restore:
    """One restore, after the backup was verified and under the locks."""

    def __init__(self, directory: DataDirectory, backup: BackupFolder, manifest: Manifest, progress: Progress) -> None:
        self._directory, self._backup, self._manifest, self._progress = directory, backup, manifest, progress
        self._files = {file.path: file for file in manifest.files}

    def run(self) -> RestoreReport:
        """All steps."""
        swaps = self._stage()
        publish_restored, outdated = self._release()
        mark = self._directory.root / RESTORING
        replace_text(mark, f"{self._backup.root}\n")
        stamp = f"before-restore-{datetime.now(UTC):%Y%m%dT%H%M%S.%f}"
        moved = [path for swap in swaps for path in _swapped(swap, stamp)]
        publish_restored()
        (self._directory.root / LAST_BACKUP).unlink(missing_ok=True)
        mark.unlink()
        sync(self._directory.root)
        return RestoreReport(self._manifest, tuple(moved), outdated)

    def _stage(self) -> list[_Swap]:
        """Copies what is not here yet: immutable files to their places, and others beside theirs."""
        directory = self._directory
        _sweep(directory)
        missing = {
            target: file
            for place, root in (("archive", archive_of(directory.warehouse)), ("lake", directory.lake))
            for path, file in inside(self._manifest.files, place).items()
            if not _is_same(target := root / path, file)
        }
        warehouse, account = self._files["warehouse.duckdb"], inside(self._manifest.files, "account")
        has_log = any(log.exists() for log in _logs(directory.warehouse))
        keeps_warehouse = not has_log and _is_same(directory.warehouse, warehouse)
        keeps_account = _has_only(directory.account, account)
        beside = [] if keeps_warehouse else [warehouse]
        beside += [] if keeps_account else account.values()
        refuse_too_small(
            [
                *((target, file.bytes) for target, file in missing.items()),
                *((directory.root, file.bytes) for file in beside),
            ],
            "make room, or set CIVITAI_ETL_DATA_DIR or CIVITAI_ETL_LAKE_URL to a larger disk.",
        )
        report = bytes_report(self._progress, "copy", sum(file.bytes for file in (*missing.values(), *beside)))
        for target, file in missing.items():
            self._copy(file, target, report)
        # A file is two or three folders deep, and they may be new.
        for folder in {parent for target in missing for parent in target.parents[:4]}:
            sync(folder)
        swaps = []
        if not keeps_warehouse:
            self._copy(warehouse, staged := aside_of(directory.warehouse), report)
            swaps.append(_Swap(directory.warehouse, staged))
        if not keeps_account:
            staged = aside_of(directory.account)
            for name, file in account.items():
                self._copy(file, staged / name, report)
            if account:
                sync(staged)
            swaps.append(_Swap(directory.account, staged if account else None))
        # A load that was cut off there belongs to the warehouse that was here.
        return [*swaps, _Swap(directory.dlt, None)]

    def _copy(self, file: BackedUpFile, target: Path, report: Callable[[int], None]) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        copy(self._backup.file(file.sha256), target, file.sha256, report)

    def _release(self) -> tuple[Callable[[], None], bool]:
        """What publishes the restored tables, and whether an earlier version made them.

        Raises:
            BackupError: a table has other rows than when it was backed up.
        """
        lake, analytics = Lake(self._directory.lake), self._directory.analytics
        if analytics.name not in self._files:
            return lambda: _unpublish(lake, analytics), False
        stored = self._backup.file(self._files[analytics.name].sha256)
        files = read_manifest(stored)
        self._refuse_difference(lake, files)
        if not is_outdated(stored):
            return lambda: publish(lake, analytics, files), False

        def put_back() -> None:
            aside = aside_of(analytics)
            shutil.copyfile(stored, aside)
            replace_database(analytics, aside)

        return put_back, True

    def _refuse_difference(self, lake: Lake, files: list[LakeFile]) -> None:
        was = {table.name: table for table in self._manifest.tables}
        for table in table_sums(lake, files, self._progress):
            same_hashes = duckdb.__version__ == self._manifest.duckdb
            before = was[table.name]
            if table.rows != before.rows or (same_hashes and table != before):
                raise BackupError(
                    f"{table.name} would have {table.rows:,} rows and had {before.rows:,}, or others. Nothing was "
                    "changed; please report this."
                )


def _swapped(swap: _Swap, stamp: str) -> list[Path]:
    """Moves aside what is in a place, with the logs of a database, and gives where to; then fills the place."""
    place = real(swap.place)
    kept = place.with_name(f"{place.name}.{stamp}")
    moved = []
    for log in _logs(swap.place):
        if log.exists():
            log.rename(kept.with_name(kept.name + log.name.removeprefix(swap.place.name).removeprefix(place.name)))
    if place.exists():
        place.rename(kept)
        moved.append(kept)
    if swap.staged:
        swap.staged.rename(place)
    sync(place.parent)
    return moved


def _logs(database: Path) -> list[Path]:
    """Where DuckDB may have a log of a database: beside a link or beside its file."""
    return [path.with_name(path.name + suffix) for path in {database, real(database)} for suffix in DATABASE_LOGS]


def _unpublish(lake: Lake, analytics: Path) -> None:
    """Nothing was published when the backup was made."""
    for path in (analytics, lake.root / "star" / MANIFEST):
        path.unlink(missing_ok=True)


def _sweep(directory: DataDirectory) -> None:
    """Deletes what a killed restore left beside its places."""
    sweep(directory.warehouse)
    account = real(directory.account)
    for left_over in account.parent.glob(f".{account.name}.*.tmp"):
        shutil.rmtree(left_over)
    half_written = [path for path in Lake(directory.lake).own_files() if path.suffix == ".tmp"]
    half_written += real(directory.warehouse).parent.glob(".[0-9]*.tmp")
    for left_over in (*half_written, *directory.root.glob(f".{RESTORING}.*.tmp")):
        left_over.unlink()


def _is_same(path: Path, file: BackedUpFile) -> bool:
    return path.is_file() and path.stat().st_size == file.bytes and sha256_of(path) == file.sha256


def _has_only(account: Path, files: dict[str, BackedUpFile]) -> bool:
    """Whether these are the files of the account that a backup would have."""
    here = account_files(account)
    return {file.name for file in here} == {*files} and all(_is_same(file, files[file.name]) for file in here)
