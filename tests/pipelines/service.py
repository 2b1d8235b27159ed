"""A small Site API on loopback whose every answer a test decides, for the faults that no catalogue has."""

import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit


@dataclass
class Reply:
    """One answer; `body` is sent as it is, or as JSON. `promised` is a Content-Length that is not kept."""

    body: Any = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    promised: int | None = None

    @property
    def payload(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


@dataclass(frozen=True)
class Request:
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    at: float


Route = Callable[[dict[str, str]], Reply]


def empty(_: dict[str, str]) -> Reply:
    """The route of a list that has nothing."""
    return Reply({"items": [], "metadata": {}})


class Service:
    """Routes by path below /api/v1; a list that has no route is empty. `requests` are all that came, in order.

    `posts` answer POST requests by their JSON bodies.
    """

    def __init__(self) -> None:
        self.routes: dict[str, Route] = {"/enums": lambda _: Reply({"ModelType": ["LORA"]})}
        self.posts: dict[str, Callable[[Any], Reply]] = {}
        self.requests: list[Request] = []
        self.api_url = ""
        self.date = "Thu, 01 Jan 2026 12:00:00 GMT"

    def asked(self, path: str) -> list[dict[str, str]]:
        return [request.query for request in self.requests if request.path == path]

    def replies(self, path: str, *replies: Reply, **where: str) -> None:
        """Answer `path` with these, one after the other, and with the last one ever after.

        With `where`, requests whose query does not have it are answered as before.
        """
        waiting = list(replies)
        others = self.routes.get(path, empty)

        def route(query: dict[str, str]) -> Reply:
            if not where.items() <= query.items():
                return others(query)
            return waiting.pop(0) if len(waiting) > 1 else waiting[0]

        self.routes[path] = route

    def pages(self, path: str, items: Callable[[], list[Any]], size: int = 2) -> None:
        """Serve what `items` gives at that moment in numbered pages with totals, as the specification has it."""

        def route(query: dict[str, str]) -> Reply:
            number, all_items = int(query.get("page", 1)), items()
            metadata: dict[str, Any] = {"currentPage": number, "totalItems": len(all_items)}
            if number * size < len(all_items):
                metadata["nextPage"] = f"http://elsewhere.invalid/api/v1{path}?page={number + 1}&token=secret"
            return Reply({"items": all_items[(number - 1) * size : number * size], "metadata": metadata})

        self.routes[path] = route

    def outage(self, begin: int, length: int) -> None:
        """From the request number `begin` on, counted from now, so many are answered 502, whatever they ask for."""
        asked = 0

        def or_down(route: Callable[[Any], Reply]) -> Callable[[Any], Reply]:
            def answer(question: Any) -> Reply:
                nonlocal asked
                asked += 1
                return Reply(b"<html>Bad gateway</html>", 502) if begin <= asked < begin + length else route(question)

            return answer

        self.routes = {path: or_down(route) for path, route in ({"/models": empty} | self.routes).items()}
        self.posts = {path: or_down(answer) for path, answer in self.posts.items()}


@contextmanager
def running_service(tls: ssl.SSLContext | None = None) -> Iterator[Service]:
    service = Service()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # one segment per answer: two wait for each other's acknowledgement

        def do_GET(self) -> None:
            path, query = self.received()
            self.answer(service.routes.get(path, empty)(query))

        def do_POST(self) -> None:
            path, _ = self.received()
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.answer(service.posts[path](body))

        def received(self) -> tuple[str, dict[str, str]]:
            parts = urlsplit(self.path)
            path = unquote(parts.path).removeprefix("/api/v1")
            query = dict(parse_qsl(parts.query))
            service.requests.append(Request(path, query, dict(self.headers), time.monotonic()))
            return path, query

        def answer(self, reply: Reply) -> None:
            self.send_response_only(reply.status)
            headers = {"Date": service.date, "Content-Length": str(reply.promised or len(reply.payload))}
            for name, value in (headers | reply.headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(reply.payload)
            self.wfile.flush()
            self.close_connection = reply.promised is not None

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    service.api_url = f"http{'s' if tls else ''}://127.0.0.1:{server.server_port}/api/v1"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
