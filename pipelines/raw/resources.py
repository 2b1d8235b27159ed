"""The dlt resources of the service, declared once: one for each list and each look-up.

Crawls and look-ups hand over rows of raw tables (`NewRows`). The project's own runs load these rows as they are
(`rows_of`). The public source (`pipelines.public_source`) loads items as the service sent them (`items_of`).
"""

from collections.abc import Callable, Collection, Iterator

import dlt
import msgspec
import pyarrow as pa
from dlt.common.schema.typing import TWriteDispositionConfig
from dlt.extract.resource import DltResource

from pipelines.api.dialects import Endpoint, Lookup
from pipelines.api.json_text import decoded
from pipelines.raw.documents import splice
from pipelines.raw.kinds import KINDS
from pipelines.raw.row_buffer import NewRows
from pipelines.raw.tables import REJECTS, RawTable, documents_table, observations_table

#: The name of every source of the project: dlt keeps its state under this name.
SOURCE = "civitai"

#: New keys only: rows that an interrupted or an earlier load stored are not stored twice.
INSERT_ONLY: TWriteDispositionConfig = {"disposition": "merge", "strategy": "insert-only"}
#: Not `upsert`: it fails forever on a staging copy that a killed job has filled twice.
REPLACE: TWriteDispositionConfig = {"disposition": "merge", "strategy": "delete-insert"}

#: The columns of a rejected item outside of raw, where there is no crawl. The first three are its key.
_REJECT_COLUMNS = ["kind", "request", "position", "fetched_at", "reason", "payload"]


#: What dlt makes a resource of: an iterator that is read once, or a function that returns one for each run.
Extract = Iterator[object] | Callable[..., Iterator[object]]


def list_resource(endpoint: Endpoint, extract: Extract, *, selected: bool = True) -> DltResource:
    """The resource of a list endpoint. `extract` pages through the list and yields it in the form to load."""
    return dlt.resource(extract, name=endpoint.name, primary_key=_key(endpoint.kind), selected=selected)


def lookup_resource(
    name: str, lookup: Lookup, extract: Callable[..., Iterator[object]], *, selected: bool = True
) -> DltResource:
    """The transformer of a look-up. `extract` takes keys and yields the answers in the form to load."""
    return dlt.transformer(extract, name=name, primary_key=_key(lookup.kind), selected=selected)


def _key(kind: str) -> str | list[str]:
    """The primary key of items; items of some kinds carry none."""
    return KINDS[kind].owner.id or []


def rows_of(tables: NewRows, appended: Collection[RawTable] = ()) -> Iterator[object]:
    """The form of the project's own runs: rows of raw tables, each with its key, and stored once."""
    for table, data in tables:
        yield marked(table, data, "append" if table in appended else INSERT_ONLY)


def items_of(kind: str, tables: NewRows) -> Iterator[object]:
    """The form of the public source: a list of items as the service sent them.

    Each item is a document with the counters of its observation. What cannot become an item is a row of the table
    `rejects`.
    """
    handed_over = {table.name: data.to_pylist() for table, data in tables}
    metrics = {row["entity_id"]: row["metrics"] for row in handed_over.get(observations_table(kind).name, [])}
    if documents := handed_over.get(documents_table(kind).name):
        yield [_item(kind, row["payload"], metrics[row["entity_id"]]) for row in documents]
    if rejects := handed_over.get(REJECTS.name):
        rows = [{name: row[name] for name in _REJECT_COLUMNS} for row in rejects]
        hints = dlt.mark.make_hints(
            table_name=REJECTS.name, primary_key=_REJECT_COLUMNS[:3], write_disposition="append"
        )
        yield dlt.mark.with_hints(rows, hints, create_table_variant=True)


def _item(kind: str, payload: str, metrics: str) -> object:
    item, _ = decoded(msgspec.json.decode, splice(kind, payload.encode(), metrics.encode()))
    return item


@dlt.source(name=SOURCE)
def collected(name: str, rows: NewRows) -> Iterator[DltResource]:
    """A source of rows that are collected already; `name` is that of its resource."""
    yield dlt.resource(rows_of, name=name)(rows)


def marked(table: RawTable, data: pa.Table, write_disposition: TWriteDispositionConfig) -> object:
    hints = dlt.mark.make_hints(table_name=table.name, primary_key=list(table.key), write_disposition=write_disposition)
    return dlt.mark.with_hints(data, hints, create_table_variant=True)
