"""Replaces files that others may have open, whole or not at all. Only a file is ever replaced by a file.

The output that a person names may be a link, a pipe or a device. A link is followed. A pipe or a device is written
into.
"""

import errno
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: The suffixes of the files that DuckDB keeps beside a database.
DATABASE_LOGS = (".wal", ".wal.checkpoint", ".wal.recovery")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path to write a file to. At the end of the block it is synced and takes the place of the file at `path`.

    If the block fails, `path` is as it was.

    Raises:
        OSError: the file cannot be written there.
    """
    if _is_stream(path):
        with tempfile.TemporaryDirectory() as folder:
            aside = Path(folder, "whole")
            yield aside
            _pour(aside, path)
        return
    target = real(path)
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    aside = aside_of(target)
    try:
        aside.touch()  # if no file can be made there, the system's error says so, not the writer's
        yield aside
        sync(aside)
        if target.exists():
            shutil.copymode(target, aside)
        aside.replace(target)
        sync(target.parent)
    finally:
        aside.unlink(missing_ok=True)


def replace_text(path: Path, text: str) -> None:
    """Replaces a text file, and makes its directory if it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as aside:
        aside.write_text(text, encoding="utf-8")


def replace_database(path: Path, by: Path) -> None:
    """Moves a DuckDB file from beside `path` (`aside_of`) to `path`: this rename is the commit.

    The write-ahead log of the old file is deleted. Otherwise DuckDB would replay it into the new file, or fail to open
    it. A program with the old file open may start a new log meanwhile, so the log is deleted before and after.
    """
    sync(by)
    remove_logs(path)
    by.replace(real(path))
    remove_logs(path)
    sync(real(path).parent)


def remove_logs(path: Path) -> None:
    """Deletes the files that DuckDB keeps beside a database."""
    for database in {path, real(path)}:  # some versions of DuckDB name it after the link, others after the file
        for suffix in DATABASE_LOGS:
            database.with_name(database.name + suffix).unlink(missing_ok=True)


def real(path: Path) -> Path:
    """The file behind a path and all its links; it need not exist."""
    return Path(os.path.realpath(path))


def aside_of(path: Path) -> Path:
    """Where this process writes the replacement of the file at `path`: on the same disk, for a rename."""
    target = real(path)
    return target.with_name(f".{target.name}.{os.getpid()}.tmp")


def sync(path: Path) -> None:
    """Syncs a file or a folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_stream(path: Path) -> bool:
    """Whether a path takes bytes but is not a file or folder: a pipe, a device, or a stream that a shell opened."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return False
    # /dev/stdout can be a file, to which the shell appends.
    folder = real(path.absolute().parent)
    opened = folder == Path("/dev") or folder.is_relative_to("/proc")
    return opened or not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _pour(source: Path, stream: Path) -> None:
    descriptor = os.open(stream, os.O_WRONLY | os.O_APPEND)
    with source.open("rb") as read, os.fdopen(descriptor, "wb") as written:
        shutil.copyfileobj(read, written)
