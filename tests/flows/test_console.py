import contextlib
import os
import pty
import re
import subprocess
import sys

import pytest

from flows.reporting.logged_progress import LoggedProgress
from pipelines.progress import Problem, duration


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "0 s"), (59.6, "1 min"), (200, "3 min 20 s"), (7500, "2 h 5 min"), (97 * 3600, "4 d 1 h"), (3600, "1 h")],
)
def test_a_duration_is_told_in_its_two_largest_units(seconds, words):
    assert duration(seconds) == words


def test_each_phase_ends_with_one_record_that_has_its_final_count(records):
    with LoggedProgress() as progress:
        progress.update("models", 100, 2000)
        progress.update("models", 2000, 2000)
        progress.update("creators", 40)
    told = [record.getMessage() for record in records if record.levelname == "INFO"]
    assert told == ["models: 2,000 of 2,000 items", "creators: 40 items"]


@pytest.fixture
def clock(monkeypatch):
    """What `time.monotonic` says, one after the other."""

    def set_to(*seconds):
        now = iter(seconds)
        monkeypatch.setattr("flows.reporting.logged_progress.time.monotonic", lambda: next(now))

    return set_to


def test_a_long_phase_tells_rate_and_time_left_while_it_lasts(records, clock):
    clock(0.0, 0.0, 0.0, 20.0)
    progress = LoggedProgress(interval=10)
    progress.update("models", 0, 4000)
    progress.update("models", 1, 4000)
    progress.update("models", 1000, 4000)
    assert [record.getMessage() for record in records] == ["models: 1,000 of 4,000 items, 50 items/s, 1 min left"]
    (record,) = records
    assert (record.extent.done, record.extent.total, record.extent.rate) == (1000, 4000, 50)


def test_a_crawl_that_goes_on_is_not_as_fast_as_what_it_had_done_before(records, clock):
    clock(0.0, 0.0, 20.0)
    progress = LoggedProgress(interval=10)
    progress.update("models", 900_000, 901_000)
    progress.update("models", 900_200, 901_000)
    assert records[0].getMessage() == "models: 900,200 of 901,000 items, 10 items/s, 1 min 20 s left"


def test_a_list_without_a_total_is_expected_to_be_about_as_long_as_before(records, clock):
    clock(*[0.0, 0.0, 20.0, 50.0])
    progress = LoggedProgress(interval=10)
    progress.expect({"models": 1100})
    progress.update("models", 0)
    progress.update("models", 1000)
    progress.update("models", 1200)
    assert [record.getMessage() for record in records] == [
        "models: 1,000 of about 1,100 items, 50 items/s, 2 s left",
        "models: 1,200 items, 24 items/s",
    ]
    # What nobody knows is null.
    assert {record.extent.total for record in records} == {None}


def test_a_phase_has_the_seconds_until_its_last_update_and_a_step_what_comes_after(records, clock):
    clock(0.0, 5.0, 7.0, 10.0, 11.0, 11.5)
    with LoggedProgress() as progress:
        progress.update("models", 1, 2)
        progress.update("models", 2, 2)
        progress.update("creators", 1, 1)
        progress.rest("last load")
    assert progress.seconds == {"models": 7.0, "creators": 3.0, "last load": 1.0, "the rest": 0.5}
    (last,) = [record for record in records if record.levelname == "DEBUG"]
    assert last.getMessage() == "Seconds: models 7.0, creators 3.0, last load 1.0, the rest 0.5"


def test_a_note_comes_after_what_was_done_before_it_and_a_problem_is_a_warning(records):
    with LoggedProgress() as progress:
        progress.update("images", 7)
        progress.note("The gallery ends here.")
        progress.note(Problem("It was killed."))
    told = [(record.levelname, record.getMessage()) for record in records]
    assert told[:3] == [("INFO", "images: 7 items"), ("INFO", "The gallery ends here."), ("WARNING", "It was killed.")]
    assert [record.phase for record in records[1:3]] == ["images", "images"]


def test_on_a_terminal_a_phase_that_ended_keeps_its_rate():
    master, slave = pty.openpty()
    program = (
        "import time; from flows.reporting.console import progress_display\n"
        "with progress_display() as progress:\n"
        "    progress.update('models', 0, 600); time.sleep(1)\n"
        "    progress.note('a line \\x1b[2J above'); progress.update('models', 600, 600)\n"
        "    progress.update('creators', 7); time.sleep(2); progress.update('creators', 8)\n"
    )
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "120"}
    with subprocess.Popen([sys.executable, "-c", program], stderr=slave, env=environment) as process:
        os.close(slave)
        drawn = b""
        with contextlib.suppress(OSError):  # a terminal that was closed
            while chunk := os.read(master, 65536):
                drawn += chunk
        assert process.wait() == 0
    os.close(master)
    last = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", drawn.decode()).replace("\r", "\n")
    rate = re.findall(r"models +\S+ +600 of 600 items +([\d,]+) items/s, 1 s", last)[-1]
    assert 500 <= int(rate) <= 600
    assert "creators" in last
    assert re.search(r"^a line \\u001b\[2J above *$", last, re.MULTILINE)
