"""The Prefect flow `rebuild`: the same as `civitai-etl rebuild`, watched by a Prefect server."""

from datetime import date
from pathlib import Path

from prefect import flow

from flows import steps
from flows.reporting import report
from flows.runs import LoggedProgress, leave_star_artifacts, one_writer
from pipelines.settings import Settings


@flow(name="rebuild")
@one_writer
def rebuild(from_date: date | None = None, to_date: date | None = None) -> Path:
    """Build the star tables again from raw; returns the path of `analytics.duckdb`.

    It waits for another writer. If a snapshot waits, it goes first, and the rebuild starts again after it.

    Args:
        from_date: first snapshot date to build again; None is the first in raw.
        to_date: last snapshot date to build again; None is the last in raw.
    """
    settings = Settings()
    built = steps.rebuild_star(settings, from_date, to_date, progress=LoggedProgress(), wait=True)
    leave_star_artifacts(settings.directory.analytics, "rebuild", "Rebuild", report.build_line(built), built)
    return settings.directory.analytics
