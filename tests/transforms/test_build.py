"""Build, rebuild, quarantine and publish: what is published is whole, balanced and reproducible."""

import json
import os
import re
import time
from dataclasses import replace
from datetime import date
from pathlib import Path

import duckdb
import pytest

from pipelines.errors import CivitaiEtlError
from pipelines.raw.decisions import include
from tests.transforms.conftest import DAYS, Workshop, model, version
from transforms.build import rebuild
from transforms.day_checks import QuarantineError
from transforms.lake.files import Lake
from transforms.lake.publish import FILES_KEPT_FOR, publish, read_manifest
from transforms.staging.raw_reader import coverage
from transforms.tables import TABLES

BROKEN = {
    "an object where a list should be": b'{"id": 8, "stats" : {"downloadCount": 3}, "modelVersions": {"id": 1}}',
    "a version without an id": b'{"id": 9, "stats": {"downloadCount": 1e999}, "modelVersions": [{"name": "v1"}]}',
    "an id of which no key can be made": b'{"id": 99999999999999}',
    "a string instead of an object": b'"just a string"',
    "no id": b'{"name": "nobody"}',
}


def test_broken_records_end_in_quarantine_with_reason_and_payload_and_the_rest_is_loaded(workshop: Workshop) -> None:
    workshop.raw.crawl(DAYS[0], model=[model(1), *BROKEN.values(), model(2)])
    (counts, *_) = workshop.build().record_counts
    assert (counts.received, counts.loaded, counts.quarantined, counts.duplicates) == (7, 2, 5, 0)
    assert workshop.sql("SELECT model_id FROM star.fact_model_daily ORDER BY 1") == [(1,), (2,)]
    assert workshop.sql("SELECT model_id FROM star.dim_model ORDER BY 1") == [(1,), (2,)]
    assert workshop.sql("SELECT level, count(*) FROM star.ops_quarantine GROUP BY 1 ORDER BY 1") == [
        ("item", 2),
        ("record", 3),
    ]
    quarantine = dict(workshop.sql("SELECT payload, reason FROM star.ops_quarantine"))
    assert sorted(quarantine) == sorted(payload.decode() for payload in BROKEN.values())
    reasons = {name: quarantine[payload.decode()] for name, payload in BROKEN.items()}
    assert "`$.modelVersions`" in reasons["an object where a list should be"]
    assert reasons["a version without an id"] == "Object missing required field `id` - at `$.modelVersions[0]`"
    assert reasons["a string instead of an object"].endswith("item 4 of /models")


def test_a_counter_that_is_none_is_set_aside_as_a_value_and_the_other_counters_count(workshop: Workshop) -> None:
    no_counters = ["1e999", "99999999999999999999", "9" * 5_000, '"12"', "5.5", '{"all":5}', "[]", "true"]
    records = [
        f'{{"id": {number}, "stats": {{"thumbsUpCount": 3, "downloadCount": {odd}}}, '
        f'"creator": {{"username": "ann", "modelCount": {odd}}}, '
        f'"modelVersions": [{{"id": {number}0, "stats": {{"thumbsUpCount": 3, "downloadCount": {odd}}}}}]}}'
        for number, odd in enumerate(no_counters, start=1)
    ]
    for day in DAYS[:2]:
        workshop.raw.crawl(day, model=[record.encode() for record in records])
        counts = workshop.build().record_counts[0]
        assert (counts.received, counts.loaded, counts.quarantined) == (8, 8, 0)
    for fact in ("fact_model_daily", "fact_model_version_daily"):
        assert workshop.sql(f"SELECT download_count, thumbs_up_count FROM star.{fact}") == [(None, 3)] * 16
    rows = workshop.sql(
        "SELECT entity_id, level, regexp_extract(reason, '`([^`]*)`$', 1), payload FROM star.ops_quarantine "
        "WHERE day(snapshot_date) = 2 ORDER BY ALL"
    )
    assert rows == [
        (str(number), "value", path, odd)
        for number, odd in enumerate(no_counters, start=1)
        for path in (
            "$.creator.modelCount",
            f"$.modelVersions[id={number}0].stats.downloadCount",
            "$.stats.downloadCount",
        )
    ]
    assert workshop.rebuild_into("again").files() == workshop.files()


def test_odd_values_of_a_document_are_set_aside_on_every_day_and_the_rest_of_it_is_read(workshop: Workshop) -> None:
    files = [{"id": 5, "hashes": {"SHA256": " ", "CRC32": " ab "}}, "no file", {"id": 6, "hashes": {"CRC32": 7}}]
    odd = model(1, version(10, base_model=" Pony ", files=files, publishedAt="soon"), tags=[None, " sea ", 3], poi="no")
    for day in DAYS[:2]:
        workshop.raw.crawl(day, model=[odd, model(2, version(20, base_model=" "))])
        counts = workshop.build().record_counts[0]
        assert (counts.loaded, counts.quarantined) == (2, 0)
    place = "$.modelVersions[0]"
    assert workshop.sql(
        "SELECT day(snapshot_date), regexp_extract(reason, '`([^`]*)`$', 1), payload FROM star.ops_quarantine "
        "WHERE level = 'value' AND entity_id = '1' ORDER BY ALL"
    ) == [
        (day, path, payload)
        for day in (1, 2)
        for path, payload in [
            (f"{place}.files[0].hashes.SHA256", '" "'),
            (f"{place}.files[1]", '"no file"'),
            (f"{place}.files[2].hashes.CRC32", "7"),
            (f"{place}.publishedAt", '"soon"'),
            ("$.poi", '"no"'),
            ("$.tags[0]", "null"),
            ("$.tags[2]", "3"),
        ]
    ]
    assert workshop.value("SELECT count(*) FROM star.ops_quarantine WHERE level <> 'value'") == 0
    assert workshop.sql("SELECT tag FROM star.bridge_model_tag WHERE model_id = 1") == [("sea",)]
    assert workshop.sql("SELECT version_id, base_model FROM star.model_version ORDER BY 1") == [
        (10, "Pony"),
        (20, "(unknown)"),
    ]
    assert workshop.sql("SELECT file_id, algorithm, hash FROM star.file_hash WHERE version_id = 10") == [
        (5, "CRC32", "AB")
    ]
    assert workshop.sql("SELECT file_id FROM star.dim_file WHERE version_id = 10 ORDER BY 1") == [(5,), (6,)]
    assert workshop.rebuild_into("again").files() == workshop.files()


def test_an_image_whose_id_is_a_text_is_no_image_and_its_counters_are_of_none(workshop: Workshop) -> None:
    stats = {"likeCount": 3}
    images = [{"id": "70", "stats": stats}, {"id": 71, "stats": stats}]
    second = version(10, name="again", images=[{"id": 72, "stats": stats}])
    workshop.raw.crawl(DAYS[0], model=[model(1, version(10, images=images), second)])
    workshop.build()
    for table in ("dim_image", "fact_image_daily"):
        assert workshop.sql(f"SELECT image_id FROM star.{table} ORDER BY 1") == [(71,), (72,)]


def test_values_that_are_set_aside_refuse_no_date_however_many_they_are(workshop: Workshop) -> None:
    models = [model(number, stats={"downloadCount": "many"}) for number in range(1, 30)]
    workshop.raw.crawl(DAYS[0], model=models)
    assert workshop.build().published
    broken = [{"id": number, "modelVersions": 5} for number in range(101, 121)]
    workshop.raw.crawl(DAYS[1], model=[*models, *broken])
    with pytest.raises(QuarantineError, match=r"20 of 49 records .* 20 times, first in model 101: Expected `array"):
        workshop.build()


def test_a_second_file_or_version_of_the_same_id_lends_nothing_to_the_first(workshop: Workshop) -> None:
    first = {"id": 5, "name": "one", "hashes": {"SHA256": "AA"}}
    second = {"id": 5, "name": "two", "hashes": {"SHA256": "BB", "CRC32": "CC"}}
    again = version(10, files=[{"id": 6, "hashes": {"SHA256": "DD"}}], name="again")
    workshop.raw.crawl(DAYS[0], model=[model(1, version(10, files=[first, second]), again)])
    workshop.build()
    assert workshop.sql("SELECT file_id, name FROM star.dim_file") == [(5, "one")]
    assert workshop.sql("SELECT file_id, hash FROM star.file_hash") == [(5, "AA")]
    assert workshop.sql("SELECT kind, level, entity_id FROM star.ops_quarantine ORDER BY ALL") == [
        ("dim_file", "row", "10/5"),
        ("dim_model_version", "row", "10/2026-01-01"),
    ]


def test_a_counter_that_cannot_be_true_is_set_aside_as_a_value_and_its_record_counts(workshop: Workshop) -> None:
    sound = {"downloadCount": 5, "thumbsUpCount": 3, "thumbsDownCount": 1, "ratingCount": 2, "rating": 4.5}
    odd = {
        "downloadCount": 2**63 - 1,
        "thumbsUpCount": -1,
        "thumbsDownCount": -1,
        "ratingCount": 10**18,
        "rating": 1e18,
    }
    for day in DAYS[:3]:
        models = [
            model(n, version(n * 10, f"B{n}", stats=sound | ({field: odd[field]} if day == DAYS[1] else {})))
            for n, field in enumerate(odd, start=1)
        ]
        workshop.raw.crawl(day, model=models)
        counts = workshop.build().record_counts[0]
        assert (counts.received, counts.loaded, counts.quarantined) == (5, 5, 0)
    for n, field in enumerate(odd, start=1):
        column = re.sub("([A-Z])", r"_\1", field).lower()
        known = sound[field]
        assert workshop.sql(
            f"SELECT {column} FROM star.fact_model_version_daily WHERE version_id = {n * 10} ORDER BY snapshot_date"
        ) == [(known,), (None,), (known,)]
    reasons = workshop.sql("SELECT kind, entity_id, reason FROM star.ops_quarantine ORDER BY entity_id")
    assert [(kind, entity_id) for kind, entity_id, _ in reasons] == [("model", str(n)) for n in range(1, 6)]
    for (_, entity_id, reason), field in zip(reasons, odd, strict=True):
        assert f"$.modelVersions[id={entity_id}0].stats.{field}" in reason
    assert workshop.value("SELECT max(snapshot_date) FROM star.mart_base_model_daily") == DAYS[2]
    assert workshop.rebuild_into("again").files() == workshop.files()


def test_odd_counters_of_every_owner_are_set_aside_with_their_path(workshop: Workshop) -> None:
    images = [{"id": 9, "url": "u", "stats": {"likeCount": -2}}, {"url": "no id", "stats": {"heartCount": -3}}]
    versions = [
        version(10, images=images, stats={"thumbsUpCount": -6}),
        version(11, files=[], stats={"thumbsUpCount": -7}),
    ]
    workshop.raw.crawl(
        DAYS[0],
        model=[model(1, *versions, stats={"commentCount": -1, "tippedAmountCount": 10**13})],
        image=[{"id": 5, "url": "u", "stats": {"cryCount": -4}}],
        creator=[{"username": "ada", "modelCount": -5}],
        tag=[{"name": "landscape", "modelCount": 10**11}],
    )
    assert {counts.quarantined for counts in workshop.build().record_counts} == {0}
    assert workshop.sql(
        "SELECT kind, payload, split_part(reason, '`', 2) FROM star.ops_quarantine "
        "WHERE kind != 'dim_image' ORDER BY ALL"
    ) == [
        ("creator", "-5", "$.modelCount"),
        ("image", "-4", "$.stats.cryCount"),
        ("model", "-1", "$.stats.commentCount"),
        ("model", "-2", "$..images[id=9].stats.likeCount"),
        ("model", "-3", "$..images[id=unknown].stats.heartCount"),
        ("model", "-6", "$.modelVersions[id=10].stats.thumbsUpCount"),
        ("model", "-7", "$.modelVersions[id=11].stats.thumbsUpCount"),
        ("model", "10000000000000", "$.stats.tippedAmountCount"),
        ("tag", "100000000000", "$.modelCount"),
    ]


def test_a_record_that_stays_broken_is_in_quarantine_on_every_day_and_never_buried(workshop: Workshop) -> None:
    broken = BROKEN["an object where a list should be"]
    for day in DAYS[:2]:
        workshop.raw.crawl(day, model=[model(1), broken])
        (counts, *_) = workshop.build().record_counts
        assert (counts.received, counts.loaded, counts.quarantined) == (2, 1, 1)
    assert workshop.sql("SELECT day(snapshot_date), entity_id FROM star.ops_quarantine ORDER BY 1") == [
        (1, "8"),
        (2, "8"),
    ]


def test_a_record_that_breaks_and_mends_keeps_its_history(workshop: Workshop) -> None:
    workshop.raw.crawl(DAYS[0], model=[model(1, name="Good")])
    workshop.raw.crawl(DAYS[1], model=[b'{"id": 1, "modelVersions": 5}'])
    workshop.raw.crawl(DAYS[2], model=[model(1, name="Good", stats={"downloadCount": 150})])
    workshop.build()
    for table, column, value in (
        ("dim_model", "name", "Good"),
        ("dim_model_version", "name", "v10"),
        ("bridge_model_tag", "tag", "landscape"),
    ):
        assert workshop.sql(f"SELECT {column}, day(valid_from), is_current FROM star.{table}") == [(value, 1, True)]
    assert workshop.sql("SELECT day(snapshot_date), downloads_delta FROM star.fact_model_daily ORDER BY 1") == [
        (1, None),
        (3, 50),
    ]


def test_a_file_without_an_id_is_set_aside_alone(workshop: Workshop) -> None:
    workshop.raw.crawl(
        DAYS[0], model=[model(1, version(10, files=[{"name": "nameless"}, {"id": 5, "hashes": {"SHA256": "A"}}]))]
    )
    workshop.build()
    assert workshop.sql("SELECT file_id FROM star.dim_file") == [(5,)]
    ((kind, payload),) = workshop.sql("SELECT kind, payload FROM star.ops_quarantine")
    assert (kind, json.loads(payload)["name"]) == ("dim_file", "nameless")


def test_a_build_with_too_much_in_quarantine_fails_and_leaves_the_old_star(workshop: Workshop) -> None:
    workshop.raw.crawl(DAYS[0], model=[model(1)])
    workshop.build()
    broken = [b'{"id": %d, "modelVersions": 5}' % number for number in range(100, 120)]
    workshop.raw.crawl(DAYS[1], model=[model(1), *broken])
    with pytest.raises(
        QuarantineError, match=r"20 of 21 records of 2026-01-02.* 20 times, first in model 100: Expected `array"
    ):
        workshop.build()
    assert workshop.sql("SELECT max(snapshot_date) FROM star.fact_model_daily") == [(DAYS[0],)]
    include(workshop.raw.path, DAYS[1], "they are no loss")
    workshop.build()
    assert workshop.value("SELECT count(*) FROM star.ops_quarantine") == 20


def test_records_that_raw_lost_are_noticed(workshop: Workshop) -> None:
    workshop.raw.crawl(DAYS[0], model=[model(1), model(2)])
    with duckdb.connect(workshop.raw.path) as connection:
        connection.execute("DELETE FROM raw.model_observations WHERE entity_id = '2'")
    with pytest.raises(CivitaiEtlError, match="do not balance for model: received 2, but loaded 1"):
        workshop.build()
    assert not workshop.analytics.exists()


def test_a_path_that_no_declaration_knows_is_reported_as_drift(workshop: Workshop) -> None:
    workshop.raw.crawl(DAYS[0], model=[model(1, version(10, shiny={"a": 1}), meta=None)])
    workshop.build()
    assert workshop.sql("SELECT kind, path, example FROM star.ops_drift ORDER BY ALL") == [
        ("model", "$.meta", "null"),
        ("model", "$.modelVersions[].shiny", '{"a":1}'),
    ]


def test_a_build_without_news_publishes_nothing(workshop: Workshop) -> None:
    workshop.raw.crawl(DAYS[0], model=[model(1)])
    assert workshop.build().published
    before = workshop.analytics.stat().st_ino
    report = workshop.build()
    assert not report.published
    assert report.rows["dim_model"] == 1
    assert workshop.analytics.stat().st_ino == before


def test_a_late_crawl_of_a_past_day_changes_what_came_after_it(workshop: Workshop) -> None:
    def day(name: str, downloads: int) -> dict[str, object]:
        return model(1, name=name, stats={"downloadCount": downloads})

    workshop.raw.crawl(DAYS[0], model=[day("a", 10)])
    workshop.raw.crawl(DAYS[2], model=[day("c", 30)])
    workshop.build()
    workshop.raw.crawl(DAYS[1], model=[day("b", 25)])
    workshop.build()
    assert workshop.sql("SELECT day(snapshot_date), downloads_delta FROM star.fact_model_daily ORDER BY 1") == [
        (1, None),
        (2, 15),
        (3, 5),
    ]
    assert workshop.sql("SELECT name, day(valid_from) FROM star.dim_model ORDER BY 2") == [("a", 1), ("b", 2), ("c", 3)]
    assert workshop.files() == workshop.rebuild_into("again").files()


def test_a_rebuild_of_some_dates_keeps_the_daily_files_of_the_others_and_loses_no_date(workshop: Workshop) -> None:
    for day in DAYS[:4]:
        workshop.raw.crawl(day, model=[model(1, name=str(day))])
    workshop.build()
    files = workshop.files()
    written = {path: (workshop.lake / path).stat().st_mtime_ns for path in files}
    rebuild(workshop.directory, from_date=DAYS[1], to_date=DAYS[2])
    assert workshop.files() == files
    again = {path for path, before in written.items() if (workshop.lake / path).stat().st_mtime_ns != before}
    facts = {path: path.split("snapshot_date=")[1][:10] for path in files if "snapshot_date=" in path}
    assert {facts[path] for path in again if path in facts} == {str(DAYS[1]), str(DAYS[2])}


def test_a_reader_on_either_side_of_a_publish_sees_one_whole_snapshot_across_tables(workshop: Workshop) -> None:
    across = (
        "SELECT (SELECT max(snapshot_date) FROM star.fact_model_daily), (SELECT max(date) FROM star.dim_date), "
        "(SELECT string_agg(name) FROM star.model), (SELECT sum(download_count) FROM star.mart_base_model_daily "
        "WHERE snapshot_date = (SELECT max(snapshot_date) FROM star.fact_model_daily))"
    )
    workshop.raw.crawl(DAYS[0], model=[model(1, name="old")])
    workshop.build()
    with duckdb.connect(workshop.analytics, read_only=True) as before:
        workshop.raw.crawl(
            DAYS[1], model=[model(1, name="new", modelVersions=[version(10, stats={"downloadCount": 7})])]
        )
        workshop.build()
        assert before.execute(across).fetchall() == [(DAYS[0], DAYS[0], "old", 100)]
    assert workshop.sql(across) == [(DAYS[1], DAYS[1], "new", 7)]


def test_a_publish_that_fails_leaves_the_old_star_and_no_half_written_file(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    workshop.raw.crawl(DAYS[0], model=[model(1)])
    workshop.build()
    workshop.raw.crawl(DAYS[1], model=[model(1)])

    def full_disk(source: Path, target: Path) -> None:
        raise OSError(28, "No space left on device", str(target))

    monkeypatch.setattr(Path, "replace", full_disk)
    with pytest.raises(OSError, match="No space left"):
        workshop.build()
    monkeypatch.undo()
    assert workshop.value("SELECT max(snapshot_date) FROM star.fact_model_daily") == DAYS[0]
    assert [path for path in workshop.folder.rglob("*") if path.name.endswith(".tmp")] == []


def let_days_pass(workshop: Workshop, days: int = 2) -> None:
    """Makes everything in the lake older, as if it were now so many days later."""
    for file in workshop.lake.rglob("*"):
        if file.is_file():
            moment = file.stat().st_mtime - days * 86_400
            os.utime(file, (moment, moment))


def test_files_that_no_recent_publish_names_go_after_a_day(workshop: Workshop) -> None:
    for number, day in enumerate(DAYS[:5]):
        workshop.raw.crawl(day, model=[model(1, name=f"name {number}")])
        workshop.build()
        let_days_pass(workshop)
    workshop.build()
    open_rows = list((workshop.lake / "star" / "dim_model").glob("*.parquet"))
    # three publishes name three files of open rows, and each day but the first closed one row
    assert len(open_rows) == 3 + 4
    assert workshop.value("SELECT count(*) FROM star.dim_model") == 5


def test_a_file_that_was_written_long_ago_stays_for_a_day_after_it_was_superseded(workshop: Workshop) -> None:
    workshop.raw.crawl(DAYS[0], model=[model(1)])
    workshop.build()
    read = [path for (path,) in workshop.sql("SELECT path FROM star.manifest")]
    let_days_pass(workshop)
    for number, day in enumerate(DAYS[1:6]):
        workshop.raw.crawl(day, model=[model(1, name=f"name {number}")])
        workshop.build()
    assert [path for path in read if not Path(path).exists()] == []
    let_days_pass(workshop)
    workshop.build()
    assert [path for path in read if not Path(path).exists()] != []


def test_a_publish_that_changes_only_state_keeps_what_it_names(workshop: Workshop) -> None:
    workshop.raw.crawl(DAYS[0], model=[model(1)])
    workshop.build()
    lake, files = Lake(workshop.lake), read_manifest(workshop.analytics)
    (old,) = (file for file in files if file.table == "state_measures")
    new = replace(old, path="state/state_measures/" + "0" * 32 + ".parquet")
    (workshop.lake / new.path).write_bytes((workshop.lake / old.path).read_bytes())
    publish(lake, workshop.analytics, [new if file == old else file for file in files])
    recorded = sorted((workshop.lake / "state" / "generations").iterdir())
    assert [new.path in generation.read_text() for generation in recorded] == [False, True]


def test_lists_that_a_wrong_clock_named_in_the_future_do_not_outlive_what_is_published(workshop: Workshop) -> None:
    generations = workshop.lake / "state" / "generations"
    for number, day in enumerate(DAYS[:3]):
        workshop.raw.crawl(day, model=[model(1, name=f"name {number}")])
        workshop.build()
        for path in generations.iterdir():
            ahead = path.rename(generations / f"2999{path.name[4:]}")
            os.utime(ahead, (4e9, 4e9))
    for number, day in enumerate(DAYS[3:8]):
        workshop.raw.crawl(day, model=[model(1, name=f"new name {number}")])
        workshop.build()
        let_days_pass(workshop)
        workshop.build()
        assert workshop.value("SELECT count(*) FROM star.dim_model") == number + 4
    # Nor do they keep what is superseded.
    assert len(list(generations.iterdir())) == 3


def test_a_connection_that_this_process_holds_does_not_hide_what_was_published_since(workshop: Workshop) -> None:
    workshop.raw.crawl(DAYS[0], model=[model(1)])
    workshop.build()
    with duckdb.connect(workshop.analytics, read_only=True) as held:
        held.execute("FROM star.dim_date")
        for day in DAYS[1:3]:
            workshop.raw.crawl(day, model=[model(1)])
            assert workshop.build().dates == (day,)


def test_the_manifest_for_other_engines_says_what_the_views_say(workshop: Workshop) -> None:
    workshop.raw.crawl(DAYS[0], model=[model(1)])
    workshop.build()
    manifest = json.loads((workshop.lake / "star" / "manifest.json").read_text())
    for name, table in manifest["tables"].items():
        paths = [str(workshop.lake / "star" / file["path"]) for file in table["files"]]
        assert sorted(paths) == sorted(
            path for (path,) in workshop.sql(f"SELECT path FROM star.manifest WHERE table_name = '{name}'")
        )
        assert sum(file["rows"] for file in table["files"]) == workshop.value(f"SELECT count(*) FROM star.{name}")


def test_every_table_and_column_has_its_comment_in_the_database(workshop: Workshop) -> None:
    workshop.raw.crawl(DAYS[0], model=[model(1)])
    workshop.build()
    assert workshop.sql("SELECT view_name FROM duckdb_views() WHERE schema_name = 'star' AND comment IS NULL") == []
    assert (
        workshop.sql(
            "SELECT table_name, column_name FROM duckdb_columns() WHERE schema_name = 'star' AND comment IS NULL "
            "AND table_name NOT IN ('manifest', 'model', 'model_version')"
        )
        == []
    )


def test_nothing_in_the_lake_that_is_not_ours_is_deleted_and_what_killed_writers_left_is(workshop: Workshop) -> None:
    foreign = workshop.lake / "other_project" / "sub" / "precious.parquet"
    alike = workshop.lake / "star" / "dim_model" / "notes.parquet"
    leftover = workshop.lake / "star" / "dim_model" / ".4711.tmp"
    for path in (foreign, alike, leftover):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        long_ago = time.time() - FILES_KEPT_FOR.total_seconds() - 60
        os.utime(path, (long_ago, long_ago))
    workshop.raw.crawl(DAYS[0], model=[model(1)])
    workshop.build()
    assert (foreign.exists(), alike.exists(), leftover.exists()) == (True, True, False)


def test_a_manifest_that_did_not_follow_its_commit_follows_with_the_next_build(workshop: Workshop) -> None:
    workshop.raw.crawl(DAYS[0], model=[model(1)])
    workshop.build()
    manifest = workshop.lake / "star" / "manifest.json"
    text = manifest.read_text()
    manifest.write_text("{}")
    workshop.build()
    assert manifest.read_text() == text


def test_an_unreadable_star_is_told_in_a_line_and_a_rebuild_makes_it_anew(workshop: Workshop) -> None:
    workshop.raw.crawl(DAYS[0], model=[model(1)])
    workshop.analytics.write_bytes(b"no database")
    with pytest.raises(CivitaiEtlError, match="run `civitai-etl rebuild`"):
        workshop.build()
    rebuild(workshop.directory)
    assert workshop.value("SELECT count(*) FROM star.model") == 1
    (file,) = (workshop.lake / "star" / "ops_snapshot").glob("*.parquet")
    file.unlink()
    with pytest.raises(CivitaiEtlError, match="run `civitai-etl rebuild`"):
        workshop.build()


def test_late_data_is_not_swallowed_by_a_rebuild_that_begins_after_it(workshop: Workshop) -> None:
    workshop.raw.crawl(DAYS[0], status="partial", model=[model(1)])
    workshop.raw.crawl(DAYS[1], model=[model(1), model(2)])
    workshop.build()
    workshop.raw.crawl(DAYS[0], number=2, model=[model(1), model(2)])
    rebuild(workshop.directory, from_date=DAYS[1])
    assert workshop.value("SELECT count(*) FROM star.fact_model_daily") == 4
    assert workshop.files() == workshop.rebuild_into("again").files()


def test_a_second_crawl_that_brings_no_row_still_completes_its_date(workshop: Workshop) -> None:
    workshop.raw.crawl(DAYS[0], model=[model(1, version(10), version(11))])
    workshop.raw.crawl(DAYS[1], status="partial", model=[model(1, version(10))])
    workshop.build()
    assert workshop.value("SELECT count(*) FROM star.model_version") == 2
    workshop.raw.crawl(DAYS[1], number=2, model=[model(1, version(10))])
    (counts, *_) = [counts for counts in workshop.build().record_counts if counts.snapshot_date == DAYS[1]]
    assert (counts.received, counts.loaded, counts.duplicates) == (2, 1, 1)
    assert workshop.sql("SELECT version_id FROM star.model_version") == [(10,)]
    assert workshop.value("SELECT is_complete FROM star.dim_date WHERE date = DATE '2026-01-02'")


def test_observations_lost_on_a_date_of_two_crawls_are_noticed(workshop: Workshop) -> None:
    workshop.raw.crawl(DAYS[0], status="partial", model=[model(1)])
    workshop.raw.crawl(DAYS[0], number=2, model=[model(1), model(2), model(3)])
    with duckdb.connect(workshop.raw.path) as connection:
        connection.execute("DELETE FROM raw.model_observations WHERE entity_id != '1'")
    with pytest.raises(CivitaiEtlError, match="do not balance for model"):
        workshop.build()


def test_a_document_that_raw_lost_is_noticed(workshop: Workshop) -> None:
    workshop.raw.crawl(DAYS[0], model=[model(1), model(2)])
    with duckdb.connect(workshop.raw.path) as connection:
        connection.execute("DELETE FROM raw.model_documents WHERE entity_id = '2'")
    with pytest.raises(CivitaiEtlError, match="2 documents are needed for the model observations"):
        workshop.build()


def test_counters_that_are_no_object_are_set_aside_and_new_ones_are_drift(workshop: Workshop) -> None:
    workshop.raw.crawl(
        DAYS[0],
        model=[
            model(1, stats={"downloadCount": 150, "byDay": [1, 2]}),
            model(2, stats={"downloads": 150}),
            model(3, stats=None),
            model(4, version(40), stats="many"),
        ],
    )
    workshop.build()
    assert ("model", "$[].stats.downloads") in workshop.sql("SELECT kind, path FROM star.ops_drift")
    assert workshop.sql("SELECT model_id, download_count FROM star.fact_model_daily ORDER BY 1") == [
        (1, 150),
        (2, None),
        (3, None),
        (4, None),
    ]
    assert workshop.sql("SELECT entity_id, level, reason FROM star.ops_quarantine") == [
        ("4", "value", "Expected `object | null`, got `str` - at `$.stats`")
    ]


def test_a_path_that_only_late_documents_have_is_drift_too(workshop: Workshop) -> None:
    workshop.raw.crawl(
        DAYS[0], model=[model(number) for number in range(1, 400)] + [model(n, shiny=1) for n in range(400, 420)]
    )
    workshop.build()
    assert workshop.sql("SELECT path FROM star.ops_drift") == [("$.shiny",)]


def test_without_a_warehouse_the_error_says_what_to_do(workshop: Workshop) -> None:
    with pytest.raises(CivitaiEtlError, match="run `civitai-etl snapshot` first"):
        workshop.build()


def test_dates_are_dates_wherever_they_stand(workshop: Workshop) -> None:
    workshop.raw.crawl(DAYS[0], model=[model(1)])
    workshop.build()
    assert isinstance(workshop.value("SELECT max(snapshot_date) FROM star.mart_base_model_daily"), date)


@pytest.mark.parametrize(
    ("listed", "share"), [({}, None), ({"model": 0}, None), ({"model": 4}, 0.75), ({"model": 3, "tag": 7}, 0.5)]
)
def test_coverage_is_what_was_met_of_what_the_lists_announced(listed: dict[str, int], share: float | None) -> None:
    met = {"model": {"distinct_ids": 3}, "tag": {"distinct_ids": 2}, "image": {"distinct_ids": 9}}
    assert coverage(met, listed) == share
    assert coverage(met | {"model": {"distinct_ids": 5}}, {"model": 4}) == 1, "what came meanwhile is no cover"


def test_duplicates_are_counted(workshop: Workshop) -> None:
    workshop.raw.crawl(DAYS[0], model=[model(1), model(2), model(1, name="seen again")])
    (counts,) = [counts for counts in workshop.build().record_counts if counts.kind == "model"]
    assert (counts.received, counts.loaded, counts.quarantined, counts.duplicates) == (3, 2, 0, 1)


def test_a_date_without_a_single_observation_is_a_gap(workshop: Workshop) -> None:
    workshop.raw.crawl(DAYS[0], model=[model(1)])
    workshop.raw.crawl(DAYS[1], status="failed")
    workshop.raw.crawl(DAYS[2], model=[model(1)])
    workshop.build()
    assert workshop.sql("SELECT day(date), has_snapshot FROM star.dim_date ORDER BY 1") == [
        (1, True),
        (2, False),
        (3, True),
    ]
    assert workshop.sql(
        "SELECT day(snapshot_date), days_since_previous FROM star.mart_base_model_daily ORDER BY 1"
    ) == [
        (1, None),
        (3, 2),
    ]


def test_a_time_without_a_zone_is_utc(workshop: Workshop) -> None:
    texts = ("2025-06-01T12:00:00.123", "2025-06-01T12:00:00.123Z", "2025-06-01T14:00:00.123+02:00")
    versions = [version(number, publishedAt=text) for number, text in enumerate(texts, start=10)]
    workshop.raw.crawl(DAYS[0], model=[model(1, *versions)])
    workshop.build()
    assert workshop.sql("SELECT DISTINCT epoch_ms(published_at) FROM star.dim_model_version") == [(1748779200123,)]


def test_the_rows_of_every_file_are_in_the_order_of_its_key(workshop: Workshop) -> None:
    """Raw reads by the text of the id: 10, 2, 9."""
    workshop.raw.crawl(DAYS[0], model=[model(number, creator={"username": f"u{99 - number}"}) for number in (10, 9, 2)])
    workshop.raw.crawl(DAYS[1], model=[model(number, name="New", tags=["b", "a"]) for number in (10, 9, 2)])
    workshop.build()
    keys = {table.table_name(): table.primary_key() for table in TABLES if table.primary_key()}
    several = set()
    for name, path in workshop.sql("SELECT table_name, path FROM star.manifest WHERE rows > 1"):
        key = ", ".join(keys.get(name, ["ALL"]))
        file = f"read_parquet('{path}', hive_partitioning = false)"
        assert workshop.sql(f"FROM {file}") == workshop.sql(f"FROM {file} ORDER BY {key}"), path
        several.add(name)
    assert {"dim_model", "dim_file", "fact_model_version_daily", "bridge_model_tag"} <= several
