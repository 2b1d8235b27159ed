"""The payloads: one msgspec struct per payload kind covers every generation of the service's answers, and
`STAGED_KINDS` says what becomes of each kind in the star.

Fields have the service's own names. If the type of a field differs between generations, `Canonical` declares its type
after `__post_init__`. Sources: docs/api-notes.md, sections 2 to 7, and the recorded payloads.
"""

# ruff: noqa: N815 (fields have the names that the service gives them)

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

import polars as pl
from msgspec import Meta, Struct

from pipelines.raw.kinds import KINDS
from transforms import tables
from transforms.staging.flatten import (
    Flatten,
    flatten_creators,
    flatten_gallery,
    flatten_hash_matches,
    flatten_minis,
    flatten_models,
    flatten_tag_list,
    flatten_users,
    flatten_versions,
    named,
)
from transforms.staging.validation import WHOLE, Canonical
from transforms.tables import (
    DimCreator,
    DimImage,
    DimModel,
    DimTag,
    DimUser,
    FactCreatorDaily,
    FactImageDaily,
    FactModelDaily,
    FactModelVersionDaily,
    FactTagDaily,
    ModelVersionDetail,
    ModelVersionMini,
    Table,
)

#: polars silently makes an integer beyond 64 bits null, so validation rejects it.
Integer = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
#: An id that fits the key of a type 2 row (`transforms.tables.declaration.surrogate_key`).
Identifier = Annotated[int, Meta(ge=-(2**63) // 100_000 + 1, le=2**63 // 100_000 - 1)]

#: A name or a hash. A blank text is none (`transforms.staging.flatten.named`).
Name = Annotated[str, Meta(pattern=r"\S")]

#: Browsing levels are bits (docs/api-notes.md, 13); the gallery and 2023 have words.
BROWSING_LEVELS = {"None": 1, "Soft": 2, "Mature": 4, "X": 8, "Blocked": 32}


class Payload(Struct, omit_defaults=True, gc=False):
    """A JSON object. Undeclared fields are ignored. It has no cycles, so the garbage collector can skip it."""


class Blank(Struct, forbid_unknown_fields=True):
    """What the load leaves in place of counters. Counters that it could not cut would be lost, so they are rejected."""


class Stats(Payload):
    """Counters of a model, version or image, of every generation; null is hidden or not given, never zero."""

    downloadCount: Integer | None = None
    thumbsUpCount: Integer | None = None
    thumbsDownCount: Integer | None = None
    ratingCount: Integer | None = None
    rating: float | None = None
    commentCount: Integer | None = None
    favoriteCount: Integer | None = None
    tippedAmountCount: Integer | None = None
    cryCount: Integer | None = None
    laughCount: Integer | None = None
    likeCount: Integer | None = None
    dislikeCount: Integer | None = None
    heartCount: Integer | None = None


#: Owners of counters that a text identifies.
_NAMED = frozenset(name for name, kind in KINDS.items() if kind.is_named)


class Metric(Payload):
    """The counters that the load cut out of a document, with their owner (pipelines.raw.tables.observations_table)."""

    owner: str
    id: Annotated[Integer | str | None, Canonical(str)] = None  # polars reads a number as text
    stats: Stats | None = None
    modelCount: Integer | None = None

    def __post_init__(self) -> None:
        # An image with a text as its id has no id in its document, either.
        if isinstance(self.id, str) and self.owner not in _NAMED:
            self.id = None


class FileMetadata(Payload):
    format: str | None = None
    fp: str | None = None
    size: str | None = None


class Hashes(Payload):
    AutoV1: Name | None = None
    AutoV2: Name | None = None
    AutoV3: Name | None = None
    SHA256: Name | None = None
    CRC32: Name | None = None
    BLAKE3: Name | None = None
    Blake3: Annotated[Name | None, Canonical(None)] = None  # the specification's spelling

    def __post_init__(self) -> None:
        if self.Blake3 is not None:
            self.BLAKE3 = self.BLAKE3 or self.Blake3


class File(Payload):
    id: Integer | None = None
    name: str | None = None
    sizeKB: float | None = None
    type: str | None = None
    format: Annotated[str | None, Canonical(None)] = None  # the specification; the service has metadata.format
    metadata: FileMetadata | None = None
    pickleScanResult: str | None = None
    pickleScanMessage: str | None = None
    virusScanResult: str | None = None
    virusScanMessage: str | None = None
    scannedAt: datetime | None = None
    hashes: Hashes | None = None
    downloadUrl: str | None = None
    primary: bool | None = None

    def __post_init__(self) -> None:
        if self.format is not None:
            self.metadata = self.metadata or FileMetadata()
            self.metadata.format = self.metadata.format or self.format


class Image(Payload):
    """A showcase image of a version."""

    id: Integer | None = None
    url: str | None = None
    type: str | None = None
    width: Integer | None = None
    height: Integer | None = None
    hash: str | None = None
    nsfw: Annotated[bool | str | None, Canonical(None)] = None
    nsfwLevel: Annotated[Integer | str | None, Canonical(int)] = None
    browsingLevel: Annotated[Integer | None, Canonical(None)] = None
    createdAt: datetime | None = None
    postId: Integer | None = None
    username: str | None = None
    stats: Annotated[Blank | None, Canonical(None)] = None

    def __post_init__(self) -> None:
        if self.browsingLevel is not None:
            self.nsfwLevel = self.browsingLevel
        elif not isinstance(self.nsfwLevel, int):
            word = self.nsfwLevel if self.nsfwLevel is not None else self.nsfw
            self.nsfwLevel = BROWSING_LEVELS.get(word) if isinstance(word, str) else None
        # Details and early lists have no id; the file name in the address is the id (docs/api-notes.md, 2).
        if self.id is None and self.url is not None:
            digits = self.url.rsplit("/", 1)[-1].split(".", 1)[0]
            if digits.isascii() and digits.isdigit() and len(digits) < 19:
                self.id = int(digits)


class GalleryImage(Image, kw_only=True):
    """An item of GET /images."""

    id: Integer


class Version(Payload):
    id: Identifier
    modelId: Integer | None = None
    index: Integer | None = None
    name: str | None = None
    baseModel: str | None = None
    baseModelType: str | None = None
    air: str | None = None
    availability: str | None = None
    nsfwLevel: Integer | None = None
    createdAt: datetime | None = None
    updatedAt: datetime | None = None
    publishedAt: datetime | None = None
    earlyAccessTimeFrame: Integer | None = None
    supportsGeneration: bool | None = None
    trainedWords: list[str] | None = None
    downloadUrl: str | None = None
    stats: Annotated[Blank | None, Canonical(None)] = None
    files: list[File] | None = None
    images: list[Image] | None = None


class ModelCreator(Payload):
    username: str | None = None
    image: str | None = None


class TagObject(Payload):
    name: str


class Model(Payload):
    """An item of GET /models."""

    id: Identifier
    name: str | None = None
    description: str | None = None
    type: str | None = None
    nsfw: bool | None = None
    nsfwLevel: Integer | None = None
    poi: bool | None = None
    minor: bool | None = None
    sfwOnly: bool | None = None
    mode: str | None = None
    availability: str | None = None
    supportsGeneration: bool | None = None
    userId: Integer | None = None
    allowNoCredit: bool | None = None
    allowCommercialUse: Annotated[list[str] | str | None, Canonical(list[str])] = None
    allowDerivatives: bool | None = None
    allowDifferentLicense: bool | None = None
    creator: ModelCreator | None = None
    tags: Annotated[list[str | TagObject] | None, Canonical(list[str])] = None
    stats: Annotated[Blank | None, Canonical(None)] = None
    modelVersions: Annotated[list[Version] | None, WHOLE] = None

    def __post_init__(self) -> None:
        if isinstance(self.allowCommercialUse, str):  # "Sell" in 2023, "{Image,RentCivit}" in 2026
            words = self.allowCommercialUse.strip("{}").split(",")
            self.allowCommercialUse = [word.strip().strip('"') for word in words if word.strip()]
        if self.allowCommercialUse is not None:  # a set: the order does not matter
            self.allowCommercialUse = sorted(set(self.allowCommercialUse))
        if self.tags is not None:
            self.tags = [tag if isinstance(tag, str) else tag.name for tag in self.tags]


class Creator(Payload):
    """An item of GET /creators."""

    username: Name
    link: str | None = None
    image: str | None = None


class Tag(Payload):
    """An item of GET /tags."""

    name: Name
    link: str | None = None


class Enums(Payload):
    """The answer of GET /enums."""

    ActiveBaseModel: list[str] | None = None
    BaseModel: list[str] | None = None


class User(Payload):
    """A user of GET /users. Only the specification has a tier and a date (docs/api-notes.md, 8)."""

    id: Integer
    username: str | None = None
    avatarNsfw: str | None = None
    image: str | None = None
    tier: str | None = None
    createdAt: datetime | None = None


class VersionModel(Payload):
    name: str | None = None
    type: str | None = None
    nsfw: bool | None = None
    poi: bool | None = None
    mode: str | None = None


class PaidAccess(Payload):
    permanent: bool | None = None
    endsAt: datetime | None = None


class VersionDetail(Version):
    """The answer of GET /model-versions/{id}, and of the look-ups by hash (docs/api-notes.md, 4)."""

    model: VersionModel | None = None
    status: str | None = None
    uploadType: str | None = None
    usageControl: str | None = None
    trainingStatus: str | None = None
    licensingFee: float | None = None
    earlyAccessEndsAt: datetime | None = None
    paidAccess: PaidAccess | None = None


class VersionMini(Payload):
    """The answer of GET /model-versions/mini/{id}, without its own id and its model's (docs/api-notes.md, 4).

    The specification has both, and calls `versionName` `name`.
    """

    air: str | None = None
    versionName: str | None = None
    name: Annotated[str | None, Canonical(None)] = None
    modelName: str | None = None
    userId: Integer | None = None
    baseModel: str | None = None
    availability: str | None = None
    publishedAt: datetime | None = None
    size: float | None = None
    fileType: str | None = None
    fileName: str | None = None
    downloadUrls: Annotated[list[str] | None, Canonical(None)] = None
    downloadUrl: str | None = None
    format: str | None = None
    canGenerate: bool | None = None
    isFeatured: bool | None = None
    requireAuth: bool | None = None
    checkPermission: bool | None = None
    earlyAccessEndsAt: datetime | None = None
    freeTrialLimit: Integer | None = None
    additionalResourceCharge: bool | None = None
    minor: bool | None = None
    sfwOnly: bool | None = None
    payoutEnabled: bool | None = None

    def __post_init__(self) -> None:
        self.versionName = self.versionName or self.name
        if self.downloadUrl is None and self.downloadUrls:
            self.downloadUrl = self.downloadUrls[0]


class HashOwner(Payload):
    """A version that has a file with a hash."""

    modelVersionId: Integer
    modelId: Integer | None = None


class HashMatch(Payload):
    """The versions that have a file with a hash, as the load collects them (`pipelines.crawl.lookups`)."""

    hash: str
    matches: list[HashOwner]


@dataclass(frozen=True)
class StagedKind:
    """What becomes of the documents of a payload kind.

    `flatten` makes candidate rows of decoded documents. If a text identifies them, they have it as `spelling`, too.
    `table` describes the records, and `fact` has their counters per snapshot date. Objects of the kind that stand in
    documents of other kinds have their counters at `nested_at`, where `{id}` is their id.
    """

    name: str
    payload: type[Struct]
    flatten: Flatten
    table: type[Table] | None = None
    fact: type[Table] | None = None
    nested_at: str | None = None

    @property
    def record_id(self) -> pl.Expr:
        """The id of a record in its table and fact, from its text in raw (`entity_id`)."""
        text = pl.col("entity_id")
        return named(text) if KINDS[self.name].is_named else text.cast(pl.Int64)


STAGED_KINDS = {
    kind.name: kind
    for kind in (
        StagedKind("model", Model, flatten_models, DimModel, FactModelDaily),
        StagedKind(
            "version",
            VersionDetail,
            flatten_versions,
            ModelVersionDetail,
            FactModelVersionDaily,
            nested_at="$.modelVersions[id={id}]",
        ),
        StagedKind("image", GalleryImage, flatten_gallery, DimImage, FactImageDaily, nested_at="$..images[id={id}]"),
        StagedKind("creator", Creator, flatten_creators, DimCreator, FactCreatorDaily, nested_at="$.creator"),
        StagedKind("tag", Tag, flatten_tag_list, DimTag, FactTagDaily),
        StagedKind("enum", Enums, lambda _: {}),  # kept in raw; no table reads it yet
        StagedKind("user", User, flatten_users, DimUser),
        StagedKind("version_mini", VersionMini, flatten_minis, ModelVersionMini),
        StagedKind("hash_match", HashMatch, flatten_hash_matches, tables.HashMatch),
    )
}
