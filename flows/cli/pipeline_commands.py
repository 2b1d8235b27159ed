"""Commands that load and build: demo, snapshot, refresh, look-up, rebuild, relocate, compact."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from cyclopts.types import PositiveInt

from flows.cli.app import PARTIAL, NamedPath, app, read_settings
from flows.reporting.console import say
from pipelines.errors import CivitaiEtlError

if TYPE_CHECKING:
    from flows.steps import RunSummary
    from pipelines.settings import Settings


@app.command
def demo(
    *,
    days: PositiveInt = 30,
    models: PositiveInt = 2000,
    data_dir: NamedPath = Path("data/demo"),
) -> int:
    """Run simulated days through the whole pipeline, without a network or a key.

    Starts an emulated Civitai on this machine, takes one snapshot for each simulated day from 2026-01-01 on, prints a
    summary and draws charts. A second run continues where the first stopped.

    Parameters
    ----------
    days
        Simulated days, one snapshot each.
    models
        Models in the simulated catalogue on the first day.
    data_dir
        Where to work; must not hold snapshots of a real service. Charts go to `charts` in it.
    """
    from flows.cli.demo import run_demo

    return run_demo(days=days, models=models, data_dir=data_dir)


@app.command
def snapshot(
    *,
    snapshot_date: Annotated[date | None, Parameter(name="--date")] = None,
    service_moved: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Take today's full snapshot and publish it; resumes one that was cut off.

    A complete date is not crawled again. The watch list (`CIVITAI_ETL_WATCH_MODELS`, `_VERSIONS`, `_USERS`) is looked
    up with it. Ends with code 3 if the snapshot is partial: what was seen is published, and the reason is reported.

    Parameters
    ----------
    snapshot_date
        UTC date of the snapshot, such as 2026-01-31. Default: today. A real service answers only for today, so
        another date is for an emulator.
    service_moved
        The service of the earlier snapshots has a new address; needed once.
    """
    from flows.daily_run import daily_run
    from flows.reporting.console import progress_display
    from flows.steps import WatchListError, run_daily_snapshot

    settings = read_settings()
    on = snapshot_date or datetime.now(UTC).date()
    with progress_display() as progress, daily_run(settings, on, progress.note) as run:
        summary = run_daily_snapshot(settings, snapshot_date, progress, service_moved=service_moved)
        run.snapshot_date, run.status = summary.snapshot.snapshot_date, summary.snapshot.status
        run.reason = summary.snapshot.reason
        run.problem = summary.watched.problem if summary.watched else None
    _print_summary(settings, summary)
    if summary.snapshot.status != "complete":
        return PARTIAL
    if summary.watched and summary.watched.problem:
        raise WatchListError(summary.watched.problem)
    return 0


def _print_summary(settings: "Settings", summary: "RunSummary") -> None:
    from flows.reporting import report

    say(report.crawl_line(summary.snapshot))
    if not summary.snapshot.already_complete:
        say(report.coverage_line(summary.snapshot))
    if summary.watched:
        say(report.lookup_line(summary.watched))
    if summary.snapshot.already_complete and not summary.build.published:
        return
    say(*report.build_lines(summary.build))
    say("", "Rows:")
    say(*report.row_lines(summary.build.rows))
    say("")
    say(*report.place_lines(settings))


@app.command
def refresh() -> int:
    """Load the new documents of models and images since the last refresh, between two snapshots.

    The published tables stay as they are. The next snapshot observes the new documents.
    """
    from flows.reporting import report
    from flows.reporting.console import progress_display
    from flows.steps import refresh_documents

    with progress_display() as progress:
        refreshed = refresh_documents(read_settings(), progress)
    say(report.refresh_line(refreshed))
    return 0


@app.command(name="look-up")
def look_up(name: str, /, *texts: str) -> int:
    """Ask the service for things by id, name or hash, and print, keep and publish its answers.

    `civitai-etl look-up versions 128713 130072` puts the details of two versions in `star.model_version_detail`. Ends
    with code 1 if anything was not found.

    Parameters
    ----------
    name
        What to look up: `versions` or `minis` (ids of versions), `users` (names), `user-ids` (live dialect only),
        `hash` (hashes of any kind, one request each), `hashes` or `hash-ids` (SHA256, many at once).
    texts
        The ids, names or hashes.
    """
    from flows.cli.look_up import render_lookups
    from flows.reporting.console import progress_display
    from flows.steps import look_up_by_hand

    if not texts:
        raise CivitaiEtlError(f"Nothing to look up: give ids, names or hashes after {name!r}.")
    with progress_display() as progress:
        looked_up = look_up_by_hand(read_settings(), name, texts, progress)
    render_lookups(looked_up)
    return 0


@app.command
def rebuild(
    *,
    from_date: Annotated[date | None, Parameter(name="--from")] = None,
    to_date: Annotated[date | None, Parameter(name="--to")] = None,
    into: NamedPath | None = None,
    forget_dates: str | None = None,
) -> int:
    """Make the star tables again from raw, without requests.

    Parameters
    ----------
    from_date
        First snapshot date to make again. Default: the first in raw.
    to_date
        Last snapshot date to make again. Default: the last in raw.
    into
        Write `lake` and `analytics.duckdb` under this directory instead of the data directory.
    forget_dates
        Published dates to drop from the tables for good because raw no longer has them. Give exactly those that the
        error names, such as 2026-01-01,2026-01-05..2026-01-31.
    """
    from flows.reporting import report
    from flows.reporting.console import progress_display
    from flows.steps import rebuild_star
    from transforms.continuity import as_ranges, from_ranges

    settings = read_settings()
    forgotten = sorted({*from_ranges(forget_dates)}) if forget_dates else []
    with progress_display() as progress:
        built = rebuild_star(settings, from_date, to_date, into, forgotten, progress)
    if forgotten:
        say(f"Forgotten, as far as raw lacks them: {as_ranges(forgotten)}.")
    say(report.build_line(built))
    say(*report.build_lines(built))
    say("", "Rows:")
    say(*report.row_lines(built.rows))
    return 0


@app.command
def relocate() -> int:
    """Make the tables readable after the data directory was moved or copied; takes seconds.

    `analytics.duckdb` names its Parquet files by their absolute paths. A command that reads reports that they have
    moved. A command that writes relocates them by itself.
    """
    from flows.reporting import report
    from flows.steps import relocate_star

    settings = read_settings()
    moved = relocate_star(settings)
    say("The tables now name the files that are here." if moved else "The tables name the files that are here already.")
    say(*report.place_lines(settings))
    return 0


@app.command
def compact() -> int:
    """Make the data directory smaller: a closed month becomes one file per table and an archive of raw observations.

    A month is closed when a later one has a complete snapshot. SQL still finds every row: a rebuild proves it before
    anything is replaced. This takes as long as `civitai-etl rebuild`, and as much space for a while.
    """
    from flows.reporting import report
    from flows.reporting.console import progress_display
    from flows.steps import compact_closed_months

    with progress_display() as progress:
        compacted = compact_closed_months(read_settings(), progress)
    say(*report.compact_lines(compacted))
    return 0
