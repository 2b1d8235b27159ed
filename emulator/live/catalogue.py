"""The interface of the live routes to a catalogue: its day in the live service's shape, simulated or given."""

from collections.abc import Iterable, Sequence
from typing import Protocol, TypedDict

import msgspec

from emulator.catalogue import Documents
from emulator.live.keyset import Keyset
from emulator.live.queries import LiveImageQuery, LiveModelQuery
from emulator.live.traits import ALL_LEVELS
from emulator.versions import decoded, list_of, object_of

#: How many orders of /models are cached.
KEPT_ORDERS = 16
_encode = msgspec.json.Encoder().encode


class MissingFileError(Exception):
    """A version exists, but its primary file does not."""


class User(TypedDict):
    """A user in the answer of /users."""

    id: int
    username: str
    avatarNsfw: str


class LiveCatalogue(Protocol):
    """The state of a catalogue at one moment in the live service's shape."""

    def knows_user(self, username: str) -> bool: ...

    def models(self, query: LiveModelQuery) -> Keyset: ...

    def items(self, query: LiveModelQuery, rows: Sequence[int]) -> bytes:
        """The documents of some rows of a listing, with commas between them; some models are dropped."""
        ...

    def model(self, model_id: int, levels: int = ALL_LEVELS) -> bytes | None:
        """A model if it shows something on these browsing levels, or None."""
        ...

    def version(self, version_id: int, levels: int = ALL_LEVELS) -> bytes | None:
        """A version's document, or None; a version without its file raises MissingFileError."""
        ...

    def mini(self, version_id: int) -> bytes | None: ...

    def owner_id(self, version_id: int) -> int | None:
        """The id of a version's model."""
        ...

    def versions_by_hash(self, hashes: Iterable[str]) -> dict[str, list[int]]: ...

    def images(self, query: LiveImageQuery) -> Documents: ...

    def creators(self, text: str | None) -> Documents: ...

    def tags(self, text: str | None) -> Documents: ...

    def users(self, text: str | None, ids: frozenset[int] | None) -> list[User]: ...

    def base_models(self) -> list[str]: ...


def narrowed(document: bytes, query: LiveModelQuery) -> bytes | None:
    """A model with only the versions and files that pass the query (2); None without any such version."""
    fields = object_of(decoded(document))
    versions = [
        version
        for version in map(object_of, list_of(fields.get("modelVersions")))
        if (not query.base_models or version.get("baseModel") in query.base_models)
        and (not query.generation or version.get("supportsGeneration") is True)
    ]
    if query.primary_only:
        for version in versions:
            version["files"] = [
                file for file in list_of(version.get("files")) if object_of(file).get("primary") is True
            ]
    return _encode(fields | {"modelVersions": versions}) if versions else None


def tag_document(name: str) -> bytes:
    return _encode({"name": name, "link": f"https://civitai.com/api/v1/models?tag={name.replace(' ', '%20')}"})
