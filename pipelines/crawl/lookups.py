"""Things asked for by id, name or hash: users, details of versions, and the versions that hashes belong to.

What comes is kept like everything else, as documents and observations, and so is what the service does not know: as a
tombstone. None of it makes a snapshot: a date with look-ups alone was not photographed. A thing is stored once a date.
As much is asked for at once as the service takes; a question that stays without a usable answer is asked again in
halves, until the one that it fails for stands alone. That is set aside if it still fails once the service answers
again; if the service does not, all of it is asked again, as long as the client has patience.
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

from pipelines.api.client import UNREADABLE, BrokenAnswerError, Client, NotFoundError, Page, RefusedError, ServiceError
from pipelines.api.dialects import DIALECTS, Lookup
from pipelines.crawl.service import refuse_other_service
from pipelines.errors import CivitaiEtlError
from pipelines.progress import Progress, Silent
from pipelines.raw.documents import UnreadableItemError, split
from pipelines.raw.loader import SOURCE, Loader, plain_errors, rows_of
from pipelines.raw.row_buffer import BROKEN_IN_A_ROW, PART_ATTEMPTS, Counts, NewRows, RowBuffer
from pipelines.raw.tables import lookup_id
from pipelines.raw.warehouse import Known, connect, crawls, looked_up
from pipelines.settings import Settings
from pipelines.storage.directory import prepare_directory, storage_errors

_SILENT = Silent()

HASH_MATCH = "hash_match"
#: Look-ups have one pass.
_PASS = 1
_LARGEST_ID = 2**31 - 1

#: What is looked up every day, and the setting that lists it.
WATCHED = {"versions": "watch_versions", "minis": "watch_versions", "users": "watch_users"}

#: What can be asked for: whether a text is such a thing, and how that is said.
_EXPECTED = {
    "id": f"a number from 1 to {_LARGEST_ID}",
    "name": "a name",
    "hash": "a hash of 8 to 64 hexadecimal digits",
    "sha256": "a SHA256, 64 hexadecimal digits",
}


@dataclass(frozen=True)
class LookupReport:
    """What look-ups came to; all by the name of the look-up and by what was asked for.

    Every asked one is in exactly one of `found` (the documents that answer it, as received; several versions can have
    one hash), `unknown` (the service does not have it) and `unanswered` (why there is no usable answer). `problem` is
    why it stopped early, if it did: what was answered by then is loaded.
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
    """Ask for what is wanted, per name of a look-up of the dialect, and load what comes.

    The caller holds the writer lock. `on` is the date to store it under, by default that of the service's clock. Who
    asks for more, or with more patience than a person has, gives its own `client`; the report counts what it did in
    all.

    Raises:
        CivitaiEtlError: the dialect has no such look-up, or it cannot ask for that; the disk refuses.
    """
    began = time.monotonic()
    named = [(lookup_of(settings, name), texts) for name, texts in wanted.items()]
    client = client or Client(settings, patience_seconds=settings.brief_retry_seconds, progress=progress)
    run = LookupRun(client, progress, on)
    questions = [Questions(lookup, askable(lookup, texts), run) for lookup, texts in named]
    if any(each.asked for each in questions):
        prepare_directory(settings.data_dir)
        with storage_errors(settings.data_dir), plain_errors():
            if settings.warehouse.exists():
                with closing(connect(settings.warehouse)) as connection:
                    refuse_other_service(settings, crawls(connection))
            loader = Loader(settings)
            loader.drain(progress)
            loader.load(_answers(questions))
    return LookupReport(
        found={each.lookup.name: each.found for each in questions},
        unknown={each.lookup.name: each.unknown for each in questions},
        unanswered={each.lookup.name: each.unanswered | each.unasked() for each in questions},
        problem=run.problem,
        requests=run.client.requests,
        retries=run.client.retries,
        bytes=run.client.bytes,
        seconds=time.monotonic() - began,
    )


def watch_list(settings: Settings, on: date) -> dict[str, list[str]]:
    """What is watched and was not looked up on that date yet, per name of a look-up."""
    wanted: dict[str, list[str]] = {}
    with closing(connect(settings.warehouse)) as connection:
        for name, setting in WATCHED.items():
            lookup, texts = lookup_of(settings, name), [str(watched) for watched in getattr(settings, setting)]
            done = looked_up(connection, lookup.kind, on, by_name=lookup.asked == "name") if texts else set()
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


def askable(lookup: Lookup, texts: Iterable[str]) -> list[str]:
    """What is to be asked for, each once, as it is stored: numbers without zeros before them, hashes in upper case.

    Raises:
        CivitaiEtlError: a text is nothing that can be asked for.
    """
    asked: dict[str, None] = {}
    for text in texts:
        plain = text.strip()
        if not _can_be_asked(lookup, plain):
            raise CivitaiEtlError(f"{lookup.name}: expected {_EXPECTED[lookup.asked]}, found {text!r}.")
        asked[str(int(plain)) if lookup.asked == "id" else plain.upper() if lookup.by_hash else plain] = None
    return list(asked)


def _can_be_asked(lookup: Lookup, text: str) -> bool:
    match lookup.asked:
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
    """What all questions of one run share: the client, the date, the rows per payload kind, and how it goes.

    `problem` is why no more is asked.
    """

    def __init__(self, client: Client, progress: Progress, on: date | None) -> None:
        self.client = client
        self.progress = progress
        self.problem: str | None = None
        self._on = on
        self._buffers: dict[str, RowBuffer] = {}

    def buffer(self, kind: str, moment: datetime) -> RowBuffer:
        """Where documents of a kind are collected that were answered at `moment`."""
        self._on = self._on or moment.date()
        if kind not in self._buffers:
            self._buffers[kind] = RowBuffer(kind, Counts(), Known(), lookup_id(self._on), self._on)
        return self._buffers[kind]

    def new_rows(self) -> NewRows:
        """Hand over the collected rows per raw table."""
        for buffer in self._buffers.values():
            yield from buffer.new_rows()


@dataclass
class Questions:
    """Everything that is asked through one look-up, and what came of it (as in `LookupReport`)."""

    lookup: Lookup
    asked: list[str]
    run: LookupRun
    found: dict[str, list[bytes]] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    unanswered: dict[str, str] = field(default_factory=dict)
    # What was asked for alone since the last good answer, and stayed without a usable one.
    _suspects: list[str] = field(default_factory=list)
    _refused_in_a_row: int = 0

    def batches(self) -> Iterator[list[str]]:
        """What is asked for, in the portions that the service takes."""
        for first in range(0, len(self.asked), self.lookup.batch_size):
            yield self.asked[first : first + self.lookup.batch_size]

    def unasked(self) -> dict[str, str]:
        """What was not asked for, because it stopped early."""
        settled = {*self.found, *self.unknown, *self.unanswered}
        return dict.fromkeys((text for text in self.asked if text not in settled), "not asked")

    def ask(self, batch: list[str]) -> NewRows:
        """Ask for a batch; gives the rows that come of it. A service that does not answer ends the run: `problem`."""
        if self.run.problem:
            return
        try:
            self._ask(batch)
            if batch[-1] == self.asked[-1]:
                self._clear_up_at_the_end()
        except ServiceError as failure:
            self.run.problem = str(failure)
        done = len(self.found) + len(self.unknown) + len(self.unanswered)
        self.run.progress.update(f"look up {self.lookup.name}", done, len(self.asked))
        yield from self.run.new_rows()

    def _ask(self, batch: list[str]) -> None:
        """Ask for a batch, in parts if need be, until each of it is settled or a suspect.

        Raises:
            OutageError: the service gives no usable answer for as long as it is tried.
            ServiceError: it refuses.
        """
        waiting = deque([batch])
        while waiting:
            part = waiting.popleft()
            try:
                self._settle(part, PART_ATTEMPTS if 1 < len(part) < len(batch) else None)
            except RefusedError as refusal:
                if not refusal.is_of_one or isinstance(refusal, NotFoundError):
                    raise
                if len(part) > 1:
                    waiting.extendleft([text] for text in reversed(part))
                    continue
                if self._refused_in_a_row == BROKEN_IN_A_ROW:
                    raise
                self._refused_in_a_row += 1
                self._set_aside(part[0], refusal.answered_at, str(refusal), refusal.answer.body)
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
        """No answer will come that shows whether the service is well: that of another question has to."""
        while self._suspects:
            try:
                self.run.client.probe()
            except BrokenAnswerError as failure:
                self.run.client.pause(failure)
            else:
                self._clear_up()

    def _clear_up(self) -> None:
        """Ask once more, now that the service answers, for what stayed without an answer; set it aside if it does."""
        while self._suspects:
            asked = self._suspects[0]
            try:
                self._settle([asked], PART_ATTEMPTS)
            except BrokenAnswerError as error:
                self._set_aside(asked, error.answered_at, error.fault, error.body)
            self._suspects.pop(0)

    def _settle(self, batch: list[str], attempts: int | None) -> None:
        """Ask for these at once, and keep what comes of it."""
        try:
            page = self._answer(batch, attempts)
        except NotFoundError as answer:
            if "{}" not in self.lookup.path:  # there is no such operation
                raise
            self._deny(batch, answer.answered_at)
        else:
            self._take(batch, page)

    def _answer(self, batch: list[str], attempts: int | None) -> Page:
        lookup, client = self.lookup, self.run.client
        if "{}" in lookup.path:
            return client.document(lookup.path.format(quote(batch[0], safe="")), (), attempts)
        if lookup.argument:
            return client.document(lookup.path, ((lookup.argument, ",".join(batch)),), attempts)
        return client.post(lookup.path, msgspec.json.encode(batch), attempts)

    def _take(self, batch: list[str], page: Page) -> None:
        """Find out what an answer says of each that was asked for."""
        body, moment = bytes(page.items[0]), page.answered_at
        matches: dict[str, list[bytes]] = defaultdict(list)
        try:
            # What an answer leaves out, the service does not know: if it can be read as a whole.
            is_whole = (self._take_ids if self.lookup.answer == "ids" else self._take_documents)(
                batch, body, moment, matches
            )
        except (*UNREADABLE, UnreadableItemError) as error:
            self._set_aside(batch[0], moment, f"no answer of {self.lookup.name} ({error})", body)
            self.unanswered |= dict.fromkeys(batch[1:], f"the answer cannot be read ({error})")
            return
        if self.lookup.by_hash:
            for asked, versions in matches.items():
                listed = b",".join(sorted(set(versions)))
                match = split(HASH_MATCH, b'{"hash":"%b","matches":[%b]}' % (asked.encode(), listed))
                self.run.buffer(HASH_MATCH, moment).take_document(match, moment, _PASS)
        left_out = [asked for asked in batch if asked not in self.found]
        if (shows := self.lookup.shows) and len(_elements(body)) >= shows:
            why = f"{shows} others begin with that name, and the service shows no more: ask by id"
            self.unanswered |= dict.fromkeys(left_out, why)
        elif is_whole:
            self._deny(left_out, moment)
        else:
            self.unanswered |= dict.fromkeys(left_out, "the answer has entries that cannot be told apart")

    def _take_documents(self, batch: list[str], body: bytes, moment: datetime, matches: dict[str, list[bytes]]) -> bool:
        """Collect documents, and for each the version that it is; whether all could be read and attributed."""
        kind, buffer = self.lookup.kind, self.run.buffer(self.lookup.kind, moment)
        is_whole = True
        for position, item in enumerate([body] if "{}" in self.lookup.path else _elements(body)):
            if item == b"null":  # a version without its file, but which one? (civitai-api.md, 4)
                is_whole = False
                continue
            try:
                document = split(kind, item, entity_id=batch[0])
                whose = self._whose(batch, document.entity_id, item)
            except (*UNREADABLE, UnreadableItemError) as error:
                if len(batch) == 1:
                    raise
                buffer.reject(self._request(batch[0]), position, moment, str(error), item)
                is_whole = False
                continue
            is_whole &= bool(whose) or self.lookup.asked == "name"  # a search finds others, too
            if whose or self.lookup.asked != "name":
                buffer.take_document(document, moment, _PASS)
            for asked in whose:
                self.found.setdefault(asked, []).append(item)
                if kind == "version":
                    model_id = msgspec.json.encode(_part(item, _Version).modelId)
                    matches[asked].append(
                        b'{"modelVersionId":%b,"modelId":%b}' % (document.entity_id.encode(), model_id)
                    )
        return is_whole

    def _whose(self, batch: Sequence[str], entity_id: str, item: bytes) -> list[str]:
        """Which of those that were asked for a document answers.

        Raises:
            UnreadableItemError: it has an id that was not asked for.
        """
        match self.lookup.asked:
            case "id":
                if entity_id not in batch:
                    raise UnreadableItemError(f"it is {self.lookup.kind} {entity_id}")
                return [entity_id]
            case "name":
                username = _part(item, _User).username.casefold()
                return [asked for asked in batch if asked.casefold() == username]
            case "hash":
                return list(batch)
            case "sha256":
                files = _part(item, _Version).files or []
                hashes = {(file.hashes.SHA256 or "").upper() for file in files if file.hashes}
                return [asked for asked in batch if asked in hashes]

    def _take_ids(self, batch: list[str], body: bytes, moment: datetime, matches: dict[str, list[bytes]]) -> bool:
        """Collect what versions the hashes belong to: objects in a list, or a map (civitai-api.md, 4)."""
        is_whole = True
        found = _IDS.decode(body)
        entries = (
            [(text, b'{"modelVersionId":%d}' % version_id) for text, version_id in found.items()]
            if isinstance(found, dict)
            else [(_part(bytes(item), _HashOwner).hash, bytes(item)) for item in found]
        )
        for text, item in entries:
            if text.upper() in batch:
                matches[text.upper()].append(item)
                self.found.setdefault(text.upper(), []).append(item)
            else:
                is_whole = False
        return is_whole

    def _deny(self, asked: Sequence[str], moment: datetime) -> None:
        """The service does not have these."""
        self.unknown += asked
        kind = HASH_MATCH if self.lookup.by_hash else self.lookup.kind
        self.run.buffer(kind, moment).bury(asked, moment)

    def _set_aside(self, asked: str, moment: datetime, reason: str, body: bytes) -> None:
        """Keep the bytes of what is no answer."""
        self.unanswered[asked] = reason
        self.run.buffer(self.lookup.kind, moment).reject(self._request(asked), 0, moment, reason, body)

    def _request(self, asked: str) -> str:
        """How raw names a request; one for many goes by the first of them."""
        path = self.lookup.path
        return path.format(quote(asked, safe="")) if "{}" in path else f"{path} {asked}"


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
def _answers(questions: Sequence[Questions]) -> Iterator[DltResource]:
    for each in questions:
        name = each.lookup.name.replace("-", "_")
        asked = dlt.resource(each.batches(), name=f"{name}_asked", selected=False)
        yield asked | dlt.transformer(_answer_rows, name=f"{name}_answers")(each)


def _answer_rows(batch: list[str], questions: Questions) -> Iterator[Any]:
    yield from rows_of(questions.ask(batch))
