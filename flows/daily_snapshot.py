"""The Prefect flow `daily_snapshot`: the same steps as `civitai-etl snapshot`, watched by a Prefect server."""

from datetime import date
from pathlib import Path

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE

from flows import steps
from flows.daily_run import daily_run
from flows.reporting import report
from flows.retries import first_date, next_attempt_after, until_midnight
from flows.runs import LoggedProgress, leave_star_artifacts
from pipelines.errors import CivitaiEtlError
from pipelines.settings import Settings
from pipelines.storage.lock import writer_lock
from transforms.day.ahead import Ahead


class PartialSnapshotError(CivitaiEtlError):
    """The snapshot is published but partial; its run fails, so that alerts see it."""


@task(cache_policy=NO_CACHE)
def crawl(snapshot_date: date, ahead: Ahead) -> date:
    """Crawl the service; returns the date of the snapshot."""
    crawled = steps.crawl(Settings(), snapshot_date, LoggedProgress(), ahead)
    get_run_logger().info(report.crawl_line(crawled))
    return crawled.snapshot_date


@task
def look_up(snapshot_date: date) -> str | None:
    """Look up the watch list; returns why it stopped early, if it did."""
    watched = steps.look_up_watched(Settings(), snapshot_date, LoggedProgress())
    if watched is None:
        return None
    get_run_logger().info(report.lookup_line(watched))
    return watched.problem


@task(cache_policy=NO_CACHE)
def publish(snapshot_date: date, ahead: Ahead) -> Path:
    """Bring the star schema up to date; returns `analytics.duckdb` and leaves the artifacts of the run."""
    settings = Settings()
    built = steps.publish(settings, LoggedProgress(), ahead)
    with report.open_analytics(settings.directory.analytics) as connection:
        sentence = report.crawl_record(connection, snapshot_date).line()
    leave_star_artifacts(settings.directory.analytics, "daily-snapshot", f"Snapshot {snapshot_date}", sentence, built)
    return settings.directory.analytics


@flow(name="daily_snapshot")
@until_midnight
def daily_snapshot(snapshot_date: date | None = None) -> Path:
    """Crawl the service, look up the watch list and publish the tables; returns the path of `analytics.duckdb`.

    A run that fails is tried again until midnight UTC (`flows.retries`).

    Args:
        snapshot_date: UTC date of the snapshot; None is the date on which the first attempt began. A real service
            has no other.

    Raises:
        PartialSnapshotError: the snapshot is published, but partial.
        WatchListError: the snapshot is published, but not all of the watch list could be looked up.
    """
    settings, on = Settings(), snapshot_date or first_date()
    with daily_run(settings, on, get_run_logger().warning, next_attempt_after) as run:
        with writer_lock(settings.data_dir, settings.directory.lake), steps.staged_ahead(settings) as ahead:
            crawled_date = crawl(on, ahead)
            run.problem = look_up(crawled_date)
            analytics = publish(crawled_date, ahead)
        with report.open_analytics(analytics) as connection:
            record = report.crawl_record(connection, crawled_date)
        run.snapshot_date, run.status, run.reason = crawled_date, record.status, record.reason
        if record.status != "complete":
            raise PartialSnapshotError(record.line())
        if run.problem:
            raise steps.WatchListError(run.problem)
    return analytics
