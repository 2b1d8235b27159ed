"""Loading with dlt: the source of one crawl, a resource for each of its parts, and the pipeline into the raw warehouse.

One run is one window of a crawl and one load package: rows, the crawl's line in `raw.snapshots` and, in dlt's state,
what it takes to go on all arrive together. dlt has no checkpoint inside an extract, so a killed crawl goes on at its
last loaded window. Everything that dlt writes lies under the data directory.
"""

import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

# dlt reads these when it is imported, before anything can be told it: it calls nobody, and errors are told by us.
os.environ |= {"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "CRITICAL"}

import dlt
import pyarrow as pa
from dlt.common.destination.client import LoadJob
from dlt.common.destination.typing import PreparedTableSchema
from dlt.destinations.impl.duckdb.configuration import DuckDbCredentials
from dlt.destinations.impl.duckdb.duck import DuckDbClient, DuckDbCopyJob
from dlt.extract import DltSource
from dlt.extract.resource import DltResource

from pipelines.crawl import Crawl
from pipelines.errors import CivitaiEtlError
from pipelines.harvest import NewRows, arrow_table
from pipelines.progress import Progress
from pipelines.raw import RAW_VERSION, SCHEMA_NAME, SNAPSHOTS, RawTable, documents_table, observations_table
from pipelines.settings import Settings
from pipelines.sql import parquet_rows
from pipelines.storage import chain
from pipelines.warehouse import WRITER_CONFIG, connect, has_rows, newest_load, remove_second_copies

if TYPE_CHECKING:
    from pipelines.lookups import Questions
    from pipelines.refresh import NewsWalk

_PIPELINE = "civitai_etl"
_SOURCE = "civitai"

#: The file that names the newest load of the warehouse when the last package was begun; empty if it had none.
_FOLLOWS = "follows"

#: New keys only: what is stored already, by a load that was cut off or in the past, is not stored twice.
_INSERT_ONLY = {"disposition": "merge", "strategy": "insert-only"}
#: Not `upsert`, which for ever refuses a staging copy that a killed job has filled twice.
_REPLACE = {"disposition": "merge", "strategy": "delete-insert"}


class _CopyJob(DuckDbCopyJob):
    """Loads a Parquet file wherever it lies. dlt's own puts the path into SQL as it is: a quote ends it, and a folder
    `name=value` on the way is a column.
    """

    def run(self) -> None:
        client = self._job_client.sql_client
        table, rows = client.make_qualified_table_name(self.load_table_name), parquet_rows([Path(self._file_path)])
        client.execute_sql(f"INSERT INTO {table} BY NAME SELECT * FROM {rows}")


class _Client(DuckDbClient):
    def create_load_job(
        self, table: PreparedTableSchema, file_path: str, load_id: str, restore: bool = False
    ) -> LoadJob:
        job = super().create_load_job(table, file_path, load_id, restore)
        return _CopyJob(file_path) if isinstance(job, DuckDbCopyJob) else job


class _DuckDb(dlt.destinations.duckdb):
    """dlt's destination, and known to it as that."""

    @property
    def client_class(self) -> type[DuckDbClient]:
        return _Client

    @property
    def destination_type(self) -> str:
        return "dlt.destinations.duckdb"


class NewerRawError(CivitaiEtlError):
    """A later version of this program has written the warehouse."""


class Loader:
    """The way into the warehouse of one data directory; its user holds the writer lock.

    dlt keeps its state in the warehouse, in the load package of the rows that it tells of, and a copy in its working
    folder. Only the one in the warehouse counts: it goes with the rows when a warehouse is lost, moved or put back.
    """

    def __init__(self, settings: Settings) -> None:
        """Nothing is changed yet.

        Raises:
            CivitaiEtlError: the warehouse cannot be opened, or is none.
        """
        if settings.warehouse.exists():
            connect(settings.warehouse).close()
        _configure()
        self._warehouse = settings.warehouse
        self._folder = settings.data_dir / "dlt"
        credentials = DuckDbCredentials(str(settings.warehouse))
        credentials.global_config = WRITER_CONFIG
        # What is committed goes to its place at once. dlt sets a gigabyte: a window's documents would be written to the
        # log first, and to their place when the connection is closed.
        credentials.statements = ["set global checkpoint_threshold = '1KB'"]
        self._pipeline = dlt.pipeline(
            _PIPELINE,
            pipelines_dir=str(self._folder),
            destination=_DuckDb(credentials),
            dataset_name=SCHEMA_NAME,
        )

    def drain(self, progress: Progress) -> None:
        """Finish the load package that an earlier process left, if any, then take the state that the warehouse has. If
        there is no warehouse yet, there is an empty one from then on.

        Raises:
            NewerRawError: a later version of this program has written it.
        """
        pending = [*self._pipeline.list_extracted_load_packages(), *self._pipeline.list_normalized_load_packages()]
        drained = self._folder / "drained"
        if pending and not all(map(self._continues, pending)):
            progress.note(
                f"a load that was cut off does not continue {self._warehouse} as it is now: it is dropped, and what it "
                "had is asked for again"
            )
        elif pending:
            drained.touch()
            self._finish()
        # Whatever the working folder has now is a copy of what the warehouse has, or of what another one had.
        self._pipeline.drop()
        self._pipeline.sync_destination()
        if drained.exists():
            # A job that was killed between its commit and dlt's note of it has run twice: into its table, or into the
            # staging copy, where a merge does not see that it is one row. The marker outlives a kill before this.
            remove_second_copies(self._warehouse, self.state().get("crawl", {}).get("crawl_id"))
            drained.unlink()
        if (version := self.state().get("version", 1)) > RAW_VERSION:
            raise NewerRawError(
                f"{self._warehouse} was written by a later version of civitai-etl (raw of version {version}, this one "
                f"has {RAW_VERSION}): upgrade it, or set CIVITAI_ETL_DATA_DIR to another directory."
            )

    def _continues(self, load_id: str) -> bool:
        """Whether a pending package belongs to this warehouse as it is: it is the next one, and what of it was loaded
        before it was cut off is there.
        """
        follows = self._folder / _FOLLOWS
        if not self._warehouse.exists():
            return False
        # Earlier versions wrote no such file.
        if follows.exists() and newest_load(self._warehouse) not in (follows.read_text(), load_id):
            return False
        finished = self._pipeline.get_load_package_info(load_id).jobs["completed_jobs"]
        rows = [(job.job_file_info.table_name, job.file_path) for job in finished if job.file_path.endswith(".parquet")]
        return has_rows(self._warehouse, rows)

    def _run(self, source: DltSource) -> None:
        """Load a source, all in one package."""
        self._extract(source)
        self._finish()

    def _extract(self, source: DltSource) -> None:
        (self._folder / _FOLLOWS).write_text(newest_load(self._warehouse))
        self._pipeline.extract(source, loader_file_format="parquet")

    def _finish(self) -> None:
        # Not dlt's `run`, which drops what is pending without a word if there is no warehouse.
        self._pipeline.normalize()
        self._pipeline.load()

    def state(self) -> dict[str, Any]:
        """What the last loaded window kept: `crawl`, and the `version` of raw."""
        sources: dict[str, Any] = self._pipeline.state.get("sources", {})
        return dict(sources.get(_SOURCE, {}))

    def load_window(self, crawl: Crawl, closing: list[dict[str, Any]]) -> None:
        """Walk one window and load it; `closing` are rows of `raw.snapshots` of other crawls that end with it.

        Raises:
            CivitaiEtlError: the window brought nothing, and why.
        """
        self._run(_source(crawl, closing))

    def load_news(self, walks: "Sequence[NewsWalk]") -> None:
        """Walk lists of news down to their marks and load their documents, all in one package.

        Raises:
            CivitaiEtlError: a list could not be read so far; nothing is loaded, and the marks stay.
        """
        with self._pipeline.managed_state() as state:
            for walk in walks:
                # An earlier version may have kept a mark of what was published in the year 2099.
                kept = state["sources"][_SOURCE].get("resources", {}).get(walk.endpoint.name, {})
                mark = kept.get("incremental", {}).get("newest", {}).get("last_value")
                if mark is not None and not walk.is_plausible(mark):
                    kept.clear()
        self._run(_news(walks))

    def load_answers(self, questions: "Sequence[Questions]") -> None:
        """Ask all of them and load what comes, all in one package."""
        self._run(_answers(questions))

    def load_rows(self, name: str, rows: NewRows) -> None:
        """Load rows that are collected already, all in one package; `name` is that of their resource."""
        self._run(_collected(name, rows))


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
        # Where nothing is stored all is new: to append it spares the staging copy of a merge, half the load.
        kind = endpoint_crawl.endpoint.kind
        appended = (documents_table(kind), observations_table(kind)) if endpoint_crawl.is_empty else ()
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
    state["version"] = RAW_VERSION
    state["crawl"] = crawl.state()
    yield _marked(SNAPSHOTS, pa.Table.from_pylist([*closing, crawl.row()], schema=SNAPSHOTS.schema), _REPLACE)


def _marked(table: RawTable, data: pa.Table, write_disposition: Any) -> Any:
    hints = dlt.mark.make_hints(table_name=table.name, primary_key=list(table.key), write_disposition=write_disposition)
    return dlt.mark.with_hints(data, hints, create_table_variant=True)


def _configure() -> None:
    # The account comes after all rows.
    dlt.config["extract.next_item_mode"] = "fifo"
    dlt.config["normalize.workers"] = 1
    dlt.config["load.delete_completed_jobs"] = True
