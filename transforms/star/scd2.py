"""Type 2 history: decides which rows open and close on a snapshot date, by pure functions from frame to frame.

A row holds on day d when `valid_from <= d` and (`valid_to` is null or `d < valid_to`). It closes when a *tracked*
column changes, or when its key is gone, which `transforms.day` decides. A *latest* column is corrected in place. A day
without changes changes nothing.
"""

from collections.abc import Collection
from datetime import date

import polars as pl

from transforms.tables import HistoryTable, Table
from transforms.tables.declaration import surrogate_key

INCOMING = "_incoming"
IS_SEEN = pl.col("_is_seen").fill_null(False)  # noqa: FBT003
IS_GONE = pl.col("_is_gone").fill_null(False) & ~IS_SEEN  # noqa: FBT003


def natural_key(table: type[Table]) -> list[str]:
    """The primary key of a table without the start of the period."""
    return [name for name in table.primary_key() if name != "valid_from"]


def merge(
    table: type[HistoryTable], open_rows: pl.DataFrame, incoming: pl.DataFrame, gone: pl.DataFrame, on: date
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """SCD type 2 merge: takes a type 2 table from one snapshot date to the next.

    Args:
        table: the declaration.
        open_rows: rows that held until `on`, in the table's schema.
        incoming: what the day shows, one row per natural key: key and attributes without the period.
        gone: natural keys (columns of `natural_key`) that the service no longer has on `on`; never keys of `incoming`.
        on: the snapshot date.

    Returns:
        The rows that hold on `on`, and the rows that ended on `on`.
    """
    key, columns = natural_key(table), table.column_names()
    # Few rows change on a day: what follows looks at these alone.
    near, far = apart(open_rows, key, incoming, gone)
    met = beside(near, key, incoming, gone)
    is_changed = IS_SEEN & pl.any_horizontal(
        pl.lit(False),  # noqa: FBT003 (a table may have no tracked columns)
        *(pl.col(name).ne_missing(pl.col(name + INCOMING)) for name in table.with_metadata(history="tracked")),
    )
    met = met.with_columns((is_changed | IS_GONE).alias("_ends"))
    staying = met.filter(~pl.col("_ends")).with_columns(corrections(table.with_metadata(history="latest")))
    closed = met.filter("_ends").with_columns(valid_to=pl.lit(on), is_current=pl.lit(False))  # noqa: FBT003
    if "removed_on" in columns:
        closed = closed.with_columns(removed_on=pl.when(IS_GONE).then(pl.lit(on)).otherwise("removed_on"))
    opened = incoming.join(staying, on=key, how="anti", maintain_order="left")
    held = pl.concat([far.select(columns), staying.select(columns), open_period(table, opened, on)])
    return held, closed.select(columns)


def beside(rows: pl.DataFrame, key: list[str], incoming: pl.DataFrame, gone: pl.DataFrame) -> pl.DataFrame:
    """Rows beside what the day shows of their key: `IS_SEEN`, the other columns of `incoming` with a suffix, and
    `IS_GONE`.
    """
    shown = incoming.rename({name: name + INCOMING for name in incoming.columns if name not in key})
    met = rows.join(shown.with_columns(_is_seen=True), on=key, how="left", maintain_order="left")
    if gone.is_empty():
        return met.with_columns(_is_gone=False)
    return met.join(gone.select(*key, _is_gone=True), on=key, how="left", maintain_order="left")


def corrections(names: Collection[str]) -> list[pl.Expr]:
    """The columns that are corrected in place, of rows `beside` what the day shows."""
    return [pl.when(IS_SEEN).then(name + INCOMING).otherwise(name).alias(name) for name in names]


def apart(rows: pl.DataFrame, key: list[str], *keys: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The few rows that share the first column of their key with some keys, and all others, which are not looked at
    again.
    """
    is_near = is_of(rows, key[0], *keys)
    return rows.filter(is_near), rows.filter(~is_near)


def is_of(rows: pl.DataFrame, owner: str, *owners: pl.DataFrame) -> pl.Series:
    """Which rows are of any of the owners, by the column that all of them have."""
    return rows[owner].is_in(pl.concat([each.select(owner) for each in owners])[owner].implode())


def open_period(table: type[HistoryTable], rows: pl.DataFrame, on: date) -> pl.DataFrame:
    """Candidate rows as rows that hold from `on`, in the table's schema."""
    period = {
        "valid_from": pl.lit(on),
        "valid_to": pl.lit(None, dtype=pl.Date),
        "is_current": pl.lit(True),  # noqa: FBT003
        "removed_on": pl.lit(None, dtype=pl.Date),
    }
    if table.surrogate_key is not None:
        name, entity_id = table.surrogate_key
        period[name] = surrogate_key(pl.col(entity_id), on)
    return rows.with_columns(**{name: value for name, value in period.items() if name in table.columns()}).select(
        table.column_names()
    )


def upsert(
    table: type[Table], rows: pl.DataFrame, incoming: pl.DataFrame, gone: pl.DataFrame, on: date
) -> pl.DataFrame:
    """SCD type 1 upsert of a table without periods: new keys get `first_seen_on`, *latest* columns are corrected, keys
    that are gone get `removed_on` if the table has it, and keys that came back lose it.

    Shapes as in `merge`; `gone` may be empty.
    """
    key, columns = natural_key(table), table.column_names()
    near, far = apart(rows, key, incoming, gone)
    met = beside(near, key, incoming, gone)
    latest = [name for name in table.with_metadata(history="latest") if name in incoming.columns]
    removal = pl.when(IS_GONE).then(pl.coalesce("removed_on", pl.lit(on))).otherwise("removed_on")
    known = met.with_columns(
        *corrections(latest),
        *([pl.when(~IS_SEEN).then(removal).alias("removed_on")] if "removed_on" in columns else ()),
    )
    entered = incoming.join(near, on=key, how="anti", maintain_order="left").with_columns(first_seen_on=pl.lit(on))
    missing = [name for name in columns if name not in entered.columns]
    entered = entered.with_columns(pl.lit(None, dtype=table.columns()[name].dtype).alias(name) for name in missing)
    return pl.concat([far.select(columns), known.select(columns), entered.select(columns)])
