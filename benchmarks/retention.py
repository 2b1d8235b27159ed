"""`make bench-retention`: what a day costs on disk, before and after `compact`, per million models.

Simulated days are written to raw as a crawl leaves them, but for HTTP and dlt, then built and compacted by the code
that the commands run. Each part of raw is measured in a DuckDB file of its own. The gallery is left out: it has a size
of its own, however many models there are.
"""

import argparse
import shutil
import sys
import time
from collections.abc import Iterable
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path

import duckdb

from benchmarks.raw import append, append_crawl
from emulator.catalogue import ModelQuery
from emulator.spec.catalogue import SimulatedDay, SimulatedWorld
from pipelines.raw.archive import closed_before
from pipelines.raw.documents import split
from pipelines.raw.row_buffer import arrow_table
from pipelines.raw.tables import documents_table, observations_table
from pipelines.raw.warehouse import writer_config
from pipelines.storage.data_directory import DataDirectory
from transforms.build import build
from transforms.compact import compact
from transforms.lake.files import ADDED_ROLES, LakeFile
from transforms.lake.publish import read_manifest

FOLDER = Path("data/bench-retention").absolute()
FIRST = date(2026, 1, 1)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=20_000)
    parser.add_argument("--days", type=int, default=40)
    arguments = parser.parse_args()
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    directory = DataDirectory.at(FOLDER)
    warehouse, analytics = directory.warehouse, directory.analytics
    world, stored = SimulatedWorld(arguments.models, seed=1), set[str]()
    began = time.perf_counter()
    for number in range(arguments.days):
        write_day(warehouse, world.on(FIRST + timedelta(number)), stored)
        build(directory)
        print(f"{FIRST + timedelta(number)}: {time.perf_counter() - began:,.0f} s", flush=True)
    before = closed_before(warehouse)
    assert before, "the days end in the month in which they begin: none is closed"
    with closing(duckdb.connect(str(warehouse), config=writer_config())) as raw:
        ((models,),) = raw.execute(
            "select count(*) from raw.model_observations where snapshot_date = ?", [FIRST]
        ).fetchall()
        parts = raw_parts(raw, before)
    daily = read_manifest(analytics)
    began = time.perf_counter()
    compacted = compact(directory)
    seconds = time.perf_counter() - began
    days = (before - FIRST).days
    monthly = read_manifest(analytics)
    rows = [
        ("raw: documents, first day", parts["first documents"], 1),
        ("raw: documents, per day after", parts["later documents"], arguments.days - 1),
        ("raw: observations, per day, in the warehouse", parts["observations"], days),
        ("raw: observations, per day, in the archive", compacted.after.archive, days),
        ("star: daily tables, per day, as daily files", size(dated(daily, "daily", before)), days),
        ("star: daily tables, per day, compacted", size(dated(monthly, "monthly", before)), days),
        ("star: everything else, on the last day", size(file for file in daily if file.role != "daily"), 1),
        ("star: everything else, growth per day", growth(daily), arguments.days - 1),
    ]
    print(f"\n{arguments.days} days of {models:,} models; {days} of them are closed\n")
    print("| | bytes of the run | MB per million models |\n|---|---:|---:|")
    for name, bytes_, over in rows:
        print(f"| {name} | {bytes_:,} | {bytes_ / over / models:,.1f} |")
    print(f"\nwarehouse {compacted.before.warehouse:,} -> {compacted.after.warehouse:,}; compact took {seconds:,.0f} s")
    return 0


def write_day(warehouse: Path, day: SimulatedDay, stored: set[str]) -> None:
    """Adds a complete crawl; `stored` are the hashes of the documents that raw has."""
    crawl_id, met = f"{day.date}.1", {}
    listings = {"model": day.models(ModelQuery()), "creator": day.creators(None), "tag": day.tags(None)}
    with closing(duckdb.connect(str(warehouse), config=writer_config())) as connection:
        for kind, listing in listings.items():
            found = [split(kind, item) for item in listing.documents(0, len(listing))]
            new = [each for each in found if each.content_hash not in stored]
            stored.update(each.content_hash for each in new)
            seen = [(day.date, e.entity_id, e.content_hash, day.now, crawl_id, 1, e.metrics) for e in found]
            append(connection, observations_table(kind), arrow_table(observations_table(kind), seen))
            if new:
                rows = [(e.entity_id, e.content_hash, day.now, e.payload) for e in new]
                append(connection, documents_table(kind), arrow_table(documents_table(kind), rows))
            met[kind] = len(found)
        append_crawl(connection, crawl_id, day.date, day.now, "spec", met)


def raw_parts(raw: duckdb.DuckDBPyConnection, before: date) -> dict[str, int]:
    """Bytes of parts of raw, each in a file of its own: documents of the first day and later ones, and observations of
    closed months.
    """
    conditions = {
        "first documents": (documents_table, f"fetched_at::date = '{FIRST}'"),
        "later documents": (documents_table, f"fetched_at::date > '{FIRST}'"),
        "observations": (observations_table, f"snapshot_date < '{before}'"),
    }
    sizes = {}
    for name, (table_of, condition) in conditions.items():
        file = FOLDER / "part.duckdb"
        raw.execute(f"attach '{file}' as part")
        for kind in ("model", "creator", "tag"):
            table = table_of(kind)
            raw.execute(f"create table part.{table.name} as from {table.qualified_name} where {condition}")
        raw.execute("detach part")
        sizes[name] = file.stat().st_size
        file.unlink()
    return sizes


def dated(files: Iterable[LakeFile], role: str, before: date) -> list[LakeFile]:
    """The files of a role that have dates of closed months."""
    return [file for file in files if file.role == role and file.snapshot_date and file.snapshot_date < before]


def growth(files: Iterable[LakeFile]) -> int:
    """Bytes that came after the first day to tables that keep what was: closed rows of a history, and new rows."""
    later = [file for file in files if file.role in ADDED_ROLES and file.snapshot_date]
    return size(file for file in later if file.snapshot_date != FIRST)


def size(files: Iterable[LakeFile]) -> int:
    return sum(file.bytes for file in files if file.path.startswith("star/"))


if __name__ == "__main__":
    sys.exit(main())
