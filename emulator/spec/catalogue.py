"""The simulated catalogue on one day, for the routes."""

from collections.abc import Hashable, Iterable, Sequence
from datetime import date
from functools import cached_property

import msgspec
import numpy as np

from emulator.catalogue import IMAGE_LEVELS, PERIOD_DAYS, ImageQuery, Listing, ModelQuery
from emulator.recent import Recent
from emulator.simulation import vocabulary
from emulator.simulation.columns import EPOCH_NOON, HORIZON_DAYS, Simulation
from emulator.simulation.day import DayState
from emulator.simulation.dice import Ints
from emulator.spec.documents import ModelDocuments, creator_fields, timestamp, user_id
from emulator.spec.gallery import Gallery
from emulator.spec.hash_index import HashIndex

_encode = msgspec.json.Encoder().encode
#: How many listings of a day are cached, so that the pages of a list share one.
_KEPT_LISTINGS = 32
#: The gallery is computed some days ahead, so that it is not computed again whenever the clock moves by a day.
_GALLERY_DAYS = 60


class SimulatedWorld:
    """A simulation with its caches over the days: the frames of its documents and the gallery."""

    def __init__(self, models: int, seed: int) -> None:
        self.columns = Simulation(models, seed)
        self.documents = ModelDocuments(self.columns)
        self._gallery: tuple[int, Gallery] | None = None

    def gallery(self, day: int) -> Gallery:
        """The gallery with at least the images up to a day."""
        if self._gallery is None or self._gallery[0] < day:
            ahead = min(day + _GALLERY_DAYS, HORIZON_DAYS)
            self._gallery = ahead, Gallery(self.columns, ahead)
        return self._gallery[1]

    @cached_property
    def hash_index(self) -> HashIndex:
        return HashIndex(self.columns)

    def on(self, on: date) -> "SimulatedDay":
        return SimulatedDay(self, on)


class SimulatedDay(DayState):
    """A simulated catalogue at noon of a date; implements `emulator.catalogue.Catalogue`.

    Raises:
        NotSimulatedError: the date is outside the simulated years.
    """

    def __init__(self, world: SimulatedWorld, on: date) -> None:
        super().__init__(world.columns, on)
        self.world = world
        self._listings = Recent[Hashable, Listing[int]](_KEPT_LISTINGS)

    def models(self, query: ModelQuery) -> Listing[int]:
        return self._listings.get(query, lambda: Listing(self._select_models(query).data, self._model_document))

    def items(self, _: ModelQuery, rows: Sequence[int]) -> bytes:
        return b",".join(map(self._model_document, rows))

    def model(self, model_id: int) -> bytes | None:
        index = self.find_model(model_id)
        return None if index is None else self._model_document(index)

    def find_model(self, model_id: int) -> int | None:
        """The index of a model that is shown, by its id."""
        ids = self.columns.model_id
        if not ids[0] <= model_id <= ids[-1]:
            return None
        index = int(np.searchsorted(ids, model_id))
        return index if ids[index] == model_id and self.model_visible[index] else None

    def images(self, query: ImageQuery) -> Listing[int]:
        return self._listings.get(query, lambda: Listing(self._select_images(query).data, self.image_document))

    def creators(self, text: str | None) -> Listing[int]:
        return self._listings.get(
            ("creators", text), lambda: Listing(self._select_creators(text), self._creator_document)
        )

    def tags(self, text: str | None) -> Listing[int]:
        return self._listings.get(("tags", text), lambda: Listing(self._select_tags(text), self._tag_document))

    def enums(self) -> bytes:
        known = [name for name, _, first, *_ in vocabulary.BASE_MODELS if first <= self.date]
        return _encode(
            {
                "ModelType": [name for name, _ in vocabulary.MODEL_TYPES],
                "ModelFileType": vocabulary.FILE_TYPES,
                "ActiveBaseModel": [name for name in known if not name.startswith(vocabulary.RESTRICTED_BASES)],
                "BaseModel": known,
                "BaseModelType": vocabulary.BASE_MODEL_TYPES,
            }
        )

    def owner(self, version_id: int) -> bytes | None:
        version = self.find_version(version_id)
        return None if version is None else self._model_document(int(self.columns.version_model[version]))

    def find_version(self, version_id: int, with_model: bool = True) -> int | None:
        """The index of a shown version by its id; or, if its model need not be shown, of any published one."""
        columns = self.columns
        version = columns.find_version(version_id)
        if version is None:
            return None
        published = columns.version_published[version] <= self.day < columns.version_removed[version]
        return version if published and (self.version_shown[version] or not with_model) else None

    def versions_by_hash(self, hashes: Iterable[str]) -> dict[str, list[int]]:
        columns, found = self.columns, {}
        for text in hashes:
            versions = [version for version in self.world.hash_index.versions(text) if self.version_shown[version]]
            if versions:
                versions.sort(key=lambda version: (columns.version_second[version], columns.version_id[version]))
                found[text] = columns.version_id[versions].tolist()
        return found

    def users(self, text: str | None) -> Listing[int]:
        names = self.columns.usernames
        wanted = (text or "").casefold()
        rows = np.flatnonzero(self.columns.creator_visible(self.day)).tolist()
        chosen = [row for row in rows if names[row].casefold().startswith(wanted)]
        return Listing(sorted(chosen, key=names.__getitem__), self._user_document)

    def has_image(self, image_id: int) -> bool:
        gallery = self.gallery
        return bool(np.isin(gallery.image_id[: gallery.until(self.day)], image_id).any())

    def has_post(self, post_id: int) -> bool:
        gallery = self.gallery
        return bool(np.isin(gallery.post_id[: gallery.until(self.day)], post_id).any())

    @cached_property
    def gallery(self) -> Gallery:
        return self.world.gallery(self.day)

    @cached_property
    def _reactions(self) -> Ints:
        return self.gallery.reactions(self.day)

    @cached_property
    def _comments(self) -> Ints:
        return self.gallery.comments(self.day)

    # Selections: handles in order.

    def _select_models(self, query: ModelQuery) -> Ints:
        columns = self.columns
        chosen = self.model_visible.copy()
        if query.nsfw is not None:
            chosen &= columns.model_nsfw == query.nsfw
        if query.types:
            names = [name for name, _ in vocabulary.MODEL_TYPES]
            chosen &= np.isin(columns.model_type, [names.index(name) for name in query.types])
        if query.username is not None:
            wanted = query.username.casefold()
            named = [i for i, name in enumerate(columns.usernames) if name.casefold() == wanted]
            known = [i for i in named if columns.creator_visible(self.day)[i]]
            chosen &= np.isin(columns.model_creator, known)
        if query.tag is not None:
            wanted = query.tag.strip().casefold()
            tags = [i for i in range(len(columns.tags.first_used)) if vocabulary.tag_name(i).casefold() == wanted]
            slots = columns.tags.active(self.day) & np.isin(columns.tags.tag, tags)
            chosen &= np.bincount(columns.tags.model[slots], minlength=len(chosen)) > 0
        if query.period in PERIOD_DAYS:
            chosen &= self.last_version_second >= self.now.timestamp() - 86_400 * PERIOD_DAYS[query.period]
        rows = np.flatnonzero(chosen)
        if query.query is not None:
            text = query.query.casefold()
            found = [text in columns.model_name(model, self.day).casefold() for model in rows.tolist()]
            rows = rows[np.array(found, dtype=bool)]
        if query.sort == "Newest":
            return rows[np.lexsort((-rows, -self.last_version_second[rows]))]
        counters = self.model_counters
        thumbs, downloads = -counters.thumbs_up[rows], -counters.downloads[rows]
        first, second = (downloads, thumbs) if query.sort == "Most Downloaded" else (thumbs, downloads)
        return rows[np.lexsort((rows, second, first))]

    def _select_images(self, query: ImageQuery) -> Ints:
        columns, gallery = self.columns, self.gallery
        rows = np.arange(gallery.until(self.day))
        if query.version_id is not None:
            wanted = np.flatnonzero(columns.version_id == query.version_id)
            rows = rows[np.isin(gallery.version[rows], wanted)]
        if query.model_id is not None:
            wanted = np.flatnonzero(columns.model_id[columns.version_model] == query.model_id)
            rows = rows[np.isin(gallery.version[rows], wanted)]
        if query.post_id is not None:
            rows = rows[gallery.post_id[rows] == query.post_id]
        if query.username is not None:
            wanted_name = query.username.casefold()
            creators = [i for i, name in enumerate(columns.usernames) if name.casefold() == wanted_name]
            rows = rows[np.isin(gallery.creator[rows], creators)]
        if query.nsfw is not None:
            rows = rows[gallery.level[rows] & IMAGE_LEVELS[query.nsfw] > 0]
        if query.period in PERIOD_DAYS:
            rows = rows[gallery.created_second[rows] >= self.now.timestamp() - 86_400 * PERIOD_DAYS[query.period]]
        if query.sort == "Most Reactions":
            return rows[np.lexsort((-rows, -self._reactions[rows]))]
        if query.sort == "Most Comments":
            return rows[np.lexsort((-rows, -self._comments[rows]))]
        return rows[::-1]

    def _select_creators(self, text: str | None) -> list[int]:
        names = self.columns.usernames
        rows = np.flatnonzero(self.columns.creator_visible(self.day)).tolist()
        if text is not None:
            rows = [row for row in rows if text.casefold() in names[row].casefold()]
        return sorted(rows, key=names.__getitem__)

    def _select_tags(self, text: str | None) -> list[int]:
        rows = np.flatnonzero(self.columns.tags.first_used <= self.day).tolist()
        if text is not None:
            rows = [row for row in rows if text.casefold() in vocabulary.tag_name(row).casefold()]
        counts = self.model_count_of_tag
        return sorted(rows, key=lambda row: (-counts[row], vocabulary.tag_name(row)))

    # Documents.

    def _model_document(self, model: int) -> bytes:
        events = int(self.events[model])
        return self.world.documents.document(model, self.day, events, self.version_counters, self.model_counters)

    def image_document(self, image: int) -> bytes:
        return self.gallery.document(image, int(self._reactions[image]), int(self._comments[image]))

    def _creator_document(self, creator: int) -> bytes:
        fields = creator_fields(self.columns, creator, self.day)
        link = f"https://civitai.com/api/v1/models?username={fields['username']}"
        return _encode({**fields, "modelCount": int(self.model_count_of_creator[creator]), "link": link})

    def _user_document(self, creator: int) -> bytes:
        joined = EPOCH_NOON + (int(self.columns.creator_joined[creator]) - 1) * 86_400
        fields = {"id": user_id(creator), **creator_fields(self.columns, creator, self.day)}
        return _encode(fields | {"tier": "Free", "createdAt": timestamp(joined - 3600)})

    def _tag_document(self, tag: int) -> bytes:
        name = vocabulary.tag_name(tag)
        link = f"https://civitai.com/api/v1/models?tag={name.replace(' ', '%20')}"
        return _encode({"name": name, "modelCount": int(self.model_count_of_tag[tag]), "link": link})
