"""Given catalogues: real documents served byte for byte, broken ones too, and what is derived from them."""

import json
import time
import urllib.request
from collections import Counter
from datetime import date

import msgspec
import pyarrow as pa
import pytest

from emulator.catalogue import ImageQuery, ModelQuery
from emulator.given import GivenCatalogue
from emulator.launch import launch

BROKEN = [
    (
        b'{"id": 1, "name": "A sound one", "type": "LORA", "nsfw": false, '
        b'"stats": {"downloadCount": 5, "rating": 4.50}, "creator": {"username": "ann"}, '
        b'"tags": ["cat", "cat", "dog "], "modelVersions": [{"id": 11, '
        b'"baseModel": "SD 1.5", "publishedAt": "2023-06-30T10:00:00.000Z", '
        b'"images": [{"id": 7, "nsfw": "Soft"}, {"url": "no id"}, "text"]}]}'
    ),
    b'{"id": 2, "name": "Text in stats",   "stats": "many", "tags": "cat", "creator": "bob", "modelVersions": []}',
    b'{"id": 3, "modelVersions": {"id": 31, "images": []}, "tags": [1, null, "cat"], "stats": {"downloadCount": "12"}}',
    b'"only a string"',
    b"42",
    b"null",
    b'{"name": "no id", "creator": {"username": "ann", "image": 5}, "nsfw": "false"}',
    b'{"id": "4", "name": null, "type": 7}',
    b'{"id": 1, "name": "the same id again"}',
    b'{"id": 5, "name": "cut off',
    '{"id": 6, "name": "naïve time", "nsfw": true, "type": "Checkpoint", "modelVersions": [null, 3, '
    '{"createdAt": "2023-07-03T21:17:26.787", "images": [{"id": 8, "nsfwLevel": 8, "stats": {"commentCount": 3}}, '
    '{"id": 7}]}]}'.encode(),
]


@pytest.fixture
def broken(tmp_path):
    path = tmp_path / "broken.ndjson"
    path.write_bytes(b"\n".join(BROKEN) + b"\n\n")
    return GivenCatalogue(path).on(date(2023, 7, 4))


def all_of(listing):
    return listing.documents(0, len(listing))


def test_every_line_is_served_byte_for_byte_in_the_order_of_the_file(broken):
    assert all_of(broken.models(ModelQuery())) == BROKEN
    for sort in ("Newest", "Most Downloaded", "Highest Rated"):
        assert sorted(all_of(broken.models(ModelQuery(sort=sort)))) == sorted(BROKEN)


def test_filters_use_what_is_usable_and_pass_over_the_rest(broken):
    def found(**query):
        return [BROKEN.index(line) for line in all_of(broken.models(ModelQuery(**query)))]

    assert found(query="SOUND") == [0]
    assert found(tag="cat") == [0, 2]
    assert found(tag="dog") == [0]
    assert found(username="ANN") == [0, 6]
    assert found(types=("LORA", "Checkpoint")) == [0, 10]
    assert found(nsfw=True) == [10]
    assert found(nsfw=False) == [0]
    assert found(period="Week") == [0, 10]
    assert found(period="Day") == [10]
    assert found(sort="Newest")[:2] == [10, 0]
    assert found(sort="Most Downloaded")[0] == 0


def test_a_model_is_found_by_its_id_the_first_one_if_there_are_two(broken):
    assert broken.model(1) == BROKEN[0]
    assert broken.model(3) == BROKEN[2]
    assert broken.model(4) is None


def test_creators_tags_and_images_are_derived_from_what_is_usable(broken):
    creators = [json.loads(one) for one in all_of(broken.creators(None))]
    assert [(one["username"], one["modelCount"]) for one in creators] == [("ann", 2)]
    tags = [json.loads(one) for one in all_of(broken.tags(None))]
    assert [(one["name"], one["modelCount"]) for one in tags] == [("cat", 2), ("dog ", 1)]
    images = [json.loads(one) for one in all_of(broken.images(ImageQuery()))]
    assert [image["id"] for image in images] == [8, 7]
    assert images[0]["createdAt"] == "2023-07-03T21:17:26.787Z"
    assert images[1] == {"id": 7, "nsfw": "Soft", "createdAt": "2023-06-30T10:00:00.000Z", "username": "ann"}

    def found(**query):
        return [json.loads(one)["id"] for one in all_of(broken.images(ImageQuery(**query)))]

    assert found(model_id=1) == found(version_id=11) == found(username="Ann") == found(nsfw="Soft") == [7]
    assert found(period="Day") == [8]
    assert found(sort="Most Comments") == [8, 7]
    assert json.loads(broken.enums())["BaseModel"] == ["SD 1.5"]


def test_a_broken_catalogue_goes_over_http_byte_for_byte(tmp_path):
    path = tmp_path / "broken.ndjson"
    readable = [line for line in BROKEN if b"cut off" not in line]
    path.write_bytes(b"\n".join(readable))
    with launch(catalogue=path, on=date(2023, 7, 4)) as emulator:
        received = []
        for page in range(1, 5):
            with urllib.request.urlopen(f"{emulator.api_url}/models?limit=3&page={page}") as response:
                assert response.headers["date"] == "Tue, 04 Jul 2023 12:00:00 GMT"
                received.append(msgspec.json.decode(response.read(), type=dict[str, msgspec.Raw])["items"])
        items = [bytes(item) for part in received for item in msgspec.json.decode(part, type=list[msgspec.Raw])]
        assert items == readable
        with pytest.raises(RuntimeError, match="no simulation"):
            emulator.account(date(2023, 7, 4))


def test_the_recorded_catalogue_is_served_whole_and_derived_right(real_catalogue):
    with pa.input_stream(str(real_catalogue), compression="zstd") as stream:
        lines = stream.read().splitlines()

    def get(address):
        with urllib.request.urlopen(address) as response:
            return response.read()

    with launch(catalogue=real_catalogue) as emulator:
        received: list[bytes] = []
        creators, tags, image_ids = {}, {}, []
        address = emulator.api_url + "/models?limit=200"
        while address:
            page = msgspec.json.decode(get(address), type=dict[str, msgspec.Raw])
            received += map(bytes, msgspec.json.decode(page["items"], type=list[msgspec.Raw]))
            metadata = json.loads(bytes(page["metadata"]))
            address = metadata.get("nextPage")
        for path, key, found in (("/creators", "username", creators), ("/tags", "name", tags)):
            address = emulator.api_url + path + "?limit=200"
            while address:
                page = json.loads(get(address))
                found.update({item[key]: item["modelCount"] for item in page["items"]})
                address = page["metadata"].get("nextPage")
        page = json.loads(get(emulator.api_url + "/images?limit=200"))
        image_ids = [image["id"] for image in page["items"]]
        assert metadata["totalItems"] == len(lines) == 3980
        some = json.loads(lines[100])
        assert get(f"{emulator.api_url}/models/{some['id']}") == lines[100]
    assert received == lines
    models = [json.loads(line) for line in lines]
    assert creators == Counter(model["creator"]["username"] for model in models if model.get("creator"))
    assert tags == Counter(tag for model in models for tag in set(model["tags"]))
    nested = {image["id"] for model in models for version in model["modelVersions"] for image in version["images"]}
    assert page["metadata"]["totalItems"] == len(nested)
    assert image_ids == sorted(nested, reverse=True)[:200]


def test_a_catalogue_of_250_megabytes_answers_within_thirty_seconds(real_catalogue, tmp_path):
    with pa.input_stream(str(real_catalogue), compression="zstd") as stream:
        text = stream.read()
    large = tmp_path / "large.ndjson"
    with large.open("wb") as file:
        while file.tell() < 250e6:
            file.write(text)
    started = time.perf_counter()
    with launch(catalogue=large) as emulator:
        urllib.request.urlopen(emulator.api_url + "/models?limit=1").read()
        assert time.perf_counter() - started < 30
    large.unlink()
