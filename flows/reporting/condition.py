"""The condition of a data directory at one moment, as plain values. Text, JSON, metrics and messages derive from it.

Everything comes from the published tables, the sizes of files and disks, and the record of the last run. The warehouse
is not opened: a reader would stop the next run. A decision is published by the run that makes it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Self, TypedDict

from msgspec import structs

from flows.reporting import report
from flows.reporting.capacity import Disk, Footprint, disk_warnings, disks_of, footprint_of
from flows.reporting.freshness import coverage, crawls_of
from pipelines.raw.warehouse import archive_of
from pipelines.run_record import Result, RunRecord, read_record
from pipelines.settings import Settings
from pipelines.storage.data_directory import DataDirectory
from transforms.day_checks import QUARANTINE_TOLERATED
from transforms.lake.published import is_there
from transforms.tables.operations import LEVELS

if TYPE_CHECKING:
    import duckdb

DEFAULT_MAX_AGE = timedelta(hours=36)
#: A snapshot that began later than this from now is an error: clocks may differ by an hour (`pipelines.crawl.clock`).
CLOCK_TOLERANCE = timedelta(hours=1)
#: Below this share of what the lists announced, the newest day is not called fresh without a word.
EXPECTED_SHARE = 0.99
#: Why a crawl without a reason is partial.
UNFINISHED = "its crawl was cut off or is under way"
#: Missing days that count as a problem: those among the last so many. An older gap cannot be closed.
RECENT_DAYS = 7


@dataclass(frozen=True)
class DayWithReason:
    """A snapshot date, and why it is partial or refused."""

    date: date
    reason: str


@dataclass(frozen=True)
class Warned:
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
    """The last daily run (`pipelines.run_record`)."""

    snapshot_date: date
    result: Result
    began_at: datetime
    ended_at: datetime
    seconds: float
    error: str | None
    next_attempt_at: datetime | None

    @classmethod
    def of(cls, record: RunRecord) -> Self:
        return cls(seconds=record.seconds, **structs.asdict(record))

    @property
    def has_failed(self) -> bool:
        """Whether it ended with an error. A partial snapshot is no error."""
        return self.result in ("failed", "refused") or (self.result != "partial" and self.error is not None)


@dataclass(frozen=True)
class Condition:
    """What is known of a data directory `as_of` a moment; None is what nothing says, and is not zero.

    `newest` is the newest date with a crawl that counts. `newest_complete_at` is when the newest complete crawl began,
    by the service's clock. `quarantined` counts the rows of `newest` by level, `withheld` names its counters, and
    `warnings` are its own. `quarantine_is_heavy` if they are more than ten and more than the share of its observations
    that CIVITAI_ETL_MAX_QUARANTINE_SHARE allows. (That share refuses a date for items and records alone.)
    """

    as_of: datetime
    max_age_seconds: float
    last_run: LastRun | None
    disks: tuple[DiskSpace, ...] = ()
    bytes: dict[str, int] = field(default_factory=dict)
    is_published: bool = False
    rows: dict[str, int] = field(default_factory=dict)
    dates: tuple[date, ...] = ()
    partial: tuple[date, ...] = ()
    missing: tuple[date, ...] = ()
    excluded: tuple[date, ...] = ()
    refused: tuple[DayWithReason, ...] = ()
    newest: date | None = None
    newest_is_complete: bool | None = None
    newest_complete: date | None = None
    newest_complete_at: datetime | None = None
    newest_partial: DayWithReason | None = None
    met_share: float | None = None
    quarantined: dict[str, int] | None = None
    quarantined_in_total: dict[str, int] | None = None
    quarantine_is_heavy: bool | None = None
    withheld: tuple[str, ...] | None = None
    withheld_in_total: int | None = None
    warnings: tuple[Warned, ...] | None = None

    @property
    def age_seconds(self) -> float | None:
        """How long ago the newest complete snapshot began; less than zero if its date is in the future."""
        return None if self.newest_complete_at is None else (self.as_of - self.newest_complete_at).total_seconds()

    @property
    def problems(self) -> tuple[str, ...]:
        """The names of what is wrong, as in `PROBLEMS`."""
        return tuple(name for name, (_, has_problem) in PROBLEMS.items() if has_problem(self))

    @property
    def recently_missing(self) -> tuple[date, ...]:
        """Days without a snapshot among the last ones, without those that a person excluded."""
        since = self.newest - timedelta(days=RECENT_DAYS) if self.newest else date.max
        return tuple(day for day in self.missing if day >= since and day not in self.excluded)


def _is_partial(condition: Condition) -> bool:
    share = condition.met_share
    return condition.newest_is_complete is False or (share is not None and share < EXPECTED_SHARE)


#: What may be wrong: the name as in `status --fail-on`, its meaning, and whether a condition has it.
PROBLEMS: dict[str, tuple[str, Callable[[Condition], bool]]] = {
    "stale": (
        "no complete snapshot, or none of at most the age that is allowed",
        lambda known: known.age_seconds is None or known.age_seconds > known.max_age_seconds,
    ),
    "future": (
        "the newest complete snapshot is more than an hour in the future",
        lambda known: known.age_seconds is not None and known.age_seconds < -CLOCK_TOLERANCE.total_seconds(),
    ),
    "partial": (
        f"the newest date is partial, or its crawl met less than {EXPECTED_SHARE:.0%} of what the lists announced",
        _is_partial,
    ),
    "quarantine": (
        "anything of the newest date is quarantined",
        lambda known: sum((known.quarantined or {}).values()) > 0,
    ),
    "withheld": ("a counter of the newest date is withheld", lambda known: bool(known.withheld)),
    "missing": (
        f"one of the {RECENT_DAYS} days before the newest date has no snapshot and was not excluded",
        lambda known: bool(known.recently_missing),
    ),
    "refused": ("a refused date awaits a decision", lambda known: bool(known.refused)),
    "warnings": ("the checks of the newest date warned", lambda known: bool(known.warnings)),
    "disk": ("a disk will not do (`civitai-etl status` says why)", lambda known: any(d.warnings for d in known.disks)),
    "failed-run": (
        "the last daily run failed, or its watch list was not looked up",
        lambda known: known.last_run is not None and known.last_run.has_failed,
    ),
}
#: Problems that always fail `status`.
ALWAYS = ("stale", "future")


# ----------------------------------------------------------------------------------------------------- where it is from


def condition_of(settings: Settings, max_age: timedelta = DEFAULT_MAX_AGE) -> Condition:
    """The condition of a data directory now.

    Raises:
        CivitaiEtlError: the published tables cannot be read, or were moved.
    """
    directory = settings.directory
    footprint = footprint_of(directory)
    known = replace(
        without_tables(settings, max_age),
        disks=tuple(_space(disk, footprint) for disk in disks_of(directory, footprint)),
    )
    if not is_there(directory.analytics):
        return known
    with report.open_analytics(directory.analytics) as connection:
        covered, newest = coverage(connection), _newest(connection)
        return replace(
            known,
            is_published=True,
            rows=report.published_rows(connection),
            bytes=_bytes(connection, directory),
            dates=covered.dates,
            partial=covered.partial,
            missing=tuple(covered.missing),
            excluded=covered.excluded,
            refused=tuple(DayWithReason(*each) for each in covered.refused),
            newest_complete_at=covered.newest_complete,
            met_share=covered.newest_share,
            **newest,
            **_quality(connection, newest["newest"], settings.max_quarantine_share),
        )


def without_tables(settings: Settings, max_age: timedelta = DEFAULT_MAX_AGE) -> Condition:
    """What is known where no tables can be read: how the last run ended."""
    record = read_record(settings.data_dir)
    last_run = LastRun.of(record) if record else None
    return Condition(datetime.now(UTC), max_age.total_seconds(), last_run)


def _space(disk: Disk, footprint: Footprint) -> DiskSpace:
    is_measured = footprint.dates > 0
    return DiskSpace(
        str(disk.path),
        int(disk.free),
        disk.free / disk.day if is_measured else None,
        disk.free / disk.compacted_day if is_measured else None,
        tuple(disk_warnings(disk)),
    )


def _bytes(connection: "duckdb.DuckDBPyConnection", directory: DataDirectory) -> dict[str, int]:
    row = connection.execute("select sum(bytes)::bigint from star.manifest").fetchone()
    assert row is not None
    warehouse = directory.warehouse
    return {
        "star": row[0] or 0,
        "warehouse": warehouse.stat().st_size if warehouse.exists() else 0,
        "archive": sum(path.stat().st_size for path in archive_of(warehouse).rglob("*.parquet")),
    }


class _Newest(TypedDict):
    newest: date | None
    newest_is_complete: bool | None
    newest_complete: date | None
    newest_partial: DayWithReason | None


def _newest(connection: "duckdb.DuckDBPyConnection") -> _Newest:
    """The newest dates of the crawls that count, also of those that observed nothing."""
    days = connection.execute(
        f"""
        select snapshot_date, bool_or(status = 'complete'), arg_max_null(reason, (started_at, crawl_id))
        from {crawls_of(connection)}
        where verdict is null
        group by snapshot_date
        order by snapshot_date desc
        """
    ).fetchall()
    complete = [day for day, is_complete, _ in days if is_complete]
    partial = [(day, reason) for day, is_complete, reason in days if not is_complete]
    return _Newest(
        newest=days[0][0] if days else None,
        newest_is_complete=days[0][1] if days else None,
        newest_complete=complete[0] if complete else None,
        newest_partial=DayWithReason(partial[0][0], partial[0][1] or UNFINISHED) if partial else None,
    )


class _Quality(TypedDict, total=False):
    quarantined: dict[str, int]
    quarantined_in_total: dict[str, int]
    quarantine_is_heavy: bool
    withheld: tuple[str, ...]
    withheld_in_total: int
    warnings: tuple[Warned, ...]


def _quality(connection: "duckdb.DuckDBPyConnection", newest: date | None, max_share: float) -> _Quality:
    """What the checks found, as far as there are tables of it: an earlier version may have made them."""
    names = "select table_name from information_schema.tables where table_schema = 'star'"
    tables = {name for (name,) in connection.execute(names).fetchall()}
    found = _Quality()
    if "ops_quarantine" in tables:
        levels = "select level, count(*) from star.ops_quarantine {where} group by level"
        total = dict(connection.execute(levels.format(where="")).fetchall())
        of_newest = dict(connection.execute(levels.format(where="where snapshot_date = ?"), [newest]).fetchall())
        found["quarantined_in_total"] = {level: total.get(level, 0) for level in LEVELS}
        found["quarantined"] = {level: of_newest.get(level, 0) for level in LEVELS}
        found["quarantine_is_heavy"] = sum(of_newest.values()) > max(
            QUARANTINE_TOLERATED, max_share * _observations(connection, newest)
        )
    if "ops_withheld" in tables:
        rows = connection.execute(
            "select snapshot_date, counter from star.ops_withheld where not is_accepted order by all"
        ).fetchall()
        found["withheld"] = tuple(counter for day, counter in rows if day == newest)
        found["withheld_in_total"] = len(rows)
    if "ops_warning" in tables:
        rows = connection.execute(
            "select rule, subject, message from star.ops_warning where snapshot_date = ? order by all", [newest]
        ).fetchall()
        found["warnings"] = tuple(Warned(*row) for row in rows)
    return found


def _observations(connection: "duckdb.DuckDBPyConnection", on: date | None) -> int:
    row = connection.execute(
        f"select sum(observations)::bigint from {crawls_of(connection)} where snapshot_date = ? and verdict is null",
        [on],
    ).fetchone()
    return (row and row[0]) or 0
