"""What the runs of all flows have in common: one writer. `flows.run_log` and `flows.artifacts` have what they show.

The flows are thin shells around the steps of the command line. Tasks pass each other dates and paths, never tables;
only what a crawl has staged stays in the process. No task is retried: the client retries requests, and `flows.retries`
retries the whole daily run. The writer lock guards the data directory across all flows, and also against runs outside
Prefect. The daily snapshot waits for it and goes first; what a person started waits, too. A refresh does not wait: a
snapshot reads the same lists, and the next refresh comes soon.
"""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from prefect import State
from prefect.states import Cancelled

from pipelines.storage.lock import GaveWayError, LockedError

P = ParamSpec("P")
R = TypeVar("R")


def one_writer(work: Callable[P, R]) -> Callable[P, R | State[None]]:
    """Ends a run as cancelled if another writer is at work or goes first, with the line that names it.

    For runs that may be missed or that a person looks after. The daily snapshot is tried again (`flows.retries`).
    """

    @wraps(work)
    def run(*args: P.args, **kwargs: P.kwargs) -> R | State[None]:
        try:
            return work(*args, **kwargs)
        except (LockedError, GaveWayError) as error:
            return Cancelled(message=str(error))

    return run
