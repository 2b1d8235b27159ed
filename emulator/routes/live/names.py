"""The short lists of the live service: creators, tags, users and enums."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from emulator.parameters import Reader, integer, text
from emulator.routes.live.answers import EVERY_METHOD, PUBLIC, address, encode, list_body
from emulator.routes.live.parameters import numbers, read
from emulator.routes.live.service import LiveService
from emulator.routes.spec import BASE_PATH, json_response
from emulator.simulation import vocabulary

_NAMES: dict[str, Reader[object]] = {"limit": integer(1, 200), "page": integer(1), "query": text}
_USERS: dict[str, Reader[object]] = {"ids": numbers, "query": text}


class NameRoutes:
    """The operations on creators, tags, users and enums."""

    def __init__(self, service: LiveService) -> None:
        self._service = service

    def routes(self) -> list[Route]:
        return [
            Route(BASE_PATH + "/creators", self.creators, methods=EVERY_METHOD),
            Route(BASE_PATH + "/tags", self.tags, methods=EVERY_METHOD),
            Route(BASE_PATH + "/users", self.users, methods=EVERY_METHOD),
            Route(BASE_PATH + "/enums", self.enums),
        ]

    async def creators(self, request: Request) -> Response:
        sent = read(_NAMES, request, bare=True)
        listing = self._service.show().creators(sent.text("query"))
        page, limit, total = sent.number("page", 1), sent.number("limit", 20), len(listing)
        pages = -(-total // limit)
        metadata: dict[str, object] = {"totalItems": total, "currentPage": page, "pageSize": limit, "totalPages": pages}
        if "query" in sent:
            # Totals of a search count only the items up to this page.
            seen = min(total, page * limit)
            metadata |= {"totalItems": seen, "totalPages": -(-seen // limit), "hasMore": page < pages}
        others = [pair for pair in request.query_params.multi_items() if pair[0] != "page"]
        if page < pages:
            metadata["nextPage"] = address(request, [*others, ("page", str(page + 1))])
        if page > 1:
            metadata["prevPage"] = address(request, [*others, ("page", str(page - 1))])
        response = list_body(b",".join(listing.documents((page - 1) * limit, page * limit)), metadata)
        response.headers.update(PUBLIC)
        return response

    async def tags(self, request: Request) -> Response:
        """There is never a nextPage, and the totals are always the same (7)."""
        sent = read(_NAMES, request, bare=True)
        page, limit = sent.number("page", 1), sent.number("limit", 20)
        items = self._service.show().tags(sent.text("query")).documents((page - 1) * limit, page * limit)
        response = list_body(
            b",".join(items), {"totalItems": 0, "currentPage": page, "pageSize": limit, "totalPages": 1}
        )
        response.headers.update(PUBLIC)
        return response

    async def users(self, request: Request) -> Response:
        sent = read(_USERS, request, bare=True)
        ids = sent.numbers("ids")
        users = self._service.show().users(sent.text("query"), ids)
        return json_response(encode({"items": users[: 5 if ids is None else len(ids)]}), headers=PUBLIC)

    async def enums(self, request: Request) -> Response:
        base_models = self._service.show().base_models()
        return json_response(
            encode(
                {
                    "ModelType": vocabulary.LIVE_MODEL_TYPES,
                    "ModelFileType": vocabulary.LIVE_FILE_TYPES,
                    "ActiveBaseModel": [one for one in base_models if not one.startswith(vocabulary.RESTRICTED_BASES)],
                    "BaseModel": base_models,
                    "BaseModelType": vocabulary.BASE_MODEL_TYPES,
                }
            )
        )
