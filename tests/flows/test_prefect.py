"""The flows against a real Prefect server: a process of its own, started once, with a home of its own."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from emulator.launch import launch
from flows.cli.prefect_server import prefect_environment, prefect_server
from flows.interrupted import report_lost
from flows.supervised import end_left_behind, recorded
from pipelines.run_record import read_record
from pipelines.settings import Settings
from pipelines.storage.lock import writer_lock
from tests.charts import chromium
from tests.e2e.test_key import found_in
from tests.flows.pages import artifact_of, artifact_page, read, run_page
from tests.flows.servers import DIRECTLY, Server, free_port
from tests.sinks import web_server

ROOT = Path(__file__).resolve().parents[2]
COMMAND = Path(sys.executable).with_name("civitai-etl")
#: What runs when: a cron expression in UTC, or None if only when it is asked for.
SCHEDULES = {
    "daily_snapshot/daily": "0 3 * * *",
    "refresh/hourly": "30 * * * *",
    "rebuild/on-demand": None,
    "sync_vault/on-demand": None,
}
#: Or `serve` would make up for the run of today.
LATE = "59 23 * * *"
KEY = "sk-sentinel-4c1e07b2"


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    home = tmp_path_factory.mktemp("prefect")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT_SERVER_DEPLOYMENTS_CONCURRENCY_SLOT_WAIT_SECONDS", "2")
        with prefect_server(Settings(data_dir=home), free_port()) as own:
            yield Server(own.api_url, home)


@pytest.fixture(scope="session")
def service():
    with launch(models=60, key=KEY) as emulator:
        yield emulator


@pytest.fixture(scope="session")
def metrics_port():
    return free_port()


@pytest.fixture(scope="session")
def served(server, service, metrics_port, tmp_path_factory):
    """`civitai-etl serve` as a process; its settings and its deployments."""
    data_dir = tmp_path_factory.mktemp("data")
    environment = os.environ | {
        "PREFECT_API_URL": server.api_url,
        "PREFECT_RUNNER_POLL_FREQUENCY": "1",
        "CIVITAI_ETL_DATA_DIR": str(data_dir),
        "CIVITAI_ETL_API_URL": service.api_url,
        "CIVITAI_ETL_REQUESTS_PER_SECOND": "0",
        "CIVITAI_ETL_WAIT_MINUTES": "0.05",
        "CIVITAI_ETL_DAILY_CRON": LATE,
        "CIVITAI_API_KEY": KEY,
        # Nobody listens there: what is told of it is told without the key in its path.
        "CIVITAI_ETL_NOTIFY_URL": f"json://127.0.0.1:9/{KEY}",
        "CIVITAI_ETL_HEARTBEAT_URL": f"http://127.0.0.1:9/{KEY}",
        "CIVITAI_ETL_NOTIFY_HOUR": "off",
    }
    command = [COMMAND, "serve", "--metrics-port", str(metrics_port)]
    with subprocess.Popen(command, env=environment, cwd=data_dir) as process:
        try:
            deployments = server.deployments(SCHEDULES)
            for deployment in deployments.values():
                # Or the hourly run gets in between, if these tests happen to run at half past.
                server.ask(f"/deployments/{deployment['id']}/pause_deployment")
            yield Settings(data_dir=data_dir), deployments
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=30)


@pytest.fixture(scope="session")
def published(server, served):
    """The id of a run that took and published the snapshot of 2026-01-01."""
    _, deployments = served
    run = server.run(deployments["daily_snapshot/daily"], {"snapshot_date": "2026-01-01"})
    assert server.final_state(run)["type"] == "COMPLETED"
    return run


def schedules(deployments):
    return {name: [row["schedule"] for row in found["schedules"]] for name, found in deployments.items()}


def in_utc(crons):
    return {name: [{"cron": cron, "timezone": "UTC", "day_or": True}] if cron else [] for name, cron in crons.items()}


def test_serve_registers_every_flow_with_its_schedule_in_utc_and_one_run_at_a_time(served):
    _, deployments = served
    assert schedules(deployments) == {**in_utc(SCHEDULES), **in_utc({"daily_snapshot/daily": LATE})}
    for name, deployment in deployments.items():
        assert all(row["active"] for row in deployment["schedules"])
        assert deployment["global_concurrency_limit"]["limit"] == 1
        strategy = "ENQUEUE" if name == "daily_snapshot/daily" else "CANCEL_NEW"
        assert deployment["concurrency_options"]["collision_strategy"] == strategy
        # The page of a run describes what it can be given.
        properties = deployment["parameter_openapi_schema"]["properties"]
        assert all(len(each["description"]) > 20 for each in properties.values())


def rows_in(settings, tables):
    with duckdb.connect(str(settings.directory.analytics), read_only=True) as connection:
        return {table: connection.execute(f"select count(*) from star.{table}").fetchone()[0] for table in tables}


def lines_of(server, run, level=0, is_whole=bool):
    """The log of a run that has ended, from a level on, once it is whole: it comes after the state."""
    logs = {"flow_run_id": {"any_": [run]}, "level": {"ge_": level}}
    deadline = time.monotonic() + 30
    while True:
        lines = server.ask("/logs/filter", {"logs": logs, "sort": "TIMESTAMP_ASC"})
        told = [line["message"] for line in lines]
        if is_whole(told) or time.monotonic() > deadline:
            return told
        time.sleep(0.2)


def test_a_run_ends_completed_with_the_published_row_counts_and_a_summary(server, served, published):
    settings, _ = served
    artifacts = {row["key"]: row for row in server.artifacts(published)}
    table = json.loads(artifacts["row-counts"]["data"])
    told = {row["table"]: row["rows"] for row in table}
    assert told == rows_in(settings, told)
    assert told["fact_model_daily"] == 60
    # Nothing was published before: that is not the same as no rows.
    assert {(row["before"], row["change"]) for row in table} == {(None, None)}
    summary = artifacts["daily-snapshot"]
    assert "Snapshot 2026-01-01: complete" in summary["data"]
    assert "| share met | 100.00% |" in summary["data"]
    assert "## Downloads: unknown before the second complete snapshot" in summary["data"]
    assert summary["description"].startswith("Snapshot 2026-01-01: share met 100.00%, quarantined 0, ")


def test_a_run_has_its_date_as_name_and_leaves_how_long_its_phases_took(server, served, published):
    settings, _ = served
    assert server.ask(f"/flow_runs/{published}", method="GET")["name"] == "snapshot 2026-01-01"
    tasks = server.ask("/task_runs/filter", {"flow_runs": {"id": {"any_": [published]}}})
    assert {row["name"] for row in tasks} == {f"{step} 2026-01-01" for step in ("crawl", "look up", "publish")}
    (progress,) = [row for row in server.artifacts(published) if row["key"] == "daily-snapshot-progress"]
    assert float(progress["data"]) == 100
    assert progress["description"].startswith("done; ")
    assert "models " in progress["description"]
    # The data directory keeps the same records as the page of the run.
    rows = [json.loads(line) for line in (settings.directory.logs / "civitai-etl.jsonl").read_text().splitlines()]
    kept = [row["message"] for row in rows if row["run"] == f"daily_snapshot-{published}" and row["level"] != "DEBUG"]
    assert "models: 60 of 60 items" in kept
    told = lines_of(server, published, is_whole=lambda lines: kept[-1] in lines)
    assert [line for line in told if line in kept] == kept


@pytest.mark.skipif(not chromium.found() and not os.environ.get("CI"), reason="no browser")
def test_the_pages_of_a_run_show_its_rows_its_progress_and_its_summary(server, served, published):
    settings, _ = served
    artifacts = {row["key"]: row for row in server.artifacts(published)}
    with chromium.tab() as tab:
        tab.size(1200, 3000)  # the log has only the lines that are in sight
        rows = rows_in(settings, ["dim_model", "fact_model_daily"])
        shown = read(tab, artifact_page(server, artifacts["row-counts"]), "fact_model_daily", "change")
        for table, count in rows.items():
            assert re.search(rf"{table}\s+{count}\b", shown), shown
        read(tab, artifact_page(server, artifacts["daily-snapshot-progress"]), "done; ", "Progress: 100%")
        read(tab, artifact_page(server, artifacts["daily-snapshot"]), "share met", "100.00%", "Slowest steps")
        read(tab, run_page(server, published), "snapshot 2026-01-01", "models: 60 of 60 items")


#: A run that says how far it is, and ends when it is told to.
AT_WORK = """
import sys, time
from pathlib import Path
from prefect import flow
from flows import run_log
run_log.INTERVAL = 0.2
@flow(name="at_work")
@run_log.shown("at-work")
def at_work():
    run_log.progress().update("models", 0, 1000)
    time.sleep(1)
    run_log.progress().update("models", 500, 1000)
    while not Path(sys.argv[1]).exists():
        time.sleep(0.1)
at_work()
"""


def test_a_run_at_work_shows_phase_count_rate_and_time_left(server, tmp_path):
    environment = os.environ | prefect_environment(Settings(data_dir=tmp_path)) | {"PREFECT_API_URL": server.api_url}
    end = tmp_path / "end"
    with subprocess.Popen([sys.executable, "-c", AT_WORK, end], env=environment, cwd=ROOT) as process:
        try:
            row = artifact_of(server, "at-work-progress", lambda row: "models: 500" in row["description"])
        finally:
            end.touch()
        assert process.wait() == 0
    assert float(row["data"]) == 50
    told = re.fullmatch(r"models: 500 of 1,000 items, (\d+) items/s, (\d+) s left; \d+ s so far", row["description"])
    rate, left = map(int, told.groups())
    assert abs(left - 500 / rate) < 1.5
    done = artifact_of(server, "at-work-progress", lambda row: row["description"].startswith("done; "))
    assert (done["id"], float(done["data"])) == (row["id"], 100)


def test_serve_offers_what_status_says_of_a_run(served, published, metrics_port):
    settings, _ = served
    with DIRECTLY.open(f"http://127.0.0.1:{metrics_port}/metrics") as answer:
        metrics = answer.read().decode().splitlines()
    assert 'civitai_etl_last_run_result{result="complete"} 1.0' in metrics
    assert 'civitai_etl_table_rows{table="fact_model_daily"} 60.0' in metrics
    assert read_record(settings.data_dir).snapshot_date == date(2026, 1, 1)


def test_a_partial_snapshot_is_published_and_its_run_fails_with_the_reason(server, looping_service, tmp_path):
    settings = Settings(data_dir=tmp_path, api_url=looping_service.api_url)
    environment = os.environ | prefect_environment(settings) | {"PREFECT_API_URL": server.api_url}
    environment |= {"CIVITAI_ETL_API_URL": settings.api_url, "CIVITAI_ETL_REQUESTS_PER_SECOND": "0"}
    program = "from flows.daily_snapshot import daily_snapshot; daily_snapshot()"
    subprocess.run([sys.executable, "-c", program], env=environment, cwd=tmp_path, check=False, capture_output=True)
    undeployed = {"flow_runs": {"deployment_id": {"is_null_": True}}, "flows": {"name": {"any_": ["daily_snapshot"]}}}
    (run,) = server.ask("/flow_runs/filter", undeployed)
    assert run["state"]["type"] == "FAILED"
    assert "PARTIAL (" in run["state"]["message"]
    assert settings.directory.analytics.exists()
    artifacts = {row["key"]: row for row in server.artifacts(run["id"])}
    assert {"row-counts", "daily-snapshot", "daily-snapshot-progress"} <= artifacts.keys()
    assert artifacts["daily-snapshot-progress"]["description"].startswith("stopped at ")
    # The advice is one line, without the way through the code.
    assert "\n" not in run["state"]["message"]
    (line,) = lines_of(server, run["id"], level=40)
    assert line.startswith(f"Snapshot {datetime.now(UTC).date()}: PARTIAL (")


def test_a_refresh_before_the_first_complete_snapshot_is_cancelled_and_says_what_to_do(server, service, tmp_path):
    environment = os.environ | prefect_environment(Settings(data_dir=tmp_path)) | {"PREFECT_API_URL": server.api_url}
    environment |= {"CIVITAI_ETL_API_URL": service.api_url}
    program = "from flows.refresh import refresh; state = refresh(return_state=True); print(state.name, state.message)"
    ended = subprocess.run(
        [sys.executable, "-c", program], env=environment, cwd=tmp_path, check=True, capture_output=True, text=True
    )
    told = "Cancelled There is no complete snapshot to refresh: run `civitai-etl snapshot` first."
    assert told in ended.stdout.splitlines()


def test_of_two_daily_runs_at_once_one_comes_after_the_other_and_takes_no_second_snapshot(server, service, served):
    settings, deployments = served
    deployment = deployments["daily_snapshot/daily"]
    runs = [server.run(deployment, {"snapshot_date": "2026-01-02"}) for _ in range(2)]
    assert [server.final_state(run)["type"] for run in runs] == ["COMPLETED"] * 2
    assert ["AwaitingConcurrencySlot" in {state["name"] for state in server.states(run)} for run in runs].count(
        True
    ) == 1
    assert len(server.messages(runs, "Snapshot 2026-01-02 is complete already; no requests were made.")) == 1
    with duckdb.connect(str(settings.directory.analytics), read_only=True) as connection:
        query = "select crawl_id from star.ops_snapshot where snapshot_date = '2026-01-02'"
        assert connection.execute(query).fetchall() == [("2026-01-02.1",)]


def test_while_anybody_writes_other_runs_than_the_daily_one_end_cancelled_and_name_the_writer(server, served):
    settings, deployments = served
    parameters = {"sync_vault/on-demand": {"sql": "select 1 as version_id"}}
    waited = {}
    with writer_lock(settings.data_dir):
        # One after the other: each is a process of some seconds.
        for name, deployment in deployments.items():
            if name != "daily_snapshot/daily":
                state = server.final_state(server.run(deployment, parameters.get(name, {})))
                assert (state["type"], f"process {os.getpid()}," in state["message"]) == ("CANCELLED", True)
                waited[name] = "this run waited for 3 s" in state["message"]
    assert waited == {"refresh/hourly": False, "rebuild/on-demand": True, "sync_vault/on-demand": True}


def test_a_refresh_leaves_the_documents_that_it_found_and_a_rebuild_the_rows_that_it_made(server, served, published):
    settings, deployments = served
    refresh = server.run(deployments["refresh/hourly"], {})
    assert server.final_state(refresh)["type"] == "COMPLETED"
    left = {row["key"]: row["data"] for row in server.artifacts(refresh)}
    assert {row["kind"] for row in json.loads(left["new-documents"])} == {"model", "image"}
    assert "New documents: " in left["refresh"]
    before = rows_in(settings, ["dim_model", "ops_snapshot", "fact_model_daily"])
    rebuild = server.run(deployments["rebuild/on-demand"], {"from_date": "2026-01-01", "to_date": "2026-01-01"})
    assert server.final_state(rebuild)["type"] == "COMPLETED"
    left = {row["key"]: row["data"] for row in server.artifacts(rebuild)}
    table = {row["table"]: row for row in json.loads(left["row-counts"])}
    told = {name: row["rows"] for name, row in table.items()}
    assert {name: table[name]["before"] for name in before} == before
    assert {row["change"] for row in table.values()} == {0}
    with duckdb.connect(str(settings.directory.analytics), read_only=True) as connection:
        (snapshots,) = connection.execute("select count(*) from star.ops_snapshot").fetchone()
    assert told["ops_snapshot"] == snapshots
    assert f"Built {snapshots} snapshot dates." in left["rebuild"]


def test_the_vault_is_planned_and_brought_in_line_with_the_query_that_a_run_is_given(
    server, service, served, published
):
    settings, deployments = served
    deployment = deployments["sync_vault/on-demand"]
    with duckdb.connect(str(settings.directory.analytics), read_only=True) as connection:
        found = connection.execute(
            "select version_id from star.dim_file group by 1 order by sum(size_kb), version_id limit 2"
        ).fetchall()
    versions = sorted(version_id for (version_id,) in found)
    asked = {"sql": f"select unnest({versions}) as version_id"}
    rehearsed = server.run(deployment, asked)
    assert server.final_state(rehearsed)["type"] == "COMPLETED"
    assert {row["key"] for row in server.artifacts(rehearsed)} == {"vault-plan", "vault-progress"}
    assert "/vault/toggle-version" not in {one["request"] for one in service.requests()}
    run = server.run(deployment, asked | {"apply": True})
    assert server.final_state(run)["type"] == "COMPLETED"
    artifacts = {row["key"]: row for row in server.artifacts(run)}
    assert "add 2, remove 0" in artifacts["vault-plan"]["data"]
    assert json.loads(artifacts["vault-changes"]["data"]) == [
        {"version_id": version_id, "change": "add", "result": "done", "why": ""} for version_id in versions
    ]
    assert [one["request"] for one in service.requests()].count("/vault/toggle-version") == 2


def test_the_key_is_nowhere_in_what_the_server_and_the_runs_keep_after_a_refused_change(server, served, published):
    settings, deployments = served
    refused = server.run(deployments["sync_vault/on-demand"], {"sql": "select 999999999 as version_id", "apply": True})
    state = server.final_state(refused)
    assert (state["type"], "such as add 999999999: refused" in state["message"]) == ("FAILED", True)
    assert found_in(server.home, "select 999999999 as version_id"), "the server keeps what its runs are given"
    assert found_in(server.home, KEY) + found_in(settings.data_dir, KEY) == []


def test_at_a_server_that_others_use_only_the_runs_of_this_data_directory_are_reported(server):
    flow = server.ask("/flows/", {"name": "shared"})["id"]
    deployment = server.ask("/deployments/", {"name": "with-others", "flow_id": flow})["id"]
    running = {"flow_id": flow, "deployment_id": deployment, "state": {"type": "RUNNING"}}
    own, foreign = (server.ask("/flow_runs/", running)["id"] for _ in range(2))
    with temporary_settings({PREFECT_API_URL: server.api_url}):
        asyncio.run(report_lost(["shared/with-others", "shared/not-there"], {own}, "Its process is gone."))
    states = [server.ask(f"/flow_runs/{run}", method="GET")["state"] for run in (own, foreign)]
    assert [state["type"] for state in states] == ["CRASHED", "RUNNING"]
    assert states[0]["message"] == "Its process is gone."
    server.ask(f"/deployments/{deployment}", method="DELETE")


def test_a_run_that_is_completed_stays_so_if_its_runner_ends_while_its_process_exits(server, tmp_path):
    environment = os.environ | prefect_environment(Settings(data_dir=tmp_path)) | {"PREFECT_API_URL": server.api_url}
    environment |= {"PREFECT_RUNNER_POLL_FREQUENCY": "1", "PYTHONPATH": str(ROOT)}
    program = [sys.executable, str(ROOT / "tests/flows/lingering.py"), str(tmp_path)]
    with subprocess.Popen(program, env=environment, cwd=ROOT) as process:
        deployment = server.deployment("lingering/lingering")
        run = server.run(deployment, {})
        server.state_of_name(run, "Completed")
        assert len(list(recorded(tmp_path))) == 1, "its process exits"
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0
    assert [state["name"] for state in server.states(run)][-1] == "Completed"
    assert end_left_behind(tmp_path) == []
    server.ask(f"/deployments/{deployment['id']}", method="DELETE")


@pytest.fixture(scope="module")
def hooks():
    """Where the runs below send messages and heartbeats."""
    with web_server() as hooks:
        yield hooks


@pytest.fixture(scope="module")
def short_pauses(server, hooks, tmp_path_factory):
    """The daily flow, deployed with pauses of seconds; its settings, its deployment and the emulator that it asks."""
    data_dir = tmp_path_factory.mktemp("retries")
    with launch(models=450, on=datetime.now(UTC).date()) as emulator:
        settings = Settings(data_dir=data_dir, api_url=emulator.api_url)
        environment = os.environ | prefect_environment(settings) | {"PREFECT_API_URL": server.api_url}
        environment |= {"PREFECT_RUNNER_POLL_FREQUENCY": "1", "PYTHONPATH": str(ROOT)}
        environment |= {"CIVITAI_ETL_API_URL": emulator.api_url, "CIVITAI_ETL_REQUESTS_PER_SECOND": "0"}
        environment |= {"CIVITAI_ETL_WAIT_MINUTES": "0.02"}
        environment |= {"CIVITAI_ETL_NOTIFY_URL": hooks.address("json", "message"), "CIVITAI_ETL_NOTIFY_HOUR": "off"}
        environment["CIVITAI_ETL_HEARTBEAT_URL"] = hooks.address("http", "heartbeat")
        program = [sys.executable, str(ROOT / "tests/flows/short_pauses.py")]
        with subprocess.Popen(program, env=environment, cwd=ROOT) as process:
            deployment = server.deployment("daily_snapshot/short-pauses")
            try:
                yield settings, deployment, emulator
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(timeout=30)
                server.ask(f"/deployments/{deployment['id']}", method="DELETE")


def test_a_failed_run_is_tried_again_after_growing_pauses_without_the_lock_until_its_snapshot_is_complete(
    server, short_pauses, hooks
):
    settings, deployment, emulator = short_pauses
    # One attempt is refused, one ends partial, and one goes well.
    emulator.order_faults("403 path=/models times=1; repeated-cursor path=/models\\? nth=2- times=3")
    run = server.run(deployment, {})
    server.state_of_name(run, "AwaitingRetry")
    with writer_lock(settings.data_dir):
        pass
    attempt = read_record(settings.data_dir)
    assert attempt.result in {"failed", "partial"}
    assert timedelta() < attempt.next_attempt_at - attempt.ended_at < timedelta(seconds=7)
    assert server.final_state(run)["type"] == "COMPLETED"
    assert [path for _, path, _ in hooks.all] == ["/heartbeat"], "a night that mends itself is no incident"
    states = [state for state in server.states(run) if state["name"] in {"AwaitingRetry", "Completed"}]
    assert [state["name"] for state in states] == ["AwaitingRetry", "AwaitingRetry", "Completed"]
    refused, partial, _ = states
    assert "answered 403" in refused["message"]
    assert "PARTIAL (" in partial["message"]
    pauses = [
        datetime.fromisoformat(state["state_details"]["scheduled_time"]) - datetime.fromisoformat(state["timestamp"])
        for state in (refused, partial)
    ]
    assert [round(pause / timedelta(seconds=1)) for pause in pauses] == [3, 6]
    logs = server.ask("/logs/filter", {"logs": {"flow_run_id": {"any_": [run]}, "level": {"ge_": 30, "le_": 30}}})
    assert sum("The next attempt begins at" in line["message"] for line in logs) == 2
    with duckdb.connect(str(settings.directory.analytics), read_only=True) as connection:
        crawls = connection.execute("select snapshot_date, status from star.ops_snapshot order by crawl_id").fetchall()
    assert crawls == [(datetime.now(UTC).date(), "partial"), (datetime.now(UTC).date(), "complete")]


def test_what_only_a_person_can_mend_is_not_tried_again(server, short_pauses, hooks):
    _, deployment, emulator = short_pauses
    emulator.order_faults("451")
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    hooks.all.clear()
    run = server.run(deployment, {"snapshot_date": str(yesterday)})
    state = server.final_state(run)
    assert (state["type"], "answered 451" in state["message"]) == ("FAILED", True)
    (line,) = lines_of(server, run, level=40)
    assert (line.count("\n"), "answered 451" in line) == (0, True)
    assert "AwaitingRetry" not in {state["name"] for state in server.states(run)}
    assert hooks.titles == [f"civitai-etl {yesterday}: the snapshot failed"]


def test_a_daily_run_that_has_waited_in_vain_for_another_writer_is_tried_again(server, short_pauses):
    settings, deployment, emulator = short_pauses
    emulator.order_faults("")
    with writer_lock(settings.data_dir):
        run = server.run(deployment, {})
        state = server.state_of_name(run, "AwaitingRetry")
    assert f"process {os.getpid()}," in state["message"]
    assert "this run waited for 1 s" in state["message"]
    assert server.final_state(run)["type"] == "COMPLETED"
    assert server.messages([run], f"is writing to {settings.data_dir}: waiting for it, at most 1 s more")


def test_the_deployment_file_says_the_same_as_serve(server, served, tmp_path):
    _, by_serve = served
    environment = os.environ | prefect_environment(Settings(data_dir=tmp_path)) | {"PREFECT_API_URL": server.api_url}
    server.ask("/work_pools/", {"name": "civitai-etl", "type": "process"})
    deploy = ["--no-prompt", "deploy", "--all", "--prefect-file", str(ROOT / "prefect.yaml")]
    subprocess.run(
        [sys.executable, "-m", "prefect", *deploy], env=environment, cwd=ROOT, check=True, capture_output=True
    )
    # The one with short pauses is of these tests.
    by_file = {row["id"]: row for row in server.ask("/deployments/filter") if row["name"] != "short-pauses"}
    assert by_file.keys() == {row["id"] for row in by_serve.values()}
    assert schedules({name: by_file[row["id"]] for name, row in by_serve.items()}) == in_utc(SCHEDULES)
    for served_one in by_serve.values():
        filed = by_file[served_one["id"]]
        assert filed["work_pool_name"] == "civitai-etl"
        for part in ("name", "entrypoint", "concurrency_options", "parameters"):
            assert filed[part] == served_one[part]
