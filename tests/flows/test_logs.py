"""The log file: two writers, no room, rotation; and what a record looks like."""

import json
import logging
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from flows.reporting import logs
from flows.reporting.logged_progress import LoggedProgress
from flows.reporting.logs import LOG

#: Writes numbered records as fast as it can; the file is full after a few of them.
WRITER = """
import sys
from pathlib import Path
from flows.reporting import logs
logs.FILE_BYTES, logs.OLD_FILES = 20_000, 1000
logs.log_to_file(Path(sys.argv[1]), sys.argv[2])
for number in range(1000):
    logs.LOG.info("record %d", number)
"""

#: The largest file may not grow for a while: a record fits in part. Then there is room again.
NO_ROOM = """
import resource, sys
from pathlib import Path
from flows.reporting import logs
def room(size): resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
logs.log_to_file(Path(sys.argv[1]), "run")
logs.LOG.info("first")
room((Path(sys.argv[1]) / "civitai-etl.jsonl").stat().st_size + 20)
logs.LOG.info("cut")
logs.LOG.info("lost")
room(resource.RLIM_INFINITY)
logs.LOG.info("last")
"""


@pytest.fixture(autouse=True)
def _no_handlers():
    yield
    logs.stop_logging()


def lines_of(folder):
    return [line for path in sorted(folder.glob("civitai-etl.jsonl*")) for line in path.read_text().splitlines()]


def test_two_processes_share_a_log_that_is_moved_aside_and_no_record_is_lost_or_mixed(tmp_path):
    folder = tmp_path / "logs"
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, folder, name]) for name in ("a", "b")]
    assert [writer.wait() for writer in writers] == [0, 0]
    found = sorted((row["run"], row["message"]) for row in map(json.loads, lines_of(folder)))
    assert found == sorted((name, f"record {number}") for name in "ab" for number in range(1000))
    sizes = [path.stat().st_size for path in folder.iterdir()]
    assert len(sizes) > 5
    # Two writers can both have found room for their record.
    assert max(sizes) < 20_500


def test_only_a_few_old_files_stay(tmp_path, monkeypatch):
    monkeypatch.setattr(logs, "FILE_BYTES", 1000)
    logs.log_to_file(tmp_path / "logs", "run")
    for number in range(100):
        LOG.info("record %d", number)
    names = sorted(path.name for path in (tmp_path / "logs").iterdir())
    assert names == ["civitai-etl.jsonl", *(f"civitai-etl.jsonl.{number}" for number in range(1, 5))]
    assert json.loads((tmp_path / "logs" / "civitai-etl.jsonl").read_text().splitlines()[-1])["message"] == "record 99"


def test_a_record_that_fits_in_part_spoils_no_other_and_ends_nothing(tmp_path):
    ended = subprocess.run(
        [sys.executable, "-c", NO_ROOM, tmp_path / "logs"], check=True, capture_output=True, text=True
    )
    assert ended.stderr == ""
    whole = [line for line in lines_of(tmp_path / "logs") if line.endswith("}")]
    assert [json.loads(line)["message"] for line in whole] == ["first", "last"]


def test_without_a_data_directory_there_is_no_log_and_no_error(tmp_path):
    logs.log_to_file(tmp_path / "missing" / "logs", "run")
    LOG.error("something")
    assert list(tmp_path.iterdir()) == []


def test_every_record_has_the_same_keys_and_says_when_in_utc(tmp_path, capsys):
    logs.log_to_standard_error("run-1", log_format="json", verbose=True)
    logs.log_to_file(tmp_path / "logs")
    began = datetime.now(UTC)
    with LoggedProgress() as progress:
        progress.update("models", 3, 4)
        progress.note("a note")
    try:
        int("a bug")
    except ValueError:
        LOG.exception("it broke")
    told = capsys.readouterr().err.splitlines()
    assert told == (tmp_path / "logs" / "civitai-etl.jsonl").read_text().splitlines()
    extent, note, seconds, bug = map(json.loads, told)
    assert abs((datetime.fromisoformat(extent.pop("time")) - began).total_seconds()) < 60
    assert extent == {
        "level": "INFO",
        "run": "run-1",
        "phase": "models",
        "message": "models: 3 of 4 items",
        "done": 3,
        "total": 4,
        "unit": "items",
        "rate": None,
    }
    assert (note["phase"], note["message"], note["done"]) == ("models", "a note", None)
    assert seconds["level"] == "DEBUG"
    assert "ValueError: invalid literal" in bug.pop("traceback")
    assert extent.keys() | {"time"} == note.keys() == seconds.keys() == bug.keys()


@pytest.mark.parametrize(
    ("options", "levels"),
    [({}, ["INFO", "WARNING"]), ({"quiet": True}, ["WARNING"]), ({"verbose": True}, ["DEBUG", "INFO", "WARNING"])],
)
def test_lines_have_time_level_and_run_and_as_much_as_was_asked_for(capsys, options, levels):
    logs.log_to_standard_error("run-1", **options)
    for level in (logging.DEBUG, logging.INFO, logging.WARNING):
        LOG.log(level, "something")
    LOG.warning("printed elsewhere", extra=logs.SHOWN)
    told = capsys.readouterr().err.splitlines()
    assert [line.split()[1:] for line in told] == [[level, "run-1", "something"] for level in levels]
    assert all(datetime.strptime(line.split()[0], "%Y-%m-%dT%H:%M:%S%z").utcoffset().seconds == 0 for line in told)
