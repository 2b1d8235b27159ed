"""What a snapshot date leaves for the next one besides the tables: documents and models that are already processed."""

from collections.abc import Iterator

import polars as pl

from transforms.day.changes import Changes
from transforms.day.facts import with_complete_crawl
from transforms.day.inputs import DayInputs
from transforms.day.models import ModelsDay
from transforms.lake.release import STATE_UNREAD
from transforms.staging.stage import Staged
from transforms.tables.state import StateEntity

_ENTITY = ["kind", "entity_id"]


def note_unread(inputs: DayInputs) -> Changes:
    """The models whose list item a complete crawl did not read, because they answered by id only or their record was
    broken. That crawl could not see their new versions.
    """
    if not inputs.day.is_complete:
        return Changes()
    models = inputs.models
    answered = models.observations.filter(~pl.col("is_listed")).join(models.decoded, on="entity_id", how="anti")
    # Early crawls kept ids beyond 64 bits, which no model has.
    met = pl.concat([frame.select("entity_id") for frame in (answered, models.quarantine)]).select(
        pl.col("entity_id").cast(pl.Int64, strict=False).alias("model_id")
    )
    unread = with_complete_crawl(inputs, met.drop_nulls().unique(maintain_order=True))
    is_needed = unread.height or inputs.held[STATE_UNREAD].height
    return Changes(replaced={STATE_UNREAD: unread} if is_needed else {})


def note_entities(inputs: DayInputs, models: ModelsDay) -> Changes:
    """Which documents are already processed: those without quarantined values."""
    entities = inputs.rows(StateEntity)
    conflicting, deleted = (
        frame.select(kind=pl.lit("model"), entity_id=pl.col("model_id").cast(pl.String))
        for frame in (models.conflicting, models.deleted)
    )
    were_listed = entities.filter("is_listed").select(*_ENTITY, was_listed=True)
    today = (
        pl.concat(_observed(inputs))
        .join(were_listed, on=_ENTITY, how="left", maintain_order="left")
        .select(
            *_ENTITY,
            "content_hash",
            is_settled=pl.col("is_settled") & ~pl.struct(_ENTITY).is_in(conflicting.to_struct("conflicting").implode()),
            is_listed=pl.col("is_valid") | pl.col("was_listed").is_not_null(),
        )
    )
    earlier = entities.join(today, on=_ENTITY, how="anti", maintain_order="left")
    earlier = earlier.join(
        deleted.with_columns(is_deleted=True), on=_ENTITY, how="left", maintain_order="left"
    ).with_columns(
        is_settled=pl.col("is_settled") & pl.col("is_deleted").is_null(),
        is_listed=pl.col("is_listed") & pl.col("is_deleted").is_null(),
    )
    return Changes(replaced={StateEntity.table_name(): pl.concat([earlier.drop("is_deleted"), today])})


def _observed(inputs: DayInputs) -> Iterator[pl.DataFrame]:
    """Per kind: kind, entity_id, content_hash, is_valid and is_settled of all listed records."""
    for kind, records in inputs.staged.items():
        odd = records.decoded.filter(~pl.col("is_sound"))["entity_id"]
        is_settled = pl.col("is_valid") & (kind != "model" or inputs.day.is_complete)
        is_settled &= ~pl.col("entity_id").is_in(odd.implode())
        yield _all_records(records).select(
            pl.lit(kind).alias("kind"), "entity_id", "content_hash", "is_valid", is_settled=is_settled
        )


def _all_records(records: Staged) -> pl.DataFrame:
    """entity_id, content_hash and is_valid of all listed records of a kind, quarantined or not."""
    valid = records.observations.filter("is_listed").select("entity_id", "content_hash", is_valid=True)
    bad = records.quarantine.select("entity_id").with_columns(content_hash=pl.lit(""), is_valid=pl.lit(False))  # noqa: FBT003
    return pl.concat([valid, bad])
