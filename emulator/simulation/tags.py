"""The tags of the simulated models: which model has which tag, from which day to which."""

import numpy as np
import numpy.typing as npt

from emulator.simulation.dice import NEVER, Ints, event_days, from_quantiles, uniforms

TAGS_PER_MODEL = ((0, 0), (0.1, 1), (0.25, 3), (0.5, 5), (0.75, 7), (0.9, 10), (0.95, 13), (0.99, 20), (1, 40))


class TagSlots:
    """Slots as columns: a tag on a model with its first day and its end. No model has a tag twice.

    `start` is where the slots of each model begin, with one more entry than models; `first_used` is a day per tag.

    Args:
        models: about how many models exist on the reference day.
        seed: of the simulation.
        born: per model, the day of its birth.
    """

    def __init__(self, models: int, seed: int, born: Ints) -> None:
        index = np.arange(len(born), dtype=np.int64)
        vocabulary_size = 60 + models * 3 // 5
        zipf = np.cumsum(1 / np.arange(1, vocabulary_size + 1))
        count = np.round(from_quantiles(uniforms(seed, "model.tags", index), TAGS_PER_MODEL)).astype(np.int64)
        # Two edits at most: the first two tags leave, one each, and new ones (places 62 and 63) come.
        edit_1 = event_days(seed, "model.tags.1", index, born, 0.45)
        edit_2 = np.where(edit_1 < NEVER, event_days(seed, "model.tags.2", index, edit_1, 0.5), NEVER)

        model = np.repeat(index, count)
        place = np.arange(len(model), dtype=np.int64) - (np.cumsum(count) - count)[model]
        until = np.select([place == 0, place == 1], [edit_1[model], edit_2[model]], NEVER)
        parts = [(model, place, born[model], until)]
        for late_place, edit in ((62, edit_1), (63, edit_2)):
            edited = np.flatnonzero(edit < NEVER)
            parts.append((edited, np.full(len(edited), late_place), edit[edited], np.full(len(edited), NEVER)))
        model, place, since, until = (np.concatenate(column) for column in zip(*parts, strict=True))
        tag = np.searchsorted(zipf, uniforms(seed, "slot.tag", model * 64 + place) * zipf[-1], side="right")

        order = np.lexsort((place, tag, model))
        first = np.ones(len(order), dtype=bool)
        first[1:] = (model[order][1:] != model[order][:-1]) | (tag[order][1:] != tag[order][:-1])
        kept = order[first]
        kept = kept[np.lexsort((place[kept], model[kept]))]
        self.model, self.tag = model[kept], tag[kept]
        self.since, self.until = since[kept], until[kept]
        self.start = np.searchsorted(self.model, np.arange(len(index) + 1))
        self.first_used = np.full(vocabulary_size, NEVER, dtype=np.int64)
        np.minimum.at(self.first_used, self.tag, self.since)

    def active(self, day: int) -> npt.NDArray[np.bool_]:
        """Per slot: the tag is on its model."""
        return (self.since <= day) & (day < self.until)

    def of(self, model: int, day: int) -> list[int]:
        """The tags of a model on a day, in their order."""
        slots = slice(self.start[model], self.start[model + 1])
        active = (self.since[slots] <= day) & (day < self.until[slots])
        tags: list[int] = self.tag[slots][active].tolist()
        return tags
