"""How many documents changed from one snapshot to the next, and at which JSON paths.

A few per cent are normal. If many change, the service has changed rather than the catalogue: an undeclared counter, or
another order of keys, makes raw grow by the whole catalogue every day. That is a warning and refuses nothing.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import zip_longest

import msgspec
import polars as pl

from transforms.staging.raw_reader import RawReader

#: So few changes never exceed the limit, however small the catalogue is.
CHANGES_TOLERATED = 10
#: About how many of the changed documents are compared, and how many paths are reported.
COMPARED, REPORTED = 100, 5

REWRITTEN = "nothing but the way it is written (order of keys, spelling of values)"


@dataclass(frozen=True)
class ChangeRate:
    """Of a kind: `known` counts the day's records that were observed before. `changed` has those with another document:
    entity_id, and the content hashes `before` and `after`.
    """

    kind: str
    known: int
    changed: pl.DataFrame

    def is_over(self, share: float) -> bool:
        return self.changed.height > max(CHANGES_TOLERATED, share * self.known)


def change_rate(kind: str, entities: pl.DataFrame, observed: pl.DataFrame) -> ChangeRate:
    """Compares the day's records (entity_id, content_hash) with what was seen last (`state.entities_state`)."""
    # A quarantined record has no hash.
    seen = entities.filter(pl.col("content_hash") != "")
    known = observed.select("entity_id", after="content_hash").join(
        seen.select("entity_id", before="content_hash"), on="entity_id", maintain_order="left"
    )
    return ChangeRate(kind, known.height, known.filter(pl.col("before") != pl.col("after")))


def together(of_ranges: Sequence[ChangeRate]) -> ChangeRate:
    """The change rate of a kind from those of its ranges."""
    changed = pl.concat(each.changed for each in of_ranges)
    return ChangeRate(of_ranges[0].kind, sum(each.known for each in of_ranges), changed)


def describe(raw: RawReader, of_kind: ChangeRate, on: date, share: float) -> str:
    """One line about a kind if more than `share` changed: how many documents, and the changed paths."""
    # The same sentence every time: `compact` compares the warnings of a rebuild with the published ones.
    some = of_kind.changed.sort("entity_id").gather_every(max(1, of_kind.changed.height // COMPARED))
    before, after = (_documents(raw, of_kind.kind, some, column) for column in ("before", "after"))
    paths = changed_paths((before[entity_id], after[entity_id]) for entity_id in some["entity_id"])
    often = sorted(paths.items(), key=lambda path_and_times: (-path_and_times[1], path_and_times[0]))
    most = ", ".join(f"{path} ({times})" for path, times in often[:REPORTED])
    return (
        f"{of_kind.changed.height:,} of {of_kind.known:,} {of_kind.kind} documents changed by {on}, more than the "
        f"share of {share:.0%} of CIVITAI_ETL_MAX_CHANGE_SHARE. Of {some.height} that were compared, it was: {most}."
    )


def _documents(raw: RawReader, kind: str, some: pl.DataFrame, column: str) -> dict[str, str]:
    batches = raw.documents(kind, raw.places(kind, some.select("entity_id", content_hash=column)))
    return {entity_id: text for batch in batches for entity_id, text in batch.select("entity_id", "payload").rows()}


def changed_paths(pairs: Iterable[tuple[str, str]]) -> Counter[str]:
    """In how many pairs of documents, before and after, each JSON path differs."""
    found: Counter[str] = Counter()
    for before, after in pairs:
        try:
            found.update(set(_differences(msgspec.json.decode(before), msgspec.json.decode(after), "$")) or {REWRITTEN})
        except (msgspec.DecodeError, RecursionError):  # quarantined, or nested too deeply
            found["$"] += 1
    return found


def _differences(before: object, after: object, path: str) -> Iterator[str]:
    if isinstance(before, dict) and isinstance(after, dict):
        for name in before | after:
            yield from _differences(before.get(name), after.get(name), f"{path}.{name}")
    elif isinstance(before, list) and isinstance(after, list):
        for one, other in zip_longest(before, after):
            yield from _differences(one, other, f"{path}[]")
    elif before != after:
        yield path
