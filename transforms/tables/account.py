"""What belongs to the member of the key, as of the last `civitai-etl vault pull`: apart from the star, one file each.

The two dialects answer in shapes of their own (docs/api-notes.md, 8 to 10); a column that one of them does not have is
null there.
"""

from datetime import UTC, datetime

import dataframely as dy

from transforms.tables.declaration import Table, made, source, timestamp
from transforms.tables.dimensions import NOT_GIVEN

_MOMENT = datetime(2026, 1, 1, 12, tzinfo=UTC)
_KIB = "KiB"


class AccountMe(Table):
    """One row: the member whom the key belongs to."""

    read_from = "GET /me"

    user_id = dy.Int64(
        primary_key=True, description="The service's id of the member.", metadata=source("$.id", example=12_345)
    )
    username = dy.String(
        nullable=True,
        description="Name of the member.",
        metadata=source("$.username", example="test-member", null=NOT_GIVEN),
    )
    tier = dy.String(
        nullable=True,
        description="Membership in lower case: free, founder, bronze, silver or gold.",
        metadata=source("$.tier", example="silver", null=NOT_GIVEN),
    )
    status = dy.String(
        nullable=True,
        description="active, muted or banned.",
        metadata=source("$.status", example="active", null=NOT_GIVEN),
    )
    is_member = dy.Bool(
        nullable=True, description="Has a paid membership.", metadata=source("$.isMember", example=True, null=NOT_GIVEN)
    )
    created_at = timestamp(
        nullable=True,
        description="Registration of the member.",
        metadata=source("$.createdAt", example=_MOMENT, null=NOT_GIVEN),
    )
    observed_at = timestamp(description="When the service said so.", metadata=made("the answer", example=_MOMENT))


class AccountVault(Table):
    """One row: the vault as a whole."""

    read_from = "GET /vault/get (live) or GET /vault/check-vault (spec)"

    has_vault = dy.Bool(
        primary_key=True,
        description="Whether the membership has a vault.",
        metadata=made("$.vault, or $.subscribed", example=True),
    )
    storage_kb = dy.Float64(
        nullable=True,
        description="What it may hold.",
        metadata=made("$.vault.storageKb, or $.storageLimitKb", unit=_KIB, example=52_428_800.0, null=NOT_GIVEN),
    )
    used_storage_kb = dy.Float64(
        nullable=True,
        description="What it holds.",
        metadata=made("$.vault.usedStorageKb, or $.storageUsedKb", unit=_KIB, example=6_775_430.0, null=NOT_GIVEN),
    )
    updated_at = timestamp(
        nullable=True,
        description="Last change.",
        metadata=source("$.vault.updatedAt", example=_MOMENT, null=NOT_GIVEN),
    )
    observed_at = timestamp(description="When the service said so.", metadata=made("the answer", example=_MOMENT))


class AccountVaultItem(Table):
    """One row per version in the vault."""

    read_from = "an item of GET /vault/all"

    version_id = dy.Int64(
        primary_key=True, description="The version.", metadata=source("$.modelVersionId", example=2_514_310)
    )
    vault_item_id = dy.Int64(
        unique=True,
        description="The service's id of the item; another one each time it is put in.",
        metadata=source("$.id", example=9_876),
    )
    model_id = dy.Int64(
        nullable=True,
        description="The model of the version, which may be gone.",
        metadata=source("$.modelId", example=827_184, null=NOT_GIVEN),
    )
    status = dy.String(
        nullable=True,
        description="Pending, Stored or Failed.",
        metadata=source("$.status", example="Stored", null=NOT_GIVEN),
    )
    added_at = timestamp(
        nullable=True,
        description="When it was put into the vault.",
        metadata=source("$.addedAt", example=_MOMENT, null=NOT_GIVEN),
    )
    size_kb = dy.Float64(
        nullable=True,
        description="Size of the model's files.",
        metadata=made("$.modelSizeKb, or $.sizeKb", unit=_KIB, example=6_775_430.0, null=NOT_GIVEN),
    )
    details_size_kb = dy.Float64(
        nullable=True,
        description="Size of the details that are kept beside the files.",
        metadata=source("$.detailsSizeKb", unit=_KIB, example=12.0, null=NOT_GIVEN),
    )
    images_size_kb = dy.Float64(
        nullable=True,
        description="Size of the images that are kept beside the files.",
        metadata=source("$.imagesSizeKb", unit=_KIB, example=4_096.0, null=NOT_GIVEN),
    )
    model_name = dy.String(
        nullable=True,
        description="Title of the model when it was put in.",
        metadata=source("$.modelName", example="Harbour at Dawn", null=NOT_GIVEN),
    )
    version_name = dy.String(
        nullable=True,
        description="Title of the version when it was put in.",
        metadata=source("$.versionName", example="v16.0", null=NOT_GIVEN),
    )
    creator_name = dy.String(
        nullable=True,
        description="Creator of the model when it was put in.",
        metadata=source("$.creatorName", example="quiet_heron", null=NOT_GIVEN),
    )
    type = dy.String(
        nullable=True,
        description="Checkpoint, LORA, ...",
        metadata=source("$.type", example="Checkpoint", null=NOT_GIVEN),
    )
    base_model = dy.String(
        nullable=True,
        description="Architecture it was made for.",
        metadata=source("$.baseModel", example="Illustrious", null=NOT_GIVEN),
    )
    category = dy.String(
        nullable=True,
        description="Category of the model.",
        metadata=source("$.category", example="character", null=NOT_GIVEN),
    )
    created_at = timestamp(
        nullable=True,
        description="Creation of the version.",
        metadata=source("$.createdAt", example=_MOMENT, null=NOT_GIVEN),
    )
    refreshed_at = timestamp(
        nullable=True,
        description="When the service last stored it anew.",
        metadata=source("$.refreshedAt", example=_MOMENT, null="it never did, or the service does not say"),
    )
    notes = dy.String(
        nullable=True,
        description="The member's own notes.",
        metadata=source("$.notes", example="for the harbour series", null="there are none"),
    )


class AccountPermission(Table):
    """One row per version that permissions were asked for: those in the vault."""

    read_from = "GET /permissions/check"

    version_id = dy.Int64(
        primary_key=True, description="The version.", metadata=made("the question", example=2_514_310)
    )
    can_generate = dy.Bool(
        nullable=True,
        description="The member may generate with it.",
        metadata=made("the member named after the version (live)", example=True, null=NOT_GIVEN),
    )
    can_view = dy.Bool(
        nullable=True,
        description="The member may see it.",
        metadata=source("$.canView", example=True, null=NOT_GIVEN),
    )
    can_edit = dy.Bool(
        nullable=True,
        description="The member may change it.",
        metadata=source("$.canEdit", example=False, null=NOT_GIVEN),
    )
    can_delete = dy.Bool(
        nullable=True,
        description="The member may delete it.",
        metadata=source("$.canDelete", example=False, null=NOT_GIVEN),
    )
    can_download = dy.Bool(
        nullable=True,
        description="The member may download it.",
        metadata=source("$.canDownload", example=True, null=NOT_GIVEN),
    )


#: Every table of the account.
ACCOUNT_TABLES: tuple[type[Table], ...] = (AccountMe, AccountVault, AccountVaultItem, AccountPermission)
