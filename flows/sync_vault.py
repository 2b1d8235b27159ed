"""The Prefect flow `sync_vault`: the same as `civitai-etl vault pull`, `plan` and `apply`, watched by a Prefect server.

It has no schedule: the person who starts or schedules it gives a query for what the vault must hold.
"""

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact, create_table_artifact

from flows import run_names, vault
from flows.reporting.logs import LOG
from flows.reporting.report import in_a_block
from flows.reporting.text import plain
from flows.run_log import progress, shown
from flows.runs import one_writer
from pipelines.errors import CivitaiEtlError
from pipelines.settings import Settings


class VaultNotInLineError(CivitaiEtlError):
    """Some versions were not toggled. The run fails, so that somebody looks."""


@task
def pull() -> dict[str, int]:
    """Store the account; returns the rows of its tables."""
    return vault.pull(Settings(), progress(), wait=True)


@task
def plan(sql: str) -> int:
    """Write the plan; returns how many versions it adds and removes, and leaves it as an artifact."""
    made = vault.plan(Settings(), sql)
    lines = vault.plan_lines(made)
    LOG.info("%s", lines[0])
    create_markdown_artifact(
        key="vault-plan",
        markdown="\n".join(["# Plan for the vault", *in_a_block(sql.splitlines()), *in_a_block(lines)]),
        description=lines[0],
    )
    return len(made.changes)


@task
def carry_out() -> list[str]:
    """Apply the plan; returns what was not settled, line by line, and leaves an artifact of all outcomes."""
    applied = vault.apply(Settings(), progress(), wait=True)
    summary, *unsettled = vault.applied_lines(applied)
    create_table_artifact(
        key="vault-changes",
        table=[
            {
                "version_id": outcome.change.version_id,
                "change": "add" if outcome.change.stored else "remove",
                "result": outcome.result,
                "why": plain(outcome.why or ""),
            }
            for outcome in applied.outcomes
        ],
        description=summary,
    )
    return unsettled


@flow(name="sync_vault", flow_run_name=run_names.of_vault)
@shown("vault")
@one_writer
def sync_vault(sql: str, apply: bool = False) -> int:
    """Bring the vault in line with a query; returns how many versions the plan adds and removes.

    Args:
        sql: gives the column version_id: the versions that the vault must hold.
        apply: whether to change the vault; otherwise only the plan is made.

    Raises:
        VaultNotInLineError: some versions were not toggled.
    """
    pull()
    changes = plan(sql)
    if apply and (unsettled := carry_out()):
        raise VaultNotInLineError(f"{len(unsettled):,} versions were not toggled, such as {unsettled[0].strip()}")
    return changes
