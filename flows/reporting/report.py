"""Describes a run and the published tables: as text for the terminal, as Markdown for Prefect.

Numbers come from the reports of crawl and build. Numbers about published tables come from `analytics.duckdb` itself, so
a run reports what an analyst finds.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from flows.reporting.text import plain
from pipelines.errors import CivitaiEtlError
from pipelines.progress import duration
from pipelines.storage.data_directory import DataDirectory

if TYPE_CHECKING:
    import duckdb

    from pipelines.crawl.discovery import RefreshReport
    from pipelines.crawl.lookups import LookupReport
    from pipelines.crawl.snapshot import SnapshotReport
    from pipelines.raw.crawls import CrawlStatus
    from pipelines.settings import Settings
    from transforms.build import BuildReport
    from transforms.compact import CompactReport
    from transforms.day.record_counts import RecordCounts


class NothingPublishedError(CivitaiEtlError):
    """There is no `analytics.duckdb` yet."""

    exit_code = 4


def nothing_published(analytics: Path) -> NothingPublishedError:
    """The error for who needs the published tables before there are any."""
    directory = DataDirectory.at(analytics.parent)
    if directory.warehouse.exists():
        advice = (
            "there is raw data. If its first snapshot is still at work, wait for it. If a file was lost, run "
            "`civitai-etl rebuild`, which makes the tables again without requests."
        )
    elif not directory.root.exists():
        advice = (
            "there is no such data directory. If it was moved, or its disk is not mounted, mend that or set "
            "CIVITAI_ETL_DATA_DIR. Otherwise run `civitai-etl snapshot` (or `civitai-etl demo`) first."
        )
    else:
        advice = "run `civitai-etl snapshot` (or `civitai-etl demo`) first, or set CIVITAI_ETL_DATA_DIR."
    return NothingPublishedError(f"Nothing is published at {analytics}: {advice}")


@contextmanager
def open_analytics(analytics: Path) -> Iterator["duckdb.DuckDBPyConnection"]:
    """A read-only connection to the published tables.

    Raises:
        NothingPublishedError: nothing has been published there yet.
        MovedError: the data directory was moved after it was published.
        CivitaiEtlError: the file, or one that it names, cannot be read.
    """
    import duckdb

    from pipelines.memory import duckdb_config
    from transforms.lake.published import is_there, opened, refuse_moved

    if not is_there(analytics):
        raise nothing_published(analytics)
    try:
        with opened(analytics, partial(duckdb.connect, read_only=True, config=duckdb_config())) as connection:
            if not connection.execute("SELECT 1 FROM duckdb_schemas() WHERE schema_name = 'star'").fetchall():
                raise CivitaiEtlError(f"{analytics} has no published tables: move it away if another program made it.")
            refuse_moved(connection, analytics)
            # Days are UTC days in every time zone.
            connection.execute("set TimeZone = 'UTC'")
            yield connection
    except duckdb.Error as error:
        raise CivitaiEtlError(
            f"The tables published at {analytics} cannot be read ({str(error).splitlines()[0]}): run `civitai-etl "
            "rebuild`, which makes them again from raw."
        ) from error


# ---------------------------------------------------------------------------------------------------- what a run did


def crawl_line(crawl: "SnapshotReport") -> str:
    """One sentence about the crawl, with its status."""
    if crawl.already_complete:
        return f"Snapshot {crawl.snapshot_date} is complete already; no requests were made."
    status = crawl.status if crawl.status == "complete" else f"{crawl.status.upper()} ({crawl.reason})"
    return f"Snapshot {crawl.snapshot_date}: {status}; {_effort(crawl, f'{crawl.items:,} items')}."


def coverage_line(crawl: "SnapshotReport") -> str:
    """How many entities of each kind were met, and how many the service announced, if it did."""
    met = [
        f"{kind} {counts['distinct_ids']:,}" + (f" of {crawl.listed[kind]:,}" if kind in crawl.listed else "")
        for kind, counts in crawl.endpoints.items()
    ]
    asked_for = f"; {crawl.reconciled_ids:,} asked for by id" if crawl.reconciled_ids else ""
    return f"Met: {', '.join(met)}{asked_for}."


def refresh_line(refreshed: "RefreshReport") -> str:
    """One sentence about a refresh, with what it found per kind."""
    found = ", ".join(f"{count:,} of {kind}s" for kind, count in refreshed.documents.items())
    rejected = [f"{refreshed.rejected:,} items without a readable id"] if refreshed.rejected else []
    return f"New documents: {found}; {_effort(refreshed, *rejected)}."


def lookup_line(looked_up: "LookupReport") -> str:
    """One sentence about look-ups, with the outcome of each kind."""
    outcomes = []
    for name, found in looked_up.found.items():
        unknown, unanswered = len(looked_up.unknown[name]), len(looked_up.unanswered[name])
        lacking = [f"{unknown:,} not found"] * bool(unknown) + [f"{unanswered:,} without an answer"] * bool(unanswered)
        outcomes.append(f"{len(found):,} {name}" + (f" ({', '.join(lacking)})" if lacking else ""))
    return f"Looked up: {', '.join(outcomes)}; {looked_up.requests:,} requests in {duration(looked_up.seconds)}."


def build_line(built: "BuildReport") -> str:
    """One sentence about a build."""
    return f"Built {len(built.dates):,} snapshot dates."


def compact_lines(compacted: "CompactReport") -> list[str]:
    """What moved, and the size of each part of the data directory before and after."""
    if compacted.closed_before is None:
        return ["No month is closed yet: that takes a complete snapshot of a later one."]
    if not compacted.rows_archived and not compacted.files_made:
        return [f"Nothing to do: everything before {compacted.closed_before} is compacted."]
    done = f"{compacted.rows_archived:,} observations archived, {compacted.files_merged:,} files of the star made into"
    lines = [f"Compacted the months before {compacted.closed_before}: {done} {compacted.files_made:,}."]
    sizes = {"star": "star", "warehouse": "warehouse.duckdb", "archive": "archive"}
    for name, label in sizes.items():
        before, after = getattr(compacted.before, name), getattr(compacted.after, name)
        lines.append(f"{label:17}{before / 1e6:>10,.1f} MB -> {after / 1e6:,.1f} MB")
    return lines


def _effort(run: "SnapshotReport | RefreshReport", *items: str) -> str:
    details = [f"{run.requests:,} requests", f"{run.pages:,} pages", *items, f"{run.bytes / 1e6:,.1f} MB"]
    if run.retries:
        details.append(f"{run.retries:,} retries")
    return f"{', '.join(details)} in {duration(run.seconds)}"


def record_count_lines(record_counts: Iterable["RecordCounts"]) -> list[str]:
    """Per kind: in = out + quarantined + duplicates, added up over the dates of the build."""
    lines = []
    for kind, group in groupby(sorted(record_counts, key=lambda counts: counts.kind), key=lambda counts: counts.kind):
        of_kind = list(group)
        received = sum(counts.received for counts in of_kind)
        loaded = sum(counts.loaded for counts in of_kind)
        quarantined = sum(counts.quarantined for counts in of_kind)
        duplicates = sum(counts.duplicates for counts in of_kind)
        sign = "=" if received == loaded + quarantined + duplicates else "IS NOT"
        out = f"{loaded:,} out + {quarantined:,} quarantined + {duplicates:,} duplicates"
        lines.append(f"{kind + ':':9}{received:>9,} in {sign} {out}")
    return lines


def build_lines(built: "BuildReport") -> list[str]:
    """The record counts and the warnings of a build."""
    return [*record_count_lines(built.record_counts), *warning_lines(built)]


def warning_lines(built: "BuildReport") -> list[str]:
    """The warnings of a build."""
    return [f"WARNING: {warning}" for warning in built.warnings]


def row_lines(rows: Mapping[str, int]) -> list[str]:
    """Rows per published table, dimensions before facts before the rest."""
    width = max(map(len, rows), default=0)
    return [f"{table:{width}}{rows[table]:>12,}" for table in reading_order(rows)]


def reading_order(tables: Iterable[str]) -> list[str]:
    """Table names in reading order: dimensions with their tables, facts, marts, operations."""
    ranks = {"fact": 1, "mart": 2, "ops": 3}
    return sorted(tables, key=lambda table: (ranks.get(table.split("_", maxsplit=1)[0], 0), table))


def place_lines(settings: "Settings") -> list[str]:
    """Where things are."""
    return [f"SQL:      {settings.directory.analytics}", f"Parquet:  {settings.directory.lake / 'star'}"]


# ------------------------------------------------------------------------------------------------- what is published


@dataclass(frozen=True)
class BaseModelDownloads:
    """Downloads of one base model between the complete snapshots `since` and `until`. `downloads` is None if no flow is
    known, and `share` is None if there are no downloads.
    """

    base_model: str
    since: date
    until: date
    downloads: int | None
    share: float | None


def top_base_models(connection: "duckdb.DuckDBPyConnection", days: int = 7, limit: int = 8) -> list[BaseModelDownloads]:
    """The base models with the most downloads, from `star.trend_base_model`. Its window of `days` days is longer if
    snapshots are missing or partial, and shorter if there are no older ones.
    """
    rows = connection.execute(
        "select base_model, since, until, downloads, downloads_share from star.trend_base_model(?) limit ?",
        [days, limit],
    ).fetchall()
    return [BaseModelDownloads(*row) for row in rows]


def downloads_title(top: Sequence[BaseModelDownloads]) -> str:
    """A title with the time span of `top`."""
    if not top or top[0].since == top[0].until:
        return "Downloads: unknown before the second complete snapshot"
    since, until = top[0].since, top[0].until
    days = (until - since).days
    return f"Downloads in the {days:,} days to {until}" if days > 1 else f"Downloads in the day to {until}"


def base_model_lines(top: Sequence[BaseModelDownloads]) -> list[str]:
    width = max((len(row.base_model) for row in top), default=0)
    return [f"{row.base_model:{width}}{_count(row.downloads):>12}{_percent(row.share):>9}" for row in top]


def published_rows(connection: "duckdb.DuckDBPyConnection") -> dict[str, int]:
    """Rows per table, from the manifest of the published build."""
    rows = connection.execute("select table_name, sum(rows)::bigint from star.manifest group by table_name").fetchall()
    return dict(rows)


def published_dates(connection: "duckdb.DuckDBPyConnection") -> list[date]:
    """The published snapshot dates, in order."""
    rows = connection.execute(
        "select distinct snapshot_date from star.mart_base_model_daily order by snapshot_date"
    ).fetchall()
    return [row[0] for row in rows]


def listed_before(connection: "duckdb.DuckDBPyConnection") -> dict[str, int]:
    """How long the lists were in the last complete snapshot, by the phase of a crawl; empty if there is none."""
    lists = {"models": "fact_model_daily", "creators": "fact_creator_daily", "tags": "fact_tag_daily"}
    counts = ", ".join(f"(select count(*) from star.{fact} where snapshot_date = last)" for fact in lists.values())
    row = connection.execute(
        f"""
        select {counts} from (
            select max(snapshot_date) as last from star.ops_snapshot where status = 'complete' and verdict is null
        ) where last is not null
        """
    ).fetchone()
    return dict(zip(lists, row, strict=True)) if row else {}


@dataclass(frozen=True)
class CrawlRecord:
    """The last crawl of a date, as published."""

    crawl_id: str
    snapshot_date: date
    status: "CrawlStatus"
    reason: str | None
    pages: int
    items: int
    bytes: int
    seconds: float

    def line(self) -> str:
        """One sentence, with the status first."""
        status = self.status if self.status == "complete" else f"{self.status.upper()} ({self.reason})"
        return (
            f"Snapshot {self.snapshot_date}: {status}; {self.pages:,} pages, {self.items:,} items, "
            f"{self.bytes / 1e6:,.1f} MB in {duration(self.seconds)} (crawl {self.crawl_id})."
        )


def crawl_record(connection: "duckdb.DuckDBPyConnection", snapshot_date: date) -> CrawlRecord:
    """The last crawl of a published date."""
    row = connection.execute(
        """
        select crawl_id, snapshot_date, status, reason, pages, items, bytes, seconds
        from star.ops_snapshot
        where snapshot_date = ?
        order by started_at desc, crawl_id desc
        limit 1
        """,
        [snapshot_date],
    ).fetchone()
    if row is None:
        raise CivitaiEtlError(f"No crawl of {snapshot_date} is published.")
    return CrawlRecord(*row)


def refresh_markdown(refreshed: "RefreshReport") -> str:
    """The summary of a refresh as Markdown, with the new documents per kind as a bar chart."""
    bars = _bars(list(refreshed.documents.values()))
    rows = [
        f"| {kind} | {count:,} | {bar} |" for (kind, count), bar in zip(refreshed.documents.items(), bars, strict=True)
    ]
    table = "\n".join(["| kind | new documents | |", "|---|---:|---|", *rows])
    return f"# Refresh\n\n{in_markdown(refresh_line(refreshed))}\n\n{table}\n"


def in_a_block(lines: Iterable[str]) -> list[str]:
    """Lines as they are, in Markdown. Indented, because a line could end a fence."""
    return ["", *(f"    {plain(line)}" for line in lines), ""]


def in_markdown(text: str) -> str:
    """Untrusted text of the service inside a Markdown line, with Markdown's marks escaped."""
    return re.sub(r"([\\`*_{}\[\]<>#|~&!])", r"\\\1", plain(text))


def _bars(values: Sequence[int | None]) -> list[str]:
    """A bar of characters for each value, the longest of 24; no bar for zero, null or less."""
    longest = max((value or 0 for value in values), default=0)
    return ["█" * round(24 * max(value or 0, 0) / longest) if longest > 0 else "" for value in values]


def _count(value: int | None) -> str:
    return "unknown" if value is None else f"{value:,}"


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f} %"
