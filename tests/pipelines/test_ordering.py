"""High-water marks: one value that cannot be moves none, and hides nothing that comes after it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import dlt
import pytest

from pipelines.crawl.discovery import refresh
from pipelines.crawl.snapshot import take_snapshot
from pipelines.progress import Silent
from pipelines.raw.high_water_mark import plausible, plausible_ids
from pipelines.raw.loader import Loader
from pipelines.raw.resources import SOURCE
from pipelines.settings import Settings
from tests.pipelines.conftest import DAY
from tests.pipelines.service import Service

Raw = Callable[[str], list[tuple[Any, ...]]]
TOO_LARGE = 2**53 + 1


@pytest.mark.parametrize(
    ("ids", "mark", "sound"),
    [
        ([], None, []),
        ([3, 1, 2], None, [1, 2, 3]),
        ([3, 1, 2, TOO_LARGE], None, [1, 2, 3]),
        ([TOO_LARGE], None, []),
        ([3, 1, 10**12], None, [1, 3]),
        ([3, 1, 10**12, 10**12 + 1], 2, [1, 3]),
        ([10**12], 100, []),
        ([10**12], None, [10**12]),
        ([130_000_000, 270_000_000], 125_000_000, [130_000_000]),
        ([130_000_000, 250_000_000], 125_000_000, [130_000_000, 250_000_000]),
        ([1, *range(10**12, 10**12 + 100)], 1, [1, *range(10**12, 10**12 + 100)]),
        ([1, *range(10**12, 10**12 + 99)], 1, [1]),
    ],
    ids=[
        *("none", "usual", "larger than a number", "that alone", "far above", "two far above", "far above the mark"),
        *("nothing to compare with", "twice as high and more", "less", "a page of them", "a few of them"),
    ],
)
def test_a_few_ids_far_above_all_others_are_odd(ids: list[int], mark: int | None, sound: list[int]) -> None:
    assert plausible_ids(ids, mark) == sound


def test_a_publication_in_the_future_is_odd() -> None:
    moments = [
        "2026-01-01T00:00:00.000000+00:00",
        "2026-01-02T11:59:59.000000+00:00",
        "2026-01-02T12:00:01.000000+00:00",
    ]
    assert plausible("model", moments, datetime(2026, 1, 1, 12, tzinfo=UTC), None) == moments[:2]


@pytest.mark.parametrize("odd", [TOO_LARGE, 10**12])
def test_a_snapshot_goes_on_after_an_image_with_an_id_far_above_all_others(
    service: Service, settings: Settings, raw: Raw, odd: int
) -> None:
    images = [{"id": n} for n in (odd, 4, 3, 2, 1)]
    service.pages("/images", lambda: images)
    settings = settings.model_copy(update={"image_pages": 3})
    take_snapshot(settings, DAY)
    assert raw("select gallery_to from raw.snapshots") == [(4,)]
    images[1:1] = [{"id": n} for n in range(20, 4, -1)]
    take_snapshot(settings, DAY + timedelta(1))
    met = raw(f"select entity_id::bigint from raw.image_observations where snapshot_date = '{DAY + timedelta(1)}'")
    assert {*range(5, 21), odd} <= {image_id for (image_id,) in met}
    assert raw("select max(gallery_to) from raw.snapshots") == [(20,)]


def published(model_id: int, moment: str) -> dict[str, Any]:
    return {"id": model_id, "modelVersions": [{"id": model_id, "publishedAt": moment}]}


@pytest.fixture
def models(service: Service) -> list[dict[str, Any]]:
    models = [published(n, f"2025-12-{n:02}T00:00:00.000Z") for n in range(6, 0, -1)]
    service.pages("/models", lambda: models)
    return models


def test_a_refresh_takes_in_what_is_odd_and_goes_on_after_it(
    service: Service, settings: Settings, models: list[dict[str, Any]]
) -> None:
    images = [{"id": n} for n in range(6, 0, -1)]
    service.pages("/images", lambda: images)
    take_snapshot(settings, DAY)
    models.insert(0, published(7, "2099-01-01T00:00:00.000Z"))
    images.insert(0, {"id": 10**12})
    assert refresh(settings).documents == {"model": 1, "image": 1}
    models[1:1] = [published(n, f"2026-01-01T13:00:{n}.000Z") for n in range(14, 10, -1)]
    images[1:1] = [{"id": n} for n in range(14, 10, -1)]
    assert refresh(settings).documents == {"model": 4, "image": 4}
    quiet = refresh(settings)
    assert quiet.documents == {"model": 0, "image": 0}
    assert quiet.pages <= 6


def test_a_mark_that_an_earlier_version_let_move_into_the_future_is_forgotten(
    settings: Settings, models: list[dict[str, Any]]
) -> None:
    take_snapshot(settings, DAY)
    loader = Loader(settings.directory)
    loader.drain(Silent())
    moved = {"initial_value": "", "last_value": "2099-01-01T00:00:00.000000+00:00", "unique_hashes": []}

    @dlt.source(name=SOURCE)
    def of_earlier_version() -> Any:
        @dlt.resource(name="new_models")
        def nothing() -> Any:
            dlt.current.resource_state()["incremental"] = {"newest": moved}
            yield from ()

        return nothing

    loader.load(of_earlier_version())
    models.insert(0, published(7, "2026-01-01T13:00:00.000Z"))
    assert refresh(settings).documents["model"] == 1


def test_by_a_clock_of_the_last_year_all_moments_are_plausible() -> None:
    last = datetime.max.replace(tzinfo=UTC)
    assert plausible("model", ["2026-01-01T00:00:00.000000+00:00"], last, None) == ["2026-01-01T00:00:00.000000+00:00"]
