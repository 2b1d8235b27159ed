"""Worker processes that make the documents of model lists.

Making documents is nearly all that the emulator computes. So the server keeps everything that changes (clock, faults,
log, member) for itself, and sends the rows of a page in equal shares to forks of itself. A fork has the state of the
day without a copy, because both processes share the memory that neither of them writes. Another day gets other forks.
A worker ends as soon as its connection to the server does, also if the server was killed.
"""

import asyncio
import contextlib
import gc
import os
import pickle
import signal
import socket
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn, Protocol, TypeVar

from emulator.simulation.columns import MANY_MODELS

_LENGTH = 8
_STANDARD_ERROR = 2
Query_contra = TypeVar("Query_contra", contravariant=True)


class ListedDay(Protocol[Query_contra]):
    """A catalogue at one moment, with lists of models."""

    def items(self, query: Query_contra, rows: Sequence[int]) -> bytes:
        """The JSON of these rows in a list, with commas between them; a row may be left out."""
        ...


class WorkerEndedError(Exception):
    """A worker process ended in the middle of its work."""


class Workers:
    """Makes the items of lists.

    Args:
        count: how many processes; without any, this process makes them.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._day: object = None
        self._workers: list[_Worker] = []
        self._changing = asyncio.Lock()

    async def items(self, day: ListedDay[Query_contra], query: Query_contra, rows: Sequence[int]) -> bytes:
        """The JSON of the rows of a page, with commas between them."""
        if not self._count or not rows:
            return day.items(query, rows)
        async with self._changing:
            if day is not self._day:
                await self._fork(day, query, rows)
            size = -(-len(rows) // self._count)
            shares = [rows[start : start + size] for start in range(0, len(rows), size)]
            # The workers keep the order of requests. So those of a day get all requests of the day before they end.
            busy = zip(self._workers, shares, strict=False)  # a short page has fewer shares
            made = asyncio.gather(*(worker.items(query, share) for worker, share in busy))
        try:
            return b",".join(filter(None, await made))
        except (WorkerEndedError, ConnectionError):
            self._day = None  # the next page gets other workers
            raise

    async def _fork(self, day: ListedDay[Query_contra], query: Query_contra, rows: Sequence[int]) -> None:
        self._day, ended = None, self._workers
        self._workers = []
        await asyncio.gather(*(worker.end() for worker in ended))
        gc.collect()  # the day before is in reference cycles
        day.items(query, rows[:1])  # computes, once for all workers, what every document of the day needs
        self._workers = [_Worker(day) for _ in range(self._count)]
        self._day = day


class _Worker:
    """A fork of this process that makes the items of a day, and the connection to it."""

    def __init__(self, day: ListedDay[Query_contra]) -> None:
        self._turn = asyncio.Lock()
        self._connection, other = socket.socketpair()
        self._pid = os.fork()
        if self._pid == 0:
            _work(day, other)
        other.close()
        self._connection.settimeout(0)  # asyncio waits for it

    async def items(self, query: object, rows: Sequence[int]) -> bytes:
        async with self._turn:
            await asyncio.get_running_loop().sock_sendall(self._connection, pickle.dumps((query, list(rows))))
            size = int.from_bytes(await self._receive(_LENGTH), "big")
            return bytes(await self._receive(size))

    async def _receive(self, size: int) -> bytearray:
        received = bytearray(size)
        missing = memoryview(received)
        while missing:
            count = await asyncio.get_running_loop().sock_recv_into(self._connection, missing)
            if not count:
                raise WorkerEndedError(f"worker process {self._pid} of the emulator ended before its answer")
            missing = missing[count:]
        return received

    async def end(self) -> None:
        """Ends the process after the requests that it has."""
        async with self._turn:
            self._close()

    def _close(self) -> None:
        self._connection.close()
        os.waitpid(self._pid, 0)


def _work(day: ListedDay[Query_contra], connection: socket.socket) -> NoReturn:
    """The life of a worker process: from the fork of the server to the end of the connection."""
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the server, too
        _close_others(connection.fileno())
        gc.freeze()  # the collector would write to the shared memory
        requests = connection.makefile("rb")
        with contextlib.suppress(EOFError, ConnectionError):
            while True:
                query, rows = pickle.load(requests)  # noqa: S301 -- from this program
                items = day.items(query, rows)
                connection.sendall(len(items).to_bytes(_LENGTH, "big") + items)
    except BaseException:  # noqa: BLE001 -- the process must not go on as a second server
        traceback.print_exc()
    finally:
        os._exit(0)


def _close_others(kept: int) -> None:
    """Closes the server's files but the standard ones: its clients and the other workers wait for their end."""
    for file in list(Path("/dev/fd").iterdir()):
        if (number := int(file.name)) > _STANDARD_ERROR and number != kept:
            with contextlib.suppress(OSError):  # the list was read through one of them
                os.close(number)


def default_count(models: int) -> int:
    """The number of workers for a simulated catalogue: one per core for a large one, else none."""
    return (os.cpu_count() or 1) if models >= MANY_MODELS else 0
