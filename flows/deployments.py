"""The deployments: which flow runs when. `civitai-etl serve` serves them; `prefect.yaml` has them for work pools.

Add a flow here and in `prefect.yaml`. A test compares the two.
"""

from dataclasses import dataclass
from typing import Any

from prefect import Flow
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.deployments.runner import RunnerDeployment
from prefect.schedules import Cron
from prefect.types.entrypoint import EntrypointType

from flows.daily_snapshot import daily_snapshot
from flows.rebuild import rebuild
from flows.refresh import refresh
from flows.sync_vault import sync_vault
from pipelines.settings import Settings

#: A second run of a deployment is cancelled before it starts: the first one does its work, or the person who started
#: both sees it. Runs of different deployments wait for each other's writer lock (`flows.runs`).
ONE_RUN = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW)

#: A daily run may still be at work, or hold its slot after a kill, when that of the next date begins. That one waits,
#: because a day is lost with it. If it is of the same date, it finds the snapshot complete.
ONE_AFTER_THE_OTHER = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.ENQUEUE)


#: The deployment whose run must not be missed, by its full name.
DAILY = "daily_snapshot/daily"


@dataclass(frozen=True)
class Deployment:
    """A flow and its schedule, a cron expression in UTC; None runs on request."""

    name: str
    flow: Flow[..., Any]
    cron: str | None = None

    @property
    def full_name(self) -> str:
        return f"{self.flow.name}/{self.name}"

    def line(self) -> str:
        return f"{self.full_name}: {f'{self.cron} (UTC)' if self.cron else 'when asked for'}"

    def to_serve(self) -> RunnerDeployment:
        schedule = Cron(self.cron, timezone="UTC") if self.cron else None
        return self.flow.to_deployment(  # type: ignore[return-value]  # not a coroutine where no loop runs
            name=self.name,
            schedule=schedule,
            concurrency_limit=ONE_AFTER_THE_OTHER if self.full_name == DAILY else ONE_RUN,
            entrypoint_type=EntrypointType.MODULE_PATH,
        )


def deployments(settings: Settings) -> tuple[Deployment, ...]:
    return (
        # By default the crawl of a date begins at 03:00 UTC,
        Deployment("daily", daily_snapshot, settings.daily_cron),
        # half an hour apart from a refresh, which would have to stop for it.
        Deployment("hourly", refresh, settings.refresh_cron),
        Deployment("on-demand", rebuild),
        Deployment("on-demand", sync_vault),
    )
