"""Values and paths as DuckDB's SQL writes them, with any characters."""

import re
from collections.abc import Iterable
from pathlib import Path


def literal(value: object) -> str:
    """An SQL literal."""
    return "NULL" if value is None else "'" + str(value).replace("'", "''") + "'"


def parquet_rows(paths: Iterable[Path]) -> str:
    """The SQL source with the rows of exactly these Parquet files.

    DuckDB reads a path as a pattern, and each `name=value` in it as a column. This prevents both.
    """
    files = ", ".join(literal(re.sub(r"[*?\[]", r"[\g<0>]", str(path))) for path in paths)
    return f"read_parquet([{files}], hive_partitioning = false)"
