"""Writes raw as crawls leave it, but for HTTP and dlt."""

import json
from datetime import date, datetime

import duckdb
import pyarrow as pa

from pipelines.raw.kinds import SNAPSHOT_KINDS
from pipelines.raw.row_buffer import COUNTS
from pipelines.raw.tables import SCHEMA_NAME, SNAPSHOTS, RawTable


def append(raw: duckdb.DuckDBPyConnection, table: RawTable, rows: pa.Table) -> None:
    """Adds rows, which have the schema of the table."""
    raw.register("new", rows)
    raw.execute(f"create schema if not exists {SCHEMA_NAME}")
    raw.execute(f"create table if not exists {table.qualified_name} as from new limit 0")
    raw.execute(f"insert into {table.qualified_name} from new")
    raw.unregister("new")


def append_crawl(
    raw: duckdb.DuckDBPyConnection, crawl_id: str, on: date, moment: datetime, dialect: str, met: dict[str, int]
) -> None:
    """Adds the line of a complete crawl that `met` so many entities of each kind."""
    counts = {kind: dict.fromkeys(COUNTS, 0) for kind in SNAPSHOT_KINDS}
    for kind, entities in met.items():
        counts[kind] |= {"items": entities, "distinct_ids": entities}
    row = {field.name: None if field.nullable else 0 for field in SNAPSHOTS.schema} | {
        "crawl_id": crawl_id,
        "snapshot_date": on,
        "dialect": dialect,
        "api_url": "http://127.0.0.1:8377/api/v1",
        "status": "complete",
        "started_at": moment,
        "finished_at": moment,
        "arguments": "{}",
        "endpoints": json.dumps(counts),
    }
    append(raw, SNAPSHOTS, pa.Table.from_pylist([row], schema=SNAPSHOTS.schema))
