"""The Prefect flow `daily_snapshot`: the same steps as `civitai-etl snapshot`, watched by a Prefect server."""

from datetime import date
from pathlib import Path

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from flows import run_names, steps
from flows.artifacts import import_charts, leave_star_artifacts, lists_before, rows_before
from flows.daily_run import daily_run
from flows.reporting import outcome, report
from flows.reporting.logs import LOG
from flows.retries import first_date, next_attempt_after, until_midnight
from flows.run_log import progress, shown
from pipelines.errors import CivitaiEtlError
from pipelines.settings import Settings
from transforms.day.ahead import Ahead


class PartialSnapshotError(CivitaiEtlError):
    """The snapshot is published but partial; its run fails, so that alerts see it."""


@task(cache_policy=NO_CACHE, task_run_name="crawl {snapshot_date}")
def crawl(snapshot_date: date, ahead: Ahead) -> date:
    """Crawl the service; returns the date of the snapshot."""
    settings = Settings()
    progress().expect(lists_before(settings.directory.analytics))
    crawled = steps.crawl(settings, snapshot_date, progress(), ahead)
    progress().rest("last load")
    outcome.log_crawl(crawled)
    return crawled.snapshot_date


@task(task_run_name="look up {snapshot_date}")
def look_up(snapshot_date: date) -> str | None:
    """Look up the watch list; returns why it stopped early, if it did."""
    watched = steps.look_up_watched(Settings(), snapshot_date, progress())
    if watched is None:
        return None
    outcome.log_look_up(watched)
    return watched.problem


@task(cache_policy=NO_CACHE, task_run_name="publish {snapshot_date}")
def publish(snapshot_date: date, ahead: Ahead) -> Path:
    """Bring the star schema up to date; returns `analytics.duckdb` and leaves the artifacts of the run."""
    settings = Settings()
    analytics = settings.directory.analytics
    before = rows_before(analytics)
    built = steps.publish(settings, progress(), ahead)
    progress().rest("publish")
    outcome.log_build(built)
    with report.open_analytics(analytics) as connection:
        sentence = report.crawl_record(connection, snapshot_date).line()
    title = f"Snapshot {snapshot_date}"
    leave_star_artifacts(analytics, "daily-snapshot", title, sentence, built, before, snapshot_date)
    return analytics


@flow(name="daily_snapshot", flow_run_name=run_names.of_snapshot)
@shown("daily-snapshot")
@until_midnight
def daily_snapshot(snapshot_date: date | None = None) -> Path:
    """Crawl the service, look up the watch list and publish the tables; returns the path of `analytics.duckdb`.

    It waits for another writer as long as is set, and goes first: a refresh, a rebuild or `compact` stops for it. A run
    that fails, or has waited so long, is tried again until midnight UTC (`flows.retries`).

    Args:
        snapshot_date: UTC date of the snapshot; None is the date on which the first attempt began. A real service
            has no other.

    Raises:
        PartialSnapshotError: the snapshot is published, but partial.
        WatchListError: the snapshot is published, but not all of the watch list could be looked up.
    """
    settings, on = Settings(), snapshot_date or first_date()
    import_charts()
    with daily_run(settings, on, LOG.warning, next_attempt_after) as run:
        with steps.snapshot_lock(settings, progress(), wait=True), steps.staged_ahead(settings) as ahead:
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
