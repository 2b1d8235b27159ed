"""Keeps frames for a while: in memory up to a bound, and in files beyond it."""

import tempfile
import weakref
from collections import deque
from contextlib import suppress
from pathlib import Path

import polars as pl

#: A frame in more pieces than this is put together: every date adds some, and all that reads it goes slower.
PIECES = 8
#: The share of the memory that is left full when room is made.
ROOM = 3 / 4
#: So often it is put together until its texts are copied, too, which takes six times as long.
TIMES = 4


class Kept:
    """A frame that is in memory or in a file, which goes with it."""

    def __init__(self, frame: pl.DataFrame, times: int = 0) -> None:
        """`times`: how often it was put together since its texts were copied."""
        self.times = times
        self.bytes = int(frame.estimated_size())
        self.rows = frame.height
        self._frame: pl.DataFrame | None = frame
        self._path: Path | None = None

    def read(self) -> pl.DataFrame:
        frame = self._frame  # another thread may move it to its file meanwhile
        if frame is not None:
            return frame
        assert self._path is not None
        with self._path.open("rb") as file:
            return pl.read_ipc(file)

    def move_to(self, path: Path) -> None:
        assert self._frame is not None
        self._frame.write_ipc(path)  # compressed it would take twice the time to write and to read
        self._path = path
        self._frame = None

    def __del__(self) -> None:
        if self._path is not None:
            with suppress(OSError):  # the folder may be gone already
                self._path.unlink()


class Shelf:
    """Frames, of which those kept first leave the memory first."""

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        """`folder` is made when it is needed. What a killed process left in it goes."""
        self._place = folder
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._limit_bytes = limit_bytes
        self._in_memory: deque[weakref.ref[Kept]] = deque()
        self._bytes = 0
        self._files = 0

    @property
    def folder(self) -> Path:
        """Where files of this process may lie until `close`."""
        if self._folder is None:
            self._place.mkdir(parents=True, exist_ok=True)
            self._folder = tempfile.TemporaryDirectory(dir=self._place)
        return Path(self._folder.name)

    def keep(self, frame: pl.DataFrame, before: Kept | None = None) -> Kept:
        """A frame that is read again later, in the place of one that was kept `before`."""
        times = before.times if before else 0
        if max(frame.n_chunks("all"), default=0) > PIECES:
            times = (times + 1) % TIMES
            frame = frame.rechunk() if times else compacted(frame)
        kept = Kept(frame, times)
        self._in_memory.append(weakref.ref(kept))
        self._bytes += kept.bytes
        if self._bytes > self._limit_bytes:
            self._make_room()
        return kept

    def close(self) -> None:
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _make_room(self) -> None:
        alive = [kept for ref in self._in_memory if (kept := ref())]
        self._bytes = sum(kept.bytes for kept in alive)
        self._in_memory = deque(map(weakref.ref, alive))
        while self._bytes > ROOM * self._limit_bytes:
            kept = self._in_memory.popleft()()
            assert kept is not None
            self._files += 1
            kept.move_to(self.folder / f"{self._files}.arrow")
            self._bytes -= kept.bytes


def compacted(frame: pl.DataFrame) -> pl.DataFrame:
    """A copy in one piece, with texts of its own: a few that are left keep all those alive that they were read with."""
    copy = pl.DataFrame(frame.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest()))
    return copy.cast(frame.schema)
