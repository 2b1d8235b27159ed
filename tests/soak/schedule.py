"""`python -m tests.soak.schedule`: `civitai-etl serve`, started from nothing, runs by the clock alone for five minutes.

With a schedule of every minute it has two completed runs at least, each with its artifacts, and no error in its
server's log: first on SQLite, then on PostgreSQL, in a cluster of its own that ends with it. At last it is given a
server that schedules nothing, and has to end by itself after three minutes.
"""

import argparse
import os
import pwd
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from emulator.launch import launch
from flows.cli.prefect_server import prefect_server
from pipelines.settings import Settings
from tests.flows.servers import Server, free_port

COMMAND = Path(sys.executable).with_name("civitai-etl")
POSTGRESQL = "/usr/lib/postgresql"
EVERY_MINUTE = "* * * * *"
#: The artifacts of a daily run.
KEYS = ["daily-snapshot", "daily-snapshot-progress", "row-counts"]
PARTS = ("sqlite", "postgresql", "no-scheduler")


@contextmanager
def serving(
    place: Path, api_url: str, *program: str, options: Sequence[str] = (), **variables: str
) -> Iterator[tuple[subprocess.Popen, Server]]:
    """`serve` with a schedule of every minute and a Prefect server of its own; ends both with the block."""
    program = program or (str(COMMAND),)
    port = free_port()
    environment = os.environ | {
        "CIVITAI_ETL_DATA_DIR": str(place / "data"),
        "CIVITAI_ETL_API_URL": api_url,
        "CIVITAI_ETL_REQUESTS_PER_SECOND": "0",
        "CIVITAI_ETL_DAILY_CRON": EVERY_MINUTE,
    }
    with (
        (place / "serve.log").open("wb") as log,
        subprocess.Popen(
            [*program, "serve", "--port", str(port), *options],
            env=environment | variables,
            cwd=place,
            stdout=log,
            stderr=log,
        ) as process,
    ):
        try:
            yield process, Server(f"http://127.0.0.1:{port}/api", place / "data/prefect")
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=120)


def run(minutes: float, **variables: str) -> list[str]:
    """Serve for so long; returns what was not right."""
    began = time.monotonic()
    with TemporaryDirectory(prefix="schedule-") as folder, launch(models=60, on=datetime.now(UTC).date()) as emulator:
        place = Path(folder)
        with serving(place, emulator.api_url, **variables) as (process, server):
            while (left := began + 60 * minutes - time.monotonic()) > 0 and process.poll() is None:
                time.sleep(min(1, left))
            told = (place / "serve.log").read_text()
            if process.poll() is not None:
                return [f"serve ended with {process.returncode}:\n{told}"]
            runs = server.runs("daily_snapshot")
            completed = [row for row in runs if row["state_name"] == "Completed"]
            others = [f"{row['expected_start_time']} {row['state_name']}" for row in runs if row not in completed]
            artifacts = [sorted(row["key"] for row in server.artifacts(row["id"])) for row in completed]
            log = (place / "data/prefect/server.log").read_text()
        errors = [line for line in log.splitlines() if "| ERROR" in line or "| CRITICAL" in line or "Traceback" in line]
        print(
            f"{len(completed)} completed runs; others: {others}; errors in the server's log: {len(errors)}", flush=True
        )
    problems = [f"the server's log: {line}" for line in errors]
    if len(completed) < 2:
        problems.append(f"only {len(completed)} completed runs after {minutes} minutes:\n{told}")
    problems += [f"a run left {keys}" for keys in artifacts if keys != KEYS]
    return problems


def without_scheduler() -> list[str]:
    """Serve with a given server whose scheduler is off; returns what was not right."""
    with TemporaryDirectory(prefix="schedule-") as folder:
        os.environ["PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED"] = "false"
        with prefect_server(Settings(data_dir=Path(folder)), free_port()) as given:
            environment = os.environ | {"PREFECT_API_URL": given.api_url, "CIVITAI_ETL_DATA_DIR": f"{folder}/data"}
            # Or `serve` would make up for the run of today.
            environment["CIVITAI_ETL_DAILY_CRON"] = "59 23 * * *"
            began = time.monotonic()
            ended = subprocess.run(
                [COMMAND, "serve"],
                env=environment,
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=600,
                check=False,
            )
        told = [line for line in ended.stderr.splitlines() if line.startswith("civitai-etl: ")]
        print(f"ended with {ended.returncode} after {time.monotonic() - began:.0f} s: {told}", flush=True)
        is_right = ended.returncode == 1 and len(told) == 1 and "has a schedule but no next run" in told[0]
        return [] if is_right else [f"serve ended with {ended.returncode}:\n{ended.stderr}"]


@contextmanager
def postgresql(binaries: Path) -> Iterator[str]:
    """A cluster of its own on a free port of this machine; yields the address of its database for Prefect."""
    # PostgreSQL does not run as root.
    user = pwd.getpwnam("postgres") if os.geteuid() == 0 else None
    as_user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if user else {}
    port = free_port()
    with TemporaryDirectory(prefix="postgresql-") as folder:
        data = Path(folder, "data")
        if user:
            os.chown(folder, user.pw_uid, user.pw_gid)

        def do(*command: str) -> None:
            subprocess.run([str(binaries / command[0]), *command[1:]], check=True, cwd=folder, **as_user)  # type: ignore[call-overload]

        do("initdb", "--pgdata", str(data), "--auth", "trust", "--username", "prefect", "--no-sync")
        options = f"-h 127.0.0.1 -p {port} -k {folder}"
        do("pg_ctl", "--pgdata", str(data), "--wait", "--log", f"{folder}/log", "--options", options, "start")
        try:
            do("createdb", "--host", "127.0.0.1", "--port", str(port), "--username", "prefect", "prefect")
            yield f"postgresql+asyncpg://prefect@127.0.0.1:{port}/prefect"
        finally:
            do("pg_ctl", "--pgdata", str(data), "--wait", "--mode", "fast", "stop")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--on", choices=PARTS, action="append")
    options = parser.parse_args(arguments)
    problems = []
    for part in options.on or PARTS:
        print(f"{part}:", flush=True)
        if part == "sqlite":
            found = run(options.minutes)
        elif part == "no-scheduler":
            found = without_scheduler()
        elif binaries := sorted(Path(POSTGRESQL).glob("*/bin")):
            with postgresql(binaries[-1]) as address:
                found = run(options.minutes, PREFECT_SERVER_DATABASE_CONNECTION_URL=address)
        else:
            found = [f"there is no PostgreSQL in {POSTGRESQL}: install it (Debian: apt-get install postgresql)"]
        problems += [f"{part}: {problem}" for problem in found]
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
