"""The published `analytics.duckdb`, opened beside other programs.

A program may have it open for writing, or may have left a write-ahead log beside it that does not belong to it. Readers
must not fail for that. The file has no rows, so a copy is quick.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import duckdb

from pipelines.errors import CivitaiEtlError
from pipelines.raw.warehouse import is_duckdb
from pipelines.storage.replacement import real
from pipelines.storage.sql import literal

#: Opens the database at a path, or raises duckdb.Error.
Connect = Callable[[Path], duckdb.DuckDBPyConnection]


class MovedError(CivitaiEtlError):
    """The data directory is not where it was when its tables were published."""


def is_there(analytics: Path) -> bool:
    """Whether anything is published.

    Raises:
        CivitaiEtlError: unknown, because the directory is closed to this user.
    """
    with _readers_errors(analytics):
        return analytics.exists()


@contextmanager
def _readers_errors(analytics: Path) -> Iterator[None]:
    """Turns a missing permission into one line."""
    try:
        yield
    except OSError as error:
        raise CivitaiEtlError(
            f"{analytics} cannot be read ({error.strerror}): give this user read permission there, or set "
            "CIVITAI_ETL_DATA_DIR to another directory."
        ) from error


@contextmanager
def opened(analytics: Path, connect: Connect) -> Iterator[duckdb.DuckDBPyConnection]:
    """The published database as `connect` opens it at its path or, if need be, at that of a copy without its log.

    Raises:
        duckdb.Error: it is no DuckDB database, or a damaged one.
        CivitaiEtlError: it is closed to this user.
    """
    with _readers_errors(analytics):
        is_ours = is_duckdb(analytics)
    if not is_ours:
        raise duckdb.IOException("it is no DuckDB database")
    with ExitStack() as stack:
        yield stack.enter_context(_connected(analytics, connect, stack))


def _connected(analytics: Path, connect: Connect, stack: ExitStack) -> duckdb.DuckDBPyConnection:
    try:
        return connect(analytics)
    except duckdb.Error:
        copy = shutil.copy(analytics, stack.enter_context(tempfile.TemporaryDirectory()))
        with suppress(duckdb.Error):
            return connect(Path(copy))
        # What cannot be opened either way reports itself under its own name.
        raise


def create_place(connection: duckdb.DuckDBPyConnection, analytics: Path) -> None:
    """Notes in the database that is being built where it is going to be."""
    connection.execute(f"CREATE VIEW build.place AS SELECT {literal(real(analytics))} AS path")


def has_moved(connection: duckdb.DuckDBPyConnection, analytics: Path) -> bool:
    """Whether the database in use was published at another path than it is at. Earlier versions noted none."""
    noted = connection.execute(
        "SELECT 1 FROM duckdb_views() WHERE database_name = current_database() AND schema_name = 'build' "
        "AND view_name = 'place'"
    ).fetchall()
    if not noted:
        return False
    ((path,),) = connection.execute("FROM build.place").fetchall()
    return bool(path != str(real(analytics)))


def refuse_moved(connection: duckdb.DuckDBPyConnection, analytics: Path) -> None:
    """Keeps a reader from what lies where the data directory was before: nothing, or the files of the original.

    Raises:
        MovedError: it was moved or copied since its tables were published.
    """
    if has_moved(connection, analytics):
        raise MovedError(
            f"{analytics.parent} was moved or copied since its tables were published, and they still name the files "
            "at the old place: run `civitai-etl relocate` once, which takes seconds."
        )
