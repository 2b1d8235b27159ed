"""What a person sees when something is in the way, and what an analyst sees meanwhile: the old tables, whole."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time

import duckdb
import pytest

from tests.e2e.conftest import CommandLine

NOBODY = 65534


@pytest.fixture
def civitai_etl(civitai_etl_here):
    """What a test starts is a process, what it runs is not."""
    return civitai_etl_here


def published_days(civitai_etl):
    path = civitai_etl.data_dir / "analytics.duckdb"
    if not path.exists():
        return []
    with duckdb.connect(str(path), read_only=True) as connection:
        days = connection.execute("select distinct snapshot_date from star.fact_model_daily order by 1").fetchall()
    return [str(day) for (day,) in days]


def test_no_server_is_one_line_that_says_where_and_what_to_check(civitai_etl):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    civitai_etl.settings |= {
        "CIVITAI_ETL_API_URL": f"http://127.0.0.1:{port}/api/v1",
        "CIVITAI_ETL_RETRY_MINUTES": "0.02",
    }
    line = civitai_etl.fails("snapshot", "--date", "2026-01-01")
    assert f"No server answers at http://127.0.0.1:{port}/api/v1" in line
    assert "CIVITAI_ETL_API_URL" in line
    assert published_days(civitai_etl) == []


def test_a_wrong_key_is_one_line_that_names_the_variable_and_not_the_key(civitai_etl):
    civitai_etl.settings["CIVITAI_API_KEY"] = "a-key-that-is-wrong"
    line = civitai_etl.fails("snapshot", "--date", "2026-01-01")
    assert "CIVITAI_API_KEY" in line
    assert "a-key-that-is-wrong" not in line
    assert published_days(civitai_etl) == []


def test_another_date_than_today_is_refused_for_a_real_service_without_a_request(civitai_etl):
    civitai_etl.settings["CIVITAI_ETL_API_URL"] = "https://civitai.com/api/v1"
    assert "answers only for today" in civitai_etl.fails("snapshot", "--date", "2026-01-01")


def test_a_data_directory_without_write_permission_is_one_line(civitai_etl, tmp_path):
    civitai_etl = CommandLine(tmp_path, civitai_etl.settings)
    civitai_etl.data_dir.mkdir()
    if os.geteuid() == 0:
        # Root may write anywhere, so an ordinary user tries; it may read, for the interpreter can lie in /root.
        if shutil.which("setpriv") is None:
            pytest.skip("without setpriv root cannot become an ordinary user")
        civitai_etl.prefix = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
        civitai_etl.prefix += ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search", "--")
        if subprocess.run([*civitai_etl.prefix, "true"], check=False, capture_output=True).returncode:
            pytest.skip("setpriv may not change the user here")
    civitai_etl.data_dir.chmod(0o555)
    line = civitai_etl.fails("snapshot", "--date", "2026-01-01")
    assert str(civitai_etl.data_dir) in line
    assert "permission" in line.lower()
    assert list(civitai_etl.data_dir.iterdir()) == []


def test_two_data_directories_on_one_lake_are_refused_before_anything_is_asked(civitai_etl, service, published):
    lake = published.data_dir / "lake"
    before = sorted(lake.rglob("*.parquet"))
    civitai_etl.settings["CIVITAI_ETL_LAKE_URL"] = str(lake)
    asked = len(service.requests())
    for command in ("snapshot", "--date", "2026-01-01"), ("rebuild",):
        line = civitai_etl.fails(*command)
        assert f"{lake} is the lake of another data directory, {published.data_dir}," in line
        assert "CIVITAI_ETL_LAKE_URL" in line
    assert len(service.requests()) == asked
    assert sorted(lake.rglob("*.parquet")) == before


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 40 MB, mounted for this test."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("only root can mount a small disk, and not in every container")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


def test_a_full_disk_is_one_line_leaves_the_old_tables_and_passes_with_room(civitai_etl, service, small_disk):
    civitai_etl.settings["CIVITAI_ETL_DATA_DIR"] = str(small_disk / "data")
    service.set_date(service_day := _day(1))
    assert civitai_etl.run("snapshot", "--date", service_day).returncode == 0
    filler = fill(small_disk)
    service.set_date(_day(2))
    line = civitai_etl.fails("snapshot", "--date", _day(2))
    assert "full" in line
    assert str(small_disk) in line
    assert published_days(civitai_etl) == ["2026-01-01"]
    filler.unlink()
    ended = civitai_etl.run("snapshot", "--date", _day(2))
    assert ended.returncode == 0, ended.stderr
    assert published_days(civitai_etl) == ["2026-01-01", "2026-01-02"]


def test_a_disk_that_is_full_when_the_star_is_written_leaves_the_old_one_whole(civitai_etl, service, small_disk):
    civitai_etl.settings["CIVITAI_ETL_LAKE_URL"] = str(small_disk / "lake")
    service.set_date(_day(1))
    assert civitai_etl.run("snapshot", "--date", _day(1)).returncode == 0
    before = sorted(small_disk.rglob("*.parquet"))
    filler = fill(small_disk)
    service.set_date(_day(2))
    line = civitai_etl.fails("snapshot", "--date", _day(2))
    lake = small_disk / "lake"
    assert f"The disk that holds {lake} is full: make room or set CIVITAI_ETL_LAKE_URL to a larger one" in line
    assert published_days(civitai_etl) == ["2026-01-01"]
    assert sorted(small_disk.rglob("*.parquet")) == before
    assert [path for path in small_disk.rglob("*") if path.name.endswith(".tmp")] == []
    filler.unlink()
    ended = civitai_etl.run("snapshot", "--date", _day(2))
    assert ended.returncode == 0, ended.stderr
    assert published_days(civitai_etl) == ["2026-01-01", "2026-01-02"]


def fill(disk):
    """Leave no room on a disk; gives the file to delete."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(1 << 16))
    return filler


def _day(number):
    from datetime import date

    return date(2026, 1, number)


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_a_snapshot_that_was_ended_leaves_no_lock_and_the_next_one_completes(civitai_etl, service, end):
    service.set_date(_day(1))
    # A request every two seconds keeps it in its crawl.
    slow = civitai_etl.settings | {"CIVITAI_ETL_REQUESTS_PER_SECOND": "0.5"}
    fast, civitai_etl.settings = civitai_etl.settings, slow
    cut = civitai_etl.start("snapshot", "--date", _day(1))
    lock = civitai_etl.data_dir / "writer.lock"
    note = civitai_etl.data_dir / "under-way.json"
    while not (lock.exists() and lock.read_text().strip() and note.exists()):
        assert cut.poll() is None, cut.stderr.read()
        time.sleep(0.05)
    civitai_etl.settings = fast
    held = civitai_etl.fails("snapshot", "--date", _day(1))
    assert f"process {cut.pid}" in held
    cut.send_signal(end)
    _, err = cut.communicate(timeout=30)
    if end == signal.SIGINT:
        assert cut.returncode == 130
        assert "Traceback" not in err
    assert published_days(civitai_etl) == []
    examined = civitai_etl.run("doctor")
    ended = civitai_etl.run("snapshot", "--date", _day(1))
    assert ended.returncode == 0, ended.stderr
    assert published_days(civitai_etl) == ["2026-01-01"]
    for told in (examined.stdout, ended.stderr):
        assert (f"The crawl of process {cut.pid} that began at " in told) == (end == signal.SIGKILL)
    assert ("give this machine or its container more memory." in ended.stderr) == (end == signal.SIGKILL)
