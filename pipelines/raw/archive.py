"""Retention of raw: the observations of closed months leave `warehouse.duckdb` for Parquet files beside it.

A month is closed when a later one has a complete snapshot. Its observations are written to
`archive/<table>/<month>/<hash>.parquet`, sorted by entity and date. A new warehouse without them is written beside the
old one, with the names of these files in `raw.archived`. Readers use the archived files that the warehouse names
(`pipelines.raw.warehouse.all_rows`), so the rename of the new warehouse over the old one is the only commit. After a
kill before it, the archive has unused files, and the next run writes them again under the same names. A DuckDB file
does not shrink when rows are deleted, but the new file has no free blocks.

Everything else (documents, look-ups, the account, tombstones, rejects, dlt's own tables) stays in the warehouse.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa

from pipelines.errors import CivitaiEtlError
from pipelines.progress import Progress, Silent
from pipelines.raw.decisions import decisions, left_out
from pipelines.raw.kinds import SNAPSHOT_KINDS
from pipelines.raw.tables import ARCHIVED, SCHEMA_NAME, ArchivedFile, RawTable, observations_table
from pipelines.raw.warehouse import STAGING_SCHEMA, all_rows, archive_of, connect, crawls, has_table, writer_config
from pipelines.storage.lock import SafePoint, go_on
from pipelines.storage.parquet import write_rows
from pipelines.storage.replacement import aside_of, real, replace_database
from pipelines.storage.sql import literal, parquet_rows

#: dlt's own tables, in any schema.
DLT_PREFIX = "_dlt"


class LossError(CivitaiEtlError):
    """The replacement does not have the same rows; nothing was replaced."""


@dataclass(frozen=True)
class Archived:
    """A new warehouse beside the old one, and the rows and files that moved to the archive."""

    warehouse: Path
    rows: int
    files: tuple[Path, ...]


def closed_before(warehouse: Path) -> date | None:
    """The first day that is in no closed month: months before it are closed. None without a complete snapshot."""
    with closing(connect(warehouse)) as connection:
        out = left_out(decisions(connection))
        complete = [
            row.snapshot_date for row in crawls(connection) if row.status == "complete" and row.crawl_id not in out
        ]
    return max(complete).replace(day=1) if complete else None


@contextmanager
def archived(
    warehouse: Path, before: date, progress: Progress = Silent(), safe_point: SafePoint = go_on
) -> Iterator[Archived | None]:
    """Writes the observations of dates before `before` to the archive, and a new warehouse without them beside the old
    one. The end of the block deletes it unless `replace` took it. None if there is no such observation.

    The caller holds the writer lock, and no load package is pending. `safe_point` is called for every month and table;
    if it raises, the old warehouse stays.

    Raises:
        LossError: the new warehouse and archive do not have the rows of the old ones.
    """
    sweep(warehouse)
    aside = aside_of(warehouse)
    try:
        with duckdb.connect(str(warehouse), config=writer_config()) as connection:
            # In a sort that does not fit into memory, each thread holds a block of every sorted part.
            connection.execute("set timezone = 'UTC'; set enable_progress_bar = false; set threads = 1")
            months = list(_months(connection, before))
            files = []
            for number, (table, month) in enumerate(months, start=1):
                safe_point()
                files.append(_write_month(connection, archive_of(warehouse), table, month))
                progress.update("archive", number, len(months), unit="files")
            if files:
                connection.execute("checkpoint")  # leaves no write-ahead log, which DuckDB would apply to the new file
                _write_anew(connection, aside, before, files, safe_point)
        if not files:
            yield None
            return
        _refuse_loss(warehouse, aside, progress, safe_point)
        written = tuple(archive_of(warehouse) / file.path for file in files)
        yield Archived(aside, sum(file.rows for file in files), written)
    finally:
        sweep(warehouse)


def replace(warehouse: Path, by: Path) -> None:
    """Makes the file that `archived` wrote the warehouse. This rename is the commit."""
    replace_database(warehouse, by)


def sweep(warehouse: Path) -> None:
    """Deletes the new file of `archived`, finished or not."""
    database = real(warehouse)
    half_written = [*database.parent.glob(f".{database.name}.*.tmp*"), *archive_of(warehouse).glob("*/*/.*.tmp")]
    for leftover in half_written:
        leftover.unlink()


def _months(connection: duckdb.DuckDBPyConnection, before: date) -> Iterator[tuple[RawTable, date]]:
    for table in map(observations_table, SNAPSHOT_KINDS):
        if has_table(connection, table):
            found = connection.execute(
                f"select distinct date_trunc('month', snapshot_date)::date from {table.qualified_name} "
                "where snapshot_date < ? order by 1",
                [before],
            )
            yield from [(table, month) for (month,) in found.fetchall()]


def _write_month(connection: duckdb.DuckDBPyConnection, archive: Path, table: RawTable, month: date) -> ArchivedFile:
    """Write the file of a month."""
    rows = connection.sql(
        f"select {', '.join(table.schema.names)} from {table.qualified_name} "
        "where date_trunc('month', snapshot_date) = $1 order by entity_id, snapshot_date, crawl_id",
        params=[month],
    )
    written = write_rows(rows, table.schema, archive / table.name / f"{month:%Y-%m}")
    ((count,),) = connection.execute(f"select count(*) from {parquet_rows([written.path])}").fetchall()
    path = str(written.path.relative_to(archive))
    return ArchivedFile(path, table.name, month, count, written.bytes)


def _write_anew(
    connection: duckdb.DuckDBPyConnection, aside: Path, before: date, files: list[ArchivedFile], safe_point: SafePoint
) -> None:
    """A copy of the open warehouse without archived rows and without the rows of dlt's staging tables."""
    ((source,),) = connection.execute("select current_database()").fetchall()
    connection.execute(f"attach {literal(aside)} as aside")
    connection.execute(f'copy from database "{source}" to aside (schema)')
    observations = {table.name for table in map(observations_table, SNAPSHOT_KINDS)}
    tables = connection.execute(
        "select schema_name, table_name from duckdb_tables() where database_name = ? and not internal", [source]
    ).fetchall()
    for schema, name in tables:
        safe_point()
        if schema == STAGING_SCHEMA and not name.startswith(DLT_PREFIX):
            continue
        kept = "where snapshot_date >= $1" if schema == SCHEMA_NAME and name in observations else ""
        rows = connection.sql(f'from "{source}"."{schema}"."{name}" {kept}', params=[before] if kept else None)
        rows.insert_into(f"aside.{schema}.{name}")
    name = f"aside.{ARCHIVED.qualified_name}"
    connection.register("archived_now", pa.Table.from_pylist([asdict(file) for file in files], schema=ARCHIVED.schema))
    connection.execute(f"create table if not exists {name} as from archived_now limit 0")
    connection.execute(f"insert into {name} from archived_now")
    connection.execute("detach aside")


def _refuse_loss(warehouse: Path, aside: Path, progress: Progress, safe_point: SafePoint) -> None:
    """Compare every table of raw and its archive before and after."""
    with closing(connect(warehouse)) as before, closing(connect(aside)) as after:
        names = [
            name
            for (name,) in before.execute(
                "select table_name from duckdb_tables() where schema_name = ? and table_name != ? order by 1",
                [SCHEMA_NAME, ARCHIVED.name],
            ).fetchall()
        ]
        for number, name in enumerate(names, start=1):
            safe_point()
            columns = [column for (column, *_) in before.execute(f"describe {SCHEMA_NAME}.{name}").fetchall()]
            table = RawTable(name, pa.schema([pa.field(column, pa.null()) for column in columns]), key=())
            found, expected = (
                fingerprint(connection, all_rows(connection, table), columns) for connection in (after, before)
            )
            if found != expected:
                raise LossError(
                    f"{name} would have {found[0]:,} rows in warehouse and archive where it has {expected[0]:,}, or "
                    "others. Nothing was changed; please report this."
                )
            progress.update("compare raw", number, len(names), unit="tables")


def fingerprint(connection: duckdb.DuckDBPyConnection, rows: str, columns: list[str]) -> tuple[int, int | None]:
    """The count of the rows and the sum of their hashes, which does not depend on the order of the rows."""
    listed = ", ".join(f'"{column}"' for column in columns)
    ((count, total),) = connection.execute(f"select count(*), sum(hash({listed})) from {rows}").fetchall()
    return count, total
