"""The exchange of a day's rows to their ranges: raw is in the order of the crawl, a build takes one range at a time.

Rows are held until there are some tens of megabytes of them. Then they go to a file per kind of rows, cut by range, and
are read back by range.
"""

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pyarrow as pa

#: Rows of one name in memory, in bytes.
HELD_BYTES = 8 * 1024**2

RANGE = "_range"


class Exchange:
    """Rows by name, and in each by range."""

    def __init__(self, folder: Callable[[], Path]) -> None:
        """`folder` makes the folder for the files, if it comes to that."""
        self._folder = folder
        self._heaps: dict[str, _Heap] = {}

    def add(self, name: str, rows: pl.DataFrame, numbers: pl.Expr) -> None:
        """Adds rows, each with the number of its range."""
        if name not in self._heaps:
            self._heaps[name] = _Heap(rows.clear(), lambda: self._folder() / f"{name}.arrow")
        self._heaps[name].add(rows.with_columns(numbers.alias(RANGE)))

    def ranges(self, name: str) -> list[int]:
        """The ranges that have rows of a name."""
        return sorted(self._heaps[name].ranges()) if name in self._heaps else []

    def rows(self, name: str, number: int) -> pl.DataFrame:
        """The rows of a range, in the order in which they were added."""
        return self._heaps[name].rows(number)

    def close(self) -> None:
        """Removes the files."""
        for heap in self._heaps.values():
            heap.close()


class _Heap:
    """The rows of one name."""

    def __init__(self, empty: pl.DataFrame, path: Callable[[], Path]) -> None:
        self._empty = empty
        self._path = path
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
        if self._bytes > HELD_BYTES:
            self._write()

    def ranges(self) -> set[int]:
        self._sort()
        return {*self._in_memory, *self._batches}

    def rows(self, number: int) -> pl.DataFrame:
        self._sort()
        found = [self._in_memory.get(number, self._empty)]
        if numbers := self._batches.get(number):
            if self._reader is None:
                assert self._writer
                self._writer.close()
                self._reader = pa.ipc.open_file(pa.OSFile(str(self._path())))
            stored = pl.from_arrow(pa.Table.from_batches([self._reader.get_batch(each) for each in numbers]))
            assert isinstance(stored, pl.DataFrame)
            found.insert(0, stored.cast(self._empty.schema))
        return pl.concat(found)

    def close(self) -> None:
        if self._writer:
            self._writer.close()
            self._path().unlink(missing_ok=True)

    def _by_range(self) -> list[tuple[int, pl.DataFrame]]:
        rows = pl.concat(self._held) if self._held else self._empty.with_columns(pl.lit(0, pl.Int64).alias(RANGE))
        self._held, self._bytes = [], 0
        ordered = rows.sort(RANGE, maintain_order=True)
        runs = ordered.select(pl.col(RANGE).rle()).unnest(RANGE)
        found, start = [], 0
        for length, number in runs.iter_rows():
            found.append((number, ordered.slice(start, length).drop(RANGE)))
            start += length
        return found

    def _sort(self) -> None:
        """Makes the rows in memory readable."""
        if not self._held:
            return
        if self._writer:
            self._write()
            return
        for number, rows in self._by_range():
            self._in_memory[number] = pl.concat([self._in_memory.get(number, self._empty), rows])

    def _write(self) -> None:
        """Writes the rows in memory, those of each range as a record batch."""
        assert not self._in_memory, "a name was read before all its rows were there"
        for number, rows in self._by_range():
            table = rows.to_arrow(compat_level=pl.CompatLevel.oldest())
            if self._writer is None:
                options = pa.ipc.IpcWriteOptions(compression="lz4")
                self._writer = pa.ipc.new_file(str(self._path()), table.schema, options=options)
            for batch in table.combine_chunks().to_batches():
                self._writer.write_batch(batch)
                self._batches[number].append(self._written)
                self._written += 1
