"""The published database among other programs: what readers put there stops nobody, and a moved one says so."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from flows.reporting.report import open_analytics
from pipelines.errors import CivitaiEtlError
from tests.pipelines.test_replacement import KILLED_USER
from tests.pipelines.test_storage import as_nobody, open_path
from tests.transforms.conftest import Workshop, model
from transforms.lake.files import Lake, UnreadableStarError
from transforms.lake.publish import has_other_analyses, is_outdated, publish, read_manifest, relocate
from transforms.lake.published import MovedError

__all__ = ["open_path"]

FIRST, SECOND = date(2026, 1, 1), date(2026, 1, 2)


@pytest.fixture
def built(workshop: Workshop) -> Workshop:
    workshop.raw.crawl(FIRST, model=[model(1)])
    workshop.build()
    return workshop


def days(analytics: Path) -> int:
    with open_analytics(analytics) as connection:
        ((count,),) = connection.execute("select count(distinct snapshot_date) from star.fact_model_daily").fetchall()
    return int(count)


def test_the_tables_of_a_reader_go_with_the_next_publish_and_so_does_what_its_killed_program_left(
    built: Workshop,
) -> None:
    subprocess.run([sys.executable, "-c", KILLED_USER, built.analytics], check=False)
    assert built.value("select count(*) from main.mine") == 1
    built.raw.crawl(SECOND, model=[model(1)])
    built.build()
    assert days(built.analytics) == 2
    assert built.sql("select table_name from duckdb_tables()") == []
    assert not list(built.folder.glob("analytics.duckdb*.wal*"))


def test_a_log_that_does_not_belong_to_the_database_stops_neither_reader_nor_publish(built: Workshop) -> None:
    subprocess.run([sys.executable, "-c", KILLED_USER, built.analytics], check=False)
    log = built.analytics.with_name("analytics.duckdb.wal")
    left = log.read_bytes()
    built.raw.crawl(SECOND, model=[model(1)])
    built.build()
    log.write_bytes(left)  # the program lived on, and wrote after the publish
    assert days(built.analytics) == 2
    assert read_manifest(built.analytics)
    publish(Lake(built.lake), built.analytics, read_manifest(built.analytics))
    assert not log.exists()


def test_a_program_that_keeps_the_database_open_for_writing_stops_neither_reader_nor_publish(built: Workshop) -> None:
    keeps = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", keeps, built.analytics], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as program:
        assert program.stdout is not None
        program.stdout.readline()
        assert days(built.analytics) == 1
        built.raw.crawl(SECOND, model=[model(1)])
        built.build()
        assert days(built.analytics) == 2
        program.communicate()
    assert days(built.analytics) == 2


def test_a_view_that_cannot_be_read_is_not_published(built: Workshop) -> None:
    before = built.analytics.read_bytes()
    files = read_manifest(built.analytics)
    (built.lake / next(file.path for file in files if file.table == "dim_tag")).unlink()
    with pytest.raises(UnreadableStarError, match=r"star\.dim_tag cannot be read .*: the published tables stay"):
        publish(Lake(built.lake), built.analytics, files)
    assert built.analytics.read_bytes() == before
    assert not list(built.folder.glob(".*.tmp*"))


def test_a_link_to_the_database_stays_one(built: Workshop, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.duckdb"
    built.analytics.rename(elsewhere)
    built.analytics.symlink_to(elsewhere)
    built.raw.crawl(SECOND, model=[model(1)])
    built.build()
    assert built.analytics.is_symlink()
    assert days(built.analytics) == 2


@pytest.mark.parametrize("transfer", [shutil.copytree, shutil.move])
def test_a_directory_that_was_copied_or_moved_is_noticed_and_relocated(built: Workshop, transfer) -> None:
    place = built.folder / "place"
    place.mkdir()
    for name in ("analytics.duckdb", "lake"):
        (built.folder / name).rename(place / name)
    publish(Lake(place / "lake"), place / "analytics.duckdb", read_manifest(place / "analytics.duckdb"))
    other = built.folder / "it's [a] copy, snapshot_date=2020-01-01"
    transfer(place, other)
    analytics, lake = other / "analytics.duckdb", Lake(other / "lake")
    with pytest.raises(MovedError, match="civitai-etl relocate") as error:
        days(analytics)
    assert str(other) in str(error.value)
    assert relocate(lake, analytics)
    assert days(analytics) == 1
    shutil.rmtree(place, ignore_errors=True)
    assert days(analytics) == 1
    assert not relocate(lake, analytics)


def test_a_copy_without_all_its_files_is_not_relocated(built: Workshop) -> None:
    other = built.folder / "other"
    shutil.copytree(built.lake, other / "lake")
    shutil.copy(built.analytics, other)
    file = next((other / "lake" / "star" / "dim_tag").glob("*.parquet"))
    file.unlink()
    with pytest.raises(UnreadableStarError, match=f"{file} is gone"):
        relocate(Lake(other / "lake"), other / "analytics.duckdb")


def test_a_file_that_is_no_database_says_so_under_its_own_name(tmp_path: Path) -> None:
    analytics = tmp_path / "analytics.duckdb"
    analytics.write_bytes(b"\0" * 8 + b"DUCK" + b"x" * 20000)
    with pytest.raises(CivitaiEtlError, match=str(analytics)), open_analytics(analytics):
        pass


@pytest.mark.parametrize("closed", ["analytics.duckdb", "."])
def test_a_reader_without_permission_is_told_in_a_line(built: Workshop, open_path: Path, closed: str) -> None:
    assert built.analytics.parent == open_path
    (open_path / closed).chmod(0)
    try:
        line = as_nobody(lambda: days(built.analytics))
    finally:
        (open_path / closed).chmod(0o755)
    assert line == (
        f"{built.analytics} cannot be read (Permission denied): give this user read permission there, or set "
        "CIVITAI_ETL_DATA_DIR to another directory."
    )


def emptied(file: Path) -> None:
    file.write_bytes(b"")


def a_directory(file: Path) -> None:
    file.unlink()
    file.mkdir()


def a_pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


@pytest.mark.parametrize("spoil", [emptied, a_directory, a_pipe])
def test_whoever_asks_the_tables_is_told_that_they_are_none(built: Workshop, spoil: Callable[[Path], None]) -> None:
    spoil(built.analytics)
    for ask in (
        lambda: days(built.analytics),
        lambda: read_manifest(built.analytics),
        lambda: relocate(Lake(built.lake), built.analytics),
        lambda: is_outdated(built.analytics),
        lambda: has_other_analyses(built.analytics),
    ):
        with pytest.raises(CivitaiEtlError, match=r"it is no DuckDB database\): run `civitai-etl rebuild`"):
            ask()
