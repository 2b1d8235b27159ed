"""Crawls of a hostile service, and what may become of them: `python -m tests.fuzz.crawls [SEED] [COUNT]`.

A trial is a small catalogue, a few dates in one data directory, and a few faults that are drawn together, for most
mistakes need two unusual things at once. Each run ends complete and equal to the truth, partial with a reason that is
true, or with an error of one line after an answer that nobody could use. The service's own state and log say what is
true, and DuckDB what is stored. At the end the service is healed, and one more crawl has to be complete.
"""

import json
import math
import random
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from traceback import format_exc
from typing import Any

import duckdb
import pytest

from pipelines.api.dialects import DIALECTS
from pipelines.crawl.broken_records import PART_ATTEMPTS
from pipelines.crawl.completeness import MOST_ATTEMPTS
from pipelines.crawl.pagination import FETCHED_AGAIN, STALLED_PAGES
from pipelines.crawl.snapshot import take_snapshot
from pipelines.errors import CivitaiEtlError
from pipelines.raw.documents import splice
from pipelines.settings import Settings
from pipelines.storage.lock import writer_lock
from tests.fuzz.hostile import (
    BY_ID,
    EPOCH,
    FORMS,
    KINDS,
    LASTING,
    REFUSALS,
    UNREADABLE,
    UNUSABLE,
    Broken,
    Drawn,
    Logged,
    Model,
    Site,
    serving,
)
from tests.fuzz.lies import LIES

#: How long a pause is at first and at most, and how long all is tried: an hour of the real ones in seconds.
FIRST_WAIT, LONGEST_WAIT, PATIENCE = 0.004, 0.02, 2.0
TIMEOUT = 0.7
#: More ids than these in a row that are refused are a service that refuses.
REFUSED_IN_A_ROW = 3
#: So few may go on any day.
DELETIONS_TOLERATED = 3
_KNOWN, _TOTALS = {"repeated", "duplicated"}, {"total-more", "total-less", "odd-total"}
_ENDLESS, _LACKS = {"endless-empty", "endless-again"}, {"empty-end", "full-end", "short", "too-long"}
#: What a service must have done to a list for what is said of it.
CAUSES = {
    "leads back": {*_KNOWN, *_ENDLESS, "leads-back"},
    "no end: ": {*_KNOWN, *_ENDLESS},
    "changed while it was read": {*_KNOWN, *_TOTALS, "moved"},
    "the list ended after": {*_KNOWN, *_TOTALS, *_LACKS, "moved"},
    "of the list were met": {*_KNOWN, *_TOTALS, *_LACKS, "shuffled"},
    "the list is empty": {"nothing"},
    "stays broken": {"broken"},
}
#: Creators in no order are whole if so many were met.
UNORDERED_SHARE = 0.99


@dataclass(frozen=True)
class Run:
    """One process that crawls a date, in plain values."""

    api_url: str
    data_dir: str
    on: str
    dialect: str
    limit: int
    attempts: int
    window: int
    image_pages: int
    share: float


@dataclass(frozen=True)
class Outcome:
    """How a run ended: `complete`, `partial`, `error` (one for people), `killed` or `traceback`."""

    status: str
    text: str = ""
    crawl_id: str = ""
    already: bool = False


@dataclass
class Day:
    """A date of a trial: what goes wrong, and at which of its requests the first run is killed and how much later."""

    on: date
    drawn: Drawn
    kill: tuple[int, float] | None = None
    runs: int = 1


@dataclass
class Trial:
    """All that a seed draws."""

    seed: int
    run: Run
    site: Site
    days: list[Day]
    chance: random.Random
    heals_same_day: bool = False
    keeps_bad: bool = False
    problems: list[str] = field(default_factory=list)
    outcomes: list[str] = field(default_factory=list)
    date_began: int = 0

    def __str__(self) -> str:
        days = "\n".join(f"  {day.on} {day.drawn} kill={day.kill} runs={day.runs}" for day in self.days)
        bad = {"broken": self.site.broken, "unreadable": self.site.unreadable, "refused": self.site.refused}
        return f"seed {self.seed}: {self.run}\n{days}\n  {bad} heals_same_day={self.heals_same_day}"


def draw(seed: int, *, kills: bool) -> Trial:
    """A trial; one in five is killed, where `kills` are made at all."""
    chance = random.Random(f"crawls {seed}")
    dialect = chance.choice(["live", "live", "spec"])
    limit = chance.choice([4, 6, 10, 12, 20])
    attempts = chance.choice([2, 3])
    site = Site(random.Random(f"site {seed}"), dialect, limit, attempts + 1)
    _fill(site, chance)
    window = chance.choice([200, 200, 200, 20])
    run = Run("", "", "", dialect, limit, attempts, window, chance.choice([0, 1, 3, 3]), chance.choice([0.01, 0.1]))
    on, days = site.on, []
    killed = kills and seed % 5 == 0
    for number in range(chance.choice([1, 1, 1, 2, 2, 3])):
        kill = (chance.randrange(1, 30), chance.choice([0.0, chance.uniform(0, 1)])) if killed and not number else None
        days.append(Day(on, _drawn(chance, dialect), kill, chance.choice([1, 1, 2])))
        on += timedelta(days=chance.choice([1, 1, 1, 2, 19]))
    return Trial(seed, run, site, days, chance, chance.random() < 0.4, chance.random() < 0.5)


def _fill(site: Site, chance: random.Random) -> None:
    """A catalogue of some dozens to some hundreds of records, with those that are bad for ever."""
    numbers = chance.sample(range(1, 2000), chance.choice([0, 5, 20, 40, 60, 100, 200]))
    places = chance.sample(range(4000), len(numbers))
    both, one, other = frozenset({0, 1}), frozenset({0}), frozenset({1})
    for number, place in zip(numbers, places, strict=True):
        passes = both if site.dialect == "spec" else chance.choice([both, both, both, one, other])
        site.models[number] = Model(EPOCH + timedelta(hours=place), passes)
    if chance.random() < 0.3:  # some are published at one moment
        for number in numbers[:3]:
            site.models[number].moment = EPOCH + timedelta(hours=777)
    site.names["creator"] = [f"ué{number}" for number in chance.sample(range(1000), chance.choice([0, 9, 40, 130]))]
    site.names["tag"] = [f"tag “{number}”" for number in chance.sample(range(1000), chance.choice([0, 8, 33, 90]))]
    site.images = sorted(chance.sample(range(1000, 9000), chance.choice([0, 7, 50, 120])))
    records = {
        "model": [str(number) for number in numbers],
        "creator": site.names["creator"],
        "tag": site.names["tag"],
        "image": [str(number) for number in site.images],
    }
    if chance.random() < 0.4:
        for kind in chance.sample(sorted(records), 2):
            for entity_id in chance.sample(records[kind], min(len(records[kind]), chance.choice([1, 2, 3]))):
                how = chance.choice(["500", "json"])
                site.broken[kind, entity_id] = Broken(how, chance.random() < 0.7, chance.random() < 0.5)
    if chance.random() < 0.3:
        for kind in chance.sample(sorted(records), 2):
            items = chance.sample(UNREADABLE, chance.choice([1, 2, 3]))
            site.unreadable[kind] = [(chance.randrange(200), item) for item in items]


def _drawn(chance: random.Random, dialect: str) -> Drawn:
    """A few faults and their rates."""
    kinds = chance.sample(UNUSABLE, chance.choice([0, 1, 2, 3, 5]))
    kinds += chance.sample(sorted(LIES), chance.choice([0, 0, 1, 2, 3]))
    kinds += chance.sample(FORMS, chance.choice([0, 0, 1]))
    kinds += chance.sample(BY_ID, chance.choice([0, 0, 1, 2]))
    chance.shuffle(kinds)
    chances = {kind: chance.choice([0.02, 0.1, 0.3, 0.6 if kind in (*LIES, *FORMS) else 0.15]) for kind in kinds}
    lasting = frozenset(chance.sample(LASTING, chance.choice([0, 0, 0, 1, 2])))
    outages = []
    for _ in range(chance.choice([0, 0, 0, 1, 2])):
        begin, length = chance.randrange(1, 60), chance.choice([1, 3, 8, 25, 60, 5000])
        outages.append((begin, length))
        if chance.random() < 0.3:  # it comes back for a moment
            outages.append((begin + length + chance.choice([1, 2, 3]), chance.choice([5, 30])))
    liars = frozenset(chance.sample(sorted(KINDS), chance.choice([1, 2, 5])))
    refused = (chance.randrange(1, 60), chance.choice(sorted(REFUSALS))) if chance.random() < 0.1 else None
    waits = tuple(chance.choices([None, "0", "soon", "Thu, 01 Jan 1970 00:00:00 GMT", "1", "99999", "1e9"], k=2))
    return Drawn(chances, lasting, tuple(outages), liars, refused, waits)


def _next_day(trial: Trial, day: Day) -> None:
    """What happened to the catalogue since the last date, and how much of it the list still shows."""
    site, chance = trial.site, trial.chance
    site.on, site.moved, site.served = day.on, set(), {}
    site.denies_all, site.refused = False, {}
    numbers = sorted(site.models)
    newest = max((model.moment for model in site.models.values()), default=EPOCH)
    for step in range(1, chance.choice([1, 2, 8])):
        site.models[max(numbers, default=0) + step] = Model(newest + timedelta(minutes=step), frozenset({0, 1}))
    for step in range(chance.choice([0, 0, 5, 40])):
        site.images.append(max(site.images, default=1000) + 1 + step % 3)
    for model in site.models.values():
        model.hidden = False
    # Some are left: a list that is empty and was not is partial every day.
    left = [number for number in numbers if number not in site.gone]
    site.gone |= set(chance.sample(left, min(max(0, len(left) - 5), chance.choice([0, 0, 1, 2, 3, 9]))))
    there = [number for number in numbers if number not in site.gone]
    hidden = chance.sample(there, min(len(there), chance.choice([0, 0, 2, 10, 30])))
    for number in hidden:
        site.models[number].hidden = True
    if hidden and chance.random() < 0.3:
        refused = chance.sample(hidden, min(len(hidden), chance.choice([1, 2, 6])))
        site.refused = {number: chance.choice(["400", "403", "410"]) for number in refused}
    # A wave of 404s is told from models that are gone by its size alone.
    if len(hidden) > DELETIONS_TOLERATED + trial.run.share * 2 * len(numbers) * 20 and chance.random() < 0.3:
        site.denies_all = True


def _heal(trial: Trial) -> None:
    """The service is well again; what is bad for ever may stay so, and does within a date."""
    site = trial.site
    site.drawn, site.denies_all, site.refused = Drawn(), False, {}
    gone = set(sorted(site.gone)[:DELETIONS_TOLERATED])
    site.moved |= {str(number) for number, model in site.models.items() if model.hidden} | set(
        map(str, site.gone - gone)
    )
    site.gone = gone
    for model in site.models.values():
        model.hidden = False
    if not (trial.keeps_bad or trial.heals_same_day):
        site.broken, site.unreadable = {}, {}


@contextmanager
def hurried(run: Run) -> Iterator[None]:
    """Short pauses, and short pages, so that a small catalogue has many."""
    dialect = DIALECTS[run.dialect]
    endpoints = tuple(replace(each, limit=each.limit and run.limit) for each in dialect.endpoints)
    rules = replace(dialect.existence_check, batch_size=dialect.existence_check.batch_size and 5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipelines.api.pacing._FIRST_WAIT", FIRST_WAIT)
        patch.setattr("pipelines.api.pacing._FIRST_WAIT_REFUSED", FIRST_WAIT)
        patch.setattr("pipelines.api.pacing._LONGEST_WAIT", LONGEST_WAIT)
        patch.setitem(DIALECTS, run.dialect, replace(dialect, endpoints=endpoints, existence_check=rules))
        yield


def crawl(run: Run) -> Outcome:
    """Take the snapshot of a run as the command does, in this process."""
    settings = Settings(
        data_dir=Path(run.data_dir),
        api_url=run.api_url,
        dialect=run.dialect,
        requests_per_second=0,
        window_pages=run.window,
        image_pages=run.image_pages,
        max_attempts=run.attempts,
        timeout_seconds=TIMEOUT,
        retry_minutes=PATIENCE / 60,
        max_burial_share=run.share,
    )
    try:
        with hurried(run), writer_lock(settings.data_dir):
            report = take_snapshot(settings, date.fromisoformat(run.on))
    except CivitaiEtlError as error:
        return Outcome("error", str(error))
    except Exception:  # noqa: BLE001 - what is looked for
        return Outcome("traceback", format_exc())
    return Outcome(report.status, report.reason or "", report.crawl_id, report.already_complete)


def _crawl_killed(run: Run, site: Site, kill: tuple[int, float]) -> Outcome:
    """The same in a process of its own, which is killed so long after a request; how it ended if it ended before."""
    site.asked.clear()
    site.watch_for = len(site.log) + kill[0]
    command = [sys.executable, "-m", "tests.fuzz.crawls", "--run", json.dumps(asdict(run))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            while process.poll() is None and not site.asked.wait(0.05):
                pass
            if process.poll() is None:
                time.sleep(kill[1])
            process.kill()
            printed, errors = process.communicate()
        finally:
            process.kill()
            site.watch_for = 0
    if process.returncode < 0:
        return Outcome("killed")
    if process.returncode:
        return Outcome("traceback", errors)
    return Outcome(**json.loads(printed))


def try_out(seed: int, *, kills: bool = True) -> Trial:
    """Run a trial to its end; its `problems` are what went against the rules."""
    trial = draw(seed, kills=kills)
    with serving(trial.site), TemporaryDirectory(prefix="crawls-") as folder:
        trial.run = replace(trial.run, api_url=trial.site.address, data_dir=f"{folder}/data")
        for number, day in enumerate(trial.days):
            if number:
                _next_day(trial, day)
            trial.site.drawn = day.drawn
            _crawl_day(trial, day)
            if trial.problems:
                return trial
        _crawl_healed(trial)
    return trial


def _crawl_day(trial: Trial, day: Day) -> None:
    trial.run = replace(trial.run, on=str(day.on))
    began = trial.date_began = len(trial.site.log)
    killed = False
    if day.kill:
        ended = _run(trial, began, day.kill)
        killed = ended.status == "killed"
    for _ in range(day.runs + killed):
        ended = _run(trial, began)
        if ended.status in ("complete", "traceback"):
            break


def _crawl_healed(trial: Trial) -> None:
    last = trial.days[-1]
    same = trial.heals_same_day
    if not same:
        _next_day(trial, Day(last.on + timedelta(days=trial.chance.choice([1, 1, 7])), Drawn()))
    _heal(trial)
    trial.run = replace(trial.run, on=str(trial.site.on))
    began = trial.date_began if same else len(trial.site.log)
    ended = _run(trial, began)
    if same and ended.status == "partial":
        # A crawl that was gone on with ends as what it met; the next one of the date knows nothing of that.
        ended = _run(trial, began)
    if ended.status != "complete":
        trial.problems.append(f"the service is well, and the crawl ended {ended.status}: {ended.text}")
    asked = len(trial.site.log)
    again = _run(trial, began) if trial.seed % 4 == 0 and not trial.problems else None
    if again and not (again.already and len(trial.site.log) == asked):
        trial.problems.append(f"a complete date was asked for again: {again}")


def _run(trial: Trial, began: int, kill: tuple[int, float] | None = None) -> Outcome:
    """One run, and what is wrong with how it ended; `began` is where the log of its date begins."""
    site, run = trial.site, trial.run
    site.begin_run()
    before = Raw(run)
    run_began = len(site.log)
    ended = _crawl_killed(run, site, kill) if kill else crawl(run)
    trial.outcomes.append(f"{run.on} {ended.status} {ended.text[:200]}")
    if ended.status != "killed":
        verdict = Verdict(trial, ended, before, Raw(run), site.log[began:], site.log[run_began:])
        trial.problems += [f"{run.on} ({ended.status}): {problem}" for problem in verdict.problems()]
    return ended


class Raw:
    """What DuckDB reads in the warehouse, all of it."""

    def __init__(self, run: Run) -> None:
        self.rows: dict[str, list[dict[str, Any]]] = {}
        warehouse = Path(run.data_dir, "warehouse.duckdb")
        if not warehouse.exists():
            return
        with duckdb.connect(str(warehouse), read_only=True) as connection:
            connection.execute("set timezone = 'UTC'")
            named = "select table_name from information_schema.tables where table_schema = 'raw'"
            for (name,) in connection.execute(named).fetchall():
                if not name.startswith("_dlt"):
                    self.rows[name] = connection.sql(f"from raw.{name}").to_arrow_table().to_pylist()

    def of(self, table: str, **where: Any) -> list[dict[str, Any]]:
        return [row for row in self.rows.get(table, []) if all(row[name] == value for name, value in where.items())]

    def expected(self, on: date) -> set[str]:
        """The models that were seen before a date and not denied since."""
        seen: dict[str, date] = {}
        denied: dict[str, date] = {}
        for table, latest in (("model_observations", seen), ("tombstones", denied)):
            for row in self.of(table):
                if row["snapshot_date"] < on and row.get("kind", "model") == "model":
                    key = row["entity_id"]
                    latest[key] = max(row["snapshot_date"], latest.get(key, row["snapshot_date"]))
        return {key for key, day in seen.items() if day >= denied.get(key, day)}


class Verdict:
    """Whether the end of a run is right, by the state and the log of the service and by what is stored."""

    def __init__(
        self, trial: Trial, ended: Outcome, before: Raw, raw: Raw, log_of_date: list[Logged], log_of_run: list[Logged]
    ) -> None:
        self.site, self.run, self.ended = trial.site, trial.run, ended
        self.before, self.raw = before, raw
        self.log, self.log_of_run = log_of_date, log_of_run
        self.on = date.fromisoformat(trial.run.on)
        self.expected = before.expected(self.on)
        self.paths = {each.path: each for each in DIALECTS[trial.run.dialect].endpoints}

    def problems(self) -> Iterator[str]:
        if self.ended.status == "traceback":
            yield self.ended.text
            return
        if self.ended.status == "error":
            yield from self._error()
        yield from self._requests()
        yield from self._stored()
        if self.ended.already:
            return
        if self.ended.status == "partial":
            yield from self._reasons()
        if self.ended.status in ("complete", "partial"):
            yield from self._counts()
            yield from self._rejects()
            for path in KINDS:
                yield from self._observed(path)

    def _error(self) -> Iterator[str]:
        if "\n" in self.ended.text:
            yield f"an error of several lines: {self.ended.text!r}"
        if self.log_of_run and self.log_of_run[-1].is_usable:
            yield f"an error after a usable answer: {self.ended.text}"

    def _requests(self) -> Iterator[str]:
        """Whether there are too many of them.

        Usable answers, and pages that a record breaks for ever, are bounded by the lists. Each pass is walked
        MOST_ATTEMPTS times at most. A page is asked for again FETCHED_AGAIN times at most for each of the four reasons
        to doubt it (it leads back, brings nothing new, is empty, or is full and the last). A list without an end has
        STALLED_PAGES more. A page that fails for good is asked for in parts, down to one record and back to whole
        pages: twice the logarithm of its length, each part PART_ATTEMPTS times, and the page and the record `attempts`
        times; it fails for a record, or for `attempts` unusable answers. An id is asked for in a batch and alone, each
        with its attempts, PART_ATTEMPTS more, and a probe.

        Unusable answers are bounded by patience: of `attempts` in a row all but the last are followed by a pause of
        half the first wait at least.
        """
        run, site = self.run, self.site
        attempts = max(run.attempts, PART_ATTEMPTS)
        parts = 2 * attempts + PART_ATTEMPTS * (2 * math.ceil(math.log2(run.limit)) + 4)
        unusable = [each for each in self.log_of_run if not each.is_usable and each.fault != "broken"]
        most = 0
        for path, endpoint in self.paths.items():
            walks = MOST_ATTEMPTS * len(endpoint.passes)
            size = len(site.rows(path)) + len(site.moved) if path != "/enums" else 1
            pages = math.ceil(size / run.limit) + 2 + STALLED_PAGES
            broken = sum(kind == endpoint.kind for kind, _ in site.broken)
            most += walks * (pages * (1 + 4 * FETCHED_AGAIN) + broken * parts)
        most += 2 * len(self.expected) * (attempts + PART_ATTEMPTS + 1) + len(unusable) * parts
        if len(self.log_of_run) - len(unusable) > most:
            yield f"{len(self.log_of_run) - len(unusable)} usable answers, at most {most} are needed"
        streak = longest = 0
        for each in self.log_of_run:
            streak = 0 if each.is_usable else streak + 1
            longest = max(streak, longest)
        if longest > 2 * PATIENCE / (FIRST_WAIT / 2):
            yield f"{longest} requests in a row without a usable answer"

    def _stored(self) -> Iterator[str]:
        """Whether what is stored of the date is what was served, byte for byte, and nothing is there twice."""
        for kind in KINDS.values():
            documents = Counter((row["entity_id"], row["content_hash"]) for row in self.raw.of(f"{kind}_documents"))
            if twice := [key for key, times in documents.items() if times > 1]:
                yield f"{kind} documents are stored twice: {twice[:3]}"
            payloads = {
                (row["entity_id"], row["content_hash"]): row["payload"] for row in self.raw.of(f"{kind}_documents")
            }
            for row in self.raw.of(f"{kind}_observations", snapshot_date=self.on):
                key = row["entity_id"], row["content_hash"]
                if key not in payloads:
                    yield f"{kind} {key} is observed and has no document"
                    continue
                received = splice(kind, payloads[key].encode(), row["metrics"].encode())
                if received not in self.site.served.get((kind, row["entity_id"]), set()):
                    yield f"{kind} {row['entity_id']} was never served like that: {received[:200]!r}"
        for row in self.raw.of("tombstones", snapshot_date=self.on):
            if int(row["entity_id"]) not in self.site.gone and row["entity_id"] not in self.site.moved:
                yield f"model {row['entity_id']} is a tombstone and is there"

    def _reasons(self) -> Iterator[str]:
        parts = re.split(r"(?:^|; )(models|creators|tags|enums|images|reconcile): ", self.ended.text)
        if parts[0] or len(parts) < 3:
            yield f"no reason that says where: {self.ended.text!r}"
        for name, problem in zip(parts[1::2], parts[2::2], strict=True):
            if not self._is_true(name, problem):
                yield f"a reason that is not true: {name}: {problem}"

    def _is_true(self, name: str, problem: str) -> bool:
        """Whether a reason names what happened, by what the service did to the list."""
        path = f"/{name}"
        told = {each.lie for each in self.log if each.path == path} - {""}
        told |= {"broken"} if any(each.fault == "broken" and each.path == path for each in self.log) else set()
        told |= {"moved"} if self.site.moved and path == "/models" else set()
        told |= {"shuffled"} if self.site.is_shuffled(path) else set()
        told |= {"nothing"} if path in KINDS and not self._listed(path) else set()
        by_id = [each for each in self.log if each.path.startswith("/models/")]
        if "ids in a row" in problem:
            return sum(each.fault.startswith("refused") for each in by_id) > REFUSED_IN_A_ROW
        if "answer 404" in problem:
            denied = {each.path for each in by_id if each.fault == "gone"}
            return len(denied) > max(DELETIONS_TOLERATED, int(self.run.share * len(self.expected)))
        causes = next((causes for words, causes in CAUSES.items() if words in problem), set())
        return bool(told & causes)

    def _crawl(self) -> dict[str, Any]:
        return self.raw.of("snapshots", crawl_id=self.ended.crawl_id)[0]

    def _ids(self, kind: str) -> set[str]:
        """What the crawl observed, or met again after another one of its date."""
        observed = self.raw.of(f"{kind}_observations", crawl_id=self.ended.crawl_id)
        met_again = self.raw.of("sightings", crawl_id=self.ended.crawl_id, kind=kind)
        return {row["entity_id"] for row in [*observed, *met_again]}

    def _counts(self) -> Iterator[str]:
        row = self._crawl()
        if (row["status"], row["reason"] or "") != (self.ended.status, self.ended.text):
            yield f"the report says {self.ended}, and raw {row}"
        for kind, counts in json.loads(row["endpoints"]).items():
            if counts["items"] != counts["distinct_ids"] + counts["duplicates"] + counts["rejected"]:
                yield f"the counts of {kind} do not balance: {counts}"
            # A gallery that was begun anew has met again what it had.
            if counts["distinct_ids"] != len(self._ids(kind)):
                yield f"{counts['distinct_ids']} {kind} ids counted, {len(self._ids(kind))} are stored"

    def _rejects(self) -> Iterator[str]:
        """Whether exactly what is bad for ever was set aside."""
        faults: dict[str, list[Logged]] = {}
        for each in self.log:
            faults.setdefault(each.request, []).append(each)
        rejects = self.raw.of("rejects", crawl_id=self.ended.crawl_id)
        blamed: set[tuple[str, str]] = set()
        unreadable: set[tuple[str, bytes]] = set()
        for row in rejects:
            kind, payload = row["kind"], bytes(row["payload"])
            if any(payload == item for _, item in self.site.unreadable.get(kind, [])):
                unreadable.add((kind, payload))
                continue
            answers = faults.get(row["request"], [])
            records = {each.record for each in answers if each.record}
            if not records:
                yield f"{kind} {row['request']} was set aside ({row['reason']}), and nothing is wrong with it for ever"
            blamed |= {(kind, record) for record in records}
        if self.ended.status == "complete":
            for path, kind in KINDS.items():
                if kind in ("image", "enum"):
                    continue
                listed = self._listed(path)
                bad = {(kind, key) for key in listed if (b := self.site.broken.get((kind, key))) and b.alone}
                if lacking := {key for key in bad - blamed if key[1] not in self.site.moved}:
                    yield f"broken for ever and not set aside: {lacking}"
                items = {(kind, item) for _, item in self.site.unreadable.get(kind, [])}
                if items - unreadable and not (kind == "creator" and self.site.is_shuffled("/creators")):
                    yield f"unreadable and not set aside: {items - unreadable}"

    def _listed(self, path: str) -> set[str]:
        pass_indexes = range(len(self.paths[path].passes))
        return {
            row.entity_id
            for pass_index in pass_indexes
            for row in self.site.rows(path, pass_index)
            if row.entity_id is not None
        }

    def _observed(self, path: str) -> Iterator[str]:
        """Whether what was observed is the truth, as far as the crawl says that it has all of it."""
        site, kind = self.site, KINDS[path]
        ids, complete = self._ids(kind), self.ended.status == "complete"
        if path == "/enums":
            if complete and ids != {"enums"}:
                yield "complete without enums"
            return
        listed = self._listed(path)
        must = {key for key in listed if not ((broken := site.broken.get((kind, key))) and broken.alone)}
        may = set(listed)
        if kind == "model":
            answered = {key for key in self.expected if site.answers_by_id(int(key))}
            must = (must | answered - self._unanswered()) - site.moved
            may |= answered | {str(number) for number in site.models}
            yield from self._tombstones(ids)
        if kind == "image":
            mark = self._crawl()["gallery_from"] or 0
            if mark > max((row["gallery_to"] or 0 for row in self.before.of("snapshots")), default=0):
                yield f"nobody knows the gallery up to {mark}"
            must = {key for key in must if int(key) > mark} if mark else set()
        tolerated = (1 - UNORDERED_SHARE) * len(listed) if (kind, self.run.dialect) == ("creator", "live") else 0
        # Who was asked for by id in another crawl of the date is not asked for again.
        of_date = {row["entity_id"] for row in self.raw.of(f"{kind}_observations", snapshot_date=self.on)} - listed
        lacking = must - ids - of_date if complete else set()
        if len(lacking) > tolerated:
            yield f"complete, and {len(lacking)} of {len(must)} {kind} ids are missing: {sorted(lacking)[:8]}"
        if odd := ids - may:
            yield f"{kind} ids that nobody has: {sorted(odd)[:8]}"

    def _unanswered(self) -> set[str]:
        """Models that were refused by chance when they were asked for by id, or answered with another thing."""
        asked = [each for each in self.log if each.path.startswith("/models/")]
        return {
            each.path.removeprefix("/models/")
            for each in asked
            if each.fault.startswith("refused") or each.fault == "odd-document"
        }

    def _tombstones(self, ids: set[str]) -> Iterator[str]:
        """Whether a complete crawl has one for each model that is gone."""
        gone = {key for key in self.expected if int(key) in self.site.gone and key not in self.site.moved}
        stored = {row["entity_id"] for row in self.raw.of("tombstones", snapshot_date=self.on)}
        lacking = gone - stored - ids - self._unanswered()
        if lacking and self.ended.status == "complete":
            yield f"complete, and gone models have no tombstone: {sorted(lacking)[:8]}"


def _told(seed: int) -> tuple[int, list[str], str]:
    trial = try_out(seed)
    if not trial.problems:
        return seed, trial.outcomes, ""
    lines = [str(trial), *trial.outcomes, *(f"  {each}" for each in trial.site.log[-40:]), *trial.problems]
    return seed, trial.outcomes, "\n".join([*lines, f"again: python -m tests.fuzz.crawls {seed} 1"])


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["--run"]:
        print(json.dumps(asdict(crawl(Run(**json.loads(arguments[1]))))))
        return 0
    first, count = (int(text) for text in [*arguments, *["1", "200"][len(arguments) :]])
    began, failed, ends = time.monotonic(), 0, Counter[str]()
    with ProcessPoolExecutor(3) as pool:
        for seed, outcomes, told in pool.map(_told, range(first, first + count)):
            ends.update(outcome.split()[1] for outcome in outcomes)
            if told:
                failed += 1
                print(f"\n{told}\n", flush=True)
            elif (seed - first) % 20 == 19:
                print(f"[{timedelta(seconds=round(time.monotonic() - began))}] {seed - first + 1} crawls", flush=True)
    counted = ", ".join(f"{times} {end}" for end, times in ends.most_common())
    print(f"{count} crawls in {time.monotonic() - began:.0f} s, {failed} against the rules; runs ended: {counted}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
