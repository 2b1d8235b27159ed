"""How a list endpoint is walked: what follows a page, what is no end, what is a loop, and which pages are walked again.

`Walk` is all that a crawl has to remember of an endpoint to go on after it was stopped.
"""

from dataclasses import dataclass
from datetime import date

from pipelines.client import Client, Page, next_page_query
from pipelines.dialects import Arguments, Endpoint
from pipelines.harvest import Counts, Harvest, NewRows
from pipelines.warehouse import Known

MOST_ATTEMPTS = 3


@dataclass
class Walk(Counts):
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


class EndpointCrawl:
    """The walk of one endpoint: asks for its pages in turn, counts, and collects rows until they are handed over."""

    def __init__(self, endpoint: Endpoint, walk: Walk, known: Known, crawl_id: str, snapshot_date: date) -> None:
        self.endpoint = endpoint
        self.walk = walk
        self._harvest = Harvest(endpoint.kind, walk, known, crawl_id, snapshot_date)
        # The first attempt of the first pass meets exactly the ids of the crawl, also after it was resumed.
        self.met = known.ids if (walk.rank, walk.attempt) == (0, 1) else set[str]()
        self._visited: set[Arguments] = set()

    @property
    def is_first(self) -> bool:
        """Whether nothing of this kind was stored on any other date: all its documents are new."""
        return self._harvest.known.is_first

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
        # Before the page is taken in, for the ids that were met may be those of the crawl.
        met_before = len(self.met)
        ids = self._harvest.take(page, self.walk.rank + 1)
        self.met.update(ids)
        self._advance(sent, page, ids, len(self.met) - met_before)
        return page

    def new_rows(self, *, all_of_them: bool = True) -> NewRows:
        """Hand over the collected rows per raw table; with `all_of_them` false only when ten pages are collected."""
        return self._harvest.new_rows(all_of_them=all_of_them)

    def _query(self) -> Arguments:
        if self.walk.query is None:
            return self.endpoint.arguments(self.walk.rank)
        return tuple((name, value) for name, value in self.walk.query)

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
