"""The simulated catalogue's JSON as the live service writes it (docs/api-notes.md, 2 to 5).

A live document has the content of the specification's in another shape: other names, nulls for missing fields, other
counters, and more fields. Model documents are cached as frames, like the specification's.
"""

from dataclasses import dataclass
from typing import Any

import msgspec

from emulator.live.traits import ALL_LEVELS, LICENCE_IS_LIST, LICENCE_IS_TEXT, LiveTraits
from emulator.simulation import vocabulary
from emulator.simulation.columns import EPOCH_NOON, Simulation
from emulator.simulation.counters import ModelCounters, VersionCounters
from emulator.simulation.dice import draws
from emulator.spec.documents import (
    HOLE,
    Frame,
    FrameCache,
    ModelDocuments,
    auto_v3,
    cut,
    file_count,
    image_fields,
    timestamp,
    user_id,
)

#: Showcase images of a version in lists and model details, and in version details (2).
LIST_IMAGES, VERSION_IMAGES = 20, 10
_MATURE = 4 | 8 | 16
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


class LiveDocuments:
    """Makes the live documents of the models and versions of a simulation."""

    def __init__(self, world: Simulation, documents: ModelDocuments, traits: LiveTraits) -> None:
        self._world = world
        self._documents = documents
        self._traits = traits
        self._frames = FrameCache()

    def model(
        self, model: int, day: int, events: int, view: View, versions: VersionCounters, models: ModelCounters
    ) -> bytes | None:
        """The document of a model (by its index) on a day; None if it shows no version."""
        frame = self._frames.frame((model, view), events, lambda: self._make_frame(model, day, events, view))
        if not frame.pieces:
            return None
        creator = self._world.model_creator[model]
        hidden = self._traits.downloads_hidden_on[creator] <= day
        tips = self._traits.tips(model, models) if self._traits.tips_hidden_on[creator] > day else None
        stats = [
            b'{"downloadCount":%s,"thumbsUpCount":%d,"thumbsDownCount":%d,"commentCount":%d,"tippedAmountCount":%s}'
            % (
                b"null" if hidden else b"%d" % models.downloads[model],
                models.thumbs_up[model],
                models.thumbs_down[model],
                models.comments[model],
                b"null" if tips is None else b"%d" % tips,
            )
        ]
        stats += [
            b'{"downloadCount":%s,"thumbsUpCount":%d,"thumbsDownCount":%d}'
            % (
                b"null" if hidden else b"%d" % versions.downloads[version],
                versions.thumbs_up[version],
                versions.thumbs_down[version],
            )
            for version in frame.versions
        ]
        return frame.filled(stats)

    def specified(self, model: int, day: int) -> dict[str, Any]:
        """The specification's document of a model on a day."""
        return self._documents.fields(model, day)[0]

    def _make_frame(self, model: int, day: int, events: int, view: View) -> Frame:
        shown = self.shown(model, day, view)
        if shown is None:
            return Frame(events, [], [], [])
        spec, visible = self._documents.fields(model, day)
        nested = dict(zip(visible, spec["modelVersions"], strict=True))
        fields = self._model_fields(model, spec, day)
        archived, taken_down = fields.get("mode") == "Archived", fields.get("mode") == "TakenDown"
        versions = []
        for index, version in enumerate(shown):
            rendered = self._version(version, index, nested[version], day, view)
            if archived:
                rendered["files"] = []
                del rendered["downloadUrl"]
            if taken_down:
                rendered["images"] = []
            versions.append(_without_empty(rendered) if view.detail else rendered)
        fields["modelVersions"] = versions
        return Frame(events, cut(fields), shown, [])

    def shown(self, model: int, day: int, view: View) -> list[int] | None:
        """The versions that a model shows, newest first; None if there is none, so that the model is not shown.

        Versions without their file are in no model (2), but their model is shown.
        """
        world = self._world
        span = range(int(world.version_start[model]), int(world.version_start[model + 1]))
        since = world.version_published if view.gated else self._traits.public_on
        mature = not view.detail and world.model_nsfw_level[model] & _MATURE
        seen = [
            version
            for version in reversed(span)
            if since[version] <= day < world.version_removed[version]
            and not (mature and self._is_restricted(version, day))
        ]
        return [version for version in seen if self.has_primary(version)] if seen else None

    def _is_restricted(self, version: int, day: int) -> bool:
        """Whether lists leave out a version because its base model's licence forbids mature images (2)."""
        world = self._world
        corrected = world.version_corrected[version] <= day
        base = (world.version_corrected_base if corrected else world.version_base)[version]
        return str(vocabulary.BASE_MODELS[base][0]).startswith(vocabulary.RESTRICTED_BASES)

    def has_primary(self, version: int) -> bool:
        """Whether a version has the file of its downloadUrl."""
        world = self._world
        return file_count(world.seed, int(world.version_key[version])) > 0 and not self._traits.without_primary[version]

    def _model_fields(self, model: int, spec: dict[str, Any], day: int) -> dict[str, Any]:
        world, traits = self._world, self._traits
        creator = int(world.model_creator[model])
        fields: dict[str, Any] = {
            "id": spec["id"],
            "name": spec["name"],
            "description": spec.get("description"),
            "allowNoCredit": spec["allowNoCredit"],
            "allowCommercialUse": _licence(spec["allowCommercialUse"], day),
            "allowDerivatives": spec["allowDerivatives"],
            "allowDifferentLicense": spec["allowDifferentLicense"],
            "type": spec["type"],
            "minor": bool(traits.minor[model]),
            "sfwOnly": bool(traits.minor[model]),
            "poi": bool(traits.poi[model]),
            "nsfw": spec["nsfw"],
            "nsfwLevel": spec["nsfwLevel"],
            "availability": "Public",
            "userId": user_id(creator),
            "baseModels": list(dict.fromkeys(version["baseModel"] for version in spec["modelVersions"])),
            "cosmetic": None,
            "supportsGeneration": spec["type"] in ("Checkpoint", "LORA"),
            "stats": HOLE,
        }
        if traits.taken_down_on[model] <= day:
            fields["mode"] = "TakenDown"
        if traits.archived_on[model] <= day:
            fields["mode"] = "Archived"
        if "creator" in spec:
            fields["creator"] = {"username": spec["creator"]["username"], "image": spec["creator"].get("image")}
        elif traits.creator_left_nameless[creator]:
            fields["creator"] = {"username": None, "image": None}
        fields["tags"] = spec["tags"]
        return fields

    def _version(self, version: int, index: int, spec: dict[str, Any], day: int, view: View) -> dict[str, Any]:
        world, traits = self._world, self._traits
        random = self._draws(version)
        images = [image for image in self.images(version, spec) if image["nsfwLevel"] & view.levels]
        gated = bool(traits.public_on[version] > day)
        fields: dict[str, Any] = {
            "id": spec["id"],
            "index": index,
            "name": spec["name"],
            "baseModel": spec["baseModel"],
            "baseModelType": spec["baseModelType"] if random[0] % 4 else None,
            "publishedAt": spec["publishedAt"],
            "flags": 0,
            "availability": "EarlyAccess" if gated else "Public",
            "nsfwLevel": self.version_level(version, spec, day),
            "description": "<p>" + vocabulary.SENTENCES[random[1] % 1000] + "</p>" if random[1] % 3 == 0 else None,
            "trainedWords": spec["trainedWords"],
            "vaeId": int(random[2]) if random[2] % 50 == 0 else None,
            "supportsGeneration": bool(random[3] % 2),
            "paidAccess": {"permanent": False, "endsAt": self._access_ends(version)} if gated else None,
        }
        if gated:
            fields["earlyAccessDeadline"] = self._access_ends(version)
        if view.detail:
            fields |= {"status": "Published", "createdAt": spec["createdAt"], "covered": bool(random[3] % 2)}
        fields["stats"] = HOLE
        fields["files"] = [live_file(file, world.seed, place == 0) for place, file in enumerate(spec["files"])]
        fields["images"] = [_list_image(image, with_id=not view.detail) for image in images]
        fields["downloadUrl"] = spec["downloadUrl"]
        return fields

    def version_level(self, version: int, spec: dict[str, Any], day: int) -> int:
        """The bits of a version's images; 0 until it is rated."""
        if self._traits.rated_on[version] > day:
            return 0
        level = 0
        for image in spec["images"]:
            level |= image["nsfwLevel"]
        return level

    def images(self, version: int, spec: dict[str, Any]) -> list[dict[str, Any]]:
        """The showcase images of a version: the specification's, and up to ten more if it has all of them."""
        images: list[dict[str, Any]] = spec["images"]
        more = self._draws(version)[4] % (LIST_IMAGES - VERSION_IMAGES + 1) if len(images) == VERSION_IMAGES else 0
        rank, second = int(self._world.version_rank[version]), int(self._world.version_second[version])
        # Ids of the specification's images are odd.
        return images + [
            image_fields(20_000_002 + 2 * (16 * rank + place), images[place]["nsfwLevel"], second, self._world.seed)
            for place in range(more)
        ]

    def version(self, model: int, version: int, day: int, versions: VersionCounters) -> bytes:
        """The document of /model-versions/{id} and of the hash look-ups (4)."""
        traits = self._traits
        spec_model, shown = self._documents.fields(model, day)
        spec = spec_model["modelVersions"][shown.index(version)]
        hidden = traits.downloads_hidden_on[self._world.model_creator[model]] <= day
        random = self._draws(version)
        gated = traits.public_on[version] > day
        about: dict[str, Any] = {name: spec_model[name] for name in ("name", "type", "nsfw")}
        about["poi"] = bool(traits.poi[model])
        mode = self._model_fields(model, spec_model, day).get("mode")
        files = [live_file(file, self._world.seed, place == 0) for place, file in enumerate(spec["files"])]
        for file in files:
            file["primary"] = "primary" in file
            file["scannedAt"] = _naive(file["scannedAt"])
        fields = {name: spec[name] for name in ("id", "modelId", "name")}
        fields |= {"nsfwLevel": self.version_level(version, spec, day)}
        fields |= {name: spec[name] for name in ("createdAt", "updatedAt")}
        fields |= {
            "status": "Published",
            "publishedAt": spec["publishedAt"],
            "trainedWords": spec["trainedWords"],
            "trainingStatus": None,
            "trainingDetails": None,
            "baseModel": spec["baseModel"],
            "baseModelType": spec["baseModelType"] if random[0] % 4 else None,
            "description": "<p>" + vocabulary.SENTENCES[random[1] % 1000] + "</p>" if random[1] % 3 == 0 else None,
            "uploadType": "Created",
            "usageControl": "Download",
            "licensingFee": None,
            "paidAccess": {"permanent": False, "endsAt": self._access_ends(version)} if gated else None,
            "air": spec["air"],
            "stats": {
                "downloadCount": None if hidden else int(versions.downloads[version]),
                "thumbsUpCount": int(versions.thumbs_up[version]),
            },
            "model": about | ({"mode": mode} if mode else {}),
            "files": files,
            "images": [
                _list_image(image, with_id=False)
                | {"meta": image.get("meta"), "metadata": {"width": image["width"]}, "availability": "Public"}
                for image in spec["images"]
            ],
        }
        if mode != "Archived":
            fields["downloadUrl"] = spec["downloadUrl"]
        return _encode(fields)

    def mini(self, model: int, version: int, day: int) -> bytes:
        """The document of /model-versions/mini/{id} (4), without the version's id and the model's."""
        spec_model, shown = self._documents.fields(model, day)
        spec = spec_model["modelVersions"][shown.index(version)]
        file = live_file(spec["files"][0], self._world.seed, primary=True)
        gated = bool(self._traits.public_on[version] > day)
        fields: dict[str, Any] = {
            "air": spec["air"],
            "versionName": spec["name"],
            "modelName": spec_model["name"],
            "userId": user_id(int(self._world.model_creator[model])),
            "baseModel": spec["baseModel"],
            "availability": "EarlyAccess" if gated else "Public",
            "publishedAt": spec["publishedAt"],
            "size": file["sizeKB"],
            "fileType": file["type"],
            "fileName": file["name"],
            "hashes": file["hashes"],
            "downloadUrls": [spec["downloadUrl"]],
            "format": file["metadata"]["format"],
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


def live_file(spec: dict[str, Any], seed: int, primary: bool) -> dict[str, Any]:
    """A file in a model of the live service; `primary` is absent unless it is true."""
    hashes = {name: text for name, text in spec["hashes"].items() if name != "Blake3"}
    if "Blake3" in spec["hashes"]:
        hashes["BLAKE3"] = spec["hashes"]["Blake3"]
        if spec["format"] == "SafeTensor":
            hashes["AutoV3"] = auto_v3(seed, spec["id"])
    success = spec["pickleScanResult"] == "Success"
    pickle = spec["format"] == "PickleTensor"
    rendered = {
        "id": spec["id"],
        "sizeKB": spec["sizeKB"],
        "name": spec["name"],
        "type": spec["type"],
        "pickleScanResult": spec["pickleScanResult"],
        "pickleScanMessage": "No Pickle imports" if success else "**Detected Pickle imports (1)**\n```\nos.system\n```",
        "virusScanResult": spec["virusScanResult"],
        "virusScanMessage": None,
        "scannedAt": spec["scannedAt"] if spec["virusScanResult"] == "Success" else None,
        "metadata": {
            "format": spec["format"],
            "size": None if pickle else ("full", "pruned")[spec["id"] % 2],
            "fp": None if pickle else ("fp16", "fp32", "bf16")[spec["id"] % 3],
        },
        "hashes": hashes,
        "downloadUrl": spec["downloadUrl"],
    }
    return rendered | {"primary": True} if primary else rendered


def _licence(granted: tuple[str, ...], day: int) -> object:
    """The form of allowCommercialUse at a time: "Sell", later ["Sell"], then "{Sell}" (0.5)."""
    if day < LICENCE_IS_LIST:
        return granted[-1] if granted else "None"
    return "{" + ",".join(granted) + "}" if day >= LICENCE_IS_TEXT else granted


def _list_image(spec: dict[str, Any], with_id: bool) -> dict[str, Any]:
    fields = {"id": spec["id"]} if with_id else {}
    fields |= {name: spec[name] for name in ("url", "nsfwLevel", "width", "height", "hash")}
    has_meta = "meta" in spec
    return fields | {
        "type": "image",
        "minor": False,
        "poi": False,
        "hasMeta": has_meta,
        "hasPositivePrompt": has_meta,
        "onSite": False,
        "remixOfId": None,
    }


def _naive(moment: str | None) -> str | None:
    """The time 2025-05-19T02:43:46.310Z in the database's form: 2025-05-19T02:43:46.31 (0.9)."""
    return None if moment is None else moment.removesuffix("Z").rstrip("0").rstrip(".")


def _without_empty(fields: dict[str, Any]) -> dict[str, Any]:
    """Without nulls and empty lists, like the versions of /models/{id} (0.8)."""
    return {name: value for name, value in fields.items() if value is not None and value != []}
