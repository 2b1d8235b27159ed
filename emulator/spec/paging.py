"""The specification's pages: items, and the metadata with the position and the next page."""

from dataclasses import dataclass
from urllib.parse import urlencode

import msgspec


@dataclass(frozen=True)
class Page:
    """The place of a page in a list.

    Args:
        number: from 1; a page after the last one is empty.
        limit: items a page. The specification sets no lower bound on some operations; less than one gives no items.
    """

    number: int
    limit: int

    @classmethod
    def requested(cls, number: int, limit: int) -> "Page":
        return cls(max(number, 1), max(limit, 0))

    @property
    def start(self) -> int:
        return (self.number - 1) * self.limit

    @property
    def stop(self) -> int:
        return self.number * self.limit


def page_body(items: bytes, total: int, page: Page, address: str, query: list[tuple[str, str]]) -> bytes:
    """The JSON of a page.

    Args:
        items: the documents, with commas between them.
        total: how many items the list has.
        page: its place.
        address: the URL of the request, without its query.
        query: the decoded query of the request; the links to other pages repeat it.
    """
    number, limit = page.number, page.limit
    pages = -(-total // limit) if limit else 0
    metadata: dict[str, int | str] = {"currentPage": number, "pageSize": limit}

    def link(to: int) -> str:
        return f"{address}?{urlencode([pair for pair in query if pair[0] != 'page'] + [('page', str(to))])}"

    if number < pages:
        metadata["nextPage"] = link(number + 1)
    if number > 1:
        metadata["prevPage"] = link(min(number - 1, max(pages, 1)))
    metadata |= {"totalItems": total, "totalPages": pages}
    return b'{"items":[' + items + b'],"metadata":' + msgspec.json.encode(metadata) + b"}"
