"""Every generation of every recorded shape decodes, and what msgspec lets pass polars reads as it is."""

import json
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from msgspec import Struct

from pipelines.documents import split
from transforms.payloads import PAYLOADS, Enums, Image, Metric, Model, Tag, read, validate

REAL = Path(__file__).parents[3] / "shared" / "real"
KINDS = {
    "model": "model",
    "models_list": "model",
    "model_version": "model",
    "images": "image",
    "creators": "creator",
    "tags": "tag",
}
#: An error body that the authors of the documentation put beside the answers.
NO_DOCUMENT = "model_versions_docs_example_6"


def decode(kind: type[Struct], documents: list[bytes]) -> tuple[pl.Series, dict[int, str]]:
    canonical, errors = validate(kind, documents)
    return read(kind, canonical), errors


def recorded() -> Iterator[Path]:
    for folder in KINDS:
        for path in sorted((REAL / folder).glob("*.json")):
            if NO_DOCUMENT not in path.name:
                yield path


@pytest.mark.skipif(not REAL.exists(), reason=f"the recorded responses {REAL} are not on this machine")
@pytest.mark.parametrize("path", list(recorded()), ids=lambda path: f"{path.parent.name}/{path.stem[-40:]}")
def test_every_recorded_response_decodes(path: Path) -> None:
    body = json.loads(path.read_text())
    items = body if isinstance(body, list) else body.get("items", [body])
    if path.parent.name == "model_version":
        items = [{"id": 1, "modelVersions": items}]
    kind = KINDS[path.parent.name]
    documents = [split(kind, json.dumps(item).encode()) for item in items]
    values, errors = decode(PAYLOADS[kind], [document.payload for document in documents])
    assert errors == {}
    assert len(values) == len(items)
    _, errors = validate(list[Metric], [document.metrics for document in documents])
    assert errors == {}


@pytest.mark.skipif(not REAL.exists(), reason=f"the recorded responses {REAL} are not on this machine")
def test_the_recorded_enums_decode() -> None:
    (path,) = (REAL / "other").glob("*enums_docs_example_0.json")
    (value,), errors = decode(Enums, [path.read_bytes()])
    assert errors == {}
    assert "Illustrious" in value["ActiveBaseModel"]


@pytest.mark.parametrize(
    ("shape", "meaning"),
    [
        ('"Sell"', ["Sell"]),
        ('"{Image,RentCivit}"', ["Image", "RentCivit"]),
        ('["Rent"]', ["Rent"]),
        ('"{}"', []),
        ("null", None),
    ],
)
def test_three_generations_of_commercial_use_are_a_list(shape: str, meaning: list[str] | None) -> None:
    (value,), errors = decode(Model, [f'{{"id": 1, "allowCommercialUse": {shape}}}'.encode()])
    assert (value["allowCommercialUse"], errors) == (meaning, {})


@pytest.mark.parametrize(
    ("members", "level"),
    [
        ('"nsfw": "None"', 1),
        ('"nsfw": "Mature"', 4),
        ('"nsfwLevel": 8', 8),
        ('"nsfwLevel": "X", "nsfw": true, "browsingLevel": 16', 16),
        ('"nsfw": false', None),
        ('"nsfw": "Strange"', None),
    ],
)
def test_browsing_levels_in_words_numbers_and_bits_are_bits(members: str, level: int | None) -> None:
    (value,), _ = decode(Image, [f'{{"id": 1, {members}}}'.encode()])
    assert value["nsfwLevel"] == level


def test_tags_of_2023_details_are_objects_and_mean_the_same() -> None:
    (value,), _ = decode(Model, [b'{"id": 1, "tags": [{"name": "punk"}, "sea"]}'])
    assert value["tags"] == ["punk", "sea"]


@pytest.mark.parametrize("number", ["5.5", '"5"', "true", "[5]", "99999999999999999999"])
def test_what_is_no_whole_number_of_64_bits_is_refused_with_its_path(number: str) -> None:
    values, errors = decode(Model, [b'{"id": 1}', f'{{"id": 2, "nsfwLevel": {number}}}'.encode(), b'{"id": 3}'])
    assert [value["id"] for value in values] == [1, 3]
    assert list(errors) == [1]
    assert "$.nsfwLevel" in errors[1]


def test_a_document_that_is_no_json_is_refused_alone() -> None:
    values, errors = decode(Tag, [b'{"name": "sea"}', b'{"name": ', b'"sky"'])
    assert len(values) == 1
    assert list(errors) == [1, 2]
