"""Protects published dates: raw must have the observations of every published snapshot date.

The star is built from raw. If raw is lost, or restored from an older backup, the next publish would drop dates, which
the service cannot give again. Observations are only ever added: if raw has fewer observations of a date than the star
was built from, some are lost.
"""

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

import polars as pl

from pipelines.errors import CivitaiEtlError
from pipelines.progress import Progress
from pipelines.raw import decisions
from pipelines.raw.decisions import Decision
from pipelines.raw.kinds import SNAPSHOT_KINDS
from pipelines.raw.tables import observations_table
from pipelines.raw.warehouse import all_rows, connect, crawls, has_table
from pipelines.storage.data_directory import DataDirectory
from transforms.lake.files import Lake, LakeFile, UnreadableStarError
from transforms.lake.publish import MANIFEST, read_manifest
from transforms.tables import OpsDecision, OpsSnapshot

#: How many dates a message names.
NAMED = 3

_DAY = re.compile(r"snapshot_date=(\d{4}-\d\d-\d\d)/")


class LostDatesError(CivitaiEtlError):
    """Raw lacks what is published of some dates; nothing was changed."""


def refuse_lost_dates(directory: DataDirectory, forgotten: Collection[date] = ()) -> None:
    """Checks that raw has all observations of the star, except those of the dates to be forgotten.

    Args:
        directory: where raw and the star are; without a warehouse, raw has nothing.
        forgotten: what raw is known to lack.

    Raises:
        LostDatesError: raw lacks other dates than these, or has one of them.
        CivitaiEtlError: raw cannot be read, or it is unknown what is published.
    """
    published = published_observations(directory)
    lost = lost_dates(raw_observations(directory.warehouse), published) if published else []
    if kept := sorted({*forgotten} - {*lost}):
        raise LostDatesError(
            f"{as_ranges(kept)} cannot be forgotten: raw has all that is published of it. Nothing was changed; "
            + (f"what raw lacks is --forget-dates {as_ranges(lost)}." if lost else "raw lacks nothing.")
        )
    if {*lost} - {*forgotten}:
        named = ", ".join(map(str, lost[:NAMED])) + (", ..." if len(lost) > NAMED else "")
        dates = f"{len(lost):,} published dates" if len(lost) > 1 else "a published date"
        raise LostDatesError(
            f"{directory.warehouse} lacks observations of {dates} ({named}), which would vanish from the tables: put "
            "back a newer backup of it and of the folder archive, or let them go with "
            f"`civitai-etl rebuild --forget-dates {as_ranges(lost)}`. Nothing was changed."
        )


def lost_dates(raw: Mapping[date, int], published: Mapping[date, int]) -> list[date]:
    """The dates with fewer observations in raw than published."""
    return sorted(on for on, observations in published.items() if observations > raw.get(on, 0))


def raw_observations(warehouse: Path) -> dict[date, int]:
    """How many observations raw has of each snapshot date."""
    if not warehouse.exists():
        return {}
    with closing(connect(warehouse)) as connection:
        tables = [table for table in map(observations_table, SNAPSHOT_KINDS) if has_table(connection, table)]
        dates = " union all ".join(f"select snapshot_date from {all_rows(connection, table)}" for table in tables)
        if not dates:
            return {}
        return dict(connection.execute(f"select snapshot_date, count(*) from ({dates}) group by all").fetchall())


def published_observations(directory: DataDirectory) -> dict[date, int]:
    """The number of observations in the published star, by snapshot date.

    If analytics.duckdb is lost, the manifest in the lake says what was published. If the table of crawls is lost, a
    date with a file had at least one observation.
    """
    files = _published_files(directory)
    of_crawls = [file for file in files if file.table == OpsSnapshot.table_name()]
    try:
        rows = Lake(directory.lake).read(of_crawls, OpsSnapshot.polars_schema(), partly=True)
    except UnreadableStarError:
        daily = [file for file in files if file.role == "daily" and (directory.lake / file.path).exists()]
        return {file.snapshot_date: 1 for file in daily if file.snapshot_date}
    of_date = rows.group_by("snapshot_date").agg(pl.col("observations").sum())
    return {on: observations for on, observations in of_date.iter_rows() if observations}


def put_back_decisions(directory: DataDirectory, progress: Progress) -> None:
    """Stores the published decisions that raw lacks, as an older backup does: those on crawls that raw has.

    The caller holds the writer lock.
    """
    if not directory.warehouse.exists():
        return
    published = [file for file in _published_files(directory) if file.table == OpsDecision.table_name()]
    with closing(connect(directory.warehouse)) as connection:
        taken = decisions.decisions(connection)
        crawled = {row.crawl_id for row in crawls(connection)}
    try:
        rows = Lake(directory.lake).read(published, OpsDecision.polars_schema()).sort("number")
    except UnreadableStarError:  # raw is all that there is to go by
        return
    known = {each.decided_at for each in taken}
    number = taken[-1].number if taken else 0
    lost = []
    for row in rows.iter_rows(named=True):
        if row["decided_at"] not in known and crawled.issuperset(row["crawl_ids"]):
            number += 1
            lost.append(Decision(**row | {"number": number, "crawl_ids": tuple(row["crawl_ids"])}))
    decisions.store(directory.warehouse, lost)
    for each in lost:
        progress.note(f"{each.snapshot_date} is {each.verdict} ({each.reason}): raw had lost that, the tables had not")


def _published_files(directory: DataDirectory) -> list[LakeFile]:
    try:
        return read_manifest(directory.analytics) or _files_of_manifest(directory.lake)
    except UnreadableStarError:  # a rebuild makes it again
        return _files_of_manifest(directory.lake)


def _files_of_manifest(lake: Path) -> list[LakeFile]:
    path = lake / "star" / MANIFEST
    if not path.exists():
        return []
    try:
        tables = json.loads(path.read_bytes())["tables"]
        return [
            LakeFile(name, "daily" if day else "", day, f"star/{file['path']}", file["rows"], file["bytes"])
            for name, table in tables.items()
            for file in table["files"]
            for day in [_day(file["path"])]
        ]
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise UnreadableStarError(
            f"{path} is no list of the published files ({error}), and {lake} has no other: put back a backup of it or "
            "of analytics.duckdb, or delete it to have the tables made of what raw has."
        ) from None


def _day(path: str) -> date | None:
    """The day whose file it is, if it is one day's."""
    found = _DAY.search(path)
    return date.fromisoformat(found[1]) if found else None


def as_ranges(dates: Sequence[date]) -> str:
    """Dates in order as an option takes them: 2026-01-01..2026-01-05,2026-01-09."""
    return ",".join(str(first) if first == last else f"{first}..{last}" for first, last in _ranges(dates))


def from_ranges(text: str) -> list[date]:
    """The dates that `as_ranges` wrote, or a person did.

    Raises:
        CivitaiEtlError: it is no such list.
    """
    dates: list[date] = []
    for part in text.split(","):
        first, between, last = part.strip().partition("..")
        try:
            begin = date.fromisoformat(first)
            end = date.fromisoformat(last) if between else begin
        except ValueError:
            raise CivitaiEtlError(f"{part.strip()!r} is no date as in 2026-01-01,2026-01-05..2026-01-31.") from None
        if end < begin:
            raise CivitaiEtlError(f"{part.strip()} ends before it begins: give the earlier date first.")
        dates += [begin + timedelta(days) for days in range((end - begin).days + 1)]
    return dates


def _ranges(dates: Sequence[date]) -> Iterator[tuple[date, date]]:
    """First and last of each run of days."""
    ends = [index for index, (one, next_one) in enumerate(pairwise(dates), start=1) if next_one - one > timedelta(1)]
    for begin, end in pairwise([0, *ends, len(dates)]):
        yield dates[begin], dates[end - 1]
