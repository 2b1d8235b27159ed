"""`civitai-etl identify` against a service whose files lie on this disk: their hashes are made by hashlib and put into
the catalogue that the emulator serves."""

import hashlib
import json
import random
import zlib
from pathlib import Path

import pytest

from emulator.launch import launch
from tests.e2e.conftest import CommandLine

SENTINEL = "sentinel-key-of-nobody"


def noise(size, seed):
    return random.Random(seed).randbytes(size)


def safetensors(tensors, header):
    return len(header).to_bytes(8, "little") + header + tensors


def hashes_of(data):
    sha256 = hashlib.sha256(data).hexdigest()
    return {"SHA256": sha256.upper(), "AutoV2": sha256[:10].upper(), "CRC32": format(zlib.crc32(data), "08X")}


TENSORS = noise(1_200_000, 3)
FILES = {
    "known.ckpt": noise(2000, 1),
    "shared.pt": noise(2000, 2),
    "edited.safetensors": safetensors(TENSORS, b'{"__metadata__":{"title":"edited"}}'),
    "unknown.gguf": noise(2000, 4),
    "damaged.safetensors": b"\x00",
}


def version(version_id, published, hashes, base_model="SDXL 1.0"):
    file = {
        "id": 10 * version_id,
        "name": "a.safetensors",
        "type": "Model",
        "primary": True,
        "sizeKB": 2.0,
        "hashes": hashes,
        "downloadUrl": f"https://civitai.com/api/download/models/{version_id}",
    }
    times = {"createdAt": f"{published}T00:00:00.000Z", "publishedAt": f"{published}T00:00:00.000Z"}
    told = {"id": version_id, "name": f"v{version_id}", "baseModel": base_model, "nsfwLevel": 1, "files": [file]}
    return told | times | {"images": [], "stats": {"downloadCount": 5, "thumbsUpCount": 1, "thumbsDownCount": 0}}


def model(model_id, *versions, **flags):
    told = {"id": model_id, "name": f"Harbour {model_id}", "type": "LORA", "nsfw": False, "nsfwLevel": 1}
    told |= {"creator": {"username": "ada"}, "tags": ["harbour"], "stats": {"downloadCount": 5}}
    return told | {"modelVersions": list(versions)} | flags


@pytest.fixture(scope="module", params=["spec", "live"])
def catalogue(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("catalogue")
    tensors = hashes_of(safetensors(TENSORS, b"{}")) | {"AutoV3": hashlib.sha256(TENSORS).hexdigest()[:12].upper()}
    models = [
        model(
            1,
            version(11, "2025-03-01", hashes_of(noise(9, 9)), "Flux.1 D"),
            version(10, "2025-02-01", hashes_of(FILES["known.ckpt"]), "SD 1.5"),
            allowCommercialUse="{Image,Sell}",
            allowNoCredit=False,
            allowDerivatives=True,
            allowDifferentLicense=True,
        ),
        model(2, version(20, "2025-05-01", hashes_of(FILES["shared.pt"])), allowCommercialUse=[]),
        model(3, version(30, "2025-04-01", hashes_of(FILES["shared.pt"])), allowCommercialUse="None"),
        model(4, version(40, "2025-04-01", tensors), allowDerivatives=False),
    ]
    path = folder / "models.ndjson"
    path.write_text("".join(json.dumps(one) + "\n" for one in models))
    for name, data in FILES.items():
        (folder / "disk").mkdir(exist_ok=True)
        (folder / "disk" / name).write_bytes(data)
    with launch(catalogue=path, dialect=request.param) as emulator:
        yield emulator, request.param, folder / "disk"


@pytest.fixture
def shell(catalogue, tmp_path):
    emulator, dialect, _ = catalogue
    emulator.order_faults("")
    settings = {
        "CIVITAI_ETL_DATA_DIR": str(tmp_path / "data"),
        "CIVITAI_ETL_API_URL": emulator.api_url,
        "CIVITAI_ETL_DIALECT": dialect,
        "CIVITAI_ETL_REQUESTS_PER_SECOND": "0",
        "CIVITAI_ETL_MAX_ATTEMPTS": "2",
        "CIVITAI_ETL_RETRY_MINUTES": "0.05",
    }
    return CommandLine(tmp_path, settings)


def answers(shell, *arguments):
    ended = shell.run("identify", *arguments, "--format", "json")
    assert ended.returncode == 0, ended.stderr
    return {Path(one["file"]).name: one for one in json.loads(ended.stdout)}, ended.stderr


def facts(one):
    return one["status"], one["matched_by"], one["model_id"], one["version_id"]


def test_the_service_alone_names_files(catalogue, shell):
    _, dialect, disk = catalogue
    found, said = answers(shell, disk)
    assert facts(found["known.ckpt"]) == ("known", "SHA256", 1, 10)
    assert facts(found["shared.pt"]) == ("known", "SHA256", 3, 30)
    assert facts(found["edited.safetensors"]) == ("known", "AUTOV3", 4, 40)
    assert facts(found["unknown.gguf"]) == facts(found["damaged.safetensors"]) == ("unknown", None, None, None)
    assert {one["source"] for one in found.values()} == {"service", None}
    assert "5 files: 3 known, 2 unknown" in said
    known = found["known.ckpt"]
    licence = "commercial use: Image, Sell; credit needed; derivatives allowed, with any licence"
    assert (known["model"], known["version"], known["base_model"]) == ("Harbour 1", "v10", "SD 1.5")
    assert known["licence"] == licence
    assert known["published_at"] == "2025-02-01T00:00:00Z"
    assert known["update"] == {
        "version_id": 11,
        "version": "v11",
        "base_model": "Flux.1 D",
        "published_at": "2025-03-01T00:00:00Z",
    }
    assert found["shared.pt"]["update_available"] is False
    # The specification's service tells of one version for a hash, the live one of all.
    assert found["shared.pt"]["other_version_ids"] == ([20] if dialect == "live" else [])
    assert found["damaged.safetensors"]["note"].startswith("damaged safetensors file")


def test_the_snapshot_alone_names_the_same_files(catalogue, shell):
    emulator, _, disk = catalogue
    shell.settings["CIVITAI_ETL_IMAGE_PAGES"] = "0"
    assert shell.run("snapshot", "--date", "2026-01-01").returncode == 0
    before = len(emulator.requests())
    offline, _ = answers(shell, disk, "--offline")
    assert len(emulator.requests()) == before
    assert facts(offline["shared.pt"]) == ("known", "SHA256", 3, 30)
    assert offline["shared.pt"]["other_version_ids"] == [20]
    online, _ = answers(shell, disk)
    for name, told in online.items():
        assert told | {"other_version_ids": [], "source": None} == offline[name] | {
            "other_version_ids": [],
            "source": None,
        }
    assert online["known.ckpt"]["source"] == "snapshot"
    asked = [one["request"] for one in emulator.requests(before)]
    assert asked
    assert not [one for one in asked if hashes_of(FILES["known.ckpt"])["SHA256"] in one]


def test_a_service_that_does_not_answer_is_told_and_no_file_is_called_unknown(catalogue, shell):
    emulator, _, disk = catalogue
    emulator.order_faults("500")
    shell.settings["CIVITAI_API_KEY"] = SENTINEL
    ended = shell.run("identify", disk / "unknown.gguf")
    assert ended.returncode == 0
    assert "1 file: 1 unanswered" in ended.stdout
    assert "500" in ended.stdout
    assert SENTINEL not in ended.stdout + ended.stderr


def test_while_another_process_writes_the_snapshot_answers_alone(catalogue, shell):
    from pipelines.storage.lock import writer_lock

    _, _, disk = catalogue
    with writer_lock(shell.data_dir):
        found, _ = answers(shell, disk / "known.ckpt")
    assert found["known.ckpt"]["status"] == "unanswered"
    assert "is writing to" in found["known.ckpt"]["note"]


def test_wrong_paths_are_one_line(shell):
    assert "nowhere.pt does not exist" in shell.fails("identify", "nowhere.pt")
    assert "No path" in shell.fails("identify")
