"""The order of the service's lists, read from documents: models by their latest version, images by their id.

A high-water mark is a position in such an order, and a mark that is too high hides everything below it. So implausible
values never move a mark: a publication in the future, or a few ids far above all others.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeAlias, TypeVar

import msgspec

from pipelines.api.answers import UNREADABLE
from pipelines.api.moments import with_zone
from pipelines.raw.kinds import KINDS

#: A publication further in the future is implausible: clocks differ by less than a day.
_AHEAD = timedelta(days=1)
#: A clock may show any moment, and there is none a day after the last one.
_LAST = datetime.max.replace(tzinfo=UTC) - _AHEAD

#: An id that is larger is not the same number to every reader of JSON.
_MOST = 2**53

#: Ids above a gap, as large as all below it and a million, are odd if they are fewer than half a page.
_GAP, _FEW = 1_000_000, 100


#: A position: an id, or a moment as text (`as_mark`). The positions of one list are of one type.
Mark: TypeAlias = int | str

P = TypeVar("P", int, str)


class _Version(msgspec.Struct):
    publishedAt: datetime | None = None  # noqa: N815 (the service's name)


class _Dated(msgspec.Struct):
    modelVersions: list[_Version] | None = None  # noqa: N815 (the service's name)


class _Numbered(msgspec.Struct):
    id: int


def as_mark(moment: datetime) -> str:
    """Text of one length, so that marks compare as moments do."""
    return with_zone(moment).astimezone(UTC).isoformat(timespec="microseconds")


def positions(kind: str, items: Iterable[msgspec.Raw]) -> Sequence[Mark]:
    """The positions of some documents in the order of their list; documents without one are left out."""
    order = KINDS[kind].order
    assert order, f"the list of {kind} has no order"
    return publications(items) if order == "published" else _read(_id, items)


def publications(items: Iterable[msgspec.Raw]) -> list[str]:
    """The positions of some models."""
    return _read(_published, items)


def _read(position: Callable[[bytes], P | None], items: Iterable[msgspec.Raw]) -> list[P]:
    found = []
    for item in items:
        try:
            found.append(position(bytes(item)))
        except (*UNREADABLE, OverflowError):  # OverflowError: by its own time zone it lies beyond the last year
            continue
    return [value for value in found if value is not None]


def plausible(kind: str, values: Iterable[Mark], shown_at: datetime, mark: Mark | None) -> Sequence[Mark]:
    """The plausible positions among some, in order; `mark` is a known one, if any."""
    if KINDS[kind].order == "id":
        ids = [value for value in values if isinstance(value, int)]
        return plausible_ids(ids, mark if isinstance(mark, int) else None)
    return plausible_moments([value for value in values if isinstance(value, str)], shown_at)


def plausible_moments(moments: Iterable[str], shown_at: datetime) -> list[str]:
    """The plausible moments among some, in order."""
    latest = as_mark(min(shown_at, _LAST) + _AHEAD)
    return sorted(moment for moment in moments if moment <= latest)


def plausible_ids(ids: Iterable[int], mark: int | None) -> list[int]:
    """The plausible ids among some, in order; `mark` is a known one, if any."""
    ordered = sorted(entity_id for entity_id in ids if entity_id <= _MOST)
    below = mark
    for place, entity_id in enumerate(ordered):
        if below is not None and entity_id > 2 * below + _GAP and len(ordered) - place < _FEW:
            return ordered[:place]
        below = max(entity_id, below or 0)
    return ordered


def _published(item: bytes) -> str | None:
    """When the newest version of a model was published; the service orders models by this."""
    versions = msgspec.json.decode(item, type=_Dated).modelVersions or []
    return max((as_mark(version.publishedAt) for version in versions if version.publishedAt), default=None)


def _id(item: bytes) -> int:
    return msgspec.json.decode(item, type=_Numbered).id
