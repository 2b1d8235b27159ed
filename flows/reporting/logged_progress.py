"""Progress as records of the log: every note, and how far each phase is, with its pace and the time left."""

import logging
import time
from collections.abc import Mapping
from typing import Self

from flows.reporting.logs import LOG, Extent
from pipelines.progress import Problem, Progress, Silent, duration

#: Seconds between two records of one phase.
INTERVAL = 10.0
#: A rate needs at least so many seconds.
_LEAST_SECONDS = 0.5


class LoggedProgress:
    """One record per phase when it ends, and one every `interval` seconds while it lasts. Another `listener`, which
    draws, gets each update.

    `latest` is what the last update said. `seconds` is the time that each phase took: between two updates it belongs to
    the later one, because updates tell what was done.
    """

    def __init__(self, listener: Progress = Silent(), interval: float = INTERVAL) -> None:
        self.seconds: dict[str, float] = {}
        self._listener = listener
        self._interval = interval
        self._phase: str | None = None
        self._began = self._last_record = self._last_update = time.monotonic()
        self._done_before = 0
        self._expected: Mapping[str, int] = {}
        self.latest: Extent | None = None
        self._is_new = False

    def update(self, phase: str, done: int, total: int | None = None, unit: str = "items") -> None:
        now = time.monotonic()
        self._take_time(phase, now)
        if phase != self._phase:
            self._flush()
            self._phase, self._began, self._last_record, self._done_before = phase, now, now, done
        expected = self._expected.get(phase) if total is None else None
        self.latest, self._is_new = (
            Extent(phase, done, total, unit, self._rate(done, now - self._began), expected),
            True,
        )
        self._listener.update(phase, done, total, unit)
        if now - self._last_record >= self._interval:
            self._flush()
            self._last_record = now

    def note(self, message: str) -> None:
        self._flush()
        level = logging.WARNING if isinstance(message, Problem) else logging.INFO
        LOG.log(level, "%s", message, extra={"phase": self._phase})

    def expect(self, amounts: Mapping[str, int]) -> None:
        """Phases without a total are expected to have about so many."""
        self._expected = amounts

    def rest(self, phase: str) -> None:
        """A step ends. Its time since the last update belongs to `phase`, which has no updates of its own."""
        self._flush()
        self._take_time(phase, time.monotonic())

    def _rate(self, done: int, seconds: float) -> float | None:
        # A crawl that goes on begins with what it had done before.
        return (done - self._done_before) / seconds if seconds >= _LEAST_SECONDS and done > self._done_before else None

    def _take_time(self, phase: str, now: float) -> None:
        self.seconds[phase] = self.seconds.get(phase, 0.0) + now - self._last_update
        self._last_update = now

    def _flush(self) -> None:
        if self.latest and self._is_new:
            LOG.info("%s", extent_line(self.latest), extra={"extent": self.latest})
            self._is_new = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.rest("the rest")
        if self._phase is not None:
            LOG.debug("Seconds: %s", ", ".join(f"{phase} {took:.1f}" for phase, took in slowest(self.seconds)))


def extent_line(extent: Extent) -> str:
    """`models: 1,000 of 4,000 items, 50 items/s, 1 min left`."""
    about = extent.expected if extent.expected and extent.done < extent.expected else None
    amount = amount_of(extent.done, extent.total, extent.unit)
    if about:
        amount = f"{extent.done:,} of about {about:,} {extent.unit}"
    return f"{extent.phase}: {amount}{pace(extent.done, extent.total or about, extent.unit, extent.rate)}"


def amount_of(done: int, total: int | None, unit: str) -> str:
    return f"{done:,} {unit}" if total is None else f"{done:,} of {total:,} {unit}"


def pace(done: int, total: int | None, unit: str, rate: float | None) -> str:
    """The rate and, if the total is known, the time left."""
    if not rate:
        return ""
    text = f", {rate:,.0f} {unit}/s" if rate >= 10 else f", {rate:.1f} {unit}/s"
    if total is not None and done < total:
        text += f", {duration((total - done) / rate)} left"
    return text


def slowest(seconds: dict[str, float]) -> list[tuple[str, float]]:
    """Phases with their seconds, the slowest first."""
    return sorted(seconds.items(), key=lambda each: -each[1])
