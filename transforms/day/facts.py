"""The daily facts of a snapshot date."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import reduce
from operator import or_

import polars as pl

from pipelines.raw.kinds import KINDS
from transforms.day.changes import Changes, appended
from transforms.day.inputs import MODEL_ID, DayInputs
from transforms.day.models import ModelsDay
from transforms.lake.release import STATE_UNREAD
from transforms.quality.counter_guard import Collapse, collapses
from transforms.staging.payloads import STAGED_KINDS
from transforms.staging.quarantine import check, refused
from transforms.star.facts import ENTITY_ID, counters_of, daily_rows, stats_columns
from transforms.tables import (
    DimImage,
    DimModel,
    DimModelVersion,
    FactImageDaily,
    FactModelDaily,
    FactModelVersionDaily,
    Table,
)

INSTANT = pl.Datetime("us", "UTC")

#: The dimension whose open rows a fact points to.
DIMENSION_OF_FACT: dict[type[Table], type[Table]] = {
    FactModelDaily: DimModel,
    FactModelVersionDaily: DimModelVersion,
}


@dataclass(frozen=True)
class FactDay:
    """A fact on a date.

    `rows`: the accepted rows, with `is_new`. `collapses`: counters that collapsed. `moved`: by table and counter, for
    how many of the entities with a known flow it moved. `observed` and `refused`: how many records of its kind became
    rows, and how many of these rows the fact's rules rejected.
    """

    fact: type[Table]
    rows: pl.DataFrame
    collapses: tuple[Collapse, ...]
    moved: Mapping[tuple[str, str], int]
    changes: Changes
    observed: int = 0
    refused: int = 0


@dataclass(frozen=True)
class FactsDay:
    """All facts on a date; `of_kind` has those that count the records of a payload kind."""

    of_kind: Mapping[str, FactDay]
    of_versions: FactDay

    @property
    def _all(self) -> tuple[FactDay, ...]:
        return (*self.of_kind.values(), self.of_versions)

    @property
    def collapses(self) -> list[Collapse]:
        return [each for fact in self._all for each in fact.collapses]

    @property
    def moved(self) -> dict[tuple[str, str], int]:
        return {key: times for fact in self._all for key, times in fact.moved.items()}

    @property
    def changes(self) -> Changes:
        return reduce(or_, (fact.changes for fact in self._all))

    def withheld(self, fact: type[Table]) -> set[str]:
        """The counters of a fact that are withheld on the date."""
        return {each.counter for each in self.collapses if each.fact is fact and not each.is_accepted}


def build_facts(inputs: DayInputs, models: ModelsDay) -> FactsDay:
    """The daily facts of the records of lists, and of versions."""
    facts = {kind: STAGED_KINDS[kind].fact for kind in inputs.staged}
    return FactsDay(
        {kind: _fact_of_kind(inputs, models, kind, fact) for kind, fact in facts.items() if fact},
        _fact_of_versions(inputs, models),
    )


def _fact_of_kind(inputs: DayInputs, models: ModelsDay, kind: str, fact: type[Table]) -> FactDay:
    """The fact that counts the records of a kind."""
    name, records = ENTITY_ID[fact], inputs.staged[kind]
    metrics = records.metrics.filter(pl.col("owner") == kind)
    of_kind = records.observations
    if KINDS[kind].is_named:
        of_kind = of_kind.join(inputs.spellings(kind), on="entity_id", how="semi", maintain_order="left")
    of_records = (
        of_kind.join(metrics, on="entity_id", how="left", maintain_order="left")
        .with_columns(STAGED_KINDS[kind].record_id.alias(name))
        .unique(name, keep="first", maintain_order=True)
        .select(name, *stats_columns(fact))
    )
    observed = of_records
    if kind == "image":
        observed = pl.concat([of_records, _showcase_counters(inputs, of_records)])
    day = _fact_day(inputs, models, fact, observed, _publications(inputs, models, kind).select(name, "published_at"))
    lost = of_records.join(day.rows, on=name, how="anti").height
    return replace(day, observed=of_records.height, refused=lost)


def _publications(inputs: DayInputs, models: ModelsDay, kind: str) -> pl.DataFrame:
    """The id and `published_at` of the records of a kind that may be new; null where the service does not give it."""
    if kind == "model":
        return models.candidates[DimModel]
    if kind == "image":
        images = pl.concat(inputs.staged[each].rows[DimImage.table_name()] for each in ("image", "model"))
        return images.select("image_id", published_at="created_at").drop_nulls()
    table = STAGED_KINDS[kind].table
    rows = inputs.staged[kind].rows[table.table_name()] if table else pl.DataFrame()
    return rows if "published_at" in rows.columns else rows.with_columns(published_at=pl.lit(None, INSTANT))


def _showcase_counters(inputs: DayInputs, gallery: pl.DataFrame) -> pl.DataFrame:
    """Counters of showcase images that have any and that the gallery did not show on this date."""
    listed = inputs.models.observations.filter("is_listed")
    metrics = inputs.models.metrics.filter(pl.col("owner") == "image").join(
        listed, on="entity_id", how="semi", maintain_order="left"
    )
    images = metrics.select(pl.col("id").cast(pl.Int64, strict=False).alias("image_id"), *stats_columns(FactImageDaily))
    images = images.drop_nulls("image_id").unique("image_id", keep="first", maintain_order=True)
    return images.join(gallery, on="image_id", how="anti", maintain_order="left")


def _fact_of_versions(inputs: DayInputs, models: ModelsDay) -> FactDay:
    """fact_model_version_daily: the counters of each version come from the model that owns it."""
    fact, opened = FactModelVersionDaily, models.candidates[DimModelVersion]
    metrics = inputs.models.metrics.filter(pl.col("owner") == "version").with_columns(
        pl.col("id").cast(pl.Int64, strict=False).alias("version_id")
    )
    current = models.changes.rows(DimModelVersion, inputs)
    is_of_owner = pl.col("entity_id") == pl.col("model_id").cast(pl.String)
    counted = metrics.join(current.select("version_id", "model_id"), on="version_id", maintain_order="left")
    observed = counted.filter(is_of_owner).select("version_id", *stats_columns(fact))
    observed = observed.unique("version_id", keep="first", maintain_order=True)
    # Versions without counters were observed too: those of today's documents, and those of documents that have not
    # changed since a complete crawl, which list all versions of their model.
    unchanged = inputs.models.observations.filter("is_listed").join(inputs.models.decoded, on="entity_id", how="anti")
    of_unchanged = unchanged.select(MODEL_ID)
    listed = pl.concat(
        [opened.select("version_id"), current.join(of_unchanged, on="model_id", how="semi").select("version_id")]
    ).unique(maintain_order=True)
    silent = listed.join(observed, on="version_id", how="anti", maintain_order="left")
    published = opened.select("version_id", "model_id", "published_at")
    return _fact_day(inputs, models, fact, pl.concat([observed, silent], how="diagonal"), published)


def _fact_day(
    inputs: DayInputs, models: ModelsDay, fact: type[Table], observed: pl.DataFrame, published: pl.DataFrame
) -> FactDay:
    """The rows of a fact, from the entities that were observed and from the publications of those that may be new."""
    table, entity_id = fact.table_name(), ENTITY_ID[fact]
    known, limit = inputs.held[f"state_{table}"], inputs.limits.max_counter_collapse_share
    fallen = collapses(fact, observed, known, inputs.day.accepted, limit)
    rows, state = daily_rows(
        fact,
        observed,
        known,
        with_complete_crawl(inputs, published.unique(entity_id, keep="first", maintain_order=True)),
        inputs.on,
        withheld=[each.counter for each in fallen if not each.is_accepted],
    )
    moved = {
        (table, counter): rows.filter(~pl.col("is_first") & (pl.col(flow) != 0)).height
        for counter, flow in counters_of(fact).items()
        if flow
    }
    if dimension := DIMENSION_OF_FACT.get(fact):
        held = models.changes.rows(dimension, inputs)
        columns = [name for name in fact.column_names() if name.endswith("_key") or name == "model_id"]
        rows = rows.join(held.select({entity_id, *columns}), on=entity_id, how="left", maintain_order="left")
    good, bad = check(fact, rows)
    changes = appended(fact, good)
    if rows.height:
        changes |= Changes(replaced={f"state_{table}": state})
    if bad.height:
        changes |= Changes(quarantine=(refused(fact, bad, inputs.on, inputs.day.crawl_id),))
        rows = rows.join(good, on=entity_id, how="semi", maintain_order="left")
    return FactDay(fact, rows, tuple(fallen), moved, changes)


def with_complete_crawl(inputs: DayInputs, entities: pl.DataFrame) -> pl.DataFrame:
    """Adds the last earlier complete crawl that could have listed each entity: `complete_on`, `complete_from`."""
    complete = inputs.day.before.complete
    last = entities.with_columns(
        complete_on=pl.lit(complete and complete.snapshot_date, dtype=pl.Date),
        complete_from=pl.lit(complete and complete.started_at, dtype=INSTANT),
    )
    if "model_id" not in entities.columns:
        return last
    unread = inputs.held[STATE_UNREAD].with_columns(is_unread=True)
    return (
        last.join(unread, on="model_id", how="left", suffix="_of_model", maintain_order="left")
        .with_columns(
            pl.when("is_unread").then(f"{name}_of_model").otherwise(name).alias(name)
            for name in ("complete_on", "complete_from")
        )
        .select(last.columns)
    )
