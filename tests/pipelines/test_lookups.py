"""What is asked for by id, name or hash: every answer, every lack of one, and every broken one has its place."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from emulator.launch import Emulator, launch
from pipelines.api.client import Client
from pipelines.crawl.lookups import LookupBatch, LookupReport, LookupRun, _answers, look_up, lookup_of, watch_list
from pipelines.crawl.snapshot import take_snapshot
from pipelines.errors import CivitaiEtlError
from pipelines.progress import Silent
from pipelines.raw.kinds import LOOKUP_KINDS
from pipelines.raw.loader import Loader
from pipelines.raw.tables import lookup_id
from pipelines.settings import Settings
from tests.pipelines.conftest import DAY, rows, settings_for
from tests.pipelines.service import Reply, Service

Raw = Callable[[str], list[tuple[Any, ...]]]
SHA = [f"{n:064X}" for n in range(1, 8)]


def version(version_id: int, *hashes: str, model_id: int = 7) -> dict[str, Any]:
    files = [{"id": n, "hashes": {"SHA256": text}} for n, text in enumerate(hashes)]
    return {"id": version_id, "modelId": model_id, "stats": {"downloadCount": 5}, "files": files}


def not_found(_: object) -> Reply:
    return Reply({"error": "Model not found"}, 404)


@pytest.fixture
def quick(settings: Settings) -> Settings:
    return settings.model_copy(update={"max_attempts": 1, "retry_minutes": 0.005})


@pytest.fixture
def versions(service: Service) -> dict[int, dict[str, Any]]:
    """Versions that the service has, by id; any other is not found."""
    known = {n: version(n) for n in range(1, 6)}
    for n in range(1, 10):
        service.routes[f"/model-versions/{n}"] = lambda _, n=n: Reply(known[n]) if n in known else not_found(_)
    return known


def test_a_document_its_observation_and_a_tombstone_for_what_is_not_there(
    versions: dict[int, dict[str, Any]], settings: Settings, raw: Raw
) -> None:
    report = look_up(settings, {"versions": ["1", "02", "9", "1"]})
    assert {name: [json.loads(item) for item in items] for name, items in report.found["versions"].items()} == {
        "1": [versions[1]], "2": [versions[2]],
    }  # fmt: skip
    assert (report.unknown, report.unanswered, report.problem) == ({"versions": ["9"]}, {"versions": {}}, None)
    assert raw("select entity_id, payload from raw.version_documents order by 1") == [
        (str(n), json.dumps(versions[n] | {"stats": {}})) for n in (1, 2)
    ]
    assert raw("select snapshot_date, entity_id, crawl_id, metrics from raw.version_observations order by 2") == [
        (DAY, str(n), "2026-01-01.lookup", f'[{{"owner":"version","id":{n},"stats":{{"downloadCount": 5}}}}]')
        for n in (1, 2)
    ]
    assert raw("select snapshot_date, kind, entity_id, crawl_id from raw.tombstones") == [
        (DAY, "version", "9", "2026-01-01.lookup")
    ]


def test_asked_again_on_the_same_date_nothing_is_added_and_on_the_next_an_observation(
    versions: dict[int, dict[str, Any]], settings: Settings, service: Service, raw: Raw
) -> None:
    counts = (
        "select (select count(*) from raw.version_documents), (select count(*) from raw.version_observations), "
        "(select count(*) from raw.tombstones)"
    )
    look_up(settings, {"versions": ["1", "9"]})
    look_up(settings, {"versions": ["1", "9"]})
    assert raw(counts) == [(1, 1, 1)]
    service.date = "Fri, 02 Jan 2026 12:00:00 GMT"
    look_up(settings, {"versions": ["1", "9"]})
    assert raw(counts) == [(1, 2, 2)]


def test_it_makes_no_date_look_like_a_snapshot(
    versions: dict[int, dict[str, Any]], settings: Settings, service: Service, raw: Raw
) -> None:
    look_up(settings, {"versions": ["1"]})
    assert raw("select count(*) from information_schema.tables where table_name = 'snapshots'") == [(0,)]
    service.pages("/models", lambda: [{"id": 1}])
    assert take_snapshot(settings, DAY).crawl_id == "2026-01-01.1"
    look_up(settings, {"versions": ["2"]})
    assert take_snapshot(settings, DAY).already_complete


def test_the_date_is_that_of_the_services_clock_unless_one_is_given(
    versions: dict[int, dict[str, Any]], settings: Settings, service: Service, raw: Raw
) -> None:
    service.date = "Sat, 03 Jan 2026 00:00:01 GMT"
    look_up(settings, {"versions": ["1"]})
    look_up(settings, {"versions": ["1"]}, on=DAY)
    assert raw("select day(snapshot_date) from raw.version_observations order by 1") == [(1,), (3,)]


def test_a_broken_answer_is_kept_and_the_rest_goes_on(
    versions: dict[int, dict[str, Any]], quick: Settings, service: Service, raw: Raw
) -> None:
    service.routes["/model-versions/2"] = lambda _: Reply(b"<html>down</html>")
    service.routes["/model-versions/3"] = lambda _: Reply({"id": 77})
    service.routes["/model-versions/4"] = lambda _: Reply({"name": "nobody"})
    report = look_up(quick, {"versions": ["1", "2", "3", "4", "5"]})
    assert list(report.found["versions"]) == ["1", "5"]
    assert sorted(report.unanswered["versions"]) == ["2", "3", "4"]
    assert raw("select request, kind, payload from raw.rejects order by 1") == [
        ("/model-versions/2", "version", b"<html>down</html>"),
        ("/model-versions/3", "version", b'{"id": 77}'),
        ("/model-versions/4", "version", b'{"name": "nobody"}'),
    ]


def test_a_service_that_answers_nothing_usable_ends_it_and_what_came_before_is_loaded(
    versions: dict[int, dict[str, Any]], quick: Settings, service: Service, raw: Raw
) -> None:
    for n in range(2, 10):
        service.routes[f"/model-versions/{n}"] = lambda _: Reply(b"broken", 500)
    report = look_up(quick, {"versions": [str(n) for n in range(1, 10)], "minis": ["1"]})
    assert "answered 500" in (report.problem or "")
    assert list(report.found["versions"]) == ["1"]
    assert [why for why in report.unanswered["versions"].values() if why == "not asked"] == ["not asked"] * 8
    assert report.unanswered["minis"] == {"1": "not asked"}
    assert raw("select entity_id from raw.version_observations") == [("1",)]


@pytest.mark.parametrize("length", [1, 2, 3, 6, 7, 8, 9, 10, 30])
@pytest.mark.parametrize("number", [2, 8])
def test_an_outage_has_nothing_set_aside(
    settings: Settings, service: Service, monkeypatch: pytest.MonkeyPatch, number: int, length: int
) -> None:
    monkeypatch.setattr("pipelines.api.pacing._FIRST_WAIT", 0.001)
    monkeypatch.setattr("pipelines.api.pacing._LONGEST_WAIT", 0.01)
    wanted = [str(n) for n in range(1, number + 1)]
    for text in wanted[:-1]:
        service.replies(f"/model-versions/{text}", Reply(version(int(text))))
    service.replies(f"/model-versions/{number}", not_found({}))
    service.posts["/model-versions/by-hash"] = lambda body: Reply([version(int(text, 16), text) for text in body])
    service.outage(2, length)
    report = look_up(settings.model_copy(update={"max_attempts": 2}), {"versions": wanted, "hashes": SHA})
    assert (report.problem, report.unanswered) == (None, {"versions": {}, "hashes": {}})
    assert sorted(report.found["versions"]) == wanted[:-1]
    assert report.unknown["versions"] == wanted[-1:]
    assert set(report.found["hashes"]) == {*SHA}
    service.outage(2, length)
    hashes = look_up(settings.model_copy(update={"max_attempts": 2}), {"hashes": SHA, "versions": wanted})
    assert (hashes.problem, hashes.unanswered) == (None, {"versions": {}, "hashes": {}})


def test_hashes_go_out_a_hundred_at_once_and_come_in_any_order_doubled_and_in_part(
    settings: Settings, service: Service, raw: Raw
) -> None:
    asked: list[list[str]] = []

    def answer(body: list[str]) -> Reply:
        asked.append(body)
        known = [version(int(text, 16), text) for text in body if int(text, 16) % 2]
        return Reply([*reversed(known), *known[:1]])

    service.posts["/model-versions/by-hash"] = answer
    wanted = [f"{n:064x}" for n in range(1, 231)]
    report = look_up(settings, {"hashes": wanted})
    assert [len(body) for body in asked] == [100, 100, 30]
    assert [text for body in asked for text in body] == [text.upper() for text in wanted]
    assert set(report.found["hashes"]) == {text.upper() for text in wanted[::2]}
    assert set(report.unknown["hashes"]) == {text.upper() for text in wanted[1::2]}
    assert raw("select count(*), count(distinct entity_id) from raw.version_observations") == [(115, 115)]
    assert raw("select count(*) from raw.hash_match_observations") == [(115,)]
    assert raw("select count(*) from raw.tombstones where kind = 'hash_match'") == [(115,)]
    assert raw(f"select payload from raw.hash_match_documents where entity_id = '{SHA[0]}'") == [
        (f'{{"hash":"{SHA[0]}","matches":[{{"modelVersionId":1,"modelId":7}}]}}',)
    ]


def test_an_answer_with_nulls_denies_nothing(settings: Settings, service: Service, raw: Raw) -> None:
    service.posts["/model-versions/by-hash"] = lambda _: Reply([None, version(1, SHA[0])])
    report = look_up(settings, {"hashes": SHA[:3]})
    assert list(report.found["hashes"]) == [SHA[0]]
    assert report.unknown["hashes"] == []
    assert list(report.unanswered["hashes"]) == SHA[1:3]
    assert raw("select count(*) from information_schema.tables where table_name = 'tombstones'") == [(0,)]


def test_one_that_breaks_a_batch_is_found_by_halves(quick: Settings, service: Service, raw: Raw) -> None:
    asked: list[int] = []

    def answer(body: list[str]) -> Reply:
        asked.append(len(body))
        if SHA[4] in body:
            return Reply({"error": "x"}, 500)
        return Reply([version(int(text, 16), text) for text in body])

    service.posts["/model-versions/by-hash"] = answer
    report = look_up(quick, {"hashes": SHA})
    assert set(report.found["hashes"]) == {*SHA} - {SHA[4]}
    assert list(report.unanswered["hashes"]) == [SHA[4]]
    assert asked == [7, 3, 4, 2, 1, 1, 2, 1], "the last is the one that fails, once more after a good answer"
    assert raw("select request, payload from raw.rejects") == [(f"/model-versions/by-hash {SHA[4]}", b'{"error": "x"}')]


@pytest.mark.parametrize("shape", ["list", "map"])
def test_the_ids_of_hashes_come_as_a_list_or_as_a_map(
    shape: str, settings: Settings, service: Service, raw: Raw
) -> None:
    """docs/api-notes.md, 4: a list; the specification: a map."""
    listed = [
        {"modelVersionId": 21, "modelId": 2, "hash": SHA[1]},
        {"modelVersionId": 12, "modelId": 1, "hash": SHA[0]},
        {"modelVersionId": 11, "modelId": 1, "hash": SHA[0].lower()},
    ]
    mapped = {SHA[0]: 11, SHA[1].lower(): 21}
    service.posts["/model-versions/by-hash/ids"] = lambda _: Reply(listed if shape == "list" else mapped)
    report = look_up(settings, {"hash-ids": SHA[:3]})
    assert set(report.found["hash-ids"]) == {SHA[0], SHA[1]}
    assert report.unknown["hash-ids"] == [SHA[2]]
    documents = dict(raw("select entity_id, payload from raw.hash_match_documents"))
    matched = {
        text: [match["modelVersionId"] for match in json.loads(documents[text])["matches"]] for text in documents
    }
    assert matched == {SHA[0]: [11, 12] if shape == "list" else [11], SHA[1]: [21]}


def test_ten_thousand_ids_of_hashes_go_out_at_once(settings: Settings, service: Service) -> None:
    sizes: list[int] = []

    def answer(body: list[str]) -> Reply:
        sizes.append(len(body))
        return Reply([])

    service.posts["/model-versions/by-hash/ids"] = answer
    look_up(settings, {"hash-ids": [f"{n:064X}" for n in range(10_001)]})
    assert sizes == [10_000, 1]


def test_a_hash_of_any_kind_is_asked_for_alone_and_names_its_version(
    settings: Settings, service: Service, raw: Raw
) -> None:
    service.routes["/model-versions/by-hash/5F06AA6F"] = lambda _: Reply(version(1, SHA[0]))
    service.routes["/model-versions/by-hash/00000000"] = not_found
    report = look_up(settings, {"hash": ["5f06aa6f", "00000000"]})
    assert list(report.found["hash"]) == ["5F06AA6F"]
    assert raw("select entity_id from raw.version_observations") == [("1",)]
    assert raw("select entity_id from raw.hash_match_observations") == [("5F06AA6F",)]
    assert raw("select kind, entity_id from raw.tombstones") == [("hash_match", "00000000")]


@pytest.mark.parametrize("shape", ["live", "spec"])
def test_a_user_is_picked_by_name_from_what_the_search_finds(
    shape: str, settings: Settings, service: Service, raw: Raw
) -> None:
    users = [{"id": 1, "username": "Ann"}, {"id": 2, "username": "anna"}, {"id": 3, "username": None}]
    argument = "query" if shape == "live" else "username"

    def answer(query: dict[str, str]) -> Reply:
        found = [user for user in users[:2] if str(user["username"]).casefold().startswith(query[argument].casefold())]
        return Reply({"items": found} if shape == "live" else found)

    service.routes["/users"] = answer
    report = look_up(settings.model_copy(update={"dialect": shape}), {"users": ["aNN", "bob"]})
    assert [json.loads(item) for item in report.found["users"]["aNN"]] == [users[0]]
    assert report.unknown["users"] == ["bob"]
    assert raw("select entity_id from raw.user_observations") == [("1",)]
    assert raw("select kind, entity_id from raw.tombstones") == [("user", "bob")]


@pytest.mark.parametrize(("namesakes", "is_known"), [(4, True), (5, False), (8, False)])
def test_a_search_that_is_full_of_others_does_not_say_that_a_name_is_unknown(
    settings: Settings, service: Service, namesakes: int, is_known: bool
) -> None:
    users = [{"id": n, "username": f"anna{n}"} for n in range(namesakes)]
    service.routes["/users"] = lambda _: Reply({"items": users[:5]})
    report = look_up(settings.model_copy(update={"dialect": "live"}), {"users": ["anna"]})
    assert report.unknown["users"] == (["anna"] if is_known else [])
    assert list(report.unanswered["users"]) == ([] if is_known else ["anna"])
    tables = rows(settings, "select table_name from information_schema.tables where table_schema = 'raw'")
    assert (("tombstones",) in tables) == is_known


def test_users_are_asked_for_by_id_many_at_once(settings: Settings, service: Service) -> None:
    def answer(query: dict[str, str]) -> Reply:
        wanted = [int(text) for text in query["ids"].split(",")]
        return Reply({"items": [{"id": n, "username": f"user {n}"} for n in reversed(wanted) if n % 2]})

    service.routes["/users"] = answer
    report = look_up(settings.model_copy(update={"dialect": "live"}), {"user-ids": [str(n) for n in range(1, 151)]})
    assert [len(query["ids"].split(",")) for query in service.asked("/users")] == [100, 50]
    assert (len(report.found["user-ids"]), len(report.unknown["user-ids"])) == (75, 75)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("versions", "12a", "versions: expected a number from 1 to 2147483647, found '12a'."),
        ("minis", "2147483648", "a number from 1 to 2147483647"),
        ("versions", "0", "a number from 1"),
        ("users", " ", "a name"),
        ("hash", "1234567", "8 to 64 hexadecimal digits"),
        ("hash", "1234567G", "8 to 64 hexadecimal digits"),
        ("hashes", "A" * 63, "a SHA256, 64 hexadecimal digits"),
        ("hash-ids", "A" * 65, "a SHA256"),
        ("models", "1", "There is no look-up 'models' in the dialect spec: take one of users, versions"),
    ],
)
def test_what_cannot_be_asked_for_is_told_before_anything_is_asked(
    name: str, text: str, expected: str, settings: Settings, service: Service
) -> None:
    with pytest.raises(CivitaiEtlError, match=expected):
        look_up(settings, {"versions": ["1"], name: [text]})
    assert service.requests == []


def test_a_watch_list_is_looked_up_once_a_date(
    versions: dict[int, dict[str, Any]], settings: Settings, service: Service
) -> None:
    service.routes["/users"] = lambda query: Reply([{"id": 5, "username": "Ann"}])
    service.routes |= {f"/model-versions/mini/{n}": not_found for n in (1, 9)}
    take_snapshot(settings, DAY)
    watching = settings.model_copy(update={"watch_versions": (1, 9), "watch_users": ("ANN", "Bob")})
    wanted = {"versions": ["1", "9"], "minis": ["1", "9"], "users": ["ANN", "Bob"]}
    assert watch_list(watching, DAY) == wanted
    look_up(watching, wanted, on=DAY)
    assert watch_list(watching, DAY) == {}
    assert watch_list(watching, DAY + timedelta(1)) == wanted
    assert watch_list(settings, DAY) == {}


def test_a_load_that_a_kill_cut_off_is_finished_first(
    versions: dict[int, dict[str, Any]], settings: Settings, raw: Raw
) -> None:
    look_up(settings, {"versions": ["3"]})
    batch = LookupBatch(lookup_of(settings, "versions"), ["1", "2"], LookupRun(Client(settings), Silent(), None))
    Loader(settings.directory)._extract(_answers([batch]))
    look_up(settings, {"versions": ["2", "4"]})
    for table in ("version_documents", "version_observations"):
        assert raw(f"select entity_id from raw.{table} order by 1") == [("1",), ("2",), ("3",), ("4",)]


@pytest.fixture(scope="module", params=["spec", "live"])
def emulated(request: pytest.FixtureRequest) -> Iterator[tuple[str, Emulator]]:
    with launch(models=40, dialect=request.param) as emulator:
        yield request.param, emulator


def known_things(settings: Settings) -> dict[str, list[str]]:
    """What there is to ask for in an emulated catalogue, from a snapshot of it, with one unknown of each."""
    documents = [json.loads(text) for (text,) in rows(settings, "select payload from raw.model_documents")]
    found = [version for document in documents for version in document["modelVersions"]]
    ids = [str(version["id"]) for version in found][:6]
    hashes = [file["hashes"]["SHA256"] for version in found for file in version["files"]][:8]
    names = sorted({document["creator"]["username"] for document in documents if document.get("creator")} - {None})
    return {
        "versions": [*ids, "99999999"],
        "minis": [*ids, "99999999"],
        "users": [*names[:3], "nobody at all"],
        "hash": [hashes[0][:10], "00000000"],
        "hashes": [*hashes, "0" * 64],
        "hash-ids": [*hashes, "0" * 64],
    }


def test_every_look_up_finds_what_an_emulated_service_has_and_only_that(
    emulated: tuple[str, Emulator], tmp_path: Path
) -> None:
    dialect, emulator = emulated
    settings = settings_for(emulator.api_url, tmp_path, dialect=dialect)
    take_snapshot(settings, DAY)
    wanted = known_things(settings)
    report: LookupReport = look_up(settings, wanted)
    assert report.problem is None
    for name, texts in wanted.items():
        asked = [text.upper() if name.startswith("hash") else text for text in texts]
        assert report.unanswered[name] == {}
        assert report.unknown[name] == asked[-1:], name
        assert set(report.found[name]) == set(asked[:-1]), name
    for kind in LOOKUP_KINDS:
        assert rows(settings, f"select distinct snapshot_date, crawl_id from raw.{kind}_observations") == [
            (DAY, lookup_id(DAY))
        ]


def test_two_versions_with_equal_documents_that_do_not_name_them_keep_one_each(
    service: Service, settings: Settings, raw: Raw
) -> None:
    for version_id in (10, 20):
        service.replies(f"/model-versions/mini/{version_id}", Reply({"versionName": "v1", "baseModel": "SD 1.5"}))
    look_up(settings, {"minis": ["10", "20"]})
    assert raw("select entity_id from raw.version_mini_documents order by 1") == [("10",), ("20",)]
    assert raw("select count(distinct content_hash) from raw.version_mini_documents") == [(1,)]
