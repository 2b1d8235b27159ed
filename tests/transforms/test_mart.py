"""mart_base_model_daily: what its columns promise, beyond the balance that test_generated_histories holds."""

import pytest

from tests.transforms.conftest import DAYS, Workshop, model, version

#: A few models are in several ranges.
pytestmark = pytest.mark.usefixtures("narrow_ranges")


def test_nobody_knows_what_was_published_before_there_is_a_complete_crawl(workshop: Workshop) -> None:
    born = version(20, publishedAt="2026-01-01T18:00:00.000Z")
    later = version(30, publishedAt="2026-01-02T18:00:00.000Z")
    workshop.raw.crawl(DAYS[0], status="partial", model=[model(1)])
    workshop.raw.crawl(DAYS[1], model=[model(1), model(2, born)])
    workshop.raw.crawl(DAYS[2], model=[model(1), model(2, born), model(3, later)])
    workshop.build()
    assert workshop.sql("SELECT versions_published FROM star.mart_base_model_daily ORDER BY snapshot_date") == [
        (None,),
        (None,),
        (1,),
    ]


def test_ratings_are_weighted_with_the_counts_of_those_that_have_one(workshop: Workshop) -> None:
    rated = version(10, stats={"ratingCount": 10, "rating": 5.0})
    counted = version(11, stats={"ratingCount": 10})
    workshop.raw.crawl(DAYS[0], model=[model(1, rated, counted)])
    workshop.build()
    assert workshop.sql("SELECT rating, rating_count FROM star.mart_base_model_daily") == [(5.0, 20)]


def test_a_version_without_counters_is_observed_under_a_partial_crawl_too(workshop: Workshop) -> None:
    hidden = version(10, stats=None)
    workshop.raw.crawl(DAYS[0], model=[model(1)])
    workshop.raw.crawl(DAYS[1], status="partial", model=[model(1, hidden)])
    workshop.raw.crawl(DAYS[2], model=[model(1, hidden)])
    workshop.build()
    assert workshop.sql("SELECT day(snapshot_date), download_count FROM star.fact_model_version_daily ORDER BY 1") == [
        (1, 100),
        (2, None),
        (3, None),
    ]
    assert workshop.sql(
        "SELECT download_count, downloads_hidden FROM star.mart_base_model_daily ORDER BY snapshot_date"
    ) == [(100, 0), (0, -100), (0, 0)]


def test_approval_is_a_share_with_a_lower_bound_that_small_samples_lower(workshop: Workshop) -> None:
    few = version(10, "A", stats={"thumbsUpCount": 1, "thumbsDownCount": 0})
    many = version(20, "B", stats={"thumbsUpCount": 1000, "thumbsDownCount": 0})
    silent = version(30, "C", stats={"thumbsUpCount": 0, "thumbsDownCount": 0})
    workshop.raw.crawl(DAYS[0], model=[model(1, few), model(2, many), model(3, silent)])
    workshop.build()
    rows = workshop.sql(
        "SELECT approval_rate, round(approval_lower_bound, 3) FROM star.mart_base_model_daily ORDER BY base_model"
    )
    # Wilson score interval, z = 1.96: 1 of 1 is at least 0.207, 1,000 of 1,000 at least 0.996.
    assert rows == [(1.0, 0.207), (1.0, 0.996), (None, None)]


def test_approval_counts_only_versions_both_of_whose_numbers_are_known(workshop: Workshop) -> None:
    versions = [
        version(10, "A", stats={"thumbsUpCount": 100}),
        version(11, "A", stats={"thumbsUpCount": 1, "thumbsDownCount": 9}),
        version(20, "B", stats={"thumbsUpCount": 100}),
        version(21, "B", stats={"thumbsDownCount": 5}),
    ]
    workshop.raw.crawl(DAYS[0], model=[model(1, *versions)])
    workshop.build()
    assert workshop.sql(
        "SELECT thumbs_up_count, thumbs_down_count, approval_rate, round(approval_lower_bound, 3) "
        "FROM star.mart_base_model_daily ORDER BY base_model"
    ) == [(101, 9, 0.1, 0.018), (100, 5, None, None)]


def test_no_lower_bound_is_negative(workshop: Workshop) -> None:
    versions = [version(n, f"{n}", stats={"thumbsUpCount": 0, "thumbsDownCount": n}) for n in (21, 42, 47)]
    workshop.raw.crawl(DAYS[0], model=[model(1, *versions)])
    workshop.build()
    assert workshop.value("SELECT min(approval_lower_bound) FROM star.mart_base_model_daily") == 0


def test_a_share_is_one_of_the_known_flows(workshop: Workshop) -> None:
    def shown(version_id: int, base_model: str, downloads: int | None, **more: int) -> dict[str, object]:
        return version(version_id, base_model, stats={"downloadCount": downloads} | more)

    first = [shown(10, "A", 100), shown(20, "B", 500), shown(30, "C", 5)]
    second = [shown(10, "A", 130, thumbsUpCount=3, thumbsDownCount=1), shown(20, "B", 510), shown(30, "C", None)]
    for day, versions in zip((DAYS[0], DAYS[2]), (first, second), strict=True):
        workshop.raw.crawl(day, model=[model(1, *versions)])
    workshop.build()
    assert workshop.sql(
        "SELECT base_model, days_since_previous, download_count, downloads_delta, downloads_share, thumbs_up_count, "
        "approval_rate FROM star.mart_base_model_daily WHERE snapshot_date = DATE '2026-01-03' ORDER BY 1"
    ) == [
        ("A", 2, 130, 30, 0.75, 3, 0.75),
        ("B", 2, 510, 10, 0.25, None, None),
        ("C", 2, 0, None, None, None, None),
    ]
