"""The public dlt source of the catalogue, for pipelines of other projects: `from pipelines import civitai`.

It crawls as the project's own runs do, with the same client, pagination and treatment of broken records, and yields
items as the service sends them. A broken record becomes a row of the table `rejects`. A list that cannot be read to its
end fails the run. docs/dlt-source.md is the guide.
"""

import logging
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime

import dlt
from dlt.common.typing import TSecretStrValue
from dlt.extract.resource import DltResource

from pipelines.api.client import Client
from pipelines.api.dialects import DIALECTS, Endpoint, Lookup
from pipelines.api.errors import ServiceError
from pipelines.crawl.lookups import LookupBatch, LookupRun, lookup_of
from pipelines.crawl.pagination import IncrementalListCrawl, ListCrawl
from pipelines.crawl.pagination_state import PaginationState
from pipelines.errors import CivitaiEtlError
from pipelines.progress import Silent
from pipelines.raw.resources import SOURCE, items_of, list_resource, lookup_resource
from pipelines.raw.warehouse import Known
from pipelines.settings import DialectName, Settings

Items = list[dict[str, object]]


class IncompleteListError(CivitaiEtlError):
    """A list could not be read to its end."""


class _Logged(Silent):
    """Logs the pauses of the client: a service that does not answer is retried for a while."""

    def note(self, message: str) -> None:
        logging.getLogger(SOURCE).warning(message)


@dlt.source(name=SOURCE, section=SOURCE)
def civitai(
    api_url: str | None = None,
    dialect: DialectName | None = None,
    requests_per_second: float | None = None,
    retry_minutes: float | None = None,
    max_attempts: int | None = None,
    timeout_seconds: float | None = None,
    image_pages: int | None = None,
    api_key: TSecretStrValue | None = None,
) -> Iterator[DltResource]:
    """The lists `models`, `creators`, `tags`, `enums` and `images`, and the details of models and versions.

    Every argument may be in dlt's configuration, section `sources.civitai`. The settings of civitai-etl of the same
    name describe them (docs/operations.md) and apply to those that are not given. `images` is endless: it begins with
    `image_pages` pages, and later runs read down to the newest image of the run before. `model_details` and
    `version_details` make a request for each model or version, so they are extracted only if they are selected.

    Example:
        pipeline = dlt.pipeline("catalogue", destination="duckdb")
        pipeline.run(civitai().with_resources("creators", "tags"))

    Raises:
        SettingsError: an argument is not valid.
    """
    given = {
        "api_url": api_url,
        "dialect": dialect,
        "requests_per_second": requests_per_second,
        "retry_minutes": retry_minutes,
        "max_attempts": max_attempts,
        "timeout_seconds": timeout_seconds,
        "image_pages": image_pages,
        "api_key": api_key,
    }
    settings = Settings(**{name: value for name, value in given.items() if value is not None})
    client = Client(settings, progress=_Logged())
    one_model = DIALECTS[settings.dialect_name].existence_check
    lists = {}
    for endpoint in DIALECTS[settings.dialect_name].endpoints:
        extract = _images(endpoint, client, settings.image_pages) if endpoint.incremental else _list(endpoint, client)
        lists[endpoint.name] = list_resource(endpoint, extract)
    yield from lists.values()
    for name, lookup, ids_of in (
        ("model_details", Lookup("models", one_model.kind, f"{one_model.path}/{{}}", "id"), _ids),
        ("version_details", lookup_of(settings, "versions"), _version_ids),
    ):
        yield lists["models"] | lookup_resource(name, lookup, _details(lookup, ids_of, client), selected=False)


def _list(endpoint: Endpoint, client: Client) -> Callable[[], Iterator[object]]:
    def extract() -> Iterator[object]:
        yield from _items(ListCrawl(endpoint, PaginationState(), Known(), "", _today()), client)

    return extract


def _images(endpoint: Endpoint, client: Client, first_pages: int) -> Callable[..., Iterator[object]]:
    def extract(
        newest: dlt.sources.incremental[int | None] = dlt.sources.incremental("id"),  # noqa: B008 (how dlt injects it)
    ) -> Iterator[object]:
        # The list is not strictly in the order of the ids, and dlt would end it too early. The mark moves when all of
        # it was read, so a limit or a failure hides no image from the next run.
        mark = newest.start_value
        newest.advance(None)
        place = (endpoint, PaginationState(), Known(), "", _today())
        list_crawl = IncrementalListCrawl(*place, mark=mark, first_pages=first_pages)
        for items in _items(list_crawl, client):
            yield [image for image in items if int(image["id"]) > (mark or 0)] if isinstance(items, list) else items
        newest.advance(list_crawl.reached()["gallery_to"])

    return extract


def _items(list_crawl: ListCrawl, client: Client) -> Iterator[object]:
    """All items of a list, page by page.

    Raises:
        IncompleteListError: it could not be read to its end.
        ServiceError: the service does not answer.
    """
    while not list_crawl.state.done:
        list_crawl.step(client, goes_on=False)
        yield from items_of(list_crawl.endpoint.kind, list_crawl.new_rows())
    if problem := list_crawl.state.problem:
        raise IncompleteListError(
            f"{list_crawl.endpoint.name}: {problem}; nothing of this run is loaded, run it again."
        )


def _details(
    lookup: Lookup, ids_of: Callable[[Items], list[str]], client: Client
) -> Callable[[Items], Iterator[object]]:
    def extract(models: Items) -> Iterator[object]:
        run = LookupRun(client, Silent(), None)
        batch = LookupBatch(lookup, list(dict.fromkeys(ids_of(models))), run)
        for keys in batch.portions():
            yield from items_of(lookup.kind, batch.fetch(keys))
            if run.problem:
                raise ServiceError(run.problem)

    return extract


def _ids(items: object) -> list[str]:
    """The ids of items that have one: rejects have none."""
    found = [item.get("id") for item in items if isinstance(item, dict)] if isinstance(items, list) else []
    return [str(entity_id) for entity_id in found if isinstance(entity_id, int)]


def _version_ids(models: Items) -> list[str]:
    return [version_id for model in models for version_id in _ids(model.get("modelVersions"))]


def _today() -> date:
    return datetime.now(UTC).date()
