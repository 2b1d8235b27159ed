"""The rules of type 2 history (docs/architecture.md, History), through raw tables and the published star."""

from typing import Any

import polars as pl
import pytest

from tests.transforms.conftest import DAYS, Workshop, model, version
from transforms.star import base_models

#: A few models are in several ranges.
pytestmark = pytest.mark.usefixtures("narrow_ranges")


def periods(workshop: Workshop, table: str, column: str, condition: str = "true") -> list[tuple[object, ...]]:
    return workshop.sql(
        f"SELECT {column}, day(valid_from), day(valid_to), is_current FROM star.{table} WHERE {condition} ORDER BY ALL"
    )


def test_a_day_without_news_leaves_no_trace(workshop: Workshop) -> None:
    for day in DAYS[:3]:
        workshop.raw.crawl(day, model=[model(1)])
        workshop.build()
    assert periods(workshop, "dim_model", "name") == [("Model 1", 1, None, True)]
    assert workshop.sql("SELECT table_name FROM star.manifest WHERE part = 'closed'") == []


def test_a_tracked_column_opens_a_row_and_a_latest_column_is_corrected_in_place(workshop: Workshop) -> None:
    workshop.raw.crawl(DAYS[0], model=[model(1, name="Old", nsfwLevel=1)])
    workshop.raw.crawl(DAYS[1], model=[model(1, name="Old", nsfwLevel=3)])
    workshop.raw.crawl(DAYS[2], model=[model(1, name="New", nsfwLevel=3)])
    workshop.build()
    assert periods(workshop, "dim_model", "name, nsfw_level") == [("New", 3, 3, None, True), ("Old", 3, 1, 3, False)]


def test_a_change_inside_a_gap_dates_to_its_end(workshop: Workshop) -> None:
    workshop.raw.crawl(DAYS[0], model=[model(1, name="Old")])
    workshop.raw.crawl(DAYS[9], model=[model(1, name="New")])
    workshop.build()
    assert periods(workshop, "dim_model", "name") == [("New", 10, None, True), ("Old", 1, 10, False)]


def test_absent_null_and_empty_list_are_the_same(workshop: Workshop) -> None:
    empty = version(10, trainedWords=[])
    null = version(10, trainedWords=None)
    absent = version(10)
    for day, shape in zip(DAYS[:3], (empty, null, absent), strict=True):
        workshop.raw.crawl(day, model=[model(1, shape, mode=None) if shape is null else model(1, shape)])
    workshop.build()
    assert periods(workshop, "dim_model_version", "trained_words") == [([], 1, None, True)]
    assert periods(workshop, "dim_model", "mode") == [(None, 1, None, True)]


def test_an_id_that_is_not_seen_without_a_404_changes_nothing(workshop: Workshop) -> None:
    workshop.raw.crawl(DAYS[0], model=[model(1), model(2)])
    workshop.raw.crawl(DAYS[1], model=[model(2)])
    workshop.build()
    assert periods(workshop, "dim_model", "model_id") == [(1, 1, None, True), (2, 1, None, True)]
    assert workshop.value("SELECT count(*) FROM star.dim_model_version WHERE is_current") == 2


def test_a_tombstone_closes_a_model_and_what_hangs_on_it_and_a_return_opens_an_equal_row(workshop: Workshop) -> None:
    workshop.raw.crawl(DAYS[0], model=[model(1), model(2)])
    workshop.raw.crawl(DAYS[1], model=[model(2)], buried=(1,))
    workshop.raw.crawl(DAYS[2], model=[model(1), model(2)])
    workshop.build()
    returned = [(1, 2, False), (3, None, True)]
    for table, condition in {
        "dim_model": "model_id = 1",
        "dim_model_version": "model_id = 1",
        "bridge_model_tag": "model_id = 1",
        "file_hash": "version_id = 10",
    }.items():
        assert [row[1:] for row in periods(workshop, table, "1", condition)] == returned, table
    assert workshop.sql("SELECT day(removed_on) FROM star.dim_model WHERE model_id = 1 ORDER BY valid_from") == [
        (2,),
        (None,),
    ]
    assert workshop.value("SELECT removed_on FROM star.dim_file WHERE version_id = 10") is None


def test_a_tombstone_of_a_model_that_the_lists_had_that_day_buries_nothing(workshop: Workshop) -> None:
    workshop.raw.crawl(DAYS[0], model=[model(1)])
    workshop.raw.crawl(DAYS[1], model=[model(1)], buried=(1,))
    workshop.build()
    assert periods(workshop, "dim_model", "model_id") == [(1, 1, None, True)]


def test_an_answer_to_a_reconcile_counts_as_seen_and_opens_and_closes_nothing(workshop: Workshop) -> None:
    listed = model(1, version(10), version(11), tags=["sea"], stats={"downloadCount": 200})
    # Nulls and empty lists dropped, a version less, one more that lists do not show, and what hangs on it.
    early = version(12, availability="EarlyAccess", images=[{"id": 7, "stats": {"likeCount": 1}}])
    sparse = {"id": 10, "baseModel": "Pony", "status": "Published", "stats": {"downloadCount": 104}}
    detail = model(1, sparse, early, name="renamed", tags=["sky"], stats={"downloadCount": 208})
    workshop.raw.crawl(DAYS[0], model=[listed, model(2)])
    workshop.build()
    tables = [
        "dim_model", "model_text", "dim_model_version", "dim_file", "file_hash", "bridge_model_tag", "dim_image",
        "dim_tag", "dim_base_model", "dim_creator",
    ]  # fmt: skip
    before = {table: sorted(workshop.sql(f"SELECT * FROM star.{table}"), key=str) for table in tables}

    workshop.raw.crawl(DAYS[1], model=[model(2)], reconciled=(detail,), buried=(1,))
    workshop.build()
    assert {table: sorted(workshop.sql(f"SELECT * FROM star.{table}"), key=str) for table in tables} == before
    assert workshop.sql(
        "SELECT download_count, downloads_delta FROM star.fact_model_daily "
        "WHERE model_id = 1 AND day(snapshot_date) = 2 AND model_key IN (SELECT model_key FROM star.dim_model)"
    ) == [(208, 8)]
    assert workshop.sql(
        "SELECT version_id, download_count, downloads_delta FROM star.fact_model_version_daily "
        "WHERE model_id = 1 AND day(snapshot_date) = 2"
    ) == [(10, 104, 4)]
    assert workshop.value("SELECT count(*) FROM star.fact_image_daily") == 0

    workshop.raw.crawl(DAYS[2], model=[listed, model(2)])
    workshop.build()
    assert {table: sorted(workshop.sql(f"SELECT * FROM star.{table}"), key=str) for table in tables} == before
    assert workshop.rebuild_into("again").files() == workshop.files()


def test_a_change_that_a_list_shows_after_a_reconcile_is_dated_by_the_list(workshop: Workshop) -> None:
    workshop.raw.crawl(DAYS[0], model=[model(1)])
    workshop.raw.crawl(DAYS[1], reconciled=(model(1, name="renamed"),))
    workshop.raw.crawl(DAYS[2], model=[model(1, name="renamed")])
    workshop.build()
    assert periods(workshop, "dim_model", "name") == [("Model 1", 1, 3, False), ("renamed", 3, None, True)]


def test_a_model_that_no_list_has_shown_is_as_its_answers_by_id_say_until_a_list_shows_it(workshop: Workshop) -> None:
    def watched(*versions: dict[str, Any], name: str, downloads: int) -> dict[str, Any]:
        return model(7, *versions, name=name, mode="Archived", stats={"downloadCount": downloads})

    born = version(71, "Pony", publishedAt="2026-01-01T12:00:00.000Z", stats={"downloadCount": 4})
    first = watched(version(70, "SD 1.5"), name="first", downloads=10)
    renamed = watched(version(70, "Pony"), born, name="renamed", downloads=13)
    less = watched(born, name="renamed", downloads=13)
    listed = watched(born, name="listed", downloads=13)
    for day, answer in zip(DAYS[:3], (first, renamed, less), strict=True):
        workshop.raw.crawl(day, model=[model(1)], reconciled=(answer,))
        workshop.build()
    workshop.raw.crawl(DAYS[3], model=[model(1), listed])
    workshop.raw.crawl(DAYS[4], model=[model(1)], reconciled=(renamed,))
    workshop.build()
    assert periods(workshop, "dim_model", "name", "model_id = 7") == [
        ("first", 1, 2, False), ("listed", 4, None, True), ("renamed", 2, 4, False),
    ]  # fmt: skip
    assert periods(workshop, "dim_model_version", "version_id, base_model", "model_id = 7") == [
        (70, "Pony", 2, 3, False), (70, "SD 1.5", 1, 2, False), (71, "Pony", 2, None, True),
    ]  # fmt: skip
    assert workshop.sql(
        "SELECT day(snapshot_date), download_count, downloads_delta FROM star.fact_model_daily "
        "JOIN star.dim_model USING (model_key, model_id) WHERE model_id = 7 ORDER BY 1 LIMIT 2"
    ) == [(1, 10, None), (2, 13, 3)]
    assert workshop.sql(
        "SELECT downloads_delta FROM star.fact_model_version_daily WHERE version_id = 71 ORDER BY snapshot_date LIMIT 2"
    ) == [(4,), (0,)]
    assert workshop.rebuild_into("again").files() == workshop.files()


def test_a_model_that_was_buried_and_answers_by_id_has_returned(workshop: Workshop) -> None:
    workshop.raw.crawl(DAYS[0], model=[model(1), model(2)])
    workshop.raw.crawl(DAYS[1], model=[model(2)], buried=(1,))
    workshop.raw.crawl(DAYS[2], model=[model(2)], reconciled=(model(1),))
    workshop.build()
    assert periods(workshop, "dim_model", "model_id", "model_id = 1") == [(1, 1, 2, False), (1, 3, None, True)]
    assert periods(workshop, "dim_model_version", "version_id", "model_id = 1") == [
        (10, 1, 2, False), (10, 3, None, True),
    ]  # fmt: skip


def test_what_a_date_has_seen_in_any_way_is_not_gone_on_it(workshop: Workshop) -> None:
    workshop.raw.crawl(DAYS[0], model=[model(1), model(2), model(3)])
    workshop.raw.crawl(DAYS[1], status="partial", model=[model(2)], buried=(1, 3))
    broken = {"id": 3, "modelVersions": 5}
    workshop.raw.crawl(DAYS[1], number=2, model=[broken], reconciled=(model(1),))
    workshop.raw.crawl(DAYS[2], model=[model(2), model(3)], reconciled=(model(1, name="lists are its source"),))
    workshop.build()
    assert periods(workshop, "dim_model", "name") == [(f"Model {key}", 1, None, True) for key in (1, 2, 3)]
    assert workshop.sql("SELECT * FROM star.dim_model_version WHERE NOT is_current") == []


def test_a_broken_answer_to_a_reconcile_is_set_aside_and_its_model_stays(workshop: Workshop) -> None:
    too_deep = b'{"id": 1, "stats": {"downloadCount": %b}}' % (b"[" * 101 + b"]" * 101)
    workshop.raw.crawl(DAYS[0], model=[model(1), model(2)])
    workshop.raw.crawl(DAYS[1], model=[model(2)], reconciled=(too_deep,))
    report = workshop.build()
    of_models = [counts for counts in report.record_counts if counts.kind == "model"]
    assert [(counts.loaded, counts.quarantined) for counts in of_models] == [(2, 0), (1, 1)]
    assert periods(workshop, "dim_model", "model_id") == [(1, 1, None, True), (2, 1, None, True)]


def test_a_version_file_hash_and_tag_that_a_complete_crawl_no_longer_lists_are_gone(workshop: Workshop) -> None:
    workshop.raw.crawl(DAYS[0], model=[model(1, version(10), version(11), tags=["sea", "sky"])])
    workshop.raw.crawl(DAYS[1], model=[model(1, version(10), tags=["sky"])])
    workshop.build()
    assert periods(workshop, "dim_model_version", "version_id") == [(10, 1, None, True), (11, 1, 2, False)]
    assert workshop.sql("SELECT version_id, day(removed_on) FROM star.dim_model_version ORDER BY 1") == [
        (10, None),
        (11, 2),
    ]
    assert periods(workshop, "file_hash", "version_id") == [(10, 1, None, True), (11, 1, 2, False)]
    assert workshop.sql("SELECT version_id, day(removed_on) FROM star.dim_file ORDER BY 1") == [(10, None), (11, 2)]
    assert periods(workshop, "bridge_model_tag", "tag") == [("sea", 1, 2, False), ("sky", 1, None, True)]


def test_a_file_that_left_its_version_keeps_the_date_on_which_it_did_until_it_returns(workshop: Workshop) -> None:
    both = [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]
    removed = []
    for day, files in zip(DAYS[:4], (both, both[:1], both[:1], both), strict=True):
        workshop.raw.crawl(day, model=[model(1, version(10, files=files), name=f"renamed on {day}")])
        workshop.build()
        removed += workshop.sql("SELECT day(removed_on) FROM star.dim_file WHERE file_id = 2")
    assert removed == [(None,), (2,), (2,), (None,)]


def test_a_name_that_is_listed_every_day_is_one_row(workshop: Workshop) -> None:
    for day in DAYS[:3]:
        creators, tags = [{"username": "ada", "image": str(day)}], [{"name": " landscape", "link": str(day)}]
        workshop.raw.crawl(day, model=[model(1, name=str(day))], creator=creators, tag=tags)
    workshop.build()
    assert workshop.sql("SELECT username, image, day(first_seen_on) FROM star.dim_creator") == [
        ("ada", "2026-01-03", 1)
    ]
    assert workshop.sql("SELECT tag, link, day(first_seen_on) FROM star.dim_tag") == [("landscape", "2026-01-03", 1)]
    assert workshop.sql("SELECT base_model, day(first_seen_on) FROM star.dim_base_model") == [("SDXL 1.0", 1)]


def test_a_partial_crawl_opens_rows_and_closes_none(workshop: Workshop) -> None:
    workshop.raw.crawl(DAYS[0], model=[model(1, version(10), version(11))])
    changed = model(1, version(10, name="renamed"), version(12))
    workshop.raw.crawl(DAYS[1], status="partial", model=[changed])
    workshop.build()
    current = "SELECT version_id FROM star.dim_model_version WHERE is_current ORDER BY 1"
    assert workshop.sql(current) == [(10,), (11,), (12,)]
    # The same document under a complete crawl is proof that version 11 is gone, though the document did not change.
    workshop.raw.crawl(DAYS[2], model=[changed])
    workshop.build()
    assert workshop.sql(current) == [(10,), (12,)]
    assert workshop.value("SELECT day(removed_on) FROM star.dim_model_version WHERE version_id = 11") == 3


def test_a_hash_that_changes_on_a_new_upload_has_a_period(workshop: Workshop) -> None:
    def with_hash(value: str) -> dict[str, object]:
        return model(1, version(10, files=[{"id": 5, "hashes": {"SHA256": value, "Blake3": "b" * 64}}]))

    workshop.raw.crawl(DAYS[0], model=[with_hash("a1")])
    workshop.raw.crawl(DAYS[1], model=[with_hash("a2")])
    workshop.build()
    assert periods(workshop, "file_hash", "algorithm, hash") == [
        ("BLAKE3", "B" * 64, 1, None, True),
        ("SHA256", "A1", 1, 2, False),
        ("SHA256", "A2", 2, None, True),
    ]


def test_a_file_id_can_stand_under_several_versions(workshop: Workshop) -> None:
    vae = {"id": 5, "type": "VAE", "hashes": {"SHA256": "AA"}}
    workshop.raw.crawl(DAYS[0], model=[model(1, version(10, files=[vae]), version(11, files=[vae]))])
    workshop.build()
    assert workshop.sql("SELECT version_id, file_id FROM star.dim_file ORDER BY 1") == [(10, 5), (11, 5)]


def test_a_creator_that_is_omitted_is_the_unknown_creator_and_a_transfer_opens_a_row(workshop: Workshop) -> None:
    workshop.raw.crawl(DAYS[0], model=[model(1), model(2)])
    workshop.raw.crawl(DAYS[1], model=[model(1, creator=None), model(2, creator={"username": "bob"})])
    workshop.build()
    assert periods(workshop, "dim_model", "model_id, username") == [
        (1, "(unknown)", 2, None, True),
        (1, "ada", 1, 2, False),
        (2, "ada", 1, 2, False),
        (2, "bob", 2, None, True),
    ]
    assert workshop.sql("SELECT username, day(first_seen_on) FROM star.dim_creator ORDER BY 1") == [
        ("(unknown)", 2),
        ("ada", 1),
        ("bob", 2),
    ]


def test_an_empty_description_is_none(workshop: Workshop) -> None:
    workshop.raw.crawl(DAYS[0], model=[model(1, description="")])
    workshop.build()
    assert workshop.value("SELECT description_hash FROM star.dim_model") is None
    assert workshop.value("SELECT count(*) FROM star.model_text") == 0


def test_each_text_of_a_model_is_kept_once_and_a_return_to_it_opens_a_row(workshop: Workshop) -> None:
    for day, text in zip(DAYS[:4], ("one", "two", "one", None), strict=True):
        workshop.raw.crawl(day, model=[model(1, description=text)])
    workshop.build()
    assert workshop.sql(
        "SELECT day(valid_from), description FROM star.dim_model "
        "LEFT JOIN star.model_text USING (model_id, description_hash) ORDER BY 1"
    ) == [(1, "one"), (2, "two"), (3, "one"), (4, None)]
    assert workshop.value("SELECT count(*) FROM star.model_text") == 2


def test_an_unlisted_base_model_is_unclassified_and_counted(workshop: Workshop) -> None:
    workshop.raw.crawl(DAYS[0], model=[model(1, version(10, "Brand New 9B")), model(2, version(20, None))])
    workshop.build()
    assert workshop.sql("SELECT base_model, family FROM star.dim_base_model ORDER BY 1") == [
        ("(unknown)", "Unclassified"),
        ("Brand New 9B", "Unclassified"),
    ]
    assert workshop.sql("SELECT base_model, download_count FROM star.mart_base_model_daily ORDER BY 1") == [
        ("(unknown)", 100),
        ("Brand New 9B", 100),
    ]


def test_an_image_in_showcase_and_gallery_is_one_image(workshop: Workshop) -> None:
    shown = version(
        10, images=[{"id": 9, "url": "u", "nsfwLevel": 2, "width": 5}, {"url": "https://x/width=450/77.jpeg"}]
    )
    gallery = [{"id": 9, "url": "u", "nsfwLevel": "Soft", "username": "bob", "createdAt": "2025-12-31T00:00:00.000Z"}]
    workshop.raw.crawl(DAYS[0], model=[model(1, shown)], image=gallery)
    workshop.build()
    assert workshop.sql("SELECT image_id, version_id, username, width, nsfw_level FROM star.dim_image ORDER BY 1") == [
        (9, 10, "bob", 5, 2),
        (77, 10, None, None, None),
    ]


def test_the_calendar_shows_gaps_and_partial_days(workshop: Workshop) -> None:
    workshop.raw.crawl(DAYS[0], model=[model(1)])
    workshop.raw.crawl(DAYS[2], status="partial", model=[model(1)])
    workshop.build()
    assert workshop.sql("SELECT day(date), has_snapshot, is_complete FROM star.dim_date ORDER BY 1") == [
        (1, True, True),
        (2, False, False),
        (3, True, False),
    ]


def test_only_a_complete_crawl_buries(workshop: Workshop) -> None:
    workshop.raw.crawl(DAYS[0], model=[model(1), model(2)])
    workshop.raw.crawl(DAYS[1], status="partial", model=[model(2)], buried=(1,))
    workshop.build()
    assert periods(workshop, "dim_model", "model_id") == [(1, 1, None, True), (2, 1, None, True)]


def test_a_base_model_that_is_listed_later_is_classified_with_the_next_build(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    workshop.raw.crawl(DAYS[0], model=[model(1, version(10, "Brand New 9B"))])
    workshop.build()
    listing = pl.DataFrame([{"base_model": "Brand New 9B", "family": "F", "ecosystem": "e", "modality": "image"}])
    monkeypatch.setattr(base_models, "listed", lambda: listing)
    workshop.raw.crawl(DAYS[1], model=[model(1, version(10, "Brand New 9B"))])
    workshop.build()
    assert workshop.sql("SELECT family, day(first_seen_on) FROM star.dim_base_model") == [("F", 1)]


def test_a_version_that_two_models_list_stays_with_the_first_as_long_as_that_lists_it(workshop: Workshop) -> None:
    def lists(model_id: int, *, shared: bool = True, **fields: Any) -> dict[str, Any]:
        return model(model_id, version(model_id * 10), *([version(77)] if shared else []), **fields)

    owners = []
    for day, models, buried in (
        (DAYS[0], [lists(2), lists(1)], ()),  # both at once: the lowest id
        (DAYS[1], [lists(2, name="another"), lists(1)], ()),  # what is news of the other one changes nothing
        (DAYS[2], [lists(2, name="another"), lists(1, shared=False)], ()),  # let go, the other is as it was
        (DAYS[3], [lists(2, name="another"), lists(1, name="back")], ()),
        (DAYS[4], [lists(1, name="back")], (2,)),
        (DAYS[5], [lists(1, shared=False)], ()),
    ):
        workshop.raw.crawl(day, model=models, buried=buried)
        workshop.build()
        owners += workshop.sql("SELECT model_id FROM star.model_version WHERE version_id = 77")
    assert owners == [(1,), (1,), (2,), (2,), (1,)]
    history = "SELECT model_id, day(valid_from), day(valid_to) FROM star.dim_model_version WHERE version_id = 77"
    assert workshop.sql(f"{history} ORDER BY valid_from") == [(1, 1, 3), (2, 3, 5), (1, 5, 6)]
    assert workshop.sql("SELECT * FROM star.ops_quarantine") == []
    facts = "SELECT day(snapshot_date), model_id FROM star.fact_model_version_daily WHERE version_id = 77 ORDER BY 1"
    assert workshop.sql(facts) == [(1, 1), (2, 1), (3, 2), (4, 2), (5, 1)]
    assert workshop.rebuild_into("again").files() == workshop.files()


def test_a_version_that_is_let_go_is_of_the_model_that_began_next_to_list_it(workshop: Workshop) -> None:
    shared = version(77)
    workshop.raw.crawl(DAYS[0], model=[model(1, shared), model(2), model(3)])
    workshop.raw.crawl(DAYS[1], model=[model(1, shared), model(2), model(3, shared)])
    workshop.build()
    workshop.raw.crawl(DAYS[2], model=[model(1, shared), model(2, shared), model(3, shared)])
    workshop.raw.crawl(DAYS[3], model=[model(1), model(2, shared), model(3, shared)])
    workshop.raw.crawl(DAYS[4], model=[model(1, shared), model(2, shared)], buried=(3,))
    workshop.build()
    assert periods(workshop, "dim_model_version", "model_id", "version_id = 77") == [
        (1, 1, 4, False), (2, 5, None, True), (3, 4, 5, False),
    ]  # fmt: skip
    assert workshop.rebuild_into("again").files() == workshop.files()


def test_the_counters_of_a_version_that_two_models_list_are_those_of_its_owner(workshop: Workshop) -> None:
    def lists(model_id: int, downloads: int) -> dict[str, Any]:
        return model(model_id, version(77, stats={"downloadCount": downloads}))

    workshop.raw.crawl(DAYS[0], model=[lists(9, 100)])
    workshop.raw.crawl(DAYS[1], model=[lists(9, 110), lists(10, 109), lists(2, 111)])
    workshop.build()
    counters = "SELECT model_id, download_count FROM star.fact_model_version_daily ORDER BY snapshot_date"
    assert workshop.sql(counters) == [(9, 100), (9, 110)]


def test_the_attributes_files_and_hashes_of_a_version_that_two_models_list_are_those_of_its_owner(
    workshop: Workshop,
) -> None:
    def lists(model_id: int, base_model: str, digest: str, **fields: Any) -> dict[str, Any]:
        files = [{"id": 5, "name": f"of {model_id}", "hashes": {"SHA256": digest}}]
        return model(model_id, version(77, base_model, name=f"of {model_id}", index=model_id, files=files), **fields)

    first, other = lists(1, "Pony", "AA"), lists(2, "SDXL 1.0", "BB")
    for day, models in zip(
        DAYS[:5],
        (
            [first],
            [first, other],  # the document of the owner is not read today
            [first | {"name": "news"}, other],  # both are read
            [first | {"name": "news"}, other],
            [model(1, name="let go", modelVersions=[]), other],
        ),
        strict=True,
    ):
        workshop.raw.crawl(day, model=models)
        workshop.build()
    assert periods(workshop, "dim_model_version", "model_id, name, base_model, index") == [
        (1, "of 1", "Pony", 1, 1, 5, False),
        (2, "of 2", "SDXL 1.0", 2, 5, None, True),
    ]
    assert periods(workshop, "file_hash", "hash") == [("AA", 1, 5, False), ("BB", 5, None, True)]
    assert workshop.sql("SELECT name FROM star.dim_file") == [("of 2",)]
    assert workshop.sql("SELECT * FROM star.ops_quarantine") == []
    assert workshop.rebuild_into("again").files() == workshop.files()


def test_names_that_differ_in_white_space_around_them_are_one_name_and_a_blank_is_none(workshop: Workshop) -> None:
    plain, blanks = {"name": "x", "modelCount": 4, "link": "L"}, {"name": " x", "modelCount": 1, "link": "other"}
    ada, spaced = {"username": "ada", "modelCount": 2}, {"username": " ada", "modelCount": 7, "link": "other"}
    nothing = [{"name": "  ", "modelCount": 3}]
    listed = model(1, version(10, " Pony "), version(11, "  "), tags=["x ", " ", "X"], creator={"username": "ada "})
    nobody = model(2, version(20, "Pony"), creator={"username": " "}, tags=[])
    workshop.raw.crawl(DAYS[0], model=[listed, nobody], tag=[plain, *nothing], creator=[ada])
    workshop.build()
    workshop.raw.crawl(DAYS[1], model=[listed, nobody], tag=[blanks, plain, *nothing], creator=[spaced, ada])
    workshop.raw.crawl(DAYS[2], status="partial", model=[listed, nobody], tag=[blanks], creator=[spaced])
    counts = workshop.build().record_counts
    assert workshop.sql("SELECT tag, link FROM star.dim_tag ORDER BY 1") == [("X", None), ("x", "L")]
    assert workshop.sql("SELECT username, link FROM star.dim_creator ORDER BY 1") == [
        ("(unknown)", None),
        ("ada", None),
    ]
    assert workshop.sql("SELECT base_model FROM star.dim_base_model ORDER BY 1") == [("(unknown)",), ("Pony",)]
    assert workshop.sql("SELECT tag FROM star.bridge_model_tag ORDER BY 1") == [("X",), ("x",)]
    assert workshop.sql("SELECT tag, model_count, models_delta FROM star.fact_tag_daily ORDER BY snapshot_date") == [
        ("x", 4, None), ("x", 4, 0),
    ]  # fmt: skip
    assert workshop.sql("SELECT model_count FROM star.fact_creator_daily ORDER BY snapshot_date") == [(2,), (2,)]
    assert [(each.loaded, each.quarantined, each.duplicates) for each in counts if each.kind == "tag"] == [
        (1, 1, 1), (0, 0, 1),
    ]  # fmt: skip
    assert workshop.sql("SELECT DISTINCT kind, entity_id FROM star.ops_quarantine") == [("tag", "  ")]
    assert workshop.rebuild_into("again").files() == workshop.files()
