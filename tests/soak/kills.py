"""Runs the command line, kills it with SIGKILL at seeded random moments, starts it again, and compares what it leaves.

A trial is a data directory of its own: two snapshots (the second one merges) and a refresh, each killed in one phase
after another. It is held against an undisturbed run of the same emulator: raw and star tables by `EXCEPT ALL` both
ways, the star's files by name, the emulator's log for what was asked twice; and a reader asks `analytics.duckdb` all
the time.
"""

import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Self

import duckdb

from emulator.launch import Emulator
from tests.comparison import differences

COMMAND = Path(sys.executable).with_name("civitai-etl")
#: Where a kill can hit, in the order of a run.
PHASES = ("extract", "normalise", "load", "transform", "publish")
DAYS = (date(2026, 1, 1), date(2026, 1, 8))
REFRESHED_ON = date(2026, 1, 10)
#: What the reader looks at, all in one transaction.
READ = ("fact_model_daily", "fact_model_version_daily", "mart_base_model_daily", "dim_model", "bridge_model_tag")
LOOK_EVERY = 0.005
#: A pause of the reader, which would else take half a core.
READ_EVERY = 0.1

#: Contents of the tables of READ, or None where nothing is published yet.
Fingerprint = tuple[tuple[int, int], ...] | None


@dataclass(frozen=True)
class Step:
    """One command of a trial, and the date of the emulator's clock when it runs."""

    name: str
    on: date

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("refresh",) if self.name == "refresh" else ("snapshot", "--date", str(self.on))


STEPS = (Step("day 1", DAYS[0]), Step("day 2", DAYS[1]), Step("refresh", REFRESHED_ON))


@dataclass(frozen=True)
class Kill:
    """A process that was killed: where, and how many requests the next one asked again."""

    step: str
    phase: str
    asked_again: int


@dataclass
class Site:
    """A data directory that the command line works in, and its settings."""

    directory: Path
    emulator: Emulator
    dialect: str
    window_pages: int

    @property
    def data_dir(self) -> Path:
        return self.directory / "data"

    @property
    def analytics(self) -> Path:
        return self.data_dir / "analytics.duckdb"

    @contextmanager
    def running(self, step: Step) -> Iterator["subprocess.Popen[bytes]"]:
        """The command of a step as a child process, which ends with the block at the latest."""
        self.emulator.set_date(step.on)
        self.directory.mkdir(parents=True, exist_ok=True)
        others = {name: value for name, value in os.environ.items() if not name.startswith(("CIVITAI_", "PREFECT_"))}
        settings = {
            "CIVITAI_ETL_DATA_DIR": str(self.data_dir),
            "CIVITAI_ETL_API_URL": self.emulator.api_url,
            "CIVITAI_ETL_DIALECT": self.dialect,
            "CIVITAI_ETL_REQUESTS_PER_SECOND": "0",
            "CIVITAI_ETL_WINDOW_PAGES": str(self.window_pages),
            "CIVITAI_ETL_IMAGE_PAGES": "2",
        }
        with (self.directory / "log").open("ab") as log:
            process = subprocess.Popen(
                [COMMAND, *step.arguments], env=others | settings, cwd=self.directory, stdout=log, stderr=log
            )
            try:
                yield process
            finally:
                process.kill()
                process.wait()


class Watch:
    """In which phase a run is, as the files of its data directory show it."""

    def __init__(self, site: Site, pid: int) -> None:
        self._data_dir, self._pid = site.data_dir, pid
        self._working = site.data_dir / "dlt" / "civitai_etl"
        self._left_behind = self._extracting()
        self._published = _inode(site.analytics)
        self._has_loaded = False

    def phase(self) -> str | None:
        """One of PHASES; None before the lock is held and between two of them."""
        if f'"process":{self._pid},' not in _read(self._data_dir / "writer.lock"):
            return None
        if _names(self._working / "load" / "normalized"):
            self._has_loaded = True
            return "load"
        if _names(self._working / "load" / "new") or _names(self._working / "normalize" / "extracted"):
            return "normalise"
        if self._extracting() - self._left_behind:
            return "extract"
        aside = self._data_dir / f".analytics.duckdb.{self._pid}.tmp"
        if aside.exists() or _inode(self._data_dir / "analytics.duckdb") != self._published:
            return "publish"
        # A crawl that was loaded whole reads its warehouse once more, at once; others before they extract.
        return "transform" if self._has_loaded and self._reads_warehouse() else None

    def _extracting(self) -> set[str]:
        folder = self._working / "normalize"
        return {
            f"{name}/{package}"
            for name in _names(folder)
            if re.fullmatch("[0-9a-f]{16}", name)
            for package in _names(folder / name)
        }

    def _reads_warehouse(self) -> bool:
        files = Path("/proc") / str(self._pid) / "fd"
        return any(_link(files / name) == str(self._data_dir / "warehouse.duckdb") for name in _names(files))


@dataclass(frozen=True)
class Moment:
    """When to kill: in the `turn`-th time of a phase, after this `share` of the time that it usually takes."""

    phase: str
    turn: int
    share: float


class Reader:
    """Asks `analytics.duckdb` all the time, as an analyst would, and keeps what it saw."""

    def __init__(self, analytics: Path) -> None:
        self.seen: list[Fingerprint] = []
        self.readings = 0
        self.errors: list[str] = []
        self._analytics = analytics
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._read_on, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _read_on(self) -> None:
        while not self._stopped.wait(READ_EVERY):
            try:
                seen = fingerprint(self._analytics)
            except duckdb.Error as error:
                self.errors.append(str(error))
                continue
            self.readings += 1
            if not self.seen or self.seen[-1] != seen:
                self.seen.append(seen)


def fingerprint(analytics: Path) -> Fingerprint:
    """Rows and contents of several published tables, read in one transaction; None before the first publish."""
    if not analytics.exists():
        return None
    with duckdb.connect(analytics, read_only=True) as connection:
        connection.execute("begin")
        found = [
            connection.execute(f"select count(*), bit_xor(hash(t)) from star.{table} as t").fetchone() for table in READ
        ]
    return tuple((rows, contents) for rows, contents in found)  # type: ignore[misc]


@dataclass
class Undisturbed:
    """What a run that nobody disturbs leaves after each step, what it asks, and how long its phases take."""

    site: Site
    steps: Sequence[Step] = STEPS
    fingerprints: dict[str, Fingerprint] = field(default_factory=dict)
    requests: dict[str, list[str]] = field(default_factory=dict)
    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def run(self) -> "Undisturbed":
        for step in self.steps:
            asked_before = _last_request(self.site.emulator)
            with self.site.running(step) as process:
                watch = Watch(self.site, process.pid)
                phase, since = watch.phase(), time.monotonic()
                while process.poll() is None:
                    time.sleep(LOOK_EVERY)
                    if (now := watch.phase()) != phase:
                        if phase:
                            self.seconds[phase].append(time.monotonic() - since)
                        phase, since = now, time.monotonic()
                self.seconds["publish"].append(time.monotonic() - since)  # the last one
                _ended_well(process, self.site)
            self.fingerprints[step.name] = fingerprint(self.site.analytics)
            self.requests[step.name] = _requests(self.site.emulator, asked_before)
        return self

    def usual(self, phase: str) -> float:
        """Seconds that a phase takes, on average."""
        return sum(self.seconds[phase]) / len(self.seconds[phase]) if self.seconds[phase] else 0.0


@dataclass
class Trial:
    """One data directory through all steps, killed in each of them where `moments` says."""

    calm: Undisturbed
    site: Site
    moments: dict[str, Sequence[Moment]]
    told: Callable[[str], None] = lambda _: None
    kills: list[Kill] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    readings: int = 0

    def run(self) -> "Trial":
        for step in self.calm.steps:
            with Reader(self.site.analytics) as reader:
                self._run_step(step)
            self.readings += reader.readings
            self.problems += [f"{step.name}: a reader of analytics.duckdb met {error}" for error in reader.errors[:3]]
            self._compare_readings(step, reader.seen)
        self.problems += differences(self.calm.site.data_dir, self.site.data_dir)
        self.problems += [f"{path} was left behind" for path in _left_behind(self.site.data_dir)]
        return self

    def _run_step(self, step: Step) -> None:
        asked: set[str] = set()
        killed_in: str | None = None
        moments = list(self.moments.get(step.name, ()))
        while True:
            moment = moments.pop(0) if moments else None
            asked_before = _last_request(self.site.emulator)
            with self.site.running(step) as process:
                hit = self._kill(process, moment) if moment else None
                if hit is None:
                    process.wait()
                    _ended_well(process, self.site)
            requests = _requests(self.site.emulator, asked_before)
            if killed_in:
                self._account(step, killed_in, [request for request in requests if request in asked])
            asked.update(requests)
            killed_in = hit
            # A run that came to its end before its moment has nothing more to be killed.
            if hit is None:
                return

    def _kill(self, process: "subprocess.Popen[bytes]", moment: Moment) -> str | None:
        """Kill a process at a moment; gives the phase that it was in, or None if it ended before."""
        watch = Watch(self.site, process.pid)
        turns, phase = 0, None
        while turns < moment.turn:
            if process.poll() is not None:
                return None
            time.sleep(LOOK_EVERY)
            now = watch.phase()
            turns += now == moment.phase and now != phase
            phase = now
        time.sleep(moment.share * self.calm.usual(moment.phase))
        # Stopped, it shows for certain where it is.
        process.send_signal(signal.SIGSTOP)
        hit = watch.phase()
        process.send_signal(signal.SIGKILL)
        return hit or "between phases" if process.wait() == -signal.SIGKILL else None

    def _account(self, step: Step, phase: str, again: list[str]) -> None:
        self.kills.append(Kill(step.name, phase, len(again)))
        self.told(f"{self.site.dialect}, {step.name}: killed in {phase}, {len(again)} requests asked again")
        # The gallery is walked in one window, however long it is; and a refresh is one window as a whole.
        gallery = sum(request.startswith("/images") for request in self.calm.requests[step.name])
        window = len(self.calm.requests[step.name]) if step.name == "refresh" else self.site.window_pages + gallery
        if len(again) > window:
            self.problems.append(
                f"{step.name}: a kill in {phase} cost {len(again)} requests, more than its window of {window}: {again}"
            )

    def _compare_readings(self, step: Step, seen: list[Fingerprint]) -> None:
        """A reader sees what was there before, then what the step publishes, and nothing else."""
        before = {"day 1": None}.get(step.name, self.calm.fingerprints["day 1"])
        after = self.calm.fingerprints[step.name]
        before = after if step.name == "refresh" else before
        if [reading for reading in seen if reading not in (before, after)] or seen not in (
            [before],
            [before, after],
            [after],
        ):
            self.problems.append(f"{step.name}: a reader saw neither the old snapshot nor the new one: {seen}")


def moments(random_: random.Random, phases: Sequence[str]) -> list[Moment]:
    """A random moment in each of these phases, in the order of a run."""
    return [
        Moment(phase, random_.choice((1, 1, 2)) if phase in PHASES[:3] else 1, random_.random())
        for phase in sorted(phases, key=PHASES.index)
    ]


def _left_behind(data_dir: Path) -> list[Path]:
    """What only a run under way has: half-written files and packages."""
    dlt = data_dir / "dlt" / "civitai_etl"
    packages = [dlt / "load" / "new", dlt / "load" / "normalized", dlt / "normalize" / "extracted"]
    extracts = [path for path in dlt.glob("normalize/*") if re.fullmatch("[0-9a-f]{16}", path.name)]
    # What a killed writer left in the lake goes with the files that nobody names any more, after a day.
    return [*extracts, *(path for package in packages for path in package.glob("*")), *data_dir.glob("*.tmp")]


def _ended_well(process: "subprocess.Popen[bytes]", site: Site) -> None:
    if process.returncode != 0:
        told = _read(site.directory / "log")[-2000:]
        raise AssertionError(f"{site.dialect}: ended with {process.returncode}: {told}")


def _last_request(emulator: Emulator) -> int:
    return max((logged["number"] for logged in emulator.requests()), default=0)


def _requests(emulator: Emulator, since: int) -> list[str]:
    return [logged["request"] for logged in emulator.requests(since)]


def _names(folder: Path) -> list[str]:
    try:
        return [path.name for path in folder.iterdir()]
    except OSError:
        return []


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _link(path: Path) -> str | None:
    try:
        return str(path.readlink())
    except OSError:
        return None


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except OSError:
        return None
