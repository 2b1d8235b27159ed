"""The Prefect flow `rebuild`: the same as `civitai-etl rebuild`, watched by a Prefect server."""

from datetime import date
from pathlib import Path

from prefect import flow

from flows import run_names, steps
from flows.artifacts import leave_star_artifacts, rows_before
from flows.reporting import outcome, report
from flows.run_log import progress, shown
from flows.runs import one_writer
from pipelines.settings import Settings


@flow(name="rebuild", flow_run_name=run_names.of_rebuild)
@shown("rebuild")
@one_writer
def rebuild(from_date: date | None = None, to_date: date | None = None) -> Path:
    """Build the star tables again from raw; returns the path of `analytics.duckdb`.

    It waits for another writer. If a snapshot waits, it goes first, and the rebuild starts again after it.

    Args:
        from_date: first snapshot date to build again; None is the first in raw.
        to_date: last snapshot date to build again; None is the last in raw.
    """
    settings = Settings()
    analytics = settings.directory.analytics
    before = rows_before(analytics)
    built = steps.rebuild_star(settings, from_date, to_date, progress=progress(), wait=True)
    progress().rest("publish")
    outcome.log_build(built)
    leave_star_artifacts(analytics, "rebuild", "Rebuild", report.build_line(built), built, before)
    return analytics
