"""mart_daily and the views that add it up, held against the facts, the dimensions and mart_base_model_daily."""

import pytest

from tests.transforms.conftest import DAYS, Workshop, model, version

#: A few models are in several ranges.
pytestmark = pytest.mark.usefixtures("narrow_ranges")

#: Of each date with downloads: the versions that are there and their last known downloads, from facts and dimensions.
STOCKS = """
    WITH there AS (
        SELECT day.date, version.version_id, version.base_model, coalesce(model.type, '(unknown)') AS type
        FROM star.dim_date AS day
        JOIN star.dim_model_version AS version
            ON version.valid_from <= day.date AND coalesce(day.date < version.valid_to, true)
        JOIN star.dim_model AS model
            ON model.model_id = version.model_id
            AND model.valid_from <= day.date AND coalesce(day.date < model.valid_to, true)
        WHERE day.has_snapshot AND day.date NOT IN (SELECT snapshot_date FROM star.ops_withheld)
    ),
    known AS (
        SELECT there.*, fact.download_count
        FROM there ASOF LEFT JOIN star.fact_model_version_daily AS fact
            ON fact.version_id = there.version_id AND fact.snapshot_date <= there.date
    )
    SELECT date, {key}, count(*), coalesce(sum(download_count), 0) FROM known GROUP BY ALL
"""


@pytest.fixture
def star(workshop: Workshop) -> Workshop:
    """Four dates in two weeks: a change of type and one of base model, a hidden number, a partial crawl, a removal."""
    pg, mature = version(10, "Flux.1 D", nsfwLevel=1), version(20, "Flux.1 D", nsfwLevel=29)

    def counted(told: dict, downloads: int | None, up: int = 3, down: int = 1) -> dict:
        return told | {"stats": {"downloadCount": downloads, "thumbsUpCount": up, "thumbsDownCount": down}}

    other = version(30, "SDXL 1.0")
    workshop.raw.crawl(
        DAYS[0], model=[model(1, counted(pg, 100)), model(2, counted(mature, 50, 9)), model(3, counted(other, 7))]
    )
    workshop.raw.crawl(DAYS[1], status="partial", model=[model(1, counted(pg, 130))])
    workshop.raw.crawl(
        DAYS[2],
        model=[
            model(1, counted(pg, 150), type="Checkpoint"),
            model(2, counted(mature | {"baseModel": "SDXL 1.0"}, None)),
            model(3, counted(other, 9)),
        ],
    )
    workshop.raw.crawl(
        DAYS[5],
        model=[
            model(1, counted(pg, 160), type="Checkpoint"),
            model(2, counted(mature | {"baseModel": "SDXL 1.0"}, 80)),
        ],
        buried=(3,),
    )
    workshop.build()
    return workshop


@pytest.mark.parametrize(
    ("view", "key", "of_base_model"),
    [
        ("mart_base_model_daily", "base_model", "base_model"),
        ("mart_type_daily", "type", "type"),
        (
            "mart_ecosystem_daily",
            "ecosystem",
            "(SELECT ecosystem FROM star.dim_base_model d WHERE d.base_model = known.base_model)",
        ),
        (
            "mart_family_daily",
            "family",
            "(SELECT family FROM star.dim_base_model d WHERE d.base_model = known.base_model)",
        ),
    ],
)
def test_stocks_are_those_of_facts_and_dimensions(star: Workshop, view: str, key: str, of_base_model: str) -> None:
    expected = star.sql(STOCKS.format(key=of_base_model))
    shown = star.sql(
        f"SELECT snapshot_date, {key}, version_count, download_count FROM star.{view} WHERE version_count > 0"
    )
    assert len(shown) >= 4
    assert sorted(shown) == sorted(expected)


def test_the_cube_adds_up_to_the_mart_of_base_models(star: Workshop) -> None:
    amounts = (
        "version_count, versions_published, versions_entered, versions_left, versions_reclassified, download_count, "
        "downloads_delta, downloads_entered, downloads_left, downloads_reclassified, downloads_hidden, "
        "thumbs_up_count, thumbs_down_count, rating_count"
    )
    sums = ", ".join(f"sum({name})" for name in amounts.split(", "))
    cube = star.sql(f"SELECT snapshot_date, base_model, {sums} FROM star.mart_daily GROUP BY ALL ORDER BY 1, 2")
    assert cube == star.sql(
        f"SELECT snapshot_date, base_model, {amounts} FROM star.mart_base_model_daily ORDER BY 1, 2"
    )
    assert any(row[-3] for row in cube)


def test_a_model_that_changes_its_type_takes_its_versions_along(star: Workshop) -> None:
    rows = star.sql(
        "SELECT type, versions_reclassified, downloads_reclassified, downloads_delta, download_count "
        f"FROM star.mart_type_daily WHERE snapshot_date = DATE '{DAYS[2]}' ORDER BY 1"
    )
    assert rows == [("Checkpoint", 1, 130, 20, 150), ("LORA", -1, -130, 2, 9)]


def test_pg_is_what_has_no_higher_level(star: Workshop) -> None:
    assert star.sql(
        "SELECT day(snapshot_date), base_model, version_count, approval_rate FROM star.mart_pg_daily ORDER BY 1"
    ) == [(day, "Flux.1 D", 1, 0.75) for day in (1, 2, 3, 6)]


def test_a_rate_of_several_is_weighted(star: Workshop) -> None:
    assert star.sql(
        f"SELECT reviews_up, reviews_down, approval_rate FROM star.mart_ecosystem_daily "
        f"WHERE snapshot_date = DATE '{DAYS[0]}' AND ecosystem = 'flux1'"
    ) == [(12, 2, 12 / 14)]


def test_a_week_has_the_stocks_of_its_last_complete_snapshot_and_the_flows_of_all(star: Workshop) -> None:
    # 1 January 2026 is a Thursday: the first three dates are in one week, the 6th is in the next.
    assert star.sql(
        "SELECT day(week_begins_on), base_model, snapshots, days_spanned, day(stocks_on), version_count, "
        "download_count, downloads_delta FROM star.mart_base_model_weekly ORDER BY week_begins_on, base_model"
    ) == [
        (29, "Flux.1 D", 3, 2, 3, 1, 150, 50),
        (29, "SDXL 1.0", 3, 2, 3, 2, 9, 2),
        (5, "Flux.1 D", 1, 3, 6, 1, 160, 10),
        (5, "SDXL 1.0", 1, 3, 6, 1, 80, 30),
    ]


def test_the_calendar_names_days_and_weeks(star: Workshop) -> None:
    assert star.sql(
        "SELECT day(date), weekday, weekday_name, is_weekend, week_begins_on::VARCHAR "
        "FROM star.dim_date ORDER BY date LIMIT 4"
    ) == [
        (1, 4, "Thursday", False, "2025-12-29"),
        (2, 5, "Friday", False, "2025-12-29"),
        (3, 6, "Saturday", True, "2025-12-29"),
        (4, 7, "Sunday", True, "2025-12-29"),
    ]


def test_a_version_without_a_level_has_that_of_its_model(workshop: Workshop) -> None:
    workshop.raw.crawl(
        DAYS[0], model=[model(1, version(10, nsfwLevel=None), nsfwLevel=12), model(2, version(20), nsfwLevel=None)]
    )
    workshop.build()
    assert workshop.sql("SELECT browsing_level, version_count FROM star.mart_daily ORDER BY 1") == [
        ("(unknown)", 1),
        ("X", 1),
    ]
