"""The sequence of steps behind a daily snapshot, the same for the command line and for Prefect.

First the crawl fills the raw warehouse, then the transforms add what is new to the star schema and publish it. Both
happen under the writer lock of the data directory: whoever comes second is told who is at work.
"""

from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from pipelines.lock import writer_lock
from pipelines.progress import Progress, Silent
from pipelines.refresh import RefreshReport, refresh
from pipelines.settings import Settings
from pipelines.snapshot import SnapshotReport, drain, take_snapshot
from pipelines.storage import storage_errors
from transforms.build import BuildReport, build, rebuild


@dataclass(frozen=True)
class RunSummary:
    """What one daily run did: the crawl, and the build that followed it."""

    snapshot: SnapshotReport
    build: BuildReport


def run_daily_snapshot(
    settings: Settings, snapshot_date: date | None = None, progress: Progress = Silent()
) -> RunSummary:
    """Crawl and publish one date.

    Args:
        settings: where to read from and write to.
        snapshot_date: the UTC date to be photographed; None is today, the only date that a real service can answer for.
        progress: is told about every phase.

    Raises:
        CivitaiEtlError: the lock is held, the service or the disk does not play along, or the quality gate refuses.
    """
    with writer_lock(settings.data_dir, settings.lake):
        crawled = take_snapshot(settings, snapshot_date, progress)
        return RunSummary(crawled, publish(settings, progress))


def publish(settings: Settings, progress: Progress = Silent()) -> BuildReport:
    """Add the dates that raw has and the star has not. The caller holds the writer lock, with the lake."""
    with storage_errors(settings.data_dir, settings.lake):
        return build(
            settings.warehouse,
            settings.lake,
            settings.analytics,
            max_quarantine_share=settings.max_quarantine_share,
            max_change_share=settings.max_change_share,
            progress=progress,
        )


def refresh_documents(settings: Settings, progress: Progress = Silent()) -> RefreshReport:
    """Load the documents of what is new since the last look. The star is made of observations, so it stays as it is.

    Raises:
        CivitaiEtlError: the lock is held, there is no snapshot yet, or the service or the disk does not play along.
    """
    with writer_lock(settings.data_dir):
        return refresh(settings, progress)


def rebuild_star(
    settings: Settings,
    from_date: date | None = None,
    to_date: date | None = None,
    into: Path | None = None,
    progress: Progress = Silent(),
) -> BuildReport:
    """Make the star tables anew from raw: in place or, given `into`, as `lake` and `analytics.duckdb` in there."""
    if into is not None and into.resolve() == settings.data_dir.resolve():
        into = None
    data_dir, lake = (into, into / "lake") if into else (settings.data_dir, settings.lake)
    with ExitStack() as locks, storage_errors(data_dir, lake):
        if into:
            locks.enter_context(writer_lock(settings.data_dir))
        locks.enter_context(writer_lock(data_dir, lake))
        drain(settings)
        return rebuild(
            settings.warehouse,
            lake,
            data_dir / "analytics.duckdb",
            from_date=from_date,
            to_date=to_date,
            max_quarantine_share=settings.max_quarantine_share,
            max_change_share=settings.max_change_share,
            progress=progress,
        )
