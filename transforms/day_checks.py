"""Runs the data-quality checks of `transforms.quality.checks` on one day of a release.

A person can waive the checks that find a date implausible (far too few rows, far too many quarantined records) by
including it. Rows that point nowhere and record counts that do not balance are defects, which nobody can waive.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

import polars as pl

from pipelines.errors import CivitaiEtlError
from pipelines.settings import Limits, variable
from transforms.day.build_day import DayResult
from transforms.day.record_counts import RecordCounts
from transforms.day.tally import Tally, new_rows
from transforms.lake.release import STAR, Release
from transforms.lake.state import STATE_MEASURES, STATE_VERSIONS
from transforms.quality import checks
from transforms.quality.checks import BrokenReferenceError, Warned
from transforms.staging.change_rate import describe, together
from transforms.staging.raw_reader import RawReader
from transforms.star.base_models import UNCLASSIFIED
from transforms.tables import DimBaseModel, DimModel, DimModelVersion, OpsDrift, OpsQuarantine, OpsWarning

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


def run_checks(star: Release, raw: RawReader, limits: Limits, day: DayResult) -> CheckResult:
    """Checks a date that was added to the star, and adds its warnings to ops_warning."""
    inputs, result = day.inputs, CheckResult()
    on, of_day = inputs.on, inputs.day
    result.errors += [*_uneven_counts(day.record_counts), *_broken_references(star, day)]
    quarantined = day.changes.appended[OpsQuarantine.table_name()]
    doubts = _too_much_quarantine(day.record_counts, quarantined, limits.max_quarantine_share)
    before = inputs.held[STATE_MEASURES.name]
    withheld = {each.subject for each in day.collapses if not each.is_accepted}
    if of_day.is_complete:
        kept = checks.carried(before, day.measures, withheld)
        if before.height:
            doubts += checks.lost_rows(before, day.measures, on, limits)
            result.warnings += checks.risen_nulls(before, kept, limits)
            result.warnings += checks.frozen_counters(before, day.measures, withheld)
        star.replace(STATE_MEASURES.name, kept)
    if of_day.is_included:
        result.warnings += [Warned("waived check", str(on), None, None, str(doubt)) for doubt in doubts]
    else:
        result.errors += doubts
    result.warnings += _withheld_counters(on, limits, day)
    result.warnings += checks.fallen_counters(day.tally.flows, limits)
    if of_day.before.date:
        result.warnings += _new_values(star, day)
    result.warnings += checks.new_paths(new_rows(OpsDrift, inputs, day.changes))
    result.warnings += _changed_documents(raw, on, limits, day)
    warned = pl.DataFrame(
        [(on, each.rule, each.subject, each.found, each.limit, each.message) for each in result.warnings],
        schema=OpsWarning.polars_schema(),
        orient="row",
    )
    star.add(OpsWarning.table_name(), OpsWarning.validate(warned, cast=True), on)
    star.end_date()
    return result


def _withheld_counters(on: date, limits: Limits, day: DayResult) -> list[Warned]:
    share = limits.max_counter_collapse_share
    return [
        Warned("withheld counter", each.subject, each.share, share, each.message(on, share))
        for each in day.collapses
        if not each.is_accepted
    ]


def _changed_documents(raw: RawReader, on: date, limits: Limits, day: DayResult) -> list[Warned]:
    share = limits.max_change_share
    return [
        Warned("changed documents", each.kind, each.changed.height / each.known, share, describe(raw, each, on, share))
        for each in map(together, day.tally.change_rates.values())
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


def _new_values(star: Release, day: DayResult) -> list[Warned]:
    base_models = new_rows(DimBaseModel, day.inputs, day.changes)
    is_unknown = pl.col("family") == UNCLASSIFIED
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
            "dim_model.type", _new_types(star, day.tally), "See whether charts and queries by type expect it."
        ),
    ]


def _new_types(star: Release, tally: Tally) -> set[str]:
    """The types of models that none had before the date."""
    before, after = tally.types
    new = after - before
    table = DimModel.table_name()
    for number in star.ranges(table) if new else ():
        if number not in tally.types_in:
            new -= {*star.rows(table, number, ["type"])["type"].unique()}
    return new


def _broken_references(star: Release, day: DayResult) -> list[CivitaiEtlError]:
    """An error for each reference whose new rows point to a row that does not exist, open or closed."""
    errors: list[CivitaiEtlError] = []
    for reference, values in day.tally.pointing.items():
        target, column = reference.target, reference.target_column
        missing = values
        if STAR[target].axis is None:
            missing = reference.orphans(values, star.rows(target)).to_frame()
        elif (target, column) == (DimModelVersion.table_name(), *STATE_VERSIONS.key):
            missing = reference.orphans(values, star.rows(STATE_VERSIONS.name)).to_frame()
        if missing.height:
            # References to closed rows are rare, and reading closed rows is slow.
            closed = (
                star.immutable(target).select(column).filter(pl.col(column).is_in(missing[reference.column].implode()))
            )
            missing = reference.orphans(missing, closed.collect()).to_frame()
        if missing.height:
            errors.append(checks.broken_reference(reference, day.inputs.on, missing[reference.column]))
    return errors
