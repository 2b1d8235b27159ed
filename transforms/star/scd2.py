"""Type 2 history: decides which rows open and close on a snapshot date, by pure functions from frame to frame.

A row holds on day d when `valid_from <= d` and (`valid_to` is null or `d < valid_to`). It closes when a *tracked*
column changes, or when its key is gone, which `transforms.day` decides. A *latest* column is corrected in place. A day
without changes changes nothing.
"""

from datetime import date

import polars as pl

from transforms.tables import HistoryTable, Table
from transforms.tables.declaration import surrogate_key

INCOMING = "_incoming"


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
    key = natural_key(table)
    # Few rows change on a day: what follows looks at these alone.
    near, far = apart(open_rows, key, incoming, gone)
    met, rest = parted(near, incoming, key)
    ended, rest = parted(rest, gone, key)
    seen = met.join(incoming, on=key, how="inner", suffix=INCOMING, maintain_order="left")
    tracked = table.with_metadata(history="tracked")
    is_changed = pl.any_horizontal(
        pl.lit(False),  # noqa: FBT003 (a table may have no tracked columns)
        *(pl.col(name).ne_missing(pl.col(name + INCOMING)) for name in tracked),
    )
    changed = seen.filter(is_changed).select(key)
    corrected = seen.filter(~is_changed).with_columns(
        pl.col(name + INCOMING).alias(name) for name in table.with_metadata(history="latest")
    )
    opened = pl.concat(
        [
            incoming.join(met, on=key, how="anti", maintain_order="left"),
            incoming.join(changed, on=key, how="semi", maintain_order="left"),
        ]
    )
    removed_on = pl.lit(on if "removed_on" in table.columns() else None, dtype=pl.Date)
    closed = pl.concat(
        [
            met.join(changed, on=key, how="semi", maintain_order="left"),
            ended.with_columns(removed_on.alias("removed_on")),
        ],
        how="diagonal",
    ).with_columns(valid_to=pl.lit(on), is_current=pl.lit(False))  # noqa: FBT003
    columns = table.column_names()
    held = pl.concat(
        [
            far.select(columns),
            rest.select(columns),
            corrected.select(columns),
            open_period(table, opened, on),
        ]
    )
    return held, closed.select(columns)


def parted(rows: pl.DataFrame, keys: pl.DataFrame, key: list[str]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows that have one of the keys, and the others."""
    return (
        rows.join(keys, on=key, how="semi", maintain_order="left"),
        rows.join(keys, on=key, how="anti", maintain_order="left"),
    )


def apart(rows: pl.DataFrame, key: list[str], *keys: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The few rows that share the first column of their key with some keys, and all others, which are not looked at
    again.
    """
    owners = pl.concat([each.select(key[0]) for each in keys])[key[0]]
    is_near = rows[key[0]].is_in(owners.implode())
    return rows.filter(is_near), rows.filter(~is_near)


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
    key = natural_key(table)
    columns = table.column_names()
    has_removal = "removed_on" in columns
    near, far = apart(rows, key, incoming, gone)
    met, kept = parted(near, incoming, key)
    if has_removal and gone.height:
        kept = kept.join(gone.select(*key, is_gone=True), on=key, how="left", maintain_order="left").with_columns(
            pl.when(pl.col("is_gone"))
            .then(pl.coalesce("removed_on", pl.lit(on)))
            .otherwise("removed_on")
            .alias("removed_on")
        )
    latest = [name for name in table.with_metadata(history="latest") if name in incoming.columns]
    seen = met.join(incoming, on=key, how="inner", suffix=INCOMING, maintain_order="left").with_columns(
        pl.col(name + INCOMING).alias(name) for name in latest
    )
    entered = incoming.join(met, on=key, how="anti", maintain_order="left").with_columns(first_seen_on=pl.lit(on))
    missing = [name for name in columns if name not in entered.columns]
    entered = entered.with_columns(pl.lit(None, dtype=table.columns()[name].dtype).alias(name) for name in missing)
    if has_removal:
        seen = seen.with_columns(removed_on=pl.lit(None, dtype=pl.Date))
    return pl.concat([far.select(columns), kept.select(columns), seen.select(columns), entered.select(columns)])
