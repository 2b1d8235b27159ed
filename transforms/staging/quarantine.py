"""Rejected rows of tables: those that break a declared rule, and second rows of one key, go to ops_quarantine as JSON.

Records that cannot be decoded at all are quarantined in `transforms.staging.stage`.
"""

from contextlib import suppress
from datetime import date

import polars as pl

from pipelines.raw.documents import UnreadableItemError, split
from transforms.staging import payloads
from transforms.staging.payloads import STAGED_KINDS
from transforms.staging.stage import declared_at
from transforms.staging.validation import path_in, validate
from transforms.tables import OpsQuarantine, Table

#: As polars runs the methods of a frame. To optimize the rules of a table takes longer than they do with few rows.
_AS_IT_STANDS = pl.QueryOptFlags._eager()  # noqa: SLF001 (there is no public name)


def first_of_each(rows: pl.DataFrame, key: list[str]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The first row of each key, and the rest."""
    numbered = rows.with_columns(_place=pl.int_range(pl.len()).over(key))
    first = pl.col("_place") == 0
    return numbered.filter(first).drop("_place"), numbered.filter(~first).drop("_place")


def check(table: type[Table], rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows that meet the declaration, and the others with the rules that they break in `reason`."""
    nothing = table.empty()
    none_broken = nothing.with_columns(reason=pl.lit(None, pl.String))
    if rows.is_empty():
        return nothing, none_broken
    rows = rows.select(table.column_names())
    with suppress(pl.exceptions.InvalidOperationError):  # a value is of another type
        typed = rows.cast(table.polars_schema())  # type: ignore[arg-type]
        if table.is_valid(typed, optimizations=_AS_IT_STANDS):  # as almost always, and told in half the time
            return typed, none_broken
    good, failure = table.filter(rows, cast=True)
    details = failure.details()
    rules = [name for name in details.columns if name not in table.columns()]
    reason = pl.concat_str(
        [pl.when(pl.col(rule).cast(pl.String) == "invalid").then(pl.lit(rule)) for rule in rules],
        separator=", ",
        ignore_nulls=True,
    )
    return good, details.select(*table.column_names(), reason=pl.format("breaks {}", reason))


def reason_now(kind: str, level: str, entity_id: str, reason: str, received: bytes) -> str | None:
    """Why today's declarations reject a quarantined record or value; None if they accept it."""
    if level == "value":
        return value_now(kind, path_in(reason), received)
    try:
        document = split(kind, received, entity_id)
    except UnreadableItemError as error:
        return str(error)
    for declared, text in ((STAGED_KINDS[kind].payload, document.payload), (list[payloads.Metric], document.metrics)):
        errors = validate(declared, [text]).errors
        if errors:
            return errors[0]
    return None


def value_now(kind: str, path: str, received: bytes) -> str | None:
    """Why today's declarations reject the value at a path of a document; None if they accept it."""
    declared = declared_at(kind, path)
    if declared is None:
        return f"no declaration has `{path}`"
    found = validate(declared.kind, [received])
    for message in [*found.errors.values(), *(odd.reason for odd in found.odd.get(0, []))]:
        return message
    # A declaration that also reads other types may convert them.
    if declared.bounds and not found.canonical[0].startswith((b'"', b"null")):
        least, most = declared.bounds
        if not least <= float(found.canonical[0]) <= most:
            return f"Expected {least} to {most}"
    return None


def rejected(rejects: pl.DataFrame) -> pl.DataFrame:
    """Rows of ops_quarantine for rows of raw.rejects."""
    payloads = [payload.decode(errors="backslashreplace") for payload in rejects["payload"]]
    return rejects.select(
        "snapshot_date",
        "crawl_id",
        "kind",
        entity_id=pl.lit(None, pl.String),
        level=pl.lit("item"),
        reason=pl.format("{} - item {} of {}", "reason", "position", "request"),
        payload=pl.Series(payloads, dtype=pl.String),
    )


def refused(table: type[Table], rows: pl.DataFrame, on: date | pl.Expr, crawl_id: str | pl.Expr) -> pl.DataFrame:
    """Rows of ops_quarantine for rows of `table` with a `reason`."""
    entity_id = pl.concat_str(pl.col(table.primary_key()).cast(pl.String).fill_null("null"), separator="/")
    return rows.select(
        snapshot_date=on if isinstance(on, pl.Expr) else pl.lit(on),
        crawl_id=crawl_id if isinstance(crawl_id, pl.Expr) else pl.lit(crawl_id),
        kind=pl.lit(table.table_name()),
        entity_id=entity_id,
        level=pl.lit("row"),
        reason="reason",
        payload=pl.struct(table.column_names()).struct.json_encode(),
    ).cast(OpsQuarantine.polars_schema())  # type: ignore[arg-type]
