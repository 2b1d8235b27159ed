"""What a snapshot date leaves for the next one besides the tables: documents and models that are already processed."""

import polars as pl

from transforms.day.changes import Changes
from transforms.day.facts import FactDay, with_complete_crawl
from transforms.day.inputs import DayInputs
from transforms.day.models import ModelsDay
from transforms.lake.state import STATE_FADING, STATE_MILESTONES, STATE_UNREAD, STATE_WATCHED, entities_state
from transforms.staging.records import Staged
from transforms.star.fading import fading, watched
from transforms.star.milestones import milestones
from transforms.tables import DimModelVersion

_NO_IDS = pl.DataFrame(schema={"model_id": pl.Int64})


def note_unread(inputs: DayInputs) -> Changes:
    """The models whose list item a complete crawl did not read, because they answered by id only or their record was
    broken. That crawl could not see their new versions.
    """
    if not inputs.day.is_complete:
        return Changes()
    models = inputs.models
    answered = models.observations.filter(~pl.col("is_listed")).join(models.decoded, on="entity_id", how="anti")
    # Early crawls kept ids beyond 64 bits, which no model has.
    met = pl.concat([frame.select("entity_id") for frame in (answered, models.bad)]).select(
        pl.col("entity_id").cast(pl.Int64, strict=False).alias("model_id")
    )
    unread = with_complete_crawl(inputs, met.drop_nulls().unique(maintain_order=True))
    is_needed = unread.height or inputs.held[STATE_UNREAD.name].height
    return Changes(replaced={STATE_UNREAD.name: unread} if is_needed else {})


def note_fading(inputs: DayInputs, models: ModelsDay, versions: FactDay) -> Changes:
    """The versions whose downloads are watched, and these (`transforms.star.fading`); `versions` is their fact."""
    known = inputs.held[STATE_FADING.name]
    after = fading(known, models.candidates[DimModelVersion], versions.rows, inputs.on)
    return Changes(
        replaced={} if after.equals(known) else {STATE_FADING.name: after},
        appended={STATE_WATCHED.name: watched(after, versions.rows, inputs.on)},
    )


def note_milestones(versions: FactDay) -> Changes:
    """Which versions came to a round number of downloads (`transforms.star.milestones`); `versions` is their fact."""
    return Changes(appended={STATE_MILESTONES.name: milestones(versions.rows)})


def note_entities(inputs: DayInputs, kind: str, models: ModelsDay | None = None) -> Changes:
    """Which documents of a kind are already processed: those without quarantined values."""
    entities = inputs.entities(kind)
    conflicting, deleted = (
        frame.select(entity_id=pl.col("model_id").cast(pl.String))
        for frame in ((models.conflicting, models.deleted) if models else (_NO_IDS, _NO_IDS))
    )
    met = (
        _observed(inputs, kind)
        .join(entities, on="entity_id", how="left", suffix="_then", maintain_order="left")
        .with_columns(
            is_settled=pl.col("is_settled") & ~pl.col("entity_id").is_in(conflicting["entity_id"].implode()),
            is_listed_now=pl.col("is_valid") | pl.col("is_listed").fill_null(value=False),
        )
    )
    today = met.select("entity_id", "content_hash", "is_settled", is_listed="is_listed_now")
    is_new = pl.any_horizontal(
        pl.col(now).ne_missing(pl.col(then))
        for now, then in (
            ("content_hash", "content_hash_then"),
            ("is_settled", "is_settled_then"),
            ("is_listed_now", "is_listed"),
        )
    )
    if deleted.is_empty() and not met.select(is_new.any()).item():
        return Changes()
    earlier = entities.join(today, on="entity_id", how="anti", maintain_order="left")
    earlier = earlier.join(
        deleted.with_columns(is_deleted=True), on="entity_id", how="left", maintain_order="left"
    ).with_columns(
        is_settled=pl.col("is_settled") & pl.col("is_deleted").is_null(),
        is_listed=pl.col("is_listed") & pl.col("is_deleted").is_null(),
    )
    return Changes(replaced={entities_state(kind).name: pl.concat([earlier.drop("is_deleted"), today])})


def _observed(inputs: DayInputs, kind: str) -> pl.DataFrame:
    """entity_id, content_hash, is_valid and is_settled of all listed records of a kind."""
    records = inputs.staged[kind]
    odd = records.decoded.filter(~pl.col("is_sound"))["entity_id"]
    is_settled = pl.col("is_valid") & (kind != "model" or inputs.day.is_complete)
    is_settled &= ~pl.col("entity_id").is_in(odd.implode())
    return _all_records(records).select("entity_id", "content_hash", "is_valid", is_settled=is_settled)


def _all_records(records: Staged) -> pl.DataFrame:
    """entity_id, content_hash and is_valid of all listed records of a kind, quarantined or not."""
    valid = records.observations.filter("is_listed").select("entity_id", "content_hash", is_valid=True)
    bad = records.bad.select("entity_id").with_columns(content_hash=pl.lit(""), is_valid=pl.lit(False))  # noqa: FBT003
    return pl.concat([valid, bad])
