"""The simulated models' JSON as the live service writes it (docs/api-notes.md, 2 to 5).

A live document has the content of the specification's in another shape: other names, nulls for missing fields, other
counters, and more fields. Model documents are cached as frames, like the specification's.
"""

from msgspec import UNSET

from emulator.live.traits import LICENCE_IS_LIST, LICENCE_IS_TEXT, LiveTraits
from emulator.live.versions import LiveVersions, View
from emulator.simulation import vocabulary
from emulator.simulation.columns import Simulation
from emulator.simulation.counters import ModelCounters, VersionCounters
from emulator.spec.documents import HOLE, Frame, FrameCache, ModelDocuments, cut, user_id
from emulator.spec.shapes import Model

_MATURE = 4 | 8 | 16


class LiveDocuments:
    """Makes the live documents of the models of a simulation; `versions` makes those of their versions."""

    def __init__(self, world: Simulation, documents: ModelDocuments, traits: LiveTraits) -> None:
        self._world = world
        self._documents = documents
        self._traits = traits
        self.versions = LiveVersions(world, documents, traits)
        self._frames = FrameCache(world.models)

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

    def specified(self, model: int, day: int) -> Model:
        """The specification's document of a model on a day."""
        return self._documents.fields(model, day)[0]

    def _make_frame(self, model: int, day: int, events: int, view: View) -> Frame:
        shown = self.shown(model, day, view)
        if shown is None:
            return Frame(events, [], [], [])
        spec, visible = self._documents.fields(model, day, with_meta=False)
        nested = dict(zip(visible, spec.modelVersions, strict=True))
        fields = self._model_fields(model, spec, day)
        mode = self._traits.mode(model, day)
        versions = []
        for index, version in enumerate(shown):
            rendered = self.versions.nested(version, index, nested[version], day, view)
            if mode == "Archived":
                rendered["files"] = []
                del rendered["downloadUrl"]
            if mode == "TakenDown":
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
        return [version for version in seen if self.versions.has_primary(version)] if seen else None

    def _is_restricted(self, version: int, day: int) -> bool:
        """Whether lists leave out a version because its base model's licence forbids mature images (2)."""
        world = self._world
        corrected = world.version_corrected[version] <= day
        base = (world.version_corrected_base if corrected else world.version_base)[version]
        return str(vocabulary.BASE_MODELS[base][0]).startswith(vocabulary.RESTRICTED_BASES)

    def _model_fields(self, model: int, spec: Model, day: int) -> dict[str, object]:
        world, traits = self._world, self._traits
        creator = int(world.model_creator[model])
        fields: dict[str, object] = {
            "id": spec.id,
            "name": spec.name,
            "description": None if spec.description is UNSET else spec.description,
            "allowNoCredit": spec.allowNoCredit,
            "allowCommercialUse": _licence(spec.allowCommercialUse, day),
            "allowDerivatives": spec.allowDerivatives,
            "allowDifferentLicense": spec.allowDifferentLicense,
            "type": spec.type,
            "minor": bool(traits.minor[model]),
            "sfwOnly": bool(traits.minor[model]),
            "poi": bool(traits.poi[model]),
            "nsfw": spec.nsfw,
            "nsfwLevel": spec.nsfwLevel,
            "availability": "Public",
            "userId": user_id(creator),
            "baseModels": list(dict.fromkeys(version.baseModel for version in spec.modelVersions)),
            "cosmetic": None,
            "supportsGeneration": spec.type in ("Checkpoint", "LORA"),
            "stats": HOLE,
        }
        mode = traits.mode(model, day)
        if mode is not None:
            fields["mode"] = mode
        if spec.creator is not UNSET:
            fields["creator"] = {"username": spec.creator["username"], "image": spec.creator.get("image")}
        elif traits.creator_left_nameless[creator]:
            fields["creator"] = {"username": None, "image": None}
        fields["tags"] = spec.tags
        return fields


def _licence(granted: tuple[str, ...], day: int) -> object:
    """The form of allowCommercialUse at a time: "Sell", later ["Sell"], then "{Sell}" (0.5)."""
    if day < LICENCE_IS_LIST:
        return granted[-1] if granted else "None"
    return "{" + ",".join(granted) + "}" if day >= LICENCE_IS_TEXT else granted


def _without_empty(fields: dict[str, object]) -> dict[str, object]:
    """Without nulls and empty lists, like the versions of /models/{id} (0.8)."""
    return {name: value for name, value in fields.items() if value is not None and value != []}
