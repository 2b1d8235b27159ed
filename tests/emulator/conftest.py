"""A simulated and a given emulator, each a real process for the whole session, and a plain client."""

import http.client
import json
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from emulator.launch import Emulator, launch

SHARED = Path(__file__).resolve().parents[2].parent / "shared"
SPECIFICATION = Path(__file__).parents[2] / "docs" / "civitai-openapi.yaml"
FIRST_DAY = date(2026, 1, 1)


#: Status, headers by lower-case name, body.
Answer = tuple[int, dict[str, str], bytes]


class Client:
    """Asks for paths below the emulator's API address."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator

    def get(self, path: str, query: Any = (), headers: dict[str, str] | None = None) -> Answer:
        return self.send("GET", path, query, headers=headers)

    def send(
        self, method: str, path: str, query: Any = (), body: Any = None, headers: dict[str, str] | None = None
    ) -> Answer:
        host, base = urlsplit(self.emulator.api_url)[1:3]
        connection = http.client.HTTPConnection(host, timeout=60)
        address = base + path.removeprefix(self.emulator.api_url)
        sent = None if body is None else json.dumps(body).encode()
        connection.request(method, f"{address}?{urlencode(query)}" if query else address, sent, headers=headers or {})
        response = connection.getresponse()
        answered = response.read()
        connection.close()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, answered

    def json(self, path: str, *pairs: tuple[str, object], **query: object) -> Any:
        status, _, body = self.get(path, [*pairs, *query.items()])
        assert status == 200, body
        return json.loads(body)

    def items(self, path: str, *pairs: tuple[str, object], **query: object) -> list[Any]:
        """The items of all pages, by following nextPage."""
        page = self.json(path, *pairs, **query)
        items = page["items"]
        while "nextPage" in page["metadata"]:
            page = self.json(page["metadata"]["nextPage"])
            items += page["items"]
        assert len(items) == page["metadata"]["totalItems"]
        return items

    def paginate(self, path: str, **query: object) -> list[list[Any]]:
        """The items of all pages, page by page, by following nextCursor."""
        page = self.json(path, **query)
        pages = [page["items"]]
        while "nextCursor" in page["metadata"]:
            page = self.json(path, **query, cursor=page["metadata"]["nextCursor"])
            pages.append(page["items"])
        return pages


@pytest.fixture(scope="session")
def simulated() -> Iterator[Client]:
    """400 models on 2026-01-01. Tests that set its clock use `moved` instead."""
    with launch(models=400, on=FIRST_DAY) as emulator:
        yield Client(emulator)


@pytest.fixture(scope="session")
def live() -> Iterator[Client]:
    """600 models on 2026-01-01, in the live dialect."""
    with launch(models=600, on=FIRST_DAY, dialect="live") as emulator:
        yield Client(emulator)


@pytest.fixture(scope="session")
def models(simulated: Client) -> list[dict[str, Any]]:
    return simulated.items("/models", limit=200)


@pytest.fixture(scope="session")
def validate(specification: dict[str, Any]) -> Callable[[str, Any], None]:
    """Validates a value against a schema of the specification, by its name."""
    import jsonschema

    def validate_against(name: str, value: Any) -> None:
        schema = {"$ref": f"#/components/schemas/{name}", "components": specification["components"]}
        jsonschema.validate(value, schema, format_checker=jsonschema.FormatChecker())

    return validate_against


@pytest.fixture(scope="session")
def real_catalogue() -> Path:
    path = SHARED / "real" / "models-2023-07.ndjson.zst"
    if not path.exists():
        pytest.skip("the recorded catalogue ../shared/real/models-2023-07.ndjson.zst is not here")
    return path


@pytest.fixture(scope="session")
def specification() -> dict[str, Any]:
    import yaml

    return yaml.safe_load(SPECIFICATION.read_text(encoding="utf-8"))
