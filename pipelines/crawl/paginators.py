"""Paginators: one per rule by which a list finds its next page (`NextPage`), and one per form of its cursors.

A paginator knows queries and keeps no state: the query after a page, the query of a part of a page, and the query past
one record. Whoever reads a list decides which of them to send, and when the list has ended.
"""

import re
from abc import ABC, abstractmethod
from datetime import datetime, timedelta

from pipelines.api.answers import Page, next_page_query
from pipelines.api.client import Client
from pipelines.api.dialects import Arguments, Endpoint
from pipelines.raw.high_water_mark import plausible_moments, publications

_MOMENT_AND_ID = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3})\|(\d{1,18})")
_OFFSET = re.compile(r"(\d{1,18})(\|.+)")


class Paginator(ABC):
    """How the pages of a list follow each other; `limit` is the number of records of a whole page."""

    #: Whether the query of `past` may begin with the same record again.
    may_not_pass = False

    def __init__(self, limit: int | None = None) -> None:
        self.limit = limit

    @abstractmethod
    def following(self, sent: Arguments, page: Page) -> Arguments | None:
        """The query after `page`, which answered `sent`; None at the end of the list."""

    def part(self, query: Arguments, first: int, largest: int) -> Arguments:
        """`query` for at most `largest` records. With page numbers, it begins after the `first` records of the list."""
        return _with(query, limit=largest)

    def past(self, sent: Arguments) -> Arguments | None:
        """The query that begins after the one record that `sent` requests; None if it cannot be derived."""
        return None

    def past_again(self, sent: Arguments) -> Arguments | None:
        """The same if `sent` is a query of `past` that did not pass its record."""
        return self.past(sent)

    def limit_of(self, query: Arguments) -> int:
        """The number of records that a query requests."""
        return int(dict(query).get("limit", self.limit or 1))

    def offset_of(self, query: Arguments) -> int:
        """The number of records before the page of a query; 0 without page numbers."""
        return (number_of(query) - 1) * self.limit_of(query)

    def is_full(self, sent: Arguments, page: Page) -> bool:
        """Whether a page has as many records as `sent` requested."""
        return len(page.items) >= self.limit_of(sent)


class SinglePagePaginator(Paginator):
    """The list is one page."""

    def following(self, sent: Arguments, page: Page) -> None:
        return None


class PageNumberPaginator(Paginator):
    """Page 2, 3, ... until a page is empty."""

    def following(self, sent: Arguments, page: Page) -> Arguments | None:
        return _with(sent, page=number_of(sent) + 1) if page.items else None

    def part(self, query: Arguments, first: int, largest: int) -> Arguments:
        whole = self.limit or largest
        limit = max(part for part in range(1, largest + 1) if whole % part == 0 and first % part == 0)
        return _with(query, limit=limit, page=first // limit + 1)

    def past(self, sent: Arguments) -> Arguments:
        return self.part(sent, self.offset_of(sent) + 1, 1)


class NextLinkPaginator(PageNumberPaginator):
    """The query of `metadata.nextPage`; parts are numbered pages."""

    def following(self, sent: Arguments, page: Page) -> Arguments | None:
        address = page.metadata.get("nextPage")
        return next_page_query(address) if isinstance(address, str) and address else None


class CursorPaginator(Paginator):
    """`metadata.nextCursor`, with the same arguments; nothing can be read from a cursor."""

    def following(self, sent: Arguments, page: Page) -> Arguments | None:
        whole = _with(sent, limit=self.limit) if self.limit else sent
        return _with(whole, cursor=cursor) if (cursor := self._next_cursor(page)) else None

    def _next_cursor(self, page: Page) -> str:
        return str(page.metadata.get("nextCursor") or "")


class OffsetCursorPaginator(CursorPaginator):
    """A cursor says how many records come before it: "200|1744925337225"."""

    def past(self, sent: Arguments) -> Arguments | None:
        placed = _OFFSET.fullmatch(_cursor_of(sent))
        return _with(sent, cursor=f"{int(placed[1]) + 1}{placed[2]}") if placed else None


class MomentCursorPaginator(CursorPaginator):
    """A cursor has the moment and the id of its record: "2026-08-01 12:34:56.789|123".

    The service compares only the moment, so the next id at the same moment may not pass a record.
    """

    may_not_pass = True

    def past(self, sent: Arguments) -> Arguments | None:
        return self._moved(sent, timedelta(0), 1)

    def past_again(self, sent: Arguments) -> Arguments | None:
        return self._moved(sent, timedelta(milliseconds=1), 0)

    def _moved(self, sent: Arguments, later: timedelta, ids: int) -> Arguments | None:
        if (named := _MOMENT_AND_ID.fullmatch(_cursor_of(sent))) is None:
            return None
        try:
            moment = datetime.fromisoformat(named[1]) + later
        except (ValueError, OverflowError):  # no such moment exists
            return None
        return _with(sent, cursor=_moment_and_id(moment, int(named[2]) + ids))

    def _next_cursor(self, page: Page) -> str:
        """The cursor of the page, or one of our own instead of "|id", that of a record whose moment is null, which the
        service refuses. Such records come last (docs/api-notes.md, 1), so the rest is available from the latest moment
        on the page.
        """
        cursor = super()._next_cursor(page)
        if not cursor.startswith("|"):
            return cursor
        moments = plausible_moments(publications(page.items), page.answered_at)
        return _moment_and_id(datetime.fromisoformat(moments[-1]).replace(tzinfo=None), 0) if moments else cursor


_CURSORS = {"moment_and_id": MomentCursorPaginator, "offset": OffsetCursorPaginator, "opaque": CursorPaginator}


def paginator_of(endpoint: Endpoint) -> Paginator:
    """The paginator of a list endpoint."""
    match endpoint.next_page:
        case "cursor":
            return _CURSORS[endpoint.cursor](endpoint.limit)
        case "next_page":
            return NextLinkPaginator(endpoint.limit)
        case "until_empty":
            return PageNumberPaginator(endpoint.limit)
        case "single":
            return SinglePagePaginator(endpoint.limit)


def fetch_page(client: Client, endpoint: Endpoint, query: Arguments, attempts: int | None = None) -> Page:
    """Fetch one page of a list endpoint.

    Raises:
        BrokenAnswerError, OutageError, ServiceError: as for `Client.list_page`.
    """
    if endpoint.items == "body":
        return client.document(endpoint.path, query, attempts)
    return client.list_page(endpoint.path, query, attempts, says_next=endpoint.says_next)


def number_of(query: Arguments) -> int:
    """The page number of a query."""
    return int(dict(query).get("page", 1))


def _cursor_of(query: Arguments) -> str:
    return dict(query).get("cursor", "")


def _moment_and_id(moment: datetime, entity_id: int) -> str:
    return f"{moment.isoformat(' ', 'milliseconds')}|{entity_id}"


def _with(query: Arguments, **values: object) -> Arguments:
    """A query with other values."""
    return tuple((dict(query) | {name: str(value) for name, value in values.items()}).items())
