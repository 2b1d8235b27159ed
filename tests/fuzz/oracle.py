"""What the star has to say of a generated catalogue, by the rules of docs/architecture.md and of the data dictionary.

It walks the catalogue date by date, in plain Python, and shares no code with `transforms` or with another oracle. A
table is a dictionary from key to row; a row has the names and types that the star has, but days of publication are
microseconds since 1970.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from math import sqrt
from typing import Any

from tests.fuzz.happenings import Catalogue, Crawl

UNKNOWN = "(unknown)"
#: The counters of each fact: the service's name, the column, its flow, and the most that it can be.
USERS, BUZZ = 10**10, 10**12
OF_VERSIONS = (
    ("downloadCount", "download_count", "downloads_delta", USERS),
    ("thumbsUpCount", "thumbs_up_count", "thumbs_up_delta", USERS),
    ("thumbsDownCount", "thumbs_down_count", "thumbs_down_delta", USERS),
    ("ratingCount", "rating_count", "ratings_delta", USERS),
    ("rating", "rating", None, 5),
)
OF_MODELS = (
    *OF_VERSIONS,
    ("commentCount", "comment_count", "comments_delta", USERS),
    ("favoriteCount", "favorite_count", "favorites_delta", USERS),
    ("tippedAmountCount", "tipped_amount_count", "tipped_amount_delta", BUZZ),
)
FACTS = {"fact_model_daily": OF_MODELS, "fact_model_version_daily": OF_VERSIONS}
#: What of the mart is made of a counter.
OF_COUNTER = {
    "download_count": (
        *("download_count", "downloads_delta", "downloads_entered", "downloads_left", "downloads_reclassified"),
        *("downloads_hidden", "downloads_share", "downloads_days"),
    ),
    "thumbs_up_count": ("thumbs_up_count", "approval_rate", "approval_lower_bound", "reviews_up", "reviews_down"),
    "thumbs_down_count": ("thumbs_down_count", "approval_rate", "approval_lower_bound", "reviews_up", "reviews_down"),
    "rating_count": ("rating_count", "rating", "rating_points", "rating_points_count"),
    "rating": ("rating", "rating_points", "rating_points_count"),
}
#: The marts, and how many parts of a cell (base model, type, browsing level) their rows are cut by.
MARTS = {"mart_base_model_daily": 1, "mart_daily": 3}
LEVELS = ((32, "Blocked"), (16, "XXX"), (8, "X"), (4, "R"), (2, "PG13"), (1, "PG"), (0, "unrated"))
FELL_AT_LEAST, FELL_SHARE = 50, 0.2

Row = dict[str, Any]
Table = dict[tuple[Any, ...], Row]
#: Base model, type and browsing level, or the first of them; and the versions that are there, with their downloads.
Cell = tuple[str, ...]
Stock = dict[int, tuple[Cell, int | None]]


@dataclass
class Day:
    """A snapshot date: what its crawls saw that count. `seen` has the item of each model, and whether a list had it."""

    on: date
    completed_at: datetime | None = None
    seen: dict[int, tuple[dict, bool]] = field(default_factory=dict)
    gone: set[int] = field(default_factory=set)
    accepted: set[str] = field(default_factory=set)

    @property
    def is_complete(self) -> bool:
        return self.completed_at is not None


def days_of(catalogue: Catalogue) -> list[Day]:
    """The snapshot dates, by what counts at the end. A date on which nothing was observed is none."""
    standing, accepted = decided(catalogue)
    days = [day_of(on, crawls, accepted[on]) for on, crawls in sorted(standing.items())]
    return [day for day in days if day.seen]


def decided(catalogue: Catalogue) -> tuple[dict[date, list[Crawl]], dict[date, set[str]]]:
    """The crawls that count on each date, and the counters whose collapse on it is real."""
    standing: dict[date, list[Crawl]] = defaultdict(list)
    left_out: dict[date, list[Crawl]] = {}
    accepted: dict[date, set[str]] = defaultdict(set)
    for step in catalogue.steps:
        if isinstance(step, Crawl):
            standing[step.on].append(step)
        elif step.verdict == "excluded" and standing[step.on]:
            left_out[step.on], standing[step.on] = standing[step.on], []
        elif step.verdict == "included" and not standing[step.on]:
            standing[step.on] = left_out[step.on]
        elif step.verdict == "accepted":
            accepted[step.on].add(step.counter)
    return standing, accepted


def day_of(on: date, crawls: list[Crawl], accepted: set[str]) -> Day:
    """What the crawls of a date saw: the first one to see an id wins, but a list tells more than an answer by id."""
    day = Day(on, accepted=accepted)
    for crawl in crawls:
        day.completed_at = crawl.started_at if crawl.is_complete else day.completed_at
        day.gone |= set(crawl.gone)
        for items, is_listed in ((crawl.listed, True), (crawl.answered, False)):
            for model_id, item in items.items():
                known = day.seen.get(model_id)
                if known is None or (is_listed and not known[1]):
                    day.seen[model_id] = (item, is_listed)
    return day


class History:
    """A type 2 table: the rows that hold, by natural key, and those that ended, by natural key and start."""

    def __init__(self, latest: tuple[str, ...] = ()) -> None:
        self.latest = latest
        self.held: Table = {}
        self.rows: Table = {}

    def show(self, key: tuple[Any, ...], values: Row, on: date) -> None:
        held = self.held.get(key)
        if held and any(held[name] != value for name, value in values.items() if name not in self.latest):
            self.end(key, on)
            held = None
        if held:
            held.update(values)
        else:
            self.held[key] = self.rows[*key, on] = values | {"valid_from": on, "valid_to": None, "removed_on": None}

    def end(self, key: tuple[Any, ...], on: date, removed_on: date | None = None) -> None:
        self.held.pop(key).update(valid_to=on, removed_on=removed_on)

    def keys(self, *start: Any) -> list[tuple[Any, ...]]:
        """The keys that are held and begin so."""
        return [key for key in self.held if key[: len(start)] == start]


@dataclass
class Counted:
    """What is known of the counters of an entity: each with its last known value, and the dates that spans begin at."""

    seen_on: date
    known: Row = field(default_factory=dict)
    downloads_on: date | None = None
    is_shown: bool = False
    born_after: date | None = None
    awaited: set[str] = field(default_factory=set)


class Oracle:
    """The expected tables: `dim_model`, ... each a `History`, and the others as dictionaries in `tables`."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.dim_model = History(latest=("nsfw_level", "supports_generation", "user_id", "published_at"))
        self.dim_model_version = History(latest=("created_at", "published_at", "nsfw_level"))
        self.bridge_model_tag = History()
        self.file_hash = History()
        self.tables: dict[str, Table] = defaultdict(dict)
        self.state: dict[str, dict[int, Counted]] = {name: {} for name in FACTS}
        #: The models that lists have shown since they were last gone.
        self.listed: set[int] = set()
        #: Since when which model has listed a version, by its latest item.
        self.listers: dict[int, dict[int, date]] = defaultdict(dict)
        #: The last complete crawl; and per model the last one that could list it, where that is another one.
        self.complete: tuple[date, datetime] | None = None
        self.unread: dict[int, tuple[date, datetime] | None] = {}
        #: The versions that were there at the snapshot before, and at the last one with downloads, with cell and
        #: downloads.
        self.before: tuple[date | None, Stock] = (None, {})
        self.counted = self.before
        self.days = days_of(catalogue)
        for day in self.days:
            self.take(day)

    def take(self, day: Day) -> None:
        # An answer by id is a source only where no list is.
        sources = {key for key, (_, is_listed) in day.seen.items() if is_listed or key not in self.listed}
        sound = {
            key: seen for key, seen in day.seen.items() if not self.set_aside(day, key, seen[0], is_read=key in sources)
        }
        read = {key: item for key, (item, _) in sound.items() if key in sources}
        dead = day.gone - day.seen.keys() if day.is_complete else set()
        for key, item in read.items():
            for value in odd_values(item):
                self.count_aside(day, key, json.dumps(value))
        self.show(day, {key: model_of(item) for key, item in read.items()}, dead)
        models = {key: item.get("stats") or {} for key, (item, _) in sound.items()}
        births = {key: self.dim_model.held[key,]["published_at"] for key in read}
        self.add_fact("fact_model_daily", day, models, births, {key: key for key in models})
        self.add_version_facts(day, sound, read)
        self.add_marts(day)
        if day.is_complete:
            by_id = {key for key, (_, is_listed) in sound.items() if not is_listed and key in self.listed}
            unread = by_id | (day.seen.keys() - sound.keys())
            self.unread = {key: self.unread.get(key, self.complete) for key in unread}
            self.complete = (day.on, day.completed_at)
        self.listed |= {key for key, (_, is_listed) in sound.items() if is_listed}
        self.listed -= dead

    def set_aside(self, day: Day, model_id: int, item: dict, *, is_read: bool) -> bool:
        """Whether a record is set aside, for a version without a readable id; of a sound one, odd counters are. Of an
        item that is not read only the counters are looked at.
        """
        owners = [(item, OF_MODELS), *((version, OF_VERSIONS) for version in item["modelVersions"])]
        values = [
            (name, value, most)
            for owner, counters in owners
            for name, _, _, most in counters
            if (value := (owner.get("stats") or {}).get(name)) is not None
        ]
        is_broken = is_read and any(not isinstance(version["id"], int) for version in item["modelVersions"])
        odd = [as_text(name, value) for name, value, most in values if not is_counter(name, value, most)]
        aside = ["record"] if is_broken else odd
        for what in aside:
            self.count_aside(day, model_id, what)
        return is_broken

    def count_aside(self, day: Day, model_id: int, what: str) -> None:
        row = self.tables["ops_quarantine"].setdefault((day.on, str(model_id), what), {"records": 0})
        row["records"] += 1

    # Dimensions

    def show(self, day: Day, read: dict[int, Row], dead: set[int]) -> None:
        """Takes all dimensions to a date: `read` has what items tell (`model_of`), by the id of their model."""
        owners = self.owners(day.on, read, dead)
        for key in dead:
            self.end_model(key, day.on)
        for key, model in read.items():
            self.show_model(key, model, day)
        for version_id, owner in owners.items():
            if owner in read and version_id in read[owner]["versions"]:
                self.show_version(version_id, owner, read[owner]["versions"][version_id], day)
        for (version_id,), held in list(self.dim_model_version.held.items()):
            owner = held["model_id"]
            is_let_go = day.is_complete and owner in read and version_id not in read[owner]["versions"]
            if owner in dead or is_let_go:
                self.dim_model_version.end((version_id,), day.on, day.on)
                self.end_files(version_id, {}, day.on)

    def end_model(self, model_id: int, on: date) -> None:
        if (model_id,) in self.dim_model.held:
            self.dim_model.end((model_id,), on, on)
        for held in self.bridge_model_tag.keys(model_id):
            self.bridge_model_tag.end(held, on)

    def show_model(self, model_id: int, told: Row, day: Day) -> None:
        model = told["model"]
        self.dim_model.show((model_id,), model, day.on)
        if told["text"]:
            text = {"description": told["text"], "first_seen_on": day.on}
            self.tables["model_text"].setdefault((model_id, model["description_hash"]), text)
        self.first_seen("dim_creator", model["username"], day.on)
        for tag in told["tags"]:
            self.bridge_model_tag.show((model_id, tag), {}, day.on)
            self.first_seen("dim_tag", tag, day.on)
        for held in self.bridge_model_tag.keys(model_id):
            if day.is_complete and held[1] not in told["tags"]:
                self.bridge_model_tag.end(held, day.on)

    def show_version(self, version_id: int, owner: int, told: Row, day: Day) -> None:
        self.dim_model_version.show((version_id,), told["version"] | {"model_id": owner}, day.on)
        self.first_seen("dim_base_model", told["version"]["base_model"], day.on)
        for file_id, file in told["files"].items():
            known = self.tables["dim_file"].setdefault((version_id, file_id), {"first_seen_on": day.on})
            known.update(file["file"], removed_on=None)
            for algorithm, digest in file["hashes"]:
                self.file_hash.show((version_id, file_id, algorithm, digest), {}, day.on)
        if day.is_complete:
            self.end_files(version_id, told["files"], day.on)

    def end_files(self, version_id: int, files: dict[int, Row], on: date) -> None:
        """Ends what is held of a version and not among its files."""
        for held in self.file_hash.keys(version_id):
            _, file_id, *digest = held
            if file_id not in files or tuple(digest) not in files[file_id]["hashes"]:
                self.file_hash.end(held, on)
        for (of_version, file_id), row in self.tables["dim_file"].items():
            if of_version == version_id and file_id not in files:
                row["removed_on"] = row["removed_on"] or on

    def owners(self, on: date, read: dict[int, Row], dead: set[int]) -> dict[int, int]:
        """Whose each version is that is listed today: the model that began first to list it, as long as it does."""
        claimed: dict[int, set[int]] = defaultdict(set)
        for key, model in read.items():
            for version_id in model["versions"]:
                claimed[version_id].add(key)
                self.listers[version_id].setdefault(key, on)
        for version_id, since in self.listers.items():
            for key in list(since):
                if key in dead or (key in read and key not in claimed[version_id]):
                    del since[key]
        owners = {}
        for version_id, keys in claimed.items():
            held = self.dim_model_version.held.get((version_id,))
            owner = held["model_id"] if held else None
            if keys and (owner is None or owner in dead or (owner in read and owner not in keys)):
                owner = min(keys, key=lambda key: (self.listers[version_id][key], key))
            if keys:
                owners[version_id] = owner
        return owners

    def first_seen(self, table: str, name: str, on: date) -> None:
        self.tables[table].setdefault((name,), {"first_seen_on": on})

    # Facts

    def add_version_facts(self, day: Day, sound: dict[int, tuple[dict, bool]], read: dict[int, dict]) -> None:
        counters, births, models = {}, {}, {}
        for key, (item, _) in sound.items():
            for version in item["modelVersions"]:
                held = self.dim_model_version.held.get((version["id"],))
                # Lists tell of all versions, an answer by id of those whose counters it has.
                if held and held["model_id"] == key and (key in read or version.get("stats") is not None):
                    counters[version["id"]] = version.get("stats") or {}
                    models[version["id"]] = key
                    if key in read:
                        births[version["id"]] = held["published_at"]
        self.add_fact("fact_model_version_daily", day, counters, births, models)

    def add_fact(
        self, fact: str, day: Day, observed: dict[int, dict], published: dict[int, int | None], models: dict[int, int]
    ) -> None:
        """The rows of a date: `observed` has the counters as the service gave them, `published` the time of publication
        of what may be new, `models` whose complete crawls could have listed it.
        """
        state, rows = self.state[fact], self.tables[fact]
        dimension = self.dim_model if fact == "fact_model_daily" else self.dim_model_version
        id_name = "model" if fact == "fact_model_daily" else "version"
        given = {
            entity: {
                column: stats[name] if is_counter(name, stats.get(name), most) else None
                for name, column, _, most in FACTS[fact]
            }
            for entity, stats in observed.items()
        }
        withheld = self.withheld(fact, day, given)
        for entity, values in given.items():
            known = state.get(entity)
            since = self.unread.get(models[entity], self.complete)
            is_birth = known is None and since is not None and is_after(published.get(entity), since[1])
            born_on = since[0] if is_birth and since else None
            before = known or Counted(day.on)
            held = dimension.held[entity,]
            row: Row = {f"{id_name}_key": key_of(entity, held["valid_from"])}
            row |= {"model_id": models[entity]} if id_name == "version" else {}
            for _, column, flow, _ in FACTS[fact]:
                now = None if column in withheld else values[column]
                last = before.known.get(column)
                row[column] = now
                if flow:
                    counts_whole = is_birth or (column in before.awaited and last is None)
                    row[flow] = None if now is None else now if counts_whole else None if last is None else now - last
            row["days_since_previous"] = span(day.on, before.seen_on if known else born_on)
            start = before.downloads_on or (born_on if is_birth else before.born_after)
            row["downloads_days"] = None if row["downloads_delta"] is None else span(day.on, start)
            rows[day.on, entity] = row
            after = state[entity] = Counted(day.on, dict(before.known), before.downloads_on)
            after.known |= {column: row[column] for _, column, *_ in FACTS[fact] if row[column] is not None}
            after.downloads_on = day.on if row["download_count"] is not None else before.downloads_on
            after.is_shown = values["download_count"] is not None
            after.born_after, after.awaited = before.born_after, before.awaited
            if is_birth and withheld:
                after.born_after = born_on
                after.awaited = {column for column in withheld if values[column] is not None}

    def withheld(self, fact: str, day: Day, given: dict[int, Row]) -> set[str]:
        """The counters that are not believed: for many that had any they fell to less than half."""
        found = set()
        for _, column, _, _ in FACTS[fact]:
            both = [
                (before, values[column])
                for entity, values in given.items()
                if entity in self.state[fact] and values[column] is not None
                if (before := self.state[fact][entity].known.get(column)) is not None and before > 0
            ]
            fell = sum(2 * now < before for before, now in both)
            if fell >= FELL_AT_LEAST and fell > FELL_SHARE * len(both):
                name = f"{fact}.{column}"
                is_accepted = name in day.accepted
                self.tables["ops_withheld"][day.on, name] = {
                    "known_count": len(both),
                    "fallen_count": fell,
                    "fallen_share": fell / len(both),
                    "is_accepted": is_accepted,
                }
                found |= set() if is_accepted else {column}
        return found

    def is_withheld(self, fact: str, column: str, on: date) -> bool:
        row = self.tables["ops_withheld"].get((on, f"{fact}.{column}"))
        return row is not None and not row["is_accepted"]

    # Marts

    def add_marts(self, day: Day) -> None:
        state = self.state["fact_model_version_daily"]
        now = {
            version_id: (
                self.cell_of(held),
                state[version_id].known.get("download_count") if state[version_id].is_shown else None,
            )
            for (version_id,), held in self.dim_model_version.held.items()
        }
        for mart, parts in MARTS.items():
            self.add_mart(mart, day, *(cut(stock, parts) for stock in (self.before[1], self.counted[1], now)))
        self.before = (day.on, now)
        if not self.is_withheld("fact_model_version_daily", "download_count", day.on):
            self.counted = (day.on, now)

    def cell_of(self, version: Row) -> Cell:
        model = self.dim_model.held.get((version["model_id"],), {})
        level = model.get("nsfw_level") if version["nsfw_level"] is None else version["nsfw_level"]
        name = UNKNOWN if level is None else next(name for bit, name in LEVELS if level & bit == bit)
        return version["base_model"], model.get("type") or UNKNOWN, name

    def add_mart(self, mart: str, day: Day, before: Stock, counted: Stock, now: Stock) -> None:
        fact, on = "fact_model_version_daily", day.on
        withheld = {column for _, column, *_ in OF_VERSIONS if self.is_withheld(fact, column, on)}
        state = self.state[fact]
        of_day = {entity: row for (date_, entity), row in self.tables[fact].items() if date_ == on}
        rows = {
            cell: {
                "days_since_previous": span(on, self.before[0]),
                "downloads_days": span(on, self.counted[0]),
                **stocks(cell, now, {version_id: state[version_id].known for version_id in now}),
                **versions_terms(cell, before, now),
                **downloads_terms(cell, counted, now, {key: row["downloads_delta"] for key, row in of_day.items()}),
                "versions_published": None
                if self.complete is None
                else sum(now[key][0] == cell for key in of_day if self.is_birth(day, key)),
            }
            for cell in {cell for cell, _ in [*now.values(), *before.values(), *counted.values()]}
        }
        whole = sum(row["downloads_delta"] or 0 for row in rows.values())
        for cell, row in rows.items():
            flow = row["downloads_delta"]
            row["downloads_share"] = flow / whole if flow is not None and whole > 0 else None
            row.update({name: None for column in withheld for name in OF_COUNTER[column]})
            self.tables[mart][on, *cell] = row

    def is_birth(self, day: Day, version_id: int) -> bool:
        """Whether a version is met first on the date, and was published since it could have been listed."""
        rows = self.tables["fact_model_version_daily"]
        is_first = not any(entity == version_id and on < day.on for on, entity in rows)
        return is_first and rows[day.on, version_id]["days_since_previous"] is not None


# What an item says


def model_of(item: dict) -> Row:
    """What an item tells of its model, its tags and its versions, as the columns of the tables."""
    versions = {each["id"]: version_of(each) for each in item["modelVersions"]}
    published = [each["version"]["published_at"] for each in versions.values()]
    text = item.get("description") or None
    uses = item.get("allowCommercialUse")
    uses = uses.strip("{}").split(",") if isinstance(uses, str) else uses or []
    return {
        "model": {
            "name": item.get("name"),
            "type": item.get("type"),
            "username": name_of((item.get("creator") or {}).get("username")) or UNKNOWN,
            "nsfw": item.get("nsfw") if item.get("nsfw") in (True, False) else None,
            "nsfw_level": item.get("nsfwLevel"),
            "mode": item.get("mode"),
            "allow_commercial_use": sorted(set(uses)),
            "description_hash": hashlib.blake2b(text.encode(), digest_size=16).hexdigest() if text else None,
            "user_id": item.get("userId"),
            "published_at": min((each for each in published if each is not None), default=None),
        },
        "text": text,
        "tags": {name for tag in item.get("tags") or [] if (name := name_of(tag))},
        "versions": versions,
    }


def odd_values(item: dict) -> Iterator[Any]:
    """The values of an item, beside counters, that are not what they should be; nothing at all is no fault."""
    yield from (tag for tag in item.get("tags") or [] if tag is None)
    yield from (nsfw for nsfw in [item.get("nsfw")] if nsfw not in (True, False, None))
    for version in item["modelVersions"]:
        for file in version.get("files") or []:
            hashes = file["hashes"].values()
            yield from (text for text in hashes if text is not None and not (isinstance(text, str) and text.strip()))


def version_of(item: dict) -> Row:
    created, published = (in_microseconds(item.get(name)) for name in ("createdAt", "publishedAt"))
    return {
        "version": {
            "name": item.get("name"),
            "base_model": name_of(item.get("baseModel")) or UNKNOWN,
            "trained_words": item.get("trainedWords") or [],
            "created_at": created,
            "published_at": published if published is not None else created,
            "nsfw_level": item.get("nsfwLevel"),
        },
        "files": {
            file["id"]: {
                "file": {"name": file["name"], "size_kb": file["sizeKB"]},
                "hashes": {
                    (name.upper(), text.strip().upper())
                    for name, text in file["hashes"].items()
                    if isinstance(text, str) and text.strip()
                },
            }
            for file in item.get("files") or []
        },
    }


def name_of(text: str | None) -> str | None:
    """Names are one if they differ in white space around them only; a blank one is none."""
    return (text or "").strip() or None


def in_microseconds(text: str | None) -> int | None:
    if text is None:
        return None
    since = datetime.fromisoformat(text) - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 10**6 + since.microseconds


def is_after(microseconds: int | None, moment: datetime) -> bool:
    return microseconds is not None and microseconds > in_microseconds(moment.isoformat())  # type: ignore[operator]


def is_counter(name: str, value: Any, most: int) -> bool:
    """Whether a value is what the counter is declared to be: stars have fractions, counts have none."""
    is_number = not isinstance(value, bool) and isinstance(value, int | float if name == "rating" else int)
    return is_number and 0 <= value <= most


def as_text(name: str, value: Any) -> str:
    if name == "rating" and not isinstance(value, str):
        return str(float(value))
    return json.dumps(value, separators=(",", ":"))


def key_of(entity: int, valid_from: date) -> int:
    return entity * 100_000 + (valid_from - date(1970, 1, 1)).days


def span(on: date, start: date | None) -> int | None:
    return None if start is None else (on - start).days


# Terms of the mart


def cut(stock: Stock, parts: int) -> Stock:
    """The stock by the first parts of its cells."""
    return {version_id: (cell[:parts], downloads) for version_id, (cell, downloads) in stock.items()}


def known_sum(values: Iterator[Any]) -> Any:
    """The sum of the known values; None if none is known."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def stocks(cell: Cell, now: Stock, known: dict[int, Row]) -> Row:
    """Stocks, ratings and approval of the versions of a cell, by their last known counters."""
    of_cell = [known[version_id] for version_id, (other, _) in now.items() if other == cell]
    judged = [each for each in of_cell if "thumbs_up_count" in each and "thumbs_down_count" in each]
    ups = sum(each["thumbs_up_count"] for each in judged)
    votes = ups + sum(each["thumbs_down_count"] for each in judged)
    rated = [(each["rating"], each["rating_count"]) for each in of_cell if "rating" in each and "rating_count" in each]
    ratings = sum(count for _, count in rated)
    return {
        "version_count": len(of_cell),
        "download_count": sum(stock or 0 for other, stock in now.values() if other == cell),
        **{
            column: known_sum(each.get(column) for each in of_cell)
            for column in ("thumbs_up_count", "thumbs_down_count", "rating_count")
        },
        "rating": sum(rating * count for rating, count in rated) / ratings if ratings else None,
        "approval_rate": ups / votes if votes else None,
        "approval_lower_bound": wilson(ups, votes) if votes else None,
        "reviews_up": ups if judged else None,
        "reviews_down": votes - ups if judged else None,
        "rating_points": sum(round(rating * 100) * count for rating, count in rated) if rated else None,
        "rating_points_count": ratings if rated else None,
    }


def wilson(ups: int, votes: int) -> float:
    """The lower end of the 95 % interval of a share."""
    z, share = 1.959963984540054, ups / votes
    root = sqrt(share * (1 - share) / votes + z * z / (4 * votes * votes))
    return max(0.0, (share + z * z / (2 * votes) - z * root) / (1 + z * z / votes))


def versions_terms(cell: Cell, before: Stock, now: Stock) -> Row:
    is_here: Callable[[Stock, int], bool] = lambda stock, key: key in stock and stock[key][0] == cell  # noqa: E731
    return {
        "versions_entered": sum(is_here(now, key) for key in now if key not in before),
        "versions_left": sum(is_here(before, key) for key in before if key not in now),
        "versions_reclassified": sum(is_here(now, key) - is_here(before, key) for key in now if key in before),
    }


def downloads_terms(cell: Cell, before: Stock, now: Stock, flows: dict[int, int | None]) -> Row:
    """What became of the downloads of a cell since the last snapshot that had any."""
    terms = dict.fromkeys(("entered", "left", "reclassified", "hidden"), 0)
    for key in before.keys() | now.keys():
        was_in, was = before.get(key, (None, None))
        is_in, stock = now.get(key, (None, None))
        beyond_flow = 0 if stock is None else stock - (flows.get(key) or 0)
        if was_in is None:
            terms["entered"] += beyond_flow if is_in == cell else 0
        elif is_in is None:
            terms["left"] += (was or 0) if was_in == cell else 0
        else:
            terms["reclassified"] += (was or 0) * ((is_in == cell) - (was_in == cell))
            if is_in == cell:
                terms["hidden"] += beyond_flow if was is None else 0 if stock is not None else -was
    delta = known_sum(flow for key, flow in flows.items() if now[key][0] == cell)
    return {"downloads_delta": delta} | {f"downloads_{name}": amount for name, amount in terms.items()}
