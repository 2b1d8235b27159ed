"""What a command writes to standard error and to its log, as cron, a log collector and a person see it."""

import json
import re
from datetime import date

import pytest

from emulator.launch import launch


@pytest.fixture(scope="module")
def clock():
    """An emulator whose date and faults the tests set."""
    with launch(models=450) as emulator:
        yield emulator


@pytest.fixture
def night(civitai_etl, clock):
    """A snapshot of a date, on a service that answers it."""
    civitai_etl.settings["CIVITAI_ETL_API_URL"] = clock.api_url

    def run(day, *options, faults=""):
        clock.set_date(day)
        clock.order_faults(faults)
        return civitai_etl.run("snapshot", "--date", day, *options)

    return run


def test_a_good_night_is_quiet_and_a_bad_one_says_why_and_the_log_has_both(night, civitai_etl, clock):
    loud = night(date(2026, 1, 1), "--verbose", faults="500 path=/models nth=1 times=1")
    assert loud.returncode == 0, loud.stderr
    moments, levels, runs = zip(*(line.split()[:3] for line in loud.stderr.splitlines()), strict=True)
    assert all(moment.endswith("Z") for moment in moments)
    assert set(levels) == {"DEBUG", "INFO"}
    (run,) = set(runs)
    assert run.startswith("snapshot-")
    assert "it answered 500" in loud.stderr
    assert " attempt 1 failed" in loud.stderr
    assert "Seconds: " in loud.stderr

    good = night(date(2026, 1, 2), "--quiet", faults="500 path=/models nth=1 times=1")
    assert (good.returncode, good.stdout, good.stderr) == (0, "", "")

    partial = night(date(2026, 1, 3), "--quiet", faults="repeated-cursor path=/models\\? nth=2- times=3")
    refused = night(date(2026, 1, 4), "--quiet", "--log-format", "json", faults="451")
    assert (partial.returncode, partial.stderr) == (3, "")
    assert partial.stdout.startswith("Snapshot 2026-01-03: PARTIAL (")
    assert refused.returncode == 1
    (error,) = map(json.loads, refused.stderr.splitlines())
    assert (error["level"], "answered 451" in error["message"]) == ("ERROR", True)

    rows = [json.loads(line) for line in (civitai_etl.data_dir / "logs" / "civitai-etl.jsonl").read_text().splitlines()]
    assert len({row["run"] for row in rows}) == 4
    assert [row["message"] for row in rows if row["level"] == "ERROR"] == [error["message"]]
    assert sum(row["message"].startswith("Snapshot 2026-01-02: complete") for row in rows) == 1
    assert sum("attempt 1 failed" in row["message"] for row in rows) == 2


def test_a_run_goes_well_whose_log_cannot_be_written(night, civitai_etl):
    (civitai_etl.data_dir / "logs" / "civitai-etl.jsonl").mkdir(parents=True)
    ended = night(date(2026, 1, 1))
    assert ended.returncode == 0, ended.stderr
    assert re.search(r"models: (\d+) of \1 items", ended.stderr), ended.stderr
