"""The images of a simulated day in the live service's shape (docs/api-notes.md, 5)."""

from bisect import bisect_left
from dataclasses import replace

import msgspec
import numpy as np

from emulator.catalogue import Listing
from emulator.live.queries import LiveImageQuery
from emulator.recent import Recent
from emulator.simulation import vocabulary
from emulator.simulation.dice import Ints
from emulator.spec.catalogue import SimulatedDay
from emulator.spec.documents import user_id
from emulator.spec.gallery import Gallery

_LEVEL_NAMES = {0: "None", 1: "None", 2: "Soft", 4: "Mature", 8: "X", 16: "X", 32: "Blocked"}
#: How many selections of images are cached; each is as large as the gallery.
_KEPT_FEEDS = 4
_encode = msgspec.json.Encoder().encode


class LiveImages:
    """The gallery of a simulated day."""

    def __init__(self, day: SimulatedDay) -> None:
        self._day = day
        self._feeds = Recent[LiveImageQuery, memoryview](_KEPT_FEEDS)

    def images(self, query: LiveImageQuery) -> Listing[int]:
        first_page = replace(query, after=None)
        rows = self._feeds.get(first_page, lambda: self._select(first_page).data)
        if query.after is not None:
            rows = rows[bisect_left(rows, x=True, key=lambda row: self._follows(row, query)) :]
        return Listing(rows, self._document)

    def _follows(self, image: int, query: LiveImageQuery) -> bool:
        """Whether an image comes after that of the cursor; ids rise with time."""
        assert query.after is not None
        image_id, last = int(self._day.gallery.image_id[image]), query.after[1]
        return image_id > last if query.oldest_first else image_id < last

    def _select(self, query: LiveImageQuery) -> Ints:
        gallery = self._day.gallery
        rows = np.asarray(self._day.images(query.query).rows, dtype=np.int64)
        chosen = (gallery.level[rows] & query.levels > 0) & (gallery.created_second[rows] * 1000 <= query.until)
        if query.image_ids is not None:
            chosen &= np.isin(gallery.image_id[rows], list(query.image_ids))
        if query.user_id is not None:
            users = [user_id(creator) for creator in gallery.creator[rows].tolist()]
            chosen &= np.array(users, dtype=np.int64) == query.user_id
        if query.base_models:
            names = [wave[0] for wave in vocabulary.BASE_MODELS]
            wanted = [names.index(name) for name in query.base_models if name in names]
            versions = gallery.version[rows]
            chosen &= (versions >= 0) & np.isin(self._day.columns.version_base[versions], wanted)
        if query.tags or query.type not in {None, "image"}:
            chosen[:] = False  # no image has a tag, is a video or has sound
        rows = rows[chosen]
        if query.with_meta:
            with_meta = [row for row in rows.tolist() if b'"meta":' in self._day.image_document(row)]
            rows = np.array(with_meta, dtype=np.int64)
        return rows[::-1] if query.oldest_first else rows

    def _document(self, image: int) -> bytes:
        gallery, columns = self._day.gallery, self._day.columns
        fields = msgspec.json.decode(self._day.image_document(image))
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


def _version_ids(gallery: Gallery, ids: Ints, image: int) -> list[int]:
    version = int(gallery.version[image])
    return [int(ids[version])] if version >= 0 else []
