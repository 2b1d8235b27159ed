"""The same battery for everything that the service can be asked, lists and look-ups, in both dialects: rows come back,
their key is unique and not null, types are the declared ones, and a second run adds nothing."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import polars as pl
import pytest

from emulator.launch import launch
from flows.reporting.api_coverage import tables_of
from pipelines.api.dialects import DIALECTS
from pipelines.crawl.lookups import look_up
from pipelines.crawl.snapshot import take_snapshot
from pipelines.raw.tables import REJECTS, SNAPSHOTS, RawTable, documents_table, observations_table
from pipelines.settings import Settings
from tests.pipelines.conftest import DAY, rows, settings_for
from transforms.build import build

#: What a look-up of no use is asked for, so that a 404 is in the game.
NOBODY = {"id": "99999999", "name": "nobody at all", "hash": "00000000", "sha256": "0" * 64}


@dataclass(frozen=True)
class Resource:
    """A resource of a dialect, and the payload kinds that it brings."""

    dialect: str
    name: str
    kinds: tuple[str, ...]


def resources() -> Iterator[Resource]:
    for dialect in DIALECTS.values():
        for endpoint in dialect.endpoints:
            yield Resource(dialect.name, endpoint.name, (endpoint.kind,))
        for lookup in dialect.lookups:
            kinds = dict.fromkeys((lookup.kind, "hash_match") if lookup.by_hash else (lookup.kind,))
            yield Resource(dialect.name, lookup.name, tuple(kinds))


RESOURCES = pytest.mark.parametrize("resource", list(resources()), ids=lambda each: f"{each.dialect}-{each.name}")


class Warehouse:
    """What an emulated service gave: one snapshot, then every look-up for things that the snapshot has."""

    def __init__(self, api_url: str, directory: Path, dialect: str) -> None:
        self.settings = settings_for(api_url, directory, dialect=dialect)
        take_snapshot(self.settings, DAY)
        self.wanted = {lookup.name: self.known(lookup.key_type, lookup.kind) for lookup in DIALECTS[dialect].lookups}
        self.look_up()
        build(self.settings.directory)

    def known(self, asked: str, kind: str) -> list[str]:
        """Some of what there is to ask for, and one thing that there is not."""
        payloads = self.sql("select payload from raw.model_documents order by entity_id::bigint")
        models = [json.loads(payload) for (payload,) in payloads]
        versions = [version for model in models for version in model["modelVersions"]]
        hashes = [file["hashes"]["SHA256"] for version in versions for file in version["files"]]
        named = [model for model in models if (model.get("creator") or {}).get("username")]
        found = {
            "id": [str(model["userId"]) for model in named if "userId" in model]
            if kind == "user"
            else [str(version["id"]) for version in versions],
            "name": [model["creator"]["username"] for model in named],
            "hash": [text[:10] for text in hashes],
            "sha256": hashes,
        }
        return [*dict.fromkeys(found[asked][:4]), NOBODY[asked]]

    def look_up(self) -> None:
        report = look_up(self.settings, self.wanted)
        assert report.problem is None
        assert {name: len(unknown) for name, unknown in report.unknown.items()} == dict.fromkeys(self.wanted, 1)

    def sql(self, query: str) -> list[tuple[object, ...]]:
        return rows(self.settings, query)

    def run_again(self) -> None:
        """A second crawl of the same date, which must be wanted: a complete date is not asked for again."""
        with duckdb.connect(self.settings.directory.warehouse) as connection:
            connection.execute("update raw.snapshots set status = 'partial'")
        report = take_snapshot(self.settings, DAY)
        assert (report.status, report.crawl_id) == ("complete", f"{DAY}.2")
        self.look_up()


@pytest.fixture(scope="module")
def warehouses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Warehouse]]:
    with launch(models=40, dialect="spec") as spec, launch(models=40, dialect="live") as live:
        yield {
            name: Warehouse(emulator.api_url, tmp_path_factory.mktemp(name), name)
            for name, emulator in (("spec", spec), ("live", live))
        }


def tables(resource: Resource) -> Iterator[RawTable]:
    for kind in resource.kinds:
        yield documents_table(kind)
        yield observations_table(kind)


@RESOURCES
def test_rows_come_back_and_none_is_set_aside(resource: Resource, warehouses: dict[str, Warehouse]) -> None:
    for table in tables(resource):
        assert warehouses[resource.dialect].sql(f"select count(*) > 0 from {table.qualified_name}") == [(True,)]
    exists = f"select count(*) from information_schema.tables where table_name = '{REJECTS.name}'"
    assert warehouses[resource.dialect].sql(exists) == [(0,)]


@RESOURCES
def test_the_key_is_unique_and_not_null(resource: Resource, warehouses: dict[str, Warehouse]) -> None:
    for table in tables(resource):
        key = ", ".join(table.key)
        complete = " and ".join(f"{name} is not null" for name in table.key)
        query = f"select count(*), count(distinct ({key})), count(*) filter ({complete}) from {table.qualified_name}"
        ((number, distinct, not_null),) = warehouses[resource.dialect].sql(query)
        assert number == distinct == not_null, table.name


@RESOURCES
def test_types_are_the_declared_ones(resource: Resource, warehouses: dict[str, Warehouse]) -> None:
    for table in tables(resource):
        empty = table.schema.empty_table()
        declared = duckdb.connect().from_arrow(empty)
        names = ", ".join(table.schema.names)
        found = warehouses[resource.dialect].sql(f"describe select {names} from {table.qualified_name}")
        assert [(row[0], row[1]) for row in found] == list(
            zip(declared.columns, map(str, declared.types), strict=True)
        ), table.name
        nulls = " or ".join(f"{field.name} is null" for field in table.schema if not field.nullable)
        query = f"select count(*) from {table.qualified_name} where {nulls}"
        assert warehouses[resource.dialect].sql(query) == [(0,)], table.name


@RESOURCES
def test_it_reaches_its_tables_as_they_are_declared(resource: Resource, warehouses: dict[str, Warehouse]) -> None:
    settings: Settings = warehouses[resource.dialect].settings
    for kind in resource.kinds:
        for table in tables_of(kind):
            with duckdb.connect(settings.directory.analytics, read_only=True) as connection:
                found: pl.DataFrame = connection.sql(f"from star.{table.table_name()}").pl()
            assert found.height, table.table_name()
            table.validate(found, cast=True)


@pytest.fixture(scope="module")
def added(warehouses: dict[str, Warehouse]) -> dict[str, dict[str, tuple[int, int]]]:
    """Rows per raw table before and after a second run, per dialect."""
    found = {}
    for dialect, warehouse in warehouses.items():
        before = counts(warehouse)
        warehouse.run_again()
        after = counts(warehouse)
        found[dialect] = {name: (before.get(name, 0), number) for name, number in after.items()}
    return found


def counts(warehouse: Warehouse) -> dict[str, int]:
    names = warehouse.sql("select table_name from information_schema.tables where table_schema = 'raw'")
    return {
        str(name): int(str(warehouse.sql(f"select count(*) from raw.{name}")[0][0]))
        for (name,) in names
        if name not in (SNAPSHOTS.name, "sightings") and not str(name).startswith("_")
    }


@RESOURCES
def test_a_second_run_adds_nothing(resource: Resource, added: dict[str, dict[str, tuple[int, int]]]) -> None:
    for table in tables(resource):
        before, after = added[resource.dialect][table.name]
        assert before == after, table.name
    before, after = added[resource.dialect]["tombstones"]
    assert before == after
