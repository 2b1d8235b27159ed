"""Whether the disk and the memory of this machine are enough for the catalogue, now and in the coming months.

What a day adds comes from the bytes of this data directory. The star's files say their date. The warehouse is one file,
so its bytes are divided among documents and observations as they were in `make bench-retention`. Before the first
publish, the same figures stand for the service as a whole.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from shutil import disk_usage

from pipelines.memory import MIB, available_bytes, budget_bytes
from pipelines.raw.warehouse import archive_of
from pipelines.settings import LEAST_MEMORY_MIB, Settings, variable
from pipelines.storage.data_directory import DataDirectory
from pipelines.storage.directory import existing
from transforms.estimate import models_by_date
from transforms.lake.files import CHANGING_ROLES, LakeFile
from transforms.lake.publish import GENERATIONS_KEPT, read_manifest
from transforms.lake.published import is_there
from transforms.ranges import WIDTH
from transforms.tables import FactModelDaily

#: Models of the service in June 2026 (docs/api-notes.md).
SERVICE_MODELS = 900_000

#: Bytes per model, by `make bench-retention` (docs/operations.md, Retention).
FIRST_DOCUMENTS = 1_633
NEW_DOCUMENTS = 18
OBSERVATIONS = 182
ARCHIVED_OBSERVATIONS = 13
DAILY_TABLES = 50
COMPACTED_TABLES = 9.3
OTHER_TABLES = 1_144
GROWTH_OF_OTHER_TABLES = 4.4

#: Bytes per model that a run stages on disk until it has published, by `make bench-scale` at 900,000 models.
STAGED_FIRST = 4_500
STAGED = 2_600

#: What is left of the bytes of a day when `compact` has closed its month.
RAW_COMPACTED = (NEW_DOCUMENTS + ARCHIVED_OBSERVATIONS) / (NEW_DOCUMENTS + OBSERVATIONS)
STAR_COMPACTED = (COMPACTED_TABLES + GROWTH_OF_OTHER_TABLES) / (DAILY_TABLES + GROWTH_OF_OTHER_TABLES)

#: Peak memory of all processes of a build, however large the catalogue is: its ranges bound it.
BUILD_PEAK_BYTES = 2 * 2**30
#: Models that fill a range: the service has 350 in 1,000 ids. A smaller catalogue takes less than the peak.
RANGE_MODELS = 350 * WIDTH["model"] // 1000

#: A disk should last for so many days.
HORIZON = 180
MONTH = 30


@dataclass(frozen=True)
class Footprint:
    """A catalogue on disk: bytes of raw and star, bytes that a day adds to each while its month is open, and bytes that
    the next run needs in the lake until it has published. Measured on `dates` dates; 0 is an estimate.
    """

    models: int
    dates: int
    raw: float
    star: float
    raw_day: float
    star_day: float
    meanwhile: float


@dataclass(frozen=True)
class Disk:
    """A disk that the data directory uses: the setting that moves it, bytes that are free, that a day adds in an open
    and in a closed month, that the next run needs, and that `compact` needs.
    """

    path: Path
    setting: str
    free: float
    day: float
    compacted_day: float
    next_run: float
    compact: float


def capacity_lines(settings: Settings) -> list[str]:
    """Disk and memory in plain lines, and a warning for whatever will not do."""
    footprint = footprint_of(settings.directory)
    lines: list[str] = []
    warnings: list[str] = []
    for disk in disks_of(settings.directory, footprint):
        lines += [f"Disk:      {day_line(disk, footprint)}", f"           {outlook_line(disk)}"]
        warnings += disk_warnings(disk)
    lines.append(f"Memory:    {memory_line(footprint.models, budget_bytes(), available_bytes())}")
    warnings += memory_warnings(footprint.models, budget_bytes(), available_bytes())
    return [*lines, *(f"WARNING:   {warning}" for warning in warnings)]


# -------------------------------------------------------------------------------------------------- the data directory


def footprint_of(directory: DataDirectory) -> Footprint:
    """What the catalogue of a data directory takes; before the first publish, what that of the service would take.

    Raises:
        CivitaiEtlError: the published tables cannot be read.
    """
    files = read_manifest(directory.analytics) if is_there(directory.analytics) else []
    if not models_by_date(files) or not directory.warehouse.exists():
        return expected(SERVICE_MODELS)
    archive = sum(path.stat().st_size for path in archive_of(directory.warehouse).rglob("*.parquet"))
    return measured(files, directory.warehouse.stat().st_size, archive)


def expected(models: int) -> Footprint:
    """What a catalogue of so many models would take, before its first date."""
    raw, star = (NEW_DOCUMENTS + OBSERVATIONS) * models, (DAILY_TABLES + GROWTH_OF_OTHER_TABLES) * models
    first = (FIRST_DOCUMENTS - NEW_DOCUMENTS + GENERATIONS_KEPT * OTHER_TABLES + STAGED_FIRST) * models
    return Footprint(models, 0, 0, 0, raw, star, first)


def measured(files: Sequence[LakeFile], warehouse: int, archive: int) -> Footprint:
    """What the published catalogue takes.

    Args:
        files: those of the release; some are of a date in an open month.
        warehouse: bytes of the warehouse.
        archive: bytes of the observations that `compact` has moved out of it.
    """
    by_date = models_by_date(files)
    models, open_dates = max(by_date.values()), len(by_date)
    observed = sum(file.rows for file in files if file.table == FactModelDaily.table_name())
    dates = max(open_dates, round(observed / models))
    usual = FIRST_DOCUMENTS + NEW_DOCUMENTS * (dates - 1) + OBSERVATIONS * open_dates
    return Footprint(
        models,
        dates,
        raw=warehouse + archive,
        star=sum(file.bytes for file in files),
        raw_day=(NEW_DOCUMENTS + OBSERVATIONS) * warehouse / usual,
        star_day=_star_day(files, is_first=dates == 1),
        meanwhile=STAGED * models + sum(file.bytes for file in files if file.role in CHANGING_ROLES),
    )


def _star_day(files: Sequence[LakeFile], *, is_first: bool) -> float:
    """Bytes that the star gets per date of an open month. The first date of all brings what was there before it."""
    by_date = models_by_date(files)
    if is_first:
        return sum(file.bytes for file in files if file.role == "daily")
    counted = sorted(by_date)[1:] or list(by_date)
    return sum(file.bytes for file in files if file.snapshot_date in counted and file.role != "monthly") / len(counted)


def disks_of(directory: DataDirectory, footprint: Footprint) -> Iterator[Disk]:
    """The disk of the data directory, and that of the lake if it is another one."""
    root, lake = existing(directory.root), existing(directory.lake)
    raw_day, raw_compacted = footprint.raw_day, footprint.raw_day * RAW_COMPACTED
    star_day, star_compacted = footprint.star_day, footprint.star_day * STAR_COMPACTED
    # `compact` works beside the warehouse, with a second one and a second star.
    compact = footprint.raw + footprint.star
    at_root, at_lake = variable("data_dir"), variable("lake_url")
    if root.stat().st_dev == lake.stat().st_dev:
        day, compacted = raw_day + star_day, raw_compacted + star_compacted
        next_run = day + footprint.meanwhile
        yield Disk(directory.root, at_root, disk_usage(root).free, day, compacted, next_run, compact)
        return
    yield Disk(directory.root, at_root, disk_usage(root).free, raw_day, raw_compacted, raw_day, compact)
    next_publish = star_day + footprint.meanwhile
    yield Disk(directory.lake, at_lake, disk_usage(lake).free, star_day, star_compacted, next_publish, 0)


# ------------------------------------------------------------------------------------------------------- disk in words


def day_line(disk: Disk, footprint: Footprint) -> str:
    """How much is free, and what a day adds."""
    models = f"{footprint.models:,} models"
    source = f"by {footprint.dates:,} dates" if footprint.dates else "estimated for the whole service"
    return f"{_size(disk.free)} free at {disk.path}; a day of {models} adds {_size(disk.day)} ({source})."


def needs_line(disk: Disk) -> str:
    """What the next run and the next month take. A run gives back most of what it needs."""
    return f"The next run needs {_size(disk.next_run)}, the next {MONTH} days {_size(disk.day * MONTH)}."


def outlook_line(disk: Disk) -> str:
    """When the disk is full at today's pace."""
    pace, compacted = _time(disk.free / disk.day), _time(disk.free / disk.compacted_day)
    return f"It is full in {pace}" + (f", with `compact` every month in {compacted}." if compacted != pace else ".")


def disk_warnings(disk: Disk) -> Iterator[str]:
    """What will not do within `HORIZON`."""
    larger = f"set {disk.setting} to a larger disk"
    if disk.free < disk.next_run:
        yield (
            f"The next run needs about {_size(disk.next_run)} at {disk.path}, and {_size(disk.free)} are free: make "
            f"room or {larger}."
        )
    elif disk.free < disk.compacted_day * HORIZON:
        yield (
            f"{disk.path} is full in {_time(disk.free / disk.compacted_day)}, even with `civitai-etl compact` every "
            f"month: make room or {larger}."
        )
    elif disk.free < disk.day * HORIZON:
        yield f"{disk.path} is full in {_time(disk.free / disk.day)}: run `civitai-etl compact` every month."
    if disk.next_run <= disk.free < disk.compact:
        yield (
            f"`civitai-etl compact` needs about {_size(disk.compact)} at {disk.path} for a while, and "
            f"{_size(disk.free)} are free: make room or {larger}."
        )


def _size(count: float) -> str:
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.1f} MB"


def _time(days: float) -> str:
    if days < 60:
        return f"{days:,.0f} days"
    months = days * 12 / 365.25
    return f"{months:,.0f} months" if months < 120 else "more than ten years"


# ----------------------------------------------------------------------------------------------------- memory in words


def build_peak(models: int) -> int:
    """Memory that a build of so many models takes. The least budget is enough for a small catalogue."""
    least = LEAST_MEMORY_MIB * MIB
    return least + int((BUILD_PEAK_BYTES - least) * min(1, models / RANGE_MODELS))


def memory_line(models: int, budget: int, available: int) -> str:
    """What a run may use of what is there, and what it needs."""
    return (
        f"a run may use {budget / MIB:,.0f} of {available / MIB:,.0f} MiB ({variable('memory_mib')}); a build of "
        f"{models:,} models needs about {build_peak(models) / MIB:,.0f} MiB."
    )


def memory_warnings(models: int, budget: int, available: int) -> Iterator[str]:
    """Whether budget and machine are too small, or do not agree."""
    setting, needed = variable("memory_mib"), build_peak(models)
    if available < needed:
        yield (
            f"A build needs about {needed / MIB:,.0f} MiB of memory, and this machine or its container has "
            f"{available / MIB:,.0f}: give it more, or the kernel may kill the build."
        )
    elif budget < needed:
        yield f"A build needs about {needed / MIB:,.0f} MiB of memory: set {setting} to at least {-(-needed // MIB)}."
    elif budget > available:
        yield (
            f"{setting} allows {budget / MIB:,.0f} MiB, and this machine or its container has {available / MIB:,.0f}: "
            "lower it, or the kernel may kill a run."
        )
