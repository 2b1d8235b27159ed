"""The true state of the simulation: what exists on a date, the true counters, and what changed between two dates.

It is computed from the columns and their events, never by comparing documents. So it can be compared with the served
documents and with a pipeline's result.
"""

from collections.abc import Sequence
from typing import NotRequired, TypedDict

import numpy as np
import numpy.typing as npt

from emulator.live.day import LiveDay
from emulator.live.queries import LiveModelQuery
from emulator.live.traits import LICENCE_IS_LIST, LICENCE_IS_TEXT
from emulator.simulation import vocabulary
from emulator.simulation.columns import Simulation
from emulator.spec.catalogue import SimulatedDay

Mask = npt.NDArray[np.bool_]


#: The counters of an entity, by the service's names; a version also has `modelId` and `baseModel`.
Counters = dict[str, int | float | str]


class Account(TypedDict):
    """What exists on a date. Only the live dialect has the last three."""

    date: str
    models: dict[str, Counters]
    versions: dict[str, Counters]
    creators: dict[str, int]
    tags: dict[str, int]
    baseModels: dict[str, dict[str, int]]
    images: dict[str, int | None]
    counts: dict[str, int]
    listed: NotRequired[dict[str, list[int]]]
    unlisted: NotRequired[dict[str, list[int]]]
    hidden: NotRequired[dict[str, list[int]]]


class Differences(TypedDict):
    """The differences of one kind of entities."""

    born: Sequence[int | str]
    gone: Sequence[int | str]
    returned: Sequence[int | str]
    changed: dict[str, list[str]]


#: The differences between two dates.
Changes = TypedDict(
    "Changes",
    {
        "from": str,
        "to": str,
        "models": Differences,
        "creators": Differences,
        "tags": Differences,
        "images": Differences,
    },
)


def account(day: SimulatedDay) -> Account:
    """The entities of a date, by id, with true counters.

    `models` and `versions` have the counters of the `stats` objects by id (only versions of visible models, with
    `modelId` and `baseModel`), `creators` and `tags` their `modelCount` by name, `baseModels` sums over `versions`,
    `images` the number of gallery images and the highest id, `counts` the number of each.
    """
    columns, models = day.columns, day.model_counters
    of_models: dict[str, Counters] = {
        str(columns.model_id[i]): {
            "downloadCount": int(models.downloads[i]),
            "favoriteCount": int(models.favorites[i]),
            "commentCount": int(models.comments[i]),
            "ratingCount": int(models.ratings[i]),
            "rating": float(models.rating[i]),
            "thumbsUpCount": int(models.thumbs_up[i]),
            "thumbsDownCount": int(models.thumbs_down[i]),
        }
        for i in np.flatnonzero(day.model_visible).tolist()
    }
    of_versions, bases = _account_of_versions(day)
    creators = {
        columns.usernames[i]: int(day.model_count_of_creator[i])
        for i in np.flatnonzero(columns.creator_visible(day.day)).tolist()
    }
    tags = {
        vocabulary.tag_name(i): int(day.model_count_of_tag[i])
        for i in np.flatnonzero(columns.tags.first_used <= day.day).tolist()
    }
    images = day.gallery.until(day.day)
    return {
        "date": day.date.isoformat(),
        "models": of_models,
        "versions": of_versions,
        "creators": creators,
        "tags": tags,
        "baseModels": bases,
        "images": {"count": images, "lastId": int(day.gallery.image_id[images - 1]) if images else None},
        "counts": {
            "models": len(of_models),
            "versions": len(of_versions),
            "creators": len(creators),
            "tags": len(tags),
            "baseModels": len(bases),
            "images": images,
        },
    }


def _account_of_versions(day: SimulatedDay) -> tuple[dict[str, Counters], dict[str, dict[str, int]]]:
    """The counters of the versions by id, and their sums by base model."""
    columns, versions = day.columns, day.version_counters
    base = columns.version_base_model(day.day)
    found: dict[str, Counters] = {}
    bases: dict[str, dict[str, int]] = {}
    for i in np.flatnonzero(day.version_shown).tolist():
        name = vocabulary.BASE_MODELS[base[i]][0]
        downloads, thumbs = int(versions.downloads[i]), int(versions.thumbs_up[i])
        found[str(columns.version_id[i])] = {
            "modelId": int(columns.model_id[columns.version_model[i]]),
            "baseModel": name,
            "downloadCount": downloads,
            "ratingCount": int(versions.ratings[i]),
            "rating": float(versions.rating[i]),
            "thumbsUpCount": thumbs,
            "thumbsDownCount": int(versions.thumbs_down[i]),
        }
        total = bases.setdefault(name, {"versions": 0, "downloadCount": 0, "thumbsUpCount": 0})
        total["versions"] += 1
        total["downloadCount"] += downloads
        total["thumbsUpCount"] += thumbs
    return found, bases


def live_account(live: LiveDay) -> Account:
    """The entities of a date, as in `account`, with the counters of the live dialect and what it does not show.

    `models` have `downloadCount`, `thumbsUpCount`, `thumbsDownCount`, `commentCount` and `tippedAmountCount`,
    `versions` the first three, `modelId` and `baseModel`. All are true, also if the service answers null: `hidden` has
    the ids of these models by counter (`downloadCount` hides that of their versions, too). `listed` has the ids of the
    models in each listing, `default` and `nsfw`; `unlisted` the `models` and `versions` that exist but are in neither.
    """
    day, traits, columns = live.day, live.traits, live.day.columns
    result = account(day)
    row_of = {str(model_id): row for row, model_id in enumerate(columns.model_id.tolist())}
    for model_id, counters in result["models"].items():
        for name in ("favoriteCount", "ratingCount", "rating"):
            del counters[name]
        counters["tippedAmountCount"] = int(traits.tips(row_of[model_id], day.model_counters))
    for counters in result["versions"].values():
        del counters["ratingCount"], counters["rating"]
    listed: dict[str, list[int]] = {}
    versions: set[int] = set()
    for name, mature in (("default", False), ("nsfw", True)):
        query = LiveModelQuery(sort="Oldest", mature=mature)
        shown = {int(row): live.versions_listed(int(row), query) for row in live.models(query).rows}
        listed[name] = sorted(int(columns.model_id[row]) for row, ids in shown.items() if ids is not None)
        versions.update(version_id for ids in shown.values() for version_id in ids or ())
    every = {*listed["default"], *listed["nsfw"]}
    result["listed"] = listed
    result["unlisted"] = {
        "models": [int(model_id) for model_id in result["models"] if int(model_id) not in every],
        "versions": [int(version_id) for version_id in result["versions"] if int(version_id) not in versions],
    }
    hidden = {"downloadCount": traits.downloads_hidden(day.day), "tippedAmountCount": traits.tips_hidden(day.day)}
    result["hidden"] = {name: columns.model_id[mask & day.model_visible].tolist() for name, mask in hidden.items()}
    return result


def changes(before: SimulatedDay, after: SimulatedDay) -> Changes:
    """The differences between two dates, without counters, for models, creators, tags and gallery images.

    Each kind has `born` (published in between and there now), `gone`, `returned` (there now and earlier, but not on the
    first date) and `changed`, which has the reasons by id: new_version, version_removed, base_model, renamed,
    description, tags, licence, creator_deleted, creator_image; for creators: image. The dates may be equal, but not
    reversed.
    """
    columns = before.columns
    first, last = before.day, after.day
    was, is_there = before.model_visible, after.model_visible
    known = columns.model_born <= first
    reasons = model_changes(columns, first, last)
    changed: dict[str, list[str]] = {}
    both = was & is_there
    for reason, mask in reasons.items():
        for model in columns.model_id[mask & both].tolist():
            changed.setdefault(str(model), []).append(reason)

    names = columns.usernames
    creator_was, creator_is = columns.creator_visible(first), columns.creator_visible(last)
    new_image = (first < columns.creator_new_image) & (columns.creator_new_image <= last)
    tag_was, tag_is = columns.tags.first_used <= first, columns.tags.first_used <= last
    gallery = after.gallery
    new_images = gallery.image_id[before.gallery.until(first) : gallery.until(last)]

    def creators(mask: Mask) -> list[str]:
        return [names[i] for i in np.flatnonzero(mask).tolist()]

    return {
        "from": before.date.isoformat(),
        "to": after.date.isoformat(),
        "models": {
            "born": columns.model_id[~known & is_there].tolist(),
            "gone": columns.model_id[was & ~is_there].tolist(),
            "returned": columns.model_id[known & ~was & is_there].tolist(),
            "changed": changed,
        },
        "creators": {
            "born": creators(~creator_was & creator_is),
            "gone": creators(creator_was & ~creator_is),
            "returned": [],
            "changed": {name: ["image"] for name in creators(new_image & creator_was & creator_is)},
        },
        "tags": {
            "born": [vocabulary.tag_name(i) for i in np.flatnonzero(~tag_was & tag_is).tolist()],
            "gone": [],
            "returned": [],
            "changed": {},
        },
        "images": {"born": new_images.tolist(), "gone": [], "returned": [], "changed": {}},
    }


def live_changes(before: LiveDay, after: LiveDay) -> Changes:
    """The differences between two dates, as in `changes`, with these reasons of the live dialect:

    archived, taken_down, availability (an early access ended), rated (of a version), licence_form (all models at once).
    A creator that hides counters changes only the counters of a document.
    """
    traits, columns = before.traits, before.day.columns
    first, last = before.day.day, after.day.day
    result = changes(before.day, after.day)

    def between(moment: npt.NDArray[np.int64]) -> Mask:
        return (first < moment) & (moment <= last)

    def of_models(mask: Mask) -> Mask:
        shown = columns.version_visible(first) & columns.version_visible(last)
        return np.bincount(columns.version_model[mask & shown], minlength=len(columns.model_id)) > 0

    new_form = any(first < day <= last for day in (LICENCE_IS_LIST, LICENCE_IS_TEXT))
    reasons = {
        "archived": between(traits.archived_on),
        "taken_down": between(traits.taken_down_on),
        "availability": of_models(between(traits.public_on)),
        "rated": of_models(between(traits.rated_on)),
        "licence_form": np.full(len(columns.model_id), new_form),
    }
    both = before.day.model_visible & after.day.model_visible
    for reason, mask in reasons.items():
        for model in columns.model_id[mask & both].tolist():
            result["models"]["changed"].setdefault(str(model), []).append(reason)
    return result


def model_changes(columns: Simulation, first: int, last: int) -> dict[str, Mask]:
    """Reason -> per model: its document differs between the two days for that reason (if it is shown on both)."""
    models = len(columns.model_id)

    def between(moment: npt.NDArray[np.int64]) -> Mask:
        return (first < moment) & (moment <= last)

    def of_models(owner: npt.NDArray[np.int64] | npt.NDArray[np.int32], mask: Mask) -> Mask:
        return np.bincount(owner[mask], minlength=models) > 0

    owner, creator = columns.version_model, columns.model_creator
    version_was, version_is = columns.version_visible(first), columns.version_visible(last)
    deleted = columns.creator_deleted[creator]
    slots_differ = columns.tags.active(first) != columns.tags.active(last)
    return {
        "renamed": between(columns.model_renamed),
        "description": columns.description_revision(first) != columns.description_revision(last),
        "licence": between(columns.model_relicensed),
        "tags": of_models(columns.tags.model, slots_differ),
        "new_version": of_models(owner, ~version_was & version_is),
        "version_removed": of_models(owner, version_was & ~version_is),
        "base_model": of_models(owner, version_was & version_is & between(columns.version_corrected)),
        "creator_deleted": between(deleted),
        "creator_image": between(columns.creator_new_image[creator]) & (deleted > last),
    }
