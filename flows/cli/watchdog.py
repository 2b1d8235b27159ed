"""Checks that the server and the runs of `civitai-etl serve` work, and reports what does not, so that `serve` can end.

A Prefect server can answer and still not work: its scheduler can fail every minute and report it only in its log. So
the checks look at results: schedules have a next run, and a run begins when it is due. If `serve` started the server,
its log is read, too. A problem may pass, for example on a busy machine. Only a problem that lasts ends `serve`.
"""

import asyncio
import os
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

import httpx
from croniter import croniter
from prefect import get_client
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import DeploymentStatus, StateType
from prefect.client.schemas.schedules import CronSchedule
from prefect.client.schemas.sorting import FlowRunSort
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_API_URL

from flows.cli.prefect_server import refusal
from pipelines.errors import CivitaiEtlError

#: Seconds that the server has to answer.
_ANSWER = 30.0
#: Prefect schedules a hundred days ahead. A schedule whose next run is later may have none yet.
_HORIZON = timedelta(days=90)
#: Seconds for which a service counts as failing after an error. The important loops run once a minute.
_ERROR_LASTS = 90.0
#: An error of a background service: its part, and its function if the line has it.
_SERVICE_ERROR = re.compile(
    r"\| (?:ERROR|CRITICAL) +\| (?P<part>(?:docket|prefect\.server[\w.]*\.services)[\w.]*) - "
    r"(?:\S+ \[[^\]]*\] (?P<function>\w+)\()?"
)


class NoAnswerError(CivitaiEtlError):
    """The Prefect server does not answer, or not with what was asked for."""


@dataclass(frozen=True)
class Seen:
    """A deployment as the server shows it: whether a runner asks for its runs, whether a run is at work, the cron
    expressions of its active schedules, when its next run begins, and when an overdue run should have begun.
    """

    name: str
    is_registered: bool = True
    is_served: bool = True
    is_running: bool = False
    crons: tuple[str, ...] = ()
    next_run: datetime | None = None
    overdue: datetime | None = None


def amiss(seen: Sequence[Seen], now: datetime) -> set[str]:
    """What is wrong with the deployments, in sentences. While one is at work, the others may wait."""
    found = set()
    for one in seen:
        if not one.is_registered:
            found.add(f"{one.name} is not registered at the Prefect server")
        if one.next_run is None and any(_asks_for_a_run(cron, now) for cron in one.crons):
            found.add(f"{one.name} has a schedule but no next run")
        if one.overdue and not any(other.is_running for other in seen):
            found.add(f"{one.name} was due at {one.overdue:%Y-%m-%d %H:%M:%S} UTC and has not begun")
    return found


def _asks_for_a_run(cron: str, now: datetime) -> bool:
    begins: datetime = croniter(cron, now).get_next(datetime)
    return begins < now + _HORIZON


def failing_services(log: str) -> set[str]:
    """The background services that report an error in this piece of a server's log."""
    return {match["function"] or match["part"] for match in _SERVICE_ERROR.finditer(log)}


def lasting(since: Mapping[str, float], found: Iterable[str], now: float) -> dict[str, float]:
    """When each of these problems began. A problem that went away begins again."""
    return {sentence: since.get(sentence, now) for sentence in found}


@dataclass
class ServerLog:
    """The log of a server that `serve` started. Each check reads only what is new, also in the file that has become an
    old one since (`flows.cli.server_log`).
    """

    path: Path
    _file: BinaryIO | None = None
    _unfinished: bytes = b""
    _errors: dict[str, float] = field(default_factory=dict)

    def skip(self) -> None:
        """Leave out what is there: it is of an earlier server."""
        self._read()
        self._unfinished = b""

    def amiss(self, now: float) -> set[str]:
        """The services with a recent error, in sentences."""
        whole, newline, unfinished = (self._unfinished + self._read()).rpartition(b"\n")
        # An unfinished line is left for the next check.
        self._unfinished = unfinished
        self._errors |= dict.fromkeys(failing_services((whole + newline).decode(errors="replace")), now)
        return {
            f"The background service {name} of the Prefect server fails again and again (see {self.path})"
            for name, last in self._errors.items()
            if now - last < _ERROR_LASTS
        }

    def _read(self) -> bytes:
        new = self._file.read() if self._file else b""
        with suppress(FileNotFoundError):  # the server has written nothing yet
            if self._file is None or not os.path.samestat(os.fstat(self._file.fileno()), self.path.stat()):
                if self._file:
                    self._file.close()
                self._file = self.path.open("rb")
                new += self._file.read()
        return new


async def look(names: Iterable[str]) -> list[Seen]:
    """What the server of this process (`PREFECT_API_URL`) shows for these deployments.

    Raises:
        NoAnswerError: it does not answer, or refuses to.
    """
    try:
        async with asyncio.timeout(_ANSWER), get_client() as client:
            return [await _look_at(client, name) for name in names]
    except httpx.HTTPStatusError as error:
        raise NoAnswerError(refusal(PREFECT_API_URL.value(), error.response.status_code)) from error
    except (TimeoutError, httpx.HTTPError) as error:
        raise NoAnswerError(f"The Prefect server at {PREFECT_API_URL.value()} does not answer") from error


async def _look_at(client: PrefectClient, name: str) -> Seen:
    try:
        row = await client.read_deployment_by_name(name)
    except ObjectNotFound:
        return Seen(name, is_registered=False)
    active = [] if row.paused else [schedule.schedule for schedule in row.schedules if schedule.active]
    this = DeploymentFilter(id=DeploymentFilterId(any_=[row.id]))
    at_work = _in_state(StateType.PENDING, StateType.RUNNING, StateType.CANCELLING)
    now = datetime.now(UTC)

    async def first(**when: Mapping[str, datetime]) -> datetime | None:
        runs = await client.read_flow_runs(
            deployment_filter=this,
            flow_run_filter=FlowRunFilter.model_validate({"state": _in_state(StateType.SCHEDULED), **when}),
            sort=FlowRunSort.NEXT_SCHEDULED_START_TIME_ASC,
            limit=1,
        )
        return runs[0].next_scheduled_start_time if runs else None

    return Seen(
        name,
        is_served=row.status is DeploymentStatus.READY,
        is_running=await client.count_flow_runs(deployment_filter=this, flow_run_filter=FlowRunFilter(state=at_work))
        > 0,
        crons=tuple(schedule.cron for schedule in active if isinstance(schedule, CronSchedule)),
        next_run=await first(expected_start_time={"after_": now}),
        overdue=await first(next_scheduled_start_time={"before_": now}),
    )


def _in_state(*types: StateType) -> FlowRunFilterState:
    return FlowRunFilterState(type=FlowRunFilterStateType(any_=list(types)))


async def watch(
    names: Sequence[str], log: Path | None, ended: Callable[[], str | None], *, pause: float, patience: float
) -> str:
    """Check these deployments until the same problem has lasted `patience` seconds; returns it in a sentence.

    There are `pause` seconds between two checks. `log` is the log of our own server, and `ended` says whether that
    server has ended.
    """
    server_log = ServerLog(log) if log else None
    if server_log:
        server_log.skip()
    since: dict[str, float] = {}
    while True:
        try:
            found = amiss(await look(names), datetime.now(UTC))
        except NoAnswerError as error:
            found = {str(error)}
        now = time.monotonic()
        if server_log:
            found |= server_log.amiss(now)
        since = lasting(since, found, now)
        for sentence, first in since.items():
            if now - first >= patience:
                return f"{sentence}, for {now - first:.0f} seconds."
        while time.monotonic() < now + pause:
            if reason := ended():
                return reason
            await asyncio.sleep(0.5)
