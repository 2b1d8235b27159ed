"""Some dozens of generated histories, held against the oracle; `make fuzz` takes five hundred others."""

from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise

import pytest

from tests.fuzz.answers import first_rows, window
from tests.fuzz.happenings import CROWD, NO_VERSION, Catalogue, Crawl, catalogue
from tests.fuzz.histories import problems
from tests.fuzz.oracle import FACTS, Day, Oracle
from tests.fuzz.questions import WINDOWS, questions
from tests.fuzz.shrink import shrink

#: Catalogues of few days in which everything happens that `EVENTS` names, and one of them is built on several days.
SEEDS, HISTORIES = (33, 48, 58, 165), 12


@pytest.mark.parametrize("seed", SEEDS)
def test_the_star_of_a_generated_catalogue_is_what_the_oracle_has(seed: int) -> None:
    assert problems(catalogue(seed, HISTORIES)) == []


def test_everything_happens_in_the_generated_histories() -> None:
    catalogues = [catalogue(seed, HISTORIES) for seed in SEEDS]
    happened = {event for told in catalogues for event in events(told, Oracle(told))}
    assert EVENTS - happened == set()


def test_a_catalogue_that_fails_is_told_as_small_as_it_gets() -> None:
    told = catalogue(SEEDS[0], HISTORIES)
    culprit = next(key for step in told.steps if isinstance(step, Crawl) for key in step.answered)

    def fails(smaller: Catalogue) -> bool:
        return any(isinstance(step, Crawl) and culprit in step.answered for step in smaller.steps)

    (step,) = shrink(told, fails, seconds=10).steps
    assert isinstance(step, Crawl)
    assert (step.listed, step.gone, step.answered) == ({}, (), {culprit: {"id": culprit, "modelVersions": []}})


def events(told: Catalogue, oracle: Oracle) -> Iterator[str]:
    """The kinds of things that happen in a catalogue."""
    crawls = [step for step in told.steps if isinstance(step, Crawl)]
    if [crawl.on for crawl in crawls] != sorted(crawl.on for crawl in crawls):
        yield "a date comes late"
    if told.built:
        yield "built on several days"
    verdicts = ["crawled" if isinstance(step, Crawl) else step.verdict for step in told.steps]
    if "excluded" in verdicts:
        yield " and then ".join(verdicts[verdicts.index("excluded") :])
    for first, second in pairwise(sorted(crawls, key=lambda crawl: (crawl.on, crawl.number))):
        yield from events_of_a_date(first, second) if first.on == second.on else ()
    yield from events_of_days(oracle)
    yield from events_of_histories(oracle)
    yield from events_of_facts(oracle)
    for *_, what in oracle.tables["ops_quarantine"]:
        yield f"{ODD.get(what, 'a counter')} is set aside"
    for (_, counter), row in oracle.tables["ops_withheld"].items():
        yield f"{counter} is {'accepted' if row['is_accepted'] else 'withheld'}"
    yield from (f"{name} has an answer" for name, _, answer, _ in questions(oracle) if answer)


def events_of_a_date(first: Crawl, second: Crawl) -> Iterator[str]:
    """What happens on a date that is crawled twice."""
    yield f"{status(first)} and then {status(second)}"
    gone = set(first.gone)
    if gone & second.listed.keys():
        yield "a 404 and then in a list"
    if gone & second.answered.keys():
        yield "a 404 and then an answer by id"
    if any(is_broken(second.listed[key]) for key in gone & second.listed.keys()):
        yield "a 404 and then a record that is set aside"
    if first.answered.keys() & second.listed.keys():
        yield "an answer by id and then in a list"


def is_broken(item: dict) -> bool:
    return NO_VERSION in item["modelVersions"]


def status(crawl: Crawl) -> str:
    return "complete" if crawl.is_complete else "partial"


def events_of_days(oracle: Oracle) -> Iterator[str]:
    listed: set[int] = set()
    for before, day in pairwise(oracle.days):
        if (day.on - before.on).days > 1:
            yield "a gap"
        if day.gone and not day.is_complete:
            yield "a 404 in a partial crawl"
        by_id = {key for key, (_, is_listed) in day.seen.items() if not is_listed}
        yield from (f"an answer by id {'after' if key in listed else 'before'} a list" for key in by_id)
        listed |= day.seen.keys() - by_id
        yield from disagreements(day)
        if day.is_complete and not before.is_complete:
            again = {key: item for key, (item, is_listed) in before.seen.items() if is_listed and key not in CROWD}
            if any(document(item) == document(day.seen[key][0]) for key, item in again.items() if key in day.seen):
                yield "a document that a partial crawl brought and a complete one has again"
    rows = oracle.dim_model.rows.items()
    if any(row["valid_to"] and not row["removed_on"] and key not in listed for (key, _), row in rows):
        yield "a watched model changes"


def document(item: dict) -> dict:
    """An item without its counters."""
    versions = [version | {"stats": None} for version in item["modelVersions"]]
    return item | {"stats": None, "modelVersions": versions}


def disagreements(day: Day) -> Iterator[str]:
    said: dict[int, list[dict]] = {}
    for item, _ in day.seen.values():
        for version in item["modelVersions"]:
            said.setdefault(version["id"], []).append(version)
    for versions in said.values():
        for name in ("baseModel", "files", "stats"):
            if any(each.get(name) != versions[0].get(name) for each in versions):
                yield f"{min(len(versions), 3)} listers disagree about {name}"


def events_of_histories(oracle: Oracle) -> Iterator[str]:
    for name in ("dim_model", "dim_model_version", "bridge_model_tag", "file_hash"):
        rows = getattr(oracle, name).rows
        for key, row in rows.items():
            following = rows.get((*key[:-1], row["valid_to"]))
            later = [start for *other, start in rows if other == [*key[:-1]] and start > key[-1]]
            if following:
                yield f"{name}: changed"
                yield from (f"{name}: another {column}" for column in following if following[column] != row[column])
            elif row["valid_to"]:
                yield f"{name}: {'returned' if later else 'gone'}"


def events_of_facts(oracle: Oracle) -> Iterator[str]:
    for fact in FACTS:
        first = first_rows(oracle, fact)
        for (on, entity), row in oracle.tables[fact].items():
            length, is_first = row["downloads_days"], first[entity][0] == on
            if is_first and row["days_since_previous"]:
                complete = max(day.on for day in oracle.days if day.is_complete and day.on < on)
                missed = row["days_since_previous"] > (on - complete).days
                yield f"{fact}: a birth{', of which the last complete crawl saw nothing' if missed else ''}"
            elif length and length > row["days_since_previous"]:
                yield f"{fact}: a hidden span"
                for days in WINDOWS:
                    of = window(oracle, days)
                    if of and on - timedelta(length) < of.since < on <= of.until:
                        yield f"{fact}: a hidden span over the edge of a window of {days}"
            if row["downloads_delta"] is not None and row["downloads_delta"] < 0:
                yield f"{fact}: a counter falls"


#: What some values in quarantine are of; all others are counters.
ODD = {"record": "a record", "null": "a tag", '" "': "a hash", "7": "a hash", '"yes"': "a flag"}
HISTORIES_OF_TABLES = ("dim_model", "dim_model_version", "bridge_model_tag", "file_hash")
EVENTS = {
    *("a date comes late", "built on several days", "a gap"),
    *(
        "excluded",
        "excluded and then included",
        "excluded and then crawled",
        "excluded and then crawled and then included",
    ),
    *("partial and then complete", "partial and then partial", "complete and then complete"),
    *("a 404 in a partial crawl", "a 404 and then in a list", "a 404 and then an answer by id"),
    *("an answer by id and then in a list", "a 404 and then a record that is set aside"),
    "a document that a partial crawl brought and a complete one has again",
    *("an answer by id before a list", "an answer by id after a list", "a watched model changes"),
    *(f"{number} listers disagree about {what}" for number in (2, 3) for what in ("baseModel", "files", "stats")),
    *(f"{name}: {what}" for name in HISTORIES_OF_TABLES for what in ("gone", "returned")),
    *(f"dim_model: another {name}" for name in ("name", "username", "allow_commercial_use", "description_hash")),
    *(f"dim_model_version: another {name}" for name in ("model_id", "base_model", "trained_words")),
    *(f"{what} is set aside" for what in ("a record", "a counter", "a tag", "a hash", "a flag")),
    *(f"{fact}.download_count is {what}" for fact in FACTS for what in ("withheld", "accepted")),
    *(
        f"{fact}: {what}"
        for fact in FACTS
        for what in (
            *("a birth", "a birth, of which the last complete crawl saw nothing", "a counter falls", "a hidden span"),
            *(f"a hidden span over the edge of a window of {days}" for days in (3, 7)),
        )
    ),
    *(f"{name} has an answer" for name in ("trend_base_model", "trending_models", "creator_leaderboard")),
    *(f"{name} has an answer" for name in ("release_curves", "models_as_of", "removed_models", "licence_mix")),
    *(f"{name} has an answer" for name in ("half_life", "time_to_downloads", "survival", "adoption", "trending_tags")),
    *(f"{name} has an answer" for name in ("creator_migration", "concentration", "weekday_pattern", "licence_changes")),
}
