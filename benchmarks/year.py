"""`make bench-year`: every table macro, and version_wide, over a year of a large catalogue, timed with two threads.

A year of complete crawls of the simulated live catalogue is written to raw as a crawl leaves it, but for HTTP and dlt,
and built by `civitai-etl rebuild`, of which time and memory are measured, and likewise merged by `compact`. After each
the macros are timed: over files of days, and of months. Only what changed is made into documents and split by
`pipelines.raw.documents`; the counters of the others are written as text from the simulation's arrays, and every day
the two are compared where both were made. The lists beside the models, which no macro reads, are left out.
"""

import argparse
import os
import shutil
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path

import duckdb
import msgspec
import numpy as np
import polars as pl

from benchmarks.raw import append, append_crawl
from benchmarks.scale import measured
from emulator.live.day import LiveDay
from emulator.live.documents import LiveDocuments
from emulator.live.queries import LiveModelQuery
from emulator.live.traits import LiveTraits
from emulator.spec.catalogue import SimulatedWorld
from pipelines.raw.documents import Document, split
from pipelines.raw.tables import RECONCILE_PASS, TOMBSTONES, documents_table, observations_table
from pipelines.raw.warehouse import writer_config
from pipelines.storage.data_directory import DataDirectory
from transforms.lake.files import Lake
from transforms.lake.publish import publish, read_manifest
from transforms.tables.macros import MACROS

FOLDER = Path("data/bench-year").absolute()
DIRECTORY = DataDirectory.at(FOLDER)
WAREHOUSE, LAKE, ANALYTICS = DIRECTORY.warehouse, DIRECTORY.lake, DIRECTORY.analytics
BEGIN = date(2026, 1, 1)
ROUNDS = 5
#: Seconds that a macro may take.
ALLOWED = 1.0

#: The two listings of a crawl, by pass.
LISTINGS = {1: LiveModelQuery(), 2: LiveModelQuery(mature=True)}
#: The document of a model as it was read last: its row in the simulation, the pass that it was met in and the number of
#: its state there, its hash (null: it was not shown), and its versions in order, as rows of the simulation.
READ = {
    "row": pl.Int64,
    "crawl_pass": pl.Int32,
    "events": pl.Int64,
    "content_hash": pl.String,
    "versions": pl.List(pl.Int64),
}


class Year:
    """Crawls of the simulated live catalogue, one a day, written to raw."""

    def __init__(self, models: int) -> None:
        self.world = SimulatedWorld(models, seed=1)
        self.columns = self.world.columns
        self.traits = LiveTraits(self.columns)
        self.documents = LiveDocuments(self.columns, self.world.documents, self.traits)
        self.row_of_version = {int(id_): row for row, id_ in enumerate(self.columns.version_id)}
        self.read = pl.DataFrame(schema=READ)
        self.stored: set[str] = set()
        #: Rows of the models that were met and are not known to be gone.
        self.alive: set[int] = set()

    def crawl(self, on: date, raw: duckdb.DuckDBPyConnection) -> None:
        """Adds a complete crawl of a date."""
        live = LiveDay(self.world.on(on), self.traits, self.documents)
        met = self.met(live)
        changed = met.join(self.read, on=["row", "crawl_pass", "events"], how="anti", maintain_order="left")
        documents = [self.document(live, row, crawl_pass) for row, crawl_pass, _ in changed.iter_rows()]
        news = changed.with_columns(
            content_hash=pl.Series([each and each.content_hash for each in documents], dtype=pl.String),
            versions=pl.Series([self.versions(each) for each in documents], dtype=READ["versions"]),
        )
        read = pl.concat([self.read.join(news, on="row", how="anti"), news])
        self.read = read.join(met, on="row", how="semi")
        shown = self.read.drop_nulls("content_hash").sort("row")
        observations = shown.with_columns(metrics=self.metrics(shown, live), entity_id=self.ids(shown["row"]))
        made = [each for each in documents if each]
        self.refuse_difference(observations, made)
        gone = self.alive - set(shown["row"])
        self.alive = set(shown["row"])
        self.write(raw, live, made, observations, sorted(gone))

    def met(self, live: LiveDay) -> pl.DataFrame:
        """row, crawl_pass, events of the models of the listings, and of those that are asked for by id since the
        listings have them no longer.
        """
        found, events = [], self.traits.events_so_far(live.day.day)
        for crawl_pass, query in LISTINGS.items():
            rows = np.asarray(live.models(query).rows, dtype=np.int64)
            found.append(pl.DataFrame({"row": rows, "crawl_pass": np.full(len(rows), crawl_pass)}))
        listed = pl.concat(found)["row"]
        unlisted = sorted(self.alive - set(listed))
        found.append(pl.DataFrame({"row": unlisted, "crawl_pass": RECONCILE_PASS}, schema_overrides={"row": pl.Int64}))
        met = pl.concat(found, how="vertical_relaxed").unique("row", keep="first", maintain_order=True)
        return met.select("row", pl.col("crawl_pass").cast(pl.Int32), events=events[met["row"].to_numpy()])

    def document(self, live: LiveDay, row: int, crawl_pass: int) -> Document | None:
        """A model's document as that pass is shown it, in two parts."""
        if crawl_pass == RECONCILE_PASS:
            item = live.model(int(self.columns.model_id[row]))
        else:
            item = live.listed(row, LISTINGS[crawl_pass])
        return split("model", item) if item else None

    def versions(self, document: Document | None) -> list[int]:
        """The versions of a document, as rows of the simulation."""
        owners = msgspec.json.decode(document.metrics) if document else []
        return [self.row_of_version[each["id"]] for each in owners if each["owner"] == "version"]

    def ids(self, rows: pl.Series) -> pl.Series:
        """The entity ids of models."""
        return pl.Series(self.columns.model_id[rows.to_numpy()]).cast(pl.String)

    def metrics(self, shown: pl.DataFrame, live: LiveDay) -> pl.Series:
        """The column `metrics` of the observations of models."""
        day, traits, columns = live.day, self.traits, self.columns
        rows = shown["row"].to_numpy()
        counters, hidden = day.model_counters, traits.downloads_hidden(day.day)
        of_models = pl.DataFrame(
            {
                "id": columns.model_id[rows],
                "downloadCount": counters.downloads[rows],
                "thumbsUpCount": counters.thumbs_up[rows],
                "thumbsDownCount": counters.thumbs_down[rows],
                "commentCount": counters.comments[rows],
                "tippedAmountCount": traits.tips(rows, counters),
            }
        ).with_columns(
            downloadCount=pl.when(~pl.Series(hidden[rows])).then("downloadCount"),
            tippedAmountCount=pl.when(~pl.Series(traits.tips_hidden(day.day)[rows])).then("tippedAmountCount"),
        )
        listed = shown.select("row", "versions").explode("versions").drop_nulls()
        versions = listed["versions"].to_numpy()
        of_versions = pl.DataFrame(
            {
                "id": columns.version_id[versions],
                "downloadCount": day.version_counters.downloads[versions],
                "thumbsUpCount": day.version_counters.thumbs_up[versions],
                "thumbsDownCount": day.version_counters.thumbs_down[versions],
            }
        ).with_columns(downloadCount=pl.when(~pl.Series(hidden[listed["row"].to_numpy()])).then("downloadCount"))
        texts = listed.with_columns(text=as_metrics("version", of_versions)).group_by("row").agg("text")
        together = shown.select("row").join(texts, on="row", how="left", maintain_order="left")
        together = together.with_columns(model=as_metrics("model", of_models))
        joined = pl.concat_list(pl.concat_list("model"), pl.col("text").fill_null(pl.lit([], pl.List(pl.String))))
        return together.select(pl.concat_str(pl.lit("["), joined.list.join(","), pl.lit("]")))["literal"]

    @staticmethod
    def refuse_difference(observations: pl.DataFrame, documents: list[Document]) -> None:
        """Holds the metrics against those that were cut out of documents of the same day."""
        cut = pl.DataFrame(
            [(each.entity_id, each.content_hash, each.metrics.decode()) for each in documents],
            schema=dict.fromkeys(("entity_id", "content_hash", "cut"), pl.String),
            orient="row",
        )
        both = observations.join(cut, on=["entity_id", "content_hash"])
        different = both.filter(pl.col("metrics") != pl.col("cut"))
        if both.height != cut.height or different.height:
            raise SystemExit(f"metrics differ from those of the documents: {different.head(1).to_dicts()}")

    def write(
        self,
        raw: duckdb.DuckDBPyConnection,
        live: LiveDay,
        documents: list[Document],
        observations: pl.DataFrame,
        gone: list[int],
    ) -> None:
        """Adds what a crawl found to raw."""
        on, now = live.day.date, live.day.now
        crawl_id = f"{on}.1"
        new = [each for each in documents if each.content_hash not in self.stored]
        self.stored.update(each.content_hash for each in new)
        rows = [(each.entity_id, each.content_hash, each.payload.decode()) for each in new]
        payloads = pl.DataFrame(
            rows, schema=dict.fromkeys(("entity_id", "content_hash", "payload"), pl.String), orient="row"
        )
        about = {"snapshot_date": pl.lit(on), "crawl_id": pl.lit(crawl_id), "observed_at": pl.lit(now)}
        buried = pl.DataFrame({"entity_id": self.ids(pl.Series(gone, dtype=pl.Int64))})
        for table, frame in (
            (documents_table("model"), payloads.with_columns(fetched_at=now)),
            (observations_table("model"), observations.with_columns(**about)),
            (TOMBSTONES, buried.with_columns(**about, kind=pl.lit("model"))),
        ):
            append(raw, table, frame.select(table.schema.names).to_arrow().cast(table.schema))
        append_crawl(raw, crawl_id, on, now, "live", {"model": observations.height})


def as_metrics(owner: str, counters: pl.DataFrame) -> pl.Series:
    """An element of the column `metrics` for each row of `id` and counters, as text."""
    pieces = [pl.lit(f'{{"owner":"{owner}","id":'), pl.col("id").cast(pl.String), pl.lit(',"stats":{')]
    for position, name in enumerate(counters.columns[1:]):
        pieces += [pl.lit(f'{"," if position else ""}"{name}":'), pl.col(name).cast(pl.String).fill_null("null")]
    return counters.select(text=pl.concat_str([*pieces, pl.lit("}}")]))["text"]


def write_year(models: int, days: int) -> None:
    """Writes the crawls of `days` days from `BEGIN` on."""
    year = Year(models)
    with closing(duckdb.connect(str(WAREHOUSE), config=writer_config())) as raw:
        for on in (BEGIN + timedelta(days=number) for number in range(days)):
            year.crawl(on, raw)
            print(f"raw: {on}, {len(year.alive):,} models", flush=True)


def questions(days: int) -> Iterator[tuple[str, str]]:
    """Every macro as it is asked (half_life in its widest form), and the view that is more than a table's rows."""
    middle, end = BEGIN + timedelta(days=days // 2), BEGIN + timedelta(days=days - 1)
    with duckdb.connect(str(ANALYTICS), read_only=True) as star:
        found = star.execute(
            "select (select hash from star.file_hash limit 1), "
            "(select model_id from star.dim_model group by all order by count(*) desc limit 1), "
            "(select min(version_id) from star.dim_file)"
        ).fetchone()
    assert found is not None
    arguments = {
        "trend_base_model": "30",
        "trending_models": "7, 20",
        "models_as_of": f"date '{middle}'",
        "model_history": str(found[1]),
        "removed_models": f"date '{end - timedelta(days=30)}'",
        "release_curves": "'Illustrious'",
        "half_life": "null, null",
        "time_to_downloads": "1000",
        "survival": "'base_model'",
        "adoption": "'Illustrious'",
        "creator_migration": "'SDXL 1.0', 'Flux.1 D', null",
        "creator_leaderboard": "30",
        "concentration": "30",
        "trending_tags": "30, 20",
        "weekday_pattern": "90",
        "licence_mix": f"date '{middle}'",
        "licence_changes": "null",
        "main_file": str(found[2]),
        "find_hash": f"'{found[0]}'",
        "snapshot_coverage": "",
    }
    for macro in MACROS:
        yield macro.name, f"from star.{macro.name}({arguments[macro.name]})"
    yield "version_wide", "from star.version_wide"


def time_macros(days: int) -> bool:
    """Prints the median seconds of each macro, all rows read into Arrow, in a fresh connection. Returns whether all are
    fast.
    """
    is_fast = True
    for name, query in questions(days):
        seconds = []
        for _ in range(ROUNDS):
            with duckdb.connect(str(ANALYTICS), read_only=True, config={"threads": 2}) as star:
                began = time.perf_counter()
                rows = star.sql(query).to_arrow_table().num_rows
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
    if arguments.keep:  # the macros may be others by now
        publish(Lake(LAKE), ANALYTICS, read_manifest(ANALYTICS))
        return 0 if time_macros(arguments.days) else 1
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    write_year(arguments.models, arguments.days)
    environment, are_fast = os.environ | {"CIVITAI_ETL_DATA_DIR": str(FOLDER)}, True
    for name in ("rebuild", "compact"):
        command = [str(Path(sys.executable).with_name("civitai-etl")), name]
        seconds, cpu_seconds, peak_mib = measured(command, FOLDER / f"{name}.log", environment)
        print(f"{name} in {seconds:,.0f} s ({cpu_seconds:,.0f} CPU seconds), with {peak_mib:,.0f} MiB at most")
        are_fast &= time_macros(arguments.days)
    return 0 if are_fast else 1


if __name__ == "__main__":
    raise SystemExit(main())
