import json
import resource
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from email.utils import formatdate
from urllib.parse import urlsplit

import duckdb

from tests.pipelines.networks import HOST, Authority, running_proxy
from tests.pipelines.service import running_service


def test_help_answers_in_under_half_a_second(civitai_etl):
    def seconds():
        # Of the processor: a busy machine makes whoever looks at the clock wait.
        began = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert "snapshot" in civitai_etl.run("--help").stdout
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        return ended.ru_utime - began.ru_utime + ended.ru_stime - began.ru_stime

    seconds()  # compiles bytecode on a fresh checkout
    assert min(seconds() for _ in range(5)) < 0.5


def test_the_help_of_a_command_imports_nothing_heavy(civitai_etl):
    heavy = "{'prefect', 'dlt', 'marimo', 'polars', 'duckdb', 'altair', 'uvicorn', 'numpy', 'pydantic'}"
    program = f"""
import sys, flows.cli.main
try: flows.cli.main.main(["snapshot", "--help"])
except SystemExit: pass
print(sorted({heavy} & set(sys.modules)))"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines()[-1] == "[]"


def test_wrong_usage_ends_with_two(civitai_etl):
    assert civitai_etl.run("snapshoot").returncode == 2
    assert civitai_etl.run("demo", "--days", "0").returncode == 2


def test_a_snapshot_prints_its_balance_and_publishes(published, first_snapshot):
    assert first_snapshot.returncode == 0, first_snapshot.stderr
    assert "Snapshot 2026-01-01: complete; " in first_snapshot.stdout
    assert "Met: model 80 of 80, creator " in first_snapshot.stdout
    assert "80 in = 80 out + 0 quarantined + 0 duplicates" in first_snapshot.stdout
    assert "models" in first_snapshot.stderr
    assert published.sql("select count(*) from star.fact_model_daily") == ["80"]


def test_a_date_that_is_complete_takes_one_line_and_asks_nothing(published):
    published.settings["CIVITAI_ETL_API_URL"] = "http://127.0.0.1:9/api/v1"
    ended = published.run("snapshot", "--date", "2026-01-01", "--service-moved")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == "Snapshot 2026-01-01 is complete already; no requests were made.\n"


def test_a_partial_snapshot_is_published_says_why_and_ends_with_three(civitai_etl, looping_service):
    civitai_etl.settings["CIVITAI_ETL_API_URL"] = looping_service.api_url
    ended = civitai_etl.run("snapshot", "--date", "2026-01-01")
    assert ended.returncode == 3, ended.stderr
    assert "Snapshot 2026-01-01: PARTIAL (" in ended.stdout
    assert civitai_etl.sql("select count(*) from star.fact_model_daily") == ["1"]
    status = civitai_etl.run("status")
    assert status.returncode == 4
    assert "no complete snapshot" in status.stdout


def test_rebuild_into_another_directory_gives_the_same_files(published, tmp_path):
    ended = published.run("rebuild", "--into", tmp_path / "again")
    assert ended.returncode == 0, ended.stderr

    def files(root):
        return {path.relative_to(root): path.read_bytes() for path in root.rglob("*.parquet")}

    assert files(tmp_path / "again" / "lake") == files(published.data_dir / "lake")


def test_status_is_four_without_data_and_when_stale_and_zero_when_fresh(civitai_etl, published):
    assert "Nothing is published" in civitai_etl.fails("status", code=4)
    stale = published.run("status")
    assert stale.returncode == 4
    assert "STALE" in stale.stdout
    assert "a day of 80 models adds" in stale.stdout
    assert published.run("status", "--max-age", "36500d").returncode == 0


def test_sql_reads_a_query_from_standard_input_and_writes_every_format(civitai_etl, published):
    assert "run `civitai-etl snapshot`" in civitai_etl.fails("sql", "select 1", code=4)
    query = "select count(*) as models from star.fact_model_daily"
    assert published.run("sql", "--format", "csv", stdin=query).stdout == "models\n80\n"
    assert json.loads(published.run("sql", query, "--format", "json").stdout) == [{"models": 80}]
    assert "│     80 │" in published.run("sql", query).stdout
    published.run("sql", query, "--format", "parquet", "--output", "answer.parquet")
    assert duckdb.sql(f"from '{published.directory / 'answer.parquet'}'").fetchall() == [(80,)]
    assert "does not exist" in published.fails("sql", "from star.nothing")


def test_times_are_utc_wherever_the_reader_sits(published):
    published.settings["TZ"] = "America/New_York"
    assert published.sql("select max(started_at) from star.ops_snapshot") == ["2026-01-01 12:00:00+00"]


def test_doctor_lists_settings_without_the_key_and_ends_with_one_when_the_service_refuses_it(civitai_etl):
    ready = civitai_etl.run("doctor")
    assert ready.returncode == 0
    assert "a day of 900,000 models adds 229.0 MB (estimated for the whole service)" in ready.stdout
    assert "a build of 900,000 models needs about 2,048 MiB" in ready.stdout
    civitai_etl.settings["CIVITAI_API_KEY"] = "a-key-that-is-wrong"
    ended = civitai_etl.run("doctor")
    assert ended.returncode == 1
    assert "CIVITAI_ETL_REQUESTS_PER_SECOND = 0" in ended.stdout
    assert "PROBLEM  service" in ended.stdout
    assert "a-key-that-is-wrong" not in ended.stdout + ended.stderr


def test_a_proxy_is_shown_without_its_password_and_asked_for_the_service(civitai_etl, tmp_path):
    authority = Authority(tmp_path)
    with running_service(authority.server()) as service, running_proxy(urlsplit(service.api_url).port) as proxy:
        civitai_etl.settings |= {
            "CIVITAI_ETL_API_URL": f"https://{HOST}/api/v1",
            "CIVITAI_ETL_RETRY_MINUTES": "5",
            "HTTPS_PROXY": proxy.address.replace("//", "//me:hidden@"),
        }
        told = civitai_etl.fails("snapshot")
        assert f"the certificate of {HOST} is not trusted" in told
        assert len(proxy.asked) == 1
        civitai_etl.settings["REQUESTS_CA_BUNDLE"] = str(authority.certificates)
        service.date = formatdate(usegmt=True)
        ended = civitai_etl.run("doctor")
    assert ended.returncode == 0, ended.stdout
    assert f"HTTPS_PROXY = {proxy.address.replace('//', '//***@')}  (set)" in ended.stdout
    assert f"answers through the proxy {proxy.address} of HTTPS_PROXY in dialect" in ended.stdout
    assert "hidden" not in ended.stdout + ended.stderr


def test_a_bad_setting_is_named(civitai_etl):
    civitai_etl.settings["CIVITAI_ETL_REQUESTS_PER_SECOND"] = "many"
    assert "CIVITAI_ETL_REQUESTS_PER_SECOND" in civitai_etl.fails("snapshot")


def test_the_dashboard_has_every_notebook_on_loopback_and_ends_with_a_signal(civitai_etl):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    dashboard = civitai_etl.start("dashboard", "--headless", "--port", port)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                for name, title in (("base_model_trends", b"Base-model trends"), ("releases", b"Releases")):
                    with urllib.request.urlopen(f"http://127.0.0.1:{port}/?file={name}.py", timeout=5) as page:
                        assert b"<title>%s</title>" % title in page.read()
                break
            except OSError:
                assert time.monotonic() < deadline
                assert dashboard.poll() is None
                time.sleep(0.3)
    finally:
        dashboard.send_signal(signal.SIGTERM)
        dashboard.communicate(timeout=20)
