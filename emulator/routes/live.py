"""The routes of the Site API as the live service answers today (`--dialect live`), after civitai-api.md.

Numbers in brackets are its sections. Errors have the many shapes of the service; a wrong key makes one anonymous where
reading needs no key, and is a 401 where it does. The country of a reader is that of the edge's header CF-IPCountry.
Overload and pages of the edge come as faults on order.
"""

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any
from urllib.parse import urlencode

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from emulator.catalogue import Catalogue, ImageQuery
from emulator.clock import Clock
from emulator.given import GivenMoment
from emulator.live.catalogue import (
    LiveCatalogue,
    LiveDay,
    LiveGiven,
    LiveImageQuery,
    LiveModelQuery,
    MissingFileError,
)
from emulator.live.documents import LiveDocuments
from emulator.live.keyset import SORTS, BadCursorError
from emulator.live.traits import ALL_LEVELS, PG, SFW, LiveTraits
from emulator.member import USER_ID, USERNAME, Member, Stored, VaultRefusedError
from emulator.parameters import PERIODS, BadParameterError, Reader, any_of, integer, one_of, text
from emulator.routes.spec import BASE_PATH, json_response
from emulator.simulation import vocabulary
from emulator.simulation.dice import Ints
from emulator.spec.catalogue import SimulatedDay

REGION_BLOCKED = "Access to this service is not available in your region due to legal restrictions."
BLOCKED_REGIONS = frozenset({"GB", "AU"})
#: The service's own list is not public: XX stands for its countries.
RESTRICTED_REGIONS = frozenset({"XX"})
_COUNTRY = "cf-ipcountry"
TOO_MANY_PAGES = "You've requested too many pages, please use cursors instead"
#: page * limit may not be more (1).
_DEEPEST = 1000
_INT4 = 2_147_483_647
_PUBLIC = {"Cache-Control": "public, s-maxage=300, stale-while-revalidate=150"}
_BY_HASH = {"Cache-Control": "public, s-maxage=3600, stale-while-revalidate=1800"}
_SHA256 = re.compile(r"[0-9A-Fa-f]{64}", re.ASCII)
_SHA256_LIST = "Request must include an array of SHA256 Hashes. "
_IMAGE_LEVELS = {"None": 1, "Soft": 3, "Mature": 7, "X": 31, "Blocked": 63}
_TRUE, _FALSE = ("true", "1", "yes"), ("false", "0", "no")
_encode = msgspec.json.Encoder().encode

Answer = Callable[[Request], Awaitable[Response]]


def _flag(name: str, values: list[str]) -> bool:
    return one_of(*_TRUE, *_FALSE)(name, values) in _TRUE


def _coerced(_: str, values: list[str]) -> bool:
    """Any text is true, "false" too: the traps of z.coerce.boolean (2)."""
    return values[-1] != ""


def _refused(name: str, _: list[str]) -> bool:
    raise BadParameterError(f"{name} expects no string, and a query has only strings")


def _numbers(name: str, values: list[str]) -> frozenset[int]:
    return frozenset(integer()(name, [part]) for value in values for part in value.split(",") if part.strip())


def _any(_: str, values: list[str]) -> tuple[str, ...]:
    return tuple(values)


def _listed(_: str, values: list[str]) -> tuple[str, ...]:
    return tuple(part.strip() for value in values for part in value.split(","))


def _username(name: str, values: list[str]) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_]*", values[-1]):
        raise BadParameterError(f"{name} is no username: {values[-1][:80]!r}")
    return values[-1]


def _image_nsfw(name: str, values: list[str]) -> int:
    """A level and all below it; but `true` is only what is mature (5)."""
    value = one_of(*_IMAGE_LEVELS, *_TRUE, *_FALSE)(name, values)
    if value in _IMAGE_LEVELS:
        return _IMAGE_LEVELS[value]
    return 4 | 8 | 16 | 32 if value in _TRUE else PG


_MODELS: dict[str, Reader] = {
    "limit": integer(0, 100),
    "page": integer(1),
    "cursor": text,
    "query": text,
    "ids": _numbers,
    "modelVersionIds": _numbers,
    "tag": text,
    "tagname": text,
    "username": text,
    "user": text,
    "types": any_of(*vocabulary.LIVE_MODEL_TYPES),
    "baseModels": _any,
    "sort": one_of(*SORTS),
    "period": one_of(*PERIODS),
    "periodMode": one_of("published", "stats"),
    "nsfw": _flag,
    "favorites": _flag,
    "hidden": _flag,
    "checkpointType": one_of("Trained", "Merge"),
    "archived": _coerced,
    "supportsGeneration": _coerced,
    "earlyAccess": _coerced,
    "fromPlatform": _coerced,
    "primaryFileOnly": _flag,
    "availability": one_of("Public", "Unsearchable", "Private", "EarlyAccess"),
    "allowCommercialUse": any_of("None", "Image", "RentCivit", "Rent", "Sell"),
    "fileFormats": _any,
    "allowDerivatives": _refused,
    "allowNoCredit": _refused,
    "allowDifferentLicense": _refused,
    "browsingLevel": _refused,
    "collectionId": _refused,
    "isFeatured": _refused,
}
_IMAGES: dict[str, Reader] = {
    "limit": integer(0, 200),
    "page": integer(1),
    "cursor": text,
    "postId": integer(),
    "modelId": integer(),
    "modelVersionId": integer(),
    "imageId": integer(),
    "ids": _numbers,
    "userId": integer(),
    "tags": _numbers,
    "username": _username,
    "sort": one_of("Most Reactions", "Most Comments", "Most Collected", "Newest", "Oldest", "Random"),
    "period": one_of(*PERIODS),
    "nsfw": _image_nsfw,
    "browsingLevel": integer(),
    "withMeta": _flag,
    "requiringMeta": _flag,
    "flatMeta": _flag,
    "withTags": _flag,
    "type": one_of("image", "video", "audio"),
    "baseModels": _listed,
}
#: The parameters of images that leave the feed as it is.
_UNFILTERED = {"limit", "page", "cursor", "sort", "nsfw", "browsingLevel", "withMeta", "flatMeta", "withTags"}
_NAMES: dict[str, Reader] = {"limit": integer(1, 200), "page": integer(1), "query": text}
_USERS: dict[str, Reader] = {"ids": _numbers, "query": text}
_PERMISSIONS: dict[str, Reader] = {
    "entityIds": _numbers,
    "entityType": one_of("ModelVersion"),
    "permission": one_of("Generate"),
    "userId": integer(),
}
_VAULT: dict[str, Reader] = {
    "limit": integer(1, 200),
    "page": integer(1),
    "query": text,
    "sort": one_of("Recently Added", "Recently Created", "Model Name", "Model Size"),
}


@dataclass(frozen=True)
class _CursorKind:
    """A cursor of the feed of images: its form, and how it is written; both have two numbers."""

    form: re.Pattern[str]
    text: str


_BY_IMAGE = _CursorKind(re.compile(r"feed:(\d{1,15}):(\d{1,18})", re.ASCII), "feed:{}:{}")
_BY_OFFSET = _CursorKind(re.compile(r"(\d{1,15})\|(\d{1,15})", re.ASCII), "{}|{}")
_FILTERED = _CursorKind(re.compile(r'(\d{1,15})\|bdx:\{"until":(\d{1,15})\}', re.ASCII), '{}|bdx:{{"until":{}}}')


def _cursor_kind(sent: dict[str, Any]) -> _CursorKind:
    """The kind of cursor with which a feed of images is walked."""
    if sent.keys() - _UNFILTERED:
        return _FILTERED
    return _BY_IMAGE if sent.get("sort") in {"Newest", "Oldest"} else _BY_OFFSET


class AnswerError(Exception):
    """An error that the service tells in the body of this answer."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__(status)
        self.response = json_response(_encode(body), status)


async def answer_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, AnswerError)
    return error.response


async def answer_other_error(_: Request, error: Exception) -> Response:
    """What is answered by no route: unknown paths and methods."""
    assert isinstance(error, HTTPException)
    message = "Method not allowed" if error.status_code == 405 else "Not found"
    return json_response(_encode({"error": message}), error.status_code)


def _read(readers: dict[str, Reader], request: Request, bare: bool = False) -> dict[str, Any]:
    """The values of the parameters that were sent; what is refused is a 400 with zod's issues, bare or as an error."""
    pairs = request.query_params.multi_items()
    read = {}
    for name, reader in readers.items():
        values = [value for key, value in pairs if key == name]
        try:
            if values:
                read[name] = reader(name, values)
        except BadParameterError as error:
            issues = [{"code": "invalid_value", "path": [name], "message": str(error)}]
            body = issues if bare else {"error": {"name": "ZodError", "message": _encode(issues).decode()}}
            raise AnswerError(400, body) from None
    return read


def _path_id(request: Request) -> int:
    try:
        return int(integer(1, _INT4)("id", [request.path_params["id"]]))
    except BadParameterError as error:
        raise AnswerError(400, {"error": f"✖ Invalid input: {error}"}) from None


def _page(request: Request, sent: dict[str, Any], items: Sequence[bytes], cursor: str | None) -> Response:
    """A page of a cursor-paged list. `nextPage` repeats the whole query, a token included (1)."""
    metadata: dict[str, Any] = {}
    if cursor is not None:
        query = [pair for pair in request.query_params.multi_items() if pair[0] != "cursor"]
        metadata["nextCursor"] = cursor
        metadata["nextPage"] = _address(request, [*query, ("cursor", cursor)])
    if "page" in sent:
        metadata |= {"currentPage": sent["page"], "pageSize": sent.get("limit", 100)}
    return _list_body(items, metadata)


def _list_body(items: Sequence[bytes], metadata: dict[str, Any]) -> Response:
    return json_response(b'{"items":[' + b",".join(items) + b'],"metadata":' + _encode(metadata) + b"}")


def _address(request: Request, query: list[tuple[str, str]]) -> str:
    return f"{request.url.scheme}://{request.url.netloc}{request.url.path}?{urlencode(query)}"


def _refuse_depth(sent: dict[str, Any]) -> None:
    if sent.get("page", 0) * sent.get("limit", 100) > _DEEPEST:
        raise AnswerError(429, {"error": TOO_MANY_PAGES})


def _regional(answer: Answer) -> Answer:
    """The same operation, but not for a region that is blocked; the edge tells the country (1)."""

    async def answer_region(request: Request) -> Response:
        if request.headers.get(_COUNTRY) in BLOCKED_REGIONS:
            raise AnswerError(451, {"error": REGION_BLOCKED, "code": "REGION_BLOCKED"})
        return await answer(request)

    return answer_region


def _levels(request: Request, every: int = ALL_LEVELS) -> int:
    """The browsing levels that the reader's region may see, as bits (1)."""
    return every & SFW if request.headers.get(_COUNTRY) in RESTRICTED_REGIONS else every


class LiveApi:
    """The operations of the live service.

    Args:
        clock: where the catalogue of the moment comes from.
        key: the bearer key that the service knows.
        member: whom the key belongs to.
    """

    def __init__(self, clock: Clock, key: str, member: Member) -> None:
        self._clock = clock
        self._key = key
        self._member = member
        self._shown: LiveDay | LiveGiven | None = None
        self._simulation: tuple[LiveTraits, LiveDocuments] | None = None

    def routes(self) -> list[Route]:
        """The operations, as routes below `BASE_PATH`. What is public does not look at the method (1)."""
        versions, vault = BASE_PATH + "/model-versions", BASE_PATH + "/vault"
        public = ["GET", "POST", "PUT", "PATCH", "DELETE"]
        routes = [
            Route(BASE_PATH + "/models", self.models),
            Route(BASE_PATH + "/models/{id}", self.model, methods=public),
            Route(versions + "/by-hash", self.versions_by_hash, methods=public),
            Route(versions + "/by-hash/ids", self.version_ids_by_hash, methods=public),
            Route(versions + "/by-hash/{hash}", self.version_by_hash, methods=public),
            Route(versions + "/mini/{id}", self.mini_version),
            Route(versions + "/{id}", self.version),
            Route(BASE_PATH + "/images", self.images, methods=public),
            Route(BASE_PATH + "/creators", self.creators, methods=public),
            Route(BASE_PATH + "/tags", self.tags, methods=public),
            Route(BASE_PATH + "/users", self.users, methods=public),
            Route(BASE_PATH + "/permissions/check", self.permissions, methods=public),
            Route(BASE_PATH + "/me", self.me),
            Route(vault + "/get", self.vault),
            Route(vault + "/all", self.vault_items),
            Route(vault + "/check-vault", self.check_vault),
            Route(vault + "/toggle-version", self.toggle_version, methods=["POST"]),
            Route(BASE_PATH + "/enums", self.enums),
        ]
        return [Route(one.path, _regional(one.endpoint), methods=list(one.methods or ())) for one in routes]

    def show(self) -> LiveCatalogue:
        """The catalogue of the moment as the live service shows it."""
        catalogue = self._clock.catalogue()
        shown = self._shown
        if isinstance(shown, LiveGiven) and isinstance(catalogue, GivenMoment):
            shown.day = catalogue
        elif shown is None or shown.day is not catalogue:
            shown = self._shown = self._live(catalogue)
        return shown

    def live_day(self, day: SimulatedDay) -> LiveDay:
        if self._simulation is None:
            traits = LiveTraits(day.columns)
            self._simulation = traits, LiveDocuments(day.columns, day.world.documents, traits)
        return LiveDay(day, *self._simulation)

    def _live(self, catalogue: Catalogue) -> LiveDay | LiveGiven:
        if isinstance(catalogue, SimulatedDay):
            return self.live_day(catalogue)
        assert isinstance(catalogue, GivenMoment)
        return LiveGiven(catalogue)

    def is_signed_in(self, request: Request) -> bool:
        """Whether the key is right: the header's second word, whatever the first, else `token` (1)."""
        header = request.headers.get("authorization")
        sent = request.query_params.get("token") if header is None else header.partition(" ")[2].split(" ")[0]
        return sent == self._key

    def require_key(self, request: Request) -> None:
        if not self.is_signed_in(request):
            raise AnswerError(401, {"error": "Unauthorized"})

    def mixed(self, request: Request, response: Response) -> Response:
        """Only what anonymous readers get is cached at the edge (1)."""
        if not self.is_signed_in(request):
            response.headers.update(_PUBLIC)
        return response

    async def models(self, request: Request) -> Response:
        if {"favorites", "hidden"} & set(request.query_params):
            self.require_key(request)
        sent = _read(_MODELS, request)
        _refuse_depth(sent)
        if "query" in sent and "page" in sent:
            error = "Cannot use page param with query search. Use cursor-based pagination."
            raise AnswerError(400, {"error": error})
        if sent.get("favorites") or sent.get("hidden"):
            return _page(request, sent, [], None)
        query = self._model_query(sent, _levels(request))
        catalogue = self.show()
        keyset = catalogue.models(query)
        limit, cursor = sent.get("limit", 100), sent.get("cursor")
        rows: Ints
        if query.text is None:
            try:
                rows, following = keyset.page(cursor, limit)
            except BadCursorError as error:
                raise AnswerError(400, {"message": str(error)}) from None
        else:
            offset = _offset(cursor)
            rows = keyset.rows[offset : offset + limit]
            following = str(offset + limit) if offset + limit < len(keyset.rows) else None
        documents = [catalogue.listed(int(row), query) for row in rows]
        return self.mixed(request, _page(request, sent, [one for one in documents if one is not None], following))

    def _model_query(self, sent: dict[str, Any], levels: int) -> LiveModelQuery:
        username = sent.get("username", sent.get("user"))
        if username is not None:
            username = re.sub(r"[^\w]", "", username.replace(" ", "_", 1)).casefold()
            if not self.show().knows_user(username):
                raise AnswerError(404, {"message": "User not found"})
        tag = sent.get("tag", sent.get("tagname"))
        if tag is not None and len(self.show().models(LiveModelQuery(tag=tag, mature=True, archived=True)).rows) == 0:
            tag = None  # an unknown tag is no filter at all (0.4)
        searches = "query" in sent
        return LiveModelQuery(
            sort="Highest Rated" if searches else sent.get("sort", "Highest Rated"),
            # By the time of their statistics all models are in it, whose counters are those of all time (2).
            period=None if searches or sent.get("periodMode") == "stats" else sent.get("period"),
            mature=sent.get("nsfw", False),
            named=bool({"ids", "modelVersionIds", "username", "user"} & sent.keys()),
            archived=sent.get("archived", False),
            ids=sent.get("ids"),
            version_ids=sent.get("modelVersionIds"),
            tag=tag,
            username=username,
            types=sent.get("types", ()),
            base_models=sent.get("baseModels", ()),
            text=sent.get("query"),
            generation=sent.get("supportsGeneration", False),
            primary_only=sent.get("primaryFileOnly", False),
            levels=levels,
            checkpoint_type=sent.get("checkpointType"),
            availability=sent.get("availability"),
            licences=sent.get("allowCommercialUse", ()),
            formats=sent.get("fileFormats", ()),
            early_access=sent.get("earlyAccess", False),
            from_platform=sent.get("fromPlatform", False),
        )

    async def model(self, request: Request) -> Response:
        model_id = _path_id(request)
        document = self.show().model(model_id, _levels(request))
        if document is None:
            raise AnswerError(404, {"error": f"No model with id {model_id}"})
        return json_response(document, headers=_PUBLIC)

    async def version(self, request: Request) -> Response:
        asked = request.path_params["id"]
        version_id = int(asked) if re.fullmatch(r"-?\d{1,4000}", asked, re.ASCII) else 0
        if version_id == 0:
            raise AnswerError(400, {"error": "Missing modelVersionId"})
        if version_id > _INT4:
            raise AnswerError(500, {"error": "Failed to fetch model version details"})
        return self.mixed(request, _found(partial(self.show().version, levels=_levels(request)), version_id))

    async def mini_version(self, request: Request) -> Response:
        return self.mixed(request, _found(self.show().mini, _path_id(request)))

    async def version_by_hash(self, request: Request) -> Response:
        catalogue = self.show()
        wanted = request.path_params["hash"]
        found = catalogue.versions_by_hash([wanted]).get(wanted)
        if found is None:
            raise AnswerError(404, {"error": "Model not found"})
        response = _found(catalogue.version, found[0])
        response.headers.update(_BY_HASH)
        return response

    async def _sha256s(self, request: Request, most: int) -> list[tuple[str, list[int]]]:
        """The known ones of the asked hashes, each once, with the ids of their versions."""
        try:
            asked = msgspec.json.decode(await request.body(), type=list[str])
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise AnswerError(400, {"error": _SHA256_LIST + "Expected an array of strings"}) from None
        if not asked or len(asked) > most or not all(map(_SHA256.fullmatch, asked)):
            error = f"{_SHA256_LIST}Expected 1 to {most} texts of 64 hexadecimal digits"
            raise AnswerError(400, {"error": error})
        return sorted(self.show().versions_by_hash(dict.fromkeys(one.upper() for one in asked)).items())

    async def versions_by_hash(self, request: Request) -> Response:
        """One entry per matching file, not in the order of the request; null where the version has no primary file."""
        documents = []
        for _, versions in await self._sha256s(request, 100):
            for version_id in versions:
                try:
                    document = self.show().version(version_id)
                except MissingFileError:
                    document = b"null"
                documents += [document] if document is not None else []
        return json_response(b"[" + b",".join(documents) + b"]")

    async def version_ids_by_hash(self, request: Request) -> Response:
        catalogue = self.show()
        return json_response(
            _encode(
                [
                    {"modelVersionId": version_id, "modelId": catalogue.owner_id(version_id), "hash": sha256}
                    for sha256, versions in await self._sha256s(request, 10_000)
                    for version_id in versions
                ]
            )
        )

    async def images(self, request: Request) -> Response:
        sent = _read(_IMAGES, request)
        _refuse_depth(sent)
        catalogue = self.show()
        if not set(sent.get("baseModels", ())) <= set(catalogue.base_models()):
            raise AnswerError(400, {"message": "Invalid baseModels"})
        # A query by model alone, or for one image, goes to the database, not to the feed (5).
        database = "imageId" in sent or ("modelId" in sent and "modelVersionId" not in sent)
        answer = self._database_images if database else self._feed_images
        response = answer(request, sent, catalogue)
        response.headers.update(_PUBLIC)
        return response

    def _image_query(self, request: Request, sent: dict[str, Any], sort: str, until: int) -> LiveImageQuery:
        named = sent.get("ids", frozenset()) | ({sent["imageId"]} if "imageId" in sent else frozenset())
        known = {"Most Collected": "Most Reactions", "Random": "Newest", "Oldest": "Newest"}
        return LiveImageQuery(
            levels=sent.get("browsingLevel", sent.get("nsfw", PG)) & _levels(request, every=63),
            until=until,
            image_ids=named or None,
            type=sent.get("type"),
            user_id=sent.get("userId"),
            base_models=sent.get("baseModels", ()),
            tags=sent.get("tags", frozenset()),
            with_meta=sent.get("requiringMeta", False),
            oldest_first=sort == "Oldest",
            query=ImageQuery(
                post_id=sent.get("postId"),
                model_id=sent.get("modelId"),
                version_id=sent.get("modelVersionId"),
                username=sent.get("username"),
                sort=known.get(sort, sort),
                period=sent.get("period"),
            ),
        )

    def _feed_images(self, request: Request, sent: dict[str, Any], catalogue: LiveCatalogue) -> Response:
        """Pages of the feed, by one of three cursors, each refused by the others (1). `page` is ignored (0.1).

        By the image before, `feed:milliseconds:id`, if nothing but the time orders and narrows it; else by offset, as
        the feed was when the walk began: `offset|milliseconds`, and with filters `offset|bdx:{json}`.
        """
        sort, limit, kind = sent.get("sort", "Most Reactions"), sent.get("limit", 100), _cursor_kind(sent)
        query = self._image_query(request, sent, sort, int(self._clock.catalogue().now.timestamp() * 1000))
        offset = 0
        if "cursor" in sent:
            parts = kind.form.fullmatch(sent["cursor"])
            if parts is None:
                raise AnswerError(400, {"message": "Invalid cursor: unparseable value"})
            first, second = map(int, parts.groups())
            if kind is _BY_IMAGE:
                query = replace(query, after=(first, second))
            else:
                offset, query = first, replace(query, until=second)
        listing = catalogue.images(query)
        items = [_image(one, sent) for one in listing.documents(offset, offset + limit)]
        metadata: dict[str, Any] = {}
        if offset + limit < len(listing):
            values = _moment_and_id(items[-1]) if kind is _BY_IMAGE and items else (offset + limit, query.until)
            metadata["nextCursor"] = kind.text.format(*values)
            pairs = [pair for pair in request.query_params.multi_items() if pair[0] not in {"cursor", "page"}]
            # With `page` the link goes on to a page that is ignored: an endless first page (1).
            onward = ("page", str(sent["page"] + 1)) if "page" in sent else ("cursor", metadata["nextCursor"])
            metadata["nextPage"] = _address(request, [*pairs, onward])
        return _list_body(items, metadata)

    def _database_images(self, request: Request, sent: dict[str, Any], catalogue: LiveCatalogue) -> Response:
        """Cursors are image ids, newest first, and lose the image at each boundary; `page` works (0.1, 1)."""
        now = int(self._clock.catalogue().now.timestamp() * 1000)
        listing = catalogue.images(self._image_query(request, sent, "Newest", now))
        limit = sent.get("limit", 100)
        documents = listing.documents(0, len(listing))
        ids = [msgspec.json.decode(one)["id"] for one in documents]
        start = (sent.get("page", 1) - 1) * limit
        if "cursor" in sent:
            if not re.fullmatch(r"\d{1,18}", sent["cursor"], re.ASCII):
                raise AnswerError(400, {"message": "Invalid cursor: unparseable value"})
            start = sum(image_id >= int(sent["cursor"]) for image_id in ids)
        items = [_image(one, sent, wrapped=True) for one in documents[start : start + limit]]
        following = str(ids[start + limit]) if start + limit < len(ids) else None
        return _page(request, sent, items, following)

    async def creators(self, request: Request) -> Response:
        sent = _read(_NAMES, request, bare=True)
        listing = self.show().creators(sent.get("query"))
        page, limit, total = sent.get("page", 1), sent.get("limit", 20), len(listing)
        pages = -(-total // limit)
        metadata: dict[str, Any] = {"totalItems": total, "currentPage": page, "pageSize": limit, "totalPages": pages}
        if "query" in sent:
            # Totals of a search count what has been seen so far.
            seen = min(total, page * limit)
            metadata |= {"totalItems": seen, "totalPages": -(-seen // limit), "hasMore": page < pages}
        others = [pair for pair in request.query_params.multi_items() if pair[0] != "page"]
        if page < pages:
            metadata["nextPage"] = _address(request, [*others, ("page", str(page + 1))])
        if page > 1:
            metadata["prevPage"] = _address(request, [*others, ("page", str(page - 1))])
        response = _list_body(listing.documents((page - 1) * limit, page * limit), metadata)
        response.headers.update(_PUBLIC)
        return response

    async def tags(self, request: Request) -> Response:
        """There is never a nextPage, and the totals are always the same (7)."""
        sent = _read(_NAMES, request, bare=True)
        page, limit = sent.get("page", 1), sent.get("limit", 20)
        items = self.show().tags(sent.get("query")).documents((page - 1) * limit, page * limit)
        response = _list_body(items, {"totalItems": 0, "currentPage": page, "pageSize": limit, "totalPages": 1})
        response.headers.update(_PUBLIC)
        return response

    async def users(self, request: Request) -> Response:
        sent = _read(_USERS, request, bare=True)
        ids = sent.get("ids")
        users = self.show().users(sent.get("query"), ids)
        return json_response(_encode({"items": users[: 5 if ids is None else len(ids)]}), headers=_PUBLIC)

    async def permissions(self, request: Request) -> Response:
        sent = _read(_PERMISSIONS, request)
        ids = sent.get("entityIds")
        if ids is None:
            issue = [{"code": "invalid_type", "path": ["entityIds"], "message": "Required"}]
            raise AnswerError(400, {"error": {"name": "ZodError", "message": _encode(issue).decode()}})
        catalogue = self.show()
        told = {str(version_id): catalogue.owner_id(version_id) is not None for version_id in sorted(ids)}
        return json_response(_encode(told or []), headers=_PUBLIC)

    async def me(self, request: Request) -> Response:
        self.require_key(request)
        paid = self._member.quota_kb > 0
        return json_response(
            _encode(
                {
                    "id": USER_ID,
                    "username": USERNAME,
                    "tier": self._member.tier.lower(),
                    "status": "active",
                    "isMember": paid,
                    "subscriptions": ["monthly"] if paid else [],
                }
            )
        )

    async def vault(self, request: Request) -> Response:
        self.require_key(request)
        member = self._member
        told: dict[str, Any] | None = None
        if member.quota_kb:
            told = {"userId": USER_ID, "storageKb": member.quota_kb, "usedStorageKb": member.used_kb, "meta": {}}
            told["updatedAt"] = _stamp(member.updated_at or self._clock.catalogue().now)
        return json_response(_encode({"vault": told}))

    async def vault_items(self, request: Request) -> Response:
        self.require_key(request)
        if {"types", "categories", "baseModels", "dateCreatedFrom", "dateAddedFrom"} & set(request.query_params):
            # Their schema takes arrays and dates, and a query string has only texts (10).
            raise AnswerError(500, {"message": "An unexpected error occurred", "error": "invalid_type"})
        sent = _read(_VAULT, request)
        wanted = sent.get("query", "").casefold()
        stored = [one for one in self._member.vault.values() if wanted in str(one.names["modelName"]).casefold()]
        stored.sort(key=_VAULT_ORDER[sent.get("sort", "Recently Added")])
        page, limit = sent.get("page", 1), sent.get("limit", 60)
        items = [self._vault_item(one) for one in stored[(page - 1) * limit : page * limit]]
        told = {"items": items, "totalItems": len(stored), "currentPage": page, "pageSize": limit}
        return json_response(_encode(told | {"totalPages": -(-len(stored) // limit)}))

    async def check_vault(self, request: Request) -> Response:
        self.require_key(request)
        ids = _read({"modelVersionIds": _numbers}, request).get("modelVersionIds", frozenset())
        stored = {version_id: self._member.vault.get(version_id) for version_id in sorted(ids)}
        told = [
            {"modelVersionId": version_id, "vaultItem": None if one is None else self._vault_item(one)}
            for version_id, one in stored.items()
        ]
        return json_response(_encode(told))

    async def toggle_version(self, request: Request) -> Response:
        """The version is a parameter of the query, there is no body (10)."""
        self.require_key(request)
        version_id = _read({"modelVersionId": integer()}, request).get("modelVersionId")
        if version_id is None:
            raise AnswerError(400, {"error": "Missing modelVersionId"})
        catalogue = self._clock.catalogue()
        try:
            stored = self._member.toggle(version_id, catalogue.owner, catalogue.now)
        except LookupError:
            raise AnswerError(404, {"error": "Model not found"}) from None
        except VaultRefusedError as refusal:
            raise AnswerError(403, {"message": str(refusal)}) from None
        return json_response(_encode({"success": True} | ({} if stored is None else {"vaultId": USER_ID})))

    async def enums(self, request: Request) -> Response:
        base_models = self.show().base_models()
        return json_response(
            _encode(
                {
                    "ModelType": vocabulary.LIVE_MODEL_TYPES,
                    "ModelFileType": vocabulary.LIVE_FILE_TYPES,
                    "ActiveBaseModel": [one for one in base_models if not one.startswith(vocabulary.RESTRICTED_BASES)],
                    "BaseModel": base_models,
                    "BaseModelType": vocabulary.BASE_MODEL_TYPES,
                }
            )
        )

    def _vault_item(self, stored: Stored) -> dict[str, Any]:
        return {
            "id": stored.id,
            "vaultId": USER_ID,
            "status": stored.status(self._clock.catalogue().now),
            "modelVersionId": stored.version_id,
            "modelId": stored.model_id,
            **stored.names,
            "modelSizeKb": stored.size_kb,
            "detailsSizeKb": 12,
            "imagesSizeKb": 4096,
            "addedAt": _stamp(stored.added_at),
            "refreshedAt": None,
            "notes": None,
            "meta": {"failures": 0},
            "files": stored.files,
        }


_VAULT_ORDER: dict[str, Callable[[Stored], Any]] = {
    "Recently Added": lambda stored: -stored.id,
    "Recently Created": lambda stored: (str(stored.names["createdAt"]), stored.id),
    "Model Name": lambda stored: (str(stored.names["modelName"]), stored.id),
    "Model Size": lambda stored: (-stored.size_kb, stored.id),
}


def _stamp(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _found(tell: Callable[[int], bytes | None], version_id: int) -> Response:
    try:
        document = tell(version_id)
    except MissingFileError:
        raise AnswerError(404, {"error": "Missing model file"}) from None
    if document is None:
        raise AnswerError(404, {"error": "Model not found"})
    return json_response(document)


def _offset(cursor: str | None) -> int:
    """The cursor of a search is the number of results before the page (1)."""
    if cursor is not None and not re.fullmatch(r"\d{1,9}", cursor, re.ASCII):
        raise AnswerError(400, {"message": "Invalid cursor: unparseable value"})
    return int(cursor or 0)


def _moment_and_id(image: bytes) -> tuple[int, int]:
    """When an image was made, in milliseconds since 1970, and its id."""
    fields = msgspec.json.decode(image)
    return int(datetime.fromisoformat(fields["createdAt"]).timestamp() * 1000), fields["id"]


def _image(document: bytes, sent: dict[str, Any], wrapped: bool = False) -> bytes:
    """An image with `meta` only on demand; answers of the database wrap it unless `flatMeta` is sent (5)."""
    fields = msgspec.json.decode(document)
    meta = fields.get("meta") if sent.get("withMeta") else None
    if meta is not None and wrapped and not sent.get("flatMeta"):
        meta = {"id": fields["id"], "meta": meta}
    fields["meta"] = meta
    if sent.get("withTags"):
        fields["tags"] = []
    return _encode(fields)
