"""Which days the published tables have, and how old the newest complete one is."""

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from pipelines.errors import CivitaiEtlError

if TYPE_CHECKING:
    import duckdb

#: By this order the last crawl is the one that a date is known by: a complete crawl mends a partial one of its date.
LAST_CRAWL = "(snapshot_date, status = 'complete', started_at, crawl_id)"


@dataclass(frozen=True)
class Coverage:
    """The days with a snapshot. `newest_complete`: when the newest complete crawl began, by the service's clock."""

    dates: tuple[date, ...]
    partial: tuple[date, ...]
    newest_complete: datetime | None
    #: The share of the announced items that the newest date's crawl met, the complete one if it has one; None if the
    #: lists announce none.
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


def crawls_of(connection: "duckdb.DuckDBPyConnection") -> str:
    """The crawls as a relation in SQL: `star.ops_snapshot`, with verdicts also if an earlier version made it."""
    columns = {name for (name, *_) in connection.execute("describe star.ops_snapshot").fetchall()}
    if "verdict" in columns:
        return "star.ops_snapshot"
    return "(select *, null::varchar as verdict, null::varchar as verdict_reason from star.ops_snapshot)"


def coverage(connection: "duckdb.DuckDBPyConnection") -> Coverage:
    """Coverage from `star.ops_snapshot`. A date is complete when one of its crawls is."""
    crawls = crawls_of(connection)
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
        f"""
        select
            max(started_at) filter (status = 'complete'),
            arg_max_null(coverage, {LAST_CRAWL})
        from {crawls}
        where verdict is null
        """
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
