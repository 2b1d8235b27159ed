"""Builds one snapshot date of the star: dimensions, facts, the mart and the state for the next date."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from transforms.day.changes import Changes, appended, upserted
from transforms.day.facts import FactsDay, build_facts
from transforms.day.images import build_images
from transforms.day.inputs import DayInputs
from transforms.day.listed import build_base_models, build_listed
from transforms.day.mart import build_mart
from transforms.day.models import build_models
from transforms.day.record_counts import RecordCounts, record_counts
from transforms.day.state import note_entities, note_unread
from transforms.lake.release import Release
from transforms.quality.counter_guard import Collapse, withheld_rows
from transforms.staging.change_rate import ChangeRate, change_rate
from transforms.staging.quarantine import rejected
from transforms.tables import OpsDrift, OpsQuarantine, OpsWithheld
from transforms.tables.state import StateEntity


@dataclass(frozen=True)
class DayResult:
    """The result of a snapshot date.

    `changes`: the tables. `change_rates`: per kind, the documents that changed since they were last observed.
    `collapses` and `moved`: as in `FactDay`. `record_counts`: what became of the records of each kind.
    """

    changes: Changes
    change_rates: Sequence[ChangeRate]
    collapses: Sequence[Collapse]
    moved: Mapping[tuple[str, str], int]
    record_counts: Sequence[RecordCounts]


def build_day(inputs: DayInputs) -> DayResult:
    """The snapshot date as a whole."""
    models = build_models(inputs)
    facts = build_facts(inputs, models)
    changes = (
        models.changes
        | build_listed(inputs, models)
        | build_base_models(inputs, models)
        | build_images(inputs)
        | facts.changes
        | build_mart(inputs, models, facts)
        | note_unread(inputs)
        | note_entities(inputs, models)
    )
    entities = inputs.rows(StateEntity)
    return DayResult(
        changes | _operations(inputs, facts, changes.quarantine),
        [change_rate(kind, entities, each.observations.filter("is_listed")) for kind, each in inputs.staged.items()],
        facts.collapses,
        facts.moved,
        [record_counts(inputs, facts, kind) for kind in inputs.staged],
    )


def add_day(star: Release, inputs: DayInputs, result: DayResult) -> None:
    """Adds a date to the star."""
    changes = result.changes
    for table, rows in changes.replaced.items():
        star.replace(table, rows)
    for table, rows in {**changes.closed, **changes.appended}.items():
        star.add(table, rows, inputs.on)


def _operations(inputs: DayInputs, facts: FactsDay, quarantine: Sequence[pl.DataFrame]) -> Changes:
    """ops_quarantine, ops_drift and ops_withheld."""
    of_kinds = [rows for records in inputs.staged.values() for rows in (records.quarantine, records.odd)]
    broken = OpsQuarantine.validate(pl.concat([*of_kinds, rejected(inputs.rejects), *quarantine]), cast=True)
    drift = pl.DataFrame(
        [
            (kind, path, inputs.on, example)
            for kind, records in inputs.staged.items()
            for path, example in records.drift.items()
        ],
        schema=OpsDrift.polars_schema(),
        orient="row",
    )
    withheld = withheld_rows(facts.collapses, inputs.on, inputs.limits.max_counter_collapse_share)
    return (
        appended(OpsQuarantine, broken)
        | upserted(OpsDrift, inputs, drift.drop("first_seen_on"))
        | appended(OpsWithheld, withheld)
    )
