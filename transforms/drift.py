"""Which JSON paths does a document have that no declaration knows? The answer is the drift report (ops_drift)."""

from collections.abc import Iterable
from functools import cache
from typing import Any, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Struct

from transforms import payloads

#: Known, kept in raw, and deliberately in no table. What lies below such a path is not looked at.
NOT_DECODED = {
    payloads.Model: {
        *("baseModels", "cosmetic", "earlyAccessDeadline", "hashes", "checkpointType", "status"),
        *("createdAt", "updatedAt", "publishedAt", "lastVersionAt", "locked"),
    },
    payloads.Version: {
        *("description", "vaeId", "flags", "status", "covered", "paidAccess", "earlyAccessDeadline"),
        *("earlyAccessConfig", "earlyAccessEndsAt", "uploadType", "usageControl", "licensingFee", "trainingStatus"),
        *("trainingDetails", "model"),
    },
    payloads.Image: {
        *("meta", "baseModel", "metadata", "minor", "poi", "hasMeta", "hasPositivePrompt", "onSite", "remixOfId"),
        *("availability", "generationProcess", "modelVersionIds", "tags", "thumbnail"),
    },
    payloads.ModelCreator: {"modelCount", "link"},
    payloads.FileMetadata: {"quantType", "isRequired"},
    payloads.Creator: {"modelCount"},
    payloads.Tag: {"modelCount"},
    payloads.User: {"email"},
    payloads.VersionDetail: {
        *("description", "vaeId", "flags", "covered", "earlyAccessDeadline", "earlyAccessConfig", "trainingDetails"),
    },
    payloads.VersionMini: {"id", "modelId", "hashes", "fees"},
    payloads.Enums: {"ModelType", "ModelFileType", "BaseModelType"},
}


def unknown_paths(kind: type[Struct] | Any, documents: Iterable[str]) -> dict[str, str]:
    """The paths that documents have and `kind` does not declare, each with a value found there, shortened."""
    found: dict[str, str] = {}
    for document in documents:
        try:
            value = msgspec.json.decode(document)
        except msgspec.DecodeError:
            continue  # set aside with its own reason
        _walk(kind, value, "$", found)
    return found


def _walk(kind: Any, value: Any, path: str, found: dict[str, str]) -> None:
    if isinstance(value, list):
        inner = _item(kind)
        if inner is not None:
            for item in value:
                _walk(inner, item, f"{path}[]", found)
    elif isinstance(value, dict):
        struct = _struct(kind)
        if struct is None:
            return
        hints = _hints(struct)
        for name, member in value.items():
            if name not in hints:
                if name not in NOT_DECODED.get(struct, ()):
                    found.setdefault(f"{path}.{name}", msgspec.json.encode(member).decode()[:80])
            elif isinstance(member, dict | list):
                _walk(hints[name], member, f"{path}.{name}", found)


# Asked for every value of every document that is looked at, and always the same.
_hints = cache(get_type_hints)


@cache
def _item(kind: Any) -> Any:
    """The type of the items where a type may be a list."""
    (inner,) = {arg for arm in _arms(kind) if get_origin(arm) is list for arg in get_args(arm)} or {None}
    return inner


@cache
def _struct(kind: Any) -> type[Struct] | None:
    """The struct where a type may be an object."""
    return next((arm for arm in _arms(kind) if isinstance(arm, type) and issubclass(arm, Struct)), None)


def _arms(kind: Any) -> tuple[Any, ...]:
    """The alternatives of a type."""
    if kind is None or isinstance(kind, type) or get_origin(kind) is list:
        return (kind,)
    return get_args(kind)
