"""Loading with dlt: the source of one crawl, a resource for each of its parts, and the pipeline into the raw warehouse.

One run is one window of a crawl and one load package: rows, the crawl's line in `raw.snapshots` and, in dlt's state,
what it takes to go on all arrive together. dlt has no checkpoint inside an extract, so a killed crawl goes on at its
last loaded window. Everything that dlt writes lies under the data directory.
"""

import os
import re
import shutil
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

# dlt reads these when it is imported, before anything can be told it: it calls nobody, and errors are told by us.
os.environ |= {"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "CRITICAL"}

import dlt
import pyarrow as pa
from dlt.destinations.impl.duckdb.configuration import DuckDbCredentials
from dlt.extract.resource import DltResource

from pipelines.crawl import Crawl
from pipelines.errors import CivitaiEtlError
from pipelines.harvest import NewRows, arrow_table
from pipelines.raw import SCHEMA_NAME, SNAPSHOTS, RawTable, documents_table, observations_table
from pipelines.settings import Settings
from pipelines.storage import chain
from pipelines.warehouse import WRITER_CONFIG, remove_second_copies

if TYPE_CHECKING:
    from pipelines.lookups import Questions
    from pipelines.refresh import NewsWalk

_PIPELINE = "civitai_etl"
_SOURCE = "civitai"

#: How dlt names what it writes before it moves it to its place.
_TEMPORARY = re.compile("[0-9a-f]{16}")

#: New keys only: what is stored already, by a load that was cut off or in the past, is not stored twice.
_INSERT_ONLY = {"disposition": "merge", "strategy": "insert-only"}
#: Not `upsert`, which for ever refuses a staging copy that a killed job has filled twice.
_REPLACE = {"disposition": "merge", "strategy": "delete-insert"}


class Loader:
    """The way into the warehouse of one data directory; its user holds the writer lock."""

    def __init__(self, settings: Settings) -> None:
        _configure()
        self._warehouse = settings.warehouse
        self._drained = settings.data_dir / "dlt" / "drained"
        credentials = DuckDbCredentials(str(settings.warehouse))
        credentials.global_config = WRITER_CONFIG
        # What is committed goes to its place at once. dlt sets a gigabyte: a window's documents would be written to the
        # log first, and to their place when the connection is closed.
        credentials.statements = ["set global checkpoint_threshold = '1KB'"]
        self._pipeline = dlt.pipeline(
            _PIPELINE,
            pipelines_dir=str(settings.data_dir / "dlt"),
            destination=dlt.destinations.duckdb(credentials),
            dataset_name=SCHEMA_NAME,
        )

    def drain(self) -> None:
        """Finish the load package that an earlier process left, if any: dlt would silently extract nothing before."""
        pending = self._pipeline.has_pending_data
        if pending:
            self._drained.touch()
        # Without data: looks what the warehouse has (of one that is gone, a pending rest is dropped), then drains.
        self._pipeline.run()
        if pending:
            # The process may have been killed after it packed its state and before it kept it here.
            self._pipeline.sync_destination()
        if self._drained.exists():
            # A job that was killed between its commit and dlt's note of it has run twice: into its table, or into the
            # staging copy, where a merge does not see that it is one row. The marker outlives a kill before this.
            if self._warehouse.exists():
                remove_second_copies(self._warehouse, self.state().get("crawl", {}).get("crawl_id"))
            self._drained.unlink()
        self._sweep()

    def _sweep(self) -> None:
        """Remove what a kill or a failure left half-written: dlt never looks at it again, and it fills the disk."""
        for leftover in [*Path(self._pipeline.working_dir).rglob("*")]:
            if _TEMPORARY.fullmatch(leftover.name) and leftover.exists():
                shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()

    def state(self) -> dict[str, Any]:
        """What the last loaded window kept: `crawl` and `image_mark`."""
        sources: dict[str, Any] = self._pipeline.state.get("sources", {})
        return dict(sources.get(_SOURCE, {}))

    def load_window(self, crawl: Crawl, closing: list[dict[str, Any]]) -> None:
        """Walk one window and load it; `closing` are rows of `raw.snapshots` of other crawls that end with it.

        Raises:
            CivitaiEtlError: the window brought nothing, and why.
        """
        self._pipeline.run(_source(crawl, closing), loader_file_format="parquet")

    def load_news(self, walks: "Sequence[NewsWalk]") -> None:
        """Walk lists of news down to their marks and load their documents, all in one package.

        Raises:
            CivitaiEtlError: a list could not be read so far; nothing is loaded, and the marks stay.
        """
        self._pipeline.run(_news(walks), loader_file_format="parquet")

    def load_answers(self, questions: "Sequence[Questions]") -> None:
        """Ask all of them and load what comes, all in one package."""
        self._pipeline.run(_answers(questions), loader_file_format="parquet")

    def load_rows(self, name: str, rows: NewRows) -> None:
        """Load rows that are collected already, all in one package; `name` is that of their resource."""
        self._pipeline.run(_collected(name, rows), loader_file_format="parquet")


@contextmanager
def plain_errors() -> Iterator[None]:
    """Give back the error that a person can read, or their Ctrl-C, from inside the ones that dlt wraps around it."""
    try:
        yield
    except CivitaiEtlError:
        raise
    except Exception as error:
        for cause in chain(error):
            if isinstance(cause, CivitaiEtlError | KeyboardInterrupt):
                raise cause from None
        raise


@dlt.source(name=_SOURCE)
def _source(crawl: Crawl, closing: list[dict[str, Any]]) -> Iterator[DltResource]:
    for name, endpoint_crawl in crawl.endpoints.items():
        # What a first crawl finds is all new: to append it spares the staging copy of a merge, half the load.
        kind = endpoint_crawl.endpoint.kind
        appended = (documents_table(kind), observations_table(kind)) if endpoint_crawl.is_first else ()
        yield dlt.resource(_rows, name=name)(crawl.walk(name), appended)
    yield dlt.resource(_rows, name="reconcile")(crawl.walk_reconcile())
    yield dlt.resource(_account, name=SNAPSHOTS.name)(crawl, closing)


@dlt.source(name=_SOURCE)
def _news(walks: "Sequence[NewsWalk]") -> Iterator[DltResource]:
    for walk in walks:
        pages = dlt.resource(walk.pages(), name=walk.endpoint.name, selected=False)
        if walk.endpoint.gallery:
            # One mark a page, since neighbours may be out of order; dlt closes the walk at the first page without news.
            pages.add_step(
                dlt.sources.incremental(
                    "newest",
                    initial_value=walk.mark,
                    row_order="desc",
                    range_start="open",
                    on_cursor_value_missing="include",
                )
            )
        yield pages | dlt.transformer(_documents, name=f"{walk.endpoint.name}_documents")(walk)


@dlt.source(name=_SOURCE)
def _answers(questions: "Sequence[Questions]") -> Iterator[DltResource]:
    for each in questions:
        name = each.lookup.name.replace("-", "_")
        asked = dlt.resource(each.batches(), name=f"{name}_asked", selected=False)
        yield asked | dlt.transformer(_answer_rows, name=f"{name}_answers")(each)


@dlt.source(name=_SOURCE)
def _collected(name: str, rows: NewRows) -> Iterator[DltResource]:
    yield dlt.resource(_rows, name=name)(rows, ())


def _answer_rows(batch: list[str], questions: "Questions") -> Iterator[Any]:
    yield from _rows(questions.ask(batch))


def _documents(page: dict[str, Any], walk: "NewsWalk") -> Iterator[Any]:
    table = documents_table(walk.endpoint.kind)
    walk.documents += len(page["rows"])
    if page["rows"]:
        yield _marked(table, arrow_table(table, page["rows"]), _INSERT_ONLY)


def _rows(rows: NewRows, appended: Collection[RawTable] = ()) -> Iterator[Any]:
    for table, data in rows:
        yield _marked(table, data, "append" if table in appended else _INSERT_ONLY)


def _account(crawl: Crawl, closing: list[dict[str, Any]]) -> Iterator[Any]:
    """The last resource: by now the others know how far they came."""
    state = dlt.current.source_state()
    state["crawl"] = crawl.state()
    state["image_mark"] = crawl.image_mark
    yield _marked(SNAPSHOTS, pa.Table.from_pylist([*closing, crawl.row()], schema=SNAPSHOTS.schema), _REPLACE)


def _marked(table: RawTable, data: pa.Table, write_disposition: Any) -> Any:
    hints = dlt.mark.make_hints(table_name=table.name, primary_key=list(table.key), write_disposition=write_disposition)
    return dlt.mark.with_hints(data, hints, create_table_variant=True)


def _configure() -> None:
    # The account comes after all rows.
    dlt.config["extract.next_item_mode"] = "fifo"
    dlt.config["normalize.workers"] = 1
    dlt.config["load.delete_completed_jobs"] = True
