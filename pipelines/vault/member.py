"""What belongs to the member of the key: who it is, the vault, its items, and the permissions for their versions.

The member is asked for first: a key that the service does not know is found there, before anything else is tried.
Everything is kept in raw like a look-up, as received.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import TypeVar

import msgspec

from pipelines.api.client import UNREADABLE, Client, RefusedError
from pipelines.api.dialects import DIALECTS, Account
from pipelines.errors import CivitaiEtlError
from pipelines.progress import Progress, Silent
from pipelines.raw.documents import UnreadableItemError, split
from pipelines.raw.loader import Loader, collected, plain_errors
from pipelines.raw.row_buffer import Counts, RowBuffer
from pipelines.raw.tables import lookup_id
from pipelines.raw.warehouse import Known
from pipelines.settings import Settings
from pipelines.storage.directory import prepare_directory, storage_errors

_SILENT = Silent()

T = TypeVar("T")

#: The entity id of the vault, whose document has none: a member has one.
VAULT_ID = "vault"
#: How often the items are read while their number changes.
_WALKS = 3
_PASS = 1


class AccountError(CivitaiEtlError):
    """There is no key, the service does not know it, or its account cannot be read."""


@dataclass(frozen=True)
class AccountAnswers:
    """What the service says of the member, each document as received; permissions by version id."""

    observed_at: datetime
    me: bytes
    vault: bytes
    items: list[bytes]
    permissions: dict[int, bytes]


class MemberOfKey:
    """Asks the service about the member of the key; one client, and so one request budget, for all of it.

    Raises:
        AccountError: there is no key.
    """

    def __init__(self, settings: Settings, progress: Progress = _SILENT) -> None:
        if settings.api_key is None:
            raise AccountError("There is no API key: set CIVITAI_API_KEY to one of yours; the vault belongs to it.")
        self.client = Client(settings, patience_seconds=settings.brief_retry_seconds, progress=progress)
        self._account: Account = DIALECTS[settings.dialect_name].account

    def me(self) -> tuple[bytes, datetime]:
        """Who the key belongs to, and the service's own time.

        Raises:
            AccountError: the service does not know the key.
        """
        try:
            page = self.client.document("/me", ())
        except RefusedError as error:
            if error.status != 401:
                raise
            raise AccountError(
                "The service does not know the key in CIVITAI_API_KEY (/me answered 401): it is wrong, expired or "
                "withdrawn; set a new one."
            ) from None
        return bytes(page.items[0]), page.answered_at

    def vault(self) -> bytes:
        """How large the vault is, and how full."""
        return self._document(self._account.vault)

    def vault_items(self) -> list[bytes]:
        """All items of the vault.

        Raises:
            AccountError: it changes while it is read, time and again, or it cannot be read.
        """
        if self._account.item_limit is None:
            return [bytes(item) for item in _decoded("/vault/all", _ITEMS, self._document("/vault/all"))]
        for _ in range(_WALKS):
            pages = list(self._pages(self._account.item_limit))
            items = {version_of(item): item for page in pages for item in map(bytes, page.items)}
            if {page.totalItems for page in pages} == {len(items)}:
                return list(items.values())
        raise AccountError(f"The vault changed in each of {_WALKS} readings: try again when nothing else changes it.")

    def stored_versions(self) -> set[int]:
        """The ids of all versions in the vault."""
        return {version_of(item) for item in self.vault_items()}

    def is_stored(self, version_id: int) -> bool:
        """Whether a version is in the vault now.

        Raises:
            AccountError: the answer does not say.
        """
        if self._account.check is None:
            return version_id in self.stored_versions()
        body = self._document(self._account.check, (("modelVersionIds", str(version_id)),))
        for entry in _decoded(self._account.check, _CHECK, body):
            if entry.modelVersionId == version_id:
                return entry.vaultItem is not None
        raise AccountError(f"{self._account.check} does not say whether version {version_id} is in the vault.")

    def toggle(self, version_id: int, about_to_send: Callable[[], None]) -> None:
        """Put a version into the vault, or take it out if it is in there. Sent once, whatever comes.

        Raises:
            RefusedError, UnconfirmedError, ServiceError: as for `Client.change`.
        """
        in_query = self._account.toggle_in == "query"
        arguments = (("modelVersionId", str(version_id)),) if in_query else ()
        body = b"" if in_query else msgspec.json.encode({"modelVersionId": version_id})
        self.client.change("/vault/toggle-version", arguments, body, about_to_send)

    def permissions(self, version_ids: Iterable[int], progress: Progress) -> dict[int, bytes]:
        """What the member may do with versions, one document for each.

        Raises:
            AccountError: an answer cannot be read, or leaves a version out.
        """
        account, asked, path = self._account, sorted(set(version_ids)), "/permissions/check"
        found: dict[int, bytes] = {}
        for first in range(0, len(asked), account.permission_batch):
            batch = asked[first : first + account.permission_batch]
            ids = ",".join(map(str, batch))
            body = self._document(path, (*account.permission_arguments, (account.permission_ids, ids)))
            if account.permission_batch == 1:
                found[batch[0]] = body
            else:
                told = _decoded(path, _PERMISSIONS, body)
                # One entry of the map, as it stands there.
                found |= {int(key): b'{"%b":%b}' % (key.encode(), value) for key, value in told.items()}
            progress.update("permissions", len(found), len(asked), "versions")
        if missing := set(asked) - set(found):
            raise AccountError(f"{path} says nothing about {len(missing):,} versions, such as {min(missing)}.")
        return found

    def _pages(self, limit: int) -> Iterable["_ItemPage"]:
        number, last, met = 1, 1, set[int]()
        while number <= last:
            arguments = (("limit", str(limit)), ("page", str(number)))
            page = _decoded("/vault/all", _ITEM_PAGE, self._document("/vault/all", arguments))
            yield page
            found = {version_of(bytes(item)) for item in page.items}
            # Whatever it says of their number: behind a page with nothing new there is nothing.
            number, last = number + 1, page.totalPages if found - met else 0
            met |= found

    def _document(self, path: str, arguments: tuple[tuple[str, str], ...] = ()) -> bytes:
        return bytes(self.client.document(path, arguments).items[0])


def ask_account(member: MemberOfKey, progress: Progress) -> AccountAnswers:
    """Ask for everything that belongs to the member; permissions are those for the versions in the vault.

    Raises:
        AccountError: the service does not know the key, or an answer cannot be read.
        ServiceError: the service does not answer.
    """
    me, observed_at = member.me()
    vault, items = member.vault(), member.vault_items()
    progress.update("vault", len(items), len(items), "items")
    permissions = member.permissions(map(version_of, items), progress)
    return AccountAnswers(observed_at, me, vault, items, permissions)


def load_account(settings: Settings, answers: AccountAnswers, progress: Progress) -> None:
    """Keep the answers in raw. The caller holds the writer lock of the data directory.

    Raises:
        AccountError: a document is not one.
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
            raise AccountError(f"A document of {kind} cannot be read: {error}.") from None
    prepare_directory(settings.data_dir)
    with storage_errors(settings.data_dir), plain_errors():
        loader = Loader(settings)
        loader.drain(progress)
        rows = chain.from_iterable(buffer.new_rows() for buffer in buffers.values())
        loader.load(collected("account", rows))


def version_of(item: bytes) -> int:
    """The version that an item of the vault is.

    Raises:
        AccountError: it does not say.
    """
    return _decoded("/vault/all", _ITEM, item).modelVersionId


def _decoded(path: str, decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    try:
        return decoder.decode(body)
    except UNREADABLE as error:
        raise AccountError(f"The answer of {path} cannot be read: {error}.") from None


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
