"""A run that is cut off leaves a note, and the next one says from it what happened and what helps."""

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from pipelines.memory import MIB, MemoryKills, budget_bytes
from pipelines.run_note import NAME, RunNote, cut_off_line, explain, under_way
from tests.pipelines.conftest import Notes

KILLED = """
import os, signal, sys
from pathlib import Path
from pipelines.progress import Silent
from pipelines.run_note import under_way
with under_way(Path(sys.argv[1]), "build", Silent()):
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def note() -> RunNote:
    return replaced(RunNote.of_this_process("build"), kills=MemoryKills("/cgroup/a", 1))


def replaced(note: RunNote, **fields: object) -> RunNote:
    return msgspec.structs.replace(note, **fields)


def test_a_run_that_ends_by_itself_leaves_no_note(tmp_path: Path) -> None:
    notes = Notes()
    with under_way(tmp_path, "crawl", notes):
        assert msgspec.json.decode((tmp_path / NAME).read_bytes())["process"] == os.getpid()
    with pytest.raises(ZeroDivisionError), under_way(tmp_path, "build", notes):
        _ = 1 / 0
    with pytest.raises(KeyboardInterrupt), under_way(tmp_path, "build", notes):
        raise KeyboardInterrupt
    assert cut_off_line(tmp_path) is None
    assert notes.lines == []


def test_the_run_after_a_kill_says_once_what_happened(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", KILLED, tmp_path])
    assert process.wait() == -9
    notes = Notes()
    for _ in range(2):
        with under_way(tmp_path, "crawl", notes):
            pass
    (line,) = notes.lines
    assert line.startswith(f"The build of process {process.pid} that began at 20")
    assert "was ended from outside" in line
    assert "Nothing that was loaded or published is lost" in line


def test_a_note_that_cannot_be_read_does_not_stop_a_run(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text('{"phase": "bui')
    with under_way(tmp_path, "crawl", Notes()):
        pass
    assert not (tmp_path / NAME).exists()


def test_a_kill_that_the_kernel_has_counted_was_for_memory(note: RunNote) -> None:
    line = explain(note, replaced(note, kills=MemoryKills("/cgroup/a", 2)))
    assert "was killed because memory ran out" in line
    assert f"set CIVITAI_ETL_MEMORY_MIB to less than {budget_bytes() // MIB}, or give this machine" in line


@pytest.mark.parametrize("kills", [None, MemoryKills("/cgroup/a", 1), MemoryKills("/cgroup/b", 7)])
def test_without_such_a_count_memory_is_only_one_possible_cause(note: RunNote, kills: MemoryKills | None) -> None:
    assert "or because memory ran out" in explain(note, replaced(note, kills=kills))


def test_a_restart_of_the_machine_is_no_reason_to_change_a_setting(note: RunNote) -> None:
    line = explain(note, replaced(note, boot="another", kills=MemoryKills("/cgroup/a", 2)))
    assert "was cut off by a restart of the machine" in line
    assert "CIVITAI_ETL_MEMORY_MIB" not in line


def test_the_least_budget_cannot_be_lowered(note: RunNote, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CIVITAI_ETL_MEMORY_MIB", "512")
    budget_bytes.cache_clear()
    try:
        line = explain(note, note)
    finally:
        budget_bytes.cache_clear()
    assert line.endswith("and it happens again, give this machine or its container more memory.")
