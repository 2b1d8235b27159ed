"""The simulated gallery: a stream of community images that grows every day, ids rising with the time of creation.

Image k was created when the growth curve passed k, so the images of a day are a slice of the columns. An image never
changes or disappears, only its counters grow.
"""

import msgspec
import numpy as np
from msgspec import UNSET

from emulator.simulation import vocabulary
from emulator.simulation.columns import EPOCH_NOON, REFERENCE_DAYS, Simulation
from emulator.simulation.dice import Ints, bits, uniforms
from emulator.spec.documents import image_fields

FIRST_ID = 10_000_000


class Gallery:
    """All gallery images up to a day, as columns.

    Args:
        world: the catalogue whose versions and creators the images belong to.
        day: the last day; images rise to about 2 % of the number of models a day on the reference day.
    """

    def __init__(self, world: Simulation, day: int) -> None:
        self._world = world
        seed = world.seed
        total = max(1.0, 0.01 * world.models * REFERENCE_DAYS)
        index = np.arange(int(total * ((day + 1) / REFERENCE_DAYS) ** 2), dtype=np.int64)
        moment = REFERENCE_DAYS * np.sqrt((index + uniforms(seed, "image.created", index)) / total)
        kept = moment < day + 1
        index, moment = index[kept], moment[kept]
        self.created_day = moment.astype(np.int64)
        self.created_second = EPOCH_NOON + ((moment - 1) * 86_400).astype(np.int64)
        self.image_id = FIRST_ID + 2 * index

        # Young versions get most images: counted back from the latest version of that day.
        published = np.searchsorted(world.version_published[world.by_publication], self.created_day, side="right")
        back = uniforms(seed, "image.version", index) ** 2
        rank = published - 1 - (published * back).astype(np.int64)
        #: The version that an image was made with, as an index into the simulation; -1 before there was any.
        self.version = np.where(published > 0, world.by_publication[np.maximum(rank, 0)], -1)
        born = np.searchsorted(world.model_born, self.created_day, side="right")
        poster = (born * uniforms(seed, "image.poster", index)).astype(np.int64)
        self.creator = np.where(born > 0, world.model_creator[np.minimum(poster, len(world.model_creator) - 1)], 0)
        #: Images come in posts of up to four.
        self.post_id = 40_000_001 + 2 * (index // 4)
        level = uniforms(seed, "image.level", index)
        self.level = np.select([level < 0.7, level < 0.85, level < 0.95], [1, 2, 4], 8)
        self._limit = 2 + 60 * uniforms(seed, "image.reactions", index) ** 4 * 10
        self._noise = (bits(seed, "image.ratio", index) % np.uint64(16)).astype(np.int64)

    def until(self, day: int) -> int:
        """How many images a day has; they are the first of every column."""
        return int(np.searchsorted(self.created_day, day, side="right"))

    def reactions(self, day: int) -> Ints:
        """Thumbs up of the images that exist on a day."""
        count = self.until(day)
        age = day - self.created_day[:count] + 1
        return (self._limit[:count] * (age / (age + 4))).astype(np.int64)

    def comments(self, day: int) -> Ints:
        return self.reactions(day) // (6 + self._noise[: self.until(day)])

    def document(self, image: int, reactions: int, comments: int) -> bytes:
        fields = image_fields(
            int(self.image_id[image]), int(self.level[image]), int(self.created_second[image]), self._world.seed
        )
        fields.stats = {
            "favoriteCount": reactions // 5,
            "commentCount": comments,
            "thumbsUpCount": reactions,
            "thumbsDownCount": reactions // 23,
        }
        fields.postId = int(self.post_id[image])
        fields.username = self._world.usernames[self.creator[image]]
        if self.version[image] >= 0 and fields.meta is not UNSET:
            base = self._world.version_base[self.version[image]]
            fields.meta["baseModel"] = vocabulary.BASE_MODELS[base][0]
        return msgspec.json.encode(fields)
