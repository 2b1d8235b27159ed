"""Where messages and heartbeats arrive in tests: a mail server and a web server on loopback, in threads."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller


@dataclass
class Mails:
    """The mails that came to a server at 127.0.0.1:`port`."""

    port: int
    all: list[EmailMessage] = field(default_factory=list)

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 (the server's name)
        self.all.append(message_from_bytes(envelope.content, policy=policy.default))
        return "250 OK"

    @property
    def subjects(self) -> list[str]:
        return [mail["subject"] for mail in self.all]

    def address(self, secret: str) -> str:
        return f"mailto://127.0.0.1:{self.port}?from=etl@example.org&to=me@example.org&name={secret}"


@contextmanager
def mail_server() -> Iterator[Mails]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        mails = Mails(probe.getsockname()[1])
    controller = Controller(mails, hostname="127.0.0.1", port=mails.port)
    controller.start()
    try:
        yield mails
    finally:
        controller.stop()


@dataclass
class Hooks:
    """The requests that came to a web server: method, path and JSON, if any. Each is answered with `status`, after
    `seconds`.
    """

    port: int = 0
    status: int = 200
    seconds: float = 0.0
    all: list[tuple[str, str, Any]] = field(default_factory=list)

    def address(self, scheme: str, path: str) -> str:
        return f"{scheme}://127.0.0.1:{self.port}/{path}"

    @property
    def titles(self) -> list[str]:
        return [body["title"] for _, _, body in self.all]


@contextmanager
def web_server() -> Iterator[Hooks]:
    hooks = Hooks()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            hooks.all.append((self.command, self.path, body))
            time.sleep(hooks.seconds)
            self.send_response(hooks.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_POST = do_GET  # noqa: N815 (likewise)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    hooks.port = server.server_port
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield hooks
    finally:
        server.shutdown()
        server.server_close()
