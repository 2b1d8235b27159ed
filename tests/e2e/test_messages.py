"""Messages and heartbeats of daily runs, sent by the command line to a mail server and a web server on loopback."""

import json
import time

import pytest

from emulator.launch import launch
from flows import notifier
from flows.cli.main import main
from pipelines.run_record import read_record
from pipelines.settings import Settings, SettingsError
from pipelines.storage.lock import writer_lock
from tests.e2e.conftest import CommandHere, CommandLine
from tests.e2e.test_bad_days import Catalogue
from tests.e2e.test_key import found_in
from tests.flows.servers import free_port
from tests.pipelines.service import empty, running_service
from tests.sinks import mail_server, web_server

SECRET = "sentinel-7d21c0"
NOWHERE = "http://127.0.0.1:9/api/v1"


@pytest.fixture
def mails():
    with mail_server() as mails:
        yield mails


@pytest.fixture
def hooks():
    with web_server() as hooks:
        yield hooks


def environment(data_dir, api_url, mails, hooks):
    return {
        "CIVITAI_ETL_DATA_DIR": str(data_dir),
        "CIVITAI_ETL_API_URL": api_url,
        "CIVITAI_ETL_REQUESTS_PER_SECOND": "0",
        "CIVITAI_ETL_RETRY_MINUTES": "0",
        "CIVITAI_ETL_NOTIFY_HOUR": "off",
        "CIVITAI_ETL_NOTIFY_URL": f"{mails.address(SECRET)}, {hooks.address('json', SECRET)}",
        "CIVITAI_ETL_HEARTBEAT_URL": hooks.address("http", f"heartbeat/{SECRET}"),
    }


def test_a_failed_night_is_one_mail_and_one_hook_the_good_one_another_and_no_address_is_shown(tmp_path, mails, hooks):
    """As cron runs it, in a process of its own, against the emulator in another."""
    with launch(models=30) as emulator:
        civitai_etl = CommandLine(tmp_path, environment(tmp_path / "data", emulator.api_url, mails, hooks))
        here = CommandHere(tmp_path, civitai_etl.settings)
        civitai_etl.settings["CIVITAI_ETL_API_URL"] = NOWHERE
        failed = [each.run("snapshot", "--date", "2026-01-01") for each in (civitai_etl, here)]
        assert [ended.returncode for ended in failed] == [1, 1]
        assert mails.subjects == ["civitai-etl 2026-01-01: the snapshot failed"]
        body = mails.all[0].get_content().replace("\r\n", "\n")
        assert mails.all[0].get_content_type() == "text/plain"
        assert "No server answers at http://127.0.0.1:9/api/v1" in body
        assert "What to do: " in body
        assert [path for _, path, _ in hooks.all] == [f"/{SECRET}"], "no heartbeat, and the message once"

        civitai_etl.settings["CIVITAI_ETL_API_URL"] = emulator.api_url
        good = civitai_etl.run("snapshot", "--date", "2026-01-01")
        assert good.returncode == 0, good.stderr
        assert mails.subjects[1:] == ["civitai-etl 2026-01-01: good again"]
        assert [(method, path) for method, path, _ in hooks.all[1:]] == [
            ("POST", f"/{SECRET}"),
            ("GET", f"/heartbeat/{SECRET}"),
        ]
        status = here.run("status", "--notify", "--format", "json", "--max-age", "36500d")
        assert (status.returncode, json.loads(status.stdout)["last_run"]["result"]) == (0, "complete")
        doctor = here.run("doctor")
        assert "messages          they go to address 1 (mailto), address 2 (json)" in doctor.stdout
    assert len(mails.all) == 2
    shown = [text for ended in (*failed, good, status, doctor) for text in (ended.stdout, ended.stderr)]
    assert [text for text in shown if SECRET in text] == []
    assert found_in(tmp_path, SECRET) == []


@pytest.fixture
def nights(tmp_path, mails, hooks, monkeypatch):
    """The command line in this process, against a service that a test decides; gives the exit codes."""
    with running_service() as service:
        for name, value in environment(tmp_path / "data", service.api_url, mails, hooks).items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(tmp_path)

        def run(*arguments):
            with pytest.raises(SystemExit) as end:
                main([*arguments])
            return end.value.code

        run.service, run.catalogue = service, Catalogue(service)
        run.snapshot = lambda day: run("snapshot", "--date", f"2026-01-{day:02}")
        yield run


def test_each_kind_of_bad_day_is_one_message_however_often_it_is_tried(nights, mails, hooks, tmp_path, capsys):
    def heartbeats():
        return sum(method == "GET" for method, *_ in hooks.all)

    def said():
        titles = [title.removeprefix("civitai-etl ") for title in mails.subjects]
        mails.all.clear()
        return titles

    catalogue, service = nights.catalogue, nights.service
    assert (nights.snapshot(1), said(), heartbeats()) == (0, [], 1)
    catalogue.downloads = 0
    assert (nights.snapshot(2), said(), heartbeats()) == (0, ["2026-01-02: counters are withheld"], 2)
    assert read_record(tmp_path / "data").result == "withheld"
    catalogue.downloads, catalogue.versions = 11, 1
    assert (nights.snapshot(3), said()) == (1, ["2026-01-03: the checks refused the date"])
    assert (nights.snapshot(3), said(), heartbeats()) == (1, [], 2)
    catalogue.versions = 2
    assert (nights.snapshot(4), said(), heartbeats()) == (0, ["2026-01-04: good again"], 3)
    creators = service.routes["/creators"]
    service.routes["/creators"] = empty
    assert (nights.snapshot(5), said(), heartbeats()) == (3, ["2026-01-05: the snapshot is partial"], 3)
    assert nights("status", "--fail-on", "partial", "--max-age", "36500d") == 4
    service.routes["/creators"] = creators
    assert (nights.snapshot(5), said(), heartbeats()) == (0, ["2026-01-05: good again"], 4)
    odd = catalogue.model
    catalogue.model = lambda number: odd(number) | {"stats": {"downloadCount": "many"}}
    assert (nights.snapshot(6), said()) == (0, ["2026-01-06: much is quarantined"])
    monitored = capsys.readouterr()
    assert SECRET not in monitored.out + monitored.err


def test_a_notifier_and_a_heartbeat_that_fail_or_hang_leave_the_run_as_it_is(nights, mails, hooks, monkeypatch, capsys):
    monkeypatch.setattr(notifier, "PATIENCE", 1.0)
    monkeypatch.setenv("CIVITAI_ETL_NOTIFY_URL", hooks.address("json", SECRET))
    hooks.seconds = 60
    assert nights.snapshot(1) == 0
    nights.catalogue.downloads = 0
    began = time.monotonic()
    assert nights.snapshot(2) == 0
    assert time.monotonic() - began < 30
    told = capsys.readouterr().err
    assert "was not sent: address 1 (json) of CIVITAI_ETL_NOTIFY_URL did not answer in time." in told
    assert told.count("The heartbeat (CIVITAI_ETL_HEARTBEAT_URL) failed: no answer in time.") == 2

    hooks.seconds, hooks.status = 0, 500
    assert nights.snapshot(2) == 0
    told = capsys.readouterr().err
    assert "address 1 (json) of CIVITAI_ETL_NOTIFY_URL did not take it." in told
    assert "failed: the answer was 500." in told

    monkeypatch.setenv("CIVITAI_ETL_NOTIFY_URL", f"nothing-like-this://{SECRET}")
    monkeypatch.setenv("CIVITAI_ETL_HEARTBEAT_URL", f"http://127.0.0.1:{free_port()}/{SECRET}")
    assert nights.snapshot(2) == 0
    told += capsys.readouterr().err
    assert "address 1 of 1 is none that apprise knows" in told
    assert "failed: Connection refused." in told
    assert nights("doctor") == 1
    assert "PROBLEM  messages          CIVITAI_ETL_NOTIFY_URL: address 1 of 1" in capsys.readouterr().out

    # What nobody took was not said: it is sent when somebody does.
    monkeypatch.setenv("CIVITAI_ETL_NOTIFY_URL", mails.address(SECRET))
    nights("status", "--notify")
    nights("status", "--notify")
    assert mails.subjects == ["civitai-etl 2026-01-02: counters are withheld"]
    assert SECRET not in told


def test_another_writer_is_no_run_and_a_broken_table_does_not_silence_a_failure(nights, mails, tmp_path):
    assert nights.snapshot(1) == 0
    record = read_record(tmp_path / "data")
    with writer_lock(tmp_path / "data"):
        assert nights.snapshot(2) == 1
    assert (read_record(tmp_path / "data"), mails.all) == (record, [])
    (tmp_path / "data" / "analytics.duckdb").write_bytes(b"no database")
    assert nights.snapshot(2) == 1
    assert mails.subjects == ["civitai-etl 2026-01-02: the snapshot failed"]
    assert read_record(tmp_path / "data") != record


def test_a_night_that_never_began_is_said_by_a_status_that_watches(nights, mails, monkeypatch):
    """The snapshots are of January, and the clock of this machine is later."""
    assert nights.snapshot(1) == 0
    monkeypatch.setenv("CIVITAI_ETL_NOTIFY_HOUR", "0")
    assert nights("status", "--max-age", "36500d", "--notify") == 0
    (subject,) = mails.subjects
    assert subject.endswith(": no complete snapshot by 00:00 UTC")
    assert "The newest complete snapshot is that of 2026-01-01." in mails.all[0].get_content()


def test_no_error_about_a_setting_shows_an_address():
    with pytest.raises(SettingsError) as error:
        Settings(heartbeat_url=f"ftp://{SECRET}")
    assert str(error.value).startswith("CIVITAI_ETL_HEARTBEAT_URL: give an address that begins with http")
    assert SECRET not in str(error.value)
    with pytest.raises(SettingsError, match="CIVITAI_ETL_NOTIFY_HOUR"):
        Settings(notify_hour=24)
    assert Settings(notify_hour="7").notify_hour == 7
    assert SECRET not in repr(Settings(notify_url=f"json://{SECRET}", heartbeat_url=f"http://{SECRET}"))
