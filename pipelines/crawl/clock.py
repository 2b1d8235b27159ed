"""The time of a crawl, by the service's clock: when it started, when the last answer came, and when it ended."""

from datetime import UTC, date, datetime, timedelta

from pipelines.errors import CivitaiEtlError
from pipelines.settings import Service

#: Clocks that are further apart may not agree on the date.
_TOLERANCE = timedelta(hours=1)


class ClockError(CivitaiEtlError):
    """The service's clock and this machine's disagree, so the date of a snapshot is unknown."""


class CrawlClock:
    """The clock of the crawl of a date; `started_at` is that of a crawl to resume."""

    def __init__(self, snapshot_date: date, service: Service, started_at: datetime | None) -> None:
        self.started_at = started_at
        self.last_answer = started_at
        self._snapshot_date = snapshot_date
        self._service = service

    def note(self, answered_at: datetime) -> None:
        """An answer came; with the first one the crawl starts.

        Raises:
            ClockError: the clocks disagree.
        """
        self.last_answer = answered_at
        if self.started_at is None:
            check_clocks(answered_at, self._service)
            self.started_at = self._start(answered_at)

    @property
    def finished_at(self) -> datetime | None:
        """When a crawl that is finished has ended."""
        if self.last_answer is None or self.started_at is None:
            return None
        return max(self.last_answer, self.started_at)

    def _start(self, first_answer: datetime) -> datetime:
        begin = datetime.combine(self._snapshot_date, datetime.min.time(), UTC)
        end = begin + timedelta(days=1)
        if end <= first_answer < end + timedelta(hours=1):  # requested before midnight, answered after it
            return end - timedelta(microseconds=1)
        return first_answer if begin <= first_answer < end else begin


def check_clocks(answered_at: datetime, service: Service) -> None:
    """Check that the service's clock agrees with this machine's; an emulator's clock may show any time.

    Raises:
        ClockError: they are more than an hour apart.
    """
    now = datetime.now(UTC)
    if abs(answered_at - now) > _TOLERANCE and not service.is_loopback:
        raise ClockError(
            f"The clock of {service.api_url} says {answered_at:%Y-%m-%d %H:%M} UTC and that of this machine "
            f"{now:%Y-%m-%d %H:%M}: the snapshot date would be wrong. Set this machine's clock, then run again."
        )
