"""Values and paths as DuckDB's SQL has them, whatever characters are in them."""

import re
from collections.abc import Iterable
from pathlib import Path


def literal(value: object) -> str:
    """An SQL literal."""
    return "NULL" if value is None else "'" + str(value).replace("'", "''") + "'"


def parquet_rows(paths: Iterable[Path]) -> str:
    """What to select from for the rows of exactly these Parquet files.

    DuckDB takes a path for a pattern and each `name=value` in it for a column: it is to do neither.
    """
    files = ", ".join(literal(re.sub(r"[*?\[]", r"[\g<0>]", str(path))) for path in paths)
    return f"read_parquet([{files}], hive_partitioning = false)"
