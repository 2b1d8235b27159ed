"""The artifacts that a run leaves when its tables are published. Their keys stay, so their history is a series."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from importlib import import_module
from pathlib import Path
from threading import Thread

import duckdb
from prefect.artifacts import create_markdown_artifact, create_table_artifact

from flows.reporting import report, summary
from flows.reporting.logs import LOG
from flows.run_log import progress
from pipelines.errors import CivitaiEtlError
from transforms.build import BuildReport


def rows_before(analytics: Path) -> dict[str, int]:
    """The rows of the tables that are published now; none if there are none, or if they cannot be read."""
    return _of_published(analytics, report.published_rows)


def lists_before(analytics: Path) -> dict[str, int]:
    """The lengths of the lists in the last complete snapshot that is published, likewise."""
    return _of_published(analytics, report.listed_before)


def _of_published(analytics: Path, counts: Callable[[duckdb.DuckDBPyConnection], dict[str, int]]) -> dict[str, int]:
    try:
        with report.open_analytics(analytics) as connection:
            return counts(connection)
    except CivitaiEtlError:
        return {}


def import_charts() -> None:
    """Import in a thread what draws the summary's chart: that takes a second, and a crawl mostly waits."""
    for module in ("flows.reporting.charts", "vl_convert"):
        Thread(target=import_module, args=(module,), daemon=True).start()


def leave_star_artifacts(
    analytics: Path,
    key: str,
    title: str,
    sentence: str,
    built: BuildReport,
    before: Mapping[str, int],
    on: date | None = None,
) -> None:
    """The rows of every published table, and a summary under `key`.

    Args:
        analytics: the published tables.
        key: the key of the summary.
        title: its headline.
        sentence: what the run did.
        built: what the run built.
        before: the rows that were published before it.
        on: the snapshot date that it is about, if it is about one.
    """
    with _of_published_tables(), report.open_analytics(analytics) as connection:
        create_table_artifact(
            key="row-counts",
            table=summary.row_table(report.published_rows(connection), before),
            description=f"{title}: rows of the published tables, and of those that were published before.",
        )
        gained = summary.downloads(connection)
        day = summary.day_of(connection, on) if on else None
        page = summary.markdown(title, sentence, built, progress().seconds, gained, day)
        create_markdown_artifact(key=key, markdown=page, description=day.line(title) if day else sentence)


@contextmanager
def _of_published_tables() -> Iterator[None]:
    """The tables are published by now, and no page about them is a reason to fail."""
    try:
        yield
    except CivitaiEtlError as error:
        LOG.warning("An artifact of this run is missing: %s", error)
    except Exception:  # noqa: BLE001 (whatever is wrong with the server, or with us)
        LOG.exception("An artifact of this run is missing.")
