"""Starting and stopping: one line that says where, one line that says why not."""

import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from datetime import UTC, date, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest

from emulator.launch import launch

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "emulator", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
        check=False,
    )


def test_it_prints_its_address_and_ends_on_a_signal():
    for number in (signal.SIGTERM, signal.SIGINT):
        command = [sys.executable, "-m", "emulator", "--port", "0", "--models", "20"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT) as process:
            address = process.stdout.readline().strip()
            assert address.startswith("http://127.0.0.1:")
            assert address.endswith("/api/v1")
            urllib.request.urlopen(address + "/models").read()
            process.send_signal(number)
            output, errors = process.communicate(timeout=10)
            assert output == errors == ""


def test_a_taken_port_gives_one_clear_line():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = run("--port", port)
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr == f"emulator: port {port} on 127.0.0.1 is taken; choose another, or 0 for any\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--date", "2019-01-01"], "days from 2022-11-01 to 2027-12-31, not 2019-01-01"),
        (["--workers", "-1"], "there are no -1 workers"),
        (["--models", "0"], "1 to 10,000,000 models"),
        (["--catalogue", "/nowhere/models.ndjson"], "/nowhere/models.ndjson"),
        (["dump", "--out", "/nowhere/day.ndjson"], "/nowhere/day.ndjson"),
    ],
)
def test_what_cannot_be_served_gives_one_clear_line(arguments, message):
    result = run(*arguments, *([] if "dump" in arguments else ["--port", 0]))
    assert result.returncode == 1
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_control_is_off_unless_it_is_asked_for():
    command = [sys.executable, "-m", "emulator", "--port", "0", "--models", "20"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        address = process.stdout.readline().strip()
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(address.replace("/api/v1", "/control/clock"))
        with urllib.request.urlopen(address + "/models") as response:
            told = parsedate_to_datetime(response.headers["date"])
        assert told.date() == datetime.now(UTC).date()  # no date given: the emulator is in the present
        process.terminate()


def test_two_emulators_run_side_by_side_and_leave_nothing_behind():
    with launch(models=20) as one, launch(models=20, key="other") as two:
        assert one.api_url != two.api_url
        request = urllib.request.Request(two.api_url + "/tags", headers={"Authorization": "Bearer other"})
        assert urllib.request.urlopen(request).status == 200
        one.stop()
        one.stop()
    for emulator in (one, two):
        with pytest.raises(OSError, match="refused"):
            urllib.request.urlopen(emulator.api_url + "/tags")


def test_a_launched_emulator_does_not_outlive_a_killed_parent():
    program = (
        "import os, signal; from emulator.launch import launch\n"
        "with launch(models=20) as emulator:\n"
        "    print(emulator.api_url, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=False)
    assert result.returncode == -signal.SIGKILL
    for _ in range(100):
        try:
            urllib.request.urlopen(result.stdout.strip() + "/tags").read()
        except OSError:
            return
        time.sleep(0.05)
    pytest.fail("the emulator still answers")


def test_an_emulator_that_cannot_start_says_so(capfd):
    with pytest.raises(RuntimeError, match=r"did not start \(exit 1\)"), launch(models=0):
        pass
    assert capfd.readouterr().err == "emulator: a simulated catalogue has 1 to 10,000,000 models, not 0\n"


def test_the_emulator_imports_none_of_the_other_packages():
    program = "import sys, emulator.__main__, emulator.launch; print(*sorted({n.split('.')[0] for n in sys.modules}))"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True
    ).stdout
    assert not {"pipelines", "transforms", "flows", "notebooks", "dlt", "prefect", "duckdb"} & set(loaded.split())


def test_dump_writes_a_day(tmp_path):
    result = run("dump", "--models", 50, "--date", date(2026, 1, 1), "--out", tmp_path / "day.ndjson")
    assert result.returncode == 0
    lines = (tmp_path / "day.ndjson").read_bytes().splitlines()
    assert result.stdout.startswith(f"{len(lines)} documents of 2026-01-01")
