"""raw -> staged: batches of documents and counters, validated, decoded and flattened; a record that cannot be decoded
becomes a row of ops_quarantine here.

Documents are decoded only if they are not yet processed (`StateEntity.is_settled`); counters are decoded every day,
from the small metrics column. A value of another type than declared, or a counter that cannot be true, is quarantined
alone: its record counts. A record that cannot be read without the value (`transforms.staging.payloads`) is quarantined
whole, with its reason and its payload as received. The rest of the day goes on.
"""

import re
from contextlib import suppress
from datetime import date
from itertools import compress
from typing import NamedTuple

import polars as pl

from pipelines.raw.documents import splice
from pipelines.raw.kinds import BLANKS
from transforms.staging import payloads, plain_counters, validation
from transforms.staging.payloads import STAGED_KINDS, StagedKind
from transforms.staging.validation import Odd, read, validate
from transforms.tables import OpsQuarantine

#: The fact that declares what values the counters of an owner can have.
FACT_OF_OWNER = {kind.name: kind.fact for kind in STAGED_KINDS.values() if kind.fact}


class Bounds(NamedTuple):
    """The least and the most of a counter of an owner, and its field in `payloads.Metric` and `payloads.Stats`."""

    owner: str
    field: str
    least: int
    most: int

    @property
    def is_odd(self) -> pl.Expr:
        """Whether a counter is outside."""
        return (pl.col("owner") == self.owner) & ~pl.col(self.field).is_between(self.least, self.most)


def declared_bounds() -> list[Bounds]:
    """Those of all counters."""
    return [
        Bounds(owner, metadata["source"].rsplit(".", 1)[-1], metadata["least"], metadata["most"])
        for owner, fact in FACT_OF_OWNER.items()
        for metadata in fact.with_metadata(counter=True).values()
    ]


def flatten_batch(staged: StagedKind, canonical: list[bytes]) -> dict[str, pl.DataFrame]:
    """The candidate rows of a batch of validated documents."""
    return staged.flatten(read(staged.payload, canonical).struct.unnest())


def decode_metrics(
    kind: str, on: date, observations: pl.DataFrame
) -> tuple[pl.DataFrame, dict[str, str], pl.DataFrame]:
    """One row per counter owner: entity_id, owner, id, the fields of `payloads.Stats` and modelCount; for every entity
    whose counters are no JSON that can be read, the reason; and rows of ops_quarantine for single counters.
    """
    is_plain = plain_counters.is_plain(observations["metrics"])
    plain, others = observations.filter(is_plain), observations.filter(~is_plain)
    if plain.height and others.is_empty():
        return plain_counters.read_plain(plain), {}, OpsQuarantine.empty()
    found = validate(list[payloads.Metric], others["metrics"].cast(pl.Binary))
    is_valid = pl.Series([position not in found.errors for position in range(others.height)], dtype=pl.Boolean)
    metrics = (
        others.filter(is_valid)
        .select("entity_id", metric=read(list[payloads.Metric], found.canonical))
        .explode("metric")
        .filter(pl.col("metric").is_not_null())
        .unnest("metric")
        .unnest("stats")
    )
    in_documents = {
        position: in_document(kind, others["metrics"][position], odd) for position, odd in found.odd.items()
    }
    reasons = {others["entity_id"][position]: reason for position, reason in found.errors.items()}
    if plain.height:
        metrics = pl.concat([plain_counters.read_plain(plain), metrics])
    return metrics, reasons, odd_values(kind, on, others, in_documents)


def in_document(kind: str, metrics: str, odd: list[Odd]) -> list[Odd]:
    """Odd values of the metrics column, with their paths in the document that the counters came from. The ids of owners
    are left out: the document has them, too.
    """
    owners = validation.loosely(metrics.encode())
    assert isinstance(owners, list)
    found = []
    for each in odd:
        position, _, path = each.path.removeprefix("$[").partition("].")
        owner = owners[int(position)]
        assert isinstance(owner, dict)
        if path != "id":
            where = owner_path(kind, str(owner["owner"])).format(id=owner["id"])
            found.append(each._replace(path=f"{where}.{path}"))
    return found


def owner_path(kind: str, owner: str) -> str:
    """Where the counters of an owner stand in a document of a kind; `{id}` is the owner's."""
    path = "$" if owner == kind else STAGED_KINDS[owner].nested_at
    assert path, f"{owner} stands in no document of {kind}"
    return path


def odd_values(kind: str, on: date | pl.Expr, records: pl.DataFrame, odd: dict[int, list[Odd]]) -> pl.DataFrame:
    """Rows of ops_quarantine for the `odd` values of records, which have entity_id and crawl_id, by their positions."""
    places = [position for position, values in odd.items() for _ in values]
    values = [each for of_record in odd.values() for each in of_record]
    return records[places].select(
        snapshot_date=on if isinstance(on, pl.Expr) else pl.lit(on),
        crawl_id="crawl_id",
        kind=pl.lit(kind),
        entity_id="entity_id",
        level=pl.lit("value"),
        reason=pl.Series([each.reason for each in values], dtype=pl.String),
        payload=pl.Series([each.value for each in values], dtype=pl.String),
    )


def within_bounds(
    kind: str, on: date, metrics: pl.DataFrame, crawls: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Makes every counter null that is outside its declared bounds, and gives a row of ops_quarantine for each.

    Args:
        kind: the payload kind.
        on: the snapshot date.
        metrics: as of `decode_metrics`.
        crawls: entity_id and crawl_id.
    """
    found = [OpsQuarantine.empty()]
    bounds = declared_bounds()
    has_odd = metrics.select(each.is_odd.any().alias(str(number)) for number, each in enumerate(bounds)).row(0)
    for each in compress(bounds, has_odd):
        field = each.field
        path = f"{owner_path(kind, each.owner)}{'' if field in BLANKS else '.stats'}.{field}"
        value = pl.col(field).cast(pl.String)
        before, named, after = path.partition("{id}")
        owner_id = pl.col("id").fill_null("unknown") if named else pl.lit("")
        where = pl.concat_str(pl.lit(before), owner_id, pl.lit(after))
        odd = metrics.filter(each.is_odd)
        found.append(
            odd.join(crawls, on="entity_id", maintain_order="left").select(
                snapshot_date=pl.lit(on),
                crawl_id="crawl_id",
                kind=pl.lit(kind),
                entity_id="entity_id",
                level=pl.lit("value"),
                reason=pl.format(f"Expected {each.least} to {each.most}, got {{}} - at `{{}}`", value, where),
                payload=value,
            )
        )
        metrics = metrics.with_columns(pl.when(~each.is_odd | pl.col(field).is_null()).then(field).alias(field))
    return metrics, pl.concat(found)


class Declared(NamedTuple):
    """What is declared of a value: its type, and the least and the most of a counter."""

    kind: object
    bounds: tuple[int, int] | None = None


def declared_at(kind: str, path: str) -> Declared | None:
    """What is declared at a path of a document of a kind, as rows of ops_quarantine name it."""
    names = _places(path)
    for owner in FACT_OF_OWNER:
        if owner != kind and not STAGED_KINDS[owner].nested_at:
            continue
        begin = _places(owner_path(kind, owner))
        counter = names[len(begin) :]
        if names[: len(begin)] != begin or not BLANKS.keys() & counter[:1]:
            continue
        # An odd object of counters stands in the document, each of its counters beside it.
        if counter != ["stats"] and (found := validation.declared_at(payloads.Metric, counter)):
            bounds = {each.field: (each.least, each.most) for each in declared_bounds() if each.owner == owner}
            return Declared(found, bounds.get(names[-1]))
    found = validation.declared_at(STAGED_KINDS[kind].payload, names)
    return Declared(found) if found else None


def _places(path: str) -> list[str]:
    """The names of a path and, as `[]`, the elements of its lists."""
    return re.findall(r"(?<=\.)\w+|\[\]", re.sub(r"\[[^]]*\]", "[]", path))


def set_aside(kind: str, on: date | pl.Expr, records: pl.DataFrame) -> pl.DataFrame:
    """Rows of ops_quarantine for records with a reason; the payload is the document as received."""
    received = [_as_received(kind, *parts) for parts in records.select("payload", "metrics").iter_rows()]
    return records.select(
        snapshot_date=on if isinstance(on, pl.Expr) else pl.lit(on),
        crawl_id="crawl_id",
        kind=pl.lit(kind),
        entity_id="entity_id",
        level=pl.lit("record"),
        reason="reason",
        payload=pl.Series(received, dtype=pl.String),
    )


def _as_received(kind: str, payload: str, metrics: str) -> str:
    """A document with its counters; without them if it is nested too deeply to find their places here."""
    with suppress(RecursionError):
        return splice(kind, payload.encode(), metrics.encode()).decode()
    return payload
