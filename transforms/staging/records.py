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
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import NamedTuple, TypeVar

import polars as pl

from pipelines.errors import CivitaiEtlError
from pipelines.raw.kinds import SNAPSHOT_KINDS
from pipelines.raw.tables import RECONCILE_PASS, observations_table
from transforms.ranges import AXIS_OF_KIND, Axis, range_of
from transforms.staging import payloads
from transforms.staging.drift import searched, unknown_paths
from transforms.staging.exchange import Exchange
from transforms.staging.payloads import STAGED_KINDS
from transforms.staging.raw_reader import RawReader
from transforms.staging.stage import (
    declared_bounds,
    decode_metrics,
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

#: Counters that a replay keeps from one date to the next, in bytes: those of some 300,000 models.
KNOWN_BYTES = 128 * 1024**2

#: Of counters and of documents, every so many are searched for paths that no declaration knows.
METRICS_SEARCHED, DOCUMENTS_SEARCHED = 50, 10

_TABLES = {table.table_name(): table for table in TABLES}
_NO_DOCUMENTS = pl.DataFrame(schema={"entity_id": pl.String, "content_hash": pl.String, "is_sound": pl.Boolean})
_NO_WANTED = pl.DataFrame(schema=dict.fromkeys(("entity_id", "content_hash", "crawl_id"), pl.String))
_NO_TEXTS = pl.DataFrame(schema={"entity": pl.UInt64, "text": pl.UInt64})
_NO_OBSERVATIONS = _NO_WANTED.with_columns(is_listed=pl.lit(value=True))
#: What an entity and its document are known by: of a date, in little memory.
_HASHES = (
    pl.col("entity_id").hash().alias("entity"),
    pl.struct("entity_id", "content_hash").hash().alias("document"),
)
#: The counters of images, by their fields.
_OF_IMAGES = [bounds.field for bounds in declared_bounds() if bounds.owner == "image"]
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


class KnownCounters(NamedTuple):
    """Counters that are decoded, none of them odd. `texts`: hashes of each `entity`, in their order, and of the `text`
    that raw has; two texts of an entity share one once in 10^19 times. `metrics`: as of `Staged`, of all these.
    """

    texts: pl.DataFrame
    metrics: pl.DataFrame


class Seen(NamedTuple):
    """What a date showed of a kind, for the date after it. `documents`: _HASHES and is_listed."""

    documents: pl.DataFrame
    counters: KnownCounters


class StagedKind:
    """What a kind brought on a date, by range.

    It is taken from a crawl that goes on (`transforms.day.ahead`), or read from raw, which has it in the same order.
    What does not depend on the dates before can be read while they are built (`transforms.day.read_ahead`).
    `quarantine`: rows of ops_quarantine, one per quarantined record. `odd`: likewise, one per value that was; its
    record counts.
    """

    def __init__(self, kind: str, on: date, exchange: Exchange) -> None:
        self.kind, self.on = kind, on
        self.axis = AXIS_OF_KIND.get(kind)
        self.quarantine, self.odd = OpsQuarantine.empty(), OpsQuarantine.empty()
        self.has_observations = False
        #: If they were taken from a crawl: when it began.
        self.begun: datetime | None = None
        #: How many observations and documents were met.
        self.observed_so_far = self.documents_so_far = 0
        self._staged = STAGED_KINDS[kind]
        self._exchange = exchange
        self._is_before = False
        #: Whether documents were taken that raw had before the date.
        self._are_earlier = False
        #: The reason of each entity whose counters are no JSON that can be read.
        self._unreadable: dict[str, str] = {}
        self._drift: dict[str, str] = {}
        #: The candidate rows of no document: their tables and columns.
        self._nothing = _no_rows(kind)
        self._note_observations(_no_counters(kind))
        self._begin_documents()

    @property
    def drift(self) -> dict[str, str]:
        """Path and example of unknown paths."""
        return self._drift_in_documents | self._drift

    @property
    def ranges(self) -> list[int]:
        """The ranges with records."""
        return self._exchange.ranges(f"{self.kind}.observations")

    def of(self, number: int) -> Staged:
        """What it brought in a range."""
        observations, metrics, decoded = (self._rows(name, number) for name in ("observations", "metrics", "decoded"))
        bad = self.bad(number)
        if bad.height:
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
        """Of the images inside the records, in a range of images: candidate rows; and entity_id, image_id and counters
        (_OF_IMAGES).
        """
        metrics = self._rows("image_metrics", number)
        if self.quarantine.height:
            bad = self.quarantine.select("entity_id")
            metrics = metrics.join(bad, on="entity_id", how="anti", maintain_order="left")
        return self._rows(DimImage.table_name(), number), metrics

    @property
    def image_ranges(self) -> set[int]:
        """The ranges of the images inside the records."""
        names = (f"{self.kind}.{name}" for name in (DimImage.table_name(), "image_metrics"))
        return {number for name in names for number in self._exchange.ranges(name)}

    def read(self, raw: RawReader, entities: Callable[[int], pl.DataFrame]) -> None:
        """Reads what raw has of the date, but for what it has. `entities` are the documents that were seen last, by
        range.
        """
        if not self.has_observations:
            deque(self._read_observations(raw), maxlen=0)
        self._read_documents(raw, self._wanted(raw, entities))
        if self._broken:
            records = pl.concat(self._broken)
            received = raw.metrics(self.kind, self.on, records["entity_id"])
            records = records.with_columns(metrics=pl.col("entity_id").replace_strict(received, return_dtype=pl.String))
            self.quarantine = set_aside(self.kind, self.on, records)
        bad = self.quarantine.select("entity_id").unique()
        self.odd = pl.concat([self.odd, *self._odd_in_documents]).join(
            bad, on="entity_id", how="anti", maintain_order="left"
        )

    def take_observations(self, batch: pl.DataFrame) -> None:
        """Takes rows of the raw table of observations."""
        self._note_observations(read_counters(self.kind, self.on, batch, self.observed_so_far))

    def take_documents(self, batches: Iterable[pl.DataFrame]) -> None:
        """Takes documents whose observations it has: entity_id, content_hash, crawl_id, payload."""
        self._flatten(map(self._noted, batches))

    def read_ahead(self, raw: RawReader, crawled: tuple[datetime, datetime] | None, before: Seen | None) -> Seen:
        """Reads the observations, and of those that lists showed the documents that are likely to be wanted. These are
        the new ones, which raw has got between the beginning and the end of the crawls of the date, and those that were
        not seen on the date `before`, so of what is back or as it once was. If a crawl was cut off, none is read.
        Counters that stand in raw as they did `before` are not decoded again.

        Returns what was seen, for the next date.
        """
        known = before.counters if before else _none_known(self.kind)
        counters = self._with_known(self._read_observations(raw, known.texts), known)
        observed = pl.concat([_NO_OBSERVATIONS, *(self.observed(number) for number in self.ranges)])
        listed = observed.filter("is_listed").drop("is_listed")
        if crawled:
            new = raw.places(self.kind, listed, crawled)
            again = listed.clear() if before is None else _unseen(listed, before.documents)
            again = raw.places(self.kind, again.join(new, on="entity_id", how="anti", maintain_order="left"))
            self._are_earlier = again.height > 0
            self.take_documents(raw.documents(self.kind, pl.concat([new, again])))
        return Seen(observed.select(*_HASHES, "is_listed"), counters)

    def _read_observations(self, raw: RawReader, known: pl.DataFrame = _NO_TEXTS) -> Iterator["_Counters"]:
        """Reads the observations and their counters, but for the `known` ones (`KnownCounters.texts`), and notes them,
        a batch at a time.
        """
        self.has_observations = True
        # polars reads one batch while msgspec validates another.
        with ThreadPoolExecutor(max_workers=READERS) as reader:

            def counted() -> Iterator[Future[_Counters]]:
                before = 0
                for batch in raw.observations(self.kind, self.on):
                    yield reader.submit(read_counters, self.kind, self.on, batch, before, known)
                    before += batch.height

            for read in in_order(counted()):
                self._note_observations(read)
                yield read

    def _with_known(self, batches: Iterable["_Counters"], known: KnownCounters) -> KnownCounters:
        """Notes `known` counters of what is read. Returns those that are known then; none if they take much memory."""
        again, texts, metrics, kept_bytes = [_NO_OBSERVATIONS], [_NO_TEXTS], [known.metrics.clear()], 0
        for read in batches:
            again.append(read.known)
            kept_bytes += int(read.metrics.estimated_size())
            if kept_bytes <= KNOWN_BYTES:
                texts.append(read.texts)
                metrics += [read.metrics] if read.is_sound else []
        observed = pl.concat(again)
        as_before = known.metrics.join(observed, on="entity_id", how="semi", maintain_order="left")
        self._note_counters(as_before, observed)
        if kept_bytes + as_before.estimated_size() > KNOWN_BYTES:
            return _none_known(self.kind)
        # Two crawls of a date may both have asked for an entity by its id.
        sound = pl.concat(texts).filter(pl.col("entity").is_unique()).sort("entity")
        return KnownCounters(sound, pl.concat([*metrics, as_before]))

    def _wanted(self, raw: RawReader, entities: Callable[[int], pl.DataFrame]) -> pl.DataFrame:
        """The observations whose documents are to be read yet: all, if any document was taken that is not wanted, or
        that raw has had before, in another place, or that may stand behind one that is to be read.
        """
        of_ranges = [_wanted(self.observed(number), entities(number), self._unreadable) for number in self.ranges]
        wanted = pl.concat([_NO_WANTED, *of_ranges])
        if not self.documents_so_far:
            return wanted
        taken = pl.concat([_NO_DOCUMENTS.drop("is_sound"), *(self._rows("documents", each) for each in self.ranges)])
        rest = wanted.join(taken, on=taken.columns, how="anti", maintain_order="left")
        is_elsewhere = self.begun and raw.has_older(self.kind, taken, self.begun)
        is_among = self._are_earlier and rest.height
        if taken.height + rest.height > wanted.height or is_elsewhere or is_among:
            self._begin_documents()
            return wanted
        return rest

    def _read_documents(self, raw: RawReader, wanted: pl.DataFrame) -> None:
        """Reads the documents of `wanted` observations.

        Raises:
            LostDocumentsError: raw lacks some of them.
        """
        expected = self.documents_so_far + wanted.height
        # Raw has those of earlier crawls, and has them before those that were taken.
        self._is_before = True
        self._flatten(raw.documents(self.kind, raw.places(self.kind, wanted)))
        if self.documents_so_far != expected:
            raise LostDocumentsError(
                f"{expected} documents are needed for the {self.kind} observations of {self.on}, and raw has "
                f"{self.documents_so_far} of them. The warehouse is damaged: restore it from a backup. Nothing was "
                "published."
            )

    def _noted(self, batch: pl.DataFrame) -> pl.DataFrame:
        """A batch of documents that are taken: `_wanted` asks which were."""
        self._add("documents", batch.select("entity_id", "content_hash"), self.axis, "entity_id")
        return batch

    def _flatten(self, batches: Iterable[pl.DataFrame]) -> None:
        # msgspec validates a batch here while polars reads those before in other threads.
        with ThreadPoolExecutor(max_workers=READERS) as reader:
            for rows in in_order(reader.submit(flatten_batch, self._staged, self._validated(each)) for each in batches):
                self._note_rows(rows)

    def _note_observations(self, read: "_Counters") -> None:
        self.observed_so_far += read.observed.height
        self._add("observations", read.observed, self.axis, "entity_id")
        self._note_counters(read.metrics, read.observed)
        self._unreadable |= read.reasons
        if read.odd.height:
            self.odd = pl.concat([self.odd, read.odd])
        self._drift = read.drift | self._drift

    def _note_counters(self, metrics: pl.DataFrame, observed: pl.DataFrame) -> None:
        counted = metrics.filter(pl.col("owner").is_in(COUNTED[self.kind]))
        self._add("metrics", counted, self.axis, "entity_id")
        is_inside = (pl.col("owner") == "image") & (self.kind != "image")
        inside = metrics.filter(is_inside).select(
            "entity_id", pl.col("id").cast(pl.Int64, strict=False).alias("image_id"), *_OF_IMAGES
        )
        if not observed["is_listed"].all():
            inside = inside.join(observed.filter("is_listed"), on="entity_id", how="semi", maintain_order="left")
        self._add("image_metrics", inside.drop_nulls("image_id"), "image", "image_id")

    def _begin_documents(self) -> None:
        """Begins without any document."""
        self.documents_so_far = 0
        self._broken = list[pl.DataFrame]()
        self._odd_in_documents = list[pl.DataFrame]()
        self._drift_in_documents = dict[str, str]()
        for name in ("documents", "decoded", *self._nothing):
            self._exchange.drop(f"{self.kind}.{name}")
        self._add("documents", _NO_DOCUMENTS.drop("is_sound"), self.axis, "entity_id")
        self._add("decoded", _NO_DOCUMENTS.drop("content_hash"), self.axis, "entity_id")
        self._note_rows(self._nothing)

    def _validated(self, batch: pl.DataFrame) -> list[bytes]:
        """Notes what of a batch of documents cannot be read, and returns what can. Those whose counters cannot be read
        are quarantined unread, for that reason.
        """
        found = read_documents(self._staged, batch, self._unreadable, self.documents_so_far)
        self.documents_so_far += batch.height
        self._add("decoded", found.decoded, self.axis, "entity_id")
        self._drift_in_documents = found.drift | self._drift_in_documents
        if found.broken.height:
            self._broken.append(found.broken)
        if found.odd:
            self._odd_in_documents.append(odd_values(self.kind, self.on, found.sound, found.odd))
        return found.canonical

    def _note_rows(self, rows: Mapping[str, pl.DataFrame]) -> None:
        for name, frame in rows.items():
            self._add(name, frame, _TABLES[name].axis, f"{_TABLES[name].axis}_id")

    def _rows(self, name: str, number: int) -> pl.DataFrame:
        return self._exchange.rows(f"{self.kind}.{name}", number)

    def _add(self, name: str, rows: pl.DataFrame, axis: Axis | None, entity_id: str) -> None:
        numbers = range_of(axis, pl.col(entity_id))
        self._exchange.add(f"{self.kind}.{name}", rows, numbers, before=self._is_before)


class Stage:
    """What all kinds brought on a date."""

    def __init__(self, on: date, folder: Callable[[], Path], room: int = 1) -> None:
        """Arguments as of `Exchange`."""
        self._exchange = Exchange(folder, room)
        self.kinds = {kind: StagedKind(kind, on, self._exchange) for kind in SNAPSHOT_KINDS}

    @property
    def observations(self) -> int:
        return sum(each.observed_so_far for each in self.kinds.values())

    def settle(self) -> None:
        """Waits for the writes that are under way; raises what one of them failed with."""
        self._exchange.settle()

    def read_ahead(
        self, raw: RawReader, crawled: tuple[datetime, datetime] | None, before: Mapping[str, Seen]
    ) -> dict[str, Seen]:
        """Reads what needs no build of the dates before (`SnapshotDay.crawled`). Takes and returns, by kind, what was
        seen on the date `before` and on this one.
        """
        return {kind: each.read_ahead(raw, crawled, before.get(kind)) for kind, each in self.kinds.items()}

    def complete(self, begun: datetime) -> None:
        """All observations of the date were taken, from a crawl that began at this moment."""
        for each in self.kinds.values():
            each.begun, each.has_observations = begun, True

    def close(self) -> None:
        """Removes the files."""
        self._exchange.close()


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


def _unseen(listed: pl.DataFrame, before: pl.DataFrame) -> pl.DataFrame:
    """What a list shows of which there was another document `before`, or none. What was only answered by id then may be
    as the lists before had it.
    """
    by_id = before.filter(~pl.col("is_listed"))
    entity, document = listed.select(*_HASHES)
    return listed.filter(~document.is_in(before["document"].implode()) & ~entity.is_in(by_id["entity"].implode()))


class _Counters(NamedTuple):
    """A batch of observations: as observed, those of them whose counters are known, the counters of the others, and
    what of these cannot be read. `texts`: as of `KnownCounters`, of those that are known now: all, if the others are
    sound.
    """

    observed: pl.DataFrame
    known: pl.DataFrame
    metrics: pl.DataFrame
    reasons: dict[str, str]
    odd: pl.DataFrame
    drift: dict[str, str]
    texts: pl.DataFrame
    is_sound: bool


def read_counters(kind: str, on: date, batch: pl.DataFrame, before: int, known: pl.DataFrame = _NO_TEXTS) -> _Counters:
    """Reads a batch of observations, but for the counters of those whose texts are `known` (`KnownCounters`). So many
    others came `before`.
    """
    texts = batch.select(entity=pl.col("entity_id").hash(), text=pl.col("metrics").hash())
    is_known = _are_known(texts, known)
    observed = batch.with_columns(is_listed=pl.col("crawl_pass") != RECONCILE_PASS).select(
        "entity_id", "content_hash", "crawl_id", "is_listed"
    )
    metrics, reasons, odd = decode_metrics(kind, on, batch.filter(~is_known))
    metrics, implausible = within_bounds(kind, on, metrics, observed.select("entity_id", "crawl_id"))
    odd = pl.concat([odd, implausible])
    drift = unknown_paths(list[payloads.Metric], searched(batch["metrics"], before, METRICS_SEARCHED))
    is_sound = not reasons and odd.is_empty()
    texts = texts if is_sound else texts.filter(is_known)
    return _Counters(observed, observed.filter(is_known), metrics, reasons, odd, drift, texts, is_sound)


def _are_known(texts: pl.DataFrame, known: pl.DataFrame) -> pl.Series:
    """Which texts are `known` of their entity. To look them up is quicker than a join with all that is known."""
    if known.is_empty():
        return pl.Series([False]).new_from_index(0, texts.height)
    found = known[known["entity"].search_sorted(texts["entity"]).clip(0, known.height - 1)]
    return (found["entity"] == texts["entity"]) & (found["text"] == texts["text"])


@cache
def _no_counters(kind: str) -> _Counters:
    return read_counters(kind, date.min, pl.DataFrame(observations_table(kind).schema.empty_table()), 0)


@cache
def _none_known(kind: str) -> KnownCounters:
    return KnownCounters(_NO_TEXTS, _no_counters(kind).metrics)


@cache
def _no_rows(kind: str) -> dict[str, pl.DataFrame]:
    return flatten_batch(STAGED_KINDS[kind], [])


class _Documents(NamedTuple):
    """A batch of documents: the sound ones with the positions of their odd values, and the broken ones with reason."""

    sound: pl.DataFrame
    canonical: list[bytes]
    odd: dict[int, list[Odd]]
    decoded: pl.DataFrame
    broken: pl.DataFrame
    drift: dict[str, str]


def read_documents(
    staged: payloads.StagedKind, batch: pl.DataFrame, reasons: Mapping[str, str], before: int
) -> _Documents:
    """Validates documents, but for those that have one of `reasons` already. So many others came `before`."""
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
        unknown_paths(staged.payload, searched(batch["payload"], before, DOCUMENTS_SEARCHED)),
    )
