"""What the service answered to a look-up: assigns answers to keys, and buffers documents, tombstones and rejects."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeVar
from urllib.parse import quote

import msgspec

from pipelines.api.answers import UNREADABLE, Page
from pipelines.api.dialects import Lookup
from pipelines.raw.documents import UnreadableItemError, split
from pipelines.raw.kinds import HASH_MATCH
from pipelines.raw.row_buffer import RowBuffer

Part = TypeVar("Part", bound=msgspec.Struct)

#: Look-ups have one pass.
_PASS = 1


class LookupAnswers:
    """The keys of one look-up that have an answer: `found`, `unknown` and `unanswered`, as in `LookupReport`.

    `buffer` gives the rows of a payload kind that were answered at a moment.
    """

    def __init__(self, lookup: Lookup, buffer: Callable[[str, datetime], RowBuffer]) -> None:
        self.found: dict[str, list[bytes]] = {}
        self.unknown: list[str] = []
        self.unanswered: dict[str, str] = {}
        self._lookup = lookup
        self._buffer = buffer

    @property
    def settled(self) -> set[str]:
        """The keys that need no further request."""
        return {*self.found, *self.unknown, *self.unanswered}

    def take(self, keys: list[str], page: Page) -> None:
        """Assign an answer to the keys that were fetched."""
        body, moment = bytes(page.items[0]), page.answered_at
        matches: dict[str, list[bytes]] = defaultdict(list)
        try:
            # The service does not know what an answer leaves out, provided that the whole answer is readable.
            is_whole = (self._take_ids if self._lookup.answer == "ids" else self._take_documents)(
                keys, body, moment, matches
            )
        except (*UNREADABLE, UnreadableItemError) as error:
            self.reject(keys[0], moment, f"no answer of {self._lookup.name} ({error})", body)
            self.unanswered |= dict.fromkeys(keys[1:], f"the answer cannot be read ({error})")
            return
        if self._lookup.by_hash:
            for key, versions in matches.items():
                listed = b",".join(sorted(set(versions)))
                match = split(HASH_MATCH.name, b'{"hash":"%b","matches":[%b]}' % (key.encode(), listed))
                self._buffer(HASH_MATCH.name, moment).take_document(match, moment, _PASS)
        left_out = [key for key in keys if key not in self.found]
        if (shows := self._lookup.shows) and len(_elements(body)) >= shows:
            why = f"{shows} others begin with that name, and the service shows no more: ask by id"
            self.unanswered |= dict.fromkeys(left_out, why)
        elif is_whole:
            self.mark_not_found(left_out, moment)
        else:
            self.unanswered |= dict.fromkeys(left_out, "the answer has entries that cannot be told apart")

    def mark_not_found(self, keys: Sequence[str], moment: datetime) -> None:
        """The service does not have these keys."""
        self.unknown += keys
        kind = HASH_MATCH.name if self._lookup.by_hash else self._lookup.kind
        self._buffer(kind, moment).mark_deleted(keys, moment)

    def reject(self, key: str, moment: datetime, reason: str, body: bytes) -> None:
        """Keep the bytes of an answer that cannot be used."""
        self.unanswered[key] = reason
        self._buffer(self._lookup.kind, moment).reject(self._request(key), 0, moment, reason, body)

    def _take_documents(self, keys: list[str], body: bytes, moment: datetime, matches: dict[str, list[bytes]]) -> bool:
        """Collect documents, and the version of each. Return whether all were readable and matched a key."""
        kind, buffer = self._lookup.kind, self._buffer(self._lookup.kind, moment)
        is_whole = True
        for position, item in enumerate([body] if "{}" in self._lookup.path else _elements(body)):
            if item == b"null":  # a version without its file, but which one? (docs/api-notes.md, 4)
                is_whole = False
                continue
            try:
                document = split(kind, item, entity_id=keys[0])
                whose = _whose(self._lookup, keys, document.entity_id, item)
            except (*UNREADABLE, UnreadableItemError) as error:
                if len(keys) == 1:
                    raise
                buffer.reject(self._request(keys[0]), position, moment, str(error), item)
                is_whole = False
                continue
            is_whole &= bool(whose) or self._lookup.key_type == "name"  # a search finds others, too
            if whose or self._lookup.key_type != "name":
                buffer.take_document(document, moment, _PASS)
            for key in whose:
                self.found.setdefault(key, []).append(item)
                if kind == "version":
                    model_id = msgspec.json.encode(_part(item, _Version).modelId)
                    matches[key].append(b'{"modelVersionId":%b,"modelId":%b}' % (document.entity_id.encode(), model_id))
        return is_whole

    def _take_ids(self, keys: list[str], body: bytes, moment: datetime, matches: dict[str, list[bytes]]) -> bool:
        """Collect the versions of the hashes, from a list of objects or from a map (docs/api-notes.md, 4)."""
        is_whole = True
        found = _IDS.decode(body)
        entries = (
            [(text, b'{"modelVersionId":%d}' % version_id) for text, version_id in found.items()]
            if isinstance(found, dict)
            else [(_part(bytes(item), _HashOwner).hash, bytes(item)) for item in found]
        )
        for text, item in entries:
            if text.upper() in keys:
                matches[text.upper()].append(item)
                self.found.setdefault(text.upper(), []).append(item)
            else:
                is_whole = False
        return is_whole

    def _request(self, key: str) -> str:
        """How raw names a request; a request for many keys is named after the first."""
        path = self._lookup.path
        return path.format(quote(key, safe="")) if "{}" in path else f"{path} {key}"


def _whose(lookup: Lookup, keys: Sequence[str], entity_id: str, item: bytes) -> list[str]:
    """The keys that a document answers.

    Raises:
        UnreadableItemError: it has an id that was not requested.
    """
    match lookup.key_type:
        case "id":
            if entity_id not in keys:
                raise UnreadableItemError(f"it is {lookup.kind} {entity_id}")
            return [entity_id]
        case "name":
            username = _part(item, _User).username.casefold()
            return [key for key in keys if key.casefold() == username]
        case "hash":
            return list(keys)
        case "sha256":
            files = _part(item, _Version).files or []
            hashes = {(file.hashes.SHA256 or "").upper() for file in files if file.hashes}
            return [key for key in keys if key in hashes]


class _Items(msgspec.Struct):
    items: list[msgspec.Raw]


class _User(msgspec.Struct):
    username: str


class _Hashes(msgspec.Struct):
    SHA256: str | None = None


class _File(msgspec.Struct):
    hashes: _Hashes | None = None


class _Version(msgspec.Struct):
    modelId: int | None = None  # noqa: N815 (the service's name)
    files: list[_File] | None = None


class _HashOwner(msgspec.Struct):
    hash: str


_IDS = msgspec.json.Decoder(dict[str, int] | list[msgspec.Raw])
_LIST = msgspec.json.Decoder(list[msgspec.Raw] | _Items)


def _elements(body: bytes) -> list[bytes]:
    """The documents of a list, or of an object with the list `items`."""
    found = _LIST.decode(body)
    return [bytes(item) for item in (found.items if isinstance(found, _Items) else found)]


def _part(item: bytes, kind: type[Part]) -> Part:
    return msgspec.json.decode(item, type=kind)
