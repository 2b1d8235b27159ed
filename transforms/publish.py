"""Publishing: `analytics.duckdb` is built aside, synced and renamed into place, and that rename is the only commit.

It holds views and nothing else: a view per table in schema `star` with an explicit list of immutable files, the current
rows as `star.model` and `star.model_version`, and the list of files itself as `star.manifest`. A reader therefore sees
the whole old or the whole new generation, in one table and across tables. `star/manifest.json`, the same list for other
engines, follows from it.
"""

import json
import os
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb

from pipelines.errors import CivitaiEtlError
from transforms.lake import Lake, LakeFile, sync
from transforms.tables import TABLES, HistoryTable, Table

#: A publish keeps what the last three name, and whatever is younger than a day: a reader may still be on it.
GENERATIONS_KEPT = 3
FILES_KEPT_FOR = timedelta(days=1)

#: Lets DuckDB 1.x open what 2.x wrote.
STORAGE_VERSION = "v1.0.0"

CURRENT_ROWS = {"model": "dim_model", "model_version": "dim_model_version"}
MANIFEST = "manifest.json"


def read_manifest(analytics: Path) -> list[LakeFile]:
    """The files of the generation that is published; none before the first publish.

    Raises:
        UnreadableStarError: the file is there and is no database of ours.
    """
    if not analytics.exists():
        return []
    try:
        with duckdb.connect(analytics, read_only=True) as connection:
            rows = connection.execute(
                "SELECT table_name, part, snapshot_date, lake_path, rows, bytes FROM build.manifest"
            ).fetchall()
    except duckdb.Error as error:
        reason = str(error).splitlines()[0]
        raise UnreadableStarError(
            f"{analytics} cannot be read ({reason}): run `civitai-etl rebuild`, which makes it anew from raw."
        ) from error
    return [LakeFile(*row) for row in rows]


class UnreadableStarError(CivitaiEtlError):
    """The published star cannot be read."""


def publish(lake: Lake, analytics: Path, files: list[LakeFile]) -> None:
    """Makes `files` the published generation."""
    for left_behind in analytics.parent.glob(f".{analytics.name}.*.tmp"):  # by a publish that was killed
        left_behind.unlink()
    aside = analytics.with_name(f".{analytics.name}.{os.getpid()}.tmp")
    try:
        build_database(aside, lake, files)
        sync(aside)
        aside.replace(analytics)
        sync(analytics.parent)
    finally:
        aside.unlink(missing_ok=True)
    follow(lake, files)


def follow(lake: Lake, files: list[LakeFile]) -> None:
    """What comes after the commit, and is made up for when it was cut off: the manifest, and cleaning up."""
    write_manifests(lake, files)
    delete_superseded(lake)


def build_database(path: Path, lake: Lake, files: list[LakeFile]) -> None:
    """Writes a DuckDB database of views over `files`; it opens with DuckDB 1.x and 2.x, with no extension."""
    with duckdb.connect(":memory:") as connection:
        connection.execute(f"ATTACH {literal(path)} AS target (STORAGE_VERSION '{STORAGE_VERSION}')")
        connection.execute("USE target")
        connection.execute("BEGIN")  # one write for all views and comments
        connection.execute("CREATE SCHEMA star")
        connection.execute("CREATE SCHEMA build")
        for table in TABLES:
            create_view(connection, table, lake, [file for file in files if file.table == table.table_name()])
        for view, table_name in CURRENT_ROWS.items():
            connection.execute(f"CREATE VIEW star.{view} AS SELECT * FROM star.{table_name} WHERE is_current")
            connection.execute(f"COMMENT ON VIEW star.{view} IS {literal(f'The current rows of {table_name}.')}")
        rows = ", ".join(
            f"({literal(file.table)}, {literal(file.part)}, {literal(file.snapshot_date)}::DATE, {literal(file.path)}, "
            f"{literal(lake.root / file.path)}, {file.rows}::BIGINT, {file.bytes}::BIGINT)"
            for file in files
        )
        connection.execute(
            f"CREATE VIEW build.manifest AS SELECT * FROM (VALUES {rows}) "
            "AS file(table_name, part, snapshot_date, lake_path, path, rows, bytes)"
        )
        connection.execute(
            "CREATE VIEW star.manifest AS SELECT table_name, part, snapshot_date, path, rows, bytes "
            "FROM build.manifest WHERE starts_with(lake_path, 'star/')"
        )
        connection.execute("COMMENT ON VIEW star.manifest IS 'The Parquet files of this generation, one row per file.'")
        connection.execute("COMMIT")
        connection.execute("USE memory")
        connection.execute("DETACH target")


def create_view(connection: duckdb.DuckDBPyConnection, table: type[Table], lake: Lake, files: list[LakeFile]) -> None:
    """A view over a table's files, with the declared comments on it and on its columns."""
    name = table.table_name()
    paths = ", ".join(literal(lake.root / file.path) for file in files)
    columns = ", ".join(f'"{column}"' for column in table.column_names())
    connection.execute(
        f"CREATE VIEW star.{name} AS SELECT {columns} FROM read_parquet([{paths}], hive_partitioning = false)"
    )
    connection.execute(f"COMMENT ON VIEW star.{name} IS {literal(table.grain())}")
    for column, declared in table.columns().items():
        connection.execute(f'COMMENT ON COLUMN star.{name}."{column}" IS {literal(declared.description)}')


def literal(value: object) -> str:
    """An SQL literal."""
    return "NULL" if value is None else "'" + str(value).replace("'", "''") + "'"


def write_manifests(lake: Lake, files: list[LakeFile]) -> None:
    """`star/manifest.json` for engines other than DuckDB, and the list of what each of the last publishes named."""
    named = [file for file in files if file.path.startswith("star/")]
    tables = {
        table.table_name(): {
            "grain": table.grain(),
            "key": table.primary_key(),
            "is_history": issubclass(table, HistoryTable),
            "files": [
                {"path": file.path.removeprefix("star/"), "rows": file.rows, "bytes": file.bytes}
                for file in named
                if file.table == table.table_name()
            ],
        }
        for table in TABLES
    }
    manifest, text = lake.root / "star" / MANIFEST, json.dumps({"tables": tables}, indent=1)
    if manifest.exists() and manifest.read_text() == text:
        return
    write_whole(manifest, text)
    generation = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")
    write_whole(lake.root / "state" / "generations" / f"{generation}.json", json.dumps([file.path for file in files]))


def write_whole(path: Path, text: str) -> None:
    """Replaces a file in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        aside.write_text(text)
        sync(aside)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def delete_superseded(lake: Lake) -> None:
    """Deletes files of ours that none of the last publishes names and that are older than a day, and what killed
    writers left half-written. Nothing else in the lake is touched, whoever put it there.
    """
    generations = sorted((lake.root / "state" / "generations").glob("*.json"))
    kept = {path for generation in generations[-GENERATIONS_KEPT:] for path in json.loads(generation.read_text())}
    for generation in generations[:-GENERATIONS_KEPT]:
        generation.unlink()
    limit = time.time() - FILES_KEPT_FOR.total_seconds()
    for file in lake.own_files():
        if str(file.relative_to(lake.root)) not in kept and file.stat().st_mtime < limit:
            file.unlink()
            with suppress(OSError):  # the folder of a day that still has files
                file.parent.rmdir()
