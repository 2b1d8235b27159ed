"""The condition of a data directory at one moment, as plain values. Text, JSON, metrics and messages derive from it.

Everything comes from the published tables, the sizes of files and disks, and the record of the last run. The warehouse
is not opened: a reader would stop the next run. A decision is published by the run that makes it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from flows.reporting import report
from flows.reporting.capacity import Disk, disk_warnings, disks_of, footprint_of
from flows.reporting.freshness import Coverage, coverage
from pipelines.raw.warehouse import archive_of
from pipelines.run_record import Result, read_record
from pipelines.settings import Settings

if TYPE_CHECKING:
    import duckdb

#: A snapshot that began later than this from now is an error: clocks may differ by an hour (`pipelines.crawl.clock`).
CLOCK_TOLERANCE = timedelta(hours=1)
#: Below this share of what the lists announced, the newest day is not called fresh without a word.
EXPECTED_SHARE = 0.99
#: Missing days that count as a problem: those among the last so many. An older gap cannot be closed.
RECENT_DAYS = 7


@dataclass(frozen=True)
class DayWithReason:
    """A snapshot date and why it is partial or refused."""

    date: date
    reason: str


@dataclass(frozen=True)
class Warning:
    """A row of `star.ops_warning`."""

    rule: str
    subject: str
    message: str


@dataclass(frozen=True)
class DiskSpace:
    """A disk of the data directory: free bytes, days until it is full at today's pace and with `compact` every month
    (None before the first day was measured), and what will not do.
    """

    path: str
    free_bytes: int
    days_left: float | None
    compacted_days_left: float | None
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class LastRun:
    """The last daily run, as recorded when it ended."""

    snapshot_date: date
    result: Result
    began_at: datetime
    ended_at: datetime
    seconds: float
    error: str | None


@dataclass(frozen=True)
class Condition:
    """What is known of a data directory `as_of` a moment; None is what nothing says, and is not zero.

    `newest` is the newest date with a crawl that counts. `newest_complete_at` is when the newest complete crawl began,
    by the service's clock. Dictionaries by level, table and place always have all levels and places.
    """

    as_of: datetime
    max_age_seconds: float
    first: date | None
    newest: date | None
    newest_is_complete: bool | None
    newest_complete: date | None
    newest_complete_at: datetime | None
    age_seconds: float | None
    newest_partial: DayWithReason | None
    met_share: float | None
    dates: int
    partial: tuple[date, ...]
    missing: tuple[date, ...]
    excluded: tuple[date, ...]
    refused: tuple[DayWithReason, ...]
    quarantined: dict[str, int] | None
    quarantined_in_total: dict[str, int] | None
    is_quarantine_heavy: bool | None
    withheld: tuple[str, ...] | None
    withheld_in_total: int | None
    warnings: tuple[Warning, ...] | None
    rows: dict[str, int]
    bytes: dict[str, int]
    disks: tuple[DiskSpace, ...]
    last_run: LastRun | None
    problems: tuple[str, ...]
