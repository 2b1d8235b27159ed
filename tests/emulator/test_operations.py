"""Each operation of the Site API: every parameter on known ids, paging, refusals and errors."""

import json
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl

import pytest

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def ids(items):
    return [item["id"] for item in items]


def last_version_at(model):
    return max((version["publishedAt"] for version in model["modelVersions"]), default="")


def test_a_walk_over_all_pages_sees_every_model_exactly_once(simulated, models):
    for limit in (7, 100):
        walked = ids(simulated.items("/models", limit=limit))
        assert len(walked) == len(set(walked))
        assert set(walked) == set(ids(models))
    assert 380 <= len(models) <= 420


def test_the_same_query_gives_the_same_order_again(simulated):
    for sort in ("Highest Rated", "Most Downloaded", "Newest"):
        assert simulated.items("/models", sort=sort) == simulated.items("/models", sort=sort, limit=33)


def test_page_metadata_says_where_one_is_and_links_keep_the_query(simulated, models):
    middle = simulated.json(
        "/models", ("types", "LORA"), ("types", "LoCon"), limit=10, page=2, sort="Newest", nsfw="false"
    )
    metadata = middle["metadata"]
    expected = [model for model in models if model["type"] in ("LORA", "LoCon") and not model["nsfw"]]
    assert metadata["currentPage"] == 2
    assert metadata["pageSize"] == 10
    assert metadata["totalItems"] == len(expected)
    assert metadata["totalPages"] == -(-len(expected) // 10)
    start = simulated.emulator.api_url + "/models?types=LORA&types=LoCon&limit=10&sort=Newest&nsfw=false&page="
    assert metadata["nextPage"] == start + "3"
    assert metadata["prevPage"] == start + "1"


def test_the_first_page_has_no_previous_and_the_last_no_next_one(simulated, models):
    first = simulated.json("/models", limit=100)["metadata"]
    assert "prevPage" not in first
    last = simulated.json("/models", limit=100, page=first["totalPages"])
    assert "nextPage" not in last["metadata"]
    assert len(last["items"]) == len(models) - 100 * (first["totalPages"] - 1)


def test_a_page_after_the_last_one_is_empty(simulated):
    for page in (999, 10**30):
        answer = simulated.json("/models", page=page)
        assert answer["items"] == []
        assert "nextPage" not in answer["metadata"]


def test_limits_default_to_what_the_specification_says(simulated):
    for path, size in (("/models", 100), ("/images", 100), ("/creators", 20), ("/tags", 20)):
        page = simulated.json(path)
        assert len(page["items"]) == page["metadata"]["pageSize"] == size


def test_query_finds_models_by_a_part_of_their_name_in_any_case(simulated, models):
    word = models[0]["name"].split()[0]
    expected = {model["id"] for model in models if word.casefold() in model["name"].casefold()}
    assert set(ids(simulated.items("/models", query=word.upper()))) == expected
    assert simulated.items("/models", query="no such name") == []


def test_tag_finds_exactly_the_models_that_have_it(simulated, models):
    for tag in ("style", models[3]["tags"][-1]):
        expected = {model["id"] for model in models if tag in model["tags"]}
        assert expected
        assert set(ids(simulated.items("/models", tag=tag))) == expected
    assert simulated.items("/models", tag="no such tag") == []


def test_username_finds_the_models_of_a_creator(simulated, models):
    username = next(model["creator"]["username"] for model in models if "creator" in model)
    expected = {model["id"] for model in models if model.get("creator", {}).get("username") == username}
    assert set(ids(simulated.items("/models", username=username))) == expected
    assert set(ids(simulated.items("/models", username=username.lower()))) == expected
    assert simulated.items("/models", username="nobody") == []


def test_types_are_repeated_and_add_up(simulated, models):
    lora = set(ids(simulated.items("/models", ("types", "LORA"))))
    checkpoint = set(ids(simulated.items("/models", ("types", "Checkpoint"))))
    assert lora == {model["id"] for model in models if model["type"] == "LORA"}
    assert checkpoint
    assert set(ids(simulated.items("/models", ("types", "LORA"), ("types", "Checkpoint")))) == lora | checkpoint


def test_sort_orders_by_downloads_by_thumbs_and_by_the_latest_version(simulated):
    downloads = [model["stats"]["downloadCount"] for model in simulated.items("/models", sort="Most Downloaded")]
    assert downloads == sorted(downloads, reverse=True)
    thumbs = [model["stats"]["thumbsUpCount"] for model in simulated.items("/models", sort="Highest Rated")]
    assert thumbs == sorted(thumbs, reverse=True)
    newest = [last_version_at(model)[:19] for model in simulated.items("/models", sort="Newest")]
    assert newest == sorted(newest, reverse=True)


def test_period_leaves_models_with_a_version_of_that_time(simulated, models):
    counts = []
    for period, days in (("Day", 1), ("Week", 7), ("Month", 30), ("Year", 365)):
        since = (NOON - timedelta(days=days)).isoformat()
        expected = {model["id"] for model in models if last_version_at(model) >= since}
        assert set(ids(simulated.items("/models", period=period))) == expected
        counts.append(len(expected))
    assert 0 < counts[1] < counts[2] < counts[3] < len(models)
    assert set(ids(simulated.items("/models", period="AllTime"))) == set(ids(models))


def test_nsfw_filters_on_the_field_and_its_absence_on_nothing(simulated, models):
    mature, other = simulated.items("/models", nsfw="true"), simulated.items("/models", nsfw="false")
    assert mature
    assert all(model["nsfw"] for model in mature)
    assert not any(model["nsfw"] for model in other)
    assert set(ids(mature)) | set(ids(other)) == set(ids(models))


def test_a_model_by_its_id_is_the_item_of_the_list(simulated, models):
    for model in models[:40]:
        assert simulated.json(f"/models/{model['id']}") == model


def test_an_unknown_id_is_a_404_with_the_error_schema(simulated, models):
    known = set(ids(models))
    for unknown in (max(known) + 1_000_000, 0, -5, 10**40, next(i for i in range(min(known), 10**6) if i not in known)):
        status, _, body = simulated.get(f"/models/{unknown}")
        assert status == 404
        assert json.loads(body) == {
            "error": "Not found",
            "message": f"No model with id {unknown}",
            "code": "NOT_FOUND",
        }


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/models", "limit=0"),
        ("/models", "limit=201"),
        ("/models", "limit=-1"),
        ("/models", "limit=ten"),
        ("/models", "limit="),
        ("/models", "limit=1.5"),
        ("/models", "limit=٣"),
        ("/models", "limit=10&limit=20"),
        ("/models", "page=0"),
        ("/models", "page=first"),
        ("/models", "types=Lora"),
        ("/models", "types=LORA,LoCon"),
        ("/models", "types=LORA&types=Nothing"),
        ("/models", "sort=Oldest"),
        ("/models", "period=Decade"),
        ("/models", "nsfw=maybe"),
        ("/models", "nsfw=1"),
        ("/models/abc", ""),
        ("/models/1.0", ""),
        ("/images", "limit=201"),
        ("/images", "nsfw=true"),
        ("/images", "sort=Oldest"),
        ("/images", "period=Hour"),
        ("/images", "postId=x"),
        ("/images", "modelId=x"),
        ("/images", "modelVersionId=1e3"),
        ("/images", "page=x"),
        ("/creators", "limit=201"),
        ("/creators", "page=x"),
        ("/tags", "limit=201"),
        ("/tags", "limit=x"),
    ],
)
def test_what_the_schema_refuses_is_a_400_that_names_the_parameter(simulated, path, query):
    status, headers, body = simulated.get(path, parse_qsl(query, keep_blank_values=True))
    error = json.loads(body)
    assert status == 400
    assert headers["content-type"] == "application/json"
    assert set(error) == {"error", "message", "code"}
    assert error["message"].startswith(query.partition("=")[0] or "id")


def test_what_the_schema_does_not_bound_is_answered(simulated):
    for path in ("/images", "/creators", "/tags"):
        assert simulated.json(path, limit=0)["items"] == []
        assert simulated.json(path, limit=-3)["items"] == []
        assert simulated.json(path, page=-1) == simulated.json(path, page=0) | {
            "metadata": simulated.json(path, page=-1)["metadata"]
        }


def test_an_unknown_parameter_is_ignored(simulated):
    assert simulated.json("/models", limit=3, colour="blue")["items"] == simulated.json("/models", limit=3)["items"]


def test_reads_need_no_key_but_a_wrong_key_is_told(simulated):
    for path in ("/models", "/models/1000", "/images", "/creators", "/tags", "/enums"):
        status, _, body = simulated.get(path, headers={"Authorization": "Bearer wrong"})
        assert status == 401
        assert json.loads(body)["code"] == "UNAUTHORIZED"
    for headers in ({}, {"Authorization": "Bearer test-key"}):
        assert simulated.get("/enums", headers=headers)[0] == 200


def test_an_unknown_path_or_method_has_the_error_schema(simulated):
    status, _, body = simulated.get("/nothing")
    assert status == 404
    assert json.loads(body)["message"] == "Nothing is served at /api/v1/nothing"
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(simulated.emulator.api_url + "/models", data=b"{}")
    assert refused.value.code == 405
    assert json.loads(refused.value.read())["code"] == "METHOD_NOT_ALLOWED"


def test_every_answer_bears_the_emulators_own_time(simulated):
    for path in ("/models", "/nothing"):
        assert simulated.get(path)[1]["date"] == "Thu, 01 Jan 2026 12:00:00 GMT"


def test_images_come_newest_first_with_ids_that_rise_with_their_creation(simulated):
    images = simulated.items("/images", limit=200)
    assert len(images) > 1000
    assert ids(images) == sorted(set(ids(images)), reverse=True)
    created = [image["createdAt"][:19] for image in images]
    assert created == sorted(created, reverse=True)
    assert created[0] <= NOON.isoformat()
    assert simulated.items("/images", limit=200, sort="Newest") == images


def test_images_are_found_by_post_model_version_and_user(simulated, models):
    images = simulated.items("/images", limit=200)
    first = images[0]
    assert {image["id"] for image in simulated.items("/images", postId=first["postId"])} == {
        image["id"] for image in images if image["postId"] == first["postId"]
    }
    by_user = simulated.items("/images", username=first["username"], limit=200)
    assert ids(by_user) == [image["id"] for image in images if image["username"] == first["username"]]
    known = set(ids(images))
    by_model = {
        model["id"]: set(ids(simulated.items("/images", modelId=model["id"], limit=200))) for model in models[:30]
    }
    assert any(by_model.values())
    for model in models[:30]:
        versions = [
            set(ids(simulated.items("/images", modelVersionId=v["id"], limit=200))) for v in model["modelVersions"]
        ]
        assert set().union(*versions) <= by_model[model["id"]] <= known
    for filters in ({"postId": 1}, {"modelId": 1}, {"modelVersionId": 10**25}, {"username": "nobody"}):
        assert simulated.items("/images", **filters) == []


def test_images_filter_by_level_and_period_and_sort_by_counters(simulated):
    images = simulated.items("/images", limit=200)
    seen = 0
    for name, highest in (("None", 1), ("Soft", 2), ("Mature", 4), ("X", 16)):
        expected = [image["id"] for image in images if image["nsfwLevel"] <= highest]
        assert ids(simulated.items("/images", nsfw=name, limit=200)) == expected
        assert len(expected) > seen
        seen = len(expected)
    week = simulated.items("/images", period="Week", limit=200)
    since = (NOON - timedelta(days=7)).isoformat()
    assert ids(week) == [image["id"] for image in images if image["createdAt"][:19] >= since[:19]]
    for sort, counter in (("Most Reactions", "thumbsUpCount"), ("Most Comments", "commentCount")):
        ordered = [image["stats"][counter] for image in simulated.items("/images", sort=sort, limit=200)]
        assert ordered == sorted(ordered, reverse=True)
        assert ordered[0] > 0


def test_creators_are_those_of_the_models_with_their_number(simulated, models):
    creators = simulated.items("/creators", limit=200)
    counts = {creator["username"]: creator["modelCount"] for creator in creators}
    assert len(counts) == len(creators)
    owned: dict[str, int] = {}
    for model in models:
        if "creator" in model:
            owned[model["creator"]["username"]] = owned.get(model["creator"]["username"], 0) + 1
            assert {**counts}[model["creator"]["username"]]
    assert {name: count for name, count in counts.items() if count} == owned
    part = creators[0]["username"][1:5].upper()
    assert {one["username"] for one in simulated.items("/creators", query=part)} == {
        name for name in counts if part.casefold() in name.casefold()
    }


def test_tags_come_with_the_number_of_models_that_have_them_the_commonest_first(simulated, models):
    tags = simulated.items("/tags", limit=200)
    counts = {tag["name"]: tag["modelCount"] for tag in tags}
    assert len(counts) == len(tags)
    used: dict[str, int] = {}
    for model in models:
        for tag in model["tags"]:
            used[tag] = used.get(tag, 0) + 1
    assert {name: count for name, count in counts.items() if count} == used
    assert list(counts.values()) == sorted(counts.values(), reverse=True)
    assert {tag["name"] for tag in simulated.items("/tags", query="OWL")} == {name for name in counts if "owl" in name}


def test_enums_name_every_type_and_base_model_that_is_served(simulated, models):
    enums = simulated.json("/enums")
    assert {model["type"] for model in models} <= set(enums["ModelType"])
    versions = [version for model in models for version in model["modelVersions"]]
    assert {version["baseModel"] for version in versions} <= set(enums["BaseModel"])
    assert {file["type"] for version in versions for file in version["files"]} <= set(enums["ModelFileType"])
