"""Runs of the deployments that lost their process: they are reported, and the nightly one continues.

A process can end without a word: killed, or with its machine. Its run would then be Running for ever, and keep its
deployment's only slot.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time

from prefect import State, get_client
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import GlobalConcurrencyLimitUpdate
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId, FlowRunFilter
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.sorting import FlowRunSort
from prefect.exceptions import ObjectNotFound
from prefect.states import AwaitingRetry, Crashed

from flows.retries import next_attempt

#: The message of Prefect's runner for the runs that it cancels when it ends.
_SHUTDOWN = "Runner is shutting down."
#: The states of a run that has a process.
AT_WORK = (StateType.PENDING, StateType.RUNNING, StateType.CANCELLING)


async def report_lost(deployment_names: Sequence[str], own: Collection[str] | None, message: str) -> list[str]:
    """Mark the runs whose process is gone as Crashed with a message, free their slots, and return their names.

    No process of these runs is left. `own` has the ids of the runs of this data directory; None if no other machine
    works for this server, so that all runs are our own.
    """
    lost = []
    async with get_client() as client:
        for name in deployment_names:
            try:
                deployment = await client.read_deployment_by_name(name)
            except ObjectNotFound:
                continue
            for run in await runs_of(client, deployment, state={"type": {"any_": list(AT_WORK)}}):
                if own is None or str(run.id) in own:
                    crashed: State[None] = Crashed(message=message)
                    await client.set_flow_run_state(run.id, crashed, force=True)
                    lost.append(run.name)
            if own is None and (limit := deployment.global_concurrency_limit):
                # The server frees the slot of a run that is marked. A power cut can lose the run and not its slot.
                await client.update_global_concurrency_limit(limit.name, GlobalConcurrencyLimitUpdate(active_slots=0))
    return lost


@dataclass(frozen=True)
class GoesOn:
    """A run that was cut off, and when its next attempt begins."""

    name: str
    begins: datetime


async def go_on(deployment_name: str, begins: datetime | None = None) -> GoesOn | None:
    """Put today's newest run of a deployment back on the schedule if it was cut off, and return it.

    Its crawl then continues after the last load. Runs without a process are reported before (`report_lost`). The next
    attempt `begins` then, or after the same pauses as a failed one, until the date of the run is over.
    """
    async with get_client() as client:
        deployment = await client.read_deployment_by_name(deployment_name)
        now = datetime.now(UTC)
        midnight = datetime.combine(now.date(), time(), UTC)
        runs = await runs_of(
            client, deployment, start_time={"after_": midnight}, state={"type": {"not_any_": [StateType.SCHEDULED]}}
        )
        # A rejected run never began, whatever its start time says.
        begun = [(run, run.state) for run in runs if run.state and not _was_turned_away(run.state)]
        if not begun or not was_cut_off(begun[0][1]):
            return None
        newest = begun[0][0]
        begins = begins or next_attempt(newest.start_time or now, newest.run_count, now)
        if begins is None:
            return None
        again: State[None] = AwaitingRetry(
            scheduled_time=begins, message="It was cut off: its process was ended from outside."
        )
        await client.set_flow_run_state(newest.id, again, force=True)
        return GoesOn(newest.name, begins)


async def runs_of(client: PrefectClient, deployment: DeploymentResponse, **wanted: object) -> list[FlowRun]:
    """The runs of a deployment with these properties, the newest first."""
    return await client.read_flow_runs(
        deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[deployment.id])),
        flow_run_filter=FlowRunFilter.model_validate(wanted),
        sort=FlowRunSort.START_TIME_DESC,
    )


def was_cut_off(state: State) -> bool:
    """Whether a run in this state has lost its process, and neither ended by itself nor was ended by a person."""
    return state.is_crashed() or (state.is_cancelled() and not _was_turned_away(state))


def _was_turned_away(state: State) -> bool:
    """Whether a person cancelled the run, or another run was at work."""
    return state.is_cancelled() and state.message != _SHUTDOWN
