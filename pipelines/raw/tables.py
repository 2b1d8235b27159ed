"""The raw layer, declared once: the tables of schema `raw` in `data/warehouse.duckdb`, and their keys.

Documents say what a thing is, observations say what it did that day. Each payload kind (`pipelines.raw.kinds`) has a
pair of tables:

* `<kind>_documents`: insert-only and content-addressed. `payload` is the JSON as it was received, with blanked
  counters (`pipelines.raw.documents`).
* `<kind>_observations`: one row per entity and snapshot date, with the counters that were cut out.

The load (pipelines) writes these tables and the transforms read them; both take names and types from here.
"""

from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from typing import Annotated, Literal, get_args, get_origin, get_type_hints

import pyarrow as pa

from pipelines.raw.crawls import CrawlRow

SCHEMA_NAME = "raw"
TIMESTAMP = pa.timestamp("us", tz="UTC")

#: The `crawl_pass` of an entity that no list showed but a request by id found; 1, 2, ... are passes through the list.
#: Such an answer has another shape than an item of the list (docs/api-notes.md, 0.8). Its entity was seen and its
#: counters count, but its other fields are no change.
RECONCILE_PASS = 0

#: Raise it with every change that an earlier program would misread: of these tables, of their meaning, or of the state
#: of a crawl. 1 is the version before there was a number.
RAW_VERSION = 2


def lookup_id(on: date | str) -> str:
    """The `crawl_id` of all look-ups of a date."""
    return f"{on}.lookup"


@dataclass(frozen=True)
class RawTable:
    """A table of schema `raw`: its name, Arrow schema and primary key."""

    name: str
    schema: pa.Schema
    key: tuple[str, ...]

    @property
    def qualified_name(self) -> str:
        return f"{SCHEMA_NAME}.{self.name}"


@cache
def documents_table(kind: str) -> RawTable:
    """Distinct documents of a kind: `content_hash` is the BLAKE2b-128 of `payload` in hex."""
    return RawTable(
        f"{kind}_documents",
        pa.schema(
            [
                pa.field("entity_id", pa.string(), nullable=False),
                pa.field("content_hash", pa.string(), nullable=False),
                pa.field("fetched_at", TIMESTAMP, nullable=False),
                pa.field("payload", pa.string(), nullable=False),
            ]
        ),
        key=("entity_id", "content_hash"),
    )


@cache
def observations_table(kind: str) -> RawTable:
    """The observation of each entity on each date, by one crawl that counts, and by one that does not count
    (DECISIONS). `metrics` is JSON: a list, in document order, of
    `{"owner": "model", "id": 12 | "name" | null, "<counter>": <as received>}`; `pipelines.raw.kinds` declares owners
    and counters. `crawl_pass` is the pass that saw the entity first, or RECONCILE_PASS; look-ups have one pass.
    """
    return RawTable(
        f"{kind}_observations",
        pa.schema(
            [
                pa.field("snapshot_date", pa.date32(), nullable=False),
                pa.field("entity_id", pa.string(), nullable=False),
                pa.field("content_hash", pa.string(), nullable=False),
                pa.field("observed_at", TIMESTAMP, nullable=False),
                pa.field("crawl_id", pa.string(), nullable=False),
                pa.field("crawl_pass", pa.int32(), nullable=False),
                pa.field("metrics", pa.string(), nullable=False),
            ]
        ),
        key=("snapshot_date", "entity_id", "crawl_id"),
    )


_ARROW_TYPES = {
    str: pa.string(),
    int: pa.int64(),
    float: pa.float64(),
    date: pa.date32(),
    datetime: TIMESTAMP,
}


def schema_of(record: type) -> pa.Schema:
    """The Arrow schema of a dataclass: a column per field, in order. A field that may be None may be null."""
    return pa.schema([_column(name, hint) for name, hint in get_type_hints(record, include_extras=True).items()])


def _column(name: str, hint: object) -> pa.Field:
    if get_origin(hint) is Annotated:
        return pa.field(name, get_args(hint)[1], nullable=False)
    if get_origin(hint) is Literal:
        return pa.field(name, pa.string(), nullable=False)
    (kind, *null) = get_args(hint) or (hint,)
    return pa.field(name, _ARROW_TYPES[kind], nullable=bool(null))


#: One row per crawl.
SNAPSHOTS = RawTable("snapshots", schema_of(CrawlRow), key=("crawl_id",))

#: Items without a readable id or that are no JSON object, byte for byte, with their request and position.
REJECTS = RawTable(
    "rejects",
    pa.schema(
        [
            pa.field("crawl_id", pa.string(), nullable=False),
            pa.field("snapshot_date", pa.date32(), nullable=False),
            pa.field("kind", pa.string(), nullable=False),
            pa.field("request", pa.string(), nullable=False),
            pa.field("position", pa.int32(), nullable=False),
            pa.field("fetched_at", TIMESTAMP, nullable=False),
            pa.field("reason", pa.string(), nullable=False),
            pa.field("payload", pa.binary(), nullable=False),
        ]
    ),
    key=("crawl_id", "kind", "request", "position"),
)

#: Ids that an earlier, partial crawl had already observed when a crawl of the same date met them. The crawl has met
#: these ids and the ids of its own observations.
SIGHTINGS = RawTable(
    "sightings",
    pa.schema(
        [
            pa.field("crawl_id", pa.string(), nullable=False),
            pa.field("kind", pa.string(), nullable=False),
            pa.field("entity_id", pa.string(), nullable=False),
        ]
    ),
    key=("crawl_id", "kind", "entity_id"),
)

#: Entities that the service did not find, with the snapshot date of that answer. In a look-up, `entity_id` is the key
#: of the request: an id, a name or a hash.
TOMBSTONES = RawTable(
    "tombstones",
    pa.schema(
        [
            pa.field("snapshot_date", pa.date32(), nullable=False),
            pa.field("kind", pa.string(), nullable=False),
            pa.field("entity_id", pa.string(), nullable=False),
            pa.field("crawl_id", pa.string(), nullable=False),
            pa.field("observed_at", TIMESTAMP, nullable=False),
        ]
    ),
    key=("snapshot_date", "kind", "entity_id"),
)


@dataclass(frozen=True)
class ArchivedFile:
    """A row of `raw.archived`: a file of observations that left the warehouse (`pipelines.raw.archive`).

    It is read as if its rows were still in their table. `path` is relative to the archive; `month` is the first day of
    the file's month.
    """

    path: str
    table_name: str
    month: date
    rows: int
    bytes: int


ARCHIVED = RawTable("archived", schema_of(ArchivedFile), key=("path",))

Verdict = Literal["refused", "excluded", "included", "accepted"]

#: Decisions about dates, by the checks of a build (`refused`) or by a person, in this order. A crawl that is
#: refused or excluded does not count: its date is a gap, unless another crawl of it counts. `included` reverses that
#: and waives the checks. `accepted` is a counter of a fact ("fact_model_daily.rating_count") with a real collapse on
#: that date. `crawl_ids` are the crawls of the decision, none for a counter.
DECISIONS = RawTable(
    "decisions",
    pa.schema(
        [
            pa.field("number", pa.int64(), nullable=False),
            pa.field("decided_at", TIMESTAMP, nullable=False),
            pa.field("verdict", pa.string(), nullable=False),
            pa.field("snapshot_date", pa.date32(), nullable=False),
            pa.field("crawl_ids", pa.list_(pa.string()), nullable=False),
            pa.field("counter", pa.string()),
            pa.field("reason", pa.string(), nullable=False),
        ]
    ),
    key=("number",),
)
