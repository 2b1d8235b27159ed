"""The hashes by which the service knows a model file, all of them from one reading of the file.

SHA256, BLAKE3 and CRC32 are of the whole file. AutoV2 is the beginning of its SHA256; AutoV1 looks only at 64 KiB that
begin at 1 MiB; AutoV3 leaves out the header of a safetensors file, so that a file whose metadata was edited keeps it.
"""

import hashlib
import os
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
from blake3 import blake3

#: What a model file is called; a directory is searched for these.
MODEL_SUFFIXES = frozenset(
    {".safetensors", ".sft", ".ckpt", ".pt", ".pt2", ".pth", ".bin", ".gguf", ".onnx", ".zip", ".pickle", ".msgpack"}
)
_SAFETENSORS = frozenset({".safetensors", ".sft"})

_AUTOV1_BEGIN, _AUTOV1_END = 0x100000, 0x110000
_LENGTH_BYTES = 8
#: The format allows no longer header; a damaged length is mostly far beyond.
_LONGEST_HEADER = 100_000_000
_CHUNK_BYTES = 1 << 20
#: Longer than the clock of any file system on which models lie takes to move on, FAT apart.
_TICK_NS = 20_000_000


@dataclass(frozen=True)
class Fingerprints:
    """The hashes of one file of `size` bytes by algorithm, upper case, as in `star.file_hash`.

    AUTOV3 is only there for a sound safetensors file; `note` says what is wrong with another one.
    """

    size: int
    hashes: dict[str, str]
    note: str | None = None

    @property
    def has_autov1(self) -> bool:
        """Whether AUTOV1 says anything: of a file that ends before 1 MiB it is the hash of nothing."""
        return self.size > _AUTOV1_BEGIN


def fingerprint(path: Path, on_read: Callable[[int], None]) -> Fingerprints:
    """Read a file once, in pieces of 1 MiB, and give all its hashes.

    Args:
        path: the file; its name decides whether it is a safetensors file.
        on_read: is called with the number of bytes of each piece; what it raises ends the reading.

    Raises:
        OSError: the file cannot be read, or changed while it was.
    """
    sha256, b3, crc32 = hashlib.sha256(), blake3(), 0
    autov1 = hashlib.sha256()
    tensors = _TensorHash() if path.suffix.lower() in _SAFETENSORS else None
    size = 0
    buffer = bytearray(_CHUNK_BYTES)
    # Unbuffered: the pieces are read into one buffer of our own.
    with path.open("rb", buffering=0) as file:
        state = _settled_state(file.fileno())
        while length := file.readinto(buffer):
            with memoryview(buffer)[:length] as piece:
                sha256.update(piece)
                b3.update(piece)
                crc32 = zlib.crc32(piece, crc32)
                autov1.update(piece[max(0, _AUTOV1_BEGIN - size) : max(0, _AUTOV1_END - size)])
                if tensors is not None:
                    tensors.update(piece)
            size += length
            on_read(length)
        # A pipe changes with every piece that is written into it.
        if path.is_file() and state != _state(file.fileno()):
            raise OSError("it changed while it was read: try again when nothing writes to it")
    whole = sha256.hexdigest()
    hashes = {
        "SHA256": whole,
        "BLAKE3": b3.hexdigest(),
        "AUTOV2": whole[:10],
        "AUTOV1": autov1.hexdigest()[:8],
        "CRC32": f"{crc32:08x}",
    }
    damage = tensors.damage() if tensors is not None else None
    if tensors is not None and damage is None:
        hashes["AUTOV3"] = tensors.hexdigest()[:12]
    note = f"damaged safetensors file: {damage}" if damage else None
    return Fingerprints(size, {algorithm: text.upper() for algorithm, text in hashes.items()}, note)


def _state(descriptor: int) -> tuple[int, int]:
    """What differs once a file was written to, unless that was right before: clocks of files tick in milliseconds."""
    found = os.fstat(descriptor)
    return found.st_size, found.st_mtime_ns


def _settled_state(descriptor: int) -> tuple[int, int]:
    """The state of a file, when any later change of it shows."""
    while abs(time.time_ns() - _state(descriptor)[1]) < _TICK_NS:
        time.sleep(_TICK_NS / 1e9)
    return _state(descriptor)


class _TensorHash:
    """SHA256 of what follows the header of a safetensors file: 8 bytes of length (little-endian), JSON, tensors."""

    def __init__(self) -> None:
        self._head = bytearray()
        self._header_length: int | None = None
        self._sha256 = hashlib.sha256()

    def update(self, piece: memoryview) -> None:
        missing = self._head_length - len(self._head)
        if missing > 0:
            self._head += piece[:missing]
            piece = piece[missing:]
            if self._header_length is None and len(self._head) == _LENGTH_BYTES:
                self._header_length = int.from_bytes(self._head, "little")
                self.update(piece)
                return
        self._sha256.update(piece)

    @property
    def _head_length(self) -> int:
        """Bytes before the tensors, as far as they are known; a length that cannot be is not waited for."""
        if self._header_length is None or self._header_length > _LONGEST_HEADER:
            return _LENGTH_BYTES
        return _LENGTH_BYTES + self._header_length

    def hexdigest(self) -> str:
        return self._sha256.hexdigest()

    def damage(self) -> str | None:
        """What is wrong with the header, once the whole file was read."""
        if self._header_length is None:
            return f"it ends after {len(self._head)} bytes, before the length of its header"
        if self._header_length > _LONGEST_HEADER:
            return f"its header would have {self._header_length:,} bytes, more than the format allows"
        if len(self._head) < self._head_length:
            return f"its header should have {self._header_length:,} bytes, the file ends before"
        try:
            msgspec.json.decode(self._head[_LENGTH_BYTES:], type=dict[str, msgspec.Raw])
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            return f"its header is no JSON object ({error})"
        return None
