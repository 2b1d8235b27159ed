"""Looks things up by id, name or hash: users, details of versions, and the versions that hashes belong to.

Answers are stored like everything else, as documents and observations. A key that the service does not know becomes a
tombstone. Look-ups make no snapshot: a date that has only look-ups is not covered. A thing is stored once per date.
One request has as many keys as the service takes. If it gets no usable answer, its halves are requested, and so on
until the failing key stands alone. When the service answers again, this key is requested once more and rejected if it
still fails. If the service does not answer, all of it is retried as long as the client has patience.
"""

import time
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from urllib.parse import quote

import dlt
import msgspec
from dlt.extract.resource import DltResource

from pipelines.api.answers import UNREADABLE, Page
from pipelines.api.client import Client
from pipelines.api.dialects import DIALECTS, Lookup
from pipelines.api.errors import BrokenAnswerError, NotFoundError, RefusedError, ServiceError
from pipelines.crawl.service import refuse_other_service
from pipelines.errors import CivitaiEtlError
from pipelines.progress import Progress, Silent
from pipelines.raw.documents import UnreadableItemError, split
from pipelines.raw.kinds import HASH_MATCH
from pipelines.raw.loader import Loader, plain_errors
from pipelines.raw.resources import SOURCE, lookup_resource, rows_of
from pipelines.raw.row_buffer import BROKEN_IN_A_ROW, PART_ATTEMPTS, Counts, NewRows, RowBuffer
from pipelines.raw.tables import lookup_id
from pipelines.raw.warehouse import Known, connect, crawls, looked_up
from pipelines.settings import Settings
from pipelines.storage.directory import prepare_directory, storage_errors

_SILENT = Silent()

#: Look-ups have one pass.
_PASS = 1
_LARGEST_ID = 2**31 - 1

#: What is looked up every day, and the setting that lists it.
WATCHED = {"versions": "watch_versions", "minis": "watch_versions", "users": "watch_users"}

#: What a key of each type looks like, for messages.
_EXPECTED = {
    "id": f"a number from 1 to {_LARGEST_ID}",
    "name": "a name",
    "hash": "a hash of 8 to 64 hexadecimal digits",
    "sha256": "a SHA256, 64 hexadecimal digits",
}


@dataclass(frozen=True)
class LookupReport:
    """The result of look-ups, by the name of the look-up and by key.

    Every key is in exactly one of `found` (the documents that answer it, as received; several versions can have one
    hash), `unknown` (the service does not have it) and `unanswered` (why there is no usable answer). `problem` says why
    the run stopped early, if it did: the answers until then are loaded.
    """

    found: dict[str, dict[str, list[bytes]]]
    unknown: dict[str, list[str]]
    unanswered: dict[str, dict[str, str]]
    problem: str | None
    requests: int
    retries: int
    bytes: int
    seconds: float


def look_up(
    settings: Settings,
    wanted: Mapping[str, Iterable[str]],
    progress: Progress = _SILENT,
    on: date | None = None,
    client: Client | None = None,
) -> LookupReport:
    """Fetch what is wanted, per name of a look-up of the dialect, and load the answers.

    The caller holds the writer lock. `on` is the date to store the answers under, by default that of the service's
    clock. A caller that needs more requests or more patience passes its own `client`; the report counts all that this
    client did.

    Raises:
        CivitaiEtlError: the dialect has no such look-up, a key is not valid for it, or the disk fails.
    """
    began = time.monotonic()
    named = [(lookup_of(settings, name), texts) for name, texts in wanted.items()]
    client = client or Client(settings, patience_seconds=settings.brief_retry_seconds, progress=progress)
    run = LookupRun(client, progress, on)
    batches = [LookupBatch(lookup, parse_keys(lookup, texts), run) for lookup, texts in named]
    if any(each.keys for each in batches):
        prepare_directory(settings.data_dir)
        with storage_errors(settings.data_dir), plain_errors():
            if settings.directory.warehouse.exists():
                with closing(connect(settings.directory.warehouse)) as connection:
                    refuse_other_service(settings, crawls(connection))
            loader = Loader(settings)
            loader.drain(progress)
            loader.load(_answers(batches))
    return LookupReport(
        found={each.lookup.name: each.found for each in batches},
        unknown={each.lookup.name: each.unknown for each in batches},
        unanswered={each.lookup.name: each.unanswered | each.not_fetched() for each in batches},
        problem=run.problem,
        requests=run.client.requests,
        retries=run.client.retries,
        bytes=run.client.bytes,
        seconds=time.monotonic() - began,
    )


def watch_list(settings: Settings, on: date) -> dict[str, list[str]]:
    """The watched keys that were not looked up on that date yet, per name of a look-up."""
    wanted: dict[str, list[str]] = {}
    with closing(connect(settings.directory.warehouse)) as connection:
        for name, setting in WATCHED.items():
            lookup, texts = lookup_of(settings, name), [str(watched) for watched in getattr(settings, setting)]
            done = looked_up(connection, lookup.kind, on, by_name=lookup.key_type == "name") if texts else set()
            wanted[name] = [text for text in texts if text.casefold() not in done]
    return {name: texts for name, texts in wanted.items() if texts}


def lookup_of(settings: Settings, name: str) -> Lookup:
    """The look-up of that name in the dialect of the settings.

    Raises:
        CivitaiEtlError: there is none.
    """
    dialect = DIALECTS[settings.dialect_name]
    for lookup in dialect.lookups:
        if lookup.name == name:
            return lookup
    names = ", ".join(lookup.name for lookup in dialect.lookups)
    raise CivitaiEtlError(f"There is no look-up {name!r} in the dialect {dialect.name}: take one of {names}.")


def parse_keys(lookup: Lookup, texts: Iterable[str]) -> list[str]:
    """The distinct keys, as they are stored: numbers without leading zeros, hashes in upper case.

    Raises:
        CivitaiEtlError: a text is no valid key.
    """
    keys: dict[str, None] = {}
    for text in texts:
        plain = text.strip()
        if not _is_key(lookup, plain):
            raise CivitaiEtlError(f"{lookup.name}: expected {_EXPECTED[lookup.key_type]}, found {text!r}.")
        keys[str(int(plain)) if lookup.key_type == "id" else plain.upper() if lookup.by_hash else plain] = None
    return list(keys)


def _is_key(lookup: Lookup, text: str) -> bool:
    match lookup.key_type:
        case "id":
            return text.isascii() and text.isdigit() and len(text) < 100 and 1 <= int(text) <= _LARGEST_ID
        case "name":
            return bool(text) and text.isprintable()
        case "hash":
            return 8 <= len(text) <= 64 and _is_hexadecimal(text)
        case "sha256":
            return len(text) == 64 and _is_hexadecimal(text)


def _is_hexadecimal(text: str) -> bool:
    return all(digit in "0123456789abcdefABCDEF" for digit in text)


class LookupRun:
    """What all batches of one run share: the client, the date and the rows per payload kind.

    `problem` says why the run makes no more requests.
    """

    def __init__(self, client: Client, progress: Progress, on: date | None) -> None:
        self.client = client
        self.progress = progress
        self.problem: str | None = None
        self._on = on
        self._buffers: dict[str, RowBuffer] = {}

    def buffer(self, kind: str, moment: datetime) -> RowBuffer:
        """The buffer for documents of a kind that were answered at `moment`."""
        self._on = self._on or moment.date()
        if kind not in self._buffers:
            self._buffers[kind] = RowBuffer(kind, Counts(), Known(), lookup_id(self._on), self._on)
        return self._buffers[kind]

    def new_rows(self) -> NewRows:
        """Hand over the collected rows per raw table."""
        for buffer in self._buffers.values():
            yield from buffer.new_rows()


@dataclass
class LookupBatch:
    """All keys of one look-up, and what the service answered for them (as in `LookupReport`)."""

    lookup: Lookup
    keys: list[str]
    run: LookupRun
    found: dict[str, list[bytes]] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    unanswered: dict[str, str] = field(default_factory=dict)
    # Keys that were fetched alone since the last good answer, and got no usable answer.
    _suspects: list[str] = field(default_factory=list)
    _refused_in_a_row: int = 0

    def portions(self) -> Iterator[list[str]]:
        """The keys, in portions of the size that the service takes."""
        for first in range(0, len(self.keys), self.lookup.batch_size):
            yield self.keys[first : first + self.lookup.batch_size]

    def not_fetched(self) -> dict[str, str]:
        """The keys that were not fetched because the run stopped early."""
        settled = {*self.found, *self.unknown, *self.unanswered}
        return dict.fromkeys((text for text in self.keys if text not in settled), "not asked")

    def fetch(self, keys: list[str]) -> NewRows:
        """Fetch some keys and yield the rows of the answers. A service that does not answer ends the run: `problem`."""
        if self.run.problem:
            return
        try:
            self._fetch(keys)
            if keys[-1] == self.keys[-1]:
                self._clear_up_at_the_end()
        except ServiceError as failure:
            self.run.problem = str(failure)
        done = len(self.found) + len(self.unknown) + len(self.unanswered)
        self.run.progress.update(f"look up {self.lookup.name}", done, len(self.keys))
        yield from self.run.new_rows()

    def _fetch(self, keys: list[str]) -> None:
        """Fetch some keys, in parts if necessary, until each of them is settled or a suspect.

        Raises:
            OutageError: the service gives no usable answer for as long as the client retries.
            ServiceError: it refuses.
        """
        waiting = deque([keys])
        while waiting:
            part = waiting.popleft()
            try:
                self._settle(part, PART_ATTEMPTS if 1 < len(part) < len(keys) else None)
            except RefusedError as refusal:
                if not refusal.is_of_one or isinstance(refusal, NotFoundError):
                    raise
                if len(part) > 1:
                    waiting.extendleft([text] for text in reversed(part))
                    continue
                if self._refused_in_a_row == BROKEN_IN_A_ROW:
                    raise
                self._refused_in_a_row += 1
                self._reject(part[0], refusal.answered_at, str(refusal), refusal.answer.body)
            except BrokenAnswerError as error:
                if len(part) > 1:
                    middle = len(part) // 2
                    waiting.extendleft((part[middle:], part[:middle]))
                    continue
                self._suspects += part
                if len(self._suspects) > BROKEN_IN_A_ROW:
                    waiting.extendleft([suspect] for suspect in reversed(self._suspects))
                    self._suspects.clear()
                    self.run.client.pause(error)
            else:
                self._refused_in_a_row = 0
                self._clear_up()

    def _clear_up_at_the_end(self) -> None:
        """No further answer will show whether the service works, so a probe has to show it."""
        while self._suspects:
            try:
                self.run.client.probe()
            except BrokenAnswerError as failure:
                self.run.client.pause(failure)
            else:
                self._clear_up()

    def _clear_up(self) -> None:
        """Fetch the suspects once more, now that the service answers; reject those that still get no answer."""
        while self._suspects:
            key = self._suspects[0]
            try:
                self._settle([key], PART_ATTEMPTS)
            except BrokenAnswerError as error:
                self._reject(key, error.answered_at, error.fault, error.body)
            self._suspects.pop(0)

    def _settle(self, keys: list[str], attempts: int | None) -> None:
        """Fetch these keys in one request and keep the answer."""
        try:
            page = self._answer(keys, attempts)
        except NotFoundError as answer:
            if "{}" not in self.lookup.path:  # there is no such operation
                raise
            self._mark_not_found(keys, answer.answered_at)
        else:
            self._take(keys, page)

    def _answer(self, keys: list[str], attempts: int | None) -> Page:
        lookup, client = self.lookup, self.run.client
        if "{}" in lookup.path:
            return client.document(lookup.path.format(quote(keys[0], safe="")), (), attempts)
        if lookup.argument:
            return client.document(lookup.path, ((lookup.argument, ",".join(keys)),), attempts)
        return client.post(lookup.path, msgspec.json.encode(keys), attempts)

    def _take(self, keys: list[str], page: Page) -> None:
        """Assign an answer to the keys that were fetched."""
        body, moment = bytes(page.items[0]), page.answered_at
        matches: dict[str, list[bytes]] = defaultdict(list)
        try:
            # The service does not know what an answer leaves out, provided that the whole answer is readable.
            is_whole = (self._take_ids if self.lookup.answer == "ids" else self._take_documents)(
                keys, body, moment, matches
            )
        except (*UNREADABLE, UnreadableItemError) as error:
            self._reject(keys[0], moment, f"no answer of {self.lookup.name} ({error})", body)
            self.unanswered |= dict.fromkeys(keys[1:], f"the answer cannot be read ({error})")
            return
        if self.lookup.by_hash:
            for key, versions in matches.items():
                listed = b",".join(sorted(set(versions)))
                match = split(HASH_MATCH.name, b'{"hash":"%b","matches":[%b]}' % (key.encode(), listed))
                self.run.buffer(HASH_MATCH.name, moment).take_document(match, moment, _PASS)
        left_out = [key for key in keys if key not in self.found]
        if (shows := self.lookup.shows) and len(_elements(body)) >= shows:
            why = f"{shows} others begin with that name, and the service shows no more: ask by id"
            self.unanswered |= dict.fromkeys(left_out, why)
        elif is_whole:
            self._mark_not_found(left_out, moment)
        else:
            self.unanswered |= dict.fromkeys(left_out, "the answer has entries that cannot be told apart")

    def _take_documents(self, keys: list[str], body: bytes, moment: datetime, matches: dict[str, list[bytes]]) -> bool:
        """Collect documents, and the version of each. Return whether all were readable and matched a key."""
        kind, buffer = self.lookup.kind, self.run.buffer(self.lookup.kind, moment)
        is_whole = True
        for position, item in enumerate([body] if "{}" in self.lookup.path else _elements(body)):
            if item == b"null":  # a version without its file, but which one? (docs/api-notes.md, 4)
                is_whole = False
                continue
            try:
                document = split(kind, item, entity_id=keys[0])
                whose = self._whose(keys, document.entity_id, item)
            except (*UNREADABLE, UnreadableItemError) as error:
                if len(keys) == 1:
                    raise
                buffer.reject(self._request(keys[0]), position, moment, str(error), item)
                is_whole = False
                continue
            is_whole &= bool(whose) or self.lookup.key_type == "name"  # a search finds others, too
            if whose or self.lookup.key_type != "name":
                buffer.take_document(document, moment, _PASS)
            for key in whose:
                self.found.setdefault(key, []).append(item)
                if kind == "version":
                    model_id = msgspec.json.encode(_part(item, _Version).modelId)
                    matches[key].append(b'{"modelVersionId":%b,"modelId":%b}' % (document.entity_id.encode(), model_id))
        return is_whole

    def _whose(self, keys: Sequence[str], entity_id: str, item: bytes) -> list[str]:
        """The keys that a document answers.

        Raises:
            UnreadableItemError: it has an id that was not requested.
        """
        match self.lookup.key_type:
            case "id":
                if entity_id not in keys:
                    raise UnreadableItemError(f"it is {self.lookup.kind} {entity_id}")
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

    def _mark_not_found(self, keys: Sequence[str], moment: datetime) -> None:
        """The service does not have these keys."""
        self.unknown += keys
        kind = HASH_MATCH.name if self.lookup.by_hash else self.lookup.kind
        self.run.buffer(kind, moment).mark_deleted(keys, moment)

    def _reject(self, key: str, moment: datetime, reason: str, body: bytes) -> None:
        """Keep the bytes of an answer that cannot be used."""
        self.unanswered[key] = reason
        self.run.buffer(self.lookup.kind, moment).reject(self._request(key), 0, moment, reason, body)

    def _request(self, key: str) -> str:
        """How raw names a request; a request for many keys is named after the first."""
        path = self.lookup.path
        return path.format(quote(key, safe="")) if "{}" in path else f"{path} {key}"


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


def _part(item: bytes, kind: Any) -> Any:
    return msgspec.json.decode(item, type=kind)


@dlt.source(name=SOURCE)
def _answers(batches: Sequence[LookupBatch]) -> Iterator[DltResource]:
    for each in batches:
        name = each.lookup.name.replace("-", "_")
        keys = dlt.resource(each.portions(), name=f"{name}_asked", selected=False)
        yield keys | lookup_resource(f"{name}_answers", each.lookup, _answer_rows)(each)


def _answer_rows(keys: list[str], batch: LookupBatch) -> Iterator[Any]:
    yield from rows_of(batch.fetch(keys))
