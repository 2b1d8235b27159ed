"""Whole snapshots of a simulated catalogue: what a date needs, and what a second day stores."""

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pytest
import urllib3

from emulator.launch import Emulator, launch
from pipelines.crawl.clock import ClockError
from pipelines.crawl.pagination import FETCHED_AGAIN
from pipelines.crawl.snapshot import take_snapshot
from pipelines.errors import CivitaiEtlError
from pipelines.raw.documents import splice
from pipelines.raw.kinds import SNAPSHOT_KINDS
from pipelines.raw.warehouse import connect, known
from pipelines.settings import Settings
from tests.pipelines.conftest import DAY, rows, settings_for
from tests.pipelines.service import Reply, Service

MODELS = 600
Raw = Callable[[str], list[tuple[Any, ...]]]


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with launch(models=MODELS, on=DAY) as emulator:
        yield emulator


def contents(settings: Settings) -> dict[str, list[tuple[Any, ...]]]:
    """All raw rows but for the timing of the crawl and the pages that a gallery asks for again."""
    columns = {
        "documents": "entity_id, content_hash, payload",
        "observations": "snapshot_date, entity_id, content_hash, crawl_id, crawl_pass, metrics",
    }
    tables = {
        f"{kind}_{part}": rows(settings, f"select {names} from raw.{kind}_{part} order by all")
        for kind in SNAPSHOT_KINDS
        for part, names in columns.items()
    }
    snapshots = "crawl_id, snapshot_date, status, reason, started_at, pages, items, distinct_ids, duplicates, endpoints"
    return tables | {"snapshots": rows(settings, f"select {snapshots} from raw.snapshots order by all")}


def test_what_was_answered_by_id_to_a_partial_crawl_is_observed_again_where_a_list_of_the_date_shows_it(
    service: Service, settings: Settings, raw: Raw
) -> None:
    """The list item tells more: with it, the second crawl is as good as if it had been the first."""
    shown = [1, 2, 3]
    service.pages("/models", lambda: [{"id": n} for n in shown])
    take_snapshot(settings, DAY)
    shown.remove(2)
    service.replies("/models/2", Reply({"id": 2}))
    service.replies("/tags", Reply({"items": [{"name": "a"}], "metadata": {"nextPage": "?page=2"}}))
    following = DAY + timedelta(1)
    assert take_snapshot(settings, following).status == "partial"
    shown.append(2)
    service.pages("/tags", list)
    assert take_snapshot(settings, following).status == "complete"
    found = "select entity_id, crawl_id, crawl_pass from raw.model_observations where day(snapshot_date) = 2"
    assert raw(f"{found} order by all") == [
        ("1", f"{following}.1", 1),
        ("2", f"{following}.1", 0),
        ("2", f"{following}.2", 1),
        ("3", f"{following}.1", 1),
    ]


def test_a_snapshot_observes_everything_that_exists_once(emulator: Emulator, tmp_path: Path) -> None:
    emulator.set_date(DAY)
    settings = settings_for(emulator.api_url, tmp_path)
    report = take_snapshot(settings, DAY)
    account = emulator.account(DAY)
    assert (report.crawl_id, report.status, report.reason) == ("2026-01-01.1", "complete", None)
    for kind, ids in (("model", account["models"]), ("creator", account["creators"]), ("tag", account["tags"])):
        observed = rows(settings, f"select entity_id from raw.{kind}_observations")
        assert sorted(entity_id for (entity_id,) in observed) == sorted(ids)
    assert report.endpoints["model"]["distinct_ids"] == len(account["models"])
    ((started_at, *others),) = rows(
        settings, "select started_at, finished_at >= started_at, dialect, passes from raw.snapshots"
    )
    assert datetime(2026, 1, 1, 12, tzinfo=UTC) <= started_at < datetime(2026, 1, 1, 13, tzinfo=UTC)
    assert others == [True, "spec", 1]


class Body(msgspec.Struct):
    items: list[msgspec.Raw]


def test_documents_and_metrics_together_give_the_received_bytes(emulator: Emulator, tmp_path: Path) -> None:
    emulator.set_date(DAY)
    settings = settings_for(emulator.api_url, tmp_path)
    take_snapshot(settings, DAY)
    stored = rows(
        settings,
        "select entity_id, payload, metrics from raw.model_documents "
        "join raw.model_observations using (entity_id, content_hash)",
    )
    spliced = {entity_id: splice("model", payload.encode(), metrics.encode()) for entity_id, payload, metrics in stored}
    body = urllib3.request("GET", f"{emulator.api_url}/models?limit=200&sort=Newest").data
    received = {
        str(msgspec.json.decode(item)["id"]): bytes(item) for item in msgspec.json.decode(body, type=Body).items
    }
    assert len(received) == 200
    assert {entity_id: spliced[entity_id] for entity_id in received} == received


def test_the_same_day_again_makes_no_request_and_adds_no_row(emulator: Emulator, tmp_path: Path) -> None:
    emulator.set_date(DAY)
    settings = settings_for(emulator.api_url, tmp_path)
    first = take_snapshot(settings, DAY)
    before = contents(settings)
    again = take_snapshot(settings_for("http://127.0.0.1:9/api/v1", tmp_path), DAY, service_moved=True)
    assert (again.already_complete, again.requests, again.status) == (True, 0, "complete")
    assert (again.items, again.endpoints, again.crawl_id) == (first.items, first.endpoints, first.crawl_id)
    assert contents(settings) == before


def test_the_next_day_stores_documents_only_for_what_changed(emulator: Emulator, tmp_path: Path) -> None:
    settings, next_day = settings_for(emulator.api_url, tmp_path), DAY + timedelta(10)
    for day in (DAY, next_day):
        emulator.set_date(day)
        take_snapshot(settings, day)
    changes = emulator.changes(DAY, next_day)
    second = f"fetched_at::date = '{next_day}'"
    for kind, plural in (("model", "models"), ("creator", "creators"), ("tag", "tags")):
        written = rows(settings, f"select entity_id from raw.{kind}_documents where {second}")
        told = changes[plural]
        expected = {str(name) for name in (*told["born"], *told["returned"], *told["changed"])}
        assert expected or kind == "tag"
        assert {entity_id for (entity_id,) in written} == expected, kind
        ((observed,),) = rows(
            settings, f"select count(*) from raw.{kind}_observations where snapshot_date = '{next_day}'"
        )
        assert observed == len(emulator.account(next_day)[plural])
    assert rows(settings, f"select count(*) from raw.enum_documents where {second}") == [(0,)]


def test_a_document_that_returns_to_an_older_state_is_not_stored_again(
    service: Service, settings: Settings, raw: Raw
) -> None:
    for day, name in enumerate("abca"):
        service.replies("/models", Reply({"items": [{"id": 1, "name": name}], "metadata": {}}))
        take_snapshot(settings, DAY + timedelta(day))
    assert raw("select count(*), count(distinct content_hash) from raw.model_documents") == [(3, 3)]
    assert raw("select count(distinct content_hash) from raw.model_observations") == [(3,)]


def test_a_date_that_is_not_today_is_refused_by_a_service_that_answers_for_now(tmp_path: Path) -> None:
    settings = settings_for("https://civitai.com/api/v1", tmp_path / "data")
    with pytest.raises(CivitaiEtlError, match=r"2020-01-01 cannot be taken: .* answers only for today"):
        take_snapshot(settings, date(2020, 1, 1))
    assert not (tmp_path / "data").exists()


def test_without_a_date_it_is_today_and_starts_at_midnight_by_a_clock_of_another_day(
    service: Service, settings: Settings, raw: Raw
) -> None:
    report = take_snapshot(settings)
    today = datetime.now(UTC).date()
    assert report.snapshot_date in {today, today - timedelta(1)}
    midnight = datetime.combine(report.snapshot_date, datetime.min.time(), UTC)
    assert raw("select started_at, finished_at >= started_at from raw.snapshots") == [(midnight, True)]


@pytest.mark.parametrize("minutes", [-61, 61, -59, 59])
def test_a_real_service_whose_clock_is_an_hour_off_is_refused_before_anything_is_kept(
    service: Service, settings: Settings, minutes: int
) -> None:
    service.date = format_datetime(datetime.now(UTC) + timedelta(minutes=minutes), usegmt=True)
    # The same service by an address that does not say that it is on this machine.
    real = settings.model_copy(update={"api_url": service.api_url.replace("127.0.0.1", "0.0.0.0")})
    if abs(minutes) < 60:
        assert take_snapshot(real).status == "complete"
        return
    with pytest.raises(ClockError, match=r"Set this machine's clock"):
        take_snapshot(real)
    # An empty page is asked for again.
    assert [request.path for request in service.requests] == ["/models"] * (1 + FETCHED_AGAIN)
    assert not rows(real, "select 1 from information_schema.tables where table_name = 'snapshots'")


def test_a_first_answer_just_after_midnight_is_of_the_end_of_the_date(
    service: Service, settings: Settings, raw: Raw
) -> None:
    service.date = "Fri, 02 Jan 2026 00:00:02 GMT"
    take_snapshot(settings, date(2026, 1, 1))
    assert raw("select started_at from raw.snapshots") == [(datetime(2026, 1, 1, 23, 59, 59, 999999, tzinfo=UTC),)]


def cut_off(service: Service, settings: Settings, day: date) -> None:
    """A crawl that ends after its first page of models."""
    service.pages("/models", lambda: [{"id": number} for number in range(1, 6)])
    paged = service.routes["/models"]
    service.routes["/models"] = lambda query: Reply(b"", 403) if "page" in query else paged(query)
    with pytest.raises(CivitaiEtlError, match="403"):
        take_snapshot(settings, day)
    service.routes["/models"] = paged


def test_rows_are_appended_without_a_merge_only_where_nothing_is_stored(service: Service, settings: Settings) -> None:
    cut_off(service, settings, DAY)
    with connect(settings.directory.warehouse) as connection:
        found = {kind: known(connection, kind, DAY, "2026-01-01.1") for kind in ("model", "image")}
    assert [(each.is_first, each.is_empty) for each in found.values()] == [(True, False), (True, True)]


def test_the_crawl_of_a_new_date_closes_an_unfinished_one_as_partial(
    service: Service, settings: Settings, raw: Raw
) -> None:
    cut_off(service, settings, DAY)
    report = take_snapshot(settings, DAY + timedelta(1))
    assert report.status == "complete"
    assert raw("select crawl_id, status, reason, finished_at is not null from raw.snapshots order by all") == [
        ("2026-01-01.1", "partial", "cut off; 2026-01-02.1 was begun instead", True),
        ("2026-01-02.1", "complete", None, True),
    ]


def test_a_date_whose_crawl_ended_partial_gets_another_crawl(service: Service, settings: Settings, raw: Raw) -> None:
    cut_off(service, settings, DAY)
    take_snapshot(settings, DAY + timedelta(1))
    report = take_snapshot(settings, DAY)
    assert (report.crawl_id, report.status) == ("2026-01-01.2", "complete")
    assert report.endpoints["model"] == {"pages": 3, "items": 5, "distinct_ids": 5, "duplicates": 0, "rejected": 0}
    first_day = f"snapshot_date = '{DAY}'"
    assert raw(
        f"select crawl_id, count(*) from raw.model_observations where {first_day} group by all order by all"
    ) == [
        ("2026-01-01.1", 2),
        ("2026-01-01.2", 3),
    ]


def test_a_crawl_of_another_dialect_is_not_continued(service: Service, settings: Settings) -> None:
    cut_off(service, settings, DAY)
    report = take_snapshot(settings.model_copy(update={"dialect": "live"}), DAY)
    assert report.crawl_id == "2026-01-01.2"


def test_a_lost_warehouse_is_begun_anew(service: Service, settings: Settings, raw: Raw) -> None:
    cut_off(service, settings, DAY)
    settings.directory.warehouse.unlink()
    report = take_snapshot(settings, DAY)
    assert (report.crawl_id, report.status) == ("2026-01-01.1", "complete")
    assert raw("select count(*) from raw.model_observations") == [(5,)]


def test_lost_working_files_of_dlt_are_no_loss(service: Service, settings: Settings, raw: Raw) -> None:
    cut_off(service, settings, DAY)
    shutil.rmtree(settings.data_dir / "dlt")
    asked_before = len(service.asked("/models"))
    report = take_snapshot(settings, DAY)
    assert (report.crawl_id, report.status) == ("2026-01-01.1", "complete")
    assert [query.get("page") for query in service.asked("/models")[asked_before:]] == ["2", "3"]
    assert raw("select count(*), count(distinct entity_id) from raw.model_observations") == [(5, 5)]


def test_what_a_kill_left_half_written_in_the_working_files_of_dlt_is_removed(
    service: Service, settings: Settings
) -> None:
    cut_off(service, settings, DAY)
    working = settings.data_dir / "dlt" / "civitai_etl"
    leftovers = [working / place / "0123456789abcdef" for place in (".", "normalize", "load/normalized", "load/new")]
    for leftover in leftovers[:2]:
        (leftover / "fedcba9876543210").mkdir(parents=True)
    for leftover in leftovers[2:]:
        leftover.write_text("{")
    assert take_snapshot(settings, DAY).status == "complete"
    assert [leftover for leftover in leftovers if leftover.exists()] == []


def test_rows_that_a_load_job_stored_twice_are_kept_once(service: Service, settings: Settings, raw: Raw) -> None:
    cut_off(service, settings, DAY)
    # What a kill between the commit of a job and dlt's note of it leaves once dlt has run the job again.
    with duckdb.connect(str(settings.directory.warehouse)) as connection:
        for table in ("model_documents", "model_observations", "snapshots"):
            connection.execute(f"insert into raw.{table} select * from raw.{table}")
    (settings.data_dir / "dlt" / "drained").touch()
    report = take_snapshot(settings, DAY)
    assert (report.crawl_id, report.status) == ("2026-01-01.1", "complete")
    for table, number in (("model_documents", 5), ("model_observations", 5), ("snapshots", 1)):
        assert raw(f"select count(*) from raw.{table}") == [(number,)]
    assert not (settings.data_dir / "dlt" / "drained").exists()


def test_the_key_is_nowhere_under_the_data_directory(service: Service, settings: Settings) -> None:
    sentinel = "sk-sentinel-77ac01"
    keyed = Settings(**(settings.model_dump() | {"api_key": sentinel, "window_pages": 1}))
    cut_off(service, keyed, DAY)
    service.replies(
        "/tags", Reply({"items": [], "metadata": {"nextPage": f"http://x/?page=2&token={sentinel}"}}), Reply(b"", 500)
    )
    with pytest.raises(CivitaiEtlError) as error:
        take_snapshot(keyed.model_copy(update={"max_attempts": 1, "retry_minutes": 0}), DAY)
    assert sentinel not in str(error.value)
    assert sentinel not in repr(keyed)
    files = [file for file in settings.data_dir.rglob("*") if file.is_file()]
    assert len(files) > 5
    for file in files:
        assert sentinel.encode() not in file.read_bytes(), file
