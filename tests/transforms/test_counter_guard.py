"""Counters that collapse for many in one day are withheld: null, told, and spanned by the next flows."""

from typing import Any

import duckdb
import pytest

from pipelines.raw import decisions
from tests.transforms.conftest import DAYS, Workshop, model, version

#: A few models are in several ranges.
pytestmark = pytest.mark.usefixtures("ranges_of_dozens")

MODELS = range(1, 61)
COUNTS = ("downloadCount", "thumbsUpCount", "thumbsDownCount", "ratingCount")


def day(downloads: int | None = 100, thumbs: int = 10, **more: Any) -> list[dict[str, Any]]:
    """Sixty models of one version each, all with the same counters."""
    stats = {"downloadCount": downloads, "thumbsUpCount": thumbs, "thumbsDownCount": 1, **more}
    return [model(number, version(number * 10, stats=stats), stats=stats) for number in MODELS]


def zeros() -> list[dict[str, Any]]:
    return day(0, 0, thumbsDownCount=0)


def flows(workshop: Workshop, fact: str = "fact_model_version_daily") -> list[tuple[Any, ...]]:
    return workshop.sql(
        f"SELECT day(snapshot_date), sum(download_count), sum(downloads_delta), max(downloads_days) FROM star.{fact} "
        "GROUP BY 1 ORDER BY 1"
    )


@pytest.mark.parametrize("fact", ["fact_model_daily", "fact_model_version_daily"])
def test_a_day_of_zeros_is_withheld_and_the_next_flow_spans_it(workshop: Workshop, fact: str) -> None:
    for on, models in zip(DAYS, (day(100), zeros(), zeros(), day(107)), strict=False):
        workshop.raw.crawl(on, model=models)
        workshop.build()
    assert flows(workshop, fact) == [
        (1, 6000, None, None),
        (2, None, None, None),
        (3, None, None, None),
        (4, 6420, 420, 3),
    ]
    assert workshop.sql(
        f"SELECT day(snapshot_date), known_count, fallen_count, fallen_share, max_share, is_accepted "
        f"FROM star.ops_withheld WHERE counter = '{fact}.download_count' ORDER BY 1"
    ) == [(2, 60, 60, 1.0, 0.2, False), (3, 60, 60, 1.0, 0.2, False)]


def test_a_run_warns_of_what_is_withheld_and_of_nothing_that_follows_from_it(workshop: Workshop) -> None:
    workshop.raw.crawl(DAYS[0], model=day())
    workshop.build()
    workshop.raw.crawl(DAYS[1], model=zeros())
    warnings = workshop.build().warnings
    told = {line.split(" fell")[0] for line in warnings}
    assert told == {
        f"{fact}.{counter}"
        for fact in ("fact_model_daily", "fact_model_version_daily")
        for counter in ("download_count", "thumbs_up_count")
    } | {f"{fact}.thumbs_down_count" for fact in ("fact_model_daily", "fact_model_version_daily")}
    assert all("its values of 2026-01-02 are withheld" in line for line in warnings)
    workshop.raw.crawl(DAYS[2], model=day())
    assert [line for line in workshop.build().warnings if "frozen" not in line] == []


def test_a_fall_to_half_is_a_fall_and_one_below_half_is_a_collapse(workshop: Workshop) -> None:
    for on, downloads in zip(DAYS, (100, 50, 24, 50), strict=False):
        workshop.raw.crawl(on, model=day(downloads))
    workshop.build()
    assert flows(workshop) == [(1, 6000, None, None), (2, 3000, -3000, 1), (3, None, None, None), (4, 3000, 0, 2)]


def test_few_that_collapse_are_published_as_they_are(workshop: Workshop) -> None:
    workshop.raw.crawl(DAYS[0], model=day())
    workshop.raw.crawl(DAYS[1], model=day(0)[:49] + day()[49:])
    workshop.raw.crawl(DAYS[2], model=day())
    workshop.build()
    assert flows(workshop) == [(1, 6000, None, None), (2, 1100, -4900, 1), (3, 6000, 4900, 1)]


@pytest.mark.parametrize(("fell", "is_withheld"), [(60, False), (61, True)])
def test_a_fifth_may_collapse(workshop: Workshop, fell: int, is_withheld: bool) -> None:
    many = [{"id": number, "stats": {"downloadCount": 9}, "modelVersions": []} for number in range(1, 301)]
    less = [each | {"stats": {"downloadCount": 0}} for each in many[:fell]]
    workshop.raw.crawl(DAYS[0], model=many)
    workshop.raw.crawl(DAYS[1], model=less + many[fell:])
    workshop.build()
    assert bool(workshop.value("SELECT count(*) FROM star.ops_withheld")) == is_withheld


def test_what_is_born_on_a_withheld_day_counts_as_first_seen_when_it_is_shown(workshop: Workshop) -> None:
    born = version(9000, publishedAt="2026-01-02T01:00:00.000Z", stats={"downloadCount": 0, "thumbsUpCount": 0})
    hidden = version(9001, publishedAt="2026-01-02T01:00:00.000Z", stats={"downloadCount": None, "thumbsUpCount": 0})
    old = version(9002, publishedAt="2025-01-02T01:00:00.000Z", stats={"downloadCount": 0})
    shown = [each | {"stats": {"downloadCount": 30, "thumbsUpCount": 3}} for each in (born, hidden, old)]
    later = [each | {"stats": {"downloadCount": 33, "thumbsUpCount": 4}} for each in (born, hidden, old)]
    workshop.raw.crawl(DAYS[0], model=day())
    workshop.raw.crawl(DAYS[1], model=[*zeros(), model(900, born, hidden, old)])
    workshop.raw.crawl(DAYS[2], model=[*day(105), model(900, *shown)])
    workshop.raw.crawl(DAYS[3], model=[*day(105), model(900, *later)])
    workshop.build()
    found = workshop.sql(
        "SELECT version_id, day(snapshot_date), downloads_delta, downloads_days, thumbs_up_delta "
        "FROM star.fact_model_version_daily WHERE version_id >= 9000 ORDER BY 1, 2"
    )
    assert found == [
        (9000, 2, None, None, None),
        (9000, 3, 30, 2, 3),
        (9000, 4, 3, 1, 1),
        # Its creator hid the number: the first showing of a hidden counter is no birth.
        (9001, 2, None, None, None),
        (9001, 3, None, None, 3),
        (9001, 4, 3, 1, 1),
        (9002, 2, None, None, None),
        (9002, 3, None, None, None),
        (9002, 4, 3, 1, 1),
    ]
    assert workshop.sql(
        "SELECT day(snapshot_date), versions_published, downloads_delta, downloads_entered, download_count "
        "FROM star.mart_base_model_daily ORDER BY 1"
    ) == [
        (1, None, None, 6000, 6000),
        (2, 2, None, None, None),
        (3, 0, 330, 60, 6390),
        (4, 0, 9, 0, 6399),
    ]


def test_stocks_of_the_mart_are_null_and_its_balance_spans_the_day(workshop: Workshop) -> None:
    """On the withheld day versions come, go, and change their base model; all of it is in the terms of the next."""
    first = [*day(), model(900, version(9000), version(9001, "Pony"), version(9002))]
    second = [*zeros(), model(900, version(9001), version(9002), version(9003, publishedAt=None))]
    third = [*day(101), model(900, version(9001), version(9002, stats={"downloadCount": None}), version(9003))]
    for on, models in zip(DAYS, (first, second, third), strict=False):
        workshop.raw.crawl(on, model=models)
        workshop.build()
    assert workshop.sql(
        "SELECT base_model, day(snapshot_date), days_since_previous, downloads_days, version_count, download_count, "
        "downloads_delta, downloads_entered, downloads_left, downloads_reclassified, downloads_hidden "
        "FROM star.mart_base_model_daily ORDER BY 1, 2"
    ) == [
        ("Pony", 1, None, None, 1, 100, None, 100, 0, 0, 0),
        ("Pony", 2, 1, None, 0, None, None, None, None, None, None),
        ("Pony", 3, 1, 2, 0, 0, None, 0, 0, -100, 0),
        ("SDXL 1.0", 1, None, None, 62, 6200, None, 6200, 0, 0, 0),
        ("SDXL 1.0", 2, 1, None, 63, None, None, None, None, None, None),
        ("SDXL 1.0", 3, 1, 2, 63, 6260, 60, 100, 100, 100, -100),
    ]
    assert workshop.files() == workshop.rebuild_into("again").files()


def test_ratings_and_approval_are_null_where_their_counters_are_withheld(workshop: Workshop) -> None:
    good = day(ratingCount=4, rating=5.0, thumbsDownCount=2)
    workshop.raw.crawl(DAYS[0], model=good)
    workshop.raw.crawl(DAYS[1], model=day(thumbs=0, ratingCount=0, rating=0.0, thumbsDownCount=2))
    workshop.raw.crawl(DAYS[2], model=good)
    workshop.build()
    assert workshop.sql(
        "SELECT download_count, thumbs_up_count, thumbs_down_count, rating_count, rating, round(approval_rate, 3) "
        "FROM star.mart_base_model_daily ORDER BY snapshot_date"
    ) == [(6000, 600, 120, 240, 5.0, 0.833), (6000, None, 120, None, None, None), (6000, 600, 120, 240, 5.0, 0.833)]


def test_a_collapse_that_is_accepted_is_published_on_its_date_and_in_every_rebuild(workshop: Workshop) -> None:
    for on, ratings in zip(DAYS, (8, 0, 0), strict=False):
        workshop.raw.crawl(on, model=day(ratingCount=ratings))
        workshop.build()
    ratings = (
        "SELECT sum(rating_count), sum(ratings_delta) FROM star.fact_model_daily "
        "GROUP BY snapshot_date ORDER BY snapshot_date"
    )
    assert workshop.sql(ratings) == [(480, None), (None, None), (None, None)]
    decisions.accept(workshop.raw.path, DAYS[1], "fact_model_daily.rating_count", "the service dropped ratings")
    built = workshop.build()
    assert built.dates == tuple(DAYS[:3])
    assert workshop.sql(ratings) == [(480, None), (0, -480), (0, 0)]
    assert workshop.sql(
        "SELECT day(snapshot_date), is_accepted FROM star.ops_withheld WHERE counter = 'fact_model_daily.rating_count'"
    ) == [(2, True)]
    assert workshop.sql("SELECT verdict, snapshot_date, counter, reason FROM star.ops_decision") == [
        ("accepted", DAYS[1], "fact_model_daily.rating_count", "the service dropped ratings")
    ]
    assert not workshop.build().published
    assert workshop.files() == workshop.rebuild_into("again").files()


def test_counters_that_stand_still_for_everything_are_told_and_published(workshop: Workshop) -> None:
    warned = []
    for on, downloads in zip(DAYS, (100, 105, 105, 105, 110), strict=False):
        workshop.raw.crawl(on, model=day(downloads))
        warned.append([line.split(" stands still")[0] for line in workshop.build().warnings])
    frozen = ["fact_model_daily.download_count", "fact_model_version_daily.download_count"]
    assert warned == [[], [], frozen, frozen, []]
    assert workshop.value("SELECT count(*) FROM star.ops_withheld") == 0
    assert (
        workshop.value("SELECT sum(downloads_delta) FROM star.fact_model_daily WHERE snapshot_date = '2026-01-03'") == 0
    )


def test_raw_keeps_what_is_withheld(workshop: Workshop) -> None:
    workshop.raw.crawl(DAYS[0], model=day())
    workshop.raw.crawl(DAYS[1], model=zeros())
    workshop.build()
    with duckdb.connect(workshop.raw.path, read_only=True) as raw:
        (metrics,) = raw.execute(
            "SELECT metrics FROM raw.model_observations WHERE entity_id = '1' AND snapshot_date = '2026-01-02'"
        ).fetchone() or ("",)
    assert '"downloadCount": 0' in metrics


def test_windows_of_macros_end_and_begin_at_dates_that_have_downloads(workshop: Workshop) -> None:
    for on, models in zip(DAYS, (day(100), zeros(), day(120), zeros()), strict=False):
        workshop.raw.crawl(on, model=models)
    workshop.build()
    assert workshop.sql(
        'SELECT "since", until, download_count, downloads, downloads_per_day FROM star.trend_base_model(1)'
    ) == [(DAYS[0], DAYS[2], 7200, 1200, 600.0)]
    assert workshop.value("SELECT counted_on FROM star.licence_mix(DATE '2026-01-02')") == DAYS[0]


def test_a_withheld_counter_is_last_known_from_the_snapshot_before(workshop: Workshop) -> None:
    for on, models in zip(DAYS, (day(100), zeros(), day(120), zeros()), strict=False):
        workshop.raw.crawl(on, model=models)
    workshop.build()
    query = "SELECT DISTINCT counted_on, download_count FROM star.models_as_of('{}')"
    assert [workshop.sql(query.format(on)) for on in DAYS[:4]] == [
        [(DAYS[0], 100)],
        [(DAYS[1], 100)],
        [(DAYS[2], 120)],
        [(DAYS[3], 120)],
    ]
    columns = "version_counted_on, version_download_count, model_counted_on, model_download_count"
    assert workshop.sql(f"SELECT DISTINCT {columns} FROM star.version_wide") == [(DAYS[3], 120, DAYS[3], 120)]
