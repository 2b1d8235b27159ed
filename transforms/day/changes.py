"""What a snapshot date changes in the tables, as a value: each step returns its changes, and `|` joins them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from transforms.day.inputs import DayInputs
from transforms.lake.state import APPENDED, keys_state
from transforms.staging.quarantine import check, first_of_each, refused
from transforms.star import scd2
from transforms.star.scd2 import natural_key, open_period
from transforms.tables import HistoryTable, Table


@dataclass(frozen=True)
class Changes:
    """The changes of a date in a range, by table.

    `replaced`: the rows that may still change, as they are after the date; a table that is not in it is as before.
    `closed`: rows of type 2 tables that ended on the date. `appended`: the date's rows of append-only tables.
    `quarantine`: rows of ops_quarantine.
    """

    replaced: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    closed: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    appended: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    quarantine: tuple[pl.DataFrame, ...] = ()

    def __or__(self, other: "Changes") -> "Changes":
        return Changes(
            {**self.replaced, **other.replaced},
            {**self.closed, **other.closed},
            {**self.appended, **other.appended},
            self.quarantine + other.quarantine,
        )

    def rows(self, table: type[Table], inputs: DayInputs) -> pl.DataFrame:
        """The rows of a table that may still change, after these changes."""
        replaced = self.replaced.get(table.table_name())
        return inputs.rows(table) if replaced is None else replaced

    def columns(self, table: type[Table], inputs: DayInputs, columns: Sequence[str]) -> pl.DataFrame:
        """Some columns of these rows."""
        replaced = self.replaced.get(table.table_name())
        return inputs.held.columns(table.table_name(), columns) if replaced is None else replaced.select(columns)


def merged(table: type[HistoryTable], inputs: DayInputs, incoming: pl.DataFrame, gone: pl.DataFrame) -> Changes:
    """The SCD type 2 merge of a table; arguments as in `scd2.merge`."""
    if incoming.is_empty() and gone.is_empty():
        return Changes()
    name = table.table_name()
    held, closed = scd2.merge(table, inputs.rows(table), incoming, gone, inputs.on)
    return Changes(replaced={name: held}, closed={name: closed})


def upserted(
    table: type[Table], inputs: DayInputs, incoming: pl.DataFrame, gone: pl.DataFrame | None = None
) -> Changes:
    """The SCD type 1 upsert of a table; arguments as in `scd2.upsert`."""
    if gone is None:
        gone = incoming.select(natural_key(table)).clear()
    if incoming.is_empty() and gone.is_empty():
        return Changes()
    return Changes(replaced={table.table_name(): scd2.upsert(table, inputs.rows(table), incoming, gone, inputs.on)})


def appended(table: type[Table], rows: pl.DataFrame) -> Changes:
    """Rows of the date in an append-only table."""
    return Changes(appended={table.table_name(): rows})


def newly_appended(table: type[Table], inputs: DayInputs, rows: pl.DataFrame) -> Changes:
    """Those rows of a table of APPENDED whose key it does not have yet."""
    if rows.is_empty():
        return Changes()
    key, known = APPENDED[table], inputs.known_keys(table)
    near = known.filter(scd2.is_of(known, key[0], rows))  # all that is known needs no index for a few rows
    new = rows.join(near, on=key, how="anti", maintain_order="left")
    if new.is_empty():
        return Changes()
    keys = {keys_state(table).name: pl.concat([known, new.select(key)])}
    return appended(table, new.with_columns(first_seen_on=pl.lit(inputs.on))) | Changes(replaced=keys)


def accepted(table: type[Table], inputs: DayInputs, rows: pl.DataFrame) -> tuple[pl.DataFrame, Changes]:
    """The candidate rows of a table that are accepted, one per natural key and none that breaks a rule, and the others
    in quarantine.

    Two equal rows are one row. A second row with the same key and other content is quarantined.
    """
    good, bad = check(table, _completed(table, inputs, rows))
    if bad.is_empty():
        return rows, Changes()
    key = natural_key(table)
    first, repeated = first_of_each(rows.unique(maintain_order=True).sort(key, maintain_order=True), key)
    good, bad = check(table, _completed(table, inputs, first))
    again = _completed(table, inputs, repeated).with_columns(
        reason=pl.lit("the key stands in another record of the day")
    )
    quarantine = tuple(refused(table, each, inputs.on, inputs.day.crawl_id) for each in (bad, again) if each.height)
    return first.join(good.select(key), on=key, how="semi", maintain_order="left"), Changes(quarantine=quarantine)


def _completed(table: type[Table], inputs: DayInputs, rows: pl.DataFrame) -> pl.DataFrame:
    """Candidate rows in the table's schema, as they would be if they were new."""
    if issubclass(table, HistoryTable):
        return open_period(table, rows, inputs.on)
    rows = rows.with_columns(first_seen_on=pl.lit(inputs.on))
    missing = [name for name in table.column_names() if name not in rows.columns]
    return rows.with_columns(pl.lit(None, dtype=table.columns()[name].dtype).alias(name) for name in missing).select(
        table.column_names()
    )
