"""Failures of the data directory and the lake: full disks, missing permission and damaged files, each reported in one
line with what to do.
"""

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipelines.errors import CivitaiEtlError


class StorageError(CivitaiEtlError):
    """The data directory or the lake cannot be used: no permission, no space, not a directory, or a file is held or
    damaged.
    """


_FULL = re.compile(r"no space left|disk (is )?full|could not write|quota exceeded|out of disk", re.IGNORECASE)
_DENIED = re.compile(r"permission denied|read-only file system|operation not permitted", re.IGNORECASE)
#: DuckDB's message for a file that another process has open; it names the process if it can.
_HELD = re.compile(r'Could not set lock on file "(?P<file>.+?)".*?(\(PID (?P<process>\d+)\)|$)', re.DOTALL)
#: Messages of DuckDB (database, Parquet) and polars (Parquet) for a damaged file.
_DAMAGED = re.compile(
    r"corrupt database file|could not read enough bytes|no magic bytes|to be a parquet file|failed to read file|"
    r"file out of specification|decompression failure",
    re.IGNORECASE,
)
_FULL_CODES = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_DENIED_CODES = {errno.EACCES, errno.EPERM, errno.EROFS}
_OTHER_KIND_CODES = {errno.EISDIR, errno.ENOTDIR, errno.EEXIST}


#: DuckDB reads the first as the start of options and the second as a slash, and writes only UTF-8.
_NOT_FOR_DUCKDB = re.compile(r"[?\\\x00-\x1f\x7f\ud800-\udfff]")
#: dlt uses the path of its working folder as a format string.
_NOT_FOR_DLT = re.compile("%")


def prepare_directory(directory: Path) -> None:
    """Create `directory` if it is missing and check that a file can be written there.

    Raises:
        StorageError: it cannot be made or written, or DuckDB cannot use it; one line that names it.
    """
    _refuse_name(directory, "CIVITAI_ETL_DATA_DIR", _NOT_FOR_DUCKDB, _NOT_FOR_DLT)
    try:
        with storage_errors(directory):
            directory.mkdir(parents=True, exist_ok=True)
            probe = directory / f".writable-{os.getpid()}"
            try:
                probe.write_bytes(b"x" * 4096)
            finally:
                probe.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(
            f"{directory} cannot be used ({error.strerror}): set CIVITAI_ETL_DATA_DIR to another directory."
        ) from error


def refuse_lake_name(lake: Path) -> None:
    """Refuse a path that DuckDB could not read again.

    Raises:
        StorageError: the path has a character that DuckDB or dlt does not accept.
    """
    _refuse_name(lake, "CIVITAI_ETL_LAKE_URL", _NOT_FOR_DUCKDB)


def _refuse_name(directory: Path, setting: str, *patterns: re.Pattern[str]) -> None:
    for path in (str(directory), os.path.realpath(directory)):
        for pattern in patterns:
            if found := pattern.search(path):
                raise StorageError(
                    f"{path!r} cannot be used because it has {found[0]!r} in it, which DuckDB or dlt cannot have in a "
                    f"path: set {setting} to a directory with another name."
                )


@contextmanager
def storage_errors(data_dir: Path, lake: Path | None = None) -> Iterator[None]:
    """Turn the error of a full disk, a missing permission, a damaged file or a file open in another program, at any
    depth in another error, into a `StorageError`.

    It names the data directory or, if that one has no problem, the lake.
    """
    try:
        yield
    except CivitaiEtlError:
        raise
    except Exception as error:
        message = _explain(error, data_dir, lake or data_dir)
        if message is None:
            raise
        raise StorageError(message) from error


def _explain(error: BaseException, data_dir: Path, lake: Path) -> str | None:
    for cause in chain(error):
        code = cause.errno if isinstance(cause, OSError) else None
        text = str(cause)
        if held := _HELD.search(text):
            return (
                f"{held['file']} is open in another program (process {held['process'] or 'unknown'}): close it there "
                "and run again. Nobody but civitai-etl opens that file; the tables are in analytics.duckdb."
            )
        if code in _FULL_CODES or _FULL.search(text):
            return _takes_no_more(text, data_dir, lake)
        if code in _DENIED_CODES or _DENIED.search(text):
            directory = min(data_dir, lake, key=_is_writable)
            return (
                f"{directory} cannot be written: give this user write permission there "
                f"or set {_setting(directory, data_dir)} to a directory of its own."
            )
        if isinstance(cause, OSError) and code in _OTHER_KIND_CODES:
            return _other_kind(cause, data_dir, lake)
        if damaged := [line.strip() for line in text.splitlines() if _DAMAGED.search(line)]:
            return (
                f"A file of {data_dir} is damaged ({damaged[0]}): put back warehouse.duckdb and the folder archive "
                "from one backup; `civitai-etl rebuild` makes all other files again from them."
            )
    return None


def _takes_no_more(text: str, data_dir: Path, lake: Path) -> str:
    # The error does not always name the file, but the disks show it.
    directory = min(data_dir, lake, key=_free)
    if os.strerror(errno.EFBIG) in text:
        return (
            f"A file of {directory} may not grow any larger ({os.strerror(errno.EFBIG)}): raise the limit of this user "
            "(`ulimit -f`), or use a file system that has none, then run again."
        )
    return (
        f"The disk that holds {directory} is full: make room "
        f"or set {_setting(directory, data_dir)} to a larger one, then run again."
    )


def _other_kind(error: OSError, data_dir: Path, lake: Path) -> str:
    if error.errno == errno.EISDIR:
        return f"{error.filename2 or error.filename} is a directory instead of a file: move it away and run again."
    directory = min(data_dir, lake, key=lambda path: existing(path).is_dir())
    return f"{directory} is no directory: set {_setting(directory, data_dir)} to a directory."


def _setting(directory: Path, data_dir: Path) -> str:
    return "CIVITAI_ETL_DATA_DIR" if directory.is_relative_to(data_dir) else "CIVITAI_ETL_LAKE_URL"


def _free(directory: Path) -> int:
    return shutil.disk_usage(existing(directory)).free


def _is_writable(directory: Path) -> bool:
    return os.access(existing(directory), os.W_OK | os.X_OK)


def existing(path: Path) -> Path:
    """The path, or the nearest parent that this user sees."""
    return next(each for each in (path, *path.parents) if os.access(each, os.F_OK))


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what caused it, outermost first."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
