"""Reads the raw layer, one snapshot date at a time, straight from DuckDB into polars frames.

A table that no crawl has filled yet reads as an empty one.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import date, datetime
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self

import duckdb
import polars as pl
import pyarrow as pa

from pipelines.raw.decisions import Decision, decisions, left_out
from pipelines.raw.kinds import SNAPSHOT_KINDS
from pipelines.raw.tables import (
    RECONCILE_PASS,
    REJECTS,
    SNAPSHOTS,
    TOMBSTONES,
    RawTable,
    documents_table,
    observations_table,
)
from pipelines.raw.warehouse import all_rows, connect, declared_columns, has_table

#: Documents read and decoded at a time: bounds memory at some 20 MB of payload whatever a day brings.
DOCUMENTS_A_BATCH = 1000
#: Documents of a scan, at most; and so many others between two that are wanted are worth another scan.
DOCUMENTS_A_SCAN, FAR = 8192, 4096
#: Likewise of observations, at some 20 MB with the counters decoded, and more if they have many images.
OBSERVATIONS_A_BATCH = 10_000


class RawReader:
    """A read-only view of `warehouse.duckdb` and of its archive, without what crawls brought that do not count."""

    def __init__(self, warehouse: Path) -> None:
        self._warehouse = warehouse
        self._open: duckdb.DuckDBPyConnection | None = None
        self._sources: dict[str, tuple[str, str] | None] = {}
        self.decisions = decisions(self.connection)
        self._left_out = set(left_out(self.decisions))

    def beside(self) -> "RawReader":
        """A reader of the same, for another thread."""
        return RawReader(self._warehouse)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.rest()

    @property
    def connection(self) -> duckdb.DuckDBPyConnection:
        """The open warehouse."""
        if self._open is None:
            self._open = connect(self._warehouse)
            self._sources.clear()
        return self._open

    def rest(self) -> None:
        """Closes the warehouse until it is read again: what DuckDB holds of it takes the memory of a range or two."""
        if self._open is not None:
            self._open.close()
            self._open = None

    def _source(self, table: RawTable) -> tuple[str, str] | None:
        """The declared columns of a table and what to select them from; None if nothing was ever loaded into it. It is
        looked up once while the warehouse is open.
        """
        connection = self.connection
        if table.name not in self._sources:
            self._sources[table.name] = (
                (declared_columns(connection, table), all_rows(connection, table))
                if has_table(connection, table)
                else None
            )
        return self._sources[table.name]

    def rows(self, table: RawTable, condition: str = "true", parameters: tuple[object, ...] = ()) -> pl.DataFrame:
        """The declared columns of the rows that meet an SQL condition."""
        source = self._source(table)
        if source is None:
            empty = pl.from_arrow(table.schema.empty_table())
            assert isinstance(empty, pl.DataFrame)
            return empty
        columns, all_of_them = source
        query = f"SELECT {columns} FROM {all_of_them} WHERE {condition}"
        rows: pl.DataFrame = self.connection.sql(query, params=parameters).pl()
        return rows

    def leave_out(self, crawl_ids: Collection[str]) -> None:
        """From now on, what these crawls brought is not read."""
        self._left_out.update(crawl_ids)

    def crawls(self, taken: Sequence[Decision] | None = None) -> pl.DataFrame:
        """raw.snapshots, oldest first, with `observations`, the rows that each crawl has in the observation tables,
        `coverage`, the share of what its lists announced that it met, and `verdict` and `verdict_reason` of those that
        do not count, by the decisions that are `taken` (default: those of raw).
        """
        crawls = self.rows(SNAPSHOTS).join(self._observed, on="crawl_id", how="left")
        shares = [
            coverage(json.loads(endpoints), json.loads(listed or "{}"))
            for endpoints, listed in crawls.select("endpoints", "listed").iter_rows()
        ]
        out = left_out(self.decisions if taken is None else taken)
        verdicts = pl.DataFrame(
            [(crawl_id, decision.verdict, decision.reason) for crawl_id, decision in out.items()],
            schema={"crawl_id": pl.String, "verdict": pl.String, "verdict_reason": pl.String},
            orient="row",
        )
        return (
            crawls.with_columns(pl.col("observations").fill_null(0), coverage=pl.Series(shares, dtype=pl.Float64))
            .join(verdicts, on="crawl_id", how="left")
            .sort("snapshot_date", "started_at", "crawl_id")
        )

    @cached_property
    def _observed(self) -> pl.DataFrame:
        """How many observations each crawl has: a look through all of them, once."""
        counts = [
            f"SELECT crawl_id, count(*) AS observations FROM {source[1]} GROUP BY crawl_id"
            for source in map(self._source, map(observations_table, SNAPSHOT_KINDS))
            if source
        ]
        return (
            self.connection.sql(
                "SELECT crawl_id, sum(observations)::BIGINT AS observations "
                f"FROM ({' UNION ALL '.join(counts)}) GROUP BY crawl_id"
            ).pl()
            if counts
            else pl.DataFrame(schema={"crawl_id": pl.String, "observations": pl.Int64})
        )

    def observations(self, kind: str, on: date) -> Iterator[pl.DataFrame]:
        """The observations of a kind on a date, one per entity, in batches of about OBSERVATIONS_A_BATCH and in the
        order in which raw has them: what a list showed stands for what was answered by id to an earlier crawl of the
        date.
        """
        source = self._source(observations_table(kind))
        if source is None:
            return
        columns, rows = source
        listed = f"crawl_pass <> {RECONCILE_PASS}"
        of_date = f"FROM {rows} WHERE snapshot_date = $1 AND NOT list_contains($2, crawl_id)"
        parameters = (on, sorted(self._left_out))
        ((crawls,),) = self.connection.execute(f"SELECT count(DISTINCT crawl_id) {of_date}", parameters).fetchall()
        if crawls > 1:
            in_list = f"SELECT entity_id {of_date} AND {listed}"
            of_date = f"{of_date} AND ({listed} OR entity_id NOT IN ({in_list}))"
        found = self.connection.sql(f"SELECT {columns} {of_date}", params=parameters)
        yield from map(_frame, found.to_arrow_reader(OBSERVATIONS_A_BATCH))

    def metrics(self, kind: str, on: date, entity_ids: Collection[str]) -> dict[str, str]:
        """The counters of some entities on a date, as raw has them."""
        of_some = "snapshot_date = ? AND list_contains(?, entity_id)"
        found = self._counting(observations_table(kind), of_some, (on, list(entity_ids)))
        is_listed = pl.col("crawl_pass") != RECONCILE_PASS
        return dict(found.sort(is_listed).select("entity_id", "metrics").iter_rows())

    def latest_observations(self, kind: str) -> pl.DataFrame:
        """The last observation of each entity of a kind, by entity id."""
        last = "true QUALIFY row_number() OVER (PARTITION BY entity_id ORDER BY snapshot_date DESC) = 1"
        return self.rows(observations_table(kind), last).sort("entity_id")

    def rejects(self, on: date) -> pl.DataFrame:
        """Items without a readable id that the crawls of a date met."""
        return self.rejects_of(SNAPSHOT_KINDS, on)

    def rejects_of(self, kinds: Sequence[str], on: date | None = None) -> pl.DataFrame:
        """Items of some kinds that cannot become documents; of a date, or all."""
        condition = f"kind IN {tuple(kinds)}"
        rows = (
            self._counting(REJECTS, f"{condition} AND snapshot_date = ?", (on,))
            if on
            else self.rows(REJECTS, condition)
        )
        return rows.sort("crawl_id", "kind", "request", "position")

    def denials(self, kind: str) -> pl.DataFrame:
        """Every time that something of a kind was asked for and the service did not have it: entity_id, snapshot_date,
        observed_at.
        """
        found = self.rows(TOMBSTONES, "kind = ?", (kind,)).select("entity_id", "snapshot_date", "observed_at")
        return found.sort("entity_id", "snapshot_date")

    def tombstones(self, on: date, kind: str) -> pl.DataFrame:
        """Ids of a kind that answered 404 on a date."""
        found = self._counting(TOMBSTONES, "snapshot_date = ? AND kind = ?", (on, kind))
        return found.select("entity_id").unique()

    def _counting(self, table: RawTable, condition: str, parameters: tuple[object, ...]) -> pl.DataFrame:
        """The rows that meet a condition, of crawls that count."""
        return self.rows(
            table, f"{condition} AND NOT list_contains(?, crawl_id)", (*parameters, sorted(self._left_out))
        )

    def has_older(self, kind: str, documents: pl.DataFrame, moment: datetime) -> bool:
        """Whether any of some documents (entity_id, content_hash) was fetched before a moment."""
        if documents.is_empty():
            return False
        older = f"FROM {documents_table(kind).qualified_name} WHERE fetched_at < $1"
        if not self.connection.execute(f"SELECT 1 {older} LIMIT 1", [moment]).fetchall():  # the first crawl, of all
            return False
        self.connection.register("documents", documents.to_arrow())
        found = self.connection.execute(
            f"SELECT 1 FROM (SELECT entity_id, content_hash {older}) "
            "SEMI JOIN documents USING (entity_id, content_hash) LIMIT 1",
            [moment],
        ).fetchall()
        self.connection.unregister("documents")
        return bool(found)

    def places(self, kind: str, wanted: pl.DataFrame, fetched: tuple[datetime, datetime] | None = None) -> pl.DataFrame:
        """`wanted` (entity_id, content_hash, ...) with the `place` of the document in raw: of all of them, or of
        those that stand between the first and the last document that was `fetched` from one moment to another.
        """
        table, nowhere = documents_table(kind).qualified_name, wanted.clear().with_columns(place=pl.lit(0, pl.Int64))
        if wanted.is_empty():
            return nowhere
        within = "true"
        if fetched:
            ends = f"SELECT min(rowid), max(rowid) FROM {table} WHERE fetched_at BETWEEN ? AND ?"
            ((first, last),) = self.connection.execute(ends, fetched).fetchall()
            if first is None:
                return nowhere
            within = f"rowid BETWEEN {first} AND {last}"
        self.connection.register("wanted", wanted.to_arrow())
        found: pl.DataFrame = self.connection.sql(
            "SELECT wanted.*, stored.rowid AS place "
            f"FROM {table} AS stored JOIN wanted USING (entity_id, content_hash) WHERE {within}"
        ).pl()
        self.connection.unregister("wanted")
        return found

    def documents(self, kind: str, found: pl.DataFrame) -> Iterator[pl.DataFrame]:
        """The payloads of what was `found` (`places`) in batches of about DOCUMENTS_A_BATCH, each with the columns of
        `found` but for `place`, and `payload`, in the order in which raw has them.
        """
        if found.is_empty():
            return
        # A scan decompresses all payloads from the first to the last that is wanted. The new ones of a date are
        # neighbours, and those that are read again are far from them, each for itself.
        found_rows = (
            batch.join(run, on="place", maintain_order="left").drop("place").select(pl.exclude("payload"), "payload")
            for run in runs(found.sort("place"))
            for batch in self._scanned(documents_table(kind).qualified_name, run["place"][0], run["place"][-1])
        )
        yield from in_batches(found_rows, DOCUMENTS_A_BATCH)

    def _scanned(self, table: str, first: int, last: int) -> Iterator[pl.DataFrame]:
        """Place and payload of all documents from one place to another."""
        documents = self.connection.sql(
            f"SELECT rowid AS place, payload FROM {table} WHERE rowid BETWEEN {first} AND {last}"
        )
        return map(_frame, documents.to_arrow_reader(DOCUMENTS_A_BATCH))


def runs(rows: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Rows in runs: the `place` of each is not further than FAR from the one before."""
    begins = (pl.col("place").diff() > FAR).fill_null(value=False) | (pl.int_range(pl.len()) % DOCUMENTS_A_SCAN == 0)
    numbered = rows.with_columns(_run=begins.cum_sum())
    yield from numbered.partition_by("_run", maintain_order=True, include_key=False)


def in_batches(frames: Iterable[pl.DataFrame], rows: int) -> Iterator[pl.DataFrame]:
    """Frames joined until they have so many rows: what is done with a batch costs more than a few rows of it."""
    waiting: list[pl.DataFrame] = []
    for frame in frames:
        waiting.append(frame)
        if sum(each.height for each in waiting) >= rows:
            yield pl.concat(waiting)
            waiting = []
    if waiting:
        yield pl.concat(waiting)


def _frame(batch: pa.RecordBatch) -> pl.DataFrame:
    frame = pl.from_arrow(batch)
    assert isinstance(frame, pl.DataFrame)
    return frame


def coverage(met: dict[str, dict[str, int]], listed: dict[str, int]) -> float | None:
    """The share of the `listed` entities, by kind, that a crawl `met`; None where no list says how long it is."""
    announced = sum(listed.values())
    return (
        sum(min(total, met[kind]["distinct_ids"]) for kind, total in listed.items()) / announced if announced else None
    )
