"""Every generation of every recorded shape decodes, and what msgspec lets pass polars reads as it is."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest
from msgspec import Struct

from pipelines.api.answers import Answer, UnusableAnswerError, decode_list
from pipelines.raw import kinds
from pipelines.raw.documents import UnreadableItemError, splice, split
from transforms.member import Me, Vault, VaultItem
from transforms.staging.payloads import (
    STAGED_KINDS,
    Enums,
    File,
    HashOwner,
    Image,
    Metric,
    Model,
    Tag,
    VersionMini,
)
from transforms.staging.validation import path_in, read, validate

REAL = Path(__file__).parents[3] / "shared" / "real"
needs_real = pytest.mark.skipif(not REAL.exists(), reason=f"the recorded responses {REAL} are not on this machine")

#: What each recorded response is: a payload kind by folder, or by the end of a file's name where that is another one.
KINDS = {
    "model": "model",
    "models_list": "model",
    "model_version": "version",
    "images": "image",
    "creators": "creator",
    "tags": "tag",
    "by_hash/civitai__civitai-developer-docs__model_versions_docs_example_3": "version",
    "model_version/civitai__civitai-developer-docs__model_versions_docs_example_6": "version_mini",
    "other/civitai__civitai-developer-docs__enums_docs_example_0": "enum",
    "other/civitai__civitai-developer-docs__users_docs_example_1": "user",
}
#: What is no document of a kind: a file of a version, ids of hashes, and what is told of the member of a key.
OTHERS: dict[str, Any] = {
    "model_version/civitai__civitai-developer-docs__model_versions_docs_example_1": File,
    "by_hash/civitai__civitai-developer-docs__model_versions_docs_example_5": list[HashOwner],
    "other/civitai__civitai-developer-docs__users_docs_example_0": Me,
    "other/civitai__civitai-developer-docs__permissions_docs_example_0": dict[str, bool],
    "other/civitai__civitai-developer-docs__vault_docs_example_0": Vault,
    "other/civitai__civitai-developer-docs__vault_docs_example_1": VaultItem,
    "other/civitai__civitai-developer-docs__vault_docs_example_2": list[dict[str, Any]],
    "other/civitai__civitai-developer-docs__vault_docs_example_3": dict[str, bool | int],
}


def decode(kind: type[Struct], documents: list[bytes]) -> tuple[pl.Series, dict[int, str]]:
    found = validate(kind, documents)
    assert found.odd == {}
    return read(kind, found.canonical), found.errors


def recorded() -> Iterator[str]:
    """Folder and name of every recorded response."""
    for path in sorted(REAL.glob("*/*.json")):
        yield f"{path.parent.name}/{path.stem}"


def kind_of(name: str) -> str | None:
    return None if name in OTHERS else KINDS.get(name) or KINDS.get(name.partition("/")[0])


def items_of(name: str) -> list[bytes]:
    body = json.loads((REAL / f"{name}.json").read_bytes())
    items = body if isinstance(body, list) else body.get("items", [body])
    return [json.dumps(item).encode() for item in items]


@needs_real
@pytest.mark.parametrize("name", [name for name in recorded() if kind_of(name)], ids=lambda name: name[-50:])
def test_every_recorded_document_decodes_and_survives_the_split(name: str) -> None:
    kind = kind_of(name)
    assert kind
    items = items_of(name)
    documents = [split(kind, item) for item in items]
    values, errors = decode(STAGED_KINDS[kind].payload, [document.payload for document in documents])
    assert errors == {}
    assert len(values) == len(items)
    found = validate(list[Metric], [document.metrics for document in documents])
    assert (found.errors, found.odd) == ({}, {})
    for item, document in zip(items, documents, strict=True):
        assert splice(kind, document.payload, document.metrics) == item


@needs_real
@pytest.mark.parametrize("name", OTHERS)
def test_every_other_recorded_answer_decodes(name: str) -> None:
    items = items_of(name) if OTHERS[name] is VaultItem else [(REAL / f"{name}.json").read_bytes()]
    assert items
    for item in items:
        msgspec.json.decode(item, type=OTHERS[name])


@needs_real
@pytest.mark.parametrize("name", [name for name in recorded() if not (kind_of(name) or name in OTHERS)])
def test_a_recorded_error_is_no_document_and_no_page(name: str) -> None:
    assert name.startswith("other/")
    body = (REAL / f"{name}.json").read_bytes()
    assert json.loads(body).keys() <= {"error", "message", "code"}
    for kind in kinds.KINDS.values():
        if kind.owner.id is not None:
            with pytest.raises(UnreadableItemError):
                split(kind.name, body)
    with pytest.raises(UnusableAnswerError, match="no page of items"):
        decode_list(Answer(body, datetime.now(UTC)))


@needs_real
def test_a_recorded_short_form_says_what_the_service_lets_one_do() -> None:
    name = next(name for name, kind in KINDS.items() if kind == "version_mini")
    (value,), _ = decode(VersionMini, items_of(name))
    assert (value["fileName"], value["canGenerate"], value["size"]) == (
        "waiIllustriousSDXL_v160.safetensors", True, 6775430.35,
    )  # fmt: skip
    assert value["downloadUrl"] == "https://civitai.com/api/download/models/2514310"


@needs_real
def test_the_recorded_enums_are_read() -> None:
    (value,), _ = decode(Enums, items_of("other/civitai__civitai-developer-docs__enums_docs_example_0"))
    assert "Illustrious" in value["ActiveBaseModel"]


@pytest.mark.parametrize(
    ("shape", "meaning"),
    [
        ('"Sell"', ["Sell"]),
        ('"{Image,RentCivit}"', ["Image", "RentCivit"]),
        ('["Rent"]', ["Rent"]),
        ('["Rent", "Image", "Rent"]', ["Image", "Rent"]),
        ('"{Rent,Image}"', ["Image", "Rent"]),
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


HUGE = "9" * 5_000


@pytest.mark.parametrize(
    ("members", "odd"),
    [
        ('"nsfwLevel": 5.5', {"$.nsfwLevel": "5.5"}),
        ('"nsfwLevel": "5"', {"$.nsfwLevel": '"5"'}),
        ('"nsfwLevel": true', {"$.nsfwLevel": "true"}),
        ('"nsfwLevel": [5, {"a": 1.0}]', {"$.nsfwLevel": '[5,{"a":1.0}]'}),
        ('"nsfwLevel": 99999999999999999999', {"$.nsfwLevel": "99999999999999999999"}),
        ('"nsfwLevel": 1e999', {"$.nsfwLevel": "1e999"}),
        (f'"nsfwLevel": {HUGE}', {"$.nsfwLevel": HUGE}),
        ('"name": "cut \\ud83d"', {"$.name": '"cut \\ud83d"'}),
        ('"name": 7, "mode": {}', {"$.name": "7", "$.mode": "{}"}),
        ('"tags": [null, "sea", {"title": "x"}]', {"$.tags[0]": "null", "$.tags[2]": '{"title":"x"}'}),
        ('"tags": "sea"', {"$.tags": '"sea"'}),
        ('"creator": "ann"', {"$.creator": '"ann"'}),
        (f'"mode": {"[" * 100 + "]" * 100}', {"$.mode": "[" * 100 + "]" * 100}),
        ('"stats": [1]', {"$.stats": "[1]"}),
        (
            '"modelVersions": [{"id": 7, "files": [3, {"id": "x", "hashes": {"SHA256": " ", "CRC32": "AB"}}]}]',
            {
                "$.modelVersions[0].files[0]": "3",
                "$.modelVersions[0].files[1].id": '"x"',
                "$.modelVersions[0].files[1].hashes.SHA256": '" "',
            },
        ),
        (
            '"modelVersions": [{"id": 7, "createdAt": "9999-12-31T23:59:59-14:00", "updatedAt": "2026"}]',
            {
                "$.modelVersions[0].createdAt": '"9999-12-31T23:59:59-14:00"',
                "$.modelVersions[0].updatedAt": '"2026"',
            },
        ),
    ],
    ids=lambda given: given[:40] if isinstance(given, str) else "",
)
def test_an_odd_value_is_set_aside_alone_with_its_path_and_as_received(members: str, odd: dict[str, str]) -> None:
    kept = '"description": "kept", "userId": 5'
    found = validate(Model, [b'{"id": 1}', f'{{"id": 2, {members}, {kept}}}'.encode(), b'{"id": 3}'])
    assert found.errors == {}
    assert {each.path: each.value for each in found.odd.pop(1)} == odd
    assert found.odd == {}
    values = read(Model, found.canonical)
    assert [value["id"] for value in values] == [1, 2, 3]
    assert (values[1]["description"], values[1]["userId"]) == ("kept", 5)
    assert not set(odd) & {f"$.{name}" for name, value in values[1].items() if value is not None}


def test_what_is_left_of_a_list_keeps_its_order() -> None:
    found = validate(Model, [b'{"id": 1, "tags": ["a", null, "b", 3, "c"]}'])
    assert read(Model, found.canonical)[0]["tags"] == ["a", "b", "c"]


def test_the_reason_of_an_odd_value_says_what_was_expected_what_was_found_and_where() -> None:
    (odd,) = validate(Model, [b'{"id": 1, "poi": "yes"}']).odd[0]
    assert odd.reason == "Expected `bool | null`, got `str` - at `$.poi`"
    assert path_in(odd.reason) == "$.poi"
    assert path_in("no id") == ""


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ('{"id": 1.5}', "$.id"),
        ('{"name": "x"}', "missing required field `id`"),
        ('{"id": 99999999999999}', "$.id"),
        ('{"id": 1, "modelVersions": {"0": {"id": 7}}}', "$.modelVersions"),
        ('{"id": 1, "modelVersions": [{"id": 7}, null]}', "$.modelVersions[1]"),
        ('{"id": 1, "modelVersions": [{"id": 7}, {"name": "x"}]}', "missing required field `id`"),
        ('{"id": 1, "modelVersions": [{"id": "7"}]}', "$.modelVersions[0].id"),
        ('{"id": 1, "name": NaN}', "NaN is no number"),
        ('{"id": 1, "name": ' + "[" * 100_000 + "]" * 100_000 + "}", "nested too deeply"),
        ('{"id": 1, "unknown": ' + "[" * 100_000 + "]" * 100_000 + "}", "nested too deeply"),
        ('{"id": 1, "name": ' + "[" * 101 + "]" * 101 + "}", "nested too deeply"),
        ('{"id": 1, "name": ' + '{"a":' * 101 + "1" + "}" * 101 + "}", "nested too deeply"),
    ],
    ids=lambda given: given[:60],
)
def test_a_model_that_cannot_be_told_from_another_or_whose_versions_cannot_is_set_aside_whole(
    document: str, reason: str
) -> None:
    values, errors = decode(Model, [b'{"id": 1}', document.encode(), b'{"id": 3}'])
    assert [value["id"] for value in values] == [1, 3]
    assert list(errors) == [1]
    assert reason in errors[1]


def test_of_a_key_that_stands_twice_the_last_one_counts() -> None:
    (value,), errors = decode(Model, [b'{"id": "x", "name": 5, "id": 1, "name": "last"}'])
    assert (value["id"], value["name"], errors) == (1, "last", {})


def test_a_document_that_is_no_json_is_refused_alone() -> None:
    values, errors = decode(Tag, [b'{"name": "sea"}', b'{"name": ', b'"sky"'])
    assert len(values) == 1
    assert list(errors) == [1, 2]
