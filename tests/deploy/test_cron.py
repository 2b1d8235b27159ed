"""The lines for cron: due when `serve` would be, and silent after a good night."""

import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from emulator.launch import launch
from pipelines.settings import Settings

COMMAND = Path(sys.executable).with_name("civitai-etl")
TABLE = (Path(__file__).parents[2] / "deploy" / "cron" / "civitai-etl").read_text()


@pytest.fixture(scope="module")
def lines():
    """Schedule and command of each line, in the order of the file."""
    return re.findall(r"^((?:\S+\s+){5})civitai-etl\s+(.+)$", TABLE, re.MULTILINE)


def test_cron_is_due_when_serve_would_be(lines):
    schedules = [" ".join(schedule.split()) for schedule, _ in lines]
    assert schedules == [Settings.model_fields[name].default for name in ("daily_cron", "refresh_cron")]


def test_a_good_night_sends_no_mail_and_a_bad_one_a_line(lines, tmp_path):
    (_, snapshot), (_, refresh) = [
        (
            when,
            command.replace("/var/lib/civitai-etl", str(tmp_path)).replace(
                "/opt/civitai-etl/bin/civitai-etl", str(COMMAND)
            ),
        )
        for when, command in lines
    ]
    with launch(models=30, on=datetime.now(UTC).date()) as emulator:
        (tmp_path / ".env").write_text(
            f"CIVITAI_ETL_API_URL={emulator.api_url}\nCIVITAI_ETL_REQUESTS_PER_SECOND=0\nCIVITAI_ETL_RETRY_MINUTES=0\n"
        )
        # What cron gives to a command, and no more.
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "CIVITAI_ETL_DATA_DIR": str(tmp_path / "data")}
        environment |= {"LOGNAME": "civitai-etl", "SHELL": "/bin/sh"}

        def night(command):
            ended = subprocess.run(
                ["/bin/sh", "-c", command], env=environment, cwd=os.sep, capture_output=True, text=True, check=False
            )
            return ended.returncode, ended.stdout + ended.stderr

        assert night(snapshot) == (0, "")
        assert night(refresh) == (0, "")
        emulator.stop()
        code, mail = night(refresh)
    assert code == 1
    assert "No server answers at" in mail
    assert "Traceback" not in mail
