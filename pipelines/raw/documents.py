"""Splits a received JSON document into what a thing is and what it did that day, without losing a byte.

Counters change every day, the rest of a document seldom does. `split` cuts the counters out of the received bytes and
puts a blank (`{}` or `null`) in their place; equal documents then have equal hashes from one day to the next. `splice`
puts the counters back and gives the received bytes again. `pipelines.raw.kinds` declares where counters stand.
A `stats` that is no object stays in the payload, untouched; whatever else stands there is cut, odd or not, so that it
is looked at every day.

No document is parsed into Python objects and nothing is searched by pattern: msgspec hands out the declared members as
views of the bytes (`msgspec.Raw`), whose addresses are their positions. A `"stats"` inside free-form meta is just text.
Half of a surrogate pair, which a text that was cut in the middle of an emoji ends with, is no JSON to msgspec: such a
document is read through a copy of the same length (`legible`).
"""

import re
from hashlib import blake2b
from typing import NamedTuple

import msgspec
from msgspec import Raw, Struct

from pipelines.api.json_text import address, decoded, verbatim
from pipelines.raw.kinds import BLANKS, KINDS, Owner

#: The entity id of the one document of a list that has none.
ENUMS_ID = "enums"

_INTEGER = re.compile(rb"0|-?[1-9][0-9]{0,18}")
_LARGEST = 2**63 - 1
#: How the JSON of a number or a text begins.
_NUMBER_OR_TEXT = frozenset(b"%c" % byte for byte in b'-0123456789"')


class UnreadableItemError(ValueError):
    """An item that cannot become a document; the message is the reason in words."""


class Document(NamedTuple):
    """A received item in two parts; `splice(kind, payload, metrics)` gives the item."""

    entity_id: str
    content_hash: str
    payload: bytes
    metrics: bytes


class _Counter:
    """A declared counter of an owner: its name, what it looks like, its blank and its element of the metrics, in which
    the owner's id and the counter's bytes are left open.
    """

    def __init__(self, owner: str, key: str) -> None:
        self.key = key
        self.blank = BLANKS[key]
        self.element = f'{{"owner":"{owner}","id":%b,"{key}":%b}}'.encode()

    def is_cut(self, value: bytes) -> bool:
        return self.blank != b"{}" or value.startswith(b"{")


#: What stands at a declared position: where, the counter, the owner's id as JSON, the counter's bytes.
_Found = tuple[int, _Counter, bytes, bytes]


def split(kind: str, item: bytes, entity_id: str = ENUMS_ID) -> Document:
    """Cut the counters of one received item out of it; `entity_id` is given for a kind whose documents lack it.

    Raises:
        UnreadableItemError: it is no JSON object, not UTF-8, or has no readable id.
    """
    reader = _READERS[kind]
    try:
        if not item.isascii():
            item.decode()
        members, found = reader.read(item)
        own_id = reader.entity_id(members)
    except UnicodeDecodeError as error:
        raise UnreadableItemError(f"not valid UTF-8 at byte {error.start}") from None
    except msgspec.ValidationError as error:
        raise UnreadableItemError(f"not a JSON object ({error})") from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise UnreadableItemError(f"not valid JSON ({error})") from None
    pieces: list[bytes] = []
    metrics: list[bytes] = []
    end = 0
    for position, counter, owner_id, value in found:
        if counter.is_cut(value):
            pieces += item[end:position], counter.blank
            metrics.append(counter.element % (owner_id, value))
            end = position + len(value)
    pieces.append(item[end:])
    payload = b"".join(pieces)
    content_hash = blake2b(payload, digest_size=16).hexdigest()
    return Document(own_id or entity_id, content_hash, payload, b"[%b]" % b",".join(metrics))


def splice(kind: str, payload: bytes, metrics: bytes) -> bytes:
    """Put the counters in `metrics` back into `payload`: the bytes that `split` was given."""
    elements, seen = decoded(_METRICS.decode, metrics)
    values = iter(elements)
    pieces: list[bytes] = []
    end = 0
    for position, counter, _, value in _READERS[kind].read(payload)[1]:
        # A blank at a declared position is always one of ours: whatever looked like a blank was cut, too.
        if value == counter.blank:
            pieces += payload[end:position], verbatim(next(values)[counter.key], seen, metrics)
            end = position + len(value)
    pieces.append(payload[end:])
    return b"".join(pieces)


class _Reader:
    """Reads the declared members of one owner as views of the bytes; members that do not fit are passed over.

    A document in which all of them fit, as almost every one does, is read in one go (`tree`); else member by member.
    """

    def __init__(self, owner: Owner) -> None:
        self.owner = owner
        keys = [*owner.counters, *owner.objects, *owner.lists, *([owner.id] if owner.id else [])]
        names = {key: f"member{number}" for number, key in enumerate(keys)}
        self._id = names.get(owner.id or "")
        self._counters = [(_Counter(owner.name, key), names[key]) for key in owner.counters]
        self._objects = [(names[key], _Reader(inner)) for key, inner in owner.objects.items()]
        self._lists = [(names[key], _Reader(inner)) for key, inner in owner.lists.items()]
        types: dict[str, object] = dict.fromkeys(names.values(), Raw)
        self.decode = msgspec.json.Decoder(_struct(owner, names, types)).decode
        types |= {name: inner.tree | None for name, inner in self._objects}
        types |= {name: list[inner.tree] | None for name, inner in self._lists}  # type: ignore[name-defined]
        self.tree: type[Struct] = _struct(owner, names, types)
        self._decode_tree = msgspec.json.Decoder(self.tree).decode

    def read(self, document: bytes) -> tuple[Struct, list[_Found]]:
        """The members of a whole document, and what stands at its declared positions, in order."""
        (members, found), seen = decoded(self._read, document)
        if seen is not document:
            found = [(at, counter, owner, document[at : at + len(value)]) for at, counter, owner, value in found]
        return members, found

    def _read(self, document: bytes) -> tuple[Struct, list[_Found]]:
        found: list[_Found] = []
        origin = address(document)
        try:
            members = self._decode_tree(document)
        except msgspec.ValidationError:
            members = self.decode(document)
            self.collect(members, origin, found)
        else:
            self.collect_tree(members, origin, found)
        found.sort()
        return members, found

    def collect_tree(self, members: Struct, origin: int, found: list[_Found]) -> None:
        self._collect_counters(members, origin, found)
        for name, inner in self._objects:
            if (value := getattr(members, name)) is not None:
                inner.collect_tree(value, origin, found)
        for name, inner in self._lists:
            for element in getattr(members, name) or ():
                inner.collect_tree(element, origin, found)

    def collect(self, members: Struct, origin: int, found: list[_Found]) -> None:
        self._collect_counters(members, origin, found)
        for name, inner in self._objects:
            value = getattr(members, name)
            if value and memoryview(value)[0] == _OBJECT:
                inner.collect(inner.decode(value), origin, found)
        for name, inner in self._lists:
            value = getattr(members, name)
            if value and memoryview(value)[0] == _ARRAY:
                for element in _ELEMENTS.decode(value):
                    if memoryview(element)[0] == _OBJECT:
                        inner.collect(inner.decode(element), origin, found)

    def _collect_counters(self, members: Struct, origin: int, found: list[_Found]) -> None:
        for counter, name in self._counters:
            if value := getattr(members, name):
                owner_id = bytes(getattr(members, self._id)) if self._id else b""
                if owner_id[:1] not in _NUMBER_OR_TEXT:
                    owner_id = b"null"
                found.append((address(value) - origin, counter, owner_id, bytes(value)))

    def entity_id(self, members: Struct) -> str | None:
        """The id of a whole document, if its kind has one."""
        if self._id is None:
            return None
        raw = bytes(getattr(members, self._id))
        key = self.owner.id
        if not raw or raw == b"null":
            raise UnreadableItemError(f"no {key}")
        if key == "id":
            if not _INTEGER.fullmatch(raw) or abs(int(raw)) > _LARGEST:
                raise UnreadableItemError(f"{key} is not an integer of 64 bits: {_begin(raw)}")
            return raw.decode()
        if raw[:1] != b'"' or raw == b'""' or rb"\ufffd" in raw:
            raise UnreadableItemError(f"{key} is not a name: {_begin(raw)}")
        return msgspec.json.decode(raw, type=str)


def _begin(raw: bytes) -> str:
    return raw[:40].decode(errors="replace")


def _struct(owner: Owner, names: dict[str, str], types: dict[str, object]) -> type[Struct]:
    """A struct of the declared members of an owner, by their names and the types given; an absent one is empty."""
    members = [
        (name, types[name], msgspec.field(default=Raw(b"") if types[name] is Raw else None, name=key))
        for key, name in names.items()
    ]
    return msgspec.defstruct(owner.name.title(), members, gc=False)


_OBJECT, _ARRAY = b"{["
_ELEMENTS = msgspec.json.Decoder(list[Raw])
_METRICS = msgspec.json.Decoder(list[dict[str, Raw]])
_READERS = {name: _Reader(kind.owner) for name, kind in KINDS.items()}
