"""The raw warehouse as its readers see it: `warehouse.duckdb`, opened read-only, with what is known of earlier crawls.

A table exists once something of its kind was loaded; `has_table` tells. Nobody but the holder of the writer lock opens
the file (analysts have `analytics.duckdb`).
"""

from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import duckdb

from pipelines.errors import CivitaiEtlError
from pipelines.raw import SCHEMA_NAME, SNAPSHOTS, RawTable, observations_table


def connect(path: Path) -> duckdb.DuckDBPyConnection:
    """A read-only connection to the warehouse, its clock set to UTC.

    Raises:
        CivitaiEtlError: there is no warehouse, or another process writes to it.
    """
    if not path.exists():
        raise CivitaiEtlError(f"There is no raw data at {path}: run `civitai-etl snapshot` first.")
    try:
        connection = duckdb.connect(str(path), read_only=True)
    except duckdb.IOException as error:
        raise CivitaiEtlError(f"{path} cannot be opened: {str(error).splitlines()[0]}") from error
    connection.execute("set timezone = 'UTC'")
    return connection


def has_table(connection: duckdb.DuckDBPyConnection, table: RawTable) -> bool:
    """Whether anything was ever loaded into `table`."""
    found = connection.execute(
        "select 1 from information_schema.tables where table_schema = ? and table_name = ?", [SCHEMA_NAME, table.name]
    )
    return bool(found.fetchall())


def crawls(connection: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """The rows of `raw.snapshots` by date and number of the crawl, all columns."""
    if not has_table(connection, SNAPSHOTS):
        return []
    rows = connection.sql(f"select {', '.join(SNAPSHOTS.schema.names)} from {SNAPSHOTS.qualified_name}")
    return sorted(rows.to_arrow_table().to_pylist(), key=lambda row: (row["snapshot_date"], crawl_number(row)))


def crawl_number(row: dict[str, Any]) -> int:
    """Which crawl of its date a row of `raw.snapshots` tells of: 1, 2, ..."""
    return int(row["crawl_id"].rpartition(".")[2])


@dataclass
class Known:
    """What a crawl need not take again, for one kind.

    `ids` were observed in this crawl and count as duplicates; `observed` have a stored observation of its date, by
    whatever crawl; `hashes` are of documents that are stored (not of all: those of the latest two dates).
    """

    ids: set[str] = field(default_factory=set)
    observed: set[str] = field(default_factory=set)
    hashes: set[str] = field(default_factory=set)


def known(connection: duckdb.DuckDBPyConnection, kind: str, snapshot_date: date, crawl_id: str) -> Known:
    """What is stored of `kind`, for a crawl that begins or goes on."""
    table = observations_table(kind)
    if not has_table(connection, table):
        return Known()
    name = table.qualified_name

    def column(query: str, *parameters: object) -> set[str]:
        return {value for (value,) in connection.execute(query, parameters).fetchall()}

    return Known(
        ids=column(f"select entity_id from {name} where snapshot_date = ? and crawl_id = ?", snapshot_date, crawl_id),
        observed=column(f"select entity_id from {name} where snapshot_date = ?", snapshot_date),
        hashes=column(
            f"select distinct content_hash from {name} where snapshot_date in "
            f"(select distinct snapshot_date from {name} order by 1 desc limit 2)"
        ),
    )
