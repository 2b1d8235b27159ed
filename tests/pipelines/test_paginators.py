"""Each paginator alone: the query after a page, that of a part of a page, and that past one record."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from pipelines.api.answers import Page
from pipelines.api.dialects import DIALECTS, Arguments, Endpoint
from pipelines.crawl.paginators import (
    CursorPaginator,
    MomentCursorPaginator,
    NextLinkPaginator,
    OffsetCursorPaginator,
    PageNumberPaginator,
    SinglePagePaginator,
    paginator_of,
)

LISTS = [each for dialect in DIALECTS.values() for each in (*dialect.endpoints, *dialect.discovery)]


def page(items: tuple[bytes, ...] = (b'{"id":1}',), **metadata: Any) -> Page:
    return Page("/models", [msgspec.Raw(item) for item in items], metadata, datetime(2026, 1, 1, tzinfo=UTC))


def query(**values: object) -> Arguments:
    return tuple((name, str(value)) for name, value in values.items())


def test_numbered_pages_end_at_an_empty_one() -> None:
    paginator = PageNumberPaginator(200)
    assert paginator.following(query(limit=200), page()) == query(limit=200, page=2)
    assert paginator.following(query(limit=200, page=7), page()) == query(limit=200, page=8)
    assert paginator.following(query(limit=200, page=7), page(())) is None


def test_a_link_is_followed_by_its_query() -> None:
    link = "http://elsewhere/api/v1/models?sort=Newest&page=2&token=secret"
    assert NextLinkPaginator(200).following(query(limit=200), page(nextPage=link)) == query(sort="Newest", page=2)
    assert NextLinkPaginator(200).following(query(limit=200), page()) is None


def test_a_cursor_is_followed_with_the_same_arguments_and_a_whole_page() -> None:
    sent = query(limit=25, sort="Oldest", cursor="a")
    assert CursorPaginator(100).following(sent, page(nextCursor="b")) == query(limit=100, sort="Oldest", cursor="b")
    assert CursorPaginator(100).following(sent, page(nextCursor=5)) == query(limit=100, sort="Oldest", cursor=5)
    assert CursorPaginator(100).following(sent, page()) is None


def test_a_single_page_has_none_after_it_and_nothing_past_a_record() -> None:
    assert SinglePagePaginator().following((), page()) is None
    assert SinglePagePaginator().past(()) is None


@pytest.mark.parametrize(
    ("first", "largest", "limit", "number"),
    [(0, 200, 200, 1), (200, 100, 100, 3), (100, 200, 100, 2), (150, 200, 50, 4), (151, 200, 1, 152), (0, 75, 50, 1)],
)
def test_a_part_of_numbered_pages_begins_where_one_of_its_pages_does(
    first: int, largest: int, limit: int, number: int
) -> None:
    part = PageNumberPaginator(200).part(query(limit=200, sort="Newest", page=1), first, largest)
    assert part == query(limit=limit, sort="Newest", page=number)
    assert PageNumberPaginator(200).offset_of(part) == first


def test_a_part_behind_a_cursor_is_as_large_as_it_may_be() -> None:
    assert CursorPaginator(100).part(query(limit=100, cursor="a"), 0, 33) == query(limit=33, cursor="a")


def test_past_a_numbered_record_is_the_next_number() -> None:
    assert PageNumberPaginator(200).past(query(limit=1, page=290)) == query(limit=1, page=291)


def test_past_a_record_whose_cursor_names_its_offset_is_the_next_offset() -> None:
    paginator = OffsetCursorPaginator(200)
    assert paginator.past(query(limit=1, cursor="41|1744925337225")) == query(limit=1, cursor="42|1744925337225")
    assert paginator.past(query(limit=1, cursor="1744925337225")) is None


def test_past_a_record_whose_cursor_names_its_moment_is_the_next_id_and_then_the_next_moment() -> None:
    paginator = MomentCursorPaginator(100)
    past = paginator.past(query(limit=1, cursor="2026-01-01 10:00:00.999|5"))
    assert past == query(limit=1, cursor="2026-01-01 10:00:00.999|6")
    assert paginator.past_again(past) == query(limit=1, cursor="2026-01-01 10:00:01.000|6")


@pytest.mark.parametrize("cursor", ["", "5", "|5", "2026-13-45 99:99:99.999|5", "0000-00-00 00:00:00.000|5"])
def test_past_a_cursor_that_names_no_moment_there_is_no_query(cursor: str) -> None:
    assert MomentCursorPaginator(100).past(query(limit=1, cursor=cursor)) is None


def test_past_an_opaque_cursor_there_is_no_query() -> None:
    assert CursorPaginator(100).past(query(limit=1, cursor="2026-01-01 10:00:00.999|5")) is None


def test_a_cursor_without_a_moment_is_replaced_by_the_latest_moment_of_the_page() -> None:
    shown = tuple(
        b'{"id":%d,"modelVersions":[{"publishedAt":"2025-12-%dT10:00:00.5Z"}]}' % (day, day) for day in (30, 31)
    )
    paginator, sent = MomentCursorPaginator(100), query(limit=100)
    dated = query(limit=100, cursor="2025-12-31 10:00:00.500|0")
    assert paginator.following(sent, page(shown, nextCursor="|7")) == dated
    assert paginator.following(sent, page(nextCursor="|7")) == query(limit=100, cursor="|7")


@pytest.mark.parametrize("endpoint", LISTS, ids=lambda endpoint: f"{endpoint.name}-{endpoint.next_page}")
def test_every_declared_list_has_a_paginator_for_whole_pages(endpoint: Endpoint) -> None:
    paginator, first = paginator_of(endpoint), endpoint.arguments(0)
    assert paginator.limit == endpoint.limit
    assert paginator.limit_of(first) == (endpoint.limit or 1)
    assert paginator.offset_of(first) == 0
