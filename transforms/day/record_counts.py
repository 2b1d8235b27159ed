"""What became of the records of a snapshot date: received = loaded + quarantined + duplicates."""

import json
from dataclasses import dataclass
from datetime import date

from transforms.day.facts import FactsDay
from transforms.day.inputs import DayInputs


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


def record_counts(inputs: DayInputs, facts: FactsDay, kind: str) -> RecordCounts:
    """Compares what the crawls received with what the star has of it."""
    said = [json.loads(text).get(kind, {}) for text in inputs.day.crawls["endpoints"]]
    received, rejected, distinct, repeated = (
        sum(counts.get(name, 0) for counts in said) for name in ("items", "rejected", "distinct_ids", "duplicates")
    )
    records, fact = inputs.staged[kind], facts.of_kind.get(kind)
    valid, bad = records.observations.height, records.quarantine.height
    recorded, refused_rows = (fact.observed, fact.refused) if fact else (valid, 0)
    # A second crawl of a date meets ids again; but no crawl met more ids than the date has.
    most = max((counts.get("distinct_ids", 0) for counts in said), default=0)
    met_again = distinct - valid - bad if len(said) > 1 and most <= valid + bad <= distinct else 0
    return RecordCounts(
        inputs.on,
        kind,
        received=received,
        loaded=recorded - refused_rows,
        quarantined=bad + rejected + refused_rows,
        duplicates=repeated + met_again + (valid - recorded),
    )
