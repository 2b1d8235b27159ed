"""What `serve` offers beside the runs: metrics over HTTP, and the watch over messages."""

import socket
import threading
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime

import duckdb
import pytest
from prometheus_client.parser import text_string_to_metric_families

from flows.cli.alongside import MetricsError, metrics_served, watched
from pipelines.run_record import RunRecord, write_record
from pipelines.settings import Settings
from tests.sinks import web_server
from tests.transforms.conftest import DAYS, model, workshop

__all__ = ["workshop"]
DIRECTLY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def scrape(port, path="/metrics"):
    """Status, content type and body of an answer."""
    try:
        with DIRECTLY.open(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
            return answer.status, answer.headers["Content-Type"], answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers["Content-Type"], error.read().decode()


def test_every_scrape_sees_one_whole_publish_while_a_writer_is_at_work(workshop):
    """The number of models that each day has is the number of the day."""
    workshop.raw.crawl(DAYS[0], model=[model(1)])
    workshop.build()
    seen = []
    with metrics_served(Settings(data_dir=workshop.folder), 0) as port:
        done = threading.Event()

        def scrape_all_the_time():
            while not done.is_set():
                status, content_type, text = scrape(port)
                assert content_type == "text/plain; version=0.0.4; charset=utf-8"
                families = {family.name: family for family in text_string_to_metric_families(text)}
                (dates,) = families["civitai_etl_snapshot_dates"].samples
                rows = {each.labels["table"]: each.value for each in families["civitai_etl_table_rows"].samples}
                time.sleep(0.05)
                seen.append((status, dates.value, rows["dim_model"], rows["ops_snapshot"]))

        reader = threading.Thread(target=scrape_all_the_time)
        reader.start()
        for number, day in enumerate(DAYS[1:4], start=2):
            workshop.raw.crawl(day, model=[model(n) for n in range(1, number + 1)])
            with duckdb.connect(str(workshop.raw.path)):  # as a run has it
                assert scrape(port)[0] == 200
            workshop.build()
        done.set()
        reader.join()
        assert scrape(port)[2].count("civitai_etl_snapshot_dates 4.0") == 1
    assert {(200, n, n, n) for n in (1, 4)} <= {*seen, (200, 4, 4, 4)}
    assert {*seen} <= {(200, n, n, n) for n in range(1, 5)}


def test_a_scrape_that_fails_is_500_with_one_line_and_the_next_one_works(workshop):
    workshop.raw.crawl(DAYS[0], model=[model(1)])
    workshop.build()
    whole = workshop.analytics.read_bytes()
    with metrics_served(Settings(data_dir=workshop.folder), 0) as port:
        workshop.analytics.write_bytes(b"no database")
        status, _, text = scrape(port)
        assert (status, text.count("\n"), text.endswith("\n")) == (500, 1, True)
        assert str(workshop.analytics) in text
        workshop.analytics.write_bytes(whole)
        assert scrape(port)[0] == 200
        assert scrape(port, "/other")[0] == 404
        with socket.create_connection(("127.0.0.1", port)) as silent:  # a client that sends nothing
            silent.sendall(b"GET")
            assert scrape(port)[0] == 200
        with (
            pytest.raises(MetricsError, match=f"port {port} of --metrics-port cannot be used"),
            metrics_served(Settings(data_dir=workshop.folder), port),
        ):
            pass


def test_the_metrics_listen_where_the_pages_do(tmp_path):
    with metrics_served(Settings(data_dir=tmp_path), 0, "127.0.0.2") as port:
        with DIRECTLY.open(f"http://127.0.0.2:{port}/metrics", timeout=30) as answer:
            assert b"civitai_etl_problem" in answer.read()
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.1", port))


def test_the_watch_sends_what_is_due_once_and_waits_longer_for_a_place_that_takes_nothing(tmp_path):
    now = datetime.now(UTC)
    write_record(tmp_path, RunRecord(now.date(), now, now, "failed", "no network"))
    with web_server() as hooks:
        settings = Settings(data_dir=tmp_path, notify_url=hooks.address("json", "x"), notify_hour="off")
        hooks.status = 500
        with watched(settings, pause=0.1, longer_pause=600):
            deadline = time.monotonic() + 60
            while not hooks.all and time.monotonic() < deadline:
                time.sleep(0.05)
            time.sleep(1)
            assert len(hooks.all) == 1
        hooks.status = 200
        with watched(settings, pause=0.1, longer_pause=600):
            while len(hooks.all) < 2 and time.monotonic() < deadline:
                time.sleep(0.05)
            time.sleep(1)
        assert hooks.titles == 2 * [f"civitai-etl {now.date()}: the snapshot failed"]
