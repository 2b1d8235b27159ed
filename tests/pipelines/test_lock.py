"""Who writes next: a snapshot that waits goes first, and no kill leaves the lock or the sign of a waiter behind."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipelines.progress import Silent
from pipelines.run_note import under_way
from pipelines.storage import lock
from pipelines.storage.lock import GaveWayError, LockedError, give_way, writer_lock
from tests.pipelines.conftest import Notes

#: Tells its progress and when it has the lock, line by line, and keeps it until its input ends.
PROGRAM = """
import sys
from pathlib import Path
from pipelines.progress import Silent
from pipelines.storage.lock import writer_lock

class Told(Silent):
    def note(self, message):
        print(message, flush=True)

data_dir, kind = sys.argv[1:]
with writer_lock(Path(data_dir), wait_seconds=60, is_snapshot=kind == "snapshot", progress=Told()):
    print("has it", flush=True)
    sys.stdin.read()
"""


class Writer:
    """Another process that writes."""

    def __init__(self, data_dir: Path, kind: str) -> None:
        command = [sys.executable, "-c", PROGRAM, str(data_dir), kind]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def line(self) -> str:
        """The next line that it tells."""
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def let_go(self) -> None:
        """Has it end, now or as soon as it has had the lock."""
        assert self.process.stdin
        self.process.stdin.close()


Start = Callable[[str], Writer]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[Writer] = []

    def new(kind: str) -> Writer:
        started.append(Writer(tmp_path, kind))
        return started[-1]

    yield new
    for writer in started:
        writer.process.kill()
        writer.process.wait()


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def refusal(data_dir: Path) -> str:
    """What another writer is told that does not wait."""
    with pytest.raises(LockedError) as error:
        writer_lock(data_dir).__enter__()
    return str(error.value)


def gives_way(data_dir: Path) -> bool:
    try:
        give_way(data_dir)
    except GaveWayError:
        return True
    return False


def test_a_second_writer_is_told_the_process_its_phase_and_since_when(tmp_path: Path) -> None:
    with writer_lock(tmp_path), under_way(tmp_path, "build", Silent()), pytest.raises(LockedError) as error:
        writer_lock(tmp_path).__enter__()
    since = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC"
    assert error.match(
        rf"Another civitai-etl \(process {os.getpid()}, build since {since}\) is writing to {tmp_path}: "
    )
    assert error.match("--wait")


def test_a_lock_that_an_earlier_version_holds_is_no_riddle(tmp_path: Path) -> None:
    with writer_lock(tmp_path):
        (tmp_path / "writer.lock").write_text("1234\n")
        with pytest.raises(LockedError, match=r"\(process unknown\) is writing to"):
            writer_lock(tmp_path).__enter__()


def test_the_wait_is_told_now_and_then_and_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "LINE_INTERVAL", 0.5)
    notes = Notes()
    with writer_lock(tmp_path), pytest.raises(LockedError, match=r"waited for 1 s \(CIVITAI_ETL_WAIT_MINUTES\)"):
        writer_lock(tmp_path, wait_seconds=1, is_snapshot=True, progress=notes).__enter__()
    assert len(notes.lines) == 2
    assert f"process {os.getpid()}, since" in notes.lines[0]
    assert notes.lines[0].endswith("waiting for it, at most 1 s more")
    assert not gives_way(tmp_path)


def test_a_snapshot_is_next_whoever_waited_before_it(tmp_path: Path, start: Start) -> None:
    with writer_lock(tmp_path):
        others = [start("other") for _ in range(3)]
        for other in others:
            assert "waiting for it" in other.line()
        assert not gives_way(tmp_path), "only a snapshot goes first"
        snapshot = start("snapshot")
        assert "waiting for it" in snapshot.line()
        until(lambda: gives_way(tmp_path))
        with pytest.raises(LockedError, match=f"and the snapshot of process {snapshot.process.pid} is next"):
            writer_lock(tmp_path).__enter__()
    assert snapshot.line() == "has it"
    assert not gives_way(tmp_path), "it waits no longer"
    with pytest.raises(LockedError, match=f"process {snapshot.process.pid}, since"):
        writer_lock(tmp_path).__enter__()
    for writer in (snapshot, *others):
        writer.let_go()
    assert [other.line() for other in others] == ["has it"] * 3


def test_of_two_snapshots_one_waits_for_the_other_and_keeps_the_rest_waiting(tmp_path: Path, start: Start) -> None:
    with writer_lock(tmp_path):
        snapshots = [start("snapshot") for _ in range(2)]
        for snapshot in snapshots:
            assert "waiting for it" in snapshot.line()
        until(lambda: gives_way(tmp_path))
    until(lambda: any(f"(process {snapshot.process.pid}," in refusal(tmp_path) for snapshot in snapshots))
    until(lambda: gives_way(tmp_path))
    for snapshot in snapshots:
        snapshot.let_go()
    assert [snapshot.line() for snapshot in snapshots] == ["has it"] * 2
    until(lambda: not gives_way(tmp_path))


def test_a_killed_snapshot_takes_its_sign_with_it(tmp_path: Path, start: Start) -> None:
    with writer_lock(tmp_path):
        snapshot = start("snapshot")
        until(lambda: gives_way(tmp_path))
        snapshot.process.kill()
        snapshot.process.wait()
        assert not gives_way(tmp_path)
    with writer_lock(tmp_path):
        pass


def test_a_killed_writer_leaves_the_lock_to_the_one_that_waits(tmp_path: Path, start: Start) -> None:
    holder, snapshot = start("other"), None
    assert holder.line() == "has it"
    snapshot = start("snapshot")
    assert f"process {holder.process.pid}, since" in snapshot.line()
    holder.process.kill()
    assert snapshot.line() == "has it"
