"""mart_base_model_daily: what its columns promise, beyond the balance that test_generated_histories holds."""

from tests.transforms.conftest import DAYS, Workshop, model, version


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
