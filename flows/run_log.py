"""What a run shows in Prefect while it works: the records of its log, its progress, and an error in one line."""

import contextvars
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import wraps
from typing import ParamSpec, TypeVar
from uuid import UUID

from prefect import get_run_logger
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.context import FlowRunContext
from prefect.exceptions import MissingContextError

from flows import lost_server
from flows.reporting.logged_progress import LoggedProgress, extent_line, slowest
from flows.reporting.logs import LOG, install, log_to_file, stop_logging
from flows.reporting.text import plain
from flows.supervised import join_serve
from pipelines.errors import CivitaiEtlError
from pipelines.progress import duration
from pipelines.settings import Settings

P = ParamSpec("P")
R = TypeVar("R")

#: Seconds between two updates of the progress artifact: each is a request to the server.
INTERVAL = 5.0
#: Seconds that a server may take for the last update. The run does not wait longer for it.
_LAST_UPDATE_SECONDS = 5.0

# Every flow imports this, and Prefect imports a flow before its run begins: none begins after its `serve` has gone.
join_serve()

_PROGRESS: ContextVar[LoggedProgress] = ContextVar("progress")


def progress() -> LoggedProgress:
    """The progress of this run, the same in all of its tasks."""
    return _PROGRESS.get()


def shown(key: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Makes a run log to Prefect and to the data directory, and show its progress in an artifact `<key>-progress`.

    An error that a person can act on is one line of the log.
    """

    def decorate(work: Callable[P, R]) -> Callable[P, R]:
        @wraps(work)
        def run(*args: P.args, **kwargs: P.kwargs) -> R:
            with _run_log(), LoggedProgress() as of_run, _progress_artifact(f"{key}-progress", of_run):
                token = _PROGRESS.set(of_run)
                try:
                    return work(*args, **kwargs)
                finally:
                    _PROGRESS.reset(token)

        return run

    return decorate


@contextmanager
def _run_log() -> Iterator[None]:
    """The log of a run, for the length of the block."""
    context = FlowRunContext.get()
    assert context is not None
    assert context.flow is not None
    assert context.flow_run is not None
    stop_logging()
    install(_RunLog())
    try:
        log_to_file(Settings().directory.logs, f"{context.flow.name}-{context.flow_run.id}")
        yield
    except CivitaiEtlError as error:
        LOG.error("%s", plain(str(error)))
        raise
    finally:
        stop_logging()


class _RunLog(logging.Handler):
    """Hands records to the log of the task or flow that makes them."""

    def __init__(self) -> None:
        super().__init__()
        self._of_flow = get_run_logger()

    def emit(self, record: logging.LogRecord) -> None:
        logger = self._of_flow
        with suppress(MissingContextError):  # a thread of a library
            logger = get_run_logger()
        logger.log(record.levelno, "%s", plain(record.getMessage()), exc_info=record.exc_info)


class _WithoutAdvice(logging.Filter):
    """Drops the tracebacks that Prefect logs for an error that a person can act on: the run has logged its line.

    That a task has ended is no error of its own, either. Prefect logs the end of a run with INFO, too.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno == logging.ERROR and str(record.msg).startswith("Finished in state "):
            record.levelno, record.levelname = logging.INFO, "INFO"
        return not (record.exc_info and isinstance(record.exc_info[1], CivitaiEtlError))


for _name in ("prefect.flow_runs", "prefect.task_runs", "prefect.engine"):
    logging.getLogger(_name).addFilter(_WithoutAdvice())
lost_server.leave_out_its_lines()


@contextmanager
def _progress_artifact(key: str, of_run: LoggedProgress) -> Iterator[None]:
    """Shows progress in an artifact that a thread updates: a slow server, or a dead one, does not delay the run."""
    began = time.monotonic()
    artifact = _Artifact(key)
    ended = threading.Event()

    def keep_up_to_date() -> None:
        artifact.show(0.0, "begins")
        while not ended.wait(INTERVAL):
            if of_run.latest:
                artifact.show(_percent(of_run), f"{extent_line(of_run.latest)}; {_since(began)}")

    # The copy of the context says whose artifact it is.
    thread = threading.Thread(target=contextvars.copy_context().run, args=[keep_up_to_date], daemon=True)
    thread.start()
    last = "stopped"
    try:
        yield
        last = "done"
    finally:
        ended.set()
        thread.join(_LAST_UPDATE_SECONDS)
        if not thread.is_alive():
            where = f" at {extent_line(of_run.latest)}" if last == "stopped" and of_run.latest else ""
            phases = ", ".join(f"{phase} {duration(took)}" for phase, took in slowest(of_run.seconds)[:5])
            percent = 100.0 if last == "done" else _percent(of_run)
            artifact.show(percent, f"{last}{where}; {_since(began)}" + f" ({phases})" * bool(phases))


def _percent(of_run: LoggedProgress) -> float:
    """Of the present phase, as far as somebody knows where it ends."""
    latest = of_run.latest
    total = latest.total or latest.expected if latest else None
    return 100.0 * min(latest.done / total, 1.0) if latest and total else 0.0


def _since(began: float) -> str:
    return f"{duration(time.monotonic() - began)} so far"


class _Artifact:
    """A progress artifact. That it cannot be shown is no reason for a run to fail."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._id: UUID | None = None

    def show(self, percent: float, text: str) -> None:
        try:
            if self._id is None:
                self._id = create_progress_artifact(progress=percent, key=self._key, description=text)  # type: ignore[assignment]
            else:
                update_progress_artifact(self._id, progress=percent, description=text)
        except Exception as error:  # noqa: BLE001 (whatever is wrong with the server)
            LOG.debug("The progress is not shown: %s", error)
