"""Daily facts: counters as observed, and flows against the last known value.

The rules (docs/architecture.md, Numbers), each with a test in tests/transforms/test_facts.py:

* a flow is the counter minus its last non-null value at any earlier observation, through absence and tombstones; null
  if either is missing, so between two dates with known counters the flows add up to the difference;
* at an entity's first observation the flow is null, unless it was published after the last complete crawl before it
  began: then the whole counter is flow and the span runs from that crawl. A crawl that read no list item of
  the entity's model does not count;
* a counter that falls gives a negative flow; nothing is clipped and nothing is interpolated;
* a counter that is withheld on a date (`transforms.quality.counter_guard`) is null like a hidden one. If an entity is
  first observed on that date, the first date that shows the counter counts as its first observation.

A state frame (`empty_state`) carries the last known values of each entity, so that a day needs no earlier files.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime

import polars as pl

from transforms.tables import TABLES, Table

#: The daily facts of entities, which are the tables with counters, and the column of the entity's id in each.
ENTITY_ID: dict[type[Table], str] = {
    table: name
    for table in TABLES
    if table.with_metadata(counter=True)
    for name in table.primary_key()
    if name != "snapshot_date"
}

#: The counter that creators can hide; facts that have it say what span its flow covers.
DOWNLOADS = "download_count"


@dataclass(frozen=True)
class CompleteCrawl:
    """The last complete crawl before a snapshot date. It could not see what was published after it began."""

    snapshot_date: date
    started_at: datetime


def counters_of(fact: type[Table]) -> dict[str, str | None]:
    """The counter columns of a fact, each with the column of its flow."""
    return {name: metadata["flow"] for name, metadata in fact.with_metadata(counter=True).items()}


def stats_columns(fact: type[Table]) -> list[pl.Expr]:
    """The counters of a fact, read from a frame whose columns are `payloads.Stats` fields and `modelCount`."""
    return [
        pl.col(metadata["source"].rsplit(".", 1)[-1]).alias(name)
        for name, metadata in fact.with_metadata(counter=True).items()
    ]


def empty_state(fact: type[Table]) -> pl.DataFrame:
    """One row per entity: id, `observed_on`, and each counter's last known value. With downloads also `downloads_on`,
    the date of its last known value; `is_shown`, whether the last observation had it; `entered_on` and `entered_with`,
    the date and the number of its first known value, unless that is a flow; and `born_on`, the date of the first
    observation of an entity that was published after the last complete crawl before it began.
    """
    columns = fact.columns()
    schema: dict[str, pl.DataType | type[pl.DataType]] = {
        ENTITY_ID[fact]: columns[ENTITY_ID[fact]].dtype,
        "observed_on": pl.Date,
    }
    schema |= {name: columns[name].dtype for name in counters_of(fact)}
    if DOWNLOADS in counters_of(fact):
        schema |= {"downloads_on": pl.Date, "is_shown": pl.Boolean}
        schema |= {"entered_on": pl.Date, "entered_with": columns[DOWNLOADS].dtype, "born_on": pl.Date}
    # For a new entity on a date with withheld counters: these counters, and the complete crawl before.
    schema |= {"born_after": pl.Date, "awaited": pl.List(pl.String)}
    return pl.DataFrame(schema=schema)


def beside_known(fact: type[Table], observed: pl.DataFrame, state: pl.DataFrame) -> pl.DataFrame:
    """What was `observed` beside what was known before (`empty_state`), whose counters get the suffix `_known`."""
    known = state.rename({name: f"{name}_known" for name in counters_of(fact)})
    return observed.join(known, on=ENTITY_ID[fact], how="left", maintain_order="left")


def daily_rows(
    fact: type[Table],
    observed: pl.DataFrame,
    state: pl.DataFrame,
    published: pl.DataFrame,
    on: date,
    withheld: Collection[str] = (),
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows of a daily fact, without the keys of dimension rows, and the state after them.

    Args:
        fact: the declaration.
        observed: one row per entity observed on `on`, `beside_known`; a null counter is hidden or not given.
        state: what was known before (`empty_state`).
        published: id and `published_at` of entities that may be new; those without a publication are left out. With
            them `complete_on` and `complete_from`, the date and the start of the last complete crawl before `on` that
            could have listed the entity; null if there was none.
        on: the snapshot date.
        withheld: the counters that are null on this date because the service's values are implausible.
    """
    entity_id, counters = ENTITY_ID[fact], counters_of(fact)
    # Whether the service gave a number; needed after withheld values become null.
    given = [pl.col(name).is_not_null().alias(f"{name}_given") for name in counters if name in {DOWNLOADS, *withheld}]
    rows = observed.with_columns(*given, is_first=pl.col("observed_on").is_null(), snapshot_date=pl.lit(on))
    rows = rows.with_columns(pl.lit(None, dtype=rows.schema[name]).alias(name) for name in withheld)
    publications = published.select(entity_id, "published_at", "complete_on", "complete_from")
    rows = rows.join(publications, on=entity_id, how="left", maintain_order="left")
    is_new = pl.col("is_first") & (pl.col("published_at") > pl.col("complete_from")).fill_null(False)  # noqa: FBT003
    since = pl.col("complete_on")

    def is_awaited(name: str) -> pl.Expr:
        """Whether an entity was new on a date that withheld this counter, and no date has shown it since."""
        return pl.col("awaited").list.contains(name).fill_null(False) & pl.col(f"{name}_known").is_null()  # noqa: FBT003

    rows = rows.with_columns(is_new=is_new).with_columns(
        pl.when(pl.col("is_new") | is_awaited(name))
        .then(pl.col(name))
        .otherwise(pl.col(name) - pl.col(f"{name}_known"))
        .alias(flow)
        for name, flow in counters.items()
        if flow is not None
    )
    rows = rows.with_columns(days_since_previous=span(pl.when("is_new").then(since).otherwise("observed_on")))
    if DOWNLOADS in counters:
        flow = counters[DOWNLOADS] or ""
        start = pl.when("is_new").then(since).when(is_awaited(DOWNLOADS)).then("born_after").otherwise("downloads_on")
        rows = rows.with_columns(downloads_days=pl.when(pl.col(flow).is_not_null()).then(span(start)))
    awaits = [pl.when(pl.col("is_new") & pl.col(f"{name}_given")).then(pl.lit(name)) for name in sorted(withheld)]
    awaited = pl.concat_list(awaits).list.drop_nulls() if awaits else pl.lit([], dtype=pl.List(pl.String))
    rows = rows.with_columns(awaits=awaited, is_awaiting=awaited.list.len() > 0)
    seen = _seen(rows, fact, on)
    unseen = state.filter(~state[entity_id].is_in(observed[entity_id].implode(), nulls_equal=True))
    return rows, pl.concat([unseen, seen.select(state.columns)])


def _seen(rows: pl.DataFrame, fact: type[Table], on: date) -> pl.DataFrame:
    """The state of the entities that were observed, after the `rows` of the day."""
    counters = counters_of(fact)
    of_downloads = {}
    if DOWNLOADS in counters:
        is_known = pl.col(DOWNLOADS).is_not_null()
        enters = is_known & pl.col(counters[DOWNLOADS] or "").is_null()
        of_downloads = {
            "downloads_on": pl.when(is_known).then(pl.lit(on)).otherwise("downloads_on"),
            "is_shown": pl.col(f"{DOWNLOADS}_given"),
            "entered_on": pl.when(enters).then(pl.lit(on)).otherwise("entered_on"),
            "entered_with": pl.when(enters).then(DOWNLOADS).otherwise("entered_with"),
            "born_on": pl.when("is_new").then(pl.lit(on)).otherwise("born_on"),
        }
    return rows.select(
        ENTITY_ID[fact],
        observed_on=pl.lit(on),
        **{name: pl.coalesce(name, f"{name}_known") for name in counters},
        **of_downloads,
        born_after=pl.when("is_awaiting").then("complete_on").otherwise("born_after"),
        awaited=pl.when("is_awaiting").then("awaits").otherwise("awaited"),
    )


def span(start: pl.Expr) -> pl.Expr:
    """Days from `start` to the row's snapshot date."""
    return (pl.col("snapshot_date") - start).dt.total_days().cast(pl.Int32)
