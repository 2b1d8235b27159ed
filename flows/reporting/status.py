"""Reports the condition of a data directory: as text for people, as JSON and Prometheus text for machines."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from datetime import date, timedelta
from typing import Literal

import msgspec

from flows.reporting import report
from flows.reporting.capacity import capacity_lines
from flows.reporting.condition import ALWAYS, EXPECTED_SHARE, PROBLEMS, Condition, LastRun, condition_of
from flows.reporting.console import say
from pipelines.errors import CivitaiEtlError
from pipelines.progress import duration
from pipelines.settings import Settings

Format = Literal["text", "json", "prometheus"]

STALE = 4
#: How many days are listed.
NAMED_DAYS = 10


class FailOnError(CivitaiEtlError):
    """There is no such problem."""

    exit_code = 2


def parse_problems(text: str) -> tuple[str, ...]:
    """Names of `PROBLEMS`, separated by commas.

    Raises:
        FailOnError: one of them is none.
    """
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    for name in names:
        if name not in PROBLEMS:
            raise FailOnError(f"--fail-on {name!r} is no problem: give some of {', '.join(PROBLEMS)}.")
    return names


def report_status(settings: Settings, max_age: timedelta, form: Format = "text", fail_on: Sequence[str] = ()) -> int:
    """Print the condition; returns 0, or 4 if nothing is published, or it has a problem of `ALWAYS` or `fail_on`.

    Raises:
        NothingPublishedError: there is nothing to report as text.
        CivitaiEtlError: the published tables cannot be read.
    """
    condition = condition_of(settings, max_age)
    failing = [name for name in condition.problems if name in ALWAYS or name in fail_on]
    if form == "json":
        print(as_json(condition))
    elif form == "prometheus":
        from flows.reporting.metrics import exposition

        print(exposition(condition), end="")
    else:
        if not condition.is_published:
            say(*last_run_lines(condition.last_run))
            raise report.nothing_published(settings.directory.analytics)
        if asked := [name for name in failing if name not in ALWAYS]:
            say(f"Problems:  {'; '.join(f'{name} ({PROBLEMS[name][0]})' for name in asked)}.")
        say(*freshness_lines(condition), *day_lines(condition), *quality_lines(condition))
        say(*last_run_lines(condition.last_run), *capacity_lines(settings))
        say("", "Rows per table:", *report.row_lines(condition.rows), "", *report.place_lines(settings))
    return STALE if failing else 0


def as_json(condition: Condition) -> str:
    """The condition as a JSON object: its fields, and what derives from them. What is not known is null."""
    derived = {"age_seconds": condition.age_seconds, "problems": condition.problems}
    return msgspec.json.format(msgspec.json.encode(asdict(condition) | derived), indent=2).decode()


# ----------------------------------------------------------------------------------------------------------- as text


def freshness_lines(condition: Condition) -> list[str]:
    """How old the newest complete snapshot is, and what is wrong with the newest day."""
    if condition.newest_complete_at is None or condition.age_seconds is None:
        return ["Newest:    no complete snapshot is published yet.", *_doubts(condition)]
    begun = f"Newest:    complete snapshot of {condition.newest_complete_at:%Y-%m-%d %H:%M} UTC, "
    if "future" in condition.problems:
        ahead = duration(-condition.age_seconds)
        return [
            f"{begun}{ahead} IN THE FUTURE: the clock of this machine, or that of the service, is or was wrong.",
            *_doubts(condition),
        ]
    verdict = "STALE" if "stale" in condition.problems else "fresh"
    doubts = _doubts(condition)
    but = ", but see below" if verdict == "fresh" and doubts else ""
    age, allowed = duration(max(0, condition.age_seconds)), duration(condition.max_age_seconds)
    return [f"{begun}{age} old; {verdict} (at most {allowed}){but}.", *doubts]


def _doubts(condition: Condition) -> list[str]:
    """Why the newest day is not to be trusted, if it is not."""
    lines = []
    if condition.newest_is_complete is False and (day := condition.newest_partial):
        lines.append(f"PARTIAL:   the newest day, {day.date}: {day.reason}.")
    if condition.met_share is not None and condition.met_share < EXPECTED_SHARE:
        lines.append(f"INCOMPLETE: the newest crawl met only {condition.met_share:.2%} of what the lists announced.")
    return lines


def day_lines(condition: Condition) -> Iterator[str]:
    """Which days there are, which are not, and which await a decision."""
    if condition.dates:
        yield (
            f"Coverage:  {condition.dates[0]} to {condition.dates[-1]}; days with a snapshot: {len(condition.dates):,} "
            f"(partial: {len(condition.partial):,}), without: {len(condition.missing):,}."
        )
        if condition.met_share is not None:
            yield f"           The newest crawl met {condition.met_share:.2%} of what the service's lists announced."
        yield from _named("Partial", condition.partial)
        yield from _named("Missing", condition.missing)
        yield from _named("Excluded", condition.excluded)
    for day in condition.refused:
        yield (
            f"REFUSED:   {day.date}: {day.reason} It is a gap until you decide: civitai-etl exclude {day.date} "
            f'--because "...", or include {day.date} --because "...".'
        )


def _named(label: str, days: Sequence[date]) -> Iterator[str]:
    if days:
        more = f" and {len(days) - NAMED_DAYS:,} more" if len(days) > NAMED_DAYS else ""
        yield f"{label + ':':11}{', '.join(map(str, days[-NAMED_DAYS:]))}{more}"


def quality_lines(condition: Condition) -> Iterator[str]:
    """Quarantine, withheld counters and warnings of the newest day, as far as they are known."""
    if condition.quarantined is not None and condition.quarantined_in_total is not None:
        total = sum(condition.quarantined_in_total.values())
        heavy = " MORE THAN USUAL;" if condition.quarantine_is_heavy else ""
        newest = f"{_levels(condition.quarantined)} on {condition.newest}"
        more = " `civitai-etl quarantine` lists them." if total else ""
        yield f"Quarantine:{heavy} {newest}, {total:,} rows on all dates.{more}"
    if condition.withheld:
        yield f"WITHHELD:  on {condition.newest}: {', '.join(condition.withheld)}."
    if condition.warnings:
        rules = Counter(warning.rule for warning in condition.warnings)
        counted = ", ".join(f"{rule} {count:,}" for rule, count in sorted(rules.items()))
        yield f"Warnings:  on {condition.newest}: {counted}."
        yield from (f"           {warning.message}" for warning in condition.warnings[:NAMED_DAYS])
        if len(condition.warnings) > NAMED_DAYS:
            yield f"           and {len(condition.warnings) - NAMED_DAYS:,} more in star.ops_warning"


def _levels(counts: dict[str, int]) -> str:
    some = [f"{count:,} {level}{'s' * (count != 1)}" for level, count in counts.items() if count]
    return ", ".join(some) or "nothing"


def last_run_lines(run: LastRun | None) -> Iterable[str]:
    """How the last daily run ended."""
    if run is None:
        return
    result = run.result if run.result == "complete" else run.result.upper()
    yield (
        f"Last run:  of {run.snapshot_date} ended at {run.ended_at:%Y-%m-%d %H:%M} UTC after {duration(run.seconds)}: "
        f"{result}."
    )
    if run.error:
        yield f"           {run.error}"
    if run.next_attempt_at:
        yield f"           The next attempt begins at {run.next_attempt_at:%Y-%m-%d %H:%M} UTC."
