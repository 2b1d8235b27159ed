from datetime import UTC, date, datetime, timedelta

import duckdb
import pytest

from flows.reporting import freshness, report
from pipelines.errors import CivitaiEtlError


@pytest.mark.parametrize(
    ("text", "age"),
    [("90m", timedelta(minutes=90)), ("36h", timedelta(hours=36)), ("1.5d", timedelta(days=1.5))],
)
def test_an_age_is_a_number_and_a_unit(text, age):
    assert freshness.parse_age(text) == age


@pytest.mark.parametrize("text", ["", "36", "a day", "-3h"])
def test_anything_else_is_no_age_and_the_error_shows_one(text):
    with pytest.raises(CivitaiEtlError, match="such as 36h"):
        freshness.parse_age(text)


def test_coverage_names_gaps_and_partial_days(analytics):
    with report.open_analytics(analytics) as connection:
        covered = freshness.coverage(connection)
    assert covered.missing == [date(2026, 1, 4), date(2026, 1, 5)]
    assert covered.partial == (date(2026, 1, 3),)
    assert covered.newest_complete == datetime(2026, 1, 6, 3, tzinfo=UTC)
    assert covered.newest_share == 0.9975


def test_a_newest_crawl_whose_lists_say_no_number_does_not_have_the_coverage_of_an_older_one(analytics):
    with duckdb.connect(str(analytics)) as connection:
        connection.execute("update star.ops_snapshot set coverage = null where snapshot_date = '2026-01-06'")
        assert freshness.coverage(connection).newest_share is None


def test_a_complete_crawl_mends_the_coverage_of_a_partial_one_of_its_date_whichever_began_later(analytics):
    with duckdb.connect(str(analytics)) as connection:
        for number, later in enumerate(("- interval 1 hour", "", "+ interval 1 hour")):
            connection.execute(
                "insert into star.ops_snapshot by name select * replace ("
                f"'partial' as status, 0.5 as coverage, started_at {later} as started_at, 'p{number}' as crawl_id) "
                "from star.ops_snapshot where snapshot_date = '2026-01-06' and status = 'complete'"
            )
        assert freshness.coverage(connection).newest_share == 0.9975
