"""What is stored of a crawl: its row of `raw.snapshots`, and the state from which another process resumes it.

Both are declared here once. The Arrow schema of `raw.snapshots` derives from `CrawlRow` (`pipelines.raw.tables`).
"""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Literal, TypedDict

import pyarrow as pa

CrawlStatus = Literal["complete", "partial", "failed"]


@dataclass(frozen=True)
class CrawlRow:
    """A row of `raw.snapshots`: one crawl. A running crawl is partial without `finished_at`.

    `started_at` is by the service's clock (HTTP Date) and lies on `snapshot_date`. `reconciled_ids` is the number of
    requests by id. `arguments` and `endpoints` are JSON: the query arguments per kind, and per kind
    `{"pages", "items", "distinct_ids", "duplicates", "rejected"}`; items = distinct_ids + duplicates + rejected.
    `listed` is JSON, too: the service's own count per kind, if its list has one. After a complete crawl of the gallery,
    `gallery_to` is the highest image id that it met or knew, and `gallery_from` the id that it came down to. The first
    crawl ends after some pages and has no `gallery_from`. A crawl that could not continue has `gallery_stopped_at`
    instead, the lowest id that it met.
    """

    crawl_id: str
    snapshot_date: date
    dialect: str
    api_url: str
    status: CrawlStatus
    reason: str | None
    started_at: datetime
    finished_at: datetime | None
    passes: Annotated[int, pa.int32()]
    pages: int
    items: int
    distinct_ids: int
    duplicates: int
    rejected: int
    retries: int
    bytes: int
    seconds: float
    reconciled_ids: int
    arguments: str
    endpoints: str
    listed: str | None
    gallery_from: int | None
    gallery_to: int | None
    gallery_stopped_at: int | None

    @property
    def number(self) -> int:
        """The number of the crawl on its date: 1, 2, ..."""
        return int(self.crawl_id.rpartition(".")[2])


class GalleryRange(TypedDict):
    """The columns of `CrawlRow` that say which images a crawl has read."""

    gallery_from: int | None
    gallery_to: int | None
    gallery_stopped_at: int | None


#: The range of a crawl that reads no gallery.
NO_GALLERY = GalleryRange(gallery_from=None, gallery_to=None, gallery_stopped_at=None)


class Spent(TypedDict):
    """The columns of `CrawlRow` that say what a crawl took."""

    retries: int
    bytes: int
    seconds: float


class CrawlState(TypedDict):
    """All that another process of this version needs to resume a crawl; plain values.

    `fields` are those of the states in `walks` (by list) and `reconcile` (the existence check).
    """

    fields: list[str]
    crawl_id: str
    started_at: str | None
    spent: Spent
    walks: dict[str, dict[str, object]]
    reconcile: dict[str, object]


class SourceState(TypedDict, total=False):
    """dlt's state of the source: the version of raw, and the last crawl.

    `image_mark` is the high-water mark of images that earlier versions kept.
    """

    version: int
    crawl: CrawlState
    image_mark: int
