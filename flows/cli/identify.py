"""`civitai-etl identify`: finds the models and versions of the files on this disk.

Several files are hashed at a time, and each is read once. The published tables answer first. The service is asked for
the others. A file that neither knows is reported as unknown.
"""

import json
import os
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Literal, get_args

from flows.cli.file_index import Match, find
from flows.reporting.console import say
from flows.reporting.report import open_analytics
from flows.reporting.text import plain
from pipelines.errors import CivitaiEtlError
from pipelines.local_file_hashes import MODEL_SUFFIXES, Fingerprints, fingerprint
from pipelines.progress import Progress
from pipelines.settings import Settings
from pipelines.storage.lock import LockedError
from pipelines.storage.replacement import real

#: More files at a time only cause disk seeks.
_THREADS = min(4, os.cpu_count() or 1)
#: Seconds until a Ctrl-C takes effect.
_HEED_SECONDS = 0.2

Format = Literal["table", "json"]
#: `unanswered`: the published tables do not know it, and the service did not say.
Status = Literal["known", "hint", "unknown", "unanswered", "unreadable"]


@dataclass(frozen=True)
class LocalFile:
    """A file, its hashes (if it could be read) and its version.

    `trouble` says why it could not be read, or why the service did not answer.
    """

    path: Path
    fingerprints: Fingerprints | None
    trouble: str | None = None
    match: Match | None = None
    source: Literal["snapshot", "service"] | None = None

    @property
    def status(self) -> Status:
        if self.fingerprints is None:
            return "unreadable"
        if self.match is None:
            return "unanswered" if self.trouble else "unknown"
        return "hint" if self.match.is_hint else "known"


def identify(settings: Settings, paths: Sequence[Path], *, offline: bool, progress: Progress) -> list[LocalFile]:
    """Hash files and find their versions, in the order of their paths.

    Args:
        settings: where the published tables and the service are.
        paths: files, and directories that are searched for model files.
        offline: whether to make no requests.
        progress: receives how many bytes are hashed.

    Raises:
        CivitaiEtlError: a path does not exist, or cannot be read.
    """
    found, unreadable = model_files(paths)
    files = sorted([*hash_files(found, progress), *unreadable], key=lambda file: file.path)
    files = _from_snapshot(settings, files, progress)
    return files if offline else _from_service(settings, files, progress)


def model_files(paths: Sequence[Path]) -> tuple[list[Path], list[LocalFile]]:
    """The files in `paths` with any name, the model files in the directories in `paths`, each once, and the directories
    that cannot be read. Links are followed.

    Raises:
        CivitaiEtlError: a path does not exist, or cannot be read.
    """
    found: dict[Path, None] = {}
    unreadable: list[LocalFile] = []
    searched: set[Path] = set()
    for path in paths:
        try:
            is_directory, exists = path.is_dir(), path.exists()
        except OSError as error:
            raise CivitaiEtlError(f"{path} {_why_unreadable(error)}.") from error
        if is_directory:
            found |= dict.fromkeys(_in_directory(path, searched, unreadable))
        elif exists:
            found[path] = None
        else:
            raise CivitaiEtlError(f"{path} does not exist: give files, or directories that hold model files.")
    # A file that is given twice, or is in two of the directories, counts once.
    return sorted({real(path): path for path in reversed(found)}.values()), unreadable


def _in_directory(directory: Path, searched: set[Path], unreadable: list[LocalFile]) -> Iterator[Path]:
    """The model files below a directory, with broken links. A folder that was searched already is skipped."""

    def refused(error: OSError) -> None:
        unreadable.append(LocalFile(Path(error.filename), None, _why_unreadable(error)))

    for folder, folders, names in os.walk(directory, onerror=refused, followlinks=True):
        place = real(Path(folder))
        if place in searched:
            folders.clear()
            continue
        searched.add(place)
        models = (Path(folder, name) for name in names if Path(name).suffix.lower() in MODEL_SUFFIXES)
        yield from filter(_is_file, models)


def _is_file(path: Path) -> bool:
    """Not a directory or a pipe. An unreadable path counts as a file: reading it reports why."""
    try:
        return path.is_file() or path.is_symlink()
    except OSError:
        return True


def _why_unreadable(error: OSError) -> str:
    return f"cannot be read ({error.strerror or error})"


def hash_files(paths: Sequence[Path], progress: Progress) -> list[LocalFile]:
    """Hash files in several threads. The result of an unreadable file says why."""
    total = sum(map(_size, paths))
    # The size of a pipe is not known.
    counter = _ByteCounter(lambda done: progress.update("hashing", done, total if done <= total else None, "bytes"))

    def work(path: Path) -> LocalFile:
        try:
            return LocalFile(path, fingerprint(path, counter.add))
        except OSError as error:
            return LocalFile(path, None, _why_unreadable(error))

    with _threads(counter) as pool:
        tasks = [pool.submit(work, path) for path in paths]
        # Wait in short steps: with polars imported, Ctrl-C does not end a wait without a timeout.
        while wait(tasks, _HEED_SECONDS).not_done:
            pass
        return [task.result() for task in tasks]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # reported when it is read
        return 0


class _ByteCounter:
    """Adds up what the threads have read, and stops their reading on request."""

    def __init__(self, report: Callable[[int], None]) -> None:
        self._report = report
        self._lock = threading.Lock()
        self._done = 0
        self.stopped = False

    def add(self, length: int) -> None:
        if self.stopped:
            raise InterruptedError("the run was interrupted")
        with self._lock:
            self._done += length
            self._report(self._done)


@contextmanager
def _threads(counter: _ByteCounter) -> Iterator[ThreadPoolExecutor]:
    """Ends the threads when the block ends early. Otherwise they would read their files to the end. A thread that gets
    nothing from a pipe is not waited for.
    """
    pool = ThreadPoolExecutor(_THREADS)
    try:
        yield pool
    except BaseException:
        counter.stopped = True
        raise
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _from_snapshot(settings: Settings, files: list[LocalFile], progress: Progress) -> list[LocalFile]:
    from transforms.lake.published import is_there

    if not is_there(settings.directory.analytics):
        progress.note(f"nothing is published at {settings.directory.analytics}: no snapshot can answer")
        return files
    wanted = {file.path: file.fingerprints for file in files if file.fingerprints is not None}
    with open_analytics(settings.directory.analytics) as connection:
        matches = find(connection, wanted)
    return [
        replace(file, match=matches[file.path], source="snapshot") if file.path in matches else file for file in files
    ]


def _from_service(settings: Settings, files: list[LocalFile], progress: Progress) -> list[LocalFile]:
    """Ask the service for files that the snapshot does not know or has only a hint for."""
    from flows.cli.service_answers import ServiceAnswers, ask

    wanted = {
        file.path: file.fingerprints
        for file in files
        if file.fingerprints is not None and (file.match is None or file.match.is_hint)
    }
    if not wanted:
        return files
    try:
        answers = ask(settings, wanted, progress)
    except LockedError as error:
        # Raw keeps the service's answers and has one writer. A running snapshot has priority.
        answers = ServiceAnswers({}, dict.fromkeys(wanted, f"the service was not asked: {error}"))
    return [
        replace(file, match=answers.matches[file.path], source="service")
        if file.path in answers.matches
        else replace(file, trouble=file.trouble or answers.unanswered.get(file.path))
        for file in files
    ]


# --------------------------------------------------------------------------------------------------------- rendering


def render_files(files: Sequence[LocalFile], form: Format) -> None:
    """Print the answers and the number of files per status."""
    if form == "json":
        is_ascii = sys.stdout.encoding.lower() != "utf-8"
        rendered = json.dumps([record(file) for file in files], indent=1, default=_as_text, ensure_ascii=is_ascii)
        say(*rendered.splitlines())
        print(count_line(files), file=sys.stderr)
        return
    if files:
        _print_table(files)
    say(count_line(files))


def count_line(files: Sequence[LocalFile]) -> str:
    """Such as `3 files: 2 known, 1 unknown`."""
    counts = Counter(file.status for file in files)
    counted = [f"{counts[status]:,} {status}" for status in get_args(Status) if counts[status]]
    return f"{len(files):,} {'file' if len(files) == 1 else 'files'}" + (f": {', '.join(counted)}" if counted else "")


def record(file: LocalFile) -> dict[str, object]:
    """One file as a flat JSON object. Null means not known, except in `update`: see `update_available`."""
    known, match = file.fingerprints, file.match
    return {
        "file": str(file.path),
        "size_bytes": known.size if known else None,
        "status": file.status,
        "source": file.source,
        "matched_by": match.algorithm if match else None,
        "model_id": match.model_id if match else None,
        "model": match.model if match else None,
        "version_id": match.named.version_id if match else None,
        "version": match.named.version if match else None,
        "base_model": match.named.base_model if match else None,
        "published_at": match.named.published_at if match else None,
        "other_version_ids": match.other_version_ids if match else [],
        "licence": match.licence.in_words() if match else None,
        "allow_commercial_use": match.licence.allow_commercial_use if match else None,
        "allow_no_credit": match.licence.allow_no_credit if match else None,
        "allow_derivatives": match.licence.allow_derivatives if match else None,
        "allow_different_license": match.licence.allow_different_license if match else None,
        "update_available": match.update is not None if match and match.update_is_known else None,
        "update": asdict(match.update) if match and match.update else None,
        "note": file.trouble or (known.note if known else None),
        "hashes": known.hashes if known else None,
    }


def _as_text(value: datetime) -> str:
    return value.isoformat().replace("+00:00", "Z")


def _print_table(files: Sequence[LocalFile]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("file", "model", "version", "base model", "licence", "update available", pad_edge=False)
    for file in files:
        table.add_row(*(Text(plain(cell)) for cell in _cells(file)))
    # Without a terminal that sets a width, every cell is one line.
    Console(width=None if sys.stdout.isatty() else 10_000).print(table)
    for row in map(record, files):
        if row["note"]:
            say(f"{row['file']}: {row['note']}")


def _cells(file: LocalFile) -> list[str]:
    match = file.match
    if match is None:
        return [str(file.path), file.status, "", "", "", ""]
    perhaps = f"perhaps, by {match.algorithm}: " if file.status == "hint" else ""
    others = f" and {len(match.other_version_ids)} more" if match.other_version_ids else ""
    update = "no" if match.update_is_known else "not known"
    if newer := match.update:
        update = f"{_named(newer.version, newer.version_id)}, {newer.base_model}"
    return [
        str(file.path),
        perhaps + _named(match.model, match.model_id),
        _named(match.named.version, match.named.version_id) + others,
        match.named.base_model or "not known",
        match.licence.in_words(),
        update,
    ]


def _named(name: str | None, number: int | None) -> str:
    return f"{name} ({number})" if name else f"({number})"
