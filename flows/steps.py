"""The steps of a daily snapshot, the same for the command line and for Prefect.

The crawl fills the raw warehouse, and the watch list is looked up. Then the transforms add what is new to the star
schema and publish it. All steps hold the writer lock of the data directory: a second process gets an error that names
the first, or waits for it. A snapshot that waits goes first: what may take longer stops for it, and a rebuild and a
decision start again after it.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import date
from functools import partial
from math import inf
from pathlib import Path
from typing import TypeVar

from flows.backup import BackupReport, back_up
from flows.reporting.report import NothingPublishedError, open_analytics
from pipelines.api.client import Client
from pipelines.crawl.discovery import RefreshReport, refresh
from pipelines.crawl.lookups import LookupReport, look_up, watch_list
from pipelines.crawl.snapshot import SnapshotReport, drain, take_snapshot
from pipelines.errors import CivitaiEtlError
from pipelines.progress import Progress, Silent
from pipelines.raw.decisions import Decision, accept, exclude, include
from pipelines.raw.warehouse import create_warehouse
from pipelines.run_note import under_way
from pipelines.settings import Settings
from pipelines.storage.data_directory import DataDirectory
from pipelines.storage.directory import storage_errors
from pipelines.storage.lock import GaveWayError, SafePoint, give_way, go_on, writer_lock
from transforms.build import BuildReport, build, build_lookups, rebuild
from transforms.compact import CompactReport, compact
from transforms.continuity import put_back_decisions, refuse_lost_dates
from transforms.day.ahead import Ahead
from transforms.lake.files import Lake, UnreadableStarError
from transforms.lake.publish import is_outdated, relocate
from transforms.quality.counter_guard import counter_names

Result = TypeVar("Result")


class WatchListError(CivitaiEtlError):
    """The snapshot is published, but the service stopped answering before the whole watch list was looked up."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"The snapshot is published, but the watch list was not looked up to its end: {problem}")


class NotWithheldError(CivitaiEtlError):
    """The values to accept are not withheld."""


@dataclass(frozen=True)
class RunSummary:
    """What one daily run did: the crawl, the look-ups of the watch list (if any), and the build."""

    snapshot: SnapshotReport
    watched: LookupReport | None
    build: BuildReport


def run_daily_snapshot(
    settings: Settings,
    snapshot_date: date | None = None,
    progress: Progress = Silent(),
    *,
    service_moved: bool = False,
    wait: bool = False,
) -> RunSummary:
    """Crawl and publish one date.

    Args:
        settings: where to read from and write to.
        snapshot_date: the UTC date of the snapshot; None is today, the only date that a real service has.
        progress: receives every phase.
        service_moved: the service may have a new address.
        wait: whether to wait for another writer; a refresh, a rebuild or `compact` stops for this one.

    Raises:
        CivitaiEtlError: the lock is held, the service or the disk fails, or the data-quality checks refuse a date.
    """
    with snapshot_lock(settings, progress, wait=wait), staged_ahead(settings) as ahead:
        crawled = crawl(settings, snapshot_date, progress, ahead, service_moved=service_moved)
        watched = look_up_watched(settings, crawled.snapshot_date, progress)
        return RunSummary(crawled, watched, _build(settings, progress, ahead))


def snapshot_lock(settings: Settings, progress: Progress, *, wait: bool) -> AbstractContextManager[None]:
    """The writer lock for a crawl and the build after it. A waiting snapshot is the next to get it."""
    return writer_lock(
        settings.data_dir,
        settings.directory.lake,
        wait_seconds=_wait_seconds(settings, wait=wait),
        is_snapshot=True,
        progress=progress,
    )


def staged_ahead(settings: Settings) -> AbstractContextManager[Ahead]:
    """For a crawl and the build after it: what is decoded during the one need not be in the other. The caller holds the
    writer lock, with the lake.
    """
    return closing(Ahead(settings.directory.lake / "ahead"))


def crawl(
    settings: Settings,
    snapshot_date: date | None = None,
    progress: Progress = Silent(),
    ahead: Ahead | None = None,
    *,
    service_moved: bool = False,
) -> SnapshotReport:
    """Crawl one date into raw, if raw has all published dates. The caller holds the writer lock."""
    with under_way(settings.data_dir, "crawl", progress):
        _refuse_lost_dates(settings, progress)
        watcher = ahead.take if ahead else None
        return take_snapshot(settings, snapshot_date, progress, service_moved=service_moved, watcher=watcher)


def look_up_watched(settings: Settings, on: date, progress: Progress = Silent()) -> LookupReport | None:
    """Look up what is left of the watch list for that date, and retry as long as a crawl does.

    The caller holds the writer lock.
    """
    wanted = watch_list(settings, on)
    if not wanted:
        return None
    with under_way(settings.data_dir, "look-up", progress):
        return look_up(settings, wanted, progress, on, Client(settings, progress=progress))


def look_up_by_hand(
    settings: Settings, name: str, texts: Sequence[str], progress: Progress = Silent(), *, wait: bool = False
) -> LookupReport:
    """Ask for things by id, name or hash and publish the tables of look-ups; the rest of the star stays as it is.

    Raises:
        CivitaiEtlError: the lock is held, there is no such look-up, it does not take these keys, or the disk fails.
    """
    locked = _publishing(settings, progress, _wait_seconds(settings, wait=wait))
    with locked as directory, under_way(directory.root, "look-up", progress):
        _refuse_lost_dates(settings, progress)
        looked_up = look_up(settings, {name: texts}, progress)
        if directory.warehouse.exists():
            build_lookups(directory)
        return looked_up


def publish(settings: Settings, progress: Progress = Silent(), ahead: Ahead | None = None) -> BuildReport:
    """Add the new dates of raw to the star. The caller holds the writer lock, with the lake."""
    _refuse_lost_dates(settings, progress)
    return _build(settings, progress, ahead)


def relocate_star(settings: Settings, progress: Progress = Silent(), *, wait: bool = False) -> bool:
    """Point the published views to their files after the data directory was moved or copied; returns whether it was.

    Raises:
        NothingPublishedError: there are no tables.
        CivitaiEtlError: the lock is held, an earlier version made the tables, or one of their files is missing.
    """
    # Asked before the lock, which would make the directory of a mistyped path.
    if not settings.directory.analytics.exists():
        raise NothingPublishedError(
            f"Nothing is published at {settings.directory.analytics}: there is nothing to relocate."
        )
    with _publishing(settings, progress, _wait_seconds(settings, wait=wait)) as directory:
        if is_outdated(directory.analytics):
            raise CivitaiEtlError(
                f"{directory.analytics} was not made by this version of civitai-etl: run `civitai-etl rebuild`, which "
                "makes it again from raw."
            )
        return relocate(Lake(directory.lake), directory.analytics)


@contextmanager
def _publishing(settings: Settings, progress: Progress, wait_seconds: float) -> Iterator[DataDirectory]:
    """The data directory, under the writer lock and with its lake claimed."""
    directory = settings.directory
    locked = writer_lock(directory.root, directory.lake, wait_seconds=wait_seconds, progress=progress)
    with locked, storage_errors(directory.root, directory.lake):
        yield directory


def _wait_seconds(settings: Settings, *, wait: bool) -> float:
    return settings.wait_seconds if wait else 0.0


def _safe_point(settings: Settings) -> SafePoint:
    return partial(give_way, settings.data_dir)


def _until_done(work: Callable[[float], Result], settings: Settings, progress: Progress, *, wait: bool) -> Result:
    """Does work that is to be done however often it gives way to a snapshot.

    `work` takes the seconds for which to wait for the lock: no longer than is set before the first attempt, and as long
    as it takes after a snapshot.
    """
    wait_seconds = _wait_seconds(settings, wait=wait)
    while True:
        try:
            return work(wait_seconds)
        except GaveWayError as error:
            progress.note(f"{error} It starts again after the snapshot.")
            wait_seconds = inf


def _refuse_lost_dates(settings: Settings, progress: Progress) -> None:
    directory = settings.directory
    with storage_errors(directory.root, directory.lake):
        with suppress(UnreadableStarError):  # a crawl need not wait for it; the build reports it
            if relocate(Lake(directory.lake), directory.analytics):
                progress.note(f"{directory.root} was moved or copied: the tables now name the files that are here")
        refuse_lost_dates(directory)
        put_back_decisions(directory, progress)


def _build(
    settings: Settings, progress: Progress, ahead: Ahead | None = None, safe_point: SafePoint = go_on
) -> BuildReport:
    directory = settings.directory
    with storage_errors(directory.root, directory.lake), under_way(directory.root, "build", progress):
        return build(directory, limits=settings, progress=progress, ahead=ahead, safe_point=safe_point)


def refresh_documents(settings: Settings, progress: Progress = Silent(), *, wait: bool = False) -> RefreshReport:
    """Load the documents that are new since the last refresh. The star consists of observations and does not change.

    With `wait` it waits for another writer, and starts again if it has to give way to a snapshot.

    Raises:
        GaveWayError: a snapshot waits; nothing was loaded.
        CivitaiEtlError: the lock is held, there is no snapshot yet, or the service or the disk fails.
    """

    def work(wait_seconds: float) -> RefreshReport:
        locked = writer_lock(settings.data_dir, wait_seconds=wait_seconds, progress=progress)
        with locked, under_way(settings.data_dir, "refresh", progress):
            return refresh(settings, progress, _safe_point(settings))

    return _until_done(work, settings, progress, wait=True) if wait else work(0.0)


def rebuild_star(
    settings: Settings,
    from_date: date | None = None,
    to_date: date | None = None,
    into: Path | None = None,
    forget_dates: Collection[date] = (),
    progress: Progress = Silent(),
    *,
    wait: bool = False,
) -> BuildReport:
    """Make the star tables again from raw: in place, or as `lake` and `analytics.duckdb` in `into`.

    If a snapshot waits, it goes first, and the rebuild starts again after it.

    Args:
        settings: where to read from and write to.
        from_date: first snapshot date to make again; None is the first in raw.
        to_date: last snapshot date to make again; None is the last in raw.
        into: another directory to write to.
        forget_dates: exactly the published dates that raw lacks, to drop.
        progress: receives every phase.
        wait: whether to wait for another writer before the start.

    Raises:
        CivitaiEtlError: a lock is held, raw lacks other dates, the disk fails, or the data-quality checks refuse a
        date.
    """
    own = settings.directory
    directory = own
    if into is not None and into.resolve() != own.root.resolve():
        directory = DataDirectory.at(into, warehouse=own.warehouse)

    def work(wait_seconds: float) -> BuildReport:
        with ExitStack() as locks, storage_errors(directory.root, directory.lake):
            if directory is not own:
                locks.enter_context(writer_lock(own.root, wait_seconds=wait_seconds, progress=progress))
            locks.enter_context(
                writer_lock(directory.root, directory.lake, wait_seconds=wait_seconds, progress=progress)
            )
            locks.enter_context(under_way(own.root, "rebuild", progress))
            refuse_lost_dates(directory, forget_dates)
            if forget_dates and not own.warehouse.exists():
                create_warehouse(own.warehouse)
            put_back_decisions(directory, progress)
            drain(settings, progress)
            return rebuild(
                directory,
                from_date=from_date,
                to_date=to_date,
                limits=settings,
                progress=progress,
                safe_point=_safe_point(settings),
            )

    return _until_done(work, settings, progress, wait=wait)


def exclude_date(
    settings: Settings, on: date, because: str, progress: Progress = Silent(), *, wait: bool = False
) -> BuildReport:
    """Decide that the crawls of a date do not count, and publish the star without them: the date is a gap.

    Raises:
        CivitaiEtlError: the lock is held, the date has no crawl, or the disk fails.
    """
    return _decide(settings, partial(exclude, on=on, reason=because), progress, wait=wait)


def include_date(
    settings: Settings, on: date, because: str, progress: Progress = Silent(), *, wait: bool = False
) -> BuildReport:
    """Decide that a refused or excluded date counts, and publish the star with it; errors as above."""
    return _decide(settings, partial(include, on=on, reason=because), progress, wait=wait)


def accept_collapse(
    settings: Settings, counter: str, on: date, because: str, progress: Progress = Silent(), *, wait: bool = False
) -> BuildReport:
    """Decide that the collapse of a counter (table.column) on a date is real, and publish the star with its values.

    Raises:
        CivitaiEtlError: the lock is held, that counter is not withheld on that date, or the disk fails.
    """
    _refuse_unless_withheld(settings.directory.analytics, counter, on)
    decide = partial(accept, on=on, counter=counter, reason=because)
    return _decide(settings, decide, progress, wait=wait)


def _refuse_unless_withheld(analytics: Path, counter: str, on: date) -> None:
    if counter not in counter_names():
        raise NotWithheldError(f"There is no counter {counter!r}: the counters are {', '.join(counter_names())}.")
    withheld = []
    if not is_outdated(analytics):  # an earlier version withheld nothing
        with open_analytics(analytics) as connection:
            withheld = connection.execute(
                "select counter, snapshot_date from star.ops_withheld where not is_accepted order by all"
            ).fetchall()
    if (counter, on) not in withheld:
        counters = ", ".join(f"{name} on {day}" for name, day in withheld) or "nothing"
        raise NotWithheldError(f"{counter} is not withheld on {on}; what is withheld: {counters}.")


def _decide(settings: Settings, decide: Callable[[Path], Decision], progress: Progress, *, wait: bool) -> BuildReport:
    undecided = [decide]

    def work(wait_seconds: float) -> BuildReport:
        with _publishing(settings, progress, wait_seconds) as directory:
            _refuse_lost_dates(settings, progress)
            drain(settings, progress)
            while undecided:  # raw keeps the decision when the build gives way
                undecided.pop()(directory.warehouse)
            return _build(settings, progress, safe_point=_safe_point(settings))

    return _until_done(work, settings, progress, wait=wait)


def compact_closed_months(settings: Settings, progress: Progress = Silent(), *, wait: bool = False) -> CompactReport:
    """Publish what raw has, then merge the closed months of the star and archive their observations.

    With `wait` it waits for another writer, and starts again if it has to give way to a snapshot.

    Raises:
        GaveWayError: a snapshot waits; no month was replaced.
        CivitaiEtlError: the lock is held, there is no raw data yet, the disk fails, or a row would be lost.
    """
    safe_point = _safe_point(settings)

    def work(wait_seconds: float) -> CompactReport:
        with _publishing(settings, progress, wait_seconds) as directory:
            _refuse_lost_dates(settings, progress)
            drain(settings, progress)
            _build(settings, progress, safe_point=safe_point)
            with under_way(directory.root, "compact", progress):
                return compact(directory, limits=settings, progress=progress, safe_point=safe_point)

    return _until_done(work, settings, progress, wait=True) if wait else work(0.0)


def back_up_directory(
    settings: Settings, folder: Path, progress: Progress = Silent(), *, wait: bool = False
) -> BackupReport:
    """Bring the backup in `folder` up to date; a snapshot that waits goes first.

    With `wait` it waits for another writer, and starts again if it has to give way: only what is new is copied then.

    Raises:
        GaveWayError: a snapshot waits; the backup that was there stays.
        CivitaiEtlError: as for `flows.backup.back_up`.
    """

    def work(wait_seconds: float) -> BackupReport:
        return back_up(settings, folder, progress, wait_seconds=wait_seconds, safe_point=_safe_point(settings))

    return _until_done(work, settings, progress, wait=True) if wait else work(0.0)
