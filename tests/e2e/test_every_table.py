"""Every column of every table, against DuckDB straight from the documents that the emulator showed.

The oracle is `star_from_documents.sql`: it reads what the emulator's own state gives for each date, writes the tables
that docs/architecture.md promises, and shares no code with the transforms. Both directions are compared row by row,
duplicates counted: for the real catalogue of 2023-07-04 (one date), and for 12 simulated snapshots with gaps.
"""

import hashlib
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import duckdb
import msgspec
import pytest

from emulator.catalogue import Catalogue, ImageQuery, ModelQuery
from emulator.given import GivenCatalogue
from emulator.launch import Emulator, launch
from emulator.spec.catalogue import SimulatedWorld
from emulator.truth import account
from flows.steps import look_up_by_hand, run_daily_snapshot
from pipelines.settings import Settings
from transforms.tables import TABLES

#: The first test waits for twelve snapshots, however busy the machine is.
pytestmark = pytest.mark.timeout(900)

REAL_CATALOGUE = Path(__file__).parents[3] / "shared" / "real" / "models-2023-07.ndjson.zst"
ORACLE = Path(__file__).with_name("star_from_documents.sql")
BASE_MODELS = Path(__file__).parents[2] / "transforms" / "star" / "base_models.csv"

#: 12 snapshots, two days in a row and then a gap; on these days of this catalogue there are changes of every kind.
DATES = [date(2025, 7, 1) + timedelta(days=number + number // 2 * 20) for number in range(12)]
MODELS, SEED = 200, 8
#: The snapshots on which versions and users are looked up; the last one looks up hashes, too.
ASKED_ON = (DATES[0], DATES[5], DATES[-1])

#: What the oracle does not make, and why.
NOT_MADE_OF_DOCUMENTS = {
    "ops_snapshot": "how the crawl went, not what it found: tests/pipelines/test_snapshot.py",
    "ops_decision": "what was decided about dates: tests/transforms/test_decisions.py",
    "ops_withheld": "no counter of these catalogues breaks: tests/transforms/test_counter_guard.py",
    "ops_quarantine": "no record of these catalogues is broken: tests/e2e/test_broken_records.py has some",
    "ops_warning": "what the quality gate found odd: tests/transforms/test_quality.py",
    "ops_drift": "paths that no declaration knows: tests/transforms/test_build.py",
}
COMPARED = [table.table_name() for table in TABLES if table.table_name() not in NOT_MADE_OF_DOCUMENTS]


#: What must have happened on the simulated days, or the comparison shows little: rows of the oracle's tables.
CHANGES = {
    "a model is renamed": "dim_model AS was JOIN expected.dim_model AS now USING (model_id) "
    "WHERE now.valid_from = was.valid_to AND now.name != was.name",
    "a model has a new text": "dim_model AS was JOIN expected.dim_model AS now USING (model_id) "
    "WHERE now.valid_from = was.valid_to AND now.description_hash != was.description_hash",
    "a model has another licence": "dim_model AS was JOIN expected.dim_model AS now USING (model_id) "
    "WHERE now.valid_from = was.valid_to AND now.allow_commercial_use != was.allow_commercial_use",
    "a creator is deleted": "dim_model AS was JOIN expected.dim_model AS now USING (model_id) "
    "WHERE now.valid_from = was.valid_to AND was.username != '(unknown)' AND now.username = '(unknown)'",
    "a model is gone for good": "dim_model GROUP BY model_id HAVING arg_max(removed_on, valid_from) IS NOT NULL",
    "a model returns": "dim_model AS was JOIN expected.dim_model AS now USING (model_id) "
    "WHERE was.removed_on < now.valid_from",
    "a version goes and its model stays": "dim_model_version AS version "
    "JOIN expected.dim_model AS model USING (model_id) "
    "WHERE version.removed_on IS NOT NULL AND model.is_current AND model.valid_from < version.removed_on",
    "a version has another base model": "mart_base_model_daily WHERE versions_reclassified > 0",
    "a tag comes": "bridge_model_tag AS tag JOIN expected.dim_model AS model USING (model_id) "
    "WHERE tag.valid_from > model.valid_from AND tag.is_current AND model.is_current",
    "a tag goes": "bridge_model_tag AS tag JOIN expected.dim_model AS model USING (model_id) "
    "WHERE tag.valid_to IS NOT NULL AND model.is_current AND model.valid_from < tag.valid_to",
    "a file is gone": "dim_file WHERE removed_on IS NOT NULL",
    "a base model is met later": "dim_base_model WHERE first_seen_on > DATE '2025-07-01'",
    "a model is born": "fact_model_daily WHERE downloads_delta = download_count AND days_since_previous IS NOT NULL",
    "an image is born": "fact_image_daily "
    "WHERE comments_delta = comment_count AND comment_count > 0 AND days_since_previous IS NOT NULL",
    "a user is looked up": "dim_user",
    "a user is looked up and is gone": "dim_user WHERE observed_on < DATE '2025-10-01'",
    "a version is looked up and stays": "model_version_detail WHERE unknown_since IS NULL",
    "a version is looked up and goes": "model_version_mini WHERE unknown_since IS NOT NULL",
    "a hash is known": "hash_match WHERE version_count > 0",
    "a hash is unknown": "hash_match WHERE version_count = 0",
    "a flow spans a gap": "fact_model_version_daily WHERE downloads_days = 21",
}


@dataclass
class Documents:
    """What a service showed on each date, as NDJSON files."""

    folder: Path

    def add(self, day: date, shown: Catalogue, image_pages: int) -> None:
        """Writes what the lists show: models, creators, tags and users whole, and the newest pages of the gallery."""
        images = shown.images(ImageQuery(sort="Newest"))
        creators, tags, users = shown.creators(None), shown.tags(None), shown.users(None)
        self._write("model", day, every_model(shown))
        self._write("image", day, images.documents(0, 200 * image_pages))
        self._write("creator", day, map(creators.document, creators.rows))
        self._write("tag", day, map(tags.document, tags.rows))
        self._write("user", day, map(users.document, users.rows))

    def _write(self, kind: str, day: date, documents: Iterable[bytes]) -> None:
        file = self.folder / kind / f"{day}.ndjson"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"".join(document + b"\n" for document in documents))

    def compare_with(
        self, analytics: Path, asked: dict[str, tuple[str, ...]] | None = None
    ) -> duckdb.DuckDBPyConnection:
        """A connection with the oracle's tables in schema `expected` and the published ones in `published.star`;
        `asked` is what was looked up.
        """
        connection = duckdb.connect()
        connection.create_function("blake2b", blake2b, [str], str)  # type: ignore[list-item]
        days = [date.fromisoformat(file.stem) for file in sorted((self.folder / "model").iterdir())]
        connection.execute("CREATE TABLE days (n INTEGER, day DATE, started_at TIMESTAMPTZ, is_asked BOOLEAN)")
        # The emulator's clock stands at noon.
        rows = [
            (number, day, datetime.combine(day, time(12), UTC), day in ASKED_ON)
            for number, day in enumerate(days, start=1)
        ]
        connection.executemany("INSERT INTO days VALUES (?, ?, ?, ?)", rows)
        connection.execute("CREATE TABLE asked (what VARCHAR, text VARCHAR)")
        for what, texts in (asked or {}).items():
            connection.executemany("INSERT INTO asked VALUES (?, ?)", [(what, text) for text in texts])
        script = ORACLE.read_text().replace("{{documents}}", str(self.folder))
        connection.execute(script.replace("{{base_models}}", str(BASE_MODELS)))
        connection.execute(f"ATTACH '{analytics}' AS published (READ_ONLY)")
        return connection


def blake2b(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def gallery_pages(emulator: Emulator, since: int = 0) -> tuple[int, int]:
    """How many pages of the gallery were asked for after the request with the number `since`; the last number."""
    asked = emulator.requests(since)
    return sum("/images?" in each["request"] for each in asked), asked[-1]["number"]


def what_is_asked(world: SimulatedWorld) -> dict[str, tuple[str, ...]]:
    """What is looked up: versions that stay and all that go, users likewise, hashes of files alone and shared."""
    first, last = (account(world.on(day))["versions"].keys() for day in (DATES[0], DATES[-1]))
    shown = [msgspec.json.decode(document) for document in every_model(world.on(DATES[-1]))]
    files = [file for each in shown for version in each["modelVersions"] for file in version["files"]]
    times = Counter(file["hashes"]["SHA256"] for file in files if "SHA256" in file["hashes"])
    users_before, users_after = (account(world.on(day))["creators"].keys() for day in (DATES[0], DATES[-1]))
    return {
        "version": (*sorted(first)[:3], *sorted(first - last)),
        "user": (*sorted(users_after)[:2], *sorted(users_before - users_after)),
        "hash": (*(text for text, _ in times.most_common(3)), *sorted(times)[:2], "0" * 64),
    }


def every_model(shown: Catalogue) -> list[bytes]:
    models = shown.models(ModelQuery())
    return [models.document(row) for row in models.rows]


@pytest.fixture(scope="module")
def world() -> SimulatedWorld:
    return SimulatedWorld(MODELS, SEED)


@pytest.fixture(scope="module")
def simulated(world: SimulatedWorld, tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """12 simulated snapshots over HTTP, by the steps of the command line."""
    folder = tmp_path_factory.mktemp("simulated")
    documents, last = Documents(folder / "documents"), 0
    with launch(models=MODELS, seed=SEED, on=DATES[0]) as emulator:
        settings = Settings(data_dir=folder / "data", api_url=emulator.api_url, requests_per_second=0)
        asked = what_is_asked(world)
        watching = settings.model_copy(
            update={"watch_versions": tuple(map(int, asked["version"])), "watch_users": asked["user"]}
        )
        for day in DATES:
            emulator.set_date(day)
            run = run_daily_snapshot(watching if day in ASKED_ON else settings, day)
            assert run.snapshot.status == "complete", run.snapshot.reason
            pages, last = gallery_pages(emulator, last)
            documents.add(day, world.on(day), pages)
        look_up_by_hand(settings, "hash-ids", asked["hash"])
    with documents.compare_with(settings.directory.analytics, asked) as connection:
        yield connection


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """The documents of 2023-07-04 by `civitai-etl snapshot`."""
    if not REAL_CATALOGUE.exists():
        pytest.skip(f"the recorded catalogue {REAL_CATALOGUE} is not on this machine")
    folder, day = tmp_path_factory.mktemp("real"), date(2026, 1, 1)
    with launch(catalogue=REAL_CATALOGUE, on=day) as emulator:
        environment = os.environ | {
            "CIVITAI_ETL_DATA_DIR": str(folder / "data"),
            "CIVITAI_ETL_API_URL": emulator.api_url,
            "CIVITAI_ETL_REQUESTS_PER_SECOND": "0",
        }
        command = [str(Path(sys.executable).with_name("civitai-etl")), "snapshot", "--date", str(day)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        pages, _ = gallery_pages(emulator)
    documents = Documents(folder / "documents")
    documents.add(day, GivenCatalogue(REAL_CATALOGUE).on(day), pages)
    with documents.compare_with(folder / "data" / "analytics.duckdb") as connection:
        yield connection


def differences(connection: duckdb.DuckDBPyConnection, table: str) -> dict[str, list[tuple[object, ...]]]:
    """Rows of a table that only one side has, at most five a side. Floats count to nine places."""
    described = connection.execute(f"DESCRIBE expected.{table}").fetchall()
    columns = ", ".join(
        f'round("{name}", 9) AS "{name}"' if kind == "DOUBLE" else f'"{name}"' for name, kind, *_ in described
    )
    sides = {
        "expected": f"SELECT {columns} FROM expected.{table}",
        "found": f"SELECT {columns} FROM published.star.{table}",
    }
    return {
        f"only {one}": connection.execute(f"{sides[one]} EXCEPT ALL {sides[other]} LIMIT 5").fetchall()
        for one, other in (("expected", "found"), ("found", "expected"))
    }


def test_the_oracle_makes_every_column_of_every_table_or_says_why_not(simulated: duckdb.DuckDBPyConnection) -> None:
    made = simulated.execute(
        "SELECT table_name, column_name FROM duckdb_columns() WHERE schema_name = 'expected'"
    ).fetchall()
    declared = {(table.table_name(), column) for table in TABLES for column in table.column_names()}
    assert {(table, column) for table, column in declared if table not in NOT_MADE_OF_DOCUMENTS} == set(made)
    assert NOT_MADE_OF_DOCUMENTS.keys() <= {table for table, _ in declared}


@pytest.mark.parametrize("change", CHANGES)
def test_the_simulated_days_have_changes_of_every_kind(change: str, simulated: duckdb.DuckDBPyConnection) -> None:
    assert simulated.execute(f"SELECT 1 FROM expected.{CHANGES[change]} LIMIT 1").fetchone()


@pytest.mark.parametrize("table", COMPARED)
def test_12_simulated_snapshots_give_the_tables_that_duckdb_makes_of_the_documents(
    table: str, simulated: duckdb.DuckDBPyConnection
) -> None:
    assert differences(simulated, table) == {"only expected": [], "only found": []}


@pytest.mark.parametrize("table", COMPARED)
def test_the_real_catalogue_gives_the_tables_that_duckdb_makes_of_the_documents(
    table: str, real: duckdb.DuckDBPyConnection
) -> None:
    assert differences(real, table) == {"only expected": [], "only found": []}


@pytest.mark.parametrize(
    ("fact", "entity_id", "told", "flows"),
    [
        (
            "fact_model_daily",
            "model_id",
            "models",
            {
                "downloadCount": "downloads_delta",
                "thumbsUpCount": "thumbs_up_delta",
                "thumbsDownCount": "thumbs_down_delta",
                "ratingCount": "ratings_delta",
                "commentCount": "comments_delta",
                "favoriteCount": "favorites_delta",
            },
        ),
        (
            "fact_model_version_daily",
            "version_id",
            "versions",
            {
                "downloadCount": "downloads_delta",
                "thumbsUpCount": "thumbs_up_delta",
                "thumbsDownCount": "thumbs_down_delta",
                "ratingCount": "ratings_delta",
            },
        ),
    ],
)
def test_flows_are_what_the_simulators_own_account_says_that_its_counters_gained(
    fact: str,
    entity_id: str,
    told: str,
    flows: dict[str, str],
    world: SimulatedWorld,
    simulated: duckdb.DuckDBPyConnection,
) -> None:
    known: dict[str, dict[str, int]] = {}
    gained = set()
    for day in DATES:
        for key, counters in account(world.on(day))[told].items():
            if key in known:
                gained.add((day, int(key), *(counters[name] - known[key][name] for name in flows)))
            known[key] = counters
    rows = simulated.execute(
        f"SELECT snapshot_date, {entity_id}, {', '.join(flows.values())} FROM published.star.{fact} "
        f"QUALIFY row_number() OVER (PARTITION BY {entity_id} ORDER BY snapshot_date) > 1"
    ).fetchall()
    assert gained
    assert set(rows) == gained
