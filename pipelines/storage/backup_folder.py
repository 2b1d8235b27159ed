"""A backup: a directory with each file once, named by its SHA-256, and a manifest that says what the files are.

    DIR/manifest.json    the backup: format, program, time, snapshot dates, files, tables
    DIR/files/<sha256>   the bytes

A new backup adds the files that are not there yet and then replaces the manifest: that rename is the only commit. After
it, files that the manifest does not name are deleted. So a kill at any moment leaves the old backup or the new one.
"""

import errno
import fcntl
import hashlib
import os
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import date, datetime
from pathlib import Path, PurePosixPath
from typing import Annotated

import msgspec

from pipelines.errors import CivitaiEtlError
from pipelines.progress import Progress
from pipelines.storage.directory import existing
from pipelines.storage.lock import has_locked
from pipelines.storage.replacement import real, replace_text, sync

#: The form of manifest and directory. A program refuses a later one.
FORMAT = 1
#: The first part of a path in a manifest.
PLACES = ("warehouse.duckdb", "archive", "lake", "analytics.duckdb", "account")
#: How many damaged files a message names.
NAMED = 3

_BLOCK = 2**20
#: What a file system takes for names and blocks of its own.
_SLACK = 2**20
_CONTENT_NAME = re.compile(r"([0-9a-f]{32})\.parquet")

Sha256 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


class BackupError(CivitaiEtlError):
    """A directory is no backup, cannot become one, or is damaged."""


class BackedUpFile(msgspec.Struct, frozen=True):
    """A file of a backup. `path` says what it is: `warehouse.duckdb`, `archive/...`, `lake/...`, `account/...`."""

    path: str
    bytes: int
    sha256: Sha256

    def __post_init__(self) -> None:
        parts = PurePosixPath(self.path).parts
        if not parts or parts[0] not in PLACES or ".." in parts:
            raise ValueError(f"{self.path!r} is no file of a data directory")


class TableSum(msgspec.Struct, frozen=True):
    """The rows of a published table, and the sum of their hashes; it does not depend on the order of the rows."""

    name: str
    rows: int
    checksum: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup holds.

    `program` and `duckdb` are the versions that made it, `raw_version` and `tables_version` those of the declarations.
    `observations` counts them by snapshot date. `first_load` is the id of the warehouse's first load: another one means
    other data. `identity` is that of the data directory. `checksum` is that of the manifest itself without it.
    """

    format: int = FORMAT
    program: str
    duckdb: str
    raw_version: int
    tables_version: int
    created_at: datetime
    data_dir: str
    identity: str | None
    first_load: str
    observations: dict[date, int]
    files: tuple[BackedUpFile, ...]
    tables: tuple[TableSum, ...]
    checksum: str = ""

    @property
    def bytes(self) -> int:
        """Bytes of all files."""
        return sum(file.bytes for file in self.files)

    def sealed(self) -> "Manifest":
        """The same with its checksum."""
        plain = msgspec.structs.replace(self, checksum="")
        return msgspec.structs.replace(plain, checksum=hashlib.sha256(msgspec.json.encode(plain)).hexdigest())


class _Format(msgspec.Struct):
    """What every version of a manifest has."""

    format: int
    program: str


class BackupFolder:
    """The directory of a backup."""

    def __init__(self, root: Path) -> None:
        """Nothing is read or made yet."""
        self.root = real(root)
        self.path = self.root / "manifest.json"
        self._files = self.root / "files"

    @contextmanager
    def locked(self, *, for_writing: bool) -> Iterator[None]:
        """Keeps others from changing the backup meanwhile, where the file system has locks. A writer makes the
        directory, but not the one above it: that may be a disk that is not mounted.

        Raises:
            BackupError: another process uses the backup, or the directory cannot be used.
        """
        with self.errors():
            if for_writing:
                self.root.mkdir(exist_ok=True)
                self._files.mkdir(exist_ok=True)
            descriptor = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with suppress(OSError):  # a network's file system may have no locks
                if not has_locked(descriptor, fcntl.LOCK_EX if for_writing else fcntl.LOCK_SH):
                    raise BackupError(
                        f"Another civitai-etl is using the backup in {self.root}: wait until it has finished."
                    )
            yield
        finally:
            os.close(descriptor)

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turns an error of the system into one line with advice."""
        try:
            yield
        except OSError as error:
            raise BackupError(self._advice(error)) from error

    def _advice(self, error: OSError) -> str:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return f"The disk that holds {self.root} is full: make room, or back up to another disk. {self._before()}"
        if not self.root.parent.exists():
            return f"There is no directory {self.root.parent}: mount its disk, or make that directory."
        if not self.root.exists():
            return f"There is no backup at {self.root}: name the directory of one, or mount its disk."
        place = error.filename or self.root
        return f"{place} cannot be used ({error.strerror}): give this user permission, or name another directory."

    def _before(self) -> str:
        return "The backup that was there is whole." if self.path.exists() else "There is no backup there yet."

    def manifest(self) -> Manifest | None:
        """What the backup holds; None if there is none.

        Raises:
            BackupError: the manifest is damaged, another program's, or a later version's.
        """
        with self.errors():
            if not self.path.exists():
                return None
            text = self.path.read_bytes()
        try:
            found = msgspec.json.decode(text, type=_Format)
            if found.format > FORMAT:
                raise BackupError(
                    f"{self.path} was made by a later version of civitai-etl ({found.program}; backups of format "
                    f"{found.format}, this one reads {FORMAT}): upgrade civitai-etl."
                )
            manifest = msgspec.json.decode(text, type=Manifest)
        except msgspec.DecodeError as error:
            raise self._no_manifest(str(error)) from error
        if manifest != manifest.sealed():
            raise self._no_manifest("its checksum does not fit")
        return manifest

    def _no_manifest(self, reason: str) -> BackupError:
        return BackupError(
            f"{self.path} is damaged, or is no manifest of a backup ({reason}). Nothing was changed. To restore, use "
            "another backup. To back up, name another directory, or delete this file."
        )

    def file(self, sha256: str) -> Path:
        """Where a file lies."""
        return self._files / sha256

    def has(self, file: BackedUpFile) -> bool:
        """Whether a file is there with its size; `damaged` reads it, too."""
        stored = self.file(file.sha256)
        return stored.is_file() and stored.stat().st_size == file.bytes

    def add(self, files: Iterable[tuple[Path, BackedUpFile]], copied: Callable[[int], None]) -> None:
        """Copies files that are not there yet. `copied` gets the bytes of each piece.

        Raises:
            BackupError: a source has changed since its checksum was taken, or the disk fails.
        """
        with self.errors():
            for source, file in files:
                copy(source, self.file(file.sha256), file.sha256, copied)
            sync(self._files)
            sync(self.root)

    def commit(self, manifest: Manifest) -> None:
        """Makes this the backup, and deletes the files that it does not name. The manifest is sealed."""
        with self.errors():
            replace_text(self.path, msgspec.json.format(msgspec.json.encode(manifest)).decode())
            named = {file.sha256 for file in manifest.files}
            for left_over in (*self._files.iterdir(), *self.root.glob(f".{self.path.name}.*.tmp")):
                if left_over.name not in named:
                    left_over.unlink()

    def refuse_damaged(self, manifest: Manifest, progress: Progress) -> None:
        """Reads every file of the backup and compares it with its checksum.

        Raises:
            BackupError: a file is missing or is not the one that was written.
        """
        stored = {file.sha256: file for file in manifest.files}
        report = bytes_report(progress, "verify", sum(file.bytes for file in stored.values()))
        wrong = []
        with self.errors():
            for sha256, file in stored.items():
                path = self.file(sha256)
                if not path.is_file():
                    wrong.append(f"{path} ({file.path}) is gone")
                elif sha256_of(path, report) != sha256:
                    wrong.append(f"{path} ({file.path}) is not what was written")
        if wrong:
            more = f" and {len(wrong) - NAMED:,} more" if len(wrong) > NAMED else ""
            raise BackupError(
                f"The backup in {self.root} is damaged: {'; '.join(wrong[:NAMED])}{more}. Nothing was changed. To "
                "restore, use another backup. If the data directory is whole, delete these files and run "
                f"`civitai-etl backup {self.root}`, which copies them again."
            )


def describe(path: str, source: Path, read: Callable[[int], None]) -> BackedUpFile:
    """A file as a manifest names it. `read` gets the bytes of each piece.

    Raises:
        BackupError: it is named by its content, and that is another one.
    """
    digest, named = hashlib.sha256(), _CONTENT_NAME.fullmatch(source.name)
    content = hashlib.blake2b(digest_size=16)
    size = 0
    for block in _blocks(source):
        digest.update(block)
        if named:
            content.update(block)
        size += len(block)
        read(len(block))
    if named and content.hexdigest() != named[1]:
        remedy = "`civitai-etl rebuild` makes it again" if path.startswith("lake/") else "restore it from a backup"
        raise BackupError(f"{source} is damaged: its content is not that of its name. Nothing was changed; {remedy}.")
    return BackedUpFile(path, size, digest.hexdigest())


def copy(source: Path, target: Path, sha256: str, copied: Callable[[int], None]) -> None:
    """Copies a file, whole, synced and with this checksum, or not at all. The folder of `target` is not synced.

    Raises:
        BackupError: the source has another checksum.
        OSError: it cannot be read or written.
    """
    aside = target.with_name(f".{os.getpid()}.tmp")
    digest = hashlib.sha256()
    try:
        with aside.open("wb") as written:
            for block in _blocks(source):
                digest.update(block)
                written.write(block)
                copied(len(block))
            written.flush()
            os.fsync(written.fileno())
        if digest.hexdigest() != sha256:
            raise BackupError(f"{source} changed while it was copied. Nothing was changed; run again.")
        aside.replace(target)
    finally:
        aside.unlink(missing_ok=True)


def sha256_of(path: Path, read: Callable[[int], None] = lambda _: None) -> str:
    """The checksum of a file. `read` gets the bytes of each piece."""
    digest = hashlib.sha256()
    for block in _blocks(path):
        digest.update(block)
        read(len(block))
    return digest.hexdigest()


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            yield block


def bytes_report(progress: Progress, phase: str, total: int) -> Callable[[int], None]:
    """Reports a phase that reads or writes so many bytes; the result takes the bytes of each piece."""
    done = 0

    def report(count: int) -> None:
        nonlocal done
        done += count
        progress.update(phase, _megabytes(done), _megabytes(total), unit="MB")

    return report


def _megabytes(count: int) -> int:
    return -(-count // 10**6)


def refuse_too_small(needed: Iterable[tuple[Path, int]], advice: str) -> None:
    """Checks that each disk has room for what is to be written in directories on it.

    Raises:
        BackupError: a disk has not; nothing was written.
    """
    wanted: Counter[int] = Counter()
    places: dict[int, Path] = {}
    for place, size in needed:
        device = existing(place).stat().st_dev
        places.setdefault(device, place)
        wanted[device] += size
    for device, place in places.items():
        free = shutil.disk_usage(existing(place)).free
        if wanted[device] and free < wanted[device] + _SLACK:
            raise BackupError(
                f"The disk that holds {place} has {free / 1e6:,.1f} MB free, and {wanted[device] / 1e6:,.1f} MB are to "
                f"be written: {advice} Nothing was changed."
            )


def refuse_overlap(backup: Path, *directories: Path) -> None:
    """Checks that a backup and the directories that it is of are not inside of each other.

    Raises:
        BackupError: they are.
    """
    here = real(backup)
    for directory in map(real, directories):
        if here.is_relative_to(directory) or directory.is_relative_to(here):
            raise BackupError(
                f"{backup} and {directory} are inside of each other: a backup needs a directory of its own, best on "
                "another disk."
            )


def inside(files: Iterable[BackedUpFile], place: str) -> dict[str, BackedUpFile]:
    """The files of one of PLACES, by their paths inside of it."""
    prefix = f"{place}/"
    return {file.path.removeprefix(prefix): file for file in files if file.path.startswith(prefix)}
