"""Disk and memory against what the catalogue needs, from the files of real small data directories."""

import shutil
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from flows.reporting.capacity import (
    BUILD_PEAK_BYTES,
    DAILY_TABLES,
    FIRST_DOCUMENTS,
    GROWTH_OF_OTHER_TABLES,
    NEW_DOCUMENTS,
    OBSERVATIONS,
    RANGE_MODELS,
    SERVICE_MODELS,
    STAGED,
    Disk,
    Footprint,
    build_peak,
    capacity_lines,
    day_line,
    disk_warnings,
    disks_of,
    footprint_of,
    measured,
    memory_line,
    memory_warnings,
    outlook_line,
)
from pipelines.memory import MIB
from pipelines.settings import Settings
from pipelines.storage.data_directory import DataDirectory
from tests.transforms.conftest import Workshop, model
from transforms.compact import compact
from transforms.lake.files import CHANGING_ROLES
from transforms.lake.publish import read_manifest

MODELS = 30
GB = 1e9


def days_from(first: date, count: int) -> list[date]:
    return [first + timedelta(number) for number in range(count)]


def filled(folder: Path, days: list[date]) -> Workshop:
    """A data directory of these dates, on each of which every counter moved."""
    workshop = Workshop(folder)
    for number, on in enumerate(days):
        workshop.raw.crawl(
            on, model=[model(id_, stats={"downloadCount": 100 * id_ + number}) for id_ in range(1, MODELS + 1)]
        )
    workshop.build()
    return workshop


def test_before_the_first_publish_the_size_of_the_service_counts(tmp_path: Path) -> None:
    footprint = footprint_of(DataDirectory.at(tmp_path / "none-yet"))
    assert (footprint.models, footprint.dates) == (SERVICE_MODELS, 0)
    assert footprint.raw_day == SERVICE_MODELS * (NEW_DOCUMENTS + OBSERVATIONS)
    assert footprint.star_day == SERVICE_MODELS * (DAILY_TABLES + GROWTH_OF_OTHER_TABLES)


def test_a_day_of_the_star_is_the_mean_of_its_files(tmp_path: Path) -> None:
    workshop = filled(tmp_path, days_from(date(2026, 1, 1), 4))
    footprint = footprint_of(workshop.directory)
    assert (footprint.models, footprint.dates) == (MODELS, 4)
    # What the first date brought was there before it.
    later = sum(
        path.stat().st_size
        for day in (2, 3, 4)
        for path in (tmp_path / "lake").glob(f"*/*/snapshot_date=2026-01-0{day}/*.parquet")
    )
    assert footprint.star_day == later / 3
    assert footprint.raw == workshop.raw.path.stat().st_size


def test_one_date_counts_what_comes_every_day(tmp_path: Path) -> None:
    footprint = footprint_of(filled(tmp_path, [date(2026, 1, 1)]).directory)
    daily = [file.bytes for file in read_manifest(tmp_path / "analytics.duckdb") if file.role == "daily"]
    assert footprint.dates == 1
    assert footprint.star_day == sum(daily)
    replaced = [file.bytes for file in read_manifest(tmp_path / "analytics.duckdb") if file.role in CHANGING_ROLES]
    assert footprint.meanwhile == sum(replaced) + MODELS * STAGED


@pytest.mark.parametrize("dates", [1, 4])
def test_a_warehouse_like_that_of_the_benchmark_grows_like_it(tmp_path: Path, dates: int) -> None:
    files = read_manifest(filled(tmp_path, days_from(date(2026, 1, 1), dates)).analytics)
    warehouse = MODELS * (FIRST_DOCUMENTS + NEW_DOCUMENTS * (dates - 1) + OBSERVATIONS * dates)
    assert measured(files, warehouse, 0).raw_day == pytest.approx(MODELS * (NEW_DOCUMENTS + OBSERVATIONS))
    assert measured(files, 3 * warehouse, 0).raw_day == pytest.approx(3 * MODELS * (NEW_DOCUMENTS + OBSERVATIONS))


def test_closed_months_count_as_dates_and_their_archive_as_bytes(tmp_path: Path) -> None:
    workshop = filled(tmp_path, days_from(date(2026, 1, 28), 7))
    compact(workshop.directory)
    footprint = footprint_of(workshop.directory)
    archive = [path.stat().st_size for path in (tmp_path / "archive").rglob("*.parquet")]
    assert (footprint.models, footprint.dates) == (MODELS, 7)
    assert sum(archive) > 0
    assert footprint.raw == workshop.raw.path.stat().st_size + sum(archive)


def test_a_lake_on_another_disk_is_a_disk_of_its_own(tmp_path: Path) -> None:
    footprint = Footprint(MODELS, 4, raw=100, star=50, raw_day=10, star_day=5, meanwhile=20)
    (disk,) = disks_of(DataDirectory.at(tmp_path / "data"), footprint)
    assert (disk.day, disk.next_run, disk.compact) == (15, 35, 150)
    assert disk.free == pytest.approx(shutil.disk_usage(tmp_path).free, rel=0.1)
    root, lake = disks_of(DataDirectory.at(tmp_path / "data", lake=Path("/proc/lake")), footprint)
    assert (root.setting, root.day, root.next_run, root.compact) == ("CIVITAI_ETL_DATA_DIR", 10, 10, 150)
    assert (lake.setting, lake.day, lake.next_run, lake.compact) == ("CIVITAI_ETL_LAKE_URL", 5, 25, 0)


@pytest.fixture
def disk() -> Disk:
    return Disk(Path("/data"), "CIVITAI_ETL_DATA_DIR", 100 * GB, GB / 4, GB / 20, GB, 20 * GB)


def test_the_line_says_when_the_disk_is_full(disk: Disk) -> None:
    footprint = Footprint(900_000, 12, 0, 0, 0, 0, 0)
    assert day_line(disk, footprint) == "100.0 GB free at /data; a day of 900,000 models adds 250.0 MB (by 12 dates)."
    assert day_line(disk, replace(footprint, dates=0)).endswith("(estimated for the whole service).")
    assert outlook_line(disk) == "It is full in 13 months, with `compact` every month in 66 months."
    assert outlook_line(replace(disk, free=10 * GB)).startswith("It is full in 40 days, with")
    assert outlook_line(replace(disk, free=9_000 * GB)) == "It is full in more than ten years."


MAKE_ROOM = "make room or set CIVITAI_ETL_DATA_DIR to a larger disk."


@pytest.mark.parametrize(
    ("free", "warnings"),
    [
        (100, []),
        (30, ["/data is full in 4 months: run `civitai-etl compact` every month."]),
        (
            15,
            [
                "/data is full in 2 months: run `civitai-etl compact` every month.",
                f"`civitai-etl compact` needs about 20.0 GB at /data for a while, and 15.0 GB are free: {MAKE_ROOM}",
            ],
        ),
        (0.9, [f"The next run needs about 1.0 GB at /data, and 900.0 MB are free: {MAKE_ROOM}"]),
    ],
)
def test_a_disk_that_will_not_do_is_a_warning(disk: Disk, free: float, warnings: list[str]) -> None:
    assert [*disk_warnings(replace(disk, free=free * GB))] == warnings


def test_compact_alone_cannot_help_a_small_disk(disk: Disk) -> None:
    first, _ = disk_warnings(replace(disk, free=2 * GB))
    assert first == f"/data is full in 40 days, even with `civitai-etl compact` every month: {MAKE_ROOM}"


def test_a_build_needs_the_same_memory_for_every_large_catalogue() -> None:
    assert build_peak(RANGE_MODELS) == build_peak(SERVICE_MODELS) == BUILD_PEAK_BYTES
    assert 512 * MIB <= build_peak(2_000) < BUILD_PEAK_BYTES
    assert memory_line(SERVICE_MODELS, 2048 * MIB, 24 * 2**30) == (
        "a run may use 2,048 of 24,576 MiB (CIVITAI_ETL_MEMORY_MIB); a build of 900,000 models needs about 2,048 MiB."
    )


@pytest.mark.parametrize(
    ("budget", "available", "warning"),
    [
        (2048, 24_576, None),
        (1024, 24_576, "set CIVITAI_ETL_MEMORY_MIB to at least 2048."),
        (512, 1024, "this machine or its container has 1,024: give it more, or the kernel may kill the build."),
        (8192, 4096, "CIVITAI_ETL_MEMORY_MIB allows 8,192 MiB, and this machine or its container has 4,096: lower it"),
    ],
)
def test_a_budget_that_will_not_do_is_a_warning(budget: int, available: int, warning: str | None) -> None:
    told = [*memory_warnings(SERVICE_MODELS, budget * MIB, available * MIB)]
    assert len(told) == (warning is not None)
    assert warning is None or warning in told[0]


def test_the_lines_of_a_directory_name_its_own_models(tmp_path: Path) -> None:
    filled(tmp_path, days_from(date(2026, 1, 1), 2))
    disk, outlook, memory, *_ = capacity_lines(Settings(data_dir=tmp_path))
    assert disk.startswith("Disk:      ")
    assert f"a day of {MODELS} models adds" in disk
    assert "(by 2 dates)" in disk
    assert outlook.startswith("           It is full in ")
    assert memory.startswith("Memory:    a run may use")
