"""The features of the live service beyond its specification, as more columns of the same simulated catalogue.

Every trait is computed like the simulation itself, so both dialects show the same models, versions and counters.
Numbers in brackets are sections of docs/api-notes.md. An excluded tag of a model is not visible. Mature models are
never minor or excluded, so each listed model is in at least one of the two listings (0.3).
"""

from datetime import date

import numpy as np
import numpy.typing as npt

from emulator.simulation.columns import EPOCH, Simulation
from emulator.simulation.counters import ModelCounters
from emulator.simulation.dice import NEVER, Floats, Ints, bits, uniforms

Mask = npt.NDArray[np.bool_]

PG = 1
#: The browsing levels that a reader in a restricted region sees (1).
SFW = 3
ALL_LEVELS = 31
#: allowCommercialUse was one string, then a list, and is now the text of a database array (0.5).
LICENCE_IS_LIST = (date(2024, 2, 1) - EPOCH).days
LICENCE_IS_TEXT = (date(2025, 11, 24) - EPOCH).days
EARLY_ACCESS_DAYS = 30


class LiveTraits:
    """The columns; models, versions and creators are indices into the simulation."""

    def __init__(self, world: Simulation) -> None:
        self._world = world
        seed = world.seed
        models, versions = np.arange(len(world.model_id)), world.version_key
        creators = np.arange(len(world.creator_joined))

        def happens(stream: str, index: Ints, after: Ints, share: float) -> Ints:
            delay = 10 + (bits(seed, stream + ".delay", index) % np.uint64(300)).astype(np.int64)
            return np.where(uniforms(seed, stream, index) < share, after + delay, NEVER)

        pg_only = world.model_nsfw_level == PG
        self.minor: Mask = pg_only & (uniforms(seed, "live.minor", models) < 0.02)
        self.excluded: Mask = pg_only & (uniforms(seed, "live.excluded", models) < 0.02)
        #: Likenesses of real persons: in the lists as long as they exist, but not available by id (3).
        ordinary = pg_only & ~(self.minor | self.excluded)
        self.poi: Mask = ordinary & (uniforms(seed, "live.poi", models) < 0.02)
        #: Of checkpoints: Merge, else Trained (2).
        self.merged: Mask = uniforms(seed, "live.merged", models) < 0.4
        archived_on = happens("live.archived", models, world.model_born, 0.01)
        self.archived_on = np.where(self.poi, NEVER, archived_on)
        self.taken_down_on = happens("live.taken.down", models, world.model_born, 0.01)
        self.downloads_hidden_on = happens("live.hides.downloads", creators, world.creator_joined, 0.06)
        self.tips_hidden_on = happens("live.hides.tips", creators, world.creator_joined, 0.06)
        #: A deleted account leaves a creator without a name. A transferred one leaves no creator (2).
        self.creator_left_nameless: Mask = uniforms(seed, "live.nameless", creators) < 0.3
        early = (uniforms(seed, "live.early.access", versions) < 0.12) & ~self.poi[world.version_model]
        self.public_on = world.version_published + np.where(early, EARLY_ACCESS_DAYS, 0)
        unrated = uniforms(seed, "live.unrated", versions) < 0.1
        self.rated_on = world.version_published + unrated
        self.without_primary: Mask = uniforms(seed, "live.without.primary", versions) < 0.006
        self._tips: Floats = 0.3 * uniforms(seed, "live.tips", models) ** 3

    def events_so_far(self, day: int) -> Ints:
        """Per model: how many events have changed its live document up to that day."""
        world = self._world
        events = world.events_so_far(day)
        events += self.archived_on <= day
        events += self.taken_down_on <= day
        events += (day >= LICENCE_IS_LIST) + (day >= LICENCE_IS_TEXT)
        for moment in (self.public_on, self.rated_on):
            happened = (moment <= day) & (moment > world.version_published)
            events += np.bincount(world.version_model[happened], minlength=len(world.model_id))
        return events

    def mode(self, model: int, day: int) -> str | None:
        """Whether a model is archived or, if it is not, taken down."""
        if self.archived_on[model] <= day:
            return "Archived"
        return "TakenDown" if self.taken_down_on[model] <= day else None

    def tips(self, model: int | Ints, counters: ModelCounters) -> Ints:
        """The Buzz tipped to one model or to each of many."""
        tips: Ints = (counters.downloads[model] * self._tips[model]).astype(np.int64)
        return tips

    def downloads_hidden(self, day: int) -> Mask:
        """Per model: its creator hides its downloads and those of its versions."""
        hidden: Mask = (self.downloads_hidden_on <= day)[self._world.model_creator]
        return hidden

    def tips_hidden(self, day: int) -> Mask:
        hidden: Mask = (self.tips_hidden_on <= day)[self._world.model_creator]
        return hidden
