"""What belongs to the member of the API key: profile, vault, vault items, and permissions for their versions.

The profile is fetched first: if the service does not know the key, the error comes before any other request.
Everything is stored in raw like a look-up, as received.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import TypeVar

import msgspec

from pipelines.api.answers import UNREADABLE
from pipelines.api.client import Client
from pipelines.api.dialects import DIALECTS, Arguments, MemberApi
from pipelines.api.errors import RefusedError
from pipelines.crawl.paginators import PageNumberPaginator, number_of
from pipelines.errors import CivitaiEtlError
from pipelines.progress import Progress, Silent
from pipelines.raw.documents import UnreadableItemError, split
from pipelines.raw.loader import Loader, plain_errors
from pipelines.raw.resources import collected
from pipelines.raw.row_buffer import Counts, RowBuffer
from pipelines.raw.tables import lookup_id
from pipelines.raw.warehouse import Known
from pipelines.settings import Settings
from pipelines.storage.directory import prepare_directory, storage_errors

_SILENT = Silent()

T = TypeVar("T")

#: The entity id of the vault. Its document has none, and a member has exactly one vault.
VAULT_ID = "vault"
#: How often the items are read if their number changes meanwhile.
_READINGS = 3
_PASS = 1


class MemberError(CivitaiEtlError):
    """There is no key, the service does not know it, or the data of its member cannot be read."""


@dataclass(frozen=True)
class MemberAnswers:
    """The answers about the member, each document as received; permissions by version id."""

    observed_at: datetime
    me: bytes
    vault: bytes
    items: list[bytes]
    permissions: dict[int, bytes]


class MemberOfKey:
    """Fetches what belongs to the member of the key, with one client and so with one request budget.

    Raises:
        MemberError: there is no key.
    """

    def __init__(self, settings: Settings, progress: Progress = _SILENT) -> None:
        if settings.api_key is None:
            raise MemberError("There is no API key: set CIVITAI_API_KEY to one of yours; the vault belongs to it.")
        self.client = Client(settings, patience_seconds=settings.brief_retry_seconds, progress=progress)
        self._api: MemberApi = DIALECTS[settings.dialect_name].member

    def me(self) -> tuple[bytes, datetime]:
        """The profile of the member, and the service's own time.

        Raises:
            MemberError: the service does not know the key.
        """
        try:
            page = self.client.document("/me", ())
        except RefusedError as error:
            if error.status != 401:
                raise
            raise MemberError(
                "The service does not know the key in CIVITAI_API_KEY (/me answered 401): it is wrong, expired or "
                "withdrawn; set a new one."
            ) from None
        return bytes(page.items[0]), page.answered_at

    def vault(self) -> bytes:
        """The size of the vault and the space used."""
        return self._document(self._api.vault)

    def vault_items(self) -> list[bytes]:
        """All items of the vault.

        Raises:
            MemberError: the vault changed during every reading, or it cannot be read.
        """
        if self._api.item_limit is None:
            return [bytes(item) for item in _decoded("/vault/all", _ITEMS, self._document("/vault/all"))]
        for _ in range(_READINGS):
            pages = list(self._pages(self._api.item_limit))
            items = {version_of(item): item for page in pages for item in map(bytes, page.items)}
            if {page.totalItems for page in pages} == {len(items)}:
                return list(items.values())
        raise MemberError(f"The vault changed in each of {_READINGS} readings: try again when nothing else changes it.")

    def stored_versions(self) -> set[int]:
        """The ids of all versions in the vault."""
        return {version_of(item) for item in self.vault_items()}

    def is_stored(self, version_id: int) -> bool:
        """Whether a version is in the vault now.

        Raises:
            MemberError: the answer does not say.
        """
        if self._api.check is None:
            return version_id in self.stored_versions()
        body = self._document(self._api.check, (("modelVersionIds", str(version_id)),))
        for entry in _decoded(self._api.check, _CHECK, body):
            if entry.modelVersionId == version_id:
                return entry.vaultItem is not None
        raise MemberError(f"{self._api.check} does not say whether version {version_id} is in the vault.")

    def toggle(self, version_id: int, before_send: Callable[[], None]) -> None:
        """Put a version into the vault, or take it out if it is there. The request is sent once, without retries.

        Raises:
            RefusedError, UnconfirmedError, ServiceError: as for `Client.change`.
        """
        in_query = self._api.toggle_in == "query"
        arguments = (("modelVersionId", str(version_id)),) if in_query else ()
        body = b"" if in_query else msgspec.json.encode({"modelVersionId": version_id})
        self.client.change("/vault/toggle-version", arguments, body, before_send)

    def permissions(self, version_ids: Iterable[int], progress: Progress) -> dict[int, bytes]:
        """What the member may do with versions, one document for each.

        Raises:
            MemberError: an answer cannot be read, or leaves a version out.
        """
        api, wanted, path = self._api, sorted(set(version_ids)), "/permissions/check"
        found: dict[int, bytes] = {}
        for first in range(0, len(wanted), api.permission_batch):
            batch = wanted[first : first + api.permission_batch]
            ids = ",".join(map(str, batch))
            body = self._document(path, (*api.permission_arguments, (api.permission_ids, ids)))
            if api.permission_batch == 1:
                found[batch[0]] = body
            else:
                granted = _decoded(path, _PERMISSIONS, body)
                # One document per entry of the map, its value as received.
                found |= {int(key): b'{"%b":%b}' % (key.encode(), value) for key, value in granted.items()}
            progress.update("permissions", len(found), len(wanted), "versions")
        if missing := set(wanted) - set(found):
            raise MemberError(f"{path} says nothing about {len(missing):,} versions, such as {min(missing)}.")
        return found

    def _pages(self, limit: int) -> Iterable["_ItemPage"]:
        paginator, met = PageNumberPaginator(limit), set[int]()
        query: Arguments | None = paginator.part((), 0, limit)
        while query is not None:
            answer = self.client.document("/vault/all", query)
            page = _decoded("/vault/all", _ITEM_PAGE, bytes(answer.items[0]))
            yield page
            found = {version_of(bytes(item)) for item in page.items}
            # Nothing follows a page without new items, whatever number of pages it reports.
            goes_on = found - met and number_of(query) < page.totalPages
            query = paginator.following(query, answer) if goes_on else None
            met |= found

    def _document(self, path: str, arguments: Arguments = ()) -> bytes:
        return bytes(self.client.document(path, arguments).items[0])


def fetch_member(member: MemberOfKey, progress: Progress) -> MemberAnswers:
    """Fetch everything that belongs to the member; permissions are those for the versions in the vault.

    Raises:
        MemberError: the service does not know the key, or an answer cannot be read.
        ServiceError: the service does not answer.
    """
    me, observed_at = member.me()
    vault, items = member.vault(), member.vault_items()
    progress.update("vault", len(items), len(items), "items")
    permissions = member.permissions(map(version_of, items), progress)
    return MemberAnswers(observed_at, me, vault, items, permissions)


def load_member(settings: Settings, answers: MemberAnswers, progress: Progress) -> None:
    """Store the answers in raw. The caller holds the writer lock of the data directory.

    Raises:
        MemberError: a document cannot be read.
    """
    on = answers.observed_at.date()
    documents = [
        ("account_me", "", answers.me),
        ("account_vault", VAULT_ID, answers.vault),
        *(("account_vault_item", "", item) for item in answers.items),
        *(("account_permission", str(version_id), one) for version_id, one in answers.permissions.items()),
    ]
    buffers: dict[str, RowBuffer] = {}
    for kind, entity_id, item in documents:
        buffer = buffers.setdefault(kind, RowBuffer(kind, Counts(), Known(), lookup_id(on), on))
        try:
            buffer.take_document(split(kind, item, entity_id), answers.observed_at, _PASS)
        except UnreadableItemError as error:
            raise MemberError(f"A document of {kind} cannot be read: {error}.") from None
    prepare_directory(settings.data_dir)
    with storage_errors(settings.data_dir), plain_errors():
        loader = Loader(settings.directory)
        loader.drain(progress)
        rows = chain.from_iterable(buffer.new_rows() for buffer in buffers.values())
        loader.load(collected("account", rows))


def version_of(item: bytes) -> int:
    """The id of the version that a vault item contains.

    Raises:
        MemberError: it does not say.
    """
    return _decoded("/vault/all", _ITEM, item).modelVersionId


def _decoded(path: str, decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    try:
        return decoder.decode(body)
    except UNREADABLE as error:
        raise MemberError(f"The answer of {path} cannot be read: {error}.") from None


class _VaultItem(msgspec.Struct):
    modelVersionId: int  # noqa: N815 (the service's name)


class _CheckEntry(msgspec.Struct):
    modelVersionId: int  # noqa: N815 (the service's name)
    vaultItem: dict[str, msgspec.Raw] | None  # noqa: N815 (the service's name)


class _ItemPage(msgspec.Struct):
    items: list[msgspec.Raw]
    totalItems: int  # noqa: N815 (the service's name)
    totalPages: int  # noqa: N815 (the service's name)


_ITEM = msgspec.json.Decoder(_VaultItem)
_ITEMS = msgspec.json.Decoder(list[msgspec.Raw])
_ITEM_PAGE = msgspec.json.Decoder(_ItemPage)
_CHECK = msgspec.json.Decoder(list[_CheckEntry])
_PERMISSIONS = msgspec.json.Decoder(dict[str, msgspec.Raw])
