"""`make bench-year`: every table macro over a year of a large catalogue, timed with two threads.

The year is that of the simulated catalogue, whose counters and events are read as arrays. The star is made of them by
the functions of `transforms` (history, facts, mart, publish) day by day; what is left out, because it would take hours
and changes nothing of what the macros read, is writing 100,000 documents a day and decoding them again. Tables that no
macro reads stay empty.
"""

import argparse
import shutil
import statistics
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock
from pathlib import Path

import duckdb
import numpy as np
import polars as pl

from emulator import vocabulary
from emulator.counters import model_counters, version_counters
from emulator.simulation import Simulation, day_number
from transforms.analyses import MACROS
from transforms.build import calendar
from transforms.day import SnapshotDay
from transforms.facts import CompleteCrawl, daily_rows
from transforms.generation import Generation
from transforms.history import advance
from transforms.lake import Lake
from transforms.mart import base_model_day
from transforms.publish import publish
from transforms.tables import (
    DimBaseModel,
    DimModel,
    DimModelVersion,
    FactModelDaily,
    FactModelVersionDaily,
    FileHash,
    HistoryTable,
    MartBaseModelDaily,
    OpsSnapshot,
    Table,
)

FOLDER = Path("data/bench-year").absolute()
BEGIN = date(2026, 1, 1)
ROUNDS = 5
#: Seconds that a macro may take.
ALLOWED = 1.0


class Year:
    """The simulated catalogue as the frames that a day of the build works on."""

    def __init__(self, models: int) -> None:
        self.world = Simulation(models, seed=1)
        self.usernames = np.array(self.world.usernames)
        self.types = np.array([name for name, _ in vocabulary.MODEL_TYPES])
        self.base_models = np.array([name for name, *_ in vocabulary.BASE_MODELS])

    def models(self, day: int) -> pl.DataFrame:
        """The models shown on a day: index, model_id, published_at and the state that rows of dim_model hang on."""
        world = self.world
        shown = np.flatnonzero(world.model_visible(day))
        state = world.description_revision(day)[shown]
        creator_gone = world.creator_deleted[world.model_creator[shown]]
        for moment in (world.model_renamed[shown], world.model_relicensed[shown], creator_gone):
            state = 2 * state + (moment <= day)
        born = instants(world.model_born_second[shown])
        return pl.DataFrame({"index": shown, "model_id": world.model_id[shown], "published_at": born, "state": state})

    def model_rows(self, shown: pl.DataFrame, day: int) -> pl.DataFrame:
        """Rows of dim_model without periods."""
        world, index = self.world, shown["index"].to_numpy()
        creator = world.model_creator[index]
        licence = world.model_relicensed[index] <= day
        rows = shown.select("model_id", "published_at").with_columns(
            name=pl.Series([world.model_name(model, day) for model in index.tolist()], dtype=pl.String),
            type=pl.Series(self.types[world.model_type[index]], dtype=pl.String),
            username=pl.Series(
                np.where(world.creator_deleted[creator] <= day, "(unknown)", self.usernames[creator]), dtype=pl.String
            ),
            nsfw=pl.Series(world.model_nsfw[index]),
            allow_no_credit=pl.Series(licence),
            allow_commercial_use=pl.concat_list(pl.Series(np.where(licence, "Image", "Sell"), dtype=pl.String)),
            description_hash=pl.Series(world.description_revision(day)[index]).cast(pl.String),
        )
        return completed(DimModel, rows)

    def versions(self, day: int) -> pl.DataFrame:
        """The same for versions and dim_model_version."""
        world = self.world
        shown = np.flatnonzero(world.version_visible(day) & world.model_visible(day)[world.version_model])
        return pl.DataFrame(
            {
                "index": shown,
                "version_id": world.version_id[shown],
                "published_at": instants(world.version_second[shown]),
                "state": world.version_base_model(day)[shown],
            }
        )

    def version_rows(self, shown: pl.DataFrame, day: int) -> pl.DataFrame:
        """Rows of dim_model_version without periods."""
        world, index = self.world, shown["index"].to_numpy()
        rows = shown.select("version_id", "published_at").with_columns(
            model_id=pl.Series(world.model_id[world.version_model[index]]),
            name=pl.Series(world.version_ordinal[index] + 1).cast(pl.String),
            base_model=pl.Series(self.base_models[world.version_base_model(day)[index]], dtype=pl.String),
            trained_words=pl.lit([], dtype=pl.List(pl.String)),
        )
        return completed(DimModelVersion, rows)

    def counters(self, day: int) -> tuple[pl.DataFrame, pl.DataFrame]:
        """The counters of all models and of all versions on a day."""
        versions = version_counters(self.world, day)
        models = model_counters(self.world, versions)
        of_models = {
            "model_id": self.world.model_id,
            "download_count": models.downloads,
            "thumbs_up_count": models.thumbs_up,
            "thumbs_down_count": models.thumbs_down,
            "rating_count": models.ratings,
            "rating": models.rating,
            "comment_count": models.comments,
            "favorite_count": models.favorites,
        }
        of_versions = {
            "version_id": self.world.version_id,
            "download_count": versions.downloads,
            "thumbs_up_count": versions.thumbs_up,
            "thumbs_down_count": versions.thumbs_down,
            "rating_count": versions.ratings,
            "rating": versions.rating,
        }
        return pl.DataFrame(of_models).with_columns(tipped_amount_count=pl.lit(None, pl.Int64)), pl.DataFrame(
            of_versions
        )


def instants(seconds: np.ndarray) -> pl.Series:
    """Seconds since 1970 as instants."""
    return pl.Series(seconds * 1_000_000).cast(pl.Datetime("us", "UTC"))


def completed(table: type[HistoryTable], rows: pl.DataFrame) -> pl.DataFrame:
    """Rows with all attributes of a table; those that the simulation has not are null."""
    made = {"valid_from", "valid_to", "is_current", "removed_on"} | set(table.surrogate_key or ())
    missing = [name for name in table.column_names() if name not in rows.columns and name not in made]
    return rows.with_columns(pl.lit(None, table.columns()[name].dtype).alias(name) for name in missing)


def build_year(models: int, days: int) -> None:
    """Makes and publishes the star of `days` days from `BEGIN` on."""
    year, lake = Year(models), Lake(FOLDER / "lake")
    before: dict[type[HistoryTable], pl.DataFrame] = {}
    previous: date | None = None
    complete: CompleteCrawl | None = None
    snapshots: list[SnapshotDay] = []
    with Generation(lake) as star:
        for on in (BEGIN + timedelta(days=number) for number in range(days)):
            day = day_number(on)
            started_at = datetime.combine(on, clock(12), UTC)
            stock_before = served(star)
            of_models, of_versions = year.counters(day)
            flows = {}
            for table, fact, shown, make, counters in (
                (DimModel, FactModelDaily, year.models(day), year.model_rows, of_models),
                (DimModelVersion, FactModelVersionDaily, year.versions(day), year.version_rows, of_versions),
            ):
                entity_id = shown.columns[1]
                earlier = before.get(table, shown.clear())
                changed = shown.join(earlier, on=[entity_id, "state"], how="anti")
                gone = earlier.join(shown, on=entity_id, how="anti").select(entity_id)
                take_forward(star, table, make(changed, day), gone, on)
                flows[fact] = add_fact(star, fact, table, counters, shown, on, complete)
                before[table] = shown
            births = flows[FactModelVersionDaily].filter("is_birth").select("version_id")
            mart = base_model_day(
                stock_before,
                served(star),
                flows[FactModelVersionDaily].select("version_id", "downloads_delta"),
                births if complete else None,
                on=on,
                previous=previous,
            )
            star.add("mart_base_model_daily", MartBaseModelDaily.validate(mart, cast=True), on)
            crawl = ops_row(on, started_at)
            snapshots.append(SnapshotDay(on, crawl, previous, complete))
            previous, complete = on, CompleteCrawl(on, started_at)
            print(on, flush=True)
        star.replace("ops_snapshot", pl.concat([day.crawls for day in snapshots]))
        star.replace("dim_date", calendar(snapshots))
        star.replace("file_hash", hashes(star))
        star.replace("dim_base_model", base_models(star))
        publish(lake, FOLDER / "analytics.duckdb", star.finish())


def take_forward(
    star: Generation, table: type[HistoryTable], changed: pl.DataFrame, gone: pl.DataFrame, on: date
) -> None:
    """Takes a dimension to a day: only entities with news are looked at, as in the build."""
    held, closed = advance(table, star.rows(table.table_name()), changed, gone, on)
    star.replace(table.table_name(), held)
    star.add(table.table_name(), closed, on)


def add_fact(
    star: Generation,
    fact: type[Table],
    dimension: type[HistoryTable],
    counters: pl.DataFrame,
    shown: pl.DataFrame,
    on: date,
    complete: CompleteCrawl | None,
) -> pl.DataFrame:
    """Writes a day of a fact, and returns its rows."""
    key, entity_id = dimension.surrogate_key or ("", "")
    observed = counters.join(shown, on=entity_id, how="semi", maintain_order="left")
    state = f"state_{fact.table_name()}"
    published = shown.select(entity_id, "published_at")
    day_rows, known = daily_rows(fact, observed, star.rows(state), published, on, complete)
    held = star.rows(dimension.table_name()).select({entity_id, key, "model_id"})
    day_rows = day_rows.join(held, on=entity_id, how="left", maintain_order="left")
    star.replace(state, known)
    star.add(fact.table_name(), day_rows, on)
    return day_rows


def served(star: Generation) -> pl.DataFrame:
    """The versions that are there, with their last known counters."""
    state = star.rows("state_fact_model_version_daily").drop("observed_on", "downloads_on", "is_shown")
    return star.rows("dim_model_version").select("version_id", "base_model").join(state, on="version_id", how="left")


def ops_row(on: date, started_at: datetime) -> pl.DataFrame:
    """A complete crawl."""
    row = {name: 0 if dtype.is_numeric() else None for name, dtype in OpsSnapshot.polars_schema().items()}
    row |= {"crawl_id": f"{on}.1", "snapshot_date": on, "dialect": "spec", "api_url": "", "status": "complete"}
    row |= {"started_at": started_at, "finished_at": started_at}
    return pl.DataFrame([row], schema=OpsSnapshot.polars_schema(), orient="row")


def hashes(star: Generation) -> pl.DataFrame:
    """A SHA256 for every version that is there."""
    versions = star.rows("dim_model_version").select("version_id", "valid_from", "valid_to", "is_current")
    return versions.with_columns(
        file_id="version_id", algorithm=pl.lit("SHA256"), hash=pl.col("version_id").hash().cast(pl.String)
    ).select(FileHash.column_names())


def base_models(star: Generation) -> pl.DataFrame:
    """The base models that versions have."""
    names = star.rows("dim_model_version").select("base_model").unique()
    return names.with_columns(
        family=pl.lit(""),
        ecosystem=pl.lit(None, pl.String),
        modality=pl.lit(None, pl.String),
        first_seen_on=pl.lit(BEGIN),
    ).select(DimBaseModel.column_names())


def questions(days: int) -> Iterator[tuple[str, str]]:
    """Every macro as it is asked."""
    middle, end = BEGIN + timedelta(days=days // 2), BEGIN + timedelta(days=days - 1)
    with duckdb.connect(str(FOLDER / "analytics.duckdb"), read_only=True) as star:
        found = star.execute(
            "select (select hash from star.file_hash limit 1), "
            "(select model_id from star.dim_model group by all order by count(*) desc limit 1)"
        ).fetchone()
    assert found is not None
    arguments = {
        "trend_base_model": "30",
        "trending_models": "7, 20",
        "models_as_of": f"date '{middle}'",
        "model_history": str(found[1]),
        "removed_models": f"date '{end - timedelta(days=30)}'",
        "release_curves": "'Illustrious'",
        "creator_leaderboard": "30",
        "licence_mix": f"date '{middle}'",
        "find_hash": f"'{found[0]}'",
        "snapshot_coverage": "",
    }
    for macro in MACROS:
        yield macro.name, f"from star.{macro.name}({arguments[macro.name]})"


def time_macros(days: int) -> bool:
    """Prints the median seconds of each macro, all rows read, in a fresh connection. Returns whether all are fast."""
    is_fast = True
    for name, query in questions(days):
        seconds = []
        for _ in range(ROUNDS):
            with duckdb.connect(str(FOLDER / "analytics.duckdb"), read_only=True, config={"threads": 2}) as star:
                began = time.perf_counter()
                rows = len(star.execute(query).fetchall())
                seconds.append(time.perf_counter() - began)
        median = statistics.median(seconds)
        is_fast &= median <= ALLOWED
        print(f"{name:20} {median:7.3f} s  (best {min(seconds):.3f})  {rows:>8,} rows", flush=True)
    return is_fast


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--models", type=int, default=100_000)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--keep", action="store_true", help="time what an earlier run built")
    arguments = parser.parse_args()
    if not arguments.keep:
        shutil.rmtree(FOLDER, ignore_errors=True)
        FOLDER.mkdir(parents=True)
        began = time.perf_counter()
        build_year(arguments.models, arguments.days)
        print(f"built in {time.perf_counter() - began:,.0f} s")
    return 0 if time_macros(arguments.days) else 1


if __name__ == "__main__":
    raise SystemExit(main())
