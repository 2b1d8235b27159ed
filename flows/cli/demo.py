"""The demo: an emulated Civitai, thirty simulated days, and what an analyst gets out of them.

Only the service is emulated: the crawl goes through HTTP into DuckDB, the transforms write Parquet, and the
summary is read back from `analytics.duckdb`. Dates and seed are fixed, so every demo has the same numbers.
"""

import shutil
import sys
import time
from datetime import date, timedelta
from pathlib import Path

import msgspec

from emulator.launch import launch
from emulator.simulation.columns import HORIZON, MOST_MODELS
from flows.reporting import charts, report
from flows.reporting.console import progress_display, say
from flows.reporting.freshness import coverage
from flows.reporting.logs import log_to_file
from flows.steps import RunSummary, publish, run_daily_snapshot
from pipelines.errors import CivitaiEtlError
from pipelines.memory import duckdb_config
from pipelines.progress import Progress, duration
from pipelines.settings import Settings
from pipelines.storage.data_directory import DataDirectory
from pipelines.storage.directory import storage_errors
from pipelines.storage.lock import writer_lock

FIRST_DAY = date(2026, 1, 1)
SEED = 1


class Simulation(msgspec.Struct, frozen=True):
    """What a demo directory was made with. A later demo may add days, but not another catalogue."""

    models: int
    seed: int


class DirectoryInUseError(CivitaiEtlError):
    """The directory holds other data."""


class _NotesOnly:
    """One bar for all days is enough. Of the steps within a day only the notes are shown."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def update(self, phase: str, done: int, total: int | None = None, unit: str = "items") -> None: ...

    def note(self, message: str) -> None:
        self._progress.note(message)


def run_demo(days: int, models: int, data_dir: Path) -> int:
    """Simulate, snapshot, publish, draw and summarize; returns the exit code.

    Raises:
        DirectoryInUseError: `data_dir` holds snapshots of a real service, or of another simulated catalogue.
    """
    if days > (possible := (HORIZON - FIRST_DAY).days + 1) or models > MOST_MODELS:
        raise CivitaiEtlError(
            f"The simulation has {possible} days and up to {MOST_MODELS:,} models: ask for fewer days or models."
        )
    data_dir = data_dir.absolute()
    # The user's own settings may name the real lake, a real key or real models to watch. The demo uses none of them.
    settings = Settings(
        data_dir=data_dir,
        dialect="spec",
        lake_url=None,
        api_key=None,
        requests_per_second=0,
        watch_models=(),
        watch_versions=(),
        watch_users=(),
    )
    _claim(data_dir, Simulation(models, SEED))
    log_to_file(settings.directory.logs)
    began = time.monotonic()
    runs: list[RunSummary] = []
    missing = _missing_days(settings, days)
    if missing:
        with launch(models=models, seed=SEED, on=missing[0]) as emulator, progress_display() as progress:
            settings = settings.model_copy(update={"api_url": emulator.api_url})
            for day in missing:
                emulator.set_date(day)
                # The same simulation, only at another port each time.
                runs.append(run_daily_snapshot(settings, day, _NotesOnly(progress), service_moved=True))
                progress.update("simulated days", len(runs), len(missing), "days")
    else:
        # An earlier version may have published them, with other views and macros.
        with writer_lock(data_dir, settings.directory.lake), progress_display() as progress:
            publish(settings, progress)
    with storage_errors(data_dir):
        _render_summary(settings, runs, time.monotonic() - began)
    return 0


def _missing_days(settings: Settings, days: int) -> list[date]:
    """The simulated days that are not published yet."""
    wanted = [FIRST_DAY + timedelta(days=number) for number in range(days)]
    if not settings.directory.analytics.exists():
        return wanted
    with report.open_analytics(settings.directory.analytics) as connection:
        covered = coverage(connection)
    return [day for day in wanted if day not in covered.dates or day in covered.partial]


def _claim(data_dir: Path, simulation: Simulation) -> None:
    """Make sure that the directory is empty or holds the same simulation."""
    with writer_lock(data_dir):
        marker = data_dir / "demo.json"
        warehouse = DataDirectory.at(data_dir).warehouse
        if warehouse.exists():
            real = _real_services(warehouse)
            if real:
                raise DirectoryInUseError(
                    f"{data_dir} holds snapshots of {', '.join(real)}; the demo does not mix with real data: "
                    "choose another directory with --data-dir."
                )
            found = msgspec.json.decode(marker.read_bytes(), type=Simulation) if marker.exists() else None
            if found != simulation:
                made_of = f"of {found.models:,} models (seed {found.seed})" if found else "that no demo made"
                raise DirectoryInUseError(
                    f"{data_dir} holds snapshots {made_of}: choose another directory with --data-dir, or remove it."
                )
        marker.write_bytes(msgspec.json.encode(simulation))


def _real_services(warehouse: Path) -> list[str]:
    """The API addresses in `raw.snapshots` that are not on this machine."""
    import duckdb

    with duckdb.connect(str(warehouse), read_only=True, config=duckdb_config()) as connection:
        known = connection.execute(
            "select 1 from information_schema.tables where table_schema = 'raw' and table_name = 'snapshots'"
        ).fetchone()
        if known is None:
            return []
        addresses = connection.execute("select distinct api_url from raw.snapshots order by api_url").fetchall()
    return [address for (address,) in addresses if not Settings(api_url=address).is_loopback]


def _render_summary(settings: Settings, runs: list[RunSummary], seconds: float) -> None:
    with report.open_analytics(settings.directory.analytics) as connection:
        rows = report.published_rows(connection)
        dates = report.published_dates(connection)
        top = report.top_base_models(connection)
        frame = charts.daily(connection)
    figure = charts.lines(frame, charts.leading(frame, charts.COLOURED))
    png, html = charts.write_chart(figure, settings.data_dir / "charts", "downloads_by_base_model")
    say(f"{len(dates):,} simulated days, {dates[0]} to {dates[-1]}; {len(runs):,} of them new; {duration(seconds)}.")
    record_counts = [counts for run in runs for counts in run.build.record_counts]
    for lines in (
        report.record_count_lines(record_counts),
        ["Rows per table:", *report.row_lines(rows)],
        [f"{report.downloads_title(top)}, by base model:", *report.base_model_lines(top)],
        [*report.place_lines(settings), f"Charts:   {png}", f"          {html}"],
        [f"Next:     CIVITAI_ETL_DATA_DIR={_shown(settings.data_dir)} {_command()} dashboard"],
    ):
        if lines:
            say("")
            say(*lines)


def _command() -> str:
    """How to call this command from here: by its name if the shell finds it."""
    return "civitai-etl" if shutil.which("civitai-etl") else _shown(Path(sys.executable).with_name("civitai-etl"))


def _shown(path: Path) -> str:
    """The path as a user types it from here."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
