"""Loading with dlt: the pipeline into the raw warehouse.

One run is one load package: rows and, in dlt's state, what a resume needs arrive together. Everything that dlt writes
is under the data directory.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import cast

import dlt
import pyarrow as pa
from dlt.common.destination import DestinationCapabilitiesContext
from dlt.common.destination.client import LoadJob
from dlt.common.destination.typing import PreparedTableSchema
from dlt.common.normalizers.naming import NamingConvention
from dlt.common.versioned_state import decompress_state
from dlt.destinations.impl.duckdb.configuration import DuckDbClientConfiguration, DuckDbCredentials
from dlt.destinations.impl.duckdb.duck import DuckDbClient, DuckDbCopyJob
from dlt.extract import DltSource

from pipelines.errors import CivitaiEtlError
from pipelines.progress import Problem, Progress
from pipelines.raw.crawls import SourceState
from pipelines.raw.high_water_mark import Mark
from pipelines.raw.resources import SOURCE
from pipelines.raw.tables import RAW_VERSION, SCHEMA_NAME, RawTable
from pipelines.raw.warehouse import connect, has_rows, has_table, newest_load, remove_second_copies, writer_config
from pipelines.storage.data_directory import DataDirectory
from pipelines.storage.directory import chain
from pipelines.storage.sql import parquet_rows

_PIPELINE = "civitai_etl"

#: The file that names the newest load of the warehouse when the last package was begun; empty if it had none.
_FOLLOWS = "follows"
#: dlt's own table of its state, a row per change.
_STATE = RawTable("_dlt_pipeline_state", pa.schema([pa.field("state", pa.string())]), key=())


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

    def capabilities(
        self, config: DuckDbClientConfiguration | None = None, naming: NamingConvention | None = None
    ) -> DestinationCapabilitiesContext:
        # dlt asks for them fifty times a load, and would look up a configuration for each answer, a fifth of the time
        # of a small load. DuckDB's capabilities depend on none.
        return super().capabilities(config or DuckDbClientConfiguration(), naming)


class NewerRawError(CivitaiEtlError):
    """A later version of this program has written the warehouse."""


def refuse_newer(warehouse: Path, version: int) -> None:
    """Refuse raw data of a version that this program does not know.

    Raises:
        NewerRawError: a later version of this program has written it.
    """
    if version > RAW_VERSION:
        raise NewerRawError(
            f"{warehouse} was written by a later version of civitai-etl (raw of version {version}, this one "
            f"has {RAW_VERSION}): upgrade it, or set CIVITAI_ETL_DATA_DIR to another directory."
        )


def stored_version(warehouse: Path) -> int:
    """The version of raw that the state in a warehouse names; the caller holds the writer lock.

    Raises:
        CivitaiEtlError: the warehouse cannot be opened, or is none.
    """
    with closing(connect(warehouse)) as connection:
        if not has_table(connection, _STATE):
            return RAW_VERSION  # nothing was loaded yet
        newest = f"select state from {_STATE.qualified_name} order by version desc limit 1"
        found = connection.execute(newest).fetchone()
    stored = decompress_state(found[0]) if found else {}
    version: int = stored.get("sources", {}).get(SOURCE, {}).get("version", 1)
    return version


class Loader:
    """The way into the warehouse of one data directory; its user holds the writer lock.

    dlt stores its state in the warehouse, in the load package of the rows that it describes, and a copy in its working
    folder. Only the state in the warehouse counts: it stays with the rows when a warehouse is lost, moved or restored.
    """

    def __init__(self, directory: DataDirectory) -> None:
        """Nothing is changed yet.

        Raises:
            CivitaiEtlError: the warehouse cannot be opened, or is none.
        """
        if directory.warehouse.exists():
            connect(directory.warehouse).close()
        _configure()
        self._warehouse = directory.warehouse
        self._folder = directory.dlt
        credentials = DuckDbCredentials(str(directory.warehouse))
        credentials.global_config = writer_config()
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
        pending = self._pending()
        drained = self._folder / "drained"
        if pending and not all(map(self._continues, pending)):
            progress.note(
                Problem(
                    f"a load that was cut off does not continue {self._warehouse} as it is now: it is dropped, and "
                    "what it had is asked for again"
                )
            )
        elif pending:
            drained.touch()
            self._complete_commits()
            self._finish()
        # Whatever the working folder has now is a copy of what the warehouse has, or of what another one had.
        self._pipeline.drop()
        self._pipeline.sync_destination()
        if drained.exists():
            # A job that was killed between its commit and dlt's note of it has run twice: into its table, or into the
            # staging copy, where a merge does not see that it is one row. The marker outlives a kill before this.
            remove_second_copies(self._warehouse, self.state().get("crawl", {}).get("crawl_id"))
            drained.unlink()
        refuse_newer(self._warehouse, self.state().get("version", 1))

    def _pending(self) -> list[str]:
        """The load packages that an earlier process left, in their order."""
        try:
            return [*self._pipeline.list_extracted_load_packages(), *self._pipeline.list_normalized_load_packages()]
        except FileNotFoundError:  # a kill while dlt dropped its folder; it is dropped only after what is pending
            return []

    def _complete_commits(self) -> None:
        """The commit of dlt renames a package, then deletes what was extracted. After a kill in between, both are
        there: dlt would normalize it again and not be able to rename it.
        """
        extracted = Path(self._pipeline.working_dir) / "normalize" / "extracted"
        for load_id in self._pipeline.list_normalized_load_packages():
            shutil.rmtree(extracted / load_id, ignore_errors=True)

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

    def load(self, source: DltSource) -> None:
        """Extract a source and load what it yields, all in one package.

        Raises:
            CivitaiEtlError: what stopped the source; nothing of it is loaded, and its state stays.
        """
        self._extract(source)
        self._finish()

    def _extract(self, source: DltSource) -> None:
        (self._folder / _FOLLOWS).write_text(newest_load(self._warehouse))
        self._pipeline.extract(source, loader_file_format="parquet")

    def _finish(self) -> None:
        # Not dlt's `run`, which drops what is pending without a word if there is no warehouse.
        self._pipeline.normalize()
        self._pipeline.load()

    def state(self) -> SourceState:
        """The state of the last loaded window."""
        # dlt keeps any JSON; this program alone writes what is under the name of its source.
        return cast("SourceState", self._pipeline.state.get("sources", {}).get(SOURCE, {}))

    def forget_cursor(self, resource: str, is_plausible: Callable[[Mark], bool]) -> None:
        """Forget how far an incremental resource has come unless its cursor can be: an earlier version may have kept
        one of the year 2099.
        """
        with self._pipeline.managed_state() as state:
            kept = state["sources"][SOURCE].get("resources", {}).get(resource, {})
            cursor = kept.get("incremental", {}).get("newest", {}).get("last_value")
            if cursor is not None and not is_plausible(cursor):
                kept.clear()


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


def _configure() -> None:
    # The row of the crawl comes after all other rows.
    dlt.config["extract.next_item_mode"] = "fifo"
    dlt.config["normalize.workers"] = 1
    dlt.config["load.delete_completed_jobs"] = True
