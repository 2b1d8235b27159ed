import contextlib
import io
import os
import pty
import re
import subprocess
import sys

import pytest

from flows.reporting.console import Lines
from pipelines.progress import duration


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "0 s"), (59.6, "1 min"), (200, "3 min 20 s"), (7500, "2 h 5 min"), (97 * 3600, "4 d 1 h"), (3600, "1 h")],
)
def test_a_duration_is_told_in_its_two_largest_units(seconds, words):
    assert duration(seconds) == words


def test_each_phase_ends_with_one_plain_line_that_has_its_final_count():
    log = io.StringIO()
    with Lines(log) as lines:
        lines.update("models", 100, 2000)
        lines.update("models", 2000, 2000)
        lines.update("creators", 40)
    assert log.getvalue() == "models: 2,000 of 2,000 items\ncreators: 40 items\n"


def test_a_long_phase_tells_rate_and_time_left_while_it_lasts(monkeypatch):
    now = iter([0.0, 0.0, 20.0])
    monkeypatch.setattr("flows.reporting.console.time.monotonic", lambda: next(now))
    log = io.StringIO()
    lines = Lines(log, interval=10)
    lines.update("models", 0, 4000)
    lines.update("models", 1, 4000)
    lines.update("models", 1000, 4000)
    assert log.getvalue() == "models: 1,000 of 4,000 items, 50 items/s, 1 min left\n"


def test_a_note_comes_after_what_was_done_before_it():
    log = io.StringIO()
    with Lines(log) as lines:
        lines.update("images", 7)
        lines.note("The gallery ends here.")
    assert re.fullmatch(r"images: 7 items\nThe gallery ends here\.\n", log.getvalue())


def test_on_a_terminal_a_phase_that_ended_keeps_its_rate():
    master, slave = pty.openpty()
    program = (
        "import time; from flows.reporting.console import progress_display\n"
        "with progress_display() as progress:\n"
        "    progress.update('models', 0, 600); time.sleep(1)\n"
        "    progress.update('models', 600, 600)\n"
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
