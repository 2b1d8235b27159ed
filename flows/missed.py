"""Makes up for a nightly run that was due today while no `serve` and no Prefect server ran, on the same UTC day.

A server that ran before has the run that was due among its scheduled ones, and starts it late. So this is for a first
start, a new database, or a schedule that is new.
"""

from contextlib import closing
from datetime import UTC, date, datetime, time, timedelta

from croniter import croniter
from prefect import get_client
from prefect.client.schemas.objects import StateType

from flows.interrupted import AT_WORK, runs_of
from pipelines.errors import CivitaiEtlError
from pipelines.raw.warehouse import connect, crawls
from pipelines.settings import Settings


async def make_up(deployment_name: str, settings: Settings) -> str | None:
    """Start a run of a deployment if today's was missed; returns its name.

    It was missed if the schedule's time of today has passed, raw has no complete crawl of today, and no run of the
    deployment is at work or waits to begin.
    """
    now = datetime.now(UTC)
    if not was_due(settings.daily_cron, now) or has_complete_crawl(settings, now.date()):
        return None
    async with get_client() as client:
        deployment = await client.read_deployment_by_name(deployment_name)
        waiting_or_at_work = [
            *await runs_of(client, deployment, state={"type": {"any_": list(AT_WORK)}}),
            *await runs_of(client, deployment, state={"name": {"any_": ["AwaitingRetry"]}}),
            *await runs_of(
                client,
                deployment,
                state={"type": {"any_": [StateType.SCHEDULED]}},
                next_scheduled_start_time={"before_": now},
            ),
        ]
        if waiting_or_at_work:
            return None
        run = await client.create_flow_run_from_deployment(deployment.id, tags=["made-up"])
        return run.name


def was_due(cron: str, now: datetime) -> bool:
    """Whether a schedule had a time between midnight UTC and now."""
    midnight = datetime.combine(now.date(), time(), UTC)
    first: datetime = croniter(cron, midnight - timedelta(microseconds=1)).get_next(datetime)
    return first <= now


def has_complete_crawl(settings: Settings, on: date) -> bool:
    """Whether raw has a complete crawl of a date. False if it cannot be read: a run will say why."""
    try:
        with closing(connect(settings.directory.warehouse)) as connection:
            return any(row.snapshot_date == on and row.status == "complete" for row in crawls(connection))
    except CivitaiEtlError:
        return False
