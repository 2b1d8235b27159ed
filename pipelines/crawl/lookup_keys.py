"""The keys of a look-up: ids, names and hashes, checked and spelled as they are stored."""

from collections.abc import Iterable

from pipelines.api.dialects import Lookup
from pipelines.errors import CivitaiEtlError

_LARGEST_ID = 2**31 - 1

#: What a key of each type looks like, for messages.
_EXPECTED = {
    "id": f"a number from 1 to {_LARGEST_ID}",
    "name": "a name",
    "hash": "a hash of 8 to 64 hexadecimal digits",
    "sha256": "a SHA256, 64 hexadecimal digits",
}


def parse_keys(lookup: Lookup, texts: Iterable[str]) -> list[str]:
    """The distinct keys, as they are stored: numbers without leading zeros, hashes in upper case.

    Raises:
        CivitaiEtlError: a text is no valid key.
    """
    keys: dict[str, None] = {}
    for text in texts:
        plain = text.strip()
        if not _is_key(lookup, plain):
            raise CivitaiEtlError(f"{lookup.name}: expected {_EXPECTED[lookup.key_type]}, found {text!r}.")
        keys[str(int(plain)) if lookup.key_type == "id" else plain.upper() if lookup.by_hash else plain] = None
    return list(keys)


def _is_key(lookup: Lookup, text: str) -> bool:
    match lookup.key_type:
        case "id":
            return text.isascii() and text.isdigit() and len(text) < 100 and 1 <= int(text) <= _LARGEST_ID
        case "name":
            return bool(text) and text.isprintable()
        case "hash":
            return 8 <= len(text) <= 64 and _is_hexadecimal(text)
        case "sha256":
            return len(text) == 64 and _is_hexadecimal(text)


def _is_hexadecimal(text: str) -> bool:
    return all(digit in "0123456789abcdefABCDEF" for digit in text)
