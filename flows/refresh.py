"""The Prefect flow `refresh`: the same as `civitai-etl refresh`, watched by a Prefect server."""

from prefect import State, flow
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.states import Cancelled

from flows import run_names, steps
from flows.reporting import outcome, report
from flows.run_log import progress, shown
from flows.runs import one_writer
from pipelines.crawl.discovery import NothingToRefreshError
from pipelines.settings import Settings


@flow(name="refresh", flow_run_name=run_names.of_refresh)
@shown("refresh")
@one_writer
def refresh() -> dict[str, int] | State[None]:
    """Load what is new since the last refresh; returns the number of new documents per kind. Before the first complete
    snapshot, or if another writer is at work or goes first, a run ends cancelled, because nothing has failed.
    """
    try:
        refreshed = steps.refresh_documents(Settings(), progress())
    except NothingToRefreshError as error:
        return Cancelled(message=str(error))
    outcome.log_refresh(refreshed)
    create_table_artifact(
        key="new-documents",
        table=[{"kind": kind, "documents": count} for kind, count in refreshed.documents.items()],
        description="New documents since the last refresh.",
    )
    create_markdown_artifact(
        key="refresh", markdown=report.refresh_markdown(refreshed), description="What the refresh found."
    )
    return refreshed.documents
