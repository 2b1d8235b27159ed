"""Counts the items of answers and buffers them as rows, until they are handed over as Arrow tables.

An id is observed once per crawl; when it is met again, it is a duplicate. What an earlier crawl of the date observed is
not observed again, unless it was answered by id and a list shows it now. A stored document is not handed over again.
It always holds that items = distinct ids + duplicates + rejected.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import pyarrow as pa

from pipelines.api.answers import Page
from pipelines.api.errors import BrokenAnswerError
from pipelines.raw.documents import Document, UnreadableItemError, split
from pipelines.raw.tables import (
    RECONCILE_PASS,
    REJECTS,
    SIGHTINGS,
    TOMBSTONES,
    RawTable,
    documents_table,
    observations_table,
)
from pipelines.raw.warehouse import Known, document_key

PAGES_PER_TABLE = 10

#: What is counted; items = distinct_ids + duplicates + rejected.
COUNTS = ("pages", "items", "distinct_ids", "duplicates", "rejected")

#: The values of a row in the order of its table's columns.
Row = tuple[object, ...]
NewRows = Iterator[tuple[RawTable, pa.Table]]


@dataclass
class Counts:
    """How much was received; plain values, stored in dlt's state."""

    pages: int = 0
    items: int = 0
    distinct_ids: int = 0
    duplicates: int = 0
    rejected: int = 0

    def counts(self) -> dict[str, int]:
        """The numbers of `raw.snapshots.endpoints`."""
        return {name: getattr(self, name) for name in COUNTS}


class RowBuffer:
    """The rows of one payload kind that are not handed over yet; counts into `counts`."""

    def __init__(self, kind: str, counts: Counts, known: Known, crawl_id: str, snapshot_date: date) -> None:
        self.kind = kind
        self.counts = counts
        self.known = known
        self._crawl_id = crawl_id
        self._snapshot_date = snapshot_date
        self._rejected: dict[tuple[str, int], bytes] = {}
        self._rows: dict[str, tuple[RawTable, list[Row]]] = {}
        self._pages_held = 0

    def take(self, page: Page, crawl_pass: int) -> list[str]:
        """Count and buffer the items of a page; returns their ids."""
        ids: list[str] = []
        self.counts.pages += 1
        self._pages_held += 1
        for position, raw in enumerate(page.items):
            item = bytes(raw)
            try:
                document = split(self.kind, item)
            except UnreadableItemError as error:
                self.reject(page.request, position, page.answered_at, str(error), item)
                continue
            ids.append(document.entity_id)
            self.take_document(document, page.answered_at, crawl_pass)
        return ids

    def take_document(self, document: Document, moment: datetime, crawl_pass: int) -> None:
        """Count and buffer one item that was received at `moment`."""
        counts, known = self.counts, self.known
        counts.items += 1
        if document.entity_id in known.ids:
            counts.duplicates += 1
        else:
            counts.distinct_ids += 1
            known.ids.add(document.entity_id)
            self._observe(document, moment, crawl_pass)

    def reject(self, request: str, position: int, moment: datetime, reason: str, item: bytes) -> None:
        """Count and keep the bytes of an item that cannot become a document."""
        self.counts.items += 1
        self.counts.rejected += 1
        # A repeated pass meets it again at the same place, or another item there if the list has moved.
        while self._rejected.get((request, position), item) != item:
            position += 1
        if (request, position) not in self._rejected:
            self._rejected[request, position] = item
            place = (self._crawl_id, self._snapshot_date, self.kind, request, position)
            self._keep(REJECTS, (*place, moment, reason, item))

    def reject_answer(self, error: BrokenAnswerError) -> None:
        """Count and keep the readable part of an answer that should have been one item."""
        # The answer instead of the record may differ each time; the first one is kept.
        body = self._rejected.get((error.request, 0), error.body)
        self.reject(error.request, 0, error.answered_at, error.fault, body)

    def mark_deleted(self, ids: Collection[str], moment: datetime) -> None:
        """Buffer tombstones of ids that the service does not have."""
        for entity_id in ids:
            self._keep(TOMBSTONES, (self._snapshot_date, self.kind, entity_id, self._crawl_id, moment))

    def new_rows(self, *, all_of_them: bool = True) -> NewRows:
        """Hand over the buffered rows per raw table; with `all_of_them` false only when ten pages are buffered."""
        if not all_of_them and self._pages_held < PAGES_PER_TABLE:
            return
        for table, rows in self._rows.values():
            yield table, arrow_table(table, rows)
        self._rows.clear()
        self._pages_held = 0

    def _observe(self, document: Document, moment: datetime, crawl_pass: int) -> None:
        entity_id, content_hash, payload, metrics = document
        replaces = crawl_pass != RECONCILE_PASS and entity_id in self.known.answered
        if entity_id in self.known.observed and not replaces:
            self._keep(SIGHTINGS, (self._crawl_id, self.kind, entity_id))
        else:
            row = (self._snapshot_date, entity_id, content_hash, moment, self._crawl_id, crawl_pass, metrics)
            self._keep(observations_table(self.kind), row)
        if (key := document_key(entity_id, content_hash)) not in self.known.documents:
            self.known.documents.add(key)
            self._keep(documents_table(self.kind), (entity_id, content_hash, moment, payload))

    def _keep(self, table: RawTable, row: Row) -> None:
        self._rows.setdefault(table.name, (table, []))[1].append(row)


def arrow_table(table: RawTable, rows: Sequence[Row]) -> pa.Table:
    """Rows, their values in the order of the columns of `table`, as Arrow."""
    columns = zip(*rows, strict=True)
    # A text enters as its bytes; the whole column is validated as UTF-8 once, not each value.
    taken = [pa.binary() if kind == pa.string() else kind for kind in table.schema.types]
    arrays = [pa.array(values, kind) for values, kind in zip(columns, taken, strict=True)]
    return pa.table(arrays, names=table.schema.names).cast(table.schema)
