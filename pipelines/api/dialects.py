"""Per dialect: the list endpoints of a snapshot, how the service pages them, and the look-ups that it offers.

`spec` is the service as its specification describes it (pages of 200), `live` the service as it answers today
(docs/api-notes.md: cursors, pages of 100 models, orders that lose nothing). A new list endpoint or look-up is one
declaration. Decoding never depends on the dialect.
"""

from dataclasses import dataclass
from typing import Literal

#: How the request for the next page is found:
#: `cursor`: `metadata.nextCursor`, with the same arguments; none is the end.
#: `next_page`: the query of `metadata.nextPage` (never its host); none is the end.
#: `until_empty`: page 2, 3, ... until a page is empty, for endpoints that never say.
#: `single`: there is one page.
NextPage = Literal["cursor", "next_page", "until_empty", "single"]

#: What a cursor says of the record that comes next:
#: `moment_and_id`: "2026-08-01 12:34:56.789|123".
#: `offset`: how many records come before it, and of which state of the list: "200|1744925337225".
#: `opaque`: nothing that could be read.
CursorForm = Literal["moment_and_id", "offset", "opaque"]

#: Query arguments, in the order in which they are sent.
Arguments = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Endpoint:
    """A list endpoint: what it yields, how it pages, and the passes that together are its whole list.

    `kind` is the payload kind (`pipelines.raw.kinds`). The first pass to see an id wins. `items` says where the
    documents are: in the list `items` of the body, or the body is one itself. An `incremental` list is never read to
    its end, but newest-first down to what is stored. Pages of an `unordered` list repeat and skip records: only several
    attempts together are the whole list.
    """

    name: str
    kind: str
    path: str
    next_page: NextPage
    limit: int | None = None
    passes: tuple[Arguments, ...] = ((),)
    items: Literal["items", "body"] = "items"
    incremental: bool = False
    unordered: bool = False
    cursor: CursorForm = "opaque"

    @property
    def says_next(self) -> bool:
        """Whether its pages say what follows."""
        return self.next_page in ("cursor", "next_page")

    def arguments(self, pass_index: int) -> Arguments:
        """The query of the first request of a pass. It never has `page`, which the live service ignores."""
        return (*((("limit", str(self.limit)),) if self.limit else ()), *self.passes[pass_index])


@dataclass(frozen=True)
class ExistenceCheckEndpoint:
    """Where to check ids that the list endpoint `list_name` no longer shows.

    Each has a `path`/<id>, where 404 means deleted. If `path` itself answers for `batch_size` ids at once (`ids`, with
    `arguments`), it is used first.
    """

    list_name: str
    kind: str
    path: str
    batch_size: int = 0
    arguments: Arguments = ()


@dataclass(frozen=True)
class Lookup:
    """A look-up of things by their ids, names or hashes (`pipelines.crawl.lookups`).

    A `{}` in `path` takes the key. Otherwise a GET has the keys, joined by commas, in the query argument `argument`, or
    a POST has them as a JSON list in its body. `batch_size` is the largest number of keys of a request. `key_type` is
    the type of the keys. `answer` is what comes: documents of `kind` (one, a list, or a list in `items`), or the ids of
    versions per hash, as a list of objects or as a map. A look-up by hash also yields a `hash_match`. A search by name
    finds other users too, at most `shows`: if so many come without the name, the name may still exist.
    """

    name: str
    kind: str
    path: str
    key_type: Literal["id", "name", "hash", "sha256"]
    argument: str | None = None
    batch_size: int = 1
    answer: Literal["documents", "ids"] = "documents"
    shows: int | None = None

    @property
    def by_hash(self) -> bool:
        """Whether the keys are hashes."""
        return self.key_type in ("hash", "sha256")


@dataclass(frozen=True)
class MemberApi:
    """The endpoints of the member of the key, besides /me (`pipelines.vault.member`; docs/api-notes.md, 8 to 10).

    `vault` reports the size of the vault and the space used. /vault/all lists its items, all at once or `item_limit` a
    page. `check` reports whether a version is in the vault; without it the items are read. The version to toggle is
    sent in the query or in the body. Permissions are fetched for `permission_batch` versions at once, in the query
    argument `permission_ids`, with `permission_arguments`.
    """

    vault: str
    item_limit: int | None
    check: str | None
    toggle_in: Literal["query", "body"]
    permission_ids: str
    permission_batch: int
    permission_arguments: Arguments


@dataclass(frozen=True)
class Dialect:
    """The list endpoints of a service, in the order in which a snapshot reads them, and its other endpoints.

    `discovery` are the lists that a refresh reads between two snapshots.
    """

    name: Literal["live", "spec"]
    endpoints: tuple[Endpoint, ...]
    existence_check: ExistenceCheckEndpoint
    discovery: tuple[Endpoint, ...]
    lookups: tuple[Lookup, ...]
    member: MemberApi


#: The same in both dialects, though the shapes of the answers differ (docs/api-notes.md, 4).
_VERSION_LOOKUPS = (
    Lookup("versions", "version", "/model-versions/{}", "id"),
    Lookup("minis", "version_mini", "/model-versions/mini/{}", "id"),
    Lookup("hash", "version", "/model-versions/by-hash/{}", "hash"),
    Lookup("hashes", "version", "/model-versions/by-hash", "sha256", batch_size=100),
    Lookup("hash-ids", "hash_match", "/model-versions/by-hash/ids", "sha256", batch_size=10_000, answer="ids"),
)


#: Lists with page numbers are read newest-first: new publications push rows to later pages, where they come again. An
#: order by counters would lose rows. Only a deletion can hide a row, and then the total changes.
SPEC = Dialect(
    "spec",
    (
        Endpoint("models", "model", "/models", "next_page", 200, ((("sort", "Newest"),),)),
        Endpoint("creators", "creator", "/creators", "next_page", 200),
        Endpoint("tags", "tag", "/tags", "next_page", 200),
        Endpoint("enums", "enum", "/enums", "single", items="body"),
        Endpoint("images", "image", "/images", "next_page", 200, ((("sort", "Newest"),),), incremental=True),
    ),
    ExistenceCheckEndpoint("models", "model", "/models"),
    (
        Endpoint("new_models", "model", "/models", "next_page", 200, ((("sort", "Newest"),),), incremental=True),
        Endpoint("new_images", "image", "/images", "next_page", 200, ((("sort", "Newest"),),), incremental=True),
    ),
    (Lookup("users", "user", "/users", "name", argument="username"), *_VERSION_LOOKUPS),
    MemberApi(
        vault="/vault/check-vault",
        item_limit=None,
        check=None,
        toggle_in="body",
        permission_ids="entityId",
        permission_batch=1,
        permission_arguments=(("entityType", "ModelVersion"),),
    ),
)

#: `period` is that of the latest version (docs/api-notes.md, 2).
_LAST_DAY: tuple[Arguments, ...] = (
    (("sort", "Oldest"), ("period", "Day"), ("nsfw", "true")),
    (("sort", "Oldest"), ("period", "Day")),
)

#: `Oldest` is the only order of models that loses none at a page boundary (docs/api-notes.md, 0.2). With `nsfw=true`
#: the list lacks models that the default has, and the other way round (0.3): the whole list is the union of both.
#: /creators comes in no order (6), and /tags never says that it has another page (7).
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
            cursor="moment_and_id",
        ),
        Endpoint("creators", "creator", "/creators", "next_page", 200, unordered=True),
        Endpoint("tags", "tag", "/tags", "until_empty", 200),
        Endpoint("enums", "enum", "/enums", "single", items="body"),
        Endpoint(
            "images", "image", "/images", "cursor", 200, ((("sort", "Newest"),),), incremental=True, cursor="offset"
        ),
    ),
    ExistenceCheckEndpoint("models", "model", "/models", 100, (("limit", "100"), ("nsfw", "true"))),
    (
        Endpoint("new_models", "model", "/models", "cursor", 100, _LAST_DAY, cursor="moment_and_id"),
        Endpoint("new_images", "image", "/images", "cursor", 200, ((("sort", "Newest"),),), incremental=True),
    ),
    (
        # By name it is a search for a beginning that gives five users, by id it is exact (docs/api-notes.md, 8).
        Lookup("users", "user", "/users", "name", argument="query", shows=5),
        Lookup("user-ids", "user", "/users", "id", argument="ids", batch_size=100),
        *_VERSION_LOOKUPS,
    ),
    MemberApi(
        vault="/vault/get",
        item_limit=200,
        check="/vault/check-vault",
        toggle_in="query",
        permission_ids="entityIds",
        permission_batch=100,
        permission_arguments=(("entityType", "ModelVersion"), ("permission", "Generate")),
    ),
)

DIALECTS = {dialect.name: dialect for dialect in (SPEC, LIVE)}
