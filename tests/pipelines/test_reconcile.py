"""What becomes of ids that the lists no longer show: missed, gone, or not to be believed."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from emulator.launch import launch
from pipelines.api.errors import ServiceError
from pipelines.crawl.snapshot import SnapshotReport, take_snapshot
from pipelines.raw.tables import RECONCILE_PASS
from pipelines.settings import Settings
from tests.pipelines.conftest import DAY, rows, settings_for
from tests.pipelines.service import Reply, Service

Raw = Callable[[str], list[tuple[Any, ...]]]
NEXT = DAY + timedelta(1)
TOMBSTONES = "select entity_id, day(snapshot_date), crawl_id, kind from raw.tombstones order by 1"

RECONCILED = f"select entity_id from raw.model_observations where crawl_pass = {RECONCILE_PASS} order by entity_id"


@pytest.fixture
def live(settings: Settings) -> Settings:
    return settings.model_copy(update={"dialect": "live"})


class Catalogue:
    """Models that a service has, and those of them that its list shows."""

    def __init__(self, service: Service, number: int) -> None:
        self.existing = set(range(1, number + 1))
        self.hidden: set[int] = set()
        self._service = service
        service.pages("/models", lambda: [{"id": n} for n in sorted(self.existing - self.hidden)], size=200)
        self.paged = service.routes["/models"]
        service.routes["/models"] = self.answer
        for n in self.existing:
            service.routes[f"/models/{n}"] = lambda _, n=n: self.detail(n)

    def answer(self, query: dict[str, str]) -> Reply:
        if "ids" in query:
            wanted = [int(n) for n in query["ids"].split(",")]
            return Reply({"items": [{"id": n, "ids": True} for n in wanted if n in self.existing and n % 2]})
        return self.paged(query)

    def detail(self, n: int) -> Reply:
        if n in self.existing:
            return Reply({"id": n, "detail": True})
        return Reply({"error": f"No model with id {n}"}, 404)

    def asked_for(self) -> list[str]:
        """The ids that were asked for one by one, and the batches."""
        models = [request for request in self._service.requests if request.path.startswith("/models")]
        return [
            request.query.get("ids") or request.path.removeprefix("/models/")
            for request in models
            if "ids" in request.query or request.path != "/models"
        ]


@pytest.fixture
def catalogue(service: Service) -> Catalogue:
    return Catalogue(service, 50)


def two_days(settings: Settings, change: Callable[[], object]) -> SnapshotReport:
    take_snapshot(settings, DAY)
    change()
    return take_snapshot(settings, NEXT)


def test_what_answers_404_is_a_tombstone_of_the_date_and_what_answers_is_observed(
    catalogue: Catalogue, settings: Settings, raw: Raw
) -> None:
    def change() -> None:
        catalogue.existing -= {7}
        catalogue.hidden |= {7, 9}

    report = two_days(settings, change)
    assert catalogue.asked_for() == ["7", "9"]
    assert raw(TOMBSTONES) == [("7", 2, "2026-01-02.1", "model")]
    assert raw(RECONCILED) == [("9",)]
    assert raw("select payload from raw.model_documents where entity_id = '9' order by 1") == [
        ('{"id": 9, "detail": true}',),
        ('{"id": 9}',),
    ]
    assert (report.status, report.reason, report.reconciled_ids) == ("complete", None, 2)
    assert report.endpoints["model"] == {"pages": 2, "items": 49, "distinct_ids": 49, "duplicates": 0, "rejected": 0}
    assert raw("select reconciled_ids from raw.snapshots order by snapshot_date") == [(0,), (2,)]


def test_a_watched_model_that_no_list_shows_is_observed_from_the_first_day_on(
    catalogue: Catalogue, settings: Settings, raw: Raw
) -> None:
    catalogue.hidden |= {9}
    watching = settings.model_copy(update={"watch_models": (9, 10)})
    report = two_days(watching, lambda: None)
    assert catalogue.asked_for() == ["9", "9"]  # 10 is in the list
    assert raw("select day(snapshot_date), crawl_pass from raw.model_observations where entity_id = '9'") == [
        (1, RECONCILE_PASS), (2, RECONCILE_PASS),
    ]  # fmt: skip
    assert (report.status, report.reconciled_ids) == ("complete", 1)


def test_a_watched_id_that_was_never_known_is_no_burial_and_tries_no_guard(
    catalogue: Catalogue, settings: Settings, raw: Raw
) -> None:
    watching = settings.model_copy(update={"watch_models": tuple(range(900, 920))})
    report = two_days(watching, lambda: None)
    assert (report.status, report.reason, report.reconciled_ids) == ("complete", None, 20)
    assert raw("select count(*) from information_schema.tables where table_name = 'tombstones'") == [(0,)]


def test_a_watched_model_that_was_known_and_is_gone_is_buried_once(
    catalogue: Catalogue, settings: Settings, raw: Raw
) -> None:
    watching = settings.model_copy(update={"watch_models": (7,)})
    two_days(watching, lambda: catalogue.existing.remove(7))
    take_snapshot(watching, NEXT + timedelta(1))
    assert catalogue.asked_for() == ["7", "7"]
    assert raw(TOMBSTONES) == [("7", 2, "2026-01-02.1", "model")]


def test_the_live_service_is_asked_for_a_hundred_at_once_and_then_for_the_rest_alone(
    service: Service, catalogue: Catalogue, live: Settings, raw: Raw
) -> None:
    catalogue.existing |= set(range(51, 301))
    for n in range(51, 301):
        service.routes[f"/models/{n}"] = lambda _, n=n: catalogue.detail(n)
    service.pages("/models", lambda: [{"id": n} for n in sorted(catalogue.existing - catalogue.hidden)], size=500)
    catalogue.paged = service.routes["/models"]
    service.routes["/models"] = catalogue.answer

    def change() -> None:
        catalogue.existing -= {121}
        catalogue.hidden |= set(range(1, 151))

    report = two_days(live, change)
    first, second, *alone = catalogue.asked_for()
    assert first == ",".join(map(str, range(1, 101)))
    assert second == ",".join(map(str, range(101, 151)))
    assert {(query["limit"], query["nsfw"]) for query in service.asked("/models") if "ids" in query} == {
        ("100", "true")
    }
    assert alone == [str(n) for n in range(1, 151) if n % 2 == 0 or n == 121]
    assert raw(TOMBSTONES) == [("121", 2, "2026-01-02.1", "model")]
    assert (report.status, report.reconciled_ids) == ("complete", 150)
    assert len(raw(RECONCILED)) == 149


def test_a_service_that_does_not_know_ids_is_asked_for_each_alone(
    service: Service, catalogue: Catalogue, live: Settings, raw: Raw
) -> None:
    service.routes["/models"] = catalogue.paged
    report = two_days(live, lambda: catalogue.hidden.update({3, 4}))
    assert catalogue.asked_for() == ["3,4", "3", "4"]
    assert (report.status, report.distinct_ids) == ("complete", 51)
    assert raw(RECONCILED) == [
        ("3",), ("4",),
    ]  # fmt: skip


def test_a_wave_of_404s_buries_none_and_the_snapshot_says_why(
    catalogue: Catalogue, settings: Settings, raw: Raw
) -> None:
    report = two_days(settings, lambda: catalogue.existing.difference_update(range(1, 11)))
    assert report.status == "partial"
    assert report.reason == (
        "reconcile: more than 3 of the 50 known ids answer 404, beyond the share of 1.0% that "
        "CIVITAI_ETL_MAX_BURIAL_SHARE allows: none is marked as deleted"
    )
    assert catalogue.asked_for() == ["1", "2", "3", "4"], "a service that denies its catalogue is not asked on and on"
    assert raw("select table_name from information_schema.tables where table_name = 'tombstones'") == []
    assert raw("select finished_at is not null from raw.snapshots order by snapshot_date") == [(True,), (True,)]

    # The wave passes: what is there again is listed again, and what is gone is found to be gone.
    catalogue.existing |= set(range(2, 11))
    assert take_snapshot(settings, NEXT + timedelta(1)).status == "complete"
    assert raw(TOMBSTONES) == [("1", 3, "2026-01-03.1", "model")]


def test_how_many_may_go_is_a_setting(catalogue: Catalogue, settings: Settings, raw: Raw) -> None:
    generous = settings.model_copy(update={"max_burial_share": 0.2})
    report = two_days(generous, lambda: catalogue.existing.difference_update(range(1, 11)))
    assert report.status == "complete"
    assert len(raw(TOMBSTONES)) == 10


def test_what_is_buried_is_not_asked_for_again_and_is_observed_when_it_comes_back(
    catalogue: Catalogue, settings: Settings, raw: Raw
) -> None:
    two_days(settings, lambda: catalogue.existing.remove(5))
    take_snapshot(settings, DAY + timedelta(2))
    catalogue.existing.add(5)
    take_snapshot(settings, DAY + timedelta(3))
    assert catalogue.asked_for() == ["5"]
    observed = "select day(snapshot_date), crawl_pass from raw.model_observations where entity_id = '5' order by 1"
    assert raw(observed) == [
        (1, 1), (4, 1),
    ]  # fmt: skip
    catalogue.existing.remove(5)
    take_snapshot(settings, DAY + timedelta(4))
    assert [day for _, day, *_ in raw(TOMBSTONES + ", 2")] == [2, 5]


def test_a_404_of_whoever_stands_between_buries_none(
    service: Service, catalogue: Catalogue, settings: Settings, raw: Raw
) -> None:
    def change() -> None:
        catalogue.existing -= {7}
        catalogue.hidden |= {9}
        service.replies("/models/9", Reply(b"<html>Not found</html>", 404))

    report = two_days(settings.model_copy(update={"max_attempts": 1}), change)
    assert (report.status, report.rejected) == ("complete", 1)
    assert [entity_id for entity_id, *_ in raw(TOMBSTONES)] == ["7"]


def test_a_list_of_models_that_was_not_read_to_its_end_lacks_nothing(
    service: Service, catalogue: Catalogue, settings: Settings
) -> None:
    looping = Reply({"items": [{"id": 1}], "metadata": {"nextPage": "?page=2"}})
    report = two_days(settings, lambda: service.replies("/models", looping))
    assert report.status == "partial"
    assert catalogue.asked_for() == []
    assert report.reconciled_ids == 0


def test_another_list_that_was_not_read_to_its_end_says_nothing_of_models(
    service: Service, catalogue: Catalogue, settings: Settings, raw: Raw
) -> None:
    def change() -> None:
        catalogue.existing.remove(7)
        catalogue.hidden.add(9)
        service.replies("/tags", Reply({"items": [{"name": "a"}], "metadata": {"nextPage": "?page=2"}}))

    report = two_days(settings, change)
    assert report.status == "partial"
    assert raw(RECONCILED) == [("9",)]
    assert [entity_id for entity_id, *_ in raw(TOMBSTONES)] == ["7"]


def test_an_answer_that_is_another_thing_is_kept_and_its_id_neither_observed_nor_buried(
    service: Service, catalogue: Catalogue, settings: Settings, raw: Raw
) -> None:
    service.replies("/models/7", Reply({"id": 8}))
    report = two_days(settings, lambda: catalogue.hidden.add(7))
    assert (report.status, report.rejected, report.reconciled_ids) == ("complete", 1, 1)
    assert raw("select request, reason, payload from raw.rejects") == [
        ("/models/7", "no document of model 7", b'{"id": 8}')
    ]
    assert raw(f"select count(*) from raw.model_observations where snapshot_date = '{NEXT}'") == [(49,)]


def test_a_reconcile_that_was_cut_off_goes_on_and_ends_as_if_undisturbed(
    service: Service, catalogue: Catalogue, live: Settings, raw: Raw, tmp_path: Path
) -> None:
    def change() -> None:
        catalogue.existing -= {2, 8}
        catalogue.hidden |= set(range(1, 11))
        service.replies("/models/6", Reply({"id": 0}))

    calm = live.model_copy(update={"data_dir": tmp_path / "calm", "window_pages": 4})
    disturbed = live.model_copy(update={"window_pages": 4})
    for each in (calm, disturbed):
        take_snapshot(each, DAY)
    change()
    whole = take_snapshot(calm, NEXT)
    undisturbed = len(service.requests)
    healthy = dict(service.routes)
    for cut in ("/models/4", "/models/8", "/models/10"):
        service.routes = healthy | {cut: lambda _: Reply(b"", 451)}
        with pytest.raises(ServiceError):
            take_snapshot(disturbed, NEXT)
        assert raw("select table_name from information_schema.tables where table_name = 'tombstones'") == []
    service.routes = healthy
    report = take_snapshot(disturbed, NEXT)
    assert (report.endpoints, report.status, report.reconciled_ids) == (whole.endpoints, "complete", 10)
    for query in (
        TOMBSTONES,
        "select entity_id, snapshot_date, crawl_pass from raw.model_observations order by all",
        "select entity_id, content_hash from raw.model_documents order by all",
        "select request, reason from raw.rejects",
    ):
        assert rows(disturbed, query) == rows(calm, query), query
    assert [entity_id for entity_id, *_ in raw(TOMBSTONES)] == ["2", "8"]
    assert len(service.requests) < 2 * undisturbed


def test_an_id_that_was_met_before_a_kill_is_a_duplicate_in_a_later_crawl_of_the_date_too(
    service: Service, live: Settings, raw: Raw
) -> None:
    def page(ids: list[int], cursor: str | None = None) -> Reply:
        return Reply({"items": [{"id": n} for n in ids], "metadata": {"nextCursor": cursor} if cursor else {}})

    loop = page([1, 2], "a"), page([2, 3], "b"), page([3])
    service.replies("/models", page([1, 2], "a"), page([2], "b"), nsfw="true")
    assert take_snapshot(live, DAY).status == "partial"
    service.replies("/models", page([1, 2], "a"), Reply(b"", 403), *loop[1:], nsfw="true")
    with pytest.raises(ServiceError):
        take_snapshot(live, DAY)
    report = take_snapshot(live, DAY)
    assert (report.crawl_id, report.status) == ("2026-01-01.2", "complete")
    assert report.endpoints["model"] == {"pages": 4, "items": 5, "distinct_ids": 3, "duplicates": 2, "rejected": 0}
    assert raw("select crawl_id, entity_id from raw.sightings where kind = 'model' order by all") == [
        ("2026-01-01.2", "1"), ("2026-01-01.2", "2"),
    ]  # fmt: skip


def test_what_a_simulated_catalogue_lost_in_a_month_is_buried_and_nothing_else(tmp_path: Path) -> None:
    later = DAY + timedelta(30)
    with launch(models=600, on=DAY) as emulator:
        settings = settings_for(emulator.api_url, tmp_path)
        for day in (DAY, later):
            emulator.set_date(day)
            assert take_snapshot(settings, day).status == "complete"
        gone = emulator.changes(DAY, later)["models"]["gone"]
    assert gone
    assert rows(settings, "select entity_id from raw.tombstones order by entity_id::int") == [
        (str(model_id),) for model_id in sorted(map(int, gone))
    ]


@pytest.mark.parametrize("status", [400, 403, 410])
def test_an_id_that_is_refused_is_set_aside_and_blocks_no_day(
    service: Service, catalogue: Catalogue, settings: Settings, raw: Raw, status: int
) -> None:
    def change() -> None:
        catalogue.existing.remove(7)
        catalogue.hidden |= {3, 5}
        service.routes["/models/3"] = lambda _: Reply({"error": "not for you"}, status)

    report = two_days(settings, change)
    assert (report.status, report.rejected) == ("complete", 1)
    assert raw("select request, payload from raw.rejects") == [("/models/3", b'{"error": "not for you"}')]
    assert [entity_id for entity_id, *_ in raw(TOMBSTONES)] == ["7"], "a refusal buries nothing"
    assert take_snapshot(settings, NEXT + timedelta(1)).status == "complete"


def test_a_service_that_refuses_id_after_id_makes_a_partial_snapshot(
    service: Service, catalogue: Catalogue, settings: Settings, raw: Raw
) -> None:
    def change() -> None:
        catalogue.hidden |= set(range(1, 11))
        service.routes |= {f"/models/{n}": lambda _: Reply({"error": "blocked"}, 403) for n in range(1, 11)}

    report = two_days(settings, change)
    assert report.status == "partial"
    assert (report.reason or "").startswith("reconcile: more than 3 ids in a row: ")
    assert catalogue.asked_for() == ["1", "2", "3", "4"]


def test_a_batch_that_is_refused_is_asked_for_one_by_one(
    service: Service, catalogue: Catalogue, live: Settings, raw: Raw
) -> None:
    paged = service.routes["/models"]
    service.routes["/models"] = lambda query: Reply({"error": "too many ids"}, 400) if "ids" in query else paged(query)
    report = two_days(live, lambda: catalogue.hidden.update({3, 4}))
    assert catalogue.asked_for() == ["3,4", "3", "4"]
    assert (report.status, raw(RECONCILED)) == ("complete", [("3",), ("4",)])


def test_after_a_gap_as_many_may_be_gone_as_day_by_day(catalogue: Catalogue, settings: Settings, raw: Raw) -> None:
    take_snapshot(settings, DAY)
    catalogue.existing -= set(range(1, 9))
    assert take_snapshot(settings, DAY + timedelta(2)).status == "partial", "8 of 50 in two days"
    assert raw("select count(*) from information_schema.tables where table_name = 'tombstones'") == [(0,)]
    assert take_snapshot(settings, DAY + timedelta(19)).status == "complete"
    assert len(raw(TOMBSTONES)) == 8
