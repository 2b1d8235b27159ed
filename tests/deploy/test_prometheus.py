"""Debian's Prometheus scrapes what `civitai-etl status` says of a well and of a sick data directory: every query of the
Grafana dashboard answers with the numbers of `--format json` and of SQL, and those alerts are on that should be.
"""

import json
import os
import re
import shutil
import subprocess
import threading
import time
import urllib.parse
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import duckdb
import pytest
import yaml

from flows.reporting.condition import PROBLEMS
from flows.reporting.metrics import METRICS
from tests.e2e.conftest import CommandLine
from tests.flows.servers import DIRECTLY, free_port
from tests.pipelines.service import running_service

DEPLOY = Path(__file__).parents[2] / "deploy"
RULES = DEPLOY / "prometheus" / "civitai-etl-alerts.yml"
DASHBOARD = json.loads((DEPLOY / "grafana" / "civitai-etl.json").read_text())
PANELS = {panel["title"]: panel for panel in DASHBOARD["panels"]}
DAY = 86_400

pytestmark = pytest.mark.skipif(
    not (shutil.which("prometheus") or "CI" in os.environ), reason="Prometheus is not installed"
)


@contextmanager
def published(place, days):
    """A data directory with a snapshot of each of `days`: by age in days, the lists of models and of creators."""
    with running_service() as service:
        place.mkdir()
        data = place / "data"
        environment = {"CIVITAI_ETL_DATA_DIR": str(data), "CIVITAI_ETL_API_URL": service.api_url}
        command_line = CommandLine(place, environment | {"CIVITAI_ETL_REQUESTS_PER_SECOND": "0"})
        for age, (models, creators) in days.items():
            service.pages("/models", lambda models=models: models, size=100)
            service.pages("/creators", lambda creators=creators: creators, size=100)
            day = datetime.now(UTC) - timedelta(days=age)
            service.date = f"{day:%a, %d %b %Y %H:%M:%S GMT}"
            command_line.run("snapshot", "--date", f"{day:%Y-%m-%d}")
        status = json.loads(command_line.run("status", "--format", "json").stdout)
        text = command_line.run("status", "--format", "prometheus").stdout
        with duckdb.connect(str(data / "analytics.duckdb"), read_only=True) as connection, scraped(text) as target:

            def sql(query):
                return connection.sql(query).fetchall()

            yield SimpleNamespace(status=status, sql=sql, target=target)


def models(versions=2, downloads=10, **others):
    """Sixty of them; the first eleven have `others`."""
    made = []
    for number in range(1, 61):
        stats = {"downloadCount": downloads}
        parts = [
            {"id": 10 * number + n, "name": f"v{n}", "baseModel": "SD 1.5", "stats": stats} for n in range(versions)
        ]
        model = {"id": number, "name": f"m{number}", "type": "LORA", "creator": {"username": "u"}, "stats": stats}
        made.append(model | {"modelVersions": parts} | (others if number <= 11 else {}))
    return made


CREATORS = [{"username": "u"}]
USUAL = (models(), CREATORS)
HALF_OF_EACH_MODEL = (models(versions=1), CREATORS)
#: Withheld counters, eleven quarantined values, and a list that was not empty before.
ZEROS_TEXTS_AND_NO_CREATORS = (models(downloads=0, nsfwLevel="many"), [])


@contextmanager
def scraped(text):
    """Serve a text as an exporter does; yields its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("content-type", "text/plain; version=0.0.4; charset=utf-8")
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_): ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


@contextmanager
def prometheus(place, targets):
    """Prometheus with our configuration, but for its targets and its patience; yields a function that asks its API."""
    configuration = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    configuration["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    (job,) = configuration["scrape_configs"]
    job["static_configs"], job["scrape_interval"] = [{"targets": targets}], "1s"
    place.mkdir()
    shutil.copy(RULES, place)
    (place / "prometheus.yml").write_text(yaml.safe_dump(configuration))
    port = free_port()
    command = ["prometheus", f"--config.file={place}/prometheus.yml", f"--storage.tsdb.path={place}/tsdb"]
    command += [f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"]

    def ask(path, **query):
        address = f"http://127.0.0.1:{port}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        with DIRECTLY.open(address, timeout=30) as answer:
            return json.load(answer)["data"]

    with subprocess.Popen(command, cwd=place) as process:
        try:
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline:
                try:
                    rules = [rule for group in ask("rules")["groups"] for rule in group["rules"]]
                    if len(ask("query", query="up == 1")["result"]) == len(targets) and all(
                        datetime.fromisoformat(rule["lastEvaluation"].split(".")[0] + "+00:00").year > 2000
                        for rule in rules
                    ):
                        break
                except OSError:
                    pass  # it is starting
                time.sleep(0.2)
            time.sleep(2)  # one more evaluation of the rules, after the scrapes
            yield ask
        finally:
            process.terminate()
            process.wait(timeout=30)


@pytest.fixture(scope="module")
def directories(tmp_path_factory):
    """`well` and `sick`: the `status` of each as JSON, its tables by `sql`, its `target`; and `ask` for Prometheus."""
    place = tmp_path_factory.mktemp("prometheus")
    days = {5: USUAL, 3: HALF_OF_EACH_MODEL, 1: ZEROS_TEXTS_AND_NO_CREATORS}
    with (
        published(place / "well", {0: USUAL}) as well,
        published(place / "sick", days) as sick,
        prometheus(place / "prometheus", [well.target, sick.target]) as ask,
    ):
        yield SimpleNamespace(well=well, sick=sick, ask=ask)


def shown(ask, panel, target):
    """What a panel shows of a target now: the values by legend."""
    values = {}
    for query in panel["targets"]:
        for series in ask("query", query=query["expr"].replace("$instance", target))["result"]:
            legend = re.sub(r"{{(\w+)}}", lambda label, of=series: of["metric"][label[1]], query["legendFormat"])
            assert legend not in values, f"{panel['title']}: two lines are called {legend!r}"
            values[legend] = float(series["value"][1])
    return values


def expected(directory):
    """What each panel should show, from `status --format json` and from SQL."""
    status, sql = directory.status, directory.sql

    def number(query):
        ((value,),) = sql(query)
        return float(value)

    counting = "from star.ops_snapshot where verdict is null"
    age = time.time() - number(f"select epoch(max(started_at)) {counting} and status = 'complete'")
    disks = {disk["path"]: disk for disk in status["disks"]}
    tables = {name: float(rows) for name, rows in status["rows"].items() if not name.startswith("ops_")}
    assert tables["dim_model"] == number("select count(*) from star.dim_model")
    newest = f"where snapshot_date = '{status['newest']}'"
    levels = dict.fromkeys(status["quarantined"], 0.0)
    levels |= dict(sql(f"select level, count(*) from star.ops_quarantine {newest} group by all"))
    withheld = "select count(*) from star.ops_withheld where not is_accepted"
    left = {f"at {path}": disk["days_left"] * DAY for path, disk in disks.items()}
    compacted = {f"at {path}, compacted": disk["compacted_days_left"] * DAY for path, disk in disks.items()}
    seconds = {"seconds": status["last_run"]["seconds"]}
    return {
        "Age of the newest complete snapshot": {"age": age},
        "Newest date": {"newest date": float(status["newest_is_complete"])},
        "Met by the newest crawl": {} if status["met_share"] is None else {"met": status["met_share"]},
        "Last daily run": {status["last_run"]["result"]: 1},
        "Last daily run took": seconds,
        "Disk lasts, with compact every month": {"left": min(compacted.values())},
        "Problems": {name: float(name in status["problems"]) for name in PROBLEMS},
        "Age of the newest complete snapshot, over time": {"age": age, "allowed": 36 * 3600},
        "Dates that are not complete": {
            name: float(len(status[name])) for name in ("missing", "partial", "excluded", "refused")
        },
        "Quarantined rows of the newest date": levels,
        "Withheld counters and warnings of the newest date": {
            "withheld counters": number(f"{withheld} and snapshot_date = '{status['newest']}'"),
            "warnings": number(f"select count(*) from star.ops_warning {newest}"),
        },
        "Rows of the star": tables,
        "Bytes on disk": {part: float(size) for part, size in status["bytes"].items()},
        "Free bytes": {f"free at {path}": float(disk["free_bytes"]) for path, disk in disks.items()},
        "Time until the disk is full": left | compacted,
        "Seconds of the daily run": seconds,
        "Totals of all dates": {
            "quarantined rows": number("select count(*) from star.ops_quarantine"),
            "withheld counters": number(withheld),
            "dates with a snapshot": number(f"select count(distinct snapshot_date) {counting}"),
        },
        "Newest partial date": {"": 1.0} if status["newest_partial"] else {},
    }


@pytest.mark.parametrize("name", ["well", "sick"])
def test_every_panel_shows_the_numbers_of_the_directory(directories, name):
    directory = getattr(directories, name)
    wanted = expected(directory)
    assert set(wanted) == set(PANELS)
    for title, panel in PANELS.items():
        # Time passes, and free bytes with it, between the two formats and the scrape.
        disk = "isk" in title or "Free" in title
        values = shown(directories.ask, panel, directory.target)
        assert values == pytest.approx(
            wanted[title], rel=0.05 if disk else 1e-6, abs=120 if "Age" in title else 1e-6
        ), title


def test_the_sick_directory_leaves_no_query_without_an_answer(directories):
    """And so each metric has been seen: where one is not known, it is of the well directory."""
    for panel in DASHBOARD["panels"]:
        for query in panel["targets"]:
            asked = query["expr"].replace('instance="$instance"', 'job="civitai-etl"')
            assert directories.ask("query", query=asked)["result"], asked
    (variable,) = (each for each in DASHBOARD["templating"]["list"] if each["name"] == "instance")
    metric = re.fullmatch(r"label_values\((\w+), instance\)", variable["query"]["query"])[1]
    instances = {series["metric"]["instance"] for series in directories.ask("query", query=metric)["result"]}
    assert instances == {directories.well.target, directories.sick.target}


def test_the_alerts_of_the_sick_directory_are_on_and_none_of_the_well_one(directories):
    alerts = {
        (alert["labels"]["alertname"], alert["labels"].get("instance")) for alert in directories.ask("alerts")["alerts"]
    }
    problems = {"Stale", "Partial", "Quarantine", "Withheld", "Warnings", "Missing", "Refused"}
    assert {(f"CivitaiEtl{problem}", directories.sick.target) for problem in problems} == alerts
    assert directories.well.status["problems"] == []


def test_the_cases_of_the_rules_hold_and_every_rule_has_one(tmp_path):
    cases = RULES.with_suffix(".test.yml")
    checked = subprocess.run(
        ["promtool", "test", "rules", cases.name], cwd=cases.parent, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    (group,) = yaml.safe_load(RULES.read_text())["groups"]
    tried = {
        case["alertname"]
        for test in yaml.safe_load(cases.read_text())["tests"]
        for case in test["alert_rule_test"]
        if case.get("exp_alerts")
    }
    assert tried == {rule["alert"] for rule in group["rules"]}


def test_dashboard_and_alerts_name_metrics_that_exist_and_leave_none_out():
    expressions = [query["expr"] for panel in DASHBOARD["panels"] for query in panel["targets"]]
    used = set(re.findall(r"civitai_etl_\w+", " ".join(expressions)))
    used |= set(re.findall(r"civitai_etl_\w+", RULES.read_text()))
    # The dates of the others, for who writes a query of his own.
    left_out = {"newest_timestamp_seconds", "newest_partial_timestamp_seconds", "last_run_end_timestamp_seconds"}
    assert used | {f"civitai_etl_{name}" for name in left_out} == {metric.name for metric in METRICS}
