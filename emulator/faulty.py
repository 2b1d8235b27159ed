"""A layer between the connection and the Site API: makes the faults and logs the requests."""

import asyncio
import socket
import struct
import time
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import format_datetime
from http import HTTPStatus
from urllib.parse import quote_plus, unquote_plus

import msgspec
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from emulator.clock import Clock
from emulator.faults import CHANGING, Faults, Poison, Rule, read_faults
from emulator.request_log import RequestLog
from emulator.routes.live.answers import REGION_BLOCKED
from emulator.routes.spec import BASE_PATH, error_response, json_response

_HTML = (
    b"<!DOCTYPE html><html><head><title>Just a moment...</title></head>"
    b"<body>We're adjusting a few things, be back in a few minutes...</body></html>"
)
_SLOW_PARTS = 10
_encode = msgspec.json.Encoder().encode


#: The position of a page and where the next one is.
Metadata = dict[str, int | str | bool]


class _Page(msgspec.Struct):
    items: list[msgspec.Raw]
    metadata: Metadata


class _Identified(msgspec.Struct):
    id: object = None
    username: object = None
    name: object = None

    def is_called(self, record: str) -> bool:
        return record in {str(self.id), str(self.username), str(self.name)}


@dataclass
class _Pagination:
    """The last answer of a path, and how far rows have moved since the first page."""

    items: list[bytes] = field(default_factory=list)
    carried: list[bytes] | None = None
    deleted: int = 0


@dataclass
class _Answer:
    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


class Faulty:
    """An ASGI application around another one.

    Args:
        application: gives the answers that pass or are changed.
        clock: the service's time.
        dialect: the dialect of the faults' errors.
        faults: the list of faults; `order` replaces it.
    """

    def __init__(self, application: ASGIApp, clock: Clock, dialect: str, faults: Faults) -> None:
        self._application = application
        self._clock = clock
        self._live = dialect == "live"
        self.faults = faults
        self.log = RequestLog()
        self._paginations: dict[str, _Pagination] = {}

    def order(self, text: str) -> None:
        """Replaces the faults and starts counting again. If it raises BadFaultsError, nothing changes."""
        self.faults = read_faults(text)
        self._paginations.clear()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(BASE_PATH):
            await self._application(scope, receive, send)
            return
        at = time.time()
        query = scope["query_string"].decode("latin-1")
        address = scope["path"].removeprefix(BASE_PATH) + (f"?{query}" if query else "")
        rule = self.faults.next(address)
        status: int | None = None
        fault = rule.text if rule else None

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            if rule is None and not self.faults.rules:
                await self._application(scope, receive, watch)
            elif rule is None or rule.kind in CHANGING:
                if rule is not None and rule.kind == "later":
                    self._clock.set(self._clock.today + timedelta(days=rule.count))
                answer, fault = self._changed(await self._ask(scope, receive), rule, scope, address)
                await _deliver(answer, rule, scope, receive, watch)
            elif rule.kind == "reset":
                await _close(scope, receive, reset=True)
            else:
                response = self._error(rule, scope["path"])
                await response(scope, receive, watch)
        finally:
            self.log.add(scope["method"], address, status, fault, at)

    async def _ask(self, scope: Scope, receive: Receive) -> _Answer:
        """The whole answer of the application."""
        answer = _Answer(200, [], b"")
        parts = []

        async def take(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer.status, answer.headers = message["status"], list(message["headers"])
            else:
                parts.append(message.get("body", b""))

        await self._application(scope, receive, take)
        answer.body = b"".join(parts)
        return answer

    def _error(self, rule: Rule, path: str) -> Response:
        """The answer of a fault that replaces the service's."""
        if rule.kind == "html":
            return Response(_HTML, 200, media_type="text/html")
        headers = {}
        if rule.seconds is not None:
            until = format_datetime(self._clock.catalogue().now + timedelta(seconds=rule.seconds), usegmt=True)
            headers["Retry-After"] = until if rule.as_date else f"{rule.seconds:g}"
        if self._live:
            return _live_error(rule.status, path, headers)
        return error_response(rule.status, f"Ordered fault: {_phrase(rule.status)}", headers)

    def _changed(self, answer: _Answer, rule: Rule | None, scope: Scope, address: str) -> tuple[_Answer, str | None]:
        """An answer with its fault, and the name of that fault."""
        fault = rule.text if rule else None
        page = _page_of(answer)
        if page is None:
            if rule is not None and rule.kind == "cut":
                answer.body = answer.body[: len(answer.body) // 2]
            return answer, fault
        items = [bytes(item) for item in page.items]
        for poisoned, poison in self.faults.poisons(address):
            place = next((n for n, item in enumerate(items) if _identity(item).is_called(poison.record)), None)
            if place is not None and (len(items) > 1 or poison.alone != "served"):
                return self._poisoned(answer, page, place, poison), poisoned.text
        pagination = self._pagination_of(scope)
        served = self._served(rule, pagination, items, page.metadata, scope)
        pagination.items = items
        if served != items or pagination.deleted or rule is not None:
            answer.body = _page_bytes(served, page.metadata)
        if rule is not None and rule.kind == "cut":
            answer.body = answer.body[: len(answer.body) // 2]
        return answer, fault

    def _served(
        self, rule: Rule | None, pagination: _Pagination, items: list[bytes], metadata: Metadata, scope: Scope
    ) -> list[bytes]:
        """The items of a page with its fault; changes the metadata if the fault does."""
        kind = rule.kind if rule else None
        moved = self._moved(pagination, rule, items, metadata)
        if kind == "repeated-cursor":
            _repeat(metadata, scope)
        if kind == "undated" and "nextCursor" in metadata:
            _undate(metadata)
        if kind == "duplicated" and pagination.items:
            return pagination.items
        if rule is not None and kind == "unordered" and pagination.items:
            return [*pagination.items[-rule.count :], *moved[rule.count :]]
        if kind == "empty":
            for name in ("nextPage", "nextCursor"):
                metadata.pop(name, None)
            return []
        return moved

    def _pagination_of(self, scope: Scope) -> _Pagination:
        """The pagination of a request: a first page starts a new one."""
        query = _query(scope)
        if "cursor" not in query and query.get("page", "1") == "1":
            self._paginations[scope["path"]] = _Pagination()
        return self._paginations.setdefault(scope["path"], _Pagination())

    def _moved(self, pagination: _Pagination, rule: Rule | None, items: list[bytes], metadata: Metadata) -> list[bytes]:
        """The items of a page after rows have moved, now or on an earlier page of the pagination."""
        if rule is not None and rule.kind == "shifted" and pagination.items:
            if rule.count > 0:
                pagination.carried = [*pagination.items, *(pagination.carried or [])][-rule.count :]
            else:
                pagination.deleted -= rule.count
                items = items[-rule.count :]
        if pagination.deleted and "totalItems" in metadata:
            metadata["totalItems"] = int(metadata["totalItems"]) - pagination.deleted
        if not pagination.carried:
            return items
        rows = [*pagination.carried, *items]
        ends = not ({"nextPage", "nextCursor"} & metadata.keys())
        kept = len(rows) if ends else len(rows) - len(pagination.carried)
        pagination.carried = rows[kept:]
        return rows[:kept]

    def _poisoned(self, answer: _Answer, page: _Page, place: int, poison: Poison) -> _Answer:
        items = [bytes(item) for item in page.items]
        if len(items) == 1 and poison.alone == "spoiled":
            items[0] = _encode(msgspec.json.decode(items[0]) | {"name": {"spoiled": True}})
        elif poison.broken:
            items[place] = items[place][: len(items[place]) // 2]
        else:
            error = self._error(Rule("", "status", status=500), "")
            return _Answer(500, error.raw_headers, bytes(error.body))
        answer.body = _page_bytes(items, page.metadata)
        return answer


def _live_error(status: int, path: str, headers: dict[str, str]) -> Response:
    """An error in the form of the live service (docs/api-notes.md, 1)."""
    if status == 451:
        return json_response(_encode({"error": REGION_BLOCKED, "code": "REGION_BLOCKED"}), 451, headers)
    if status == 503:
        busy, overloaded = (
            "Server busy, please retry shortly.",
            "Model search is temporarily overloaded — please retry.",
        )
        body = {"error": busy if path.endswith("/images") else overloaded}
        return json_response(_encode(body), 503, {"Retry-After": "2", "Cache-Control": "no-store"} | headers)
    if status == 500:
        body = {"message": "An unexpected error occurred", "error": "Ordered fault"}
        return json_response(_encode(body), 500, headers)
    if status > 500 or status == 429:  # they come from the edge
        return Response(_HTML, status, headers, media_type="text/html")
    return json_response(_encode({"error": _phrase(status)}), status, headers)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return f"Error {status}"


def _query(scope: Scope) -> dict[str, str]:
    pairs = (part.partition("=") for part in scope["query_string"].decode("latin-1").split("&"))
    return {name: value for name, _, value in pairs}


def _page_of(answer: _Answer) -> _Page | None:
    """The answer as a page of a list, if it is one."""
    if answer.status != 200:
        return None
    try:
        return msgspec.json.decode(answer.body, type=_Page)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _page_bytes(items: list[bytes], metadata: Metadata) -> bytes:
    return b'{"items":[' + b",".join(items) + b'],"metadata":' + _encode(metadata) + b"}"


def _identity(item: bytes) -> _Identified:
    return msgspec.json.decode(item, type=_Identified) if item.startswith(b"{") else _Identified()


def _repeat(metadata: Metadata, scope: Scope) -> None:
    """Makes the requested page the next one, too; a first page has no cursor to repeat and is not changed."""
    query = _query(scope)
    if "nextCursor" in metadata and "cursor" in query:
        metadata["nextCursor"] = unquote_plus(query["cursor"])
    if "nextPage" in metadata and ("cursor" in query or "nextCursor" not in metadata):
        address = str(metadata["nextPage"]).partition("?")[0]
        metadata["nextPage"] = f"{address}?{scope['query_string'].decode('latin-1')}"


def _undate(metadata: Metadata) -> None:
    """Makes the cursor that of a row with a null date (docs/api-notes.md, 1)."""
    cursor = str(metadata["nextCursor"])
    undated = f"|{cursor.rpartition('|')[2]}"
    metadata["nextCursor"] = undated
    metadata["nextPage"] = str(metadata["nextPage"]).replace(quote_plus(cursor), quote_plus(undated))


async def _deliver(answer: _Answer, rule: Rule | None, scope: Scope, receive: Receive, send: Send) -> None:
    """Sends an answer: at once, drop by drop, or only half of it."""
    body = answer.body
    headers = [pair for pair in answer.headers if pair[0] != b"content-length"]
    headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    if rule is not None and rule.kind == "truncated":
        await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
        await _close(scope, receive, reset=False)
        return
    if rule is not None and rule.kind == "slow":
        size = max(1, -(-len(body) // _SLOW_PARTS))
        while len(body) > size:
            await send({"type": "http.response.body", "body": body[:size], "more_body": True})
            body = body[size:]
            await asyncio.sleep((1 if rule.seconds is None else rule.seconds) / _SLOW_PARTS)
    await send({"type": "http.response.body", "body": body})


async def _close(scope: Scope, receive: Receive, reset: bool) -> None:
    """Closes the connection, optionally with a reset, below the server, which has no function for it."""
    # `send` is a method of the server's object for one request.
    transport: asyncio.Transport = scope["connection"].__self__.transport
    if reset:
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    else:
        transport.close()
    while (await receive())["type"] != "http.disconnect":
        pass
