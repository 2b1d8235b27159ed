"""A reader that asks all the time, in a process of its own, while one generation after the other is published."""

import json
import subprocess
import sys
from datetime import date, timedelta
from typing import Any

from tests.transforms.conftest import Workshop, model, version

FIRST = date(2026, 1, 1)
PUBLISHES = 8

#: The newest date that each table knows; every document of a day bears its date wherever something can change.
NEWEST = """
    SELECT max(date)::VARCHAR FROM star.dim_date UNION SELECT max(snapshot_date)::VARCHAR FROM star.ops_snapshot
    UNION SELECT max(snapshot_date)::VARCHAR FROM star.fact_model_daily
    UNION SELECT max(snapshot_date)::VARCHAR FROM star.fact_model_version_daily
    UNION SELECT max(snapshot_date)::VARCHAR FROM star.fact_image_daily
    UNION SELECT max(snapshot_date)::VARCHAR FROM star.fact_creator_daily
    UNION SELECT max(snapshot_date)::VARCHAR FROM star.fact_tag_daily
    UNION SELECT max(snapshot_date)::VARCHAR FROM star.mart_base_model_daily
    UNION SELECT max(snapshot_date)::VARCHAR FROM star.manifest
    UNION SELECT name FROM star.model UNION SELECT name FROM star.model_version
    UNION SELECT max(description) FROM star.model_text UNION SELECT max(base_model) FROM star.dim_base_model
    UNION SELECT name FROM star.dim_file UNION SELECT hash FROM star.file_hash WHERE is_current
    UNION SELECT max(tag) FROM star.dim_tag UNION SELECT tag FROM star.bridge_model_tag WHERE is_current
    UNION SELECT max(url) FROM star.dim_image UNION SELECT max(image) FROM star.dim_creator
    UNION SELECT name FROM star.dim_model WHERE model_key = (
        SELECT arg_max(model_key, snapshot_date) FROM star.fact_model_daily)
"""

#: Asks again and again, and prints each answer as JSON: one reader connects anew each time, the other one once.
CONNECTS_ANEW = """
import duckdb, json, sys, time
analytics, query = sys.argv[1:]
while True:
    with duckdb.connect(analytics, read_only=True) as connection:
        print(json.dumps([text for (text,) in connection.execute(query).fetchall()]), flush=True)
    time.sleep(0.3)
"""
STAYS_CONNECTED = """
import duckdb, json, sys, time
analytics, query = sys.argv[1:]
with duckdb.connect(analytics, read_only=True) as connection:
    while True:
        print(json.dumps([text for (text,) in connection.execute(query).fetchall()]), flush=True)
        time.sleep(1)
"""


def documents_of(day: date) -> dict[str, list[dict[str, Any]]]:
    """A catalogue in which everything that can change is named after its day."""
    name, stats = str(day), {"likeCount": day.toordinal()}
    file = {"id": 1, "name": name, "hashes": {"SHA256": name}}
    shown = version(10, base_model=name, name=name, files=[file])
    return {
        "model": [model(1, shown, name=name, description=name, tags=[name])],
        "creator": [{"username": "ada", "image": name, "modelCount": 1}],
        "tag": [{"name": name, "modelCount": 1}],
        "image": [{"id": day.toordinal(), "url": name, "stats": stats}],
    }


class Reader:
    """A process that reads; `answers` are those that were taken from it."""

    def __init__(self, script: str, workshop: Workshop) -> None:
        command = [sys.executable, "-c", script, str(workshop.analytics), NEWEST]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.answers: list[list[str]] = []

    def next_answer(self) -> list[str] | None:
        """One answer more; None if the reader has ended."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if line:
            self.answers.append(json.loads(line))
        return self.answers[-1] if line else None

    def end(self) -> str:
        """Ends the reader. Returns what it had to complain of."""
        self.process.terminate()
        left, errors = self.process.communicate()
        self.answers += [json.loads(line) for line in left.splitlines(keepends=True) if line.endswith("\n")]
        return errors


def test_a_reader_in_a_loop_during_publishes_sees_one_whole_date_each_time(workshop: Workshop) -> None:
    workshop.raw.crawl(FIRST, **documents_of(FIRST))
    workshop.build()
    anew, connected = Reader(CONNECTS_ANEW, workshop), Reader(STAYS_CONNECTED, workshop)
    try:
        assert anew.next_answer() == connected.next_answer() == [str(FIRST)]
        for number in range(1, PUBLISHES + 1):
            last = FIRST + timedelta(days=number)
            workshop.raw.crawl(last, **documents_of(last))
            assert workshop.build().published
            anew.next_answer()  # however slow the machine is, it looks once a publish
        while (answer := anew.next_answer()) and answer < [str(last)]:
            pass
    finally:
        errors = [anew.end(), connected.end()]
    assert errors == ["", ""]
    assert [answer for answer in anew.answers if len(answer) != 1] == []
    assert anew.answers == sorted(anew.answers)
    assert anew.answers[-1] == [str(last)]
    assert len({date for (date,) in anew.answers}) > PUBLISHES / 2, "it hardly looked while there were publishes"
    assert {date for (date,) in connected.answers} == {str(FIRST)}
