"""The raw layer, declared once: the tables of schema `raw` in `data/warehouse.duckdb`, and their keys.

Documents say what a thing is, observations say what it did that day. Each payload kind (`pipelines.raw.kinds`) has a
pair of tables:

* `<kind>_documents`: insert-only and content-addressed. `payload` is the JSON as it was received, with blanked
  counters (`pipelines.raw.documents`).
* `<kind>_observations`: one row per entity and snapshot date, with the counters that were cut out.

The load (pipelines) writes these tables and the transforms read them; both take names and types from here.
"""

from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Literal

import pyarrow as pa

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


CrawlStatus = Literal["complete", "partial", "failed"]

#: One row per crawl. `status` is a `CrawlStatus`; a running crawl is partial without `finished_at`.
#: `started_at` is by the service's clock (HTTP Date) and lies on `snapshot_date`. `reconciled_ids` is the number of
#: requests by id. `arguments` and `endpoints` are JSON: the query arguments per kind, and per kind
#: `{"pages", "items", "distinct_ids", "duplicates", "rejected"}`; items = distinct_ids + duplicates + rejected.
#: `listed` is JSON, too: the service's own count per kind, if its list has one. After a complete crawl of the gallery,
#: `gallery_to` is the highest image id that it met or knew, and `gallery_from` the id that it came down to. The first
#: crawl ends after some pages and has no `gallery_from`. A crawl that could not continue has `gallery_stopped_at`
#: instead, the lowest id that it met.
SNAPSHOTS = RawTable(
    "snapshots",
    pa.schema(
        [
            pa.field("crawl_id", pa.string(), nullable=False),
            pa.field("snapshot_date", pa.date32(), nullable=False),
            pa.field("dialect", pa.string(), nullable=False),
            pa.field("api_url", pa.string(), nullable=False),
            pa.field("status", pa.string(), nullable=False),
            pa.field("reason", pa.string()),
            pa.field("started_at", TIMESTAMP, nullable=False),
            pa.field("finished_at", TIMESTAMP),
            pa.field("passes", pa.int32(), nullable=False),
            pa.field("pages", pa.int64(), nullable=False),
            pa.field("items", pa.int64(), nullable=False),
            pa.field("distinct_ids", pa.int64(), nullable=False),
            pa.field("duplicates", pa.int64(), nullable=False),
            pa.field("rejected", pa.int64(), nullable=False),
            pa.field("retries", pa.int64(), nullable=False),
            pa.field("bytes", pa.int64(), nullable=False),
            pa.field("seconds", pa.float64(), nullable=False),
            pa.field("reconciled_ids", pa.int64(), nullable=False),
            pa.field("arguments", pa.string(), nullable=False),
            pa.field("endpoints", pa.string(), nullable=False),
            pa.field("listed", pa.string()),
            pa.field("gallery_from", pa.int64()),
            pa.field("gallery_to", pa.int64()),
            pa.field("gallery_stopped_at", pa.int64()),
        ]
    ),
    key=("crawl_id",),
)

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

#: Files of observations that left the warehouse (`pipelines.raw.archive`). They are read as if they were still in their
#: table. `path` is relative to the archive; `month` is the first day of the file's month.
ARCHIVED = RawTable(
    "archived",
    pa.schema(
        [
            pa.field("path", pa.string(), nullable=False),
            pa.field("table_name", pa.string(), nullable=False),
            pa.field("month", pa.date32(), nullable=False),
            pa.field("rows", pa.int64(), nullable=False),
            pa.field("bytes", pa.int64(), nullable=False),
        ]
    ),
    key=("path",),
)

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
