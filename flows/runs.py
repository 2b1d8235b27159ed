"""What the runs of all flows have in common: progress as log lines, artifacts, and one writer.

The flows are thin shells around the steps of the command line. Tasks pass each other dates and paths, never tables;
only what a crawl has staged stays in the process. No task is retried: the client retries requests, and `flows.retries`
retries the whole daily run. The writer lock guards the data directory across all flows, and also against runs outside
Prefect. The daily snapshot waits for it and goes first; what a person started waits, too. A refresh does not wait: a
snapshot reads the same lists, and the next refresh comes soon.
"""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

from prefect import State, get_run_logger
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.states import Cancelled

from flows.reporting import report
from flows.supervised import join_serve
from pipelines.storage.lock import GaveWayError, LockedError
from transforms.build import BuildReport

P = ParamSpec("P")
R = TypeVar("R")

# Prefect imports the flow before it begins the run: no run begins after its `serve` has gone.
join_serve()


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


def leave_star_artifacts(analytics: Path, key: str, title: str, sentence: str, built: BuildReport) -> None:
    """The rows of every published table, and a summary in Markdown under `key`; `sentence` says what the run did."""
    with report.open_analytics(analytics) as connection:
        rows = report.published_rows(connection)
        create_table_artifact(
            key="row-counts",
            table=[{"table": name, "rows": rows[name]} for name in report.reading_order(rows)],
            description=f"{title}: rows of the published tables.",
        )
        top = report.top_base_models(connection)
        create_markdown_artifact(key=key, markdown=report.markdown(title, sentence, built, top), description=title)
