"""The way of a list crawl around pages that stay broken, by the policy of `broken_records`.

A broken page is requested in smaller and smaller parts until the one broken record stands alone. The crawl steps over
this record, and comes back to it when the service answers again. If it cannot step over anything, the service is
broken: the crawl goes back to where it was and waits.
"""

from collections.abc import Callable
from dataclasses import replace

from pipelines.api.answers import Page
from pipelines.api.client import Client
from pipelines.api.dialects import Arguments, Endpoint
from pipelines.api.errors import BrokenAnswerError, RefusedError
from pipelines.crawl.broken_records import PART_ATTEMPTS, Suspects, attempts_of, half_of, probe
from pipelines.crawl.pagination_state import PaginationState
from pipelines.crawl.paginators import fetch_page, paginator_of
from pipelines.raw.row_buffer import RowBuffer


class BrokenPages:
    """What was stepped over in one list, and where to go on; moves `state`.

    Broken records are rejected in `buffer`. `stop` ends the crawl, and gets the reason.
    """

    def __init__(
        self, endpoint: Endpoint, state: PaginationState, buffer: RowBuffer, stop: Callable[[str], None]
    ) -> None:
        self._endpoint = endpoint
        self._paginator = paginator_of(endpoint)
        self._state = state
        self._buffer = buffer
        self._stop = stop
        self._suspects = Suspects[Arguments]()
        self._state_before: PaginationState | None = None
        # A cursor of our own that may not have passed the record before it.
        self._made_cursor: str | None = None

    @property
    def kept_state(self) -> PaginationState:
        """The state before the first step over a suspect."""
        return self._state_before or self._state

    def fetch(self, client: Client, sent: Arguments) -> tuple[Arguments, Page] | None:
        """Fetch a page or a part of it, and what was stepped over before, if the service answers again.

        Returns the page to process and its query: the first suspect that is readable now, else the page that came. None
        if there is no page: the state has the next query.
        """
        attempts = attempts_of(self._paginator.limit_of(sent), is_part=self._state.broken_within is not None)
        try:
            try:
                page = fetch_page(client, self._endpoint, sent, attempts)
            except BrokenAnswerError as error:
                if (late := self._narrow(client, sent, error)) is None:
                    return None
                page = late
            return self._clear_up(client, sent, page)
        except BrokenAnswerError as failure:
            self._go_back()
            client.pause(failure)
            return None

    def following_part(self, sent: Arguments, following: Arguments) -> Arguments:
        """The query after a processed part: `following`, no larger than the broken page requires."""
        assert self._state.broken_within is not None
        limit = self._paginator.limit_of(sent)
        self._state.broken_within = max(0, self._state.broken_within - limit)
        return self._part(following, self._paginator.offset_of(sent) + limit)

    def _clear_up(self, client: Client, sent: Arguments, page: Page) -> tuple[Arguments, Page]:
        """Fetch what was stepped over once more, now that the service has answered `sent`."""
        found = self._suspects.clear_up(
            lambda suspect: (suspect, fetch_page(client, self._endpoint, suspect, PART_ATTEMPTS)),
            lambda: (sent, fetch_page(client, self._endpoint, sent, 1)),
            lambda _, failure: self._buffer.reject_answer(failure),
        )
        query, page = found or (sent, page)
        if query != sent:
            self._state.broken_within = 1
            self._state.go_to(query)
        self._state_before = self._made_cursor = None
        return query, page

    def _go_back(self) -> None:
        if self._state_before:
            self._state.query, self._state.broken_within = self._state_before.query, self._state_before.broken_within
        self._suspects.take_back()
        self._state_before = self._made_cursor = None

    def _narrow(self, client: Client, sent: Arguments, error: BrokenAnswerError) -> Page | None:
        """Continue with a part of the broken page, or past the broken record; the page if it came after all.

        Raises:
            BrokenAnswerError: more than this page is broken.
        """
        state, limit = self._state, self._paginator.limit_of(sent)
        self._suspects.check(error)
        if self._endpoint.limit is None:
            raise error
        if limit > 1:
            state.broken_within = limit
            state.go_to(self._part(sent, self._paginator.offset_of(sent)))
            return None
        state.broken_within = 0
        # Behind a cursor of our own that did not help, it is still the same record.
        same_record = self._made_cursor is not None and dict(sent).get("cursor") == self._made_cursor
        past = self._paginator.past_again(sent) if same_record else self._paginator.past(sent)
        past = past or self._past_first(client, sent)
        if past is None:
            # If this fails too, the record is not the cause.
            probe(client)
            try:
                return fetch_page(client, self._endpoint, sent, PART_ATTEMPTS)
            except BrokenAnswerError as still:
                error = still
            # The service has not failed again meanwhile, and now it may report where its list begins.
            probe(client)
            past = self._past_first(client, sent)
        if past is None:
            self._buffer.reject_answer(error)
            self._stop(f"{error.request} stays broken and cannot be stepped over ({error.fault})")
            return None
        self._state_before = self._state_before or replace(state, broken_within=1)
        self._suspects.add(sent, error, same_record=same_record)
        if not same_record and self._paginator.may_not_pass:
            self._made_cursor = dict(past).get("cursor")
        state.go_to(self._part(past, self._paginator.offset_of(past)))
        return None

    def _past_first(self, client: Client, sent: Arguments) -> Arguments | None:
        """The query that begins after the first record of a list by cursors, if `sent` requests the beginning. A page
        of no records shows the cursor of the first record.
        """
        if "cursor" in dict(sent):
            return None
        nothing = self._paginator.part(sent, 0, 0)
        try:
            page = fetch_page(client, self._endpoint, nothing, PART_ATTEMPTS)
        except (BrokenAnswerError, RefusedError):
            return None
        first = self._paginator.following(nothing, page)
        return self._paginator.past(first) if first else None

    def _part(self, query: Arguments, first: int) -> Arguments:
        """`query` with a limit that fits `broken_within`; with page numbers, it begins after `first` records.

        Whole pages come back when nothing is suspected any more and, with page numbers, a whole page begins here.
        """
        within, whole = self._state.broken_within, self._endpoint.limit
        assert within is not None
        assert whole is not None
        part = self._paginator.part(query, first, half_of(within) if within else whole)
        if self._paginator.limit_of(part) == whole:
            self._state.broken_within = None
        return part
