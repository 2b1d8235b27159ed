"""What was asked for by name, id or hash (`pipelines.crawl.lookups`): the latest answer, beside the star and never in
its history, which only lists and crawls move. So an id or a name here may be one that no dimension has, and references
nothing.
"""

from datetime import UTC, date, datetime

import dataframely as dy

from transforms.tables.declaration import Table, made, source, timestamp
from transforms.tables.dimensions import NOT_GIVEN


def observed_on(description: str = "UTC date of the latest answer; the row says what that answer said.") -> dy.Date:
    """When an entity was looked up last."""
    return dy.Date(description=description, metadata=made("the look-ups", example=date(2026, 1, 1)))


def unknown_since() -> dy.Date:
    """When the service stopped knowing what it had known."""
    return dy.Date(
        nullable=True,
        description="UTC date since which the service answers that it does not have it; the row says what it was.",
        metadata=made("404s of look-ups", example=date(2026, 1, 3), null="the service had it when asked last"),
    )


class DimUser(Table):
    """One row per user who was looked up by name or id, as of the latest answer."""

    read_from = "an item of GET /users"

    user_id = dy.Int64(
        primary_key=True,
        description="The service's id of the user; dim_model.user_id has it, too.",
        metadata=source("$.id", example=1_000_017),
    )
    username = dy.String(
        description="Name of the user on that date; names can change, ids do not.",
        metadata=source("$.username", example="quiet_heron"),
    )
    avatar_nsfw = dy.String(
        nullable=True,
        description="Browsing level of the avatar in words: None, Soft, Mature, X.",
        metadata=source("$.avatarNsfw", example="None", null=NOT_GIVEN),
    )
    image = dy.String(
        nullable=True,
        description="Address of the user's avatar.",
        metadata=source("$.image", example="https://image.example/avatar.png", null=NOT_GIVEN),
    )
    tier = dy.String(
        nullable=True,
        description="Membership: Free, Founder, Bronze, Silver or Gold.",
        metadata=source("$.tier", example="Free", null=NOT_GIVEN),
    )
    created_at = timestamp(
        nullable=True,
        description="When the account was registered.",
        metadata=source("$.createdAt", example=datetime(2024, 5, 1, 12, tzinfo=UTC), null=NOT_GIVEN),
    )
    observed_on = observed_on()


class ModelVersionDetail(Table):
    """One row per model version whose details were looked up, by id or by hash, as of the latest answer."""

    read_from = "GET /model-versions/{id}"

    version_id = dy.Int64(
        primary_key=True,
        description="The service's id of the version.",
        metadata=source("$.id", example=24782),
    )
    model_id = dy.Int64(
        nullable=True,
        description="The service's id of the model that the version belongs to.",
        metadata=source("$.modelId", example=6282, null=NOT_GIVEN),
    )
    name = dy.String(
        nullable=True,
        description="Title that the creator gave the version.",
        metadata=source("$.name", example="v2", null=NOT_GIVEN),
    )
    model_name = dy.String(
        nullable=True,
        description="Title that the creator gave the version's model.",
        metadata=source("$.model.name", example="Harbour at dawn", null=NOT_GIVEN),
    )
    model_type = dy.String(
        nullable=True,
        description="Kind of the version's model: Checkpoint, LORA and so on; an open set.",
        metadata=source("$.model.type", example="LORA", null=NOT_GIVEN),
    )
    model_mode = dy.String(
        nullable=True,
        description="What the service withholds of its model: Archived (files) or TakenDown (images).",
        metadata=source("$.model.mode", example="Archived", null="the model is neither, or the service did not say"),
    )
    base_model = dy.String(
        nullable=True,
        description="Architecture that the version was made for, as its creator states it.",
        metadata=source("$.baseModel", example="SDXL 1.0", null=NOT_GIVEN),
    )
    air = dy.String(
        nullable=True,
        description="AI resource identifier; the service may change it, so it is no key.",
        metadata=source("$.air", example="urn:air:sdxl:lora:civitai:6282@24782", null=NOT_GIVEN),
    )
    status = dy.String(
        nullable=True,
        description="Whether the public can have it: Published, Unpublished, Scheduled and so on; an open set.",
        metadata=source("$.status", example="Published", null=NOT_GIVEN),
    )
    availability = dy.String(
        nullable=True,
        description="Who can find the version: Public, EarlyAccess, Unsearchable; an open set.",
        metadata=source("$.availability", example="Public", null=NOT_GIVEN),
    )
    nsfw_level = dy.Int64(
        nullable=True,
        description="Browsing levels of its images, added up: PG 1, PG13 2, R 4, X 8, XXX 16; 0 is not rated yet.",
        metadata=source("$.nsfwLevel", example=1, unit="bit set", null=NOT_GIVEN),
    )
    created_at = timestamp(
        nullable=True,
        description="When the creator began the version, often long before its publication.",
        metadata=source("$.createdAt", example=datetime(2025, 3, 1, 8, tzinfo=UTC), null=NOT_GIVEN),
    )
    updated_at = timestamp(
        nullable=True,
        description="When the creator last edited the version's page.",
        metadata=source("$.updatedAt", example=datetime(2025, 3, 2, 8, tzinfo=UTC), null=NOT_GIVEN),
    )
    published_at = timestamp(
        nullable=True,
        description="When the version could first be downloaded.",
        metadata=source("$.publishedAt", example=datetime(2025, 3, 2, 8, tzinfo=UTC), null=NOT_GIVEN),
    )
    upload_type = dy.String(
        nullable=True,
        description="Whether the creator made it elsewhere (Created) or had the service train it (Trained).",
        metadata=source("$.uploadType", example="Created", null=NOT_GIVEN),
    )
    usage_control = dy.String(
        nullable=True,
        description="What it may be used for: Download, Generation, InternalGeneration or ExternalGeneration.",
        metadata=source("$.usageControl", example="Download", null=NOT_GIVEN),
    )
    training_status = dy.String(
        nullable=True,
        description="How far the service is with training it: Pending, Processing, Approved and so on; an open set.",
        metadata=source("$.trainingStatus", example="Approved", null="it was not trained by the service"),
    )
    licensing_fee = dy.Float64(
        nullable=True,
        description="Fee that each use in the service's own generator costs.",
        metadata=source("$.licensingFee", example=5.0, unit="Buzz", null="it has none, or the service did not say"),
    )
    early_access_ends_at = timestamp(
        nullable=True,
        description="When its early access ends, after which anyone may download it; given until July 2026.",
        metadata=source(
            "$.earlyAccessEndsAt",
            example=datetime(2026, 1, 9, 12, tzinfo=UTC),
            null="it is not in early access, or the service did not say",
        ),
    )
    paid_access_permanent = dy.Bool(
        nullable=True,
        description="True if it can only ever be had for payment; given since July 2026.",
        metadata=source("$.paidAccess.permanent", example=False, null="it is free, or the service did not say"),
    )
    paid_access_ends_at = timestamp(
        nullable=True,
        description="Until when it can only be had for payment; given since July 2026.",
        metadata=source(
            "$.paidAccess.endsAt",
            example=datetime(2026, 8, 9, 12, tzinfo=UTC),
            null="it is free, or for payment for ever, or the service did not say",
        ),
    )
    trained_words = dy.List(
        dy.String(),
        description="Words that trigger what it was trained on, in the creator's order; an empty list: there are none.",
        metadata=source("$.trainedWords", example=["harbour"]),
    )
    download_url = dy.String(
        nullable=True,
        description="Address from which the version's primary file is downloaded.",
        metadata=source("$.downloadUrl", example="https://civitai.com/api/download/models/24782", null=NOT_GIVEN),
    )
    observed_on = observed_on()
    unknown_since = unknown_since()


class ModelVersionMini(Table):
    """One row per model version whose short form was looked up, as of the latest answer."""

    read_from = "GET /model-versions/mini/{id}"

    version_id = dy.Int64(
        primary_key=True,
        description="The service's id of the version, as it was asked for.",
        metadata=made("the request", example=24782),
    )
    name = dy.String(
        nullable=True,
        description="Title that the creator gave the version.",
        metadata=source("$.versionName", example="v2", null=NOT_GIVEN),
    )
    model_name = dy.String(
        nullable=True,
        description="Title that the creator gave the version's model.",
        metadata=source("$.modelName", example="Harbour at dawn", null=NOT_GIVEN),
    )
    user_id = dy.Int64(
        nullable=True,
        description="The service's id of the account that owns the model.",
        metadata=source("$.userId", example=1_000_017, null=NOT_GIVEN),
    )
    base_model = dy.String(
        nullable=True,
        description="Architecture that the version was made for, as its creator states it.",
        metadata=source("$.baseModel", example="SDXL 1.0", null=NOT_GIVEN),
    )
    air = dy.String(
        nullable=True,
        description="AI resource identifier; the service may change it, so it is no key.",
        metadata=source("$.air", example="urn:air:sdxl:lora:civitai:6282@24782", null=NOT_GIVEN),
    )
    availability = dy.String(
        nullable=True,
        description="Who can find the version: Public, EarlyAccess, Unsearchable; an open set.",
        metadata=source("$.availability", example="Public", null=NOT_GIVEN),
    )
    published_at = timestamp(
        nullable=True,
        description="When the version could first be downloaded.",
        metadata=source("$.publishedAt", example=datetime(2025, 3, 2, 8, tzinfo=UTC), null=NOT_GIVEN),
    )
    file_name = dy.String(
        nullable=True,
        description="Name that a download of the primary file gets.",
        metadata=source("$.fileName", example="harbour.safetensors", null=NOT_GIVEN),
    )
    file_type = dy.String(
        nullable=True,
        description="What the primary file is for: Model, VAE, Training Data and so on; an open set.",
        metadata=source("$.fileType", example="Model", null=NOT_GIVEN),
    )
    format = dy.String(
        nullable=True,
        description="Format of the primary file: SafeTensor, PickleTensor, GGUF and so on; an open set.",
        metadata=source("$.format", example="SafeTensor", null=NOT_GIVEN),
    )
    size_kb = dy.Float64(
        nullable=True,
        description="Size of the primary file in units of 1,024 bytes.",
        metadata=source("$.size", example=223_124.5, unit="KiB", null=NOT_GIVEN),
    )
    can_generate = dy.Bool(
        nullable=True,
        description="True if the service's own generator can use it.",
        metadata=source("$.canGenerate", example=True, null=NOT_GIVEN),
    )
    is_featured = dy.Bool(
        nullable=True,
        description="True if the service shows it among its featured models.",
        metadata=source("$.isFeatured", example=False, null=NOT_GIVEN),
    )
    require_auth = dy.Bool(
        nullable=True,
        description="True if only members may download it.",
        metadata=source("$.requireAuth", example=False, null=NOT_GIVEN),
    )
    check_permission = dy.Bool(
        nullable=True,
        description="True if a member needs a permission to use it, as in early access.",
        metadata=source("$.checkPermission", example=False, null=NOT_GIVEN),
    )
    early_access_ends_at = timestamp(
        nullable=True,
        description="When its early access ends, after which anyone may use it.",
        metadata=source(
            "$.earlyAccessEndsAt", example=datetime(2026, 1, 9, 12, tzinfo=UTC), null="it is not in early access"
        ),
    )
    free_trial_limit = dy.Int64(
        nullable=True,
        description="Images that may be generated without payment during early access.",
        metadata=source("$.freeTrialLimit", example=10, null="there is no free trial"),
    )
    additional_resource_charge = dy.Bool(
        nullable=True,
        description="True if its use in the generator costs extra.",
        metadata=source("$.additionalResourceCharge", example=False, null=NOT_GIVEN),
    )
    minor = dy.Bool(
        nullable=True,
        description="True if its model depicts a minor.",
        metadata=source("$.minor", example=False, null=NOT_GIVEN),
    )
    sfw_only = dy.Bool(
        nullable=True,
        description="True if its model is for safe-for-work use only.",
        metadata=source("$.sfwOnly", example=False, null=NOT_GIVEN),
    )
    payout_enabled = dy.Bool(
        nullable=True,
        description="True if its creator is paid for its use.",
        metadata=source("$.payoutEnabled", example=False, null=NOT_GIVEN),
    )
    download_url = dy.String(
        nullable=True,
        description="Address from which the primary file is downloaded; the first, where several are given.",
        metadata=source("$.downloadUrl", example="https://civitai.com/api/download/models/24782", null=NOT_GIVEN),
    )
    observed_on = observed_on()
    unknown_since = unknown_since()


class HashMatch(Table):
    """One row per hash that the service was asked for, with the version that it is or none, as of the latest answer."""

    read_from = "POST /model-versions/by-hash/ids"

    hash = dy.String(
        primary_key=True,
        description="The hash that was asked for, hexadecimal in upper case.",
        metadata=source("$.hash", example="5F06AA6F"),
    )
    version_id = dy.Int64(
        nullable=True,
        description="The version that has a file with that hash; of several, the one with the lowest id.",
        metadata=source(
            "$.matches[].modelVersionId",
            example=24782,
            null="the service knows no such file",
        ),
    )
    model_id = dy.Int64(
        nullable=True,
        description="The service's id of the model that the version belongs to.",
        metadata=source(
            "$.matches[].modelId",
            example=6282,
            null="the service knows no such file, or did not name the model",
        ),
    )
    version_count = dy.Int64(
        description="How many versions have a file with that hash; 0 if the service knows none.",
        metadata=made("$.matches", example=1),
    )
    observed_on = observed_on("UTC date of the latest answer.")
