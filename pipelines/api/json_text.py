"""Reading JSON text without losing its bytes: views of members, and text that ends with half of a surrogate pair."""

import re
from collections.abc import Callable
from typing import TypeVar

import msgspec
import pyarrow as pa
from msgspec import Raw

T = TypeVar("T")

#: An escape in a JSON text: a surrogate pair, half of one, or any other.
_ESCAPE = re.compile(rb"\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|(?P<half>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL)


def legible(text: bytes) -> bytes:
    """JSON of the same length in which every half of a surrogate pair is the replacement character."""
    return _ESCAPE.sub(lambda escape: rb"\ufffd" if escape["half"] else escape[0], text)


def decoded(decode: Callable[[bytes], T], text: bytes) -> tuple[T, bytes]:
    """What a JSON text decodes to, and whose bytes the views in it are: the text's own, or those of `legible`."""
    try:
        return decode(text), text
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        copy = legible(text)
        return decode(copy), copy


def verbatim(view: Raw, seen: bytes, text: bytes) -> bytes:
    """The bytes of `text` that stand where the view stands in `seen` (`decoded`)."""
    start = address(view) - address(seen)
    return text[start : start + len(memoryview(view))]


def address(view: bytes | Raw) -> int:
    """Where the bytes of a view lie in memory: the position of one view in another is the difference."""
    return int(pa.py_buffer(view).address)
