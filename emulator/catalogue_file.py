"""Catalogues as files: one model document a line, NDJSON, compressed (.zst) or not."""

import errno
import os
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pyarrow as pa

from emulator.catalogue import ModelQuery
from emulator.spec.catalogue import SimulatedWorld


def read_lines(path: Path) -> list[bytes]:
    """The lines of a catalogue, byte for byte, without empty ones.

    Raises:
        OSError: the file cannot be read or decompressed.
    """
    with pa.input_stream(str(path), compression="zstd" if path.suffix == ".zst" else None) as stream:
        return [line for line in stream.read().split(b"\n") if line.strip()]


def write_day(path: Path, *, models: int, seed: int, on: date) -> int:
    """Writes the documents of all models of a simulated day, in the order of their ids, and returns how many.

    A file is replaced when it is complete, also behind a link; a pipe is written into.

    Raises:
        OSError: the file cannot be written. NotSimulatedError: the simulation has no such date.
    """
    documents = _documents(models, seed, on)
    count = 0
    target = Path(os.path.realpath(path))
    if not target.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    is_file = target.is_file() or not target.exists()
    aside = target.with_name(f".{target.name}.{os.getpid()}.tmp") if is_file else target
    try:
        with pa.output_stream(str(aside), compression="zstd" if path.suffix == ".zst" else None) as stream:
            for document in documents:
                stream.write(document + b"\n")
                count += 1
        if is_file:
            aside.replace(target)
    finally:
        if is_file:
            aside.unlink(missing_ok=True)
    return count


def _documents(models: int, seed: int, on: date) -> Iterator[bytes]:
    listing = SimulatedWorld(models, seed).on(on).models(ModelQuery())
    yield from map(listing.document, sorted(listing.rows))
