"""What things are: the dimensions, their history, and the tables around them: texts, file hashes, tags.

An algorithm in `HASH_ALGORITHMS`, with its field in `payloads.Hashes`, becomes rows of file_hash.
"""

from datetime import UTC, date, datetime

import dataframely as dy

from transforms.tables.declaration import HistoryTable, Table, latest, made, source, timestamp, tracked

HASH_ALGORITHMS = ("AUTOV1", "AUTOV2", "AUTOV3", "SHA256", "CRC32", "BLAKE3")

MODEL_ITEM = "an item of GET /models"

VALID_FROM = "First snapshot date that shows these values; a change inside a gap dates to the gap's end."
VALID_TO = "First snapshot date on which the row no longer holds: the period is half-open, [valid_from, valid_to)."
IS_CURRENT = "True while the row holds, that is while valid_to is null."
REMOVED_ON = "Snapshot date on which the service was found not to have it any more."
FIRST_SEEN_ON = "First snapshot date on which it was met; never changed afterwards."

NOT_GIVEN = "the service did not say"
NEVER_REMOVED = "it was there when it was last looked for"


def valid_from() -> dy.Date:
    """The start of a type 2 row's period."""
    return dy.Date(
        primary_key=True, description=VALID_FROM, metadata=made("the snapshot dates", example=date(2026, 1, 1))
    )


def valid_to() -> dy.Date:
    """The end of a type 2 row's period."""
    return dy.Date(
        nullable=True,
        description=VALID_TO,
        metadata=made("the snapshot dates", example=date(2026, 1, 3), null="the row still holds"),
    )


def is_current() -> dy.Bool:
    """Whether a type 2 row's period is open."""
    return dy.Bool(description=IS_CURRENT, metadata=made("valid_to", example=False))


def removed_on(null: str = NEVER_REMOVED) -> dy.Date:
    """The date of a tombstone."""
    return dy.Date(
        nullable=True,
        description=REMOVED_ON,
        metadata=made("complete crawls: a 404, or a list of its model without it", example=date(2026, 1, 3), null=null),
    )


def first_seen_on() -> dy.Date:
    """When an entity was met first."""
    return dy.Date(description=FIRST_SEEN_ON, metadata=made("the snapshot dates", example=date(2026, 1, 1)))


#: In the class, `date` is a column.
_A_MONDAY = date(2026, 1, 12)


class DimDate(Table):
    """One row per calendar day from the first to the last snapshot."""

    date = dy.Date(
        primary_key=True,
        description="The calendar day in UTC; days without a snapshot have a row, too.",
        metadata=made("the snapshot dates", example=date(2026, 1, 15)),
    )
    year = dy.Int32(description="Calendar year of the day.", metadata=made("date", example=2026))
    month = dy.Int8(description="Month of the calendar year, 1 is January.", metadata=made("date", example=1))
    iso_week = dy.Int8(
        description="Week of the ISO 8601 year, 1 to 53; it begins on a Monday and may belong to the year beside.",
        metadata=made("date", example=3),
    )
    weekday = dy.Int8(description="ISO day of the week: 1 is Monday, 7 is Sunday.", metadata=made("date", example=4))
    weekday_name = dy.String(
        description="Day of the week in English, from Monday to Sunday.", metadata=made("date", example="Thursday")
    )
    is_weekend = dy.Bool(description="True on Saturdays and Sundays.", metadata=made("date", example=False))
    week_begins_on = dy.Date(
        description="The Monday of the day's ISO week: group by it to count by week.",
        metadata=made("date", example=_A_MONDAY),
    )
    has_snapshot = dy.Bool(
        description="True if any crawl observed the catalogue on that day; false is a gap.",
        metadata=made("raw.snapshots", example=True),
    )
    is_complete = dy.Bool(
        description="True if a crawl of that day saw the whole catalogue: stocks may be compared between such days.",
        metadata=made("raw.snapshots.status", example=True),
    )


class DimBaseModel(Table):
    """One row per baseModel string seen on a version; the set is open and grows by itself."""

    read_from = MODEL_ITEM

    base_model = dy.String(
        primary_key=True,
        description="Architecture that versions are made for, in the service's own spelling; (unknown) stands for "
        "versions that name none.",
        metadata=source("$.modelVersions[].baseModel", example="Flux.1 D"),
    )
    family = dy.String(
        description="Who publishes the architecture; Unclassified for a name that our list does not have yet.",
        metadata=made("transforms/star/base_models.csv", history="latest", example="Black Forest Labs"),
    )
    ecosystem = dy.String(
        nullable=True,
        description="Root architecture whose models work together, as AIR identifiers spell it.",
        metadata=made(
            "transforms/star/base_models.csv",
            history="latest",
            example="flux1",
            null="our list does not have the name yet",
        ),
    )
    modality = dy.String(
        nullable=True,
        description="What the architecture produces: image, video, audio or 3d.",
        metadata=made(
            "transforms/star/base_models.csv",
            history="latest",
            example="image",
            null="our list does not have the name yet",
        ),
    )
    first_seen_on = first_seen_on()


class DimCreator(Table):
    """One row per username of models and of /creators."""

    read_from = "an item of GET /creators"

    username = dy.String(
        primary_key=True,
        description="Name of the account that publishes; (unknown) stands for the creators that the service omits, "
        "because the account was deleted or the model handed over. A renamed account is a new row.",
        metadata=source("$.username", example="AmberAurora_325"),
    )
    link = dy.String(
        nullable=True,
        description="The service's own query for the creator's models.",
        metadata=latest(
            "$.link",
            example="https://civitai.com/api/v1/models?username=AmberAurora_325",
            null="the name was met on models only, never in /creators",
        ),
    )
    image = dy.String(
        nullable=True,
        description="Address of the creator's avatar.",
        metadata=latest(
            "$.image",
            example="https://image.civitai.com/avatars/c4a9c93265b42e2c1e3c36b660f23b20/width=96/325.jpeg",
            null="the creator has no avatar, or was never in /creators",
        ),
    )
    first_seen_on = first_seen_on()


class DimModel(HistoryTable):
    """One row per model and period in which its tracked columns held; long text is in model_text."""

    axis = "model"
    read_from = MODEL_ITEM
    surrogate_key = ("model_key", "model_id")

    model_key = dy.Int64(
        unique=True,
        description="Number of this row, which daily facts carry: model_id, then valid_from as days since 1970-01-01 "
        "in five digits.",
        metadata=made("model_id, valid_from", example=628220454),
    )
    model_id = dy.Int64(
        primary_key=True,
        description="The service's id of the model, as in the address of its page; never given twice.",
        metadata=source("$.id", example=6282),
    )
    valid_from = valid_from()
    valid_to = valid_to()
    is_current = is_current()
    removed_on = removed_on("the row ended with a change, or still holds")
    name = dy.String(
        nullable=True,
        description="Title that the creator gave the model.",
        metadata=tracked("$.name", example="Bright Station Mix Next", null=NOT_GIVEN),
    )
    type = dy.String(
        nullable=True,
        description="Kind of model: Checkpoint, LORA, TextualInversion and so on, as the service spells it; an open "
        "set.",
        metadata=tracked("$.type", example="LORA", null=NOT_GIVEN),
    )
    username = dy.String(
        description="Creator who owned the model in the period; (unknown) where the service omits the creator.",
        metadata=tracked("$.creator.username", example="CosmicDragonfly_487", references="dim_creator.username"),
    )
    nsfw = dy.Bool(
        nullable=True,
        description="True if the creator marked the model as mature.",
        metadata=tracked("$.nsfw", example=False, null=NOT_GIVEN),
    )
    nsfw_level = dy.Int64(
        nullable=True,
        description="Browsing levels of its images, added up: PG 1, PG13 2, R 4, X 8, XXX 16; 0 is not rated yet.",
        metadata=latest("$.nsfwLevel", unit="bit set", example=1, null=NOT_GIVEN),
    )
    poi = dy.Bool(
        nullable=True,
        description="True if the model depicts a real person.",
        metadata=tracked("$.poi", example=False, null=NOT_GIVEN),
    )
    minor = dy.Bool(
        nullable=True,
        description="True if the model depicts a minor.",
        metadata=tracked("$.minor", example=False, null=NOT_GIVEN),
    )
    sfw_only = dy.Bool(
        nullable=True,
        description="True if only images that are safe for work may be made with it.",
        metadata=tracked("$.sfwOnly", example=False, null=NOT_GIVEN),
    )
    mode = dy.String(
        nullable=True,
        description="What the service withholds: Archived (its files) or TakenDown (its images).",
        metadata=tracked("$.mode", example="Archived", null="nothing is withheld"),
    )
    availability = dy.String(
        nullable=True,
        description="Who can find the model: Public, EarlyAccess, Unsearchable; an open set.",
        metadata=tracked("$.availability", example="Public", null=NOT_GIVEN),
    )
    supports_generation = dy.Bool(
        nullable=True,
        description="True if the service's own generator can use one of its versions.",
        metadata=latest("$.supportsGeneration", example=True, null=NOT_GIVEN),
    )
    user_id = dy.Int64(
        nullable=True,
        description="The service's id of the account that owns the model; unlike username it outlives a renaming.",
        metadata=latest("$.userId", example=204817, null="the service gave no id, as before 2026"),
    )
    allow_no_credit = dy.Bool(
        nullable=True,
        description="Licence: true if the model may be used without naming its creator.",
        metadata=tracked("$.allowNoCredit", example=True, null=NOT_GIVEN),
    )
    allow_commercial_use = dy.List(
        dy.String(),
        description="Licence: the commercial uses that are allowed, of Image (sell images), RentCivit and Rent (offer "
        "generation here and elsewhere), Sell (sell the model); sorted. None in the list, or an empty list, allows "
        "nothing.",
        metadata=tracked("$.allowCommercialUse", example=["RentCivit"]),
    )
    allow_derivatives = dy.Bool(
        nullable=True,
        description="Licence: true if models made from it may be shared.",
        metadata=tracked("$.allowDerivatives", example=True, null=NOT_GIVEN),
    )
    allow_different_license = dy.Bool(
        nullable=True,
        description="Licence: true if models made from it may have another licence.",
        metadata=tracked("$.allowDifferentLicense", example=True, null=NOT_GIVEN),
    )
    description_hash = dy.String(
        nullable=True,
        description="Which text of model_text described the model in the period: BLAKE2b-128 of the text, hexadecimal.",
        metadata=made(
            "$.description",
            history="tracked",
            example="1f15257c57ed0d18ddd4a771c8db78ba",
            null="the model had no description",
            references="model_text.description_hash",
        ),
    )
    published_at = timestamp(
        nullable=True,
        description="Publication of the earliest of the versions that it lists; the service gives no date of the model "
        "itself.",
        metadata=made(
            "$.modelVersions[].publishedAt",
            history="latest",
            example=datetime(2025, 7, 28, 10, 50, 12, 716000, UTC),
            null="it lists no version with a date",
        ),
    )


class ModelText(Table):
    """One row per distinct description of a model."""

    axis = "model"
    storage = "appended"
    read_from = MODEL_ITEM

    model_id = dy.Int64(
        primary_key=True,
        description="The model that was described with the text.",
        metadata=source("$.id", example=6574, references="dim_model.model_id"),
    )
    description_hash = dy.String(
        primary_key=True,
        description="Name of the text, which dim_model carries: its BLAKE2b-128, hexadecimal.",
        metadata=made("$.description", example="1f15257c57ed0d18ddd4a771c8db78ba"),
    )
    description = dy.String(
        description="The creator's description of the model, as HTML.",
        metadata=source("$.description", example="<p>Every tested prompt adds soft light to simple portraits.</p>"),
    )
    first_seen_on = first_seen_on()


class DimModelVersion(HistoryTable):
    """One row per model version and period in which its tracked columns held."""

    axis = "model"
    read_from = MODEL_ITEM
    surrogate_key = ("version_key", "version_id")

    version_key = dy.Int64(
        unique=True,
        description="Number of this row, which daily facts carry: version_id, then valid_from as days since 1970-01-01 "
        "in five digits.",
        metadata=made("version_id, valid_from", example=2478220454),
    )
    version_id = dy.Int64(
        primary_key=True,
        description="The service's id of the version, as in its download address; never given twice.",
        metadata=source("$.modelVersions[].id", example=24782),
    )
    model_id = dy.Int64(
        description="The model that listed the version in the period. Of several that list it, it is the one that did "
        "first, as long as it does; of those that began on one date, the one with the lowest id.",
        metadata=tracked("$.id", example=6282, references="dim_model.model_id"),
    )
    valid_from = valid_from()
    valid_to = valid_to()
    is_current = is_current()
    removed_on = removed_on("the row ended with a change, or still holds")
    name = dy.String(
        nullable=True,
        description="Title that the creator gave the version.",
        metadata=tracked("$.modelVersions[].name", example="v1.0", null=NOT_GIVEN),
    )
    base_model = dy.String(
        description="Architecture that the version was made for, as its creator states it; (unknown) where it names "
        "none.",
        metadata=tracked(
            "$.modelVersions[].baseModel", example="Wan Video 14B t2v", references="dim_base_model.base_model"
        ),
    )
    base_model_type = dy.String(
        nullable=True,
        description="Variant of the architecture: Standard, Inpainting, Refiner, Pix2Pix.",
        metadata=tracked("$.modelVersions[].baseModelType", example="Standard", null="no variant is named"),
    )
    availability = dy.String(
        nullable=True,
        description="Who can find the version: Public, EarlyAccess, Unsearchable; an open set.",
        metadata=tracked("$.modelVersions[].availability", example="Public", null=NOT_GIVEN),
    )
    trained_words = dy.List(
        dy.String(),
        description="Words that trigger what the version was trained on, as the creator wrote and ordered them; whole "
        "prompts occur. An empty list: there are none.",
        metadata=tracked("$.modelVersions[].trainedWords", example=["linen69a"]),
    )
    index = dy.Int64(
        nullable=True,
        description="Place of the version on its model's page; 0 is first.",
        metadata=latest("$.modelVersions[].index", example=0, null=NOT_GIVEN),
    )
    nsfw_level = dy.Int64(
        nullable=True,
        description="Browsing levels of its images, added up: PG 1, PG13 2, R 4, X 8, XXX 16; 0 is not rated yet.",
        metadata=latest("$.modelVersions[].nsfwLevel", unit="bit set", example=1, null=NOT_GIVEN),
    )
    air = dy.String(
        nullable=True,
        description="AI resource identifier, urn:air:ecosystem:type:civitai:model@version; the service may change it, "
        "so it is no key.",
        metadata=latest(
            "$.modelVersions[].air", example="urn:air:wanvideo14b_t2v:lora:civitai:6282@24782", null=NOT_GIVEN
        ),
    )
    supports_generation = dy.Bool(
        nullable=True,
        description="True if the service's own generator can use the version.",
        metadata=latest("$.modelVersions[].supportsGeneration", example=True, null=NOT_GIVEN),
    )
    early_access_time_frame = dy.Int64(
        nullable=True,
        description="How long after its publication only supporters could download it; answers of 2023 have it.",
        metadata=latest("$.modelVersions[].earlyAccessTimeFrame", unit="days", example=7, null=NOT_GIVEN),
    )
    created_at = timestamp(
        nullable=True,
        description="When the creator began the version, published or not.",
        metadata=latest(
            "$.modelVersions[].createdAt", example=datetime(2025, 7, 28, 10, 12, 40, 102000, UTC), null=NOT_GIVEN
        ),
    )
    updated_at = timestamp(
        nullable=True,
        description="When the creator last edited the version's page.",
        metadata=latest(
            "$.modelVersions[].updatedAt", example=datetime(2025, 7, 28, 10, 50, 12, 300000, UTC), null=NOT_GIVEN
        ),
    )
    published_at = timestamp(
        nullable=True,
        description="When the version could first be downloaded; created_at where the service gives no publication "
        "(2023).",
        metadata=latest(
            "$.modelVersions[].publishedAt",
            example=datetime(2025, 7, 28, 10, 50, 12, 716000, UTC),
            null="the service gave neither date",
        ),
    )
    download_url = dy.String(
        nullable=True,
        description="Address from which the version's primary file is downloaded.",
        metadata=latest(
            "$.modelVersions[].downloadUrl",
            example="https://civitai.com/api/download/models/24782",
            null="its files are withheld, or the field is not given",
        ),
    )


class DimFile(Table):
    """One row per version and file id; the same file id can stand under several versions."""

    axis = "model"
    read_from = MODEL_ITEM

    version_id = dy.Int64(
        primary_key=True,
        description="The version that offers the file.",
        metadata=source("$.modelVersions[].id", example=8622, references="dim_model_version.version_id"),
    )
    file_id = dy.Int64(
        primary_key=True,
        description="The service's id of the file; not unique by itself, for a VAE of one version is listed under "
        "others.",
        metadata=source("$.modelVersions[].files[].id", example=6675),
    )
    name = dy.String(
        nullable=True,
        description="File name that a download gets, made by the service.",
        metadata=latest("$.modelVersions[].files[].name", example="checkpoint_8622_v1.0.safetensors", null=NOT_GIVEN),
    )
    type = dy.String(
        nullable=True,
        description="What the file is for: Model, VAE, Training Data, Config and so on; an open set.",
        metadata=latest("$.modelVersions[].files[].type", example="Model", null=NOT_GIVEN),
    )
    size_kb = dy.Float64(
        nullable=True,
        description="Size of the file in units of 1,024 bytes, with the fraction that the service gives.",
        metadata=latest("$.modelVersions[].files[].sizeKB", unit="KiB", example=2029837.6845703125, null=NOT_GIVEN),
    )
    format = dy.String(
        nullable=True,
        description="File format: SafeTensor, PickleTensor, GGUF, Diffusers and so on; an open set.",
        metadata=latest("$.modelVersions[].files[].metadata.format", example="SafeTensor", null=NOT_GIVEN),
    )
    precision = dy.String(
        nullable=True,
        description="Floating-point precision of the weights, as the creator states it: fp16, bf16, fp32.",
        metadata=latest("$.modelVersions[].files[].metadata.fp", example="fp16", null="the creator did not state it"),
    )
    pruning = dy.String(
        nullable=True,
        description="Whether the file has all weights of the training (full) or those that inference needs (pruned).",
        metadata=latest(
            "$.modelVersions[].files[].metadata.size", example="pruned", null="the creator did not state it"
        ),
    )
    pickle_scan_result = dy.String(
        nullable=True,
        description="Outcome of the service's scan for code in pickled weights: Pending, Success, Danger or Error.",
        metadata=latest("$.modelVersions[].files[].pickleScanResult", example="Success", null=NOT_GIVEN),
    )
    pickle_scan_message = dy.String(
        nullable=True,
        description="What the pickle scan reported in words; may be Markdown.",
        metadata=latest(
            "$.modelVersions[].files[].pickleScanMessage",
            example="No Pickle imports",
            null="the scan had nothing to report",
        ),
    )
    virus_scan_result = dy.String(
        nullable=True,
        description="Outcome of the service's scan for viruses: Pending, Success, Danger or Error.",
        metadata=latest("$.modelVersions[].files[].virusScanResult", example="Success", null=NOT_GIVEN),
    )
    virus_scan_message = dy.String(
        nullable=True,
        description="What the virus scan reported in words.",
        metadata=latest(
            "$.modelVersions[].files[].virusScanMessage",
            example="Scanned files: 1, infected files: 0",
            null="the scan had nothing to report",
        ),
    )
    scanned_at = timestamp(
        nullable=True,
        description="When the service last scanned the file.",
        metadata=latest(
            "$.modelVersions[].files[].scannedAt",
            example=datetime(2023, 12, 3, 5, 10, 15, 519000, UTC),
            null="it was not scanned yet",
        ),
    )
    is_primary = dy.Bool(
        nullable=True,
        description="True for the one file that the version's own download address gives.",
        metadata=latest(
            "$.modelVersions[].files[].primary", example=True, null="another file is primary, or the field is not given"
        ),
    )
    download_url = dy.String(
        nullable=True,
        description="Address from which this file is downloaded.",
        metadata=latest(
            "$.modelVersions[].files[].downloadUrl",
            example="https://civitai.com/api/download/models/8622",
            null=NOT_GIVEN,
        ),
    )
    first_seen_on = first_seen_on()
    removed_on = removed_on()


class FileHash(HistoryTable):
    """One row per version, file id, algorithm and hash, and its period: from a local file to the version it is."""

    axis = "model"
    read_from = MODEL_ITEM

    version_id = dy.Int64(
        primary_key=True,
        description="The version that offers the file.",
        metadata=source("$.modelVersions[].id", example=24782, references="dim_file.version_id"),
    )
    file_id = dy.Int64(
        primary_key=True,
        description="The file that has the hash.",
        metadata=source("$.modelVersions[].files[].id", example=15655, references="dim_file.file_id"),
    )
    algorithm = dy.String(
        primary_key=True,
        check=lambda column: column.is_in(HASH_ALGORITHMS),
        description="How the hash is made: AUTOV1, AUTOV2, AUTOV3, SHA256, CRC32 or BLAKE3. AUTOV1 and CRC32 have "
        "32 bits, so that different files share them.",
        metadata=made("the key in $.modelVersions[].files[].hashes", example="AUTOV2"),
    )
    hash = dy.String(
        primary_key=True,
        description="The hash, hexadecimal in upper case; AUTOV2 is the start of the SHA256.",
        metadata=source("$.modelVersions[].files[].hashes", example="447E43ABE4"),
    )
    valid_from = valid_from()
    valid_to = valid_to()
    is_current = is_current()


class DimTag(Table):
    """One row per tag of models and of /tags, trimmed and otherwise as it is."""

    read_from = "an item of GET /tags (link), an item of GET /models (tag)"

    tag = dy.String(
        primary_key=True,
        description="Word or phrase under which creators file models, without white space around it; case is kept, so "
        "that two spellings are two tags. Names of creators and base models are treated likewise.",
        metadata=source("$.tags[]", example="nature"),
    )
    link = dy.String(
        nullable=True,
        description="The service's own query for the models that have the tag.",
        metadata=latest(
            "$.link",
            example="https://civitai.com/api/v1/models?tag=nature",
            null="the tag was met on models only, never in /tags",
        ),
    )
    first_seen_on = first_seen_on()


class BridgeModelTag(HistoryTable):
    """One row per model, tag and period in which the model had the tag."""

    axis = "model"
    read_from = MODEL_ITEM

    model_id = dy.Int64(
        primary_key=True,
        description="The model that had the tag.",
        metadata=source("$.id", example=7228, references="dim_model.model_id"),
    )
    tag = dy.String(
        primary_key=True,
        description="The tag that the model had.",
        metadata=source("$.tags[]", example="nature", references="dim_tag.tag"),
    )
    valid_from = valid_from()
    valid_to = valid_to()
    is_current = is_current()


class DimImage(Table):
    """One row per showcase or gallery image seen, as it was when it was met first."""

    axis = "image"
    storage = "appended"
    read_from = "an item of GET /images, or an element of $.modelVersions[].images of GET /models"

    image_id = dy.Int64(
        primary_key=True,
        description="The service's id of the image; where an answer has no id, the number in its file name.",
        metadata=source("$.id", example=10038360),
    )
    version_id = dy.Int64(
        nullable=True,
        description="The version whose page showed the image when it was met.",
        metadata=source(
            "$.modelVersions[].id",
            example=26162,
            null="the image was met in the gallery first",
            references="dim_model_version.version_id",
        ),
    )
    url = dy.String(
        nullable=True,
        description="Address of the image itself.",
        metadata=source(
            "$.url",
            example="https://image.civitai.com/48d80e41-32bb-4e44-57c9-01822ed8e805/width=450/10038360.jpeg",
            null=NOT_GIVEN,
        ),
    )
    type = dy.String(
        nullable=True,
        description="Medium: image, video or audio.",
        metadata=source("$.type", example="image", null=NOT_GIVEN),
    )
    width = dy.Int64(
        nullable=True,
        description="Width of the original upload.",
        metadata=source("$.width", unit="px", example=512, null="the service does not know it, as for audio"),
    )
    height = dy.Int64(
        nullable=True,
        description="Height of the original upload.",
        metadata=source("$.height", unit="px", example=512, null="the service does not know it, as for audio"),
    )
    blurhash = dy.String(
        nullable=True,
        description="BlurHash: some thirty characters from which a blurred preview can be drawn.",
        metadata=source("$.hash", example="UQ@iF2cb1@}zHs.jaK.*Pl@wS:1S", null=NOT_GIVEN),
    )
    nsfw_level = dy.Int64(
        nullable=True,
        description="Browsing level of the image: PG 1, PG13 2, R 4, X 8, XXX 16, Blocked 32. Said in words, "
        "X stands for X and XXX.",
        metadata=source("$.nsfwLevel", unit="bit set", example=1, null=NOT_GIVEN),
    )
    post_id = dy.Int64(
        nullable=True,
        description="The service's id of the post that the image belongs to.",
        metadata=source("$.postId", example=40009591, null="met on a version's page, where it is not told"),
    )
    username = dy.String(
        nullable=True,
        description="Account that posted the image.",
        metadata=source("$.username", example="OpalOrigami_212", null="met on a version's page, where it is not told"),
    )
    created_at = timestamp(
        nullable=True,
        description="When the image was uploaded.",
        metadata=source(
            "$.createdAt",
            example=datetime(2025, 9, 18, 20, 47, 47, 0, UTC),
            null="met on a version's page, where it is not told",
        ),
    )
    first_seen_on = first_seen_on()
