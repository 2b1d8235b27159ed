"""The control endpoint, outside /api/v1: sets the clock and the membership, and tells the simulator's own account."""

from datetime import date
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from emulator.account import account, changes, live_account
from emulator.api import json_response
from emulator.clock import Clock
from emulator.live_api import LiveApi
from emulator.member import QUOTA_KB, Member
from emulator.parameters import BadParameterError


def control_routes(clock: Clock, member: Member, live: LiveApi | None) -> list[Route]:
    """The routes of the control endpoint.

    * `/control/clock`: GET; PUT or POST {"date": "YYYY-MM-DD"}
    * `/control/member`: GET; PUT or POST {"tier": "Free" | "Founder" | "Bronze" | "Silver" | "Gold"}
    * `/control/account?date=D`: `emulator.account.account`, by default of the clock's date; in the live dialect
      `emulator.account.live_account`
    * `/control/changes?from=D1&to=D2`: `emulator.account.changes`
    """

    async def show_or_set_clock(request: Request) -> Response:
        if request.method in ("PUT", "POST"):
            clock.set(_date(await _setting(request, "date", "YYYY-MM-DD")))
        return _json({"date": clock.today.isoformat()})

    async def show_or_set_member(request: Request) -> Response:
        if request.method in ("PUT", "POST"):
            tier = await _setting(request, "tier", "Silver")
            if tier not in QUOTA_KB:
                raise BadParameterError(f"the tier must be one of {', '.join(QUOTA_KB)}, not {tier!r}")
            member.tier = tier
        return _json({"tier": member.tier, "quotaKb": member.quota_kb, "usedKb": member.used_kb})

    async def tell_account(request: Request) -> Response:
        on = request.query_params.get("date")
        day = clock.simulated(_date(on) if on else clock.today)
        return _json(account(day) if live is None else live_account(live.live_day(day)))

    async def tell_changes(request: Request) -> Response:
        since, until = (_date(request.query_params.get(name, "")) for name in ("from", "to"))
        if since > until:
            raise BadParameterError(f"from ({since}) is later than to ({until})")
        return _json(changes(clock.simulated(since), clock.simulated(until)))

    return [
        Route("/control/clock", show_or_set_clock, methods=["GET", "PUT", "POST"]),
        Route("/control/member", show_or_set_member, methods=["GET", "PUT", "POST"]),
        Route("/control/account", tell_account),
        Route("/control/changes", tell_changes),
    ]


async def _setting(request: Request, name: str, example: str) -> str:
    """The one value of a body that sets something."""
    try:
        return msgspec.json.decode(await request.body(), type=dict[str, str])[name]
    except (msgspec.MsgspecError, KeyError):
        raise BadParameterError(f'the body must be like {{"{name}": "{example}"}}') from None


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise BadParameterError(f"{text!r} is not a date like 2026-01-31") from None


def _json(value: Any) -> Response:
    return json_response(msgspec.json.encode(value))
