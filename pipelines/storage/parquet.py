"""Parquet files that exist whole or not at all, named by their content, with the same bytes for the same rows."""

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.storage.replacement import sync

ROW_GROUP_ROWS = 122_880
#: How many sorted rows DuckDB hands over at a time; it holds each of them, and a row can have a kilobyte.
_BATCH_ROWS = 5_000


@dataclass
class Aside:
    """A file that is being written; after `content_named`, `path` and `bytes` are those of the whole file."""

    path: Path
    bytes: int = 0


@contextmanager
def content_named(folder: Path) -> Iterator[Aside]:
    """A path in `folder` to write a file to. At the end of the block it is synced and moved to `<hash>.parquet`."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f".{os.getpid()}.tmp"
    aside = Aside(path)
    try:
        yield aside
        with path.open("rb") as written:
            os.fsync(written.fileno())
            digest = hashlib.file_digest(written, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
        aside.bytes = path.stat().st_size
        aside.path = folder / f"{digest}.parquet"
        path.replace(aside.path)
        sync(folder)
    finally:
        path.unlink(missing_ok=True)


def write_rows(rows: duckdb.DuckDBPyRelation, schema: pa.Schema, folder: Path) -> Aside:
    """Writes the rows of a totally ordered relation as they come: memory holds one row group."""
    with content_named(folder) as aside, pq.ParquetWriter(aside.path, schema, compression="zstd") as writer:
        for group in row_groups(rows.to_arrow_reader(_BATCH_ROWS)):
            writer.write_table(group.cast(schema), row_group_size=ROW_GROUP_ROWS)
    return aside


def row_groups(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """The same rows in tables of ROW_GROUP_ROWS, the last one smaller. The file's bytes depend on this size."""
    held: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        held.append(batch)
        rows += batch.num_rows
        while rows >= ROW_GROUP_ROWS:
            together = pa.Table.from_batches(held)
            yield together.slice(0, ROW_GROUP_ROWS).combine_chunks()
            held = together.slice(ROW_GROUP_ROWS).to_batches()
            rows -= ROW_GROUP_ROWS
    if rows:
        yield pa.Table.from_batches(held).combine_chunks()
