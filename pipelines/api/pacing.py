"""The request budget, the back-off between retries, and how long a service that does not answer is retried."""

import math
import random
import threading
import time
from collections import deque
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from pipelines.api.moments import http_date
from pipelines.progress import Progress
from pipelines.settings import Service
from pipelines.storage.lock import SafePoint, go_on

_FIRST_WAIT, _LONGEST_WAIT = 1.0, 60.0
#: A server that restarts is back within a second.
_FIRST_WAIT_REFUSED = 0.2
#: Shorter pauses are not reported.
_TRIVIAL_PAUSE = 5.0
#: Seconds between two safe points of a pause.
_SAFE_POINT_INTERVAL = 1.0
#: How the rate recovers after an overload: shares of the budget.
_CALM_ANSWERS, _RECOVERY, _SLOWEST = 10, 1 / 8, 1 / 16


class RequestBudget:
    """A token bucket of capacity one: requests start at least `1 / per_second` apart; 0 is no budget.

    As a context manager it waits until a request may start, and blocks any other request until this one has ended, so
    all clients that share it send one at a time. No window of one second has more than `per_second` requests, wherever
    in it they arrive. Every `slow_down` halves the rate; after every ten answers without overload it recovers by an
    eighth of the budget.
    """

    def __init__(self, per_second: float) -> None:
        self._per_second = per_second
        self._share = 1.0
        self._calm = 0
        self._last = self._paused_until = -math.inf
        # A request reaches the service at any moment until it is answered, so the window counts from its answer.
        self._window = max(1.0, 1 / per_second) if per_second else 0.0
        self._answered: deque[float] = deque(maxlen=max(1, int(per_second)))
        self._turn = threading.Lock()

    def __enter__(self) -> None:
        self._turn.acquire()
        try:
            self._wait()
        except BaseException:
            self._turn.release()
            raise

    def __exit__(self, *_: object) -> None:
        self._answered.append(time.monotonic())
        self._calm += 1
        if self._calm == _CALM_ANSWERS:
            self._calm, self._share = 0, min(1.0, self._share + _RECOVERY)
        self._turn.release()

    def _wait(self) -> None:
        start = self._paused_until
        if self._per_second:
            start = max(start, self._last + 1 / (self._per_second * self._share))
        if len(self._answered) == self._answered.maxlen:
            start = max(start, self._answered[0] + self._window)
        if (wait := start - time.monotonic()) > 0:
            time.sleep(wait)
        self._last = time.monotonic()

    def slow_down(self) -> None:
        """The service reports overload."""
        self._calm, self._share = 0, max(_SLOWEST, self._share / 2)

    def pause(self, seconds: float) -> None:
        """No request may start for so many seconds."""
        self._paused_until = max(self._paused_until, time.monotonic() + seconds)


#: One budget for each service (host and port, and what it is allowed), shared by all clients of the process.
_BUDGETS: dict[tuple[str, float], RequestBudget] = {}


def budget_of(service: Service) -> RequestBudget:
    per_second = service.requests_per_second
    return _BUDGETS.setdefault((urlsplit(service.api_url).netloc, per_second), RequestBudget(per_second))


class Patience:
    """How long to retry a service that does not answer: `seconds` since the first request without a good answer.

    Each pause is reported to `progress`, and `safe_point` is called throughout it.
    """

    def __init__(self, seconds: float, progress: Progress, safe_point: SafePoint = go_on) -> None:
        self._seconds = seconds
        self._progress = progress
        self._safe_point = safe_point
        self._since: float | None = None

    def begin(self) -> None:
        """A request begins."""
        if self._since is None:
            self._since = time.monotonic()

    def end(self) -> None:
        """There is a good answer."""
        self._since = None

    @property
    def spent(self) -> float:
        """Seconds of retrying so far."""
        return 0.0 if self._since is None else time.monotonic() - self._since

    @property
    def left(self) -> float:
        """Seconds of retrying that are left."""
        return max(0.0, self._seconds - self.spent)

    def pause(self, seconds: float, why: str) -> None:
        """Wait, but not beyond the end; there the last attempt follows."""
        seconds = min(seconds, self.left)
        if seconds >= _TRIVIAL_PAUSE:
            until = datetime.now(UTC) + timedelta(seconds=self.left)
            self._progress.note(f"{why}; trying again in {seconds:.0f} s, until {until:%H:%M} UTC")
        ends = time.monotonic() + seconds
        while (left := ends - time.monotonic()) > 0:
            self._safe_point()
            time.sleep(min(left, _SAFE_POINT_INTERVAL))


def back_off(attempt: int, *, is_refused: bool = False) -> float:
    """Seconds to wait after a failed attempt; with `is_refused` nobody listened."""
    first = _FIRST_WAIT_REFUSED if is_refused else _FIRST_WAIT
    jitter = random.uniform(0.5, 1)  # noqa: S311 - spreads retries, guards nothing
    # Doubling ends where it is the longest, or the number would have no room.
    return min(_LONGEST_WAIT, first * 2.0 ** min(attempt - 1, 30)) * jitter


def retry_after(value: str | None, answered_at: datetime) -> float:
    """The minimum wait in seconds: sent as such, or as a date by the clock of the service."""
    if value is None:
        return 0.0
    if value.strip().isdecimal():
        return float(value)
    until = http_date(value)
    return 0.0 if until is None else max(0.0, (until - answered_at).total_seconds())
