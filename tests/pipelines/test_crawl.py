"""How the endpoints are walked: what follows a page, what is no end, and what is a loop."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from pipelines.api.dialects import DIALECTS
from pipelines.api.errors import ServiceError
from pipelines.crawl.snapshot import SnapshotReport, take_snapshot
from pipelines.settings import Settings
from tests.pipelines.conftest import DAY, rows, settings_for
from tests.pipelines.service import Reply, Service

Raw = Callable[[str], list[tuple[Any, ...]]]


#: What tells the first pass of the live dialect from the second.
FIRST = {"nsfw": "true"}


def cursor_page(ids: list[int], cursor: object = None) -> Reply:
    return Reply({"items": [{"id": number} for number in ids], "metadata": {"nextCursor": cursor} if cursor else {}})


def balanced(report: SnapshotReport) -> bool:
    each = [*report.endpoints.values(), vars(report)]
    return all(e["items"] == e["distinct_ids"] + e["duplicates"] + e["rejected"] for e in each)


@pytest.fixture
def live(settings: Settings) -> Settings:
    return settings.model_copy(update={"dialect": "live"})


def test_the_first_pass_to_see_an_id_wins_and_the_second_adds_what_it_lacks(
    service: Service, live: Settings, raw: Raw
) -> None:
    service.replies("/models", cursor_page([1, 2]))
    service.replies("/models", cursor_page([1, 3], "a"), cursor_page([4]), **FIRST)
    report = take_snapshot(live, DAY)
    assert [query.get("nsfw") for query in service.asked("/models")] == ["true", "true", None]
    assert raw("select entity_id, crawl_pass from raw.model_observations order by all") == [
        ("1", 1), ("2", 2), ("3", 1), ("4", 1),
    ]  # fmt: skip
    assert report.endpoints["model"] == {"pages": 3, "items": 5, "distinct_ids": 4, "duplicates": 1, "rejected": 0}
    assert raw("select passes, status from raw.snapshots") == [(2, "complete")]


def test_a_second_pass_that_brings_nothing_new_is_no_loop(service: Service, live: Settings) -> None:
    service.routes["/models"] = lambda query: cursor_page([3, 4]) if "cursor" in query else cursor_page([1, 2], "a")
    assert take_snapshot(live, DAY).status == "complete"


def test_a_crawl_that_is_cut_off_in_its_second_pass_goes_on_there(service: Service, live: Settings, raw: Raw) -> None:
    service.replies("/models", cursor_page([1, 3], "a"), Reply(b"", 403), cursor_page([2, 4]))
    service.replies("/models", cursor_page([1, 2]), **FIRST)
    with pytest.raises(ServiceError):
        take_snapshot(live, DAY)
    report = take_snapshot(live, DAY)
    asked = [(query.get("nsfw"), query.get("cursor")) for query in service.asked("/models")]
    assert asked == [("true", None), (None, None), (None, "a"), (None, "a")]
    assert report.endpoints["model"] == {"pages": 3, "items": 6, "distinct_ids": 4, "duplicates": 2, "rejected": 0}
    assert raw("select crawl_pass, count(*) from raw.model_observations group by 1 order by 1") == [(1, 2), (2, 2)]


def test_a_change_of_pass_alone_stores_no_document(service: Service, live: Settings, raw: Raw) -> None:
    service.replies("/models", cursor_page([1]))
    service.replies("/models", cursor_page([1]), cursor_page([]), **FIRST)
    for day in (DAY, DAY + timedelta(1)):
        take_snapshot(live, day)
    assert raw("select crawl_pass, content_hash from raw.model_observations order by all") == [
        (1, (found := raw("select content_hash from raw.model_documents")[0][0])),
        (2, found),
    ]
    assert raw("select count(*) from raw.model_documents") == [(1,)]


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=lambda dialect: dialect.name)
def test_no_first_request_sends_a_page(dialect: Any) -> None:
    for endpoint in dialect.endpoints:
        for pass_index in range(len(endpoint.passes)):
            assert "page" not in dict(endpoint.arguments(pass_index))


def test_a_cursor_is_followed_with_the_same_arguments(service: Service, live: Settings) -> None:
    pages = cursor_page([1, 2], "2026-01-01 10:00|2"), cursor_page([3], 77), cursor_page([4])
    service.replies("/models", *pages, **FIRST)
    report = take_snapshot(live, DAY)
    first = {"limit": "100", "sort": "Oldest", "nsfw": "true"}
    assert service.asked("/models")[:3] == [first, first | {"cursor": "2026-01-01 10:00|2"}, first | {"cursor": "77"}]
    assert (report.status, report.endpoints["model"]["distinct_ids"]) == ("complete", 4)


def test_an_empty_page_with_a_cursor_is_not_the_end(service: Service, live: Settings) -> None:
    pages = cursor_page([1], "a"), cursor_page([], "b"), cursor_page([], "c"), cursor_page([2])
    service.replies("/models", *pages, **FIRST)
    assert take_snapshot(live, DAY).endpoints["model"] == {
        "pages": 5, "items": 2, "distinct_ids": 2, "duplicates": 0, "rejected": 0,
    }  # fmt: skip


def test_a_cursor_that_comes_back_ends_the_walk_as_partial(service: Service, live: Settings, raw: Raw) -> None:
    service.replies("/models", cursor_page([1], "a"), cursor_page([], "b"), cursor_page([], "a"))
    report = take_snapshot(live, DAY)
    assert report.status == "partial"
    assert "models: /models?" in report.reason
    assert "already read" in report.reason
    assert len(service.asked("/models")) == 5, "the page that leads back is asked for twice again"
    assert raw("select status, reason, finished_at is not null from raw.snapshots") == [
        ("partial", report.reason, True)
    ]
    assert report.endpoints["enum"]["distinct_ids"] == 1, "the other endpoints were walked all the same"


@pytest.mark.parametrize("items", [[], [{"name": "no id"}], ["text"]], ids=["empty", "without ids", "no objects"])
def test_a_list_whose_pages_bring_nothing_new_ends_whatever_its_cursors_say(
    service: Service, live: Settings, items: list[Any]
) -> None:
    def route(query: dict[str, str]) -> Reply:
        cursor = int(query.get("cursor", "0"))
        return Reply({"items": items if cursor else [{"id": 1}], "metadata": {"nextCursor": str(cursor + 1)}})

    service.routes["/models"] = route
    report = take_snapshot(live.model_copy(update={"window_pages": 20}), DAY)
    assert report.status == "partial"
    assert report.reason == (
        "models: no end: 50 pages in a row had nothing new, the last of them "
        "/models?limit=100&sort=Oldest&nsfw=true&cursor=50"
    )
    assert len(service.asked("/models")) <= 52, "one is read ahead"


def test_tags_that_never_end_end(service: Service, live: Settings) -> None:
    service.replies("/tags", Reply({"items": [{"name": "anime"}], "metadata": {"totalItems": 0, "totalPages": 1}}))
    report = take_snapshot(live, DAY)
    assert (report.status, report.endpoints["tag"]["distinct_ids"]) == ("partial", 1)


def test_pages_without_anything_new_are_no_end_while_they_are_fewer(service: Service, live: Settings) -> None:
    def route(query: dict[str, str]) -> Reply:
        at = int(query.get("cursor", "0"))
        more = {"nextCursor": str(at + 1)} if at < 147 else {}
        return Reply({"items": [] if at % 49 else [{"id": at + 1}], "metadata": more})

    service.routes["/models"] = route
    report = take_snapshot(live, DAY)
    assert (report.status, report.endpoints["model"]["distinct_ids"]) == ("complete", 4)


def test_a_page_that_brings_no_new_id_ends_the_walk_as_partial(service: Service, live: Settings) -> None:
    service.routes["/models"] = lambda query: cursor_page([1, 2], len(service.requests))
    report = take_snapshot(live, DAY)
    assert (report.status, report.endpoints["model"]["duplicates"]) == ("partial", 6)
    assert len(service.asked("/models")) > 3, "the second page is the loop; it is asked for again before it is believed"


def test_a_cursor_that_comes_back_once_and_an_end_that_is_none_are_asked_for_again(
    service: Service, live: Settings
) -> None:
    pages = cursor_page([1], "a"), cursor_page([2], "a"), cursor_page([2], "b"), cursor_page([]), cursor_page([3])
    service.replies("/models", *pages, **FIRST)
    report = take_snapshot(live, DAY)
    assert (report.status, report.endpoints["model"]["distinct_ids"]) == ("complete", 3)
    assert report.endpoints["model"]["duplicates"] == 0


def test_a_full_last_page_that_repeats_another_does_not_count_as_read(service: Service, settings: Settings) -> None:
    full, rest = list(range(1, 201)), list(range(201, 381))
    more = {"totalItems": 380, "nextPage": "?limit=200&sort=Newest&page=2"}
    first = Reply({"items": [{"id": n} for n in full], "metadata": more})
    repeated = Reply({"items": [{"id": n} for n in full], "metadata": {"totalItems": 380}})
    last = Reply({"items": [{"id": n} for n in rest], "metadata": {"totalItems": 380}})
    service.replies("/models", first, repeated, last)
    report = take_snapshot(settings, DAY)
    assert (report.status, report.endpoints["model"]["distinct_ids"]) == ("complete", 380)


def test_what_is_doubted_for_one_reason_is_not_believed_for_the_next(service: Service, live: Settings) -> None:
    full = list(range(2, 102))
    back, empty_end, full_end = cursor_page([1], "a"), cursor_page([]), cursor_page(full)
    pages = (
        cursor_page([1], "a"),
        back,
        back,
        empty_end,
        full_end,
        empty_end,
        cursor_page(full, "b"),
        cursor_page([102]),
    )
    service.replies("/models", *pages, **FIRST)
    report = take_snapshot(live, DAY)
    assert (report.status, report.endpoints["model"]["distinct_ids"]) == ("complete", 102)


def test_a_last_page_may_repeat_what_was_met(service: Service, live: Settings) -> None:
    service.replies("/models", cursor_page([1, 2], "a"), cursor_page([2]), **FIRST)
    report = take_snapshot(live, DAY)
    assert (report.status, report.endpoints["model"]["duplicates"]) == ("complete", 1)
    assert balanced(report)


def test_tags_of_the_live_service_are_asked_for_until_a_page_is_empty(service: Service, live: Settings) -> None:
    pages = {"1": ["a", "b"], "2": ["c"]}
    service.routes["/tags"] = lambda query: Reply(
        {
            "items": [{"name": name} for name in pages.get(query.get("page", "1"), [])],
            "metadata": {"totalItems": 0, "totalPages": 1},
        }
    )
    report = take_snapshot(live, DAY)
    assert [query.get("page") for query in service.asked("/tags")] == [None, "2", "3"]
    assert (report.status, report.endpoints["tag"]["distinct_ids"]) == ("complete", 3)


def test_the_host_of_a_next_page_is_not_followed(service: Service, settings: Settings) -> None:
    service.pages("/models", lambda: [{"id": number} for number in range(1, 6)])
    report = take_snapshot(settings, DAY)
    assert [query.get("page") for query in service.asked("/models")] == [None, "2", "3"]
    assert all("token" not in request.query for request in service.requests)
    assert report.endpoints["model"]["distinct_ids"] == 5


def test_a_list_that_changed_while_it_was_read_is_read_again(service: Service, settings: Settings) -> None:
    def models() -> list[dict[str, int]]:
        # Before the second page is asked for, 2 vanishes: 3 slips to the first page and is missed.
        return [{"id": number} for number in (1, 2, 3, 4, 5) if number != 2 or len(service.asked("/models")) < 2]

    service.pages("/models", models)
    report = take_snapshot(settings, DAY)
    assert report.status == "complete"
    assert report.endpoints["model"] == {"pages": 4, "items": 8, "distinct_ids": 5, "duplicates": 3, "rejected": 0}


def test_a_list_that_never_holds_still_is_read_three_times_and_partial(service: Service, settings: Settings) -> None:
    service.pages("/creators", lambda: [{"username": f"u{n}"} for n in range(3 + len(service.asked("/creators")) % 2)])
    report = take_snapshot(settings, DAY)
    assert len(service.asked("/creators")) == 6
    assert report.status == "partial"
    assert "creators: the list changed while it was read" in report.reason
    assert balanced(report)


def announced(pages: dict[str, list[int]], total: int) -> Callable[[dict[str, str]], Reply]:
    """Numbered pages of models that say that there are `total`."""

    def route(query: dict[str, str]) -> Reply:
        number = int(query.get("page", "1"))
        more = {"nextPage": f"?page={number + 1}"} if str(number + 1) in pages else {}
        return Reply({"items": [{"id": n} for n in pages[str(number)]], "metadata": {"totalItems": total} | more})

    return route


def test_a_list_that_ends_before_its_own_total_is_read_again(service: Service, settings: Settings) -> None:
    whole = announced({"1": [1, 2], "2": [3]}, 3)
    service.routes["/models"] = whole
    service.replies("/models", announced({"1": [1, 2]}, 3)({}), whole({}), limit="200")
    service.replies("/models", whole({"page": "2"}), page="2")
    report = take_snapshot(settings, DAY)
    assert (report.status, report.endpoints["model"]["distinct_ids"]) == ("complete", 3)
    assert len(service.asked("/models")) == 3


def test_a_list_that_always_ends_before_its_own_total_is_partial(
    service: Service, settings: Settings, raw: Raw
) -> None:
    service.routes["/models"] = announced({"1": [1, 2], "2": [3]}, 4)
    report = take_snapshot(settings, DAY)
    assert (report.status, report.reason) == (
        "partial",
        "models: the list ended after 3 of its 4 records, 3 times over",
    )
    assert len(service.asked("/models")) == 6
    assert raw("select count(*) from raw.model_observations") == [(3,)]


def test_records_without_a_readable_id_count_as_read(service: Service, settings: Settings) -> None:
    service.replies("/models", Reply({"items": [{"id": 1}, {"name": "a"}], "metadata": {"totalItems": 2}}))
    assert take_snapshot(settings, DAY).status == "complete"
    assert len(service.asked("/models")) == 1


def creators_page(names: str, total: int, following: int | None = None) -> Reply:
    more = {"nextPage": f"?page={following}"} if following else {}
    return Reply({"items": [{"username": name} for name in names], "metadata": {"totalItems": total} | more})


def test_live_creators_in_no_order_are_the_union_of_walks(service: Service, live: Settings) -> None:
    first = creators_page("ab", 4, 2), creators_page("bc", 4)
    second = creators_page("da", 5, 2), creators_page("be", 5)
    service.replies("/creators", *first, *second, Reply(b"", 403))
    report = take_snapshot(live, DAY)
    assert (report.status, report.endpoints["creator"]["distinct_ids"]) == ("complete", 5)
    assert [query.get("page") for query in service.asked("/creators")] == [None, "2", None, "2"]


def test_live_creators_whose_total_moves_are_whole_once_so_many_were_met(service: Service, live: Settings) -> None:
    service.replies("/creators", creators_page("ab", 3, 2), creators_page("cd", 4), Reply(b"", 403))
    assert take_snapshot(live, DAY).status == "complete"


def test_live_creators_that_no_walk_shows_are_told(service: Service, live: Settings) -> None:
    service.replies("/creators", creators_page("ab", 4, 2), *5 * [creators_page("bc", 4), creators_page("ab", 4, 2)])
    report = take_snapshot(live, DAY)
    assert (report.status, report.reason) == (
        "partial",
        "creators: 3 of the 4 records of the list were met in 3 walks",
    )
    assert len(service.asked("/creators")) == 6


def test_live_creators_may_lack_one_in_a_hundred(service: Service, live: Settings) -> None:
    page = {"items": [{"username": f"u{n}"} for n in range(99)], "metadata": {"totalItems": 100}}
    service.replies("/creators", Reply(page))
    report = take_snapshot(live, DAY)
    assert report.status == "complete"
    assert len(service.asked("/creators")) == 3, "but not without having looked again"
    assert (report.listed, report.endpoints["creator"]["distinct_ids"]) == ({"creator": 100}, 99)


def test_a_walk_in_no_order_that_was_cut_off_counts_what_all_its_walks_met(service: Service, live: Settings) -> None:
    replies = creators_page("ab", 4, 2), creators_page("bc", 4), creators_page("bd", 4, 2), Reply(b"", 403)
    service.replies("/creators", *replies, creators_page("ac", 4))
    with pytest.raises(ServiceError):
        take_snapshot(live, DAY)
    report = take_snapshot(live, DAY)
    assert (report.status, report.endpoints["creator"]["distinct_ids"]) == ("complete", 4)
    assert len(service.asked("/creators")) == 5


def test_a_list_that_is_empty_and_was_not_before_is_partial_and_none_of_it_is_asked_for(
    service: Service, settings: Settings, raw: Raw
) -> None:
    service.pages("/models", lambda: [{"id": 1}])
    take_snapshot(settings, DAY)
    service.replies("/models", Reply({"items": [], "metadata": {}}))
    report = take_snapshot(settings, DAY + timedelta(1))
    assert (report.status, report.reason) == (
        "partial",
        "models: the list is empty, and it was not on the days before",
    )
    assert len(service.asked("/models")) == 1 + 3
    assert [request.path for request in service.requests if request.path.startswith("/models/")] == []


def test_an_empty_page_of_tags_is_believed_at_once_only_after_one_that_was_not_full(
    service: Service, live: Settings
) -> None:
    full = Reply({"items": [{"name": f"t{n}"} for n in range(200)]})
    nothing, last = Reply({"items": []}), Reply({"items": [{"name": "last"}]})
    service.replies("/tags", nothing, full, nothing, last, nothing)
    report = take_snapshot(live, DAY)
    assert (report.status, report.endpoints["tag"]["distinct_ids"]) == ("complete", 201)
    assert [query.get("page") for query in service.asked("/tags")] == [None, None, "2", "2", "3"]


def tags(names: list[str]) -> Reply:
    return Reply({"items": [{"name": name} for name in names], "metadata": {"totalItems": 0, "totalPages": 1}})


def test_a_short_last_page_of_tags_that_were_met_is_no_loop(service: Service, live: Settings) -> None:
    names = [f"t{n:03}" for n in range(401)]

    def route(query: dict[str, str]) -> Reply:
        page = int(query.get("page", "1"))
        # By then the last one is gone and another has come before all of them.
        return tags((names if page < 3 else ["new", *names[:-1]])[(page - 1) * 200 : page * 200])

    service.routes["/tags"] = route
    report = take_snapshot(live, DAY)
    assert (report.status, report.reason, report.endpoints["tag"]["distinct_ids"]) == ("complete", None, 400)


def test_a_full_page_of_tags_that_were_met_has_the_list_read_again(service: Service, live: Settings) -> None:
    names = [f"t{n:03}" for n in range(500)]
    stale = 3

    def route(query: dict[str, str]) -> Reply:
        nonlocal stale
        page = int(query.get("page", "1"))
        if page == 2 and stale:
            stale, page = stale - 1, 1
        return tags(names[(page - 1) * 200 : page * 200])

    service.routes["/tags"] = route
    report = take_snapshot(live, DAY)
    assert (report.status, report.endpoints["tag"]["distinct_ids"]) == ("complete", 500)


def test_a_full_page_of_tags_that_always_repeats_another_is_partial(service: Service, live: Settings) -> None:
    names = [f"t{n:03}" for n in range(500)]

    def route(query: dict[str, str]) -> Reply:
        page = int(query.get("page", "1"))
        shown = 1 if page == 2 else page
        return tags(names[(shown - 1) * 200 : shown * 200])

    service.routes["/tags"] = route
    report = take_snapshot(live, DAY)
    assert (report.status, report.reason) == ("partial", "tags: the list changed while it was read, 3 times over")


def test_creators_in_no_order_may_repeat_a_page_and_are_walked_again(service: Service, live: Settings) -> None:
    stale = 3

    def route(query: dict[str, str]) -> Reply:
        nonlocal stale
        page = shown = int(query.get("page", "1"))
        if page == 3 and stale:
            stale, shown = stale - 1, 2
        names = [f"u{n}" for n in range((shown - 1) * 200, shown * 200)]
        more = {"nextPage": f"?limit=200&page={page + 1}"} if page < 4 else {}
        return Reply({"items": [{"username": name} for name in names], "metadata": {"totalItems": 800} | more})

    service.routes["/creators"] = route
    report = take_snapshot(live, DAY)
    assert (report.status, report.reason, report.endpoints["creator"]["distinct_ids"]) == ("complete", None, 800)


def test_a_page_that_repeats_another_does_not_count_as_read(service: Service, settings: Settings) -> None:
    service.routes["/models"] = announced({"1": [1, 2], "2": [1, 2], "3": [3]}, 5)
    report = take_snapshot(settings, DAY)
    assert (report.status, report.reason) == (
        "partial",
        "models: the list ended after 3 of its 5 records, 3 times over",
    )


def test_page_numbers_that_are_gone_on_with_after_hours_repeat_what_was_pushed_on(
    service: Service, settings: Settings, raw: Raw
) -> None:
    models = [{"id": n} for n in range(1, 11)]
    service.pages("/models", lambda: models)
    paged = service.routes["/models"]
    service.routes["/models"] = lambda query: Reply(b"", 403) if query.get("page") == "4" else paged(query)
    with pytest.raises(ServiceError):
        take_snapshot(settings, DAY)
    service.routes["/models"] = paged
    models[:0] = [{"id": n} for n in range(21, 26)]
    report = take_snapshot(settings, DAY)
    assert (report.status, report.reason, report.endpoints["model"]["distinct_ids"]) == ("complete", None, 15)


WITHOUT = [
    b'{"items":[{"id":1}]}',
    b'{"items":[{"id":1}],"metadata":null}',
    b'{"items":[{"id":1}],"metadata":[]}',
    b'{"items":[{"id":1}],"metadata":"x"}',
    b'{"items":[{"id":1}],"metadata":{"nextCursor":"\xff"}}',
    b'{"items":[{"id":1}],"metadata":{"\xff":1}}',
    b'{"items":[{"id":1}],"metadata":{"nextPage":"http://[::1/x?page=2"}}',
    b'{"items":[{"id":1}],"metadata":{"nextPage":"http://x/?page=two"}}',
    b'{"items":[{"id":1}],"metadata":{"nextPage":"http://x/?limit=0&page=2"}}',
    b'{"items":[{"id":1}],"metadata":{"nextPage":2}}',
    b'{"items":[{"id":1}],"metadata":{"nextCursor":["a"]}}',
]


def test_a_page_that_does_not_say_what_follows_is_broken_and_no_end(
    service: Service, live: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.api.pacing._FIRST_WAIT", 0.001)
    monkeypatch.setattr("pipelines.api.pacing._LONGEST_WAIT", 0.01)
    service.replies("/models", cursor_page([1], "a"), *map(Reply, WITHOUT), cursor_page([2]), **FIRST)
    report = take_snapshot(live.model_copy(update={"max_attempts": len(WITHOUT) + 1}), DAY)
    assert (report.status, report.endpoints["model"]["distinct_ids"]) == ("complete", 2)
    assert report.retries == len(WITHOUT)
    service.routes["/models"] = lambda query: Reply(WITHOUT[0]) if "cursor" in query else cursor_page([1], "a")
    report = take_snapshot(live.model_copy(update={"max_attempts": 1}), DAY + timedelta(1))
    assert (report.status, report.reason is not None and "stays broken" in report.reason) == ("partial", True)


def test_a_full_page_without_a_next_one_is_asked_for_again_before_it_is_believed(
    service: Service, live: Settings
) -> None:
    full = list(range(1, 101))
    service.replies("/models", cursor_page(full), cursor_page(full, "a"), cursor_page([101]), **FIRST)
    report = take_snapshot(live, DAY)
    assert (report.status, report.endpoints["model"]["distinct_ids"]) == ("complete", 101)
    asked = [query for query in service.asked("/models") if "nsfw" in query]
    assert [query.get("cursor") for query in asked] == [None, None, "a"]


def test_a_full_last_page_of_a_list_that_is_as_long_as_it_says_is_believed_at_once(
    service: Service, settings: Settings
) -> None:
    service.pages("/models", lambda: [{"id": n} for n in range(1, 401)], size=200)
    assert take_snapshot(settings, DAY).status == "complete"
    assert len(service.asked("/models")) == 2


@pytest.mark.parametrize("total", ["3", 3.0, 3])
def test_a_length_counts_as_a_number_in_any_notation(service: Service, settings: Settings, total: object) -> None:
    service.replies("/models", Reply({"items": [{"id": 1}, {"id": 2}], "metadata": {"totalItems": total}}))
    report = take_snapshot(settings, DAY)
    assert report.reason == "models: the list ended after 2 of its 3 records, 3 times over"


def test_what_has_no_readable_id_is_kept_byte_for_byte(service: Service, settings: Settings, raw: Raw) -> None:
    body = b'{"items": ["text", {"id": 1}, {"name": "\\u00e9"},{"id": 2, "name": "\xff"}], "metadata": {}}'
    service.replies("/models", Reply(body))
    report = take_snapshot(settings, DAY)
    assert report.status == "complete"
    assert report.endpoints["model"] == {"pages": 1, "items": 4, "distinct_ids": 1, "duplicates": 0, "rejected": 3}
    assert raw("select position, payload, reason, kind, request, crawl_id from raw.rejects order by position") == [
        (position, payload, reason, "model", "/models?limit=200&sort=Newest", "2026-01-01.1")
        for position, payload, reason in (
            (0, b'"text"', "not a JSON object (Expected `object`, got `str`)"),
            (2, b'{"name": "\\u00e9"}', "no id"),
            (3, b'{"id": 2, "name": "\xff"}', "not valid UTF-8 at byte 19"),
        )
    ]


def test_rejects_of_a_list_that_is_read_again_are_kept_once(service: Service, settings: Settings, raw: Raw) -> None:
    items = ["text", {"name": "a"}, {"name": "b"}, {"name": "c"}]
    service.pages("/tags", lambda: items[: 3 + (len(service.asked("/tags")) > 1)])
    report = take_snapshot(settings, DAY)
    assert (report.status, report.endpoints["tag"]["rejected"]) == ("complete", 2)
    assert raw("select count(*) from raw.rejects") == [(1,)]


def test_rejects_of_a_list_that_moved_are_all_kept(service: Service, settings: Settings, raw: Raw) -> None:
    metadata = {"totalItems": 3}
    too_short = Reply({"items": ["one", {"name": "a"}], "metadata": metadata})
    service.replies("/tags", too_short, Reply({"items": ["two", {"name": "a"}, "one"], "metadata": metadata}))
    report = take_snapshot(settings, DAY)
    assert (report.status, report.endpoints["tag"]["rejected"]) == ("complete", 3)
    assert {bytes(payload) for (payload,) in raw("select payload from raw.rejects")} == {b'"one"', b'"two"'}


def test_a_cursor_of_the_gallery_without_an_offset_is_sent_as_it_came(service: Service, live: Settings) -> None:
    service.replies("/images", cursor_page([9, 8], "|12"), cursor_page([7]))
    assert take_snapshot(live, DAY).status == "complete"
    assert [query.get("cursor") for query in service.asked("/images")] == [None, "|12"]


def test_the_first_walk_through_the_gallery_stops_after_the_set_pages(service: Service, settings: Settings) -> None:
    service.pages("/images", lambda: [{"id": number} for number in range(100, 0, -1)])
    report = take_snapshot(settings, DAY)
    assert (report.status, report.endpoints["image"]["pages"]) == ("complete", 2)


def test_later_walks_through_the_gallery_end_at_what_is_stored(service: Service, settings: Settings, raw: Raw) -> None:
    newest = 100
    service.pages("/images", lambda: [{"id": number} for number in range(newest, 0, -1)])
    take_snapshot(settings, DAY)
    newest = 105
    service.date = "Fri, 02 Jan 2026 12:00:00 GMT"
    report = take_snapshot(settings, DAY + timedelta(1))
    assert report.endpoints["image"]["pages"] == 4, "105 104, 103 102, 101 100, 99 98: the last has nothing new"
    assert raw("select max(entity_id::int), count(*), count(distinct entity_id) from raw.image_documents") == [
        (105, 9, 9)
    ]


def test_a_loop_in_the_gallery_does_not_move_the_mark(service: Service, settings: Settings) -> None:
    service.pages("/images", lambda: [{"id": number} for number in range(10, 0, -1)])
    take_snapshot(settings, DAY)
    looping = {"items": [{"id": 20}, {"id": 19}], "metadata": {"nextPage": "?page=2"}}
    service.replies("/images", Reply(looping))
    assert take_snapshot(settings, DAY + timedelta(1)).status == "partial"
    service.pages("/images", lambda: [{"id": number} for number in range(20, 0, -1)])
    assert take_snapshot(settings, DAY + timedelta(1)).endpoints["image"]["distinct_ids"] == 12


def test_no_pages_for_images_means_no_request(service: Service, settings: Settings) -> None:
    report = take_snapshot(settings.model_copy(update={"image_pages": 0}), DAY)
    assert service.asked("/images") == []
    assert report.status == "complete"


def test_a_walk_through_the_gallery_that_was_cut_starts_over(service: Service, settings: Settings, raw: Raw) -> None:
    one, two = ({"items": [{"id": n}, {"id": n - 1}], "metadata": {"nextPage": f"?page={n}"}} for n in (9, 7))
    service.replies("/images", Reply(one), Reply(b"", 404), Reply(one), Reply(two))
    with pytest.raises(ServiceError, match="404"):
        take_snapshot(settings, DAY)
    assert raw("select count(*) from raw.image_observations") == [(2,)]
    report = take_snapshot(settings, DAY)
    assert [query.get("page") for query in service.asked("/images")] == [None, "9", None, "9"]
    assert report.endpoints["image"] == {"pages": 3, "items": 6, "distinct_ids": 4, "duplicates": 2, "rejected": 0}
    for table in ("image_observations", "image_documents"):
        assert raw(f"select count(*), count(distinct entity_id) from raw.{table}") == [(4, 4)]


def test_what_a_cut_walk_through_the_gallery_brought_is_counted_though_it_is_not_met_again(
    service: Service, settings: Settings, raw: Raw
) -> None:
    one, two, three = (
        {"items": [{"id": n}, {"id": n - 1}], "metadata": {"nextPage": f"?page={n}"}} for n in (9, 19, 17)
    )
    service.replies("/images", Reply(one), Reply(b"", 404), Reply(two), Reply(three))
    with pytest.raises(ServiceError, match="404"):
        take_snapshot(settings, DAY)
    report = take_snapshot(settings, DAY)
    assert (report.status, report.endpoints["image"]["distinct_ids"]) == ("complete", 6)
    assert raw("select count(*) from raw.image_observations") == [(6,)], "the books of the date balance"


def test_windows_are_loaded_as_they_end_and_a_failure_keeps_what_its_window_has(
    service: Service, settings: Settings, raw: Raw
) -> None:
    ids = list(range(1, 12))
    service.pages("/models", lambda: [{"id": number} for number in ids])
    paged = service.routes["/models"]
    service.routes["/models"] = lambda query: Reply(b"", 403) if query.get("page") == "5" else paged(query)
    small = settings.model_copy(update={"window_pages": 3})
    with pytest.raises(ServiceError, match=r"page=5.*403"):
        take_snapshot(small, DAY)
    assert raw("select count(*) from raw.model_observations") == [(8,)]
    assert raw("select status, finished_at, pages from raw.snapshots") == [("partial", None, 4)]
    assert raw("select count(*) from raw._dlt_loads") == [(2,)]

    service.routes["/models"] = paged
    report = take_snapshot(small, DAY)
    assert [query.get("page") for query in service.asked("/models")] == [None, "2", "3", "4", "5", "5", "6"]
    # The others are empty, which is asked for three times: /creators, /tags, /images.
    assert (report.crawl_id, report.status, report.requests) == ("2026-01-01.1", "complete", 3 + 1 + 9 - 1)
    assert report.endpoints["model"] == {"pages": 6, "items": 11, "distinct_ids": 11, "duplicates": 0, "rejected": 0}
    assert raw("select count(*), count(distinct entity_id) from raw.model_observations") == [(11, 11)]
    assert len(raw("from raw.snapshots")) == 1


def test_a_window_of_large_pages_ends_early(
    service: Service, settings: Settings, raw: Raw, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.pages("/models", lambda: [{"id": number} for number in range(1, 12)])
    monkeypatch.setattr("pipelines.crawl.crawl.WINDOW_BYTES", 30)  # a page of two models has 18 to 20
    report = take_snapshot(settings, DAY)
    assert (report.status, report.endpoints["model"]["pages"], report.requests) == ("complete", 6, 6 + 1 + 9)
    # Two pages in each of three windows; the other lists are in a fourth.
    assert raw("select count(*) from raw._dlt_loads") == [(4,)]


def test_a_failure_before_anything_arrived_stores_nothing(service: Service, settings: Settings, raw: Raw) -> None:
    service.replies("/models", Reply({"error": "Unauthorized"}, 401))
    with pytest.raises(ServiceError, match="401"):
        take_snapshot(settings, DAY)
    assert raw("select table_name from information_schema.tables where table_schema = 'raw'") == []


def test_an_id_that_comes_again_after_a_resume_is_a_duplicate(service: Service, live: Settings, raw: Raw) -> None:
    pages = cursor_page([1, 2], "a"), Reply(b"", 403), cursor_page([2, 3], "b"), cursor_page([3, 4])
    service.replies("/models", *pages, **FIRST)
    with pytest.raises(ServiceError):
        take_snapshot(live, DAY)
    report = take_snapshot(live, DAY)
    assert report.endpoints["model"] == {"pages": 4, "items": 6, "distinct_ids": 4, "duplicates": 2, "rejected": 0}
    assert raw("select count(*) from raw.model_documents") == [(4,)]


def test_progress_counts_what_was_met_of_what_there_is(service: Service, settings: Settings) -> None:
    told: list[tuple[object, ...]] = []

    class Listener:
        def update(self, phase: str, done: int, total: int | None = None, unit: str = "items") -> None:
            told.append((phase, done, total, unit))

        def note(self, message: str) -> None: ...

    service.pages("/models", lambda: [{"id": number} for number in range(1, 6)])
    take_snapshot(settings, DAY, Listener())
    assert [entry for entry in told if entry[0] == "models"] == [("models", n, 5, "items") for n in (2, 4, 5)]


def test_the_arguments_used_are_kept(service: Service, live: Settings, raw: Raw) -> None:
    take_snapshot(live, DAY)
    ((arguments,),) = raw("select arguments from raw.snapshots")
    assert json.loads(arguments)["model"] == [
        {"limit": "100", "sort": "Oldest", "nsfw": "true"},
        {"limit": "100", "sort": "Oldest"},
    ]


def test_two_data_directories_never_know_of_each_other(service: Service, settings: Settings, tmp_path: Any) -> None:
    other = settings_for(service.api_url, tmp_path / "other")
    service.pages("/models", lambda: [{"id": 1}])
    take_snapshot(settings, DAY)
    assert take_snapshot(other, DAY).already_complete is False
    assert rows(other, "select count(*) from raw.model_documents") == [(1,)]


def undated_last(undated: int, size: int = 4) -> Callable[[dict[str, str]], Reply]:
    """Three models with a date and then some without one, walked as live /models: docs/api-notes.md, 1."""
    models: list[dict[str, Any]] = [
        {"id": n, "modelVersions": [{"publishedAt": f"2025-12-0{n}T00:00:00.500Z"}]} for n in (1, 2, 3)
    ]
    models += [{"id": 4 + n, "modelVersions": []} for n in range(undated)]
    moments = [f"2025-12-0{n} 00:00:00.500" for n in (1, 2, 3)] + undated * [""]

    def route(query: dict[str, str]) -> Reply:
        moment = query.get("cursor", "0|0").split("|")[0]
        if not moment:
            return Reply({"message": "Invalid cursor: unparseable value ''"}, 400)
        start = next(n for n, at in enumerate(moments) if not at or at >= moment)
        metadata = {}
        if start + size < len(models):
            metadata["nextCursor"] = f"{moments[start + size]}|{models[start + size]['id']}"
        return Reply({"items": models[start : start + size], "metadata": metadata})

    return route


def test_live_models_without_a_date_are_reached_though_their_cursor_is_refused(
    service: Service, live: Settings
) -> None:
    service.routes["/models"] = undated_last(3)
    report = take_snapshot(live, DAY)
    assert (report.status, report.endpoints["model"]["distinct_ids"]) == ("complete", 6)
    cursors = [query["cursor"] for query in service.asked("/models") if "cursor" in query]
    assert set(cursors) == {"2025-12-03 00:00:00.500|0"}, "never the one that is refused"


def test_more_models_without_a_date_than_a_page_holds_end_partial_and_say_so(service: Service, live: Settings) -> None:
    service.routes["/models"] = undated_last(9)
    report = take_snapshot(live, DAY)
    assert report.status == "partial"
    assert "leads back" in str(report.reason)
