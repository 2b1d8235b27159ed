"""Takes the snapshot of a date: decides which crawl the date needs, and runs it window by window to its end.

A complete date needs no crawl. An interrupted crawl resumes where it stopped. Any other date gets a new crawl, also
one that was refused or excluded (`pipelines.raw.decisions`).
"""

import json
from collections.abc import Collection
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime

from pipelines.api.dialects import DIALECTS
from pipelines.crawl.crawl import Crawl, state_fields
from pipelines.crawl.service import refuse_other_service
from pipelines.crawl.source import Watcher, crawl_source
from pipelines.errors import CivitaiEtlError
from pipelines.progress import Progress, Silent
from pipelines.raw.crawls import CrawlRow, CrawlState, CrawlStatus, SourceState
from pipelines.raw.decisions import Decision, decisions, left_out
from pipelines.raw.kinds import SNAPSHOT_KINDS
from pipelines.raw.loader import Loader, plain_errors
from pipelines.raw.text_set import TextSet
from pipelines.raw.warehouse import (
    Known,
    connect,
    crawls,
    expected_ids,
    gallery_mark,
    known,
    mend_documents,
)
from pipelines.settings import Settings
from pipelines.storage.directory import prepare_directory, storage_errors

_SILENT = Silent()


class OtherDateError(CivitaiEtlError):
    """A snapshot of another date than today was requested from a real service."""


@dataclass(frozen=True)
class SnapshotReport:
    """The result of a snapshot. `requests` are those of this run; all else is of the whole crawl, resumed or not.

    `listed` is the number of items of a kind that the service reports, if it does.
    """

    crawl_id: str
    snapshot_date: date
    status: CrawlStatus
    reason: str | None
    already_complete: bool
    requests: int
    pages: int
    items: int
    distinct_ids: int
    duplicates: int
    rejected: int
    reconciled_ids: int
    retries: int
    bytes: int
    seconds: float
    endpoints: dict[str, dict[str, int]]
    listed: dict[str, int]


def take_snapshot(
    settings: Settings,
    snapshot_date: date | None = None,
    progress: Progress = _SILENT,
    *,
    service_moved: bool = False,
    watcher: Watcher | None = None,
) -> SnapshotReport:
    """Crawl the whole catalogue of `snapshot_date` (default: today, UTC) into the raw warehouse.

    The caller holds the writer lock. The rows of a failing crawl are kept, and the next call for its date resumes it.
    The `watcher` sees all rows. With `service_moved` the service may have another address than in earlier crawls.

    Raises:
        OtherDateError: the service has no data of that date.
        CivitaiEtlError: the service gives no answer, or the disk fails.
    """
    today = datetime.now(UTC).date()
    snapshot_date = snapshot_date or today
    if snapshot_date != today and not settings.is_loopback:
        raise OtherDateError(
            f"A snapshot of {snapshot_date} cannot be taken: {settings.api_url} answers only for today, {today} (UTC)."
        )
    if not service_moved:
        refuse_other_service(settings, _crawls(settings)[0])
    prepare_directory(settings.data_dir)
    with storage_errors(settings.data_dir), plain_errors():
        loader = Loader(settings.directory)
        loader.drain(progress)
        mend_documents(settings.directory.warehouse)
        earlier, out = _crawls(settings)
        of_date = [row for row in earlier if row.snapshot_date == snapshot_date]
        done = [row for row in of_date if row.status == "complete" and row.crawl_id not in out]
        if done:
            return _report(done[-1], already_complete=True, requests=0)
        if of_date and of_date[-1].crawl_id in out:
            progress.note(f"{snapshot_date} is {out[of_date[-1].crawl_id].verdict}: it is crawled again")
        crawl, closed = _begin_or_go_on(settings, snapshot_date, earlier, out, loader.state(), progress)
        while not crawl.is_finished:
            crawl.open_window(settings.window_pages)
            loader.load(crawl_source(crawl, closed, watcher))
            closed = []
            if crawl.failure:
                raise crawl.failure
        return _report(crawl.row(), already_complete=False, requests=crawl.client.requests)


def drain(settings: Settings, progress: Progress) -> None:
    """Finish what a killed load left behind, so that raw has only whole windows, and each document once. The caller
    holds the writer lock.
    """
    if settings.directory.warehouse.exists():
        with storage_errors(settings.data_dir), plain_errors():
            Loader(settings.directory).drain(progress)
            mend_documents(settings.directory.warehouse)


def _crawls(settings: Settings) -> tuple[list[CrawlRow], dict[str, Decision]]:
    """All crawls, and those of them that do not count."""
    if not settings.directory.warehouse.exists():
        return [], {}
    with closing(connect(settings.directory.warehouse)) as connection:
        return crawls(connection), left_out(decisions(connection))


def _begin_or_go_on(
    settings: Settings,
    snapshot_date: date,
    earlier: list[CrawlRow],
    out: Collection[str],
    kept: SourceState,
    progress: Progress,
) -> tuple[Crawl, list[CrawlRow]]:
    """The crawl to run now, and the rows of unfinished crawls that end as partial because it starts."""
    state = kept.get("crawl")
    unfinished = [row for row in earlier if row.finished_at is None]
    resumable = [
        row for row in unfinished if row.crawl_id not in out and state and _goes_on(row, state, snapshot_date, settings)
    ]
    if resumable and state and state.get("fields") != state_fields():
        progress.note(f"{state['crawl_id']} was begun by another version of civitai-etl: it is begun again")
        resumable = []
    if resumable:
        crawl_id = resumable[0].crawl_id
        progress.note(f"going on with the crawl {crawl_id}")
    else:
        state = None
        number = max((row.number for row in earlier if row.snapshot_date == snapshot_date), default=0) + 1
        crawl_id = f"{snapshot_date}.{number}"
    now = datetime.now(UTC)
    closed = [
        replace(row, finished_at=max(now, row.started_at), reason=f"cut off; {crawl_id} was begun instead")
        for row in unfinished
        if row.crawl_id != crawl_id
    ]
    stored, expected = _stored(settings, snapshot_date, crawl_id, out)
    counting = [row for row in earlier if row.crawl_id not in out]
    complete = [row.snapshot_date for row in counting if row.status == "complete"]
    last_complete = max((on for on in complete if on < snapshot_date), default=None)
    crawl = Crawl(
        crawl_id,
        snapshot_date,
        settings,
        stored,
        expected,
        progress,
        state=state,
        image_mark=gallery_mark(counting, kept),
        days_since_complete=(snapshot_date - last_complete).days if last_complete else 1,
    )
    return crawl, closed


def _goes_on(row: CrawlRow, state: CrawlState, snapshot_date: date, settings: Settings) -> bool:
    is_of_date = row.snapshot_date == snapshot_date and row.dialect == settings.dialect_name
    return is_of_date and row.crawl_id == state.get("crawl_id")


def _stored(
    settings: Settings, snapshot_date: date, crawl_id: str, out: Collection[str]
) -> tuple[dict[str, Known], TextSet]:
    """What need not be stored again, and the ids that an existence check expects."""
    if not settings.directory.warehouse.exists():
        return {kind: Known() for kind in SNAPSHOT_KINDS}, TextSet()
    reconciled = DIALECTS[settings.dialect_name].existence_check.kind
    with closing(connect(settings.directory.warehouse)) as connection:
        stored = {kind: known(connection, kind, snapshot_date, crawl_id, out) for kind in SNAPSHOT_KINDS}
        return stored, expected_ids(connection, reconciled, snapshot_date, out)


def _report(row: CrawlRow, *, already_complete: bool, requests: int) -> SnapshotReport:
    return SnapshotReport(
        crawl_id=row.crawl_id,
        snapshot_date=row.snapshot_date,
        status=row.status,
        reason=row.reason,
        already_complete=already_complete,
        requests=requests,
        pages=row.pages,
        items=row.items,
        distinct_ids=row.distinct_ids,
        duplicates=row.duplicates,
        rejected=row.rejected,
        reconciled_ids=row.reconciled_ids,
        retries=row.retries,
        bytes=row.bytes,
        seconds=row.seconds,
        endpoints=json.loads(row.endpoints),
        listed=json.loads(row.listed or "{}"),
    )
