"""The daily facts of a snapshot date in a range."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import cache

import polars as pl

from pipelines.raw.kinds import KINDS
from transforms.day.changes import Changes, appended
from transforms.day.inputs import MODEL_ID, DayInputs
from transforms.day.models import ModelsDay
from transforms.lake.state import STATE_UNREAD, counters_state
from transforms.ordered import ordered
from transforms.quality.counter_guard import Falls, falls
from transforms.staging.payloads import STAGED_KINDS
from transforms.staging.quarantine import check, refused
from transforms.star.facts import ENTITY_ID, beside_known, counters_of, daily_rows, empty_state, stats_columns
from transforms.tables import DimModel, DimModelVersion, FactModelDaily, FactModelVersionDaily, Table

INSTANT = pl.Datetime("us", "UTC")


@dataclass(frozen=True)
class FactDay:
    """A fact on a date, in a range.

    `rows`: the accepted rows, with `is_new`. `falls`: as of `counter_guard.falls`. `moved`: by table and counter, for
    how many of the entities with a known flow it moved. `observed` and `refused`: how many records of its kind became
    rows, and how many of these rows the fact's rules rejected.
    """

    fact: type[Table]
    rows: pl.DataFrame
    falls: Falls
    moved: Mapping[tuple[str, str], int]
    changes: Changes
    observed: int = 0
    refused: int = 0


def fact_of_list(inputs: DayInputs, kind: str, fact: type[Table]) -> FactDay:
    """The fact that counts the items of a list."""
    observed = observed_records(inputs, kind, fact)
    return of_records(fact_day(inputs, fact, observed, publications(inputs, kind, fact)), observed)


def fact_of_models(inputs: DayInputs, models: ModelsDay) -> FactDay:
    """fact_model_daily."""
    observed = observed_records(inputs, "model", FactModelDaily)
    keys = models.changes.columns(DimModel, inputs, ["model_id", "model_key"])
    published = models.candidates[DimModel].select("model_id", "published_at")
    return of_records(fact_day(inputs, FactModelDaily, observed, published, keys), observed)


def observed_records(inputs: DayInputs, kind: str, fact: type[Table]) -> pl.DataFrame:
    """The id and the counters of the records of a kind."""
    name, records = ENTITY_ID[fact], inputs.staged[kind]
    metrics = records.metrics.filter(pl.col("owner") == kind)
    of_kind = records.observations
    if KINDS[kind].is_named:
        of_kind = of_kind.join(inputs.respelled(kind), on="entity_id", how="anti", maintain_order="left")
    return (
        of_kind.join(metrics, on="entity_id", how="left", maintain_order="left")
        .with_columns(STAGED_KINDS[kind].record_id.alias(name))
        .filter(pl.col(name).is_first_distinct())
        .select(name, *stats_columns(fact))
    )


def of_records(day: FactDay, records: pl.DataFrame) -> FactDay:
    """Counts what became of the records of the fact's kind."""
    lost = records.join(day.rows, on=ENTITY_ID[day.fact], how="anti").height if day.changes.quarantine else 0
    return replace(day, observed=records.height, refused=lost)


def publications(inputs: DayInputs, kind: str, fact: type[Table]) -> pl.DataFrame:
    """The id and `published_at` of the records of a list that may be new."""
    table = STAGED_KINDS[kind].table
    rows = inputs.staged[kind].rows[table.table_name()] if table else pl.DataFrame()
    rows = rows if "published_at" in rows.columns else rows.with_columns(published_at=pl.lit(None, INSTANT))
    return rows.select(ENTITY_ID[fact], "published_at")


def fact_of_versions(inputs: DayInputs, models: ModelsDay) -> FactDay:
    """fact_model_version_daily: the counters of each version come from the model that owns it."""
    fact, opened = FactModelVersionDaily, models.candidates[DimModelVersion]
    metrics = inputs.models.metrics.filter(pl.col("owner") == "version").with_columns(
        pl.col("id").cast(pl.Int64, strict=False).alias("version_id")
    )
    current = models.changes.columns(DimModelVersion, inputs, ["version_id", "model_id"])
    is_of_owner = pl.col("entity_id") == pl.col("model_id").cast(pl.String)
    counted = metrics.join(current, on="version_id", maintain_order="left")
    observed = counted.filter(is_of_owner).select("version_id", *stats_columns(fact))
    observed = observed.filter(pl.col("version_id").is_first_distinct())
    # Versions without counters were observed too: those of today's documents, and those of documents that have not
    # changed since a complete crawl, which list all versions of their model.
    others = current.join(observed, on="version_id", how="anti")
    unchanged = inputs.models.observations.filter("is_listed").join(inputs.models.decoded, on="entity_id", how="anti")
    listed = (
        others.join(opened, on="version_id", how="semi"),
        others.join(unchanged.select(MODEL_ID), on="model_id", how="semi"),
    )
    silent = pl.concat(listed).select("version_id").unique(maintain_order=True)
    published = opened.select("version_id", "model_id", "published_at")
    keys = models.changes.columns(DimModelVersion, inputs, ["version_id", "version_key", "model_id"])
    return fact_day(inputs, fact, pl.concat([observed, silent], how="diagonal"), published, keys)


def fact_day(
    inputs: DayInputs,
    fact: type[Table],
    observed: pl.DataFrame,
    published: pl.DataFrame,
    dimension: pl.DataFrame | None = None,
) -> FactDay:
    """The rows of a fact, from the entities that were observed and from the publications of those that may be new;
    `dimension` has the open rows that the fact points to.
    """
    if observed.is_empty():
        return _nothing_observed(fact)
    table, entity_id, state_name = fact.table_name(), ENTITY_ID[fact], counters_state(fact).name
    known, withheld = ordered(inputs.held[state_name], [entity_id]), inputs.withheld.get(fact, ())
    met = beside_known(fact, ordered(observed, [entity_id]), known)
    rows, state = daily_rows(
        fact,
        met,
        known,
        with_complete_crawl(inputs, published.filter(pl.col(entity_id).is_first_distinct())),
        inputs.on,
        withheld=withheld,
    )
    flows = {counter: flow for counter, flow in counters_of(fact).items() if flow}
    has_moved = [(~pl.col("is_first") & (pl.col(flow) != 0)).sum().alias(counter) for counter, flow in flows.items()]
    moved = {(table, counter): number for counter, number in rows.select(has_moved).row(0, named=True).items()}
    if dimension is not None:
        rows = rows.join(dimension, on=entity_id, how="left", maintain_order="left")
    good, bad = check(fact, rows)
    changes = appended(fact, good) | Changes(replaced={state_name: state})
    if bad.height:
        changes |= Changes(quarantine=(refused(fact, bad, inputs.on, inputs.day.crawl_id),))
        rows = rows.join(good, on=entity_id, how="semi", maintain_order="left")
    return FactDay(fact, rows, falls(fact, met), moved, changes)


@cache
def _nothing_observed(fact: type[Table]) -> FactDay:
    """A fact in a range without records of its kind: nothing of it changes."""
    table, known = fact.table_name(), empty_state(fact)
    met = beside_known(fact, known.select(ENTITY_ID[fact], *counters_of(fact)), known)
    published = known.select(ENTITY_ID[fact], complete_on="observed_on").with_columns(
        pl.lit(None, INSTANT).alias(name) for name in ("published_at", "complete_from")
    )
    rows, _ = daily_rows(fact, met, known, published, date.min)
    moved = {(table, counter): 0 for counter, flow in counters_of(fact).items() if flow}
    return FactDay(fact, rows, falls(fact, met), moved, appended(fact, fact.empty()))


def with_complete_crawl(inputs: DayInputs, entities: pl.DataFrame) -> pl.DataFrame:
    """Adds the last earlier complete crawl that could have listed each entity: `complete_on`, `complete_from`."""
    complete = inputs.day.before.complete
    last = entities.with_columns(
        complete_on=pl.lit(complete and complete.snapshot_date, dtype=pl.Date),
        complete_from=pl.lit(complete and complete.started_at, dtype=INSTANT),
    )
    unread = inputs.held[STATE_UNREAD.name]
    if "model_id" not in entities.columns or unread.is_empty():
        return last
    unread = unread.with_columns(is_unread=True)
    return (
        last.join(unread, on="model_id", how="left", suffix="_of_model", maintain_order="left")
        .with_columns(
            pl.when("is_unread").then(f"{name}_of_model").otherwise(name).alias(name)
            for name in ("complete_on", "complete_from")
        )
        .select(last.columns)
    )
