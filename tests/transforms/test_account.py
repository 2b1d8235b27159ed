"""The account tables: declared like the others, and the same from the shapes of both dialects."""

from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest
from msgspec import Struct

from tests.transforms.test_tables import paths_of
from transforms.member import Me, Permission, UnreadableAccountError, Vault, VaultItem, account_tables, write_account
from transforms.tables import Table
from transforms.tables.account import ACCOUNT_TABLES, AccountMe, AccountPermission, AccountVault, AccountVaultItem

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
PAYLOADS: dict[type[Table], type[Struct]] = {
    AccountMe: Me,
    AccountVault: Vault,
    AccountVaultItem: VaultItem,
    AccountPermission: Permission,
}
ME, NO_VAULT = b'{"id":5}', b'{"vault":null}'
SPEC_ITEM = b'{"id":1,"modelVersionId":2,"modelId":3,"addedAt":"2026-01-01T10:00:00","status":"Stored","sizeKb":7.5}'


def tables(
    me: bytes = ME, vault: bytes = NO_VAULT, items: tuple[bytes, ...] = (), permissions: dict[int, bytes] | None = None
) -> dict[type[Table], pl.DataFrame]:
    return account_tables(me, vault, list(items), permissions or {}, NOW)


@pytest.mark.parametrize("table", ACCOUNT_TABLES, ids=lambda table: table.__name__)
def test_every_column_says_where_it_is_from_and_what_null_means(table: type[Table]) -> None:
    known = paths_of(PAYLOADS[table])
    examples: dict[str, list[Any]] = {}
    for name, column in table.columns().items():
        metadata = column.metadata or {}
        assert column.description
        assert metadata.get("source") in known or metadata.get("origin"), name
        assert ("null" in metadata) == column.nullable, name
        examples[name] = [metadata["example"]]
    table.validate(pl.DataFrame(examples, schema=table.polars_schema()))


def test_a_tier_is_the_same_however_it_is_written() -> None:
    for written in ("Gold", "gold"):
        assert tables(me=b'{"id":5,"tier":"%b"}' % written.encode())[AccountMe]["tier"].to_list() == ["gold"]
    assert tables()[AccountMe].drop("user_id", "observed_at").row(0) == (None,) * 5


@pytest.mark.parametrize(
    ("vault", "row"),
    [
        (b'{"vault":null}', (False, None, None)),
        (b'{"vault":{"userId":5,"storageKb":100,"usedStorageKb":2.5,"meta":{}}}', (True, 100.0, 2.5)),
        (b'{"vault":{"storageKb":null}}', (True, None, None)),
        (b'{"subscribed":true,"storageUsedKb":2.5,"storageLimitKb":100,"tier":"Gold"}', (True, 100.0, 2.5)),
        (b'{"subscribed":false,"storageUsedKb":0,"storageLimitKb":0}', (False, 0.0, 0.0)),
    ],
)
def test_the_vault_in_both_shapes(vault: bytes, row: tuple[Any, ...]) -> None:
    assert tables(vault=vault)[AccountVault].select("has_vault", "storage_kb", "used_storage_kb").row(0) == row


def test_an_item_of_the_specification_is_a_row_with_less_in_it() -> None:
    (row,) = tables(items=(SPEC_ITEM,))[AccountVaultItem].to_dicts()
    told = {name: value for name, value in row.items() if value is not None}
    # A moment without a zone is UTC.
    added = datetime(2026, 1, 1, 10, tzinfo=UTC)
    expected = {"version_id": 2, "vault_item_id": 1, "model_id": 3, "status": "Stored", "size_kb": 7.5}
    assert told == expected | {"added_at": added}


def test_permissions_in_both_shapes() -> None:
    rights = b'{"entityType":"ModelVersion","entityId":8,"canView":true,"canEdit":false,"canDelete":false}'
    found = tables(permissions={9: b'{"9":false}', 8: rights})[AccountPermission]
    assert found.rows() == [(8, None, True, False, False, None), (9, False, None, None, None, None)]


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({"me": b'{"username":"ada"}'}, r"account_me: .*`id`"),
        ({"vault": b"{}"}, "account_vault: neither"),
        ({"items": (b'{"id":1,"modelVersionId":"2"}',)}, r"account_vault_item: .*\$\.modelVersionId"),
        ({"items": (SPEC_ITEM, SPEC_ITEM)}, "account_vault_item: .*primary_key"),
        ({"permissions": {9: b'{"9":"yes"}'}}, "account_permission: "),
        ({"permissions": {9: b"[]"}}, "account_permission: "),
    ],
)
def test_what_neither_dialect_has_is_one_line_with_its_place(answers: dict[str, Any], said: str) -> None:
    with pytest.raises(UnreadableAccountError, match=said):
        tables(**answers)


def test_files_are_replaced_as_a_whole(tmp_path) -> None:
    write_account(tmp_path, tables(items=(SPEC_ITEM,)))
    write_account(tmp_path, tables())
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        f"{table.table_name()}.parquet" for table in ACCOUNT_TABLES
    )
    assert pl.read_parquet(tmp_path / "account_vault_item.parquet").height == 0
