"""A reader that asks all the time, in a process of its own, while 20 generations are published."""

import json
import subprocess
import sys
from datetime import date, timedelta
from typing import Any

from tests.transforms.conftest import Workshop, model, version

FIRST = date(2026, 1, 1)
PUBLISHES = 20

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

#: Connects anew each time and prints what it sees, as JSON; and asks the connection that it opened first, too.
READER = """
import duckdb, json, sys
analytics, query = sys.argv[1:]
first = duckdb.connect(analytics, read_only=True)
began_with = sorted(first.execute(query).fetchall())
while True:
    with duckdb.connect(analytics, read_only=True) as connection:
        seen = [text for (text,) in connection.execute(query).fetchall()]
    assert sorted(first.execute(query).fetchall()) == began_with
    print(json.dumps(seen), flush=True)
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


def test_a_reader_in_a_loop_during_20_publishes_sees_one_whole_date_each_time(workshop: Workshop) -> None:
    workshop.raw.crawl(FIRST, **documents_of(FIRST))
    workshop.build()
    with subprocess.Popen(
        [sys.executable, "-c", READER, str(workshop.analytics), NEWEST],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as reader:
        assert reader.stdout is not None
        answers = [json.loads(reader.stdout.readline())]
        for number in range(1, PUBLISHES + 1):
            day = FIRST + timedelta(days=number)
            workshop.raw.crawl(day, **documents_of(day))
            assert workshop.build().published
        # The answers after the last publish: one may have been under way, the next was not.
        while answers[-1] != [str(day)] and (line := reader.stdout.readline()):
            answers.append(json.loads(line))
        assert reader.poll() is None, reader.stderr
        reader.terminate()
        _, errors = reader.communicate()
    assert errors == ""
    assert [answer for answer in answers if len(answer) != 1] == []
    dates = [date.fromisoformat(answer) for (answer,) in answers]
    assert dates == sorted(dates)
    assert len(set(dates)) > PUBLISHES / 2, "the reader hardly looked while there were publishes"
