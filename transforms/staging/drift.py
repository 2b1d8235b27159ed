"""Which JSON paths does a document have that no declaration knows? The answer is the drift report (ops_drift)."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cache
from typing import Any, get_type_hints

import msgspec
import polars as pl

from transforms.staging import payloads, validation

#: The type of a value that is not looked into.
_ANYTHING = msgspec.Raw
#: A list or an object may also be none.
_SCALAR = str | bool | int | float | None

#: So many records of a day are searched in any case.
SEARCHED_FIRST = 1000

_OF_IMAGES = {
    *("meta", "baseModel", "metadata", "minor", "poi", "hasMeta", "hasPositivePrompt", "onSite", "remixOfId"),
    *("availability", "generationProcess", "modelVersionIds", "tags", "thumbnail"),
}

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
    payloads.Image: _OF_IMAGES,
    payloads.GalleryImage: _OF_IMAGES,
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


def searched(texts: pl.Series, before: int, every: int) -> pl.Series:
    """The texts that are searched, of some that come after so many others: the first ones of a day, and then every so
    many. So they do not depend on the batches in which they come.
    """
    first = max(0, SEARCHED_FIRST - before)
    later = texts.slice(first)
    return pl.concat([texts.head(first), later.gather_every(every, -(before + first) % every)])


def unknown_paths(kind: object, documents: Iterable[str]) -> dict[str, str]:
    """The paths that documents have and `kind` does not declare, each with a value found there, shortened."""
    found: dict[str, str] = {}
    fits = _fitting(kind)
    for document in documents:
        # What is no JSON, or is nested too deeply, is quarantined with its own reason.
        with suppress(ValueError, RecursionError):
            if not fits(document):
                _walk(kind, validation.loosely(document.encode()), "$", found)
    return found


@cache
def _fitting(kind: object) -> Callable[[str], bool]:
    """Whether a document surely has no unknown paths: as almost all, and told in a tenth of the time of a walk."""
    decoder = msgspec.json.Decoder(_outline(kind))

    def fits(document: str) -> bool:
        with suppress(msgspec.MsgspecError, UnicodeEncodeError):
            decoder.decode(document)
            return True
        return False

    return fits


def _outline(kind: object) -> Any:
    """A type of the objects and lists of `kind` that lets no unknown name in."""
    if (inner := validation.item_in(kind)) is not None:
        of_items = _outline(inner)
        return _ANYTHING if of_items is _ANYTHING else list[of_items] | _SCALAR  # type: ignore[valid-type]
    if (struct := validation.struct_in(kind)) is None:
        return _ANYTHING
    outlines = dict.fromkeys(NOT_DECODED.get(struct, ()), _ANYTHING)
    outlines |= {name: _outline(hint) for name, hint in _hints(struct).items()}
    fields = [(name, outline, None) for name, outline in outlines.items()]
    return msgspec.defstruct(struct.__name__, fields, forbid_unknown_fields=True) | _SCALAR


def _walk(kind: object, value: validation.Loose, path: str, found: dict[str, str]) -> None:
    if isinstance(value, list):
        inner = validation.item_in(kind)
        if inner is not None:
            for item in value:
                _walk(inner, item, f"{path}[]", found)
    elif isinstance(value, dict):
        struct = validation.struct_in(kind)
        if struct is None:
            return
        hints = _hints(struct)
        for name, member in value.items():
            if name not in hints:
                if name not in NOT_DECODED.get(struct, ()):
                    found.setdefault(f"{path}.{name}", validation.as_json(member)[:80])
            elif isinstance(member, dict | list):
                _walk(hints[name], member, f"{path}.{name}", found)


# Asked for every value of every document that is looked at, and always the same.
_hints = cache(get_type_hints)
