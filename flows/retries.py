"""Tries a failed nightly run again, with growing pauses, until its date is over.

Prefect's own retries wait for a fixed time and have no end date. But its server reads the policy of a run when the run
fails. So a failing run grants itself one more attempt and the pause before it. The server then shows the run as
AwaitingRetry, with the reason and the time. The flow has returned, so the writer lock is free meanwhile.
"""

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from functools import wraps
from math import ceil
from typing import ParamSpec, TypeVar

from prefect import get_client, get_run_logger
from prefect.client.schemas.objects import FlowRun
from prefect.context import FlowRunContext

from pipelines.api.errors import BarredError, RefusedError
from pipelines.crawl.snapshot import OtherDateError
from pipelines.network import NetworkError
from pipelines.settings import SettingsError
from pipelines.storage.lock import ForeignLakeError

P = ParamSpec("P")
R = TypeVar("R")

#: The pauses double from the first to the longest: most outages are short, and a long one can end at any time.
FIRST_PAUSE, LONGEST_PAUSE = timedelta(minutes=5), timedelta(minutes=80)
#: Answers that only a person can change: a wrong key, and a region without the service.
_FOR_A_PERSON = frozenset({401, 451})


def first_date() -> date:
    """The UTC date on which the run began, the same in every attempt.

    It is the date that the run was scheduled for. A run that begins a day late, because no machine was up, has the
    date of its own day: the day before can no longer be observed.
    """
    # Prefect's dates are of a class of its own, which cannot be written as JSON.
    return date.fromordinal(_began(_this_run()).toordinal())


def until_midnight(work: Callable[P, R]) -> Callable[P, R]:
    """Makes a failed run of a deployment continue after a pause, until the UTC date on which it began is over.

    So does a run that has waited in vain for another writer. It is never cancelled for that, whoever started it: nobody
    would look. A flow that is called as a function fails at once.
    """

    @wraps(work)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return work(*args, **kwargs)
        except Exception as error:
            if begins := next_attempt_after(error):
                _grant(_this_run(), begins)
                get_run_logger().warning("%s The next attempt begins at %s UTC.", error, f"{begins:%H:%M:%S}")
            raise

    return run


def next_attempt_after(error: Exception) -> datetime | None:
    """When this run is tried again if it fails with this error; None if it is not."""
    this_run = _this_run()
    begins = next_attempt(_began(this_run), this_run.run_count, datetime.now(UTC))
    return begins if begins and this_run.deployment_id is not None and may_pass(error) else None


def next_attempt(began: datetime, attempts: int, now: datetime) -> datetime | None:
    """The next attempt of a run that began at `began` and failed so many times; None if its date is over by then."""
    begins = now + min(FIRST_PAUSE * 2 ** min(attempts - 1, 20), LONGEST_PAUSE)
    return begins if begins < end_of_date(began) else None


def end_of_date(began: datetime) -> datetime:
    """The midnight after which the date of a run that began at `began` can no longer be observed."""
    return datetime.combine(began.date() + timedelta(days=1), time(), UTC)


def may_pass(error: Exception) -> bool:
    """Whether the same run can succeed later without a person's help."""
    if isinstance(error, RefusedError):
        return error.status not in _FOR_A_PERSON
    return not isinstance(error, SettingsError | NetworkError | BarredError | OtherDateError | ForeignLakeError)


def _grant(run: FlowRun, begins: datetime) -> None:
    """Allow the run one more attempt, at that time."""
    pause = ceil((begins - datetime.now(UTC)).total_seconds())
    policy = run.empirical_policy.model_copy(update={"retries": run.run_count, "retry_delay": pause})
    with get_client(sync_client=True) as client:
        client.update_flow_run(run.id, empirical_policy=policy).raise_for_status()


def _this_run() -> FlowRun:
    context = FlowRunContext.get()
    assert context is not None
    assert isinstance(context.flow_run, FlowRun)
    return context.flow_run


def _began(run: FlowRun) -> datetime:
    assert run.start_time is not None
    return run.start_time.astimezone(UTC)
