"""Builds one snapshot date of the star, range by range: dimensions, facts, the mart and the state for the next date.

A range is a call of pure functions. What crosses ranges is settled before them, by ids (`transforms.day.owners`), or
after them, by sums and names (`transforms.day.tally`).
"""

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from functools import partial

import polars as pl

from pipelines.settings import Limits
from transforms.day.ahead import Ahead
from transforms.day.changes import Changes, appended, upserted
from transforms.day.facts import fact_of_list, fact_of_models, fact_of_versions
from transforms.day.images import Showcases, build_images, fact_of_images
from transforms.day.inputs import DayInputs, Held
from transforms.day.listed import build_base_models, build_list
from transforms.day.mart import longer_of_range, mart_terms, note_longer_flows, note_stock
from transforms.day.models import build_models, not_observed
from transforms.day.owners import Owners, move_versions, note_owners, settle_owners
from transforms.day.read_ahead import ReadAhead
from transforms.day.record_counts import RecordCounts, record_counts
from transforms.day.snapshot_day import SnapshotDay
from transforms.day.state import note_entities, note_fading, note_milestones, note_unread
from transforms.day.tally import Tally, sum_of
from transforms.lake.release import Release
from transforms.lake.state import STATE_CLAIMS, STATE_RANGES, STATE_STOCK, entities_state
from transforms.quality.counter_guard import Collapse, collapses, withheld_rows
from transforms.ranges import WHOLE, Axis, range_of
from transforms.staging.payloads import STAGED_KINDS
from transforms.staging.quarantine import rejected
from transforms.staging.raw_reader import OBSERVATIONS_A_BATCH, RawReader
from transforms.staging.records import Stage, StagedKind, in_order
from transforms.star.mart import MartDay, base_model_day, cube_day
from transforms.tables import (
    BridgeModelTag,
    DimModel,
    DimModelVersion,
    FactModelVersionDaily,
    MartBaseModelDaily,
    MartDaily,
    OpsDrift,
    OpsQuarantine,
    OpsWithheld,
    Table,
)

#: Ranges that are built at a time: while polars works on one in all cores, Python prepares another. Of a first date, of
#: which all is new, a range takes the most memory, and of a date that is replayed the least.
AT_FIRST, SIDE_BY_SIDE, SIDE_BY_SIDE_IN_REPLAY = 1, 2, 3

#: By fact, the counters that are withheld on a date.
Withheld = Mapping[type[Table], Collection[str]]

#: The columns of models and versions whose names have a row in another table.
NAMES: tuple[tuple[type[Table], str], ...] = (
    (DimModelVersion, "base_model"),
    (DimModel, "username"),
    (BridgeModelTag, "tag"),
)


@dataclass(frozen=True)
class DayResult:
    """The result of a snapshot date.

    `inputs` and `changes`: those of the tables that are not cut. `tally`: the sums over all ranges. `collapses`: the
    counters that collapsed. `measures`: `checks.MEASURES` of facts and dimensions. `record_counts`: what became of the
    records of each kind.
    """

    inputs: DayInputs
    changes: Changes
    tally: Tally
    collapses: Sequence[Collapse]
    measures: pl.DataFrame
    record_counts: Sequence[RecordCounts]


@dataclass(frozen=True)
class Built:
    """What becomes of a range on the date."""

    inputs: DayInputs
    changes: Changes
    tally: Tally


@dataclass(frozen=True)
class _Day:
    """A date that is read: what all its ranges have in common."""

    star: Release
    day: SnapshotDay
    limits: Limits
    staged: Mapping[str, StagedKind]
    not_found: pl.DataFrame
    rejects: pl.DataFrame
    owners: Owners
    counted_on: date | None

    def inputs(self, axis: Axis | None, number: int, withheld: Withheld) -> DayInputs:
        """What goes into a range."""
        of_range = range_of("model", pl.col("entity_id")) == number
        return DayInputs(
            self.day,
            number,
            Held(self.star, number),
            {kind: staged.of(number) for kind, staged in self.staged.items() if staged.axis == axis},
            self.not_found.filter(of_range) if axis == "model" else self.not_found.clear(),
            withheld,
            self.counted_on,
        )


def build_day(
    star: Release, raw: RawReader, day: SnapshotDay, limits: Limits, ahead: Ahead | ReadAhead | None = None
) -> DayResult:
    """Adds a date to the star. What of it was staged `ahead` is not read again.

    Which counters are withheld is known when all ranges were seen. It is seldom any; then the date is built again.
    """
    taken = ahead and ahead.of(day)
    side_by_side = SIDE_BY_SIDE if day.before.date else AT_FIRST
    if taken and isinstance(ahead, ReadAhead):
        side_by_side = SIDE_BY_SIDE_IN_REPLAY
    with closing(taken or Stage(day.on, lambda: star.shelf.folder)) as stage:
        read = _read(star, raw, day, limits, stage.kinds)
        if day.crawls["observations"].sum() > OBSERVATIONS_A_BATCH:  # else opening it again takes longer than the date
            raw.rest()
        undo = star.savepoint()
        result = _build(read, {}, side_by_side)
        withheld: dict[type[Table], set[str]] = {}
        for each in result.collapses:
            if not each.is_accepted:
                withheld.setdefault(each.fact, set()).add(each.counter)
        if withheld:
            undo()
            result = _build(read, withheld, side_by_side)
    star.end_date()
    return result


def _read(star: Release, raw: RawReader, day: SnapshotDay, limits: Limits, staged: Mapping[str, StagedKind]) -> _Day:
    """Reads a date from raw, and settles what crosses ranges before them."""
    for kind, each in staged.items():
        state = entities_state(kind).name
        each.read(raw, lambda number, state=state: star.rows(state, number))  # type: ignore[misc]
    not_found, models = raw.tombstones(day.on, "model"), staged["model"]
    observed = [models.observed(number).select("entity_id") for number in models.ranges] if not_found.height else []
    deleted = not_observed(day, not_found, pl.concat([not_found.clear(), *observed]))
    owners = settle_owners(star, day, models, deleted)
    move_versions(star, owners)
    if owners.claims is not None:
        star.replace(STATE_CLAIMS.name, owners.claims)
    stocks = [star.rows(STATE_STOCK.name, number, ["counted_on"]) for number in star.ranges(STATE_STOCK.name)]
    counted = {on for stock in stocks for on in stock["counted_on"].unique()}
    return _Day(star, day, limits, staged, not_found, raw.rejects(day.on), owners, max(counted, default=None))


def _build(read: _Day, withheld: Withheld, side_by_side: int) -> DayResult:
    """Builds all ranges of a date, and what is made of all of them."""
    star, tally, models = read.star, Tally(), read.staged["model"]

    def of_models(number: int) -> Built:
        return _build_models(read.inputs("model", number, withheld), read.owners)

    def of_images(number: int) -> Built:
        return _build_images(read.inputs("image", number, withheld), Showcases(*models.images(number)))

    not_found = read.not_found.select(range_of("model", pl.col("entity_id")).unique())["entity_id"]
    with_versions = (*star.ranges(DimModelVersion.table_name()), *star.ranges(STATE_STOCK.name))
    with_images = (*read.staged["image"].ranges, *models.image_ranges)
    with ThreadPoolExecutor(max_workers=side_by_side) as pool:
        of_ranges = (
            *(partial(of_models, number) for number in sorted({WHOLE, *models.ranges, *not_found, *with_versions})),
            *(partial(of_images, number) for number in sorted({WHOLE, *with_images})),
        )
        for built in in_order((pool.submit(each) for each in of_ranges), side_by_side - 1):
            apply(star, built.inputs, built.changes)
            tally.merge(built.tally)
    built = _build_whole(read.inputs(None, WHOLE, withheld), tally)
    tally.merge(built.tally)
    fallen = collapses(tally.falls, read.day.accepted, read.limits.max_counter_collapse_share)
    changes = built.changes | _operations(read, built.inputs, tally, fallen)
    apply(star, built.inputs, changes)
    note_owners(star, pl.concat(tally.versions))
    return DayResult(
        built.inputs,
        changes,
        tally,
        fallen,
        _measures(star, tally),
        [record_counts(read.day, kind, tally.records[kind]) for kind in read.staged],
    )


def apply(star: Release, inputs: DayInputs, changes: Changes) -> None:
    """Adds the changes of a range to the star."""
    for table, rows in changes.replaced.items():
        star.replace(table, rows, inputs.number)
    for table, rows in {**changes.closed, **changes.appended}.items():
        star.add(table, rows, inputs.on, inputs.number)


def _build_models(inputs: DayInputs, owners: Owners) -> Built:
    """A range of models, with their versions."""
    models = build_models(inputs, owners)
    of_models, of_versions = fact_of_models(inputs, models), fact_of_versions(inputs, models)
    changes = (
        models.changes
        | of_models.changes
        | of_versions.changes
        | note_stock(inputs)
        | note_unread(inputs)
        | note_fading(inputs, models, of_versions)
        | note_milestones(of_versions)
        | note_entities(inputs, "model", models)
    )
    tally = Tally()
    tally.add(inputs, changes, (of_models, of_versions))
    tally.count("model", of_models)
    tally.terms.append(mart_terms(inputs, models.changes, of_versions))
    tally.longer_flows.append(longer_of_range(inputs, models.changes, of_versions))
    for table, column in NAMES:
        tally.note_names(column, models.candidates[table])
    tally.versions.append(models.candidates[DimModelVersion].select("version_id", "model_id"))
    return Built(inputs, changes, tally)


def _build_images(inputs: DayInputs, showcases: Showcases) -> Built:
    """A range of images."""
    fact = fact_of_images(inputs, showcases)
    changes = build_images(inputs, showcases) | fact.changes | note_entities(inputs, "image")
    tally = Tally()
    tally.add(inputs, changes, (fact,))
    tally.count("image", fact)
    return Built(inputs, changes, tally)


def _build_whole(inputs: DayInputs, of_ranges: Tally) -> Built:
    """The tables that are not cut: those of lists, of the names that models have, and the marts."""
    changes = _build_marts(inputs, of_ranges) | build_base_models(inputs, of_ranges.names["base_model"])
    facts, tally = [], Tally()
    for kind in inputs.staged:
        changes |= build_list(inputs, kind, of_ranges.names) | note_entities(inputs, kind)
        if fact := STAGED_KINDS[kind].fact:
            facts.append(fact_of_list(inputs, kind, fact))
            changes |= facts[-1].changes
            tally.count(kind, facts[-1])
    tally.add(inputs, changes, facts)
    return Built(inputs, changes, tally)


def _build_marts(inputs: DayInputs, tally: Tally) -> Changes:
    """The marts of the date. Downloads are compared with the last date that has them."""
    before, terms = inputs.day.before, pl.concat(tally.terms)
    day = MartDay(
        inputs.on,
        before.date,
        inputs.counted_on or before.date,
        before.complete is not None,
        inputs.withheld.get(FactModelVersionDaily, ()),
    )
    cube, by_base_model = cube_day(terms, day), base_model_day(terms, day)
    return (
        appended(MartDaily, MartDaily.validate(cube, cast=True))
        | appended(MartBaseModelDaily, MartBaseModelDaily.validate(by_base_model, cast=True))
        | note_longer_flows(inputs, tally.longer_flows)
    )


def _operations(read: _Day, inputs: DayInputs, tally: Tally, fallen: Sequence[Collapse]) -> Changes:
    """ops_quarantine, ops_drift and ops_withheld."""
    of_kinds = [rows for staged in read.staged.values() for rows in (staged.quarantine, staged.odd)]
    broken = OpsQuarantine.validate(pl.concat([*of_kinds, rejected(read.rejects), *tally.quarantine]), cast=True)
    drift = pl.DataFrame(
        [
            (kind, path, inputs.on, example)
            for kind, staged in read.staged.items()
            for path, example in staged.drift.items()
        ],
        schema=OpsDrift.polars_schema(),
        orient="row",
    )
    withheld = withheld_rows(fallen, inputs.on, read.limits.max_counter_collapse_share)
    return (
        appended(OpsQuarantine, broken)
        | upserted(OpsDrift, inputs, drift.drop("first_seen_on"))
        | appended(OpsWithheld, withheld)
    )


def _measures(star: Release, tally: Tally) -> pl.DataFrame:
    """The measures of facts and dimensions; those of ranges without news are as they were."""
    before = star.rows(STATE_RANGES.name)
    of_ranges = before
    if tally.of_ranges:
        today = pl.concat(tally.of_ranges)
        of_ranges = pl.concat([before.join(today, on=STATE_RANGES.key, how="anti", maintain_order="left"), today])
        star.replace(STATE_RANGES.name, of_ranges)
    return sum_of([*tally.measured, of_ranges], tally.moved)
