"""The log of a Prefect server that `serve` started: it goes on over restarts, and keeps a bounded size."""

import threading
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

#: Bytes from which a new file begins, and how many old ones are kept. A quiet server writes some hundred KB a month.
LARGEST, KEPT = 5_000_000, 3


def write_log(lines: Iterable[bytes], path: Path, *, largest: int = LARGEST, kept: int = KEPT) -> None:
    """Append these lines to the file at `path`; the old ones are `path` with .1 (the newest), .2, ...

    A disk that is full loses lines, but does not stop the server, which would wait for its reader.
    """
    for line in lines:
        with suppress(OSError):
            if path.exists() and path.stat().st_size + len(line) > largest:
                _rotate(path, kept)
            with path.open("ab") as file:
                file.write(line)


def write_in_background(lines: Iterable[bytes], path: Path) -> threading.Thread:
    """The same in a thread, which ends with the lines."""
    thread = threading.Thread(target=write_log, args=(lines, path), name="server-log", daemon=True)
    thread.start()
    return thread


def old(path: Path, number: int) -> Path:
    """The file of older lines with this number."""
    return path.with_name(f"{path.name}.{number}")


def _rotate(path: Path, kept: int) -> None:
    for number in range(kept - 1, 0, -1):
        with suppress(FileNotFoundError):
            old(path, number).replace(old(path, number + 1))
    path.replace(old(path, 1))
