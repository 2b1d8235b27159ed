"""Moments as the service writes them: some have no zone, and mean UTC (docs/api-notes.md, 0.9)."""

from datetime import UTC, datetime


def with_zone(moment: datetime) -> datetime:
    """The moment in its zone, or in UTC if it names none."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
