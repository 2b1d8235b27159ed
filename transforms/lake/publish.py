"""Publishing: builds `analytics.duckdb` beside its place, reads it, syncs it and renames it: that rename is the commit.

It holds no rows, only views and macros: a view per table in schema `star` with an explicit list of immutable files, the
views and table macros of `transforms.tables.macros` over them, and the texts of `transforms.tables.dictionary` as
comments. A reader therefore sees the whole old or the whole new release, in one table and across tables. The files
`star/manifest.json` and `star/datapackage.json`, for other engines, are written after it.

The next publish removes what a reader puts into the file, with its write-ahead log. It never stops a publish.
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import TypedDict

import duckdb
import msgspec

from pipelines.errors import CivitaiEtlError
from pipelines.memory import duckdb_config
from pipelines.storage.replacement import aside_of, real, replace_database, replace_text
from pipelines.storage.sql import literal, parquet_rows
from transforms.lake.declarations import analyses_fingerprint, tables_fingerprint
from transforms.lake.files import Lake, LakeFile, UnreadableStarError
from transforms.lake.published import create_place, has_moved, opened
from transforms.lake.state import STATE_FADING, STATE_LONGER_FLOWS, STATE_MILESTONES, STATE_WATCHED, counters_state
from transforms.tables import (
    DECLARATIONS_VERSION,
    TABLES,
    FactModelDaily,
    FactModelVersionDaily,
    HistoryTable,
    Table,
)
from transforms.tables.dictionary import column_comments, data_package, sql_type
from transforms.tables.macros import MACROS, VIEWS

#: A publish keeps the files of the last three and those of the last day, because a reader may still use them.
GENERATIONS_KEPT = 3
FILES_KEPT_FOR = timedelta(days=1)
#: Names of the file lists of publishes, in order.
GENERATION_NAME = "%Y%m%dT%H%M%S.%f"

#: Lets DuckDB 1.x open what 2.x wrote.
STORAGE_VERSION = "v1.0.0"

MANIFEST = "manifest.json"
DATA_PACKAGE = "datapackage.json"


def read_manifest(analytics: Path) -> list[LakeFile]:
    """The files of the published release; empty before the first publish.

    Raises:
        UnreadableStarError: the file exists and is another database.
    """
    if not analytics.exists():
        return []
    with open_published(analytics) as connection:
        rows = connection.execute(
            "SELECT table_name, part, snapshot_date, lake_path, rows, bytes FROM published.build.manifest"
        ).fetchall()
    return [LakeFile(*row) for row in rows]


@contextmanager
def open_published(analytics: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The published database, attached as `published`.

    `duckdb.connect(path)` would share the database with every connection that this process holds to that path, also
    if the file was replaced since. An attached database is read from the disk.

    Raises:
        UnreadableStarError: it is another database, or a damaged one.
    """
    try:
        with opened(analytics, _attached) as connection:
            yield connection
    except duckdb.Error as error:
        reason = str(error).splitlines()[0]
        raise UnreadableStarError(
            f"{analytics} cannot be read ({reason}): run `civitai-etl rebuild`, which makes it again from raw."
        ) from error


def _attached(path: Path) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config=duckdb_config(path.parent))
    try:
        return connection.execute(f"ATTACH {literal(path)} AS published (READ_ONLY)")
    except duckdb.Error:
        connection.close()
        raise


def is_outdated(analytics: Path) -> bool:
    """Whether the published star has other declarations than this program; False if there is none.

    Raises:
        NewerStarError: a later version made it.
    """
    if not analytics.exists():
        return False
    declared = _declared(analytics)
    if (version := declared.get("version", 1)) > DECLARATIONS_VERSION:
        raise NewerStarError(
            f"{analytics} was made by a later version of civitai-etl (tables of version {version}, this one has "
            f"{DECLARATIONS_VERSION}): upgrade it, or set CIVITAI_ETL_DATA_DIR to another directory."
        )
    return bool(declared.get("tables") != tables_fingerprint() or version < DECLARATIONS_VERSION)


def has_other_analyses(analytics: Path) -> bool:
    """Whether the published views and macros differ from those of this program."""
    return analytics.exists() and _declared(analytics).get("analyses") != analyses_fingerprint()


class _Declared(TypedDict, total=False):
    """What a star was declared as: the version, and the fingerprints of its tables and of its views and macros."""

    version: int
    tables: str
    analyses: str


def _declared(analytics: Path) -> _Declared:
    """What the published star was declared as; earlier versions stored less, or nothing."""
    with open_published(analytics) as connection:
        found = connection.execute(
            "SELECT 1 FROM duckdb_views() WHERE schema_name = 'build' AND view_name = 'declarations'"
        ).fetchall()
        if not found:
            return {}
        declared: list[_Declared] = connection.sql("FROM published.build.declarations").to_arrow_table().to_pylist()
    return declared[0]


class NewerStarError(CivitaiEtlError):
    """A later version of this program made the published star."""


def publish(lake: Lake, analytics: Path, files: list[LakeFile]) -> None:
    """Makes `files` the published release."""
    aside = aside_of(analytics)
    for left_behind in aside.parent.glob(f".{real(analytics).name}.*.tmp*"):  # by a publish that was killed
        left_behind.unlink()
    try:
        build_database(aside, lake, files, analytics)
        refuse_unreadable(aside)
        replace_database(analytics, aside)
    finally:
        aside.unlink(missing_ok=True)
    post_commit(lake, files)


def relocate(lake: Lake, analytics: Path) -> bool:
    """Publishes again with the paths of `lake` if the data directory or the lake was moved or copied; returns whether
    that was so.

    Raises:
        UnreadableStarError: a file does not exist, or is not the published one.
    """
    if not analytics.exists() or is_outdated(analytics):
        return False
    with open_published(analytics) as connection:
        connection.execute("USE published")
        moved = has_moved(connection, analytics)
        ((path, lake_path),) = connection.execute("SELECT path, lake_path FROM build.manifest LIMIT 1").fetchall()
    if not moved and path == str(lake.root / lake_path):
        return False
    files = read_manifest(analytics)
    lake.refuse_damaged(files)
    publish(lake, analytics, files)
    return True


def refuse_unreadable(path: Path) -> None:
    """Reads a row of every view over files of a database that is about to be published, and binds those over them.

    Raises:
        UnreadableStarError: a view cannot be read.
    """
    with duckdb.connect(config=duckdb_config(path.parent)) as connection:
        connection.execute("SET enable_progress_bar = false")
        connection.execute(f"ATTACH {literal(path)} AS built (READ_ONLY)")
        connection.execute("USE built")
        views = connection.execute("SELECT view_name FROM duckdb_views() WHERE schema_name = 'star'").fetchall()
        over_files = {table.table_name() for table in TABLES}
        for (view,) in views:
            with _reading(view):
                connection.execute(f"FROM star.{view} LIMIT {1 if view in over_files else 0}").fetchall()


@contextmanager
def _reading(view: str) -> Iterator[None]:
    try:
        yield
    except duckdb.Error as error:
        raise UnreadableStarError(
            f"star.{view} cannot be read ({str(error).splitlines()[0]}): the published tables stay as they were. Run "
            "`civitai-etl rebuild`, which makes them again from raw."
        ) from error


def post_commit(lake: Lake, files: list[LakeFile]) -> None:
    """The steps after the commit: manifests and cleaning up. The next publish repeats them if they were cut off."""
    write_manifests(lake, files)
    record_generation(lake, files)
    delete_superseded(lake, files)


def build_database(path: Path, lake: Lake, files: list[LakeFile], analytics: Path) -> None:
    """Writes a DuckDB database of views and macros over `files`, which is to be moved to `analytics`.

    DuckDB 1.x and 2.x open it, with no extension.
    """
    with duckdb.connect(config=duckdb_config(path.parent)) as connection:
        connection.execute(f"ATTACH {literal(path)} AS target (STORAGE_VERSION '{STORAGE_VERSION}')")
        connection.execute("USE target")
        connection.execute("BEGIN")  # one write for all of them
        connection.execute("CREATE SCHEMA star")
        connection.execute("CREATE SCHEMA build")
        for table in TABLES:
            create_view(connection, table, lake, [file for file in files if file.table == table.table_name()])
        rows = ", ".join(
            f"({literal(file.table)}, {literal(file.role)}, {literal(file.snapshot_date)}::DATE, {literal(file.path)}, "
            f"{literal(lake.root / file.path)}, {file.rows}::BIGINT, {file.bytes}::BIGINT)"
            for file in files
        )
        connection.execute(
            f"CREATE VIEW build.manifest AS SELECT * FROM (VALUES {rows}) "
            "AS file(table_name, part, snapshot_date, lake_path, path, rows, bytes)"
        )
        connection.execute(
            f"CREATE VIEW build.declarations AS SELECT {DECLARATIONS_VERSION} AS version, "
            f"{literal(tables_fingerprint())} AS tables, {literal(analyses_fingerprint())} AS analyses"
        )
        create_place(connection, analytics)
        create_carried(connection, lake, files)
        create_analyses(connection)
        connection.execute("COMMIT")
        connection.execute("USE memory")
        connection.execute("DETACH target")


def create_view(connection: duckdb.DuckDBPyConnection, table: type[Table], lake: Lake, files: list[LakeFile]) -> None:
    """A view over a table's files, with the declared comments on it and on its columns."""
    name = table.table_name()
    rows = parquet_rows(lake.root / file.path for file in files)
    columns = ", ".join(f'"{column}"' for column in table.column_names())
    with _reading(name):  # DuckDB looks into the files for their columns
        connection.execute(f"CREATE VIEW star.{name} AS SELECT {columns} FROM {rows}")
    comment_on_view(connection, name, table.grain(), column_comments(table))


def create_carried(connection: duckdb.DuckDBPyConnection, lake: Lake, files: list[LakeFile]) -> None:
    """The views over what the build carries from date to date, and macros would look for in every row of the facts.

    `build.known_models`, `build.known_versions`: each that was ever seen, with the dates and numbers of `empty_state`
    (`transforms.star.facts`). `build.fading`, `build.watched`: the versions whose downloads are watched until they have
    fallen to half, and their numbers until then (`transforms.star.fading`). `build.milestones`: when versions came to
    round numbers of downloads. `build.longer_flows`: flows of more than a day, by base model.
    """
    for view, state, columns in (
        ("known_models", counters_state(FactModelDaily), ["model_id", "born_on"]),
        (
            "known_versions",
            counters_state(FactModelVersionDaily),
            ["version_id", "born_on", "entered_on", "entered_with", "downloads_on"],
        ),
        ("fading", STATE_FADING, ["version_id", "published_on", "fell_on"]),
        ("watched", STATE_WATCHED, [*STATE_WATCHED.schema]),
        ("milestones", STATE_MILESTONES, [*STATE_MILESTONES.schema]),
        ("longer_flows", STATE_LONGER_FLOWS, [*STATE_LONGER_FLOWS.schema]),
    ):
        paths = [lake.root / file.path for file in files if file.table == state.name]
        nothing = ", ".join(f"NULL::{sql_type(state.schema[name])} AS {name}" for name in columns)
        rows = parquet_rows(paths) if paths else f"(SELECT {nothing} WHERE false)"
        connection.execute(f"CREATE VIEW build.{view} AS SELECT {', '.join(columns)} FROM {rows}")


def create_analyses(connection: duckdb.DuckDBPyConnection) -> None:
    """The views and table macros over the tables' views, with their comments."""
    for view in VIEWS:
        connection.execute(f"CREATE VIEW star.{view.name} AS {view.sql}")
        columns = view.columns if view.table is None else column_comments(view.table)
        comment_on_view(connection, view.name, view.description, columns)
    for macro in MACROS:
        connection.execute(f"CREATE MACRO star.{macro.signature} AS TABLE {macro.sql}")
        connection.execute(f"COMMENT ON MACRO TABLE star.{macro.name} IS {literal(macro.description)}")


def comment_on_view(
    connection: duckdb.DuckDBPyConnection, view: str, description: str, columns: Mapping[str, str]
) -> None:
    """Comments on a view and on its columns."""
    comments = [f"COMMENT ON VIEW star.{view} IS {literal(description)}"]
    comments += [f'COMMENT ON COLUMN star.{view}."{column}" IS {literal(text)}' for column, text in columns.items()]
    connection.execute("; ".join(comments))


def write_manifests(lake: Lake, files: list[LakeFile]) -> None:
    """`star/manifest.json` and `star/datapackage.json` for engines other than DuckDB."""
    files_of = {
        table.table_name(): [
            file for file in files if file.path.startswith("star/") and file.table == table.table_name()
        ]
        for table in TABLES
    }
    tables = {
        table.table_name(): {
            "grain": table.grain(),
            "key": table.primary_key(),
            "is_history": issubclass(table, HistoryTable),
            "files": [
                {"path": file.path.removeprefix("star/"), "rows": file.rows, "bytes": file.bytes}
                for file in files_of[table.table_name()]
            ],
        }
        for table in TABLES
    }
    paths = {name: [file.path.removeprefix("star/") for file in its] for name, its in files_of.items()}
    _replace_other(lake.root / "star" / DATA_PACKAGE, data_package(paths))
    _replace_other(lake.root / "star" / MANIFEST, msgspec.json.format(json.dumps({"tables": tables}), indent=1))


def _replace_other(path: Path, text: str) -> None:
    """Replaces a file if its text differs."""
    if not path.exists() or path.read_bytes() != text.encode():
        replace_text(path, text)


def record_generation(lake: Lake, files: list[LakeFile]) -> None:
    """Adds the list of this publish's files, state included, unless the newest list is the same.

    The name is later than that of every other list, also when the clock was put back in between.
    """
    names = [file.path for file in files]
    recorded = generations(lake)
    now = datetime.now(UTC).replace(tzinfo=None)
    if recorded:
        if names_of(recorded[-1]) == names:
            return
        now = max(now, datetime.strptime(recorded[-1].stem, GENERATION_NAME) + timedelta(microseconds=1))  # noqa: DTZ007
    folder = lake.root / "state" / "generations"
    replace_text(folder / f"{now.strftime(GENERATION_NAME)}.json", json.dumps(names))


def generations(lake: Lake) -> list[Path]:
    """The lists of what the last publishes named, oldest first."""
    return sorted((lake.root / "state" / "generations").glob("????????T??????.??????.json"))


def names_of(generation: Path) -> list[str]:
    """The files that a publish named.

    Raises:
        UnreadableStarError: the list is damaged.
    """
    try:
        names: list[str] = json.loads(generation.read_bytes())
    except ValueError as error:
        raise UnreadableStarError(
            f"A file in {generation.parent} is no list of files ({error}): delete it and run again. "
            "The tables are published."
        ) from None
    return names


def delete_superseded(lake: Lake, published: list[LakeFile]) -> None:
    """Deletes files of ours that were superseded over a day ago and that none of the last publishes names, and what
    killed writers left half-written. Nothing else in the lake is touched, whoever put it there.

    The age of a file counts from the publish that no longer named it: a reader that opened just before needs it for
    hours, however long ago it was written. What is published stays, whatever the clock did to names and times.
    """
    now = datetime.now(UTC).timestamp()
    limit = now - FILES_KEPT_FOR.total_seconds()
    recorded = generations(lake)
    for generation in recorded:
        if generation.stat().st_mtime > now:  # written under a clock that was ahead: its age counts from now
            os.utime(generation, (now, now))
    # A publish is superseded when the next one is recorded.
    outdated = [
        generation
        for generation, later in pairwise(recorded)
        if generation not in recorded[-GENERATIONS_KEPT:] and later.stat().st_mtime < limit
    ]
    kept = {file.path for file in published}
    kept.update(*(names_of(generation) for generation in recorded if generation not in outdated))
    for generation in outdated:
        generation.unlink()
    for file in lake.own_files():
        if str(file.relative_to(lake.root)) not in kept and file.stat().st_mtime < limit:
            file.unlink()
            with suppress(OSError):  # the folder of a day that still has files
                file.parent.rmdir()
