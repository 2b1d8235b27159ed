"""What was looked up stands beside the star: as of the latest answer, made anew at each build, and without history."""

import json
from datetime import UTC, date, datetime, time
from typing import Any

import duckdb
import pytest

from pipelines.raw.tables import REJECTS
from tests.transforms.conftest import DAYS, Workshop, model, version

#: As GET /model-versions/{id} answers (docs/api-notes.md, 4).
DETAIL = {
    "id": 10,
    "modelId": 1,
    "name": "told by the detail",
    "baseModel": "Pony",
    "air": "urn:air:sdxl:lora:civitai:1@10",
    "status": "Published",
    "createdAt": "2025-05-01T08:00:00.000Z",
    "updatedAt": "2025-05-02T08:00:00.12",
    "uploadType": "Created",
    "usageControl": "Download",
    "trainingStatus": None,
    "licensingFee": 5,
    "paidAccess": {"permanent": False, "endsAt": "2026-08-01T00:00:00.000Z"},
    "stats": {"downloadCount": None, "thumbsUpCount": 3},
    "model": {"name": "Model 1", "type": "LORA", "nsfw": False, "poi": False, "mode": "Archived"},
    "files": [{"id": 1, "scannedAt": "2025-05-19T02:43:46.31", "primary": True, "hashes": {"SHA256": "AB"}}],
    "images": [{"url": "https://image.example/123.jpeg", "nsfwLevel": 1}],
}
MINI = {
    "air": "urn:air:sdxl:lora:civitai:1@10",
    "versionName": "v10",
    "modelName": "Model 1",
    "userId": 7,
    "baseModel": "SDXL 1.0",
    "availability": "EarlyAccess",
    "publishedAt": None,
    "size": 6775430.35,
    "fileName": "a.safetensors",
    "downloadUrls": ["https://civitai.com/api/download/models/10"],
    "canGenerate": True,
    "requireAuth": True,
    "checkPermission": True,
    "earlyAccessEndsAt": "2026-02-01T00:00:00.000Z",
    "additionalResourceCharge": False,
    "fees": [],
}
LOOKED_UP = ("dim_user", "model_version_detail", "model_version_mini", "hash_match")


def one(workshop: Workshop, table: str) -> dict[str, Any]:
    """The only row of a table."""
    with duckdb.connect(workshop.analytics, read_only=True) as connection:
        relation = connection.execute(f"SELECT * FROM star.{table}")
        names = [column[0] for column in relation.description or ()]
        (row,) = relation.fetchall()
    return dict(zip(names, row, strict=True))


def match(text: str, *versions: tuple[int, int | None]) -> dict[str, Any]:
    return {"hash": text, "matches": [{"modelVersionId": v, "modelId": m} for v, m in versions]}


def test_a_detail_is_a_row_with_what_lists_do_not_say(workshop: Workshop) -> None:
    workshop.raw.look_up(DAYS[0], version=[DETAIL])
    workshop.build()
    row = one(workshop, "model_version_detail")
    assert {
        name: row[name] for name in ("version_id", "model_id", "air", "status", "upload_type", "licensing_fee")
    } == {
        "version_id": 10,
        "model_id": 1,
        "air": DETAIL["air"],
        "status": "Published",
        "upload_type": "Created",
        "licensing_fee": 5.0,
    }
    assert (row["model_mode"], row["trained_words"], row["training_status"]) == ("Archived", [], None)
    assert row["updated_at"].astimezone(UTC) == datetime(2025, 5, 2, 8, 0, 0, 120000, UTC)  # naive is UTC
    assert row["paid_access_permanent"] is False
    assert row["paid_access_ends_at"].astimezone(UTC) == datetime(2026, 8, 1, tzinfo=UTC)
    assert (row["observed_on"], row["unknown_since"]) == (DAYS[0], None)


def test_a_short_form_is_known_by_the_id_that_was_asked_for(workshop: Workshop) -> None:
    spec = {"id": 11, "modelId": 1, "name": "v11", "baseModel": "Pony", "downloadUrl": "https://x.example/11"}
    workshop.raw.look_up(DAYS[0], version_mini=[("10", MINI), ("11", spec)])
    workshop.build()
    columns = "version_id, name, user_id, size_kb, require_auth, can_generate, download_url, observed_on"
    assert workshop.sql(f"SELECT {columns} FROM star.model_version_mini ORDER BY 1") == [
        (10, "v10", 7, 6775430.35, True, True, "https://civitai.com/api/download/models/10", DAYS[0]),
        (11, "v11", None, None, None, None, "https://x.example/11", DAYS[0]),
    ]


def test_users_of_both_generations_are_rows(workshop: Workshop) -> None:
    workshop.raw.look_up(
        DAYS[0],
        user=[
            {"id": 1, "username": "ann", "avatarNsfw": "None"},
            {"id": 2, "username": "bob", "tier": "Gold", "createdAt": "2024-01-01T00:00:00Z", "email": "b@x.example"},
        ],
    )
    workshop.build()
    assert workshop.sql("SELECT user_id, username, avatar_nsfw, tier FROM star.dim_user ORDER BY 1") == [
        (1, "ann", "None", None), (2, "bob", None, "Gold"),
    ]  # fmt: skip


def test_the_latest_answer_stands_and_a_later_404_says_since_when(workshop: Workshop) -> None:
    workshop.raw.look_up(DAYS[0], version=[DETAIL])
    workshop.raw.look_up(DAYS[2], version=[DETAIL | {"status": "Unpublished"}])
    workshop.build()
    seen = "SELECT status, day(observed_on), day(unknown_since) FROM star.model_version_detail"
    assert workshop.sql(seen) == [("Unpublished", 3, None)]
    for day in DAYS[4:6]:
        workshop.raw.look_up(day, unknown={"version": ("10",)})
    workshop.build()
    assert workshop.sql(seen) == [("Unpublished", 3, 5)]
    workshop.raw.look_up(DAYS[6], version=[DETAIL])
    workshop.build()
    assert workshop.sql(seen) == [("Published", 7, None)]


def test_a_hash_has_one_row_whether_it_is_known_or_not(workshop: Workshop) -> None:
    workshop.raw.look_up(
        DAYS[0],
        hash_match=[match("AA", (12, None), (11, 1)), match("BB", (5, 2))],
        unknown={"hash_match": ("CC", "DD")},
    )
    workshop.raw.look_up(DAYS[1], hash_match=[match("CC", (7, 3))], unknown={"hash_match": ("BB",)})
    workshop.build()
    assert workshop.sql("SELECT * FROM star.hash_match ORDER BY hash") == [
        ("AA", 11, 1, 2, DAYS[0]),
        ("BB", None, None, 0, DAYS[1]),
        ("CC", 7, 3, 1, DAYS[1]),
        ("DD", None, None, 0, DAYS[0]),
    ]


def test_on_one_date_the_later_of_two_answers_counts(workshop: Workshop) -> None:
    workshop.raw.look_up(DAYS[0], at=time(9), unknown={"hash_match": ("AA",)}, hash_match=[match("BB", (5, 2))])
    workshop.raw.look_up(DAYS[0], at=time(10), unknown={"hash_match": ("BB",)}, hash_match=[match("AA", (4, 2))])
    workshop.build()
    assert workshop.sql("SELECT hash, version_id FROM star.hash_match ORDER BY hash") == [("AA", 4), ("BB", None)]


def files_of(workshop: Workshop, *, looked_up: bool) -> dict[str, bytes]:
    return {name: text for name, text in workshop.files().items() if (name.split("/")[1] in LOOKED_UP) == looked_up}


def look_up_everything(workshop: Workshop, on: date) -> None:
    workshop.raw.look_up(
        on,
        version=[DETAIL, DETAIL | {"id": 99, "modelId": 55, "model": {"name": "no list has it"}}],
        version_mini=[("10", MINI)],
        user=[{"id": 1, "username": "ada"}],
        hash_match=[match("AA", (10, 1))],
        unknown={"version": ("20",), "hash_match": ("BB",), "user": ("bob",)},
    )


@pytest.mark.parametrize("days", [(0, 1), (1, 0), (2, 3)], ids=["before", "on the date", "on dates without a crawl"])
def test_look_ups_alone_are_published_and_change_no_other_table_and_no_history(
    workshop: Workshop, days: tuple[int, int]
) -> None:
    """A detail has another name, another base model and fewer words than the list: no type 2 row opens or closes."""
    workshop.raw.crawl(DAYS[1], model=[model(1, version(10, trainedWords=["sea"])), model(2)])
    workshop.build()
    before = files_of(workshop, looked_up=False)
    for day in days:
        look_up_everything(workshop, DAYS[day])
    assert workshop.build().published
    assert files_of(workshop, looked_up=False) == before
    assert [workshop.value(f"SELECT count(*) FROM star.{table}") for table in LOOKED_UP] == [1, 2, 1, 2]
    assert not workshop.build().published
    assert workshop.value("SELECT count(*) FROM star.dim_date") == 1


def test_a_crawl_after_look_ups_opens_the_rows_that_it_would_have_opened_without(workshop: Workshop) -> None:
    for number in (0, 1):
        workshop.raw.crawl(DAYS[number], model=[model(1, version(10, "SDXL 1.0" if number < 1 else "Pony"))])
        workshop.build()
    undisturbed = files_of(workshop, looked_up=False)
    disturbed = Workshop(workshop.folder / "disturbed")
    disturbed.folder.mkdir()
    for number in (0, 1):
        look_up_everything(disturbed, DAYS[number])
        disturbed.raw.crawl(DAYS[number], model=[model(1, version(10, "SDXL 1.0" if number < 1 else "Pony"))])
        disturbed.build()
    assert files_of(disturbed, looked_up=False) == undisturbed


def test_build_by_day_and_rebuild_give_the_same_files(workshop: Workshop) -> None:
    for number in (0, 1, 2):
        workshop.raw.crawl(DAYS[number], model=[model(1), model(2)])
        workshop.raw.look_up(DAYS[number], version=[DETAIL | {"name": f"n{number}"}], version_mini=[("10", MINI)])
        workshop.raw.look_up(DAYS[number], hash_match=[match(f"A{number}", (10, 1))], unknown={"version": ("10",)})
        workshop.build()
        assert workshop.value("SELECT name FROM star.model_version_detail") == f"n{number}"
    assert workshop.rebuild_into("again").files() == workshop.files()


def test_an_answer_that_does_not_decode_is_set_aside_with_its_reason_and_mended_by_the_next(workshop: Workshop) -> None:
    broken = DETAIL | {"id": 10**15}
    odd = DETAIL | {"id": 11, "status": 7, "baseModel": " Flux "}
    workshop.raw.crawl(DAYS[0], model=[model(1)])
    workshop.raw.look_up(DAYS[0], version=[DETAIL, broken, odd], user=[{"id": 3}])
    workshop.build()
    told = "SELECT version_id, base_model, status FROM star.model_version_detail ORDER BY 1"
    assert workshop.sql(told) == [(10, "Pony", "Published"), (11, "Flux", None)]
    set_aside = (
        "SELECT snapshot_date, kind, entity_id, level, split(reason, ' - at ')[-1] "
        "FROM star.ops_quarantine ORDER BY ALL"
    )
    assert workshop.sql(set_aside) == [
        (DAYS[0], "dim_user", "3", "row", "breaks username|nullability"),
        (DAYS[0], "version", f"{10**15}", "record", "`$.id`"),
        (DAYS[0], "version", "11", "value", "`$.status`"),
    ]
    payload = workshop.value("SELECT payload FROM star.ops_quarantine WHERE level = 'record'")
    assert json.loads(payload) == broken
    assert not workshop.build().published
    workshop.raw.look_up(DAYS[1], version=[odd | {"status": "Published"}], user=[{"id": 3, "username": "cy"}])
    workshop.build()
    assert workshop.sql(told) == [(10, "Pony", "Published"), (11, "Flux", "Published")]
    assert [row[1:4] for row in workshop.sql(set_aside)] == [("version", f"{10**15}", "record")]


def test_a_broken_answer_that_is_no_document_is_told_in_the_quarantine_and_counts_in_no_balance(
    workshop: Workshop,
) -> None:
    workshop.raw.crawl(DAYS[0], model=[model(1)])
    row = {
        "crawl_id": "2026-01-01.lookup",
        "snapshot_date": DAYS[0],
        "kind": "version",
        "request": "/model-versions/5",
        "position": 0,
        "fetched_at": datetime(2026, 1, 1, 12, tzinfo=UTC),
        "reason": "it answered 500",
        "payload": b"<html>",
    }
    workshop.raw._insert({REJECTS.name: [row]}, {REJECTS.name: REJECTS})
    report = workshop.build()
    assert all(counts.quarantined == 0 for counts in report.record_counts)
    assert workshop.sql("SELECT kind, reason, payload FROM star.ops_quarantine") == [
        ("version", "it answered 500 - item 0 of /model-versions/5", "<html>")
    ]


def test_a_path_that_no_declaration_knows_is_told_once(workshop: Workshop) -> None:
    workshop.raw.crawl(DAYS[0], model=[model(1)])
    for number in (1, 2):
        workshop.raw.look_up(DAYS[number], version=[DETAIL | {"novelty": number}])
        workshop.build()
    drift = workshop.sql("SELECT kind, path, day(first_seen_on), example FROM star.ops_drift WHERE kind = 'version'")
    assert drift == [("version", "$.novelty", 2, "1")]


def test_with_look_ups_and_no_snapshot_there_is_a_star_without_days(workshop: Workshop) -> None:
    look_up_everything(workshop, DAYS[0])
    assert workshop.build().published
    assert workshop.value("SELECT count(*) FROM star.model_version_detail") == 2
    assert workshop.value("SELECT count(*) FROM star.dim_date") == 0
    workshop.raw.crawl(DAYS[1], model=[model(1)])
    workshop.build()
    assert workshop.rebuild_into("again").files() == workshop.files()
