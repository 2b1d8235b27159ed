"""`python -m tests.soak.supervision`: kill each process of `civitai-etl serve` in each phase, and start `serve` again.

`serve` itself, its Prefect server and the process of a run get SIGTERM or SIGKILL while a run crawls or builds; or all
of them get SIGTERM as from a service manager, or SIGINT as from Ctrl-C. Afterwards no process is left of what has to
end, and the port is free. The next start has the snapshot of the day complete, by the same run, with no run that is
Running or Pending and no slot taken.
"""

import argparse
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import msgspec

from emulator.launch import launch
from pipelines.run_note import NAME
from tests.soak.schedule import serving

#: Due at midnight: each start finds the run of today missed. The pauses before another attempt are those of a test;
#: Prefect reads its settings when it is imported, so they are set when `serve` has its server.
PROGRAM = """\
from datetime import timedelta
from flows.cli import main, serving
serve = serving._serve
def impatient(*arguments):
    from flows import retries
    retries.FIRST_PAUSE = timedelta(seconds=1)
    serve(*arguments)
serving._serve, serving.PAUSE = impatient, 2
main.console_script()
"""
#: No refresh comes between at half past.
MIDNIGHT = {
    "CIVITAI_ETL_DAILY_CRON": "0 0 * * *",
    "CIVITAI_ETL_REFRESH_CRON": "59 23 * * *",
    "PREFECT_RUNNER_POLL_FREQUENCY": "1",
}
SIGNALS = {"TERM": signal.SIGTERM, "KILL": signal.SIGKILL, "INT": signal.SIGINT}
#: Who gets which signal. A server that gets SIGTERM goes on: `serve` ends it when the runs have reported.
KILLS = (
    *(("serve", "TERM"), ("serve", "KILL"), ("serve", "INT"), ("server", "TERM"), ("server", "KILL")),
    *(("run", "TERM"), ("run", "KILL"), ("all", "TERM"), ("terminal", "INT")),
)
PHASES = ("crawl", "build")
#: Seconds for a step on a busy machine.
PATIENCE = 600


@dataclass(frozen=True)
class Process:
    pid: int
    parent: int
    group: int
    command: str


def processes() -> list[Process]:
    listed = subprocess.run(["ps", "-eo", "pid=,ppid=,pgid=,args="], capture_output=True, text=True, check=True).stdout
    rows = (line.split(None, 3) for line in listed.splitlines())
    return [Process(int(pid), int(parent), int(group), command) for pid, parent, group, command in rows]


def family(pid: int) -> dict[str, int]:
    """The ids of `serve`, its server and the run of it that is at work."""
    children = [one for one in processes() if one.parent == pid]
    named = {"server": "prefect server start", "run": "prefect.engine"}
    found = {name: one.pid for name, words in named.items() for one in children if words in one.command}
    return {"serve": pid, **found}


def wait_for(place: Path, what: str, is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not is_so():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {PATIENCE} s: {what}\n{(place / 'serve.log').read_text()}")
        time.sleep(0.05)


def wait_for_phase(place: Path, process: subprocess.Popen, phase: str) -> None:
    """Wait until the run of that `serve` is in this phase."""
    wait_for(place, f"a run is at {phase}", lambda: is_at(place, phase, process.pid))


def is_at(place: Path, phase: str, pid: int) -> bool:
    try:
        note = msgspec.json.decode((place / "data" / NAME).read_bytes())
    except (FileNotFoundError, msgspec.DecodeError):
        return False
    return note["phase"] == phase and note["process"] == family(pid).get("run")


def are_gone(pids: Iterable[int]) -> bool:
    alive = {one.pid for one in processes() if "<defunct>" not in one.command}
    return alive.isdisjoint(pids)


def snapshots(place: Path) -> list[tuple[object, str]]:
    analytics = place / "data/analytics.duckdb"
    if not analytics.exists():
        return []
    with duckdb.connect(str(analytics), read_only=True) as connection:
        return connection.execute("select snapshot_date, status from star.ops_snapshot order by all").fetchall()


def runs(place: Path) -> list[tuple[str, str]]:
    """Name and state of the daily runs that have begun, by the database of Prefect."""
    with sqlite3.connect(place / "data/prefect/prefect.db", timeout=30) as connection:
        return connection.execute(
            "select flow_run.name, state_name from flow_run join flow on flow.id = flow_id "
            "where flow.name = 'daily_snapshot' and state_name <> 'Scheduled' order by flow_run.created"
        ).fetchall()


def taken_slots(place: Path) -> int:
    with sqlite3.connect(place / "data/prefect/prefect.db", timeout=30) as connection:
        return connection.execute("select sum(active_slots) from concurrency_limit_v2").fetchone()[0]


def send(whom: str, name: str, pids: dict[str, int]) -> None:
    # A service manager reaches every process, a terminal those of its group.
    group = {one.pid for one in processes() if one.group == os.getpgid(pids["serve"])}
    receivers = {"all": list(pids.values()), "terminal": [pid for pid in pids.values() if pid in group]}
    for pid in receivers[whom] if whom in receivers else [pids[whom]]:
        os.kill(pid, SIGNALS[name])


def kill(whom: str, name: str, phase: str, place: Path) -> list[str]:
    """One case, in a directory whose Prefect database is there already; returns what was not right."""
    problems = []
    with launch(models=60, on=datetime.now(UTC).date()) as emulator:
        if phase == "crawl":
            emulator.order_faults("slow=60 path=/models times=1")
        with serving(place, emulator.api_url, sys.executable, "-c", PROGRAM, **MIDNIGHT) as (process, server):
            wait_for_phase(place, process, phase)
            pids = family(process.pid)
            port = int(server.api_url.rpartition(":")[2].removesuffix("/api"))
            emulator.order_faults("")
            send(whom, name, pids)
            began = time.monotonic()
            if whom == "run":
                # `serve` lives on, and so does the run.
                wait_for(place, "its process ends", lambda: are_gone([pids["run"]]))
                wait_for(place, "the snapshot is complete", lambda: [s for _, s in snapshots(place)] == ["complete"])
                wait_for(place, "the run is completed", lambda: [state for _, state in runs(place)] == ["Completed"])
            elif (whom, name) != ("server", "TERM"):
                wait_for(place, "all processes end", lambda: are_gone(pids.values()) and process.poll() is not None)
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        problems.append(f"something still listens on port {port}")
            seconds = time.monotonic() - began
        after = runs(place)
        told = (place / "serve.log").read_text()
        if name != "KILL" and whom in {"serve", "all", "terminal"} and any(state == "Running" for _, state in after):
            problems.append(f"a run stays Running after the end of serve: {after}")
        with serving(place, emulator.api_url, sys.executable, "-c", PROGRAM, **MIDNIGHT) as (process, server):
            try:
                wait_for(place, "the snapshot is complete", lambda: [s for _, s in snapshots(place)] == ["complete"])
                wait_for(place, "the run is completed", lambda: {state for _, state in runs(place)} == {"Completed"})
                wait_for(place, "the slots are free", lambda: taken_slots(place) == 0)
            except AssertionError as error:
                problems.append(f"{error}: {runs(place)}, {snapshots(place)}, {taken_slots(place)} slots taken")
        if len(runs(place)) != 1:
            problems.append(f"the day had more than one run: {runs(place)}")
        again = (place / "serve.log").read_text()
    print(f"{whom:8} {name:4} {phase:5} {seconds:5.1f} s, {after} -> {runs(place)}; {problems or 'good'}", flush=True)
    return [f"{whom} {name} {phase}: {problem}\n{told}\n{again}" for problem in problems]


def prepare(folder: Path) -> Path:
    """A Prefect database that is there already: making one takes longest."""
    place = folder / "prepared"
    place.mkdir()
    with serving(place, "http://127.0.0.1:9/api/v1", CIVITAI_ETL_DAILY_CRON="0 3 29 2 *") as (_, server):
        server.deployment("sync_vault/on-demand", seconds=PATIENCE)
    return place


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--only", nargs=3, metavar=("WHO", "SIGNAL", "PHASE"), help="one case, such as serve KILL build"
    )
    options = parser.parse_args(arguments)
    cases = [tuple(options.only)] if options.only else [(*one, phase) for one in KILLS for phase in PHASES]
    problems = []
    with TemporaryDirectory(prefix="supervision-") as folder:
        prepared = prepare(Path(folder))
        for whom, name, phase in cases:
            place = Path(folder, f"{whom}-{name}-{phase}")
            shutil.copytree(prepared, place)
            problems += kill(whom, name, phase, place)
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
