"""Processes that end with the one that started them, and records that tell them from others with their number."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from flows.cli.server_log import write_log
from flows.cli.watchdog import ServerLog
from flows.deployments import deployments
from flows.supervised import SupervisedProcess, began, end_left_behind, record, recorded
from pipelines.settings import Settings

#: Starts a supervised child that sleeps and prints when it is ready, and waits for it.
PARENT = """\
import os, subprocess, sys
child = [sys.executable, "-P", "-m", "flows.supervised", str(os.getpid()), sys.argv[1], "-c"]
child.append("import time; print('ready', flush=True); time.sleep(600)")
subprocess.run(child)
"""
#: Imports a module as the process of a run does, and tells whether the process is recorded as one of its parent.
RUN = """\
import importlib, os, pathlib, sys
os.environ["_CIVITAI_ETL_SERVE"] = f"{os.getppid()} {sys.argv[1]}"
os.environ["PREFECT__FLOW_RUN_ID"] = "run"
importlib.import_module(sys.argv[2])
print(pathlib.Path(sys.argv[1], "run.json").exists())
"""


def is_within(seconds, is_so):
    deadline = time.monotonic() + seconds
    while not is_so() and time.monotonic() < deadline:
        time.sleep(0.05)
    return is_so()


@pytest.fixture
def family(tmp_path):
    """A process and its supervised child, and the directory with the child's record."""
    path = tmp_path / "child.json"
    with subprocess.Popen([sys.executable, "-c", PARENT, path], stdout=subprocess.PIPE) as parent:
        assert parent.stdout.readline() == b"ready\n"
        ((_, child),) = recorded(tmp_path)
        yield parent, child, tmp_path
        parent.kill()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux kills the children of a process with it")
def test_a_child_ends_with_a_parent_that_is_killed_and_does_not_take_sigterm(family):
    parent, child, _ = family
    os.kill(child.process, signal.SIGTERM)
    time.sleep(0.2)
    assert child.is_alive()
    parent.kill()
    assert is_within(10, lambda: not child.is_alive())


def test_what_was_left_behind_is_ended_by_its_record(family):
    _, child, directory = family
    assert end_left_behind(directory) == [child.process]
    assert not child.is_alive()
    assert end_left_behind(directory) == []


def test_a_process_that_only_has_the_number_of_a_recorded_one_is_left_alone(tmp_path):
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as other:
        mark = {"process": other.pid, "began": f"{began(os.getpid())}-before"}
        (tmp_path / "run.json").write_text(json.dumps(mark))
        assert end_left_behind(tmp_path) == []
        assert other.poll() is None
        other.kill()


def test_a_record_is_that_of_the_process_while_it_runs(tmp_path):
    record(tmp_path / "own.json")
    (tmp_path / "damaged.json").write_text("")
    assert [one for _, one in recorded(tmp_path)] == [SupervisedProcess(os.getpid(), began(os.getpid()))]
    ended = subprocess.Popen([sys.executable, "-c", ""])
    before = began(ended.pid)
    ended.wait()
    assert before is not None
    assert not SupervisedProcess(ended.pid, before).is_alive()


def test_the_log_of_a_server_goes_on_and_keeps_a_bounded_size(tmp_path):
    path = tmp_path / "server.log"
    path.write_bytes(b"of the last start\n")
    lines = [b"line %03d\n" % number for number in range(100)]
    write_log(lines[:10], path, largest=200, kept=2)
    assert path.read_bytes() == b"of the last start\n" + b"".join(lines[:10])
    write_log(lines[10:], path, largest=200, kept=2)
    files = [tmp_path / name for name in ("server.log.2", "server.log.1", "server.log")]
    assert sorted(files) == sorted(tmp_path.iterdir())
    assert all(file.stat().st_size <= 200 for file in files)
    kept = b"".join(file.read_bytes() for file in files)
    assert b"".join(lines).endswith(kept)
    assert len(kept) > 400


def test_the_watchdog_reads_each_line_once_over_a_rotation_and_none_of_an_earlier_server(tmp_path):
    path = tmp_path / "server.log"

    def errors_of(function):
        return [f"15:43:52.202 | ERROR   | docket.dependencies - ↩ [    11ms] {function}(){{x}}\n".encode()]

    write_log(errors_of("before"), path)
    log = ServerLog(path)
    log.skip()
    write_log(errors_of("first"), path)
    write_log(errors_of("second"), path, largest=1)
    found = log.amiss(0)
    assert [name for name in ("before", "first", "second") if any(f" {name} " in line for line in found)] == [
        "first",
        "second",
    ]
    assert log.amiss(1000) == set()


@pytest.mark.parametrize("module", sorted({one.flow.fn.__module__ for one in deployments(Settings())}))
def test_the_run_of_every_deployment_joins_serve_before_it_begins(tmp_path, module):
    command = [sys.executable, "-c", RUN, tmp_path, module]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ended.stdout == "True\n"
    assert not list(tmp_path.iterdir()), "a run that ends is forgotten"
