"""Decisions about snapshot dates: which crawls do not count, and which collapse of a counter is real.

Decisions are rows of `raw.decisions`, in order, and never change. Every build and rebuild reads them, so all agree. The
checks of a build refuse a date; a person excludes or includes one. A refused or excluded crawl stays in raw and does
not count; its date is a gap and may be crawled again.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pyarrow as pa

from pipelines.errors import CivitaiEtlError
from pipelines.raw.tables import DECISIONS, SCHEMA_NAME, Verdict
from pipelines.raw.warehouse import connect, crawls, has_table, writer_config

#: A crawl with one of these does not count.
LEAVES_OUT: tuple[Verdict, ...] = ("refused", "excluded")


class DecisionError(CivitaiEtlError):
    """There is nothing to decide, or the reason is missing."""


@dataclass(frozen=True)
class Decision:
    """A row of `raw.decisions`."""

    number: int
    decided_at: datetime
    verdict: Verdict
    snapshot_date: date
    crawl_ids: tuple[str, ...]
    counter: str | None
    reason: str


def decisions(connection: duckdb.DuckDBPyConnection) -> list[Decision]:
    """All decisions, oldest first."""
    if not has_table(connection, DECISIONS):
        return []
    columns = ", ".join(DECISIONS.schema.names)
    rows = connection.execute(f"select {columns} from {DECISIONS.qualified_name} order by number").fetchall()
    return [Decision(number, at, verdict, on, tuple(ids), *rest) for number, at, verdict, on, ids, *rest in rows]


def left_out(taken: Iterable[Decision]) -> dict[str, Decision]:
    """The crawls that do not count, each with the decision that excludes it."""
    out: dict[str, Decision] = {}
    for decision in taken:
        for crawl_id in decision.crawl_ids:
            if decision.verdict in LEAVES_OUT:
                out[crawl_id] = decision
            else:
                out.pop(crawl_id, None)
    return out


def next_decision(
    taken: Sequence[Decision],
    verdict: Verdict,
    on: date,
    reason: str,
    *,
    crawl_ids: Iterable[str] = (),
    counter: str | None = None,
) -> Decision:
    """The decision that follows those that were taken; it is not stored yet.

    Raises:
        DecisionError: the reason is blank.
    """
    if not reason.strip():
        raise DecisionError("A decision is kept with its reason: say in a few words why.")
    number = taken[-1].number + 1 if taken else 1
    return Decision(number, datetime.now(UTC), verdict, on, tuple(crawl_ids), counter, reason)


def store(warehouse: Path, new: Sequence[Decision]) -> None:
    """Adds decisions to raw. The caller holds the writer lock and has no other connection to the file."""
    if not new:
        return
    rows = pa.Table.from_pylist([asdict(decision) for decision in new], schema=DECISIONS.schema)
    with duckdb.connect(str(warehouse), config=writer_config()) as connection:
        connection.execute(f"create schema if not exists {SCHEMA_NAME}")
        connection.register("new", rows)
        connection.execute(f"create table if not exists {DECISIONS.qualified_name} as from new limit 0")
        connection.execute(f"insert into {DECISIONS.qualified_name} from new")


def exclude(warehouse: Path, on: date, reason: str) -> Decision:
    """Decides that the crawls of a date do not count, or that an excluded date stays excluded.

    Raises:
        DecisionError: the date has no crawl.
    """
    return _decide(warehouse, "excluded", on, reason)


def include(warehouse: Path, on: date, reason: str) -> Decision:
    """Decides that a date counts: its crawls that count already or, if none does, those that were excluded last. The
    checks that refused it are waived from now on.

    Raises:
        DecisionError: the date has no crawl.
    """
    return _decide(warehouse, "included", on, reason)


def accept(warehouse: Path, on: date, counter: str, reason: str) -> Decision:
    """Decides that the collapse of a counter on a date is real."""
    taken, _ = _of_date(warehouse, on)
    decision = next_decision(taken, "accepted", on, reason, counter=counter)
    store(warehouse, [decision])
    return decision


def _decide(warehouse: Path, verdict: Verdict, on: date, reason: str) -> Decision:
    taken, of_date = _of_date(warehouse, on)
    out = left_out(taken)
    standing = [crawl_id for crawl_id in of_date if crawl_id not in out]
    decision = next_decision(taken, verdict, on, reason, crawl_ids=standing or _left_out_last(taken, on))
    store(warehouse, [decision])
    return decision


def _of_date(warehouse: Path, on: date) -> tuple[list[Decision], list[str]]:
    """All decisions, and the crawls of a date."""
    with connect(warehouse) as connection:
        taken = decisions(connection)
        of_date = [row.crawl_id for row in crawls(connection) if row.snapshot_date == on]
    if not of_date:
        raise DecisionError(f"There is no snapshot of {on} in the raw data: `civitai-etl status` lists the dates.")
    return taken, of_date


def _left_out_last(taken: Sequence[Decision], on: date) -> tuple[str, ...]:
    """The crawls that the last decision on a date excluded: earlier ones were replaced by new crawls."""
    return next(each.crawl_ids for each in reversed(taken) if each.snapshot_date == on and each.verdict in LEAVES_OUT)
