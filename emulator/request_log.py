"""The log of requests and answers, for tests that check budgets, Retry-After and retries."""

import re
import time
from collections import deque
from dataclasses import dataclass

#: Older requests are dropped.
_KEPT = 200_000


@dataclass(frozen=True, slots=True)
class Logged:
    """A request: its place in the log from 1, and when it came and was answered, in seconds since 1970."""

    number: int
    method: str
    request: str
    status: int | None
    fault: str | None
    at: float
    until: float

    def fields(self) -> dict[str, object]:
        return {name: getattr(self, name) for name in self.__slots__}


class RequestLog:
    """The requests below /api/v1, oldest first. `status` is None without an answer, `fault` is the ordered fault."""

    def __init__(self) -> None:
        self._requests: deque[Logged] = deque(maxlen=_KEPT)
        self._count = 0

    def add(self, method: str, request: str, status: int | None, fault: str | None, at: float) -> None:
        self._count += 1
        shown = re.sub(r"(?<=[?&]token=)[^&]*", "***", request)
        self._requests.append(Logged(self._count, method, shown, status, fault, at, time.time()))

    def since(self, number: int) -> list[dict[str, object]]:
        """The requests after that number."""
        return [logged.fields() for logged in self._requests if logged.number > number]
