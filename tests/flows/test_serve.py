"""`civitai-etl serve` from nothing, with its own Prefect server: it runs by the clock, and ends when it is no use."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime

import pytest
from prefect import states

from emulator.launch import launch
from flows.cli.prefect_server import prefect_server
from flows.interrupted import was_cut_off
from pipelines.settings import Settings
from tests.flows.servers import free_port
from tests.soak.schedule import COMMAND, serving

#: `civitai-etl serve` with the patience of a test.
IMPATIENT = "from flows.cli import main, serving; serving.PATIENCE, serving.PAUSE = 4, 1; main.console_script()"


@pytest.fixture(scope="module")
def emulator():
    with launch(models=60, on=datetime.now(UTC).date()) as emulator:
        yield emulator


def end_of(process, place):
    """Its exit code, and the lines that it has told of its end."""
    code = process.wait(timeout=60)
    told = (place / "serve.log").read_text().splitlines()
    assert not any(line.startswith("Traceback") for line in told), told
    return code, [line for line in told if line.startswith("civitai-etl: ")]


def answers(server):
    try:
        urllib.request.urlopen(f"{server.api_url}/health", timeout=2).close()
    except (urllib.error.URLError, OSError):
        return False
    return True


def doctor(place, **variables):
    environment = os.environ | {"CIVITAI_ETL_DATA_DIR": str(place / "data"), "CIVITAI_ETL_DAILY_CRON": "* * * * *"}
    ended = subprocess.run(
        [COMMAND, "doctor"], env=environment | variables, cwd=place, capture_output=True, text=True, check=False
    )
    (line,) = (line for line in ended.stdout.splitlines() if " schedules: " in line)
    return line.strip()


def test_the_clock_starts_runs_and_a_server_that_dies_ends_serve(emulator, tmp_path):
    """Whatever proxy there is, and if it does not answer: all of it is on loopback."""
    proxies = dict.fromkeys(("HTTP_PROXY", "ALL_PROXY"), f"http://127.0.0.1:{free_port()}")
    assert doctor(tmp_path) == "ok       schedules: no `civitai-etl serve` is running on this data directory"
    with serving(tmp_path, emulator.api_url, **proxies) as (process, server):
        daily = server.deployment("daily_snapshot/daily", seconds=120)
        run = server.first_run(daily, "Completed")
        assert run["auto_scheduled"]
        assert {row["key"]: row["type"] for row in server.artifacts(run["id"])} == {
            "row-counts": "table",
            "daily-snapshot": "markdown",
        }
        assert (tmp_path / "data/analytics.duckdb").exists()
        assert "daily_snapshot/daily runs next at 20" in (line := doctor(tmp_path, **proxies)), line
        assert ", refresh/hourly runs next at 20" in line
        (pid,) = children(process.pid, "prefect server start")
        began = time.monotonic()
        os.kill(pid, 9)
        code, lines = end_of(process, tmp_path)
        assert code == 1
        (line,) = lines
        assert line.startswith("civitai-etl: The Prefect server ended with code -9 (see ")
        assert time.monotonic() - began < 30
    assert doctor(tmp_path) == "ok       schedules: no `civitai-etl serve` is running on this data directory"


def test_a_proxy_that_prefect_could_not_load_is_told_before_anything_starts(tmp_path):
    environment = os.environ | {"ALL_PROXY": "socks5://me:hidden@proxy.invalid:1080"}
    ended = subprocess.run(
        [COMMAND, "serve"], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith("civitai-etl: ALL_PROXY: a SOCKS proxy is not supported; ")
    assert len(ended.stderr.splitlines()) == 1
    assert not any(tmp_path.iterdir())


def children(pid, command):
    listed = subprocess.run(["ps", "--ppid", str(pid), "-o", "pid=,args="], capture_output=True, text=True, check=True)
    return [int(line.split()[0]) for line in listed.stdout.splitlines() if command in line]


def test_a_night_that_was_cut_off_goes_on_when_serve_is_back(emulator, tmp_path):
    at_three = {"CIVITAI_ETL_DAILY_CRON": "0 3 * * *"}
    emulator.order_faults("slow=30 path=/models times=1")
    with serving(tmp_path, emulator.api_url, **at_three) as (process, server):
        daily = server.deployment("daily_snapshot/daily", seconds=120)
        run = server.run(daily, {})
        server.state_of_name(run, "Running")
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0
    emulator.order_faults("")
    # As a process leaves it that dies before it gives its slot back.
    with sqlite3.connect(tmp_path / "data/prefect/prefect.db", timeout=30) as connection:
        connection.execute("update concurrency_limit_v2 set active_slots = 1")
    with serving(tmp_path, emulator.api_url, **at_three) as (process, server):
        server.deployment("daily_snapshot/daily", seconds=120)
        server.state_of_name(run, "Completed", seconds=120)
        assert "of today was cut off and goes on" in (tmp_path / "serve.log").read_text()


@pytest.mark.parametrize(
    ("state", "is_alone", "cut_off"),
    [
        (states.Cancelled(message="Runner is shutting down."), False, True),
        (states.Cancelled(message="Another civitai-etl is writing"), True, False),
        (states.Crashed(), False, True),
        (states.Running(), True, True),
        (states.Running(), False, False),
        (states.Failed(), True, False),
        (states.Completed(), True, False),
        (states.AwaitingRetry(), True, False),
    ],
)
def test_a_run_that_ended_by_itself_or_by_a_person_was_not_cut_off(state, is_alone, cut_off):
    assert was_cut_off(state, is_alone=is_alone) is cut_off


def test_a_background_service_that_keeps_failing_ends_serve_and_its_server(emulator, tmp_path):
    with serving(tmp_path, emulator.api_url, sys.executable, "-c", IMPATIENT) as (process, server):
        server.deployment("daily_snapshot/daily", seconds=120)
        with sqlite3.connect(tmp_path / "data/prefect/prefect.db", timeout=30) as connection:
            # Of all that the interface shows only the status of work pools needs it.
            connection.execute("alter table worker rename to gone")
        code, lines = end_of(process, tmp_path)
        assert code == 1, lines
        (line,) = lines
        assert "The background service " in line
        assert " of the Prefect server fails again and again (see " in line
    assert not answers(server)


def test_a_given_server_is_judged_by_what_it_should_have_done(tmp_path, monkeypatch):
    monkeypatch.setenv("PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED", "false")
    with prefect_server(Settings(data_dir=tmp_path), free_port()) as given:
        environment = os.environ | {"PREFECT_API_URL": given.api_url, "CIVITAI_ETL_DATA_DIR": str(tmp_path / "data")}
        program = [sys.executable, "-c", IMPATIENT, "serve"]
        ended = subprocess.run(
            program, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
        )
        assert ended.returncode == 1
        told = [line for line in ended.stderr.splitlines() if line.startswith("civitai-etl: ")]
        assert told in (
            [f"civitai-etl: {name} has a schedule but no next run, for {seconds} seconds."]
            for name in ("daily_snapshot/daily", "refresh/hourly")
            for seconds in range(4, 30)
        ), ended.stderr
        line = doctor(tmp_path, PREFECT_API_URL=given.api_url)
        assert line.startswith("PROBLEM  schedules: ")
        assert "daily_snapshot/daily has a schedule but no next run" in line
        # The server is not ours to end.
        assert given.ended() is None


def test_a_given_server_that_does_not_answer_is_told_in_one_line(tmp_path):
    nowhere = f"http://127.0.0.1:{free_port()}/api"
    environment = os.environ | {"PREFECT_API_URL": nowhere, "CIVITAI_ETL_DATA_DIR": str(tmp_path / "data")}
    ended = subprocess.run(
        [COMMAND, "serve"], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"civitai-etl: The Prefect server at {nowhere} does not take the deployments: ")
    assert doctor(tmp_path, PREFECT_API_URL=nowhere).startswith(
        f"PROBLEM  schedules: The Prefect server at {nowhere} does not answer"
    )
