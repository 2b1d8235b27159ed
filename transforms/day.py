"""One snapshot date of the star: an incremental build from the day's crawls to history, facts and the mart.

The steps stand in their order: stage every kind, merge the dimensions, write the facts, write the mart. Which models,
versions, files and tags are gone is decided in `DayBuild.merge_models`.
"""

import json
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import date

import polars as pl

from pipelines.raw.kinds import KINDS, SNAPSHOT_KINDS
from pipelines.settings import Limits
from transforms.lake.release import STATE_CLAIMS, STATE_STOCK, STATE_UNREAD, Release
from transforms.quality.counter_guard import Collapse, collapses, withheld_rows
from transforms.staging.change_rate import ChangeRate, change_rate
from transforms.staging.flatten import named
from transforms.staging.payloads import STAGED_KINDS
from transforms.staging.quarantine import check, first_of_each, refused, rejected
from transforms.staging.raw_reader import RawReader
from transforms.staging.stage import Staged, stage
from transforms.star.base_models import describe
from transforms.star.facts import DOWNLOADS, ENTITY_ID, CompleteCrawl, counters_of, daily_rows, stats_columns
from transforms.star.mart import Stock, base_model_day
from transforms.star.scd2 import merge, natural_key, open_period, upsert
from transforms.tables import (
    BridgeModelTag,
    DimBaseModel,
    DimCreator,
    DimFile,
    DimImage,
    DimModel,
    DimModelVersion,
    DimTag,
    FactImageDaily,
    FactModelDaily,
    FactModelVersionDaily,
    FileHash,
    HistoryTable,
    MartBaseModelDaily,
    ModelText,
    OpsDrift,
    OpsQuarantine,
    OpsWithheld,
    Table,
)
from transforms.tables.state import StateEntity

#: The tables of the documents of models, in the order of their levels.
MODEL_TABLES: tuple[type[Table], ...] = (DimModel, ModelText, DimModelVersion, DimFile, FileHash, BridgeModelTag)
INSTANT = pl.Datetime("us", "UTC")
#: The id of a model, from its text in raw.
MODEL_ID = pl.col("entity_id").cast(pl.Int64).alias("model_id")


@dataclass(frozen=True)
class Before:
    """What came before a snapshot date: the date before it, and the last complete crawl."""

    date: date | None
    complete: CompleteCrawl | None


#: Before the first snapshot.
NOTHING = Before(None, None)


@dataclass(frozen=True)
class SnapshotDay:
    """A snapshot date: its crawls that count (rows of raw.snapshots), and what came before it.

    `accepted` are counters of facts whose collapse on the date is real. `is_included` says that a person included the
    date, although the checks find it implausible.
    """

    on: date
    crawls: pl.DataFrame
    before: Before
    accepted: frozenset[str] = frozenset()
    is_included: bool = False

    @property
    def is_empty(self) -> bool:
        return not self.crawls["observations"].sum()

    @property
    def is_complete(self) -> bool:
        return "complete" in self.crawls["status"].to_list()

    @property
    def crawl_id(self) -> str:
        return str(self.crawls["crawl_id"][-1])

    @property
    def as_before(self) -> Before:
        """What came before the next date."""
        complete = self.crawls.filter(pl.col("status") == "complete")
        if complete.is_empty():
            return Before(self.on, self.before.complete)
        return Before(self.on, CompleteCrawl(self.on, complete["started_at"][-1]))

    def without(self, crawl_ids: Collection[str]) -> "SnapshotDay":
        """The date without some of its crawls."""
        return replace(self, crawls=self.crawls.filter(~pl.col("crawl_id").is_in(list(crawl_ids))))


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


class DayBuild:
    """The work on one snapshot date."""

    def __init__(self, star: Release, raw: RawReader, day: SnapshotDay, limits: Limits) -> None:
        self.star = star
        self.limits = limits
        self.raw = raw
        self.day = day
        self.on = day.on
        self.quarantine: list[pl.DataFrame] = []
        #: model_id of the models that list a version of another model. They are read every day, because the version may
        #: become theirs.
        self.conflicting = pl.DataFrame(schema={"model_id": pl.Int64})
        #: Per kind: the documents that changed since they were last observed. Filled by `run`.
        self.change_rates: list[ChangeRate] = []
        #: The day's rows of each append-only table. Filled by `run`.
        self.added: dict[str, pl.DataFrame] = {}
        #: The keys of each append-only table, including those of this day.
        self.keys: dict[str, pl.DataFrame] = {}
        #: The model types before this day.
        self.types_before = star.rows(DimModel.table_name())["type"].unique()
        #: Per kind: how many records became rows of a fact, and how many of these rows the fact's rules rejected.
        self.fact_counts: dict[str, tuple[int, int]] = {}
        #: Counters that collapsed on the date, and of each counter how many of the entities with a known flow moved.
        self.collapses: list[Collapse] = []
        self.moved: dict[tuple[str, str], int] = {}

    def run(self) -> list[RecordCounts]:
        """Adds the day to the star. Returns the record counts of each kind."""
        staged = {kind: self.stage(kind) for kind in SNAPSHOT_KINDS}
        models = staged["model"]
        before = Stock(self.day.before.date, self.current_versions())
        opened = self.merge_models(models)
        self.add_listed(staged, opened)
        self.add_base_models(opened)
        self.add_images(staged)
        self.add_facts(staged, opened)
        flows, new_versions = self.add_version_facts(models, opened[DimModelVersion.table_name()])
        self.add_mart(before, flows, new_versions)
        self.note_changes(staged)
        self.note_unread(staged["model"])
        self.note_entities(staged)
        self.note_operations(staged)
        return [self.record_counts(kind, staged[kind]) for kind in SNAPSHOT_KINDS]

    def stage(self, kind: str) -> Staged:
        entities = self.star.rows(StateEntity.table_name())
        settled = entities.filter((pl.col("kind") == kind) & pl.col("is_settled")).select("entity_id", "content_hash")
        listed = entities.filter((pl.col("kind") == kind) & pl.col("is_listed")).select("entity_id")
        return stage(self.raw, kind, self.on, settled, listed)

    # Dimensions

    def candidates(self, table: type[Table], rows: pl.DataFrame) -> pl.DataFrame:
        """The candidate rows of a table that are accepted: one per natural key, and none that breaks a rule.

        Two equal rows are one row. A second row with the same key and other content is quarantined.
        """
        good, bad = check(table, self.completed(table, rows))
        if bad.is_empty():
            return rows
        key = natural_key(table)
        first, repeated = first_of_each(rows.unique(maintain_order=True).sort(key, maintain_order=True), key)
        good, bad = check(table, self.completed(table, first))
        again = self.completed(table, repeated).with_columns(
            reason=pl.lit("the key stands in another record of the day")
        )
        for rows_refused in (bad, again):
            if rows_refused.height:
                self.quarantine.append(refused(table, rows_refused, self.on, self.day.crawl_id))
        return first.join(good.select(key), on=key, how="semi", maintain_order="left")

    def completed(self, table: type[Table], rows: pl.DataFrame) -> pl.DataFrame:
        """Candidate rows in the table's schema, as they would be if they were new."""
        if issubclass(table, HistoryTable):
            return open_period(table, rows, self.on)
        rows = rows.with_columns(first_seen_on=pl.lit(self.on))
        missing = [name for name in table.column_names() if name not in rows.columns]
        return rows.with_columns(
            pl.lit(None, dtype=table.columns()[name].dtype).alias(name) for name in missing
        ).select(table.column_names())

    def merge_models(self, models: Staged) -> dict[str, pl.DataFrame]:
        """Merges the tables of models, versions, files, hashes and tags; returns their candidates.

        What a model no longer lists is gone if the crawl was complete. Everything of a model that answered 404 is gone.
        A model that was in no list but answered by id was observed, and its answer changes nothing. If no list has
        shown the model since it was last gone, its answers by id count as lists.
        """
        deleted = self.deleted_models(models)
        resolved = self.resolve_owners(models, deleted)
        # A version, its files and its hashes come from the owner only. What other models list of them is ignored.
        listed_by_owner = {
            table.table_name(): models.rows[table.table_name()].join(
                resolved, on=["version_id", "model_id"], how="semi", maintain_order="left"
            )
            for table in (DimModelVersion, DimFile, FileHash)
        }
        found = models.rows | listed_by_owner
        rows = {table.table_name(): self.candidates(table, found[table.table_name()]) for table in MODEL_TABLES}
        listed = models.decoded.select(MODEL_ID)
        listed = listed if self.day.is_complete else listed.clear()

        incoming = rows[DimModelVersion.table_name()]
        current = self.star.rows(DimModelVersion.table_name()).select("version_id", "model_id")
        unlisted = current.join(listed, on="model_id", how="semi").join(incoming, on="version_id", how="anti")
        gone_versions = (
            pl.concat([unlisted, current.join(deleted, on="model_id", how="semi")])
            .select("version_id")
            .unique()
            .join(incoming, on="version_id", how="anti")
        )
        listed_versions = pl.concat(
            [
                incoming.join(listed, on="model_id", how="semi").select("version_id"),
                current.join(listed, on="model_id", how="semi").select("version_id"),
            ]
        ).unique()

        def gone(table: type[Table]) -> pl.DataFrame:
            """Keys that the service no longer has, of a table below models or versions."""
            owner, lists, removed = (
                ("model_id", listed, deleted)
                if "model_id" in table.primary_key()
                else ("version_id", listed_versions, gone_versions)
            )
            key = natural_key(table)
            held = self.star.rows(table.table_name()).select(key)
            missing = held.join(lists, on=owner, how="semi").join(rows[table.table_name()], on=key, how="anti")
            return pl.concat([missing, held.join(removed, on=owner, how="semi")]).unique()

        self.merge(DimModel, rows, deleted)
        self.merge(BridgeModelTag, rows, gone(BridgeModelTag))
        self.merge(FileHash, rows, gone(FileHash))
        self.upsert(DimFile, rows[DimFile.table_name()], gone(DimFile))
        self.merge(DimModelVersion, rows, gone_versions)
        self.add_new(ModelText, rows[ModelText.table_name()], ["model_id", "description_hash"])
        return rows

    def resolve_owners(self, models: Staged, deleted: pl.DataFrame) -> pl.DataFrame:
        """version_id, model_id: the owner of each listed version, by the rule of dim_model_version.

        A model whose document was not read today lists what it listed before, unless it is `deleted`. Stores since when
        a model lists a version of another model.
        """
        decoded, key = models.decoded.select(MODEL_ID), ["version_id", "model_id"]
        known = self.star.rows(STATE_CLAIMS)
        candidates = models.rows[DimModelVersion.table_name()].select(key).drop_nulls().unique(maintain_order=True)
        candidates = candidates.join(known, on=key, how="left", maintain_order="left")
        candidates = candidates.with_columns(pl.col("since").fill_null(pl.lit(self.on)))
        current = self.star.rows(DimModelVersion.table_name()).select(key)
        first = current.join(candidates, on="version_id", how="semi")
        let_go = first.join(decoded, on="model_id", how="semi").join(candidates, on=key, how="anti")
        first = first.join(let_go, on="version_id", how="anti").join(deleted, on="model_id", how="anti")
        successors = candidates.sort("since", "model_id").unique("version_id", keep="first", maintain_order=True)
        resolved = pl.concat([first, successors.select(key).join(first, on="version_id", how="anti")])

        of_others = candidates.join(resolved, on=key, how="anti")
        self.conflicting = of_others.select("model_id").unique()
        unread = known.join(decoded, on="model_id", how="anti").join(deleted, on="model_id", how="anti")
        if known.height or of_others.height:
            self.star.replace(STATE_CLAIMS, pl.concat([unread, of_others]))
        return resolved

    def deleted_models(self, models: Staged) -> pl.DataFrame:
        """model_id of the models that answered 404. Only a complete crawl marks a model as deleted, and never one that
        was observed on the date, even as a quarantined record.
        """
        seen = pl.concat([models.observations.select("entity_id"), models.quarantine.select("entity_id")])
        tombstones = self.raw.tombstones(self.on, "model").join(seen, on="entity_id", how="anti").select(MODEL_ID)
        return tombstones if self.day.is_complete else tombstones.clear()

    def merge(self, table: type[HistoryTable], rows: dict[str, pl.DataFrame], gone: pl.DataFrame) -> None:
        name = table.table_name()
        if rows[name].height or gone.height:
            held, closed = merge(table, self.star.rows(name), rows[name], gone, self.on)
            self.star.replace(name, held)
            self.star.add(name, closed, self.on)

    def upsert(self, table: type[Table], rows: pl.DataFrame, gone: pl.DataFrame | None = None) -> None:
        name = table.table_name()
        gone = pl.DataFrame(schema=rows.select(natural_key(table)).schema) if gone is None else gone
        if rows.height or gone.height:
            self.star.replace(name, upsert(table, self.star.rows(name), rows, gone, self.on))

    def add(self, table: type[Table], rows: pl.DataFrame) -> None:
        self.star.add(table.table_name(), rows, self.on)
        self.added[table.table_name()] = rows

    def add_new(self, table: type[Table], rows: pl.DataFrame, key: list[str]) -> None:
        """Appends the rows whose key the table does not have yet."""
        name = table.table_name()
        known = self.star.immutable(name).select(key).collect()
        new = rows.join(known, on=key, how="anti", maintain_order="left")
        self.add(table, new.with_columns(first_seen_on=pl.lit(self.on)))
        self.keys[name] = pl.concat([known, new.select(key)])

    def add_listed(self, staged: dict[str, Staged], opened: dict[str, pl.DataFrame]) -> None:
        """The tables with a row per item of a list, as creators and tags; those that models name have a row, too."""
        in_models = {
            DimCreator: opened[DimModel.table_name()].select("username").unique(),
            DimTag: opened[BridgeModelTag.table_name()].select("tag").unique(),
        }
        for kind, records in staged.items():
            table = STAGED_KINDS[kind].table
            if table is None or table.storage != "whole":
                continue
            listed = records.rows[table.table_name()]
            if KINDS[kind].is_named:
                spellings = self.spellings(kind, records)
                listed = listed.join(spellings, left_on="spelling", right_on="entity_id", how="semi").drop("spelling")
            self.enter(table, listed, in_models.get(table, listed.select(table.primary_key()).clear()))

    def add_base_models(self, opened: dict[str, pl.DataFrame]) -> None:
        """The base models that versions name."""
        # All names, so that one that was added to the file since is classified as in a rebuild.
        known = self.star.rows(DimBaseModel.table_name()).select("base_model")
        base_models = pl.concat([known, opened[DimModelVersion.table_name()].select("base_model")]).unique()
        self.upsert(DimBaseModel, describe(base_models.sort("base_model")))

    def spellings(self, kind: str, records: Staged) -> pl.DataFrame:
        """entity_id of the record that represents each name of a kind: the one without white space around the name, or
        else the first in the alphabet, of all that were ever observed. The other spellings are duplicates.
        """
        entities = self.star.rows(StateEntity.table_name()).filter(pl.col("kind") == kind)
        met = pl.concat([entities.select("entity_id"), records.observations.select("entity_id")]).unique()
        name = named(pl.col("entity_id"))
        ordered = met.with_columns(name=name).sort(pl.col("entity_id") != name, "entity_id")
        return ordered.unique("name", keep="first", maintain_order=True).select("entity_id")

    def enter(self, table: type[Table], listed: pl.DataFrame, named: pl.DataFrame) -> None:
        """Upserts a table of names: `listed` has attributes, `named` only names that may be new."""
        name, (key,) = table.table_name(), table.primary_key()
        known = self.star.rows(name)
        new = named.join(listed, on=key, how="anti").join(known, on=key, how="anti")
        self.upsert(table, self.candidates(table, pl.concat([listed, new], how="diagonal")))

    def add_images(self, staged: dict[str, Staged]) -> None:
        """Images of showcases and of the gallery. An image in both has its version and the gallery's attributes."""
        showcase = staged["model"].rows[DimImage.table_name()]
        showcase = showcase.filter(pl.col("image_id").is_null() | pl.col("image_id").is_first_distinct())
        gallery = staged["image"].rows[DimImage.table_name()]
        in_both = showcase.join(gallery, on="image_id", how="semi", maintain_order="left")
        shown = showcase.join(gallery, on="image_id", how="anti", maintain_order="left")
        attributes = [name for name in gallery.columns if name != "image_id"]
        met = (
            pl.concat([gallery, in_both])
            .group_by("image_id", maintain_order=True)
            .agg(pl.col(name).drop_nulls().first() for name in attributes)
            .select(gallery.columns)
        )
        self.add_new(DimImage, self.candidates(DimImage, pl.concat([met, shown])), ["image_id"])

    # Facts

    def add_facts(self, staged: dict[str, Staged], opened: dict[str, pl.DataFrame]) -> None:
        """The daily facts of the records of lists."""
        published_at = {
            "model": opened[DimModel.table_name()].select("model_id", "published_at"),
            "image": pl.concat(staged[kind].rows[DimImage.table_name()] for kind in ("image", "model"))
            .select("image_id", published_at="created_at")
            .drop_nulls(),
        }
        for kind, records in staged.items():
            table, fact = STAGED_KINDS[kind].table, STAGED_KINDS[kind].fact
            if table is None or fact is None:
                continue
            metrics = records.metrics.filter(pl.col("owner") == kind)
            name = ENTITY_ID[fact]
            of_kind = records.observations
            if KINDS[kind].is_named:
                of_kind = of_kind.join(self.spellings(kind, records), on="entity_id", how="semi", maintain_order="left")
            observed = (
                of_kind.join(metrics, on="entity_id", how="left", maintain_order="left")
                .with_columns(STAGED_KINDS[kind].record_id.alias(name))
                .unique(name, keep="first", maintain_order=True)
                .select(name, *stats_columns(fact))
            )
            of_records = observed
            if kind == "image":
                observed = pl.concat([observed, self.showcase_counters(staged["model"], observed)])
            published = published_at.get(kind, records.rows[table.table_name()])
            if "published_at" not in published.columns:
                published = published.with_columns(published_at=pl.lit(None, INSTANT))
            rows = self.add_fact(fact, observed, published.select(name, "published_at"))
            self.fact_counts[kind] = (of_records.height, of_records.join(rows, on=name, how="anti").height)

    def showcase_counters(self, models: Staged, gallery: pl.DataFrame) -> pl.DataFrame:
        """Counters of showcase images that have any and that the gallery did not show on this date."""
        listed = models.observations.filter("is_listed")
        metrics = models.metrics.filter(pl.col("owner") == "image").join(
            listed, on="entity_id", how="semi", maintain_order="left"
        )
        images = metrics.select(
            pl.col("id").cast(pl.Int64, strict=False).alias("image_id"), *stats_columns(FactImageDaily)
        )
        images = images.drop_nulls("image_id").unique("image_id", keep="first", maintain_order=True)
        return images.join(gallery, on="image_id", how="anti", maintain_order="left")

    def add_version_facts(self, models: Staged, opened: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        """fact_model_version_daily. Returns version_id with downloads_delta, and the new versions."""
        metrics = models.metrics.filter(pl.col("owner") == "version").with_columns(
            pl.col("id").cast(pl.Int64, strict=False).alias("version_id")
        )
        current = self.star.rows(DimModelVersion.table_name())
        is_of_owner = pl.col("entity_id") == pl.col("model_id").cast(pl.String)
        counted = metrics.join(current.select("version_id", "model_id"), on="version_id", maintain_order="left")
        counted = counted.filter(is_of_owner)
        observed = counted.select("version_id", *stats_columns(FactModelVersionDaily)).unique(
            "version_id", keep="first", maintain_order=True
        )
        # Versions without counters were observed too: those of today's documents, and those of documents that have not
        # changed since a complete crawl, which list all versions of their model.
        unchanged = models.observations.filter("is_listed").join(models.decoded, on="entity_id", how="anti")
        of_unchanged = unchanged.select(MODEL_ID)
        listed = pl.concat(
            [opened.select("version_id"), current.join(of_unchanged, on="model_id", how="semi").select("version_id")]
        ).unique(maintain_order=True)
        silent = listed.join(observed, on="version_id", how="anti", maintain_order="left")
        observed = pl.concat([observed, silent], how="diagonal")
        rows = self.add_fact(FactModelVersionDaily, observed, opened.select("version_id", "model_id", "published_at"))
        return rows.select("version_id", "downloads_delta"), rows.filter("is_new").select("version_id")

    def add_fact(self, fact: type[Table], observed: pl.DataFrame, published: pl.DataFrame) -> pl.DataFrame:
        """Writes the day's rows of a fact, and returns them with `is_new`."""
        state_name, entity_id = f"state_{fact.table_name()}", ENTITY_ID[fact]
        known = self.star.rows(state_name)
        fallen = collapses(fact, observed, known, self.day.accepted, self.limits.max_counter_collapse_share)
        self.collapses += fallen
        rows, state = daily_rows(
            fact,
            observed,
            known,
            self.with_complete_crawl(published.unique(entity_id, keep="first", maintain_order=True)),
            self.on,
            withheld=[each.counter for each in fallen if not each.is_accepted],
        )
        self.moved |= {
            (fact.table_name(), counter): rows.filter(~pl.col("is_first") & (pl.col(flow) != 0)).height
            for counter, flow in counters_of(fact).items()
            if flow
        }
        keys = {FactModelDaily: DimModel, FactModelVersionDaily: DimModelVersion}
        if dimension := keys.get(fact):
            held = self.star.rows(dimension.table_name())
            columns = [name for name in fact.column_names() if name.endswith("_key") or name == "model_id"]
            rows = rows.join(held.select({entity_id, *columns}), on=entity_id, how="left", maintain_order="left")
        if rows.height:
            self.star.replace(state_name, state)
        good, bad = check(fact, rows)
        if bad.height:
            self.quarantine.append(refused(fact, bad, self.on, self.day.crawl_id))
        self.add(fact, good)
        return rows.join(good, on=entity_id, how="semi", maintain_order="left") if bad.height else rows

    def with_complete_crawl(self, entities: pl.DataFrame) -> pl.DataFrame:
        """Adds the last earlier complete crawl that could have listed each entity: `complete_on`, `complete_from`."""
        complete = self.day.before.complete
        last = entities.with_columns(
            complete_on=pl.lit(complete and complete.snapshot_date, dtype=pl.Date),
            complete_from=pl.lit(complete and complete.started_at, dtype=INSTANT),
        )
        if "model_id" not in entities.columns:
            return last
        unread = self.star.rows(STATE_UNREAD).with_columns(is_unread=True)
        return (
            last.join(unread, on="model_id", how="left", suffix="_of_model", maintain_order="left")
            .with_columns(
                pl.when("is_unread").then(f"{name}_of_model").otherwise(name).alias(name)
                for name in ("complete_on", "complete_from")
            )
            .select(last.columns)
        )

    # Mart

    def current_versions(self) -> pl.DataFrame:
        """The current versions, with their last known counters. Downloads are null while hidden."""
        current = self.star.rows(DimModelVersion.table_name()).select("version_id", "base_model")
        state = self.star.rows(f"state_{FactModelVersionDaily.table_name()}")
        return (
            current.join(state, on="version_id", how="left", maintain_order="left")
            .with_columns(pl.when("is_shown").then(DOWNLOADS).alias(DOWNLOADS))
            .select(
                "version_id", "base_model", DOWNLOADS, "thumbs_up_count", "thumbs_down_count", "rating_count", "rating"
            )
        )

    def add_mart(self, before: Stock, flows: pl.DataFrame, new_versions: pl.DataFrame) -> None:
        """The mart of the date. Downloads are compared with the last date that has them, whose versions are stored
        while downloads are withheld.
        """
        withheld = self.withheld(FactModelVersionDaily)
        kept = self.star.rows(STATE_STOCK)
        counted = Stock(kept["counted_on"][0], kept) if kept.height else before
        if DOWNLOADS in withheld:
            self.star.replace(STATE_STOCK, counted.versions.with_columns(counted_on=pl.lit(counted.on)))
        elif kept.height:
            self.star.replace(STATE_STOCK, kept.clear())
        known_new = new_versions if self.day.before.complete else None
        rows = base_model_day(before, counted, self.current_versions(), flows, known_new, on=self.on, withheld=withheld)
        self.add(MartBaseModelDaily, MartBaseModelDaily.validate(rows, cast=True))

    def withheld(self, fact: type[Table]) -> set[str]:
        """The counters of a fact that are withheld on the date."""
        return {each.counter for each in self.collapses if each.fact is fact and not each.is_accepted}

    # Bookkeeping

    def note_changes(self, staged: dict[str, Staged]) -> None:
        """Counts the documents that changed since they were last observed; runs before `note_entities`."""
        entities = self.star.rows(StateEntity.table_name())
        for kind, records in staged.items():
            self.change_rates.append(change_rate(kind, entities, records.observations.filter("is_listed")))

    def note_unread(self, models: Staged) -> None:
        """Stores the models whose list item a complete crawl did not read, because they answered by id only or their
        record was broken. That crawl could not see their new versions.
        """
        if not self.day.is_complete:
            return
        answered = models.observations.filter(~pl.col("is_listed")).join(models.decoded, on="entity_id", how="anti")
        # Early crawls kept ids beyond 64 bits, which no model has.
        met = pl.concat([frame.select("entity_id") for frame in (answered, models.quarantine)]).select(
            pl.col("entity_id").cast(pl.Int64, strict=False).alias("model_id")
        )
        met = met.drop_nulls()
        unread = self.with_complete_crawl(met.unique(maintain_order=True))
        if unread.height or self.star.rows(STATE_UNREAD).height:
            self.star.replace(STATE_UNREAD, unread)

    def note_entities(self, staged: dict[str, Staged]) -> None:
        """Stores which documents are already processed: those without quarantined values."""
        table = StateEntity.table_name()
        seen = []
        for kind, records in staged.items():
            odd = records.decoded.filter(~pl.col("is_sound"))["entity_id"]
            observed = self.all_records(records)
            is_settled = pl.col("is_valid") & (kind != "model" or self.day.is_complete)
            is_settled &= ~pl.col("entity_id").is_in(odd.implode())
            seen.append(
                observed.select(
                    pl.lit(kind).alias("kind"), "entity_id", "content_hash", "is_valid", is_settled=is_settled
                )
            )
        conflicting = self.conflicting.select(kind=pl.lit("model"), entity_id=pl.col("model_id").cast(pl.String))
        entities = self.star.rows(table)
        were_listed = entities.filter("is_listed").select("kind", "entity_id", was_listed=True)
        today = (
            pl.concat(seen)
            .join(were_listed, on=["kind", "entity_id"], how="left", maintain_order="left")
            .select(
                "kind",
                "entity_id",
                "content_hash",
                is_settled=pl.col("is_settled")
                & ~pl.struct("kind", "entity_id").is_in(conflicting.to_struct("conflicting").implode()),
                is_listed=pl.col("is_valid") | pl.col("was_listed").is_not_null(),
            )
        )
        deleted = self.deleted_models(staged["model"]).select(
            kind=pl.lit("model"), entity_id=pl.col("model_id").cast(pl.String), is_deleted=True
        )
        earlier = entities.join(today, on=["kind", "entity_id"], how="anti", maintain_order="left")
        earlier = earlier.join(deleted, on=["kind", "entity_id"], how="left", maintain_order="left").with_columns(
            is_settled=pl.col("is_settled") & pl.col("is_deleted").is_null(),
            is_listed=pl.col("is_listed") & pl.col("is_deleted").is_null(),
        )
        self.star.replace(table, pl.concat([earlier.drop("is_deleted"), today]))

    @staticmethod
    def all_records(records: Staged) -> pl.DataFrame:
        """entity_id, content_hash and is_valid of all listed records of a kind, quarantined or not."""
        valid = records.observations.filter("is_listed").select("entity_id", "content_hash", is_valid=True)
        bad = records.quarantine.select("entity_id").with_columns(content_hash=pl.lit(""), is_valid=pl.lit(False))  # noqa: FBT003
        return pl.concat([valid, bad])

    def note_operations(self, staged: dict[str, Staged]) -> None:
        """ops_quarantine, ops_drift and ops_withheld."""
        items = rejected(self.raw.rejects(self.on))
        of_kinds = [rows for records in staged.values() for rows in (records.quarantine, records.odd)]
        rows = pl.concat([*of_kinds, items, *self.quarantine])
        self.add(OpsQuarantine, OpsQuarantine.validate(rows, cast=True))
        drift = pl.DataFrame(
            [
                (kind, path, self.on, example)
                for kind, records in staged.items()
                for path, example in records.drift.items()
            ],
            schema=OpsDrift.polars_schema(),
            orient="row",
        )
        self.upsert(OpsDrift, drift.drop("first_seen_on"))
        share = self.limits.max_counter_collapse_share
        self.add(OpsWithheld, withheld_rows(self.collapses, self.on, share))

    def record_counts(self, kind: str, records: Staged) -> RecordCounts:
        """Compares what the crawls received with what the star has of it."""
        said = [json.loads(text).get(kind, {}) for text in self.day.crawls["endpoints"]]
        received, rejected, distinct, repeated = (
            sum(counts.get(name, 0) for counts in said) for name in ("items", "rejected", "distinct_ids", "duplicates")
        )
        valid, bad = records.observations.height, records.quarantine.height
        recorded, refused_rows = self.fact_counts.get(kind, (valid, 0))
        # A second crawl of a date meets ids again; but no crawl met more ids than the date has.
        most = max((counts.get("distinct_ids", 0) for counts in said), default=0)
        met_again = distinct - valid - bad if len(said) > 1 and most <= valid + bad <= distinct else 0
        return RecordCounts(
            self.on,
            kind,
            received=received,
            loaded=recorded - refused_rows,
            quarantined=bad + rejected + refused_rows,
            duplicates=repeated + met_again + (valid - recorded),
        )
