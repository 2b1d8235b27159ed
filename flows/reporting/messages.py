"""Which message is due about a data directory, and its words. Pure: what was said before goes in, and comes out.

An incident is something wrong with one snapshot date: no complete snapshot of it ("day"), a refusal, on which a person
has to decide, withheld counters, or a heavy quarantine. Each is said once, and so is the first good day after it. The
attempts of a night are one incident: nothing is said of a failed attempt while another one is to come, until the date
is over or the hour has passed by which a snapshot should be complete.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal

import msgspec
from croniter import croniter

from flows.reporting.condition import Condition, LastRun
from flows.reporting.text import plain
from pipelines.progress import duration
from pipelines.settings import variable

Topic = Literal["day", "refused", "withheld", "quarantine"]


class Said(msgspec.Struct, frozen=True):
    """The incidents that were said since the last good day, and when the last of them was."""

    incidents: tuple[tuple[date, Topic], ...] = ()
    at: datetime | None = None


@dataclass(frozen=True)
class Incident:
    """What is wrong with a date: in a few words for a title, in a sentence, and what to do."""

    date: date
    topic: Topic
    title: str
    what: str
    advice: str


@dataclass(frozen=True)
class Message:
    """A title, and a body of plain text."""

    title: str
    body: str


@dataclass(frozen=True)
class Deadline:
    """By which hour (UTC) of a day the snapshot of the last scheduled time should be complete."""

    hour: int
    cron: str

    def expected(self, now: datetime) -> date:
        """The snapshot date that should be complete by now."""
        by = datetime.combine(now.date(), time(self.hour), UTC)
        passed = by if by <= now else by - timedelta(days=1)
        scheduled: datetime = croniter(self.cron, passed).get_prev(datetime)
        return scheduled.date()


def due(condition: Condition, said: Said, deadline: Deadline | None, where: str) -> tuple[Message | None, Said]:
    """The message to send now, if any, and what has been said when it is sent. `where` is a line on the directory."""
    found = list(incidents(condition, deadline))
    new = [each for each in found if (each.date, each.topic) not in said.incidents]
    if new:
        topics = tuple((each.date, each.topic) for each in new)
        return _of_incidents(new, condition, where), Said((*said.incidents, *topics), condition.as_of)
    run = condition.last_run
    is_news = run is not None and said.at is not None and run.ended_at > said.at
    if run is not None and is_news and not found and run.result == "complete" and not run.error:
        return _of_good_day(run, said, condition, where), Said()
    return None, said


# -------------------------------------------------------------------------------------------------------- what is wrong


def incidents(condition: Condition, deadline: Deadline | None) -> Iterator[Incident]:
    """Everything that is wrong now, at most one of a date and topic."""
    run = condition.last_run
    of_run = _of_run(run) if run and is_over(run, condition.as_of) else None
    if of_run:
        yield of_run
    late = _late(condition, deadline) if deadline else None
    if late and not (of_run and of_run.date == late.date):
        yield late
    if run and run.next_attempt_at and not of_run:
        return  # the next attempt may still replace what the last one published
    yield from _of_newest(condition)


def is_over(run: LastRun, now: datetime) -> bool:
    """Whether no other attempt of a run is to come: none was granted, or the UTC day of the granted one is over."""
    if run.next_attempt_at is None:
        return True
    return now >= datetime.combine(run.next_attempt_at.date() + timedelta(days=1), time(), UTC)


def _of_run(run: LastRun) -> Incident | None:
    on, error = run.snapshot_date, run.error or "no reason is known"
    match run.result:
        case "failed":
            return Incident(
                on,
                "day",
                "the snapshot failed",
                f"The snapshot of {on} failed after {duration(run.seconds)}: {error}",
                f"Do what the line says, then run `civitai-etl snapshot`: on {on} (UTC) it continues where it stopped. "
                "Tomorrow that day cannot be observed any more.",
            )
        case "refused":
            return Incident(
                on,
                "refused",
                "the checks refused the date",
                f"The checks refused {on}, and the tables have a gap there: {error}",
                f"Look at what the service lists now, then decide: `civitai-etl include {on}` or `exclude {on}`.",
            )
        case "partial":
            return Incident(
                on,
                "day",
                "the snapshot is partial",
                f"The snapshot of {on} is published, but partial: {error}.",
                f"`civitai-etl snapshot` on {on} (UTC) crawls it again. Otherwise the next snapshot covers the day.",
            )
        case "complete" | "withheld" if run.error:
            return Incident(
                on,
                "day",
                "the watch list was not looked up",
                error,
                f"`civitai-etl snapshot` on {on} (UTC) requests only what is missing.",
            )
        case _:
            return None


def _late(condition: Condition, deadline: Deadline) -> Incident | None:
    if not condition.dates and condition.last_run is None:
        return None  # nobody has begun
    on = deadline.expected(condition.as_of)
    newest = condition.newest_complete
    if (newest and newest >= on) or on in condition.excluded:
        return None
    last = f"The newest complete snapshot is that of {newest}." if newest else "There is no complete snapshot yet."
    attempt = ""
    if (run := condition.last_run) and run.snapshot_date == on:
        more = f" The next attempt begins at {run.next_attempt_at:%H:%M} UTC." if run.next_attempt_at else ""
        attempt = f" The last attempt ended at {run.ended_at:%H:%M} UTC, {run.result}: {run.error}{more}"
    return Incident(
        on,
        "day",
        f"no complete snapshot by {deadline.hour:02}:00 UTC",
        f"{last}{attempt}",
        "`civitai-etl doctor` says whether `serve` runs and whether a run is at work. If none is, run "
        f"`civitai-etl snapshot` before midnight UTC: tomorrow {on} cannot be observed any more. If a snapshot usually "
        f"takes longer, set {variable('notify_hour')} to a later hour.",
    )


def _of_newest(condition: Condition) -> Iterator[Incident]:
    on = condition.newest
    if on and condition.withheld:
        counters = ", ".join(condition.withheld)
        yield Incident(
            on,
            "withheld",
            "counters are withheld",
            f"On {on} these counters collapsed, and their values are withheld: {counters}.",
            f'If the fall is real: `civitai-etl accept {condition.withheld[0]} {on} --because "..."`. If it is not, '
            "nothing is to be done: the next flows span the day.",
        )
    if on and condition.quarantine_is_heavy and condition.quarantined:
        levels = ", ".join(f"{level} {count:,}" for level, count in condition.quarantined.items() if count)
        yield Incident(
            on,
            "quarantine",
            "much is quarantined",
            f"On {on} the quarantine took much more than usual ({levels}); the rest is published.",
            "`civitai-etl quarantine` lists the reasons. The service may have changed its documents.",
        )


# ------------------------------------------------------------------------------------------------------------- in words


def _of_incidents(new: Sequence[Incident], condition: Condition, where: str) -> Message:
    first = new[0]
    more = f" (and {len(new) - 1} more)" if len(new) > 1 else ""
    paragraphs = [f"{each.what}\n\nWhat to do: {each.advice}" for each in new]
    return _message(f"{first.date}: {first.title}{more}", [*paragraphs, *_numbers(condition, where)])


def _of_good_day(run: LastRun, said: Said, condition: Condition, where: str) -> Message:
    days = sorted({day for day, _ in said.incidents})
    sentence = (
        f"The snapshot of {run.snapshot_date} is complete, after {duration(run.seconds)}. The messages before were "
        f"about {', '.join(map(str, days))}."
    )
    return _message(f"{run.snapshot_date}: good again", [sentence, *_numbers(condition, where)])


def _numbers(condition: Condition, where: str) -> list[str]:
    lines = []
    if condition.newest_complete:
        lines.append(f"Newest complete snapshot: {condition.newest_complete}")
    if condition.met_share is not None:
        lines.append(f"Share of the announced items that the newest crawl met: {condition.met_share:.2%}")
    if condition.dates:
        lines.append(
            f"Days: {len(condition.dates):,} (partial: {len(condition.partial):,}), missing: {len(condition.missing):,}"
        )
    if condition.quarantined is not None:
        lines.append(f"Quarantined on {condition.newest}: {sum(condition.quarantined.values()):,} rows")
    if condition.warnings is not None:
        lines.append(f"Warnings on {condition.newest}: {len(condition.warnings):,}")
    lines += [f"Disk: {warning}" for disk in condition.disks for warning in disk.warnings]
    return ["\n".join([*lines, where])]


def _message(title: str, paragraphs: Iterable[str]) -> Message:
    body = "\n\n".join(paragraphs)
    return Message(f"civitai-etl {plain(title)}", "\n".join(map(plain, body.split("\n"))))
