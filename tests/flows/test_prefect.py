"""The flow against a real Prefect server: a process of its own, started once, with a home of its own."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import duckdb
import pytest

from emulator.launch import launch
from flows.serving import prefect_environment, prefect_server
from pipelines.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
COMMAND = Path(sys.executable).with_name("civitai-etl")
TERMINAL = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """What the tests ask the server's REST interface."""

    def __init__(self, api_url):
        self.api_url = api_url

    def ask(self, path, body=None, method="POST"):
        data = None if method == "GET" else json.dumps(body or {}).encode()
        request = urllib.request.Request(self.api_url + path, data, {"content-type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.load(response)

    def deployment(self, seconds=60):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = [row for row in self.ask("/deployments/filter") if row["status"] == "READY"]
            if found:
                return found[0]
            time.sleep(0.3)
        raise AssertionError("no deployment was registered")

    def run(self, deployment, parameters):
        return self.ask(f"/deployments/{deployment['id']}/create_flow_run", {"parameters": parameters})["id"]

    def final_state(self, run_id, seconds=90):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            state = self.ask(f"/flow_runs/{run_id}", method="GET")["state"]
            if state["type"] in TERMINAL:
                return state
            time.sleep(0.3)
        raise AssertionError(f"run {run_id} is still {state['type']}")

    def artifacts(self, run_id):
        return self.ask("/artifacts/filter", {"artifacts": {"flow_run_id": {"any_": [run_id]}}})


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    with prefect_server(Settings(data_dir=tmp_path_factory.mktemp("prefect")), free_port()) as api_url:
        yield Server(api_url)


@pytest.fixture(scope="session")
def service():
    with launch(models=60) as emulator:
        yield emulator


@pytest.fixture(scope="session")
def served(server, service, tmp_path_factory):
    """`civitai-etl serve` as a process; its settings and its deployment."""
    data_dir = tmp_path_factory.mktemp("data")
    environment = os.environ | {
        "PREFECT_API_URL": server.api_url,
        "PREFECT_RUNNER_POLL_FREQUENCY": "1",
        "CIVITAI_ETL_DATA_DIR": str(data_dir),
        "CIVITAI_ETL_API_URL": service.api_url,
        "CIVITAI_ETL_REQUESTS_PER_SECOND": "0",
    }
    with subprocess.Popen([COMMAND, "serve"], env=environment, cwd=data_dir) as process:
        try:
            yield Settings(data_dir=data_dir), server.deployment()
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=30)


def test_serve_registers_the_flow_for_three_in_the_morning_utc_and_one_run_at_a_time(served):
    _, deployment = served
    assert [row["schedule"] | {"active": row["active"]} for row in deployment["schedules"]] == [
        {"cron": "0 3 * * *", "timezone": "UTC", "day_or": True, "active": True}
    ]
    assert deployment["global_concurrency_limit"]["limit"] == 1
    assert deployment["concurrency_options"]["collision_strategy"] == "CANCEL_NEW"


def test_a_run_ends_completed_with_the_published_row_counts_and_a_summary(server, served):
    settings, deployment = served
    run = server.run(deployment, {"snapshot_date": "2026-01-01"})
    assert server.final_state(run)["type"] == "COMPLETED"
    artifacts = {row["key"]: row for row in server.artifacts(run)}
    told = {row["table"]: row["rows"] for row in json.loads(artifacts["row-counts"]["data"])}
    with duckdb.connect(str(settings.analytics), read_only=True) as connection:
        found = {table: connection.execute(f"select count(*) from star.{table}").fetchone()[0] for table in told}
    assert told == found
    assert told["fact_model_daily"] == 60
    assert "Snapshot 2026-01-01: complete" in artifacts["daily-snapshot"]["data"]


def test_a_partial_snapshot_is_published_and_its_run_fails_with_the_reason(server, looping_service, tmp_path):
    settings = Settings(data_dir=tmp_path, api_url=looping_service.api_url)
    environment = os.environ | prefect_environment(settings) | {"PREFECT_API_URL": server.api_url}
    environment |= {"CIVITAI_ETL_API_URL": settings.api_url, "CIVITAI_ETL_REQUESTS_PER_SECOND": "0"}
    program = "from flows.daily_snapshot import daily_snapshot; daily_snapshot()"
    subprocess.run([sys.executable, "-c", program], env=environment, cwd=tmp_path, check=False, capture_output=True)
    (run,) = server.ask("/flow_runs/filter", {"flow_runs": {"deployment_id": {"is_null_": True}}})
    assert run["state"]["type"] == "FAILED"
    assert "PARTIAL (" in run["state"]["message"]
    assert settings.analytics.exists()
    assert {"row-counts", "daily-snapshot"} <= {row["key"] for row in server.artifacts(run["id"])}


def test_of_two_runs_at_once_the_second_is_cancelled(server, service, served):
    _, deployment = served
    first = server.run(deployment, {"snapshot_date": "2026-01-02"})
    second = server.run(deployment, {"snapshot_date": "2026-01-02"})
    types = {server.final_state(first)["type"], server.final_state(second)["type"]}
    assert types == {"COMPLETED", "CANCELLED"}


def test_the_deployment_file_says_the_same_as_serve(server, served, tmp_path):
    _, by_serve = served
    environment = os.environ | prefect_environment(Settings(data_dir=tmp_path)) | {"PREFECT_API_URL": server.api_url}
    for arguments in (
        ("work-pool", "create", "civitai-etl", "--type", "process"),
        ("--no-prompt", "deploy", "--all", "--prefect-file", str(ROOT / "prefect.yaml")),
    ):
        subprocess.run(
            [sys.executable, "-m", "prefect", *arguments], env=environment, cwd=ROOT, check=True, capture_output=True
        )
    by_file = server.ask(f"/deployments/{by_serve['id']}", method="GET")
    assert by_file["work_pool_name"] == "civitai-etl"
    for part in ("name", "entrypoint", "concurrency_options", "parameters"):
        assert by_file[part] == by_serve[part]
    assert [row["schedule"] for row in by_file["schedules"]] == [row["schedule"] for row in by_serve["schedules"]]
