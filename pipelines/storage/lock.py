"""One writer per data directory: a lock that the kernel releases when its process ends in any way. And one data
directory per lake: a publish deletes files that its own releases do not name.
"""

import fcntl
import os
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from pipelines.errors import CivitaiEtlError
from pipelines.storage.directory import StorageError, prepare_directory, refuse_lake_name, storage_errors
from pipelines.storage.replacement import replace_text

_NAME = re.compile("[0-9a-f]{32}")
#: In a data directory while a restore replaces its files. After a kill only another restore may write there.
RESTORING = "restoring"


class LockedError(CivitaiEtlError):
    """Another process writes to the data directory."""


class HalfRestoredError(CivitaiEtlError):
    """A restore was cut off while it replaced the files of the data directory."""


class ForeignLakeError(CivitaiEtlError):
    """The lake belongs to another data directory."""


@contextmanager
def writer_lock(data_dir: Path, lake: Path | None = None, *, restores: bool = False) -> Iterator[None]:
    """Hold the writer lock of `data_dir` (created if missing) for the length of the block; never waits.

    A caller that will publish also passes the root of the `lake`, which is claimed for the data directory. One that
    `restores` may do so after a restore that was cut off.

    Raises:
        LockedError: another process has it; names the process.
        HalfRestoredError: a restore was cut off there.
        ForeignLakeError: the lake belongs to another data directory.
        StorageError: the directory cannot be written, or the names of directory and lake cannot be read.
    """
    prepare_directory(data_dir)
    if lake is not None:
        refuse_lake_name(lake)
    path = data_dir / "writer.lock"
    with storage_errors(data_dir):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
            raise LockedError(
                f"Another civitai-etl (process {holder}) is writing to {data_dir}: "
                "wait until it has finished, or stop it."
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        if not restores:
            _refuse_half_restored(data_dir)
        if lake is not None:
            with storage_errors(data_dir, lake):
                _claim(lake, data_dir)
        yield
    finally:
        # The file stays. Without it two processes could lock two different files of this name.
        os.close(descriptor)


def _refuse_half_restored(data_dir: Path) -> None:
    restoring = data_dir / RESTORING
    if restoring.exists():
        backup = restoring.read_text(encoding="utf-8", errors="replace").strip()
        raise HalfRestoredError(
            f"A restore of {backup} into {data_dir} was cut off: run `civitai-etl restore {shlex.quote(backup)}` "
            "again, which completes it."
        )


def _claim(lake: Path, data_dir: Path) -> None:
    """Check that the lake belongs to this data directory, whose identity file stays the same when it is moved."""
    identity, owner = data_dir / "identity", lake / "owner"
    _put(identity, f"{uuid4().hex}\n")
    lake.mkdir(parents=True, exist_ok=True)
    name = identity.read_text(encoding="utf-8", errors="replace").strip()
    _put(owner, f"{name} {data_dir}\n")
    owner_name, _, place = owner.read_text(encoding="utf-8", errors="replace").strip().partition(" ")
    for path, text in ((identity, name), (owner, owner_name)):
        if not _NAME.fullmatch(text):
            raise StorageError(
                f"{path} is damaged: delete {identity} and {owner}, and run again. Both are made again, and nothing is "
                "lost with them."
            )
    if owner_name != name or (
        place != str(data_dir) and not lake.is_relative_to(data_dir) and _is_copy(data_dir, place)
    ):
        raise ForeignLakeError(
            f"{lake} is the lake of another data directory, {place}, and would lose its files: set "
            f"CIVITAI_ETL_LAKE_URL to a directory of its own or, if that data directory is no more, delete {owner}."
        )


def _is_copy(data_dir: Path, place: str) -> bool:
    """Whether a data directory was copied from `place` with its name, not moved: the original still exists."""
    original, copied = Path(place, "identity"), data_dir / "identity"
    return original.exists() and not original.samefile(copied) and original.read_bytes() == copied.read_bytes()


def _put(path: Path, text: str) -> None:
    """Make a file as a whole or not at all, unless it exists already."""
    if not path.exists():
        replace_text(path, text)
