"""The page of a run against tables that were written by hand."""

import base64
import re
import xml.etree.ElementTree as ET
from datetime import date
from types import SimpleNamespace

import duckdb
import pytest

from flows.reporting import report, summary
from tests.flows.test_report import published as published_star

DAY = date(2026, 1, 6)


@pytest.fixture
def published(analytics):
    """The file of `analytics`, with what was set aside on 6 January and on the days before."""
    with duckdb.connect(str(analytics)) as connection:
        connection.execute(
            """
            create table star.ops_quarantine as from (values
                (date '2026-01-06', 'model', '1', 'value', 'Expected `int`, got `str` - at `$.versions[0].id`'),
                (date '2026-01-06', 'model', '2', 'value', 'Expected `int`, got `str` - at `$.versions[7].id`'),
                (date '2026-01-06', 'tag', '3', 'record', 'no name'),
                (date '2026-01-03', 'tag', '4', 'record', 'no name')
            ) as rows(snapshot_date, kind, entity_id, level, reason);
            create table star.ops_withheld as from (values
                (date '2026-01-06', 'fact_model_daily.rating_count', 600, 580, false),
                (date '2026-01-06', 'fact_model_daily.download_count', 600, 600, true),
                (date '2026-01-03', 'fact_tag_daily.model_count', 90, 80, false)
            ) as rows(snapshot_date, counter, known_count, fallen_count, is_accepted);
            create table star.ops_drift as from (values
                (date '2026-01-06', 'model', '$.covered', 'true'), (date '2026-01-01', 'model', '$.old', '1')
            ) as rows(first_seen_on, kind, path, example);
            create table star.ops_warning as from (values
                (date '2026-01-06', 'new value', 'a', 'A new type.'), (date '2026-01-03', 'new value', 'b', 'Another.')
            ) as rows(snapshot_date, rule, subject, message);
            """
        )
    return analytics


def test_a_day_has_what_was_found_on_it_and_nothing_of_others(published):
    with report.open_analytics(published) as connection:
        day = summary.day_of(connection, DAY)
    assert day.coverage == 0.9975
    assert day.quarantined == [
        ("model", "value", "Expected `int`, got `str` - at `$.versions[].id`", 2),
        ("tag", "record", "no name", 1),
    ]
    # What a person accepted is not withheld.
    assert day.withheld == [("fact_model_daily.rating_count", 580, 600)]
    assert (day.drift, day.known_drift) == ([("model", "$.covered", "true")], 2)
    assert day.warnings == ["A new type."]
    assert day.line("Snapshot") == (
        "Snapshot: share met 99.75%, quarantined 3, counters withheld 1, new JSON paths 1 (2 are unknown in all), "
        "warnings 1."
    )


def test_a_share_that_nobody_knows_is_not_zero():
    assert summary.Day(None, [], [], [], 0, []).glance["share met"] == "unknown"


def test_the_page_has_the_day_the_records_the_slowest_steps_and_a_picture_that_is_one(published, tmp_path_factory):
    seconds = {"models": 52.04, "transform": 3.0, "publish": 61.5}
    counts = SimpleNamespace(kind="model", received=3, loaded=3, quarantined=0, duplicates=0)
    built = SimpleNamespace(record_counts=[counts], warnings=["Much changed."])
    star = published_star(tmp_path_factory.mktemp("star"), (date(2026, 1, 1), 100, 50), (date(2026, 1, 2), 3100, 1050))
    with report.open_analytics(star.analytics) as connection:
        gained = summary.downloads(connection)
        # The queries fit the tables as they are.
        assert summary.day_of(connection, date(2026, 1, 2)).glance["quarantined"] == "0"
    with report.open_analytics(published) as connection:
        text = summary.markdown("A run", "It ran.", built, seconds, gained, summary.day_of(connection, DAY))
    assert text.startswith("# A run\n\nIt ran.\n")
    assert "| quarantined | 3 |" in text
    assert r"| fact\_model\_daily.rating\_count | 580 | 600 |" in text
    assert "3 in = 3 out" in text
    assert "WARNING: Much changed." in text
    assert text.index("| publish | 61.5 |") < text.index("| models | 52.0 |") < text.index("| transform | 3.0 |")
    (picture,) = re.findall(r"!\[.+\]\(data:image/svg\+xml;base64,(.+)\)", text)
    drawn = "".join(ET.fromstring(base64.b64decode(picture)).itertext())
    assert "SDXL 1.0" in drawn
    assert "Pony" in drawn
    assert "## Downloads in the day to 2026-01-02" in text
    assert re.search(r"^ +SDXL 1\.0 +3,000 +75\.0 %$", text, re.MULTILINE)


def test_a_table_that_was_not_there_before_has_no_change(published):
    rows = {"fact_model_daily": 1234, "dim_model": 100, "dim_user": 0}
    assert summary.row_table(rows, {"fact_model_daily": 1200, "dim_model": 101, "gone": 5}) == [
        {"table": "dim_model", "rows": 100, "before": 101, "change": -1},
        {"table": "dim_user", "rows": 0, "before": None, "change": None},
        {"table": "fact_model_daily", "rows": 1234, "before": 1200, "change": 34},
    ]
