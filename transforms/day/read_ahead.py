"""Reads the next snapshot date while a date is built: its counters, and the documents that it is likely to want."""

from collections.abc import Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import date
from pathlib import Path

from transforms.day.snapshot_day import SnapshotDay
from transforms.staging.exchange import ROOM_OF_REPLAY
from transforms.staging.raw_reader import RawReader
from transforms.staging.records import Seen, Stage


class ReadAhead:
    """The dates of a replay, of which one is read ahead at a time."""

    def __init__(self, raw: RawReader, days: Sequence[SnapshotDay], folder: Path) -> None:
        """`raw` is read with a connection of its own. Each date has its files in a folder in `folder`."""
        self._raw = raw
        self._reader: RawReader | None = None
        self._folder = folder
        self._following = dict(zip([day.on for day in days], days[1:], strict=False))
        self._under_way: dict[date, Future[Stage]] = {}
        self._seen: dict[str, Seen] = {}
        self._thread = ThreadPoolExecutor(max_workers=1)

    def of(self, day: SnapshotDay) -> Stage | None:
        """What was read of a date, if anything was; it is given once. Begins to read the date after it."""
        read = self._under_way.pop(day.on, None)
        stage = read.result() if read else None
        if following := self._following.pop(day.on, None):
            self._under_way[following.on] = self._thread.submit(self._read, following)
        return stage

    def close(self) -> None:
        """Ends the thread, and removes the files of what was not asked for."""
        self._thread.shutdown(cancel_futures=True)
        for read in self._under_way.values():
            with suppress(Exception, CancelledError):
                read.result().close()
        if self._reader:
            self._reader.rest()

    def _read(self, day: SnapshotDay) -> Stage:
        self._reader = self._reader or self._raw.beside()
        folder = self._folder / str(day.on)
        folder.mkdir()
        stage = Stage(day.on, lambda: folder, ROOM_OF_REPLAY)
        try:
            self._seen = stage.read_ahead(self._reader, day.crawled, self._seen if day.is_after_complete else {})
        except BaseException:
            stage.close()
            raise
        return stage
