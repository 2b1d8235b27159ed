"""One writer per data directory: a lock that the kernel gives back when its process ends, however it ends."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipelines.errors import CivitaiEtlError
from pipelines.storage import prepare_directory, storage_errors


class LockedError(CivitaiEtlError):
    """Another process writes to the data directory."""


@contextmanager
def writer_lock(data_dir: Path) -> Iterator[None]:
    """Hold the writer lock of `data_dir` (created if missing) for the length of the block; never waits.

    Raises:
        LockedError: another process has it; names the process.
        StorageError: the directory cannot be written.
    """
    prepare_directory(data_dir)
    path = data_dir / "writer.lock"
    with storage_errors(data_dir):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
            raise LockedError(
                f"Another civitai-etl (process {holder}) is writing to {data_dir}: "
                "wait until it has finished, or stop it."
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        # The file stays: to remove it would let two processes lock two different files of this name.
        os.close(descriptor)
