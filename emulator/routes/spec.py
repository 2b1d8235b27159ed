"""The routes of the Site API in the dialect of its specification (`--dialect spec`).

Errors have the specification's Error schema. Anonymous reads work. A bearer key that is not the emulator's is refused,
so that a wrong key is noticed at once. The member's operations (/me, permissions, vault) need the key.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from emulator.catalogue import Catalogue, Documents, ImageQuery, ModelQuery
from emulator.member import EMAIL, JOINED, USER_ID, USERNAME, Stored, VaultRefusedError
from emulator.parameters import Sent, integer, read_body, read_parameters
from emulator.service import Service
from emulator.spec.paging import Page, page_body
from emulator.versions import mini_document, version_document

BASE_PATH = "/api/v1"
_CODES = {400: "BAD_REQUEST", 401: "UNAUTHORIZED", 403: "FORBIDDEN", 404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED"}
#: Items a page if no `limit` is sent.
_DEFAULT_LIMIT = {"listModels": 100, "listImages": 100, "listCreators": 20, "listTags": 20}

_DEFAULT_USERS = 20
_encode = msgspec.json.Encoder().encode

#: The documents of a page, with commas between them, and how many items the whole list has.
Items = tuple[bytes, int]
Select = Callable[[Catalogue, Sent, Page], Awaitable[Items]]


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


async def refuse_get(_: Request) -> Response:
    raise HTTPException(405, headers={"Allow": "POST"})


async def _images(catalogue: Catalogue, sent: Sent, page: Page) -> Items:
    query = ImageQuery(
        post_id=sent.number("postId"),
        model_id=sent.number("modelId"),
        version_id=sent.number("modelVersionId"),
        username=sent.text("username"),
        nsfw=sent.text("nsfw"),
        sort=sent.text("sort"),
        period=sent.text("period"),
    )
    return _items(catalogue.images(query), page)


async def _creators(catalogue: Catalogue, sent: Sent, page: Page) -> Items:
    return _items(catalogue.creators(sent.text("query")), page)


async def _tags(catalogue: Catalogue, sent: Sent, page: Page) -> Items:
    return _items(catalogue.tags(sent.text("query")), page)


def _items(listing: Documents, page: Page) -> Items:
    return b",".join(listing.documents(page.start, page.stop)), len(listing)


class _Toggle(msgspec.Struct):
    modelVersionId: int  # noqa: N815 -- the API's name


def _vault_item(stored: Stored, now: datetime) -> dict[str, object]:
    return {
        "id": stored.id,
        "modelVersionId": stored.version_id,
        "modelId": stored.model_id,
        "addedAt": stored.added_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "status": stored.status(now),
        "sizeKb": stored.size_kb,
    }


def _exists(catalogue: Catalogue, entity_type: str, entity_id: int) -> bool:
    """Whether the catalogue shows an entity; there are no articles in it."""
    if entity_type == "Model":
        return catalogue.model(entity_id) is not None
    if entity_type == "ModelVersion":
        return catalogue.owner(entity_id) is not None
    if entity_type == "Image":
        return catalogue.has_image(entity_id)
    return entity_type == "Post" and catalogue.has_post(entity_id)


class SpecificationApi:
    """The 18 operations."""

    def __init__(self, service: Service) -> None:
        self._clock = service.clock
        self._key = service.key
        self._member = service.member
        self._workers = service.workers

    def routes(self) -> list[Route]:
        """The operations, as routes below `BASE_PATH`."""
        versions = BASE_PATH + "/model-versions"
        vault = BASE_PATH + "/vault"
        return [
            self.list_route("/models", "listModels", self.models),
            Route(BASE_PATH + "/models/{id}", self.model),
            Route(versions + "/by-hash", self.versions_by_hash, methods=["POST"]),
            Route(versions + "/by-hash", refuse_get),  # else it would be read as a version's id
            Route(versions + "/by-hash/ids", self.version_ids_by_hash, methods=["POST"]),
            Route(versions + "/by-hash/{hash}", self.version_by_hash),
            Route(versions + "/mini/{id}", self.mini_version),
            Route(versions + "/{id}", self.version),
            self.list_route("/images", "listImages", _images),
            self.list_route("/creators", "listCreators", _creators),
            self.list_route("/tags", "listTags", _tags),
            Route(BASE_PATH + "/me", self.me),
            Route(BASE_PATH + "/users", self.users),
            Route(BASE_PATH + "/permissions/check", self.permissions),
            Route(vault + "/get", self.vault_item),
            Route(vault + "/all", self.vault_items),
            Route(vault + "/check-vault", self.vault_status),
            Route(vault + "/toggle-version", self.toggle_version, methods=["POST"]),
            Route(BASE_PATH + "/enums", self.enums),
        ]

    def check_key(self, request: Request, required: bool = False) -> None:
        header = request.headers.get("authorization")
        if header is None and required:
            raise HTTPException(401, "This operation needs the bearer key of a member.", {"WWW-Authenticate": "Bearer"})
        if header is not None and header.split(" ", 1)[-1].strip() != self._key:
            raise HTTPException(401, "The bearer key is not known here; send a right one, or none to read anonymously.")

    def list_route(self, path: str, operation: str, select: Select) -> Route:
        async def answer(request: Request) -> Response:
            self.check_key(request)
            query = request.query_params.multi_items()
            sent = read_parameters(operation, query)
            page = Page.requested(sent.number("page", 1), sent.number("limit", _DEFAULT_LIMIT[operation]))
            address = f"{request.url.scheme}://{request.url.netloc}{request.url.path}"
            items, total = await select(self._clock.catalogue(), sent, page)
            return json_response(page_body(items, total, page, address, query))

        return Route(BASE_PATH + path, answer)

    async def models(self, catalogue: Catalogue, sent: Sent, page: Page) -> Items:
        query = ModelQuery(
            query=sent.text("query"),
            tag=sent.text("tag"),
            username=sent.text("username"),
            types=sent.texts("types"),
            sort=sent.text("sort"),
            period=sent.text("period"),
            nsfw=sent.flag("nsfw") if "nsfw" in sent else None,
        )
        listing = catalogue.models(query)
        rows = listing.between(page.start, page.stop)
        return await self._workers.items(catalogue, query, rows), len(listing)

    async def model(self, request: Request) -> Response:
        self.check_key(request)
        model_id = integer()("id", [request.path_params["id"]])
        document = self._clock.catalogue().model(model_id)
        return json_response(document) if document else error_response(404, f"No model with id {model_id}")

    async def enums(self, request: Request) -> Response:
        self.check_key(request)
        return json_response(self._clock.catalogue().enums())

    async def version(self, request: Request) -> Response:
        self.check_key(request)
        version_id = integer()("id", [request.path_params["id"]])
        return self.render_version(version_id, version_document)

    async def mini_version(self, request: Request) -> Response:
        self.check_key(request)
        version_id = integer()("id", [request.path_params["id"]])
        return self.render_version(version_id, mini_document)

    def render_version(self, version_id: int, render: Callable[[bytes, int], bytes]) -> Response:
        owner = self._clock.catalogue().owner(version_id)
        if owner is None:
            return error_response(404, f"No model version with id {version_id}")
        return json_response(render(owner, version_id))

    async def version_by_hash(self, request: Request) -> Response:
        self.check_key(request)
        wanted = request.path_params["hash"]
        found = self._clock.catalogue().versions_by_hash([wanted])
        if not found:
            return error_response(404, f"No model version with a file of the hash {wanted}")
        return self.render_version(found[wanted][0], version_document)

    async def ids_by_hash(self, request: Request) -> dict[str, int]:
        self.check_key(request)
        hashes = read_body(await request.body(), list[str], "a list of hashes")
        found = self._clock.catalogue().versions_by_hash(dict.fromkeys(hashes))
        return {text: ids[0] for text, ids in found.items()}

    async def versions_by_hash(self, request: Request) -> Response:
        catalogue = self._clock.catalogue()
        documents = []
        for version_id in dict.fromkeys((await self.ids_by_hash(request)).values()):
            owner = catalogue.owner(version_id)
            assert owner is not None
            documents.append(version_document(owner, version_id))
        return json_response(b"[" + b",".join(documents) + b"]")

    async def version_ids_by_hash(self, request: Request) -> Response:
        return json_response(_encode(await self.ids_by_hash(request)))

    async def me(self, request: Request) -> Response:
        self.check_key(request, required=True)
        body = {"id": USER_ID, "username": USERNAME, "email": EMAIL, "tier": self._member.tier, "createdAt": JOINED}
        return json_response(_encode(body))

    async def users(self, request: Request) -> Response:
        self.check_key(request)
        sent = read_parameters("listUsers", request.query_params.multi_items())
        listing = self._clock.catalogue().users(sent.text("username"))
        documents = listing.documents(0, max(sent.number("limit", _DEFAULT_USERS), 0))
        return json_response(b"[" + b",".join(documents) + b"]")

    async def permissions(self, request: Request) -> Response:
        self.check_key(request, required=True)
        sent = read_parameters("checkPermissions", request.query_params.multi_items())
        there = _exists(self._clock.catalogue(), sent.text("entityType", ""), sent.number("entityId", 0))
        body = sent | {"canView": there, "canEdit": False, "canDelete": False, "canDownload": there}
        return json_response(_encode(body))

    async def vault_item(self, request: Request) -> Response:
        self.check_key(request, required=True)
        sent = read_parameters("getVaultItem", request.query_params.multi_items())
        version_id = sent.number("modelVersionId", 0)
        stored = self._member.vault.get(version_id)
        if stored is None:
            return error_response(404, f"Version {version_id} is not in the vault")
        return json_response(_encode(_vault_item(stored, self._clock.catalogue().now)))

    async def vault_items(self, request: Request) -> Response:
        self.check_key(request, required=True)
        now = self._clock.catalogue().now
        return json_response(_encode([_vault_item(stored, now) for stored in self._member.vault.values()]))

    async def vault_status(self, request: Request) -> Response:
        self.check_key(request, required=True)
        body = {
            "subscribed": self._member.quota_kb > 0,
            "storageUsedKb": self._member.used_kb,
            "storageLimitKb": self._member.quota_kb,
        }
        return json_response(_encode(body | {"tier": self._member.tier}))

    async def toggle_version(self, request: Request) -> Response:
        self.check_key(request, required=True)
        version_id = read_body(await request.body(), _Toggle, 'an object like {"modelVersionId": 123}').modelVersionId
        catalogue = self._clock.catalogue()
        before = self._member.vault.get(version_id)
        try:
            stored = self._member.toggle(version_id, catalogue.owner, catalogue.now)
        except LookupError:
            return error_response(404, f"No model version with id {version_id}")
        except VaultRefusedError as refusal:
            return error_response(403, str(refusal))
        if stored is not None:
            return json_response(_encode(_vault_item(stored, catalogue.now)))
        # An item without id and status: nothing else is known of a removed version.
        assert before is not None
        return json_response(_encode({"modelVersionId": version_id, "modelId": before.model_id}))
