"""What may arrive: one msgspec struct per payload kind covers every generation of the service's answers.

Documents are decoded in two steps, because polars' JSON decoder fails a whole batch for one wrong scalar, rounds 5.5 to
5 and cannot read a field that is a list in one year and a string in the next: `validate` has msgspec check each
document (its message names the JSON path) and write what the structs declare back as canonical JSON, in which every
field has one type; `read` has polars decode that.

Fields have the service's own names. A field whose type differs between generations declares the type that it has after
`__post_init__` with `Canonical`. Sources: ../shared/civitai-api.md, sections 2 to 7, and the recorded payloads.
"""

# ruff: noqa: N815 (fields have the names that the service gives them)

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import msgspec
import polars as pl
from msgspec import Meta, Struct

#: polars makes an integer beyond 64 bits null without a word, so nothing beyond passes validation.
Integer = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
#: An id of which the key of a type 2 row can be made (`transforms.tables.declaration.surrogate_key`).
Identifier = Annotated[int, Meta(ge=-(2**63) // 100_000 + 1, le=2**63 // 100_000 - 1)]

#: What something is called in a list of its own: a blank text names nothing (`transforms.flatten.named`).
Name = Annotated[str, Meta(pattern=r"\S")]


def Canonical(kind: Any) -> Meta:  # noqa: N802 (reads as a type in the annotations below)
    """The type of a field once `__post_init__` has settled on one shape; None: it is checked and then not read."""
    return Meta(extra={"canonical": kind})


#: Browsing levels are bits (civitai-api.md, 13); the gallery and 2023 say them in words.
BROWSING_LEVELS = {"None": 1, "Soft": 2, "Mature": 4, "X": 8, "Blocked": 32}


class Payload(Struct, omit_defaults=True, gc=False):
    """A JSON object; what is not declared is passed over. It has no cycles, so the collector need not follow it."""


class Blank(Struct, forbid_unknown_fields=True):
    """What the load leaves where it cut counters out; any that it could not cut would be lost, so they are refused."""


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


class Metric(Payload):
    """The counters that the load cut out of a document, with their owner (pipelines.raw.observations_table)."""

    owner: str
    id: Annotated[Integer | str | None, Canonical(str)] = None  # polars reads a number as text
    stats: Stats | None = None
    modelCount: Integer | None = None


class FileMetadata(Payload):
    format: str | None = None
    fp: str | None = None
    size: str | None = None


class Hashes(Payload):
    AutoV1: str | None = None
    AutoV2: str | None = None
    AutoV3: str | None = None
    SHA256: str | None = None
    CRC32: str | None = None
    BLAKE3: str | None = None
    Blake3: Annotated[str | None, Canonical(None)] = None  # the specification's spelling

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
    """A showcase image of a version, or an image of the gallery."""

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
        # Details and early lists have no id; the file name in the address is the id (civitai-api.md, 2).
        if self.id is None and self.url is not None:
            digits = self.url.rsplit("/", 1)[-1].split(".", 1)[0]
            if digits.isascii() and digits.isdigit() and len(digits) < 19:
                self.id = int(digits)


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
    modelVersions: list[Version] | None = None

    def __post_init__(self) -> None:
        if isinstance(self.allowCommercialUse, str):  # "Sell" in 2023, "{Image,RentCivit}" in 2026
            words = self.allowCommercialUse.strip("{}").split(",")
            self.allowCommercialUse = [word.strip().strip('"') for word in words if word.strip()]
        if self.allowCommercialUse is not None:  # a set: another order is no other licence
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
    """A user of GET /users; the specification has a tier and a date, the service neither (civitai-api.md, 8)."""

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
    """The answer of GET /model-versions/{id}, and of the look-ups by hash (civitai-api.md, 4)."""

    model: VersionModel | None = None
    status: str | None = None
    uploadType: str | None = None
    usageControl: str | None = None
    trainingStatus: str | None = None
    licensingFee: float | None = None
    earlyAccessEndsAt: datetime | None = None
    paidAccess: PaidAccess | None = None


class VersionMini(Payload):
    """The answer of GET /model-versions/mini/{id}; it names neither itself nor its model by id (civitai-api.md, 4).

    In the specification it does, and calls `versionName` `name`.
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
    """What versions have a file with a hash, as the load puts it together (`pipelines.lookups`)."""

    hash: str
    matches: list[HashOwner]


#: The struct of each payload kind of the raw layer.
PAYLOADS: dict[str, type[Struct]] = {
    "model": Model,
    "image": Image,
    "creator": Creator,
    "tag": Tag,
    "enum": Enums,
    "user": User,
    "version": VersionDetail,
    "version_mini": VersionMini,
    "hash_match": HashMatch,
}

_SCALARS: dict[Any, type[pl.DataType]] = {
    int: pl.Int64,
    float: pl.Float64,
    bool: pl.Boolean,
    str: pl.String,
    datetime: pl.String,
}


def dtype_of(kind: Any) -> pl.DataType:
    """The polars type of the canonical JSON of a struct, list or scalar; timestamps are ISO text."""
    kind = canonical_type(kind)
    if kind in _SCALARS:
        return _SCALARS[kind]()
    if get_origin(kind) is list:
        return pl.List(dtype_of(get_args(kind)[0]))
    if isinstance(kind, type):
        hints = get_type_hints(kind, include_extras=True)
        return pl.Struct({name: dtype_of(hint) for name, hint in hints.items() if canonical_type(hint) is not None})
    (inner,) = (arm for arm in get_args(kind) if arm is not type(None))
    return dtype_of(inner)


def canonical_type(kind: Any) -> Any:
    """What an annotation says of the canonical type, or else the annotated type."""
    if get_origin(kind) is not Annotated:
        return kind
    base, *metas = get_args(kind)
    return next((meta.extra["canonical"] for meta in metas if meta.extra), base)


def validate(kind: type[Struct] | Any, documents: Iterable[bytes]) -> tuple[list[bytes], dict[int, str]]:
    """Validates JSON documents.

    Args:
        kind: a struct of this module, or a list of one.
        documents: UTF-8 JSON.

    Returns:
        The canonical JSON of every valid document, in order, and for every other document its position and what is
        wrong with it, with the JSON path ("Expected `int | null`, got `str` - at `$.id`").
    """
    decoder, encoder = msgspec.json.Decoder(kind), msgspec.json.Encoder()
    canonical, errors = [], {}
    for position, document in enumerate(documents):
        try:
            canonical.append(encoder.encode(decoder.decode(document)))
        except msgspec.DecodeError as error:
            errors[position] = str(error)
    return canonical, errors


def read(kind: type[Struct] | Any, canonical: list[bytes]) -> pl.Series:
    """One value per canonical document (`validate`)."""
    return pl.Series("document", canonical, dtype=pl.Binary).cast(pl.String).str.json_decode(dtype_of(kind))
