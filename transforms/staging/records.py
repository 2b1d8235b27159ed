"""What a snapshot date brought, staged: read from raw in its order, in batches, and exchanged to the ranges of ids.

Documents are decoded only if they are not yet processed (`is_settled` of `transforms.lake.state`); counters are decoded
every day, from the small metrics column. A value of another type than declared, or a counter that cannot be true, is
quarantined alone: its record counts. A record that cannot be read without the value (`transforms.staging.payloads`) is
quarantined whole, with its reason and its payload as received. The rest of the day goes on.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from itertools import chain
from typing import NamedTuple, TypeVar

import polars as pl

from pipelines.errors import CivitaiEtlError
from pipelines.raw.kinds import SNAPSHOT_KINDS
from pipelines.raw.tables import RECONCILE_PASS, observations_table
from transforms.ranges import AXIS_OF_KIND, Axis, range_of
from transforms.staging import payloads
from transforms.staging.drift import unknown_paths
from transforms.staging.exchange import Exchange
from transforms.staging.payloads import STAGED_KINDS
from transforms.staging.raw_reader import RawReader
from transforms.staging.stage import (
    decode_metrics,
    every_nth,
    flatten_batch,
    odd_values,
    set_aside,
    within_bounds,
)
from transforms.staging.validation import Odd, validate
from transforms.tables import TABLES, DimImage, OpsQuarantine

T = TypeVar("T")

#: Threads that read batches, and batches that may wait for them: bounds memory.
READERS = 2
BATCHES_UNDER_WAY = 2

_TABLES = {table.table_name(): table for table in TABLES}
#: The owners whose counters are in the ranges of a kind. Images inside a model are in ranges of images.
COUNTED = {kind: [kind, "version"] if kind == "model" else [kind] for kind in SNAPSHOT_KINDS}


class LostDocumentsError(CivitaiEtlError):
    """Observations point to documents that do not exist."""


@dataclass(frozen=True)
class Staged:
    """What a kind brought on a date in a range of ids.

    `observations`: entity_id, content_hash, crawl_id of the valid records, and `is_listed`: a list had it; else it was
    answered when it was asked for by id, and only its counters count (`pipelines.raw.tables.RECONCILE_PASS`).
    `metrics`: entity_id, owner, id (text) and the counters (`payloads.Stats`, modelCount). `decoded`: entity_id of the
    records whose document was decoded, and `is_sound`: no value of it was quarantined. `rows`: candidate rows by table.
    `bad`: entity_id of the quarantined records.
    """

    observations: pl.DataFrame
    metrics: pl.DataFrame
    decoded: pl.DataFrame
    rows: dict[str, pl.DataFrame]
    bad: pl.DataFrame


class StagedKind:
    """What a kind brought on a date, by range.

    `quarantine`: rows of ops_quarantine, one per quarantined record. `odd`: likewise, one per value that was; its
    record counts. `drift`: path and example of unknown paths.
    """

    def __init__(self, kind: str, exchange: Exchange) -> None:
        self.kind = kind
        self.axis = AXIS_OF_KIND.get(kind)
        self.quarantine, self.odd = OpsQuarantine.empty(), OpsQuarantine.empty()
        self.drift: dict[str, str] = {}
        self._exchange = exchange
        #: The candidate rows of no document: their tables and columns.
        self._nothing = flatten_batch(STAGED_KINDS[kind], [])

    @property
    def ranges(self) -> list[int]:
        """The ranges with records."""
        return self._exchange.ranges(f"{self.kind}.observations")

    def of(self, number: int) -> Staged:
        """What it brought in a range."""
        observations, metrics, decoded = (
            self._rows(name, number).sort("entity_id", maintain_order=True)
            for name in ("observations", "metrics", "decoded")
        )
        bad = self.bad(number)
        observations, metrics = (
            frame.join(bad, on="entity_id", how="anti", maintain_order="left") for frame in (observations, metrics)
        )
        rows = {name: self._rows(name, number) for name in self._nothing if _TABLES[name].axis == self.axis}
        return Staged(observations, metrics, decoded, rows, bad)

    def candidates(self, table: str, number: int) -> pl.DataFrame:
        """The candidate rows of a table in a range."""
        return self._rows(table, number)

    def decoded(self, number: int) -> pl.DataFrame:
        """entity_id of the records of a range whose document was decoded."""
        return self._rows("decoded", number).select("entity_id")

    def observed(self, number: int) -> pl.DataFrame:
        """The observations of a range, also those of quarantined records."""
        return self._rows("observations", number)

    def bad(self, number: int) -> pl.DataFrame:
        """entity_id of the quarantined records of a range."""
        of_range = range_of(self.axis, pl.col("entity_id")) == number
        return self.quarantine.filter(of_range).select("entity_id").unique(maintain_order=True)

    def images(self, number: int) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Of the images inside the records: candidate rows, and counters, in a range of images."""
        metrics = self._rows("image_metrics", number).sort("entity_id", maintain_order=True)
        bad = self.quarantine.select("entity_id")
        return (
            self._rows(DimImage.table_name(), number),
            metrics.join(bad, on="entity_id", how="anti", maintain_order="left"),
        )

    @property
    def image_ranges(self) -> set[int]:
        """The ranges of the images inside the records."""
        names = (f"{self.kind}.{name}" for name in (DimImage.table_name(), "image_metrics"))
        return {number for name in names for number in self._exchange.ranges(name)}

    def read(self, raw: RawReader, on: date, entities: Callable[[int], pl.DataFrame]) -> None:
        """Reads what raw has of a date. `entities` are the documents that were seen last, by range."""
        metric_errors = self._read_observations(raw, on)
        wanted = pl.concat(
            [
                self.observed(0).clear().select("entity_id", "content_hash", "crawl_id"),
                *(_wanted(self.observed(number), entities(number), metric_errors) for number in self.ranges),
            ]
        )
        met = self._read_documents(raw, on, wanted, metric_errors)
        if met != wanted.height:
            raise LostDocumentsError(
                f"{wanted.height} documents are needed for the {self.kind} observations of {on}, and raw has {met} of "
                "them. The warehouse is damaged: restore it from a backup. Nothing was published."
            )
        bad = self.quarantine.select("entity_id").unique()
        self.odd = self.odd.join(bad, on="entity_id", how="anti", maintain_order="left")

    def _read_observations(self, raw: RawReader, on: date) -> dict[str, str]:
        """Reads the observations and their counters; returns the reason of each entity whose counters are no JSON that
        can be read.
        """
        reasons: dict[str, str] = {}
        odd_counters = [self.odd]
        nothing = pl.DataFrame(observations_table(self.kind).schema.empty_table())
        # polars reads one batch while msgspec validates another.
        with ThreadPoolExecutor(max_workers=READERS) as reader:
            batches = chain([nothing], raw.observations(self.kind, on))
            for read in in_order(reader.submit(read_counters, self.kind, on, batch) for batch in batches):
                self._add("observations", read.observed, self.axis, "entity_id")
                counted = read.metrics.filter(pl.col("owner").is_in(COUNTED[self.kind]))
                self._add("metrics", counted, self.axis, "entity_id")
                is_inside = (pl.col("owner") == "image") & (self.kind != "image")
                inside = read.metrics.filter(is_inside).join(
                    read.observed.filter("is_listed"), on="entity_id", how="semi", maintain_order="left"
                )
                self._add("image_metrics", inside, "image", "id")
                reasons |= read.reasons
                odd_counters.append(read.odd)
                self.drift = read.drift | self.drift
        self.odd = pl.concat(odd_counters)
        return reasons

    def _read_documents(self, raw: RawReader, on: date, wanted: pl.DataFrame, reasons: Mapping[str, str]) -> int:
        """Reads the documents of `wanted` observations; returns how many there are. Those whose counters cannot be read
        are quarantined unread, with the reason that `reasons` has for them.
        """
        met = 0
        broken, odd = list[pl.DataFrame](), [self.odd]
        staged = STAGED_KINDS[self.kind]

        def flattened(reader: ThreadPoolExecutor) -> Iterator[Future[dict[str, pl.DataFrame]]]:
            """Batches: msgspec validates one here while polars reads those before in other threads."""
            nonlocal met
            yield reader.submit(flatten_batch, staged, [])
            for batch in raw.documents(self.kind, wanted):
                met += batch.height
                found = read_documents(staged, batch, reasons)
                self._add("decoded", found.decoded, self.axis, "entity_id")
                self.drift = found.drift | self.drift
                broken.append(found.broken)
                odd.append(odd_values(self.kind, on, found.sound, found.odd))
                yield reader.submit(flatten_batch, staged, found.canonical)

        no_documents = pl.DataFrame(schema={"entity_id": pl.String, "is_sound": pl.Boolean})
        self._add("decoded", no_documents, self.axis, "entity_id")
        with ThreadPoolExecutor(max_workers=READERS) as reader:
            for rows in in_order(flattened(reader)):
                for name, frame in rows.items():
                    self._add(name, frame, _TABLES[name].axis, f"{_TABLES[name].axis}_id")
        records = pl.concat(broken) if broken else None
        if records is not None and records.height:
            received = raw.metrics(self.kind, on, records["entity_id"])
            records = records.with_columns(metrics=pl.col("entity_id").replace_strict(received, return_dtype=pl.String))
            self.quarantine = pl.concat([self.quarantine, set_aside(self.kind, on, records)])
        self.odd = pl.concat(odd)
        return met

    def _rows(self, name: str, number: int) -> pl.DataFrame:
        return self._exchange.rows(f"{self.kind}.{name}", number)

    def _add(self, name: str, rows: pl.DataFrame, axis: Axis | None, entity_id: str) -> None:
        self._exchange.add(f"{self.kind}.{name}", rows, range_of(axis, pl.col(entity_id)))


def in_order(under_way: Iterable[Future[T]], most: int = BATCHES_UNDER_WAY) -> Iterator[T]:
    """The results in order. A next one is begun while others are under way, but not more than `most`."""
    waiting: deque[Future[T]] = deque()
    for each in under_way:
        waiting.append(each)
        if len(waiting) > most:
            yield waiting.popleft().result()
    for each in waiting:
        yield each.result()


def _wanted(observed: pl.DataFrame, entities: pl.DataFrame, reasons: Mapping[str, str]) -> pl.DataFrame:
    """The observations of a range whose documents are to be read: those that are not yet processed, and those to be
    quarantined. Of what a list has never shown, an answer by id is the only source, and it is read like a list item.
    """
    known = entities.filter("is_listed")["entity_id"]
    settled = entities.filter("is_settled").select("entity_id", "content_hash")
    news = observed.filter(pl.col("is_listed") | ~pl.col("entity_id").is_in(known.implode())).join(
        settled, on=["entity_id", "content_hash"], how="anti", maintain_order="left"
    )
    refused = observed.filter(pl.col("entity_id").is_in(list(reasons)))
    return pl.concat([news, refused]).unique("entity_id").select("entity_id", "content_hash", "crawl_id")


class _Counters(NamedTuple):
    """A batch of observations: as observed, their counters, and what of them cannot be read."""

    observed: pl.DataFrame
    metrics: pl.DataFrame
    reasons: dict[str, str]
    odd: pl.DataFrame
    drift: dict[str, str]


def read_counters(kind: str, on: date, batch: pl.DataFrame) -> _Counters:
    """Reads a batch of observations."""
    metrics, reasons, odd = decode_metrics(kind, on, batch)
    observed = batch.with_columns(is_listed=pl.col("crawl_pass") != RECONCILE_PASS).select(
        "entity_id", "content_hash", "crawl_id", "is_listed"
    )
    metrics, implausible = within_bounds(kind, on, metrics, observed.select("entity_id", "crawl_id"))
    drift = unknown_paths(list[payloads.Metric], every_nth(batch["metrics"]))
    return _Counters(observed, metrics, reasons, pl.concat([odd, implausible]), drift)


class _Documents(NamedTuple):
    """A batch of documents: the sound ones with the positions of their odd values, and the broken ones with reason."""

    sound: pl.DataFrame
    canonical: list[bytes]
    odd: dict[int, list[Odd]]
    decoded: pl.DataFrame
    broken: pl.DataFrame
    drift: dict[str, str]


def read_documents(staged: payloads.StagedKind, batch: pl.DataFrame, reasons: Mapping[str, str]) -> _Documents:
    """Validates a batch of documents, but for those that have one of `reasons` already."""
    is_refused = batch["entity_id"].is_in(list(reasons))
    sound, refused = batch.filter(~is_refused), batch.filter(is_refused)
    found = validate(staged.payload, sound["payload"].cast(pl.Binary))
    records = sound.with_columns(
        reason=pl.Series([found.errors.get(n) for n in range(sound.height)], dtype=pl.String),
        is_sound=pl.Series([n not in found.odd for n in range(sound.height)], dtype=pl.Boolean),
    )
    refused = refused.with_columns(reason=pl.Series([reasons[i] for i in refused["entity_id"]], dtype=pl.String))
    return _Documents(
        sound,
        found.canonical,
        found.odd,
        records.filter(pl.col("reason").is_null()).select("entity_id", "is_sound"),
        pl.concat([records.drop("is_sound").drop_nulls("reason"), refused]),
        unknown_paths(staged.payload, every_nth(batch["payload"])),
    )
