"""Answers to SQL queries over the published tables: for reading, or complete as CSV, JSON or Parquet."""

import shutil
import sys
import tempfile
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from flows.report import open_analytics
from pipelines.errors import CivitaiEtlError

if TYPE_CHECKING:
    import duckdb

Format = Literal["table", "csv", "json", "parquet"]

#: Rows that the format for reading shows.
SHOWN_ROWS = 500
#: Where no terminal sets a width, every column is shown.
UNLIMITED_WIDTH = 100_000
_COPY_OPTIONS = {
    "csv": "format csv, header",
    "json": "format json, array",
    "parquet": "format parquet, compression zstd",
}


class QueryError(CivitaiEtlError):
    """DuckDB does not accept the query, or it failed."""


def answer(analytics: Path, query: str, form: Format, output: Path | None) -> None:
    """Run a query, read-only, and write its answer to a file (replaced as a whole) or to standard output.

    Raises:
        QueryError: with DuckDB's own words.
        NothingPublishedError: there are no tables yet.
    """
    import duckdb

    with open_analytics(analytics) as connection:
        try:
            relation = connection.sql(query)
            if relation is None:
                raise QueryError("The query gives no rows: ask with select, from, show or describe.")
            if form == "table" and output is None:
                _show(relation)
            else:
                _write(connection, relation, form, output)
        except duckdb.Error as error:
            raise QueryError(_in_one_line(str(error))) from None
        except OSError as error:
            if isinstance(error, BrokenPipeError):
                raise
            where = output or "standard output"
            raise QueryError(f"The answer cannot be written to {where}: {error.strerror}.") from None


def _show(relation: "duckdb.DuckDBPyRelation") -> None:
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else UNLIMITED_WIDTH
    relation.show(max_width=width, max_rows=SHOWN_ROWS, null_value="null")


def _write(
    connection: "duckdb.DuckDBPyConnection", relation: "duckdb.DuckDBPyRelation", form: Format, output: Path | None
) -> None:
    # DuckDB writes to a file of its own, which is then moved or copied: a failed query leaves no half answer.
    directory = output.absolute().parent if output else None
    with tempfile.TemporaryDirectory(dir=directory, prefix=".civitai-etl-") as aside:
        path = Path(aside) / f"answer.{form}"
        if form == "table":
            with path.open("w", encoding="utf-8") as text, redirect_stdout(text):
                _show(relation)
        else:
            target = str(path).replace("'", "''")
            connection.sql(f"copy (from relation) to '{target}' ({_COPY_OPTIONS[form]})")
        if output is not None:
            path.replace(output)
        else:
            sys.stdout.flush()
            with path.open("rb") as file:
                shutil.copyfileobj(file, sys.stdout.buffer)
            sys.stdout.buffer.flush()


def _in_one_line(message: str) -> str:
    """DuckDB's message without the drawing of the place; its hint about candidates stays."""
    lines = [line.strip() for line in message.splitlines() if not line.startswith("LINE ")]
    return " ".join(line for line in lines if set(line) - set("^~ "))
