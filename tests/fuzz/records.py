"""`python -m tests.fuzz.records [SEED]`: mutated documents, through a crawl and a build, and none is lost.

A round is a catalogue of mutated documents (`tests.fuzz.odd_records`) that a service on loopback lists on two dates, on
the second with other things wrong. However odd it is, nothing fails; what was listed is in the tables, or in
quarantine, or a duplicate; documents with nothing wrong in them are in the tables; and what was set aside can be
listed, shown and judged again. Ends with 1 at the first round that is otherwise. The same seed gives the same
documents.
"""

import argparse
import random
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from traceback import format_exc
from typing import Any

import duckdb
import pytest

from flows.cli.quarantine import group_lines, record_lines
from pipelines.crawl.snapshot import take_snapshot
from pipelines.settings import Limits, Settings
from pipelines.storage.lock import writer_lock
from tests.fuzz.odd_records import TOO_DEEP, Members, made_up, mutated, put, real_models, tree, written
from tests.pipelines.service import Reply, Route, Service, running_service
from transforms.build import BuildReport, build
from transforms.staging.payloads import STAGED_KINDS
from transforms.staging.quarantine import reason_now

DOCUMENTS, A_ROUND = 10_000, 1_000
DATES = (date(2026, 1, 1), date(2026, 1, 2))
LISTS = {"model": "/models", "creator": "/creators", "tag": "/tags", "image": "/images"}
#: What of the documents are models; and of these, how many are as they should be.
MODELS, SOUND = 0.85, 0.1
FACTS = {"model": "fact_model_daily", "creator": "fact_creator_daily", "tag": "fact_tag_daily"}
LIMITS = Limits(max_quarantine_share=1, max_row_fall_share=1)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seed", type=int, nargs="?", default=random.randrange(10**6))
    parser.add_argument("--documents", type=int, default=DOCUMENTS)
    arguments = parser.parse_args()
    print(f"{arguments.documents} mutated documents from seed {arguments.seed}", flush=True)
    models = real_models() or made_up("model")
    began = time.monotonic()
    for done in range(0, arguments.documents, A_ROUND):
        seed, number = arguments.seed + done // A_ROUND, min(A_ROUND, arguments.documents - done)
        if found := problems(seed, number, models):
            print(f"Again: python -m tests.fuzz.records {seed} --documents {number}", *found, sep="\n")
            return 1
        print(f"{done + number} documents are where they should be, {time.monotonic() - began:.0f} s", flush=True)
    return 0


def problems(seed: int, documents: int, models: list[Any]) -> list[str]:
    """What is not as it should be after so many documents on two dates, made of `models` and of made-up ones."""
    chance = random.Random(seed)
    with TemporaryDirectory() as folder, running_service() as service, short_waits():
        settings = Settings(
            data_dir=Path(folder), api_url=service.api_url, dialect="spec", requests_per_second=0, retry_minutes=0.2
        )
        found: list[str] = []
        for on in DATES:
            sound, listed = catalogue(chance, documents // len(DATES), models)
            service.routes = Lists({LISTS[kind]: pages(items) for kind, items in listed.items()})
            try:
                found += take(settings, service, on, sound, {kind: len(items) for kind, items in listed.items()})
            except Exception:  # noqa: BLE001 (whatever it is, it has to be told with the seed that did it)
                return [*found, f"{on}: {format_exc()}"]
        return found


def catalogue(chance: random.Random, documents: int, models: list[Any]) -> tuple[set[int], dict[str, list[str]]]:
    """The lists of a date, and the ids of the models with nothing wrong in them."""
    sound: set[int] = set()
    listed: dict[str, list[str]] = {kind: [] for kind in LISTS}
    for number in range(1, documents + 1):
        kind = "model" if chance.random() < MODELS else chance.choice(["creator", "tag", "image"])
        document = numbered(chance.choice([*models, *made_up("model")] if kind == "model" else made_up(kind)), number)
        if kind == "model" and chance.random() < SOUND:
            sound.add(number)
            listed[kind].append(written(document))
        else:
            listed[kind].append(mutated(chance, document))
    # It breaks its page, which costs requests: one is enough.
    listed["model"].append(written(Members([("id", 10**6), ("name", TOO_DEEP)])))
    for items in listed.values():
        chance.shuffle(items)
    return sound, listed


def numbered(document: Any, number: int) -> Any:
    """A document with another id or name, and its versions and files with others."""
    document = tree(written(document))
    for position, (key, value) in enumerate(document):
        if key == "id":
            put(document, position, number)
        elif key in ("username", "name") and not any(key == "modelVersions" for key, _ in document):
            put(document, position, f"{value} {number}")
        elif key == "modelVersions":
            put(document, position, [numbered(each, 100 * number + place) for place, each in enumerate(value)])
    return document


class Lists(dict[str, Route]):
    """Routes by path; nothing is to be had by its id."""

    def get(self, path: str, default: Any = None) -> Any:
        missing = Reply({"error": "No such model"}, status=404) if path.startswith("/models/") else Reply({})
        return super().get(path, (lambda _: missing) if missing.status == 404 else default)


def pages(items: list[str]) -> Route:
    """A list by page numbers, as long as the service is asked to make it."""

    def route(query: dict[str, str]) -> Reply:
        number, size = int(query.get("page", 1)), int(query.get("limit", 20))
        here, more = items[(number - 1) * size : number * size], number * size < len(items)
        following = f',"nextPage":"https://x.invalid/?page={number + 1}&limit={size}"' if more else ""
        body = f'{{"items":[{",".join(here)}],"metadata":{{"totalItems":{len(items)}{following}}}}}'
        return Reply(body.encode())

    return route


@contextmanager
def short_waits() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipelines.api.pacing._FIRST_WAIT", 0.001)
        patch.setattr("pipelines.api.pacing._LONGEST_WAIT", 0.001)
        yield


def take(settings: Settings, service: Service, on: date, sound: set[int], listed: dict[str, int]) -> list[str]:
    """Crawls and builds a date; gives what is not as it should be."""
    service.date = f"{on:%a, %d %b %Y} 12:00:00 GMT"
    with writer_lock(settings.data_dir):
        report = take_snapshot(settings, on)
    built = build(settings.directory, limits=LIMITS)
    with duckdb.connect(str(settings.directory.analytics), read_only=True) as connection:
        found = [*lost(report.endpoints, listed), *uneven(connection, built, on), *missing(connection, on, sound)]
        rows = connection.execute(
            "SELECT kind, level, entity_id, reason, payload FROM star.ops_quarantine WHERE snapshot_date = ?", [on]
        ).fetchall()
    for kind, level, entity_id, reason, payload in rows:
        judged_again = level in ("record", "value") and kind in STAGED_KINDS
        if judged_again and reason_now(kind, level, entity_id, reason, payload.encode()) is None:
            found.append(
                f"{on}: {kind} {entity_id} was set aside ({reason}), and nothing is wrong with {payload[:200]}"
            )
    "\n".join(group_lines(settings)).encode()
    for kind, entity_id in sorted({(row[0], row[2]) for row in rows if row[2]})[::20]:
        "\n".join(record_lines(settings, kind, entity_id)).encode()
    return found


def lost(endpoints: dict[str, dict[str, int]], listed: dict[str, int]) -> Iterator[str]:
    """Items that were listed and not received. What is asked for by id comes on top; the gallery may end before."""
    for kind, number in listed.items():
        received = endpoints[kind]["items"]
        if received < number and kind != "image":
            yield f"{number} {kind}s were listed, and {received} received"


def uneven(connection: duckdb.DuckDBPyConnection, built: BuildReport, on: date) -> Iterator[str]:
    """Books that do not balance, or are not what the tables have."""
    for counts in built.record_counts:
        if counts.snapshot_date != on:
            continue
        if not counts.is_even:
            yield f"uneven: {counts}"
        aside = connection.execute(
            "SELECT count(*) FROM star.ops_quarantine "
            "WHERE snapshot_date = ? AND kind = ? AND level IN ('item', 'record')",
            [on, counts.kind],
        ).fetchall()[0][0]
        if aside != counts.quarantined:
            yield f"{aside} are in quarantine: {counts}"
        if fact := FACTS.get(counts.kind):
            rows = connection.execute(f"SELECT count(*) FROM star.{fact} WHERE snapshot_date = ?", [on]).fetchall()[0][
                0
            ]
            if rows != counts.loaded:
                yield f"{fact} has {rows} rows: {counts}"


def missing(connection: duckdb.DuckDBPyConnection, on: date, sound: set[int]) -> Iterator[str]:
    """Models with nothing wrong in them that are not there."""
    met = connection.execute("SELECT model_id FROM star.fact_model_daily WHERE snapshot_date = ?", [on]).fetchall()
    if lacking := sound - {model_id for (model_id,) in met}:
        yield f"{on}: nothing is wrong with {sorted(lacking)[:10]}, and they are not in the tables"


if __name__ == "__main__":
    sys.exit(main())
