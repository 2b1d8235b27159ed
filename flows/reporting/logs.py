"""The log of a run: one tree of loggers, `civitai_etl`, whose records go to three places.

Standard error gets lines, or JSON with `--log-format json`. The data directory keeps JSON lines under `logs/`, whatever
the options. Under Prefect the log of the run gets the same records (`flows.run_log`).

A record may carry more than its message: the `extent` of a phase, and whether a command shows it elsewhere (`SHOWN`).
No failure to write a record ends a run.
"""

import fcntl
import json
import logging
import os
import secrets
import sys
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, TextIO

from flows.reporting.text import plain

LOG = logging.getLogger("civitai_etl")
#: For a record that the command prints itself: as its result, or as the error that ends it.
SHOWN = {"is_shown": True}

LogFormat = Literal["text", "json"]

#: Bytes of a log file, and how many old ones there are beside it.
FILE_BYTES, OLD_FILES = 5_000_000, 4


@dataclass(frozen=True)
class Extent:
    """How far a phase is: `done` of `total` units, None if nobody knows how many, and `rate` of them per second, None
    before it can be told. Without a total, `expected` is how many the last complete snapshot had.
    """

    phase: str
    done: int
    total: int | None
    unit: str
    rate: float | None
    expected: int | None = None


class JsonLines(logging.Formatter):
    """A JSON object per record, with the same keys in every one; null is what the record does not have."""

    def __init__(self, run: str) -> None:
        super().__init__()
        self._run = run

    def format(self, record: logging.LogRecord) -> str:
        extent: Extent | None = getattr(record, "extent", None)
        row = {
            "time": _moment(record).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname,
            "run": self._run,
            "phase": extent.phase if extent else getattr(record, "phase", None),
            "message": record.getMessage(),
            "done": extent.done if extent else None,
            "total": extent.total if extent else None,
            "unit": extent.unit if extent else None,
            "rate": round(extent.rate, 3) if extent and extent.rate is not None else None,
        }
        if record.exc_info:
            row["traceback"] = self.formatException(record.exc_info)
        return json.dumps(row)


class Lines(logging.Formatter):
    """One line per record: time, level, run and message."""

    def __init__(self, run: str) -> None:
        super().__init__()
        self._run = run

    def format(self, record: logging.LogRecord) -> str:
        moment = _moment(record).strftime("%Y-%m-%dT%H:%M:%SZ")
        return f"{moment} {record.levelname:7} {self._run} {plain(record.getMessage())}"


class _Messages(logging.Formatter):
    """Only the message: a person watches."""

    def format(self, record: logging.LogRecord) -> str:
        return plain(record.getMessage())


def _moment(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC)


class StandardError(logging.StreamHandler[TextIO]):
    """Writes to what is standard error at that moment: rich replaces it while it draws bars."""

    def __init__(self, level: int, log_format: LogFormat, run: str) -> None:
        super().__init__(sys.stderr)
        self.setLevel(level)
        self.run, self.log_format = run, log_format
        self.draws_bars = log_format == "text" and level < logging.WARNING and sys.stderr.isatty()
        if log_format == "json":
            self.setFormatter(JsonLines(run))
        else:
            self.setFormatter(_Messages() if sys.stderr.isatty() else Lines(run))
            self.addFilter(lambda record: not getattr(record, "is_shown", False))
        if self.draws_bars:
            self.addFilter(lambda record: not hasattr(record, "extent"))

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (the name that logging has for it)
        """Nobody reads, or there is no room: the run goes on."""


class LogFile(logging.Handler):
    """Appends records to a file that several processes may write, and moves it aside when it is full.

    Each record is one write to the end of the file, so lines of two processes do not mix. The folder is made with the
    first record, in a data directory that is there.
    """

    def __init__(self, path: Path, run: str) -> None:
        super().__init__(logging.DEBUG)
        self.path = path
        self._is_torn = False
        self.setFormatter(JsonLines(run))

    def emit(self, record: logging.LogRecord) -> None:
        line = f"{self.format(record)}\n".encode()
        with suppress(OSError):  # no room, or no right to write: the run goes on
            if self.path.parent.parent.is_dir():
                self.path.parent.mkdir(exist_ok=True)
                self._append(line)

    def _append(self, line: bytes) -> None:
        with self.path.open("ab", buffering=0) as file:
            if file.tell() + len(line) > FILE_BYTES and file.tell():
                self._move_aside()
                self._append(line)
                return
            # A full disk takes a part of a line. The next one begins a line of its own.
            whole = b"\n" * self._is_torn + line
            self._is_torn = file.write(whole) < len(whole)

    def _move_aside(self) -> None:
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            if not self.path.exists() or self.path.stat().st_size < FILE_BYTES / 2:
                return  # another process has just done it
            for number in range(OLD_FILES, 0, -1):
                newer = self._old(number - 1) if number > 1 else self.path
                if newer.exists():
                    newer.replace(self._old(number))
        finally:
            os.close(folder)

    def _old(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")


def log_to_standard_error(
    run: str = "", *, quiet: bool = False, verbose: bool = False, log_format: LogFormat = "text"
) -> None:
    """Send the records of this process to standard error: all, those of interest, or only problems."""
    level = logging.WARNING if quiet else logging.DEBUG if verbose else logging.INFO
    install(StandardError(level, log_format, run or run_id("run")))


def log_to_file(logs: Path, run: str = "") -> None:
    """Send the records of this process to the log file in a folder, too; by default with the id that they have on
    standard error.
    """
    install(LogFile(logs / "civitai-etl.jsonl", run or standard_error().run))


def standard_error() -> StandardError:
    """The handler for standard error; there is one from the first call on."""
    if not (found := _installed(StandardError)):
        log_to_standard_error()
        found = _installed(StandardError)
    assert isinstance(found, StandardError)
    return found


def is_quiet() -> bool:
    """Whether only problems are of interest."""
    return standard_error().level >= logging.WARNING


def run_id(command: str) -> str:
    """A new id for the records of one run of a command."""
    return f"{command}-{secrets.token_hex(4)}"


def stop_logging() -> None:
    """Send the records of this process nowhere."""
    for handler in list(LOG.handlers):
        LOG.removeHandler(handler)


def error(message: str) -> None:
    """Report the error that ends a command: on standard error, and in the log."""
    is_for_people = standard_error().log_format == "text"
    line = plain(message)
    LOG.error("%s", line, extra=SHOWN)
    if is_for_people:
        print(f"civitai-etl: {line}", file=sys.stderr)


def install(handler: logging.Handler) -> None:
    """Add a handler in the place of one of its kind."""
    LOG.setLevel(logging.DEBUG)
    LOG.propagate = False
    if before := _installed(type(handler)):
        LOG.removeHandler(before)
    LOG.addHandler(handler)


def _installed(kind: type[logging.Handler]) -> logging.Handler | None:
    return next((handler for handler in LOG.handlers if isinstance(handler, kind)), None)
