"""Reads the counters of almost every record in one go: those that mean the same to every reader of JSON.

`validation` reads all JSON, but a record at a time and under Python's lock. Counters change every day, so they are most
of what a later day reads. Nearly all are objects of whole numbers and nulls, with no name twice. Those are decoded by
DuckDB, and all others are left to `validation`.
"""

from functools import cache

import duckdb
import polars as pl
from msgspec.structs import fields

from pipelines.memory import duckdb_config
from transforms.staging.payloads import Stats
from transforms.staging.validation import dtype_of

_COUNTERS = {each.name: dtype_of(each.type) for each in fields(Stats)}
_FRACTIONS = "|".join(name for name, dtype in _COUNTERS.items() if dtype.is_float())

# Few enough digits for 64 bits, and for every decimal to be read as the same floating-point number.
_NUMBER = r"(?:0|[1-9]\d{0,17})"
_VALUE = rf'(?:"[A-Za-z]+":(?:{_NUMBER}|null)|"(?:{_FRACTIONS})":\d{{1,6}}\.\d{{1,9}})'
_ELEMENT = rf'\{{"owner":"[a-z]+","id":{_NUMBER},"stats":\{{(?:{_VALUE}(?:,{_VALUE})*)?\}}\}}'
_PLAIN = rf"^\[(?:{_ELEMENT}(?:,{_ELEMENT})*)?\]$"
#: Readers differ in which value of a repeated name they take.
_REPEATED = '"(?:' + "|".join(f'{name}":[^}}]*"{name}' for name in _COUNTERS) + ')":'

_STATS = ",".join(f'"{name}":"{"DOUBLE" if dtype.is_float() else "BIGINT"}"' for name, dtype in _COUNTERS.items())
_OWNERS = f'[{{"owner":"VARCHAR","id":"VARCHAR","stats":{{{_STATS}}}}}]'
_DECODE = f"""
    SELECT entity_id, owners.owner, owners.id, unnest(owners.stats), NULL::BIGINT AS "modelCount"
    FROM (SELECT entity_id, unnest(from_json(metrics, '{_OWNERS}')) AS owners FROM plain)
"""


def is_plain(metrics: pl.Series) -> pl.Series:
    """Whether counters, as raw has them, can be read by `read_plain`."""
    return metrics.str.contains(_PLAIN) & ~metrics.str.contains(_REPEATED)


def read_plain(observations: pl.DataFrame) -> pl.DataFrame:
    """One row per counter owner of plain counters: entity_id, owner, id, the fields of `payloads.Stats`, modelCount.

    Args:
        observations: entity_id and metrics.
    """
    with _database().cursor() as cursor:
        cursor.register("plain", observations.select("entity_id", "metrics").to_arrow())
        rows: pl.DataFrame = cursor.sql(_DECODE).pl()
        return rows


@cache
def _database() -> duckdb.DuckDBPyConnection:
    """Batches come from several threads, so one thread of its own is enough for each."""
    return duckdb.connect(config=duckdb_config() | {"threads": 1})
