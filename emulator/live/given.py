"""A given catalogue behind the live service's requests.

The documents stay as they are, byte for byte and unfiltered: only their requests are the live service's.
"""

from collections.abc import Iterable, Sequence
from functools import cached_property

import msgspec
import numpy as np

from emulator.catalogue import Listing, ModelQuery
from emulator.given import Creator, GivenMoment, ImageFacts
from emulator.live.catalogue import KEPT_ORDERS, MissingFileError, User, narrowed, tag_document
from emulator.live.keyset import Keyset, order_by
from emulator.live.queries import LiveImageQuery, LiveModelQuery
from emulator.live.traits import ALL_LEVELS
from emulator.recent import Recent
from emulator.simulation.dice import Ints
from emulator.versions import decoded, find_version, list_of, object_of

_encode = msgspec.json.Encoder().encode


class LiveGiven:
    """A given catalogue behind the live service's requests. There are no browsing levels and no hidden versions.
    Filters by fields that the documents do not have, or have in too many forms, let everything through.

    `day` is the moment that it shows.
    """

    def __init__(self, moment: GivenMoment) -> None:
        self.day = moment
        self._given = moment.given
        self._orders = Recent[LiveModelQuery, Keyset](KEPT_ORDERS)

    def knows_user(self, username: str) -> bool:
        return any(one["username"].casefold() == username for one in self._given.creators)

    def models(self, query: LiveModelQuery) -> Keyset:
        if query.period is not None:  # its result changes with the time
            return self._order(query)
        return self._orders.get(query, lambda: self._order(query))

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
        line = self._given.lines[row]
        return narrowed(line, query) if query.narrows else line

    def items(self, query: LiveModelQuery, rows: Sequence[int]) -> bytes:
        return b",".join(one for row in rows if (one := self.listed(row, query)) is not None)

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

    def images(self, query: LiveImageQuery) -> Listing[ImageFacts]:
        listing = self.day.images(query.query)
        images = [image for image in listing.rows if query.image_ids is None or image.id in query.image_ids]
        if query.oldest_first:
            images.reverse()
        if query.after is not None:
            reached = [image.id for image in images].index(query.after[1]) + 1
            images = images[reached:]
        return Listing(images, listing.document)

    def creators(self, text: str | None) -> Listing[Creator]:
        return Listing([one for one in self._given.creators if text is None or text in one["username"]], _encode)

    def tags(self, text: str | None) -> Listing[str]:
        names = [one["name"] for one in self._given.tags]
        return Listing([name for name in names if text is None or name.startswith(text)], tag_document)

    def users(self, text: str | None, ids: frozenset[int] | None) -> list[User]:
        users = [User(id=one["id"], username=one["username"], avatarNsfw="None") for one in self.day.users(text).rows]
        return [user for user in users if ids is None or user["id"] in ids]

    def base_models(self) -> list[str]:
        return sorted({name for model in self._given.models for name in model.base_models})
