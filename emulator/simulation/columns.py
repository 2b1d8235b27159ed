"""The simulated catalogue as columns: all entities of all time, and the days of their events.

`Simulation(models, seed)` computes every column once, for all entities up to the horizon. Nothing is replayed: the
state of a day is a comparison of event columns with that day's number, so any date costs the same. Days count from
`EPOCH`. An event of day d has a time stamp in the 24 hours before noon of d, which is the emulator's time on that day.

Shapes follow the real catalogue (docs/api-notes.md, 15); distributions are given by their quantiles.
"""

from datetime import UTC, date, datetime, timedelta
from functools import cached_property

import numpy as np
import numpy.typing as npt

from emulator.simulation import vocabulary
from emulator.simulation.dice import NEVER, Floats, Ints, bits, event_days, from_quantiles, uniforms
from emulator.simulation.tags import TagSlots

EPOCH = date(2022, 11, 1)
#: The day on which the catalogue has about the requested number of models.
REFERENCE = date(2026, 1, 1)
HORIZON = date(2027, 12, 31)
MAX_VERSIONS = 60
EPOCH_NOON = int(datetime(EPOCH.year, EPOCH.month, EPOCH.day, 12, tzinfo=UTC).timestamp())
REFERENCE_DAYS = (REFERENCE - EPOCH).days
HORIZON_DAYS = (HORIZON - EPOCH).days
#: Share of the models born by the reference day that still exist then; the others were taken down.
_STANDING = 0.93

VERSION_DOWNLOADS = (
    (0, 10), (0.1, 118), (0.25, 294), (0.5, 811), (0.75, 1546), (0.9, 3323), (0.95, 5702), (0.99, 19_110),
    (0.999, 70_000), (0.9999, 200_000), (1, 500_000),
)  # fmt: skip
DAYS_TO_NEXT_VERSION = ((0, 1), (0.25, 8), (0.5, 25), (0.75, 70), (0.9, 180), (1, 500))


#: The service has about 350 models in 1,000 ids: others are drafts, or were taken down.
_FIRST_MODEL_ID, _MODEL_ID_STEP = 1_000, 3
#: Each version has one of the ids of its rank, so that a version is found by its id without a search.
_FIRST_VERSION_ID, _VERSION_ID_STEP = 2_000, 9
#: From here on a catalogue is large: its documents are made by one process per core and not cached.
MANY_MODELS = 50_000
#: More than the service has, and about as many as fit into memory.
MOST_MODELS = 10_000_000


class NotSimulatedError(ValueError):
    """There is no simulation, or it has no such day."""


def day_number(on: date) -> int:
    """Days from the epoch to a date.

    Raises:
        NotSimulatedError: the date is outside the simulated years.
    """
    if not EPOCH <= on <= HORIZON:
        raise NotSimulatedError(f"the simulated catalogue has days from {EPOCH} to {HORIZON}, not {on}")
    return (on - EPOCH).days


def day_of(number: int) -> date:
    return EPOCH + timedelta(days=number)


class Simulation:
    """All entities of a simulated catalogue, born and unborn, and the days of their events.

    Args:
        models: about how many models exist on `REFERENCE`; they grow by about 0.12 % a day.
        seed: another seed is another catalogue.
    """

    def __init__(self, models: int, seed: int) -> None:
        if not 1 <= models <= MOST_MODELS:
            raise NotSimulatedError(f"a simulated catalogue has 1 to {MOST_MODELS:,} models, not {models}")
        self.models = models
        self.seed = seed
        self._make_models()
        self._make_versions()
        self.tags = TagSlots(models, seed, self.model_born)

    def _uniforms(self, stream: str, index: npt.ArrayLike) -> Floats:
        return uniforms(self.seed, stream, index)

    def _event_days(self, stream: str, index: Ints, after: Ints, share: float) -> Ints:
        return event_days(self.seed, stream, index, after, share)

    def _make_models(self) -> None:
        seed, reference = self.seed, self.models / _STANDING
        # Births up to x = day / reference day: reference * (0.6 x + 0.4 x^2). Inverted, that is the day of each birth.
        end = HORIZON_DAYS / REFERENCE_DAYS
        index = np.arange(int(reference * (0.6 * end + 0.4 * end * end)), dtype=np.int64)
        share = (index + self._uniforms("model.born", index)) / reference
        born = REFERENCE_DAYS * (np.sqrt(0.36 + 1.6 * share) - 0.6) / 0.8
        self.model_born = born.astype(np.int64)
        self.model_born_second = EPOCH_NOON + ((born - 1) * 86_400).astype(np.int64)
        self.model_id = _FIRST_MODEL_ID + _MODEL_ID_STEP * index
        self.model_id += (bits(seed, "model.id", index) % np.uint64(_MODEL_ID_STEP)).astype(np.int64)

        shares = np.cumsum([share for _, share in vocabulary.MODEL_TYPES])
        self.model_type = np.searchsorted(shares / shares[-1], self._uniforms("model.type", index), side="right")
        mature = self._uniforms("model.nsfw", index)
        self.model_nsfw = mature < 0.12
        self.model_nsfw_level = np.select([mature < 0.05, mature < 0.12, mature < 0.3], [28, 12, 3], 1)

        self.model_gone = self._event_days("model.gone", index, self.model_born, 0.16)
        absence = 3 + (bits(seed, "model.absence", index) % np.uint64(40)).astype(np.int64)
        returns = (self._uniforms("model.returns", index) < 0.25) & (self.model_gone < NEVER)
        self.model_back = np.where(returns, self.model_gone + absence, NEVER)

        self.model_renamed = self._event_days("model.renamed", index, self.model_born, 0.08)
        self.model_relicensed = self._event_days("model.relicensed", index, self.model_born, 0.05)
        self.has_description = self._uniforms("model.description", index) >= 0.035
        # Authors rewrite their description every 40 to 400 days, or never.
        period = 40 + (360 * self._uniforms("model.edit.period", index) ** 2).astype(np.int64)
        edits = (self._uniforms("model.edits", index) < 0.7) & self.has_description
        self.model_edit_period = np.where(edits, period, NEVER)

        # A new model sometimes belongs to a new creator, else to an older one. The oldest are the busiest.
        creators_so_far = 1 + index * 3 // 10
        older = self._uniforms("model.creator", index) ** 2
        newcomer = self._uniforms("model.newcomer", index) < 0.12
        self.model_creator = np.where(newcomer, creators_so_far - 1, (creators_so_far * older).astype(np.int64))
        creators = np.arange(int(creators_so_far[-1]), dtype=np.int64)
        self.creator_joined = np.full(len(creators), NEVER, dtype=np.int64)
        np.minimum.at(self.creator_joined, self.model_creator, self.model_born)
        self.creator_deleted = self._event_days("creator.deleted", creators, self.creator_joined, 0.1)
        new_image = self._event_days("creator.image", creators, self.creator_joined, 0.1)
        self.creator_new_image = np.where(new_image < self.creator_deleted, new_image, NEVER)

    def _make_versions(self) -> None:
        seed, models = self.seed, np.arange(len(self.model_id), dtype=np.int64)
        # The number of versions of a model has a Pareto tail; versions after the horizon are dropped.
        u = 1 - self._uniforms("model.versions", models)
        count = np.minimum(1 / np.sqrt(u), MAX_VERSIONS).astype(np.int64)
        model = np.repeat(models, count)
        start = np.cumsum(count) - count
        ordinal = np.arange(len(model), dtype=np.int64) - start[model]
        key = model * 64 + ordinal
        gap = 1 + from_quantiles(self._uniforms("version.gap", key), DAYS_TO_NEXT_VERSION).astype(np.int64)
        total = np.cumsum(np.where(ordinal == 0, 0, gap))
        published: Ints = self.model_born[model] + total - total[start[model]]
        second = (
            EPOCH_NOON + (published - 1) * 86_400 + (86_400 * self._uniforms("version.second", key)).astype(np.int64)
        )
        second = np.where(ordinal == 0, self.model_born_second[model], second)

        kept = published <= HORIZON_DAYS
        self.version_model, self.version_ordinal, self.version_key = model[kept], ordinal[kept], key[kept]
        self.version_published, self.version_second = published[kept], second[kept]
        key, model, published = self.version_key, self.version_model, self.version_published
        #: Where the versions of each model begin; one more entry than models.
        self.version_start = np.searchsorted(model, np.arange(len(models) + 1))
        #: Versions in order of publication, which is also the order of their ids.
        self.by_publication = np.lexsort((key, self.version_second))
        rank = np.empty(len(key), dtype=np.int64)
        rank[self.by_publication] = np.arange(len(key))
        self.version_rank = rank
        self.version_id = _FIRST_VERSION_ID + _VERSION_ID_STEP * rank
        self.version_id += (bits(seed, "version.id", key) % np.uint64(_VERSION_ID_STEP)).astype(np.int64)

        several = count[model] > 1
        removed = self._event_days("version.removed", key, published, 0.03)
        self.version_removed = np.where(several, removed, NEVER)
        self.version_base = self._base_models("version.base", key, published)
        correction = published + 1 + (bits(seed, "version.corrected", key) % np.uint64(60)).astype(np.int64)
        corrected_base = self._base_models("version.corrected.base", key, published)
        corrected = (self._uniforms("version.is.corrected", key) < 0.03) & (corrected_base != self.version_base)
        self.version_corrected = np.where(corrected & (correction < self.version_removed), correction, NEVER)
        self.version_corrected_base = corrected_base

        self.downloads_limit = 1.15 * from_quantiles(self._uniforms("version.downloads", key), VERSION_DOWNLOADS)
        self.downloads_half_time = 3 + 60 * self._uniforms("version.pace", key) ** 2
        surges = self._uniforms("version.surges", key) < 0.04
        self.surge = np.where(surges, published + 30 + 500 * self._uniforms("version.surge.day", key), float(NEVER))
        self.surge_size = self.downloads_limit * (0.2 + 0.6 * self._uniforms("version.surge.size", key))
        self.thumbs_share = 0.04 + 0.1 * self._uniforms("version.thumbs", key)
        self.thumbs_down_share = 0.005 + 0.04 * self._uniforms("version.thumbs.down", key)
        self.ratings_share = 0.002 + 0.006 * self._uniforms("version.ratings", key)
        self.quality = 3.8 + 1.2 * self._uniforms("version.quality", key)

    def _base_models(self, stream: str, key: Ints, published: Ints) -> Ints:
        """A base model for each version, from the waves on its day of publication."""
        waves = np.cumsum(base_model_waves(), axis=1)
        draw = self._uniforms(stream, key) * waves[published, -1]
        index = np.empty(len(key), dtype=np.int64)
        by_day = np.argsort(published, kind="stable")
        ends = np.searchsorted(published[by_day], np.arange(len(waves) + 1))
        for day, wave in enumerate(waves):
            versions = by_day[ends[day] : ends[day + 1]]
            index[versions] = np.searchsorted(wave, draw[versions], side="right")
        return index

    def find_version(self, version_id: int) -> int | None:
        """The version with an id, published or not."""
        rank = (version_id - _FIRST_VERSION_ID) // _VERSION_ID_STEP
        if not 0 <= rank < len(self.by_publication):
            return None
        version = int(self.by_publication[rank])
        return version if self.version_id[version] == version_id else None

    def model_visible(self, day: int) -> npt.NDArray[np.bool_]:
        """Per model: it is born and not taken down on that day."""
        return (self.model_born <= day) & ~((self.model_gone <= day) & (day < self.model_back))

    def version_visible(self, day: int) -> npt.NDArray[np.bool_]:
        """Per version: it is published and not removed (its model may be gone)."""
        return (self.version_published <= day) & (day < self.version_removed)

    def creator_visible(self, day: int) -> npt.NDArray[np.bool_]:
        """Per creator: a first model was published and the account is not deleted."""
        return (self.creator_joined <= day) & (day < self.creator_deleted)

    def description_revision(self, day: int) -> Ints:
        """Per model: how often its description was rewritten."""
        revisions: Ints = np.maximum(day - self.model_born, 0) // self.model_edit_period
        return revisions

    def version_base_model(self, day: int) -> Ints:
        """Per version: its base model as an index into `vocabulary.BASE_MODELS`."""
        return np.where(self.version_corrected <= day, self.version_corrected_base, self.version_base)

    def events_so_far(self, day: int) -> Ints:
        """Per model: how many events have changed its document up to that day. Equal numbers mean equal documents."""
        models = len(self.model_id)
        creator = self.model_creator
        events = self.description_revision(day)
        for moment in (
            self.model_renamed,
            self.model_relicensed,
            self.creator_deleted[creator],
            self.creator_new_image[creator],
        ):
            events += moment <= day
        for moment in (self.version_published, self.version_removed, self.version_corrected):
            events += np.bincount(self.version_model[moment <= day], minlength=models)
        for moment in (self.tags.since, self.tags.until):
            events += np.bincount(self.tags.model[moment <= day], minlength=models)
        return events

    @cached_property
    def usernames(self) -> list[str]:
        numbers = (bits(self.seed, "creator.name", np.arange(len(self.creator_joined))) % np.uint64(65_536)).tolist()
        return [vocabulary.username(index, number) for index, number in enumerate(numbers)]

    @cached_property
    def _name_numbers(self) -> npt.NDArray[np.uint64]:
        return bits(self.seed, "model.name", np.arange(len(self.model_id)))

    def model_name(self, model: int, day: int) -> str:
        number = int(self._name_numbers[model])
        name = _model_name(number)
        if self.model_renamed[model] <= day:
            name += vocabulary.RENAME_SUFFIXES[number % len(vocabulary.RENAME_SUFFIXES)]
        return name


def _model_name(number: int) -> str:
    adjective = vocabulary.ADJECTIVES[(number >> 8) % len(vocabulary.ADJECTIVES)]
    noun = vocabulary.NOUNS[(number >> 16) % len(vocabulary.NOUNS)]
    suffix = vocabulary.NAME_SUFFIXES[(number >> 24) % len(vocabulary.NAME_SUFFIXES)]
    foreign = vocabulary.FOREIGN_NAMES[(number >> 40) % len(vocabulary.FOREIGN_NAMES)]
    if (number >> 32) % 100 < 6:
        return f"{foreign} {noun}"
    return f"{adjective} {noun}{suffix}"


def base_model_waves() -> Floats:
    """Weight of each base model on each day of the simulation: it rises linearly to its peak and then decays."""
    days = np.arange(HORIZON_DAYS + 1, dtype=np.float64)[:, None]
    first = np.array([(wave[2] - EPOCH).days for wave in vocabulary.BASE_MODELS], dtype=np.float64)
    rise, peak, half = (np.array([wave[i] for wave in vocabulary.BASE_MODELS], dtype=np.float64) for i in (3, 4, 5))
    age = days - first
    weight = np.where(age < rise, (age + 1) / (rise + 1), half / (half + np.maximum(age - rise, 0)))
    return np.where(age < 0, 0.0, peak * weight)
