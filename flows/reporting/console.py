"""The output of a command: results on standard output, progress on standard error.

Progress is bars on a terminal and plain lines in a log. Both show how far the phase is, how fast it goes and, if the
total is known, the time left.

Much of the output is untrusted text from the service. A terminal gets none of its control characters.
"""

import io
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self, TextIO

from pipelines.errors import CivitaiEtlError
from pipelines.progress import Progress, duration

#: Seconds between two plain lines of one phase.
LINE_INTERVAL = 10.0
#: Columns that tables and help need. With fewer, the drawing libraries fail or never end.
LEAST_WIDTH = 40

#: Characters that move a cursor or change a colour or the direction of a line, and non-characters. Escaped as in JSON.
_CONTROLS = {
    code: f"\\u{code:04x}"
    for first, last in (
        (0x00, 0x1F),
        (0x7F, 0x9F),
        (0x200E, 0x200F),
        (0x2028, 0x202E),
        (0x2066, 0x2069),
        (0xD800, 0xDFFF),
    )
    for code in range(first, last + 1)
}
#: The characters that draw tables, for an output with little more than ASCII.
_TO_ASCII = str.maketrans("─│┌┐└┘├┤┬┴┼…·", "-|+++++++++~.")


class OutputError(CivitaiEtlError):
    """Standard output cannot be written."""


class Output(io.TextIOWrapper):
    """Standard output that writes any text in its encoding, and reports a failure to write in one line."""

    @classmethod
    def of(cls, stream: TextIO) -> Self:
        """Take over a stream. Nothing else may write to it."""
        binary = open(stream.fileno(), "wb", closefd=False)  # noqa: SIM115 (for the life of the process)
        return cls(binary, stream.encoding, "backslashreplace", line_buffering=stream.isatty())

    def write(self, text: str) -> int:
        with _output_errors():
            return super().write(text)

    def flush(self) -> None:
        with _output_errors():
            super().flush()


@contextmanager
def _output_errors() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"Standard output cannot be written ({error.strerror}): the output is incomplete.") from error


def open_standard_streams() -> None:
    """Open the streams that the shell has closed. Otherwise a file that is opened would take their place."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)
    sys.stdin = sys.stdin or open(0)  # noqa: SIM115 (for the life of the process)
    sys.stdout = Output.of(sys.stdout or open(1, "w", closefd=False))  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w")  # noqa: SIM115


def set_least_width() -> None:
    """Draw everything with at least `LEAST_WIDTH` columns, even on a narrower terminal."""
    width = shutil.get_terminal_size().columns
    if width < LEAST_WIDTH or os.environ.get("COLUMNS") == "0":
        os.environ["COLUMNS"] = str(max(width, LEAST_WIDTH))


def plain(text: str) -> str:
    """One line without control characters."""
    return text.translate(_CONTROLS)


def say(*lines: str) -> None:
    """Print lines to standard output, in its encoding."""
    for line in lines:
        shown = plain(line)
        try:
            shown.encode(sys.stdout.encoding or "utf-8")
        except UnicodeEncodeError:
            shown = shown.translate(_TO_ASCII)
        print(shown)


def note(line: str) -> None:
    """Print a line to standard error."""
    print(plain(line), file=sys.stderr, flush=True)


@contextmanager
def progress_display() -> Iterator[Progress]:
    """The progress display that fits standard error, for the length of the block."""
    if sys.stderr.isatty():
        with Bars() as bars:
            yield bars
    else:
        with Lines(sys.stderr) as lines:
            yield lines


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
        print(plain(message), file=self._stream, flush=True)

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
            """The rate, and the time left or taken."""

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
        self._bars.console.print(plain(message), markup=False)

    def _end_phase(self) -> None:
        # A phase without a known total ends where the next one begins.
        if self._phase is not None:
            self._bars.update(self._task, total=self._done, completed=self._done)

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if error is None:
            self._end_phase()
        self._bars.stop()
