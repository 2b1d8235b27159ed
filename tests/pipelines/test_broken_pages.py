"""Pages that always fail: the one record that breaks them is found, set aside and stepped over, and all else stays."""

import math
import re
from collections import deque
from collections.abc import Callable, Collection
from datetime import timedelta
from typing import Any

import pytest

from pipelines.api.errors import OutageError, ServiceError
from pipelines.crawl.crawl import Crawl
from pipelines.crawl.snapshot import take_snapshot
from pipelines.progress import Silent
from pipelines.raw.kinds import SNAPSHOT_KINDS
from pipelines.raw.warehouse import Known
from pipelines.settings import Settings
from tests.pipelines.conftest import DAY, rows
from tests.pipelines.service import Reply, Service, empty

Raw = Callable[[str], list[tuple[Any, ...]]]

FAULTS = [Reply(b"<html>Internal error</html>", 500), Reply(b'{"items": [{"id": '), Reply(b'{"items": [', promised=900)]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.api.pacing._FIRST_WAIT", 0.001)
    monkeypatch.setattr("pipelines.api.pacing._LONGEST_WAIT", 0.02)


@pytest.fixture
def hasty(settings: Settings) -> Settings:
    return settings.model_copy(update={"max_attempts": 2})


@pytest.fixture
def live(settings: Settings) -> Settings:
    return settings.model_copy(update={"dialect": "live"})


def numbered(service: Service, ids: Collection[int], poison: Collection[int], fault: Reply = FAULTS[0]) -> None:
    """Models in numbered pages of the size that is asked for; a page with a broken record fails."""
    ids = list(ids)

    def route(query: dict[str, str]) -> Reply:
        page, limit = int(query.get("page", 1)), int(query["limit"])
        shown = ids[(page - 1) * limit : page * limit]
        if set(shown) & set(poison):
            return fault
        more = {"nextPage": f"?limit={limit}&sort=Newest&page={page + 1}"} if page * limit < len(ids) else {}
        return Reply({"items": [{"id": n} for n in shown], "metadata": {"totalItems": len(ids)} | more})

    service.routes["/models"] = route


def keyset(
    service: Service, ids: Collection[int], poison: Collection[int], cursor: str = "2026-01-01 10:00:00.000|{}"
) -> None:
    """Models in the order of their ids, from the one that the cursor names; the second pass has none."""
    ids = sorted(ids)

    def route(query: dict[str, str]) -> Reply:
        if "nsfw" not in query:
            return empty(query)
        first = int(query["cursor"].rpartition("|")[2]) if "cursor" in query else 0
        rest = [n for n in ids if n >= first]
        shown, following = rest[: int(query["limit"])], rest[int(query["limit"]) :]
        if set(shown) & set(poison):
            return FAULTS[0]
        metadata = {"nextCursor": cursor.format(following[0])} if following else {}
        return Reply({"items": [{"id": n} for n in shown], "metadata": metadata})

    service.routes["/models"] = route


def observed(raw: Raw) -> set[int]:
    return {int(entity_id) for (entity_id,) in raw("select entity_id from raw.model_observations")}


@pytest.mark.parametrize("fault", FAULTS, ids=["500", "broken JSON", "broken off"])
def test_one_broken_record_among_numbered_pages_is_set_aside_alone(
    service: Service, settings: Settings, raw: Raw, fault: Reply
) -> None:
    numbered(service, range(1, 501), {290}, fault)
    report = take_snapshot(settings, DAY)
    assert (report.status, report.rejected) == ("complete", 1)
    assert observed(raw) == set(range(1, 501)) - {290}
    assert report.endpoints["model"]["distinct_ids"] == 499
    ((kind, request, position, payload),) = raw("select kind, request, position, payload from raw.rejects")
    assert (kind, position, payload) == ("model", 0, fault.payload)
    assert request == "/models?limit=1&sort=Newest&page=290"


@pytest.mark.parametrize(
    "poison",
    [{1}, {200}, {201}, {455}, {1, 2}, {77, 78, 79}, {5, 199, 400, 455}],
    ids=lambda broken: str(sorted(broken)),
)
def test_broken_records_anywhere_among_numbered_pages_cost_nothing_else(
    service: Service, settings: Settings, raw: Raw, poison: set[int]
) -> None:
    numbered(service, range(1, 456), poison)
    report = take_snapshot(settings.model_copy(update={"max_attempts": 2}), DAY)
    assert (report.status, report.rejected) == ("complete", len(poison))
    assert observed(raw) == set(range(1, 456)) - poison


@pytest.mark.parametrize(
    "poison", [{1}, {1, 2}, {2}, {100}, {101}, {250}, {7, 8}, {30, 190}], ids=lambda broken: str(sorted(broken))
)
def test_broken_records_behind_cursors_that_name_them_are_stepped_over(
    service: Service, live: Settings, raw: Raw, poison: set[int]
) -> None:
    keyset(service, range(1, 251), poison)
    report = take_snapshot(live.model_copy(update={"max_attempts": 2}), DAY)
    assert (report.status, report.rejected) == ("complete", len(poison))
    assert observed(raw) == set(range(1, 251)) - poison


def test_finding_a_broken_record_takes_few_requests(service: Service, live: Settings) -> None:
    keyset(service, range(1, 501), {290})
    take_snapshot(live.model_copy(update={"max_attempts": 3}), DAY)
    assert len(service.asked("/models")) <= 7 + 3 + 3 + 3 * math.ceil(math.log2(100))


def test_a_broken_record_behind_a_cursor_that_says_nothing_makes_the_snapshot_partial(
    service: Service, live: Settings, raw: Raw
) -> None:
    opaque = {"first": [1, 2], "b": [3, 4]}

    def route(query: dict[str, str]) -> Reply:
        cursor = query.get("cursor", "first")
        if cursor == "b":
            return FAULTS[0]
        shown = opaque[cursor][: int(query["limit"])]
        return Reply({"items": [{"id": n} for n in shown], "metadata": {"nextCursor": "b"}})

    service.routes["/models"] = route
    service.pages("/tags", lambda: [{"name": "a"}] if len(service.asked("/tags")) < 2 else [])
    report = take_snapshot(live.model_copy(update={"max_attempts": 2}), DAY)
    assert report.status == "partial"
    assert (
        "models: /models?limit=1&sort=Oldest&nsfw=true&cursor=b stays broken and cannot be stepped over"
        in report.reason
    )
    assert "500" in report.reason
    assert raw("select request, payload from raw.rejects") == [
        ("/models?limit=1&sort=Oldest&nsfw=true&cursor=b", FAULTS[0].payload)
    ]
    assert report.endpoints["tag"]["distinct_ids"] == 1, "the other lists were read all the same"


def test_a_first_record_that_is_broken_and_cannot_be_stepped_over_costs_its_list_alone(
    service: Service, live: Settings
) -> None:
    keyset(service, range(1, 51), {1})
    healthy = service.routes["/models"]

    def route(query: dict[str, str]) -> Reply:
        if query["limit"] == "0":
            return Reply({"error": "Number must be greater than or equal to 1"}, 400)
        return healthy(query) if "sort" in query else Reply({"items": [{"id": 7}], "metadata": {}})

    service.routes["/models"] = route
    report = take_snapshot(live.model_copy(update={"max_attempts": 2}), DAY)
    assert report.status == "partial"
    assert report.reason.startswith("models: /models?limit=1&sort=Oldest&nsfw=true stays broken and cannot be stepped")


def gallery(service: Service, images: list[int], poison: int, cursor: str) -> None:
    """Images, newest first, behind cursors that hold an offset; a page with a broken record fails."""

    def route(query: dict[str, str]) -> Reply:
        first = int(re.findall(r"\d+", query.get("cursor", "0"))[0])
        following = first + int(query["limit"])
        shown = images[first:following]
        if poison in shown:
            return FAULTS[0]
        metadata = {"nextCursor": cursor.format(following)} if following < len(images) else {}
        return Reply({"items": [{"id": n} for n in shown], "metadata": metadata})

    service.routes["/images"] = route


def days_of_a_broken_image(
    service: Service, live: Settings, cursor: str, poison: int = 60, days: int = 4
) -> list[tuple[str, int, str | None]]:
    """Days with twenty new images each and one model less: status, images and reason of each."""
    images, models = list(range(50, 0, -1)), list(range(1, 21))
    gallery(service, images, poison, cursor)
    ended = []
    for number in range(days):
        keyset(service, models, ())
        report = take_snapshot(live.model_copy(update={"max_attempts": 1}), DAY + timedelta(number))
        ended.append((report.status, report.endpoints["image"]["distinct_ids"], report.reason))
        images[:0] = range(images[0] + 20, images[0], -1)
        service.replies(f"/models/{models.pop()}", Reply({"error": "No model"}, 404))
    return ended


@pytest.mark.parametrize("poison", [60, 70, 51], ids=["in the middle", "the newest", "the oldest"])
def test_a_broken_image_behind_a_cursor_that_counts_is_stepped_over(
    service: Service, live: Settings, raw: Raw, poison: int
) -> None:
    days = days_of_a_broken_image(service, live, "{}|1700000000000", poison, days=2)
    assert [status for status, *_ in days] == ["complete", "complete"]
    met = {int(number) for (number,) in raw("select distinct entity_id from raw.image_observations")}
    assert met == set(range(1, 71)) - {poison}
    assert raw("select count(*) > 0 from raw.rejects where kind = 'image'") == [(True,)]


def test_a_broken_image_that_cannot_be_stepped_over_is_passed_by_the_third_walk(
    service: Service, live: Settings, raw: Raw
) -> None:
    days = days_of_a_broken_image(service, live, "feed:{}")
    assert [status for status, *_ in days] == ["complete", "partial", "partial", "complete"]
    assert all("images: /images" in (reason or "") for _, _, reason in days[1:3])
    met = {int(number) for (number,) in raw("select distinct entity_id from raw.image_observations")}
    assert met == set(range(1, 111)) - set(range(51, 61)), "those behind it, up to the mark, stay unread"
    # The models that went meanwhile are gone all the same.
    assert raw("select count(distinct entity_id) from raw.tombstones") == [(3,)]


@pytest.mark.parametrize("dialect", ["spec", "live"])
def test_a_service_that_is_broken_altogether_ends_the_run_and_nothing_is_stepped_over(
    service: Service, settings: Settings, raw: Raw, dialect: str
) -> None:
    speaking = settings.model_copy(
        update={"dialect": dialect, "max_attempts": 2, "window_pages": 1, "retry_minutes": 0.005}
    )
    (numbered if dialect == "spec" else keyset)(service, range(1, 601), ())
    healthy = service.routes["/models"]
    service.routes["/models"] = lambda query: healthy(query) if len(service.asked("/models")) < 3 else FAULTS[0]
    with pytest.raises(ServiceError, match="500"):
        take_snapshot(speaking, DAY)
    assert len(service.requests) < 1000
    service.routes["/models"] = healthy
    report = take_snapshot(speaking, DAY)
    assert (report.crawl_id, report.status, report.rejected) == ("2026-01-01.1", "complete", 0)
    assert observed(raw) == set(range(1, 601))


def test_a_crawl_that_is_cut_off_among_the_parts_of_a_page_goes_on_there(
    service: Service, settings: Settings, raw: Raw
) -> None:
    numbered(service, range(1, 501), {290})
    healthy = service.routes["/models"]
    small = settings.model_copy(update={"window_pages": 1, "max_attempts": 2})
    for cut in ("11", "57", "30"):
        service.routes["/models"] = lambda query, cut=cut: (
            Reply(b"", 403) if query.get("page") == cut else healthy(query)
        )
        with pytest.raises(ServiceError, match="403"):
            take_snapshot(small, DAY)
    service.routes["/models"] = healthy
    report = take_snapshot(small, DAY)
    assert (report.status, report.rejected, report.distinct_ids) == ("complete", 1, 500)
    assert report.duplicates == 0
    assert observed(raw) == set(range(1, 501)) - {290}


def test_a_record_that_breaks_its_page_and_its_own_answer_is_neither_observed_nor_buried(
    service: Service, settings: Settings, raw: Raw
) -> None:
    numbered(service, range(1, 51), ())
    take_snapshot(settings, DAY)
    numbered(service, range(1, 51), {7, 9})
    service.replies("/models/7", FAULTS[0])
    service.replies("/models/9", Reply({"id": 9}))
    report = take_snapshot(settings.model_copy(update={"max_attempts": 2}), DAY + timedelta(1))
    assert (report.status, report.rejected, report.reconciled_ids) == ("complete", 3, 2)
    assert raw("select request from raw.rejects where request not like '%?%'") == [("/models/7",)]
    assert raw("select count(*) from raw.model_observations where day(snapshot_date) = 2") == [(49,)]
    assert rows(settings, "select table_name from information_schema.tables where table_name = 'tombstones'") == []


def test_a_service_that_breaks_while_it_is_asked_for_ids_ends_the_run(
    service: Service, settings: Settings, raw: Raw
) -> None:
    numbered(service, range(1, 51), ())
    take_snapshot(settings, DAY)
    numbered(service, range(11, 51), ())
    for n in range(1, 11):
        service.replies(f"/models/{n}", FAULTS[0])
    hasty = settings.model_copy(update={"max_attempts": 1, "retry_minutes": 0.005})
    with pytest.raises(ServiceError, match="500"):
        take_snapshot(hasty, DAY + timedelta(1))
    assert {request.path for request in service.requests[-8:]} == {f"/models/{n}" for n in (1, 2, 3, 4)}
    for n in range(1, 11):
        service.replies(f"/models/{n}", Reply({"id": n}))
    report = take_snapshot(hasty, DAY + timedelta(1))
    assert (report.status, report.rejected, report.reconciled_ids) == ("complete", 0, 10)


def crawled(settings: Settings, expected: Collection[str] = ()) -> Crawl:
    """A crawl to its end, of which nothing is stored."""
    crawl = Crawl("2026-01-01.1", DAY, settings, {kind: Known() for kind in SNAPSHOT_KINDS}, expected, Silent())
    while not crawl.is_finished:
        crawl.open_window(100)
        for name in crawl.endpoints:
            deque(crawl.paginate(name), 0)
        deque(crawl.check_existence(), 0)
        if crawl.failure:
            raise crawl.failure
    return crawl


@pytest.mark.parametrize("length", [1, 2, 3, 8, 14, 16, 17, 18, 19, 20, 22, 25, 26, 27, 28, 29, 30, 31, 40, 90])
@pytest.mark.parametrize("dialect", ["spec", "live"])
def test_an_outage_of_any_length_has_nothing_set_aside(
    service: Service, hasty: Settings, dialect: str, length: int
) -> None:
    (numbered if dialect == "spec" else keyset)(service, range(1, 601), ())
    service.outage(3, length)
    crawl = crawled(hasty.model_copy(update={"dialect": dialect, "image_pages": 0}))
    row = crawl.row()
    assert (row.status, row.rejected, crawl.endpoints["models"].state.distinct_ids) == ("complete", 0, 600)


@pytest.mark.parametrize("length", [5, 17, 22, 28, 60])
@pytest.mark.parametrize("dialect", ["spec", "live"])
def test_an_outage_around_a_broken_record_costs_that_record_alone(
    service: Service, hasty: Settings, dialect: str, length: int
) -> None:
    (numbered if dialect == "spec" else keyset)(service, range(1, 601), {250})
    service.outage(6, length)
    crawl = crawled(hasty.model_copy(update={"dialect": dialect, "image_pages": 0}))
    row = crawl.row()
    assert (row.status, row.rejected, crawl.endpoints["models"].state.distinct_ids) == ("complete", 1, 599)


@pytest.mark.parametrize("dialect", ["spec", "live"])
@pytest.mark.parametrize("well", [1, 2])
@pytest.mark.parametrize("again", [3, 5, 30])
def test_a_service_that_is_back_for_a_moment_only_has_nothing_set_aside(
    service: Service, hasty: Settings, dialect: str, well: int, again: int
) -> None:
    (numbered if dialect == "spec" else keyset)(service, range(1, 601), ())
    service.outage(3, 17)
    service.outage(20 + well, again)
    crawl = crawled(hasty.model_copy(update={"dialect": dialect, "image_pages": 0}))
    row = crawl.row()
    assert (row.status, row.rejected, crawl.endpoints["models"].state.distinct_ids) == ("complete", 0, 600)


@pytest.mark.parametrize("again", [5, 6, 30])
def test_a_service_that_is_back_for_one_id_only_has_none_set_aside(
    service: Service, hasty: Settings, again: int
) -> None:
    numbered(service, range(11, 51), ())
    for n in range(1, 9):
        service.replies(f"/models/{n}", Reply({"id": n}))
    service.outage(3, 4)
    service.outage(8, again)
    crawl = crawled(hasty.model_copy(update={"image_pages": 0}), {str(n) for n in range(1, 9)})
    assert (crawl.row().status, crawl.row().rejected, crawl.existence_check.state.distinct_ids) == (
        "complete",
        0,
        8,
    )


def test_a_broken_id_is_found_where_the_first_record_of_the_list_is_broken_too(
    service: Service, hasty: Settings
) -> None:
    numbered(service, range(1, 51), {50})
    newest = service.routes["/models"]
    service.routes["/models"] = lambda query: newest(query) if "sort" in query else FAULTS[0]
    service.replies("/models/77", FAULTS[0])
    crawl = crawled(hasty, {"77"})
    assert (crawl.row().status, crawl.row().rejected, crawl.existence_check.state.unreadable) == (
        "complete",
        2,
        ["77"],
    )


def test_a_broken_first_record_is_stepped_over_though_the_service_failed_when_it_was_asked_where_its_list_begins(
    service: Service, live: Settings, raw: Raw
) -> None:
    keyset(service, range(1, 251), {1})
    healthy, failures = service.routes["/models"], [FAULTS[0], FAULTS[0]]
    service.routes["/models"] = lambda query: (
        failures.pop()
        if query["limit"] == "0" and failures
        else Reply({"items": [], "metadata": {}})
        if "sort" not in query
        else healthy(query)
    )
    report = take_snapshot(live.model_copy(update={"max_attempts": 2}), DAY)
    assert (report.status, report.rejected) == ("complete", 1)
    assert observed(raw) == set(range(2, 251))


@pytest.mark.parametrize("cursor", ["2026-13-45 99:99:99.999|{}", "0000-00-00 00:00:00.000|{}"])
def test_a_broken_record_whose_cursor_names_no_moment_of_any_calendar_cannot_be_stepped_over(
    service: Service, live: Settings, cursor: str
) -> None:
    keyset(service, range(1, 251), {101}, cursor)
    report = take_snapshot(live.model_copy(update={"max_attempts": 2}), DAY)
    assert report.status == "partial"
    assert "cannot be stepped over" in str(report.reason)


def test_a_list_without_parts_is_waited_for(service: Service, hasty: Settings) -> None:
    service.replies("/enums", *20 * [Reply(b"<html>", 502)], Reply({"ModelType": ["LORA"]}))
    assert crawled(hasty).row().status == "complete"


@pytest.mark.parametrize("length", [1, 2, 3, 6, 7, 8, 9, 10, 30])
@pytest.mark.parametrize("dialect", ["spec", "live"])
@pytest.mark.parametrize("missing", [2, 8])
def test_an_outage_while_ids_are_asked_for_has_none_of_them_set_aside(
    service: Service, hasty: Settings, missing: int, dialect: str, length: int
) -> None:
    numbered(service, range(11, 51), ())
    lists = service.routes["/models"]
    service.routes["/models"] = lambda query: Reply({"items": []}) if "ids" in query else lists(query)
    for n in range(1, missing):
        service.replies(f"/models/{n}", Reply({"id": n}))
    service.replies(f"/models/{missing}", Reply({"error": "No model"}, 404))
    lists_alone = 1 if dialect == "spec" else 2
    service.outage(lists_alone + 2, length)
    speaking = hasty.model_copy(update={"dialect": dialect, "image_pages": 0})
    crawl = crawled(speaking, {str(n) for n in range(1, missing + 1)})
    assert (crawl.row().status, crawl.row().rejected) == ("complete", 0)
    assert crawl.existence_check.state.denied == [str(missing)]
    assert crawl.existence_check.state.distinct_ids == missing - 1


@pytest.mark.parametrize("length", [2, 3, 4, 21])
def test_an_outage_while_many_ids_are_asked_for_at_once_has_none_of_them_asked_for_alone(
    service: Service, hasty: Settings, length: int
) -> None:
    numbered(service, range(1001, 1011), ())
    lists = service.routes["/models"]
    service.routes["/models"] = lambda query: (
        Reply({"items": [{"id": int(n)} for n in query["ids"].split(",")]}) if "ids" in query else lists(query)
    )
    service.outage(4, length)
    crawl = crawled(hasty.model_copy(update={"dialect": "live", "image_pages": 0}), {str(n) for n in range(1, 301)})
    assert (crawl.row().status, crawl.existence_check.state.distinct_ids) == ("complete", 300)
    assert [request.path for request in service.requests if request.path.startswith("/models/")] == []


def test_after_many_pages_the_line_says_what_failed_how_long_it_was_tried_and_what_is_kept(
    service: Service, hasty: Settings
) -> None:
    numbered(service, range(1, 601), ())
    service.outage(3, 10**6)
    with pytest.raises(OutageError) as error:
        take_snapshot(hasty.model_copy(update={"retry_minutes": 0.02, "window_pages": 1}), DAY)
    assert re.search(
        r"/models\?limit=\d+&sort=Newest&page=\d+: it answered 502 <html>Bad gateway</html>; tried for \d s; "
        r"run again later: 2 pages are loaded, and it goes on from there$",
        str(error.value),
    )


def test_half_of_a_surrogate_pair_breaks_no_page(service: Service, settings: Settings, raw: Raw) -> None:
    items = [
        rb'{"id":3,"name":"cut \ud83d","stats":{"downloadCount":1}}',
        rb'{"id":2,"name":"\ud83d\ude00"}',
        b'{"id":1}',
    ]
    body = b'{"items":[' + b",".join(items) + rb'],"metadata":{"totalItems":3,"note":"\udc00"}}'
    service.routes["/models"] = lambda _: Reply(body)
    report = take_snapshot(settings, DAY)
    assert (report.status, report.endpoints["model"]["rejected"]) == ("complete", 0)
    assert len(service.asked("/models")) == 1
    stored = raw("SELECT payload FROM raw.model_documents ORDER BY entity_id DESC")
    assert stored == [(items[0].decode().replace('{"downloadCount":1}', "{}"),), (items[1].decode(),), ('{"id":1}',)]
