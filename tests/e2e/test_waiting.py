"""A snapshot that waits, against other commands that are at work: it goes first, and what gave way costs no byte."""

import fcntl
import os
import re
import shutil
import signal
import subprocess
import time
from contextlib import contextmanager
from datetime import date, timedelta

import pytest

from emulator.launch import launch
from flows.steps import relocate_star, run_daily_snapshot
from pipelines.settings import Settings
from pipelines.storage.lock import writer_lock
from tests.comparison import differences
from tests.e2e.conftest import COMMAND

DAYS = [date(2026, 1, 31) + timedelta(days=number) for number in range(4)]


class Command:
    """A command at work, whose output can be read meanwhile."""

    def __init__(self, settings, folder, *arguments):
        environment = {
            "CIVITAI_ETL_DATA_DIR": str(settings.data_dir),
            "CIVITAI_ETL_API_URL": settings.api_url,
            "CIVITAI_ETL_REQUESTS_PER_SECOND": "0",
            "CIVITAI_ETL_IMAGE_PAGES": "1",
            "CIVITAI_ETL_WAIT_MINUTES": str(settings.wait_minutes),
        }
        self._output = folder / f"{time.monotonic_ns()}.txt"
        with self._output.open("w") as output:
            command = [COMMAND, *map(str, arguments)]
            self.process = subprocess.Popen(
                command, env=os.environ | environment, cwd=folder, stdout=output, stderr=subprocess.STDOUT
            )

    @property
    def told(self):
        return self._output.read_text()

    def tells(self, text):
        until(lambda: text in self.told or self.process.poll() is not None)
        assert text in self.told

    def ended(self):
        return self.process.wait(timeout=240), self.told


def until(is_so):
    deadline = time.monotonic() + 240
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@contextmanager
def stopped(command, data_dir, phase):
    """The process of a command stands still in a phase."""
    lock = data_dir / "writer.lock"
    held = rf'"process":{command.process.pid},.*"phase":"{phase}"'
    until(lambda: re.search(held, lock.read_text()))
    command.process.send_signal(signal.SIGSTOP)
    assert is_locked(lock), "it was faster"
    yield
    command.process.send_signal(signal.SIGCONT)


def is_locked(path):
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@pytest.mark.timeout(900)
def test_whoever_is_at_work_the_snapshot_goes_first_and_the_tables_are_those_of_calm_days(tmp_path):
    """Takes long: four calm days and three disturbed ones."""
    with launch(models=40, on=DAYS[0]) as emulator:
        common = {"api_url": emulator.api_url, "requests_per_second": 0, "image_pages": 1}
        calm = Settings(data_dir=tmp_path / "calm", **common)
        disturbed = Settings(data_dir=tmp_path / "disturbed", **common)

        def run(*arguments):
            return Command(disturbed, tmp_path, *arguments)

        def begins(day):
            emulator.set_date(day)
            run_daily_snapshot(calm, day)

        begins(DAYS[0])
        shutil.copytree(calm.data_dir, disturbed.data_dir)
        relocate_star(disturbed)

        # A refresh that waits for the service, and then two snapshots at once.
        begins(DAYS[1])
        seen = len(emulator.requests())
        emulator.order_faults("503")
        refresh = run("refresh")
        until(lambda: len(emulator.requests()) > seen)
        first, second = (run("snapshot", "--wait", "--date", DAYS[1]) for _ in range(2))
        code, told = refresh.ended()
        assert (code, "goes first: this run has stopped" in told) == (5, True)
        emulator.order_faults("")
        answers = [first.ended(), second.ended()]
        assert [code for code, _ in answers] == [0, 0]
        assert sorted("is complete already; no requests were made" in told for _, told in answers) == [False, True]
        # The second one may have come when the first one had ended.
        assert any("is writing to" in told for _, told in answers)

        # A compact of January.
        begins(DAYS[2])
        compact = run("compact")
        with stopped(compact, disturbed.data_dir, "compact"):
            snapshot = run("snapshot", "--wait", "--date", DAYS[2])
            snapshot.tells(f"process {compact.process.pid}, compact since ")
        code, told = compact.ended()
        assert (code, f"The snapshot of process {snapshot.process.pid} goes first" in told) == (5, True)
        assert snapshot.ended()[0] == 0
        assert not (disturbed.data_dir / "archive").exists()
        assert not (disturbed.data_dir / "compacting").exists()

        # A rebuild, which starts again by itself.
        begins(DAYS[3])
        published = (disturbed.data_dir / "analytics.duckdb").read_bytes()
        rebuild = run("rebuild")
        with stopped(rebuild, disturbed.data_dir, "rebuild"):
            snapshot = run("snapshot", "--wait", "--date", DAYS[3])
            snapshot.tells("waiting for it")
            assert (disturbed.data_dir / "analytics.duckdb").read_bytes() == published
        assert snapshot.ended()[0] == 0
        code, told = rebuild.ended()
        assert (code, "It starts again after the snapshot." in told) == (0, True)
        assert "Built 4 snapshot dates" in told

        # A wait that is over.
        impatient = disturbed.model_copy(update={"wait_minutes": 0.01})
        with writer_lock(disturbed.data_dir):
            code, told = Command(impatient, tmp_path, "snapshot", "--wait", "--date", DAYS[3]).ended()
        assert code == 1
        assert "this run waited for 1 s (CIVITAI_ETL_WAIT_MINUTES)" in told
    assert differences(calm.data_dir, disturbed.data_dir) == []
