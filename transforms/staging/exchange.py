"""The exchange of a day's rows to their ranges: raw is in the order of the crawl, a build takes one range at a time.

Rows are held until there are some tens of megabytes of them. Then they go to a file per kind of rows, cut by range, and
are read back by range.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from threading import Lock

import polars as pl
import pyarrow as pa

#: Rows of one name in memory, in bytes.
HELD_BYTES = 8 * 1024**2
#: So many times as much where dates are replayed, whose build is most of the work.
ROOM_OF_REPLAY = 8

RANGE = "_range"


class Exchange:
    """Rows by name, and in each by range."""

    def __init__(self, folder: Callable[[], Path], room: int = 1) -> None:
        """`folder` makes the folder for the files, if it comes to that: `room` times HELD_BYTES are in memory."""
        self._folder, self._held_bytes = folder, room * HELD_BYTES
        self._heaps: dict[tuple[str, bool], _Heap] = {}
        self._reading = Lock()
        # Rows are cut and compressed here while the next ones are decoded.
        self._writer = ThreadPoolExecutor(max_workers=1)

    def add(self, name: str, rows: pl.DataFrame, numbers: pl.Expr, *, before: bool = False) -> None:
        """Adds rows, each with the number of its range; `before` puts them before all that were added without it."""
        heap = self._heaps.get((name, before))
        if heap is None:
            file = f"{name}.before.arrow" if before else f"{name}.arrow"
            heap = self._heaps[name, before] = _Heap(
                rows.clear(), lambda: self._folder() / file, self._writer, self._held_bytes
            )
        heap.add(rows.with_columns(numbers.alias(RANGE)))

    def ranges(self, name: str) -> list[int]:
        """The ranges that have rows of a name."""
        return sorted({number for heap in self._of(name) for number in heap.ranges()})

    def rows(self, name: str, number: int) -> pl.DataFrame:
        """The rows of a range, in their order. Several threads may read."""
        with self._reading:
            found = [frame for heap in self._of(name) for frame in heap.rows(number)]
        return found[0] if len(found) == 1 else pl.concat(found)

    def drop(self, name: str) -> None:
        """Removes the rows of a name."""
        for before in (True, False):
            if heap := self._heaps.pop((name, before), None):
                heap.close()

    def settle(self) -> None:
        """Waits for the writes that are under way; raises what one of them failed with."""
        for heap in self._heaps.values():
            heap.settle()

    def close(self) -> None:
        """Removes all rows, and their files."""
        self._writer.shutdown(cancel_futures=True)
        for heap in self._heaps.values():
            heap.close()
        self._heaps.clear()

    def _of(self, name: str) -> list["_Heap"]:
        return [heap for before in (True, False) if (heap := self._heaps.get((name, before)))]


class _Heap:
    """The rows of one name."""

    def __init__(
        self, empty: pl.DataFrame, path: Callable[[], Path], thread: ThreadPoolExecutor, held_bytes: int
    ) -> None:
        self._empty = empty
        self._held_bytes = held_bytes
        self._path = path
        self._thread = thread
        self._write_under_way: Future[None] | None = None
        self._bytes = 0
        self._held: list[pl.DataFrame] = []
        self._in_memory: dict[int, pl.DataFrame] = {}
        self._writer: pa.ipc.RecordBatchFileWriter | None = None
        self._reader: pa.ipc.RecordBatchFileReader | None = None
        self._batches: dict[int, list[int]] = defaultdict(list)
        self._written = 0

    def add(self, rows: pl.DataFrame) -> None:
        self._held.append(rows)
        self._bytes += int(rows.estimated_size())
        if self._bytes > self._held_bytes:
            self.settle()
            held, self._held, self._bytes = self._held, [], 0
            self._write_under_way = self._thread.submit(self._write, held)

    def ranges(self) -> set[int]:
        self._sort()
        return {*self._in_memory, *self._batches}

    def rows(self, number: int) -> list[pl.DataFrame]:
        """The rows of a range, in one frame or several."""
        self._sort()
        found = [self._in_memory[number]] if number in self._in_memory else []
        if numbers := self._batches.get(number):
            if self._reader is None:
                assert self._writer
                self._writer.close()
                self._reader = pa.ipc.open_file(pa.OSFile(str(self._path())))
            stored = pl.from_arrow(pa.Table.from_batches([self._reader.get_batch(each) for each in numbers]))
            assert isinstance(stored, pl.DataFrame)
            found.insert(0, stored.cast(self._empty.schema))
        return found or [self._empty]

    def close(self) -> None:
        if self._write_under_way:
            wait([self._write_under_way])  # what became of it does not matter any more
        if self._writer:
            self._writer.close()
            self._path().unlink(missing_ok=True)

    def _by_range(self, held: list[pl.DataFrame]) -> Iterator[tuple[int, pl.DataFrame]]:
        ordered = pl.concat(held).sort(RANGE, maintain_order=True)
        rows, start = ordered.drop(RANGE), 0
        for length, number in ordered.select(pl.col(RANGE).rle()).unnest(RANGE).iter_rows():
            yield number, rows.slice(start, length)
            start += length

    def _sort(self) -> None:
        """Makes all rows readable: those in memory, or in the file if there is one."""
        self.settle()
        held, self._held = self._held, []
        if held and self._writer:
            self._write(held)
        elif held:
            for number, rows in self._by_range(held):
                before = self._in_memory.get(number)
                self._in_memory[number] = rows if before is None else pl.concat([before, rows])

    def settle(self) -> None:
        if self._write_under_way:
            self._write_under_way.result()
            self._write_under_way = None

    def _write(self, held: list[pl.DataFrame]) -> None:
        """Writes rows, those of each range as a record batch."""
        for number, rows in self._by_range(held):
            table = rows.to_arrow(compat_level=pl.CompatLevel.oldest())
            if self._writer is None:
                options = pa.ipc.IpcWriteOptions(compression="lz4")
                self._writer = pa.ipc.new_file(str(self._path()), table.schema, options=options)
            for batch in table.combine_chunks().to_batches():
                self._writer.write_batch(batch)
                self._batches[number].append(self._written)
                self._written += 1
