"""A set of texts that takes little more memory than the texts: the ids and document keys that a crawl remembers.

A Python set takes about 100 bytes for each id of a catalogue of a million models, and a crawl has several such sets.
Here all texts of a bucket lie in one byte string, each between two separators, and are found by a search in it.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from zlib import crc32

#: No text in UTF-8 has this byte.
_SEPARATOR = b"\xff"
#: With a million ids, about 60 are in a bucket: it is searched in less than a microsecond.
_BUCKETS = 2**14


class TextSet(AbstractSet[str]):
    """Texts, each once. They can be added, and not removed."""

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._buckets: defaultdict[int, bytearray] = defaultdict(lambda: bytearray(_SEPARATOR))
        self._size = 0
        self.update(texts)

    def __contains__(self, text: object) -> bool:
        if not self._size or not isinstance(text, str):
            return False
        stored = _stored(text)
        bucket = self._buckets.get(_bucket_of(stored))
        return bucket is not None and _SEPARATOR + stored in bucket

    def __iter__(self) -> Iterator[str]:
        for bucket in self._buckets.values():
            yield from (text.decode() for text in bucket[1:-1].split(_SEPARATOR))

    def __len__(self) -> int:
        return self._size

    def add(self, text: str) -> None:
        """Add a text, if it is not there yet."""
        stored = _stored(text)
        bucket = self._buckets[_bucket_of(stored)]
        if _SEPARATOR + stored in bucket:
            return
        bucket += stored
        self._size += 1

    def update(self, texts: Iterable[str]) -> None:
        """Add some texts."""
        for text in texts:
            self.add(text)


def _stored(text: str) -> bytes:
    return text.encode() + _SEPARATOR


def _bucket_of(stored: bytes) -> int:
    return crc32(stored) % _BUCKETS
