"""What is staged during a crawl is what the build would read from raw (`transforms.day.ahead`)."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pytest

from emulator.launch import Emulator, launch
from flows.steps import crawl, exclude_date, publish, rebuild_star, refresh_documents, run_daily_snapshot, staged_ahead
from pipelines.errors import CivitaiEtlError
from pipelines.progress import Silent
from pipelines.raw.tables import observations_table
from pipelines.settings import Settings
from pipelines.storage.lock import writer_lock
from tests.pipelines.conftest import settings_for
from tests.pipelines.service import Reply, running_service
from transforms.day.ahead import Ahead
from transforms.day.snapshot_day import NOTHING, SnapshotDay
from transforms.ranges import WIDTH
from transforms.staging import exchange
from transforms.staging.raw_reader import RawReader

DAYS = [date(2026, 1, 1) + timedelta(number) for number in range(4)]


@pytest.fixture(params=["live", "spec"])
def service(request: pytest.FixtureRequest) -> Iterator[tuple[Emulator, str]]:
    with launch(models=300, on=DAYS[0], dialect=request.param) as emulator:
        yield emulator, request.param


@pytest.fixture
def settings(service: tuple[Emulator, str], tmp_path: Path) -> Settings:
    emulator, dialect = service
    return Settings(
        data_dir=tmp_path / "data", api_url=emulator.api_url, dialect=dialect, requests_per_second=0, window_pages=2
    )


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What builds read from raw."""
    found: list[str] = []

    def noted(name: str, method: Callable[..., object]) -> Callable[..., object]:
        def read(*arguments: object, **keywords: object) -> object:
            found.append(name)
            return method(*arguments, **keywords)

        return read

    for name in ("observations", "documents"):
        monkeypatch.setattr(RawReader, name, noted(name, getattr(RawReader, name)))
    return found


def rows(directory: Path) -> dict[str, list[tuple[object, ...]]]:
    with duckdb.connect(directory / "analytics.duckdb", read_only=True) as connection:
        tables = connection.execute("SELECT DISTINCT table_name FROM build.manifest WHERE path LIKE '%/star/%'")
        return {
            table: connection.execute(f"FROM star.{table} ORDER BY ALL").fetchall() for (table,) in tables.fetchall()
        }


def test_a_day_is_built_from_what_was_staged_and_is_what_raw_gives(
    service: tuple[Emulator, str],
    settings: Settings,
    read: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if service[1] == "spec":  # in several ranges of ids; the other in one
        monkeypatch.setitem(WIDTH, "model", 200)
    monkeypatch.setattr(exchange, "HELD_BYTES", 20_000)  # some of it lies on the disk
    for on in DAYS[:2]:
        service[0].set_date(on)
        assert run_daily_snapshot(settings, on).snapshot.status == "complete"
        assert "observations" not in read
    assert not [*settings.directory.lake.glob("ahead")], "nothing is left behind"
    rebuild_star(settings, into=tmp_path / "again")
    assert "observations" in read
    assert rows(tmp_path / "again") == rows(settings.data_dir)


def test_a_crawl_that_was_cut_off_is_built_from_raw(
    service: tuple[Emulator, str], settings: Settings, read: list[str], tmp_path: Path
) -> None:
    emulator, _ = service
    emulator.order_faults("reset nth=5-")
    hasty = settings.model_copy(update={"max_attempts": 1, "retry_minutes": 0})
    with pytest.raises(CivitaiEtlError):
        run_daily_snapshot(hasty, DAYS[0])
    emulator.order_faults("")
    assert run_daily_snapshot(settings, DAYS[0]).snapshot.status == "complete"
    assert "observations" in read
    rebuild_star(settings, into=tmp_path / "again")
    assert rows(tmp_path / "again") == rows(settings.data_dir)


@pytest.mark.parametrize("hidden_days", [0, 2])
def test_documents_that_a_refresh_brought_stand_where_raw_has_them(
    tmp_path: Path, read: list[str], hidden_days: int
) -> None:
    def shown(model_id: int, address: str) -> dict[str, object]:
        images = [{"id": 900, "url": f"https://image.invalid/{address}"}]
        moment = f"2026-01-01T{model_id}:00:00.000Z"
        return {"id": model_id, "modelVersions": [{"id": model_id * 10, "publishedAt": moment, "images": images}]}

    with running_service() as service:
        settings = settings_for(service.api_url, tmp_path / "data")
        models = [{"id": 1, "modelVersions": [{"id": 10, "publishedAt": "2025-12-01T00:00:00.000Z"}]}]
        service.pages("/models", lambda: models)

        def take(on: date) -> None:
            service.date = f"{on:%a, %d %b %Y} 12:00:00 GMT"
            run_daily_snapshot(settings, on)

        take(DAYS[0])
        models.insert(0, shown(21, "of-an-earlier-load"))
        assert refresh_documents(settings).documents["model"] == 1
        hidden = models.pop(0)
        for on in DAYS[1 : 1 + hidden_days]:  # after which a crawl hands it over once more
            take(on)
        models[:0] = [shown(22, "of-the-crawl"), hidden]
        take(DAYS[1 + hidden_days])
    assert "observations" not in read
    rebuild_star(settings, into=tmp_path / "again")
    assert rows(tmp_path / "again") == rows(settings.data_dir)
    ((_, _, url, *_),) = rows(settings.data_dir)["dim_image"]
    assert url == "https://image.invalid/of-an-earlier-load"


def test_documents_that_a_rebuild_reads_ahead_stand_where_raw_has_them(tmp_path: Path) -> None:
    """Two models are as they were on a date that does not count. Between, they changed, and a list missed one."""

    def shown(model_id: int, address: str | None) -> dict[str, object]:
        images = [{"id": 900, "url": f"https://image.invalid/{address}"}] if address else []
        moment = f"2026-01-01T0{model_id}:00:00.000Z"
        return {"id": model_id, "modelVersions": [{"id": model_id * 10, "publishedAt": moment, "images": images}]}

    with running_service() as service:
        settings = settings_for(service.api_url, tmp_path / "data")
        models: list[dict[str, object]] = []
        service.pages("/models", lambda: models)
        first, changed = [shown(1, "of-the-first"), shown(2, "of-the-second")], [shown(1, None), shown(2, None)]
        service.routes["/models/2"] = lambda _: Reply(shown(2, None))
        for on, listed in zip(DAYS, (first, changed, changed[:1], first), strict=True):
            models[:] = [*listed, shown(3, None)]
            service.date = f"{on:%a, %d %b %Y} 12:00:00 GMT"
            run_daily_snapshot(settings, on)
            if on == DAYS[0]:
                exclude_date(settings, on, "it has too much")
    rebuild_star(settings, into=tmp_path / "again")
    assert rows(tmp_path / "again") == rows(settings.data_dir)
    ((_, _, url, *_),) = rows(settings.data_dir)["dim_image"]
    assert url == "https://image.invalid/of-the-first"


def test_an_odd_counter_that_stays_as_it_is_is_quarantined_every_day(tmp_path: Path) -> None:
    """A rebuild does not decode counters again that stand in raw as they did."""

    def shown(model_id: int, downloads: object, of_version: int) -> dict[str, object]:
        version = {
            "id": model_id * 10,
            "publishedAt": "2026-01-01T00:00:00.000Z",
            "stats": {"downloadCount": of_version},
        }
        return {"id": model_id, "stats": {"downloadCount": downloads}, "modelVersions": [version]}

    with running_service() as service:
        settings = settings_for(service.api_url, tmp_path / "data")
        models: list[dict[str, object]] = []
        service.pages("/models", lambda: models)
        for number, on in enumerate(DAYS):
            odd = ("many", -1) if on in DAYS[2:] else (5, 5)
            models[:] = [shown(1, odd[0], 5), shown(2, odd[1], 5), shown(3, 7, 7), shown(4, number // 2, number)]
            service.date = f"{on:%a, %d %b %Y} 12:00:00 GMT"
            run_daily_snapshot(settings, on)
    rebuild_star(settings, into=tmp_path / "again")
    assert rows(tmp_path / "again") == rows(settings.data_dir)
    with duckdb.connect(tmp_path / "again" / "analytics.duckdb", read_only=True) as star:
        quarantined = star.execute("SELECT snapshot_date, entity_id FROM star.ops_quarantine ORDER BY ALL").fetchall()
        downloads = star.execute(
            "SELECT version_id, list(download_count ORDER BY snapshot_date) "
            "FROM star.fact_model_version_daily GROUP BY ALL"
        ).fetchall()
    assert quarantined == [(on, entity_id) for on in DAYS[2:] for entity_id in "12"]
    assert dict(downloads) == {10: [5] * 4, 20: [5] * 4, 30: [7] * 4, 40: [0, 1, 2, 3]}


@pytest.mark.parametrize("service", ["spec"], indirect=True)
def test_staging_that_fails_does_not_end_the_crawl(
    settings: Settings, read: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    with writer_lock(settings.data_dir, settings.directory.lake), staged_ahead(settings) as ahead:
        with monkeypatch.context() as patch:
            patch.setattr(exchange, "HELD_BYTES", 0)
            patch.setattr(type(ahead), "_files", lambda _: tmp_path / "file")
            assert crawl(settings, DAYS[0], Silent(), ahead).status == "complete"
        assert publish(settings, Silent(), ahead).dates == (DAYS[0],)
    assert "observations" in read


def test_a_write_that_fails_after_the_last_rows_ends_the_staging(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(exchange, "HELD_BYTES", 0)
    ahead = Ahead(tmp_path / "folder")
    monkeypatch.setattr(ahead, "_files", lambda: tmp_path / "file")
    now, table = datetime.now(UTC), observations_table("tag")
    row = dict.fromkeys(("entity_id", "content_hash"), "anime") | {"crawl_id": "1", "crawl_pass": 1, "metrics": "[]"}
    rows = pa.Table.from_pylist([row | {"snapshot_date": DAYS[0], "observed_at": now}], schema=table.schema)
    ahead.take("1", DAYS[0], table, rows)
    crawls = pl.DataFrame({"crawl_id": ["1"], "observations": [1], "started_at": [now]})
    assert ahead.of(SnapshotDay(DAYS[0], crawls, NOTHING)) is None
    ahead.close()
