"""`python -m tests.soak.nights`: thirty short nights of `civitai-etl serve`, with incidents, against thirty calm ones.

The schedule is of every minute. When the snapshot of a date has ended, the clock moves on to the next date
(`tests.soak.night_clock`). Some nights have an incident (`INCIDENTS`). Another data directory gets the same dates from
the command line, undisturbed, with another emulator of the same catalogue. At the end both have the same tables and
files, no run is stuck, and the messages that came to a web server are those of the incidents, each once.
"""

import argparse
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import msgspec

from emulator.launch import Emulator, launch
from pipelines.run_record import RunRecord, read_record
from pipelines.storage.replacement import replace_text
from tests.comparison import RUN_DEPENDENT, differences
from tests.flows.servers import Server
from tests.sinks import Hooks, web_server
from tests.soak.night_clock import VARIABLE, Night
from tests.soak.schedule import COMMAND, serving
from tests.soak.supervision import are_gone, family, runs, snapshots, taken_slots, wait_for, wait_for_phase
from transforms.tables import DECLARATIONS_VERSION

ROOT = Path(__file__).resolve().parents[2]
FIRST = date(2026, 1, 1)
PROGRAM = (sys.executable, "-m", "tests.soak.night_clock")
#: Both sides: an attempt fails after seconds, not after half an hour.
SETTINGS = {
    "CIVITAI_ETL_REQUESTS_PER_SECOND": "0",
    "CIVITAI_ETL_RETRY_MINUTES": "0.05",
    "CIVITAI_ETL_IMAGE_PAGES": "2",
}
#: Each side has its emulator.
IGNORED = RUN_DEPENDENT | {"api_url"}
#: A list that is newly empty: the snapshot is partial, whoever takes it.
WITHOUT_TAGS = "empty path=/tags"
#: The exit code of a command that stopped for a snapshot.
GAVE_WAY = 5
#: A run hangs in its crawl.
HANGS = "slow=90 path=/models times=1"


@dataclass
class Nights:
    """The disturbed side: `serve`, its emulator, and where its messages come."""

    place: Path
    emulator: Emulator
    hooks: Hooks
    night: Night = field(default_factory=lambda: Night(FIRST))
    #: Titles of the messages that must have come, in their order.
    expected: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    process: "subprocess.Popen[bytes]" = field(init=False)
    _is_bad: bool = False
    _serve: ExitStack = field(default_factory=ExitStack)
    _server: Server = field(init=False)

    @property
    def data_dir(self) -> Path:
        return self.place / "data"

    @property
    def variables(self) -> dict[str, str]:
        return SETTINGS | {
            "PYTHONPATH": str(ROOT),
            VARIABLE: str(self.place / "night.json"),
            "CIVITAI_ETL_WAIT_MINUTES": "0.2",
            "CIVITAI_ETL_NOTIFY_URL": self.hooks.address("json", "messages"),
            "CIVITAI_ETL_NOTIFY_HOUR": "12",
            # No refresh comes between: it would load what a calm night does not have.
            "CIVITAI_ETL_REFRESH_CRON": "0 0 29 2 *",
        }

    def is_now(self, night: Night, faults: str = "") -> None:
        """Set all clocks, and what goes wrong."""
        self.night = night
        self.emulator.set_date(night.date)
        self.emulator.order_faults(faults)
        replace_text(self.place / "night.json", msgspec.json.encode(night).decode())

    def start(self) -> None:
        serve = serving(self.place, self.emulator.api_url, *PROGRAM, **self.variables)
        self.process, self._server = self._serve.enter_context(serve)

    def stop(self) -> None:
        """As a service manager does."""
        self._serve.close()
        if self.process.returncode != 0:
            self.problems.append(f"{self.night.date}: serve ended with {self.process.returncode}:\n{self.told()}")

    def forget(self) -> None:
        """After `serve` was killed."""
        self._serve.close()

    def pause_the_schedule(self) -> None:
        daily = self._server.deployment("daily_snapshot/daily")
        self._server.ask(f"/deployments/{daily['id']}/pause_deployment")

    def told(self) -> str:
        return (self.place / "serve.log").read_text()

    def command(self, *arguments: str, **variables: str) -> "subprocess.Popen[bytes]":
        """Another process that writes to the data directory."""
        own = {"CIVITAI_ETL_DATA_DIR": str(self.data_dir), "CIVITAI_ETL_API_URL": self.emulator.api_url}
        with (self.place / "command.log").open("ab") as log:
            environment = os.environ | self.variables | own | variables
            return subprocess.Popen([*PROGRAM, *arguments], env=environment, cwd=self.place, stdout=log, stderr=log)

    def wait_for(self, what: str, is_so: Callable[[], bool]) -> None:
        wait_for(self.place, f"{self.night.date}: {what}", is_so)

    def wait_for_the_crawl(self) -> None:
        wait_for_phase(self.place, self.process, "crawl")

    def wait_for_the_end(self, result: str = "complete") -> None:
        self.wait_for(f"the snapshot is {result}", lambda: self._has_ended(result))
        if result == "complete" and self._is_bad:
            self.expected.append(f"{self.night.date}: good again")
            self._is_bad = False

    def expect_a_bad_day(self, words: str) -> None:
        self.expected.append(f"{self.night.date}: {words}")
        self._is_bad = True

    def _has_ended(self, result: str) -> bool:
        record = read_record(self.data_dir)
        return record is not None and (record.snapshot_date, record.result) == (self.night.date, result)

    def wait_for_failures(self, count: int) -> None:
        """Wait for so many failed attempts from now on."""
        seen: set[RunRecord] = set()
        before = read_record(self.data_dir)

        def are_enough() -> bool:
            record = read_record(self.data_dir)
            if record and record != before and record.snapshot_date == self.night.date and record.result == "failed":
                seen.add(record)
            return len(seen) >= count

        self.wait_for(f"{count} attempts fail", are_enough)

    def logged(self, text: str) -> bool:
        """Whether a run or a command has logged this."""
        logs = [self.place / "command.log", *(self.data_dir / "logs").glob("*")]
        return any(text in path.read_text() for path in logs if path.exists())

    def check(self, what: str, *, is_so: bool) -> None:
        if not is_so:
            self.problems.append(f"{self.night.date}: not so: {what}")


# ------------------------------------------------------------------------------------------------------------ incidents


def nothing(nights: Nights) -> None:
    nights.wait_for_the_end()


def killed_run(nights: Nights) -> None:
    """The process of the run is killed, as for its memory. `serve` continues the run."""
    nights.emulator.order_faults(HANGS)
    nights.wait_for_the_crawl()
    nights.emulator.order_faults("")
    os.kill(family(nights.process.pid)["run"], signal.SIGKILL)
    nights.wait_for_the_end()


def killed_serve(nights: Nights) -> None:
    """`serve` is killed, as by the end of its machine, and started again."""
    nights.emulator.order_faults(HANGS)
    nights.wait_for_the_crawl()
    pids = family(nights.process.pid)
    nights.emulator.order_faults("")
    nights.process.kill()
    nights.wait_for("all processes end", lambda: are_gone(pids.values()))
    nights.forget()
    nights.start()
    nights.wait_for_the_end()


def restarted_serve(nights: Nights) -> None:
    """`serve` is restarted in the middle of a crawl."""
    nights.emulator.order_faults(HANGS)
    nights.wait_for_the_crawl()
    nights.emulator.order_faults("")
    nights.stop()
    nights.start()
    nights.wait_for_the_end()


def second_snapshot(nights: Nights) -> None:
    """Somebody takes the snapshot by hand. Who comes second waits and finds it complete."""
    nights.emulator.order_faults(HANGS)
    arguments = ("snapshot", "--date", str(nights.night.date), "--wait")
    with nights.command(*arguments, CIVITAI_ETL_WAIT_MINUTES="30") as second:
        code = second.wait()
    nights.check("the snapshot by hand is complete", is_so=code == 0)
    nights.check("one waited for the other", is_so=nights.logged("is writing to"))
    nights.wait_for_the_end()


def stuck_refresh(nights: Nights) -> None:
    """A refresh retries a service that is down. It stops for the snapshot, for which the service is back."""
    nights.emulator.order_faults("503")

    def has_given_way() -> bool:
        with nights.command("refresh", CIVITAI_ETL_RETRY_MINUTES="30") as second:
            return second.wait() == GAVE_WAY

    # A run may have been before it.
    nights.wait_for("a refresh gives way", has_given_way)
    nights.emulator.order_faults("")
    nights.wait_for_the_end()


def partial_day(nights: Nights) -> None:
    """A list of the service is broken until the date is over."""
    nights.is_now(Night(nights.night.date, has_time=False), WITHOUT_TAGS)
    nights.wait_for_the_end("partial")
    nights.expect_a_bad_day("the snapshot is partial")
    # Until then the run asks once more whether it has time.
    nights.wait_for("its run fails", lambda: "Failed" in {state for _, state in runs(nights.place)})


def outage(nights: Nights) -> None:
    """The service is down for several attempts, and past the hour by which the snapshot should be complete."""
    on = nights.night.date
    nights.is_now(nights.night, "503")
    nights.wait_for_failures(2)
    nights.check("no message before the hour", is_so=len(nights.hooks.titles) == len(nights.expected))
    nights.is_now(Night(on, hour=12), "503")
    nights.expect_a_bad_day("no complete snapshot by 12:00 UTC")
    nights.wait_for("the message comes", lambda: len(nights.hooks.titles) == len(nights.expected))
    nights.wait_for_failures(2)
    nights.emulator.order_faults("")
    nights.wait_for_the_end()


def upgrade(nights: Nights) -> None:
    """A later version takes over: the tables are made again from raw."""
    nights.stop()
    with duckdb.connect(nights.data_dir / "analytics.duckdb") as connection:
        connection.execute(
            f"create or replace view build.declarations as select {DECLARATIONS_VERSION - 1} as version, "
            "'another' as tables, 'another' as analyses"
        )
    nights.start()
    nights.wait_for_the_end()
    nights.check("the tables were made again", is_so=nights.logged("An earlier version made the tables"))


INCIDENTS = {
    work.__name__.replace("_", "-"): work
    for work in (
        *(killed_run, killed_serve, restarted_serve, second_snapshot, stuck_refresh, partial_day, outage, upgrade),
    )
}


# ---------------------------------------------------------------------------------------------------------------- calm


@dataclass(frozen=True)
class Calm:
    """The other side: a snapshot of each date by the command line."""

    place: Path
    emulator: Emulator

    def take(self, on: date, *, is_partial: bool) -> list[str]:
        self.emulator.set_date(on)
        self.emulator.order_faults(WITHOUT_TAGS if is_partial else "")
        environment = os.environ | SETTINGS
        environment |= {"CIVITAI_ETL_DATA_DIR": str(self.place), "CIVITAI_ETL_API_URL": self.emulator.api_url}
        ended = subprocess.run(
            [COMMAND, "--quiet", "snapshot", "--date", str(on)],
            env=environment,
            cwd=self.place.parent,
            capture_output=True,
            text=True,
            check=False,
        )
        is_right = ended.returncode == (3 if is_partial else 0)
        return [] if is_right else [f"the calm {on} ended with {ended.returncode}: {ended.stdout}{ended.stderr}"]


# ------------------------------------------------------------------------------------------------------------- the soak


def soak(folder: Path, count: int, incidents: list[str], models: int) -> list[str]:
    """Live through so many nights, with these incidents among them; returns what was not right."""
    plan = {(number * count) // (len(incidents) + 1): name for number, name in enumerate(incidents, start=1)}
    place = folder / "nights"
    place.mkdir()
    began = time.monotonic()
    with (
        launch(models=models, on=FIRST) as disturbed,
        launch(models=models, on=FIRST) as undisturbed,
        web_server() as hooks,
        ThreadPoolExecutor(1) as beside,
    ):
        nights, calm = Nights(place, disturbed, hooks), Calm(folder / "calm", undisturbed)
        nights.is_now(nights.night)
        nights.start()
        calm_ones: list[Future[list[str]]] = []
        try:
            for number in range(count):
                name = plan.get(number, "nothing")
                nights.is_now(Night(FIRST + timedelta(days=number)))
                is_partial = name == "partial-day"
                calm_ones.append(beside.submit(calm.take, nights.night.date, is_partial=is_partial))
                (INCIDENTS | {"nothing": nothing})[name](nights)
                minutes = (time.monotonic() - began) / 60
                print(f"[{minutes:5.1f} min] {nights.night.date} {name}: {hooks.titles[-1:]}", flush=True)
            nights.pause_the_schedule()
            nights.wait_for("the messages come", lambda: len(hooks.titles) >= len(nights.expected))
            nights.wait_for("no run is at work", lambda: not _at_work(place))
            nights.wait_for("the slots are free", lambda: taken_slots(place) == 0)
        finally:
            nights.stop()
        problems = nights.problems + [problem for one in calm_ones for problem in one.result()]
        titles = [title.removeprefix("civitai-etl ") for title in hooks.titles]
    if titles != nights.expected:
        problems.append(f"the messages were {titles}, and not {nights.expected}")
    of_dates = snapshots(place)
    problems += [
        f"{on} has other than one snapshot" for on, many in Counter(on for on, _ in of_dates).items() if many > 1
    ]
    if len(of_dates) != count:
        problems.append(f"there are {len(of_dates)} snapshots, not {count}")
    problems += [f"a run is stuck: {name} is {state}" for name, state in _at_work(place)]
    problems += differences(folder / "calm", place / "data", IGNORED)
    states = Counter(state for _, state in runs(place))
    if states["Failed"] != incidents.count("partial-day"):
        problems.append(f"other runs failed than that of the partial day: {dict(states)}")
    print(f"{len(of_dates)} nights, {dict(states)}, messages: {titles}, {len(problems)} problems", flush=True)
    return problems


def _at_work(place: Path) -> list[tuple[str, str]]:
    """Runs that have begun and have not ended."""
    with sqlite3.connect(place / "data/prefect/prefect.db", timeout=30) as connection:
        return connection.execute(
            "select name, state_name from flow_run where state_type in ('RUNNING', 'PENDING', 'CANCELLING', 'PAUSED') "
            "or state_name in ('AwaitingRetry', 'AwaitingConcurrencySlot')"
        ).fetchall()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nights", type=int, default=30)
    parser.add_argument("--models", type=int, default=100)
    parser.add_argument("--incidents", nargs="*", choices=tuple(INCIDENTS), default=tuple(INCIDENTS))
    parser.add_argument("--keep", type=Path, help="an empty folder that keeps both data directories")
    options = parser.parse_args(arguments)
    with TemporaryDirectory(prefix="nights-") as folder:
        problems = soak(options.keep or Path(folder), options.nights, list(options.incidents), options.models)
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
