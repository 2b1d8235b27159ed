"""Names of runs, as Prefect's lists show them: with the date that a run is for, or the moment of its begin (UTC)."""

from datetime import UTC, date, datetime
from typing import Any

from prefect.context import FlowRunContext


def of_snapshot() -> str:
    """`snapshot 2026-01-31`."""
    return f"snapshot {_parameters()['snapshot_date'] or _began().date()}"


def of_refresh() -> str:
    """`refresh 2026-01-31 04:30`."""
    return f"refresh {_began():%Y-%m-%d %H:%M}"


def of_rebuild() -> str:
    """`rebuild`, or `rebuild 2026-01-01 to 2026-01-31`."""
    first, last = _parameters()["from_date"], _parameters()["to_date"]
    return f"rebuild {_or(first, 'the first date')} to {_or(last, 'the last')}" if first or last else "rebuild"


def of_vault() -> str:
    """`plan of the vault 2026-01-31 04:30`, or `vault ...` if it is changed."""
    return f"{'vault' if _parameters()['apply'] else 'plan of the vault'} {_began():%Y-%m-%d %H:%M}"


def _or(on: date | None, otherwise: str) -> str:
    return str(on) if on else otherwise


def _parameters() -> dict[str, Any]:
    return _context().parameters or {}


def _began() -> datetime:
    """When the first attempt of the run began; it begins now if it has not."""
    run = _context().flow_run
    return run.start_time.astimezone(UTC) if run and run.start_time else datetime.now(UTC)


def _context() -> FlowRunContext:
    context = FlowRunContext.get()
    assert context is not None
    return context
