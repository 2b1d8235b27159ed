"""A warehouse that is put back from a backup: whatever came between backup and loss is asked for again.

The working folder of dlt stays as it was: it knows more than the warehouse, and must not be believed.
"""

import shutil
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from pipelines.crawl.discovery import refresh
from pipelines.crawl.snapshot import _begin_or_go_on, _crawls, take_snapshot
from pipelines.crawl.source import crawl_source
from pipelines.progress import Silent
from pipelines.raw.crawls import CrawlRow
from pipelines.raw.loader import Loader
from pipelines.raw.warehouse import gallery_mark
from pipelines.settings import Settings
from tests.pipelines.conftest import DAY, Notes, crawl_row, settings_for
from tests.pipelines.service import Reply, Service

NEXT_DAY, THIRD_DAY = DAY + timedelta(1), DAY + timedelta(2)
Raw = Callable[[str], list[tuple[Any, ...]]]
both_dialects = pytest.mark.parametrize("dialect", ["spec", "live"])


@pytest.fixture
def dialect() -> str:
    return "spec"


@pytest.fixture
def settings(tmp_path: Path, service: Service, dialect: str) -> Settings:
    return settings_for(service.api_url, tmp_path / "data", dialect=dialect)


def pages_of_either_dialect(service: Service, path: str, items: Callable[[], list[Any]]) -> None:
    """Two items a page, the next one by its number or by a cursor."""

    def route(query: dict[str, str]) -> Reply:
        number, listed = int(query.get("page") or query.get("cursor") or 1), items()
        following = str(number + 1) if number * 2 < len(listed) else None
        metadata = {"nextPage": f"http://x/?page={following}", "nextCursor": following} if following else {}
        return Reply({"items": listed[number * 2 - 2 : number * 2], "metadata": metadata})

    service.routes[path] = route


@pytest.fixture
def images(service: Service) -> list[int]:
    """Ids of the gallery, newest first."""
    ids = list(range(10, 0, -1))
    pages_of_either_dialect(service, "/images", lambda: [{"id": n} for n in ids])
    return ids


@pytest.fixture
def models(service: Service) -> list[dict[str, Any]]:
    models = [{"id": n} for n in range(1, 9)]
    pages_of_either_dialect(service, "/models", lambda: models)
    return models


def put_back(settings: Settings, backup: Path) -> None:
    shutil.copy(backup, settings.directory.warehouse)


def backed_up(settings: Settings) -> Path:
    return Path(shutil.copy(settings.directory.warehouse, settings.data_dir.parent / "backup.duckdb"))


def met(raw: Raw, kind: str, on: date) -> list[int]:
    found = raw(f"select entity_id::int from raw.{kind}_observations where snapshot_date = '{on}' order by 1")
    return [entity_id for (entity_id,) in found]


@both_dialects
def test_a_snapshot_reads_the_gallery_down_to_what_the_warehouse_has_and_not_what_a_lost_one_had(
    settings: Settings, raw: Raw, images: list[int]
) -> None:
    take_snapshot(settings, DAY)
    backup = backed_up(settings)
    images[:0] = range(20, 10, -1)
    take_snapshot(settings, NEXT_DAY)
    put_back(settings, backup)
    images[:0] = [22, 21]
    assert take_snapshot(settings, NEXT_DAY).status == "complete"
    assert set(range(11, 23)) <= set(met(raw, "image", NEXT_DAY))
    images[:0] = [23]
    take_snapshot(settings, THIRD_DAY)
    assert min(met(raw, "image", THIRD_DAY)) > 18, "the mark moves on as before"


@both_dialects
def test_a_refresh_reads_down_to_what_the_warehouse_has_and_not_what_a_lost_one_had(
    service: Service, settings: Settings, raw: Raw, images: list[int], models: list[dict[str, Any]]
) -> None:
    def dated(n: int) -> dict[str, Any]:
        return {"id": n, "modelVersions": [{"id": n, "publishedAt": f"2026-01-01T13:00:{n}.000Z"}]}

    take_snapshot(settings, DAY)
    backup = backed_up(settings)
    images[:0] = range(20, 10, -1)
    models[:0] = [dated(n) for n in range(40, 30, -1)]
    found = refresh(settings).documents
    assert found["image"] == 10
    assert found["model"] >= 2
    assert refresh(settings).documents == {"model": 0, "image": 0}
    put_back(settings, backup)
    images[:0] = [21]
    assert refresh(settings).documents == found | {"image": 11}


def test_a_crawl_goes_on_where_the_warehouse_has_it_and_not_where_a_lost_one_had(
    service: Service, settings: Settings, raw: Raw, models: list[dict[str, Any]]
) -> None:
    settings = settings.model_copy(update={"window_pages": 1})
    cut_off(service, settings, pages=1)
    backup = backed_up(settings)
    cut_off(service, settings, pages=3)
    put_back(settings, backup)
    report = take_snapshot(settings, DAY)
    assert (report.crawl_id, report.status) == ("2026-01-01.1", "complete")
    assert met(raw, "model", DAY) == list(range(1, 9))
    assert report.endpoints["model"]["distinct_ids"] == 8


def cut_off(service: Service, settings: Settings, pages: int) -> None:
    """A crawl that ends after some pages of models."""
    paged = service.routes["/models"]
    service.routes["/models"] = lambda query: paged(query) if int(query.get("page", 1)) <= pages else Reply(b"", 403)
    with pytest.raises(Exception, match="403"):
        take_snapshot(settings, DAY)
    service.routes["/models"] = paged


def test_the_working_folder_of_another_data_directory_is_not_believed(
    service: Service, settings: Settings, raw: Raw, images: list[int]
) -> None:
    take_snapshot(settings, DAY)
    other = settings.model_copy(update={"data_dir": settings.data_dir.with_name("other")})
    images[:0] = range(20, 10, -1)
    for day in (DAY, NEXT_DAY):
        take_snapshot(other, day)
    shutil.rmtree(settings.data_dir / "dlt")
    shutil.copytree(other.data_dir / "dlt", settings.data_dir / "dlt")
    assert take_snapshot(settings, NEXT_DAY).status == "complete"
    assert set(range(11, 21)) <= set(met(raw, "image", NEXT_DAY))


# ------------------------------------------------------------------------------------------- a load that was cut off


def cut_off_load(settings: Settings, day: date, *, loaded: tuple[str, ...] = (), is_committed: bool = True) -> None:
    """What a kill leaves in the middle of the load of a first window: its package, with the jobs of the tables `loaded`
    done, into the table or into what dlt merges from. If it is not committed, what was extracted is there, too.
    """
    loader = Loader(settings.directory)
    loader.drain(Silent())
    crawl, closed = _begin_or_go_on(settings, day, *_crawls(settings), loader.state(), Silent())
    crawl.open_window(100)
    loader._extract(crawl_source(crawl, closed))
    extracted = Path(loader._pipeline.working_dir) / "normalize" / "extracted"
    kept = shutil.copytree(extracted, settings.data_dir / "extracted")
    loader._pipeline.normalize()
    if not is_committed:
        shutil.copytree(kept, extracted, dirs_exist_ok=True)
    shutil.rmtree(kept)
    (load_id,) = loader._pipeline.list_normalized_load_packages()
    if loaded:  # it comes first, and empties what dlt merges from
        loader._pipeline._get_load_storage().commit_schema_update(load_id, {})
    for job in loader._pipeline.get_load_package_info(load_id).jobs["new_jobs"]:
        if (table := job.job_file_info.table_name) in loaded:
            schema = "raw_staging" if table == "model_documents" else "raw"
            with duckdb.connect(str(settings.directory.warehouse)) as connection:
                connection.execute(f"insert into {schema}.{table} by name from '{job.file_path}'")
            done = Path(job.file_path.replace("new_jobs", "completed_jobs"))
            done.parent.mkdir(exist_ok=True)
            Path(job.file_path).rename(done)


def two_days(settings: Settings, models: list[dict[str, Any]]) -> None:
    """After which dlt has merged, too, and not only appended."""
    take_snapshot(settings, DAY)
    models[0] |= {"name": "changed"}
    take_snapshot(settings, NEXT_DAY)


def test_a_load_that_was_cut_off_is_finished_if_the_warehouse_is_the_same(
    service: Service, settings: Settings, raw: Raw, models: list[dict[str, Any]]
) -> None:
    two_days(settings, models)
    models[0] |= {"name": "changed again"}
    cut_off_load(settings, THIRD_DAY, loaded=("model_observations",))
    del service.requests[:]
    notes = Notes()
    assert take_snapshot(settings, THIRD_DAY, notes).already_complete
    assert (service.requests, notes.lines) == ([], [])
    assert met(raw, "model", THIRD_DAY) == list(range(1, 9))
    assert raw("select count(*) from raw.model_documents where entity_id = '1'") == [(3,)]


def test_a_load_that_was_cut_off_while_dlt_committed_it_is_finished(
    service: Service, settings: Settings, raw: Raw, models: list[dict[str, Any]]
) -> None:
    two_days(settings, models)
    cut_off_load(settings, THIRD_DAY, is_committed=False)
    del service.requests[:]
    assert take_snapshot(settings, THIRD_DAY).already_complete
    assert service.requests == []
    assert met(raw, "model", THIRD_DAY) == list(range(1, 9))


@pytest.mark.parametrize(
    ("windows_between", "loaded"),
    [(1, ()), (0, ("model_observations",)), (0, ("model_documents",))],
    ids=["others between", "half of it in the table", "half of it in the staging copy"],
)
def test_a_load_that_was_cut_off_does_not_go_into_a_warehouse_that_was_put_back(
    service: Service,
    settings: Settings,
    raw: Raw,
    models: list[dict[str, Any]],
    windows_between: int,
    loaded: tuple[str, ...],
) -> None:
    two_days(settings, models)
    backup = backed_up(settings)
    day = THIRD_DAY
    for _ in range(windows_between):
        models.append({"id": len(models) + 1})
        take_snapshot(settings, day)
        day += timedelta(1)
    models[0] |= {"name": "changed again"}
    cut_off_load(settings, day, loaded=loaded)
    put_back(settings, backup)
    notes = Notes()
    report = take_snapshot(settings, day, notes)
    assert (report.status, report.already_complete) == ("complete", False)
    assert any("it is dropped, and what it had is asked for again" in line for line in notes.lines)
    assert met(raw, "model", day) == [each["id"] for each in models]
    assert raw("select count(*) from raw.model_documents where entity_id = '1'") == [(3,)]
    assert raw(f"select count(*) from raw.snapshots where snapshot_date = '{day}'") == [(1,)]


@pytest.mark.parametrize("loaded", [(), ("model_observations",)], ids=["nothing", "half of it"])
def test_what_was_loaded_into_a_warehouse_that_is_gone_is_asked_for_again(
    settings: Settings, raw: Raw, models: list[dict[str, Any]], loaded: tuple[str, ...]
) -> None:
    take_snapshot(settings, DAY)
    cut_off_load(settings, NEXT_DAY, loaded=loaded)
    settings.directory.warehouse.unlink()
    notes = Notes()
    report = take_snapshot(settings, NEXT_DAY, notes)
    assert (report.status, report.already_complete) == ("complete", False)
    assert "asked for again" in notes.lines[0]
    assert met(raw, "model", NEXT_DAY) == list(range(1, 9))


# --------------------------------------------------------------------------------------------------------- the mark


def walked(down_to: int | None, up_to: int | None, stopped_at: int | None = None) -> CrawlRow:
    return crawl_row(gallery_from=down_to, gallery_to=up_to, gallery_stopped_at=stopped_at)


@pytest.mark.parametrize(
    ("walks", "mark"),
    [
        ([], None),
        ([walked(None, None)], None),
        ([walked(None, 10), walked(10, 20)], 20),
        ([walked(None, 10), walked(None, None), walked(10, 20)], 20),
        ([walked(None, 10), walked(20, 30)], 10),
        ([walked(20, 30)], None),
        ([walked(None, 10), walked(20, 30), walked(10, 40)], 40),
        ([walked(None, 10), walked(None, 20, 15)], 10),
        ([walked(None, 10), walked(None, 20, 15), walked(None, 30, 15)], 30),
        ([walked(None, 10), walked(None, 20, 15), walked(None, None), walked(None, 30, 15)], 30),
        ([walked(None, 10), walked(None, 20, 15), walked(None, 30, 25)], 10),
        ([walked(None, 10), walked(None, 20, 15), walked(10, 30), walked(None, 40, 15)], 30),
    ],
    ids=[
        *("none", "cut off", "two", "one cut off", "its start left out", "the first left out", "caught up"),
        *("stopped", "stopped twice", "stopped, cut off, stopped", "stopped elsewhere", "stopped, whole, stopped"),
    ],
)
def test_a_walk_counts_if_what_it_came_down_to_is_known(walks: list[CrawlRow], mark: int | None) -> None:
    assert gallery_mark(walks, {}) == mark


def test_where_the_walks_of_earlier_versions_had_come_goes_on_to_count(
    service: Service, settings: Settings, images: list[int]
) -> None:
    take_snapshot(settings, DAY)
    with duckdb.connect(str(settings.directory.warehouse)) as connection:
        for column in ("gallery_from", "gallery_to", "gallery_stopped_at"):
            connection.execute(f"alter table raw.snapshots drop column {column}")
    earlier, _ = _crawls(settings)
    assert gallery_mark(earlier, {"image_mark": 10}) == 10
    assert gallery_mark([*earlier, walked(10, 20)], {"image_mark": 10}) == 20


@pytest.mark.parametrize("lost", ["load/normalized", "load/new", "normalize/extracted", "load", "."])
def test_a_kill_while_the_working_folder_was_dropped_is_no_end(settings: Settings, lost: str) -> None:
    take_snapshot(settings, DAY)
    shutil.rmtree(settings.data_dir / "dlt" / "civitai_etl" / lost, ignore_errors=True)
    assert take_snapshot(settings, NEXT_DAY).status == "complete"
