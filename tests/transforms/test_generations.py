"""One synthetic payload per generation of shapes (`tests/payloads`): whatever the year, the star says the same.

The documents are made up. Their shapes are those that the service has had since 2023 (docs/api-notes.md, 16).
"""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.transforms.conftest import DAYS, Workshop

PAYLOADS = Path(__file__).parents[1] / "payloads"
SHA256 = "AB" * 32

#: Downloads, thumbs up, rating and licences that each generation gives.
MODELS = {
    "models-2023": (120, None, 4.9, ["Sell"]),
    "models-2024": (340, 61, 0.0, ["Image", "RentCivit"]),
    "models-2026-01": (800, 140, None, ["Image", "RentCivit"]),
    "models-2026-08": (None, 150, None, ["Image", "RentCivit"]),
    "models-specification": (900, 160, 4.75, ["Image", "RentCivit"]),
}


def items(name: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads((PAYLOADS / f"{name}.json").read_bytes())["items"]
    return found


def test_every_payload_is_tested() -> None:
    tested = {*MODELS, "images-2023", "images-2026", "creators-2023", "creators-2026", "tags-2023", "tags-2026"}
    assert {path.stem for path in PAYLOADS.glob("*.json")} == tested


@pytest.mark.parametrize("name", MODELS)
def test_a_model_of_any_generation_gives_the_same_rows(workshop: Workshop, name: str) -> None:
    downloads, thumbs_up, rating, licences = MODELS[name]
    workshop.raw.crawl(DAYS[0], model=items(name))
    workshop.build()
    assert workshop.sql("SELECT count(*) FROM star.ops_quarantine") == [(0,)]
    assert workshop.sql("SELECT name, type, username, allow_commercial_use FROM star.model") == [
        ("Paper Lantern", "LORA", "paperfolder", licences)
    ]
    assert workshop.sql("SELECT version_id, base_model, trained_words FROM star.model_version") == [
        (1001, "SD 1.5", ["paper lantern"])
    ]
    assert workshop.sql("SELECT download_count, thumbs_up_count, rating FROM star.fact_model_daily") == [
        (downloads, thumbs_up, rating)
    ]
    assert workshop.sql("SELECT tag FROM star.bridge_model_tag ORDER BY tag") == [("lantern",), ("style",)]
    assert workshop.sql("SELECT file_id, size_kb, format, virus_scan_result, scanned_at FROM star.dim_file") == [
        (5001, 147456.5, "SafeTensor", "Success", datetime(2023, 2, 3, 10, 10, tzinfo=UTC))
    ]
    assert (1001, 5001, SHA256) in workshop.sql("SELECT version_id, file_id, hash FROM star.file_hash")
    assert workshop.sql("SELECT image_id, nsfw_level, width FROM star.dim_image") == [(7001, 1, 512)]


@pytest.mark.parametrize("year", ["2023", "2026"])
def test_the_other_lists_of_any_generation_give_the_same_rows(workshop: Workshop, year: str) -> None:
    lists = {kind: items(f"{kind}s-{year}") for kind in ("image", "creator", "tag")}
    workshop.raw.crawl(DAYS[0], **lists)
    workshop.build()
    assert workshop.sql("SELECT count(*) FROM star.ops_quarantine") == [(0,)]
    assert workshop.sql("SELECT image_id, nsfw_level, username, created_at FROM star.dim_image") == [
        (9001, 1, "paperfolder", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    ]
    assert workshop.sql("SELECT like_count, heart_count FROM star.fact_image_daily") == [(5, 2)]
    assert (3,) in workshop.sql("SELECT model_count FROM star.fact_creator_daily")
    assert workshop.sql("SELECT tag, model_count FROM star.fact_tag_daily") == [
        ("lantern", 7 if year == "2023" else None)
    ]
