"""Paginates a list endpoint: finds the next page, recognizes the end and loops, and decides which pages to read again.

A list crawl always ends: at the end of the list, or where the list leads back or brings nothing new for many pages.
A page that stays broken is requested in smaller and smaller parts until the one broken record stands alone. The crawl
steps over this record. When the service answers again, the crawl requests the record once more and rejects it if it is
still broken. If the crawl cannot step over anything, the service is broken: the crawl goes back to where it was and
retries as long as the client has patience. `PaginationState` is all that a stopped crawl needs to continue a list.
"""

import math
from collections import Counter
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal

from pipelines.api.answers import Page
from pipelines.api.client import Client
from pipelines.api.dialects import Arguments, Endpoint
from pipelines.api.errors import BrokenAnswerError, RefusedError
from pipelines.crawl.paginators import fetch_page, paginator_of
from pipelines.raw.high_water_mark import plausible_ids
from pipelines.raw.row_buffer import BROKEN_IN_A_ROW, PART_ATTEMPTS, STALLED_PAGES, Counts, NewRows, RowBuffer
from pipelines.raw.warehouse import Known

MOST_ATTEMPTS = 3

#: A list in no order counts records that it does not show, so this share of its announced total is enough.
UNORDERED_SHARE = 0.99

#: A page that leads back, brings nothing new, or ends a list without items is fetched so often again before the crawl
#: accepts it; a full page that ends the list is fetched once more.
FETCHED_AGAIN = 2
_Doubt = Literal["back", "known", "empty", "full"]


@dataclass(frozen=True)
class _Suspect:
    """A request for one broken record that the crawl has stepped over.

    With `same_record`, it used a cursor of our own that may not have passed the previous record.
    """

    query: Arguments
    error: BrokenAnswerError
    same_record: bool


@dataclass
class PaginationState(Counts):
    """The progress and the counts of one list crawl; plain values, stored in dlt's state.

    `rank` is the pass index. `attempt` counts the starts of the pass: page numbers shift, so a pass may be read again.
    `query` has the arguments of the next request, None for the first. `total` is the length of the list as the service
    reports it; `total_changed` says whether it changed meanwhile. `items_before` and `rejected_before` are the counts
    at the start of the attempt, plus what came since and does not count for it. `broken_within` is None while whole
    pages are requested; otherwise one of so many next records breaks its page. `down_to` is the high-water mark of an
    incremental list crawl.
    """

    rank: int = 0
    attempt: int = 1
    query: list[list[str]] | None = None
    total: int | None = None
    total_changed: bool = False
    items_before: int = 0
    rejected_before: int = 0
    broken_within: int | None = None
    down_to: int | None = None
    done: bool = False
    problem: str | None = None

    def from_the_start(self) -> "PaginationState":
        """The same counts, at the beginning of the list."""
        counts = (self.pages, self.items, self.distinct_ids, self.duplicates, self.rejected)
        return PaginationState(*counts, items_before=self.items, rejected_before=self.rejected)


class ListCrawl:
    """Crawls one list: fetches its pages in turn, counts, and buffers rows until they are handed over."""

    def __init__(
        self, endpoint: Endpoint, state: PaginationState, known: Known, crawl_id: str, snapshot_date: date
    ) -> None:
        self.endpoint = endpoint
        self.state = state
        self._paginator = paginator_of(endpoint)
        self._buffer = RowBuffer(endpoint.kind, state, known, crawl_id, snapshot_date)
        # The first attempt of the first pass meets exactly the ids of the crawl, also after a resume.
        self.met = known.ids if (state.rank, state.attempt) == (0, 1) else set[str]()
        self._visited: set[Arguments] = set()
        self._fetched_again = Counter[_Doubt]()
        self._pages_without_new = 0
        # What was stepped over since the last good answer, and the state before the first of these steps.
        self._suspects: list[_Suspect] = []
        self._state_before: PaginationState | None = None
        self._made_cursor: str | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing of this kind was stored when the crawl started or resumed: all that it finds is new."""
        return self._buffer.known.is_empty

    @property
    def kept_state(self) -> PaginationState:
        """The state from which a crawl that stops now can resume."""
        return self._state_before or self.state

    def step(self, client: Client, *, goes_on: bool) -> Page | None:
        """Fetch the next page, buffer its items and find the page that follows; None if it must be fetched again.

        If the crawl `goes_on` after this page, the next one is fetched ahead while this one is processed.

        Raises:
            ServiceError: the service gave no page; `kept_state` has not changed.
        """
        sent = self._query()
        try:
            page = self._fetch(client, sent)
        except BrokenAnswerError as error:
            if (late := self._narrow_or_wait(client, sent, error)) is None:
                return None
            page = late
        try:
            sent, page = self._clear_up(client, sent, page)
        except BrokenAnswerError as failure:
            self._go_back_and_wait(client, failure)
            return None
        following = self._paginator.following(sent, page)
        doubt = self._doubt(sent, page, following)
        if doubt and self._may_fetch_again(doubt):
            return None
        self._visited.add(sent)
        is_whole = self.state.broken_within is None
        if goes_on and is_whole and following is not None and following not in self._visited:
            client.read_ahead(self.endpoint.path, following)
        # Before the items are buffered, because `met` may be the id set of the crawl.
        met_before = len(self.met)
        ids = self._buffer.take(page, self.state.rank + 1)
        self.met.update(ids)
        if self._advance(sent, page, ids, len(self.met) - met_before):
            self._fetched_again.clear()
        return page

    def new_rows(self, *, all_of_them: bool = True) -> NewRows:
        """Hand over the collected rows per raw table; with `all_of_them` false only when ten pages are collected."""
        return self._buffer.new_rows(all_of_them=all_of_them)

    def _fetch(self, client: Client, sent: Arguments) -> Page:
        is_part = self.state.broken_within is not None and self._paginator.limit_of(sent) > 1
        return fetch_page(client, self.endpoint, sent, PART_ATTEMPTS if is_part else None)

    def _doubt(self, sent: Arguments, page: Page, following: Arguments | None) -> _Doubt | None:
        """Why a page must be fetched again. It leads back. Or it ends the list without items, as after a timeout of the
        service's database. Or it is the last page and full, although the list should be longer.
        """
        if following is not None:
            return "back" if following == sent or following in self._visited else None
        if self.endpoint.next_page == "single":
            return None
        if page.items:
            is_whole = self._read_in_this_attempt + len(page.items) >= (_announced(page) or math.inf)
            return "full" if self._paginator.is_full(sent, page) and not is_whole else None
        # After a page that was not full, an empty page is expected.
        was_full = self._read_in_this_attempt % self._paginator.limit_of(sent) == 0
        return None if self.endpoint.next_page == "until_empty" and not was_full else "empty"

    def _may_fetch_again(self, doubt: _Doubt) -> bool:
        """Whether to fetch a page again. Each doubt has its own count: a page may be wrong in two ways in turn."""
        self._fetched_again[doubt] += 1
        return self._fetched_again[doubt] <= (1 if doubt == "full" else FETCHED_AGAIN)

    def _clear_up(self, client: Client, sent: Arguments, page: Page) -> tuple[Arguments, Page]:
        """Fetch what was stepped over once more, now that the service has answered `sent`.

        Returns the page to process and its query: the first suspect that is readable now, else the page that came.
        Records that are still broken are rejected, provided that the service answers right after them.

        Raises:
            BrokenAnswerError: the service failed again meanwhile.
        """
        broken: list[BrokenAnswerError] = []
        for suspect in self._suspects:
            try:
                page = fetch_page(client, self.endpoint, suspect.query, PART_ATTEMPTS)
            except BrokenAnswerError as error:
                broken += [] if suspect.same_record else [error]
            else:
                sent, self.state.broken_within = suspect.query, 1
                self._go_to(sent)
                break
        else:
            if broken:
                page = fetch_page(client, self.endpoint, sent, 1)
        for answer in broken:
            self._buffer.reject_answer(answer)
        self._trust_again()
        return sent, page

    def _narrow_or_wait(self, client: Client, sent: Arguments, error: BrokenAnswerError) -> Page | None:
        """Continue behind a broken page, or wait if the service is broken; the page if it came after all."""
        try:
            return self._narrow(client, sent, error)
        except BrokenAnswerError as failure:
            self._go_back_and_wait(client, failure)
            return None

    def _go_back_and_wait(self, client: Client, failure: BrokenAnswerError) -> None:
        if self._state_before:
            self.state.query, self.state.broken_within = self._state_before.query, self._state_before.broken_within
        self._trust_again()
        client.pause(failure)

    def _trust_again(self) -> None:
        """Nothing that was stepped over is a suspect any more."""
        self._suspects, self._state_before, self._made_cursor = [], None, None

    def _narrow(self, client: Client, sent: Arguments, error: BrokenAnswerError) -> Page | None:
        """Continue with a part of the broken page, or past the broken record; the page if it came after all.

        Raises:
            BrokenAnswerError: more than this page is broken.
        """
        state, limit = self.state, self._paginator.limit_of(sent)
        records = sum(not suspect.same_record for suspect in self._suspects)
        if self.endpoint.limit is None or records == BROKEN_IN_A_ROW:
            raise error
        if limit > 1:
            state.broken_within = limit
            self._go_to(self._part(sent, self._paginator.offset_of(sent)))
            return None
        state.broken_within = 0
        # Behind a cursor of our own that did not help, it is still the same record.
        same_record = self._made_cursor is not None and dict(sent).get("cursor") == self._made_cursor
        past = self._paginator.past_again(sent) if same_record else self._paginator.past(sent)
        past = past or self._past_first(client, sent)
        if past is None:
            # If this fails too, the record is not the cause.
            client.probe()
            try:
                return fetch_page(client, self.endpoint, sent, PART_ATTEMPTS)
            except BrokenAnswerError as still:
                error = still
            # The service has not failed again meanwhile, and now it may report where its list begins.
            client.probe()
            past = self._past_first(client, sent)
        if past is None:
            self._buffer.reject_answer(error)
            self._stop(f"{error.request} stays broken and cannot be stepped over ({error.fault})")
            return None
        self._state_before = self._state_before or replace(state, broken_within=1)
        self._suspects.append(_Suspect(sent, error, same_record))
        if not same_record and self._paginator.may_not_pass:
            self._made_cursor = dict(past).get("cursor")
        self._go_to(self._part(past, self._paginator.offset_of(past)))
        return None

    def _past_first(self, client: Client, sent: Arguments) -> Arguments | None:
        """The query that begins after the first record of a list by cursors, if `sent` requests the beginning. A page
        of no records shows the cursor of the first record.
        """
        if "cursor" in dict(sent):
            return None
        nothing = self._paginator.part(sent, 0, 0)
        try:
            page = fetch_page(client, self.endpoint, nothing, PART_ATTEMPTS)
        except (BrokenAnswerError, RefusedError):
            return None
        first = self._paginator.following(nothing, page)
        return self._paginator.past(first) if first else None

    def _part(self, query: Arguments, first: int) -> Arguments:
        """`query` with a limit that fits `broken_within`; with page numbers, it begins after `first` records.

        Whole pages come back when nothing is suspected any more and, with page numbers, a whole page begins here.
        """
        within, whole = self.state.broken_within, self.endpoint.limit
        assert within is not None
        assert whole is not None
        part = self._paginator.part(query, first, max(1, within // 2) if within else whole)
        if self._paginator.limit_of(part) == whole:
            self.state.broken_within = None
        return part

    def _go_to(self, query: Arguments) -> None:
        self.state.query = [list(argument) for argument in query]

    def _query(self) -> Arguments:
        if self.state.query is None:
            return self.endpoint.arguments(self.state.rank)
        return tuple((name, value) for name, value in self.state.query)

    def _advance(self, sent: Arguments, page: Page, ids: list[str], new: int) -> bool:
        """Find what follows a processed page; false if the page must be fetched again first."""
        state, following = self.state, self._paginator.following(sent, page)
        was_part = state.broken_within is not None
        if state.broken_within is not None and following is not None:
            state.broken_within = max(0, state.broken_within - self._paginator.limit_of(sent))
            following = self._part(following, self._paginator.offset_of(sent) + self._paginator.limit_of(sent))
        if total := _announced(page):
            state.total_changed |= state.total is not None and state.total != total
            state.total = total
        repeats = bool(ids) and not new and not was_part
        # A last page with a few known rows is normal: rows moved to later pages.
        if repeats and (following is not None or self._paginator.is_full(sent, page)):
            # It counts as received, but not as read: as many rows may be missing behind it.
            state.items_before += len(page.items)
            state.rejected_before += len(page.items) - len(ids)
            if self._may_fetch_again("known"):
                return False
            # With page numbers, moved rows come again; a whole page of them has displaced other rows.
            state.total_changed |= not self.endpoint.unordered and self._paginator.is_full(sent, page)
        if following is None:
            self._end_of_pass()
            return True
        if following in self._visited or (repeats and self.endpoint.next_page == "cursor"):
            self._stop(f"{page.request} leads back to pages that were already read")
        elif self._is_stalled(new):
            self._stop(f"no end: {STALLED_PAGES} pages in a row had nothing new, the last of them {page.request}")
        else:
            self._go_to(following)
        return True

    def _is_stalled(self, new: int) -> bool:
        self._pages_without_new = 0 if new else self._pages_without_new + 1
        return self._pages_without_new == STALLED_PAGES

    def _end_of_pass(self) -> None:
        state = self.state
        lack = self._lack()
        if lack and state.attempt < MOST_ATTEMPTS:
            self._begin(state.rank, state.attempt + 1)
        elif lack and not self._is_tolerable():
            self._stop(lack)
        elif state.rank + 1 < len(self.endpoint.passes):
            self._begin(state.rank + 1, 1)
        elif not state.items and not self._buffer.known.is_first:
            self._stop("the list is empty, and it was not on the days before")
        else:
            state.done = True

    def _lack(self) -> str | None:
        """What a finished pass may have missed, judged by the length of the list that the service reports."""
        state = self.state
        if self.endpoint.unordered:
            # In no order, changes mean nothing; only the number of records met in all attempts counts.
            if state.total is not None and (met := self._met_in_all_attempts) < state.total:
                return f"{met} of the {state.total} records of the list were met in {MOST_ATTEMPTS} walks"
        elif state.total_changed:
            return f"the list changed while it was read, {MOST_ATTEMPTS} times over"
        elif state.total is not None and (read := self._read_in_this_attempt) < state.total:
            return f"the list ended after {read} of its {state.total} records, {MOST_ATTEMPTS} times over"
        return None

    def _is_tolerable(self) -> bool:
        announced = self.state.total or 0
        return self.endpoint.unordered and self._met_in_all_attempts >= UNORDERED_SHARE * announced

    @property
    def _read_in_this_attempt(self) -> int:
        return self.state.items - self.state.items_before

    @property
    def _met_in_all_attempts(self) -> int:
        return self.state.distinct_ids + self.state.rejected - self.state.rejected_before

    def _begin(self, pass_index: int, attempt: int) -> None:
        state = self.state
        state.rank, state.attempt, state.query, state.total, state.total_changed = (
            pass_index,
            attempt,
            None,
            None,
            False,
        )
        state.items_before, state.rejected_before = state.items, state.rejected
        state.broken_within = None
        self.met = set()
        self._visited.clear()
        self._pages_without_new = 0

    def _stop(self, problem: str) -> None:
        self.state.done, self.state.problem = True, problem


class IncrementalListCrawl(ListCrawl):
    """Crawls a list that is too long to read to its end: newest first, down to the high-water mark.

    The mark is where the last whole crawl of the list began. It moves only with a whole crawl, so an interrupted one
    starts over: its rows are loaded and counted, and become duplicates when they are met again. The very first crawl
    has no mark and stops after `first_pages` pages. A crawl that cannot continue records where it stopped
    (`pipelines.raw.warehouse.gallery_mark`).
    """

    def __init__(
        self,
        endpoint: Endpoint,
        state: PaginationState,
        known: Known,
        crawl_id: str,
        snapshot_date: date,
        *,
        mark: int | None,
        first_pages: int,
    ) -> None:
        if not state.done:
            state = state.from_the_start()
            state.down_to = mark
            state.done = mark is None and not first_pages
        super().__init__(endpoint, state, known, crawl_id, snapshot_date)
        self.met = set() if not state.done else self.met
        self._pages_read = 0
        self._first_pages = first_pages
        self._touches_mark = False

    @property
    def kept_state(self) -> PaginationState:
        return self.state if self.state.done else self.state.from_the_start()

    def reached(self) -> dict[str, int | None]:
        """The range of image ids that was read, after the crawl has ended: columns of `raw.snapshots`."""
        ids = plausible_ids(map(int, self.met), self.state.down_to) if self.state.done else []
        is_whole = self.state.done and not self.state.problem
        newest = max([*ids, self.state.down_to or 0]) if is_whole else max(ids, default=0)
        return {
            "gallery_from": self.state.down_to if is_whole and newest else None,
            "gallery_to": newest or None,
            "gallery_stopped_at": None if is_whole else min(ids, default=None),
        }

    def _advance(self, sent: Arguments, page: Page, ids: list[str], new: int) -> bool:
        if not super()._advance(sent, page, ids, new):
            return False
        self._pages_read += 1
        self._touches_mark = any(int(entity_id) <= (self.state.down_to or 0) for entity_id in ids)
        mark = self.state.down_to
        if mark is None:
            self.state.done |= self._pages_read == self._first_pages
        elif ids and all(int(entity_id) <= mark for entity_id in ids):
            self.state.done = True
        return True

    def _end_of_pass(self) -> None:
        self.state.done = True

    def _stop(self, problem: str) -> None:
        if self._touches_mark:  # everything new was met
            self.state.done = True
        else:
            super()._stop(problem)


def _announced(page: Page) -> int | None:
    """The length of the list that a page reports: an integer, a float without a fraction, or a text of digits."""
    match page.metadata.get("totalItems"):
        case bool():
            return None
        case int(total):
            return total
        case float(total) if total.is_integer():
            return int(total)
        case str(text) if text.isascii() and text.isdigit():
            return int(text)
        case _:
            return None
