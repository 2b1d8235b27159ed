"""Properties over generated histories: gaps, partial crawls, take-downs and returns, answers by id, hidden counters,
renames, new owners, moved versions, tags that come and go, files uploaded anew, late and repeated crawls of past days,
days on which every counter is zero, days that the checks refuse, days that are excluded and included again, a version
that two models list and about which they disagree, counters that cannot be true, a warehouse that is lost and put back.

The oracle is the generated history itself, walked with plain dictionaries, and SQL identities on the published star.
"""

import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import groupby, pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from pipelines.raw import decisions
from tests.transforms.conftest import DAYS, Workshop, model, version
from transforms.build import rebuild
from transforms.continuity import LostDatesError, refuse_lost_dates
from transforms.quality.checks import LostRowsError
from transforms.ranges import WIDTH

MODEL_IDS = (1, 202, 403)
#: Ids per range: these models are in ranges of their own.
RANGE = 200
#: A version that some of these models list, each with attributes, files and counters of its own.
SHARED, LISTERS = 90, (1, 202)
#: Models that are always listed and hardly change, so many that their counters and their absence are noticed.
CROWD = range(1001, 1061)
UNKNOWN = "(unknown)"
#: The type 2 tables.
HISTORIES = ("dim_model", "dim_model_version", "bridge_model_tag", "file_hash")
count = st.sampled_from([50, None, 20, 0, 7, 50, 20, -1, 10**18])
#: Few histories, for one takes seconds, and a seed with which every event happens (`tests/fuzz` has many histories).
EXAMPLES, SEED = 4, 15


@dataclass(frozen=True)
class Day:
    """A generated date: what each model looked like where a list had it, or where it answered by id, and what answered
    404. With `again`, the crawl was partial and a second one of that date, with these models too, completed it late.
    `fault` is what the service did to the crowd: nothing, `zeros` for counters, or it did not list it (`lost`).
    """

    on: date
    status: str
    listed: dict[int, dict[str, Any]]
    answered: dict[int, dict[str, Any]]
    buried: tuple[int, ...]
    build: bool
    again: dict[int, dict[str, Any]] | None
    fault: str | None

    @property
    def is_complete(self) -> bool:
        return self.status == "complete" or self.again is not None

    @property
    def is_baseline(self) -> bool:
        """Whether a later date that lacks the crowd is refused for it."""
        return self.status == "complete" and self.fault != "lost"

    @property
    def shown(self) -> dict[int, dict[str, Any]]:
        """All that lists had on the date, in whichever crawl."""
        return self.listed | (self.again or {})


@st.composite
def model_states(draw: st.DrawFn, model_id: int) -> dict[str, Any]:
    numbers = draw(st.sampled_from([(0, 1), (1, 2), (0,), (0, 1, 2), ()]))
    shared = (SHARED,) if model_id in LISTERS and draw(st.booleans()) else ()
    versions = [
        version(
            version_id,
            base_model=draw(st.sampled_from(["SD 1.5", "Pony"])),
            publishedAt=f"2026-01-{draw(st.integers(1, 9)):02}T12:00:00.000Z",
            files=[
                {"id": file, "name": "f", "hashes": {"SHA256": draw(st.sampled_from(["aa", "BB"]))}}
                for file in draw(st.sets(st.integers(1, 2), max_size=2))
            ],
            images=[{"id": number, "url": "u"} for number in draw(st.sets(st.integers(1, 3), max_size=2))],
            stats={"downloadCount": draw(count), "thumbsUpCount": draw(count), "thumbsDownCount": 1},
        )
        for version_id in (*(model_id * 10 + number for number in numbers), *shared)
    ]
    return model(
        model_id,
        name=draw(st.sampled_from(["a", "b"])),
        creator=draw(st.sampled_from([{"username": "ada"}, {"username": "bob"}, None])),
        description=draw(st.sampled_from([None, "one", "two"])),
        tags=draw(st.lists(st.sampled_from(["x", "y", " y"]), max_size=2)),
        stats={"downloadCount": draw(count)},
    ) | {"modelVersions": versions}


def crowd(downloads: int) -> dict[int, dict[str, Any]]:
    stats = {"downloadCount": downloads, "thumbsUpCount": 3, "thumbsDownCount": 1}
    return {
        model_id: model(
            model_id,
            version(model_id * 10, "SD 1.5", publishedAt="2025-06-01T12:00:00.000Z", files=[], stats=stats),
            creator=None,
            tags=[],
            stats=stats,
            description=None,
        )
        for model_id in CROWD
    }


@st.composite
def histories(draw: st.DrawFn) -> list[Day]:
    days = sorted(draw(st.sets(st.sampled_from(DAYS[:9]), min_size=4, max_size=7)))
    history: list[Day] = []
    before: dict[int, dict[str, Any]] = {}
    for on in days:
        fates = {model_id: draw(st.sampled_from(FATES)) for model_id in MODEL_IDS}
        if not any(fate in ("listed", "the same") for fate in fates.values()):
            fates[1] = "listed"
        # What is the same is the same to the letter, but for its counters: its document is not looked at again.
        states = {model_id: draw(model_states(model_id)) for model_id in MODEL_IDS}
        for model_id, fate in fates.items():
            if fate == "the same" and model_id in before:
                states[model_id] = before[model_id] | {"stats": {"downloadCount": draw(count)}}
        complete = draw(st.integers(0, 2)) > 0
        fault = draw(st.sampled_from([None, None, "zeros", "lost"]))
        if fault == "lost" and not (complete and any(day.is_baseline for day in history[1:])):
            fault = None
        listed = {} if fault == "lost" else crowd(0 if fault == "zeros" else 100 + len(history))
        listed |= {model_id: states[model_id] for model_id, fate in fates.items() if fate in ("listed", "the same")}
        later = {model_id: states[model_id] for model_id, fate in fates.items() if fate == "later"}
        history.append(
            Day(
                on,
                "complete" if complete else "partial",
                listed,
                {model_id: states[model_id] for model_id, fate in fates.items() if fate == "answered"},
                tuple(model_id for model_id, fate in fates.items() if fate == "buried"),
                draw(st.booleans()),
                None if complete or draw(st.integers(0, 2)) == 0 else later,
                fault,
            )
        )
        before |= history[-1].shown
    return history


#: What becomes of a model on a date: `later` it is listed by the second crawl of a date, if there is one.
FATES = ("listed", "listed", "the same", "the same", "missed", "answered", "buried", "buried", "later")


def write(workshop: Workshop, day: Day) -> None:
    listed = list(day.listed.values())
    workshop.raw.crawl(
        day.on,
        status=day.status,
        buried=day.buried,
        reconciled=tuple(day.answered.values()),
        model=listed,
        tag=[{"name": tag} for tag in sorted({tag for state in listed for tag in state["tags"]})],
    )


def write_again(workshop: Workshop, day: Day) -> None:
    """The second crawl of a date: it has all that the first one listed, and what that one lacked."""
    workshop.raw.crawl(day.on, number=2, model=list(day.shown.values()))


def believed(version: dict[str, Any]) -> int | None:
    """The downloads of a version; None where they cannot be true."""
    downloads: int | None = version["stats"]["downloadCount"]
    return downloads if downloads is None or 0 <= downloads < 10**11 else None


def known_from_lists(history: list[Day]) -> dict[date, set[int]]:
    """The models that lists had shown before each date, since they were last gone."""
    known: dict[date, set[int]] = {}
    listed: set[int] = set()
    for day in history:
        known[day.on] = set(listed)
        listed |= day.shown.keys()
        listed -= set(day.buried) - day.shown.keys() if day.is_complete else set()
    return known


def expected_flows(
    history: list[Day], served: dict[date, dict[int, int]]
) -> tuple[dict[tuple[date, int], tuple[int | None, int | None]], dict[int, int | None], set[date]]:
    """Download counter and flow of every version and date, by walking the history; only what the owner says of a
    version counts, as `served` has it. Then the stock of every version at the end, None while hidden; and the withheld
    dates.
    """
    flows: dict[tuple[date, int], tuple[int | None, int | None]] = {}
    known: dict[int, int | None] = {}
    given: dict[int, bool] = {}
    awaited: set[int] = set()
    withheld: set[date] = set()
    last_complete: date | None = None
    unread: dict[int, date | None] = {}
    of_lists = known_from_lists(history)
    for day in history:
        told = [(state["id"], each) for state in (day.shown | day.answered).values() for each in state["modelVersions"]]
        if day.fault == "zeros" and (known.get(CROWD[0] * 10) or 0) > 0:
            withheld.add(day.on)
        for model_id, each in told:
            if served[day.on].get(each["id"]) != model_id:
                continue
            version_id, now = each["id"], believed(each)
            given[version_id] = now is not None
            complete = unread.get(model_id, last_complete)
            is_birth = (
                version_id not in known and complete is not None and each["publishedAt"] > f"{complete}T03:00:00.000Z"
            )
            if day.on in withheld:
                awaited |= {version_id} if is_birth and now is not None else set()
                now = None
            before = known.get(version_id)
            if is_birth or (version_id in awaited and before is None):
                flow = now
            else:
                flow = None if now is None or before is None else now - before
            flows[day.on, version_id] = (now, flow)
            known[version_id] = now if now is not None else before
        if day.is_complete:
            # A crawl that met a model by id only could not list what is new of it.
            by_id = day.answered.keys() - day.shown.keys()
            unread = {
                model_id: unread.get(model_id, last_complete) for model_id in by_id if model_id in of_lists[day.on]
            }
            last_complete = day.on
    return flows, {version_id: value if given[version_id] else None for version_id, value in known.items()}, withheld


@dataclass
class Periods:
    """The periods of a type 2 table, written down day by day: key -> start and values; and the rows that ended."""

    held: dict[Any, tuple[date, Any]] = field(default_factory=dict)
    ended: list[tuple[Any, Any, date, date | None, date | None]] = field(default_factory=list)

    def show(self, key: Any, values: Any, on: date) -> None:
        if key in self.held and self.held[key][1] != values:
            self.end(key, on, None)
        self.held.setdefault(key, (on, values))

    def end(self, key: Any, on: date, removed_on: date | None) -> None:
        since, values = self.held.pop(key)
        self.ended.append((key, values, since, on, removed_on))

    def keep(self, owner: Any, listed: set[Any], on: date) -> None:
        """Ends what is held under an owner and is not listed."""
        for key in [key for key in self.held if key[0] == owner and key not in listed]:
            self.end(key, on, on)

    def rows(self) -> Iterator[tuple[Any, Any, date, date | None, date | None]]:
        yield from self.ended
        yield from ((key, values, since, None, None) for key, (since, values) in self.held.items())


def contents(state: dict[str, Any], owners: dict[int, int]) -> dict[str, dict[tuple[Any, ...], Any]]:
    """What a model's document says of itself and of the versions that it owns: the tracked values by key (owner first),
    per table.
    """
    owner = state["id"]
    versions = [each for each in state["modelVersions"] if owners[each["id"]] == owner]
    creator = (state["creator"] or {"username": UNKNOWN})["username"]
    return {
        "dim_model": {(owner,): (state["name"], creator, state["description"])},
        "dim_model_version": {(owner, each["id"]): each["baseModel"] for each in versions},
        "bridge_model_tag": {(owner, tag.strip()): None for tag in state["tags"]},
        "file_hash": {
            (each["id"], file["id"], file["hashes"]["SHA256"].upper()): None
            for each in versions
            for file in each["files"]
        },
    }


def end_what_is_gone(tables: dict[str, Periods], model_id: int, told: dict[str, dict[Any, Any]], on: date) -> None:
    """Ends what is held of a model, and its document no longer has."""
    for _, version_id in [key for key in tables["dim_model_version"].held if key[0] == model_id]:
        tables["file_hash"].keep(version_id, set(told["file_hash"]), on)
    for name in ("dim_model", "dim_model_version", "bridge_model_tag"):
        tables[name].keep(model_id, set(told[name]), on)


def owners_of(versions: Periods, read: dict[int, dict[str, Any]], buried: set[int], on: date) -> dict[int, int]:
    """Whose each version is that the models `read` today list: who has it keeps it as long as it lists it, or nobody
    knows better; then it is the lowest id's. Ends what its model has lost to another one.
    """
    claims: dict[int, list[int]] = {}
    for model_id, state in read.items():
        for each in state["modelVersions"]:
            claims.setdefault(each["id"], []).append(model_id)
    had = {version_id: model_id for model_id, version_id in versions.held}
    owners = {}
    for version_id, listers in claims.items():
        owner = had.get(version_id)
        keeps = owner is not None and owner not in buried and (owner in listers or owner not in read)
        owners[version_id] = owner if keeps and owner is not None else min(listers)
        if owner is not None and owner != owners[version_id]:
            versions.end((owner, version_id), on, None)
    return owners


def expected_periods(history: list[Day]) -> tuple[dict[str, Periods], dict[date, dict[int, int]]]:
    """The periods of every type 2 table by walking the history, and the versions that were served on each date, each
    with its owner.
    """
    tables = {name: Periods() for name in HISTORIES}
    served: dict[date, dict[int, int]] = {}
    of_lists = known_from_lists(history)
    versions = tables["dim_model_version"]
    for day in history:
        # An answer by id is news only of a model that no list has shown.
        news = {key: state for key, state in day.answered.items() if key not in of_lists[day.on]}
        read = day.shown | news
        buried = set(day.buried) - day.shown.keys() if day.is_complete else set()
        owners = owners_of(versions, read, buried, day.on)
        said = {model_id: contents(state, owners) for model_id, state in read.items()}
        for model_id in buried:
            end_what_is_gone(tables, model_id, {name: {} for name in HISTORIES}, day.on)
        for told in said.values():
            for name, rows in told.items():
                for key, values in rows.items():
                    tables[name].show(key, values, day.on)
        for model_id in said if day.is_complete else ():
            end_what_is_gone(tables, model_id, said[model_id], day.on)
        served[day.on] = {version_id: model_id for model_id, version_id in versions.held}
    return tables, served


#: How each table tells what `Periods` has: key, tracked values, start, end and removal.
PERIODS_IN_STAR = {
    "dim_model": "SELECT [model_id], [name, username, description], valid_from, valid_to, removed_on "
    "FROM star.dim_model LEFT JOIN star.model_text USING (model_id, description_hash)",
    "dim_model_version": "SELECT [model_id, version_id], base_model, valid_from, valid_to, removed_on "
    "FROM star.dim_model_version",
    "bridge_model_tag": "SELECT [model_id::VARCHAR, tag], NULL, valid_from, valid_to, NULL FROM star.bridge_model_tag",
    "file_hash": "SELECT [version_id::VARCHAR, file_id::VARCHAR, hash], NULL, valid_from, valid_to, NULL "
    "FROM star.file_hash",
}


def assert_periods_are_those_of(workshop: Workshop, tables: dict[str, Periods]) -> None:
    """Every row of every type 2 table, no more and no less."""
    for name, query in PERIODS_IN_STAR.items():
        has_removal = name.startswith("dim_")
        found = sorted(repr((list(map(str, key)), _flat(values), *rest)) for key, values, *rest in workshop.sql(query))
        expected = sorted(
            repr((list(map(str, key)), _flat(values), since, until, removed_on if has_removal else None))
            for key, values, since, until, removed_on in tables[name].rows()
        )
        assert found == expected, name


def _flat(values: Any) -> Any:
    return list(values) if isinstance(values, tuple) else values


def listers(day: Day) -> list[int]:
    """The models that list the shared version on a date."""
    return [key for key, state in day.shown.items() if any(each["id"] == SHARED for each in state["modelVersions"])]


def events(history: list[Day], late: int | None, excluded: int | None) -> Iterator[str]:
    """The kinds of things that happen in a history."""
    for name, periods in expected_periods(history)[0].items():
        yield from changes(name, periods)
    if any(len(listers(day)) > 1 for day in history):
        yield "two models list a version"
    for before, day in pairwise(history):
        if (day.on - before.on).days > 1:
            yield "a gap"
        for model_id in before.shown.keys() & day.shown.keys():
            yield from counter_events(before.shown[model_id], day.shown[model_id])
    yield from ("a partial crawl" for day in history if not day.is_complete)
    yield from ("a partial crawl that met 404s" for day in history if not day.is_complete and day.buried)
    yield from ("an answer by id" for day in history if day.answered)
    yield from ("a second crawl of a past date" for day in history if day.again)
    _, served = expected_periods(standing(history, excluded))
    if expected_flows(standing(history, excluded), served)[2]:
        yield "a counter is withheld"
    if any(day.fault == "lost" for day in history):
        yield "a date is refused"
    if excluded is not None:
        yield "a date is excluded" if history[excluded].again is None else "an excluded date is crawled again"
    if late is not None:
        yield "a date that comes late"


def changes(name: str, periods: Periods) -> Iterator[str]:
    """What happens to the rows of a table."""
    starts = {(key, since): values for key, values, since, *_ in periods.rows()}
    for key, values, _, ended_on, removed_on in periods.ended:
        yield f"{name}: {'gone' if removed_on else 'changed'}"
        if removed_on and any(other == key and since > removed_on for other, since in starts):
            yield f"{name}: returned"
        if name == "dim_model_version" and not removed_on and (key, ended_on) not in starts:
            yield "a version has a new owner"
        if name == "dim_model" and not removed_on:
            both = zip(("name", "owner", "text"), values, starts[key, ended_on], strict=True)
            yield from (f"dim_model: new {what}" for what, was, now in both if was != now)


def counter_events(before: dict[str, Any], after: dict[str, Any]) -> Iterator[str]:
    """What happens to the counters of a model's versions."""
    known = {each["id"]: believed(each) for each in before["modelVersions"]}
    for each in after["modelVersions"]:
        was, now = known.get(each["id"], 0), believed(each)
        if now is None and each["stats"]["downloadCount"] is not None:
            yield "a counter cannot be true"
        if (was is None) != (now is None):
            yield "a counter is hidden" if now is None else "a counter is shown again"
        elif now is not None and now < was:
            yield "a counter falls"


RESTORED = "a warehouse is put back"
EVENTS = {
    RESTORED,
    *(f"{name}: {what}" for name in HISTORIES for what in ("gone", "returned")),
    *("dim_model: changed", "dim_model: new name", "dim_model: new owner", "dim_model: new text"),
    *("dim_model_version: changed", "a gap", "a partial crawl", "a partial crawl that met 404s", "an answer by id"),
    *("two models list a version", "a version has a new owner"),
    *("a counter is hidden", "a counter is shown again", "a counter falls", "a counter cannot be true"),
    *("a second crawl of a past date", "a date that comes late"),
    *("a counter is withheld", "a date is refused", "a date is excluded", "an excluded date is crawled again"),
}


def assert_mart_balances(workshop: Workshop, stock: dict[int, int | None], withheld: set[date]) -> None:
    """A stock is the stock before + flow + entered - left + reclassified + hidden, for every base model and date, where
    the stock before is the last one that is not withheld; and the last one is what the served versions have."""
    downloads = (
        "coalesce(downloads_delta, 0) + downloads_entered - downloads_left + downloads_reclassified + downloads_hidden"
    )
    versions = "versions_entered - versions_left + versions_reclassified"
    for name, amounts, excepted in (("download_count", downloads, withheld), ("version_count", versions, set[date]())):
        rows = workshop.sql(
            f"SELECT snapshot_date, base_model, {name}, {amounts} FROM star.mart_base_model_daily ORDER BY 1"
        )
        before: dict[str, int] = {}
        for on, of_day in groupby(rows, key=lambda row: row[0]):
            told = {base_model: (now, change) for _, base_model, now, change in of_day}
            if on in excepted:
                assert {value for each in told.values() for value in each} == {None}, (name, on)
                continue
            assert {each: now - change for each, (now, change) in told.items()} == {
                each: before.get(each, 0) for each in told
            }, (name, on)
            assert not {each for each, now in before.items() if now} - told.keys(), (name, on)
            before = {each: now for each, (now, _) in told.items()}
    served = workshop.sql("SELECT version_id, base_model FROM star.model_version")
    expected: Counter[str] = Counter()
    for version_id, base_model in served:
        expected[base_model] += stock.get(version_id) or 0
    rows = workshop.sql(
        "SELECT base_model, download_count FROM star.mart_base_model_daily "
        "WHERE snapshot_date = (SELECT max(snapshot_date) FROM star.fact_model_daily) AND download_count IS NOT NULL"
    )
    assert {name: now for name, now in rows if now} == (
        {name: now for name, now in expected.items() if now} if rows else {}
    )


def assert_flows_are_carried(workshop: Workshop) -> None:
    """What the mart calls flow on a date is what the versions' facts say, of versions that are served."""
    assert (
        workshop.sql("""
        SELECT snapshot_date, sum(downloads_delta) FROM star.fact_model_version_daily GROUP BY 1
        EXCEPT SELECT snapshot_date, sum(downloads_delta) FROM star.mart_base_model_daily GROUP BY 1""")
        == []
    )


def assert_periods_are_sound(workshop: Workshop) -> None:
    """Periods of one key neither overlap nor are empty, and every fact hangs on the row that held."""
    for table, key in {
        "dim_model": "model_id",
        "dim_model_version": "version_id",
        "bridge_model_tag": "model_id, tag",
        "file_hash": "version_id, file_id, algorithm, hash",
    }.items():
        overlaps = workshop.sql(
            f"SELECT * FROM (SELECT *, lead(valid_from) OVER (PARTITION BY {key} ORDER BY valid_from) AS next "
            f"FROM star.{table}) WHERE next < coalesce(valid_to, DATE '9999-01-01')"
        )
        assert overlaps == [], table
    for fact, dimension, name in (
        ("fact_model_daily", "dim_model", "model"),
        ("fact_model_version_daily", "dim_model_version", "version"),
    ):
        astray = workshop.sql(
            f"SELECT * FROM star.{fact} f LEFT JOIN star.{dimension} d USING ({name}_key) WHERE d.{name}_id IS NULL "
            f"OR d.{name}_id != f.{name}_id OR NOT (d.valid_from <= f.snapshot_date "
            "AND (d.valid_to IS NULL OR f.snapshot_date < d.valid_to))"
        )
        assert astray == [], fact


def standing(history: list[Day], excluded: int | None) -> list[Day]:
    """The days that count: those that the checks refuse do not, nor does an excluded one, but for what a second crawl
    of it has.
    """
    days = [
        replace(day, status="complete", listed=day.shown, answered={}, buried=(), again={})
        if place == excluded and day.again is not None
        else day
        for place, day in enumerate(history)
    ]
    return [
        day
        for place, day in enumerate(days)
        if day.fault != "lost" and (place != excluded or history[place].again is not None)
    ]


def build(workshop: Workshop) -> None:
    """Builds, and goes on when a date is refused."""
    with suppress(LostRowsError):
        workshop.build()


def lose_and_restore(workshop: Workshop, backup: Path, lost: list[Day]) -> None:
    """Puts the warehouse back as it was before `lost` days, and takes these again: a star that has more is noticed."""
    build(workshop)
    shutil.copy(backup, workshop.raw.path)
    if lost:
        with pytest.raises(LostDatesError):
            refuse_lost_dates(workshop.directory)
    forgotten = [day.on for day in lost]
    refuse_lost_dates(workshop.directory, forgotten)
    rebuild(workshop.directory)
    for day in lost:
        write(workshop, day)
    build(workshop)


def assert_history_is_told(
    history: list[Day], late: int | None, restored: int | None, excluded: int | None, included: bool
) -> None:
    """Writes a history to raw, the day `late` after all others and second crawls last of all, builds now and then, and
    holds the star against the oracle and against a rebuild. Once the warehouse is lost, and put back as it was after
    the day `restored`. Before the end a day is `excluded` and maybe `included`.
    """
    with TemporaryDirectory() as folder:
        workshop = Workshop(Path(folder))
        order = [day for place, day in enumerate(history) if place != late]
        order += history[late : late + 1] if late is not None else []
        backup = workshop.folder / "backup.duckdb"
        for place, day in enumerate(order):
            write(workshop, day)
            if day.build or place == restored:
                build(workshop)
            if place == restored:
                shutil.copy(workshop.raw.path, backup)
        if restored is not None:
            lose_and_restore(workshop, backup, order[restored + 1 :])
        if excluded is not None:
            build(workshop)
            decisions.exclude(workshop.raw.path, history[excluded].on, "a generated reason")
            build(workshop)
        if excluded is not None and included:
            decisions.include(workshop.raw.path, history[excluded].on, "no reason any more")
            excluded = None
        for day in history:
            if day.again is not None:
                write_again(workshop, day)
        build(workshop)
        counting = standing(history, excluded)
        tables, served = expected_periods(counting)
        flows, stock, withheld = expected_flows(counting, served)
        found = workshop.sql(
            "SELECT snapshot_date, version_id, download_count, downloads_delta FROM star.fact_model_version_daily"
        )
        assert {(on, version_id): (now, flow) for on, version_id, now, flow in found} == flows
        told = workshop.sql(
            "SELECT snapshot_date FROM star.ops_withheld WHERE counter = 'fact_model_version_daily.download_count'"
        )
        assert {on for (on,) in told} == withheld
        assert_periods_are_those_of(workshop, tables)
        assert_mart_balances(workshop, stock, withheld)
        assert_flows_are_carried(workshop)
        assert_periods_are_sound(workshop)
        assert workshop.files() == workshop.rebuild_into("again").files()


@pytest.fixture(autouse=True)
def a_range_for_each_model(narrow_ranges: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(WIDTH, "model", RANGE)


def test_any_history_gives_true_periods_and_flows_a_balanced_mart_and_the_same_files_by_day_and_by_rebuild() -> None:
    happened: Counter[str] = Counter()

    # An example takes a second, so that shrinking one would take minutes.
    @seed(SEED)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.explicit, Phase.generate),
    )
    @given(
        history=histories(),
        late=st.one_of(st.none(), st.integers(0, 2)),
        restored=st.one_of(st.none(), st.integers(0, 2)),
        excluded=st.one_of(st.none(), st.integers(0, 3)),
        included=st.booleans(),
    )
    def check(history: list[Day], late: int | None, restored: int | None, excluded: int | None, included: bool) -> None:
        baseline = next((place for place, day in enumerate(history) if place and day.is_baseline), None)
        if late == baseline or (excluded is not None and history[excluded].fault == "lost"):
            late, excluded = None, None
        happened.update({*events(history, late, excluded), *([RESTORED] if restored is not None else [])})
        assert_history_is_told(history, late, restored, excluded, included)

    check()
    assert happened.keys() >= EVENTS
