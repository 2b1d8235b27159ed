"""Paginates a list endpoint: finds the next page, recognizes the end and loops, and decides which pages to read again.

A list crawl always ends: at the end of the list, or where the list leads back or brings nothing new for many pages.
`broken_pages` finds the way around pages that stay broken, `completeness` judges a finished pass, and
`PaginationState` is all that a stopped crawl needs to continue a list.
"""

import math
from collections import Counter
from datetime import date
from typing import Literal

from pipelines.api.answers import Page
from pipelines.api.client import Client
from pipelines.api.dialects import Arguments, Endpoint
from pipelines.crawl.broken_pages import BrokenPages
from pipelines.crawl.completeness import MOST_ATTEMPTS, announced, is_tolerable, lack
from pipelines.crawl.pagination_state import PaginationState
from pipelines.crawl.paginators import paginator_of
from pipelines.raw.crawls import GalleryRange
from pipelines.raw.high_water_mark import plausible_ids
from pipelines.raw.row_buffer import NewRows, RowBuffer
from pipelines.raw.text_set import TextSet
from pipelines.raw.warehouse import Known

#: After so many pages in a row without a new id, a list is considered endless, whatever its cursors say. A list by page
#: numbers that resumes after hours repeats what was published meanwhile, but ten thousand models are not published in a
#: day. An item without a readable id has no new id.
STALLED_PAGES = 50

#: A page that leads back, brings nothing new, or ends a list without items is fetched so often again before the crawl
#: accepts it; a full page that ends the list is fetched once more.
FETCHED_AGAIN = 2
_Doubt = Literal["back", "known", "empty", "full"]


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
        self.met = known.ids if (state.rank, state.attempt) == (0, 1) else TextSet()
        self._visited: set[Arguments] = set()
        self._fetched_again = Counter[_Doubt]()
        self._pages_without_new = 0
        self._broken = BrokenPages(endpoint, state, self._buffer, self._stop)

    @property
    def is_empty(self) -> bool:
        """Whether nothing of this kind was stored when the crawl started or resumed: all that it finds is new."""
        return self._buffer.known.is_empty

    @property
    def kept_state(self) -> PaginationState:
        """The state from which a crawl that stops now can resume."""
        return self._broken.kept_state

    def step(self, client: Client, *, goes_on: bool) -> Page | None:
        """Fetch the next page, buffer its items and find the page that follows; None if it must be fetched again.

        If the crawl `goes_on` after this page, the next one is fetched ahead while this one is processed.

        Raises:
            ServiceError: the service gave no page; `kept_state` has not changed.
        """
        if (fetched := self._broken.fetch(client, self._query())) is None:
            return None
        sent, page = fetched
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

    def _doubt(self, sent: Arguments, page: Page, following: Arguments | None) -> _Doubt | None:
        """Why a page must be fetched again. It leads back. Or it ends the list without items, as after a timeout of the
        service's database. Or it is the last page and full, although the list should be longer.
        """
        if following is not None:
            return "back" if following == sent or following in self._visited else None
        if self.endpoint.next_page == "single":
            return None
        if page.items:
            is_whole = self.state.read_in_this_attempt + len(page.items) >= (announced(page) or math.inf)
            return "full" if self._paginator.is_full(sent, page) and not is_whole else None
        # After a page that was not full, an empty page is expected.
        was_full = self.state.read_in_this_attempt % self._paginator.limit_of(sent) == 0
        return None if self.endpoint.next_page == "until_empty" and not was_full else "empty"

    def _may_fetch_again(self, doubt: _Doubt) -> bool:
        """Whether to fetch a page again. Each doubt has its own count: a page may be wrong in two ways in turn."""
        self._fetched_again[doubt] += 1
        return self._fetched_again[doubt] <= (1 if doubt == "full" else FETCHED_AGAIN)

    def _query(self) -> Arguments:
        if self.state.query is None:
            return self.endpoint.arguments(self.state.rank)
        return tuple((name, value) for name, value in self.state.query)

    def _advance(self, sent: Arguments, page: Page, ids: list[str], new: int) -> bool:
        """Find what follows a processed page; false if the page must be fetched again first."""
        state, following = self.state, self._paginator.following(sent, page)
        was_part = state.broken_within is not None
        if was_part and following is not None:
            following = self._broken.following_part(sent, following)
        if total := announced(page):
            state.note_total(total)
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
            state.go_to(following)
        return True

    def _is_stalled(self, new: int) -> bool:
        self._pages_without_new = 0 if new else self._pages_without_new + 1
        return self._pages_without_new == STALLED_PAGES

    def _end_of_pass(self) -> None:
        state, unordered = self.state, self.endpoint.unordered
        missed = lack(state, unordered=unordered)
        if missed and state.attempt < MOST_ATTEMPTS:
            self._begin(state.rank, state.attempt + 1)
        elif missed and not is_tolerable(state, unordered=unordered):
            self._stop(missed)
        elif state.rank + 1 < len(self.endpoint.passes):
            self._begin(state.rank + 1, 1)
        elif not state.items and not self._buffer.known.is_first:
            self._stop("the list is empty, and it was not on the days before")
        else:
            state.done = True

    def _begin(self, pass_index: int, attempt: int) -> None:
        self.state.begin(pass_index, attempt)
        self.met = TextSet()
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
        self.met = TextSet() if not state.done else self.met
        self._pages_read = 0
        self._first_pages = first_pages
        self._touches_mark = False

    @property
    def kept_state(self) -> PaginationState:
        return self.state if self.state.done else self.state.from_the_start()

    def reached(self) -> GalleryRange:
        """The range of image ids that was read, after the crawl has ended."""
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
