"""The dlt source of one window of a crawl, a resource for each of its parts.

One window is one load package: rows, the crawl's row in `raw.snapshots` and, in dlt's state, what a resume needs all
arrive together. dlt has no checkpoint inside an extract, so a killed crawl resumes after its last loaded window.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import date

import dlt
import pyarrow as pa
from dlt.extract.resource import DltResource

from pipelines.crawl.crawl import Crawl
from pipelines.raw.crawls import CrawlRow
from pipelines.raw.kinds import KINDS
from pipelines.raw.resources import REPLACE, SOURCE, list_resource, marked, rows_of
from pipelines.raw.row_buffer import NewRows
from pipelines.raw.tables import RAW_VERSION, SNAPSHOTS, RawTable

#: Sees the rows of a crawl when they are handed over: crawl id, snapshot date, table and rows.
Watcher = Callable[[str, date, RawTable, pa.Table], None]


@dlt.source(name=SOURCE)
def crawl_source(crawl: Crawl, closing: list[CrawlRow], watcher: Watcher | None = None) -> Iterator[DltResource]:
    """One window of a crawl; `closing` are rows of `raw.snapshots` of other crawls that end with it.

    Raises:
        CivitaiEtlError: the window has no rows; says why.
    """
    for name, endpoint_crawl in crawl.endpoints.items():
        # If nothing is stored, all rows are new: an append saves the staging copy of a merge, half the load.
        appended = KINDS[endpoint_crawl.endpoint.kind].tables if endpoint_crawl.is_empty else ()
        yield list_resource(endpoint_crawl.endpoint, rows_of)(_watched(crawl, crawl.paginate(name), watcher), appended)
    yield dlt.resource(rows_of, name="reconcile")(_watched(crawl, crawl.check_existence(), watcher))
    yield dlt.resource(_crawl_row, name=SNAPSHOTS.name)(crawl, closing)


def _watched(crawl: Crawl, rows: NewRows, watcher: Watcher | None) -> NewRows:
    for table, data in rows:
        if watcher:
            watcher(crawl.crawl_id, crawl.snapshot_date, table, data)
        yield table, data


def _crawl_row(crawl: Crawl, closing: list[CrawlRow]) -> Iterator[object]:
    """The last resource: by now the progress of the others is known."""
    state = dlt.current.source_state()
    state["version"] = RAW_VERSION
    state["crawl"] = crawl.state()
    rows = [asdict(row) for row in (*closing, crawl.row())]
    yield marked(SNAPSHOTS, pa.Table.from_pylist(rows, schema=SNAPSHOTS.schema), REPLACE)
