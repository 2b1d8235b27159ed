import json
import signal
import subprocess
import sys
import time

import duckdb
import pytest


def test_help_answers_in_under_half_a_second(civitai_etl):
    def seconds():
        began = time.perf_counter()
        assert "snapshot" in civitai_etl.run("--help").stdout
        return time.perf_counter() - began

    seconds()  # compiles bytecode on a fresh checkout
    assert min(seconds() for _ in range(5)) < 0.5


def test_the_help_of_a_command_imports_nothing_heavy(civitai_etl):
    heavy = "{'prefect', 'dlt', 'marimo', 'polars', 'duckdb', 'altair', 'uvicorn', 'numpy', 'pydantic'}"
    program = f"""
import sys, flows.cli
try: flows.cli.main(["snapshot", "--help"])
except SystemExit: pass
print(sorted({heavy} & set(sys.modules)))"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines()[-1] == "[]"


def test_wrong_usage_ends_with_two(civitai_etl):
    assert civitai_etl.run("snapshoot").returncode == 2
    assert civitai_etl.run("demo", "--days", "0").returncode == 2


def test_a_snapshot_prints_its_balance_and_publishes(civitai_etl):
    ended = civitai_etl.run("snapshot", "--date", "2026-01-01")
    assert ended.returncode == 0, ended.stderr
    assert "Snapshot 2026-01-01: complete; " in ended.stdout
    assert "80 in = 80 out + 0 quarantined + 0 duplicates" in ended.stdout
    assert "models" in ended.stderr
    assert civitai_etl.sql("select count(*) from star.fact_model_daily") == ["80"]


def test_a_date_that_is_complete_takes_one_line_and_asks_nothing(civitai_etl):
    civitai_etl.run("snapshot", "--date", "2026-01-01")
    civitai_etl.settings["CIVITAI_ETL_API_URL"] = "http://127.0.0.1:9/api/v1"
    ended = civitai_etl.run("snapshot", "--date", "2026-01-01")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == "Snapshot 2026-01-01 is complete already; nothing was asked of the service.\n"


def test_rebuild_into_another_directory_gives_the_same_files(civitai_etl, tmp_path):
    civitai_etl.run("snapshot", "--date", "2026-01-01")
    ended = civitai_etl.run("rebuild", "--into", tmp_path / "again")
    assert ended.returncode == 0, ended.stderr

    def files(root):
        return {path.relative_to(root): path.read_bytes() for path in root.rglob("*.parquet")}

    assert files(tmp_path / "again" / "lake") == files(civitai_etl.data_dir / "lake")


def test_status_is_four_without_data_and_when_stale_and_zero_when_fresh(civitai_etl):
    assert "Nothing is published" in civitai_etl.fails("status", code=4)
    civitai_etl.run("snapshot", "--date", "2026-01-01")
    stale = civitai_etl.run("status")
    assert stale.returncode == 4
    assert "STALE" in stale.stdout
    assert civitai_etl.run("status", "--max-age", "36500d").returncode == 0


def test_sql_reads_a_query_from_standard_input_and_writes_every_format(civitai_etl, tmp_path):
    assert "run `civitai-etl snapshot`" in civitai_etl.fails("sql", "select 1", code=4)
    civitai_etl.run("snapshot", "--date", "2026-01-01")
    query = "select count(*) as models from star.fact_model_daily"
    assert civitai_etl.run("sql", "--format", "csv", stdin=query).stdout == "models\n80\n"
    assert json.loads(civitai_etl.run("sql", query, "--format", "json").stdout) == [{"models": 80}]
    assert "│     80 │" in civitai_etl.run("sql", query).stdout
    civitai_etl.run("sql", query, "--format", "parquet", "--output", "answer.parquet")
    assert duckdb.sql(f"from '{tmp_path / 'answer.parquet'}'").fetchall() == [(80,)]
    assert "does not exist" in civitai_etl.fails("sql", "from star.nothing")


def test_doctor_lists_settings_without_the_key_and_ends_with_one_when_the_service_refuses_it(civitai_etl):
    assert civitai_etl.run("doctor").returncode == 0
    civitai_etl.settings["CIVITAI_API_KEY"] = "a-key-that-is-wrong"
    ended = civitai_etl.run("doctor")
    assert ended.returncode == 1
    assert "CIVITAI_ETL_REQUESTS_PER_SECOND = 0" in ended.stdout
    assert "PROBLEM  service" in ended.stdout
    assert "a-key-that-is-wrong" not in ended.stdout + ended.stderr


def test_a_bad_setting_is_named(civitai_etl):
    civitai_etl.settings["CIVITAI_ETL_REQUESTS_PER_SECOND"] = "many"
    assert "CIVITAI_ETL_REQUESTS_PER_SECOND" in civitai_etl.fails("snapshot")


def test_the_dashboard_answers_on_loopback_and_ends_with_a_signal(civitai_etl):
    import socket
    import urllib.request

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    dashboard = civitai_etl.start("dashboard", "--headless", "--port", port)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as page:
                    assert b"Base-model trends" in page.read()
                break
            except OSError:
                assert time.monotonic() < deadline
                assert dashboard.poll() is None
                time.sleep(0.3)
    finally:
        dashboard.send_signal(signal.SIGTERM)
        dashboard.communicate(timeout=20)


@pytest.mark.parametrize("days", [3])
def test_a_small_demo_goes_on_where_it_was_and_mixes_with_nothing_else(civitai_etl, tmp_path, days):
    directory = tmp_path / "demo"
    # The settings of whoever tries the demo point at something real: none of that may be touched.
    civitai_etl.settings |= {
        "CIVITAI_ETL_API_URL": "https://civitai.com/api/v1",
        "CIVITAI_ETL_LAKE_URL": str(tmp_path / "real-lake"),
        "CIVITAI_API_KEY": "a-real-key",
    }
    first = civitai_etl.run("demo", "--days", days - 1, "--models", 60, "--data-dir", directory)
    assert first.returncode == 0, first.stderr
    more = civitai_etl.run("demo", "--days", days, "--models", 60, "--data-dir", directory)
    assert f"{days} simulated days, 2026-01-01 to 2026-01-03; 1 of them new" in more.stdout
    assert sorted(path.name for path in (directory / "charts").iterdir()) == [
        "downloads_by_base_model.html",
        "downloads_by_base_model.png",
    ]
    assert not (tmp_path / "real-lake").exists()
    assert "60 models" in civitai_etl.fails("demo", "--models", 70, "--data-dir", directory)


def test_the_demo_refuses_a_directory_with_snapshots_of_a_real_service(civitai_etl, tmp_path):
    civitai_etl.run("snapshot", "--date", "2026-01-01")
    with duckdb.connect(str(civitai_etl.data_dir / "warehouse.duckdb")) as warehouse:
        warehouse.execute("update raw.snapshots set api_url = 'https://civitai.com/api/v1'")
    line = civitai_etl.fails("demo", "--data-dir", civitai_etl.data_dir)
    assert "holds snapshots of https://civitai.com/api/v1" in line
    assert "--data-dir" in line
