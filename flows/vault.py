"""`civitai-etl vault`: stores the account, plans the content of the vault, and applies the plan.

The account tables are beside the star. In the query of a plan they are `account.me`, `account.vault`,
`account.vault_item` and `account.permission`. The plan is a file, so a person can read it before it is applied.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec
import polars as pl

from flows.reporting.query import QueryError, ask
from flows.reporting.report import open_analytics
from pipelines.api.answers import UNREADABLE
from pipelines.errors import CivitaiEtlError
from pipelines.progress import Progress, Silent
from pipelines.settings import Settings
from pipelines.storage.directory import storage_errors
from pipelines.storage.lock import LockedError, writer_lock
from pipelines.storage.replacement import replace_text
from pipelines.storage.sql import parquet_rows
from pipelines.vault.member import MemberAnswers, MemberOfKey, fetch_member, load_member
from pipelines.vault.sync import Change, Outcome, VaultSync, in_order, open_write_ahead_log
from transforms.member import Me, account_file, account_tables, write_account
from transforms.tables.account import ACCOUNT_TABLES

if TYPE_CHECKING:
    import duckdb

#: How many versions are listed.
_SHOWN = 20


class VaultError(CivitaiEtlError):
    """Nothing was pulled yet, the query does not fit, or the plan is for another vault."""


class Quota(msgspec.Struct):
    """Space in the vault in KB; None is not known. `unknown_sizes` versions have no known size."""

    storage_kb: float | None
    used_kb: float | None
    added_kb: float
    freed_kb: float
    unknown_sizes: int

    @property
    def after_kb(self) -> float | None:
        """What the vault holds when the plan is applied, as far as sizes are known."""
        return None if self.used_kb is None else self.used_kb + self.added_kb - self.freed_kb

    @property
    def fits(self) -> bool | None:
        if self.storage_kb is None or self.after_kb is None:
            return None
        # If the known sizes are too much, the unknown ones do not matter.
        return False if self.after_kb > self.storage_kb else (None if self.unknown_sizes else True)

    def line(self) -> str:
        if self.storage_kb is None or self.after_kb is None:
            return "Storage: the service reports neither the used nor the total space of the vault."
        verdict = {True: "it fits", False: "IT DOES NOT FIT", None: "whether it fits is not known"}[self.fits]
        unknown = f"; {self.unknown_sizes:,} versions of unknown size" if self.unknown_sizes else ""
        return (
            f"Storage: {self.used_kb:,.0f} + {self.added_kb:,.0f} - {self.freed_kb:,.0f} of {self.storage_kb:,.0f} KB"
            f"{unknown}: {verdict}."
        )


class Plan(msgspec.Struct):
    """The changes to the vault of one member of one service, as in `account/plan.json`."""

    id: str
    made_at: datetime
    api_url: str
    user_id: int
    query: str
    vault_as_of: datetime
    add: list[int]
    remove: list[int]
    keep: list[int]
    unknown_versions: list[int]
    quota: Quota

    @property
    def changes(self) -> list[Change]:
        """The changes in the order of their execution."""
        return in_order(
            [
                *(Change(version_id, stored=True) for version_id in self.add),
                *(Change(version_id, stored=False) for version_id in self.remove),
            ]
        )


@dataclass(frozen=True)
class Applied:
    """The outcomes of a plan's changes; `refreshed` says whether the account tables show them already."""

    outcomes: list[Outcome]
    refreshed: bool

    @property
    def is_settled(self) -> bool:
        """Whether vault and plan agree."""
        return all(outcome.is_settled for outcome in self.outcomes)


def pull(settings: Settings, progress: Progress = Silent(), *, wait: bool = False) -> dict[str, int]:
    """Fetch and store everything that belongs to the member of the key; returns the rows of each table.

    With `wait` it waits for another writer.

    Raises:
        CivitaiEtlError: there is no key, the service does not know it or does not answer, or another process writes.
    """
    member = MemberOfKey(settings, progress)
    wait_seconds = settings.wait_seconds if wait else 0.0
    with writer_lock(settings.directory.account, wait_seconds=wait_seconds, progress=progress):
        return _store(settings, fetch_member(member, progress), progress, wait_seconds)


def _store(settings: Settings, answers: MemberAnswers, progress: Progress, wait_seconds: float) -> dict[str, int]:
    tables = account_tables(answers.me, answers.vault, answers.items, answers.permissions, answers.observed_at)
    with writer_lock(settings.data_dir, wait_seconds=wait_seconds, progress=progress):
        load_member(settings, answers, progress)
    with storage_errors(settings.data_dir):
        write_account(settings.directory.account, tables)
    return {table.table_name(): rows.height for table, rows in tables.items()}


# ---------------------------------------------------------------------------------------------------------- planning


def plan(settings: Settings, query: str) -> Plan:
    """Compare the stored vault with the result of a query, and write the difference to `account/plan.json`.

    Args:
        settings: where the published tables and the stored vault are.
        query: SQL with a column `version_id`: the versions that the vault must hold, and no others.

    Raises:
        VaultError: nothing was pulled yet, or the query does not give version ids.
        CivitaiEtlError: nothing is published, or another process works on the vault.
    """
    with writer_lock(settings.directory.account), open_analytics(settings.directory.analytics) as connection:
        _attach_account(connection, settings)
        wanted = _wanted(connection, query)
        made = _compared(connection, wanted, settings.api_url, query)
        with storage_errors(settings.data_dir):
            replace_text(settings.directory.account / "plan.json", _pretty(made))
    return made


def _attach_account(connection: "duckdb.DuckDBPyConnection", settings: Settings) -> None:
    """Make the account tables readable as `account.vault_item` and so on, in a read-only database."""
    import duckdb

    connection.execute("attach ':memory:' as account (read_write)")
    for table in ACCOUNT_TABLES:
        file = account_file(settings.directory.account, table)
        if not file.exists():
            raise VaultError(f"There is no {file}: run `civitai-etl vault pull` first.")
        name = table.table_name().removeprefix("account_")
        try:
            connection.execute(f"create view account.{name} as from {parquet_rows([file])}")
        except duckdb.Error:
            raise VaultError(f"{file} is damaged: run `civitai-etl vault pull`, which makes it again.") from None


def _wanted(connection: "duckdb.DuckDBPyConnection", query: str) -> list[int]:
    import duckdb

    try:
        relation = ask(connection, query)
        if "version_id" not in relation.columns:
            raise VaultError(f"The query must give a column version_id; it gives {', '.join(relation.columns)}.")
        ids = relation.project("version_id").pl()["version_id"]
    except QueryError as error:
        raise VaultError(f"The query fails: {error}") from None
    except duckdb.Error as error:
        raise VaultError(f"The query fails: {str(error).splitlines()[0]}") from None
    if not ids.dtype.is_integer():
        raise VaultError(f"version_id of the query must be whole numbers, not {ids.dtype}.")
    if ids.null_count():
        raise VaultError(f"version_id of the query is null in {ids.null_count():,} rows: leave them out.")
    if wrong := [each for each in (ids.min(), ids.max()) if isinstance(each, int) and not 0 < each < 2**63]:
        raise VaultError(f"version_id of the query is {wrong[0]} in a row, which is no id: leave it out.")
    return sorted(set(ids.to_list()))


def _compared(connection: "duckdb.DuckDBPyConnection", wanted: list[int], api_url: str, query: str) -> Plan:
    ((user_id,),) = connection.sql("select user_id from account.me").pl().rows()
    # A membership without a vault has no space.
    space = "if(has_vault, storage_kb, 0), if(has_vault, used_storage_kb, 0)"
    ((storage_kb, used_kb, observed_at),) = (
        connection.sql(f"select {space}, observed_at from account.vault").pl().rows()
    )
    connection.register("wanted", pl.DataFrame({"version_id": wanted}, schema={"version_id": pl.Int64}).to_arrow())
    rows = connection.sql(
        """
        select version_id, wanted.version_id is not null as is_wanted, stored.version_id is not null as is_stored,
            known.version_id is not null as is_known,
            case when is_stored then stored.size_kb else file.size_kb end as size_kb
        from wanted
        full join account.vault_item as stored using (version_id)
        left join (select distinct version_id from star.dim_model_version) as known using (version_id)
        left join (
            select version_id, case when count(*) = count(size_kb) then sum(size_kb) end as size_kb
            from star.dim_file where removed_on is null group by version_id
        ) as file using (version_id)
        order by version_id
        """
    ).pl()
    add = rows.filter(pl.col("is_wanted") & ~pl.col("is_stored"))
    remove = rows.filter(~pl.col("is_wanted"))
    keep = rows.filter(pl.col("is_wanted") & pl.col("is_stored"))
    return Plan(
        id=uuid.uuid4().hex,
        made_at=datetime.now(UTC),
        api_url=api_url,
        user_id=user_id,
        query=query,
        vault_as_of=observed_at,
        add=add["version_id"].to_list(),
        remove=remove["version_id"].to_list(),
        keep=keep["version_id"].to_list(),
        unknown_versions=add.filter(~pl.col("is_known"))["version_id"].to_list(),
        quota=Quota(
            storage_kb=storage_kb,
            used_kb=used_kb,
            added_kb=add["size_kb"].sum(),
            freed_kb=remove["size_kb"].sum(),
            unknown_sizes=add["size_kb"].null_count() + remove["size_kb"].null_count(),
        ),
    )


def _pretty(made: Plan) -> str:
    return msgspec.json.format(msgspec.json.encode(made), indent=1).decode() + "\n"


def read_plan(settings: Settings) -> Plan:
    """The plan that was made last.

    Raises:
        VaultError: there is none, or it cannot be read.
    """
    path = settings.directory.account / "plan.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=Plan)
    except FileNotFoundError:
        raise VaultError(f"There is no plan at {path}: make one with `civitai-etl vault plan --sql ...`.") from None
    except OSError as error:
        raise VaultError(f"{path} cannot be read ({error.strerror}): move it away and make a plan again.") from None
    except msgspec.MsgspecError as error:
        raise VaultError(f"{path} is not a plan ({error}): make one with `civitai-etl vault plan --sql ...`.") from None


# ---------------------------------------------------------------------------------------------------------- applying


def rehearse(settings: Settings) -> list[Change]:
    """What `apply` would toggle now: the changes of the plan that the vault does not show yet. Nothing is changed.

    Raises:
        VaultError: the plan is for another member or service.
        CivitaiEtlError: as for `pull`.
    """
    member = MemberOfKey(settings)
    planned = read_plan(settings)
    _check_member(member, planned, settings)
    stored = member.stored_versions()
    return [change for change in planned.changes if (change.version_id in stored) != change.stored]


def apply(settings: Settings, progress: Progress = Silent(), *, wait: bool = False) -> Applied:
    """Toggle versions until the vault agrees with the plan, then store the account again.

    After a kill, a second run continues; no version is toggled twice (`pipelines.vault.sync`). With `wait` it waits for
    another writer.

    Raises:
        VaultError: the plan is for another member or service.
        CivitaiEtlError: as for `pull`.
    """
    member = MemberOfKey(settings, progress)
    wait_seconds = settings.wait_seconds if wait else 0.0
    with writer_lock(settings.directory.account, wait_seconds=wait_seconds, progress=progress):
        planned = read_plan(settings)
        _check_member(member, planned, settings)
        with open_write_ahead_log(settings.directory.account / "journal.ndjson") as log:
            longest_attempt = timedelta(seconds=member.client.longest_attempt_seconds)
            sync = VaultSync(member, log, planned.id, longest_attempt, settings.max_attempts)
            outcomes = sync.run(planned.changes, progress)
        try:
            _store(settings, fetch_member(member, progress), progress, wait_seconds)
        except LockedError as error:
            progress.note(f"the account tables are not updated ({error}); run `civitai-etl vault pull` later")
            return Applied(outcomes, refreshed=False)
    return Applied(outcomes, refreshed=True)


def _check_member(member: MemberOfKey, planned: Plan, settings: Settings) -> None:
    document, _ = member.me()
    try:
        user_id = msgspec.json.decode(document, type=Me).id
    except UNREADABLE as error:
        raise VaultError(f"The answer of /me cannot be read: {error}.") from None
    if (planned.api_url, planned.user_id) != (settings.api_url, user_id):
        raise VaultError(
            f"The plan is for member {planned.user_id} of {planned.api_url}, the key belongs to member {user_id} of "
            f"{settings.api_url}: pull and plan again."
        )


# --------------------------------------------------------------------------------------------------------- rendering


def plan_lines(made: Plan) -> list[str]:
    """The plan as text."""
    lines = [
        (
            f"Vault as of {made.vault_as_of:%Y-%m-%d %H:%M} UTC: add {len(made.add):,}, remove {len(made.remove):,}, "
            f"{len(made.keep):,} are there already."
        ),
        made.quota.line(),
    ]
    if made.unknown_versions:
        some = ", ".join(map(str, made.unknown_versions[:5]))
        lines.append(f"{len(made.unknown_versions):,} of them are in no published table, such as {some}.")
    return lines + change_lines(made.changes)


def change_lines(changes: Sequence[Change]) -> list[str]:
    """The first changes, one per line."""
    lines = [f"  {change}" for change in changes[:_SHOWN]]
    return lines + ([f"  ... and {len(changes) - _SHOWN:,} more"] if len(changes) > _SHOWN else [])


def applied_lines(applied: Applied) -> list[str]:
    """The outcome of a plan: the counts, and each change that was not settled."""
    counts: dict[str, int] = {}
    for outcome in applied.outcomes:
        counts[outcome.result] = counts.get(outcome.result, 0) + 1
    summary = ", ".join(f"{count:,} {result}" for result, count in counts.items()) or "nothing to do"
    verdict = "vault and plan agree" if applied.is_settled else "VAULT AND PLAN DO NOT AGREE"
    lines = [f"{summary}: {verdict}."]
    return lines + [
        f"  {outcome.change}: {outcome.result}: {outcome.why}" for outcome in applied.outcomes if not outcome.is_settled
    ]
