"""The star while it is being built: rows that may still change are kept by range, immutable rows are in files.

A release starts from the published one (or from nothing), `transforms.day` adds one snapshot date after the other, and
it ends as the list of files to publish. Of a table that changed, only the files with changed ranges are written again.
"""

import math
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import date
from typing import Self

import polars as pl

from pipelines.memory import budget_bytes
from transforms.lake.files import ADDED_ROLES, CHANGING_ROLES, Lake, LakeFile, Writer, month_of
from transforms.lake.shelf import Kept, Shelf
from transforms.lake.state import STATE
from transforms.ranges import WHOLE
from transforms.tables import TABLES
from transforms.tables.dictionary import arrow_schema

STAR = {table.table_name(): table for table in TABLES}
ARROW_SCHEMAS = {name: arrow_schema(table) for name, table in STAR.items()}

#: A table has so many files of rows that may change, at most, however many ranges it has.
FILES_AT_MOST = 8

#: Files of a closed month that are smaller than this become one: to open them would take longer than to read them.
SMALL_BYTES = 2 * 1024**2

#: Changed rows in memory until the files are written; what is more lies on the disk meanwhile.
KEPT_BYTES = 48 * 1024**2
#: The same for a release of several dates, as a share of the memory budget: every date reads what the one before left,
#: and until it is taken in, both are kept.
KEPT_SHARE = 3 / 8

#: Tables whose changed rows are written at a time.
TABLES_UNDER_WAY = 2

#: Frames that may wait to be compressed: bounds memory.
WRITES_UNDER_WAY = 2


class Release:
    """The rows and files of a star while it is being built."""

    def __init__(
        self, lake: Lake, published: Sequence[LakeFile] = (), kept: Sequence[LakeFile] = (), *, dates: int = 1
    ) -> None:
        """Starts from the `published` files, to add so many dates; if `kept` has a day of a fact or its month, that
        file is used.
        """
        self.lake = lake
        self._files = list(published)
        # The other thread compresses Parquet meanwhile.
        self._writer = ThreadPoolExecutor(max_workers=1)
        self._writes: list[Future[LakeFile]] = []
        self._adds: list[Future[None]] = []
        self._of_date: dict[str, Writer] = {}
        self._kept = {(file.table, file.role, file.snapshot_date): file for file in kept}
        shutil.rmtree(workplace := lake.root / "building", ignore_errors=True)
        self.shelf = Shelf(workplace, KEPT_BYTES if dates == 1 else int(KEPT_SHARE * budget_bytes()))
        self._changed: dict[str, dict[int, Kept]] = {}
        self._published: dict[str, dict[int, tuple[LakeFile, range]]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """Waits for the write under way, so that nothing continues after a build, even a failed one."""
        self._discard()
        self._writer.shutdown(cancel_futures=True)
        self.shelf.close()
        shutil.rmtree(self.lake.root / "building", ignore_errors=True)

    def ranges(self, table: str) -> list[int]:
        """The ranges in which a table has rows that may still change."""
        return sorted({*self._changed.get(table, {}), *self._places(table)})

    def rows(self, table: str, number: int = WHOLE, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """The rows of a range that may still change: all of them, or the open ones of a type 2 table."""
        schema = _schema(table)
        if changed := self._changed.get(table, {}).get(number):
            rows = changed.read()
            return rows.select(columns) if columns else rows
        wanted = {name: schema[name] for name in columns} if columns else schema
        if place := self._places(table).get(number):
            return self.lake.read_range(*place, [*wanted]).cast(wanted)  # type: ignore[arg-type]
        return pl.DataFrame(schema=wanted)

    def replace(self, table: str, rows: pl.DataFrame, number: int = WHOLE) -> None:
        """Replaces the rows that `rows(table, number)` returned."""
        of_table = self._changed.setdefault(table, {})
        of_table[number] = self.shelf.keep(rows.select(list(_schema(table))), of_table.get(number))

    def add(self, table: str, rows: pl.DataFrame, on: date, number: int = WHOLE) -> None:
        """Adds immutable rows of a snapshot date: the rows of a fact, closed rows, or new texts. The ranges of a date
        come in order, and `end_date` after the last one.
        """
        storage = STAR[table].storage if table in STAR else STATE[table].storage
        role = "closed" if storage == "type2" else storage
        kept = self._kept.get((table, "daily", on)) or self._kept.get((table, "monthly", month_of(on)))
        if kept:
            if kept not in self._files:
                self._files.append(kept)
        elif rows.height:
            if table not in self._of_date:
                self._of_date[table] = self._open(table, role, on)
            self._add(self._of_date[table], number, rows)

    def end_date(self) -> None:
        """Completes the files of a snapshot date."""
        self._writes += [self._writer.submit(writer.finish) for writer in self._of_date.values()]
        self._of_date = {}

    def immutable(self, table: str) -> pl.LazyFrame:
        """The rows of a table's immutable files."""
        files = [file for file in self.files() if file.table == table and file.role not in CHANGING_ROLES]
        return self.lake.scan(files, _schema(table))

    def savepoint(self) -> Callable[[], None]:
        """Returns a function that restores the present state: a refused date leaves no rows."""
        files = list(self.files())
        changed = {table: dict(of_table) for table, of_table in self._changed.items()}

        def roll_back() -> None:
            self._discard()
            self.files()  # waits for writes under way
            self._files, self._changed = files, changed

        return roll_back

    def files(self) -> list[LakeFile]:
        """The files that are complete so far."""
        self._wait()
        self._files += [write.result() for write in self._writes]
        self._writes.clear()
        return self._files

    def finish(self) -> list[LakeFile]:
        """Writes the changed rows and returns the files of the whole release.

        A table without rows has one empty file, so that its view has its columns.
        """
        files = self._merged([file for file in self.files() if file.role != "empty"])
        before = {
            table: [file for file in files if file.table == table and file.role in CHANGING_ROLES]
            for table in sorted(self._changed)
        }
        superseded = {file.path for of_table in before.values() for file in of_table}
        files = [file for file in files if file.path not in superseded]
        with ThreadPoolExecutor(max_workers=TABLES_UNDER_WAY) as writers:
            for written in writers.map(self._written, before, before.values()):
                files += written
        filled = {file.table for file in files}
        for table, declared in STAR.items():
            if table not in filled:
                writer = self._open(table, "empty", None)
                writer.add(WHOLE, declared.empty())
                files.append(writer.finish())
        self._files = files
        return sorted(files, key=lambda file: (file.table, file.role, str(file.snapshot_date), file.path))

    def _merged(self, files: list[LakeFile]) -> list[LakeFile]:
        """The files, with one for all small ones that the dates of a month have added to a table. The month of the
        newest date is not over.
        """
        newest = max((file.snapshot_date for file in files if file.snapshot_date), default=date.min)
        months: dict[tuple[str, str, date], list[LakeFile]] = {}
        for file in files:
            if file.role in ADDED_ROLES and file.snapshot_date and file.bytes < SMALL_BYTES:
                months.setdefault((file.table, file.role, month_of(file.snapshot_date)), []).append(file)
        merged: list[LakeFile] = []
        replaced: set[LakeFile] = set()
        for (table, role, month), small in months.items():
            if len(small) > 1 and month < month_of(newest):
                writer = self._open(table, role, max(file.snapshot_date or month for file in small))
                writer.add(WHOLE, self.lake.read(small, _schema(table)))
                merged.append(writer.finish())
                replaced.update(small)
        return [file for file in files if file not in replaced] + merged

    def _written(self, table: str, before: Sequence[LakeFile]) -> list[LakeFile]:
        """The files of a table's rows that may change: those of `before` that have the same ranges still, and new
        ones. Each has neighbouring ranges, in number a power of two, so that a new range seldom moves the others.
        """
        as_they_were = {tuple(self.lake.ranges(file)): file for file in before}
        changed = self._changed[table]
        filled = [number for number in self.ranges(table) if number not in changed or changed[number].rows]
        together = 2 ** max(0, math.ceil(math.log2(max(1, len(filled)) / FILES_AT_MOST)))
        role = "open" if table in STAR and STAR[table].storage == "type2" else "whole"
        files = []
        for first in range(0, len(filled), together):
            of_file = tuple(filled[first : first + together])
            if of_file in as_they_were and not changed.keys() & set(of_file):
                files.append(as_they_were[of_file])
                continue
            writer = self._open(table, role, None)
            for number in of_file:
                writer.add(number, self.rows(table, number))
            files.append(writer.finish())
        return files

    def _places(self, table: str) -> dict[int, tuple[LakeFile, range]]:
        """Where each range of a table is published.

        Raises:
            UnreadableStarError: a file is gone, or is not the file that was written.
        """
        found = self._published.get(table)
        if found is None:
            files = [file for file in self._files if file.table == table and file.role in CHANGING_ROLES]
            self.lake.refuse_damaged(files)
            found = {
                number: (file, row_groups) for file in files for number, row_groups in self.lake.ranges(file).items()
            }
            self._published[table] = found
        return found

    def _open(self, table: str, role: str, on: date | None) -> Writer:
        if table in STAR:
            key = STAR[table].primary_key() or STAR[table].column_names()
            return self.lake.writer(table, role=role, key=key, area="star", on=on, schema=ARROW_SCHEMAS[table])
        schema = pl.DataFrame(schema=_schema(table)).to_arrow().schema
        return self.lake.writer(table, role=role, key=STATE[table].key, area="state", on=on, schema=schema)

    def _add(self, writer: Writer, number: int, rows: pl.DataFrame) -> None:
        if len(self._adds) >= WRITES_UNDER_WAY:
            self._adds.pop(0).result()
        self._adds.append(self._writer.submit(writer.add, number, rows))

    def _wait(self) -> None:
        """Waits for the rows under way."""
        while self._adds:
            self._adds.pop(0).result()

    def _discard(self) -> None:
        """Removes the files of the date that is not complete."""
        with suppress(Exception):  # the error that ends the build is known
            self._wait()
        self._adds = []
        for writer in self._of_date.values():
            writer.discard()
        self._of_date = {}


def _schema(table: str) -> dict[str, pl.DataType]:
    return STAR[table].polars_schema() if table in STAR else STATE[table].schema
