"""What the runs of all flows have in common: one writer. `flows.run_log` and `flows.artifacts` have what they show.

The flows are thin shells around the steps of the command line. Tasks pass each other dates and paths, never tables;
only what a crawl has staged stays in the process. No task is retried: the client retries requests, and `flows.retries`
retries the whole daily run. The writer lock guards the data directory across all flows, and also against runs outside
Prefect. A run that finds it taken ends cancelled, because a queue of writers is useless.
"""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from prefect import State
from prefect.states import Cancelled

from pipelines.storage.lock import LockedError

P = ParamSpec("P")
R = TypeVar("R")


def one_writer(work: Callable[P, R]) -> Callable[P, R | State[None]]:
    """Ends a run as cancelled if another writer is at work, with the line that names the writer."""

    @wraps(work)
    def run(*args: P.args, **kwargs: P.kwargs) -> R | State[None]:
        try:
            return work(*args, **kwargs)
        except LockedError as error:
            return Cancelled(message=str(error))

    return run
