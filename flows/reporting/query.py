"""Answers to SQL queries over the published tables: for reading, or complete as CSV, JSON or Parquet.

A query only reads. A statement that writes anything is refused before it runs.
"""

import io
import re
import shutil
import sys
import tempfile
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from flows.reporting.console import say
from flows.reporting.report import open_analytics
from pipelines.errors import CivitaiEtlError
from pipelines.storage.replacement import replacing
from pipelines.storage.sql import literal

if TYPE_CHECKING:
    import duckdb

Format = Literal["table", "csv", "json", "parquet"]

#: The most rows that the table format shows.
SHOWN_ROWS = 500
#: Without a terminal that sets a width, every column is shown.
UNLIMITED_WIDTH = 100_000
_COPY_OPTIONS = {
    "csv": "format csv, header",
    "json": "format json, array",
    "parquet": "format parquet, compression zstd",
}
_STRING_OR_NO_NUMBER = re.compile(rb'"(?:[^"\\]|\\.)*"|(NaN|-?Infinity)')
#: With or without `explain` before it.
_EXPLAINED = re.compile(r"\s*explain\s+(analyze\s+)?(\([^)]*\)\s*)?", re.IGNORECASE)
#: A part of DuckDB's message about a full disk, which contains JSON.
_CANNOT_WRITE = re.compile(r'Could not write file .*": (?P<why>[^"]+)')
#: For DuckDB a pivot, or a copy of its rows, is several statements.
_BEGINS_A_QUERY = re.compile(r"\s*\(*\s*(pivot|from|select|with)\b", re.IGNORECASE)


class QueryError(CivitaiEtlError):
    """DuckDB does not accept the query, or it failed."""


def answer(analytics: Path, query: str, form: Format, output: Path | None) -> None:
    """Run a query, read-only, and write its answer to a file (replaced as a whole) or to standard output.

    Raises:
        QueryError: with DuckDB's message.
        NothingPublishedError: there are no tables yet.
    """
    import duckdb

    where = output or "standard output"
    with open_analytics(analytics) as connection:
        try:
            relation = ask(connection, query)
            if form == "table" and output is None:
                say(*_shown(relation).splitlines())
            elif output is None:
                with tempfile.TemporaryDirectory() as folder:
                    whole = Path(folder, "answer")
                    _write(connection, relation, form, whole)
                    _print_file(whole, form)
            else:
                with replacing(output) as aside:
                    _write(connection, relation, form, aside)
        except duckdb.Error as error:
            if failed := _CANNOT_WRITE.search(str(error)):
                raise QueryError(f"The answer cannot be written to {where}: {failed['why']}.") from None
            raise QueryError(_in_one_line(str(error))) from None
        except OSError as error:
            if isinstance(error, BrokenPipeError):
                raise
            raise QueryError(f"The answer cannot be written to {where}: {error.strerror}.") from None


def ask(connection: "duckdb.DuckDBPyConnection", query: str) -> "duckdb.DuckDBPyRelation":
    """The rows of one query that only reads.

    Raises:
        QueryError: it is another kind of statement, or several.
        duckdb.Error: DuckDB does not accept it.
    """
    query.encode()  # DuckDB would report text that is not UTF-8 in thirty lines
    statements = connection.extract_statements(query)
    if len(statements) != 1 or not _only_reads(connection, statements[0]):
        raise QueryError(
            "The tables are read-only: give one query that only reads, with select, from, show, describe or explain."
        )
    relation = connection.sql(query)
    assert relation is not None
    return relation


def _only_reads(connection: "duckdb.DuckDBPyConnection", statement: "duckdb.Statement") -> bool:
    import duckdb

    if statement.type == duckdb.StatementType.EXPLAIN:
        # `explain analyze` runs what it explains.
        prefix = _EXPLAINED.match(statement.query)
        inner = connection.extract_statements(statement.query[prefix.end() :]) if prefix else []
        return len(inner) == 1 and inner[0].type != statement.type and _only_reads(connection, inner[0])
    if statement.type == duckdb.StatementType.MULTI:
        return bool(_BEGINS_A_QUERY.match(statement.query))
    return statement.type == duckdb.StatementType.SELECT


def _shown(relation: "duckdb.DuckDBPyRelation") -> str:
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else UNLIMITED_WIDTH
    with redirect_stdout(io.StringIO()) as shown:
        relation.show(max_width=width, max_rows=SHOWN_ROWS, null_value="null")
    return shown.getvalue()


def _write(
    connection: "duckdb.DuckDBPyConnection", relation: "duckdb.DuckDBPyRelation", form: Format, path: Path
) -> None:
    if form == "table":
        path.write_text(_shown(relation), encoding="utf-8")
        return
    connection.sql(f"copy (from relation) to {literal(path)} ({_COPY_OPTIONS[form]})")
    if form == "json" and re.search("FLOAT|DOUBLE|VARIANT", str(relation.types)):
        _make_valid(path)


def _make_valid(path: Path) -> None:
    """Replaces DuckDB's output for numbers that JSON does not have, in a file with one row per line."""
    with replacing(path) as aside, path.open("rb") as rows, aside.open("wb") as valid:
        for row in rows:
            valid.write(_STRING_OR_NO_NUMBER.sub(lambda found: b"null" if found[1] else found[0], row))


def _print_file(path: Path, form: Format) -> None:
    if sys.stdout.isatty():
        if form == "parquet":
            raise QueryError("Parquet is nothing to read on a terminal: give --output, or pipe it on.")
        with path.open(encoding="utf-8", newline="") as text:
            for line in text:
                say(line.removesuffix("\n"))
        return
    sys.stdout.flush()
    with path.open("rb") as file:
        shutil.copyfileobj(file, sys.stdout.buffer)
    sys.stdout.buffer.flush()


def _in_one_line(message: str) -> str:
    """DuckDB's message without the drawing of the position. The hint about candidates stays."""
    lines = [line.strip() for line in message.splitlines() if not line.startswith("LINE ")]
    return " ".join(line for line in lines if set(line) - set("^~ "))
