"""The operations of the live service for the member of the key: profile, permissions and vault."""

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from emulator.member import USER_ID, USERNAME, Stored, VaultRefusedError
from emulator.parameters import Reader, integer, one_of, text
from emulator.routes.live.answers import EVERY_METHOD, PUBLIC, AnswerError, encode, stamp
from emulator.routes.live.parameters import numbers, read
from emulator.routes.live.service import LiveService
from emulator.routes.spec import BASE_PATH, json_response

_PERMISSIONS: dict[str, Reader[object]] = {
    "entityIds": numbers,
    "entityType": one_of("ModelVersion"),
    "permission": one_of("Generate"),
    "userId": integer(),
}
_VAULT: dict[str, Reader[object]] = {
    "limit": integer(1, 200),
    "page": integer(1),
    "query": text,
    "sort": one_of("Recently Added", "Recently Created", "Model Name", "Model Size"),
}

_VAULT_ORDER: dict[str, Callable[[Stored], tuple[str | float, ...]]] = {
    "Recently Added": lambda stored: (-stored.id,),
    "Recently Created": lambda stored: (str(stored.names["createdAt"]), stored.id),
    "Model Name": lambda stored: (str(stored.names["modelName"]), stored.id),
    "Model Size": lambda stored: (-stored.size_kb, stored.id),
}


class MemberRoutes:
    """The operations for the member."""

    def __init__(self, service: LiveService) -> None:
        self._service = service

    def routes(self) -> list[Route]:
        vault = BASE_PATH + "/vault"
        return [
            Route(BASE_PATH + "/permissions/check", self.permissions, methods=EVERY_METHOD),
            Route(BASE_PATH + "/me", self.me),
            Route(vault + "/get", self.vault),
            Route(vault + "/all", self.vault_items),
            Route(vault + "/check-vault", self.check_vault),
            Route(vault + "/toggle-version", self.toggle_version, methods=["POST"]),
        ]

    async def permissions(self, request: Request) -> Response:
        sent = read(_PERMISSIONS, request)
        ids = sent.numbers("entityIds")
        if ids is None:
            issue = [{"code": "invalid_type", "path": ["entityIds"], "message": "Required"}]
            raise AnswerError(400, {"error": {"name": "ZodError", "message": encode(issue).decode()}})
        catalogue = self._service.show()
        body = {str(version_id): catalogue.owner_id(version_id) is not None for version_id in sorted(ids)}
        return json_response(encode(body or []), headers=PUBLIC)

    async def me(self, request: Request) -> Response:
        self._service.require_key(request)
        paid = self._service.member.quota_kb > 0
        return json_response(
            encode(
                {
                    "id": USER_ID,
                    "username": USERNAME,
                    "tier": self._service.member.tier.lower(),
                    "status": "active",
                    "isMember": paid,
                    "subscriptions": ["monthly"] if paid else [],
                }
            )
        )

    async def vault(self, request: Request) -> Response:
        self._service.require_key(request)
        member = self._service.member
        body: dict[str, object] | None = None
        if member.quota_kb:
            body = {"userId": USER_ID, "storageKb": member.quota_kb, "usedStorageKb": member.used_kb, "meta": {}}
            body["updatedAt"] = stamp(member.updated_at or self._service.clock.catalogue().now)
        return json_response(encode({"vault": body}))

    async def vault_items(self, request: Request) -> Response:
        self._service.require_key(request)
        if {"types", "categories", "baseModels", "dateCreatedFrom", "dateAddedFrom"} & set(request.query_params):
            # Their schema takes arrays and dates, but a query string has only texts (10).
            raise AnswerError(500, {"message": "An unexpected error occurred", "error": "invalid_type"})
        sent = read(_VAULT, request)
        wanted = sent.text("query", "").casefold()
        stored = [
            one for one in self._service.member.vault.values() if wanted in str(one.names["modelName"]).casefold()
        ]
        stored.sort(key=_VAULT_ORDER[sent.text("sort", "Recently Added")])
        page, limit = sent.number("page", 1), sent.number("limit", 60)
        items = [self._vault_item(one) for one in stored[(page - 1) * limit : page * limit]]
        body = {"items": items, "totalItems": len(stored), "currentPage": page, "pageSize": limit}
        return json_response(encode(body | {"totalPages": -(-len(stored) // limit)}))

    async def check_vault(self, request: Request) -> Response:
        self._service.require_key(request)
        ids = read({"modelVersionIds": numbers}, request).numbers("modelVersionIds") or frozenset()
        stored = {version_id: self._service.member.vault.get(version_id) for version_id in sorted(ids)}
        body = [
            {"modelVersionId": version_id, "vaultItem": None if one is None else self._vault_item(one)}
            for version_id, one in stored.items()
        ]
        return json_response(encode(body))

    async def toggle_version(self, request: Request) -> Response:
        """The version is a query parameter; there is no body (10)."""
        self._service.require_key(request)
        version_id = read({"modelVersionId": integer()}, request).number("modelVersionId")
        if version_id is None:
            raise AnswerError(400, {"error": "Missing modelVersionId"})
        catalogue = self._service.clock.catalogue()
        try:
            stored = self._service.member.toggle(version_id, catalogue.owner, catalogue.now)
        except LookupError:
            raise AnswerError(404, {"error": "Model not found"}) from None
        except VaultRefusedError as refusal:
            raise AnswerError(403, {"message": str(refusal)}) from None
        return json_response(encode({"success": True} | ({} if stored is None else {"vaultId": USER_ID})))

    def _vault_item(self, stored: Stored) -> dict[str, object]:
        return {
            "id": stored.id,
            "vaultId": USER_ID,
            "status": stored.status(self._service.clock.catalogue().now),
            "modelVersionId": stored.version_id,
            "modelId": stored.model_id,
            **stored.names,
            "modelSizeKb": stored.size_kb,
            "detailsSizeKb": 12,
            "imagesSizeKb": 4096,
            "addedAt": stamp(stored.added_at),
            "refreshedAt": None,
            "notes": None,
            "meta": {"failures": 0},
            "files": stored.files,
        }
