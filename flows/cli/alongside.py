"""What `civitai-etl serve` does beside the runs: it offers the condition of the data directory as metrics, and watches
that a snapshot is complete by the hour of the settings.
"""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import cast

from flows.cli.prefect_server import LOOPBACK
from flows.notifier import notify
from flows.reporting.condition import condition_of
from flows.reporting.logs import LOG
from flows.reporting.metrics import CONTENT_TYPE, exposition
from flows.reporting.text import plain
from pipelines.errors import CivitaiEtlError
from pipelines.settings import Settings

#: Seconds between two looks for a message that is due, and after one that nobody took.
PAUSE, LONGER_PAUSE = 60.0, 600.0
#: Seconds that a client has to send its request.
_REQUEST = 10.0


class MetricsError(CivitaiEtlError):
    """The port of the metrics cannot be used."""


@contextmanager
def alongside(settings: Settings, metrics_port: int | None, host: str = LOOPBACK) -> Iterator[None]:
    """Offer metrics at a port of `host`, if one is given, and send messages, if there are addresses, for the length of
    the block.

    Raises:
        MetricsError: the port is taken.
    """
    with ExitStack() as stack:
        if metrics_port is not None:
            port = stack.enter_context(metrics_served(settings, metrics_port, host))
            LOG.info("Metrics are at port %s of %s, /metrics", port, host)
        if settings.notify_url is not None:
            stack.enter_context(watched(settings))
        yield


@contextmanager
def watched(settings: Settings, pause: float = PAUSE, longer_pause: float = LONGER_PAUSE) -> Iterator[None]:
    """Send the messages that are due, in a thread, for the length of the block."""
    stopped = threading.Event()

    def watch() -> None:
        wait = pause
        while not stopped.wait(wait):
            wait = pause if notify(settings, LOG.warning) else longer_pause

    threading.Thread(target=watch, name="messages", daemon=True).start()
    try:
        yield
    finally:
        stopped.set()


@contextmanager
def metrics_served(settings: Settings, port: int, host: str = LOOPBACK) -> Iterator[int]:
    """Answer `GET /metrics` on `host`, in threads, for the length of the block; yields the port (0 takes any).

    Every scrape reads the published tables anew. If they cannot be read, the answer is 500 with one line.

    Raises:
        MetricsError: the port is taken.
    """
    try:
        server = _MetricsServer(host, port, lambda: exposition(condition_of(settings)))
    except OSError as error:
        raise MetricsError(
            f"The port {port} of --metrics-port cannot be used on {host} ({error.strerror}): choose another one."
        ) from error
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


class _MetricsServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, host: str, port: int, text: Callable[[], str]) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), _Scrape)
        self._text = text
        self._one_at_a_time = threading.Lock()

    def answer(self) -> tuple[int, str]:
        """The status and the body for a scrape."""
        try:
            with self._one_at_a_time:
                return 200, self._text()
        except Exception as error:  # noqa: BLE001 (a scrape never ends `serve`)
            line = " ".join(str(error).split())
            return 500, plain(line if isinstance(error, CivitaiEtlError) else f"{type(error).__name__}: {line}") + "\n"


class _Scrape(BaseHTTPRequestHandler):
    timeout = _REQUEST

    def do_GET(self) -> None:
        is_known = self.path.partition("?")[0] in ("/metrics", "/")
        status, text = cast("_MetricsServer", self.server).answer() if is_known else (404, "See /metrics\n")
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", CONTENT_TYPE if status == 200 else "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep no log: a scrape comes every few seconds."""
