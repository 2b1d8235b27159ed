"""A catalogue of given documents, served byte for byte.

Nothing is filtered out or repaired: the list pages have all documents, also broken ones and those that are no object.
Filters, orders and the other endpoints use the readable parts of the documents and leave out the rest. Creators, tags
and images are derived from the models. Without a `sort`, models come in the order of the file, and images newest first,
by their ids.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from pathlib import Path
from typing import NotRequired, TypedDict
from urllib.parse import quote

import msgspec

from emulator.catalogue import IMAGE_LEVELS, PERIOD_DAYS, ImageQuery, Listing, ModelQuery
from emulator.catalogue_file import read_lines
from emulator.simulation import vocabulary
from emulator.versions import decoded, list_of, object_of

_LEVEL_BITS = {"None": 1, "Soft": 2, "Mature": 4, "X": 8}
_REACTIONS = ("thumbsUpCount", "likeCount", "heartCount", "laughCount", "cryCount")
_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class _ModelFacts:
    """The usable part of a document."""

    id: int | None
    name: str
    type: str
    nsfw: object
    username: str | None
    avatar: str | None
    tags: tuple[str, ...]
    base_models: frozenset[str]
    latest: datetime
    rating: tuple[float, ...]
    downloads: float


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """The place of a nested image (line, version, place) and the fields that /images filters by."""

    row: int
    place: tuple[int, int]
    id: int
    post_id: object
    model_id: object
    version_id: object
    username: str | None
    level: int
    created: datetime
    reactions: float
    comments: float


class Creator(TypedDict):
    """A creator in the answer of /creators."""

    username: str
    modelCount: int
    link: str
    image: NotRequired[str]


class User(TypedDict):
    """A creator in the answer of /users."""

    id: int
    username: str
    image: NotRequired[str]


class Tag(TypedDict):
    """A tag in the answer of /tags."""

    name: str
    modelCount: int
    link: str


_SORT_KEYS: dict[str | None, Callable[[_ModelFacts], tuple[datetime | float, ...]]] = {
    "Newest": lambda facts: (facts.latest,),
    "Most Downloaded": lambda facts: (facts.downloads,),
    "Highest Rated": lambda facts: facts.rating,
}


class GivenCatalogue:
    """The documents of a file and an index of their content.

    Args:
        path: NDJSON, one document a line; `.zst` is decompressed.

    Raises:
        OSError: the file cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.lines = read_lines(path)
        self.models = [_model_facts(decoded(line)) for line in self.lines]
        self._orders: dict[str | None, Sequence[int]] = {}
        #: The first line of each id.
        self.row_of = {facts.id: row for row, facts in reversed(list(enumerate(self.models))) if facts.id is not None}

    def on(self, on: date | None) -> "GivenMoment":
        """The catalogue at noon of a date, or now. Only the clock and the `period` filter depend on it."""
        return GivenMoment(self, datetime.combine(on, time(12), UTC) if on else datetime.now(UTC))

    def in_order(self, sort: str | None) -> Sequence[int]:
        """The lines of all models in an order. They are sorted once, not for each page."""
        if sort not in self._orders:
            key = _SORT_KEYS.get(sort)
            rows = range(len(self.models))
            self._orders[sort] = sorted(rows, key=lambda row: key(self.models[row]), reverse=True) if key else rows
        return self._orders[sort]

    @cached_property
    def images(self) -> list[ImageFacts]:
        """The nested images with an id, each id once, the highest first."""
        found: dict[int, ImageFacts] = {}
        for row, line in enumerate(self.lines):
            for image in _image_facts(row, decoded(line)):
                found.setdefault(image.id, image)
        return sorted(found.values(), key=lambda image: -image.id)

    @cached_property
    def version_rows(self) -> dict[int, int]:
        """The first line of each version id."""
        found: dict[int, int] = {}
        for row, line in enumerate(self.lines):
            for version in map(object_of, list_of(object_of(decoded(line)).get("modelVersions"))):
                version_id = _integer(version.get("id"))
                if version_id is not None:
                    found.setdefault(version_id, row)
        return found

    @cached_property
    def versions_of_hash(self) -> dict[str, list[int]]:
        """Upper-case hash -> ids of the versions with such a file, the oldest first."""
        found: dict[str, dict[int, datetime]] = {}
        for line in self.lines:
            for version in map(object_of, list_of(object_of(decoded(line)).get("modelVersions"))):
                version_id = _integer(version.get("id"))
                for file in map(object_of, list_of(version.get("files"))):
                    for text in object_of(file.get("hashes")).values():
                        if isinstance(text, str) and version_id is not None:
                            found.setdefault(text.upper(), {})[version_id] = _published(version)
        return {text: [one for _, one in sorted((day, one) for one, day in ids.items())] for text, ids in found.items()}

    @cached_property
    def image_ids(self) -> frozenset[int]:
        return frozenset(image.id for image in self.images)

    @cached_property
    def creators(self) -> list[Creator]:
        """The creators of the models, by name, with their numbers of models."""
        found: dict[str, Creator] = {}
        for facts in self.models:
            if facts.username is not None:
                link = f"https://civitai.com/api/v1/models?username={quote(facts.username)}"
                creator = found.setdefault(facts.username, Creator(username=facts.username, modelCount=0, link=link))
                creator["modelCount"] += 1
                if facts.avatar is not None:
                    creator.setdefault("image", facts.avatar)
        return sorted(found.values(), key=lambda creator: creator["username"])

    @cached_property
    def tags(self) -> list[Tag]:
        """The tags of the models, most frequent first, with their numbers of models."""
        counts: dict[str, int] = {}
        for facts in self.models:
            for tag in dict.fromkeys(facts.tags):
                counts[tag] = counts.get(tag, 0) + 1
        link = "https://civitai.com/api/v1/models?tag="
        ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
        return [Tag(name=name, modelCount=count, link=link + quote(name)) for name, count in ordered]

    def image_document(self, image: ImageFacts) -> bytes:
        """A nested image, with the creator's name and, if it has no time, that of its version."""
        version, place = image.place
        versions = list_of(object_of(decoded(self.lines[image.row])).get("modelVersions"))
        fields = object_of(list_of(object_of(versions[version]).get("images"))[place])
        if image.created > _LONG_AGO:
            fields.setdefault("createdAt", image.created.isoformat(timespec="milliseconds").replace("+00:00", "Z"))
        if image.username is not None:
            fields.setdefault("username", image.username)
        return _encode(fields)


class GivenMoment:
    """A given catalogue at a moment; implements `emulator.catalogue.Catalogue`."""

    def __init__(self, given: GivenCatalogue, now: datetime) -> None:
        self.given = given
        self._now = now

    @property
    def now(self) -> datetime:
        return self._now

    def models(self, query: ModelQuery) -> Listing[int]:
        facts, rows = self.given.models, self.given.in_order(query.sort)
        chosen = [row for row in rows if self._matches(facts[row], query)] if _filters(query) else rows
        return Listing(chosen, self.given.lines.__getitem__)

    def items(self, _: ModelQuery, rows: Sequence[int]) -> bytes:
        return b",".join(map(self.given.lines.__getitem__, rows))

    def model(self, model_id: int) -> bytes | None:
        row = self.given.row_of.get(model_id)
        return None if row is None else self.given.lines[row]

    def images(self, query: ImageQuery) -> Listing[ImageFacts]:
        if query == ImageQuery(sort="Newest") or query == ImageQuery():
            return Listing(self.given.images, self.given.image_document)
        since = self._since(query.period)
        chosen = [
            image
            for image in self.given.images
            if (query.post_id is None or image.post_id == query.post_id)
            and (query.model_id is None or image.model_id == query.model_id)
            and (query.version_id is None or image.version_id == query.version_id)
            and (query.username is None or (image.username or "").casefold() == query.username.casefold())
            and (query.nsfw is None or image.level & IMAGE_LEVELS[query.nsfw])
            and image.created >= since
        ]
        if query.sort == "Most Reactions":
            chosen.sort(key=lambda image: -image.reactions)
        elif query.sort == "Most Comments":
            chosen.sort(key=lambda image: -image.comments)
        return Listing(chosen, self.given.image_document)

    def creators(self, text: str | None) -> Listing[Creator]:
        wanted = (text or "").casefold()
        return Listing([one for one in self.given.creators if wanted in one["username"].casefold()], _encode)

    def tags(self, text: str | None) -> Listing[Tag]:
        wanted = (text or "").casefold()
        return Listing([one for one in self.given.tags if wanted in one["name"].casefold()], _encode)

    def enums(self) -> bytes:
        models = self.given.models
        base_models = sorted({name for model in models for name in model.base_models})
        return _encode(
            {
                "ModelType": sorted({model.type for model in models if model.type}),
                "ModelFileType": vocabulary.FILE_TYPES,
                "ActiveBaseModel": base_models,
                "BaseModel": base_models,
                "BaseModelType": vocabulary.BASE_MODEL_TYPES,
            }
        )

    def owner(self, version_id: int) -> bytes | None:
        row = self.given.version_rows.get(version_id)
        return None if row is None else self.given.lines[row]

    def versions_by_hash(self, hashes: Iterable[str]) -> dict[str, list[int]]:
        known = self.given.versions_of_hash
        return {text: known[text.upper()] for text in hashes if text.upper() in known}

    def users(self, text: str | None) -> Listing[User]:
        wanted = (text or "").casefold()
        users = []
        for number, creator in enumerate(self.given.creators):
            user = User(id=20_000 + 3 * number, username=creator["username"])
            if "image" in creator:
                user["image"] = creator["image"]
            users.append(user)
        return Listing([one for one in users if one["username"].casefold().startswith(wanted)], _encode)

    def has_image(self, image_id: int) -> bool:
        return image_id in self.given.image_ids

    def has_post(self, post_id: int) -> bool:
        return any(image.post_id == post_id for image in self.given.images)

    def _since(self, period: str | None) -> datetime:
        return self._now - timedelta(days=PERIOD_DAYS[period]) if period in PERIOD_DAYS else _LONG_AGO

    def _matches(self, model: _ModelFacts, query: ModelQuery) -> bool:
        return (
            (query.query is None or query.query.casefold() in model.name.casefold())
            and (query.tag is None or query.tag.strip().casefold() in [tag.strip().casefold() for tag in model.tags])
            and (query.username is None or (model.username or "").casefold() == query.username.casefold())
            and (not query.types or model.type in query.types)
            and (query.nsfw is None or model.nsfw is query.nsfw)
            and model.latest >= self._since(query.period)
        )


def _filters(query: ModelQuery) -> bool:
    """Whether a query has a filter."""
    return query != ModelQuery(sort=query.sort)


def _model_facts(document: object) -> _ModelFacts:
    model = object_of(document)
    creator, stats = object_of(model.get("creator")), object_of(model.get("stats"))
    versions = [object_of(version) for version in list_of(model.get("modelVersions"))]
    return _ModelFacts(
        id=_integer(model.get("id")),
        name=_text(model.get("name")) or "",
        type=_text(model.get("type")) or "",
        nsfw=model.get("nsfw"),
        username=_text(creator.get("username")),
        avatar=_text(creator.get("image")),
        tags=tuple(tag for tag in list_of(model.get("tags")) if isinstance(tag, str)),
        base_models=frozenset(name for version in versions if (name := _text(version.get("baseModel")))),
        latest=max((_published(version) for version in versions), default=_LONG_AGO),
        rating=tuple(_number(stats.get(name)) for name in ("rating", "thumbsUpCount", "ratingCount", "downloadCount")),
        downloads=_number(stats.get("downloadCount")),
    )


def _image_facts(row: int, document: object) -> Iterator[ImageFacts]:
    model = object_of(document)
    username = _text(object_of(model.get("creator")).get("username"))
    for number, version in enumerate(map(object_of, list_of(model.get("modelVersions")))):
        for place, image in enumerate(map(object_of, list_of(version.get("images")))):
            image_id = _integer(image.get("id"))
            if image_id is None:
                continue
            stats = object_of(image.get("stats"))
            yield ImageFacts(
                row=row,
                place=(number, place),
                id=image_id,
                post_id=image.get("postId"),
                model_id=model.get("id"),
                version_id=version.get("id"),
                username=_text(image.get("username")) or username,
                level=_level(image),
                created=_moment(image.get("createdAt")) or _published(version),
                reactions=sum(_number(stats.get(name)) for name in _REACTIONS),
                comments=_number(stats.get("commentCount")),
            )


def _level(image: dict[str, object]) -> int:
    """The browsing level of an image in any of its generations: a bit, or a name in `nsfwLevel` or `nsfw`."""
    for value in (image.get("nsfwLevel"), image.get("nsfw")):
        if isinstance(value, str) and value in _LEVEL_BITS:
            return _LEVEL_BITS[value]
        if isinstance(value, int) and not isinstance(value, bool):
            return value
    return _LEVEL_BITS["X"] if image.get("nsfw") is True else _LEVEL_BITS["None"]


def _published(version: dict[str, object]) -> datetime:
    return _moment(version.get("publishedAt")) or _moment(version.get("createdAt")) or _LONG_AGO


def _moment(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _integer(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _number(value: object) -> float:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else -1
