"""Which list endpoints a snapshot walks, and how the service pages them, declared per dialect.

`spec` is the service as its specification describes it (pages of 200), `live` the service as it answers today
(civitai-api.md: cursors, pages of 100 models, orders that lose nothing). Adding a list endpoint is one declaration.
Decoding never depends on the dialect.
"""

from dataclasses import dataclass
from typing import Literal

#: How the request for the next page is found:
#: `cursor`: `metadata.nextCursor`, with the same arguments; none is the end.
#: `next_page`: the query of `metadata.nextPage` (never its host); none is the end.
#: `until_empty`: page 2, 3, ... until a page is empty, for endpoints that never say.
#: `single`: there is one page.
NextPage = Literal["cursor", "next_page", "until_empty", "single"]

#: Query arguments, in the order in which they are sent.
Arguments = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Endpoint:
    """A list endpoint: what it yields, how it pages, and the ranked passes that together are its whole list.

    `kind` is the payload kind (`pipelines.raw.KINDS`). The first pass to see an id wins. `items` says where the
    documents are: in the list `items` of the body, or the body is one itself. A `gallery` is never walked to its end
    but newest-first down to what is stored.
    """

    name: str
    kind: str
    path: str
    next_page: NextPage
    limit: int | None = None
    passes: tuple[Arguments, ...] = ((),)
    items: Literal["items", "body"] = "items"
    gallery: bool = False
    #: A cursor is the moment and the id of the record that comes next: "2026-08-01 12:34:56.789|123".
    cursor_names_next: bool = False

    def arguments(self, rank: int) -> Arguments:
        """The query of the first request of a pass. It never has `page`, which the live service ignores."""
        return (*((("limit", str(self.limit)),) if self.limit else ()), *self.passes[rank])


@dataclass(frozen=True)
class Reconcile:
    """How ids that the list endpoint `list_name` no longer shows are asked for.

    Each has a `path`/<id>, where 404 means gone. Where `path` itself answers for `batch_size` ids at once (`ids`, with
    `arguments`), it is asked first.
    """

    list_name: str
    kind: str
    path: str
    batch_size: int = 0
    arguments: Arguments = ()


@dataclass(frozen=True)
class Dialect:
    """The list endpoints of a service, in the order in which a snapshot walks them, and what follows the lists.

    `news` are the lists that a refresh reads between two snapshots.
    """

    name: Literal["live", "spec"]
    endpoints: tuple[Endpoint, ...]
    reconcile: Reconcile
    news: tuple[Endpoint, ...]


#: Page numbers are walked newest-first: what is published meanwhile pushes rows to later pages, where they are met
#: again, while an order by counters would let rows slip past. Only a deletion can hide a row; the totals tell of it.
SPEC = Dialect(
    "spec",
    (
        Endpoint("models", "model", "/models", "next_page", 200, ((("sort", "Newest"),),)),
        Endpoint("creators", "creator", "/creators", "next_page", 200),
        Endpoint("tags", "tag", "/tags", "next_page", 200),
        Endpoint("enums", "enum", "/enums", "single", items="body"),
        Endpoint("images", "image", "/images", "next_page", 200, ((("sort", "Newest"),),), gallery=True),
    ),
    Reconcile("models", "model", "/models"),
    (
        Endpoint("new_models", "model", "/models", "next_page", 200, ((("sort", "Newest"),),), gallery=True),
        Endpoint("new_images", "image", "/images", "next_page", 200, ((("sort", "Newest"),),), gallery=True),
    ),
)

#: `period` is that of the latest version (civitai-api.md, 2).
_LAST_DAY: tuple[Arguments, ...] = (
    (("sort", "Oldest"), ("period", "Day"), ("nsfw", "true")),
    (("sort", "Oldest"), ("period", "Day")),
)

#: `Oldest` is the only order of models that loses none at a page boundary (civitai-api.md, 0.2). With `nsfw=true` the
#: list lacks models that the default has, and the other way round (0.3): the whole list is the union of both. /tags
#: never says that it has another page (7).
LIVE = Dialect(
    "live",
    (
        Endpoint(
            "models",
            "model",
            "/models",
            "cursor",
            100,
            ((("sort", "Oldest"), ("nsfw", "true")), (("sort", "Oldest"),)),
            cursor_names_next=True,
        ),
        Endpoint("creators", "creator", "/creators", "next_page", 200),
        Endpoint("tags", "tag", "/tags", "until_empty", 200),
        Endpoint("enums", "enum", "/enums", "single", items="body"),
        Endpoint("images", "image", "/images", "cursor", 200, ((("sort", "Newest"),),), gallery=True),
    ),
    Reconcile("models", "model", "/models", 100, (("limit", "100"), ("nsfw", "true"))),
    (
        Endpoint("new_models", "model", "/models", "cursor", 100, _LAST_DAY),
        Endpoint("new_images", "image", "/images", "cursor", 200, ((("sort", "Newest"),),), gallery=True),
    ),
)

DIALECTS = {dialect.name: dialect for dialect in (SPEC, LIVE)}
