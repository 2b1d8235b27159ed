"""A note in the data directory that a phase of a run is under way, so that the next start can say how it ended.

The note is made and removed under the writer lock. So whoever holds the lock and finds a note knows that its process is
gone and could not remove it: it was killed, or the machine went down. Nothing depends on the note: raw and tables are
whole at every moment, and the next run continues without it.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from pipelines.memory import MIB, MemoryKills, budget_bytes, memory_kills
from pipelines.progress import Problem, Progress
from pipelines.settings import LEAST_MEMORY_MIB, variable
from pipelines.storage.directory import storage_errors
from pipelines.storage.lock import note_phase
from pipelines.storage.replacement import replace_text

NAME = "under-way.json"
#: Changes with every start of the machine. Linux has it.
_BOOT = Path("/proc/sys/kernel/random/boot_id")


class RunNote(msgspec.Struct, frozen=True):
    """A phase that is under way: its process, when it began, and what the kernel had counted by then."""

    phase: str
    process: int
    started_at: datetime
    boot: str | None
    kills: MemoryKills | None

    @classmethod
    def of_this_process(cls, phase: str) -> "RunNote":
        boot = _BOOT.read_text().strip() if _BOOT.exists() else None
        return cls(phase, os.getpid(), datetime.now(UTC), boot, memory_kills())


@contextmanager
def under_way(data_dir: Path, phase: str, progress: Progress) -> Iterator[None]:
    """Note for the length of the block that `phase` is under way, and say first how an earlier run was cut off.

    The caller holds the writer lock of `data_dir`.

    Raises:
        StorageError: the data directory cannot be written.
    """
    with storage_errors(data_dir):
        cut_off = cut_off_line(data_dir)
    if cut_off:
        progress.note(Problem(cut_off))
    note_phase(data_dir, phase)
    path = data_dir / NAME
    with storage_errors(data_dir):
        replace_text(path, msgspec.json.encode(RunNote.of_this_process(phase)).decode())
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def cut_off_line(data_dir: Path) -> str | None:
    """What cut off the last run, and what helps; None if it ended by itself. The caller holds the writer lock."""
    path = data_dir / NAME
    if not path.exists():
        return None
    try:
        note = msgspec.json.decode(path.read_bytes(), type=RunNote)
    except msgspec.DecodeError:  # no text, or that of another version
        return None
    return explain(note, RunNote.of_this_process(note.phase))


def explain(note: RunNote, now: RunNote) -> str:
    """What cut off the process of a note, in the light of what the kernel says `now`."""
    run = f"{note.phase} of process {note.process} that began at {note.started_at:%Y-%m-%d %H:%M:%S} UTC"
    whole = "Nothing that was loaded or published is lost, and the next run continues."
    if note.boot != now.boot:
        return f"The {run} was cut off by a restart of the machine. {whole}"
    if note.kills and now.kills and note.kills.cgroup == now.kills.cgroup and note.kills.count < now.kills.count:
        return f"The {run} was killed because memory ran out. {whole} If it happens again, {_remedy()}."
    return (
        f"The {run} was ended from outside: by a person or a program, or because memory ran out. {whole} If memory was "
        f"the cause and it happens again, {_remedy()}."
    )


def _remedy() -> str:
    more = "give this machine or its container more memory"
    budget = budget_bytes() // MIB
    return f"set {variable('memory_mib')} to less than {budget}, or {more}" if budget > LEAST_MEMORY_MIB else more
