"""Discovery between two snapshots: documents of new models and new images.

It loads documents only. Observations come from snapshots, and the next snapshot observes what discovery finds. A
newest-first list is read down to the high-water mark of the last finished refresh, or of the snapshot before it. All
of it is one load package, so an interrupted refresh starts over.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypedDict

import dlt
from dlt.extract.resource import DltResource

from pipelines.api.answers import Page
from pipelines.api.client import Client
from pipelines.api.dialects import DIALECTS, Arguments, Endpoint
from pipelines.api.errors import BrokenAnswerError, ServiceError
from pipelines.crawl.broken_records import fetch_patiently
from pipelines.crawl.pagination import STALLED_PAGES
from pipelines.crawl.paginators import fetch_page, paginator_of
from pipelines.crawl.service import refuse_other_service
from pipelines.errors import CivitaiEtlError
from pipelines.progress import Progress, Silent
from pipelines.raw.crawls import SourceState
from pipelines.raw.documents import UnreadableItemError, split
from pipelines.raw.high_water_mark import Mark, as_mark, plausible, positions
from pipelines.raw.loader import Loader, plain_errors
from pipelines.raw.resources import INSERT_ONLY, SOURCE, list_resource, marked
from pipelines.raw.row_buffer import Row, arrow_table
from pipelines.raw.tables import documents_table
from pipelines.raw.text_set import TextSet
from pipelines.raw.warehouse import connect, crawls, document_key, gallery_mark, stored_documents
from pipelines.settings import Settings
from pipelines.storage.directory import storage_errors
from pipelines.storage.lock import SafePoint, go_on

_SILENT = Silent()


_NOTHING = "There is no complete snapshot to refresh: run `civitai-etl snapshot` first."


class NothingToRefreshError(CivitaiEtlError):
    """There is no complete snapshot yet that a refresh could follow."""


@dataclass(frozen=True)
class RefreshReport:
    """The result of a refresh; `documents` are new ones per payload kind, `rejected` items without a readable id."""

    documents: dict[str, int]
    requests: int
    pages: int
    rejected: int
    retries: int
    bytes: int
    seconds: float


class NewDocuments(TypedDict):
    """The rows of a page for the table of documents, and its highest position, None if that is unknown."""

    newest: Mark | None
    rows: list[Row]


@dataclass
class DiscoveryCrawl:
    """Crawls one discovery list, and counts.

    `mark` is where the very first refresh ends. `stored` are the keys of documents that raw has.
    """

    endpoint: Endpoint
    mark: Mark | None
    stored: TextSet
    client: Client
    progress: Progress
    first_pages: int
    safe_point: SafePoint
    pages_read: int = 0
    rejected: int = 0
    documents: int = 0
    _visited: set[Arguments] = field(default_factory=set)
    _met: TextSet = field(default_factory=TextSet)

    def pages(self) -> Iterator[NewDocuments]:
        """The new documents page after page; `newest` falls from page to page.

        A reader of a newest-first list stops at a page whose `newest` is known. Without a mark, `first_pages` are read.

        A page that stays broken ends the list: the next snapshot gets the rest.

        Raises:
            ServiceError: the service gave no answer, leads in circles, or has no end.
        """
        endpoint, paginator = self.endpoint, paginator_of(self.endpoint)
        for pass_index in range(len(endpoint.passes)):
            query: Arguments | None = endpoint.arguments(pass_index)
            self._met = TextSet()
            without_new = 0
            while query is not None:
                if endpoint.incremental and self.mark is None and self.pages_read == self.first_pages:
                    return
                self.safe_point()
                try:
                    page = self._page(query)
                except BrokenAnswerError as error:
                    self.rejected += 1
                    self.progress.note(f"{error}; what lies behind it is left to the next snapshot")
                    break
                self._visited.add(query)
                self.pages_read += 1
                met_before = len(self._met)
                yield {"newest": self._newest(page), "rows": self._rows(page)}
                without_new = without_new + 1 if len(self._met) == met_before else 0
                self.progress.update(endpoint.name, self.documents)
                query = paginator.following(query, page)
                if query in self._visited:
                    raise ServiceError(f"{page.request} leads back to pages that were already read")
                if query and without_new == STALLED_PAGES:
                    raise ServiceError(f"{page.request}: no end, {STALLED_PAGES} pages in a row had nothing new")

    def is_plausible(self, mark: Mark) -> bool:
        """Whether a mark of this list is plausible, by this machine's clock and by the mark of the snapshots."""
        return bool(plausible(self.endpoint.kind, [mark], datetime.now(UTC), self.mark))

    def _newest(self, page: Page) -> Mark | None:
        """The highest position on the page. It is unknown if a position is implausible: such a value must neither end
        the crawl nor move the mark.
        """
        found = positions(self.endpoint.kind, page.items)
        sound = plausible(self.endpoint.kind, found, page.answered_at, self.mark)
        return sound[-1] if sound and len(sound) == len(found) else None

    def _page(self, query: Arguments) -> Page:
        return fetch_patiently(self.client, lambda attempts: fetch_page(self.client, self.endpoint, query, attempts))

    def _rows(self, page: Page) -> list[Row]:
        rows: list[Row] = []
        for item in page.items:
            try:
                entity_id, content_hash, payload, _ = split(self.endpoint.kind, bytes(item))
            except UnreadableItemError:
                self.rejected += 1
                continue
            self._met.add(entity_id)
            if (key := document_key(entity_id, content_hash)) not in self.stored:
                self.stored.add(key)
                rows.append((entity_id, content_hash, page.answered_at, payload))
        return rows


def refresh(settings: Settings, progress: Progress = _SILENT, safe_point: SafePoint = go_on) -> RefreshReport:
    """Load the documents that are new since the last refresh. The caller holds the writer lock.

    Between two pages, and while it waits for the service, it calls `safe_point`. If that raises, nothing is loaded.

    Raises:
        NothingToRefreshError: there is no complete snapshot yet.
        CivitaiEtlError: the service gives no answer, or the disk fails.
    """
    began = time.monotonic()
    with storage_errors(settings.data_dir), plain_errors():
        if not settings.directory.warehouse.exists():
            raise NothingToRefreshError(_NOTHING)
        with closing(connect(settings.directory.warehouse)) as connection:
            refuse_other_service(settings, crawls(connection))
        loader = Loader(settings.directory)
        loader.drain(progress)
        client = Client(settings, progress=progress, safe_point=safe_point)
        list_crawls = [
            DiscoveryCrawl(endpoint, mark, stored, client, progress, settings.image_pages, safe_point)
            for endpoint, mark, stored in _lists(settings, loader.state())
        ]
        for list_crawl in list_crawls:
            loader.forget_cursor(list_crawl.endpoint.name, list_crawl.is_plausible)
        loader.load(_discovery(list_crawls))
    documents = dict.fromkeys((list_crawl.endpoint.kind for list_crawl in list_crawls), 0)
    for list_crawl in list_crawls:
        documents[list_crawl.endpoint.kind] += list_crawl.documents
    return RefreshReport(
        documents=documents,
        requests=client.requests,
        pages=sum(list_crawl.pages_read for list_crawl in list_crawls),
        rejected=sum(list_crawl.rejected for list_crawl in list_crawls),
        retries=client.retries,
        bytes=client.bytes_received,
        seconds=time.monotonic() - began,
    )


def _lists(settings: Settings, state: SourceState) -> Iterator[tuple[Endpoint, Mark | None, TextSet]]:
    """The discovery lists, each with its first mark and the keys of the stored documents."""
    with closing(connect(settings.directory.warehouse)) as connection:
        earlier = crawls(connection)
        complete = [row.started_at for row in earlier if row.status == "complete"]
        if not complete:
            raise NothingToRefreshError(_NOTHING)
        marks = {"model": as_mark(max(complete)), "image": gallery_mark(earlier, state)}
        for endpoint in DIALECTS[settings.dialect_name].discovery:
            yield endpoint, marks[endpoint.kind], stored_documents(connection, endpoint.kind)


@dlt.source(name=SOURCE)
def _discovery(list_crawls: Sequence[DiscoveryCrawl]) -> Iterator[DltResource]:
    for list_crawl in list_crawls:
        pages = list_resource(list_crawl.endpoint, list_crawl.pages(), selected=False)
        if list_crawl.endpoint.incremental:
            # One mark per page, because neighbours may be out of order; dlt ends at the first page without new items.
            pages.add_step(
                dlt.sources.incremental(
                    "newest",
                    initial_value=list_crawl.mark,
                    row_order="desc",
                    range_start="open",
                    on_cursor_value_missing="include",
                )
            )
        yield pages | dlt.transformer(_documents, name=f"{list_crawl.endpoint.name}_documents")(list_crawl)


def _documents(page: NewDocuments, list_crawl: DiscoveryCrawl) -> Iterator[object]:
    table = documents_table(list_crawl.endpoint.kind)
    list_crawl.documents += len(page["rows"])
    if page["rows"]:
        yield marked(table, arrow_table(table, page["rows"]), INSERT_ONLY)
