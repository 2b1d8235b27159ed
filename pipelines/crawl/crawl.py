"""One crawl: paginates every list endpoint of a dialect, then checks the existence of what the lists no longer show.

It can stop between any two answers and resume in another process; `snapshot` decides which crawl to resume.
"""

import json
import time
from collections.abc import Collection, Mapping
from dataclasses import asdict, fields
from datetime import date, datetime

import msgspec

from pipelines.api.client import Client
from pipelines.api.dialects import DIALECTS
from pipelines.api.errors import OutageError, ServiceError
from pipelines.crawl.clock import CrawlClock
from pipelines.crawl.existence_check import ExistenceCheck, ExistenceCheckState
from pipelines.crawl.pagination import IncrementalListCrawl, ListCrawl
from pipelines.crawl.pagination_state import PaginationState
from pipelines.progress import Progress
from pipelines.raw.crawls import NO_GALLERY, CrawlRow, CrawlState, Spent
from pipelines.raw.row_buffer import COUNTS, NewRows
from pipelines.raw.warehouse import Known
from pipelines.settings import Settings

#: A window ends early after so many bytes of items: its rows are merged in memory (`pipelines.memory`).
WINDOW_BYTES = 64 * 2**20


def state_fields() -> list[str]:
    """The fields of a crawl's state: a program whose state has other fields cannot resume it."""
    return [f"{each.name}: {each.type}" for state in (PaginationState, ExistenceCheckState) for each in fields(state)]


class Crawl:
    """All lists of one crawl and its existence check, window by window; `state` and `row` report its progress."""

    def __init__(
        self,
        crawl_id: str,
        snapshot_date: date,
        settings: Settings,
        known: Mapping[str, Known],
        expected: Collection[str],
        progress: Progress,
        *,
        state: CrawlState | None = None,
        image_mark: int | None = None,
        days_since_complete: int = 1,
    ) -> None:
        """`expected` are the ids of models that should still exist, `days_since_complete` the days since the last
        complete crawl that counts. `state` is that of the crawl to resume; without it, a new one begins.
        """
        self.crawl_id = crawl_id
        self.snapshot_date = snapshot_date
        self.dialect = DIALECTS[settings.dialect_name]
        self.client = Client(settings, progress=progress)
        self.failure: ServiceError | None = None
        self._settings = settings
        self._progress = progress
        started_at = state["started_at"] if state else None
        self._clock = CrawlClock(snapshot_date, settings, datetime.fromisoformat(started_at) if started_at else None)
        self._spent_before = state["spent"] if state else Spent(retries=0, bytes=0, seconds=0.0)
        self._began = time.monotonic()
        self._pages_left = 0
        self._bytes_left = 0
        self._pages_taken = 0
        self.endpoints: dict[str, ListCrawl] = {}
        for endpoint in self.dialect.endpoints:
            list_state = msgspec.convert(state["walks"][endpoint.name] if state else {}, PaginationState)
            place = (endpoint, list_state, known[endpoint.kind], crawl_id, snapshot_date)
            self.endpoints[endpoint.name] = (
                IncrementalListCrawl(*place, mark=image_mark, first_pages=settings.image_pages)
                if endpoint.incremental
                else ListCrawl(*place)
            )
        rules = self.dialect.existence_check
        self.existence_check = ExistenceCheck(
            rules,
            msgspec.convert(state["reconcile"] if state else {}, ExistenceCheckState),
            known[rules.kind],
            expected,
            crawl_id,
            snapshot_date,
            max_share=settings.max_burial_share,
            days=days_since_complete,
            watched=[str(model_id) for model_id in settings.watch_models],
        )
        self._check_begun = False

    @property
    def is_finished(self) -> bool:
        """Whether all lists were read as far as possible and the existence check is done."""
        return self._lists_are_read and self.existence_check.state.done

    def open_window(self, pages: int) -> None:
        """Allow this many pages for the next window, over all endpoints together; fewer if they are large."""
        self._pages_left, self._bytes_left, self._pages_taken = pages, WINDOW_BYTES, 0

    def paginate(self, name: str) -> NewRows:
        """Read a list as far as the window allows; yields the new rows about ten pages at a time.

        An incremental list is read in one window, whatever its length. A failure of the service ends the window: its
        rows are handed over and `failure` is set.

        Raises:
            ServiceError: the failure, if the window has no rows yet.
        """
        each = self.endpoints[name]
        while self._pages_left > 0 and not each.state.done and not self.failure:
            try:
                # Nothing is fetched ahead beyond the window, or where a page may end an incremental list.
                goes_on = self._pages_left > 1 and not each.endpoint.incremental
                page = each.step(self.client, goes_on=goes_on)
            except ServiceError as failure:
                self._end_window(failure)
                break
            if page is None:
                continue
            self._pages_taken += 1
            if not each.endpoint.incremental:
                self._bytes_left -= sum(len(memoryview(item)) for item in page.items)
                self._pages_left = self._pages_left - 1 if self._bytes_left > 0 else 0
            self._clock.note(page.answered_at)
            self._progress.update(name, len(each.met), each.state.total)
            yield from each.new_rows(all_of_them=False)
        yield from each.new_rows()

    def check_existence(self) -> NewRows:
        """Fetch by id what the lists lack, after all are read, as far as the window allows; else as in `paginate`.

        If the list of models could not be read to its end, nothing is checked: what it lacks is unknown. Problems of
        other lists do not matter: images, tags or creators that stay broken must not keep deleted models alive.

        Raises:
            ServiceError: the failure, if the window has no rows yet.
        """
        each = self.existence_check
        if self._lists_are_read and not self._check_begun and self._clock.last_answer:
            self._check_begun = True
            if self.endpoints[self.dialect.existence_check.list_name].state.problem:
                each.state.done = True
            elif not each.state.done:
                each.begin(self._clock.last_answer)
        while self._check_begun and self._pages_left > 0 and not each.state.done and not self.failure:
            try:
                moment = each.step(self.client)
            except ServiceError as failure:
                self._end_window(failure)
                break
            if moment is None:
                continue
            self._clock.note(moment)
            self._pages_taken += 1
            self._pages_left -= 1
            self._progress.update("reconcile", each.state.asked, each.total)
            yield from each.new_rows(all_of_them=False)
        yield from each.new_rows()

    def state(self) -> CrawlState:
        """The state from which another process can resume this crawl."""
        return {
            "fields": state_fields(),
            "crawl_id": self.crawl_id,
            "started_at": self._clock.started_at.isoformat() if self._clock.started_at else None,
            "spent": self._spent(),
            "walks": {name: asdict(each.kept_state) for name, each in self.endpoints.items()},
            "reconcile": asdict(self.existence_check.state),
        }

    def row(self) -> CrawlRow:
        """The current row of `raw.snapshots`."""
        problems = self._problems()
        counts = {each.endpoint.kind: each.kept_state.counts() for each in self.endpoints.values()}
        reconciled, listed = self.existence_check.state.counts(), counts[self.dialect.existence_check.kind]
        counts[self.dialect.existence_check.kind] = {name: listed[name] + reconciled[name] for name in COUNTS}
        total = {name: sum(count[name] for count in counts.values()) for name in COUNTS}
        listed = {
            each.endpoint.kind: each.state.total
            for each in self.endpoints.values()
            if each.state.total is not None and not each.endpoint.incremental
        }
        arguments = {
            each.endpoint.kind: [
                dict(each.endpoint.arguments(pass_index)) for pass_index in range(len(each.endpoint.passes))
            ]
            for each in self.endpoints.values()
        }
        galleries = [each.reached() for each in self.endpoints.values() if isinstance(each, IncrementalListCrawl)]
        assert self._clock.started_at, "a crawl without an answer has no row"
        return CrawlRow(
            crawl_id=self.crawl_id,
            snapshot_date=self.snapshot_date,
            dialect=self.dialect.name,
            api_url=self._settings.api_url,
            status="complete" if self.is_finished and not problems else "partial",
            reason="; ".join(problems) or None,
            started_at=self._clock.started_at,
            finished_at=self._clock.finished_at if self.is_finished else None,
            passes=max(len(each.endpoint.passes) for each in self.endpoints.values()),
            pages=total["pages"],
            items=total["items"],
            distinct_ids=total["distinct_ids"],
            duplicates=total["duplicates"],
            rejected=total["rejected"],
            **self._spent(),
            reconciled_ids=self.existence_check.state.asked,
            arguments=json.dumps(arguments),
            endpoints=json.dumps(counts),
            listed=json.dumps(listed),
            **(galleries[0] if galleries else NO_GALLERY),
        )

    def _end_window(self, failure: ServiceError) -> None:
        """Keep the failure; raise it if the window has no rows to hand over first."""
        pages = sum(each.kept_state.pages for each in self.endpoints.values()) + self.existence_check.state.pages
        if isinstance(failure, OutageError) and pages:
            failure = OutageError(f"{failure}: {pages:,} pages are loaded, and it goes on from there")
        if not self._pages_taken:
            raise failure from None
        self.failure = failure

    @property
    def _lists_are_read(self) -> bool:
        return all(each.state.done for each in self.endpoints.values())

    def _problems(self) -> list[str]:
        states = {name: each.state for name, each in self.endpoints.items()} | {"reconcile": self.existence_check.state}
        return [f"{name}: {state.problem}" for name, state in states.items() if state.problem]

    def _spent(self) -> Spent:
        before = self._spent_before
        return {
            "retries": before["retries"] + self.client.retries,
            "bytes": before["bytes"] + self.client.bytes_received,
            "seconds": round(before["seconds"] + time.monotonic() - self._began, 3),
        }
