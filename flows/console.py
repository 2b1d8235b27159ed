"""How long work shows itself to a person: bars on a terminal, plain lines in a log.

Both speak on standard error, so that standard output stays what the command was asked for. They show the same: how far
the phase is, how fast it goes and, where the total is known, how long it still takes.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self, TextIO

from pipelines.progress import Progress

#: Seconds between two plain lines of one phase.
LINE_INTERVAL = 10.0


@contextmanager
def progress_display() -> Iterator[Progress]:
    """The listener that fits standard error, for the length of the block."""
    if sys.stderr.isatty():
        with Bars() as bars:
            yield bars
    else:
        with Lines(sys.stderr) as lines:
            yield lines


def duration(seconds: float) -> str:
    """Seconds as a person reads them: `8 s`, `3 min 20 s`, `2 h 5 min`, `4 d 3 h`."""
    whole = round(seconds)
    for size, unit, below, smaller in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // below
            return f"{whole // size} {unit}" + (f" {rest} {smaller}" if rest else "")
    return f"{whole} s"


class Lines:
    """Plain lines: one per phase when it ends, and one every `interval` seconds while it lasts."""

    def __init__(self, stream: TextIO, interval: float = LINE_INTERVAL) -> None:
        self._stream = stream
        self._interval = interval
        self._phase: str | None = None
        self._began = self._last_line = 0.0
        self._latest = ""

    def update(self, phase: str, done: int, total: int | None = None, unit: str = "items") -> None:
        now = time.monotonic()
        if phase != self._phase:
            self._flush()
            self._phase, self._began, self._last_line = phase, now, now
        self._latest = f"{phase}: {_extent(done, total, unit)}{_pace(done, total, unit, now - self._began)}"
        if now - self._last_line >= self._interval:
            self._flush()
            self._last_line = now

    def note(self, message: str) -> None:
        self._flush()
        print(message, file=self._stream, flush=True)

    def _flush(self) -> None:
        if self._latest:
            print(self._latest, file=self._stream, flush=True)
            self._latest = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._flush()


def _extent(done: int, total: int | None, unit: str) -> str:
    if total is None:
        return f"{done:,} {unit}"
    return f"{done:,} of {total:,} {unit}"


def _pace(done: int, total: int | None, unit: str, seconds: float) -> str:
    if not done or seconds < 0.5:
        return ""
    rate = done / seconds
    text = f", {rate:,.0f} {unit}/s" if rate >= 10 else f", {rate:.1f} {unit}/s"
    if total is not None and done < total:
        text += f", {duration((total - done) / rate)} left"
    return text


class Bars:
    """One bar per phase, drawn by rich."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TextColumn
        from rich.text import Text

        class Pace(ProgressColumn):
            """Rate, and the time that is left or was taken."""

            def render(self, task: Task) -> Text:
                total = None if task.total is None else int(task.total)
                seconds = (task.finished_time if task.finished else task.elapsed) or 0.0
                pace = _pace(int(task.completed), total, task.fields["unit"], seconds)
                ended = f", {duration(seconds)}" if task.finished and seconds >= 1 else ""
                return Text((pace + ended).removeprefix(", "), style="dim")

        self._bars = Progress(
            SpinnerColumn(finished_text="[green]✓"),
            TextColumn("{task.description}"),
            BarColumn(bar_width=28),
            TextColumn("{task.fields[extent]}"),
            Pace(),
            console=Console(stderr=True, highlight=False),
        )
        self._phase: str | None = None
        self._done = 0

    def update(self, phase: str, done: int, total: int | None = None, unit: str = "items") -> None:
        if phase != self._phase:
            self._end_phase()
            self._phase = phase
            self._task = self._bars.add_task(phase, total=total, unit=unit, extent="")
        self._done = done
        self._bars.update(self._task, completed=done, total=total, unit=unit, extent=_extent(done, total, unit))

    def note(self, message: str) -> None:
        self._bars.console.print(message, markup=False)

    def _end_phase(self) -> None:
        # A phase whose total nobody knew ends where the next one begins.
        if self._phase is not None:
            self._bars.update(self._task, total=self._done, completed=self._done)

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if error is None:
            self._end_phase()
        self._bars.stop()
