"""Makes the `account_*` tables, separate files beside the star, from the service's answers about the key's member.

One struct per payload kind covers the different shapes of both dialects (docs/api-notes.md, 8 to 10). The tables have
the present state: each pull replaces them. Raw keeps the earlier answers.
"""

# ruff: noqa: N815 (fields have the names that the service gives them)

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import dataframely as dy
import msgspec
import polars as pl
from msgspec import Struct

from pipelines.api.moments import with_zone
from pipelines.errors import CivitaiEtlError
from pipelines.storage.replacement import replacing
from transforms.staging.payloads import Integer
from transforms.tables import Table
from transforms.tables.account import ACCOUNT_TABLES, AccountMe, AccountPermission, AccountVault, AccountVaultItem

T = TypeVar("T")

Row = dict[str, object]


class UnreadableAccountError(CivitaiEtlError):
    """A document of the account fits neither dialect; the message has the kind and the JSON path."""


class Me(Struct):
    """The answer of /me."""

    id: Integer
    username: str | None = None
    tier: str | None = None
    status: str | None = None
    isMember: bool | None = None
    createdAt: datetime | None = None


class LiveVault(Struct):
    storageKb: float | None = None
    usedStorageKb: float | None = None
    updatedAt: datetime | None = None


class Vault(Struct):
    """The answer of /vault/get (live: `vault`, null where the membership has none) or /vault/check-vault (spec)."""

    vault: LiveVault | msgspec.UnsetType | None = msgspec.UNSET
    subscribed: bool | None = None
    storageUsedKb: float | None = None
    storageLimitKb: float | None = None


class VaultItem(Struct):
    """An item of /vault/all."""

    id: Integer
    modelVersionId: Integer
    modelId: Integer | None = None
    status: str | None = None
    addedAt: datetime | None = None
    sizeKb: float | None = None
    modelSizeKb: float | None = None
    detailsSizeKb: float | None = None
    imagesSizeKb: float | None = None
    modelName: str | None = None
    versionName: str | None = None
    creatorName: str | None = None
    type: str | None = None
    baseModel: str | None = None
    category: str | None = None
    createdAt: datetime | None = None
    refreshedAt: datetime | None = None
    notes: str | None = None


class Permission(Struct):
    """The answer of /permissions/check about one version in the specification's shape."""

    canView: bool | None = None
    canEdit: bool | None = None
    canDelete: bool | None = None
    canDownload: bool | None = None


def account_tables(
    me: bytes, vault: bytes, items: list[bytes], permissions: Mapping[int, bytes], observed_at: datetime
) -> dict[type[Table], pl.DataFrame]:
    """The tables of the account, checked against their declarations and sorted by key.

    Args:
        me: the answer of /me.
        vault: the answer about the vault.
        items: the items of the vault.
        permissions: by version id.
        observed_at: when the service answered.

    Raises:
        UnreadableAccountError: a document fits neither dialect.
    """
    rows: dict[type[Table], list[Row]] = {
        AccountMe: [_me(me, observed_at)],
        AccountVault: [_vault(vault, observed_at)],
        AccountVaultItem: [_item(item) for item in items],
        AccountPermission: [_permission(version_id, document) for version_id, document in permissions.items()],
    }
    return {table: _checked(table, rows[table]) for table in ACCOUNT_TABLES}


def _checked(table: type[Table], rows: list[Row]) -> pl.DataFrame:
    frame = pl.DataFrame(rows, schema=table.polars_schema()).sort(table.primary_key())
    try:
        return table.validate(frame)
    except dy.exc.ValidationError as error:
        raise UnreadableAccountError(f"{table.table_name()}: {' '.join(str(error).split())}.") from None


def write_account(directory: Path, tables: Mapping[type[Table], pl.DataFrame]) -> None:
    """Replace each file of the account as a whole: `account_me.parquet`, ...

    Args:
        directory: `account` in the data directory; created if it is missing.
        tables: the result of `account_tables`.
    """
    directory.mkdir(parents=True, exist_ok=True)
    for table, rows in tables.items():
        with replacing(account_file(directory, table)) as aside:
            rows.write_parquet(aside)


def account_file(directory: Path, table: type[Table]) -> Path:
    """The file of a table of the account."""
    return directory / f"{table.table_name()}.parquet"


def _me(document: bytes, observed_at: datetime) -> Row:
    me = _decoded("account_me", Me, document)
    # The specification writes tiers with a capital, the service does not.
    tier = me.tier.lower() if me.tier else None
    return _declared(AccountMe, me) | {"tier": tier, "observed_at": observed_at}


def _vault(document: bytes, observed_at: datetime) -> Row:
    found = _decoded("account_vault", Vault, document)
    row = _declared(AccountVault, found) | {"observed_at": observed_at}
    if found.vault is msgspec.UNSET:
        if found.subscribed is None:
            raise UnreadableAccountError("account_vault: neither `vault` nor `subscribed` says whether there is one.")
        figures = {"storage_kb": found.storageLimitKb, "used_storage_kb": found.storageUsedKb}
        return row | {"has_vault": found.subscribed} | figures
    vault = found.vault or LiveVault()
    figures = {"storage_kb": vault.storageKb, "used_storage_kb": vault.usedStorageKb}
    return row | {"has_vault": found.vault is not None} | figures


def _item(document: bytes) -> Row:
    item = _decoded("account_vault_item", VaultItem, document)
    # The specification has one size, the service three.
    size = item.modelSizeKb if item.modelSizeKb is not None else item.sizeKb
    return _declared(AccountVaultItem, item) | {"size_kb": size}


def _permission(version_id: int, document: bytes) -> Row:
    found = _decoded("account_permission", dict[str, object], document)
    generate = None
    rights = Permission()
    if set(found) == {str(version_id)}:
        generate = _decoded("account_permission", dict[str, bool | None], document)[str(version_id)]
    else:
        rights = _decoded("account_permission", Permission, document)
    return _declared(AccountPermission, rights) | {"version_id": version_id, "can_generate": generate}


def _declared(table: type[Table], document: Struct) -> Row:
    """The columns of `table` that are read from a document as they stand."""
    sources = {name: about["source"] for name, about in table.with_metadata().items() if "source" in about}
    return {name: _value_at(document, source.removeprefix("$.").split(".")) for name, source in sources.items()}


def _value_at(document: object, path: list[str]) -> object:
    """The value at a path of fields; None if an object on the way is null or absent. Moments are in UTC."""
    found = document
    for name in path:
        found = getattr(found, name, None)
    return with_zone(found).astimezone(UTC) if isinstance(found, datetime) else found


def _decoded(kind: str, payload: type[T], document: bytes) -> T:
    try:
        return msgspec.json.decode(document, type=payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableAccountError(f"{kind}: {error}.") from None
