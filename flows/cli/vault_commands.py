"""The commands of the vault: pull, plan, apply."""

from typing import Annotated

from cyclopts import App, Parameter

from flows.cli.app import PARTIAL, Wait, app, read_settings
from flows.reporting.console import say

vault = App(name="vault", help="The account of your API key, and its vault: store, plan, bring in line with a query.")
app.command(vault)


@vault.command
def pull(*, wait: Wait = False) -> int:
    """Store the account of the key: the member, its vault, the items and their permissions.

    The tables are under `account/` in the data directory, apart from the published ones.
    """
    from flows.reporting.console import progress_display
    from flows.vault import pull as pull_account

    settings = read_settings()
    with progress_display() as progress:
        rows = pull_account(settings, progress, wait=wait)
    say(
        f"Stored in {settings.directory.account}: "
        + ", ".join(f"{name} {count:,}" for name, count in rows.items())
        + " rows."
    )
    return 0


@vault.command
def plan(*, sql: str) -> int:
    """Show what to add and remove so that the vault holds the result of a query, and write it to a file.

    `civitai-etl vault plan --sql "select version_id from star.model_version where base_model = 'Pony'"`

    Parameters
    ----------
    sql
        One SQL query (DuckDB) on the published tables with a column `version_id`. It can also read the stored
        account: account.me, account.vault, account.vault_item, account.permission.
    """
    from flows.vault import plan as plan_vault
    from flows.vault import plan_lines

    settings = read_settings()
    made = plan_vault(settings, sql)
    say(*plan_lines(made))
    say(f"The plan is {settings.directory.account / 'plan.json'}; `civitai-etl vault apply --yes` carries it out.")
    return 0


@vault.command
def apply(*, yes: Annotated[bool, Parameter(negative="")] = False, wait: Wait = False) -> int:
    """Carry the plan out: toggle versions until the vault agrees with it. Without --yes nothing is changed.

    After a kill or a lost connection, run it again to continue; no version is toggled twice. Ends with code 3 if vault
    and plan do not agree at the end, and says why for each version.

    Parameters
    ----------
    yes
        Change the vault. Default: only show what would be changed.
    """
    from flows.reporting.console import progress_display
    from flows.vault import applied_lines, change_lines, rehearse
    from flows.vault import apply as apply_plan

    settings = read_settings()
    if not yes:
        changes = rehearse(settings)
        say(f"{len(changes):,} versions would be toggled; --yes does it.")
        say(*change_lines(changes))
        return 0
    with progress_display() as progress:
        applied = apply_plan(settings, progress, wait=wait)
    say(*applied_lines(applied))
    return 0 if applied.is_settled else PARTIAL
