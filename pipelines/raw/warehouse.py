"""The raw warehouse as its readers see it: `warehouse.duckdb`, opened read-only, with what is known of earlier crawls.

A table exists when something of its kind was loaded (`has_table`). Observations of closed months may be in the archive
(`pipelines.raw.archive`): readers of observations use `all_rows`, which has them all. Only the holder of the writer
lock opens the file (analysts have `analytics.duckdb`).
"""

from collections.abc import Collection, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa

from pipelines.errors import CivitaiEtlError
from pipelines.memory import DuckDbConfig, duckdb_config
from pipelines.raw.crawls import CrawlRow, SourceState
from pipelines.raw.high_water_mark import plausible_ids
from pipelines.raw.kinds import KINDS, SNAPSHOT_KINDS
from pipelines.raw.tables import (
    ARCHIVED,
    RECONCILE_PASS,
    REJECTS,
    SCHEMA_NAME,
    SIGHTINGS,
    SNAPSHOTS,
    TOMBSTONES,
    RawTable,
    documents_table,
    observations_table,
)
from pipelines.raw.text_set import TextSet
from pipelines.storage.directory import storage_errors
from pipelines.storage.replacement import DATABASE_LOGS
from pipelines.storage.sql import parquet_rows

#: What dlt puts between a load package and the tables that it merges it into; of no use once that is done.
STAGING_SCHEMA = f"{SCHEMA_NAME}_staging"
#: dlt's own table of the packages that were loaded completely.
_LOADS = RawTable("_dlt_loads", pa.schema([pa.field("load_id", pa.string()), pa.field("status", pa.int64())]), key=())

#: Columns that are too large to compare, and belong to the others of their row.
_BULK = {"payload", "metrics"}

#: How many rows of a query are in memory at a time.
_BATCH_ROWS = 10_000


class UnreadableFileError(CivitaiEtlError):
    """A file of the data directory is damaged, or another program's."""


def connect(path: Path) -> duckdb.DuckDBPyConnection:
    """A read-only connection to the warehouse, its clock set to UTC; long queries draw no bar of DuckDB's own.

    Raises:
        CivitaiEtlError: there is no warehouse, or another program has it open.
        UnreadableFileError: the file is no warehouse, or not a whole one.
    """
    if not path.exists():
        raise CivitaiEtlError(f"There is no raw data at {path}: run `civitai-etl snapshot` first.")
    try:
        with storage_errors(path.parent):
            if not is_duckdb(path):
                raise _unreadable(path, "it is no DuckDB database")
            connection = duckdb.connect(str(path), read_only=True, config=duckdb_config())
    except duckdb.Error as error:
        raise _unreadable(path, str(error).splitlines()[0]) from error
    connection.execute("set timezone = 'UTC'; set enable_progress_bar = false")
    schemas = {name for (name,) in connection.execute("select distinct schema_name from duckdb_tables()").fetchall()}
    if schemas and SCHEMA_NAME not in schemas:
        connection.close()
        raise _unreadable(path, f"it has tables of another program, in schema {min(schemas)}")
    return connection


def writer_config() -> DuckDbConfig:
    """How writers open the warehouse.

    Left to itself DuckDB stores the counters of observations, texts of a kilobyte that are much alike, as they are: a
    day of them then takes nine times as much (docs/operations.md, Retention).
    """
    return duckdb_config() | {"force_compression": "zstd"}


def is_duckdb(path: Path) -> bool:
    """Whether this is a file, and begins as a DuckDB database does. DuckDB takes files of other databases as well, and
    calls its maker for what that takes.
    """
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(12)[8:] == b"DUCK"


def maker_of(path: Path) -> str | None:
    """The version of DuckDB that made a database file, such as v2.0.1; None if the file does not say."""
    with path.open("rb") as file:
        found = file.read(84)[52:].partition(b"\0")[0]
    return found.decode(errors="replace") or None


def _unreadable(path: Path, reason: str) -> UnreadableFileError:
    if "WAL" in reason:
        reason += f"; if {path.name} was put back from a backup, delete {path.name}.wal beside it"
    return UnreadableFileError(
        f"{path} cannot be read as the warehouse ({reason}): put back a backup of it, or move it away or set "
        "CIVITAI_ETL_DATA_DIR to another directory to start again."
    )


def create_warehouse(path: Path) -> None:
    """An empty one, of which a star of nothing is made."""
    duckdb.connect(str(path), config=writer_config()).close()


def has_table(connection: duckdb.DuckDBPyConnection, table: RawTable) -> bool:
    """Whether anything was ever loaded into `table`."""
    return bool(_columns(connection, SCHEMA_NAME, table.name))


def _columns(connection: duckdb.DuckDBPyConnection, schema: str, table: str) -> set[str]:
    """The columns that a table has; none if there is no such table."""
    found = connection.execute(
        "select column_name from duckdb_columns() where schema_name = ? and table_name = ?", [schema, table]
    )
    return {name for (name,) in found.fetchall()}


def declared_columns(connection: duckdb.DuckDBPyConnection, table: RawTable) -> str:
    """What to select of a table for all its declared columns. Those that an earlier version did not have are null."""
    stored = _columns(connection, SCHEMA_NAME, table.name)
    return ", ".join(f'"{name}"' if name in stored else f'null as "{name}"' for name in table.schema.names)


def archive_of(warehouse: Path) -> Path:
    """The directory of the archive of a warehouse."""
    return warehouse.parent / "archive"


def archived_files(connection: duckdb.DuckDBPyConnection, table: RawTable) -> list[Path]:
    """The files of the archive that have rows of `table`.

    Raises:
        UnreadableFileError: a file is missing, or is not the one that was written.
    """
    if not has_table(connection, ARCHIVED):
        return []
    named = f"select path, bytes from {ARCHIVED.qualified_name} where table_name = ? order by month, path"
    here = "select path from duckdb_databases() where database_name = current_database()"
    ((warehouse,),) = connection.execute(here).fetchall()
    archive = archive_of(Path(warehouse))
    files = {archive / path: size for path, size in connection.execute(named, [table.name]).fetchall()}
    for file, size in files.items():
        if not file.exists() or file.stat().st_size != size:
            state = f"has {file.stat().st_size:,} bytes and had {size:,}" if file.exists() else "is gone"
            raise UnreadableFileError(f"{file} {state}, and {table.name} has rows there: restore it from a backup.")
    return list(files)


def all_rows(connection: duckdb.DuckDBPyConnection, table: RawTable) -> str:
    """What to select from for all rows of a table, in the warehouse or in its archive: a name or a subquery."""
    files = archived_files(connection, table)
    if not files:
        return table.qualified_name
    columns = ", ".join(f'"{name}"' for name in table.schema.names)
    return f"(select {columns} from {table.qualified_name} union all select {columns} from {parquet_rows(files)})"


def crawls(connection: duckdb.DuckDBPyConnection) -> list[CrawlRow]:
    """The rows of `raw.snapshots` by date and number of the crawl."""
    if not has_table(connection, SNAPSHOTS):
        return []
    rows = connection.sql(f"select {declared_columns(connection, SNAPSHOTS)} from {SNAPSHOTS.qualified_name}")
    found = [CrawlRow(**row) for row in rows.to_arrow_table().to_pylist()]
    return sorted(found, key=lambda row: (row.snapshot_date, row.number))


def gallery_mark(counting: Iterable[CrawlRow], state: SourceState) -> int | None:
    """The high-water mark of images: the gallery is known up to this id. None before the first whole crawl of it.

    It is derived from the rows of the crawls, so it changes with them: a crawl that came down to the start of another
    one means nothing without that one. If two crawls in a row stop at the same place, the mark moves to the start of
    the second one, and what lies behind that place is not fetched again.

    Args:
        counting: the crawls that count, as `crawls` returns them.
        state: that of the source, with the mark of earlier versions.
    """
    mark: int | None = max(plausible_ids([state.get("image_mark") or 0], None), default=0) or None
    stopped_at: int | None = None
    for row in counting:
        if row.gallery_to is None:
            continue
        is_stuck = row.gallery_stopped_at is not None
        reaches = row.gallery_stopped_at == stopped_at if is_stuck else (row.gallery_from or 0) <= (mark or 0)
        if reaches:
            mark = max(row.gallery_to, mark or 0)
        stopped_at = row.gallery_stopped_at
    return mark


@dataclass
class Known:
    """What a crawl need not store again, for one kind.

    `ids` were met by this crawl and count as duplicates. `observed` have a stored observation of its date, by any crawl
    that counts; `answered` are those of them that were answered by id only: a list item has more, and is stored too.
    `documents` are the keys of stored documents: all of them while `is_first` (no other date was observed), later those
    of the latest two dates. The load itself skips an older document that comes back. `is_empty` means that there is
    neither a document nor an observation.
    """

    ids: TextSet = field(default_factory=TextSet)
    observed: TextSet = field(default_factory=TextSet)
    answered: TextSet = field(default_factory=TextSet)
    documents: TextSet = field(default_factory=TextSet)
    is_first: bool = True
    is_empty: bool = True


def document_key(entity_id: str, content_hash: str) -> str:
    """The key of a stored document: two entities can have equal documents that do not contain their ids."""
    return f"{entity_id} {content_hash}"


_DOCUMENT_KEY = "entity_id || ' ' || content_hash"


def known(
    connection: duckdb.DuckDBPyConnection, kind: str, snapshot_date: date, crawl_id: str, left_out: Collection[str] = ()
) -> Known:
    """What is stored of `kind`, for a crawl that starts or resumes; observations of `left_out` crawls do not count."""
    if not has_table(connection, observations_table(kind)):
        # A refresh may have brought documents before anything was observed.
        documents = stored_documents(connection, kind)
        return Known(documents=documents, is_empty=not documents)
    observations = all_rows(connection, observations_table(kind))
    of_crawl = f"select entity_id from {observations} where (snapshot_date, crawl_id) = (?, ?)"
    ids = TextSet(_texts(connection, of_crawl, snapshot_date, crawl_id))
    if has_table(connection, SIGHTINGS):
        met_again = f"select entity_id from {SIGHTINGS.qualified_name} where (kind, crawl_id) = (?, ?)"
        ids.update(_texts(connection, met_again, kind, crawl_id))
    dates = {on for (on,) in connection.execute(f"select distinct snapshot_date from {observations}").fetchall()}
    is_first = dates <= {snapshot_date}
    if is_first:
        documents = stored_documents(connection, kind)
    else:
        of_latest = (
            f"from {observations} where snapshot_date in "
            f"(select distinct snapshot_date from {observations} order by 1 desc limit 2)"
        )
        documents = TextSet(_texts(connection, f"select {_DOCUMENT_KEY} {of_latest}"))
        # A refresh has brought others since.
        since = f"where fetched_at >= (select min(observed_at) {of_latest})"
        stored = documents_table(kind).qualified_name
        documents.update(_texts(connection, f"select {_DOCUMENT_KEY} from {stored} {since}"))
    of_date = f"from {observations} where snapshot_date = ? and not list_contains(?, crawl_id)"
    counting = (snapshot_date, list(left_out))
    by_id_only = f"select entity_id {of_date} group by entity_id having bool_and(crawl_pass = {RECONCILE_PASS})"
    return Known(
        ids=ids,
        observed=TextSet(_texts(connection, f"select entity_id {of_date}", *counting)),
        answered=TextSet(_texts(connection, by_id_only, *counting)),
        documents=documents,
        is_first=is_first,
        is_empty=not (dates or documents),
    )


def stored_documents(connection: duckdb.DuckDBPyConnection, kind: str) -> TextSet:
    """The keys of all stored documents of a kind."""
    if not has_table(connection, documents_table(kind)):
        return TextSet()
    return TextSet(_texts(connection, f"select {_DOCUMENT_KEY} from {documents_table(kind).qualified_name}"))


def _texts(connection: duckdb.DuckDBPyConnection, query: str, *parameters: object) -> Iterator[str]:
    """The only column of a query, which DuckDB computes while it is read."""
    for batch in connection.sql(query, params=parameters).to_arrow_reader(_BATCH_ROWS):
        yield from batch.column(0).to_pylist()


def looked_up(connection: duckdb.DuckDBPyConnection, kind: str, on: date, *, by_name: bool) -> set[str]:
    """The keys of a kind that were looked up on a date, by id or by name, found or not; names in lower case."""
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
) -> TextSet:
    """The ids that a crawl of `snapshot_date` should find: crawls that are not `left_out` observed them, and did not
    get a 404 for them since.
    """
    if not has_table(connection, observations_table(kind)):
        return TextSet()
    observations = all_rows(connection, observations_table(kind))
    events = f"select entity_id, snapshot_date as seen_on, null as denied_on, crawl_id from {observations}"
    if has_table(connection, TOMBSTONES):
        events += (
            " union all select entity_id, null, snapshot_date, crawl_id "
            f"from {TOMBSTONES.qualified_name} where kind = '{kind}'"
        )
    standing = (
        f"select entity_id from ({events}) where coalesce(seen_on, denied_on) < ? and not list_contains(?, crawl_id) "
        "group by entity_id having max(seen_on) >= coalesce(max(denied_on), max(seen_on))"
    )
    return TextSet(_texts(connection, standing, snapshot_date, list(left_out)))


def newest_load(path: Path) -> str:
    """The id of the newest load package of a warehouse; empty if it has none."""
    with closing(connect(path)) as connection:
        if not has_table(connection, _LOADS):
            return ""
        found = connection.execute(f"select max(load_id) from {_LOADS.qualified_name} where status = 0").fetchall()
    return found[0][0] or ""


def first_load(path: Path) -> str:
    """The id of the first load package that a warehouse ever had, which no other one has; empty if it had none."""
    if not path.exists():
        return ""
    with closing(connect(path)) as connection:
        if not has_table(connection, _LOADS):
            return ""
        found = connection.execute(f"select min(load_id) from {_LOADS.qualified_name}").fetchall()
        return found[0][0] or ""


def fold_log(path: Path) -> None:
    """Write what a killed process left in the write-ahead log to its place: then the file alone is the warehouse."""
    if any(path.with_name(path.name + suffix).exists() for suffix in DATABASE_LOGS):
        with duckdb.connect(str(path), config=writer_config()) as connection:
            connection.execute("checkpoint")


def has_rows(path: Path, files: Iterable[tuple[str, str]]) -> bool:
    """Whether a warehouse has all rows of some Parquet files that dlt has loaded, each with the name of its table:
    there or, where it merges, in what it merges from.
    """
    with closing(connect(path)) as connection:
        for name, file in files:
            loaded = connection.sql(f"from {parquet_rows([Path(file)])}")
            compared = [column for column in loaded.columns if column not in _BULK]
            columns = ", ".join(f'"{column}"' for column in compared)
            of_dates = (
                "where snapshot_date in (select snapshot_date from loaded)" if "snapshot_date" in compared else ""
            )
            lacking = f"select {columns} from loaded"
            for schema in (SCHEMA_NAME, STAGING_SCHEMA):
                if set(compared) <= _columns(connection, schema, name):
                    lacking += f" except select {columns} from {schema}.{name} {of_dates}"
            if connection.execute(f"from ({lacking}) limit 1").fetchall():
                return False
    return True


def remove_second_copies(path: Path, crawl_id: str | None) -> None:
    """Delete rows that are stored twice, after a load job of `crawl_id`, or of look-ups, may have run a second time."""
    of_lists = [table for kind in KINDS.values() if kind.group == "snapshot" for table in kind.tables]
    of_lookups = [table for kind in KINDS.values() if kind.group != "snapshot" for table in kind.tables]
    # The observations of all crawls are many; a load brings those of its own crawl only.
    of_crawls = {table.name for table in (*of_lists, SIGHTINGS, SNAPSHOTS) if "crawl_id" in table.schema.names}
    with duckdb.connect(str(path), config=writer_config()) as connection:
        for table in (*of_lists, *of_lookups, REJECTS, SIGHTINGS, TOMBSTONES, SNAPSHOTS):
            if has_table(connection, table):
                concerned, parameters = ("crawl_id = ?", [crawl_id]) if table.name in of_crawls else ("true", [])
                _keep_first(connection, table, concerned, parameters)


def mend_documents(path: Path) -> None:
    """Delete documents that are stored twice: earlier versions appended those of a kind that was never observed, though
    a refresh had brought some, and no build takes them.
    """
    with closing(connect(path)) as connection:
        doubled = [
            table
            for table in map(documents_table, SNAPSHOT_KINDS)
            if has_table(connection, table)
            and connection.execute(
                f"select 1 from {table.qualified_name} group by {', '.join(table.key)} having count(*) > 1 limit 1"
            ).fetchall()
        ]
    if doubled:
        with duckdb.connect(str(path), config=writer_config()) as connection:
            for table in doubled:
                _keep_first(connection, table, "true", [])


def _keep_first(
    connection: duckdb.DuckDBPyConnection, table: RawTable, concerned: str, parameters: list[str | None]
) -> None:
    """Delete second rows of a key among those that are concerned."""
    name, key = table.qualified_name, ", ".join(table.key)
    # Counting first: a list of places for every key would not fit into memory.
    doubled = f"select {key} from {name} where {concerned} group by {key} having count(*) > 1"
    connection.execute(
        f"delete from {name} where rowid in (select unnest(list(stored.rowid order by stored.rowid)[2:]) "
        f"from {name} as stored join ({doubled}) using ({key}) where {concerned} group by {key})",
        [*parameters, *parameters],
    )
