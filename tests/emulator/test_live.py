"""The live dialect, quirk for quirk. Numbers in the docstrings are sections of docs/api-notes.md."""

import json
import re
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import chain
from urllib.parse import parse_qsl, urlsplit

import pytest

from emulator.launch import launch
from emulator.live.day import LiveDay
from emulator.live.documents import LiveDocuments
from emulator.live.queries import LiveModelQuery
from emulator.live.traits import EARLY_ACCESS_DAYS, LiveTraits
from emulator.simulation.columns import day_of
from emulator.spec.catalogue import SimulatedWorld
from emulator.truth import live_changes
from tests.emulator.conftest import FIRST_DAY, Client

KEY = {"Authorization": "Bearer test-key"}
COUNTER_SORTS = (
    "Highest Rated", "Most Liked", "Most Downloaded", "Most Discussed", "Most Collected", "Most Images",
)  # fmt: skip


@pytest.fixture(scope="module")
def account(live):
    return live.emulator.account(FIRST_DAY)


@pytest.fixture(scope="module")
def mature(live):
    """The listing of nsfw=true, in the only order that loses nothing."""
    return list(chain(*live.paginate("/models", sort="Oldest", nsfw="true")))


@pytest.fixture(scope="module")
def default(live):
    return list(chain(*live.paginate("/models", sort="Oldest")))


@pytest.fixture(scope="module")
def union(mature, default):
    """Every listed model, as the first of the two listings has it."""
    return {model["id"]: model for model in [*default, *mature]}


@pytest.fixture
def fresh() -> Iterator[Client]:
    with launch(models=120, dialect="live") as emulator:
        yield Client(emulator)


def ids(items):
    return [item["id"] for item in items]


def walk_pairs(client, *pairs, **query):
    """The items of all pages, page by page, with parameters that may be repeated."""
    page = client.json("/models", *pairs, **query)
    yield page["items"]
    while "nextCursor" in page["metadata"]:
        page = client.json("/models", *pairs, **query, cursor=page["metadata"]["nextCursor"])
        yield page["items"]


def refused(client, path, query=(), headers=None):
    """Status and body of an answer that is no success."""
    status, _, body = client.get(path, query, headers)
    assert status >= 400
    return status, json.loads(body)


@dataclass
class EarlyAccess:
    model_id: int
    version_id: int
    published: date


def first_version_in_early_access() -> EarlyAccess:
    """A model of the catalogue of `fresh` whose one version is not public at first, and that is listed later."""
    columns = SimulatedWorld(120, 1).columns
    traits = LiveTraits(columns)
    for version in range(len(columns.version_id)):
        model, published = int(columns.version_model[version]), int(columns.version_published[version])
        month_later = published + EARLY_ACCESS_DAYS
        if (
            columns.version_ordinal[version] == 0
            and traits.public_on[version] == month_later > published > 400
            and not traits.without_primary[version]
            and not (traits.minor[model] or traits.excluded[model])
            and min(traits.archived_on[model], columns.model_gone[model], columns.version_removed[version])
            > month_later
            and columns.version_visible(month_later)[columns.version_model == model].sum() == 1
        ):
            return EarlyAccess(int(columns.model_id[model]), int(columns.version_id[version]), day_of(published))
    raise AssertionError("no such version")


def asked(client, path, body):
    status, _, answer = client.send("POST", path, (), body)
    return status, json.loads(answer)


# /models: paging


def test_page_does_nothing_but_show_up_in_the_metadata(live):
    """0.1, 1: page=2 is page 1 again; only then there are currentPage and pageSize, and nextPage has both."""
    first, second = live.json("/models", limit=10), live.json("/models", limit=10, page=2)
    assert second["items"] == first["items"]
    assert set(first["metadata"]) == {"nextCursor", "nextPage"}
    assert second["metadata"]["currentPage"] == 2
    assert second["metadata"]["pageSize"] == 10
    assert dict(parse_qsl(urlsplit(second["metadata"]["nextPage"]).query)) == {
        "limit": "10", "page": "2", "cursor": first["metadata"]["nextCursor"],
    }  # fmt: skip


def test_too_many_pages_is_a_429_for_ever(live):
    """1: page*limit over 1000, on /models and /images; it bears no Retry-After."""
    for path in ("/models", "/images"):
        assert live.get(path, {"page": 10, "limit": 100})[0] == 200
        status, headers, body = live.get(path, {"page": 11, "limit": 100})
        assert status == 429
        assert "retry-after" not in headers
        assert json.loads(body) == {"error": "You've requested too many pages, please use cursors instead"}


@pytest.mark.parametrize("sort", COUNTER_SORTS)
def test_a_walk_by_counters_loses_nothing_and_repeats_nothing(live, mature, sort):
    """0.2, 1: the boundary row is included; the cursor is counter|counter|id of the first row of the next page."""
    pages = live.paginate("/models", sort=sort, nsfw="true", limit=37)
    walked = ids(chain(*pages))
    assert sorted(walked) == sorted(ids(mature))
    cursor = live.json("/models", sort=sort, nsfw="true", limit=37)["metadata"]["nextCursor"]
    assert re.fullmatch(r"\d+\|\d+\|\d+", cursor)
    if not live.json("/models", sort=sort, nsfw="true", limit=1, cursor=cursor)["items"]:
        return  # its versions are not public yet
    assert cursor.endswith(f"|{pages[1][0]['id']}")


def test_sorts_order_by_their_counters(live):
    """2: Highest Rated goes by thumbs up, there is no rating."""
    for sort, counter in (
        ("Highest Rated", "thumbsUpCount"), ("Most Liked", "thumbsUpCount"), ("Most Discussed", "commentCount"),
    ):  # fmt: skip
        values = [model["stats"][counter] for model in live.json("/models", sort=sort, limit=100)["items"]]
        assert values == sorted(values, reverse=True)
    downloads = [m["stats"]["downloadCount"] for m in live.json("/models", sort="Most Downloaded")["items"]]
    shown = [value for value in downloads if value is not None]
    assert shown == sorted(shown, reverse=True)
    assert live.json("/models")["items"] == live.json("/models", sort="Highest Rated", limit=100)["items"]


def test_newest_loses_one_model_at_each_page_boundary(live, mature):
    """0.2: the cursor is the popped row, and the next page begins strictly after it."""
    whole = live.paginate("/models", sort="Newest", nsfw="true", limit=100)
    pages = live.paginate("/models", sort="Newest", nsfw="true", limit=20)
    walked = ids(chain(*pages))
    lost = set(ids(mature)) - set(walked)
    assert len(walked) == len(set(walked))
    assert len(pages) - 1 >= len(lost) >= len(pages) - 6  # some of the lost ones were not to be seen anyway
    assert len(whole) - 1 >= len(set(ids(mature)) - set(ids(chain(*whole)))) > 0
    cursor = live.json("/models", sort="Newest", nsfw="true", limit=20)["metadata"]["nextCursor"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}\|\d+", cursor)
    assert int(cursor.split("|")[1]) not in walked


def test_oldest_loses_nothing(live, account):
    """0.2: inclusive at the boundary, whatever the limit."""
    for limit in (9, 50):
        assert (
            sorted(ids(chain(*live.paginate("/models", sort="Oldest", nsfw="true", limit=limit))))
            == (account["listed"]["nsfw"])
        )


def test_a_cursor_of_another_sort_is_a_400(live):
    """1: told by the number of its values, or because they cannot be read."""
    counters = live.json("/models", limit=5)["metadata"]["nextCursor"]
    moment = live.json("/models", limit=5, sort="Oldest")["metadata"]["nextCursor"]
    assert refused(live, "/models", {"sort": "Oldest", "cursor": counters}) == (
        400, {"message": "Invalid cursor: expected 2 value(s) for this sort, received 3"},
    )  # fmt: skip
    assert refused(live, "/models", {"cursor": moment})[1] == {
        "message": "Invalid cursor: expected 3 value(s) for this sort, received 2"
    }
    for cursor in ("76:341:146864", "5", "a|b|c", "1|2|", "|1|2"):
        status, body = refused(live, "/models", {"cursor": cursor})
        assert status == 400
        assert body["message"].startswith("Invalid cursor: ")
    for cursor in ("|5", "yesterday|5", "2026-01-01 00:00:00.000|x"):
        assert refused(live, "/models", {"sort": "Newest", "cursor": cursor})[1]["message"].startswith(
            "Invalid cursor: unparseable value"
        )


def test_the_limit_is_0_to_100(live):
    """2: not 200, as the specification says; a refused parameter is a ZodError."""
    assert len(live.json("/models", nsfw="true")["items"]) in range(90, 101)
    assert live.json("/models", limit=0)["items"] == []
    for limit in (101, 200, -1, "ten"):
        status, body = refused(live, "/models", {"limit": limit})
        assert status == 400
        assert body["error"]["name"] == "ZodError"
        assert json.loads(body["error"]["message"])[0]["path"] == ["limit"]


def test_the_last_page_has_empty_metadata(live):
    """1: keys with undefined are absent."""
    page = live.json("/models", limit=50, sort="Oldest")
    while "nextCursor" in page["metadata"]:
        page = live.json("/models", limit=50, sort="Oldest", cursor=page["metadata"]["nextCursor"])
    assert page["metadata"] == {}
    only = live.json("/models", ids=page["items"][0]["id"], page=1)
    assert only["metadata"] == {"currentPage": 1, "pageSize": 100}


def test_an_empty_page_with_a_cursor_is_not_the_end(fresh):
    """0.10, 2: a model without public versions is dropped after the limit."""
    gated = first_version_in_early_access()
    fresh.emulator.set_date(gated.published + timedelta(days=EARLY_ACCESS_DAYS - 1))
    pages = fresh.paginate("/models", sort="Oldest", nsfw="true", limit=1)
    empty = [number for number, page in enumerate(pages) if not page]
    assert empty
    assert empty[0] < len(pages) - 1
    assert gated.model_id not in ids(chain(*pages))


def test_next_page_repeats_the_query_even_the_token(live):
    """1: nextPage keeps all parameters, `token` with them."""
    link = live.json("/models", ("types", "LORA"), ("types", "LoCon"), limit=3, token="secret")["metadata"]["nextPage"]
    query = parse_qsl(urlsplit(link).query)
    assert query[:4] == [("types", "LORA"), ("types", "LoCon"), ("limit", "3"), ("token", "secret")]
    assert query[4][0] == "cursor"
    assert {model["type"] for model in live.json(link)["items"]} <= {"LORA", "LoCon"}


# /models: what is listed


def test_the_two_listings_are_two_catalogues(default, mature, account):
    """0.3: without nsfw=true what has no PG bit is missing, with it what is minor or carries an excluded tag."""
    assert sorted(ids(default)) == account["listed"]["default"]
    assert sorted(ids(mature)) == account["listed"]["nsfw"]
    only_default, only_mature = set(ids(default)) - set(ids(mature)), set(ids(mature)) - set(ids(default))
    assert len(only_default) > 5
    assert len(only_mature) > 30
    assert all(model["nsfwLevel"] & 1 for model in default)
    assert not any(model["nsfwLevel"] & 1 for model in mature if model["id"] in only_mature)
    assert any(model["minor"] for model in default)
    assert not any(model["minor"] for model in mature)
    assert any(not model["minor"] for model in default if model["id"] in only_default)  # an excluded tag
    levels = {
        image["nsfwLevel"] for model in default for version in model["modelVersions"] for image in version["images"]
    }
    assert levels == {1}
    unlisted = set(account["unlisted"]["models"])
    assert unlisted == {int(one) for one in account["models"]} - set(ids(default)) - set(ids(mature))


def test_nsfw_has_six_spellings(live):
    """2: true/false/1/0/yes/no; false is the default."""
    first = ids(live.json("/models", sort="Oldest")["items"])
    for value in ("false", "0", "no"):
        assert ids(live.json("/models", sort="Oldest", nsfw=value)["items"]) == first
    for value in ("1", "yes"):
        assert live.json("/models", nsfw=value)["items"] == live.json("/models", nsfw="true")["items"]
    assert refused(live, "/models", {"nsfw": "maybe"})[0] == 400


def test_an_unknown_tag_is_ignored_and_an_unknown_user_is_a_404(live, mature):
    """0.4."""
    whole = live.json("/models", nsfw="true")["items"]
    assert live.json("/models", nsfw="true", tag="no such tag")["items"] == whole
    tagged = list(chain(*live.paginate("/models", nsfw="true", tag="style")))
    assert list(chain(*live.paginate("/models", nsfw="true", tagname="style"))) == tagged
    assert sorted(ids(tagged)) == sorted(model["id"] for model in mature if "style" in model["tags"])
    assert refused(live, "/models", {"username": "nobody"}) == (404, {"message": "User not found"})
    name = next(model["creator"]["username"] for model in mature if model.get("creator", {}).get("username"))
    owned = list(chain(*live.paginate("/models", nsfw="true", username=name.upper())))
    assert owned
    assert {model["creator"]["username"] for model in owned} == {name}
    assert list(chain(*live.paginate("/models", nsfw="true", user=name))) == owned


def test_ids_come_in_batches_and_show_what_is_not_public_yet(live, mature, account):
    """2: ids and modelVersionIds are comma lists; a named model has its early-access versions."""
    some = ids(mature)[:30]
    assert sorted(ids(live.json("/models", nsfw="true", ids=",".join(map(str, some)))["items"])) == sorted(some)
    versions = [model["modelVersions"][0]["id"] for model in mature[:9] if model["modelVersions"]]
    found = live.json("/models", nsfw="true", modelVersionIds=",".join(map(str, versions)))["items"]
    assert {version["id"] for model in found for version in model["modelVersions"]} >= set(versions)
    assert refused(live, "/models", {"ids": "1,two"})[0] == 400
    every = list(account["models"])
    gated = [
        version
        for start in range(0, len(every), 100)
        for model in live.json("/models", nsfw="true", ids=",".join(every[start : start + 100]))["items"]
        for version in model["modelVersions"]
        if version["availability"] == "EarlyAccess"
    ]
    assert gated
    assert all(
        version["paidAccess"] == {"permanent": False, "endsAt": version["earlyAccessDeadline"]} for version in gated
    )
    assert {version["id"] for version in gated} <= set(account["unlisted"]["versions"])


def test_early_access_ends_and_the_version_is_listed(fresh):
    """2, 14: availability EarlyAccess turns to Public; until then the model is not listed, but its detail is there."""
    gated = first_version_in_early_access()
    for days, expected in ((0, []), (EARLY_ACCESS_DAYS - 1, []), (EARLY_ACCESS_DAYS, ["Public"])):
        fresh.emulator.set_date(gated.published + timedelta(days=days))
        models = chain(*fresh.paginate("/models", sort="Oldest", nsfw="true"))
        versions = [
            version for model in models for version in model["modelVersions"] if version["id"] == gated.version_id
        ]
        assert [version["availability"] for version in versions] == expected
        detail = fresh.json(f"/models/{gated.model_id}")["modelVersions"][-1]
        assert detail["id"] == gated.version_id
        assert detail["availability"] == ("Public" if expected else "EarlyAccess")


def test_types_and_base_models_are_repeated_not_listed(live, mature):
    """2: types=A,B is a 400, baseModels=A,B is one unknown name; baseModels filters the versions, too."""
    found = live.json("/models", ("types", "LORA"), ("types", "LoCon"), nsfw="true")["items"]
    assert {model["type"] for model in found} == {"LORA", "LoCon"}
    assert refused(live, "/models", {"types": "LORA,LoCon"})[0] == 400
    assert live.json("/models", types="DoRA")["items"] == []  # a type of today that the catalogue has none of
    assert live.json("/models", baseModels="SD 1.5,Pony") == {"items": [], "metadata": {}}
    pony = list(chain(*live.paginate("/models", baseModels="Pony", nsfw="true")))
    assert pony
    assert {version["baseModel"] for model in pony for version in model["modelVersions"]} == {"Pony"}
    with_pony = {m["id"] for m in mature if any(v["baseModel"] == "Pony" for v in m["modelVersions"])}
    assert with_pony <= set(ids(pony))


def test_booleans_of_the_query_have_their_traps(live, account):
    """2: =false means true for coerced ones; others refuse any text."""
    plain = set(ids(chain(*live.paginate("/models", sort="Oldest", nsfw="true"))))
    for value in ("true", "1", "false"):
        with_archived = list(chain(*live.paginate("/models", sort="Oldest", nsfw="true", archived=value)))
        archived = [model for model in with_archived if model["id"] not in plain]
        assert archived
        assert {model["mode"] for model in archived} == {"Archived"}
        assert set(ids(archived)) <= set(account["unlisted"]["models"])
    for name in ("allowDerivatives", "allowNoCredit", "allowDifferentLicense", "isFeatured"):
        assert refused(live, "/models", {name: "true"})[0] == 400
    assert refused(live, "/models", {"checkpointType": "Standard"})[0] == 400


def test_some_filters_take_parts_of_the_documents_away(live, mature):
    """2: supportsGeneration leaves only such versions, primaryFileOnly only such files."""
    whole = {model["id"]: model for model in mature}
    covered = list(
        chain(*live.paginate("/models", sort="Oldest", nsfw="true", supportsGeneration="false"))
    )  # means true
    assert 10 < len(covered) < len(mature)
    for model in covered:
        assert model["modelVersions"] == [
            version for version in whole[model["id"]]["modelVersions"] if version["supportsGeneration"]
        ]
    for model in live.json("/models", sort="Oldest", nsfw="true", primaryFileOnly="true")["items"]:
        assert all(len(version["files"]) == 1 for version in model["modelVersions"])


def test_filters_by_what_documents_say(live, mature):
    """2: allowCommercialUse and fileFormats want one of several; checkpointType says nothing of other types."""

    def found(*pairs, **query):
        return {model["id"] for page in walk_pairs(live, *pairs, sort="Oldest", nsfw="true", **query) for model in page}

    every = set(ids(mature))
    for licences in (["Sell"], ["Image", "Rent"]):
        pairs = [("allowCommercialUse", one) for one in licences]
        granted = {m["id"] for m in mature if set(m["allowCommercialUse"].strip("{}").split(",")) & set(licences)}
        assert found(*pairs) == granted
        assert 0 < len(granted) < len(every)
    formats = {
        m["id"]: {file["metadata"]["format"] for version in m["modelVersions"] for file in version["files"]}
        for m in mature
    }
    pickled = found(("fileFormats", "PickleTensor"))
    assert {one for one in every if "PickleTensor" in formats[one]} <= pickled < every
    trained, merged = found(checkpointType="Trained"), found(checkpointType="Merge")
    assert trained | merged == every
    assert trained & merged == {model["id"] for model in mature if model["type"] != "Checkpoint"}
    assert min(len(every - trained), len(every - merged)) > 3
    assert found(availability="Public") == every
    assert found(availability="EarlyAccess") == found(fromPlatform="false") == set()  # means true
    gated = live.json("/models", ("earlyAccess", "true"), nsfw="true", limit=100, ids=",".join(map(str, every)))[
        "items"
    ]
    early = {m["id"] for m in gated if "EarlyAccess" in {one["availability"] for one in m["modelVersions"]}}
    assert early == set(ids(gated)) != set()
    day, whole = found(period="Day"), found(period="Day", periodMode="stats")
    assert day < whole == every
    for name in ("browsingLevel", "collectionId"):
        assert refused(live, "/models", {name: "1"})[0] == 400


def test_a_likeness_is_listed_but_not_to_be_had_by_id(live, union, account):
    """3: poi is a 404 in /models/{id}; its versions are there (4)."""
    likenesses = [model for model in union.values() if model["poi"]]
    assert likenesses
    for model in likenesses:
        assert refused(live, f"/models/{model['id']}") == (404, {"error": f"No model with id {model['id']}"})
        assert str(model["id"]) in account["models"]
    versions = [version["id"] for model in likenesses for version in model["modelVersions"]]
    answers = [
        json.loads(body) for status, _, body in (live.get(f"/model-versions/{v}") for v in versions) if status == 200
    ]
    assert answers
    assert all(answer["model"]["poi"] is True for answer in answers)


def test_a_blocked_region_is_a_451_and_a_restricted_one_sees_less_without_a_word(live, mature, union):
    """1: GB and AU are blocked on every path; elsewhere, by a list that is not public, there is only PG and PG13."""
    for path in ("/models", "/tags", "/enums", "/me", f"/models/{mature[0]['id']}"):
        for country in ("GB", "AU"):
            status, body = refused(live, path, headers={"CF-IPCountry": country})
            assert (status, body["code"]) == (451, "REGION_BLOCKED")
    restricted = {"CF-IPCountry": "XX"}

    def seen(path, **query):
        status, _, body = live.get(path, query, restricted)
        return json.loads(body) if status == 200 else status

    page = {model["id"]: model for model in seen("/models", nsfw="true", sort="Oldest", limit=100)["items"]}
    last = max(page.values(), key=lambda model: list(page).index(model["id"]))["id"]
    before = mature[: ids(mature).index(last) + 1]
    assert set(page) == {model["id"] for model in before if model["nsfwLevel"] & 3}
    images = [image for m in page.values() for version in m["modelVersions"] for image in version["images"]]
    assert {image["nsfwLevel"] for image in images} == {1, 2}
    hidden = next(model for model in union.values() if not model["nsfwLevel"] & 3)
    assert seen(f"/models/{hidden['id']}") == 404
    assert seen(f"/model-versions/{hidden['modelVersions'][0]['id']}") == 404
    assert live.get(f"/models/{hidden['id']}")[0] == 200
    assert {image["browsingLevel"] for image in seen("/images", nsfw="X", limit=200)["items"]} == {1, 2}


def test_favorites_and_hidden_need_a_key_even_if_false(live):
    """1: it is the name of the parameter that counts."""
    for name in ("favorites", "hidden"):
        for value in ("true", "false"):
            assert refused(live, "/models", {name: value}) == (401, {"error": "Unauthorized"})
            assert live.get("/models", {name: value}, KEY)[0] == 200


def test_a_search_pages_by_offset_and_not_by_page(live, mature):
    """1, 2: `query` takes no page, its cursor is a number of results, sort and period do nothing."""
    word = mature[0]["name"].split()[0]
    status, body = refused(live, "/models", {"query": word, "page": 1})
    assert (status, body) == (
        400, {"error": "Cannot use page param with query search. Use cursor-based pagination."}
    )  # fmt: skip
    expected = {model["id"] for model in mature if word.casefold() in model["name"].casefold()}
    pages = live.paginate("/models", query=word, limit=2, nsfw="true", sort="Newest", period="Day")
    assert set(ids(chain(*pages))) == expected
    assert live.json("/models", query=word, limit=2, nsfw="true")["metadata"].get("nextCursor", "2") == "2"
    assert refused(live, "/models", {"query": word, "cursor": "1|2|3"})[0] == 400


def test_a_period_filters_by_the_latest_version_and_keeps_the_counters(live, mature):
    """2: sort=Oldest&period=Day is a feed of what is new."""
    latest = {m["id"]: max((v["publishedAt"] for v in m["modelVersions"]), default="") for m in mature}
    for period, days in (("Day", 1), ("Week", 7), ("Month", 30)):
        since = datetime.fromtimestamp(datetime(2026, 1, 1, 12, tzinfo=UTC).timestamp() - 86_400 * days, UTC)
        found = list(chain(*live.paginate("/models", sort="Oldest", period=period, nsfw="true")))
        expected = {one for one, moment in latest.items() if moment >= since.isoformat()[:19]}
        assert expected <= set(ids(found))
        whole = {model["id"]: model["stats"] for model in mature}
        assert all(model["stats"] == whole[model["id"]] for model in found)


# /models: shape


def test_a_listed_model_has_todays_fields(mature):
    """2: and none of the specification's that are gone; 0.6: no timestamps."""
    always = {
        "id", "name", "description", "allowNoCredit", "allowCommercialUse", "allowDerivatives", "allowDifferentLicense",
        "type", "minor", "sfwOnly", "poi", "nsfw", "nsfwLevel", "availability", "userId", "baseModels", "cosmetic",
        "supportsGeneration", "stats", "tags", "modelVersions",
    }  # fmt: skip
    version_fields = {
        "id", "index", "name", "baseModel", "baseModelType", "publishedAt", "flags", "availability", "nsfwLevel",
        "description", "trainedWords", "vaeId", "supportsGeneration", "paidAccess", "stats", "files", "images",
        "downloadUrl",
    }  # fmt: skip
    for model in mature:
        assert always <= set(model) <= always | {"creator", "mode"}
        assert set(model["stats"]) == {
            "downloadCount", "thumbsUpCount", "thumbsDownCount", "commentCount", "tippedAmountCount"
        }  # fmt: skip
        for index, version in enumerate(model["modelVersions"]):
            assert set(version) == version_fields
            assert version["index"] == index
            assert set(version["stats"]) == {"downloadCount", "thumbsUpCount", "thumbsDownCount"}
            assert len(version["images"]) <= 20
            for image in version["images"]:
                assert isinstance(image["nsfwLevel"], int)
                assert {"id", "url", "hash", "type", "hasMeta", "remixOfId"} < set(image)
                assert not {"stats", "postId", "username", "meta"} & set(image)
            primaries = [file for file in version["files"] if "primary" in file]
            assert [file["primary"] for file in primaries] == [True]
            for file in version["files"]:
                assert "format" not in file
                assert set(file["metadata"]) == {"format", "size", "fp"}
                assert set(file["hashes"]) <= {"AutoV1", "AutoV2", "AutoV3", "SHA256", "CRC32", "BLAKE3"}
    versions = [version for model in mature for version in model["modelVersions"]]
    assert max(len(version["images"]) for version in versions) == 20
    images = [image["id"] for version in versions for image in version["images"]]
    assert len(images) == len(set(images))
    assert any("AutoV3" in file["hashes"] for version in versions for file in version["files"])
    for value in (None, "Inpainting", "Standard"):
        assert any(version["baseModelType"] == value for version in versions)
    assert any(model["description"] is None for model in mature)


def test_hidden_counters_are_null_and_not_zero(live, union, account):
    """0.7: a creator can hide the downloads, of the versions too, and the tips."""
    hidden = {name: set(models) for name, models in account["hidden"].items()}
    for model in union.values():
        true = account["models"][str(model["id"])]
        for counter, value in model["stats"].items():
            assert value == (None if model["id"] in hidden.get(counter, ()) else true[counter])
        for version in model["modelVersions"]:
            told = account["versions"][str(version["id"])]
            shown = None if model["id"] in hidden["downloadCount"] else told["downloadCount"]
            assert version["stats"]["downloadCount"] == shown
            assert version["stats"]["thumbsUpCount"] == told["thumbsUpCount"]
            assert version["baseModel"] == told["baseModel"]
    assert hidden["downloadCount"] & set(union)
    assert hidden["tippedAmountCount"] & set(union)
    assert all(value["tippedAmountCount"] >= 0 for value in account["models"].values())


def test_commercial_use_has_three_generations():
    """0.5: a text in 2023, a list from 2024-02 on, the text of an array since 2025-11."""
    with launch(models=400, dialect="live") as emulator:
        client = Client(emulator)
        forms = {}
        for year, on in ((2023, date(2023, 9, 1)), (2024, date(2024, 9, 1)), (2026, date(2026, 2, 1))):
            emulator.set_date(on)
            forms[year] = [model["allowCommercialUse"] for model in client.json("/models", nsfw="true")["items"]]
    assert set(forms[2023]) <= {"None", "Image", "RentCivit", "Rent", "Sell"}
    assert all(isinstance(form, list) for form in forms[2024])
    assert [] in forms[2024]
    assert "{Image,RentCivit}" in forms[2026]
    assert "{}" in forms[2026]
    assert all(re.fullmatch(r"\{[A-Za-z,]*\}", form) for form in forms[2026])


def test_a_deleted_creator_is_absent_or_has_no_name(mature):
    """2: transferred models have no creator at all, others one without a name."""
    creators = [model.get("creator", "absent") for model in mature]
    assert "absent" in creators
    assert {"username": None, "image": None} in creators
    assert statistics.mean(one == "absent" or one["username"] is None for one in creators) < 0.3
    assert not any({"id", "modelCount", "link"} & set(one) for one in creators if one != "absent")


def test_modes_drop_files_or_images(live, mature, account):
    """2: TakenDown is listed without images; Archived is not, and has no files and no downloadUrl."""
    taken_down = [model for model in mature if model.get("mode") == "TakenDown"]
    assert taken_down
    assert all(version["images"] == [] for model in taken_down for version in model["modelVersions"])
    details = [live.get(f"/models/{model_id}") for model_id in account["unlisted"]["models"]]
    archived = [
        one for status, _, body in details if status == 200 and (one := json.loads(body)).get("mode") == "Archived"
    ]
    assert archived
    for model in archived:
        assert not any("files" in version or "downloadUrl" in version for version in model["modelVersions"])


def test_a_version_without_its_file_is_dropped_but_its_model_stays(live, mature, account):
    """2, 4: `modelVersions: []` is possible; the version itself is a 404."""
    with_none = [model for model in mature if not model["modelVersions"]]
    assert with_none
    bodies = {json.dumps(refused(live, f"/model-versions/{version_id}")[1])
              for version_id in account["unlisted"]["versions"]
              if live.get(f"/model-versions/{version_id}")[0] == 404}  # fmt: skip
    assert '{"error": "Missing model file"}' in bodies


def test_mature_versions_on_restricted_bases_are_in_no_list():
    """2: SD 3*, SVD*, SDXL Turbo; the detail of the model has them."""
    world = SimulatedWorld(1500, 1)
    day, traits = world.on(FIRST_DAY), LiveTraits(world.columns)
    live_day = LiveDay(day, traits, LiveDocuments(world.columns, world.documents, traits))
    found = {"list": 0, "detail": 0}
    for row in day.model_visible.nonzero()[0].tolist():
        if world.columns.model_nsfw_level[row] < 4:
            continue
        listed = live_day.listed(row, LiveModelQuery(mature=True))
        for kind, document in (("list", listed), ("detail", live_day.model(int(world.columns.model_id[row])))):
            versions = json.loads(document)["modelVersions"] if document else []
            found[kind] += sum(one["baseModel"].startswith(("SD 3", "SVD", "SDXL Turbo")) for one in versions)
    assert found["list"] == 0 < found["detail"]


# single models and versions


def test_a_detail_has_all_levels_and_no_nulls_in_its_versions(live, union):
    """0.8, 3: removeEmpty on versions; images of every level, without ids; status and createdAt are there."""
    dropped = 0
    for model in [model for model in union.values() if not model["poi"]][:60]:
        detail = live.json(f"/models/{model['id']}")
        assert {key: detail[key] for key in detail if key != "modelVersions"} == {
            key: model[key] for key in model if key != "modelVersions"
        }
        versions = {version["id"]: version for version in detail["modelVersions"]}
        for version in model["modelVersions"]:
            told = versions[version["id"]]
            assert not any(value is None or value == [] for value in told.values())
            assert told["status"] == "Published"
            assert told["createdAt"] < told["publishedAt"]
            assert not any("id" in image for image in told.get("images", ()))
            assert len(told.get("images", ())) >= len(version["images"])
            dropped += "trainedWords" not in told
    assert dropped


def test_ids_out_of_range_are_400_and_unknown_ones_404(live):
    """3, 1: for models and mini; the error is a text."""
    for path in ("/models/{}", "/model-versions/mini/{}"):
        for bad in ("0", "-1", "2147483648", "x", "1.5"):
            status, body = refused(live, path.format(bad))
            assert status == 400
            assert body["error"].startswith("✖ Invalid input")
    assert refused(live, "/models/2147483647") == (404, {"error": "No model with id 2147483647"})
    assert refused(live, "/model-versions/mini/5") == (404, {"error": "Model not found"})


def test_version_ids_have_other_errors(live):
    """4: no int4 guard here."""
    for bad in ("0", "x"):
        assert refused(live, f"/model-versions/{bad}") == (400, {"error": "Missing modelVersionId"})
    assert refused(live, "/model-versions/5") == (404, {"error": "Model not found"})
    assert refused(live, f"/model-versions/{2**31}") == (500, {"error": "Failed to fetch model version details"})


def test_a_version_outlives_its_model_but_not_for_its_hash(live, account):
    """4: /model-versions/{id} looks only at the version's status, by-hash at both."""
    world = SimulatedWorld(600, 1)
    columns, traits, day = world.columns, LiveTraits(world.columns), world.on(FIRST_DAY)
    orphans = columns.version_visible(day.day) & ~day.version_shown & ~traits.without_primary
    orphans &= columns.model_born[columns.version_model] <= day.day
    version = next(int(v) for v in orphans.nonzero()[0] if world.hash_index.hashes(int(v)))
    told = live.json(f"/model-versions/{columns.version_id[version]}")
    assert str(told["modelId"]) not in account["models"]
    assert live.get(f"/models/{told['modelId']}")[0] == 404
    own = [text for file in told["files"] if file["id"] > 1000 for text in file["hashes"].values()]
    assert own
    assert all(live.get(f"/model-versions/by-hash/{text}")[0] == 404 for text in own)


def test_a_version_has_naive_scan_times_and_its_own_fields(live, union, account):
    """4, 0.9: scannedAt without a zone and trailing zeros; primary always told; at most ten images, with meta."""
    scans = []
    for model in list(union.values())[:60]:
        for version in model["modelVersions"]:
            told = live.json(f"/model-versions/{version['id']}")
            assert told["modelId"] == model["id"]
            assert set(told["stats"]) == {"downloadCount", "thumbsUpCount"}
            assert told["stats"]["downloadCount"] == version["stats"]["downloadCount"]
            assert (
                told["model"].items()
                <= {key: model.get(key) for key in ("name", "type", "nsfw", "poi", "mode")}.items()
            )
            assert told["air"].endswith(f":civitai:{model['id']}@{version['id']}")
            assert {"createdAt", "updatedAt", "status", "trainingDetails", "usageControl", "paidAccess"} < set(told)
            assert [file["primary"] for file in told["files"]] == [True] + [False] * (len(told["files"]) - 1)
            assert len(told["images"]) <= 10
            assert all("id" not in image and "meta" in image and "availability" in image for image in told["images"])
            scans += [file["scannedAt"] for file in told["files"] if file["scannedAt"]]
            assert told["publishedAt"].endswith("Z")
    assert scans
    assert not any(scan.endswith("Z") or re.search(r"\.\d*0$", scan) for scan in scans)
    assert any(re.search(r"\.\d{1,2}$", scan) for scan in scans)


def test_an_unrated_version_is_not_found(fresh):
    """4: nsfwLevel 0 is a 404 on the day of publication, though the list has it."""
    for day in range(1, 29):
        fresh.emulator.set_date(date(2026, 1, day))
        models = chain(*fresh.paginate("/models", sort="Newest", period="Day", nsfw="true"))
        unrated = [v["id"] for model in models for v in model["modelVersions"] if v["nsfwLevel"] == 0]
        if unrated:
            assert refused(fresh, f"/model-versions/{unrated[0]}") == (404, {"error": "Model not found"})
            fresh.emulator.set_date(date(2026, 2, 1))
            assert fresh.json(f"/model-versions/{unrated[0]}")["nsfwLevel"] > 0
            return
    pytest.fail("no version is unrated in a month")


def test_a_mini_version_has_neither_its_id_nor_its_models(live, union):
    """4: not the specification's shape."""
    version = next(iter(union.values()))["modelVersions"][0]
    mini = live.json(f"/model-versions/mini/{version['id']}")
    assert not {"id", "modelId", "name"} & set(mini)
    assert mini["versionName"] == version["name"]
    assert mini["hashes"] == version["files"][0]["hashes"]
    assert mini["downloadUrls"] == [version["downloadUrl"]]
    assert mini["size"] == version["files"][0]["sizeKB"]
    assert {"canGenerate", "isFeatured", "requireAuth", "checkPermission", "minor", "sfwOnly", "fees"} < set(mini)


def test_any_hash_leads_to_a_version(live, union):
    """4: by-hash, any algorithm and case; AutoV3 too."""
    seen = set()
    for model in list(union.values())[:40]:
        for version in model["modelVersions"]:
            file = version["files"][0]
            for name, text in file["hashes"].items():
                told = live.json(f"/model-versions/by-hash/{text.lower()}")
                assert told == live.json(f"/model-versions/{version['id']}")
                seen.add(name)
    assert seen == {"AutoV1", "AutoV2", "AutoV3", "SHA256", "CRC32", "BLAKE3"}
    assert refused(live, f"/model-versions/by-hash/{'0' * 64}") == (404, {"error": "Model not found"})


def test_many_hashes_give_a_list_in_an_order_of_its_own(live, union):
    """4: unmatched ones dropped, upper-cased hashes, null where a version has no primary file."""
    known = [v["files"][0]["hashes"]["SHA256"] for m in union.values() for v in m["modelVersions"] if v["files"]
             and "SHA256" in v["files"][0]["hashes"]][:99]  # fmt: skip
    status, ids_of = asked(live, "/model-versions/by-hash/ids", [one.lower() for one in known] + ["f" * 64])
    assert status == 200
    assert sorted(one["hash"] for one in ids_of) == sorted(known)
    assert [one["hash"] for one in ids_of] != known
    assert all(set(one) == {"modelVersionId", "modelId", "hash"} for one in ids_of)
    status, versions = asked(live, "/model-versions/by-hash", known)
    assert ids(versions) == [one["modelVersionId"] for one in ids_of]

    world = SimulatedWorld(600, 1)
    day, traits = world.on(FIRST_DAY), LiveTraits(world.columns)
    without = [int(v) for v in day.version_shown.nonzero()[0] if traits.without_primary[v]]
    hashes = {text for version in without for text in world.hash_index.hashes(version) if len(text) == 64}
    status, versions = asked(live, "/model-versions/by-hash", sorted(hashes))
    assert status == 200
    assert None in versions


def test_hash_lists_have_limits(live):
    """4: 100 whole SHA256 for versions, 10,000 for ids."""

    def numbered(count):
        return [f"{number:064x}" for number in range(count)]

    for path, most in (("/model-versions/by-hash", 100), ("/model-versions/by-hash/ids", 10_000)):
        assert asked(live, path, numbered(most)) == (200, [])
        for body in (numbered(most + 1), ["ABCD"], [], {"hashes": []}, [1]):
            status, answer = asked(live, path, body)
            assert status == 400
            assert answer["error"].startswith("Request must include an array of SHA256 Hashes. ")


# images


def test_images_are_pg_unless_asked_for_by_level(live):
    """5, 13: filters are cumulative, but nsfw=true leaves PG out; nsfwLevel is a text, browsingLevel the bit."""
    bits = {"None": 1, "Soft": 3, "Mature": 7, "X": 31, "true": 4 | 8 | 16 | 32}
    sizes = {}
    for value, mask in bits.items():
        images = live.json("/images", nsfw=value, sort="Newest", limit=200)["items"]
        assert all(image["browsingLevel"] & mask for image in images)
        sizes[value] = len({image["browsingLevel"] for image in images})
    assert sizes["X"] == 4
    assert live.json("/images")["items"] == live.json("/images", nsfw="None")["items"]
    masked = live.json("/images", browsingLevel=4, nsfw="None", limit=200)["items"]
    assert {image["nsfwLevel"] for image in masked} == {"Mature"}  # browsingLevel wins
    assert {image["nsfw"] for image in masked} == {True}


def test_an_image_has_todays_fields(live):
    """5: reactions instead of downloads; meta is null unless it is asked for."""
    image = live.json("/images", limit=1)["items"][0]
    assert set(image) == {
        "id", "url", "hash", "width", "height", "nsfwLevel", "type", "nsfw", "browsingLevel", "createdAt", "postId",
        "stats", "meta", "username", "baseModel", "modelVersionIds",
    }  # fmt: skip
    assert set(image["stats"]) == {
        "cryCount", "laughCount", "likeCount", "dislikeCount", "heartCount", "commentCount"
    }  # fmt: skip
    assert "original=true" in image["url"]
    plain = live.json("/images", limit=100)["items"]
    assert all(one["meta"] is None for one in plain)
    assert any(one["meta"] for one in live.json("/images", limit=100, withMeta="true")["items"])
    assert all("tags" in one for one in live.json("/images", limit=5, withTags="true")["items"])


def test_an_image_feed_is_walked_with_offset_and_moment(live):
    """1: cursors `offset|ms`; the walk sees the feed as it was when it began, each image once."""
    first = live.json("/images", nsfw="X", limit=150)
    offset, moment = first["metadata"]["nextCursor"].split("|")
    assert offset == "150"
    assert int(moment) == int(datetime(2026, 1, 1, 12, tzinfo=UTC).timestamp() * 1000)
    walked = ids(chain(*live.paginate("/images", nsfw="X", limit=150)))
    assert len(walked) == len(set(walked)) == live.emulator.account(FIRST_DAY)["images"]["count"]
    reacted = [one["stats"]["likeCount"] for one in live.json("/images", sort="Most Reactions")["items"]]
    assert reacted == sorted(reacted, reverse=True)
    assert refused(live, "/images", {"cursor": "100"})[0] == 400


def test_an_image_feed_by_time_is_walked_with_the_image_before(live):
    """1: cursors `feed:ms:id` of the last image shown."""
    for sort, newest_first in (("Newest", True), ("Oldest", False)):
        page = live.json("/images", sort=sort, nsfw="X", limit=150)
        last = page["items"][-1]
        moment = int(datetime.fromisoformat(last["createdAt"]).timestamp() * 1000)
        assert page["metadata"]["nextCursor"] == f"feed:{moment}:{last['id']}"
        walked = ids(chain(*live.paginate("/images", sort=sort, nsfw="X", limit=150)))
        assert walked == sorted(set(walked), reverse=newest_first)
        assert live.emulator.account(FIRST_DAY)["images"]["count"] == len(walked)


def test_an_image_feed_with_filters_has_cursors_with_json_in_them(live):
    """1: `offset|bdx:{json}`, to be encoded in an address; and a cursor is refused once the filters are others."""
    query = {"nsfw": "X", "sort": "Newest", "baseModels": "SD 1.5,Pony"}
    cursor = live.json("/images", **query, limit=20)["metadata"]["nextCursor"]
    offset, _, rest = cursor.partition("|bdx:")
    assert offset == "20"
    assert json.loads(rest)
    walked = list(chain(*live.paginate("/images", **query, limit=20)))
    assert ids(walked) == sorted(set(ids(walked)), reverse=True)
    assert {one["baseModel"] for one in walked} == {"SD 1.5", "Pony"}
    by_link = live.json(live.json("/images", **query, limit=20)["metadata"]["nextPage"])
    assert by_link["items"] == walked[20:40]
    feed = live.json("/images", sort="Newest", limit=20)["metadata"]["nextCursor"]
    plain = live.json("/images", limit=20)["metadata"]["nextCursor"]
    for other, sent in ((cursor, {"sort": "Newest"}), (feed, query), (feed, {}), (plain, {"sort": "Newest"})):
        assert refused(live, "/images", {**sent, "cursor": other}) == (
            400, {"message": "Invalid cursor: unparseable value"}
        )  # fmt: skip


def test_page_on_images_is_an_endless_first_page(live):
    """0.1, 1: page is ignored, and nextPage goes on counting it."""
    first = live.json("/images", limit=7, page=1)
    again = live.json(first["metadata"]["nextPage"])
    assert again["items"] == first["items"]
    assert dict(parse_qsl(urlsplit(again["metadata"]["nextPage"]).query))["page"] == "3"


def test_images_of_a_model_lose_one_at_each_boundary_but_know_pages(live, union):
    """0.1, 1: the database path: cursor is an image id, strictly below it; `page` works there."""
    images = list(chain(*live.paginate("/images", nsfw="X", limit=200, sort="Newest")))
    of_version: dict[int, int] = {}
    for image in images:
        for version_id in image["modelVersionIds"]:
            of_version[version_id] = of_version.get(version_id, 0) + 1
    model_id = max(
        union, key=lambda model_id: sum(of_version.get(v["id"], 0) for v in union[model_id]["modelVersions"])
    )
    whole = ids(live.json("/images", modelId=model_id, nsfw="X", limit=200)["items"])
    assert len(whole) > 6
    pages = live.paginate("/images", modelId=model_id, nsfw="X", limit=3)
    assert ids(chain(*pages)) == [one for place, one in enumerate(whole) if place % 4 != 3]
    assert ids(live.json("/images", modelId=model_id, nsfw="X", limit=3, page=2)["items"]) == whole[3:6]
    assert ids(live.json("/images", imageId=whole[0], nsfw="X")["items"]) == [whole[0]]
    wrapped = live.json("/images", modelId=model_id, nsfw="X", withMeta="true", limit=200)["items"]
    metas = [image["meta"] for image in wrapped if image["meta"]]
    assert metas
    assert all(set(meta) == {"id", "meta"} for meta in metas)
    flat = live.json("/images", modelId=model_id, nsfw="X", withMeta="true", flatMeta="true", limit=200)["items"]
    assert any("prompt" in image["meta"] for image in flat if image["meta"])


def test_images_filter_and_refuse(live):
    """5."""
    images = live.json("/images", limit=200, sort="Newest", nsfw="X")["items"]
    name = images[0]["username"]
    assert {one["username"] for one in live.json("/images", username=name, nsfw="X")["items"]} == {name}
    post = images[0]["postId"]
    assert {one["postId"] for one in live.json("/images", postId=post, nsfw="X")["items"]} == {post}
    some = ids(images)[3:9:2]
    named = live.json("/images", ids=",".join(map(str, some)), nsfw="X", sort="Newest")["items"]
    assert ids(named) == some
    based = ids(live.json("/images", baseModels="SD 1.5,Pony", limit=200, sort="Newest", nsfw="X")["items"])
    expected = [one["id"] for one in images if one["baseModel"] in ("SD 1.5", "Pony")]
    assert 0 < len(expected) < len(images)
    assert based[: len(expected)] == expected
    user = live.json("/users", query=name)["items"][0]["id"]
    assert {one["username"] for one in live.json("/images", userId=user, nsfw="X")["items"]} == {name}
    for nothing in ({"type": "video"}, {"tags": "1,2"}):
        assert live.json("/images", **nothing)["items"] == []
    with_meta = live.json("/images", requiringMeta="true", withMeta="true", limit=50)["items"]
    assert len(with_meta) == 50
    assert all(one["meta"] for one in with_meta)
    assert live.json("/images", modelVersionId=1)["items"] == []
    assert refused(live, "/images", {"username": "a-b"})[0] == 400
    assert refused(live, "/images", {"baseModels": "SD 1.5,Nothing"})[0] == 400
    assert live.get("/images", {"baseModels": "SD 1.5,Pony"})[0] == 200
    assert refused(live, "/images", {"limit": 201})[0] == 400


# creators, tags, users, permissions, enums


def test_creators_have_totals_and_links_but_no_order(live, account):
    """6: no count where it is 0; a search is case-sensitive and only says that there is more."""
    page = live.json("/creators", limit=50)
    names = [one["username"] for one in page["items"]]
    metadata = page["metadata"]
    assert {key: metadata[key] for key in ("totalItems", "currentPage", "pageSize", "totalPages")} == {
        "totalItems": len(account["creators"]), "currentPage": 1, "pageSize": 50,
        "totalPages": -(-len(account["creators"]) // 50),
    }  # fmt: skip
    while "nextPage" in page["metadata"]:
        page = live.json(page["metadata"]["nextPage"])
        names += [one["username"] for one in page["items"]]
        for one in page["items"]:
            assert one.get("modelCount", 0) == account["creators"][one["username"]]
            assert one.get("modelCount") != 0
    assert sorted(names) == sorted(account["creators"])
    assert names != sorted(names)
    assert "prevPage" in page["metadata"]
    assert len(live.json("/creators")["items"]) == 20
    part = names[3][1:6]
    found = live.json("/creators", query=part, limit=1)
    assert part in found["items"][0]["username"]
    assert "hasMore" in found["metadata"]
    assert live.json("/creators", query=part.upper())["items"] == []
    for path in ("/creators", "/tags"):
        for limit in (0, 201):
            status, issues = refused(live, path, {"limit": limit})
            assert status == 400
            assert issues[0]["path"] == ["limit"]  # bare issues


def test_tags_never_tell_of_a_next_page(live, account):
    """7: loop `page` until it is empty; no modelCount, and totals that say nothing."""
    found, number = [], 1
    while items := (page := live.json("/tags", limit=150, page=number))["items"]:
        assert page["metadata"] == {"totalItems": 0, "currentPage": number, "pageSize": 150, "totalPages": 1}
        assert all(set(tag) == {"name", "link"} for tag in items)
        found += [tag["name"] for tag in items]
        number += 1
    assert number > 2
    assert sorted(found) == sorted(account["tags"])
    prefix = [tag["name"] for tag in live.json("/tags", query="st", limit=200)["items"]]
    assert sorted(prefix) == sorted(name for name in found if name.startswith("st"))
    assert len(live.json("/tags")["items"]) == 20


@pytest.mark.parametrize("path", ["/creators", "/tags"])
def test_pages_in_no_order_repeat_some_rows_and_miss_others(fresh, path):
    """6, 7: without a total order a later page may be one of another order; a fault, so that tests can rely on it."""

    def walked():
        pages, page = [], {"items": [0]}
        while page["items"]:
            page = fresh.json(path, limit=5, page=len(pages) + 1)
            pages.append([one.get("username") or one["name"] for one in page["items"]])
        return list(chain(*pages))

    whole = walked()
    fresh.emulator.order_faults(f"unordered=2 path={path} nth=3")
    shaken = walked()
    assert len(shaken) == len(whole) == len(set(whole))
    assert shaken[:10] == whole[:10]
    assert shaken[10:12] == whole[8:10]
    assert set(whole) - set(shaken) == set(whole[10:12])
    assert walked() == whole


def test_the_cursor_of_a_row_without_a_date_is_refused(fresh):
    """1: CONCAT(NULL,'|',id) is "|id", a 400 on the next page."""
    fresh.emulator.order_faults("undated path=/models nth=2")
    first = fresh.json("/models", sort="Oldest", limit=10)
    second = fresh.json(first["metadata"]["nextPage"])
    cursor = second["metadata"]["nextCursor"]
    assert re.fullmatch(r"\|\d+", cursor)
    for query in (
        dict(parse_qsl(urlsplit(second["metadata"]["nextPage"]).query)),
        {"sort": "Oldest", "cursor": cursor},
    ):
        assert query["cursor"] == cursor
        status, body = refused(fresh, "/models", query)
        assert status == 400
        assert body["message"].startswith("Invalid cursor: unparseable value")


def test_users_are_an_object_of_few(live):
    """8: by prefix or by ids; five by default, and limit does nothing."""
    five = live.json("/users", limit=2)["items"]
    assert len(five) == 5
    assert all(set(user) == {"id", "username", "avatarNsfw"} for user in five)
    wanted = [user["id"] for user in five[:3]]
    assert ids(live.json("/users", ids=",".join(map(str, wanted)))["items"]) == wanted
    beginning = five[2]["username"][:4].lower()
    assert all(user["username"].lower().startswith(beginning) for user in live.json("/users", query=beginning)["items"])


def test_permissions_are_a_map_of_versions(live, union):
    """9: public; an empty list gives a list."""
    version_id = next(iter(union.values()))["modelVersions"][0]["id"]
    assert live.json("/permissions/check", entityIds=f"{version_id},7") == {str(version_id): True, "7": False}
    assert live.json("/permissions/check", entityIds="", entityType="ModelVersion") in ([], {})
    assert refused(live, "/permissions/check")[0] == 400
    assert refused(live, "/permissions/check", {"entityIds": "1", "entityType": "Model"})[0] == 400


def test_enums_have_todays_names(live):
    """11."""
    enums = live.json("/enums")
    assert len(enums["ModelType"]) == 23
    assert len(enums["ModelFileType"]) == 17
    assert {"SD 1.5", "Pony", "ZImageTurbo"} < set(enums["BaseModel"])
    assert set(enums["ActiveBaseModel"]) < set(enums["BaseModel"])


# keys, methods, headers


def test_a_wrong_key_is_anonymous_where_reading_is_free(live):
    """1: header before token, the scheme is not checked; authed endpoints answer 401."""
    for headers in ({"Authorization": "Bearer wrong"}, {"Authorization": "wrong"}, {}):
        assert live.get("/models", {"limit": 1}, headers)[0] == 200
        for path in ("/me", "/vault/get", "/vault/all", "/vault/check-vault"):
            assert refused(live, path, headers=headers) == (401, {"error": "Unauthorized"})
    assert live.get("/me", headers={"Authorization": "Basic test-key"})[0] == 200
    assert live.get("/me", {"token": "test-key"})[0] == 200
    assert live.get("/me", {"token": "test-key"}, {"Authorization": "Bearer wrong"})[0] == 401


def test_only_anonymous_answers_are_cached(live):
    """1: Public and Mixed; a key turns caching off on Mixed endpoints; enums have no header."""
    assert "s-maxage=300" in live.get("/models", {"limit": 1})[1]["cache-control"]
    assert "cache-control" not in live.get("/models", {"limit": 1}, KEY)[1]
    assert "cache-control" in live.get("/tags", {}, KEY)[1]
    assert "cache-control" not in live.get("/enums")[1]


def test_only_mixed_and_authed_endpoints_look_at_the_method(live, union):
    """1: 405 `Method not allowed`; public ones answer to any."""
    model_id = next(iter(union))
    assert live.send("POST", f"/models/{model_id}")[0] == live.send("DELETE", "/tags")[0] == 200
    for path in ("/models", "/me", "/model-versions/5"):
        status, _, body = live.send("POST", path, headers=KEY)
        assert (status, json.loads(body)) == (405, {"error": "Method not allowed"})
    assert live.send("GET", "/vault/toggle-version", headers=KEY)[0] == 405


# the member


def test_me_has_a_lower_case_tier(fresh):
    """8: no image, no createdAt."""

    def me():
        return json.loads(fresh.get("/me", headers=KEY)[2])

    assert me() == {
        "id": 12345, "username": "test-member", "tier": "silver", "status": "active", "isMember": True,
        "subscriptions": ["monthly"],
    }  # fmt: skip
    fresh.emulator.set_tier("Free")
    assert (me()["tier"], me()["isMember"], me()["subscriptions"]) == ("free", False, [])


def test_the_vault_has_shapes_of_its_own(fresh):
    """10: get, all, check-vault; toggle-version takes its version from the query; some filters are a 500."""

    def ask(path, query=()):
        status, _, body = fresh.get("/vault" + path, query, KEY)
        assert status == 200, body
        return json.loads(body)

    def toggle(version_id):
        status, _, body = fresh.send("POST", "/vault/toggle-version", {"modelVersionId": version_id}, headers=KEY)
        return status, json.loads(body)

    models = list(chain(*fresh.paginate("/models", nsfw="true")))
    small = [m for m in models if m["type"] == "LORA" and m["modelVersions"] and m["modelVersions"][0]["files"]][:3]
    versions = [model["modelVersions"][0]["id"] for model in small]
    for version_id in versions:
        assert toggle(version_id) == (200, {"success": True, "vaultId": 12345})
    vault = ask("/get")["vault"]
    assert set(vault) == {"userId", "storageKb", "usedStorageKb", "meta", "updatedAt"}
    page = ask("/all")
    assert {key: page[key] for key in page if key != "items"} == {
        "totalItems": 3, "currentPage": 1, "pageSize": 60, "totalPages": 1
    }  # fmt: skip
    assert [item["modelVersionId"] for item in page["items"]] == versions[::-1]
    assert {"vaultId", "modelName", "versionName", "creatorName", "modelSizeKb", "files", "refreshedAt"} < set(
        page["items"][0]
    )
    assert vault["usedStorageKb"] == pytest.approx(sum(item["modelSizeKb"] for item in page["items"]))
    second = ask("/all", {"limit": 2, "page": 2})
    assert (len(second["items"]), second["totalPages"]) == (1, 2)
    sizes = [item["modelSizeKb"] for item in ask("/all", {"sort": "Model Size"})["items"]]
    assert sizes == sorted(sizes, reverse=True)
    names = [item["modelName"] for item in ask("/all", {"sort": "Model Name"})["items"]]
    assert names == sorted(names)
    assert ask("/check-vault", {"modelVersionIds": f"{versions[0]},5"}) == [
        {"modelVersionId": 5, "vaultItem": None},
        {"modelVersionId": versions[0], "vaultItem": page["items"][-1]},
    ]
    assert fresh.get("/vault/all", {"types": "LORA"}, KEY)[0] == 500
    assert toggle(versions[0]) == (200, {"success": True})
    assert ask("/all")["totalItems"] == 2
    assert toggle(7) == (404, {"error": "Model not found"})
    fresh.emulator.set_tier("Free")
    assert ask("/get") == {"vault": None}
    assert toggle(versions[0])[0] == 403


# given catalogues and the emulator itself


def test_a_given_catalogue_is_walked_with_cursors_byte_for_byte(tmp_path):
    """Neither filter nor repair: no listing is smaller than the file."""
    models = [
        {
            "id": number, "name": f"model {number}", "nsfw": number % 2 == 0, "type": "LORA", "tags": ["cat"],
            "creator": {"username": "ann"}, "stats": {"downloadCount": number * 7 % 5, "rating": 4.5},
            "modelVersions": [{
                "id": 100 + number, "baseModel": "SD 1.5", "publishedAt": f"2023-06-{number:02}T10:00:00.000Z",
                "files": [{"hashes": {"SHA256": f"{number:064X}"}, "primary": True}],
                "images": [{"id": 1000 + number, "nsfw": "Soft"}],
            }],
        }
        for number in range(1, 24)
    ]  # fmt: skip
    lines = [json.dumps(model) for model in models] + ['{"id": 1, "again": true}', '"text"']
    path = tmp_path / "models.ndjson"
    path.write_text("\n".join(lines), encoding="utf-8")
    with launch(catalogue=path, on=date(2023, 7, 4), dialect="live") as emulator:
        client = Client(emulator)
        for sort in ("Oldest", "Most Downloaded", "Highest Rated"):
            for nsfw in ("true", "false"):
                query, body = {"sort": sort, "nsfw": nsfw, "limit": 4}, b""
                cursor, received = None, []
                while cursor is not None or not received:
                    body = client.get("/models", query | ({"cursor": cursor} if cursor else {}))[2]
                    page = json.loads(body)
                    received += [json.dumps(item) for item in page["items"]]
                    assert all(json.dumps(item).encode() in body for item in page["items"])
                    cursor = page["metadata"].get("nextCursor")
                assert sorted(received) == sorted(lines)
        assert client.get("/models/5")[2].decode() == lines[4]
        version = client.json("/model-versions/105")
        assert (version["modelId"], version["model"]["name"]) == (5, "model 5")
        assert client.json(f"/model-versions/by-hash/{5:064x}") == version
        assert asked(client, "/model-versions/by-hash/ids", [f"{5:064x}"]) == (
            200, [{"modelVersionId": 105, "modelId": 5, "hash": f"{5:064X}"}]
        )  # fmt: skip
        assert client.json("/model-versions/mini/105")["hashes"] == {"SHA256": f"{5:064X}"}
        assert [one["username"] for one in client.json("/creators")["items"]] == ["ann"]
        assert client.json("/tags")["items"][0]["name"] == "cat"
        assert len(client.json("/images", sort="Newest")["items"]) == 23
        assert refused(client, "/models", {"username": "bob"})[0] == 404


def test_both_dialects_show_the_same_world(simulated):
    """The account of the one holds for the other."""
    with launch(models=400, on=FIRST_DAY, dialect="live") as emulator:
        told, spec = emulator.account(FIRST_DAY), simulated.emulator.account(FIRST_DAY)
        assert told["creators"] == spec["creators"]
        assert told["counts"] == spec["counts"]
        for kind in ("models", "versions"):
            assert told[kind].keys() == spec[kind].keys()
            for key, counters in told[kind].items():
                assert counters["downloadCount"] == spec[kind][key]["downloadCount"]
        later = date(2026, 1, 20)
        told, spec = emulator.changes(FIRST_DAY, later), simulated.emulator.changes(FIRST_DAY, later)
        for kind in ("creators", "tags", "images"):
            assert told[kind] == spec[kind]
        for what in ("born", "gone", "returned"):
            assert told["models"][what] == spec["models"][what]
        for key, reasons in spec["models"]["changed"].items():
            assert set(reasons) <= set(told["models"]["changed"][key])


@pytest.mark.parametrize(
    ("since", "until"), [(date(2026, 1, 1), date(2026, 3, 1)), (date(2025, 11, 20), date(2025, 11, 25))]
)
def test_the_account_of_changes_is_what_the_live_details_show(since, until):
    def without_counters(value):
        if isinstance(value, dict):
            return {key: without_counters(item) for key, item in value.items() if key != "stats"}
        return [without_counters(item) for item in value] if isinstance(value, list) else value

    world = SimulatedWorld(800, 1)
    traits = LiveTraits(world.columns)
    documents = LiveDocuments(world.columns, world.documents, traits)
    before, after = (LiveDay(world.on(on), traits, documents) for on in (since, until))
    changed = live_changes(before, after)["models"]["changed"]
    differing = set()
    for model_id in world.columns.model_id[before.day.model_visible & after.day.model_visible].tolist():
        old, new = before.model(model_id), after.model(model_id)
        if (old and without_counters(json.loads(old))) != (new and without_counters(json.loads(new))):
            differing.add(str(model_id))
    assert differing <= set(changed)
    # What a version without its file does, nobody sees.
    assert len(set(changed) - differing) < len(changed) / 20
    reasons = {reason for told in changed.values() for reason in told}
    assert reasons >= ({"archived", "taken_down", "availability"} if since.year == 2026 else {"licence_form"})
