"""How an answer goes over the wire, and how it does not: a listener on loopback whose connections break off, drip, keep
silent or speak another protocol, and that closes for a moment where it is told to.
"""

import gzip
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

RESTART_SECONDS = 0.1
#: Longer than the other side waits for a byte.
SILENCE_SECONDS = 1.2


@dataclass(frozen=True)
class Reply:
    """An answer, and the way in which it is sent: one of WAYS, or as it should be."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    way: str = ""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one segment per answer
    server: "_Listener"  # type: ignore[assignment]

    def do_GET(self) -> None:
        reply = self.server.answer(self.path)
        with suppress(OSError):
            WAYS.get(reply.way, _Handler.send_whole)(self, reply)
            self.wfile.flush()

    def send_whole(self, reply: Reply) -> None:
        self.begin(reply, {"Content-Length": str(len(reply.body))})
        self.wfile.write(reply.body)

    def begin(self, reply: Reply, headers: dict[str, str]) -> None:
        self.send_response_only(reply.status)
        for name, value in (headers | reply.headers).items():
            self.send_header(name, value)
        self.end_headers()

    def leave(self) -> None:
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True

    def idle(self, seconds: float) -> None:
        if self.server.ended.wait(seconds):
            raise OSError("the service ends")

    def reset(self, _: Reply) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True

    def hang_up(self, _: Reply) -> None:
        self.leave()

    def restart(self, _: Reply) -> None:
        self.close_connection = True
        self.server.restart()

    def keep_silent(self, _: Reply) -> None:
        self.idle(SILENCE_SECONDS)
        self.leave()

    def speak_otherwise(self, _: Reply) -> None:
        self.wfile.write(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")
        self.close_connection = True

    def promise_more(self, reply: Reply) -> None:
        self.begin(reply, {"Content-Length": str(len(reply.body) + 10)})
        self.wfile.write(reply.body)
        self.leave()

    def promise_less(self, reply: Reply) -> None:
        self.begin(reply, {"Content-Length": str(len(reply.body) // 2)})
        self.wfile.write(reply.body)
        self.leave()

    def promise_nonsense(self, reply: Reply) -> None:
        self.begin(reply, {"Content-Length": "many, many"})
        self.wfile.write(reply.body)
        self.leave()

    def send_chunks(self, reply: Reply, ends: bytes = b"0\r\n\r\n") -> None:
        self.begin(reply, {"Transfer-Encoding": "chunked"})
        half = max(1, len(reply.body) // 2)
        for piece in (reply.body[:half], reply.body[half:]) if ends else (reply.body[:half],):
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece) if piece else b"")
        self.wfile.write(ends)

    def cut_chunks(self, reply: Reply) -> None:
        self.send_chunks(reply, b"")
        self.leave()

    def compress(self, reply: Reply) -> None:
        body = gzip.compress(reply.body)
        self.begin(reply, {"Content-Encoding": "gzip", "Content-Length": str(len(body))})
        self.wfile.write(body)

    def compress_badly(self, reply: Reply) -> None:
        self.begin(reply, {"Content-Encoding": "gzip", "Content-Length": str(len(reply.body))})
        self.wfile.write(reply.body)
        self.leave()

    def drip(self, reply: Reply) -> None:
        self.begin(reply, {"Content-Length": str(len(reply.body))})
        for piece in (reply.body[:7], reply.body[7:20], reply.body[20:]):
            self.wfile.write(piece)
            self.wfile.flush()
            self.idle(0.02)

    def drip_on(self, reply: Reply) -> None:
        self.begin(reply, {"Content-Length": "1000000"})
        while True:  # until the other side has enough
            self.wfile.write(b" ")
            self.wfile.flush()
            self.idle(0.2)

    def log_message(self, *_: object) -> None: ...


#: Ways of sending after which nothing usable has come.
BROKEN_WAYS: dict[str, Callable[[_Handler, Reply], None]] = {
    "reset": _Handler.reset,
    "hang-up": _Handler.hang_up,
    "restart": _Handler.restart,
    "silence": _Handler.keep_silent,
    "no-http": _Handler.speak_otherwise,
    "promised-more": _Handler.promise_more,
    "promised-less": _Handler.promise_less,
    "odd-length": _Handler.promise_nonsense,
    "chunk-cut": _Handler.cut_chunks,
    "bad-gzip": _Handler.compress_badly,
    "drip-on": _Handler.drip_on,
}
#: Unusual ways in which all of it comes.
SOUND_WAYS: dict[str, Callable[[_Handler, Reply], None]] = {
    "chunked": _Handler.send_chunks,
    "gzip": _Handler.compress,
    "drip": _Handler.drip,
}
WAYS = BROKEN_WAYS | SOUND_WAYS


class _Listener:
    """Accepts connections, each in a thread of its own."""

    def __init__(self, answer: Callable[[str], Reply]) -> None:
        self.answer = answer
        self.ended = threading.Event()
        # Bound and never listening: nobody else gets the port while the service restarts.
        self._place = _bound(0)
        self.port = self._place.getsockname()[1]
        self._open: set[socket.socket] = set()
        self._listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def _listen(self) -> None:
        self._socket = _bound(self.port)
        self._socket.listen(16)
        self._socket.settimeout(0.1)

    def _accept(self) -> None:
        while not self.ended.is_set():
            try:
                connection, address = self._socket.accept()
            except OSError:  # nobody came, or it is closed for the moment
                time.sleep(0.002)
                continue
            connection.settimeout(None)
            threading.Thread(target=self._serve, args=(connection, address), daemon=True).start()

    def _serve(self, connection: socket.socket, address: Any) -> None:
        self._open.add(connection)
        with suppress(OSError, ValueError):
            _Handler(connection, address, self)  # type: ignore[arg-type]
        self._open.discard(connection)
        with suppress(OSError):
            connection.close()

    def restart(self) -> None:
        self._close()
        time.sleep(RESTART_SECONDS)
        self._listen()

    def _close(self) -> None:
        self._socket.close()
        for connection in [*self._open]:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def end(self) -> None:
        self.ended.set()
        self._close()
        self._place.close()


def _bound(port: int) -> socket.socket:
    place = socket.socket()
    place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    place.bind(("127.0.0.1", port))
    return place


@contextmanager
def listening(answer: Callable[[str], Reply]) -> Iterator[str]:
    """Answer every request by `answer`, which is given its target; gives the address of the service."""
    listener = _Listener(answer)
    try:
        yield f"http://127.0.0.1:{listener.port}"
    finally:
        listener.end()
