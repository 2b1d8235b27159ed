"""The simulated catalogue: the same for everyone, shaped like the real one, valid, and quick."""

import hashlib
import json
import subprocess
import sys
import time
from datetime import UTC, date, datetime
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from emulator.catalogue import ImageQuery, ModelQuery
from emulator.catalogue_file import read_lines, write_day
from emulator.simulation.columns import NotSimulatedError
from emulator.spec.catalogue import SimulatedWorld
from emulator.truth import account

DAY = date(2026, 1, 1)
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def day():
    return SimulatedWorld(3000, 2).on(DAY)


@pytest.fixture(scope="module")
def models(day):
    listing = day.models(ModelQuery())
    return [json.loads(document) for document in listing.documents(0, len(listing))]


def test_served_documents_validate_against_the_specification(day, models, specification):
    definitions = specification["components"]["schemas"]

    def validator(name):
        schema = {"$ref": f"#/components/schemas/{name}", "components": {"schemas": definitions}}
        return jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())

    def undeclared(value, schema, path):
        """Paths of fields that the specification does not name; validation alone would let them pass."""
        schema = definitions[schema["$ref"].rsplit("/", 1)[-1]] if "$ref" in schema else schema
        if isinstance(value, list):
            return {found for one in value for found in undeclared(one, schema["items"], path)}
        if not isinstance(value, dict) or schema.get("additionalProperties"):
            return set()
        unknown = {f"{path}.{key}" for key in value.keys() - schema["properties"].keys()}
        return unknown.union(
            *(undeclared(value[key], schema["properties"][key], f"{path}.{key}") for key in value.keys() - unknown)
        )

    images = [json.loads(image) for image in day.images(ImageQuery()).documents(0, 300)]
    creators = [json.loads(one) for one in day.creators(None).documents(0, 300)]
    tags = [json.loads(one) for one in day.tags(None).documents(0, 300)]
    for name, documents in (("Model", models[:400]), ("Image", images), ("Creator", creators), ("Tag", tags)):
        assert len(documents) == min(len(documents), 400) > 100
        validate = validator(name)
        for document in documents:
            validate.validate(document)
            assert undeclared(document, definitions[name], "$") == set()


def test_nothing_is_null_and_no_document_is_from_the_future(models):
    assert b":null" not in json.dumps(models, separators=(",", ":")).encode()
    noon = "2026-01-01T12:00:00.999Z"
    for model in models:
        for version in model["modelVersions"]:
            assert version["createdAt"] < version["publishedAt"] <= noon
            assert version["updatedAt"] <= noon
            assert all(file["scannedAt"] <= noon for file in version["files"])
            assert all(image["createdAt"] <= noon for image in version["images"])


def test_ids_are_unique_and_hashes_are_upper_case(models):
    versions = [version for model in models for version in model["modelVersions"]]
    assert len({version["id"] for version in versions}) == len(versions)
    images = [image["id"] for version in versions for image in version["images"]]
    assert len(set(images)) == len(images)
    files = [file for version in versions for file in version["files"]]
    assert len({file["id"] for file in files}) < len(files)  # a few VAE files stand under many versions
    without_auto_v1 = 0
    for hashes in (file["hashes"] for file in files):
        assert all(value == value.upper() for value in hashes.values())
        if hashes:
            assert hashes["AutoV2"] == hashes["SHA256"][:10]
            assert {name: len(hashes[name]) for name in ("SHA256", "CRC32", "Blake3")} == {
                "SHA256": 64,
                "CRC32": 8,
                "Blake3": 64,
            }
            without_auto_v1 += "AutoV1" not in hashes
    assert 0.1 < without_auto_v1 / len(files) < 0.2


def test_another_process_computes_the_same_bytes():
    program = (
        "import hashlib, sys; from datetime import date; from emulator.spec.catalogue import SimulatedWorld; "
        "from emulator.catalogue import ImageQuery, ModelQuery; day = SimulatedWorld(150, 5).on(date(2025, 3, 9)); "
        "lists = day.models(ModelQuery()), day.images(ImageQuery()), day.creators(None), day.tags(None); "
        "print(hashlib.sha256(b''.join(d for l in lists for d in l.documents(0, 10**6))).hexdigest())"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            cwd=ROOT,
            check=True,
            env={"PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    ]
    assert runs[0] == runs[1]


def test_a_day_does_not_depend_on_the_days_that_were_asked_before():
    def bytes_of(world, on):
        listing = world.on(on).models(ModelQuery())
        return hashlib.sha256(b"".join(listing.documents(0, len(listing)))).hexdigest()

    walked = SimulatedWorld(200, 5)
    for on in (date(2024, 1, 1), date(2027, 12, 31), date(2025, 12, 1), date(2025, 12, 2)):
        bytes_of(walked, on)
    assert bytes_of(walked, DAY) == bytes_of(SimulatedWorld(200, 5), DAY)
    assert bytes_of(walked, DAY) != bytes_of(SimulatedWorld(200, 6), DAY)


def test_the_catalogue_looks_like_the_real_one(day, models):
    """Loosely, against statistics of the real catalogue."""

    def between(values, share, low, high):
        assert low <= np.quantile(values, share) <= high, (share, np.quantile(values, share))

    versions = [version for model in models for version in model["modelVersions"]]
    files = [file for version in versions for file in version["files"]]
    assert 2800 <= len(models) <= 3200
    assert 1.3 <= len(versions) / len(models) <= 1.7
    assert 1.05 <= len(files) / len(versions) <= 1.2
    assert 6 <= np.mean([len(version["images"]) for version in versions]) <= 7.5
    assert 4.5 <= np.mean([len(model["tags"]) for model in models]) <= 6.5
    assert 0.9 <= np.mean([len(version["trainedWords"]) for version in versions]) <= 1.7
    assert 800 <= np.mean([len(model.get("description", "")) for model in models]) <= 1300
    downloads = [version["stats"]["downloadCount"] for version in versions]
    for share, value in ((0.1, 118), (0.25, 294), (0.5, 811), (0.75, 1546), (0.9, 3323), (0.95, 5702)):
        between(downloads, share, value * 0.7, value * 1.4)
    sizes = [len(json.dumps(model, ensure_ascii=False, separators=(",", ":")).encode()) for model in models]
    assert 7_500 <= np.mean(sizes) <= 10_500
    types = [model["type"] for model in models]
    assert types.count("LORA") > len(types) / 2
    assert 0.02 <= sum("description" not in model for model in models) / len(models) <= 0.06
    owned = np.array(sorted(account(day)["creators"].values()))
    assert np.median(owned[owned > 0]) <= 2
    assert owned.max() > 20
    commonest = max(account(day)["tags"].values())
    assert 0.3 <= commonest / len(models) <= 0.6
    assert any(not model["name"].isascii() for model in models)
    assert any(len(version["files"]) == 0 for version in versions)


def test_base_models_come_in_waves_and_new_names_keep_coming():
    world = SimulatedWorld(4000, 1)

    def newest(on):
        versions = [
            version
            for document in world.on(on).models(ModelQuery(sort="Newest", period="Month")).documents(0, 1000)
            for version in json.loads(document)["modelVersions"]
            if (on - datetime.fromisoformat(version["publishedAt"]).astimezone(UTC).date()).days <= 60
        ]
        names = [version["baseModel"] for version in versions]
        return max(set(names), key=names.count), set(names)

    assert newest(date(2023, 3, 1))[0] == "SD 1.5"
    assert newest(date(2025, 10, 1))[0] == "Illustrious"
    known: set[str] = set()
    for on, name in (
        (date(2023, 12, 1), "SDXL 1.0"),
        (date(2024, 4, 1), "Pony"),
        (date(2024, 11, 1), "Flux.1 D"),
        (date(2025, 6, 1), "Wan Video 14B t2v"),
    ):
        names = newest(on)[1]
        assert name in names - known
        known |= names


def test_models_keep_being_born_at_a_plausible_rate(day):
    later = day.world.on(date(2026, 1, 31))
    born = later.model_visible & ~day.model_visible
    assert 0.02 <= born.sum() / day.model_visible.sum() <= 0.06


def test_any_day_of_100_000_models_takes_seconds_and_a_page_milliseconds():
    started = time.perf_counter()
    world = SimulatedWorld(100_000, 1)
    day = world.on(date(2026, 6, 1))
    listing = day.models(ModelQuery(sort="Newest"))
    listing.documents(0, 200)
    day.creators(None).documents(0, 200), day.tags(None).documents(0, 200), day.images(ImageQuery()).documents(0, 200)
    assert time.perf_counter() - started < 20

    def quickest(start):
        times = []
        for page in range(5):
            began = time.process_time()
            listing.documents(start + 200 * page, start + 200 * page + 200)
            times.append(time.process_time() - began)
        return min(times)

    assert quickest(1000) < 0.25
    assert quickest(1000) < 0.1  # its frames are kept

    began = time.perf_counter()
    world.on(date(2026, 6, 2)).models(ModelQuery()).documents(0, 200)
    assert time.perf_counter() - began < 5


def test_a_day_can_be_written_to_a_file_and_read_back(tmp_path):
    day = SimulatedWorld(80, 1).on(DAY)
    served = day.models(ModelQuery())
    for name in ("day.ndjson", "day.ndjson.zst"):
        count = write_day(tmp_path / name, models=80, seed=1, on=DAY)
        lines = read_lines(tmp_path / name)
        assert count == len(lines) == len(served)
        assert sorted(lines) == sorted(served.documents(0, count))
        ids = [json.loads(line)["id"] for line in lines]
        assert ids == sorted(ids)
    assert (tmp_path / "day.ndjson.zst").stat().st_size < (tmp_path / "day.ndjson").stat().st_size / 2


def test_a_file_of_a_day_is_replaced_as_a_whole_and_a_link_to_it_is_followed(tmp_path):
    link = tmp_path / "link.ndjson"
    link.symlink_to("day.ndjson")
    write_day(link, models=3, seed=1, on=DAY)
    written = (tmp_path / "day.ndjson").read_bytes()
    with pytest.raises(NotSimulatedError):
        write_day(link, models=3, seed=1, on=date(1999, 1, 1))
    assert link.is_symlink()
    assert (tmp_path / "day.ndjson").read_bytes() == written
    assert len(list(tmp_path.iterdir())) == 2
