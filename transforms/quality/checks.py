"""The data-quality checks: a date is published only if its tables pass them, and refused if too many rows vanished.

An error refuses the date: a row that points to nothing, or a complete crawl that has lost a large part of the
catalogue. Anything else that is unusual is a warning: the run reports it and keeps it in ops_warning. The limits are
settings (`pipelines.settings.Limits`).
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date

import polars as pl

from pipelines.errors import CivitaiEtlError
from pipelines.settings import Limits, variable
from transforms.tables import FactModelDaily, FactModelVersionDaily, Table

#: So few rows never exceed a limit, however small the catalogue is.
ROWS_TOLERATED = 10

#: One row per measured column: how many rows the table has, how many of them have no value and, of a counter with a
#: flow, for how many entities it moved when it last moved for any.
MEASURES: dict[str, pl.DataType] = {
    "table_name": pl.String(),
    "column_name": pl.String(),
    "rows": pl.Int64(),
    "nulls": pl.Int64(),
    "moved": pl.Int64(),
}

#: A counter that moved for fewer entities may stand still for a day.
MOVED_AT_LEAST = 50

#: The facts with a row for everything that the catalogue lists: fewer rows are a smaller catalogue.
CATALOGUE_FACTS = (FactModelDaily, FactModelVersionDaily)


class LostRowsError(CivitaiEtlError):
    """A complete crawl has far fewer models or versions than the one before."""


class BrokenReferenceError(CivitaiEtlError):
    """Rows point to rows that do not exist."""


@dataclass(frozen=True)
class Warned:
    """A warning: its rule, its subject (a column, a path, a payload kind), the value found, and the limit."""

    rule: str
    subject: str
    found: float | None
    limit: float | None
    message: str


def measure(tables: Mapping[type[Table], pl.DataFrame]) -> pl.DataFrame:
    """The MEASURES of tables, for the columns that are read from payloads (flows may be unknown)."""
    rows = [
        (table.table_name(), column, frame.height, frame[column].null_count(), None)
        for table, frame in tables.items()
        for column, declared in table.columns().items()
        if "source" in (declared.metadata or {})
    ]
    return pl.DataFrame(rows, schema=MEASURES, orient="row")


def carried(before: pl.DataFrame, today: pl.DataFrame, withheld: Collection[str]) -> pl.DataFrame:
    """The MEASURES that the next complete crawl is compared with: those of `today`, but those of
    `before` for a counter (table.column) that is withheld or stands still.
    """
    both = today.join(before, on=["table_name", "column_name"], how="left", suffix="_before", maintain_order="left")
    is_withheld = pl.concat_str("table_name", "column_name", separator=".").is_in(list(withheld))
    was_measured = pl.col("rows_before").is_not_null()
    return both.select(
        "table_name",
        "column_name",
        *(
            pl.when(is_withheld & was_measured).then(f"{name}_before").otherwise(name).alias(name)
            for name in ("rows", "nulls")
        ),
        moved=pl.when(pl.col("moved") > 0).then("moved").otherwise(pl.coalesce("moved_before", "moved")),
    )


def frozen_counters(before: pl.DataFrame, today: pl.DataFrame, withheld: Collection[str]) -> list[Warned]:
    """Counters that moved for many entities at the last complete crawls and for none today: the service may give old
    numbers. Nothing is withheld.
    """
    both = today.join(before, on=["table_name", "column_name"], suffix="_before").filter(
        (pl.col("moved") == 0) & (pl.col("moved_before") >= MOVED_AT_LEAST)
    )
    names = [f"{table}.{column}" for table, column in both.select("table_name", "column_name").sort(pl.all()).rows()]
    return [
        Warned(
            "frozen counter",
            name,
            None,
            None,
            f"{name} stands still for everything, and moved at the complete crawls before: the service may give old "
            "numbers. They are published as they are.",
        )
        for name in names
        if name not in withheld
    ]


def lost_rows(before: pl.DataFrame, today: pl.DataFrame, on: date, limits: Limits) -> list[LostRowsError]:
    """An error for each fact of the whole catalogue that has lost more rows from one complete crawl (MEASURES) to the
    next than the settings allow.
    """
    errors = []
    for fact in CATALOGUE_FACTS:
        name = fact.table_name()
        was, now = _rows(before, name), _rows(today, name)
        if was - now > max(ROWS_TOLERATED, limits.max_row_fall_share * was):
            message = (
                f"{name} has {now:,} rows on {on}, and had {was:,} at the complete crawl before: it lost more than the "
                f"share of {limits.max_row_fall_share:.0%} that {variable('max_row_fall_share')} allows. See whether "
                "the service lists less than it did."
            )
            errors.append(LostRowsError(message))
    return errors


def _rows(measures: pl.DataFrame, table: str) -> int:
    found = measures.filter(pl.col("table_name") == table)["rows"]
    return found[0] if found.len() else 0


@dataclass(frozen=True)
class Reference:
    """A declared foreign key: a column of a table, and the table and column that have its values."""

    table: str
    column: str
    target: str
    target_column: str

    def __str__(self) -> str:
        return f"{self.table}.{self.column} -> {self.target}.{self.target_column}"

    def orphans(self, rows: pl.DataFrame, targets: pl.DataFrame) -> pl.Series:
        """The values of `rows` that `targets` lacks; null is no orphan."""
        values, found = rows[self.column], targets[self.target_column]
        if values.len() < found.len():  # then all that few rows may point to needs no index
            found = found.filter(found.is_in(values.implode()))
        is_orphan = ~values.is_in(found.implode())
        return values.filter(is_orphan).unique().sort() if is_orphan.any() else values.clear()


def references(table: type[Table]) -> list[Reference]:
    """The foreign keys of a table."""
    return [
        Reference(table.table_name(), name, *metadata["references"].split("."))
        for name, column in table.columns().items()
        if "references" in (metadata := column.metadata or {})
    ]


def broken_reference(reference: Reference, on: date, missing: pl.Series) -> BrokenReferenceError:
    return BrokenReferenceError(
        f"{missing.len():,} values of {reference} of {on} point to no row, the first is {missing[0]!r}. Please report "
        "this with these values."
    )


def risen_nulls(before: pl.DataFrame, today: pl.DataFrame, limits: Limits) -> list[Warned]:
    """Columns that have no value in a larger share of rows than at the complete crawl before."""
    both = before.join(today, on=["table_name", "column_name"], suffix="_now")
    both = both.filter((pl.col("rows") > 0) & (pl.col("rows_now") > 0)).with_columns(
        was=pl.col("nulls") / pl.col("rows"), now=pl.col("nulls_now") / pl.col("rows_now")
    )
    expected = pl.col("was") * pl.col("rows_now")
    risen = both.filter(
        (pl.col("now") - pl.col("was") > limits.max_null_rise) & (pl.col("nulls_now") - expected > ROWS_TOLERATED)
    )
    return [
        Warned(
            "share of nulls",
            f"{row['table_name']}.{row['column_name']}",
            row["now"] - row["was"],
            limits.max_null_rise,
            f"{row['table_name']}.{row['column_name']} has no value in {row['now']:.1%} of its rows, and had none in "
            f"{row['was']:.1%} at the complete crawl before, a rise by more than the {limits.max_null_rise:.0%} of "
            f"{variable('max_null_rise')}.",
        )
        for row in risen.sort("table_name", "column_name").iter_rows(named=True)
    ]


def fallen_counters(flows: Mapping[tuple[type[Table], str], tuple[int, int]], limits: Limits) -> list[Warned]:
    """Counters that fell for unusually many entities; the values stay as they are. `flows` has, of each counter of a
    day's fact, how many flows are known, and how many are negative.
    """
    warned = []
    for (fact, name), (known, fell) in flows.items():
        if fell > max(ROWS_TOLERATED, limits.max_counter_fall_share * known):
            warned.append(
                Warned(
                    "fallen counter",
                    f"{fact.table_name()}.{name}",
                    fell / known,
                    limits.max_counter_fall_share,
                    f"{fact.table_name()}.{name} fell for {fell:,} of the {known:,} whose flow is known, more than the "
                    f"share of {limits.max_counter_fall_share:.0%} of {variable('max_counter_fall_share')}.",
                )
            )
    return warned


def new_values(column: str, values: Iterable[str], remark: str) -> list[Warned]:
    """Values of a column that no earlier snapshot had."""
    return [
        Warned("new value", column, None, None, f"{column} has a value that is new: {value}. {remark}")
        for value in sorted(values)
    ]


def new_paths(rows: pl.DataFrame) -> list[Warned]:
    """New rows of ops_drift: the service sends paths that no declaration knows."""
    return [
        Warned(
            "unknown path",
            f"{kind} {path}",
            None,
            None,
            f"{kind} documents have a path that no declaration knows: {path}, for example {example}. It stays in raw; "
            "declare it to have it in a table.",
        )
        for kind, path, example in rows.select("kind", "path", "example").sort("kind", "path").iter_rows()
    ]
