"""Moments as the service writes them: some have no zone, and mean UTC (docs/api-notes.md, 0.9)."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


def with_zone(moment: datetime) -> datetime:
    """The moment in its zone, or in UTC if it names none."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def http_date(value: str | None) -> datetime | None:
    """The moment of an HTTP header in UTC; None if it cannot be read."""
    try:
        return with_zone(parsedate_to_datetime(value or "")).astimezone(UTC)
    except (ValueError, OverflowError):  # OverflowError: by its own time zone it lies beyond the last year
        return None
