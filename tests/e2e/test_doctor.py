"""`civitai-etl doctor` finds each problem, tells it in the table and as JSON alike, and never fails itself."""

import json
import re
import shutil
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from urllib.parse import urlsplit

import duckdb
import msgspec
import pytest

from flows.backup import LAST_BACKUP, LastBackup
from flows.cli.doctor import findings_of
from pipelines.run_note import NAME, RunNote
from pipelines.run_record import RunRecord, write_record
from pipelines.settings import Settings
from pipelines.storage.lock import writer_lock
from tests.pipelines.networks import HOST, Authority, running_proxy
from tests.pipelines.service import Reply, running_service

CHECKS = [
    "data directory", "lake", "raw data", "published tables", "disk", "memory", "last run", "backup", "messages",
    "proxy", "certificate", "service", "clock", "API key", "Prefect server", "schedules",
]  # fmt: skip
NOWHERE = "http://127.0.0.1:9/api/v1"


@pytest.fixture
def directory(published, tmp_path):
    """A copy of a data directory with one snapshot, whose tables name the files of the original: it was copied."""
    shutil.copytree(published.data_dir, tmp_path / "data")
    return tmp_path / "data"


def look(data_dir, **values):
    """What the doctor finds, by check: the result and the words."""
    settings = Settings(data_dir=data_dir, **({"api_url": NOWHERE, "requests_per_second": 0} | values))
    findings = list(findings_of(settings))
    assert [each.check for each in findings] == CHECKS
    assert all(each.found and "\n" not in each.found for each in findings)
    return {each.check: (each.result, each.found) for each in findings}


def test_the_table_and_the_json_say_the_same(published):
    table, machine = published.run("doctor"), published.run("doctor", "--format", "json")
    assert (table.returncode, machine.returncode) == (0, 0), table.stdout
    everything = json.loads(machine.stdout)
    rows = re.findall(r"^  (ok|WARNING|PROBLEM|-) +(.+?)  +(.+)$", table.stdout.partition("Checks:\n")[2], re.MULTILINE)
    results = {"ok": "ok", "WARNING": "warning", "PROBLEM": "problem", "-": "not tried"}

    def timeless(text):
        return re.sub(r"\d\d:\d\d:\d\d|[\d.,]+ [GM]B free", "", text)

    assert [(results[result], check, timeless(found)) for result, check, found in rows] == [
        (each["result"], each["check"], timeless(each["found"])) for each in everything["checks"]
    ]
    assert [check for _, check, _ in rows] == CHECKS
    assert everything["settings"]["CIVITAI_ETL_REQUESTS_PER_SECOND"] == "0.0"
    assert everything["versions"]["duckdb"] == duckdb.__version__


def test_a_moved_directory_and_a_service_that_is_down_are_problems_and_all_else_is_looked_at(directory):
    found = look(directory)
    assert found["published tables"][0] == "problem"
    assert "run `civitai-etl relocate` once" in found["published tables"][1]
    assert found["service"][0] == "problem"
    assert "No server answers at" in found["service"][1]
    assert [found[each][0] for each in ("clock", "schedules")] == ["not tried", "not tried"]
    assert found["raw data"] == (
        "ok",
        f"version 2, this program has 2, its file made by DuckDB v{duckdb.__version__}",
    )
    assert "The next run needs " in found["disk"][1]
    assert ", the next 30 days " in found["disk"][1]


HOSTILE = ["prefect/api_url", "messages.json", "last-run.json", "under-way.json", "last-backup.json", "writer.lock"]
HOSTILE += ["analytics.duckdb", "warehouse.duckdb", "identity", "lake", "restoring", "archive", "dlt", "prefect"]


@pytest.mark.parametrize("name", HOSTILE)
def test_nothing_in_a_data_directory_fails_the_doctor(directory, name):
    path = directory / name

    def replace_by(content):
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        path.parent.mkdir(exist_ok=True)
        path.mkdir() if content is None else path.write_bytes(content)

    for content in (b"", b"\xff\x00\x1b[31m{", b'{"at": 1e999}', None):
        replace_by(content)
        for result, words in look(directory, notify_url="json://127.0.0.1:9").values():
            assert "Traceback" not in words
            assert "\x1b" not in words
            assert result in ("ok", "warning", "problem", "not tried")


def test_a_directory_in_the_place_of_a_note_is_named(directory):
    (directory / "under-way.json").mkdir()
    result, words = look(directory)["data directory"]
    assert (result, "is a directory instead of a file: move it away" in words) == ("problem", True)


def test_an_error_that_no_check_expects_is_a_line_with_its_type(directory, monkeypatch):
    monkeypatch.setattr("flows.backup.last_backup", lambda _: 1 // 0)
    assert look(directory)["backup"] == ("problem", "ZeroDivisionError: integer division or modulo by zero")


def test_what_is_old_or_failed_is_a_warning(directory):
    now = datetime.now(UTC)
    write_record(directory, RunRecord(now.date(), now, now, "failed", "the service was down"))
    last = LastBackup(now - timedelta(days=9), "/mnt/backup")
    (directory / LAST_BACKUP).write_bytes(msgspec.json.encode(last))
    found = look(directory)
    assert found["last run"][0] == "warning"
    assert found["last run"][1].endswith(", failed: the service was down")
    assert found["backup"][0] == "warning"
    assert found["backup"][1].endswith("make a new one with `civitai-etl backup /mnt/backup`")


def test_lost_tables_are_told_from_none(directory, tmp_path):
    (directory / "analytics.duckdb").unlink()
    result, words = look(directory)["published tables"]
    assert (result, "is gone: `civitai-etl rebuild` makes it again" in words) == ("warning", True)
    assert look(tmp_path / "new")["published tables"] == ("ok", "none yet; `civitai-etl snapshot` makes them")


def test_a_writer_at_work_prevents_no_snapshot_and_its_warehouse_is_left_alone(directory):
    with writer_lock(directory):
        found = look(directory)
    assert found["data directory"][0] == "warning"
    assert found["raw data"] == ("not tried", "another process is writing it")


def test_a_run_that_was_killed_is_a_warning(directory):
    (directory / NAME).write_bytes(msgspec.json.encode(RunNote.of_this_process("crawl")))
    result, words = look(directory)["data directory"]
    assert (result, "was ended from outside" in words) == ("warning", True)


def test_a_later_version_of_raw_is_a_problem(directory, monkeypatch):
    monkeypatch.setattr("pipelines.raw.loader.RAW_VERSION", 1)
    result, words = look(directory)["raw data"]
    assert (result, "raw of version 2, this one has 1): upgrade it" in words) == ("problem", True)


@pytest.mark.parametrize(
    ("lasts", "is_known", "result", "words"),
    [
        (timedelta(days=90), True, "ok", "it is trusted, and valid until "),
        (timedelta(days=9), True, "warning", "has to renew it"),
        (timedelta(days=-1), True, "problem", "is the clock of this machine right?"),
        (timedelta(days=90), False, "problem", "name a file (PEM) with the certificate of the authority"),
    ],
    ids=["good", "ends soon", "expired", "foreign"],
)
def test_the_certificate(tmp_path, monkeypatch, lasts, is_known, result, words):
    authority = Authority(tmp_path)
    if is_known:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.certificates))
    with (
        running_service(authority.server(lasts=lasts)) as service,
        running_proxy(urlsplit(service.api_url).port) as proxy,
    ):
        service.date = formatdate(usegmt=True)
        monkeypatch.setenv("HTTPS_PROXY", proxy.address)
        found = look(tmp_path / "data", api_url=f"https://{HOST}/api/v1")
    assert found["certificate"][0] == result
    assert words in found["certificate"][1]
    assert found["proxy"] == ("ok", f"{proxy.address} of HTTPS_PROXY")
    assert found["service"][0] == ("not tried" if result == "problem" else "ok")


def test_a_proxy_that_refuses_is_the_problem_and_not_the_service(tmp_path, monkeypatch):
    with running_proxy(9) as proxy:
        proxy.status = 407
        monkeypatch.setenv("HTTP_PROXY", proxy.address)
        found = look(tmp_path / "data", api_url=f"http://{HOST}/api/v1")
    assert found["proxy"][0] == "problem"
    assert "(407): set HTTP_PROXY to" in found["proxy"][1]
    assert found["service"] == ("not tried", "it was not reached")


def test_the_clock_of_the_service_is_compared(tmp_path, monkeypatch):
    with running_service() as service, running_proxy(urlsplit(service.api_url).port) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.address)
        for behind, result in (
            (timedelta(), "ok"),
            (timedelta(minutes=20), "warning"),
            (timedelta(hours=2), "problem"),
        ):
            service.date = formatdate((datetime.now(UTC) - behind).timestamp(), usegmt=True)
            assert look(tmp_path / "data", api_url=f"http://{HOST}/api/v1")["clock"][0] == result


@pytest.mark.parametrize(
    ("key", "me", "models", "result", "words"),
    [
        (None, 200, 200, "ok", "the catalogue can be read without one"),
        ("a-key-of-mine", 200, 200, "ok", "the service knows it"),
        # As the live service does: a wrong key reads the lists as anybody.
        ("a-key-of-mine", 401, 200, "warning", "set a new one, or unset it. The lists are read without it"),
        ("a-key-of-mine", 401, 401, "problem", "set a new one, or unset it"),
        ("a-key-of-mine", 503, 200, "warning", "it could not be tried: "),
        ("a-key-of-mine", 200, 503, "not tried", "the service was not reached"),
    ],
)
def test_the_key_is_tried_where_the_service_asks_for_one(tmp_path, key, me, models, result, words):
    with running_service() as service:
        service.replies("/me", Reply({"id": 1}, me))
        service.replies("/models", Reply({"items": [], "metadata": {}}, models))
        found = look(tmp_path / "data", api_url=service.api_url, api_key=key, dialect="live")
        assert len(service.asked("/me")) == (key is not None and models != 503)
    assert found["API key"][0] == result
    assert words in found["API key"][1]


def test_status_shows_how_the_last_run_failed_also_into_a_pipe_and_before_anything_is_published(civitai_etl):
    now = datetime.now(UTC)
    civitai_etl.data_dir.mkdir()
    write_record(civitai_etl.data_dir, RunRecord(now.date(), now, now, "failed", "the service was down"))
    ended = civitai_etl.run("status")
    assert (ended.returncode, "the service was down" in ended.stdout) == (4, True)
    assert "Nothing is published" in ended.stderr
