"""The interface of the routes to a catalogue, simulated or given.

A catalogue answers a query with `Documents`: the items in order, their number, and the bytes of any range of them.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, Protocol, TypeVar

Row = TypeVar("Row")

#: Days back from now that a `period` reaches; AllTime has no bound.
PERIOD_DAYS = {"Day": 1, "Week": 7, "Month": 30, "Year": 365}
#: The browsing levels that each value of /images `nsfw` includes: the named one and all below
#: (docs/api-notes.md, 13).
IMAGE_LEVELS = {"None": 1, "Soft": 3, "Mature": 7, "X": 31}


@dataclass(frozen=True)
class ModelQuery:
    """The filters of /models; None leaves everything in."""

    query: str | None = None
    tag: str | None = None
    username: str | None = None
    types: tuple[str, ...] = ()
    sort: str | None = None
    period: str | None = None
    nsfw: bool | None = None


@dataclass(frozen=True)
class ImageQuery:
    """The filters of /images; None leaves everything in."""

    post_id: int | None = None
    model_id: int | None = None
    version_id: int | None = None
    username: str | None = None
    nsfw: str | None = None
    sort: str | None = None
    period: str | None = None


class Documents(Protocol):
    """Items in order, as the routes need them."""

    def __len__(self) -> int: ...

    def documents(self, start: int, stop: int) -> list[bytes]: ...


@dataclass(frozen=True)
class Listing(Generic[Row]):
    """Items in order: `rows` are the catalogue's handles, `document` makes the JSON of one."""

    rows: Sequence[Row]
    document: Callable[[Row], bytes]

    def __len__(self) -> int:
        return len(self.rows)

    def between(self, start: int, stop: int) -> Sequence[Row]:
        return self.rows[min(start, len(self)) : min(stop, len(self))]

    def documents(self, start: int, stop: int) -> list[bytes]:
        return [self.document(row) for row in self.between(start, stop)]


class Catalogue(Protocol):
    """The state of a catalogue at one moment. All bytes that it returns are JSON."""

    @property
    def now(self) -> datetime:
        """The service's own time."""
        ...

    def models(self, query: ModelQuery) -> Listing[int]: ...

    def items(self, query: ModelQuery, rows: Sequence[int]) -> bytes:
        """The documents of some rows of the listing of a query, with commas between them."""
        ...

    def model(self, model_id: int) -> bytes | None:
        """A model's document, or None if there is no such model."""
        ...

    def images(self, query: ImageQuery) -> Documents: ...

    def creators(self, text: str | None) -> Documents:
        """Creators by name; with `text` only names that contain it, in any case."""
        ...

    def tags(self, text: str | None) -> Documents:
        """Tags, most frequent first; with `text` only names that contain it, in any case."""
        ...

    def enums(self) -> bytes: ...

    def owner(self, version_id: int) -> bytes | None:
        """The document of a version's model, or None if no shown model has the version."""
        ...

    def versions_by_hash(self, hashes: Iterable[str]) -> dict[str, list[int]]:
        """Hash -> ids of the versions with such a file, the oldest first; unknown hashes are left out.

        A hash is any of a file's (AutoV1 to BLAKE3), in upper or lower case; the keys are as requested.
        """
        ...

    def users(self, text: str | None) -> Documents:
        """Users by name; with `text` only names that begin with it, in any case."""
        ...

    def has_image(self, image_id: int) -> bool: ...

    def has_post(self, post_id: int) -> bool: ...
