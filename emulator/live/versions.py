"""The simulated versions' JSON as the live service writes it: nested in their models, and alone
(docs/api-notes.md, 2 and 4).
"""

# ruff: noqa: N815 (fields have the names that the service gives them)

from dataclasses import dataclass

import msgspec
from msgspec import UNSET, Struct, UnsetType

from emulator.live.traits import ALL_LEVELS, LiveTraits
from emulator.simulation import vocabulary
from emulator.simulation.columns import EPOCH_NOON, Simulation
from emulator.simulation.counters import VersionCounters
from emulator.simulation.dice import draws
from emulator.spec.documents import HOLE, ModelDocuments, auto_v3, file_count, image_fields, timestamp, user_id
from emulator.spec.shapes import File, Image, Version

#: Showcase images of a version in lists and model details, and in version details (2).
LIST_IMAGES, VERSION_IMAGES = 20, 10
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True)
class View:
    """The requested shape of a model.

    Args:
        levels: the browsing levels of the nested images, as bits.
        gated: also versions that are not public yet.
        detail: the shape of /models/{id}, in which versions have no nulls and images no ids.
    """

    levels: int = ALL_LEVELS
    gated: bool = False
    detail: bool = False


DETAIL = View(gated=True, detail=True)


class LiveFile(Struct):
    """A file in a version."""

    id: int
    sizeKB: float
    name: str
    type: str
    pickleScanResult: str
    pickleScanMessage: str
    virusScanResult: str
    virusScanMessage: None
    scannedAt: str | None
    metadata: dict[str, str | None]
    hashes: dict[str, str]
    downloadUrl: str
    primary: bool | UnsetType = UNSET


class LiveVersions:
    """Makes the live documents of the versions of a simulation."""

    def __init__(self, world: Simulation, documents: ModelDocuments, traits: LiveTraits) -> None:
        self._world = world
        self._documents = documents
        self._traits = traits

    def has_primary(self, version: int) -> bool:
        """Whether a version has the file of its downloadUrl."""
        world = self._world
        return file_count(world.seed, int(world.version_key[version])) > 0 and not self._traits.without_primary[version]

    def nested(self, version: int, index: int, spec: Version, day: int, view: View) -> dict[str, object]:
        """A version in the document of its model, at a place of the list."""
        world, traits = self._world, self._traits
        random = self._draws(version)
        images = [image for image in self._images(version, spec, random[4]) if image.nsfwLevel & view.levels]
        gated = bool(traits.public_on[version] > day)
        fields: dict[str, object] = {
            "id": spec.id,
            "index": index,
            "name": spec.name,
            "baseModel": spec.baseModel,
            "baseModelType": spec.baseModelType if random[0] % 4 else None,
            "publishedAt": spec.publishedAt,
            "flags": 0,
            "availability": "EarlyAccess" if gated else "Public",
            "nsfwLevel": self.level(version, spec, day),
            "description": "<p>" + vocabulary.SENTENCES[random[1] % 1000] + "</p>" if random[1] % 3 == 0 else None,
            "trainedWords": spec.trainedWords,
            "vaeId": int(random[2]) if random[2] % 50 == 0 else None,
            "supportsGeneration": bool(random[3] % 2),
            "paidAccess": {"permanent": False, "endsAt": self._access_ends(version)} if gated else None,
        }
        if gated:
            fields["earlyAccessDeadline"] = self._access_ends(version)
        if view.detail:
            fields |= {"status": "Published", "createdAt": spec.createdAt, "covered": bool(random[3] % 2)}
        fields["stats"] = HOLE
        fields["files"] = [live_file(file, world.seed, place == 0) for place, file in enumerate(spec.files)]
        fields["images"] = [_list_image(image, with_id=not view.detail) for image in images]
        fields["downloadUrl"] = spec.downloadUrl
        return fields

    def level(self, version: int, spec: Version, day: int) -> int:
        """The bits of a version's images; 0 until it is rated."""
        if self._traits.rated_on[version] > day:
            return 0
        level = 0
        for image in spec.images:
            level |= image.nsfwLevel
        return level

    def _images(self, version: int, spec: Version, random: int) -> list[Image]:
        """The showcase images of a version: the specification's, and up to ten more if it has all of them."""
        images = spec.images
        more = random % (LIST_IMAGES - VERSION_IMAGES + 1) if len(images) == VERSION_IMAGES else 0
        rank, second = int(self._world.version_rank[version]), int(self._world.version_second[version])
        # Ids of the specification's images are odd.
        return images + [
            image_fields(
                20_000_002 + 2 * (16 * rank + place),
                images[place].nsfwLevel,
                second,
                self._world.seed,
                with_meta=False,
            )
            for place in range(more)
        ]

    def document(self, model: int, version: int, day: int, versions: VersionCounters) -> bytes:
        """The document of /model-versions/{id} and of the hash look-ups (4)."""
        traits = self._traits
        spec_model, shown = self._documents.fields(model, day)
        spec = spec_model.modelVersions[shown.index(version)]
        hidden = traits.downloads_hidden_on[self._world.model_creator[model]] <= day
        random = self._draws(version)
        gated = traits.public_on[version] > day
        about = {
            "name": spec_model.name,
            "type": spec_model.type,
            "nsfw": spec_model.nsfw,
            "poi": bool(traits.poi[model]),
        }
        mode = traits.mode(model, day)
        files = [live_file(file, self._world.seed, place == 0) for place, file in enumerate(spec.files)]
        for file in files:
            file.primary = file.primary is True
            file.scannedAt = _naive(file.scannedAt)
        fields: dict[str, object] = {
            "id": spec.id,
            "modelId": spec.modelId,
            "name": spec.name,
            "nsfwLevel": self.level(version, spec, day),
            "createdAt": spec.createdAt,
            "updatedAt": spec.updatedAt,
            "status": "Published",
            "publishedAt": spec.publishedAt,
            "trainedWords": spec.trainedWords,
            "trainingStatus": None,
            "trainingDetails": None,
            "baseModel": spec.baseModel,
            "baseModelType": spec.baseModelType if random[0] % 4 else None,
            "description": "<p>" + vocabulary.SENTENCES[random[1] % 1000] + "</p>" if random[1] % 3 == 0 else None,
            "uploadType": "Created",
            "usageControl": "Download",
            "licensingFee": None,
            "paidAccess": {"permanent": False, "endsAt": self._access_ends(version)} if gated else None,
            "air": spec.air,
            "stats": {
                "downloadCount": None if hidden else int(versions.downloads[version]),
                "thumbsUpCount": int(versions.thumbs_up[version]),
            },
            "model": about | ({"mode": mode} if mode else {}),
            "files": files,
            "images": [
                _list_image(image, with_id=False)
                | {"meta": image.meta or None, "metadata": {"width": image.width}, "availability": "Public"}
                for image in spec.images
            ],
        }
        if mode != "Archived":
            fields["downloadUrl"] = spec.downloadUrl
        return _encode(fields)

    def mini(self, model: int, version: int, day: int) -> bytes:
        """The document of /model-versions/mini/{id} (4), without the version's id and the model's."""
        spec_model, shown = self._documents.fields(model, day)
        spec = spec_model.modelVersions[shown.index(version)]
        file = live_file(spec.files[0], self._world.seed, primary=True)
        gated = bool(self._traits.public_on[version] > day)
        fields: dict[str, object] = {
            "air": spec.air,
            "versionName": spec.name,
            "modelName": spec_model.name,
            "userId": user_id(int(self._world.model_creator[model])),
            "baseModel": spec.baseModel,
            "availability": "EarlyAccess" if gated else "Public",
            "publishedAt": spec.publishedAt,
            "size": file.sizeKB,
            "fileType": file.type,
            "fileName": file.name,
            "hashes": file.hashes,
            "downloadUrls": [spec.downloadUrl],
            "format": file.metadata["format"],
            "canGenerate": bool(self._draws(version)[3] % 2),
            "isFeatured": False,
            "requireAuth": gated,
            "checkPermission": gated,
            "additionalResourceCharge": False,
            "minor": bool(self._traits.minor[model]),
            "sfwOnly": bool(self._traits.minor[model]),
            "fees": [],
            "payoutEnabled": False,
        }
        if gated:
            fields["earlyAccessEndsAt"] = self._access_ends(version)
        return _encode(fields)

    def _draws(self, version: int) -> tuple[int, ...]:
        return draws(5, self._world.seed, "live version", int(self._world.version_key[version]))

    def _access_ends(self, version: int) -> str:
        return timestamp(EPOCH_NOON + (int(self._traits.public_on[version]) - 1) * 86_400)


def live_file(spec: File, seed: int, primary: bool) -> LiveFile:
    """A file in a model of the live service; `primary` is absent unless it is true."""
    hashes = {name: text for name, text in spec.hashes.items() if name != "Blake3"}
    if "Blake3" in spec.hashes:
        hashes["BLAKE3"] = spec.hashes["Blake3"]
        if spec.format == "SafeTensor":
            hashes["AutoV3"] = auto_v3(seed, spec.id)
    success = spec.pickleScanResult == "Success"
    pickle = spec.format == "PickleTensor"
    return LiveFile(
        id=spec.id,
        sizeKB=spec.sizeKB,
        name=spec.name,
        type=spec.type,
        pickleScanResult=spec.pickleScanResult,
        pickleScanMessage="No Pickle imports" if success else "**Detected Pickle imports (1)**\n```\nos.system\n```",
        virusScanResult=spec.virusScanResult,
        virusScanMessage=None,
        scannedAt=spec.scannedAt if spec.virusScanResult == "Success" else None,
        metadata={
            "format": spec.format,
            "size": None if pickle else ("full", "pruned")[spec.id % 2],
            "fp": None if pickle else ("fp16", "fp32", "bf16")[spec.id % 3],
        },
        hashes=hashes,
        downloadUrl=spec.downloadUrl,
        primary=True if primary else UNSET,
    )


def _list_image(spec: Image, with_id: bool) -> dict[str, object]:
    has_meta = spec.meta is not UNSET
    fields: dict[str, object] = {
        "id": spec.id,
        "url": spec.url,
        "nsfwLevel": spec.nsfwLevel,
        "width": spec.width,
        "height": spec.height,
        "hash": spec.hash,
        "type": "image",
        "minor": False,
        "poi": False,
        "hasMeta": has_meta,
        "hasPositivePrompt": has_meta,
        "onSite": False,
        "remixOfId": None,
    }
    if not with_id:
        del fields["id"]
    return fields


def _naive(moment: str | None) -> str | None:
    """The time 2025-05-19T02:43:46.310Z in the database's form: 2025-05-19T02:43:46.31 (0.9)."""
    return None if moment is None else moment.removesuffix("Z").rstrip("0").rstrip(".")
