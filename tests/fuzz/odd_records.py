"""Documents with something wrong in them: JSON as it is written, so that numbers, keys and halves of characters can be
what no parser gives.

A document is a tree: an object is `Members`, a list is a list, what cannot be had from a parser is `Verbatim`, and all
else are plain values. A mutation changes one place of it.
"""

import json
import random
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pyarrow as pa

REAL = Path(__file__).resolve().parents[3] / "shared" / "real"


class Members(list[tuple[str, Any]]):
    """The members of an object, in order; a key can stand twice."""


class Verbatim(str):
    """JSON as it is to stand there."""

    __slots__ = ()


NUMBERS = (
    *("1e999", "-1e999", "1e400", "9" * 5_000, "-" + "9" * 400, "18446744073709551616", "9223372036854775808"),
    *("9223372036854775807", "-9223372036854775808", "-1", "-0", "0.0", "1.0", "5.5", "1e3", "1e-999", "1E+2"),
    *("92233720368548", "10000000001", "1000000000001"),
)
TEXTS = (
    *('""', '" "', '" padded "', '"text"', r'"cut \ud83d"', r'"\udc00 cut"', r'"\ud83d\ude00"', r'"a\u0000b"'),
    *('"true"', '"12"', '"null"', r'"\ufeff"', r'"\u2028"', '"' + "x" * 70_000 + '"', r'"\\ud83d"', '"{Sell,Rent}"'),
)
DATES = (
    *('"2026"', '"2026-13-45T00:00:00Z"', '"0001-01-01T00:00:00+14:00"', '"9999-12-31T23:59:59.999999-14:00"'),
    *('"2016-12-31T23:59:60Z"', '"0000-01-01T00:00:00Z"', '"2026-01-01T00:00:00"', '"tomorrow"', "1767225600"),
)
OTHERS = (
    "null",
    "true",
    "false",
    "[]",
    "{}",
    "[null]",
    "[[]]",
    "[1]",
    '["a",null,"a"," "]',
    '{"id":{}}',
    '{"name":"x"}',
)
KEYS = ("", " ", "id", "stats", "name", "$ref", "__proto__", "a.b", "a\u0000b", "é")
#: Deep, and deeper than anything that reads by recursion gets.
DEPTHS = (40, 120, 400, 950)
TOO_DEEP = Verbatim("[" * 100_000 + "]" * 100_000)


def tree(text: bytes | str) -> Any:
    return json.loads(text, object_pairs_hook=Members, parse_int=Verbatim, parse_float=Verbatim)


def written(value: Any) -> str:
    match value:
        case Verbatim():
            return str(value)
        case Members():
            return "{" + ",".join(f"{json.dumps(key)}:{written(member)}" for key, member in value) + "}"
        case list():
            return "[" + ",".join(map(written, value)) + "]"
        case _:
            return json.dumps(value)


def places(value: Any) -> Iterator[tuple[list[Any], int]]:
    """Every place of a tree: the object or list, and the position in it."""
    if isinstance(value, list):
        for position, element in enumerate(value):
            yield value, position
            yield from places(element[1] if isinstance(value, Members) else element)


def put(holder: list[Any], position: int, value: Any) -> None:
    holder[position] = (holder[position][0], value) if isinstance(holder, Members) else value


def at(holder: list[Any], position: int) -> Any:
    return holder[position][1] if isinstance(holder, Members) else holder[position]


def replace_value(chance: random.Random, holder: list[Any], position: int) -> None:
    """Another type, a number out of range, half of a character, a date that is none, or something deep."""
    what = chance.choice([NUMBERS, NUMBERS, TEXTS, DATES, OTHERS, OTHERS, DEPTHS])
    odd = chance.choice(what)
    put(holder, position, Verbatim("[" * odd + "]" * odd) if isinstance(odd, int) else Verbatim(odd))


def drop(_: random.Random, holder: list[Any], position: int) -> None:
    del holder[position]


def double(chance: random.Random, holder: list[Any], position: int) -> None:
    """A key, or an element of a list, that is there twice, and is perhaps another one the second time."""
    place = chance.randint(0, len(holder))
    holder.insert(place, deepcopy(holder[position]))
    if chance.random() < 0.5:
        replace_value(chance, holder, place)


def rename(chance: random.Random, holder: list[Any], position: int) -> None:
    if isinstance(holder, Members):
        holder[position] = (chance.choice([*KEYS, holder[chance.randrange(len(holder))][0]]), holder[position][1])
    else:
        replace_value(chance, holder, position)


def wrap(chance: random.Random, holder: list[Any], position: int) -> None:
    value = at(holder, position)
    put(
        holder, position, chance.choice([[value], Members([("value", value)]), Members([("id", value)]), [value, None]])
    )


MUTATIONS: tuple[Callable[[random.Random, list[Any], int], None], ...] = (
    *(replace_value, replace_value, replace_value, drop, double, rename, wrap),
)


def mutated(chance: random.Random, document: Any) -> str:
    """A document with one to three things wrong in it; what lies near the top is met more often."""
    document = deepcopy(document)
    for _ in range(chance.choice([1, 1, 1, 2, 3])):
        found = list(places(document))
        if not found:
            break
        holder, position = found[min(chance.randrange(len(found)), chance.randrange(len(found)))]
        if chance.random() < 0.3:  # any member of the document itself
            holder, position = document, chance.randrange(len(document))
        chance.choice(MUTATIONS)(chance, holder, position)
    if chance.random() < 0.01:
        return chance.choice([*OTHERS, *NUMBERS, *TEXTS])
    return written(document)


def real_models() -> list[Any]:
    """Models as the service gave them in 2023 and in 2025; none where the recorded responses are not there."""
    if not REAL.exists():
        return []
    with pa.input_stream(str(REAL / "models-2023-07.ndjson.zst"), compression="zstd") as stream:
        old = stream.read().splitlines()[::20]
    new = tree(
        (REAL / "models_list/tick97115115__civitai-model-downloader__illustrious_records_sfw_subset.json").read_bytes()
    )
    return [*map(tree, old), *new]


def made_up(kind: str) -> list[Any]:
    """One document of a kind with everything that is declared of it."""
    image = {"id": 7, "url": "https://x/7.jpeg", "nsfwLevel": 1, "width": 8, "height": 8, "hash": "U", "type": "image"}
    stats = {"downloadCount": 5, "thumbsUpCount": 3, "thumbsDownCount": 1, "ratingCount": 2, "rating": 4.5}
    file = {
        "id": 6, "name": "a.bin", "sizeKB": 1.5, "type": "Model", "metadata": {"format": "GGUF", "fp": "fp16"},
        "scannedAt": "2025-06-01T12:00:00.000Z", "hashes": {"AutoV2": "AB", "SHA256": "ABCD", "Blake3": "EF"},
        "primary": True, "pickleScanResult": "Success", "virusScanResult": "Success",
    }  # fmt: skip
    version = {
        "id": 5, "name": "v1", "baseModel": "Pony", "createdAt": "2025-06-01T12:00:00.000Z", "nsfwLevel": 1,
        "publishedAt": "2025-06-01T12:00:00.000Z", "trainedWords": ["w"], "stats": stats, "files": [file, file],
        "images": [image | {"stats": {"likeCount": 1}}], "availability": "Public",
    }  # fmt: skip
    documents: dict[str, dict[str, Any]] = {
        "model": {
            "id": 1, "name": "One", "type": "LORA", "description": "<p>x</p>", "nsfw": False, "nsfwLevel": 1,
            "allowCommercialUse": ["Sell"], "tags": ["sea", {"name": "sky"}], "mode": None, "userId": 3,
            "creator": {"username": "ann", "image": None, "modelCount": 2},
            "stats": stats | {"commentCount": 1, "tippedAmountCount": 9},
            "modelVersions": [version, version | {"id": 4}],
        },
        "creator": {"username": "ann", "modelCount": 3, "link": "https://x/ann"},
        "tag": {"name": "sea", "modelCount": 3, "link": "https://x/sea"},
        "image": image | {"createdAt": "2025-06-01T12:00:00.000Z", "username": "ann", "stats": {"likeCount": 1}},
    }  # fmt: skip
    return [tree(json.dumps(documents[kind]))]
