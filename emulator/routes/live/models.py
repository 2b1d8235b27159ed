"""The list of models of the live service, and a model by its id."""

import re

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from emulator.live.keyset import SORTS, BadCursorError
from emulator.live.queries import LiveModelQuery
from emulator.parameters import PERIODS, BadParameterError, Reader, Sent, any_of, integer, one_of, text
from emulator.routes.live.answers import EVERY_METHOD, PUBLIC, AnswerError, levels_for, page
from emulator.routes.live.parameters import flag, numbers, path_id, read, refuse_depth
from emulator.routes.live.service import LiveService
from emulator.routes.spec import BASE_PATH, json_response
from emulator.simulation import vocabulary
from emulator.simulation.dice import Ints


def _coerced(_: str, values: list[str]) -> bool:
    """Any text is true, even "false": a trap of z.coerce.boolean (2)."""
    return values[-1] != ""


def _refused(name: str, _: list[str]) -> bool:
    raise BadParameterError(f"{name} expects no string, and a query has only strings")


def _any(_: str, values: list[str]) -> tuple[str, ...]:
    return tuple(values)


_MODELS: dict[str, Reader[object]] = {
    "limit": integer(0, 100),
    "page": integer(1),
    "cursor": text,
    "query": text,
    "ids": numbers,
    "modelVersionIds": numbers,
    "tag": text,
    "tagname": text,
    "username": text,
    "user": text,
    "types": any_of(*vocabulary.LIVE_MODEL_TYPES),
    "baseModels": _any,
    "sort": one_of(*SORTS),
    "period": one_of(*PERIODS),
    "periodMode": one_of("published", "stats"),
    "nsfw": flag,
    "favorites": flag,
    "hidden": flag,
    "checkpointType": one_of("Trained", "Merge"),
    "archived": _coerced,
    "supportsGeneration": _coerced,
    "earlyAccess": _coerced,
    "fromPlatform": _coerced,
    "primaryFileOnly": flag,
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


class ModelRoutes:
    """The operations on models."""

    def __init__(self, service: LiveService) -> None:
        self._service = service

    def routes(self) -> list[Route]:
        return [
            Route(BASE_PATH + "/models", self.models),
            Route(BASE_PATH + "/models/{id}", self.model, methods=EVERY_METHOD),
        ]

    async def models(self, request: Request) -> Response:
        if {"favorites", "hidden"} & set(request.query_params):
            self._service.require_key(request)
        sent = read(_MODELS, request)
        refuse_depth(sent)
        if "query" in sent and "page" in sent:
            error = "Cannot use page param with query search. Use cursor-based pagination."
            raise AnswerError(400, {"error": error})
        if sent.flag("favorites") or sent.flag("hidden"):
            return page(request, sent, b"", None)
        query = self._model_query(sent, levels_for(request))
        catalogue = self._service.show()
        keyset = catalogue.models(query)
        limit, cursor = sent.number("limit", 100), sent.text("cursor")
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
        items = await self._service.workers.items(catalogue, query, rows.tolist())
        return self._service.mixed(request, page(request, sent, items, following))

    def _model_query(self, sent: Sent, levels: int) -> LiveModelQuery:
        username = sent.text("username" if "username" in sent else "user")
        if username is not None:
            username = re.sub(r"[^\w]", "", username.replace(" ", "_", 1)).casefold()
            if not self._service.show().knows_user(username):
                raise AnswerError(404, {"message": "User not found"})
        tag = sent.text("tag" if "tag" in sent else "tagname")
        if tag is not None:
            tagged = self._service.show().models(LiveModelQuery(tag=tag, mature=True, archived=True))
            if len(tagged.rows) == 0:
                tag = None  # an unknown tag is no filter at all (0.4)
        searches = "query" in sent
        return LiveModelQuery(
            sort="Highest Rated" if searches else sent.text("sort", "Highest Rated"),
            # All models pass by the time of their statistics, because their counters are those of all time (2).
            period=None if searches or sent.text("periodMode") == "stats" else sent.text("period"),
            mature=sent.flag("nsfw"),
            named=bool({"ids", "modelVersionIds", "username", "user"} & sent.keys()),
            archived=sent.flag("archived"),
            ids=sent.numbers("ids"),
            version_ids=sent.numbers("modelVersionIds"),
            tag=tag,
            username=username,
            types=sent.texts("types"),
            base_models=sent.texts("baseModels"),
            text=sent.text("query"),
            generation=sent.flag("supportsGeneration"),
            primary_only=sent.flag("primaryFileOnly"),
            levels=levels,
            checkpoint_type=sent.text("checkpointType"),
            availability=sent.text("availability"),
            licences=sent.texts("allowCommercialUse"),
            formats=sent.texts("fileFormats"),
            early_access=sent.flag("earlyAccess"),
            from_platform=sent.flag("fromPlatform"),
        )

    async def model(self, request: Request) -> Response:
        model_id = path_id(request)
        document = self._service.show().model(model_id, levels_for(request))
        if document is None:
            raise AnswerError(404, {"error": f"No model with id {model_id}"})
        return json_response(document, headers=PUBLIC)


def _offset(cursor: str | None) -> int:
    """The cursor of a search is the number of results before the page (1)."""
    if cursor is not None and not re.fullmatch(r"\d{1,9}", cursor, re.ASCII):
        raise AnswerError(400, {"message": "Invalid cursor: unparseable value"})
    return int(cursor or 0)
