"""The units of systemd: valid, hardened, and due when `serve` would be."""

import os
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from croniter import croniter

from pipelines.settings import Settings

UNITS = Path(__file__).parents[2] / "deploy" / "systemd"
COMMAND = Path(sys.executable).with_name("civitai-etl")
#: The exposure level that `systemd-analyze security` gives, from 0 to 10: below 2 is its best word, OK.
MOST_EXPOSURE = 1.5

pytestmark = pytest.mark.skipif(
    not (shutil.which("systemd-analyze") or "CI" in os.environ), reason="systemd-analyze is not installed"
)


def analyze(*arguments):
    command = ["systemd-analyze", "--no-pager", *map(str, arguments)]
    return subprocess.run(command, env=os.environ | {"TZ": "UTC"}, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def units(tmp_path_factory):
    """The units as an administrator installs them, with the program where it is here."""
    folder = tmp_path_factory.mktemp("units")
    shutil.copytree(UNITS, folder, dirs_exist_ok=True)
    for unit in folder.glob("*.service"):
        unit.write_text(unit.read_text().replace("/opt/civitai-etl/bin/civitai-etl", str(COMMAND)))
    return folder


def test_systemd_finds_no_fault_in_any_unit(units):
    checked = analyze("verify", "--man=no", *units.glob("*.service"), *units.glob("*.timer"))
    ours = [line for line in checked.stderr.splitlines() if "civitai-etl" in line]
    assert (checked.returncode, ours) == (0, []), checked.stderr


@pytest.mark.parametrize("unit", sorted(path.name for path in UNITS.glob("*.service")))
def test_a_service_may_touch_little(units, unit):
    threshold = f"--threshold={round(10 * MOST_EXPOSURE)}"
    rated = analyze("security", "--offline=true", threshold, units / unit)
    assert rated.returncode == 0, rated.stdout


@pytest.mark.parametrize(("timer", "setting"), [("snapshot", "daily_cron"), ("refresh", "refresh_cron")])
def test_a_timer_is_due_when_serve_would_be(timer, setting):
    (calendar,) = (
        line.removeprefix("OnCalendar=")
        for line in (UNITS / f"civitai-etl-{timer}.timer").read_text().splitlines()
        if line.startswith("OnCalendar=")
    )
    base = datetime(2026, 1, 31, 2, 59, tzinfo=UTC)
    listed = analyze("calendar", "--iterations=30", f"--base-time={base:%Y-%m-%d %H:%M:%S UTC}", calendar)
    due = re.findall(r": \w{3} (\d{4}-.* UTC)$", listed.stdout, re.MULTILINE)
    expected = croniter(Settings.model_fields[setting].default, base)
    assert due == [f"{expected.get_next(datetime):%Y-%m-%d %H:%M:%S UTC}" for _ in range(30)]
