"""Stages what a crawl brings while it goes on and waits for the service, so that little is left after the last answer.

This is for speed alone, and it ends with its process. The build takes it if it is exactly what raw has of the date, and
reads raw otherwise: after a kill, or if the date has several crawls.
"""

import shutil
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import date
from pathlib import Path

import polars as pl
import pyarrow as pa

from pipelines.raw.kinds import SNAPSHOT_KINDS
from pipelines.raw.tables import RawTable, documents_table, observations_table
from transforms.day.snapshot_day import SnapshotDay
from transforms.staging.records import Stage

#: Tables that may wait to be staged; the crawl waits for them then. Bounds memory.
TABLES_UNDER_WAY = 2

_OBSERVATIONS = {observations_table(kind).name: kind for kind in SNAPSHOT_KINDS}
_DOCUMENTS = {documents_table(kind).name: kind for kind in SNAPSHOT_KINDS}


class Ahead:
    """What one crawl has brought so far, staged in a thread of its own."""

    def __init__(self, folder: Path) -> None:
        """`folder` is for files, and for nothing else: what a killed process left there goes."""
        shutil.rmtree(folder, ignore_errors=True)
        self._folder = folder
        self._crawl_id = ""
        self._stage: Stage | None = None
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._under_way: deque[Future[None]] = deque()
        self._is_broken = False

    def take(self, crawl_id: str, on: date, table: RawTable, rows: pa.Table) -> None:
        """Takes rows of a crawl in the order in which raw gets them, a document after its observation."""
        self._crawl_id = self._crawl_id or crawl_id
        if self._is_broken or crawl_id != self._crawl_id:
            return
        self._under_way.append(self._thread.submit(self._take, on, table, rows))
        if len(self._under_way) > TABLES_UNDER_WAY:
            self._wait(TABLES_UNDER_WAY)

    def of(self, day: SnapshotDay) -> Stage | None:
        """What was staged, if it is all that raw has of a date. It is given once."""
        self._under_way.append(self._thread.submit(self._settle))
        self._wait()
        stage, self._stage = self._stage, None
        if stage is None:
            return None
        crawl_ids, observations = day.crawls["crawl_id"].to_list(), day.crawls["observations"].sum()
        if self._is_broken or crawl_ids != [self._crawl_id] or observations != stage.observations:
            stage.close()
            return None
        stage.complete(day.crawls["started_at"].item())
        return stage

    def close(self) -> None:
        """Ends the thread and removes the files."""
        self._thread.shutdown(cancel_futures=True)
        if self._stage:
            self._stage.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _take(self, on: date, table: RawTable, rows: pa.Table) -> None:
        if self._stage is None:
            self._stage = Stage(on, self._files)
        if kind := _OBSERVATIONS.get(table.name):
            self._stage.kinds[kind].take_observations(pl.DataFrame(rows))
        elif kind := _DOCUMENTS.get(table.name):
            documents = pl.DataFrame(rows).with_columns(crawl_id=pl.lit(self._crawl_id))
            self._stage.kinds[kind].take_documents(
                [documents.select("entity_id", "content_hash", "crawl_id", "payload")]
            )

    def _settle(self) -> None:
        if self._stage:
            self._stage.settle()

    def _files(self) -> Path:
        self._folder.mkdir(parents=True, exist_ok=True)
        return self._folder

    def _wait(self, most: int = 0) -> None:
        """Waits until no more than `most` tables wait. An error ends the staging and not the crawl: the build, which
        reads raw then, meets its cause and says what to do.
        """
        while len(self._under_way) > most:
            with suppress(Exception):
                self._under_way.popleft().result()
                continue
            self._is_broken = True
