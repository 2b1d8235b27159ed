"""Connections that are cut when an answer takes too long in all: a time-out counts silence, and a drip is none."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from weakref import WeakSet

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection


class CuttablePool(PoolManager):
    """A pool for one request at a time, which a `deadline` ends wherever it is: in its headers, too, or in a chunk."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        opened = self._opened = WeakSet[socket.socket]()

        class Plain(HTTPConnection):
            def connect(self) -> None:
                super().connect()
                opened.add(self.sock)

        class Secure(HTTPSConnection):
            def connect(self) -> None:
                super().connect()
                opened.add(self.sock)

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = Plain

        class SecurePool(HTTPSConnectionPool):
            ConnectionCls = Secure

        self.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}

    @contextmanager
    def deadline(self, seconds: float) -> Iterator[threading.Event]:
        """Cut what is under way after so long; gives an event that says whether it was."""
        is_cut = threading.Event()
        timer = threading.Timer(seconds, self._cut, (is_cut,))
        timer.daemon = True
        timer.start()
        try:
            yield is_cut
        finally:
            timer.cancel()

    def _cut(self, is_cut: threading.Event) -> None:
        is_cut.set()
        for each in [*self._opened]:
            with suppress(OSError):
                # Not as TLS would: that is taken apart while the other thread reads from it.
                socket.socket.shutdown(each, socket.SHUT_RDWR)
