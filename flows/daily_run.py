"""What a daily run leaves when it ends, on the command line and as a flow: its record, a message if one is due, and the
heartbeat.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime

from flows.notifier import Note, heartbeat, notify
from pipelines.errors import CivitaiEtlError
from pipelines.raw.crawls import CrawlStatus
from pipelines.run_record import Result, RunRecord, write_record
from pipelines.settings import Settings
from pipelines.storage.lock import LockedError


@dataclass
class DailyRun:
    """A run under way. Whoever runs it sets how the crawl ended once its snapshot is published: its date, its status,
    why it is not complete, and why the watch list was not looked up to its end, if it was not.
    """

    snapshot_date: date
    status: CrawlStatus | None = None
    reason: str | None = None
    problem: str | None = None


@contextmanager
def daily_run(
    settings: Settings,
    snapshot_date: date,
    note: Note,
    next_attempt: Callable[[Exception], datetime | None] = lambda _: None,
) -> Iterator[DailyRun]:
    """Keep how the block ends. A run that found another writer did not run, and leaves nothing.

    Args:
        settings: where the record goes, and whom to tell.
        snapshot_date: the date that is meant, until the crawl says it.
        note: takes a line about what could not be kept or sent.
        next_attempt: when a run that failed with an error is tried again.
    """
    run, began = DailyRun(snapshot_date), datetime.now(UTC)
    try:
        yield run
    except LockedError:
        raise
    except Exception as error:
        _end(settings, run, began, note, _words(error), next_attempt(error))
        raise
    _end(settings, run, began, note, None, None)


def _end(
    settings: Settings, run: DailyRun, began: datetime, note: Note, error: str | None, next_attempt_at: datetime | None
) -> None:
    why = (run.reason or run.problem) if run.status else error
    line = " ".join(why.split()) if why else None
    record = RunRecord(run.snapshot_date, began, datetime.now(UTC), _result(settings, run), line, next_attempt_at)
    try:
        write_record(settings.data_dir, record)
    except CivitaiEtlError as failure:
        note(f"How the run ended could not be kept: {failure}")
    notify(settings, note, record)
    if run.status == "complete" and not run.problem:
        heartbeat(settings, note)


def _result(settings: Settings, run: DailyRun) -> Result:
    """The result in one word, as far as the tables can be read."""
    from flows.reporting.condition import condition_of

    if run.status not in (None, "complete"):
        return "partial"
    try:
        condition = condition_of(settings)
    except Exception:  # noqa: BLE001 (a look at the tables does not fail a run that is over)
        return "complete" if run.status else "failed"
    if run.status:
        return "withheld" if condition.withheld and condition.newest == run.snapshot_date else "complete"
    return "refused" if run.snapshot_date in {day.date for day in condition.refused} else "failed"


def _words(error: Exception) -> str:
    """What an error says; one that is a bug, with its type."""
    return str(error) if isinstance(error, CivitaiEtlError) else f"{type(error).__name__}: {error}"
