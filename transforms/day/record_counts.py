"""What became of the records of a snapshot date: received = loaded + quarantined + duplicates."""

import json
from dataclasses import dataclass
from datetime import date

from transforms.day.snapshot_day import SnapshotDay
from transforms.day.tally import Records
from transforms.staging.payloads import STAGED_KINDS


@dataclass(frozen=True)
class RecordCounts:
    """What became of the records of a kind on a date; received = loaded + quarantined + duplicates."""

    snapshot_date: date
    kind: str
    received: int
    loaded: int
    quarantined: int
    duplicates: int

    @property
    def is_even(self) -> bool:
        return self.received == self.loaded + self.quarantined + self.duplicates


def record_counts(day: SnapshotDay, kind: str, records: Records) -> RecordCounts:
    """Compares what the crawls received with what the star has of it."""
    said = [json.loads(text).get(kind, {}) for text in day.crawls["endpoints"]]
    received, rejected, distinct, repeated = (
        sum(counts.get(name, 0) for counts in said) for name in ("items", "rejected", "distinct_ids", "duplicates")
    )
    valid, bad = records.valid, records.bad
    recorded = records.observed if STAGED_KINDS[kind].fact else valid
    # A second crawl of a date meets ids again; but no crawl met more ids than the date has.
    most = max((counts.get("distinct_ids", 0) for counts in said), default=0)
    met_again = distinct - valid - bad if len(said) > 1 and most <= valid + bad <= distinct else 0
    return RecordCounts(
        day.on,
        kind,
        received=received,
        loaded=recorded - records.refused,
        quarantined=bad + rejected + records.refused,
        duplicates=repeated + met_again + (valid - recorded),
    )
