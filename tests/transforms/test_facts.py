"""The rules about flows (docs/architecture.md, Numbers), each through raw tables and the published star."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.transforms.conftest import DAYS, Workshop, model, version

#: A few models are in several ranges.
pytestmark = pytest.mark.usefixtures("narrow_ranges")


def downloads(count: int | None, **more: object) -> dict[str, object]:
    return {"stats": {"downloadCount": count} | more}


def flows(workshop: Workshop) -> list[tuple[object, ...]]:
    return workshop.sql(
        "SELECT day(snapshot_date), download_count, downloads_delta, days_since_previous, downloads_days "
        "FROM star.fact_model_daily WHERE model_id = 1 ORDER BY 1"
    )


def test_a_first_observation_has_no_flow_and_the_next_has_the_difference(workshop: Workshop) -> None:
    workshop.raw.crawl(DAYS[0], model=[model(1, **downloads(100))])
    workshop.raw.crawl(DAYS[1], model=[model(1, **downloads(130))])
    workshop.build()
    assert flows(workshop) == [(1, 100, None, None, None), (2, 130, 30, 1, 1)]


def test_a_counter_that_falls_gives_a_negative_flow(workshop: Workshop) -> None:
    workshop.raw.crawl(DAYS[0], model=[model(1, **downloads(100))])
    workshop.raw.crawl(DAYS[1], model=[model(1, **downloads(90))])
    workshop.build()
    assert flows(workshop)[1] == (2, 90, -10, 1, 1)


def test_a_gap_is_a_gap_and_the_flow_after_it_says_its_span(workshop: Workshop) -> None:
    workshop.raw.crawl(DAYS[0], model=[model(1, **downloads(100))])
    workshop.raw.crawl(DAYS[4], model=[model(1, **downloads(180))])
    workshop.build()
    assert flows(workshop) == [(1, 100, None, None, None), (5, 180, 80, 4, 4)]


def test_a_hidden_counter_is_null_and_its_flow_waits_for_the_next_known_value(workshop: Workshop) -> None:
    for day, count in zip(DAYS[:4], (100, None, None, 150), strict=True):
        workshop.raw.crawl(day, model=[model(1, **downloads(count))])
    workshop.build()
    assert flows(workshop) == [
        (1, 100, None, None, None),
        (2, None, None, 1, None),
        (3, None, None, 1, None),
        (4, 150, 50, 1, 3),
    ]


def test_a_counter_hidden_from_the_start_has_no_flow_when_it_is_first_shown(workshop: Workshop) -> None:
    workshop.raw.crawl(DAYS[0], model=[model(2)])
    late = version(10, publishedAt="2026-01-01T18:00:00.000Z", stats={"downloadCount": None})
    workshop.raw.crawl(DAYS[1], status="partial", model=[model(2), model(1, late, **downloads(None))])
    workshop.raw.crawl(DAYS[2], model=[model(2), model(1, late, name="Shown", **downloads(70))])
    workshop.build()
    assert flows(workshop) == [(2, None, None, 1, None), (3, 70, None, 1, None)]


def test_a_flow_reaches_through_absence_and_tombstones(workshop: Workshop) -> None:
    workshop.raw.crawl(DAYS[0], model=[model(1, **downloads(100)), model(2)])
    workshop.raw.crawl(DAYS[1], model=[model(2)], buried=(1,))
    workshop.raw.crawl(DAYS[2], model=[model(2)])
    workshop.raw.crawl(DAYS[3], model=[model(1, **downloads(160)), model(2)])
    workshop.build()
    assert flows(workshop) == [(1, 100, None, None, None), (4, 160, 60, 3, 3)]


def test_a_partial_crawl_counts_as_an_earlier_observation(workshop: Workshop) -> None:
    workshop.raw.crawl(DAYS[0], model=[model(1, **downloads(100))])
    workshop.raw.crawl(DAYS[1], status="partial", model=[model(1, **downloads(105))])
    workshop.raw.crawl(DAYS[2], model=[model(1, **downloads(125))])
    workshop.build()
    assert [row[2] for row in flows(workshop)] == [None, 5, 20]


def test_what_was_published_after_the_last_complete_crawl_began_is_flow_as_a_whole(workshop: Workshop) -> None:
    born = version(10, publishedAt="2026-01-01T03:00:01.000Z", stats={"downloadCount": 40})
    workshop.raw.crawl(DAYS[0], started_at=datetime(2026, 1, 1, 3, tzinfo=UTC), model=[model(2)])
    workshop.raw.crawl(DAYS[1], status="partial", model=[model(2)])
    workshop.raw.crawl(DAYS[2], model=[model(2), model(1, born, **downloads(40))])
    workshop.build()
    assert flows(workshop) == [(3, 40, 40, 2, 2)]
    assert workshop.sql(
        "SELECT downloads_delta, downloads_days FROM star.fact_model_version_daily WHERE version_id = 10"
    ) == [(40, 2)]


def test_what_was_published_before_the_last_complete_crawl_began_has_no_flow_at_first(workshop: Workshop) -> None:
    missed = version(10, publishedAt="2026-01-01T02:59:59.000Z", stats={"downloadCount": 40})
    workshop.raw.crawl(DAYS[0], started_at=datetime(2026, 1, 1, 3, tzinfo=UTC), model=[model(2)])
    workshop.raw.crawl(DAYS[1], model=[model(2), model(1, missed, **downloads(40))])
    workshop.build()
    assert flows(workshop) == [(2, 40, None, None, None)]


def test_a_model_is_as_old_as_its_earliest_version(workshop: Workshop) -> None:
    old = version(10, publishedAt="2025-01-01T00:00:00.000Z")
    new = version(11, publishedAt="2026-01-01T12:00:00.000Z", stats={"downloadCount": 7})
    workshop.raw.crawl(DAYS[0], model=[model(2)])
    workshop.raw.crawl(DAYS[1], model=[model(2), model(1, new, old)])
    workshop.build()
    assert flows(workshop) == [(2, 100, None, None, None)]
    assert workshop.sql(
        "SELECT version_id, downloads_delta FROM star.fact_model_version_daily WHERE model_id = 1 ORDER BY 1"
    ) == [(10, None), (11, 7)]


def test_every_counter_has_a_flow_of_its_own_and_null_is_not_zero(workshop: Workshop) -> None:
    workshop.raw.crawl(DAYS[0], model=[model(1, **downloads(1, thumbsUpCount=5, commentCount=0, rating=4.5))])
    workshop.raw.crawl(DAYS[1], model=[model(1, **downloads(1, thumbsUpCount=4, commentCount=2, tippedAmountCount=9))])
    workshop.build()
    assert workshop.sql(
        "SELECT thumbs_up_delta, comments_delta, tipped_amount_count, tipped_amount_delta, rating, rating_count, "
        "favorite_count, favorites_delta FROM star.fact_model_daily WHERE snapshot_date = DATE '2026-01-02'"
    ) == [(-1, 2, 9, None, None, None, None, None)]


def test_a_fact_carries_the_key_of_the_row_that_held_that_day(workshop: Workshop) -> None:
    for day, name in zip(DAYS[:3], ("Old", "New", "New"), strict=True):
        workshop.raw.crawl(day, model=[model(1, name=name)])
    workshop.build()
    assert workshop.sql(
        "SELECT day(snapshot_date), name FROM star.fact_model_daily JOIN star.dim_model USING (model_key) ORDER BY 1"
    ) == [(1, "Old"), (2, "New"), (3, "New")]


def test_creators_tags_and_images_have_facts_of_their_own(workshop: Workshop) -> None:
    for day, count in zip(DAYS[:2], (3, 5), strict=True):
        workshop.raw.crawl(
            day,
            creator=[{"username": "ada", "modelCount": count}],
            tag=[{"name": " landscape"}, {"name": "landscape", "modelCount": count * 10}],
            image=[{"id": 9, "url": "x", "stats": {"likeCount": count, "heartCount": None}}],
        )
    report = workshop.build()
    assert workshop.sql("SELECT username, model_count, models_delta FROM star.fact_creator_daily ORDER BY ALL") == [
        ("ada", 3, None),
        ("ada", 5, 2),
    ]
    assert workshop.sql("SELECT tag, models_delta FROM star.fact_tag_daily ORDER BY snapshot_date") == [
        ("landscape", None),
        ("landscape", 20),
    ]
    assert workshop.sql("SELECT like_count, likes_delta, heart_count FROM star.fact_image_daily ORDER BY 1") == [
        (3, None, None),
        (5, 2, None),
    ]
    assert {(counts.kind, counts.duplicates) for counts in report.record_counts if counts.duplicates} == {("tag", 1)}


def test_an_image_is_as_old_as_its_upload_wherever_it_is_met(workshop: Workshop) -> None:
    def image(image_id: int, uploaded: str) -> dict[str, object]:
        return {"id": image_id, "url": "u", "createdAt": uploaded, "stats": {"likeCount": image_id}}

    old, new = "2025-12-31T00:00:00.000Z", "2026-01-01T18:00:00.000Z"
    shown = version(10, images=[image(1, old), image(2, new)])
    workshop.raw.crawl(DAYS[0], model=[model(1)])
    workshop.raw.crawl(DAYS[1], model=[model(1, shown)], image=[image(3, old), image(4, new)])
    workshop.build()
    assert workshop.sql("SELECT image_id, likes_delta, days_since_previous FROM star.fact_image_daily ORDER BY 1") == [
        (1, None, None),
        (2, 2, 1),
        (3, None, None),
        (4, 4, 1),
    ]


def test_a_version_without_a_publication_is_as_old_as_its_making(workshop: Workshop) -> None:
    new = version(10, publishedAt=None, createdAt="2026-01-01T18:00:00.000Z", stats={"downloadCount": 7})
    workshop.raw.crawl(DAYS[0], model=[model(2)])
    workshop.raw.crawl(DAYS[1], model=[model(2), model(1, new, **downloads(7))])
    workshop.build()
    assert flows(workshop) == [(2, 7, 7, 1, 1)]


def grown(downloads: Any, **fields: Any) -> dict[str, Any]:
    """Model 1 with the version 11, which is new on the second day."""
    born = version(11, "Pony", publishedAt="2026-01-01T12:00:00.000Z", stats={"downloadCount": downloads})
    return model(1, version(10), born, **fields)


def test_a_list_item_stands_for_an_answer_by_id_to_an_earlier_crawl_of_the_date(workshop: Workshop) -> None:
    workshop.raw.crawl(DAYS[0], model=[model(1, version(10)), model(2)])
    workshop.raw.crawl(DAYS[1], status="partial", model=[model(2)], reconciled=(grown(40, name="new"),))
    workshop.build()
    workshop.raw.crawl(DAYS[1], number=2, model=[grown(45, name="new"), model(2)])
    workshop.build()
    workshop.raw.crawl(DAYS[2], model=[grown(60, name="new"), model(2)])
    workshop.build()
    assert workshop.sql(
        "SELECT day(snapshot_date), versions_published, downloads_delta, downloads_entered "
        "FROM star.mart_base_model_daily WHERE base_model = 'Pony' ORDER BY 1"
    ) == [(2, 1, 45, 0), (3, 0, 15, 0)]
    assert workshop.sql("SELECT day(valid_from) FROM star.dim_model WHERE name = 'new'") == [(2,)]
    assert workshop.sql("SELECT count(*) FROM star.ops_quarantine") == [(0,)]
    assert workshop.rebuild_into("again").files() == workshop.files()


@pytest.mark.parametrize("met", ["by id only", "broken"])
def test_what_a_crawl_could_not_list_was_born_after_the_complete_crawl_before_it(workshop: Workshop, met: str) -> None:
    workshop.raw.crawl(DAYS[0], model=[model(1, version(10)), model(2)])
    if met == "by id only":
        workshop.raw.crawl(DAYS[1], model=[model(2)], reconciled=(grown(40),))
    else:
        workshop.raw.crawl(DAYS[1], model=[{"id": 1, "modelVersions": 5}, model(2)])
    workshop.build()
    workshop.raw.crawl(DAYS[2], model=[grown(60), model(2)])
    workshop.build()
    assert workshop.sql(
        "SELECT downloads_delta, days_since_previous FROM star.fact_model_version_daily WHERE version_id = 11"
    ) == [(60, 2)]
    assert workshop.sql(
        "SELECT day(snapshot_date), versions_published, downloads_delta, downloads_entered "
        "FROM star.mart_base_model_daily WHERE base_model = 'Pony'"
    ) == [(3, 1, 60, 0)]
    assert workshop.rebuild_into("again").files() == workshop.files()
