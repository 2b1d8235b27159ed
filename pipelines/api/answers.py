"""Answers of the service, decoded without losing a byte."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import parse_qsl, urlsplit

import msgspec

from pipelines.api.dialects import Arguments
from pipelines.api.json_text import decoded, verbatim

#: What decoding raises; texts that are no UTF-8 have an error of their own.
UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_EXCERPT = 200


@dataclass(frozen=True)
class Answer:
    """The readable part of an answer, and the service's own time of it."""

    body: bytes
    at: datetime


@dataclass(frozen=True)
class Page:
    """One answered request: its items as raw bytes, its metadata, and the service's own time of it.

    `request` names the request for people (path and query), without any secret.
    """

    request: str
    items: list[msgspec.Raw]
    metadata: dict[str, object]
    answered_at: datetime


class UnusableAnswerError(Exception):
    """An answer with status 200 has another content than was asked for; says which."""


Decode = Callable[[Answer], tuple[list[msgspec.Raw], dict[str, object]]]


class _ListBody(msgspec.Struct):
    items: list[msgspec.Raw]
    metadata: object = None


_LIST_BODY = msgspec.json.Decoder(_ListBody)
_ANY_BODY = msgspec.json.Decoder(msgspec.Raw)


def next_page_query(url: str) -> Arguments:
    """The query of a `nextPage` address; its host is not followed, and a `token` in it is dropped.

    Raises:
        ValueError: it is no address, or its page or its limit is no number.
    """
    query = parse_qsl(urlsplit(url).query, keep_blank_values=True)
    for name, value in query:
        if name in ("page", "limit") and not (value.isascii() and value.isdigit() and int(value)):
            raise ValueError(f"the {name} of its next page is {value!r}")
    return tuple((name, value) for name, value in query if name != "token")


def _check_next(metadata: object) -> None:
    """Check that the reference of a page to the next one is readable.

    Raises:
        TypeError, ValueError: it is not.
    """
    address, cursor = (
        (metadata.get("nextPage"), metadata.get("nextCursor")) if isinstance(metadata, dict) else (None, None)
    )
    if not (isinstance(address, str | None) and isinstance(cursor, str | int | float | None)):
        raise TypeError(f"its next page is {address!r}, {cursor!r}")
    if address:
        next_page_query(address)


def decode_list(answer: Answer) -> tuple[list[msgspec.Raw], dict[str, object]]:
    page = _list_body(answer)
    return page.items, page.metadata if isinstance(page.metadata, dict) else {}


def decode_page(answer: Answer) -> tuple[list[msgspec.Raw], dict[str, object]]:
    page = _list_body(answer)
    if not isinstance(page.metadata, dict):
        why = f"it answered 200 with a page without metadata: {excerpt(answer.body)}"
        raise UnusableAnswerError(why)
    return page.items, page.metadata


def _list_body(answer: Answer) -> _ListBody:
    try:
        page, seen = decoded(_LIST_BODY.decode, answer.body)
        _check_next(page.metadata)
    except (*UNREADABLE, TypeError, ValueError) as error:  # it does not say which page is the next
        why = f"it answered 200 with a body that is no page of items ({error}): {excerpt(answer.body)}"
        raise UnusableAnswerError(why) from None
    if seen is not answer.body:
        page.items = [msgspec.Raw(verbatim(item, seen, answer.body)) for item in page.items]
    return page


def decode_document(answer: Answer) -> tuple[list[msgspec.Raw], dict[str, object]]:
    try:
        body, seen = decoded(_ANY_BODY.decode, answer.body)
        return [msgspec.Raw(verbatim(body, seen, answer.body))], {}
    except UNREADABLE as error:
        why = f"it answered 200 with a body that is no JSON ({error}): {excerpt(answer.body)}"
        raise UnusableAnswerError(why) from None


def is_json_object(body: bytes) -> bool:
    try:
        return isinstance(msgspec.json.decode(body), dict)
    except UNREADABLE:
        return False


def excerpt(body: bytes) -> str:
    return " ".join(body[:_EXCERPT].decode(errors="replace").split())
