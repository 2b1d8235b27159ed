"""Single versions, hash look-ups, users and what belongs to the member of the key, in the specification's dialect."""

import json
import urllib.request
from collections.abc import Iterator
from datetime import date

import pytest

from emulator.catalogue import ModelQuery
from emulator.launch import launch
from emulator.spec.catalogue import SimulatedWorld
from tests.emulator.conftest import Client

KEY = {"Authorization": "Bearer test-key"}


@pytest.fixture(scope="module")
def versions(models):
    return [version for model in models for version in model["modelVersions"]]


@pytest.fixture
def fresh() -> Iterator[Client]:
    """An emulator whose vault and clock belong to one test."""
    with launch(models=120) as emulator:
        yield Client(emulator)


def ask(client, path, query=(), body=None, headers=KEY):
    """Status and decoded body; with a body it is a POST."""
    status, _, answer = client.send("POST" if body is not None else "GET", path, query, body, headers)
    return status, json.loads(answer)


def told(client, path, query=(), body=None, headers=KEY):
    status, answer = ask(client, path, query, body, headers)
    assert status == 200, answer
    return answer


def test_a_version_is_what_stands_in_its_model(simulated, versions, validate):
    for version in versions[:40]:
        answer = simulated.json(f"/model-versions/{version['id']}")
        assert answer == version
        validate("ModelVersion", answer)


def test_a_mini_version_has_the_fields_of_its_schema(simulated, versions, validate):
    for version in versions[:40]:
        answer = simulated.json(f"/model-versions/mini/{version['id']}")
        assert answer == {key: version[key] for key in ("id", "modelId", "name", "baseModel", "air", "downloadUrl")}
        validate("ModelVersionMini", answer)


@pytest.mark.parametrize("path", ["/model-versions/{}", "/model-versions/mini/{}"])
def test_an_unknown_version_is_a_404_and_no_integer_a_400(simulated, path, validate):
    for unknown in (0, -1, 1, 10**9, 10**40):
        status, answer = ask(simulated, path.format(unknown))
        assert status == 404
        assert answer["message"] == f"No model version with id {unknown}"
        validate("Error", answer)
    status, answer = ask(simulated, path.format("first"))
    assert (status, answer["message"]) == (400, "id must be an integer, not 'first'")


def test_versions_that_are_not_shown_are_not_found(simulated, versions):
    shown = {version["id"] for version in versions}
    world = SimulatedWorld(400, 1)
    hidden = set(world.columns.version_id.tolist()) - shown
    assert len(hidden) > 100
    for version_id in sorted(hidden)[:: len(hidden) // 20]:
        assert simulated.get(f"/model-versions/{version_id}")[0] == 404


def test_every_hash_of_every_file_leads_to_its_version(simulated, versions):
    owners: dict[str, list[dict]] = {}
    for version in versions:
        for file in version["files"]:
            for text in file["hashes"].values():
                owners.setdefault(text, []).append(version)
    for text, candidates in list(owners.items())[::9]:
        oldest = min(candidates, key=lambda version: (version["publishedAt"], version["id"]))
        assert simulated.json(f"/model-versions/by-hash/{text}") == oldest
        assert simulated.json(f"/model-versions/by-hash/{text.lower()}") == oldest
    algorithms = {name for version in versions for file in version["files"] for name in file["hashes"]}
    assert algorithms == {"AutoV1", "AutoV2", "SHA256", "CRC32", "Blake3"}


def test_of_several_versions_with_a_file_the_first_published_answers():
    day = SimulatedWorld(4000, 1).on(date(2026, 1, 1))
    owners: dict[str, list[tuple[str, int]]] = {}
    checkpoints = day.models(ModelQuery(types=("Checkpoint",)))
    for document in checkpoints.documents(0, len(checkpoints)):
        for version in json.loads(document)["modelVersions"]:
            for file in version["files"]:
                if "SHA256" in file["hashes"]:
                    owners.setdefault(file["hashes"]["SHA256"], []).append((version["publishedAt"], version["id"]))
    shared = {text: [number for _, number in sorted(ids)] for text, ids in owners.items() if len(ids) > 1}
    assert shared
    assert day.versions_by_hash(shared) == shared


def test_an_unknown_hash_is_a_404(simulated, versions, validate):
    sha = versions[0]["files"][0]["hashes"]["SHA256"]
    for unknown in ("0" * 64, sha[:20], "not-a-hash", "0x1", "ß"):
        status, answer = ask(simulated, f"/model-versions/by-hash/{urllib.request.quote(unknown)}")
        assert status == 404
        assert unknown in answer["message"]
        validate("Error", answer)


def test_many_hashes_at_once_give_versions_and_ids(simulated, versions, validate):
    known = [
        version["files"][0]["hashes"] for version in versions if version["files"] and version["files"][0]["hashes"]
    ]
    asked = [known[3]["SHA256"], known[0]["Blake3"], "f" * 64, known[3]["SHA256"].lower(), known[7]["CRC32"]]
    found = told(simulated, "/model-versions/by-hash", body=asked, headers={})
    ids = told(simulated, "/model-versions/by-hash/ids", body=asked, headers={})
    assert ids == {text: simulated.json(f"/model-versions/by-hash/{text}")["id"] for text in asked if text != "f" * 64}
    assert [version["id"] for version in found] == list(dict.fromkeys(ids.values()))
    assert found == [next(one for one in versions if one["id"] == version["id"]) for version in found]
    for version in found:
        validate("ModelVersion", version)
    for path, nothing in (("/model-versions/by-hash", []), ("/model-versions/by-hash/ids", {})):
        assert told(simulated, path, body=[]) == told(simulated, path, body=["", "0" * 64]) == nothing
        for body in ({"hashes": []}, "text", [1], [None]):
            status, answer = ask(simulated, path, body=body)
            assert status == 400
            assert answer["message"].startswith("the body must be a list of hashes as JSON")
        assert simulated.send("POST", path)[0] == 400


def test_users_are_found_by_the_beginning_of_their_name(simulated, models, validate):
    everyone = told(simulated, "/users", {"limit": 10_000}, headers={})
    names = [user["username"] for user in everyone]
    assert names == [creator["username"] for creator in simulated.items("/creators", limit=200)]
    assert len({user["id"] for user in everyone}) == len(names) > 50
    for user in everyone:
        validate("User", user)
    beginning = names[10][:3]
    found = told(simulated, "/users", {"username": beginning.upper(), "limit": 1000}, headers={})
    assert [user["username"] for user in found] == [name for name in names if name.startswith(beginning)]
    assert told(simulated, "/users", {"username": names[10]}) == [everyone[10]]
    assert told(simulated, "/users", {"username": "nobody"}) == []
    assert told(simulated, "/users") == everyone[:20]
    assert told(simulated, "/users", {"limit": 3}) == everyone[:3]
    assert told(simulated, "/users", {"limit": 0}) == told(simulated, "/users", {"limit": -1}) == []
    assert ask(simulated, "/users", {"limit": "x"})[0] == 400


OF_THE_MEMBER = (
    ("GET", "/me", {}),
    ("GET", "/permissions/check", {"entityType": "Model", "entityId": 1}),
    ("GET", "/vault/get", {"modelVersionId": 1}),
    ("GET", "/vault/all", {}),
    ("GET", "/vault/check-vault", {}),
    ("POST", "/vault/toggle-version", {}),
)


@pytest.mark.parametrize(("method", "path", "query"), OF_THE_MEMBER)
def test_what_belongs_to_the_member_needs_the_key(simulated, method, path, query, validate):
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Bearer "}, {"Authorization": ""}):
        status, _, answer = simulated.send(method, path, query, {"modelVersionId": 1}, headers)
        assert status == 401
        assert json.loads(answer)["code"] == "UNAUTHORIZED"
        validate("Error", json.loads(answer))
    assert simulated.send(method, path, query, {"modelVersionId": 1}, KEY)[0] in (200, 404)


def test_me_is_the_member_with_a_tier(fresh, validate):
    me = told(fresh, "/me")
    validate("User", me)
    assert (me["id"], me["username"], me["tier"]) == (12345, "test-member", "Silver")
    fresh.emulator.set_tier("Gold")
    assert told(fresh, "/me")["tier"] == "Gold"
    with pytest.raises(RuntimeError, match="one of Free, Founder, Bronze, Silver, Gold, not 'Iron'"):
        fresh.emulator.set_tier("Iron")


def test_permissions_say_whether_the_member_may_see_and_fetch_an_entity(simulated, models, versions, validate):
    image = simulated.items("/images", limit=200)[0]
    known = {
        "Model": models[0]["id"],
        "ModelVersion": versions[0]["id"],
        "Image": image["id"],
        "Post": image["postId"],
    }
    for kind in ("Model", "ModelVersion", "Image", "Post", "Article"):
        for entity_id in (known.get(kind), 1, -1, 10**25):
            if entity_id is None:
                continue
            answer = told(simulated, "/permissions/check", {"entityType": kind, "entityId": entity_id})
            validate("PermissionResult", answer)
            there = entity_id == known.get(kind)
            assert answer == {
                "entityType": kind, "entityId": entity_id,
                "canView": there, "canEdit": False, "canDelete": False, "canDownload": there,
            }  # fmt: skip
    for query, message in (
        ({"entityId": 1}, "entityType is required"),
        ({"entityType": "Model"}, "entityId is required"),
        ({"entityType": "Tag", "entityId": 1}, "entityType must be one of"),
        ({"entityType": "Model", "entityId": "x"}, "entityId must be an integer"),
    ):
        status, answer = ask(simulated, "/permissions/check", query)
        assert status == 400
        assert answer["message"].startswith(message)


def test_a_version_goes_into_the_vault_and_out_again(fresh, validate):
    version = next(v for model in fresh.items("/models") for v in model["modelVersions"] if v["files"])
    size = sum(file["sizeKB"] for file in version["files"])
    assert told(fresh, "/vault/all") == []
    item = told(fresh, "/vault/toggle-version", body={"modelVersionId": version["id"]})
    validate("VaultItem", item)
    assert item == {
        "id": 1, "modelVersionId": version["id"], "modelId": version["modelId"], "status": "Pending",
        "addedAt": "2026-01-01T12:00:00.000Z", "sizeKb": pytest.approx(size),
    }  # fmt: skip
    assert told(fresh, "/vault/get", {"modelVersionId": version["id"]}) == item
    assert told(fresh, "/vault/all") == [item]
    status = told(fresh, "/vault/check-vault")
    validate("VaultStatus", status)
    assert status == {
        "subscribed": True, "storageUsedKb": item["sizeKb"], "storageLimitKb": 50 * 2**20, "tier": "Silver"
    }  # fmt: skip

    fresh.emulator.set_date(date(2026, 1, 2))
    assert told(fresh, "/vault/get", {"modelVersionId": version["id"]}) == item | {"status": "Stored"}
    out = told(fresh, "/vault/toggle-version", body={"modelVersionId": version["id"]})
    assert out == {"modelVersionId": version["id"], "modelId": version["modelId"]}
    assert told(fresh, "/vault/all") == []
    assert told(fresh, "/vault/check-vault")["storageUsedKb"] == 0
    status, answer = ask(fresh, "/vault/get", {"modelVersionId": version["id"]})
    assert (status, answer["message"]) == (404, f"Version {version['id']} is not in the vault")


def test_a_full_vault_refuses_and_says_what_does_not_fit(fresh, validate):
    sizes = {
        version["id"]: sum(file["sizeKB"] for file in version["files"])
        for model in fresh.items("/models")
        for version in model["modelVersions"]
    }
    refused = 0
    used = 0.0
    fresh.emulator.set_tier("Founder")
    for version_id, size in sorted(sizes.items(), key=lambda pair: -pair[1])[:15]:
        status, answer = ask(fresh, "/vault/toggle-version", body={"modelVersionId": version_id})
        if used + size > 20 * 2**20:
            assert status == 403
            assert answer["message"].startswith(f"Version {version_id} ({size:.0f} KB) does not fit into the vault")
            validate("Error", answer)
            refused += 1
        else:
            assert status == 200
            used += size
    assert refused
    stored = told(fresh, "/vault/all")
    assert len(stored) == 15 - refused
    assert used == pytest.approx(told(fresh, "/vault/check-vault")["storageUsedKb"])


def test_without_a_paid_membership_there_is_no_vault_to_fill(fresh):
    version_id = fresh.items("/models")[0]["modelVersions"][0]["id"]
    told(fresh, "/vault/toggle-version", body={"modelVersionId": version_id})
    fresh.emulator.set_tier("Free")
    assert told(fresh, "/vault/check-vault")["subscribed"] is False
    told(fresh, "/vault/toggle-version", body={"modelVersionId": version_id})  # what is in there can be taken out
    status, answer = ask(fresh, "/vault/toggle-version", body={"modelVersionId": version_id})
    assert (status, answer["message"]) == (403, "A Free membership has no vault; a paid one has")


def test_a_toggle_takes_a_known_version_as_json(simulated):
    status, answer = ask(simulated, "/vault/toggle-version", body={"modelVersionId": 1})
    assert (status, answer["message"]) == (404, "No model version with id 1")
    for body in ({}, [], {"modelVersionId": "1"}, {"modelVersionId": None}):
        status, answer = ask(simulated, "/vault/toggle-version", body=body)
        assert status == 400
        assert answer["message"].startswith('the body must be an object like {"modelVersionId": 123} as JSON')
    assert simulated.send("GET", "/vault/toggle-version", headers=KEY)[0] == 405


def test_no_version_lists_a_file_twice():
    """Version 156958 of this catalogue drew the same well-known VAE twice."""
    day = SimulatedWorld(20_260, 1).on(date(2026, 1, 1))
    model = json.loads(day.owner(156958))
    files = next(version["files"] for version in model["modelVersions"] if version["id"] == 156958)
    assert [file["id"] for file in files].count(4) == 1
    checkpoints = day.models(ModelQuery(types=("Checkpoint",)))
    for document in checkpoints.documents(0, 1500):
        for version in json.loads(document)["modelVersions"]:
            ids = [file["id"] for file in version["files"]]
            assert len(ids) == len(set(ids))


def test_a_given_catalogue_answers_for_its_versions_hashes_and_users(tmp_path):
    models = [
        {
            "id": 1, "name": "one", "type": "LORA", "creator": {"username": "ann"}, "modelVersions": [
                {"id": 11, "modelId": 1, "name": "v1", "publishedAt": "2023-02-01T00:00:00.000Z", "files": [
                    {"id": 5, "sizeKB": 12.5, "name": "a.pt", "hashes": {"SHA256": "AB" * 32, "AutoV1": "0f0f0f0f"}},
                    "text", {"hashes": "none"}, {"hashes": {"CRC32": None}},
                ]},
                {"id": 12, "publishedAt": "2023-01-01T00:00:00.000Z", "files": [{"hashes": {"SHA256": "ab" * 32}}]},
                None,
            ],
        },
        {"id": "text", "modelVersions": {"id": 13}},
        {"modelVersions": [{"id": 14}]},
    ]  # fmt: skip
    lines = [json.dumps(model, indent=None) for model in models]
    path = tmp_path / "models.ndjson"
    path.write_text("\n".join(lines), encoding="utf-8")
    with launch(catalogue=path, on=date(2023, 7, 4)) as emulator:
        client = Client(emulator)
        first = client.get("/model-versions/11")[2]
        assert first.decode() in lines[0]  # byte for byte
        assert client.json("/model-versions/12")["modelId"] == 1
        assert client.json("/model-versions/14") == {"id": 14}
        assert client.get("/model-versions/13")[0] == 404
        assert client.json("/model-versions/mini/11") == {"id": 11, "modelId": 1, "name": "v1"}
        assert client.json("/model-versions/by-hash/" + "Ab" * 32)["id"] == 12  # the first published
        assert client.json("/model-versions/by-hash/0F0F0F0F")["id"] == 11
        assert told(client, "/model-versions/by-hash/ids", body=["ab" * 32, "0f0f0f0f", "?"]) == {
            "ab" * 32: 12, "0f0f0f0f": 11
        }  # fmt: skip
        assert [user["username"] for user in client.json("/users", username="A")] == ["ann"]
        item = told(client, "/vault/toggle-version", body={"modelVersionId": 11})
        assert (item["sizeKb"], item["modelId"]) == (12.5, 1)
        assert told(client, "/vault/toggle-version", body={"modelVersionId": 14})["status"] == "Failed"
        for entity, there in ((1, True), (2, False)):
            answer = told(client, "/permissions/check", {"entityType": "Model", "entityId": entity})
            assert answer["canView"] is there
