"""Declares and reads the query and path parameters of the operations, as in the specification.

Values are in OpenAPI's default style (form, explode): an array repeats the parameter, any other value occurs once. An
invalid value raises `BadParameterError`. Undeclared parameters are ignored.
"""

import re
from collections.abc import Callable, Sequence
from typing import TypeVar, overload

import msgspec

from emulator.simulation import vocabulary

MODEL_TYPES = tuple(name for name, _ in vocabulary.MODEL_TYPES)
PERIODS = ("AllTime", "Year", "Month", "Week", "Day")

Body = TypeVar("Body")
Value = TypeVar("Value")
#: The value of a parameter from its name and its texts.
Reader = Callable[[str, list[str]], Value]


class Sent(dict[str, object]):
    """The values of the sent parameters, by name. Each is of the type that its reader gives."""

    @overload
    def number(self, name: str) -> int | None: ...
    @overload
    def number(self, name: str, default: int) -> int: ...
    def number(self, name: str, default: int | None = None) -> int | None:
        value = self.get(name, default)
        assert value is None or isinstance(value, int)
        return value

    @overload
    def text(self, name: str) -> str | None: ...
    @overload
    def text(self, name: str, default: str) -> str: ...
    def text(self, name: str, default: str | None = None) -> str | None:
        value = self.get(name, default)
        assert value is None or isinstance(value, str)
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        value = self.get(name, ())
        assert isinstance(value, tuple)
        return value

    def numbers(self, name: str) -> frozenset[int] | None:
        value = self.get(name)
        assert value is None or isinstance(value, frozenset)
        return value

    def flag(self, name: str) -> bool:
        return self.get(name) is True


class BadParameterError(ValueError):
    """A parameter violates the specification's schema; the text names it and what is allowed."""


def _single(name: str, values: list[str]) -> str:
    if len(values) > 1:
        raise BadParameterError(f"{name} was given {len(values)} times, it takes one value")
    return values[0]


def integer(minimum: int | None = None, maximum: int | None = None) -> Reader[int]:
    def read(name: str, values: list[str]) -> int:
        text = _single(name, values)
        if not re.fullmatch(r"-?[0-9]{1,4000}", text):
            raise BadParameterError(f"{name} must be an integer, not {text[:80]!r}")
        number = int(text)
        if minimum is not None and number < minimum:
            raise BadParameterError(f"{name} must be at least {minimum}, not {text[:80]}")
        if maximum is not None and number > maximum:
            raise BadParameterError(f"{name} must be at most {maximum}, not {text[:80]}")
        return number

    return read


def boolean(name: str, values: list[str]) -> bool:
    text = _single(name, values)
    if text not in ("true", "false"):
        raise BadParameterError(f"{name} must be true or false, not {text[:80]!r}")
    return text == "true"


def one_of(*allowed: str) -> Reader[str]:
    def read(name: str, values: list[str]) -> str:
        text = _single(name, values)
        if text not in allowed:
            raise BadParameterError(f"{name} must be one of {', '.join(allowed)}, not {text[:80]!r}")
        return text

    return read


def any_of(*allowed: str) -> Reader[tuple[str, ...]]:
    def read(name: str, values: list[str]) -> tuple[str, ...]:
        return tuple(one_of(*allowed)(name, [value]) for value in values)

    return read


text: Reader[str] = _single

#: Operation -> parameter -> reader; the specification's operation ids.
PARAMETERS: dict[str, dict[str, Reader[object]]] = {
    "listModels": {
        "limit": integer(1, 200),
        "page": integer(1),
        "query": text,
        "tag": text,
        "username": text,
        "types": any_of(*MODEL_TYPES),
        "sort": one_of("Highest Rated", "Most Downloaded", "Newest"),
        "period": one_of(*PERIODS),
        "nsfw": boolean,
    },
    "listImages": {
        "limit": integer(maximum=200),
        "postId": integer(),
        "modelId": integer(),
        "modelVersionId": integer(),
        "username": text,
        "nsfw": one_of("None", "Soft", "Mature", "X"),
        "sort": one_of("Most Reactions", "Most Comments", "Newest"),
        "period": one_of(*PERIODS),
        "page": integer(),
    },
    "listCreators": {"limit": integer(maximum=200), "page": integer(), "query": text},
    "listTags": {"limit": integer(maximum=200), "page": integer(), "query": text},
    "listUsers": {"username": text, "limit": integer()},
    "checkPermissions": {
        "entityType": one_of("Model", "ModelVersion", "Image", "Post", "Article"),
        "entityId": integer(),
    },
    "getVaultItem": {"modelVersionId": integer()},
}
#: The required parameters of each operation.
REQUIRED = {"checkPermissions": ("entityType", "entityId"), "getVaultItem": ("modelVersionId",)}


def read_parameters(operation: str, pairs: Sequence[tuple[str, str]]) -> Sent:
    """The values of the sent parameters of an operation, by name.

    Args:
        operation: a key of `PARAMETERS`.
        pairs: the decoded query, in order.

    Raises:
        BadParameterError: the specification's schema refuses one of them.
    """
    read = Sent()
    for name, reader in PARAMETERS[operation].items():
        values = [value for key, value in pairs if key == name]
        if values:
            read[name] = reader(name, values)
        elif name in REQUIRED.get(operation, ()):
            raise BadParameterError(f"{name} is required")
    return read


def read_body(body: bytes, schema: type[Body], wanted: str) -> Body:
    """The value of a request's JSON body.

    Raises:
        BadParameterError: it is not JSON, or does not fit the operation.
    """
    try:
        return msgspec.json.decode(body, type=schema)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadParameterError(f"the body must be {wanted} as JSON ({error})") from None
