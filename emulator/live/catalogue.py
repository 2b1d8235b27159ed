"""The interface of the live routes to a catalogue: its day in the live service's shape, simulated or given.

A simulated day has everything that the live service has beyond the specification (`emulator.live.traits`). Given
documents stay as they are, byte for byte and unfiltered: only their requests are the live service's.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

import msgspec
import numpy as np

from emulator.catalogue import ImageQuery, Listing, ModelQuery
from emulator.given import GivenMoment
from emulator.live.documents import DETAIL, LiveDocuments, View
from emulator.live.keyset import Keyset, order_by
from emulator.live.traits import ALL_LEVELS, PG, LiveTraits, Mask
from emulator.simulation import vocabulary
from emulator.simulation.counters import ModelCounters
from emulator.simulation.dice import Ints
from emulator.spec.catalogue import SimulatedDay
from emulator.spec.documents import creator_fields, user_id
from emulator.spec.gallery import Gallery
from emulator.versions import decoded, find_version, list_of, object_of

_LEVEL_NAMES = {0: "None", 1: "None", 2: "Soft", 4: "Mature", 8: "X", 16: "X", 32: "Blocked"}
#: How many orders of /models are cached, so that the pages of a list share one.
_KEPT_ORDERS = 16
_encode = msgspec.json.Encoder().encode


class MissingFileError(Exception):
    """A version exists, but its primary file does not."""


@dataclass(frozen=True)
class LiveModelQuery:
    """The filters of live /models.

    `mature` is `nsfw=true`: the other of the two listings. `named` asks for models by id, version or owner, which
    shows versions that are not public yet. `levels` are the levels that the reader's region may see, as bits.
    `checkpoint_type` is Trained or Merge, and does not filter other types.
    """

    sort: str = "Highest Rated"
    period: str | None = None
    mature: bool = False
    named: bool = False
    archived: bool = False
    ids: frozenset[int] | None = None
    version_ids: frozenset[int] | None = None
    tag: str | None = None
    username: str | None = None
    types: tuple[str, ...] = ()
    base_models: tuple[str, ...] = ()
    text: str | None = None
    generation: bool = False
    primary_only: bool = False
    levels: int = ALL_LEVELS
    checkpoint_type: str | None = None
    availability: str | None = None
    licences: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()
    early_access: bool = False
    from_platform: bool = False

    @property
    def narrows(self) -> bool:
        """Whether the documents of the list have less content than those of other queries."""
        return bool(self.base_models or self.generation or self.primary_only)


@dataclass(frozen=True)
class LiveImageQuery:
    """The filters of live /images.

    `levels` are the browsing levels as bits, `until` the time of the first page, in milliseconds since 1970.
    `after` are the time and the id of the image before the page.
    """

    levels: int
    until: int
    query: ImageQuery
    after: tuple[int, int] | None = None
    image_ids: frozenset[int] | None = None
    oldest_first: bool = False
    type: str | None = None
    user_id: int | None = None
    base_models: tuple[str, ...] = ()
    tags: frozenset[int] = frozenset()
    with_meta: bool = False


class LiveCatalogue(Protocol):
    """The state of a catalogue at one moment in the live service's shape."""

    def knows_user(self, username: str) -> bool: ...

    def models(self, query: LiveModelQuery) -> Keyset: ...

    def listed(self, row: int, query: LiveModelQuery) -> bytes | None:
        """A model of a listing; None if it is dropped from its page."""
        ...

    def model(self, model_id: int, levels: int = ALL_LEVELS) -> bytes | None:
        """A model if it shows something on these browsing levels, or None."""
        ...

    def version(self, version_id: int, levels: int = ALL_LEVELS) -> bytes | None:
        """A version's document, or None; a version without its file raises MissingFileError."""
        ...

    def mini(self, version_id: int) -> bytes | None: ...

    def owner_id(self, version_id: int) -> int | None:
        """The id of a version's model."""
        ...

    def versions_by_hash(self, hashes: Iterable[str]) -> dict[str, list[int]]: ...

    def images(self, query: LiveImageQuery) -> Listing: ...

    def creators(self, text: str | None) -> Listing: ...

    def tags(self, text: str | None) -> Listing: ...

    def users(self, text: str | None, ids: frozenset[int] | None) -> list[dict[str, Any]]: ...

    def base_models(self) -> list[str]: ...


class LiveDay:
    """A simulated day in the live service's shape.

    Args:
        day: the state of the simulated catalogue.
        traits: of the same simulation.
        documents: likewise; they are cached over the days.
    """

    def __init__(self, day: SimulatedDay, traits: LiveTraits, documents: LiveDocuments) -> None:
        self.day = day
        self.traits = traits
        self._documents = documents
        self._orders: dict[LiveModelQuery, Keyset] = {}

    @cached_property
    def _events(self) -> Ints:
        return self.traits.events_so_far(self.day.day)

    @cached_property
    def _counters(self) -> dict[str, Ints]:
        counters: ModelCounters = self.day.model_counters
        columns, gallery = self.day.columns, self.day.gallery
        versions = gallery.version[: gallery.until(self.day.day)]
        images = np.bincount(columns.version_model[versions[versions >= 0]], minlength=len(columns.model_id))
        return {
            "thumbs": counters.thumbs_up,
            "downloads": counters.downloads,
            "comments": counters.comments,
            "collected": counters.favorites,
            "images": images,
        }

    def knows_user(self, username: str) -> bool:
        names = self.day.columns.usernames
        return any(names[row].casefold() == username for row in self.day.users(username).rows)

    def models(self, query: LiveModelQuery) -> Keyset:
        order = self._orders.get(query)
        if order is None:
            if len(self._orders) >= _KEPT_ORDERS:
                del self._orders[next(iter(self._orders))]
            columns = self.day.columns
            latest = self.day.last_version_second * 1000
            rows = self._select(query)
            order = self._orders[query] = order_by(query.sort, rows, self._counters, latest, columns.model_id)
        return order

    def _select(self, query: LiveModelQuery) -> Ints:
        day, columns, traits = self.day, self.day.columns, self.traits
        plain = ModelQuery(tag=query.tag, username=query.username, period=query.period, query=query.text)
        rows = np.sort(np.asarray(day.models(plain).rows, dtype=np.int64))
        chosen = np.ones(len(rows), dtype=bool)
        if query.mature:
            chosen &= ~(traits.minor[rows] | traits.excluded[rows])
        chosen &= columns.model_nsfw_level[rows] & (query.levels if query.mature else PG) > 0
        if not query.archived:
            chosen &= traits.archived_on[rows] > day.day
        if query.ids is not None:
            chosen &= np.isin(columns.model_id[rows], list(query.ids))
        if query.version_ids is not None:
            versions = np.isin(columns.version_id, list(query.version_ids)) & day.version_shown
            chosen &= np.isin(rows, columns.version_model[versions])
        if query.types:
            names = [name for name, _ in vocabulary.MODEL_TYPES]
            chosen &= np.isin(columns.model_type[rows], [names.index(name) for name in query.types if name in names])
        if query.base_models:
            names = [wave[0] for wave in vocabulary.BASE_MODELS]
            wanted = [names.index(name) for name in query.base_models if name in names]
            versions = np.isin(columns.version_base_model(day.day), wanted) & day.version_shown
            chosen &= np.isin(rows, columns.version_model[versions])
        chosen &= self._fits(rows, query)
        rows = rows[chosen]
        if query.licences or query.formats:
            rows = np.array([row for row in rows.tolist() if self._suits(row, query)], dtype=np.int64)
        return rows

    def _fits(self, rows: Ints, query: LiveModelQuery) -> Mask:
        """The rows that pass the filters by traits of the live service."""
        columns, traits = self.day.columns, self.traits
        fits = np.ones(len(rows), dtype=bool)
        if query.early_access:
            versions = (traits.public_on > self.day.day) & self.day.version_shown
            fits &= np.isin(rows, columns.version_model[versions])
        if query.checkpoint_type is not None:
            names = [name for name, _ in vocabulary.MODEL_TYPES]
            is_other = traits.merged[rows] != (query.checkpoint_type == "Merge")
            fits &= ~((columns.model_type[rows] == names.index("Checkpoint")) & is_other)
        if query.from_platform or query.availability not in {None, "Public"}:
            fits[:] = False  # every model was uploaded, and is public
        return fits

    def _suits(self, row: int, query: LiveModelQuery) -> bool:
        """Whether it has one of the requested licences and one of the requested file formats."""
        fields = self._documents.specified(row, self.day.day)
        formats = {file["format"] for version in fields["modelVersions"] for file in version["files"]}
        licensed = not query.licences or not set(query.licences).isdisjoint(fields["allowCommercialUse"])
        return licensed and (not query.formats or not formats.isdisjoint(query.formats))

    def listed(self, row: int, query: LiveModelQuery) -> bytes | None:
        view = View(query.levels if query.mature else PG, gated=query.named)
        document = self._model(int(row), view)
        return narrowed(document, query) if document and query.narrows else document

    def versions_listed(self, row: int, query: LiveModelQuery) -> list[int] | None:
        """The ids of a model's versions in a listing; None if the listing drops the model."""
        shown = self._documents.shown(row, self.day.day, View(gated=query.named))
        return None if shown is None else self.day.columns.version_id[shown].tolist()

    def model(self, model_id: int, levels: int = ALL_LEVELS) -> bytes | None:
        row = self.day.find_model(model_id)
        if row is None or self.traits.poi[row] or not self.day.columns.model_nsfw_level[row] & levels:
            return None
        return self._model(row, replace(DETAIL, levels=levels))

    def _model(self, row: int, view: View) -> bytes | None:
        day = self.day
        events = int(self._events[row])
        return self._documents.model(row, day.day, events, view, day.version_counters, day.model_counters)

    def version(self, version_id: int, levels: int = ALL_LEVELS) -> bytes | None:
        version = self._find_version(version_id)
        if version is None:
            return None
        rendered = self._documents.version(self._owner(version), version, self.day.day, self.day.version_counters)
        return rendered if levels == ALL_LEVELS or msgspec.json.decode(rendered)["nsfwLevel"] & levels else None

    def mini(self, version_id: int) -> bytes | None:
        version = self._find_version(version_id)
        return None if version is None else self._documents.mini(self._owner(version), version, self.day.day)

    def _owner(self, version: int) -> int:
        return int(self.day.columns.version_model[version])

    def _find_version(self, version_id: int) -> int | None:
        """A rated version; without its file it raises MissingFileError."""
        # The model need not exist any more (4).
        version = self.day.find_version(version_id, with_model=False)
        if version is None or self.traits.rated_on[version] > self.day.day:
            return None
        if not self._documents.has_primary(version):
            raise MissingFileError(version_id)
        return version

    def owner_id(self, version_id: int) -> int | None:
        version = self.day.find_version(version_id)
        return None if version is None else int(self.day.columns.model_id[self._owner(version)])

    def versions_by_hash(self, hashes: Iterable[str]) -> dict[str, list[int]]:
        return self.day.versions_by_hash(hashes)

    def images(self, query: LiveImageQuery) -> Listing:
        gallery = self.day.gallery
        rows = np.asarray(self.day.images(query.query).rows, dtype=np.int64)
        chosen = (gallery.level[rows] & query.levels > 0) & (gallery.created_second[rows] * 1000 <= query.until)
        if query.after is not None:
            # Ids rise with time.
            found = gallery.image_id[rows]
            chosen &= found > query.after[1] if query.oldest_first else found < query.after[1]
        if query.image_ids is not None:
            chosen &= np.isin(gallery.image_id[rows], list(query.image_ids))
        if query.user_id is not None:
            users = [user_id(creator) for creator in gallery.creator[rows].tolist()]
            chosen &= np.array(users, dtype=np.int64) == query.user_id
        if query.base_models:
            names = [wave[0] for wave in vocabulary.BASE_MODELS]
            wanted = [names.index(name) for name in query.base_models if name in names]
            versions = gallery.version[rows]
            chosen &= (versions >= 0) & np.isin(self.day.columns.version_base[versions], wanted)
        if query.tags or query.type not in {None, "image"}:
            chosen[:] = False  # no image has a tag, is a video or has sound
        rows = rows[chosen]
        if query.with_meta:
            with_meta = [row for row in rows.tolist() if b'"meta":' in self.day.image_document(row)]
            rows = np.array(with_meta, dtype=np.int64)
        return Listing((rows[::-1] if query.oldest_first else rows).tolist(), self._image_document)

    def _image_document(self, image: int) -> bytes:
        gallery, columns = self.day.gallery, self.day.columns
        fields = msgspec.json.decode(self.day.image_document(image))
        version = int(gallery.version[image])
        level, reactions = fields["nsfwLevel"], fields["stats"]["thumbsUpCount"]
        rendered = {name: fields[name] for name in ("id", "url", "hash", "width", "height")}
        rendered["url"] = rendered["url"].replace("width=450", "original=true")
        rendered |= {"nsfwLevel": _LEVEL_NAMES[level], "type": "image", "nsfw": level > 1, "browsingLevel": level}
        rendered |= {"createdAt": fields["createdAt"], "postId": fields["postId"]}
        rendered["stats"] = {
            "cryCount": reactions // 23,
            "laughCount": reactions // 11,
            "likeCount": reactions,
            "dislikeCount": 0,
            "heartCount": reactions // 3,
            "commentCount": fields["stats"]["commentCount"],
        }
        rendered |= {"meta": fields.get("meta"), "username": fields["username"]}
        base = vocabulary.BASE_MODELS[int(columns.version_base[version])][0] if version >= 0 else None
        rendered |= {"baseModel": base, "modelVersionIds": _version_ids(gallery, columns.version_id, image)}
        return _encode(rendered)

    def creators(self, text: str | None) -> Listing:
        """In the order in which they joined, which the service does not promise (6)."""
        columns = self.day.columns
        rows = np.flatnonzero(columns.creator_visible(self.day.day)).tolist()
        chosen = [row for row in rows if text is None or text in columns.usernames[row]]
        return Listing(chosen, self._creator_document)

    def _creator_document(self, creator: int) -> bytes:
        fields = creator_fields(self.day.columns, creator, self.day.day)
        count = int(self.day.model_count_of_creator[creator])
        rendered = {"username": fields["username"]} | ({"modelCount": count} if count else {})
        rendered["link"] = f"https://civitai.com/api/v1/models?username={fields['username']}"
        return _encode(rendered | ({"image": fields["image"]} if "image" in fields else {}))

    def tags(self, text: str | None) -> Listing:
        counts = self.day.model_count_of_tag
        rows = np.flatnonzero(self.day.columns.tag_first_used <= self.day.day).tolist()
        names = {row: vocabulary.tag_name(row) for row in rows}
        chosen = [row for row in rows if text is None or names[row].startswith(text.casefold())]
        return Listing(sorted(chosen, key=lambda row: -counts[row]), lambda row: _tag_document(names[row]))

    def users(self, text: str | None, ids: frozenset[int] | None) -> list[dict[str, Any]]:
        columns = self.day.columns
        rows = self.day.users(text).rows
        users = [{"id": user_id(row), "username": columns.usernames[row], "avatarNsfw": "None"} for row in rows]
        return [user for user in users if ids is None or user["id"] in ids]

    def base_models(self) -> list[str]:
        return [name for name, _, first, *_ in vocabulary.BASE_MODELS if first <= self.day.date]


class LiveGiven:
    """A given catalogue behind the live service's requests. There are no browsing levels and no hidden versions.
    Filters by fields that the documents do not have, or have in too many forms, let everything through.

    `day` is the moment that it shows.
    """

    def __init__(self, moment: GivenMoment) -> None:
        self.day = moment
        self._given = moment.given
        self._orders: dict[LiveModelQuery, Keyset] = {}

    def knows_user(self, username: str) -> bool:
        return any(one["username"].casefold() == username for one in self._given.creators)

    def models(self, query: LiveModelQuery) -> Keyset:
        if query.period is not None:  # its result changes with the time
            return self._order(query)
        if query not in self._orders:
            if len(self._orders) >= _KEPT_ORDERS:
                del self._orders[next(iter(self._orders))]
            self._orders[query] = self._order(query)
        return self._orders[query]

    def _order(self, query: LiveModelQuery) -> Keyset:
        plain = ModelQuery(
            query=query.text, tag=query.tag, username=query.username, types=query.types, period=query.period
        )
        facts = self._given.models
        rows = [
            row
            for row in self.day.models(plain).rows
            if (query.ids is None or facts[row].id in query.ids)
            and (not query.base_models or facts[row].base_models & set(query.base_models))
        ]
        if query.version_ids is not None:
            owners = {self._given.version_rows.get(version_id) for version_id in query.version_ids}
            rows = [row for row in rows if row in owners]
        chosen = np.array(rows, dtype=np.int64)
        # Ids may be missing or occur twice, lines do not.
        return order_by(query.sort, chosen, self._counters, self._latest, np.arange(len(facts)))

    @cached_property
    def _counters(self) -> dict[str, Ints]:
        facts = self._given.models
        downloads = np.array([model.downloads for model in facts], dtype=np.int64)
        thumbs = np.array([model.rating[1] for model in facts], dtype=np.int64)
        nothing = np.zeros(len(facts), dtype=np.int64)
        return {
            "thumbs": thumbs, "downloads": downloads, "comments": nothing, "collected": nothing, "images": nothing
        }  # fmt: skip

    @cached_property
    def _latest(self) -> Ints:
        return np.array([max(model.latest.timestamp(), 0) * 1000 for model in self._given.models], dtype=np.int64)

    def listed(self, row: int, query: LiveModelQuery) -> bytes | None:
        line = self._given.lines[int(row)]
        return narrowed(line, query) if query.narrows else line

    def model(self, model_id: int, levels: int = ALL_LEVELS) -> bytes | None:
        return self.day.model(model_id)

    def version(self, version_id: int, levels: int = ALL_LEVELS) -> bytes | None:
        owner = self.day.owner(version_id)
        if owner is None:
            return None
        model, version, _ = find_version(owner, version_id)
        about = {name: model.get(name) for name in ("name", "type", "nsfw", "poi")}
        return _encode({"modelId": model.get("id")} | version | {"model": about})

    def mini(self, version_id: int) -> bytes | None:
        owner = self.day.owner(version_id)
        if owner is None:
            return None
        model, version, _ = find_version(owner, version_id)
        files = [file for file in map(object_of, list_of(version.get("files"))) if file]
        if not files:
            raise MissingFileError(version_id)
        file = next((one for one in files if one.get("primary") is True), files[0])
        return _encode(
            {
                "versionName": version.get("name"),
                "modelName": model.get("name"),
                "baseModel": version.get("baseModel"),
                "availability": "Public",
                "publishedAt": version.get("publishedAt"),
                "size": file.get("sizeKB"),
                "fileType": file.get("type"),
                "fileName": file.get("name"),
                "hashes": object_of(file.get("hashes")),
                "downloadUrls": [version.get("downloadUrl")],
            }
        )

    def owner_id(self, version_id: int) -> int | None:
        owner = self.day.owner(version_id)
        found = None if owner is None else object_of(decoded(owner)).get("id")
        return found if isinstance(found, int) else None

    def versions_by_hash(self, hashes: Iterable[str]) -> dict[str, list[int]]:
        return self.day.versions_by_hash(hashes)

    def images(self, query: LiveImageQuery) -> Listing:
        listing = self.day.images(query.query)
        images = [image for image in listing.rows if query.image_ids is None or image.id in query.image_ids]
        if query.oldest_first:
            images.reverse()
        if query.after is not None:
            reached = [image.id for image in images].index(query.after[1]) + 1
            images = images[reached:]
        return Listing(images, listing.document)

    def creators(self, text: str | None) -> Listing:
        return Listing([one for one in self._given.creators if text is None or text in one["username"]], _encode)

    def tags(self, text: str | None) -> Listing:
        names = [one["name"] for one in self._given.tags]
        return Listing([name for name in names if text is None or name.startswith(text)], _tag_document)

    def users(self, text: str | None, ids: frozenset[int] | None) -> list[dict[str, Any]]:
        users = [
            {"id": one["id"], "username": one["username"], "avatarNsfw": "None"} for one in self.day.users(text).rows
        ]
        return [user for user in users if ids is None or user["id"] in ids]

    def base_models(self) -> list[str]:
        return sorted({name for model in self._given.models for name in model.base_models})


def narrowed(document: bytes, query: LiveModelQuery) -> bytes | None:
    """A model with only the versions and files that pass the query (2); None without any such version."""
    fields = object_of(decoded(document))
    versions = [
        version
        for version in map(object_of, list_of(fields.get("modelVersions")))
        if (not query.base_models or version.get("baseModel") in query.base_models)
        and (not query.generation or version.get("supportsGeneration") is True)
    ]
    if query.primary_only:
        for version in versions:
            version["files"] = [
                file for file in list_of(version.get("files")) if object_of(file).get("primary") is True
            ]
    return _encode(fields | {"modelVersions": versions}) if versions else None


def _tag_document(name: str) -> bytes:
    return _encode({"name": name, "link": f"https://civitai.com/api/v1/models?tag={name.replace(' ', '%20')}"})


def _version_ids(gallery: Gallery, ids: Ints, image: int) -> list[int]:
    version = int(gallery.version[image])
    return [int(ids[version])] if version >= 0 else []
