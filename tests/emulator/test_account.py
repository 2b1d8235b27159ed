"""The simulator's own account against the documents that it serves."""

import json
import urllib.request
from datetime import date, timedelta
from itertools import pairwise

import pytest

from emulator.catalogue import ImageQuery, ModelQuery
from emulator.launch import launch
from emulator.spec.catalogue import SimulatedWorld
from emulator.truth import account, changes

DAY = date(2026, 1, 1)
WORLD = SimulatedWorld(1200, 7)


def documents(listing):
    return [json.loads(document) for document in listing.documents(0, len(listing))]


def without_counters(value):
    if isinstance(value, dict):
        return {key: without_counters(item) for key, item in value.items() if key not in ("stats", "modelCount")}
    return [without_counters(item) for item in value] if isinstance(value, list) else value


def served(on):
    """All that is served on a date, by kind and key, without counters."""
    day = WORLD.on(on)
    return {
        "models": {one["id"]: without_counters(one) for one in documents(day.models(ModelQuery()))},
        "creators": {one["username"]: without_counters(one) for one in documents(day.creators(None))},
        "tags": {one["name"]: without_counters(one) for one in documents(day.tags(None))},
        "images": {one["id"]: without_counters(one) for one in documents(day.images(ImageQuery()))},
    }


@pytest.mark.parametrize("gap", [0, 1, 2, 30, 400])
@pytest.mark.parametrize("since", [date(2022, 12, 1), DAY])
def test_the_account_of_changes_is_what_the_documents_show(since, gap):
    until = since + timedelta(days=gap)
    before, after = served(since), served(until)
    told = changes(WORLD.on(since), WORLD.on(until))
    for kind in ("models", "creators", "tags", "images"):
        old, new, account_of = before[kind], after[kind], told[kind]
        assert set(account_of["born"]) | set(account_of["returned"]) == set(new) - set(old)
        assert not set(account_of["born"]) & set(account_of["returned"])
        assert set(account_of["gone"]) == set(old) - set(new)
        differing = {str(key) for key in set(old) & set(new) if old[key] != new[key]}
        assert set(account_of["changed"]) == differing
    for key, reasons in told["models"]["changed"].items():
        assert set(reasons) == reasons_seen(before["models"][int(key)], after["models"][int(key)])
    if gap == 400 and since == DAY:
        every = {reason for reasons in told["models"]["changed"].values() for reason in reasons}
        assert {"renamed", "description", "licence", "tags", "new_version", "version_removed"} <= every


def reasons_seen(old, new):
    versions_before = {version["id"]: version for version in old["modelVersions"]}
    versions_after = {version["id"]: version for version in new["modelVersions"]}
    both = set(versions_before) & set(versions_after)
    owner_before, owner_after = old.get("creator"), new.get("creator")
    return {
        reason
        for reason, seen in {
            "renamed": old["name"] != new["name"],
            "description": old.get("description") != new.get("description"),
            "licence": old["allowCommercialUse"] != new["allowCommercialUse"],
            "tags": old["tags"] != new["tags"],
            "new_version": bool(set(versions_after) - set(versions_before)),
            "version_removed": bool(set(versions_before) - set(versions_after)),
            "base_model": any(versions_before[v]["baseModel"] != versions_after[v]["baseModel"] for v in both),
            "creator_deleted": owner_before is not None and owner_after is None,
            "creator_image": owner_after is not None and owner_before != owner_after,
        }.items()
        if seen
    }


def test_every_kind_of_event_happens_in_the_course_of_years():
    told = changes(WORLD.on(date(2024, 1, 1)), WORLD.on(date(2027, 12, 31)))["models"]
    every = {reason for reasons in told["changed"].values() for reason in reasons}
    assert every == {
        "renamed", "description", "licence", "tags", "new_version", "version_removed", "base_model", "creator_deleted",
        "creator_image",
    }  # fmt: skip
    assert told["gone"]
    months = [WORLD.on(DAY + timedelta(days=30 * n)) for n in range(13)]
    assert any(changes(before, after)["models"]["returned"] for before, after in pairwise(months))


def test_a_day_changes_a_few_per_cent_of_the_documents():
    for start in (date(2024, 6, 1), DAY):
        days = [WORLD.on(start + timedelta(days=n)) for n in range(11)]
        changed = sum(len(changes(a, b)["models"]["changed"]) for a, b in pairwise(days)) / 10
        share = changed / len(days[0].models(ModelQuery()))
        assert 0.002 < share < 0.03


def test_the_account_has_the_true_counters_of_everything_that_is_served():
    day = WORLD.on(DAY)
    told = account(day)
    models = documents(day.models(ModelQuery()))
    assert told["models"] == {str(model["id"]): model["stats"] for model in models}
    versions = [version for model in models for version in model["modelVersions"]]
    assert told["versions"] == {
        str(v["id"]): {"modelId": v["modelId"], "baseModel": v["baseModel"], **v["stats"]} for v in versions
    }
    assert told["creators"] == {one["username"]: one["modelCount"] for one in documents(day.creators(None))}
    assert told["tags"] == {one["name"]: one["modelCount"] for one in documents(day.tags(None))}
    images = documents(day.images(ImageQuery()))
    assert told["images"] == {"count": len(images), "lastId": images[0]["id"]}
    for name, totals in told["baseModels"].items():
        of_base = [version for version in versions if version["baseModel"] == name]
        assert totals == {
            "versions": len(of_base),
            "downloadCount": sum(version["stats"]["downloadCount"] for version in of_base),
            "thumbsUpCount": sum(version["stats"]["thumbsUpCount"] for version in of_base),
        }
    assert told["counts"]["versions"] == len(versions)


def test_counters_never_fall_but_for_a_thumb_that_is_taken_back():
    days = [account(WORLD.on(DAY + timedelta(days=n)))["versions"] for n in range(12)]
    fallen = 0
    for before, after in pairwise(days):
        for key in before.keys() & after.keys():
            old, new = before[key], after[key]
            assert new["downloadCount"] >= old["downloadCount"]
            assert new["ratingCount"] >= old["ratingCount"]
            assert new["thumbsDownCount"] >= old["thumbsDownCount"]
            assert new["thumbsUpCount"] >= old["thumbsUpCount"] - 1
            fallen += new["thumbsUpCount"] < old["thumbsUpCount"]
    assert fallen
    assert (
        sum(days[-1][key]["downloadCount"] - days[0][key]["downloadCount"] for key in days[0].keys() & days[-1].keys())
        > 0
    )


def test_the_control_endpoint_moves_the_clock_and_tells_the_account():
    with launch(models=60, seed=3, on=DAY) as emulator:
        later = DAY + timedelta(days=20)
        world = SimulatedWorld(60, 3)
        assert emulator.account(DAY) == account(world.on(DAY))
        assert emulator.changes(DAY, later) == json.loads(json.dumps(changes(world.on(DAY), world.on(later))))
        emulator.set_date(later)
        with urllib.request.urlopen(emulator.api_url + "/models?limit=200") as response:
            assert response.headers["date"] == "Wed, 21 Jan 2026 12:00:00 GMT"
            page = json.load(response)
        assert {str(model["id"]) for model in page["items"]} == set(emulator.account(later)["models"])
        for bad in (date(2020, 1, 1), date(2050, 1, 1)):
            with pytest.raises(RuntimeError, match="days from 2022-11-01 to 2027-12-31"):
                emulator.set_date(bad)
        with pytest.raises(RuntimeError, match="later than"):
            emulator.changes(later, DAY)
        emulator.set_date(DAY)
        with urllib.request.urlopen(emulator.api_url + "/models") as response:
            assert response.headers["date"] == "Thu, 01 Jan 2026 12:00:00 GMT"
