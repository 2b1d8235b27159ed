"""Single model versions of the live service, by id and by the hashes of their files."""

import re
from functools import partial

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from emulator.live.catalogue import MissingFileError
from emulator.routes.live.answers import EVERY_METHOD, AnswerError, document_or_404, encode, levels_for
from emulator.routes.live.parameters import INT4, path_id
from emulator.routes.live.service import LiveService
from emulator.routes.spec import BASE_PATH, json_response

_BY_HASH = {"Cache-Control": "public, s-maxage=3600, stale-while-revalidate=1800"}
_SHA256 = re.compile(r"[0-9A-Fa-f]{64}", re.ASCII)
_SHA256_LIST = "Request must include an array of SHA256 Hashes. "


class VersionRoutes:
    """The operations on model versions."""

    def __init__(self, service: LiveService) -> None:
        self._service = service

    def routes(self) -> list[Route]:
        versions = BASE_PATH + "/model-versions"
        return [
            Route(versions + "/by-hash", self.versions_by_hash, methods=EVERY_METHOD),
            Route(versions + "/by-hash/ids", self.version_ids_by_hash, methods=EVERY_METHOD),
            Route(versions + "/by-hash/{hash}", self.version_by_hash, methods=EVERY_METHOD),
            Route(versions + "/mini/{id}", self.mini_version),
            Route(versions + "/{id}", self.version),
        ]

    async def version(self, request: Request) -> Response:
        asked = request.path_params["id"]
        version_id = int(asked) if re.fullmatch(r"-?\d{1,4000}", asked, re.ASCII) else 0
        if version_id == 0:
            raise AnswerError(400, {"error": "Missing modelVersionId"})
        if version_id > INT4:
            raise AnswerError(500, {"error": "Failed to fetch model version details"})
        version_of = partial(self._service.show().version, levels=levels_for(request))
        return self._service.mixed(request, document_or_404(version_of, version_id))

    async def mini_version(self, request: Request) -> Response:
        return self._service.mixed(request, document_or_404(self._service.show().mini, path_id(request)))

    async def version_by_hash(self, request: Request) -> Response:
        catalogue = self._service.show()
        wanted = request.path_params["hash"]
        found = catalogue.versions_by_hash([wanted]).get(wanted)
        if found is None:
            raise AnswerError(404, {"error": "Model not found"})
        response = document_or_404(catalogue.version, found[0])
        response.headers.update(_BY_HASH)
        return response

    async def _sha256s(self, request: Request, most: int) -> list[tuple[str, list[int]]]:
        """The known ones of the requested hashes, each once, with the ids of their versions."""
        try:
            asked = msgspec.json.decode(await request.body(), type=list[str])
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise AnswerError(400, {"error": _SHA256_LIST + "Expected an array of strings"}) from None
        if not asked or len(asked) > most or not all(map(_SHA256.fullmatch, asked)):
            error = f"{_SHA256_LIST}Expected 1 to {most} texts of 64 hexadecimal digits"
            raise AnswerError(400, {"error": error})
        return sorted(self._service.show().versions_by_hash(dict.fromkeys(one.upper() for one in asked)).items())

    async def versions_by_hash(self, request: Request) -> Response:
        """One entry per matching file, not in the order of the request; null if the version has no primary file."""
        documents = []
        for _, versions in await self._sha256s(request, 100):
            for version_id in versions:
                try:
                    document = self._service.show().version(version_id)
                except MissingFileError:
                    document = b"null"
                documents += [document] if document is not None else []
        return json_response(b"[" + b",".join(documents) + b"]")

    async def version_ids_by_hash(self, request: Request) -> Response:
        catalogue = self._service.show()
        return json_response(
            encode(
                [
                    {"modelVersionId": version_id, "modelId": catalogue.owner_id(version_id), "hash": sha256}
                    for sha256, versions in await self._sha256s(request, 10_000)
                    for version_id in versions
                ]
            )
        )
