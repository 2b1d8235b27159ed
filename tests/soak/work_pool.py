"""`python -m tests.soak.work_pool`: a Prefect server on PostgreSQL, a process work pool, `prefect deploy --all` from
prefect.yaml, and a worker: the daily run that the schedule starts completes against an emulator.

Only the cron expression differs from prefect.yaml: every minute. Takes two minutes.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from emulator.launch import launch
from tests.flows.servers import Server, free_port
from tests.soak.schedule import COMMAND, EVERY_MINUTE, POSTGRESQL, postgresql

ROOT = Path(__file__).parents[2]
PREFECT = COMMAND.with_name("prefect")


@contextmanager
def started(log: Path, *command: str, **variables: str) -> Iterator[subprocess.Popen]:
    """`prefect` with a command that runs until the block ends."""
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [PREFECT, *command], env=os.environ | variables, cwd=log.parent, stdout=output, stderr=output
        ) as process,
    ):
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=60)


def await_answer(server: Server, process: subprocess.Popen) -> None:
    """Until the server answers, at most three minutes: it makes its tables first."""
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline and process.poll() is None:
        try:
            server.ask("/health", method="GET")
        except OSError:
            time.sleep(0.5)
        else:
            return
    raise AssertionError(f"no Prefect server answers at {server.api_url}")


def run(address: str, place: Path, api_url: str) -> list[str]:
    """Start what docs/operations.md says, wait for a scheduled run, and return what was not right."""
    port = free_port()
    variables = {
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_HOME": str(place / "prefect"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "CIVITAI_ETL_DATA_DIR": str(place / "data"),
        "CIVITAI_ETL_API_URL": api_url,
        "CIVITAI_ETL_REQUESTS_PER_SECOND": "0",
    }
    database = {"PREFECT_SERVER_DATABASE_CONNECTION_URL": address}
    server = Server(variables["PREFECT_API_URL"], place / "prefect")

    def prefect(*command: str, cwd: Path = ROOT) -> None:
        subprocess.run([PREFECT, "--no-prompt", *command], env=os.environ | variables, cwd=cwd, check=True)

    with started(place / "server.log", "server", "start", "--port", str(port), **variables, **database) as process:
        await_answer(server, process)
        prefect("work-pool", "create", "civitai-etl", "--type", "process")
        deployments = place / "prefect.yaml"
        written = (ROOT / "prefect.yaml").read_text()
        deployments.write_text(written.replace('"0 3 * * *"', f'"{EVERY_MINUTE}"'))
        prefect("deploy", "--all", "--prefect-file", str(deployments))
        with started(place / "worker.log", "worker", "start", "--pool", "civitai-etl", **variables):
            daily = server.deployment("daily_snapshot/daily")  # ready once the worker has asked for runs
            first = server.first_run(daily, "Completed", seconds=300)
            told = (place / "worker.log").read_text()
        sql = [COMMAND, "sql", "--format", "csv", "select count(*) from star.dim_model"]
        asked = subprocess.run(sql, env=os.environ | variables, capture_output=True, text=True, check=False)
        models = asked.stdout.split()[-1:]
    print(f"the run of {first['expected_start_time']} is {first['state_name']}; models: {models}", flush=True)
    checks = {
        "the run was not started by the schedule": first["auto_scheduled"],
        "the run was not of the work pool": first["work_pool_name"] == "civitai-etl",
        "no models are published": models not in ([], ["0"]),
        "the server used SQLite": not list(place.rglob("prefect.db")),
        f"the worker told of an error:\n{told}": "Traceback" not in told,
    }
    return [problem for problem, is_right in checks.items() if not is_right]


def main() -> int:
    binaries = sorted(Path(POSTGRESQL).glob("*/bin"))
    if not binaries:
        sys.exit(f"there is no PostgreSQL in {POSTGRESQL}: install it (Debian: apt-get install postgresql)")
    with (
        TemporaryDirectory(prefix="work-pool-") as folder,
        launch(models=60, on=datetime.now(UTC).date()) as emulator,
        postgresql(binaries[-1]) as address,
    ):
        problems = run(address, Path(folder), emulator.api_url)
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
