"""The specification's pages: items, and the metadata with the position and the next page."""

from urllib.parse import urlencode

import msgspec

from emulator.catalogue import Documents


def page_body(listing: Documents, number: int, limit: int, address: str, query: list[tuple[str, str]]) -> bytes:
    """The JSON of a page, built from the bytes of its items.

    Args:
        number: the page, from 1; a page after the last one is empty.
        limit: items a page. The specification sets no lower bound on some operations; less than one gives no items.
        address: the URL of the request, without its query.
        query: the decoded query of the request; the links to other pages repeat it.
    """
    number, limit = max(number, 1), max(limit, 0)
    total = len(listing)
    pages = -(-total // limit) if limit else 0
    metadata: dict[str, int | str] = {"currentPage": number, "pageSize": limit}

    def link(to: int) -> str:
        return f"{address}?{urlencode([pair for pair in query if pair[0] != 'page'] + [('page', str(to))])}"

    if number < pages:
        metadata["nextPage"] = link(number + 1)
    if number > 1:
        metadata["prevPage"] = link(min(number - 1, max(pages, 1)))
    metadata |= {"totalItems": total, "totalPages": pages}
    items = listing.documents((number - 1) * limit, number * limit)
    return b'{"items":[' + b",".join(items) + b'],"metadata":' + msgspec.json.encode(metadata) + b"}"
