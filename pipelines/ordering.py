"""By what the service orders its lists, as documents tell it: models by their latest version, images by their id."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

import msgspec

from pipelines.client import UNREADABLE


class _Version(msgspec.Struct):
    publishedAt: datetime | None = None  # noqa: N815 (the service's name)


class _Dated(msgspec.Struct):
    modelVersions: list[_Version] | None = None  # noqa: N815 (the service's name)


class _Numbered(msgspec.Struct):
    id: int


def as_mark(moment: datetime) -> str:
    """Text of one length, so that marks compare as moments do; naive means UTC (civitai-api.md, 0.9)."""
    zoned = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    return zoned.isoformat(timespec="microseconds")


def newest(kind: str, items: Iterable[msgspec.Raw]) -> Any:
    """The highest value in some documents of that by which their list is ordered; None if none of them tells."""
    found = []
    for item in items:
        try:
            found.append(_ORDER[kind](bytes(item)))
        except UNREADABLE:
            continue
    return max((value for value in found if value is not None), default=None)


def _published(item: bytes) -> str | None:
    """When the newest version of a model was published: this is what the service orders models by."""
    versions = msgspec.json.decode(item, type=_Dated).modelVersions or []
    return max((as_mark(version.publishedAt) for version in versions if version.publishedAt), default=None)


_ORDER: dict[str, Callable[[bytes], Any]] = {
    "model": _published,
    "image": lambda item: msgspec.json.decode(item, type=_Numbered).id,
}
