"""From files on a disk to the versions they are: the files are real, their hashes are made by hashlib and zlib and put
into the star by the build itself."""

import errno
import hashlib
import json
import os
import random
import zlib
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from flows.cli.identify import count_line, identify, model_files, record, render_files
from pipelines.errors import CivitaiEtlError
from pipelines.local_file_hashes import fingerprint
from pipelines.progress import Silent
from pipelines.settings import Settings
from tests.pipelines.test_storage import as_nobody, open_path
from tests.transforms.conftest import Workshop, model, version

__all__ = ["open_path"]

DAY = date(2026, 1, 1)
MIB = 2**20


def noise(size: int, seed: int) -> bytes:
    return random.Random(seed).randbytes(size)


def safetensors(tensors: bytes, header: bytes = b"{}") -> bytes:
    return len(header).to_bytes(8, "little") + header + tensors


def hashes_of(data: bytes) -> dict[str, str]:
    """As the service would have them, of any data but safetensors."""
    sha256 = hashlib.sha256(data).hexdigest()
    autov1 = hashlib.sha256(data[0x100000:0x110000]).hexdigest()[:8]
    return {"SHA256": sha256, "AutoV2": sha256[:10], "AutoV1": autov1, "CRC32": format(zlib.crc32(data), "08x")}


def published(version_id: int, on: str, hashes: dict[str, str], **fields):
    files = [{"id": version_id * 10, "name": "file", "hashes": hashes}]
    return version(version_id, publishedAt=f"{on}T12:00:00.000Z", files=files, **fields)


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    folder = tmp_path / "disk"
    folder.mkdir()
    return folder


class Desk:
    """A disk with files beside a star in the making."""

    def __init__(self, workshop: Workshop, disk: Path) -> None:
        self.workshop, self.disk = workshop, disk

    def file(self, name: str, data: bytes) -> Path:
        path = self.disk / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    def publish(self, *models, on=DAY, **options) -> None:
        self.workshop.raw.crawl(on, model=list(models), **options)
        self.workshop.build()

    def identify(self, *paths: Path):
        settings = Settings(data_dir=self.workshop.folder)
        return [record(file) for file in identify(settings, paths or [self.disk], offline=True, progress=Silent())]

    def identify_one(self, *paths: Path):
        (one,) = self.identify(*paths)
        return one


@pytest.fixture
def desk(tmp_path: Path, disk: Path) -> Desk:
    return Desk(Workshop(tmp_path), disk)


def test_a_file_is_named_with_licence_and_update(desk: Desk) -> None:
    data = noise(3000, 1)
    desk.file("lora.ckpt", data)
    desk.publish(
        model(
            1,
            published(11, "2025-03-01", hashes_of(noise(10, 9)), baseModel="Flux.1 D"),
            published(10, "2025-02-01", hashes_of(data), baseModel="SD 1.5"),
            published(12, "2025-01-01", {}),
            name="Harbour at Dawn",
            allowCommercialUse="{Image,RentCivit}",
            allowNoCredit=False,
            allowDerivatives=True,
            allowDifferentLicense=False,
        )
    )
    found = desk.identify_one()
    assert found | {"hashes": None} == {
        "file": str(desk.disk / "lora.ckpt"),
        "size_bytes": 3000,
        "status": "known",
        "source": "snapshot",
        "matched_by": "SHA256",
        "model_id": 1,
        "model": "Harbour at Dawn",
        "version_id": 10,
        "version": "v10",
        "base_model": "SD 1.5",
        "published_at": found["published_at"],
        "other_version_ids": [],
        "licence": "commercial use: Image, RentCivit; credit needed; derivatives allowed, with the same licence",
        "allow_commercial_use": ["Image", "RentCivit"],
        "allow_no_credit": False,
        "allow_derivatives": True,
        "allow_different_license": False,
        "update_available": True,
        "update": found["update"],
        "note": None,
        "hashes": None,
    }
    assert found["published_at"].isoformat() == "2025-02-01T12:00:00+00:00"
    assert (found["update"]["version_id"], found["update"]["base_model"]) == (11, "Flux.1 D")


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"allowCommercialUse": "None"}, "no commercial use"),
        ({"allowCommercialUse": []}, "no commercial use"),
        ({"allowCommercialUse": ["Sell"], "allowNoCredit": True}, "commercial use: Sell; no credit needed"),
        ({"allowDerivatives": False, "allowDifferentLicense": True}, "no commercial use; no derivatives"),
        (
            {"allowDerivatives": True, "allowDifferentLicense": True},
            "no commercial use; derivatives allowed, with any licence",
        ),
    ],
)
def test_the_licence_in_words(flags, words, desk: Desk) -> None:
    data = noise(100, 1)
    desk.file("a.pt", data)
    desk.publish(model(1, published(10, "2025-01-01", hashes_of(data)), **flags))
    assert desk.identify_one()["licence"] == words


def test_the_newest_version_has_no_update(desk: Desk) -> None:
    data = noise(100, 1)
    desk.file("a.pt", data)
    desk.publish(model(1, published(10, "2025-02-01", hashes_of(data)), published(11, "2025-01-01", {})))
    found = desk.identify_one()
    assert (found["update_available"], found["update"]) == (False, None)


def test_a_removed_version_is_still_named_and_its_update_is_one_that_is_there(desk: Desk) -> None:
    data = noise(100, 1)
    desk.file("a.pt", data)
    old = published(10, "2025-01-01", hashes_of(data))
    desk.publish(model(1, old, published(11, "2025-02-01", {}), published(12, "2025-03-01", {})))
    desk.publish(model(1, published(11, "2025-02-01", {})), on=date(2026, 1, 2))
    found = desk.identify_one()
    assert (found["version_id"], found["update"]["version_id"]) == (10, 11)


def test_whether_a_removed_model_has_an_update_is_not_known(desk: Desk) -> None:
    data = noise(100, 1)
    desk.file("a.pt", data)
    others = [model(number) for number in range(100, 300)]
    desk.publish(model(1, published(10, "2025-01-01", hashes_of(data))), *others)
    desk.publish(*others, on=date(2026, 1, 2), buried=(1,))
    found = desk.identify_one()
    assert (found["version_id"], found["update_available"]) == (10, None)


def test_the_oldest_publication_comes_first_where_several_versions_have_the_file(desk: Desk) -> None:
    data = noise(100, 1)
    desk.file("a.pt", data)
    desk.publish(
        model(1, published(30, "2025-05-01", hashes_of(data)), published(31, "2025-04-01", hashes_of(data))),
        model(2, published(20, "2025-04-02", hashes_of(data))),
        model(3, published(40, "2025-04-01", hashes_of(data))),
    )
    found = desk.identify_one()
    assert [found["version_id"], *found["other_version_ids"]] == [31, 40, 20, 30]


def test_a_version_that_is_there_comes_before_an_older_one_that_is_gone(desk: Desk) -> None:
    data = noise(100, 1)
    desk.file("a.pt", data)
    gone, there = published(10, "2025-01-01", hashes_of(data)), published(11, "2025-02-01", hashes_of(data))
    desk.publish(model(1, gone, there))
    desk.publish(model(1, there), on=date(2026, 1, 2))
    found = desk.identify_one()
    assert [found["version_id"], *found["other_version_ids"]] == [11, 10]


def test_the_whole_file_is_believed_before_its_tensors(desk: Desk) -> None:
    tensors = noise(200, 1)
    mine, other = safetensors(tensors, b'{"a":{}}'), safetensors(tensors)
    desk.file("a.safetensors", mine)
    autov3 = {"AutoV3": hashlib.sha256(tensors).hexdigest()[:12]}
    desk.publish(
        model(1, published(10, "2020-01-01", hashes_of(other) | autov3)),
        model(2, published(20, "2025-01-01", hashes_of(mine) | autov3)),
    )
    found = desk.identify_one()
    assert (found["version_id"], found["matched_by"], found["other_version_ids"]) == (20, "SHA256", [])


def test_a_file_with_edited_metadata_is_known_by_its_tensors(desk: Desk) -> None:
    tensors = noise(2 * MIB, 1)
    desk.file("a.safetensors", safetensors(tensors, b'{"__metadata__":{"title":"mine"}}'))
    served = hashes_of(safetensors(tensors)) | {"AutoV3": hashlib.sha256(tensors).hexdigest()[:12]}
    desk.publish(model(1, published(10, "2025-01-01", served)))
    found = desk.identify_one()
    assert (found["status"], found["version_id"], found["matched_by"]) == ("known", 10, "AUTOV3")


def test_blake3_and_autov2_decide_where_nothing_better_is_known(desk: Desk) -> None:
    one, two = noise(100, 1), noise(100, 2)
    path = desk.file("1.pt", one)
    desk.file("2.pt", two)
    blake3 = fingerprint(path, lambda _: None).hashes["BLAKE3"]
    desk.publish(
        model(1, published(10, "2025-01-01", {"BLAKE3": blake3.lower()})),
        model(2, published(20, "2025-01-01", {"AutoV2": hashes_of(two)["AutoV2"]})),
    )
    found = desk.identify()
    told = [(each["version_id"], each["matched_by"], each["status"]) for each in found]
    assert told == [(10, "BLAKE3", "known"), (20, "AUTOV2", "known")]


@pytest.mark.parametrize("algorithm", ["AutoV1", "CRC32"])
def test_a_hash_of_32_bits_is_only_a_hint(algorithm, desk: Desk) -> None:
    data = noise(2 * MIB, 1)
    desk.file("a.pt", data)
    desk.publish(model(1, published(10, "2025-01-01", {algorithm: hashes_of(data)[algorithm]})))
    found = desk.identify_one()
    assert (found["status"], found["matched_by"], found["version_id"]) == ("hint", algorithm.upper(), 10)


@pytest.mark.parametrize("algorithm", ["AutoV1", "AutoV2", "CRC32"])
def test_a_short_hash_of_a_file_that_is_known_to_be_another_is_no_match(algorithm, desk: Desk) -> None:
    data = noise(2 * MIB, 1)
    desk.file("a.pt", data)
    hashes = {algorithm: hashes_of(data)[algorithm], "SHA256": hashes_of(noise(10, 2))["SHA256"]}
    desk.publish(model(1, published(10, "2025-01-01", hashes)))
    assert desk.identify_one()["status"] == "unknown"


def test_files_without_a_second_mebibyte_do_not_all_match_each_other(desk: Desk) -> None:
    desk.file("a.pt", noise(100, 1))
    desk.publish(model(1, published(10, "2025-01-01", {"AutoV1": hashes_of(noise(50, 2))["AutoV1"]})))
    assert desk.identify_one()["status"] == "unknown"


def test_without_a_snapshot_every_file_is_unknown_and_that_is_said(desk: Desk, capsys) -> None:
    desk.file("a.pt", b"1")
    desk.file("b.pt", b"2")
    files = identify(Settings(data_dir=desk.workshop.folder), [desk.disk], offline=True, progress=Silent())
    assert count_line(files) == "2 files: 2 unknown"
    render_files(files, "json")
    told = capsys.readouterr()
    assert [one["status"] for one in json.loads(told.out)] == ["unknown", "unknown"]
    assert told.err == "2 files: 2 unknown\n"
    render_files(files, "table")
    assert "2 files: 2 unknown" in capsys.readouterr().out


def test_directories_are_searched_for_model_files_and_a_file_counts_once(desk: Desk) -> None:
    model_file, text = desk.file("deep/er/A.SafeTensors", b""), desk.file("notes.txt", b"")
    desk.file(".git/config", b"")
    (desk.disk / "again.ckpt").symlink_to(model_file)
    assert model_files([desk.disk]) == ([desk.disk / "again.ckpt"], [])
    assert model_files([model_file, text, model_file.parent]) == (sorted([model_file, text]), [])
    with pytest.raises(CivitaiEtlError, match=r"no\.pt does not exist"):
        model_files([desk.disk, desk.disk / "no.pt"])


def test_links_to_directories_are_followed_and_those_that_lead_round_end(desk: Desk, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "a.pt").write_bytes(b"a")
    (desk.disk / "linked").symlink_to(elsewhere)
    (elsewhere / "round").symlink_to(desk.disk)
    assert model_files([desk.disk]) == ([desk.disk / "linked" / "a.pt"], [])


def test_a_directory_that_cannot_be_read_is_told(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.file("a.pt", b"a")
    desk.file("secret/b.pt", b"b")
    scandir = os.scandir

    def refuse(path: str) -> Any:  # permissions keep nobody out who runs as root
        if str(path).endswith("secret"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr("os.scandir", refuse)
    told = {one["file"]: (one["status"], one["note"]) for one in desk.identify()}
    assert told == {
        str(desk.disk / "a.pt"): ("unknown", None),
        str(desk.disk / "secret"): ("unreadable", "cannot be read (Permission denied)"),
    }


def test_what_cannot_even_be_looked_at_is_told(desk: Desk, open_path: Path) -> None:
    (desk.disk / "round.pt").symlink_to("round.pt")
    desk.file("closed/a.pt", b"a").parent.chmod(0o444)
    too_long = desk.disk / ("a" * 300)
    told = as_nobody(lambda: raise_notes(desk.identify()))
    (desk.disk / "closed").chmod(0o755)
    assert "round.pt: cannot be read (Too many levels of symbolic links)" in told
    assert "a.pt: cannot be read (Permission denied)" in told
    with pytest.raises(CivitaiEtlError, match=rf"{too_long} cannot be read \(File name too long\)"):
        desk.identify(too_long)


def raise_notes(told: list[dict[str, Any]]) -> None:
    raise CivitaiEtlError("; ".join(f"{Path(one['file']).name}: {one['note']}" for one in told))


def test_a_damaged_file_is_told_and_the_others_go_on(desk: Desk, capsys) -> None:
    data = noise(100, 1)
    desk.file("good.pt", data)
    desk.file("bad.safetensors", b"\xff" * 20)
    (desk.disk / "gone.pt").symlink_to(desk.disk / "nowhere")
    desk.publish(model(1, published(10, "2025-01-01", hashes_of(data))))
    told = {Path(one["file"]).name: one for one in desk.identify()}
    assert {name: one["status"] for name, one in told.items()} == {
        "good.pt": "known",
        "bad.safetensors": "unknown",
        "gone.pt": "unreadable",
    }
    assert told["gone.pt"]["note"] == "cannot be read (No such file or directory)"
    assert told["good.pt"]["status"] == "known"
    assert told["bad.safetensors"]["note"].startswith("damaged safetensors file")


def test_progress_is_told_in_bytes(desk: Desk) -> None:
    class Told(Silent):
        last = ("", 0, 0, "")

        def update(self, phase, done, total=None, unit="items"):
            assert done > self.last[1]
            self.last = (phase, done, total, unit)

    for number in range(5):
        desk.file(f"{number}.pt", noise(MIB + number, number))
    told = Told()
    identify(Settings(data_dir=desk.workshop.folder), [desk.disk], offline=True, progress=told)
    assert told.last == ("hashing", 5 * MIB + 10, 5 * MIB + 10, "bytes")
