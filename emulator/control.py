"""The control endpoint, outside /api/v1: sets clock, membership and faults, and reports the true state."""

from datetime import date

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from emulator.clock import Clock
from emulator.faults import BadFaultsError
from emulator.faulty import Faulty
from emulator.member import QUOTA_KB, Member
from emulator.parameters import BadParameterError, integer
from emulator.routes.live.service import LiveService
from emulator.routes.spec import json_response
from emulator.truth import account, changes, live_account, live_changes


class Control:
    """The routes of the control endpoint.

    * `/control/clock`: GET; PUT or POST {"date": "YYYY-MM-DD"}
    * `/control/member`: GET; PUT or POST {"tier": "Free" | "Founder" | "Bronze" | "Silver" | "Gold"}
    * `/control/account?date=D`: `emulator.truth.account`, by default of the clock's date; in the live dialect
      `emulator.truth.live_account`
    * `/control/faults`: GET; PUT or POST {"faults": SPEC} in the language of `emulator.faults`, "" for none
    * `/control/requests?since=N`: the requests below /api/v1 after the Nth (`emulator.request_log.Logged`)
    * `/control/changes?from=D1&to=D2`: `emulator.truth.changes`, or `live_changes`
    """

    def __init__(self, clock: Clock, member: Member, live: LiveService | None, faulty: Faulty) -> None:
        self._clock = clock
        self._member = member
        self._live = live
        self._faulty = faulty

    def routes(self) -> list[Route]:
        return [
            Route("/control/clock", self.show_or_set_clock, methods=["GET", "PUT", "POST"]),
            Route("/control/member", self.show_or_set_member, methods=["GET", "PUT", "POST"]),
            Route("/control/faults", self.show_or_order_faults, methods=["GET", "PUT", "POST"]),
            Route("/control/requests", self.tell_requests),
            Route("/control/account", self.tell_account),
            Route("/control/changes", self.tell_changes),
        ]

    async def show_or_set_clock(self, request: Request) -> Response:
        if request.method in ("PUT", "POST"):
            self._clock.set(_date(await _setting(request, "date", "YYYY-MM-DD")))
        return _json({"date": self._clock.today.isoformat()})

    async def show_or_set_member(self, request: Request) -> Response:
        if request.method in ("PUT", "POST"):
            tier = await _setting(request, "tier", "Silver")
            if tier not in QUOTA_KB:
                raise BadParameterError(f"the tier must be one of {', '.join(QUOTA_KB)}, not {tier!r}")
            self._member.tier = tier
        return _json({"tier": self._member.tier, "quotaKb": self._member.quota_kb, "usedKb": self._member.used_kb})

    async def show_or_order_faults(self, request: Request) -> Response:
        if request.method in ("PUT", "POST"):
            try:
                self._faulty.order(await _setting(request, "faults", "503 nth=3; reset chance=0.01"))
            except BadFaultsError as error:
                raise BadParameterError(str(error)) from None
        struck = {rule.text: rule.struck for rule in self._faulty.faults.rules}
        return _json({"faults": self._faulty.faults.text, "struck": struck})

    async def tell_requests(self, request: Request) -> Response:
        since = integer(0)("since", [request.query_params.get("since", "0")])
        return _json({"requests": self._faulty.log.since(since)})

    async def tell_account(self, request: Request) -> Response:
        on = request.query_params.get("date")
        day = self._clock.simulated(_date(on) if on else self._clock.today)
        return _json(account(day) if self._live is None else live_account(self._live.live_day(day)))

    async def tell_changes(self, request: Request) -> Response:
        since, until = (_date(request.query_params.get(name, "")) for name in ("from", "to"))
        if since > until:
            raise BadParameterError(f"from ({since}) is later than to ({until})")
        before, after = self._clock.simulated(since), self._clock.simulated(until)
        if self._live is not None:
            return _json(live_changes(self._live.live_day(before), self._live.live_day(after)))
        return _json(changes(before, after))


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


def _json(value: object) -> Response:
    return json_response(msgspec.json.encode(value))
