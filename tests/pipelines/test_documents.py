import json
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.api.json_text import legible
from pipelines.raw.documents import UnreadableItemError, splice, split
from pipelines.raw.kinds import KINDS

REAL = Path(__file__).resolve().parents[3] / "shared" / "real"
needs_real = pytest.mark.skipif(not REAL.is_dir(), reason=f"the recorded payloads are not at {REAL}")


def metrics_of(kind: str, item: bytes) -> list[dict]:
    return json.loads(split(kind, item).metrics)


def test_counters_are_cut_verbatim_and_in_document_order() -> None:
    item = (
        b'{"id": 7, "modelVersions": [{"stats": {"downloadCount":  1e2}, "id": 70,'
        b'"images": [{"id": 700, "stats": {}}, {"stats": { }}]}], "stats":{"downloadCount":null}, "n": "x"}'
    )
    document = split("model", item)
    assert document.entity_id == "7"
    assert document.payload == (
        b'{"id": 7, "modelVersions": [{"stats": {}, "id": 70,'
        b'"images": [{"id": 700, "stats": {}}, {"stats": {}}]}], "stats":{}, "n": "x"}'
    )
    assert document.metrics == (
        b'[{"owner":"version","id":70,"stats":{"downloadCount":  1e2}},{"owner":"image","id":700,"stats":{}},'
        b'{"owner":"image","id":null,"stats":{ }},{"owner":"model","id":7,"stats":{"downloadCount":null}}]'
    )
    assert splice("model", document.payload, document.metrics) == item


def test_a_document_whose_counters_alone_changed_keeps_its_hash() -> None:
    yesterday, today, renamed = (
        split("model", json.dumps({"id": 1, "name": name, "stats": {"downloadCount": count}}).encode())
        for name, count in (("a", 1), ("a", 2), ("b", 2))
    )
    assert yesterday.content_hash == today.content_hash != renamed.content_hash


@pytest.mark.parametrize("stats", ["null", '"text"', "[1]", "3"])
def test_counters_that_are_no_object_stay_in_the_payload(stats: str) -> None:
    item = f'{{"id":1,"stats":{stats}}}'.encode()
    document = split("model", item)
    assert (document.payload, document.metrics) == (item, b"[]")


@pytest.mark.parametrize("stats", ['{"a":{"b":1}}', '{"a":[1]}', '{"a":"text"}', '{"a":1e999}', r'{"a":"\ud83d"}'])
def test_an_odd_counter_is_cut_like_any_other_so_that_its_document_keeps_its_hash(stats: str) -> None:
    item = f'{{"id":1,"stats":{stats}}}'.encode()
    document = split("model", item)
    assert document.payload == b'{"id":1,"stats":{}}'
    assert document.metrics == f'[{{"owner":"model","id":1,"stats":{stats}}}]'.encode()
    assert splice("model", document.payload, document.metrics) == item


@pytest.mark.parametrize("count", ["12", "-1.5e3", "null", '"12"', "{}", "[1]"])
def test_model_count_is_cut_whatever_it_is(count: str) -> None:
    item = f'{{"username":"ann","modelCount":{count}}}'.encode()
    document = split("creator", item)
    assert document.payload == b'{"username":"ann","modelCount":null}'
    assert splice("creator", document.payload, document.metrics) == item


def test_half_of_a_surrogate_pair_stays_as_it_was_received() -> None:
    item = (
        rb'{"id":7,"name":"cut \ud83d","title":"\\ud83d \ud83d\ude00","creator":{"username":"\udc00","modelCount":3},'
        rb'"modelVersions":[{"id":70,"stats":{"downloadCount":1}}]}'
    )
    document = split("model", item)
    assert document.entity_id == "7"
    assert document.payload == item.replace(b'{"downloadCount":1}', b"{}").replace(
        b'"modelCount":3', b'"modelCount":null'
    )
    assert splice("model", document.payload, document.metrics) == item


def test_what_is_legible_has_whole_pairs_only_and_the_same_length() -> None:
    text = rb'"\ud83d\ude00 \ud83d\ud83d\ude00 \udc00 \\ud83d \\\ud83d \u0041 \n"'
    assert legible(text) == rb'"\ud83d\ude00 \ufffd\ud83d\ude00 \ufffd \\ud83d \\\ufffd \u0041 \n"'


def test_model_count_of_the_creator_inside_a_model_is_a_counter() -> None:
    item = b'{"id":1,"creator":{"username":"a\\u0062","modelCount":3}}'
    assert split("model", item).metrics == b'[{"owner":"creator","id":"a\\u0062","modelCount":3}]'


def test_stats_in_free_form_meta_is_no_counter() -> None:
    item = b'{"id":1,"meta":{"stats":{"a":1},"text":"\\"stats\\":{\\"a\\":1}"},"stats":{"likeCount":2}}'
    assert metrics_of("image", item) == [{"owner": "image", "id": 1, "stats": {"likeCount": 2}}]


def test_versions_that_are_no_list_cost_no_other_counter() -> None:
    item = b'{"id":1,"modelVersions":{"0":{"stats":{"a":1}}},"stats":{"a":2}}'
    assert [entry["owner"] for entry in metrics_of("model", item)] == ["model"]


def test_a_version_that_is_no_object_costs_no_counter_of_its_neighbours() -> None:
    item = b'{"id":1,"modelVersions":["x",{"id":5,"stats":{"a":1}},null]}'
    assert [entry["id"] for entry in metrics_of("model", item)] == [5]


@pytest.mark.parametrize(
    ("kind", "item", "reason"),
    [
        ("model", b'"text"', "not a JSON object"),
        ("model", b"[1]", "not a JSON object"),
        ("model", b"{", "not valid JSON"),
        ("model", b'{"name":"x"}', "no id"),
        ("model", b'{"id":null}', "no id"),
        ("model", b'{"id":"5"}', 'id is not an integer of 64 bits: "5"'),
        ("model", b'{"id":true}', "id is not an integer"),
        ("model", b'{"id":-0}', "id is not an integer"),
        ("model", b'{"id":9223372036854775808}', "id is not an integer of 64 bits"),
        ("model", b'{"id":' + b"9" * 5_000 + b"}", "id is not an integer of 64 bits: 9999"),
        ("model", '{"id":"ééééééééééééééééééééé"}'.encode(), 'id is not an integer of 64 bits: "éé'),
        ("model", b'{"id":1,"name":"\xff"}', "not valid UTF-8 at byte 16"),
        ("model", b'{"id":1,"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "not valid JSON"),
        ("creator", b'{"username":null}', "no username"),
        ("creator", b'{"username":""}', "username is not a name"),
        ("tag", b'{"name":3}', "name is not a name"),
        ("tag", rb'{"name":"cut \ud83d"}', "name is not a name"),
    ],
)
def test_an_item_without_a_readable_id_is_unreadable_for_a_reason(kind: str, item: bytes, reason: str) -> None:
    with pytest.raises(UnreadableItemError, match=reason):
        split(kind, item)


def _json(value: object, spaces: Iterator[str]) -> str:
    """JSON text of a value (an object is a list of pairs, so that keys may repeat) with odd white space."""
    match value:
        case ("object", pairs):
            members = (f"{_json(key, spaces)}{next(spaces)}:{_json(item, spaces)}" for key, item in pairs)
            text = "{" + next(spaces) + ",".join(members) + "}"
        case ("list", items):
            text = "[" + ",".join(_json(item, spaces) for item in items) + "]"
        case ("raw", verbatim):
            text = verbatim
        case _:
            text = json.dumps(value, ensure_ascii=bool(len(next(spaces)) % 2))
    return next(spaces) + text + next(spaces)


text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(
    ['{"stats":{}}', "}", '\\"', "\u2028"]
)
scalar = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text
number = st.sampled_from(["0", "-1", "1e5", "2.50", "12345678901234567890123", "null", '"7"', "true"]).map(
    lambda v: ("raw", v)
)
keys = st.sampled_from(["stats", "id", "images", "modelVersions", "meta", "modelCount", "creator", "x"]) | text
stats = st.lists(
    st.tuples(st.sampled_from(["downloadCount", "rating", "stats"]) | text, number | scalar), max_size=4
).map(lambda pairs: ("object", pairs))
anything = st.recursive(
    scalar | number | stats,
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: ("list", items))
        | st.lists(st.tuples(keys, inner), max_size=3).map(lambda pairs: ("object", pairs))
    ),
    max_leaves=8,
)


def owner(**members: st.SearchStrategy) -> st.SearchStrategy:
    """Objects with these members, each perhaps missing, twice or something else altogether, in any order."""
    pairs = [st.tuples(st.just(key), value | anything) for key, value in members.items()]
    extras = st.lists(st.one_of(*pairs) | st.tuples(keys, anything), max_size=6)
    return extras.flatmap(st.permutations).map(lambda found: ("object", found))


image = owner(id=number, stats=stats, meta=anything)
version = owner(
    id=number, stats=stats, images=st.lists(image | anything, max_size=3).map(lambda items: ("list", items))
)
creator = owner(username=text, modelCount=number)
model = owner(
    stats=stats,
    creator=creator,
    modelVersions=st.lists(version | anything, max_size=3).map(lambda items: ("list", items)),
)


@settings(max_examples=200, deadline=None)
@given(data=st.data(), kind=st.sampled_from(["model", "version", "image", "creator", "tag", "enum", "version_mini"]))
def test_splice_gives_back_every_document_that_split_took(data: st.DataObject, kind: str) -> None:
    owners = {"model": model, "version": version, "image": image, "creator": creator, "tag": owner(modelCount=number)}
    _, pairs = data.draw(owners.get(kind, owner()))
    identity = KINDS[kind].owner.id
    if identity:
        pairs = [*pairs, (identity, 12 if identity == "id" else "ann")]
    spaces = cycle(data.draw(st.lists(st.sampled_from(["", " ", "\n\t", "\r "]), min_size=1, max_size=9)))
    item = _json(("object", pairs), spaces).encode()
    document = split(kind, item)
    assert splice(kind, document.payload, document.metrics) == item
    again = split(kind, document.payload)
    assert again.payload == document.payload
    for entry in json.loads(document.metrics):
        assert entry.keys() in ({"owner", "id", "stats"}, {"owner", "id", "modelCount"})


@needs_real
def test_every_recorded_model_of_2023_survives_the_split() -> None:
    with pa.input_stream(str(REAL / "models-2023-07.ndjson.zst"), compression="zstd") as stream:
        items = stream.read().splitlines()
    assert len(items) == 3980
    for item in items:
        document = split("model", item)
        assert splice("model", document.payload, document.metrics) == item
        assert b'"downloadCount"' not in document.payload


@needs_real
def test_every_recorded_file_survives_the_split_as_every_kind() -> None:
    files = sorted(REAL.glob("*/*.json"))
    assert files
    for file in files:
        for item in _items(file.read_bytes()):
            for kind in KINDS:
                try:
                    document = split(kind, item)
                except UnreadableItemError:
                    continue
                assert splice(kind, document.payload, document.metrics) == item, (file.name, kind)


def _items(body: bytes) -> Iterator[bytes]:
    yield body
    parsed = json.loads(body)
    items = parsed.get("items") if isinstance(parsed, dict) else parsed
    yield from (json.dumps(item, indent=1).encode() for item in items or () if isinstance(items, list))
