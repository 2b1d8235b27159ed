"""What a refresh reads between two snapshots, and what it leaves to them."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import duckdb
import pytest

from emulator.launch import launch
from pipelines.api.errors import ServiceError
from pipelines.crawl.discovery import refresh
from pipelines.crawl.snapshot import take_snapshot
from pipelines.errors import CivitaiEtlError
from pipelines.settings import Settings
from pipelines.storage.lock import GaveWayError
from tests.pipelines.conftest import DAY, Notes, rows, settings_for
from tests.pipelines.service import Reply, Service

Raw = Callable[[str], list[tuple[Any, ...]]]


def published(model_id: int, moment: str, **fields: Any) -> dict[str, Any]:
    return {"id": model_id, "modelVersions": [{"id": model_id * 10, "publishedAt": moment}]} | fields


@pytest.fixture
def models(service: Service) -> list[dict[str, Any]]:
    """Models, newest first, in pages of two."""
    models = [published(n, f"2025-12-{n:02}T00:00:00.000Z") for n in range(20, 0, -1)]
    service.pages("/models", lambda: models)
    return models


@pytest.fixture
def images(service: Service) -> list[dict[str, int]]:
    images = [{"id": n} for n in range(20, 0, -1)]
    service.pages("/images", lambda: images)
    return images


def documents(raw: Raw, kind: str) -> list[int]:
    return [
        int(entity_id) for (entity_id,) in raw(f"select entity_id from raw.{kind}_documents order by entity_id::int")
    ]


def test_new_models_and_images_are_read_newest_first_down_to_what_the_snapshot_saw(
    service: Service, settings: Settings, raw: Raw, models: list[Any], images: list[Any]
) -> None:
    take_snapshot(settings, DAY)
    before = {table: raw(f"select count(*) from raw.{table}") for table in ("model_observations", "image_observations")}
    models[:0] = [published(n, f"2026-01-01T13:00:{n}.000Z") for n in (23, 22, 21)]
    images[:0] = [{"id": n} for n in (23, 22, 21)]
    del service.requests[:]
    report = refresh(settings)
    assert report.documents == {"model": 3, "image": 3}
    assert (report.requests, report.pages) == (6, 6)
    assert [request.path for request in service.requests] == ["/models"] * 3 + ["/images"] * 3
    assert documents(raw, "model") == list(range(1, 24))
    assert documents(raw, "image") == [17, 18, 19, 20, 21, 22, 23]
    for table, count in before.items():
        assert raw(f"select count(*) from raw.{table}") == count, "facts come from snapshots alone"
    assert len(raw("from raw.snapshots")) == 1


def test_the_next_refresh_ends_where_this_one_began(
    service: Service, settings: Settings, raw: Raw, models: list[Any], images: list[Any]
) -> None:
    take_snapshot(settings, DAY)
    models.insert(0, published(21, "2026-01-01T13:00:00.000Z"))
    images.insert(0, {"id": 21})
    refresh(settings)
    quiet = refresh(settings)
    assert (quiet.documents, quiet.requests) == ({"model": 0, "image": 0}, 2)
    models.insert(0, published(20, "2026-01-01T14:00:00.000Z", name="with a new version"))
    images.insert(0, {"id": 22})
    assert refresh(settings).documents == {"model": 1, "image": 1}
    assert raw("select count(*) from raw.model_documents where entity_id = '20'") == [(2,)]


def test_a_refresh_that_is_cut_off_loads_nothing_and_starts_over(
    service: Service, settings: Settings, raw: Raw, models: list[Any], images: list[Any]
) -> None:
    take_snapshot(settings, DAY)
    models[:0] = [published(n, f"2026-01-01T13:00:{n}.000Z") for n in (25, 24, 23, 22, 21)]
    paged = service.routes["/models"]
    service.routes["/models"] = lambda query: Reply(b"", 403) if query.get("page") == "3" else paged(query)
    with pytest.raises(ServiceError, match="403"):
        refresh(settings)
    assert documents(raw, "model") == list(range(1, 21))
    service.routes["/models"] = paged
    assert refresh(settings).documents["model"] == 5
    assert documents(raw, "model") == list(range(1, 26))


def test_a_refresh_that_gives_way_at_any_page_or_pause_loads_nothing_and_starts_over(
    service: Service, settings: Settings, raw: Raw, models: list[Any], images: list[Any]
) -> None:
    take_snapshot(settings, DAY)
    models[:0] = [published(n, f"2026-01-01T13:00:{n}.000Z") for n in (25, 24, 23, 22, 21)]
    images.insert(0, {"id": 21})
    snapshot_waits: Iterator[bool]

    def safe_point() -> None:
        if next(snapshot_waits):
            raise GaveWayError

    for pages in (0, 1, 5):
        snapshot_waits = chain(repeat(False, pages), repeat(True))
        with pytest.raises(GaveWayError):
            refresh(settings, safe_point=safe_point)
        assert documents(raw, "model") == list(range(1, 21))
    paged = service.routes["/models"]
    service.replies("/models", Reply(b"busy", 503))
    snapshot_waits = chain(repeat(False, 1), repeat(True))
    asked = len(service.requests)
    with pytest.raises(GaveWayError):
        refresh(settings, safe_point=safe_point)
    assert len(service.requests) == asked + 1, "in the pause after the first answer"
    service.routes["/models"] = paged
    snapshot_waits = repeat(False)
    assert refresh(settings, safe_point=safe_point).documents == {"model": 5, "image": 1}
    assert documents(raw, "model") == list(range(1, 26))


def test_a_list_that_leads_in_circles_moves_no_mark(
    service: Service, settings: Settings, raw: Raw, images: list[Any]
) -> None:
    take_snapshot(settings, DAY)
    images[:0] = [{"id": n} for n in range(30, 20, -1)]
    paged = service.routes["/images"]
    service.replies("/images", Reply({"items": [{"id": 30}], "metadata": {"nextPage": "?limit=200&sort=Newest"}}))
    with pytest.raises(ServiceError, match="already read"):
        refresh(settings)
    service.routes["/images"] = paged
    assert refresh(settings).documents["image"] == 10


def test_the_live_service_is_asked_for_the_models_of_the_last_day_in_both_passes(
    service: Service, settings: Settings, raw: Raw
) -> None:
    live = settings.model_copy(update={"dialect": "live", "image_pages": 0})
    take_snapshot(live, DAY)
    del service.requests[:]
    page = {"items": [published(1, "2026-01-01T13:00:00.000Z")], "metadata": {"nextCursor": "a|1"}}
    service.replies("/models", Reply({"items": [{"id": 3}], "metadata": {}}))
    service.replies("/models", Reply(page), Reply({"items": [{"id": 1}, {"id": 2}], "metadata": {}}), nsfw="true")
    assert refresh(live).documents["model"] == 4, "1 stands there twice, with two documents"
    assert service.asked("/models") == [
        first := {"limit": "100", "sort": "Oldest", "period": "Day", "nsfw": "true"},
        first | {"cursor": "a|1"},
        {"limit": "100", "sort": "Oldest", "period": "Day"},
    ]


def test_the_snapshot_after_a_refresh_observes_what_it_had_found(
    service: Service, settings: Settings, raw: Raw, models: list[Any], images: list[Any]
) -> None:
    take_snapshot(settings, DAY)
    models.insert(0, published(21, "2026-01-01T13:00:00.000Z"))
    images.insert(0, {"id": 21})
    refresh(settings)
    assert take_snapshot(settings, DAY + timedelta(1)).status == "complete"
    for kind in ("model", "image"):
        assert raw(f"select day(snapshot_date) from raw.{kind}_observations where entity_id = '21'") == [(2,)]
        assert raw(f"select count(*) from raw.{kind}_documents where entity_id = '21'") == [(1,)]


def test_a_refresh_leaves_a_crawl_that_was_cut_off_where_it_is(
    service: Service, settings: Settings, raw: Raw, models: list[Any]
) -> None:
    take_snapshot(settings, DAY)
    paged = service.routes["/models"]
    service.routes["/models"] = lambda query: Reply(b"", 403) if query.get("page") == "5" else paged(query)
    with pytest.raises(ServiceError):
        take_snapshot(settings, DAY + timedelta(1))
    service.routes["/models"] = paged
    refresh(settings)
    del service.requests[:]
    assert take_snapshot(settings, DAY + timedelta(1)).status == "complete"
    assert service.asked("/models")[0]["page"] == "5"


def test_without_a_snapshot_there_is_nothing_to_refresh(service: Service, settings: Settings) -> None:
    settings.data_dir.mkdir()
    with pytest.raises(CivitaiEtlError, match="run `civitai-etl snapshot` first"):
        refresh(settings)
    assert service.requests == []


def test_documents_that_a_refresh_brought_before_anything_was_observed_are_stored_once(
    settings: Settings, raw: Raw, models: list[Any], images: list[Any]
) -> None:
    kept = images[:]
    images.clear()
    take_snapshot(settings, DAY)
    images[:] = kept[:3]
    assert refresh(settings).documents["image"] == 3
    take_snapshot(settings, DAY + timedelta(1))
    assert documents(raw, "image") == [18, 19, 20]
    assert raw("select count(*) from raw.image_observations") == [(3,)]


def test_documents_that_an_earlier_version_stored_twice_are_stored_once_by_the_next_run(
    settings: Settings, raw: Raw, models: list[Any], images: list[Any]
) -> None:
    take_snapshot(settings, DAY)
    before = raw("from raw.image_documents order by all")
    with duckdb.connect(str(settings.directory.warehouse)) as connection:
        connection.execute("insert into raw.image_documents from raw.image_documents limit 2")
    assert take_snapshot(settings, DAY).already_complete
    assert raw("from raw.image_documents order by all") == before


def test_a_gallery_of_which_nothing_is_wanted_is_not_asked_for(
    service: Service, settings: Settings, models: list[Any], images: list[Any]
) -> None:
    settings = settings.model_copy(update={"image_pages": 0})
    take_snapshot(settings, DAY)
    assert refresh(settings).documents == {"model": 0, "image": 0}
    assert service.asked("/images") == []


@pytest.mark.parametrize("dialect", ["spec", "live"])
def test_what_a_simulated_catalogue_published_since_the_snapshot_is_found(tmp_path: Path, dialect: str) -> None:
    with launch(models=600, on=DAY, dialect=dialect) as emulator:
        settings = settings_for(emulator.api_url, tmp_path, dialect=dialect)
        take_snapshot(settings, DAY)
        emulator.set_date(DAY + timedelta(1))
        report = refresh(settings)
        born = emulator.changes(DAY, DAY + timedelta(1))["models"]["born"]
    assert born
    assert report.pages < 12
    found = {entity_id for (entity_id,) in rows(settings, "select entity_id from raw.model_documents")}
    assert {str(model_id) for model_id in born} <= found


@pytest.mark.parametrize("length", [1, 3, 4, 30])
def test_an_outage_is_waited_for(
    service: Service, settings: Settings, models: list[Any], monkeypatch: pytest.MonkeyPatch, length: int
) -> None:
    monkeypatch.setattr("pipelines.api.pacing._FIRST_WAIT", 0.001)
    monkeypatch.setattr("pipelines.api.pacing._LONGEST_WAIT", 0.01)
    take_snapshot(settings, DAY)
    models[:0] = [published(n, f"2026-01-01T13:00:{n}.000Z") for n in (23, 22, 21)]
    service.outage(2, length)
    assert refresh(settings.model_copy(update={"max_attempts": 2})).documents["model"] == 3


def test_a_page_that_stays_broken_while_the_service_is_well_ends_its_list_of_news(
    service: Service, settings: Settings, models: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.api.pacing._FIRST_WAIT", 0.001)
    take_snapshot(settings, DAY)
    models[:0] = [published(n, f"2026-01-01T13:00:{n}.000Z") for n in (23, 22, 21)]
    sound = service.routes["/models"]
    broken = Reply(b"<html>", 500)
    service.routes["/models"] = lambda query: broken if query.get("page") == "2" else sound(query)
    notes = Notes()
    report = refresh(settings.model_copy(update={"max_attempts": 2}), notes)
    assert (report.documents["model"], report.rejected) == (2, 1)
    assert "it answered 500 <html>" in notes.lines[0]
    assert "is left to the next snapshot" in notes.lines[0]


@pytest.mark.parametrize("dialect", ["spec", "live"])
@pytest.mark.parametrize("items", [[], [published(30, "2026-01-01T13:00:00.000Z")]], ids=["empty", "the same"])
def test_a_list_of_news_without_an_end_ends_and_moves_no_mark(
    service: Service, settings: Settings, models: list[Any], dialect: str, items: list[Any]
) -> None:
    speaking = settings.model_copy(update={"dialect": dialect})
    service.pages("/models", lambda: models, size=200)
    take_snapshot(speaking, DAY)
    paged = service.routes["/models"]

    def endless(query: dict[str, str]) -> Reply:
        following = str(len(service.requests))
        return Reply({"items": items, "metadata": {"nextPage": f"?page={following}", "nextCursor": following}})

    service.routes["/models"] = endless
    with pytest.raises(ServiceError, match="no end, 50 pages in a row had nothing new"):
        refresh(speaking)
    service.routes["/models"] = paged
    models.insert(0, published(21, "2026-01-01T13:00:00.000Z"))
    assert refresh(speaking).documents["model"] == 1
