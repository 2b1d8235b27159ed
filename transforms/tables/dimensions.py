"""What things are: the dimensions, their history, and the look-up tables around them."""

import dataframely as dy

from transforms.tables.declaration import HistoryTable, Table, latest, source, timestamp, tracked

HASH_ALGORITHMS = ("AUTOV1", "AUTOV2", "AUTOV3", "SHA256", "CRC32", "BLAKE3")

VALID_FROM = "First snapshot date that shows these values."
VALID_TO = "Snapshot date from which the row no longer holds (half-open); null while it holds."
IS_CURRENT = "True while the row holds: valid_to is null."
REMOVED_ON = "Date on which the service was found not to have it any more; null otherwise."
FIRST_SEEN_ON = "First snapshot date on which it was met."


class DimDate(Table):
    """One row per calendar day from the first to the last snapshot."""

    date = dy.Date(primary_key=True, description="The day, UTC.")
    year = dy.Int32(description="Calendar year.")
    month = dy.Int8(description="Month of the year, 1 to 12.")
    iso_week = dy.Int8(description="ISO 8601 week of the year.")
    weekday = dy.Int8(description="ISO weekday: 1 is Monday, 7 is Sunday.")
    has_snapshot = dy.Bool(description="True if the catalogue was observed on that day; false is a gap.")
    is_complete = dy.Bool(description="True if a crawl of that day was complete.")


class DimBaseModel(Table):
    """One row per baseModel string seen on a version; the set is open and grows by itself."""

    base_model = dy.String(
        primary_key=True,
        description="The service's own name; (unknown) where a version has none.",
        metadata=source("$.modelVersions[].baseModel"),
    )
    family = dy.String(
        description="Who publishes the architecture; Unclassified for a name that is not listed yet.",
        metadata={"history": "latest"},
    )
    ecosystem = dy.String(
        nullable=True,
        description="Root ecosystem, as in AIR identifiers; null if not listed yet.",
        metadata={"history": "latest"},
    )
    modality = dy.String(
        nullable=True,
        description="image, video, audio or 3d; null if not listed yet.",
        metadata={"history": "latest"},
    )
    first_seen_on = dy.Date(description=FIRST_SEEN_ON)


class DimCreator(Table):
    """One row per username of models and of /creators."""

    username = dy.String(
        primary_key=True,
        description="Name of the creator; (unknown) stands for creators that the service omits (deleted, transferred).",
        metadata=source("$.username"),
    )
    link = dy.String(
        nullable=True, description="The service's query for the creator's models.", metadata=latest("$.link")
    )
    image = dy.String(nullable=True, description="Address of the avatar.", metadata=latest("$.image"))
    first_seen_on = dy.Date(description=FIRST_SEEN_ON)


class DimModel(HistoryTable):
    """One row per model and period in which its tracked columns held; long text is in model_text."""

    surrogate_key = ("model_key", "model_id")

    model_key = dy.Int64(unique=True, description="Key of this row: model_id, then valid_from as a day number.")
    model_id = dy.Int64(primary_key=True, description="The service's id of the model.", metadata=source("$.id"))
    valid_from = dy.Date(primary_key=True, description=VALID_FROM)
    valid_to = dy.Date(nullable=True, description=VALID_TO)
    is_current = dy.Bool(description=IS_CURRENT)
    removed_on = dy.Date(nullable=True, description=REMOVED_ON)
    name = dy.String(nullable=True, description="Title of the model.", metadata=tracked("$.name"))
    type = dy.String(nullable=True, description="Checkpoint, LORA, ...; an open set.", metadata=tracked("$.type"))
    username = dy.String(
        description="Creator; (unknown) where the service omits it.", metadata=tracked("$.creator.username")
    )
    nsfw = dy.Bool(nullable=True, description="Marked as mature by its creator.", metadata=tracked("$.nsfw"))
    nsfw_level = dy.Int64(
        nullable=True,
        description="Browsing levels of its images as bits: PG 1, PG13 2, R 4, X 8, XXX 16; 0 is unrated.",
        metadata=latest("$.nsfwLevel", unit="bit set"),
    )
    poi = dy.Bool(nullable=True, description="Depicts a real person.", metadata=tracked("$.poi"))
    minor = dy.Bool(nullable=True, description="Depicts a minor.", metadata=tracked("$.minor"))
    sfw_only = dy.Bool(nullable=True, description="Safe-for-work use only.", metadata=tracked("$.sfwOnly"))
    mode = dy.String(nullable=True, description="Archived, TakenDown or null.", metadata=tracked("$.mode"))
    availability = dy.String(
        nullable=True, description="Public, EarlyAccess, Unsearchable, ...", metadata=tracked("$.availability")
    )
    supports_generation = dy.Bool(
        nullable=True, description="Usable in the service's generator.", metadata=latest("$.supportsGeneration")
    )
    user_id = dy.Int64(
        nullable=True, description="The creator's id, where given (since 2026).", metadata=latest("$.userId")
    )
    allow_no_credit = dy.Bool(
        nullable=True, description="Licence: no credit needed.", metadata=tracked("$.allowNoCredit")
    )
    allow_commercial_use = dy.List(
        dy.String(),
        description="Licence: commercial uses allowed (None, Image, RentCivit, Rent, Sell); empty where none is named.",
        metadata=tracked("$.allowCommercialUse"),
    )
    allow_derivatives = dy.Bool(
        nullable=True, description="Licence: derivatives allowed.", metadata=tracked("$.allowDerivatives")
    )
    allow_different_license = dy.Bool(
        nullable=True,
        description="Licence: derivatives may have another licence.",
        metadata=tracked("$.allowDifferentLicense"),
    )
    description_hash = dy.String(
        nullable=True,
        description="Which text of model_text describes the model; null where there is none.",
        metadata={"history": "tracked"},
    )
    published_at = timestamp(
        nullable=True,
        description="Publication of its earliest version that is served; the service gives no date for the model.",
        metadata={"history": "latest"},
    )


class ModelText(Table):
    """One row per distinct description of a model."""

    storage = "appended"

    model_id = dy.Int64(primary_key=True, description="The service's id of the model.", metadata=source("$.id"))
    description_hash = dy.String(primary_key=True, description="BLAKE2b-128 of the text, hex.")
    description = dy.String(description="Description, HTML.", metadata=source("$.description"))
    first_seen_on = dy.Date(description=FIRST_SEEN_ON)


class DimModelVersion(HistoryTable):
    """One row per model version and period in which its tracked columns held."""

    surrogate_key = ("version_key", "version_id")

    version_key = dy.Int64(unique=True, description="Key of this row: version_id, then valid_from as a day number.")
    version_id = dy.Int64(
        primary_key=True, description="The service's id of the version.", metadata=source("$.modelVersions[].id")
    )
    model_id = dy.Int64(description="The model it belongs to.", metadata=tracked("$.id"))
    valid_from = dy.Date(primary_key=True, description=VALID_FROM)
    valid_to = dy.Date(nullable=True, description=VALID_TO)
    is_current = dy.Bool(description=IS_CURRENT)
    removed_on = dy.Date(nullable=True, description=REMOVED_ON)
    name = dy.String(nullable=True, description="Title of the version.", metadata=tracked("$.modelVersions[].name"))
    base_model = dy.String(
        description="Architecture it was made for; (unknown) where the service gives none.",
        metadata=tracked("$.modelVersions[].baseModel"),
    )
    base_model_type = dy.String(
        nullable=True,
        description="Standard, Inpainting, Refiner, ...",
        metadata=tracked("$.modelVersions[].baseModelType"),
    )
    availability = dy.String(
        nullable=True,
        description="Public, EarlyAccess, Unsearchable, ...",
        metadata=tracked("$.modelVersions[].availability"),
    )
    trained_words = dy.List(
        dy.String(),
        description="Words that trigger the model, in the creator's order; empty where there are none.",
        metadata=tracked("$.modelVersions[].trainedWords"),
    )
    index = dy.Int64(
        nullable=True,
        description="Place among the model's versions; 0 is first.",
        metadata=latest("$.modelVersions[].index"),
    )
    nsfw_level = dy.Int64(
        nullable=True,
        description="Browsing levels of its images as bits; 0 is unrated.",
        metadata=latest("$.modelVersions[].nsfwLevel", unit="bit set"),
    )
    air = dy.String(
        nullable=True,
        description="AI resource identifier; the service may change it, so it is no key.",
        metadata=latest("$.modelVersions[].air"),
    )
    supports_generation = dy.Bool(
        nullable=True,
        description="Usable in the service's generator.",
        metadata=latest("$.modelVersions[].supportsGeneration"),
    )
    early_access_time_frame = dy.Int64(
        nullable=True,
        description="Days of early access (2023 only).",
        metadata=latest("$.modelVersions[].earlyAccessTimeFrame", unit="days"),
    )
    created_at = timestamp(nullable=True, description="Creation.", metadata=latest("$.modelVersions[].createdAt"))
    updated_at = timestamp(nullable=True, description="Last edit.", metadata=latest("$.modelVersions[].updatedAt"))
    published_at = timestamp(
        nullable=True,
        description="Publication; created_at where the service gives no publication (2023).",
        metadata=latest("$.modelVersions[].publishedAt"),
    )
    download_url = dy.String(
        nullable=True, description="Address of the primary file.", metadata=latest("$.modelVersions[].downloadUrl")
    )


class DimFile(Table):
    """One row per version and file id; the same file id can stand under several versions."""

    version_id = dy.Int64(primary_key=True, description="The version.", metadata=source("$.modelVersions[].id"))
    file_id = dy.Int64(
        primary_key=True, description="The service's id of the file.", metadata=source("$.modelVersions[].files[].id")
    )
    name = dy.String(nullable=True, description="File name.", metadata=latest("$.modelVersions[].files[].name"))
    type = dy.String(
        nullable=True, description="Model, VAE, Training Data, ...", metadata=latest("$.modelVersions[].files[].type")
    )
    size_kb = dy.Float64(
        nullable=True,
        description="Size in units of 1,024 bytes.",
        metadata=latest("$.modelVersions[].files[].sizeKB", unit="KiB"),
    )
    format = dy.String(
        nullable=True,
        description="SafeTensor, PickleTensor, GGUF, ...",
        metadata=latest("$.modelVersions[].files[].metadata.format"),
    )
    precision = dy.String(
        nullable=True,
        description="Floating-point precision: fp16, fp32, ...",
        metadata=latest("$.modelVersions[].files[].metadata.fp"),
    )
    pruning = dy.String(
        nullable=True, description="full or pruned.", metadata=latest("$.modelVersions[].files[].metadata.size")
    )
    pickle_scan_result = dy.String(
        nullable=True,
        description="Pending, Success, Danger or Error.",
        metadata=latest("$.modelVersions[].files[].pickleScanResult"),
    )
    pickle_scan_message = dy.String(
        nullable=True,
        description="What the pickle scan said.",
        metadata=latest("$.modelVersions[].files[].pickleScanMessage"),
    )
    virus_scan_result = dy.String(
        nullable=True,
        description="Pending, Success, Danger or Error.",
        metadata=latest("$.modelVersions[].files[].virusScanResult"),
    )
    virus_scan_message = dy.String(
        nullable=True,
        description="What the virus scan said.",
        metadata=latest("$.modelVersions[].files[].virusScanMessage"),
    )
    scanned_at = timestamp(
        nullable=True, description="Time of the scans.", metadata=latest("$.modelVersions[].files[].scannedAt")
    )
    is_primary = dy.Bool(
        nullable=True,
        description="True for the file that the version's download gives.",
        metadata=latest("$.modelVersions[].files[].primary"),
    )
    download_url = dy.String(
        nullable=True, description="Address of the file.", metadata=latest("$.modelVersions[].files[].downloadUrl")
    )
    first_seen_on = dy.Date(description=FIRST_SEEN_ON)
    removed_on = dy.Date(nullable=True, description=REMOVED_ON)


class FileHash(HistoryTable):
    """One row per version, file id, algorithm and hash, and its period: from a local file to the version it is."""

    version_id = dy.Int64(primary_key=True, description="The version.", metadata=source("$.modelVersions[].id"))
    file_id = dy.Int64(primary_key=True, description="The file.", metadata=source("$.modelVersions[].files[].id"))
    algorithm = dy.String(
        primary_key=True,
        check=lambda column: column.is_in(HASH_ALGORITHMS),
        description="AUTOV1, AUTOV2, AUTOV3, SHA256, CRC32 or BLAKE3; AUTOV1 and CRC32 are short and collide.",
    )
    hash = dy.String(
        primary_key=True,
        description="The hash, hexadecimal in upper case.",
        metadata=source("$.modelVersions[].files[].hashes"),
    )
    valid_from = dy.Date(primary_key=True, description=VALID_FROM)
    valid_to = dy.Date(nullable=True, description=VALID_TO)
    is_current = dy.Bool(description=IS_CURRENT)


class DimTag(Table):
    """One row per tag of models and of /tags, trimmed and otherwise as it is."""

    tag = dy.String(primary_key=True, description="The tag.", metadata=source("$.tags[]"))
    link = dy.String(
        nullable=True, description="The service's query for models with the tag.", metadata=latest("$.link")
    )
    first_seen_on = dy.Date(description=FIRST_SEEN_ON)


class BridgeModelTag(HistoryTable):
    """One row per model, tag and period in which the model had the tag."""

    model_id = dy.Int64(primary_key=True, description="The model.", metadata=source("$.id"))
    tag = dy.String(primary_key=True, description="The tag.", metadata=source("$.tags[]"))
    valid_from = dy.Date(primary_key=True, description=VALID_FROM)
    valid_to = dy.Date(nullable=True, description=VALID_TO)
    is_current = dy.Bool(description=IS_CURRENT)


class DimImage(Table):
    """One row per showcase or gallery image seen, as it was when it was met first."""

    storage = "appended"

    image_id = dy.Int64(primary_key=True, description="The service's id of the image.", metadata=source("$.id"))
    version_id = dy.Int64(
        nullable=True,
        description="The version that shows it; null for an image that was met in the gallery first.",
        metadata=source("$.modelVersions[].id"),
    )
    url = dy.String(nullable=True, description="Address.", metadata=source("$.url"))
    type = dy.String(nullable=True, description="image, video or audio.", metadata=source("$.type"))
    width = dy.Int64(nullable=True, description="Width.", metadata=source("$.width", unit="px"))
    height = dy.Int64(nullable=True, description="Height.", metadata=source("$.height", unit="px"))
    blurhash = dy.String(nullable=True, description="BlurHash of the image.", metadata=source("$.hash"))
    nsfw_level = dy.Int64(
        nullable=True,
        description="Browsing level as a bit: PG 1, PG13 2, R 4, X 8, XXX 16, Blocked 32.",
        metadata=source("$.nsfwLevel", unit="bit set"),
    )
    post_id = dy.Int64(nullable=True, description="Post (gallery only).", metadata=source("$.postId"))
    username = dy.String(nullable=True, description="Who posted it (gallery only).", metadata=source("$.username"))
    created_at = timestamp(nullable=True, description="Creation (gallery only).", metadata=source("$.createdAt"))
    first_seen_on = dy.Date(description=FIRST_SEEN_ON)
