"""The raw warehouse as its readers see it: `warehouse.duckdb`, opened read-only, with what is known of earlier crawls.

A table exists once something of its kind was loaded; `has_table` tells. Observations of closed months may have left
it for the archive (`pipelines.archive`): `all_rows` has them all, and who wants observations asks there. Nobody but the
holder of the writer lock opens the file (analysts have `analytics.duckdb`).
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import duckdb

from pipelines.errors import CivitaiEtlError
from pipelines.raw import (
    ACCOUNT_KINDS,
    ARCHIVED,
    KINDS,
    LOOKUP_KINDS,
    REJECTS,
    SCHEMA_NAME,
    SIGHTINGS,
    SNAPSHOTS,
    TOMBSTONES,
    RawTable,
    documents_table,
    observations_table,
)
from pipelines.storage import storage_errors

#: How writers open the warehouse. Left to itself DuckDB stores the counters of observations, texts of a kilobyte that
#: are much alike, as they are: a day of them then takes nine times as much (docs/operations.md, Retention).
WRITER_CONFIG: dict[str, Any] = {"force_compression": "zstd"}


def connect(path: Path) -> duckdb.DuckDBPyConnection:
    """A read-only connection to the warehouse, its clock set to UTC; long queries draw no bar of DuckDB's own.

    Raises:
        CivitaiEtlError: there is no warehouse, or another program has it open.
    """
    if not path.exists():
        raise CivitaiEtlError(f"There is no raw data at {path}: run `civitai-etl snapshot` first.")
    try:
        with storage_errors(path.parent):
            connection = duckdb.connect(str(path), read_only=True)
    except duckdb.IOException as error:
        raise CivitaiEtlError(f"{path} cannot be opened: {str(error).splitlines()[0]}") from error
    connection.execute("set timezone = 'UTC'; set enable_progress_bar = false")
    return connection


def has_table(connection: duckdb.DuckDBPyConnection, table: RawTable) -> bool:
    """Whether anything was ever loaded into `table`."""
    found = connection.execute(
        "select 1 from information_schema.tables where table_schema = ? and table_name = ?", [SCHEMA_NAME, table.name]
    )
    return bool(found.fetchall())


def archive_of(warehouse: Path) -> Path:
    """Where the files lie that the warehouse names as its archive."""
    return warehouse.parent / "archive"


def archived_files(connection: duckdb.DuckDBPyConnection, table: RawTable) -> list[Path]:
    """The files of the archive that have rows of `table`.

    Raises:
        CivitaiEtlError: one is gone.
    """
    if not has_table(connection, ARCHIVED):
        return []
    named = f"select path from {ARCHIVED.qualified_name} where table_name = ? order by month, path"
    here = "select path from duckdb_databases() where database_name = current_database()"
    ((warehouse,),) = connection.execute(here).fetchall()
    archive = archive_of(Path(warehouse))
    files = [archive / path for (path,) in connection.execute(named, [table.name]).fetchall()]
    for file in files:
        if not file.exists():
            raise CivitaiEtlError(f"{file} is gone, and {table.name} has rows there: restore it from a backup.")
    return files


def all_rows(connection: duckdb.DuckDBPyConnection, table: RawTable) -> str:
    """What to select from for all rows of a table, in the warehouse or in its archive: a name or a subquery."""
    files = archived_files(connection, table)
    if not files:
        return table.qualified_name
    columns = ", ".join(f'"{name}"' for name in table.schema.names)
    paths = ", ".join("'" + str(file).replace("'", "''") + "'" for file in files)
    return (
        f"(select {columns} from {table.qualified_name} union all "
        f"select {columns} from read_parquet([{paths}], hive_partitioning = false))"
    )


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

    `ids` were met by this crawl and count as duplicates; `observed` have a stored observation of its date, by
    whatever crawl that counts; `hashes` are of stored documents. While `is_first` (nothing of another date is stored)
    they are the hashes of all of them, later those of the latest two dates: a document that comes back is left to the
    load.
    """

    ids: set[str] = field(default_factory=set)
    observed: set[str] = field(default_factory=set)
    hashes: set[str] = field(default_factory=set)
    is_first: bool = True


def known(
    connection: duckdb.DuckDBPyConnection, kind: str, snapshot_date: date, crawl_id: str, left_out: Collection[str] = ()
) -> Known:
    """What is stored of `kind`, for a crawl that begins or goes on; crawls that are `left_out` observed nothing."""
    if not has_table(connection, observations_table(kind)):
        return Known()
    observations, documents = all_rows(connection, observations_table(kind)), documents_table(kind).qualified_name

    def column(query: str, *parameters: object) -> set[Any]:
        return {value for (value,) in connection.execute(query, parameters).fetchall()}

    ids = column(
        f"select entity_id from {observations} where (snapshot_date, crawl_id) = (?, ?)", snapshot_date, crawl_id
    )
    if has_table(connection, SIGHTINGS):
        met_again = f"select entity_id from {SIGHTINGS.qualified_name} where (kind, crawl_id) = (?, ?)"
        ids |= column(met_again, kind, crawl_id)
    is_first = column(f"select distinct snapshot_date from {observations}") <= {snapshot_date}
    return Known(
        ids=ids,
        observed=column(
            f"select entity_id from {observations} where snapshot_date = ? and not list_contains(?, crawl_id)",
            snapshot_date,
            list(left_out),
        ),
        hashes=column(
            f"select content_hash from {documents}"
            if is_first
            else f"select distinct content_hash from {observations} where snapshot_date in "
            f"(select distinct snapshot_date from {observations} order by 1 desc limit 2)"
        ),
        is_first=is_first,
    )


def stored_hashes(connection: duckdb.DuckDBPyConnection, kind: str) -> set[str]:
    """The hashes of all stored documents of a kind."""
    if not has_table(connection, documents_table(kind)):
        return set()
    found = connection.execute(f"select content_hash from {documents_table(kind).qualified_name}")
    return {content_hash for (content_hash,) in found.fetchall()}


def looked_up(connection: duckdb.DuckDBPyConnection, kind: str, on: date, *, by_name: bool) -> set[str]:
    """What of a kind was asked for by id, or by name, on a date and was found or not; names without regard to case."""
    found: set[str] = set()
    if has_table(connection, observations_table(kind)):
        key = "lower(payload ->> '$.username')" if by_name else "entity_id"
        query = (
            f"select {key} from {all_rows(connection, observations_table(kind))} "
            f"join {documents_table(kind).qualified_name} using (entity_id, content_hash) where snapshot_date = ?"
        )
        found |= {text for (text,) in connection.execute(query, [on]).fetchall()}
    if has_table(connection, TOMBSTONES):
        query = f"select lower(entity_id) from {TOMBSTONES.qualified_name} where (kind, snapshot_date) = (?, ?)"
        found |= {text for (text,) in connection.execute(query, [kind, on]).fetchall()}
    return found


def expected_ids(
    connection: duckdb.DuckDBPyConnection, kind: str, snapshot_date: date, left_out: Collection[str] = ()
) -> set[str]:
    """The ids that a crawl of `snapshot_date` should find: observed before, and not denied since, by crawls that are
    not `left_out`.
    """
    if not has_table(connection, observations_table(kind)):
        return set()
    observations = all_rows(connection, observations_table(kind))
    events = f"select entity_id, snapshot_date as seen_on, null as denied_on, crawl_id from {observations}"
    if has_table(connection, TOMBSTONES):
        events += (
            " union all select entity_id, null, snapshot_date, crawl_id "
            f"from {TOMBSTONES.qualified_name} where kind = '{kind}'"
        )
    found = connection.execute(
        f"select entity_id from ({events}) where coalesce(seen_on, denied_on) < ? and not list_contains(?, crawl_id) "
        "group by entity_id having max(seen_on) >= coalesce(max(denied_on), max(seen_on))",
        [snapshot_date, list(left_out)],
    )
    return {entity_id for (entity_id,) in found.fetchall()}


def remove_second_copies(path: Path, crawl_id: str | None) -> None:
    """Delete rows that are stored twice, after a load job of `crawl_id`, or of look-ups, may have run a second time."""
    of_lists, of_lookups = (
        [table(kind) for kind in kinds for table in (documents_table, observations_table)]
        for kinds in (KINDS, (*LOOKUP_KINDS, *ACCOUNT_KINDS))
    )
    # The observations of all crawls are many; a load brings those of its own crawl only.
    of_crawls = {table.name for table in (*of_lists, SIGHTINGS, SNAPSHOTS) if "crawl_id" in table.schema.names}
    with duckdb.connect(str(path), config=WRITER_CONFIG) as connection:
        for table in (*of_lists, *of_lookups, REJECTS, SIGHTINGS, TOMBSTONES, SNAPSHOTS):
            if has_table(connection, table):
                name, key = table.qualified_name, ", ".join(table.key)
                concerned, parameters = ("crawl_id = ?", [crawl_id]) if table.name in of_crawls else ("true", [])
                connection.execute(
                    f"delete from {name} where rowid in (select unnest(list(rowid order by rowid)[2:]) "
                    f"from {name} where {concerned} group by {key} having count(*) > 1)",
                    parameters,
                )
