"""What the ranges of a snapshot date add up to: sums, distinct names and small rows, from which the date is judged."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, field

import polars as pl

from transforms.day.changes import Changes
from transforms.day.facts import FactDay
from transforms.day.inputs import DayInputs
from transforms.lake.shelf import compacted
from transforms.lake.state import APPENDED, keys_state
from transforms.quality.checks import MEASURES, Reference, measure, references
from transforms.staging.change_rate import ChangeRate, change_rate
from transforms.star.facts import counters_of
from transforms.tables import (
    TABLES,
    DimDate,
    DimFile,
    DimModel,
    DimModelVersion,
    HistoryTable,
    OpsDecision,
    OpsSnapshot,
    Table,
)

#: The tables whose columns are measured, besides the facts.
MEASURED: tuple[type[Table], ...] = (DimModel, DimModelVersion, DimFile)

#: Tables that are written after the last day.
WRITTEN_LAST = {DimDate.table_name(), OpsSnapshot.table_name(), OpsDecision.table_name()}

#: Of a counter of a fact: two numbers of entities.
Pairs = dict[tuple[type[Table], str], tuple[int, int]]

_TABLE = {table.table_name(): table for table in TABLES}


@dataclass
class Records:
    """How many records of a kind were valid, how many were quarantined, how many of them became rows of the kind's
    fact, and how many of these rows its rules refused.
    """

    valid: int = 0
    bad: int = 0
    observed: int = 0
    refused: int = 0

    def __add__(self, other: "Records") -> "Records":
        return Records(*map(sum, zip(astuple(self), astuple(other), strict=True)))


@dataclass
class Tally:
    """The sums over ranges.

    `falls`, `moved`: as in `FactDay`. `flows`: of each counter with a flow, how many flows are known, and how many are
    negative. `measured`: `checks.MEASURES` of facts. `of_ranges`: those of dimensions, by range, where they changed.
    `pointing`: by reference, the values that new rows have and that rows of their range lack. `types`: the types of
    models, before and after, in the ranges `types_in` where they changed. `names`: by column, the names that accepted
    rows of models have. `versions`: version_id and model_id of accepted rows of versions. `terms`:
    `mart.terms`. `longer_flows`: `mart.LONGER_FLOWS`.
    """

    records: dict[str, Records] = field(default_factory=lambda: defaultdict(Records))
    falls: Pairs = field(default_factory=dict)
    moved: Counter[tuple[str, str]] = field(default_factory=Counter)
    flows: Pairs = field(default_factory=dict)
    change_rates: dict[str, list[ChangeRate]] = field(default_factory=lambda: defaultdict(list))
    measured: list[pl.DataFrame] = field(default_factory=list)
    of_ranges: list[pl.DataFrame] = field(default_factory=list)
    quarantine: list[pl.DataFrame] = field(default_factory=list)
    pointing: dict[Reference, pl.DataFrame] = field(default_factory=dict)
    types: tuple[set[str], set[str]] = field(default_factory=lambda: (set(), set()))
    types_in: set[int] = field(default_factory=set)
    names: dict[str, pl.DataFrame] = field(default_factory=dict)
    versions: list[pl.DataFrame] = field(default_factory=list)
    terms: list[pl.DataFrame] = field(default_factory=list)
    longer_flows: list[pl.DataFrame] = field(default_factory=list)

    def add(self, inputs: DayInputs, changes: Changes, facts: Sequence[FactDay]) -> None:
        """Adds what is told of every range, whatever it has."""
        self.quarantine += changes.quarantine
        for kind, staged in inputs.staged.items():
            records = self.records[kind]
            records.valid += staged.observations.height
            records.bad += staged.bad.height
            listed = staged.observations.filter("is_listed")
            self.change_rates[kind].append(change_rate(kind, inputs.entities(kind), listed))
        for fact in facts:
            rows = changes.appended[fact.fact.table_name()]
            add_pairs(self.falls, fact.falls)
            self.moved.update(fact.moved)
            add_pairs(self.flows, negative_flows(fact.fact, rows))
            self.measured.append(measure({fact.fact: rows}))
        for table in MEASURED:
            if table.table_name() in changes.replaced:
                of_range = measure({table: changes.rows(table, inputs)})
                self.of_ranges.append(of_range.select(pl.lit(inputs.number, pl.Int64).alias("range"), *MEASURES))
        self._note_references(inputs, changes)
        if DimModel.table_name() in changes.replaced:
            self.types_in.add(inputs.number)
            for types, rows in zip(self.types, (inputs.rows(DimModel), changes.rows(DimModel, inputs)), strict=True):
                types.update(rows["type"].unique().drop_nulls())

    def count(self, kind: str, fact: FactDay) -> None:
        """Counts what became of the records of a kind in its fact."""
        records = self.records[kind]
        records.observed += fact.observed
        records.refused += fact.refused

    def note_names(self, column: str, rows: pl.DataFrame) -> None:
        """Notes the names in a column of accepted rows."""
        self.names[column] = rows.select(pl.col(column).drop_nulls().unique())

    def merge(self, other: "Tally") -> None:
        """Adds the sums of another range."""
        for kind, records in other.records.items():
            self.records[kind] += records
        add_pairs(self.falls, other.falls)
        self.moved.update(other.moved)
        add_pairs(self.flows, other.flows)
        for kind, change_rates in other.change_rates.items():
            self.change_rates[kind] += change_rates
        self.measured += other.measured
        self.of_ranges += other.of_ranges
        self.quarantine += other.quarantine
        for reference, values in other.pointing.items():
            self.pointing[reference] = joined(self.pointing.get(reference), values)
        for types, others in zip(self.types, other.types, strict=True):
            types.update(others)
        self.types_in |= other.types_in
        for column, names in other.names.items():
            self.names[column] = joined(self.names.get(column), names)
        self.versions += other.versions
        self.terms += other.terms
        self.longer_flows += other.longer_flows

    def _note_references(self, inputs: DayInputs, changes: Changes) -> None:
        """Notes the values of new rows that no row of their range has. The target may be in other ranges, or closed."""
        for name in {**changes.appended, **changes.replaced}:
            table = _TABLE.get(name)
            if table is None:  # state
                continue
            rows = changes.appended[name] if name in changes.appended else new_rows(table, inputs, changes)
            for reference in references(table) if rows.height else ():
                if reference.target in WRITTEN_LAST:
                    continue
                target = _TABLE[reference.target]
                if target.axis == table.axis:
                    keys = _keys(target, reference.target_column, inputs, changes)
                    missing = reference.orphans(rows, keys).to_frame()
                else:
                    missing = rows.select(pl.col(reference.column).drop_nulls().unique())
                if missing.height:
                    self.pointing[reference] = missing


def _keys(target: type[Table], column: str, inputs: DayInputs, changes: Changes) -> pl.DataFrame:
    """A key column of a table after the date, in its range."""
    if target in APPENDED:
        keys = changes.replaced.get(keys_state(target).name)
        return inputs.known_keys(target) if keys is None else keys
    return changes.columns(target, inputs, [column])


def new_rows(table: type[Table], inputs: DayInputs, changes: Changes) -> pl.DataFrame:
    """The rows of a table that came with the day and may still change."""
    rows = changes.replaced.get(table.table_name(), table.empty())
    since = "valid_from" if issubclass(table, HistoryTable) else "first_seen_on"
    return rows.filter(pl.col(since) == inputs.on) if since in rows.columns else rows.clear()


def negative_flows(fact: type[Table], rows: pl.DataFrame) -> Pairs:
    """Of each counter of a fact with a flow: how many flows are known, and how many are negative."""
    return {
        (fact, counter): (rows[flow].len() - rows[flow].null_count(), int((rows[flow] < 0).sum()))
        for counter, flow in counters_of(fact).items()
        if flow
    }


def joined(values: pl.DataFrame | None, others: pl.DataFrame) -> pl.DataFrame:
    """Distinct values of a column, and those that others have besides."""
    if values is not None:
        others = others.join(values, on=others.columns, how="anti")
    others = compacted(others)
    return others if values is None else pl.concat([values, others])


def add_pairs(sums: Pairs, found: Mapping[tuple[type[Table], str], tuple[int, int]]) -> None:
    """Adds two numbers for each counter."""
    for key, (one, other) in found.items():
        first, second = sums.get(key, (0, 0))
        sums[key] = first + one, second + other


def sum_of(measures: Iterable[pl.DataFrame], moved: Mapping[tuple[str, str], int]) -> pl.DataFrame:
    """The `checks.MEASURES` of tables from those of their ranges; `moved` is by table and column."""
    every = pl.concat([pl.DataFrame(schema=MEASURES), *(each.select(MEASURES.keys()) for each in measures)])
    sums = every.group_by("table_name", "column_name", maintain_order=True).agg(pl.col("rows", "nulls").sum())
    times = [(*key, number) for key, number in moved.items()]
    of_counters = pl.DataFrame(
        times, schema={name: MEASURES[name] for name in ("table_name", "column_name", "moved")}, orient="row"
    )
    return sums.join(of_counters, on=["table_name", "column_name"], how="left", maintain_order="left").select(
        MEASURES.keys()
    )
