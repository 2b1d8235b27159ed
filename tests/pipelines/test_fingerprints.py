"""The hashes of a model file against oracles that know nothing of how they are made: hashlib and zlib over the whole,
DuckDB, and the published vectors of BLAKE3."""

import hashlib
import json
import random
import tracemalloc
import zlib
from pathlib import Path

import duckdb
import pytest

from pipelines.local_file_hashes import MODEL_SUFFIXES, Fingerprints, fingerprint

MIB = 2**20


def of(path: Path, data: bytes) -> Fingerprints:
    path.write_bytes(data)
    return fingerprint(path, lambda _: None)


def noise(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


def safetensors(tensors: bytes, header: bytes = b'{"__metadata__":{"format":"pt"}}') -> bytes:
    return len(header).to_bytes(8, "little") + header + tensors


# Sizes around every border that a piecewise reading could get wrong: of AutoV1's window and of the pieces.
SIZES = [0, 1, 100, MIB - 1, MIB, MIB + 1, MIB + 65_535, MIB + 65_536, MIB + 65_537, 2 * MIB, 3 * MIB + 7]


@pytest.mark.parametrize("size", SIZES)
def test_every_hash_is_that_of_the_definition(size: int, tmp_path: Path) -> None:
    data = noise(size)
    found = of(tmp_path / "model.ckpt", data)
    assert found.size == size
    assert found.note is None
    blake3 = found.hashes.pop("BLAKE3")
    assert len(blake3) == 64
    assert found.hashes == {
        "SHA256": hashlib.sha256(data).hexdigest().upper(),
        "AUTOV2": hashlib.sha256(data).hexdigest()[:10].upper(),
        "AUTOV1": hashlib.sha256(data[0x100000 : 0x100000 + 0x10000]).hexdigest()[:8].upper(),
        "CRC32": format(zlib.crc32(data), "08X"),
    }
    assert found.has_autov1 is (len(data[0x100000:]) > 0)


#: BLAKE3's test_vectors.json: the input is 0, 1, ..., 250, 0, 1, ... of a length; the first 32 bytes of the hash.
BLAKE3_VECTORS = {
    0: "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
    1: "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213",
    1023: "10108970eeda3eb932baac1428c7a2163b0e924c9a9e25b35bba72b28f70bd11",
    1024: "42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7",
    102400: "bc3e3d41a1146b069abffad3c0d44860cf664390afce4d9661f7902e7943e085",
}


@pytest.mark.parametrize("size", BLAKE3_VECTORS)
def test_blake3_agrees_with_its_published_vectors(size: int, tmp_path: Path) -> None:
    found = of(tmp_path / "model.bin", bytes(place % 251 for place in range(size)))
    assert found.hashes["BLAKE3"] == BLAKE3_VECTORS[size].upper()


def test_duckdb_finds_the_same_sha256_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    found = of(path, noise(2 * MIB + 5))
    ((expected,),) = duckdb.execute("select upper(sha256(content)) from read_blob(?)", [str(path)]).fetchall()
    assert found.hashes["SHA256"] == expected


@pytest.mark.parametrize("header_size", [2, 100, MIB - 9, MIB - 8, MIB - 7, 2 * MIB + 3])
@pytest.mark.parametrize("tensors", [b"", noise(MIB + 11)])
def test_autov3_is_of_what_follows_the_header(header_size: int, tensors: bytes, tmp_path: Path) -> None:
    header = b"{" + b" " * (header_size - 2) + b"}"
    found = of(tmp_path / "model.safetensors", safetensors(tensors, header))
    assert found.note is None
    assert found.hashes["AUTOV3"] == hashlib.sha256(tensors).hexdigest()[:12].upper()


def test_edited_metadata_changes_every_hash_but_autov3(tmp_path: Path) -> None:
    one = of(tmp_path / "one.safetensors", safetensors(noise(2 * MIB)))
    other = of(tmp_path / "OTHER.SafeTensors", safetensors(noise(2 * MIB), json.dumps({"title": "edited"}).encode()))
    assert {name for name in one.hashes if one.hashes[name] == other.hashes[name]} == {"AUTOV3"}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "ends after 0 bytes"),
        (b"\x10\x00\x00", "ends after 3 bytes"),
        ((2**64 - 1).to_bytes(8, "little") + b"{}", "18,446,744,073,709,551,615 bytes, more than the format allows"),
        ((50).to_bytes(8, "little") + b"{}", "should have 50 bytes, the file ends before"),
        (safetensors(b"tensors", b"not JSON"), "no JSON object"),
        (safetensors(b"tensors", b'["a list"]'), "no JSON object"),
        (safetensors(b"tensors", b""), "no JSON object"),
        (safetensors(b"", b'{"a":' * 5000), "no JSON object"),
    ],
)
def test_a_damaged_header_is_a_note_and_the_other_hashes_stand(data: bytes, said: str, tmp_path: Path) -> None:
    found = of(tmp_path / "model.safetensors", data)
    assert said in (found.note or "")
    assert "AUTOV3" not in found.hashes
    assert found.hashes["SHA256"] == hashlib.sha256(data).hexdigest().upper()


def test_only_safetensors_files_have_an_autov3(tmp_path: Path) -> None:
    for suffix in MODEL_SUFFIXES:
        found = of(tmp_path / f"model{suffix}", safetensors(b"tensors"))
        assert ("AUTOV3" in found.hashes) is (suffix in {".safetensors", ".sft"})


def test_a_file_is_read_once_in_pieces_and_in_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(safetensors(bytes(40 * MIB)))
    pieces: list[int] = []
    tracemalloc.start()
    try:
        fingerprint(path, pieces.append)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sum(pieces) == path.stat().st_size
    assert peak < 4 * MIB


def test_a_file_that_changes_while_it_is_read_has_no_hashes(tmp_path: Path) -> None:
    path = tmp_path / "model.ckpt"
    path.write_bytes(bytes(3 * MIB))

    def overwrite(_: int) -> None:
        with path.open("r+b") as file:
            file.write(noise(MIB))

    with pytest.raises(OSError, match="changed while it was read"):
        fingerprint(path, overwrite)


def test_the_reading_ends_when_nobody_wants_it_any_more(tmp_path: Path) -> None:
    path = tmp_path / "model.ckpt"
    path.write_bytes(noise(3 * MIB))

    def stop(_: int) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        fingerprint(path, stop)
