"""The filters of the live service's lists."""

from dataclasses import dataclass

from emulator.catalogue import ImageQuery
from emulator.live.traits import ALL_LEVELS


@dataclass(frozen=True)
class LiveModelQuery:
    """The filters of live /models.

    `mature` is `nsfw=true`: the other of the two listings. `named` asks for models by id, version or owner, which
    shows versions that are not public yet. `levels` are the levels that the reader's region may see, as bits.
    `checkpoint_type` is Trained or Merge, and does not filter other types.
    """

    sort: str = "Highest Rated"
    period: str | None = None
    mature: bool = False
    named: bool = False
    archived: bool = False
    ids: frozenset[int] | None = None
    version_ids: frozenset[int] | None = None
    tag: str | None = None
    username: str | None = None
    types: tuple[str, ...] = ()
    base_models: tuple[str, ...] = ()
    text: str | None = None
    generation: bool = False
    primary_only: bool = False
    levels: int = ALL_LEVELS
    checkpoint_type: str | None = None
    availability: str | None = None
    licences: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()
    early_access: bool = False
    from_platform: bool = False

    @property
    def narrows(self) -> bool:
        """Whether the documents of the list have less content than those of other queries."""
        return bool(self.base_models or self.generation or self.primary_only)


@dataclass(frozen=True)
class LiveImageQuery:
    """The filters of live /images.

    `levels` are the browsing levels as bits, `until` the time of the first page, in milliseconds since 1970.
    `after` are the time and the id of the image before the page.
    """

    levels: int
    until: int
    query: ImageQuery
    after: tuple[int, int] | None = None
    image_ids: frozenset[int] | None = None
    oldest_first: bool = False
    type: str | None = None
    user_id: int | None = None
    base_models: tuple[str, ...] = ()
    tags: frozenset[int] = frozenset()
    with_meta: bool = False
