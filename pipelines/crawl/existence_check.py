"""Checks by id whether what a list no longer shows still exists: the list missed it, or it is deleted.

Only a 404 marks an entity as deleted. Any other refusal is rejected, and the check continues. Tombstones are written
after every id was checked. If the service answers 404 for too many models, the crawl is partial and has no tombstones.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from itertools import chain

import msgspec

from pipelines.api.answers import Page
from pipelines.api.client import Client
from pipelines.api.dialects import ExistenceCheckEndpoint
from pipelines.api.errors import BrokenAnswerError, NotFoundError, RefusedError
from pipelines.crawl.broken_records import BROKEN_IN_A_ROW, PART_ATTEMPTS, Suspects, fetch_patiently, probe
from pipelines.raw.documents import UnreadableItemError, split
from pipelines.raw.row_buffer import Counts, NewRows, RowBuffer
from pipelines.raw.tables import RECONCILE_PASS
from pipelines.raw.warehouse import Known

#: So many may be deleted on any day, even in a small catalogue.
DELETIONS_TOLERATED = 3


@dataclass
class ExistenceCheckState(Counts):
    """The progress of an existence check; plain values, stored in dlt's state.

    `batched` is the last id that was fetched in a batch. `denied` are ids that answered 404; `unknown` did too, but
    were never seen before. `unreadable` answered without a document, or were refused. `asked` counts all ids that have
    an answer; those in none of the lists are observed by now.
    """

    batched: int = 0
    denied: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    asked: int = 0
    done: bool = False
    problem: str | None = None


class ExistenceCheck:
    """Fetches the ids of `expected` that the crawl has not observed, in order; in batches where the service can.

    `max_share` is the share of `expected` that may be deleted on each of the `days` since the last complete crawl.
    `watched` ids are fetched too, expected or not.
    """

    def __init__(
        self,
        rules: ExistenceCheckEndpoint,
        state: ExistenceCheckState,
        known: Known,
        expected: Collection[str],
        crawl_id: str,
        snapshot_date: date,
        *,
        max_share: float,
        days: int = 1,
        watched: Collection[str] = (),
    ) -> None:
        self.state = state
        self._rules = rules
        self._known = known
        self._expected = expected
        self._watched = watched
        self._days = days
        # After a gap, the deletions of all its days appear at once.
        self._max_share = 1 - (1 - max_share) ** days
        self._buffer = RowBuffer(rules.kind, state, known, crawl_id, snapshot_date)
        self._batches: deque[list[str]] = deque()
        self._alone: deque[str] = deque()
        self._suspects = Suspects[str]()
        self._answered_at: datetime | None = None
        self._refused_in_a_row = 0

    @property
    def _span(self) -> str:
        return f" for {self._days} days" if self._days > 1 else ""

    @property
    def total(self) -> int:
        """The number of ids to fetch."""
        return self.state.asked + sum(map(len, self._batches)) + len(self._alone)

    def begin(self, clock: datetime) -> None:
        """Find the ids that the list has not shown, after it was read to its end."""
        settled = {*self.state.denied, *self.state.unknown, *self.state.unreadable}
        unseen = sorted(
            {
                entity_id
                for entity_id in chain(self._expected, self._watched)
                if not (entity_id in self._known.ids or entity_id in self._known.observed or entity_id in settled)
            },
            key=int,
        )
        size = self._rules.batch_size
        batched = bisect_right(unseen, self.state.batched, key=int) if size else len(unseen)
        self._alone.extend(unseen[:batched])
        self._batches.extend(unseen[first : first + size] for first in range(batched, len(unseen), size or 1))
        self._end_where_nothing_is_left(clock)

    def step(self, client: Client) -> datetime | None:
        """Fetch the next batch, or the next id alone; returns the time of the answer, None if there is none yet.

        An id whose answer is broken is rejected if it is still broken when the service answers again. If nothing is
        answered, the service is broken, and all of it is fetched again.

        Raises:
            ServiceError: the service gave no answer; the state has not changed.
        """
        try:
            self._fetch_next(client)
        except BrokenAnswerError as failure:
            self._alone.extendleft(reversed(self._suspects.take_back()))
            client.pause(failure)
            return None
        moment = self._answered_at
        if moment is not None:
            self._end_where_nothing_is_left(moment)
        return moment

    def new_rows(self, *, all_of_them: bool = True) -> NewRows:
        """Hand over the collected rows per raw table; with `all_of_them` false only when ten answers are collected."""
        return self._buffer.new_rows(all_of_them=all_of_them)

    def _fetch_next(self, client: Client) -> None:
        self._answered_at = None
        if self._batches:
            self._fetch_batch(client)
        else:
            self._fetch_next_id(client)

    def _fetch_batch(self, client: Client) -> None:
        batch = self._batches[0]
        try:
            page = fetch_patiently(client, lambda attempts: self._page_of(client, batch, attempts))
        except BrokenAnswerError as error:
            page = Page(error.request, [], {}, error.answered_at)
        # A service that ignores `ids` answers with the beginning of its list.
        wanted = [item for item in page.items if self._id_of(item) in batch]
        found = set(self._buffer.take(replace(page, items=wanted), RECONCILE_PASS))
        self._batches.popleft()
        self._alone.extend(entity_id for entity_id in batch if entity_id not in found)
        self.state.batched = int(batch[-1])
        self.state.asked += len(found)
        self._answered_at = page.answered_at

    def _page_of(self, client: Client, batch: list[str], attempts: int | None) -> Page:
        query = (*self._rules.arguments, ("ids", ",".join(batch)))
        try:
            return client.list_page(self._rules.path, query, attempts)
        except RefusedError as refusal:
            if not refusal.is_of_one:
                raise
            return Page(self._rules.path, [], {}, refusal.answered_at)

    def _fetch_next_id(self, client: Client) -> None:
        entity_id = self._alone[0]
        try:
            self._fetch_id(client, entity_id)
        except BrokenAnswerError as failure:
            self._suspects.add(entity_id, failure)
            self._alone.popleft()
            if self._alone:
                return
            probe(client)
        else:
            self._alone.popleft()
        # If the service fails again just now, nothing is rejected.
        self._suspects.clear_up(
            lambda suspect: self._fetch_id(client, suspect, PART_ATTEMPTS), lambda: probe(client), self._reject
        )

    def _fetch_id(self, client: Client, entity_id: str, attempts: int | None = None) -> None:
        """Fetch one id and buffer the answer."""
        path = f"{self._rules.path}/{entity_id}"
        try:
            page = client.document(path, (), attempts)
        except NotFoundError as answer:
            (self.state.denied if entity_id in self._expected else self.state.unknown).append(entity_id)
            self._answered_at = answer.answered_at
            self._refused_in_a_row = 0
        except RefusedError as refusal:
            if not refusal.is_of_one:
                raise
            self._answered_at = refusal.answered_at
            self._refused_in_a_row += 1
            if self._refused_in_a_row > BROKEN_IN_A_ROW:
                self.state.done, self.state.problem = True, f"more than {BROKEN_IN_A_ROW} ids in a row: {refusal}"
            self.state.unreadable.append(entity_id)
            self._buffer.reject(path, 0, refusal.answered_at, str(refusal), refusal.answer.body)
        else:
            self._refused_in_a_row = 0
            self._answered_at = page.answered_at
            if self._id_of(page.items[0]) == entity_id:
                self._buffer.take(page, RECONCILE_PASS)
            else:
                self.state.unreadable.append(entity_id)
                reason = f"no document of {self._rules.kind} {entity_id}"
                self._buffer.reject(page.request, 0, page.answered_at, reason, bytes(page.items[0]))
        self.state.asked += 1

    def _reject(self, entity_id: str, answer: BrokenAnswerError) -> None:
        """Keep the answer instead of a document that stays broken."""
        self._buffer.reject_answer(answer)
        self.state.unreadable.append(entity_id)
        self.state.asked += 1
        self._answered_at = answer.answered_at

    def _end_where_nothing_is_left(self, moment: datetime) -> None:
        state, tolerated = self.state, max(DELETIONS_TOLERATED, int(round(self._max_share * len(self._expected), 6)))
        if state.problem:
            return
        if len(state.denied) > tolerated:
            state.done = True
            state.problem = (
                f"more than {tolerated} of the {len(self._expected)} known ids answer 404, beyond the share of "
                f"{self._max_share:.1%} that CIVITAI_ETL_MAX_BURIAL_SHARE allows{self._span}: none is marked as deleted"
            )
        elif not self._batches and not self._alone:
            state.done = True
            self._buffer.mark_deleted(state.denied, moment)

    def _id_of(self, item: msgspec.Raw) -> str | None:
        try:
            return split(self._rules.kind, bytes(item)).entity_id
        except UnreadableItemError:
            return None
