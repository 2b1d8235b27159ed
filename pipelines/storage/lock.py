"""One writer per data directory, and the order of those that wait: the daily snapshot goes first.

Both are locks that the kernel releases when their process ends in any way. The writer holds `writer.lock`. A snapshot
that waits for it holds `waiting.lock`: meanwhile no other writer begins, and one that is at work stops at its next safe
point (`give_way`). Each file says who held it last.

And one data directory per lake: a publish deletes files that its own releases do not name.
"""

import fcntl
import os
import re
import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from math import isinf
from pathlib import Path
from uuid import uuid4

import msgspec

from pipelines.errors import CivitaiEtlError
from pipelines.progress import Progress, Silent, duration
from pipelines.storage.directory import StorageError, prepare_directory, refuse_lake_name, storage_errors
from pipelines.storage.replacement import replace_text

#: What a long writer calls where it can stop; it raises `GaveWayError` if it must.
SafePoint = Callable[[], None]

WRITER, WAITING = "writer.lock", "waiting.lock"
#: Seconds between two attempts to take the lock, and between two lines about it.
POLL, LINE_INTERVAL = 0.2, 60.0
#: A new holder overwrites all that the last one wrote, at once.
_HOLDER_BYTES = 256

_NAME = re.compile("[0-9a-f]{32}")
_SILENT = Silent()

#: In a data directory while a restore replaces its files. After a kill only another restore may write there.
RESTORING = "restoring"


class LockedError(CivitaiEtlError):
    """Another process writes to the data directory."""


class GaveWayError(CivitaiEtlError):
    """The run stopped at a safe point, because a snapshot waits."""

    exit_code = 5


class HalfRestoredError(CivitaiEtlError):
    """A restore was cut off while it replaced the files of the data directory."""


class ForeignLakeError(CivitaiEtlError):
    """The lake belongs to another data directory."""


class Holder(msgspec.Struct, frozen=True):
    """Who holds a lock: the process, and since when, or since when it is in the phase."""

    process: int
    since: datetime
    phase: str | None = None

    def __str__(self) -> str:
        return (
            f"process {self.process}, {f'{self.phase} ' if self.phase else ''}since {self.since:%Y-%m-%d %H:%M:%S} UTC"
        )


@contextmanager
def writer_lock(
    data_dir: Path,
    lake: Path | None = None,
    *,
    wait_seconds: float = 0.0,
    is_snapshot: bool = False,
    restores: bool = False,
    progress: Progress = _SILENT,
) -> Iterator[None]:
    """Hold the writer lock of `data_dir` (created if missing) for the length of the block.

    Args:
        data_dir: the directory to write to.
        lake: the root of the lake, which is claimed for the data directory; for a caller that will publish.
        wait_seconds: how long to wait for another writer.
        is_snapshot: whether other writers give way to this one while it waits.
        restores: whether it may write after a restore that was cut off.
        progress: receives who is waited for, at once and then every minute.

    Raises:
        LockedError: another process has it; names the process.
        HalfRestoredError: a restore was cut off there.
        ForeignLakeError: the lake belongs to another data directory.
        StorageError: the directory cannot be written, or the names of directory and lake cannot be read.
    """
    prepare_directory(data_dir)
    if lake is not None:
        refuse_lake_name(lake)
    # The files stay. Without them two processes could lock two different files of one name.
    with _opened(data_dir, WRITER) as lock:
        _take(data_dir, lock, wait_seconds, is_snapshot=is_snapshot, progress=progress)
        _sign(data_dir, lock)
        if not restores:
            _refuse_half_restored(data_dir)
        if lake is not None:
            with storage_errors(data_dir, lake):
                _claim(lake, data_dir)
        yield


def give_way(data_dir: Path) -> None:
    """Let a waiting snapshot go first. For a writer at a moment when it can be stopped and started again.

    Raises:
        GaveWayError: one waits.
    """
    if _snapshot_waits(data_dir):
        raise GaveWayError(
            f"The snapshot of process {_process(data_dir, WAITING)} goes first: this run has stopped. Nothing that was "
            "loaded or published is lost."
        )


def go_on() -> None:
    """The safe point of work that gives way to nobody."""


def note_phase(data_dir: Path, phase: str) -> None:
    """Say in the lock what its holder does now. The caller holds the writer lock."""
    with _opened(data_dir, WRITER) as lock:
        _sign(data_dir, lock, phase)


def _take(data_dir: Path, lock: int, wait_seconds: float, *, is_snapshot: bool, progress: Progress) -> None:
    began = next_line = time.monotonic()
    with _opened(data_dir, WAITING) as sign:
        is_signed = False
        # A snapshot keeps its sign until it has the lock: nobody gets in between.
        while in_the_way := _in_the_way(data_dir, lock, is_snapshot=is_snapshot):
            now = time.monotonic()
            left = began + wait_seconds - now
            if left <= 0:
                raise LockedError(f"{in_the_way}: {_advice(wait_seconds)}")
            if is_snapshot and not is_signed and has_locked(sign):  # one waiting snapshot is sign enough
                _sign(data_dir, sign)
                is_signed = True
            if now >= next_line:
                span = "" if isinf(left) else f", at most {duration(left)} more"
                progress.note(f"{in_the_way}: waiting for it{span}")
                next_line = now + LINE_INTERVAL
            time.sleep(min(POLL, left))


def _in_the_way(data_dir: Path, lock: int, *, is_snapshot: bool) -> str | None:
    """Who is in the way; None if the lock is taken now."""
    next_one = "" if is_snapshot or not _snapshot_waits(data_dir) else _process(data_dir, WAITING)
    if not next_one and has_locked(lock):
        return None
    writer = f"Another civitai-etl ({_read(lock) or 'process unknown'}) is writing to {data_dir}"
    return f"{writer}, and the snapshot of process {next_one} is next" if next_one else writer


def _advice(waited: float) -> str:
    if waited:
        return f"this run waited for {duration(waited)} (CIVITAI_ETL_WAIT_MINUTES). Run it again later."
    return "wait until it has finished (most commands do with `--wait`), or stop it."


def _snapshot_waits(data_dir: Path) -> bool:
    with _opened(data_dir, WAITING) as sign:
        # Shared, so that two who look at the same moment do not see each other.
        return not has_locked(sign, fcntl.LOCK_SH)


def _process(data_dir: Path, name: str) -> str:
    with _opened(data_dir, name) as lock:
        holder = _read(lock)
    return str(holder.process) if holder else "unknown"


@contextmanager
def _opened(data_dir: Path, name: str) -> Iterator[int]:
    with storage_errors(data_dir):
        descriptor = os.open(data_dir / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def has_locked(descriptor: int, kind: int = fcntl.LOCK_EX) -> bool:
    """Lock an open file, if no other process has it; returns whether it is locked now."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _sign(data_dir: Path, descriptor: int, phase: str | None = None) -> None:
    holder = msgspec.json.encode(Holder(os.getpid(), datetime.now(UTC), phase))
    with storage_errors(data_dir):
        os.pwrite(descriptor, holder.ljust(_HOLDER_BYTES) + b"\n", 0)


def _read(descriptor: int) -> Holder | None:
    """Who holds the lock; None if the file is that of another version, or its first holder has not signed it yet."""
    try:
        return msgspec.json.decode(os.pread(descriptor, 2 * _HOLDER_BYTES, 0), type=Holder)
    except msgspec.DecodeError:
        return None


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
