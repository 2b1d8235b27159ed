"""The Prefect flow `daily_snapshot`: the same steps as `civitai-etl snapshot`, watched by a Prefect server.

It is a thin shell. Tasks hand each other dates and paths, never tables; requests are retried by the client alone, so no
task is; and the writer lock guards the data directory even against runs that no server knows of. Every run leaves two
artifacts: the rows of each published table, and a summary in Markdown.
"""

from datetime import date
from pathlib import Path

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.deployments.runner import RunnerDeployment
from prefect.schedules import Cron
from prefect.types.entrypoint import EntrypointType

from flows import report, steps
from pipelines.errors import CivitaiEtlError
from pipelines.lock import writer_lock
from pipelines.settings import Settings
from pipelines.snapshot import take_snapshot

#: Every day at 03:00 UTC: the crawl of a date begins when that date is three hours old.
SCHEDULE = Cron("0 3 * * *", timezone="UTC")
#: One writer at a time; a second run is cancelled, for a queue of full crawls helps nobody.
ONE_RUN = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW)
DEPLOYMENT_NAME = "daily"


class PartialSnapshotError(CivitaiEtlError):
    """The snapshot is published but partial; its run ends failed, so that somebody looks."""


class LoggedProgress:
    """Progress as log lines of the run: every note, and each phase when it begins."""

    def __init__(self) -> None:
        self._logger = get_run_logger()
        self._phase: str | None = None

    def update(self, phase: str, done: int, total: int | None = None, unit: str = "items") -> None:
        if phase != self._phase:
            self._phase = phase
            self._logger.info("%s", phase)

    def note(self, message: str) -> None:
        self._logger.info("%s", message)


@task
def crawl(snapshot_date: date | None) -> date:
    """Photograph the service; returns the date of the snapshot."""
    crawled = take_snapshot(Settings(), snapshot_date, LoggedProgress())
    get_run_logger().info(report.crawl_line(crawled))
    return crawled.snapshot_date


@task
def publish(snapshot_date: date) -> Path:
    """Bring the star schema up to date; returns `analytics.duckdb` and leaves the artifacts of the run."""
    settings = Settings()
    built = steps.publish(settings, LoggedProgress())
    with report.open_analytics(settings.analytics) as connection:
        rows = report.published_rows(connection)
        create_table_artifact(
            key="row-counts",
            table=[{"table": name, "rows": rows[name]} for name in report.reading_order(rows)],
            description=f"Rows of the published tables after the snapshot of {snapshot_date}.",
        )
        create_markdown_artifact(
            key="daily-snapshot",
            markdown=report.markdown(
                report.crawl_record(connection, snapshot_date), built.balances, report.top_base_models(connection)
            ),
            description=f"Snapshot of {snapshot_date}.",
        )
    return settings.analytics


@flow(name="daily_snapshot")
def daily_snapshot(snapshot_date: date | None = None) -> Path:
    """Crawl the service and publish its tables; returns the path of `analytics.duckdb`.

    Args:
        snapshot_date: UTC date of the snapshot; None is today, and all that a real service can answer.

    Raises:
        PartialSnapshotError: what was seen is published, but not all was seen.
    """
    with writer_lock(Settings().data_dir):
        crawled_date = crawl(snapshot_date)
        analytics = publish(crawled_date)
    with report.open_analytics(analytics) as connection:
        record = report.crawl_record(connection, crawled_date)
    if record.status != "complete":
        raise PartialSnapshotError(record.line())
    return analytics


def deployment() -> RunnerDeployment:
    """The deployment that `civitai-etl serve` serves; `prefect.yaml` has the same one for work pools."""
    return daily_snapshot.to_deployment(  # type: ignore[return-value]  # not a coroutine where no loop runs
        name=DEPLOYMENT_NAME,
        schedule=SCHEDULE,
        concurrency_limit=ONE_RUN,
        entrypoint_type=EntrypointType.MODULE_PATH,
    )
