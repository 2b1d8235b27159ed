"""The routes of the Site API in the dialect of its specification (`--dialect spec`).

Errors carry the specification's Error schema. Anonymous reads work; a bearer key that is not the emulator's is refused,
so that a wrong key shows at once.
"""

from collections.abc import Callable
from typing import Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from emulator.catalogue import Catalogue, ImageQuery, Listing, ModelQuery
from emulator.clock import Clock
from emulator.paging import page_body
from emulator.parameters import integer, read_parameters

BASE_PATH = "/api/v1"
_CODES = {400: "BAD_REQUEST", 401: "UNAUTHORIZED", 404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED"}
#: Items a page if no `limit` is sent.
_DEFAULT_LIMIT = {"listModels": 100, "listImages": 100, "listCreators": 20, "listTags": 20}

Select = Callable[[Catalogue, dict[str, Any]], Listing]


def json_response(body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(body, status, headers, media_type="application/json")


def error_response(status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    """An answer in the Error schema of the specification."""
    code = _CODES.get(status, f"HTTP_{status}")
    error = {"error": code.replace("_", " ").capitalize(), "message": message, "code": code}
    return json_response(msgspec.json.encode(error), status, headers)


async def answer_bad_parameter(_: Request, error: Exception) -> Response:
    return error_response(400, str(error))


async def answer_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    message = f"Nothing is served at {request.url.path}" if error.status_code == 404 else error.detail
    return error_response(error.status_code, message, dict(error.headers or {}))


def _models(catalogue: Catalogue, sent: dict[str, Any]) -> Listing:
    names = ("query", "tag", "username", "types", "sort", "period", "nsfw")
    return catalogue.models(ModelQuery(**{name: sent[name] for name in names if name in sent}))


def _images(catalogue: Catalogue, sent: dict[str, Any]) -> Listing:
    return catalogue.images(
        ImageQuery(
            post_id=sent.get("postId"),
            model_id=sent.get("modelId"),
            version_id=sent.get("modelVersionId"),
            username=sent.get("username"),
            nsfw=sent.get("nsfw"),
            sort=sent.get("sort"),
            period=sent.get("period"),
        )
    )


def routes(clock: Clock, key: str) -> list[Route]:
    """The operations, as routes below `BASE_PATH`.

    Args:
        clock: where the catalogue of the moment comes from.
        key: the bearer key that the service knows.
    """

    def check_key(request: Request) -> None:
        header = request.headers.get("authorization")
        if header is not None and header.split(" ", 1)[-1].strip() != key:
            raise HTTPException(401, "The bearer key is not known here; send a right one, or none to read anonymously.")

    def list_route(path: str, operation: str, select: Select) -> Route:
        async def answer(request: Request) -> Response:
            check_key(request)
            query = request.query_params.multi_items()
            sent = read_parameters(operation, query)
            page, limit = sent.get("page", 1), sent.get("limit", _DEFAULT_LIMIT[operation])
            address = f"{request.url.scheme}://{request.url.netloc}{request.url.path}"
            return json_response(page_body(select(clock.catalogue(), sent), page, limit, address, query))

        return Route(BASE_PATH + path, answer)

    async def model(request: Request) -> Response:
        check_key(request)
        model_id = integer()("id", [request.path_params["id"]])
        document = clock.catalogue().model(model_id)
        return json_response(document) if document else error_response(404, f"No model with id {model_id}")

    async def enums(request: Request) -> Response:
        check_key(request)
        return json_response(clock.catalogue().enums())

    return [
        list_route("/models", "listModels", _models),
        Route(BASE_PATH + "/models/{id}", model),
        list_route("/images", "listImages", _images),
        list_route("/creators", "listCreators", lambda catalogue, sent: catalogue.creators(sent.get("query"))),
        list_route("/tags", "listTags", lambda catalogue, sent: catalogue.tags(sent.get("query"))),
        Route(BASE_PATH + "/enums", enums),
    ]
