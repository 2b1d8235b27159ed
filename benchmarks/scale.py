"""`make bench-scale`: the whole catalogue at four sizes, two days each, in both dialects, as a user runs it.

Each day is one `civitai-etl snapshot` against the emulator. Measured are its seconds and CPU seconds, the peak memory
of its whole process tree, and the seconds from the last answer of the service to the end. DuckDB alone makes the tables
of the first day from the same documents on disk. What was measured is in `results.json`.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path
from threading import Event, Thread

from emulator.launch import launch

SIZES = (20_000, 100_000, 300_000, 900_000)
DIALECTS = ("live", "spec")
FIRST_DAY = date(2026, 1, 1)
DAYS = 2
FOLDER = Path("data/bench-scale").absolute()
RESULTS = FOLDER / "results.json"

#: How often the memory of a process tree is looked at.
LOOK_SECONDS = 0.25


@dataclass(frozen=True)
class Run:
    """A measured run. `build_seconds` are those after the last answer of the service."""

    contestant: str
    models: int
    day: int
    seconds: float
    cpu_seconds: float
    peak_mib: float
    build_seconds: float | None = None


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("models", nargs="*", type=int, default=SIZES, help="sizes of the catalogue")
    parser.add_argument("--dialect", choices=DIALECTS, action="append", help="only this one")
    parser.add_argument("--cgroup", type=Path, help="folder of a cgroup in which the snapshots run, under its limit")
    parser.add_argument("--no-duckdb", action="store_true", help="leave DuckDB alone out")
    options = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    for models in options.models:
        for dialect in options.dialect or DIALECTS:
            for run in pipeline(models, dialect, options.cgroup):
                note(run)
        if not options.no_duckdb:
            note(duckdb_alone(models))
    return 0


def note(run: Run) -> None:
    """Prints a run and adds it to the results, in the place of an earlier one."""
    print(" ".join(f"{name}={value}" for name, value in asdict(run).items()), flush=True)
    runs = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    names = ("contestant", "models", "day")
    others = [each for each in runs if any(each[name] != getattr(run, name) for name in names)]
    RESULTS.write_text(json.dumps([*others, asdict(run)], indent=1))


def pipeline(models: int, dialect: str, cgroup: Path | None) -> Iterator[Run]:
    """The two days of a dialect."""
    within = ["sh", "-c", f'echo $$ > "{cgroup}/cgroup.procs" && exec "$@"', "sh"] if cgroup else []
    target = FOLDER / f"{dialect}-{models}"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    with launch(models=models, on=FIRST_DAY, dialect=dialect) as emulator:
        environment = os.environ | {
            "CIVITAI_ETL_DATA_DIR": str(target),
            "CIVITAI_ETL_API_URL": emulator.api_url,
            "CIVITAI_ETL_DIALECT": dialect,
            "CIVITAI_ETL_REQUESTS_PER_SECOND": "0",
            "CIVITAI_ETL_IMAGE_PAGES": "5",
        }
        for day in range(DAYS):
            on = FIRST_DAY + timedelta(day)
            emulator.set_date(on)
            command = [*within, str(Path(sys.executable).with_name("civitai-etl")), "snapshot", "--date", str(on)]
            seconds, cpu_seconds, peak_mib = measured(command, target / f"day{day + 1}.log", environment)
            ended = time.time()
            build_seconds = ended - max(float(str(each["until"])) for each in emulator.requests())
            yield Run(dialect, models, day + 1, seconds, cpu_seconds, peak_mib, round(build_seconds, 1))


def duckdb_alone(models: int) -> Run:
    """The tables of one day with DuckDB alone."""
    documents, star = FOLDER / f"{models}.ndjson", FOLDER / f"duckdb-{models}"
    shutil.rmtree(star, ignore_errors=True)
    dump = ["-m", "emulator", "dump", "--models", str(models), "--date", str(FIRST_DAY), "--out", str(documents)]
    subprocess.run([sys.executable, *dump], check=True)
    command = [sys.executable, "-m", "benchmarks.contestants", "duckdb", str(documents), str(star)]
    seconds, cpu_seconds, peak_mib = measured(command, FOLDER / f"duckdb-{models}.log", dict(os.environ))
    documents.unlink()
    return Run("duckdb", models, 1, seconds, cpu_seconds, peak_mib)


def measured(command: list[str], log: Path, environment: dict[str, str]) -> tuple[float, float, float]:
    """Runs a command; returns its seconds, its CPU seconds and the peak MiB of its process tree.

    Raises:
        SystemExit: it failed.
    """
    start = time.perf_counter()
    with log.open("w") as output:
        child = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)
    peak, ended = [0.0], Event()

    def look() -> None:
        while not ended.wait(LOOK_SECONDS):
            # What is shared is told apart at a twentieth of the time of the build: only if there may be a new peak.
            if tree_mib(child.pid, resident_mib) > peak[0]:
                peak[0] = max(peak[0], tree_mib(child.pid, proportional_mib))

    watch = Thread(target=look)
    watch.start()
    _, status, usage = os.wait4(child.pid, 0)
    ended.set()
    watch.join()
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {child.returncode}: see {log}")
    return round(time.perf_counter() - start, 1), round(usage.ru_utime + usage.ru_stime, 1), round(peak[0])


def tree_mib(pid: int, of_process: Callable[[int], float]) -> float:
    """The memory of a process and its descendants."""
    total = 0.0
    try:
        total = of_process(pid)
        for task in Path(f"/proc/{pid}/task").iterdir():
            total += sum(tree_mib(int(child), of_process) for child in (task / "children").read_text().split())
    except (FileNotFoundError, ProcessLookupError):
        pass  # it ended meanwhile
    return total


def resident_mib(pid: int) -> float:
    """The memory of a process in MiB, with all that it shares with others."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1024**2


def proportional_mib(pid: int) -> float:
    """The memory of a process in MiB, with its part of what it shares with others."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0.0  # a process that has ended and was not waited for


if __name__ == "__main__":
    sys.exit(main())
