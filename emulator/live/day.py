"""A simulated day in the live service's shape, with everything that the service has beyond the specification."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cached_property

import msgspec
import numpy as np

from emulator.catalogue import Listing, ModelQuery
from emulator.live.catalogue import KEPT_ORDERS, MissingFileError, User, narrowed, tag_document
from emulator.live.documents import LiveDocuments
from emulator.live.images import LiveImages
from emulator.live.keyset import Keyset, order_by
from emulator.live.queries import LiveImageQuery, LiveModelQuery
from emulator.live.traits import ALL_LEVELS, PG, LiveTraits, Mask
from emulator.live.versions import DETAIL, View
from emulator.recent import Recent
from emulator.simulation import vocabulary
from emulator.simulation.counters import ModelCounters
from emulator.simulation.dice import Ints
from emulator.spec.catalogue import SimulatedDay
from emulator.spec.documents import creator_fields, user_id

_encode = msgspec.json.Encoder().encode


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
        self._images = LiveImages(day)
        self._orders = Recent[LiveModelQuery, Keyset](KEPT_ORDERS)
        self._names = Recent[tuple[str, str | None], Listing[int]](KEPT_ORDERS)

    @cached_property
    def _events(self) -> Ints:
        return self.traits.events_so_far(self.day.day)

    @cached_property
    def _counters(self) -> dict[str, Ints]:
        counters: ModelCounters = self.day.model_counters
        return {
            "thumbs": counters.thumbs_up,
            "downloads": counters.downloads,
            "comments": counters.comments,
            "collected": counters.favorites,
        }

    @cached_property
    def _image_counts(self) -> Ints:
        """Per model: its images in the gallery, which is computed only if someone asks for this order."""
        columns, gallery = self.day.columns, self.day.gallery
        versions = gallery.version[: gallery.until(self.day.day)]
        return np.bincount(columns.version_model[versions[versions >= 0]], minlength=len(columns.model_id))

    def knows_user(self, username: str) -> bool:
        names = self.day.columns.usernames
        return any(names[row].casefold() == username for row in self.day.users(username).rows)

    def models(self, query: LiveModelQuery) -> Keyset:
        return self._orders.get(query, lambda: self._order(query))

    def _order(self, query: LiveModelQuery) -> Keyset:
        latest = self.day.last_version_second * 1000
        counters = self._counters | ({"images": self._image_counts} if query.sort == "Most Images" else {})
        return order_by(query.sort, self._select(query), counters, latest, self.day.columns.model_id)

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
        formats = {file.format for version in fields.modelVersions for file in version.files}
        licensed = not query.licences or not set(query.licences).isdisjoint(fields.allowCommercialUse)
        return licensed and (not query.formats or not formats.isdisjoint(query.formats))

    def listed(self, row: int, query: LiveModelQuery) -> bytes | None:
        view = View(query.levels if query.mature else PG, gated=query.named)
        document = self._model(row, view)
        return narrowed(document, query) if document and query.narrows else document

    def items(self, query: LiveModelQuery, rows: Sequence[int]) -> bytes:
        return b",".join(one for row in rows if (one := self.listed(row, query)) is not None)

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
        rendered = self._documents.versions.document(
            self._owner(version), version, self.day.day, self.day.version_counters
        )
        return rendered if levels == ALL_LEVELS or msgspec.json.decode(rendered)["nsfwLevel"] & levels else None

    def mini(self, version_id: int) -> bytes | None:
        version = self._find_version(version_id)
        return None if version is None else self._documents.versions.mini(self._owner(version), version, self.day.day)

    def _owner(self, version: int) -> int:
        return int(self.day.columns.version_model[version])

    def _find_version(self, version_id: int) -> int | None:
        """A rated version; without its file it raises MissingFileError."""
        # The model need not exist any more (4).
        version = self.day.find_version(version_id, with_model=False)
        if version is None or self.traits.rated_on[version] > self.day.day:
            return None
        if not self._documents.versions.has_primary(version):
            raise MissingFileError(version_id)
        return version

    def owner_id(self, version_id: int) -> int | None:
        version = self.day.find_version(version_id)
        return None if version is None else int(self.day.columns.model_id[self._owner(version)])

    def versions_by_hash(self, hashes: Iterable[str]) -> dict[str, list[int]]:
        return self.day.versions_by_hash(hashes)

    def images(self, query: LiveImageQuery) -> Listing[int]:
        return self._images.images(query)

    def creators(self, text: str | None) -> Listing[int]:
        """In the order in which they joined, which the service does not promise (6)."""
        return self._names.get(("creators", text), lambda: Listing(self._select_creators(text), self._creator_document))

    def _select_creators(self, text: str | None) -> list[int]:
        columns = self.day.columns
        rows = np.flatnonzero(columns.creator_visible(self.day.day)).tolist()
        return [row for row in rows if text is None or text in columns.usernames[row]]

    def _creator_document(self, creator: int) -> bytes:
        fields = creator_fields(self.day.columns, creator, self.day.day)
        count = int(self.day.model_count_of_creator[creator])
        rendered = {"username": fields["username"]} | ({"modelCount": count} if count else {})
        rendered["link"] = f"https://civitai.com/api/v1/models?username={fields['username']}"
        return _encode(rendered | ({"image": fields["image"]} if "image" in fields else {}))

    def tags(self, text: str | None) -> Listing[int]:
        return self._names.get(("tags", text), lambda: Listing(self._select_tags(text), _tag_document))

    def _select_tags(self, text: str | None) -> list[int]:
        rows = np.flatnonzero(self.day.columns.tags.first_used <= self.day.day)
        if text is not None:
            rows = rows[[vocabulary.tag_name(row).startswith(text.casefold()) for row in rows.tolist()]]
        chosen: list[int] = rows[np.argsort(-self.day.model_count_of_tag[rows], kind="stable")].tolist()
        return chosen

    def users(self, text: str | None, ids: frozenset[int] | None) -> list[User]:
        columns = self.day.columns
        rows = self.day.users(text).rows
        users = [User(id=user_id(row), username=columns.usernames[row], avatarNsfw="None") for row in rows]
        return [user for user in users if ids is None or user["id"] in ids]

    def base_models(self) -> list[str]:
        return [name for name, _, first, *_ in vocabulary.BASE_MODELS if first <= self.day.date]


def _tag_document(tag: int) -> bytes:
    return tag_document(vocabulary.tag_name(tag))
