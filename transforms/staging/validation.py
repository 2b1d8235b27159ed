"""Validates JSON documents against the payload structs, and reads them as polars values.

Documents are decoded in two steps. In `validate`, msgspec checks each document and writes the declared fields as
canonical JSON, in which every field has one type. In `read`, polars decodes this JSON. Polars alone is not enough: its
decoder fails a whole batch for one wrong scalar, rounds 5.5 to 5, and cannot read a field that is a list in one year
and a string in the next.

A document that msgspec rejects is read again member by member (`_Mender`). A value that does not fit its field is
quarantined alone: it becomes null, or leaves its list. If the field is required or declared `WHOLE`, its object is
quarantined too. If that object is the document, the record is quarantined.
"""

import json
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Annotated, NamedTuple, NoReturn, TypeAlias, get_args, get_origin, get_type_hints

import msgspec
import polars as pl
from msgspec import Meta, Struct

#: A field that is read whole or not at all. A missing item means that it is gone, not that it could not be read.
WHOLE = Meta(extra={"whole": True})


def Canonical(kind: object) -> Meta:  # noqa: N802 (reads as a type in the annotations below)
    """The type of a field after `__post_init__` has made it one shape; None: it is checked but not read."""
    return Meta(extra={"canonical": kind})


#: A value that is nested deeper is not quarantined alone. Python's own limit differs between processes.
DEEPEST = 100

_SCALARS: dict[object, type[pl.DataType]] = {
    int: pl.Int64,
    float: pl.Float64,
    bool: pl.Boolean,
    str: pl.String,
    datetime: pl.String,
}


def dtype_of(kind: object) -> pl.DataType:
    """The polars type of the canonical JSON of a struct, list or scalar; timestamps are ISO text."""
    kind = canonical_type(kind)
    if kind in _SCALARS:
        return _SCALARS[kind]()
    if get_origin(kind) is list:
        return pl.List(dtype_of(get_args(kind)[0]))
    if isinstance(kind, type):
        hints = get_type_hints(kind, include_extras=True)
        return pl.Struct({name: dtype_of(hint) for name, hint in hints.items() if canonical_type(hint) is not None})
    (inner,) = (arm for arm in get_args(kind) if arm is not type(None))
    return dtype_of(inner)


def canonical_type(kind: object) -> object:
    """The canonical type of an annotation, or else the annotated type."""
    if get_origin(kind) is not Annotated:
        return kind
    base, *metas = get_args(kind)
    return next((meta.extra["canonical"] for meta in metas if meta.extra and "canonical" in meta.extra), base)


class Odd(NamedTuple):
    """A value that is quarantined alone: its JSON path, what is wrong with it, and the value as JSON."""

    path: str
    message: str
    value: str

    @property
    def reason(self) -> str:
        return worded(self.message, self.path)


def worded(message: str, path: str) -> str:
    """The reason of a row of ops_quarantine. `path_in` reads the path back."""
    return f"{message} - at `{path}`"


def path_in(reason: str) -> str:
    """The JSON path in a reason, if it has one."""
    found = re.search(r" - at `(\$.*)`$", reason, re.DOTALL)
    return found[1] if found else ""


@dataclass
class Validated:
    """The result of a validation.

    `canonical`: the canonical JSON of every readable document, in order. `errors`: for every other one its position
    and its error with the JSON path ("Expected `int`, got `str` - at `$.id`"). `odd`: the quarantined values of each
    readable document, by its position.
    """

    canonical: list[bytes] = field(default_factory=list)
    errors: dict[int, str] = field(default_factory=dict)
    odd: dict[int, list[Odd]] = field(default_factory=dict)


def validate(kind: object, documents: Iterable[bytes]) -> Validated:
    """Validates JSON documents.

    Args:
        kind: a payload struct (`transforms.staging.payloads`), or a list of one.
        documents: UTF-8 JSON.
    """
    decoder, encoder = msgspec.json.Decoder(kind), msgspec.json.Encoder()
    found = Validated()
    for position, document in enumerate(documents):
        canonical = b""
        with suppress(msgspec.DecodeError, RecursionError):
            canonical = encoder.encode(decoder.decode(document))
        if not canonical or b'"0001-' in canonical or b'"9999-' in canonical:
            mender = _Mender()
            try:
                canonical = encoder.encode(mender.document(kind, document))
            except _UnreadableError as error:
                found.errors[position] = worded(error.message, error.path)
                continue
            if mender.odd:
                found.odd[position] = mender.odd
        found.canonical.append(canonical)
    return found


class _UnreadableError(Exception):
    """The value at a path does not fit its declaration."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(path, message)
        self.path = path
        self.message = message


class _Number(str):
    """A number as it was received. A Python number would change some of them and cannot hold others."""

    __slots__ = ()


#: JSON as `loosely` reads it.
Loose: TypeAlias = "dict[str, Loose] | list[Loose] | str | bool | None"


class _Mender:
    """Reads a document member by member; `odd` has the quarantined values."""

    def __init__(self) -> None:
        self.odd: list[Odd] = []

    def document(self, kind: object, document: bytes) -> object:
        """The document as declared.

        Raises:
            _UnreadableError: it is not JSON, or a required part is missing or unreadable.
        """
        try:
            return self._read(kind, loosely(document), "$")
        except RecursionError:
            raise _UnreadableError("$", "JSON is nested too deeply") from None
        except ValueError as error:
            raise _UnreadableError("$", f"JSON is malformed: {error}") from None

    def _read(self, kind: object, value: Loose, path: str) -> object:
        struct, item = struct_in(kind), item_in(kind)
        if isinstance(value, dict) and struct and not struct.__struct_config__.forbid_unknown_fields:
            return self._object(struct, value, path)
        if isinstance(value, list) and item is not None:
            return self._list(kind, item, value, path)
        return _scalar(kind, value, path)

    def _object(self, struct: type[Struct], members: dict[str, Loose], path: str) -> Struct:
        values = {}
        for declared in msgspec.structs.fields(struct):
            name, needed = declared.name, declared.required or is_whole(declared.type)
            if name not in members:
                if declared.required:
                    raise _UnreadableError(path, f"Object missing required field `{name}`")
                continue
            try:
                values[name] = self._read(declared.type, members[name], f"{path}.{name}")
            except _UnreadableError as error:
                if needed:
                    raise
                self._set_aside(error, members[name], f"{path}.{name}")
        return struct(**values)

    def _list(self, kind: object, item: object, elements: list[Loose], path: str) -> list[object]:
        values = []
        for position, element in enumerate(elements):
            try:
                values.append(self._read(item, element, f"{path}[{position}]"))
            except _UnreadableError as error:
                if is_whole(kind):
                    raise
                self._set_aside(error, element, f"{path}[{position}]")
        return values

    def _set_aside(self, error: _UnreadableError, value: Loose, path: str) -> None:
        where = "" if error.path == path else f", at `{error.path}`"
        self.odd.append(Odd(path, error.message + where, as_json(value)))


def loosely(document: bytes) -> Loose:
    """A JSON document in which numbers are texts (`_Number`) of any size, and texts may have lone surrogates.

    Raises:
        ValueError: it is not JSON.
        RecursionError: it is nested too deeply.
    """
    value: Loose = json.loads(document.decode(), parse_int=_Number, parse_float=_Number, parse_constant=_no_json)
    return value


def _no_json(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _scalar(kind: object, value: Loose, path: str) -> object:
    try:
        if isinstance(value, _Number):
            return msgspec.json.decode(value.encode(), type=kind)
        if isinstance(value, str) and not _is_text(value):
            raise _UnreadableError(path, "Expected text, got half of a surrogate pair")
        found = msgspec.convert(value, kind)
        if isinstance(found, datetime) and found.tzinfo:
            found.astimezone(UTC)
    except OverflowError:
        raise _UnreadableError(path, "Expected a time that is of the years 1 to 9999 in UTC") from None
    except msgspec.ValidationError as error:
        raise _UnreadableError(path, str(error).partition(" - at `")[0]) from None
    return found


def as_json(value: Loose, levels: int = DEEPEST) -> str:
    """A value of `loosely` as JSON again: numbers as received, no white space.

    Raises:
        RecursionError: it has more than so many levels.
    """
    if isinstance(value, _Number):
        return str(value)
    if isinstance(value, dict | list) and not levels:
        raise RecursionError
    if isinstance(value, dict):
        members = [f"{as_json(name)}:{as_json(member, levels - 1)}" for name, member in value.items()]
        return "{" + ",".join(members) + "}"
    if isinstance(value, list):
        return "[" + ",".join([as_json(element, levels - 1) for element in value]) + "]"
    return json.dumps(value, ensure_ascii=isinstance(value, str) and not _is_text(value))


def _is_text(value: str) -> bool:
    """Whether UTF-8 can encode it; half of a surrogate pair has no encoding."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_whole(kind: object) -> bool:
    """Whether a field is declared `WHOLE`."""
    return get_origin(kind) is Annotated and WHOLE in get_args(kind)


def declared_at(kind: object, names: Sequence[str]) -> object:
    """The type that a struct declares at a path of names and `[]` (elements of a list); None if it declares none."""
    for name in names:
        struct = struct_in(kind)
        fields = {each.name: each.type for each in msgspec.structs.fields(struct)} if struct else {}
        kind = item_in(kind) if name == "[]" else fields.get(name)
        if kind is None:
            return None
    return kind


@cache
def item_in(kind: object) -> object:
    """The item type if a type may be a list."""
    (inner,) = {arg for arm in _arms(kind) if get_origin(arm) is list for arg in get_args(arm)} or {None}
    return inner


@cache
def struct_in(kind: object) -> type[Struct] | None:
    """The struct if a type may be an object."""
    return next((arm for arm in _arms(kind) if isinstance(arm, type) and issubclass(arm, Struct)), None)


def _arms(kind: object) -> tuple[object, ...]:
    """The alternatives of a type."""
    if get_origin(kind) is Annotated:
        return _arms(get_args(kind)[0])
    if kind is None or isinstance(kind, type) or get_origin(kind) is list:
        return (kind,)
    return get_args(kind)


def read(kind: object, canonical: list[bytes]) -> pl.Series:
    """One value per canonical document (`validate`)."""
    return pl.Series("document", canonical, dtype=pl.Binary).cast(pl.String).str.json_decode(dtype_of(kind))
