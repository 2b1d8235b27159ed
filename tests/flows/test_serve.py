"""`civitai-etl serve` from nothing, with its own Prefect server: it runs by the clock, and ends when it is no use."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from prefect import states

from emulator.launch import launch
from flows.cli.prefect_server import PrefectServerError, check_host, prefect_server
from flows.interrupted import was_cut_off
from flows.missed import was_due
from pipelines.settings import Settings
from tests.flows.servers import free_port
from tests.soak.schedule import COMMAND, serving
from tests.soak.supervision import MIDNIGHT, are_gone, family, runs, taken_slots, wait_for, wait_for_phase

#: `civitai-etl serve` with the patience of a test.
IMPATIENT = "from flows.cli import main, serving; serving.PATIENCE, serving.PAUSE = 4, 1; main.console_script()"


@pytest.fixture(scope="module")
def emulator():
    with launch(models=60, on=datetime.now(UTC).date()) as emulator:
        yield emulator


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    """A Prefect database as an earlier server has left it: making one takes longest."""
    place = tmp_path_factory.mktemp("earlier")
    with prefect_server(Settings(data_dir=place / "data"), free_port()):
        pass
    return sorted((place / "data/prefect").glob("prefect.db*"))


@pytest.fixture
def place(database, tmp_path):
    """A folder whose data directory has a Prefect database."""
    home = tmp_path / "data/prefect"
    home.mkdir(parents=True)
    for file in database:
        shutil.copy(file, home)
    return tmp_path


def end_of(process, place):
    """Its exit code, and the lines that it has told of its end."""
    code = process.wait(timeout=60)
    told = (place / "serve.log").read_text().splitlines()
    assert not any(line.startswith("Traceback") for line in told), "\n".join(told)
    return code, [line for line in told if line.startswith("civitai-etl: ")]


def answers(server):
    try:
        urllib.request.urlopen(f"{server.api_url}/health", timeout=2).close()
    except (urllib.error.URLError, OSError):
        return False
    return True


def doctor(place, check="schedules", **variables):
    environment = os.environ | {"CIVITAI_ETL_DATA_DIR": str(place / "data"), "CIVITAI_ETL_DAILY_CRON": "* * * * *"}
    ended = subprocess.run(
        [COMMAND, "doctor"], env=environment | variables, cwd=place, capture_output=True, text=True, check=False
    )
    (line,) = (line for line in ended.stdout.splitlines() if f"  {check}  " in line)
    return " ".join(line.split())


def test_the_clock_starts_runs_and_a_server_that_dies_ends_serve(emulator, tmp_path):
    """Whatever proxy there is, and if it does not answer: all of it is on loopback."""
    proxies = dict.fromkeys(("HTTP_PROXY", "ALL_PROXY"), f"http://127.0.0.1:{free_port()}")
    assert doctor(tmp_path, "Prefect server").startswith("ok Prefect server no `civitai-etl serve` is running")
    with serving(tmp_path, emulator.api_url, **proxies) as (process, server):
        daily = server.deployment("daily_snapshot/daily", seconds=120)
        run = server.first_run(daily, "Completed")
        assert run["auto_scheduled"]
        assert {row["key"]: row["type"] for row in server.artifacts(run["id"])} == {
            "row-counts": "table",
            "daily-snapshot": "markdown",
            "daily-snapshot-progress": "progress",
        }
        assert (tmp_path / "data/analytics.duckdb").exists()
        assert "daily_snapshot/daily runs next at 20" in (line := doctor(tmp_path, **proxies)), line
        assert ", refresh/hourly runs next at 20" in line
        began = time.monotonic()
        os.kill(family(process.pid)["server"], signal.SIGKILL)
        code, lines = end_of(process, tmp_path)
        assert code == 1
        (line,) = lines
        assert line.startswith("civitai-etl: The Prefect server ended with code -9 (see ")
        assert time.monotonic() - began < 60
    assert doctor(tmp_path, "Prefect server").startswith("ok Prefect server no `civitai-etl serve` is running")


def test_a_proxy_that_prefect_could_not_load_is_told_before_anything_starts(tmp_path):
    environment = os.environ | {"ALL_PROXY": "socks5://me:hidden@proxy.invalid:1080"}
    ended = subprocess.run(
        [COMMAND, "serve"], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith("civitai-etl: ALL_PROXY: a SOCKS proxy is not supported; ")
    assert len(ended.stderr.splitlines()) == 1
    assert not any(tmp_path.iterdir())


@pytest.mark.soak
def test_a_kill_of_serve_leaves_no_process_and_the_missed_night_goes_on_at_the_next_start(emulator, place):
    """A night that was missed begins at the start of `serve`, and is one run, whatever happens to its processes."""
    emulator.order_faults("slow=60 path=/models times=1")
    with serving(place, emulator.api_url, **MIDNIGHT) as (process, server):
        wait_for_phase(place, process, "crawl")
        assert "daily_snapshot/daily: the run of today was missed; " in (place / "serve.log").read_text()
        holder = f"Another `civitai-etl serve` (process {process.pid}) works for {place}/data"
        advice = "end it first, or set CIVITAI_ETL_DATA_DIR to another directory."
        assert second_serve(place) == f"civitai-etl: {holder}: {advice}\n"
        pids = family(process.pid)
        assert pids.keys() == {"serve", "server", "run"}
        process.kill()
        wait_for(place, "the server and the run end with it", lambda: are_gone(pids.values()))
        assert not answers(server)
    ((name, state),) = runs(place)
    assert state == "Running"
    with sqlite3.connect(place / "data/prefect/prefect.db", timeout=30) as connection:
        # As a process leaves it that dies before it gives its slot back.
        connection.execute("update concurrency_limit_v2 set active_slots = 1")
    with serving(place, emulator.api_url, **MIDNIGHT) as (process, _):
        wait_for(place, "the run is completed", lambda: runs(place) == [(name, "Completed")])
        wait_for(place, "its slot is free", lambda: taken_slots(place) == 0)
        told = (place / "serve.log").read_text()
        assert f"The run {name} had lost its process and is marked as crashed" in told
        assert f"the run {name} of today was cut off and goes on" in told
    log = (place / "data/prefect/server.log").read_text()
    assert log.count("Check out the dashboard") == 2, "the log goes on over restarts"


def second_serve(place):
    environment = os.environ | {"CIVITAI_ETL_DATA_DIR": str(place / "data")}
    ended = subprocess.run(
        [COMMAND, "serve"], env=environment, cwd=place, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 1
    return ended.stderr


@pytest.mark.parametrize(
    ("state", "cut_off"),
    [
        (states.Cancelled(message="Runner is shutting down."), True),
        (states.Cancelled(message="Another civitai-etl is writing"), False),
        (states.Crashed(), True),
        (states.Failed(), False),
        (states.Completed(), False),
        (states.AwaitingRetry(), False),
    ],
)
def test_a_run_that_ended_by_itself_or_by_a_person_was_not_cut_off(state, cut_off):
    assert was_cut_off(state) is cut_off


@pytest.mark.parametrize(
    ("cron", "now", "is_due"),
    [
        ("0 3 * * *", "02:59:59", False),
        ("0 3 * * *", "03:00:00", True),
        ("0 0 * * *", "00:00:00", True),
        ("0 3 * * *", "23:59:59", True),
        # A Thursday: not the Mondays of another schedule.
        ("0 3 * * 1", "12:00:00", False),
        ("0 3 * * 4", "12:00:00", True),
    ],
)
def test_a_night_was_due_once_its_time_of_today_has_passed(cron, now, is_due):
    assert was_due(cron, datetime.fromisoformat(f"2026-11-26T{now}+00:00")) is is_due


@pytest.mark.soak
def test_a_background_service_that_keeps_failing_ends_serve_and_its_server(emulator, place):
    with serving(place, emulator.api_url, sys.executable, "-c", IMPATIENT) as (process, server):
        server.deployment("daily_snapshot/daily", seconds=120)
        with sqlite3.connect(place / "data/prefect/prefect.db", timeout=30) as connection:
            # Of all that the interface shows only the status of work pools needs it.
            connection.execute("alter table worker rename to gone")
        code, lines = end_of(process, place)
        assert code == 1, lines
        (line,) = lines
        assert "The background service " in line
        assert " of the Prefect server fails again and again (see " in line
    assert not answers(server)


def test_a_given_server_is_judged_by_what_it_should_have_done(place, monkeypatch):
    monkeypatch.setenv("PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED", "false")
    with prefect_server(Settings(data_dir=place / "data"), free_port()) as given:
        environment = os.environ | {"PREFECT_API_URL": given.api_url, "CIVITAI_ETL_DATA_DIR": str(place / "own")}
        # Or `serve` would make up for the run of today.
        environment["CIVITAI_ETL_DAILY_CRON"] = "59 23 * * *"
        program = [sys.executable, "-c", IMPATIENT, "serve"]
        ended = subprocess.run(
            program, env=environment, cwd=place, capture_output=True, text=True, timeout=120, check=False
        )
        assert ended.returncode == 1
        told = [line for line in ended.stderr.splitlines() if line.startswith("civitai-etl: ")]
        assert told in (
            [f"civitai-etl: {name} has a schedule but no next run, for {seconds} seconds."]
            for name in ("daily_snapshot/daily", "refresh/hourly")
            for seconds in range(4, 30)
        ), ended.stderr
        line = doctor(place, PREFECT_API_URL=given.api_url)
        assert line.startswith("PROBLEM schedules ")
        assert "daily_snapshot/daily has a schedule but no next run" in line
        # The server is not ours to end.
        assert given.ended() is None


@pytest.mark.parametrize(
    ("host", "variables", "is_allowed"),
    [
        ("127.0.0.1", {}, True),
        ("::1", {}, True),
        ("localhost", {}, True),
        ("0.0.0.0", {}, False),
        ("0.0.0.0", {"PREFECT_SERVER_API_AUTH_STRING": "me:secret"}, True),
        # What only the client shows, the server does not ask for.
        ("192.0.2.1", {"PREFECT_API_AUTH_STRING": "me:secret"}, False),
    ],
)
def test_prefects_pages_are_offered_to_other_machines_only_with_a_password(host, variables, is_allowed, monkeypatch):
    monkeypatch.delenv("PREFECT_SERVER_API_AUTH_STRING", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with nullcontext() if is_allowed else pytest.raises(PrefectServerError, match="set PREFECT_SERVER_API_AUTH_STRING"):
        check_host(host)


def test_serve_works_with_a_server_that_asks_for_a_password_and_a_service_manager_ends_both_and_the_run(
    emulator, place
):
    emulator.order_faults("slow=60 path=/models times=1")
    password = {"PREFECT_SERVER_API_AUTH_STRING": "me:secret"}
    options = ("--host", "0.0.0.0")
    with serving(place, emulator.api_url, options=options, **MIDNIGHT, **password) as (process, server):
        wait_for_phase(place, process, "crawl")
        with pytest.raises(urllib.error.HTTPError, match="401"):
            server.ask("/deployments/filter")
        assert "refresh/hourly runs next at 20" in doctor(place, **password)
        settings = json.loads(urllib.request.urlopen(server.api_url.replace("/api", "/ui-settings"), timeout=30).read())
        assert (settings["api_url"], settings["auth"]) == ("/api", "BASIC")
        pids = family(process.pid)
        for pid in pids.values():
            os.kill(pid, signal.SIGTERM)
        assert process.wait(timeout=120) == 0
        assert are_gone(pids.values())
    ((_, state),) = runs(place)
    assert state in {"Cancelled", "Crashed"}
    assert taken_slots(place) == 0


@contextmanager
def a_server_that_refuses(port=0):
    """Every request is answered 401; the port."""

    class Refuses(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(401)
            self.end_headers()

        do_POST = do_PATCH = do_GET  # noqa: N815

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", port), Refuses) as refusing:
        threading.Thread(target=refusing.serve_forever, daemon=True).start()
        yield refusing.server_port
        refusing.shutdown()


ADVICE = "set PREFECT_API_AUTH_STRING to its user:password (PREFECT_API_KEY for Prefect Cloud)."


def test_a_server_that_wants_another_password_is_told_in_one_line(tmp_path):
    with a_server_that_refuses() as port:
        api_url = f"http://127.0.0.1:{port}/api"
        environment = os.environ | {"PREFECT_API_URL": api_url, "CIVITAI_ETL_DATA_DIR": str(tmp_path / "data")}
        ended = subprocess.run(
            [COMMAND, "serve"], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
        )
    assert ended.returncode == 1
    assert ended.stderr == f"civitai-etl: The Prefect server at {api_url} answers 401: {ADVICE}\n"


@pytest.mark.parametrize("answers_401", [True, pytest.param(False, marks=pytest.mark.soak)])
def test_a_given_server_that_is_lost_while_a_run_works_is_told_in_one_line(answers_401, emulator, place):
    emulator.order_faults("slow=60 path=/models times=1")
    port = free_port()
    with prefect_server(Settings(data_dir=place / "data"), port) as given:
        own = place / "own"
        own.mkdir()
        variables = {"PREFECT_API_URL": given.api_url, **MIDNIGHT}
        with serving(own, emulator.api_url, sys.executable, "-c", IMPATIENT, **variables) as (process, _):
            wait_for_phase(own, process, "crawl")
            pids = family(process.pid)
            before = (own / "serve.log").read_text()
            given.process.kill()
            given.process.wait()
            with a_server_that_refuses(port) if answers_401 else nullcontext():
                assert process.wait(timeout=120) == 1
            assert are_gone(pids.values())
        lines = (own / "serve.log").read_text().removeprefix(before).splitlines()
        assert len(lines) == 1, lines
        told = f"answers 401: {ADVICE}" if answers_401 else "does not answer"
        assert lines[0].startswith(f"civitai-etl: The Prefect server at {given.api_url} {told}")


def test_a_given_server_that_does_not_answer_is_told_in_one_line(tmp_path):
    nowhere = f"http://127.0.0.1:{free_port()}/api"
    environment = os.environ | {"PREFECT_API_URL": nowhere, "CIVITAI_ETL_DATA_DIR": str(tmp_path / "data")}
    ended = subprocess.run(
        [COMMAND, "serve"], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"civitai-etl: The Prefect server at {nowhere} does not answer: ")
    assert doctor(tmp_path, "Prefect server", PREFECT_API_URL=nowhere).startswith(
        f"PROBLEM Prefect server The Prefect server at {nowhere} does not answer"
    )
