"""The simulated documents in the shape of the specification, before they become JSON, and in its order of fields.

`stats` is a placeholder (`emulator.spec.documents.HOLE`) until a day's counters take its place. A field that is UNSET
is not in the document.
"""

# ruff: noqa: N815 (fields have the names that the service gives them)

from typing import NotRequired, TypedDict

from msgspec import UNSET, Struct, UnsetType


class Creator(TypedDict):
    """Name and image of a creator."""

    username: str
    image: NotRequired[str]


class Image(Struct):
    """An image of a showcase or of the gallery; only the gallery's has a username."""

    id: int
    url: str
    hash: str
    width: int
    height: int
    nsfwLevel: int
    nsfw: bool
    createdAt: str
    stats: object
    meta: dict[str, object] | UnsetType = UNSET
    postId: int | UnsetType = UNSET
    username: str | UnsetType = UNSET


class File(Struct):
    """A file of a version."""

    id: int
    name: str
    sizeKB: float
    type: str
    format: str
    pickleScanResult: str
    virusScanResult: str
    scannedAt: str
    downloadUrl: str
    hashes: dict[str, str]


class Version(Struct):
    """A version in its model."""

    id: int
    modelId: int
    name: str
    baseModel: str
    baseModelType: str
    createdAt: str
    updatedAt: str
    publishedAt: str
    trainedWords: list[str]
    air: str
    downloadUrl: str
    files: list[File]
    images: list[Image]
    stats: object


class Model(Struct):
    """A model with its versions, the newest first."""

    id: int
    name: str
    description: str | UnsetType
    type: str
    nsfw: bool
    nsfwLevel: int
    allowNoCredit: bool
    allowCommercialUse: tuple[str, ...]
    allowDerivatives: bool
    allowDifferentLicense: bool
    stats: object
    creator: Creator | UnsetType
    tags: list[str]
    modelVersions: list[Version]
