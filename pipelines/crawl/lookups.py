"""Looks things up by id, name or hash: users, details of versions, and the versions that hashes belong to.

Answers are stored like everything else, as documents and observations. A key that the service does not know becomes a
tombstone. Look-ups make no snapshot: a date that has only look-ups is not covered. A thing is stored once per date.
One request has as many keys as the service takes; `broken_records` says what happens to those that stay broken.
"""

import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime
from urllib.parse import quote

import dlt
import msgspec
from dlt.extract.resource import DltResource

from pipelines.api.answers import Page
from pipelines.api.client import Client
from pipelines.api.dialects import DIALECTS, Lookup
from pipelines.api.errors import BrokenAnswerError, NotFoundError, RefusedError, ServiceError
from pipelines.crawl.broken_records import BROKEN_IN_A_ROW, PART_ATTEMPTS, Suspects, attempts_of, half_of, probe
from pipelines.crawl.lookup_answers import LookupAnswers
from pipelines.crawl.lookup_keys import parse_keys
from pipelines.crawl.service import refuse_other_service
from pipelines.errors import CivitaiEtlError
from pipelines.progress import Progress, Silent
from pipelines.raw.loader import Loader, plain_errors
from pipelines.raw.resources import SOURCE, lookup_resource, rows_of
from pipelines.raw.row_buffer import Counts, NewRows, RowBuffer
from pipelines.raw.tables import lookup_id
from pipelines.raw.warehouse import Known, connect, crawls, looked_up
from pipelines.settings import Settings
from pipelines.storage.directory import prepare_directory, storage_errors

_SILENT = Silent()

#: What is looked up every day, and the setting that lists it.
WATCHED = {"versions": "watch_versions", "minis": "watch_versions", "users": "watch_users"}


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
            loader = Loader(settings.directory)
            loader.drain(progress)
            loader.load(_answers(batches))
    return LookupReport(
        found={each.lookup.name: each.answers.found for each in batches},
        unknown={each.lookup.name: each.answers.unknown for each in batches},
        unanswered={each.lookup.name: each.answers.unanswered | each.not_fetched() for each in batches},
        problem=run.problem,
        requests=run.client.requests,
        retries=run.client.retries,
        bytes=run.client.bytes_received,
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


class LookupBatch:
    """Fetches all keys of one look-up; `answers` are what the service answered."""

    def __init__(self, lookup: Lookup, keys: list[str], run: LookupRun) -> None:
        self.lookup = lookup
        self.keys = keys
        self.run = run
        self.answers = LookupAnswers(lookup, run.buffer)
        self._suspects = Suspects[str]()
        self._refused_in_a_row = 0

    def portions(self) -> Iterator[list[str]]:
        """The keys, in portions of the size that the service takes."""
        for first in range(0, len(self.keys), self.lookup.batch_size):
            yield self.keys[first : first + self.lookup.batch_size]

    def not_fetched(self) -> dict[str, str]:
        """The keys that were not fetched because the run stopped early."""
        settled = self.answers.settled
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
        self.run.progress.update(f"look up {self.lookup.name}", len(self.answers.settled), len(self.keys))
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
                self._settle(part, attempts_of(len(part), is_part=len(part) < len(keys)))
            except RefusedError as refusal:
                if not refusal.is_of_one or isinstance(refusal, NotFoundError):
                    raise
                if len(part) > 1:
                    waiting.extendleft([text] for text in reversed(part))
                    continue
                if self._refused_in_a_row == BROKEN_IN_A_ROW:
                    raise
                self._refused_in_a_row += 1
                self.answers.reject(part[0], refusal.answered_at, str(refusal), refusal.answer.body)
            except BrokenAnswerError as error:
                if len(part) > 1:
                    middle = half_of(len(part))
                    waiting.extendleft((part[middle:], part[:middle]))
                    continue
                try:
                    self._suspects.add(part[0], error)
                except BrokenAnswerError as failure:
                    waiting.extendleft([key] for key in reversed([*self._suspects.take_back(), *part]))
                    self.run.client.pause(failure)
            else:
                self._refused_in_a_row = 0
                self._clear_up()

    def _clear_up_at_the_end(self) -> None:
        """No further answer will show whether the service works, so a probe has to show it."""
        while self._suspects:
            try:
                probe(self.run.client)
            except BrokenAnswerError as failure:
                self.run.client.pause(failure)
            else:
                self._clear_up()

    def _clear_up(self) -> None:
        """Fetch the suspects once more, now that the service answers; those that stay broken are rejected."""
        client = self.run.client
        try:
            self._suspects.clear_up(
                lambda key: self._settle([key], PART_ATTEMPTS),
                lambda: probe(client),
                lambda key, answer: self.answers.reject(key, answer.answered_at, answer.fault, answer.body),
            )
        except BrokenAnswerError as failure:
            client.pause(failure)

    def _settle(self, keys: list[str], attempts: int | None) -> None:
        """Fetch these keys in one request and keep the answer."""
        try:
            page = self._answer(keys, attempts)
        except NotFoundError as answer:
            if "{}" not in self.lookup.path:  # there is no such operation
                raise
            self.answers.mark_not_found(keys, answer.answered_at)
        else:
            self.answers.take(keys, page)

    def _answer(self, keys: list[str], attempts: int | None) -> Page:
        lookup, client = self.lookup, self.run.client
        if "{}" in lookup.path:
            return client.document(lookup.path.format(quote(keys[0], safe="")), (), attempts)
        if lookup.argument:
            return client.document(lookup.path, ((lookup.argument, ",".join(keys)),), attempts)
        return client.post(lookup.path, msgspec.json.encode(keys), attempts)


@dlt.source(name=SOURCE)
def _answers(batches: Sequence[LookupBatch]) -> Iterator[DltResource]:
    for each in batches:
        name = each.lookup.name.replace("-", "_")
        keys = dlt.resource(each.portions(), name=f"{name}_asked", selected=False)
        yield keys | lookup_resource(f"{name}_answers", each.lookup, _answer_rows)(each)


def _answer_rows(keys: list[str], batch: LookupBatch) -> Iterator[object]:
    yield from rows_of(batch.fetch(keys))
