"""The quality gate at work: one day of a star in the making is held against the rules of `transforms.quality.checks`.

What makes a date implausible (far too little, far too much set aside) a person can waive, by including it; rows that
point nowhere and books that do not balance are defects, and nobody can.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import polars as pl

from pipelines.errors import CivitaiEtlError
from pipelines.settings import variable
from transforms.day import Balance, DayBuild
from transforms.lake.release import STATE_MEASURES
from transforms.quality import checks
from transforms.quality.checks import BrokenReferenceError, Warned
from transforms.staging.change_rate import describe
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

#: Beside the facts, the tables whose columns are measured.
MEASURED: tuple[type[Table], ...] = (DimModel, DimModelVersion, DimFile)

#: Tables that are written when all days are folded.
WRITTEN_LAST = {DimDate.table_name(), OpsSnapshot.table_name(), OpsDecision.table_name()}


#: A handful of broken records refuses nothing, however small the catalogue is.
QUARANTINE_TOLERATED = 10


class UnevenBooksError(CivitaiEtlError):
    """Records in and records out of a day do not agree."""


class QuarantineError(CivitaiEtlError):
    """More records of a day were set aside than the settings allow."""


#: What no setting and no person can waive.
DEFECTS = (UnevenBooksError, BrokenReferenceError)


@dataclass
class Verdict:
    """What the gate says of a day: errors, each of which refuses the date, and warnings."""

    errors: list[CivitaiEtlError] = field(default_factory=list)
    warnings: list[Warned] = field(default_factory=list)


def judge(work: DayBuild, balances: Sequence[Balance]) -> Verdict:
    """Holds a day that was folded against the rules, and keeps its warnings in ops_warning."""
    star, on, limits, verdict = work.star, work.day.on, work.limits, Verdict()
    verdict.errors += [*_uneven_books(balances), *_broken_references(work)]
    doubts = _too_much_quarantine(balances, work.added[OpsQuarantine.table_name()], limits.max_quarantine_share)
    facts = {fact: work.added[fact.table_name()] for fact in ENTITY_ID}
    today = checks.measure(facts | {table: star.rows(table.table_name()) for table in MEASURED}, work.moved)
    before = star.rows(STATE_MEASURES)
    withheld = {each.subject for each in work.collapses if not each.is_accepted}
    if work.day.is_complete:
        kept = checks.carried(before, today, withheld)
        if before.height:
            doubts += checks.lost_rows(before, today, on, limits)
            verdict.warnings += checks.risen_nulls(before, kept, limits)
            verdict.warnings += checks.frozen_counters(before, today, withheld)
        star.replace(STATE_MEASURES, kept)
    if work.day.is_included:
        verdict.warnings += [Warned("waived check", str(on), None, None, str(doubt)) for doubt in doubts]
    else:
        verdict.errors += doubts
    verdict.warnings += [
        Warned(
            "withheld counter",
            each.subject,
            each.share,
            limits.max_counter_collapse_share,
            each.message(on, limits.max_counter_collapse_share),
        )
        for each in work.collapses
        if not each.is_accepted
    ]
    for fact, rows in facts.items():
        verdict.warnings += checks.fallen_counters(fact, rows, limits)
    if work.day.before.date:
        verdict.warnings += _new_values(work)
    verdict.warnings += checks.new_paths(_new_rows(OpsDrift, star.rows(OpsDrift.table_name()), work))
    verdict.warnings += [
        Warned(
            "changed documents",
            each.kind,
            each.changed.height / each.known,
            limits.max_change_share,
            describe(work.raw, each, on, limits.max_change_share),
        )
        for each in work.change_rates
        if each.is_over(limits.max_change_share)
    ]
    told = pl.DataFrame(
        [(on, each.rule, each.subject, each.found, each.limit, each.message) for each in verdict.warnings],
        schema=OpsWarning.polars_schema(),
        orient="row",
    )
    star.add(OpsWarning.table_name(), OpsWarning.validate(told, cast=True), on)
    return verdict


def _uneven_books(balances: Sequence[Balance]) -> list[CivitaiEtlError]:
    return [
        UnevenBooksError(
            f"The books of {books.snapshot_date} do not balance for {books.kind}: received {books.received}, but "
            f"loaded {books.loaded} + quarantined {books.quarantined} + duplicates {books.duplicates}. Please report "
            "this with the row of raw.snapshots."
        )
        for books in balances
        if not books.is_even
    ]


def _too_much_quarantine(balances: Sequence[Balance], quarantined: pl.DataFrame, most: float) -> list[CivitaiEtlError]:
    received = sum(books.received for books in balances)
    number = sum(books.quarantined for books in balances)
    if number <= max(QUARANTINE_TOLERATED, most * received):
        return []
    # A record of which a value was set aside counts all the same.
    records = quarantined.filter(pl.col("level") != "value")
    reasons = records.group_by("kind", "reason").agg(pl.len(), pl.col("entity_id").first())
    kind, reason, times, entity_id = reasons.sort("len", "reason", descending=[True, False]).row(0)
    return [
        QuarantineError(
            f"{number} of {received} records of {balances[0].snapshot_date} do not fit their declaration, more than "
            f"the share of {most:.1%} that {variable('max_quarantine_share')} allows. {times} times, first in {kind} "
            f"{entity_id}: {reason}. Raw keeps every record for when the declaration is mended."
        )
    ]


def _new_values(work: DayBuild) -> list[Warned]:
    base_models = _new_rows(DimBaseModel, work.star.rows(DimBaseModel.table_name()), work)
    is_unknown = pl.col("family") == UNCLASSIFIED
    types = work.star.rows(DimModel.table_name())["type"].unique().drop_nulls()
    return [
        *checks.new_values(
            "dim_base_model.base_model",
            base_models.filter(is_unknown)["base_model"],
            f"Its family is {UNCLASSIFIED} until transforms/base_models.csv knows it.",
        ),
        *checks.new_values(
            "dim_base_model.base_model", base_models.filter(~is_unknown)["base_model"], "Its family is known."
        ),
        *checks.new_values(
            "dim_model.type", set(types) - set(work.types_before), "See whether charts and queries by type expect it."
        ),
    ]


def _broken_references(work: DayBuild) -> list[CivitaiEtlError]:
    """An error for each reference of rows that are new today to a row that is not there, open or closed."""
    errors: list[CivitaiEtlError] = []
    for table in TABLES:
        name = table.table_name()
        rows = work.added[name] if name in work.added else _new_rows(table, work.star.rows(name), work)
        for reference in checks.references(table):
            if reference.target in WRITTEN_LAST or rows.is_empty():
                continue
            target = reference.target
            missing = reference.orphans(rows, work.keys[target] if target in work.keys else work.star.rows(target))
            if missing.len():
                # Closed rows are in files, and hardly ever what is pointed to.
                closed = work.star.immutable(target).select(reference.target_column).collect()
                missing = reference.orphans(missing.to_frame(), closed)
            if missing.len():
                errors.append(checks.broken_reference(reference, work.day.on, missing))
    return errors


def _new_rows(table: type[Table], rows: pl.DataFrame, work: DayBuild) -> pl.DataFrame:
    """The rows that came with the day."""
    since = "valid_from" if issubclass(table, HistoryTable) else "first_seen_on"
    return rows.filter(pl.col(since) == work.day.on) if since in rows.columns else rows.clear()
