"""The common parts of the live service's answers: errors in their bodies, pages, regions, cache headers.

Numbers in brackets are sections of docs/api-notes.md.
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from urllib.parse import urlencode

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from emulator.live.catalogue import MissingFileError
from emulator.live.traits import ALL_LEVELS, SFW
from emulator.parameters import Sent
from emulator.routes.spec import json_response

REGION_BLOCKED = "Access to this service is not available in your region due to legal restrictions."
BLOCKED_REGIONS = frozenset({"GB", "AU"})
#: The service's list is not public: XX stands for its countries.
RESTRICTED_REGIONS = frozenset({"XX"})
_COUNTRY = "cf-ipcountry"
PUBLIC = {"Cache-Control": "public, s-maxage=300, stale-while-revalidate=150"}
#: Public operations ignore the method (1).
EVERY_METHOD = ["GET", "POST", "PUT", "PATCH", "DELETE"]
encode = msgspec.json.Encoder().encode

Answer = Callable[[Request], Awaitable[Response]]


class AnswerError(Exception):
    """An error that the service reports in the body of this answer."""

    def __init__(self, status: int, body: object) -> None:
        super().__init__(status)
        self.response = json_response(encode(body), status)


async def answer_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, AnswerError)
    return error.response


async def answer_other_error(_: Request, error: Exception) -> Response:
    """The answer to unknown paths and methods."""
    assert isinstance(error, HTTPException)
    message = "Method not allowed" if error.status_code == 405 else "Not found"
    return json_response(encode({"error": message}), error.status_code)


def page(request: Request, sent: Sent, items: bytes, cursor: str | None) -> Response:
    """A page of a cursor-paged list. `nextPage` repeats the whole query, with any token (1).

    Args:
        items: the documents, with commas between them.
    """
    metadata: dict[str, object] = {}
    if cursor is not None:
        query = [pair for pair in request.query_params.multi_items() if pair[0] != "cursor"]
        metadata["nextCursor"] = cursor
        metadata["nextPage"] = address(request, [*query, ("cursor", cursor)])
    if "page" in sent:
        metadata |= {"currentPage": sent.number("page", 0), "pageSize": sent.number("limit", 100)}
    return list_body(items, metadata)


def list_body(items: bytes, metadata: Mapping[str, object]) -> Response:
    return json_response(b'{"items":[' + items + b'],"metadata":' + encode(metadata) + b"}")


def address(request: Request, query: list[tuple[str, str]]) -> str:
    return f"{request.url.scheme}://{request.url.netloc}{request.url.path}?{urlencode(query)}"


def regional(answer: Answer) -> Answer:
    """The same operation, but not for a blocked region; the edge reports the country (1)."""

    async def answer_region(request: Request) -> Response:
        if request.headers.get(_COUNTRY) in BLOCKED_REGIONS:
            raise AnswerError(451, {"error": REGION_BLOCKED, "code": "REGION_BLOCKED"})
        return await answer(request)

    return answer_region


def levels_for(request: Request, every: int = ALL_LEVELS) -> int:
    """The browsing levels that the reader's region may see, as bits (1)."""
    return every & SFW if request.headers.get(_COUNTRY) in RESTRICTED_REGIONS else every


def stamp(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def document_or_404(document_of: Callable[[int], bytes | None], version_id: int) -> Response:
    try:
        document = document_of(version_id)
    except MissingFileError:
        raise AnswerError(404, {"error": "Missing model file"}) from None
    if document is None:
        raise AnswerError(404, {"error": "Model not found"})
    return json_response(document)
