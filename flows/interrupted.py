"""Continues a nightly run that was cut off because `civitai-etl serve` ended, for example with the machine."""

from datetime import UTC, datetime, time

from prefect import State, get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitUpdate
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId, FlowRunFilter
from prefect.client.schemas.objects import StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.states import AwaitingRetry

#: The message of Prefect's runner for the runs that it cancels when it ends.
_SHUTDOWN = "Runner is shutting down."


async def go_on(deployment_name: str, *, is_alone: bool) -> str | None:
    """Put today's newest run of a deployment back on the schedule if it was cut off; returns the name of the run.

    Its crawl then continues after the last load. `is_alone` says that no other runner can work on it.
    """
    async with get_client() as client:
        deployment = await client.read_deployment_by_name(deployment_name)
        midnight = datetime.combine(datetime.now(UTC).date(), time(), UTC)
        runs = await client.read_flow_runs(
            deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[deployment.id])),
            flow_run_filter=FlowRunFilter.model_validate(
                {"start_time": {"after_": midnight}, "state": {"type": {"not_any_": [StateType.SCHEDULED]}}}
            ),
            sort=FlowRunSort.START_TIME_DESC,
        )
        # A rejected run never began, whatever its start time says.
        begun = [(run, run.state) for run in runs if run.state and not _was_turned_away(run.state)]
        if not begun or not was_cut_off(begun[0][1], is_alone=is_alone):
            return None
        newest = begun[0][0]
        if is_alone and (limit := deployment.global_concurrency_limit):
            # A lost process can keep its slot for minutes, in which the run would be turned away.
            await client.update_global_concurrency_limit(limit.name, GlobalConcurrencyLimitUpdate(active_slots=0))
        again: State[None] = AwaitingRetry(message="It was cut off when `civitai-etl serve` ended.")
        await client.set_flow_run_state(newest.id, again, force=True)
        return newest.name


def was_cut_off(state: State, *, is_alone: bool) -> bool:
    """Whether a run in this state has lost its process, and neither ended by itself nor was ended by a person."""
    if state.is_cancelled():
        return not _was_turned_away(state)
    return state.is_crashed() or (is_alone and (state.is_running() or state.is_pending() or state.is_cancelling()))


def _was_turned_away(state: State) -> bool:
    """Whether a person cancelled the run, or another run was at work."""
    return state.is_cancelled() and state.message != _SHUTDOWN
