"""How fresh and how complete the published tables are, for people and for monitors."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from flows.reporting import report
from flows.reporting.console import say
from pipelines.errors import CivitaiEtlError
from pipelines.progress import duration
from pipelines.settings import Settings

if TYPE_CHECKING:
    import duckdb

STALE = 4
#: How many missing days are listed.
NAMED_GAPS = 10


@dataclass(frozen=True)
class Coverage:
    """The days with a snapshot. `newest_complete`: when the newest complete crawl began, by the service's clock."""

    dates: tuple[date, ...]
    partial: tuple[date, ...]
    newest_complete: datetime | None
    #: The share of the announced items that the newest crawl met; None if the lists announce none.
    newest_share: float | None
    #: Dates that the checks refused and that await a decision, with the reason.
    refused: tuple[tuple[date, str], ...]
    excluded: tuple[date, ...]

    @property
    def missing(self) -> list[date]:
        """Days between the first and the last snapshot that have none."""
        days = (self.dates[-1] - self.dates[0]).days if self.dates else 0
        return [day for n in range(days) if (day := self.dates[0] + timedelta(days=n)) not in self.dates]


def parse_age(text: str) -> timedelta:
    """`90m`, `36h` or `7d` as a span of time."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([mhd])", text.strip())
    if match is None:
        raise CivitaiEtlError(f"--max-age {text!r} is not an age: give a number and m, h or d, such as 36h.")
    try:
        return float(match[1]) * {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}[match[2]]
    except OverflowError:
        return timedelta.max


def coverage(connection: "duckdb.DuckDBPyConnection") -> Coverage:
    """Coverage from `star.ops_snapshot`. A date is complete when one of its crawls is."""
    columns = {name for (name, *_) in connection.execute("describe star.ops_snapshot").fetchall()}
    crawls = (
        "star.ops_snapshot"
        if "verdict" in columns
        # An earlier version without verdicts made the tables.
        else "(select *, null::varchar as verdict, null::varchar as verdict_reason from star.ops_snapshot)"
    )
    rows = connection.execute(
        f"""
        select snapshot_date, bool_or(status = 'complete') as complete
        from {crawls}
        where observations > 0 and verdict is null
        group by snapshot_date
        order by snapshot_date
        """
    ).fetchall()
    left_out = connection.execute(
        f"""
        select snapshot_date, arg_max(verdict, started_at), arg_max_null(verdict_reason, started_at)
        from {crawls}
        group by snapshot_date
        having bool_and(verdict is not null)
        order by snapshot_date
        """
    ).fetchall()
    newest = connection.execute(
        "select max(started_at) filter (status = 'complete'), arg_max_null(coverage, started_at) "
        f"from {crawls} where verdict is null"
    ).fetchone()
    assert newest is not None
    newest_complete, newest_share = newest
    return Coverage(
        tuple(day for day, _ in rows),
        tuple(day for day, complete in rows if not complete),
        newest_complete,
        newest_share,
        refused=tuple((day, reason) for day, verdict, reason in left_out if verdict == "refused"),
        excluded=tuple(day for day, verdict, _ in left_out if verdict == "excluded"),
    )


def print_status(settings: Settings, max_age: timedelta) -> int:
    """Print freshness, coverage, capacity and rows; returns 0, or 4 when there is no complete snapshot of at most
    `max_age`.
    """
    from flows.reporting.capacity import capacity_lines

    with report.open_analytics(settings.directory.analytics) as connection:
        covered = coverage(connection)
        rows = report.published_rows(connection)
    if covered.newest_complete is None:
        fresh = False
        say("Newest:    no complete snapshot is published yet.")
    else:
        age = datetime.now(UTC) - covered.newest_complete
        fresh = age <= max_age
        say(
            f"Newest:    complete snapshot of {covered.newest_complete:%Y-%m-%d %H:%M} UTC, "
            f"{duration(age.total_seconds())} old; {'fresh' if fresh else 'STALE'} "
            f"(at most {duration(max_age.total_seconds())})."
        )
    if covered.dates:
        say(
            f"Coverage:  {covered.dates[0]} to {covered.dates[-1]}; days with a snapshot: {len(covered.dates):,} "
            f"(partial: {len(covered.partial):,}), without: {len(covered.missing):,}."
        )
        if covered.newest_share is not None:
            say(f"           The newest crawl met {covered.newest_share:.2%} of what the service's lists announced.")
        for label, days in (
            ("Partial", covered.partial),
            ("Missing", covered.missing),
            ("Excluded", covered.excluded),
        ):
            if days:
                more = f" and {len(days) - NAMED_GAPS:,} more" if len(days) > NAMED_GAPS else ""
                say(f"{label + ':':11}{', '.join(map(str, days[-NAMED_GAPS:]))}{more}")
    for day, reason in covered.refused:
        say(f"REFUSED:   {day}: {reason} It is a gap until you decide: civitai-etl exclude {day}, or include {day}.")
    say(*capacity_lines(settings))
    say("", "Rows per table:")
    say(*report.row_lines(rows))
    say("")
    say(*report.place_lines(settings))
    return 0 if fresh else STALE
