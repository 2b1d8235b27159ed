"""Runs the data-quality checks of `transforms.quality.checks` on one day of a release.

A person can waive the checks that find a date implausible (far too few rows, far too many quarantined records) by
including it. Rows that point nowhere and record counts that do not balance are defects, which nobody can waive.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import polars as pl

from pipelines.errors import CivitaiEtlError
from pipelines.settings import variable
from transforms.day.build_day import DayResult
from transforms.day.changes import Changes
from transforms.day.inputs import DayInputs
from transforms.day.record_counts import RecordCounts
from transforms.lake.release import STATE_MEASURES, Release
from transforms.quality import checks
from transforms.quality.checks import BrokenReferenceError, Warned
from transforms.staging.change_rate import describe
from transforms.staging.raw_reader import RawReader
from transforms.star.base_models import UNCLASSIFIED
from transforms.star.facts import ENTITY_ID
from transforms.tables import (
    TABLES,
    DimBaseModel,
    DimDate,
    DimFile,
    DimModel,
    DimModelVersion,
    HistoryTable,
    OpsDecision,
    OpsDrift,
    OpsQuarantine,
    OpsSnapshot,
    OpsWarning,
    Table,
)

#: The tables whose columns are measured, besides the facts.
MEASURED: tuple[type[Table], ...] = (DimModel, DimModelVersion, DimFile)

#: Tables that are written after the last day.
WRITTEN_LAST = {DimDate.table_name(), OpsSnapshot.table_name(), OpsDecision.table_name()}


#: Up to so many broken records refuse no date, however small the catalogue is.
QUARANTINE_TOLERATED = 10


class UnevenCountsError(CivitaiEtlError):
    """Records in and records out of a day do not agree."""


class QuarantineError(CivitaiEtlError):
    """More records of a day were quarantined than the settings allow."""


#: What no setting and no person can waive.
DEFECTS = (UnevenCountsError, BrokenReferenceError)


@dataclass
class CheckResult:
    """The errors of a day, each of which refuses the date, and its warnings."""

    errors: list[CivitaiEtlError] = field(default_factory=list)
    warnings: list[Warned] = field(default_factory=list)


def run_checks(star: Release, raw: RawReader, inputs: DayInputs, day: DayResult) -> CheckResult:
    """Checks a date that was added to the star, and adds its warnings to ops_warning."""
    on, limits, result = inputs.on, inputs.limits, CheckResult()
    result.errors += [*_uneven_counts(day.record_counts), *_broken_references(star, inputs, day.changes)]
    quarantined = day.changes.appended[OpsQuarantine.table_name()]
    doubts = _too_much_quarantine(day.record_counts, quarantined, limits.max_quarantine_share)
    facts = {fact: day.changes.appended[fact.table_name()] for fact in ENTITY_ID}
    today = checks.measure(facts | {table: day.changes.rows(table, inputs) for table in MEASURED}, day.moved)
    before = inputs.held[STATE_MEASURES]
    withheld = {each.subject for each in day.collapses if not each.is_accepted}
    if inputs.day.is_complete:
        kept = checks.carried(before, today, withheld)
        if before.height:
            doubts += checks.lost_rows(before, today, on, limits)
            result.warnings += checks.risen_nulls(before, kept, limits)
            result.warnings += checks.frozen_counters(before, today, withheld)
        star.replace(STATE_MEASURES, kept)
    if inputs.day.is_included:
        result.warnings += [Warned("waived check", str(on), None, None, str(doubt)) for doubt in doubts]
    else:
        result.errors += doubts
    result.warnings += _withheld_counters(inputs, day)
    for fact, rows in facts.items():
        result.warnings += checks.fallen_counters(fact, rows, limits)
    if inputs.day.before.date:
        result.warnings += _new_values(inputs, day.changes)
    result.warnings += checks.new_paths(_new_rows(OpsDrift, inputs, day.changes))
    result.warnings += _changed_documents(raw, inputs, day)
    warned = pl.DataFrame(
        [(on, each.rule, each.subject, each.found, each.limit, each.message) for each in result.warnings],
        schema=OpsWarning.polars_schema(),
        orient="row",
    )
    star.add(OpsWarning.table_name(), OpsWarning.validate(warned, cast=True), on)
    return result


def _withheld_counters(inputs: DayInputs, day: DayResult) -> list[Warned]:
    share = inputs.limits.max_counter_collapse_share
    return [
        Warned("withheld counter", each.subject, each.share, share, each.message(inputs.on, share))
        for each in day.collapses
        if not each.is_accepted
    ]


def _changed_documents(raw: RawReader, inputs: DayInputs, day: DayResult) -> list[Warned]:
    share = inputs.limits.max_change_share
    return [
        Warned(
            "changed documents",
            each.kind,
            each.changed.height / each.known,
            share,
            describe(raw, each, inputs.on, share),
        )
        for each in day.change_rates
        if each.is_over(share)
    ]


def _uneven_counts(record_counts: Sequence[RecordCounts]) -> list[CivitaiEtlError]:
    return [
        UnevenCountsError(
            f"The record counts of {counts.snapshot_date} do not balance for {counts.kind}: received "
            f"{counts.received}, but loaded {counts.loaded} + quarantined {counts.quarantined} + duplicates "
            f"{counts.duplicates}. Please report this with the row of raw.snapshots."
        )
        for counts in record_counts
        if not counts.is_even
    ]


def _too_much_quarantine(
    record_counts: Sequence[RecordCounts], quarantined: pl.DataFrame, most: float
) -> list[CivitaiEtlError]:
    received = sum(counts.received for counts in record_counts)
    number = sum(counts.quarantined for counts in record_counts)
    if number <= max(QUARANTINE_TOLERATED, most * received):
        return []
    # A record with a quarantined value is loaded.
    records = quarantined.filter(pl.col("level") != "value").sort(pl.col("entity_id").str.len_bytes(), "entity_id")
    reasons = records.group_by("kind", "reason", maintain_order=True).agg(pl.len(), pl.col("entity_id").first())
    kind, reason, times, entity_id = reasons.sort("len", "reason", descending=[True, False]).row(0)
    return [
        QuarantineError(
            f"{number} of {received} records of {record_counts[0].snapshot_date} do not fit their declaration, more "
            f"than the share of {most:.1%} that {variable('max_quarantine_share')} allows. {times} times, first in "
            f"{kind} {entity_id}: {reason}. Raw keeps every record for when the declaration is fixed."
        )
    ]


def _new_values(inputs: DayInputs, changes: Changes) -> list[Warned]:
    base_models = _new_rows(DimBaseModel, inputs, changes)
    is_unknown = pl.col("family") == UNCLASSIFIED
    types = changes.rows(DimModel, inputs)["type"].unique().drop_nulls()
    return [
        *checks.new_values(
            "dim_base_model.base_model",
            base_models.filter(is_unknown)["base_model"],
            f"Its family is {UNCLASSIFIED} until transforms/star/base_models.csv knows it.",
        ),
        *checks.new_values(
            "dim_base_model.base_model", base_models.filter(~is_unknown)["base_model"], "Its family is known."
        ),
        *checks.new_values(
            "dim_model.type",
            set(types) - set(inputs.rows(DimModel)["type"]),
            "See whether charts and queries by type expect it.",
        ),
    ]


def _broken_references(star: Release, inputs: DayInputs, changes: Changes) -> list[CivitaiEtlError]:
    """An error for each reference whose new rows point to a row that does not exist, open or closed."""
    errors: list[CivitaiEtlError] = []
    after = {**inputs.held, **changes.replaced}
    for table in TABLES:
        rows = changes.appended.get(table.table_name(), _new_rows(table, inputs, changes))
        for reference in checks.references(table):
            if reference.target in WRITTEN_LAST or rows.is_empty():
                continue
            target = reference.target
            missing = reference.orphans(rows, changes.keys.get(target, after[target]))
            if missing.len():
                # References to closed rows are rare, and reading closed rows is slow.
                closed = star.immutable(target).select(reference.target_column).collect()
                missing = reference.orphans(missing.to_frame(), closed)
            if missing.len():
                errors.append(checks.broken_reference(reference, inputs.on, missing))
    return errors


def _new_rows(table: type[Table], inputs: DayInputs, changes: Changes) -> pl.DataFrame:
    """The rows that came with the day."""
    rows = changes.rows(table, inputs)
    since = "valid_from" if issubclass(table, HistoryTable) else "first_seen_on"
    return rows.filter(pl.col(since) == inputs.on) if since in rows.columns else rows.clear()
