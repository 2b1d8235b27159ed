"""The tags of the simulated models: which model has which tag, from which day to which."""

import numpy as np
import numpy.typing as npt

from emulator.simulation.dice import NEVER, Ints, event_days, from_quantiles, uniforms

TAGS_PER_MODEL = ((0, 0), (0.1, 1), (0.25, 3), (0.5, 5), (0.75, 7), (0.9, 10), (0.95, 13), (0.99, 20), (1, 40))


class TagSlots:
    """Slots as columns: a tag on a model with its first day and its end. No model has a tag twice.

    `start` is where the slots of each model begin, with one more entry than models; `first_used` is a day per tag. The
    columns are the longest of the simulation, and therefore only 32 bits wide.

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
        parts = [(model, place, born[model].astype(np.int32), until.astype(np.int32))]
        for late_place, edit in ((62, edit_1), (63, edit_2)):
            edited = np.flatnonzero(edit < NEVER)
            endless = np.full(len(edited), NEVER, dtype=np.int32)
            parts.append((edited, np.full(len(edited), late_place), edit[edited].astype(np.int32), endless))
        model, place = (np.concatenate([part[column] for part in parts]) for column in (0, 1))
        since, until = (np.concatenate([part[column] for part in parts]) for column in (2, 3))
        tag = np.searchsorted(zipf, uniforms(seed, "slot.tag", model * 64 + place) * zipf[-1], side="right")

        self.first_used = np.full(vocabulary_size, NEVER, dtype=np.int32)
        np.minimum.at(self.first_used, tag, since)
        kept = _in_order(model, tag, place)
        self.model, self.tag = model[kept].astype(np.int32), tag[kept].astype(np.int32)
        self.since, self.until = since[kept], until[kept]
        self.start = np.searchsorted(self.model, np.arange(len(index) + 1, dtype=np.int32))

    def active(self, day: int) -> npt.NDArray[np.bool_]:
        """Per slot: the tag is on its model."""
        return (self.since <= day) & (day < self.until)

    def of(self, model: int, day: int) -> list[int]:
        """The tags of a model on a day, in their order."""
        slots = slice(self.start[model], self.start[model + 1])
        columns = zip(*(column[slots].tolist() for column in (self.tag, self.since, self.until)), strict=True)
        return [tag for tag, since, until in columns if since <= day < until]


def _in_order(model: Ints, tag: Ints, place: Ints) -> Ints:
    """The slots by model and place, without those that have a tag of the model again.

    Args:
        place: rises among the slots of a model. Stable sorts of keys that are nearly in order are fast.
    """
    tag_of_model = model * (tag.max(initial=0) + 1) + tag
    by_tag = np.argsort(tag_of_model, kind="stable")
    again = np.zeros(len(model), dtype=bool)
    again[by_tag[1:]] = tag_of_model[by_tag[1:]] == tag_of_model[by_tag[:-1]]
    kept = np.flatnonzero(~again)
    return kept[np.argsort(model[kept] * 64 + place[kept], kind="stable")]
