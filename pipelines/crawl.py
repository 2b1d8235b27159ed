"""One crawl: walks every list endpoint of a dialect, page by page, and hands over what it finds as Arrow tables.

An id is observed once per crawl: whatever meets it again is a duplicate. A document that is already stored is not
handed over again. For every endpoint items = distinct ids + duplicates + rejected, always. `Walk` is all that a crawl
has to remember of an endpoint to go on after it was stopped.
"""

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa

from pipelines.client import Client, Page, ServiceError, next_page_query
from pipelines.dialects import DIALECTS, Arguments, Endpoint
from pipelines.documents import Document, UnreadableItemError, split
from pipelines.progress import Progress
from pipelines.raw import REJECTS, RawTable, documents_table, observations_table
from pipelines.settings import Settings
from pipelines.warehouse import Known

PAGES_PER_TABLE = 10
MOST_ATTEMPTS = 3

#: What is counted per endpoint; items = distinct_ids + duplicates + rejected.
COUNTS = ("pages", "items", "distinct_ids", "duplicates", "rejected")

#: The values of a row in the order of its table's columns.
Row = tuple[Any, ...]
NewRows = Iterator[tuple[RawTable, pa.Table]]


@dataclass
class Walk:
    """How far the walk of one endpoint is, and what it counted; plain values, kept in dlt's state.

    `rank` is the pass; `attempt` how often it was begun (page numbers shift, so a pass may be walked again); `query`
    the arguments of its next request, None for its first; `total` the length of the list as the service gives it.
    """

    rank: int = 0
    attempt: int = 1
    query: list[list[str]] | None = None
    total: int | None = None
    total_changed: bool = False
    done: bool = False
    problem: str | None = None
    pages: int = 0
    items: int = 0
    distinct_ids: int = 0
    duplicates: int = 0
    rejected: int = 0

    def counts(self) -> dict[str, int]:
        """The numbers of `raw.snapshots.endpoints`."""
        return {name: getattr(self, name) for name in COUNTS}


class EndpointCrawl:
    """The walk of one endpoint: asks for its pages in turn, counts, and collects rows until they are handed over."""

    def __init__(self, endpoint: Endpoint, walk: Walk, known: Known, crawl_id: str, snapshot_date: date) -> None:
        self.endpoint = endpoint
        self.walk = walk
        self._known = known
        self._crawl_id = crawl_id
        self._snapshot_date = snapshot_date
        # The first attempt of the first pass meets exactly the ids of the crawl, also after it was resumed.
        self.met = known.ids if (walk.rank, walk.attempt) == (0, 1) else set[str]()
        self._visited: set[Arguments] = set()
        self._reject_keys: set[tuple[str, int]] = set()
        self._documents: list[Row] = []
        self._observations: list[Row] = []
        self._rejects: list[Row] = []
        self._pages_held = 0

    @property
    def is_first(self) -> bool:
        """Whether nothing of this kind was stored on any other date: all its documents are new."""
        return self._known.is_first

    @property
    def kept_walk(self) -> Walk:
        """What a crawl that is stopped now can count on when it goes on."""
        return self.walk

    def step(self, client: Client, *, goes_on: bool) -> Page:
        """Ask for the next page, take it in and find out what follows; where the walk `goes_on` after this page, the
        service works on the page that follows while this one is taken in.

        Raises:
            ServiceError: the service gave no page; nothing has changed.
        """
        sent = self._query()
        fetch = client.list_page if self.endpoint.items == "items" else client.document
        page = fetch(self.endpoint.path, sent)
        self._visited.add(sent)
        following = self._following(sent, page)
        if goes_on and following is not None and following not in self._visited:
            client.read_ahead(self.endpoint.path, following)
        page_ids, new = self._take(page)
        self._advance(sent, page, page_ids, new)
        return page

    def new_rows(self, *, all_of_them: bool = True) -> NewRows:
        """Hand over the collected rows per raw table; with `all_of_them` false only when ten pages are collected."""
        if not all_of_them and self._pages_held < PAGES_PER_TABLE:
            return
        kind = self.endpoint.kind
        for table, rows in (
            (documents_table(kind), self._documents),
            (observations_table(kind), self._observations),
            (REJECTS, self._rejects),
        ):
            if rows:
                yield table, arrow_table(table, rows)
                rows.clear()
        self._pages_held = 0

    def _query(self) -> Arguments:
        if self.walk.query is None:
            return self.endpoint.arguments(self.walk.rank)
        return tuple((name, value) for name, value in self.walk.query)

    def _take(self, page: Page) -> tuple[list[str], int]:
        """Count and collect the items of a page; gives their ids and how many this walk had not met before."""
        walk, known = self.walk, self._known
        ids: list[str] = []
        new = 0
        walk.pages += 1
        self._pages_held += 1
        for position, raw in enumerate(page.items):
            item = bytes(raw)
            walk.items += 1
            try:
                document = split(self.endpoint.kind, item)
            except UnreadableItemError as error:
                walk.rejected += 1
                self._reject(page, position, str(error), item)
                continue
            ids.append(document.entity_id)
            new += document.entity_id not in self.met
            if document.entity_id in known.ids:
                walk.duplicates += 1
            else:
                walk.distinct_ids += 1
                known.ids.add(document.entity_id)
                self._observe(document, page.answered_at)
            self.met.add(document.entity_id)
        return ids, new

    def _observe(self, document: Document, moment: datetime) -> None:
        entity_id, content_hash, payload, metrics = document
        if entity_id not in self._known.observed:
            crawl_pass = self.walk.rank + 1
            self._observations.append(
                (self._snapshot_date, entity_id, content_hash, moment, self._crawl_id, crawl_pass, metrics)
            )
        if content_hash not in self._known.hashes:
            self._known.hashes.add(content_hash)
            self._documents.append((entity_id, content_hash, moment, payload))

    def _reject(self, page: Page, position: int, reason: str, item: bytes) -> None:
        # A pass that is walked again meets them again, at the same place.
        if (page.request, position) not in self._reject_keys:
            self._reject_keys.add((page.request, position))
            place = (self._crawl_id, self._snapshot_date, self.endpoint.kind, page.request, position)
            self._rejects.append((*place, page.answered_at, reason, item))

    def _advance(self, sent: Arguments, page: Page, ids: list[str], new: int) -> None:
        walk, following = self.walk, self._following(sent, page)
        total = page.metadata.get("totalItems")
        if isinstance(total, int) and total > 0:
            walk.total_changed |= walk.total is not None and walk.total != total
            walk.total = total
        if following is None:
            self._end_of_pass()
        elif following in self._visited or (ids and not new):
            self._stop(f"{page.request} leads back to pages that were already read")
        else:
            walk.query = [list(argument) for argument in following]

    def _following(self, sent: Arguments, page: Page) -> Arguments | None:
        """The query of the next page, or None at the end of the pass."""
        match self.endpoint.next_page:
            case "cursor":
                cursor = page.metadata.get("nextCursor")
                first = self.endpoint.arguments(self.walk.rank)
                return None if cursor is None or cursor == "" else (*first, ("cursor", str(cursor)))
            case "next_page":
                address = page.metadata.get("nextPage")
                return next_page_query(address) if isinstance(address, str) and address else None
            case "until_empty":
                number = int(dict(sent).get("page", 1)) + 1
                return (*self.endpoint.arguments(self.walk.rank), ("page", str(number))) if page.items else None
            case "single":
                return None

    def _end_of_pass(self) -> None:
        walk = self.walk
        if walk.total_changed and walk.attempt < MOST_ATTEMPTS:
            self._begin(walk.rank, walk.attempt + 1)
        elif walk.total_changed:
            self._stop(f"the list changed while it was read, {MOST_ATTEMPTS} times over")
        elif walk.rank + 1 < len(self.endpoint.passes):
            self._begin(walk.rank + 1, 1)
        else:
            walk.done = True

    def _begin(self, rank: int, attempt: int) -> None:
        walk = self.walk
        walk.rank, walk.attempt, walk.query, walk.total, walk.total_changed = rank, attempt, None, None, False
        self.met = set()
        self._visited.clear()

    def _stop(self, problem: str) -> None:
        self.walk.done, self.walk.problem = True, problem


class GalleryCrawl(EndpointCrawl):
    """The walk of a list too long to be walked to its end: newest first, down to the mark of the last whole walk.

    The mark moves with a whole walk only, so a walk that was cut starts over. The very first one has no mark and stops
    after `first_pages` pages.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        walk: Walk,
        known: Known,
        crawl_id: str,
        snapshot_date: date,
        *,
        mark: int | None,
        first_pages: int,
    ) -> None:
        if not walk.done:
            walk = Walk(done=mark is None and not first_pages)
            known.ids.clear()
        super().__init__(endpoint, walk, known, crawl_id, snapshot_date)
        self.mark = mark
        self._first_pages = first_pages

    @property
    def kept_walk(self) -> Walk:
        return self.walk if self.walk.done else Walk()

    @property
    def reached_mark(self) -> int | None:
        """The mark for the next walk."""
        if not self.walk.done or self.walk.problem:
            return self.mark
        return max([*map(int, self.met), self.mark or 0]) or None

    def _advance(self, sent: Arguments, page: Page, ids: list[str], new: int) -> None:
        super()._advance(sent, page, ids, new)
        if self.mark is None:
            self.walk.done |= self.walk.pages == self._first_pages
        elif ids and all(int(entity_id) <= self.mark for entity_id in ids):
            self.walk.done = True

    def _end_of_pass(self) -> None:
        self.walk.done = True


class Crawl:
    """All endpoints of one crawl, walked window by window; `state` and `row` tell how far it is at any moment."""

    def __init__(
        self,
        crawl_id: str,
        snapshot_date: date,
        settings: Settings,
        known: Mapping[str, Known],
        progress: Progress,
        *,
        state: dict[str, Any] | None = None,
        image_mark: int | None = None,
    ) -> None:
        """`state` is that of the crawl to go on with; without it, a new one begins."""
        self.crawl_id = crawl_id
        self.dialect = DIALECTS[settings.dialect_name]
        self.client = Client(settings)
        self.failure: ServiceError | None = None
        self.started_at = datetime.fromisoformat(state["started_at"]) if state else None
        self._snapshot_date = snapshot_date
        self._api_url = settings.api_url
        self._progress = progress
        self._clock = self.started_at
        self._spent_before = state["spent"] if state else {"retries": 0, "bytes": 0, "seconds": 0.0}
        self._began = time.monotonic()
        self._pages_left = 0
        self._pages_taken = 0
        self.endpoints: dict[str, EndpointCrawl] = {}
        for endpoint in self.dialect.endpoints:
            walk = Walk(**state["walks"][endpoint.name]) if state else Walk()
            place = (endpoint, walk, known[endpoint.kind], crawl_id, snapshot_date)
            self.endpoints[endpoint.name] = (
                GalleryCrawl(*place, mark=image_mark, first_pages=settings.image_pages)
                if endpoint.gallery
                else EndpointCrawl(*place)
            )

    @property
    def is_finished(self) -> bool:
        """Whether every endpoint was walked to its end, or to where it could not go on."""
        return all(each.walk.done for each in self.endpoints.values())

    @property
    def image_mark(self) -> int | None:
        """Where the next walk through the gallery will end."""
        return next((each.reached_mark for each in self.endpoints.values() if isinstance(each, GalleryCrawl)), None)

    def open_window(self, pages: int) -> None:
        """Allow this many pages for the next window, over all endpoints together."""
        self._pages_left, self._pages_taken = pages, 0

    def walk(self, name: str) -> NewRows:
        """Walk an endpoint as far as the window allows; the new rows come about ten pages at a time.

        A gallery is walked in one window, however long it is. A failure of the service ends the window: what it brought
        is handed over and `failure` is set.

        Raises:
            ServiceError: the failure, if the window has brought nothing yet.
        """
        each = self.endpoints[name]
        while self._pages_left > 0 and not each.walk.done and not self.failure:
            try:
                # Not past the window, which is what a kill may lose; and a gallery ends where a page says so.
                goes_on = self._pages_left > 1 and not each.endpoint.gallery
                page = each.step(self.client, goes_on=goes_on)
            except ServiceError as failure:
                if not self._pages_taken:
                    raise
                self.failure = failure
                break
            self._pages_taken += 1
            self._pages_left -= not each.endpoint.gallery
            self._clock = page.answered_at
            self.started_at = self.started_at or self._start(page.answered_at)
            self._progress.update(name, len(each.met), each.walk.total)
            yield from each.new_rows(all_of_them=False)
        yield from each.new_rows()

    def state(self) -> dict[str, Any]:
        """All that is needed to go on with this crawl in another process; plain values."""
        return {
            "crawl_id": self.crawl_id,
            "started_at": self.started_at.isoformat() if self.started_at else None,
            "spent": self._spent(),
            "walks": {name: asdict(each.kept_walk) for name, each in self.endpoints.items()},
        }

    def row(self) -> dict[str, Any]:
        """The row of `raw.snapshots` as it is now."""
        walks = {each.endpoint.kind: each.kept_walk for each in self.endpoints.values()}
        problems = [f"{name}: {each.walk.problem}" for name, each in self.endpoints.items() if each.walk.problem]
        counts = {kind: walk.counts() for kind, walk in walks.items()}
        arguments = {
            each.endpoint.kind: [dict(each.endpoint.arguments(rank)) for rank in range(len(each.endpoint.passes))]
            for each in self.endpoints.values()
        }
        return {
            "crawl_id": self.crawl_id,
            "snapshot_date": self._snapshot_date,
            "dialect": self.dialect.name,
            "api_url": self._api_url,
            "status": "complete" if self.is_finished and not problems else "partial",
            "reason": "; ".join(problems) or None,
            "started_at": self.started_at,
            "finished_at": self._finished_at(),
            "passes": max(len(each.endpoint.passes) for each in self.endpoints.values()),
            **{name: sum(count[name] for count in counts.values()) for name in COUNTS},
            **self._spent(),
            "reconciled_ids": 0,
            "arguments": json.dumps(arguments),
            "endpoints": json.dumps(counts),
        }

    def _spent(self) -> dict[str, Any]:
        now = {
            "retries": self.client.retries,
            "bytes": self.client.bytes,
            "seconds": time.monotonic() - self._began,
        }
        return {name: round(before + now[name], 3) for name, before in self._spent_before.items()}

    def _finished_at(self) -> datetime | None:
        if not self.is_finished or self._clock is None or self.started_at is None:
            return None
        return max(self._clock, self.started_at)

    def _start(self, first_answer: datetime) -> datetime:
        if first_answer.date() == self._snapshot_date:
            return first_answer
        return datetime.combine(self._snapshot_date, datetime.min.time(), UTC)


def arrow_table(table: RawTable, rows: list[Row]) -> pa.Table:
    """Rows, their values in the order of the columns of `table`, as Arrow."""
    columns = zip(*rows, strict=True)
    arrays = [pa.array(values, values_type) for values, values_type in zip(columns, table.schema.types, strict=True)]
    return pa.Table.from_arrays(arrays, schema=table.schema)
