"""The true counters of the simulated catalogue on a day.

Downloads follow `limit * age / (age + half time)`, a curve with a plateau. A daily shift of the age by less than a day
makes the flow uneven, but never negative. Some versions have a second rise. All other counters derive from the
downloads. They never fall, except thumbs up, which are sometimes taken back.
"""

from dataclasses import dataclass

import numpy as np

from emulator.simulation.columns import Simulation
from emulator.simulation.dice import Floats, Ints, uniforms


@dataclass(frozen=True)
class VersionCounters:
    """Counters of all versions of the simulation on one day; those of unpublished versions are zero."""

    downloads: Ints
    thumbs_up: Ints
    thumbs_down: Ints
    ratings: Ints
    rating: Floats


@dataclass(frozen=True)
class ModelCounters:
    """Counters of all models on one day: sums over their versions with the removed ones, as in the service."""

    downloads: Ints
    favorites: Ints
    comments: Ints
    thumbs_up: Ints
    thumbs_down: Ints
    ratings: Ints
    rating: Floats


def version_counters(world: Simulation, day: int) -> VersionCounters:
    key = world.version_key
    noise = 0.9 * uniforms(world.seed, f"noise.{day}", key)
    published = world.version_published <= day
    age = np.maximum(day - world.version_published + noise, 0)
    grown = world.downloads_limit * (age / (age + world.downloads_half_time))
    since_surge = np.maximum(day + noise - world.surge, 0)
    grown += world.surge_size * (since_surge / (since_surge + 6))
    downloads = np.where(published, grown, 0).astype(np.int64)
    thumbs = (downloads * world.thumbs_share).astype(np.int64)
    taken_back = (uniforms(world.seed, f"taken.back.{day}", key) < 0.01) & (thumbs > 0)
    ratings = (downloads * world.ratings_share).astype(np.int64)
    wobble = uniforms(world.seed, "rating.wobble", key * 65_536 + ratings % 65_536) - 0.5
    rating = np.round(np.clip(world.quality + wobble * 2 / (1 + ratings), 1, 5), 2)
    return VersionCounters(
        downloads=downloads,
        thumbs_up=thumbs - taken_back,
        thumbs_down=(thumbs * world.thumbs_down_share).astype(np.int64),
        ratings=ratings,
        rating=np.where(ratings > 0, rating, 0.0),
    )


def model_counters(world: Simulation, versions: VersionCounters) -> ModelCounters:
    def total(column: Ints) -> Ints:
        running = np.concatenate([[0], np.cumsum(column)])
        sums: Ints = running[world.version_start[1:]] - running[world.version_start[:-1]]
        return sums

    index = np.arange(len(world.model_id))
    downloads, ratings = total(versions.downloads), total(versions.ratings)
    # Ratings in integer hundredths, so that the mean does not depend on the order of a sum.
    hundredths = total(versions.ratings * np.round(versions.rating * 100).astype(np.int64))
    return ModelCounters(
        downloads=downloads,
        favorites=(downloads * (0.03 + 0.1 * uniforms(world.seed, "model.favorites", index))).astype(np.int64),
        comments=(downloads * (0.001 + 0.004 * uniforms(world.seed, "model.comments", index))).astype(np.int64),
        thumbs_up=total(versions.thumbs_up),
        thumbs_down=total(versions.thumbs_down),
        ratings=ratings,
        rating=np.round(hundredths / np.maximum(ratings, 1)) / 100,
    )
