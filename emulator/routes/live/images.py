"""The images of the live service: the feed with its three kinds of cursors, and the database's answers."""

import re
from dataclasses import dataclass, replace
from datetime import datetime

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from emulator.catalogue import ImageQuery
from emulator.live.catalogue import LiveCatalogue
from emulator.live.queries import LiveImageQuery
from emulator.live.traits import PG
from emulator.parameters import PERIODS, BadParameterError, Reader, Sent, integer, one_of, text
from emulator.routes.live.answers import EVERY_METHOD, PUBLIC, AnswerError, address, encode, levels_for, list_body, page
from emulator.routes.live.parameters import FALSE, TRUE, flag, numbers, read, refuse_depth
from emulator.routes.live.service import LiveService
from emulator.routes.spec import BASE_PATH

_IMAGE_LEVELS = {"None": 1, "Soft": 3, "Mature": 7, "X": 31, "Blocked": 63}


def _listed(_: str, values: list[str]) -> tuple[str, ...]:
    return tuple(part.strip() for value in values for part in value.split(","))


def _username(name: str, values: list[str]) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_]*", values[-1]):
        raise BadParameterError(f"{name} is no username: {values[-1][:80]!r}")
    return values[-1]


def _image_nsfw(name: str, values: list[str]) -> int:
    """A level and all below it; but `true` is only mature levels (5)."""
    value = one_of(*_IMAGE_LEVELS, *TRUE, *FALSE)(name, values)
    if value in _IMAGE_LEVELS:
        return _IMAGE_LEVELS[value]
    return 4 | 8 | 16 | 32 if value in TRUE else PG


_IMAGES: dict[str, Reader[object]] = {
    "limit": integer(0, 200),
    "page": integer(1),
    "cursor": text,
    "postId": integer(),
    "modelId": integer(),
    "modelVersionId": integer(),
    "imageId": integer(),
    "ids": numbers,
    "userId": integer(),
    "tags": numbers,
    "username": _username,
    "sort": one_of("Most Reactions", "Most Comments", "Most Collected", "Newest", "Oldest", "Random"),
    "period": one_of(*PERIODS),
    "nsfw": _image_nsfw,
    "browsingLevel": integer(),
    "withMeta": flag,
    "requiringMeta": flag,
    "flatMeta": flag,
    "withTags": flag,
    "type": one_of("image", "video", "audio"),
    "baseModels": _listed,
}
#: The parameters of images that do not change the feed.
_UNFILTERED = {"limit", "page", "cursor", "sort", "nsfw", "browsingLevel", "withMeta", "flatMeta", "withTags"}


@dataclass(frozen=True)
class _CursorKind:
    """A cursor of the feed of images: its pattern and its format, both with two numbers."""

    form: re.Pattern[str]
    text: str


_BY_IMAGE = _CursorKind(re.compile(r"feed:(\d{1,15}):(\d{1,18})", re.ASCII), "feed:{}:{}")
_BY_OFFSET = _CursorKind(re.compile(r"(\d{1,15})\|(\d{1,15})", re.ASCII), "{}|{}")
_FILTERED = _CursorKind(re.compile(r'(\d{1,15})\|bdx:\{"until":(\d{1,15})\}', re.ASCII), '{}|bdx:{{"until":{}}}')


def _cursor_kind(sent: Sent) -> _CursorKind:
    """The kind of cursor of a feed of images."""
    if sent.keys() - _UNFILTERED:
        return _FILTERED
    return _BY_IMAGE if sent.text("sort") in {"Newest", "Oldest"} else _BY_OFFSET


class ImageRoutes:
    """The operation on images."""

    def __init__(self, service: LiveService) -> None:
        self._service = service

    def routes(self) -> list[Route]:
        return [
            Route(BASE_PATH + "/images", self.images, methods=EVERY_METHOD),
        ]

    async def images(self, request: Request) -> Response:
        sent = read(_IMAGES, request)
        refuse_depth(sent)
        catalogue = self._service.show()
        if not set(sent.texts("baseModels")) <= set(catalogue.base_models()):
            raise AnswerError(400, {"message": "Invalid baseModels"})
        # A query only by model, or for one image, uses the database, not the feed (5).
        database = "imageId" in sent or ("modelId" in sent and "modelVersionId" not in sent)
        answer = self._database_images if database else self._feed_images
        response = answer(request, sent, catalogue)
        response.headers.update(PUBLIC)
        return response

    def _image_query(self, request: Request, sent: Sent, sort: str, until: int) -> LiveImageQuery:
        named = (sent.numbers("ids") or frozenset()) | ({sent.number("imageId", 0)} if "imageId" in sent else set())
        known = {"Most Collected": "Most Reactions", "Random": "Newest", "Oldest": "Newest"}
        return LiveImageQuery(
            levels=sent.number("browsingLevel", sent.number("nsfw", PG)) & levels_for(request, every=63),
            until=until,
            image_ids=named or None,
            type=sent.text("type"),
            user_id=sent.number("userId"),
            base_models=sent.texts("baseModels"),
            tags=sent.numbers("tags") or frozenset(),
            with_meta=sent.flag("requiringMeta"),
            oldest_first=sort == "Oldest",
            query=ImageQuery(
                post_id=sent.number("postId"),
                model_id=sent.number("modelId"),
                version_id=sent.number("modelVersionId"),
                username=sent.text("username"),
                sort=known.get(sort, sort),
                period=sent.text("period"),
            ),
        )

    def _feed_images(self, request: Request, sent: Sent, catalogue: LiveCatalogue) -> Response:
        """Pages of the feed, by one of three kinds of cursors, which exclude each other (1). `page` is ignored (0.1).

        By the image before, `feed:milliseconds:id`, if only the time orders and filters it. Otherwise by offset in the
        feed at the time of the first page: `offset|milliseconds`, and with filters `offset|bdx:{json}`.
        """
        sort, limit, kind = sent.text("sort", "Most Reactions"), sent.number("limit", 100), _cursor_kind(sent)
        query = self._image_query(request, sent, sort, int(self._service.clock.catalogue().now.timestamp() * 1000))
        offset = 0
        if "cursor" in sent:
            parts = kind.form.fullmatch(sent.text("cursor", ""))
            if parts is None:
                raise AnswerError(400, {"message": "Invalid cursor: unparseable value"})
            first, second = map(int, parts.groups())
            if kind is _BY_IMAGE:
                query = replace(query, after=(first, second))
            else:
                offset, query = first, replace(query, until=second)
        listing = catalogue.images(query)
        items = [_image(one, sent) for one in listing.documents(offset, offset + limit)]
        metadata: dict[str, str] = {}
        if offset + limit < len(listing):
            values = _moment_and_id(items[-1]) if kind is _BY_IMAGE and items else (offset + limit, query.until)
            metadata["nextCursor"] = kind.text.format(*values)
            pairs = [pair for pair in request.query_params.multi_items() if pair[0] not in {"cursor", "page"}]
            # With `page` the link has the next `page`, which is ignored: an endless first page (1).
            onward = ("page", str(sent.number("page", 0) + 1)) if "page" in sent else ("cursor", metadata["nextCursor"])
            metadata["nextPage"] = address(request, [*pairs, onward])
        return list_body(b",".join(items), metadata)

    def _database_images(self, request: Request, sent: Sent, catalogue: LiveCatalogue) -> Response:
        """Cursors are image ids, newest first, and lose the image at each boundary; `page` works (0.1, 1)."""
        now = int(self._service.clock.catalogue().now.timestamp() * 1000)
        listing = catalogue.images(self._image_query(request, sent, "Newest", now))
        limit = sent.number("limit", 100)
        documents = listing.documents(0, len(listing))
        ids = [msgspec.json.decode(one)["id"] for one in documents]
        start = (sent.number("page", 1) - 1) * limit
        if "cursor" in sent:
            if not re.fullmatch(r"\d{1,18}", sent.text("cursor", ""), re.ASCII):
                raise AnswerError(400, {"message": "Invalid cursor: unparseable value"})
            start = sum(image_id >= int(sent.text("cursor", "")) for image_id in ids)
        items = [_image(one, sent, wrapped=True) for one in documents[start : start + limit]]
        following = str(ids[start + limit]) if start + limit < len(ids) else None
        return page(request, sent, b",".join(items), following)


def _moment_and_id(image: bytes) -> tuple[int, int]:
    """The time of an image, in milliseconds since 1970, and its id."""
    fields = msgspec.json.decode(image)
    return int(datetime.fromisoformat(fields["createdAt"]).timestamp() * 1000), fields["id"]


def _image(document: bytes, sent: Sent, wrapped: bool = False) -> bytes:
    """An image with `meta` only on request; the database's answers wrap it unless `flatMeta` is sent (5)."""
    fields = msgspec.json.decode(document)
    meta = fields.get("meta") if sent.flag("withMeta") else None
    if meta is not None and wrapped and not sent.flag("flatMeta"):
        meta = {"id": fields["id"], "meta": meta}
    fields["meta"] = meta
    if sent.flag("withTags"):
        fields["tags"] = []
    return encode(fields)
