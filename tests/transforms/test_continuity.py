"""What raw lacks of what is published: found whatever else is lost, and named so that it can be pasted."""

import shutil
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest

from pipelines.errors import CivitaiEtlError
from tests.transforms.conftest import Workshop, model
from transforms.compact import compact
from transforms.continuity import (
    LostDatesError,
    as_ranges,
    from_ranges,
    lost_dates,
    published_observations,
    raw_observations,
    refuse_lost_dates,
)

DAYS = [date(2026, 1, day) for day in range(1, 32)]


@pytest.mark.parametrize(
    ("raw", "published", "lost"),
    [
        ({}, {}, []),
        ({DAYS[0]: 5}, {}, []),
        ({DAYS[0]: 5}, {DAYS[0]: 5}, []),
        ({DAYS[0]: 6, DAYS[1]: 1}, {DAYS[0]: 5}, []),
        ({DAYS[0]: 4}, {DAYS[0]: 5}, [DAYS[0]]),
        ({DAYS[1]: 9}, {DAYS[2]: 1, DAYS[0]: 5}, [DAYS[0], DAYS[2]]),
    ],
    ids=["nothing", "not published yet", "the same", "late data", "fewer", "none"],
)
def test_a_date_is_lost_of_which_raw_has_fewer_observations(
    raw: dict[date, int], published: dict[date, int], lost: list[date]
) -> None:
    assert lost_dates(raw, published) == lost


@pytest.mark.parametrize(
    ("dates", "text"),
    [
        (DAYS[:1], "2026-01-01"),
        (DAYS[:5], "2026-01-01..2026-01-05"),
        ([DAYS[0], *DAYS[2:4], DAYS[9]], "2026-01-01,2026-01-03..2026-01-04,2026-01-10"),
        ([*DAYS, date(2026, 2, 1)], "2026-01-01..2026-02-01"),
    ],
)
def test_dates_are_named_as_the_option_takes_them(dates: list[date], text: str) -> None:
    assert as_ranges(dates) == text
    assert from_ranges(text) == dates


@pytest.mark.parametrize("text", ["", "yesterday", "2026-02-30", "2026-01-01..", "2026-01-01,", "2026-01-01..x"])
def test_what_is_no_list_of_dates_is_refused(text: str) -> None:
    with pytest.raises(CivitaiEtlError, match=r"is no date as in 2026-01-01,2026-01-05\.\.2026-01-31"):
        from_ranges(text)


def test_a_range_that_is_turned_around_is_refused() -> None:
    with pytest.raises(CivitaiEtlError, match=r"2026-01-05\.\.2026-01-01 ends before it begins"):
        from_ranges("2026-01-05..2026-01-01")


@pytest.fixture
def built(workshop: Workshop) -> Workshop:
    """Three days, of one model more each."""
    for number, on in enumerate(DAYS[:3], start=1):
        workshop.raw.crawl(on, model=[model(n) for n in range(1, number + 1)])
    workshop.build()
    return workshop


def check(workshop: Workshop, *forgotten: date) -> None:
    refuse_lost_dates(workshop.directory, forgotten)


def older(workshop: Workshop, days: int) -> None:
    """Puts back a warehouse of the first days only."""
    workshop.raw.path.unlink()
    for number, on in enumerate(DAYS[:days], start=1):
        workshop.raw.crawl(on, model=[model(n) for n in range(1, number + 1)])


def test_raw_that_has_all_that_is_published_is_let_pass(built: Workshop) -> None:
    assert raw_observations(built.raw.path) == {DAYS[0]: 1, DAYS[1]: 2, DAYS[2]: 3}
    check(built)
    built.raw.crawl(DAYS[2], number=2, model=[model(4)])
    built.raw.crawl(DAYS[3], model=[model(1)])
    check(built)


def test_what_is_archived_is_not_lost(built: Workshop) -> None:
    built.raw.crawl(date(2026, 2, 1), model=[model(n) for n in range(1, 4)])
    built.build()
    compact(built.directory)
    check(built)
    shutil.rmtree(built.raw.path.parent / "archive")
    with pytest.raises(CivitaiEtlError, match="is gone, and model_observations has rows there: restore it"):
        check(built)


def lose_nothing_else(_: Workshop) -> None: ...


def lose_analytics(workshop: Workshop) -> None:
    workshop.analytics.unlink()


def spoil_analytics(workshop: Workshop) -> None:
    workshop.analytics.write_bytes(b"SQLite format 3\0" + bytes(4096))


def lose_crawls(workshop: Workshop) -> None:
    shutil.rmtree(workshop.lake / "star" / "ops_snapshot")


def truncate_crawls(workshop: Workshop) -> None:
    for file in (workshop.lake / "star" / "ops_snapshot").iterdir():
        file.write_bytes(file.read_bytes()[:-9])


def lose_analytics_and_crawls(workshop: Workshop) -> None:
    lose_analytics(workshop)
    lose_crawls(workshop)


def spoil_manifest(workshop: Workshop) -> None:
    (workshop.lake / "star" / "manifest.json").write_bytes(b"{\xff")


@pytest.mark.parametrize(
    "lose",
    [
        *(lose_nothing_else, lose_analytics, spoil_analytics, lose_crawls, truncate_crawls),
        *(lose_analytics_and_crawls, spoil_manifest),
    ],
)
def test_a_lost_date_is_named_whatever_else_is_lost(built: Workshop, lose: Callable[[Workshop], None]) -> None:
    older(built, 1)
    lose(built)
    with pytest.raises(LostDatesError) as refused:
        check(built)
    assert str(refused.value) == (
        f"{built.raw.path} lacks observations of 2 published dates (2026-01-02, 2026-01-03), which would vanish from "
        "the tables: put back a newer backup of it and of the folder archive, or let them go with "
        "`civitai-etl rebuild --forget-dates 2026-01-02..2026-01-03`. Nothing was changed."
    )
    check(built, *DAYS[1:3])


def test_of_many_dates_some_are_named_and_all_can_be_pasted(workshop: Workshop) -> None:
    for on in (*DAYS[:5], *DAYS[6:9]):
        workshop.raw.crawl(on, model=[model(1)])
    workshop.build()
    workshop.raw.path.unlink()
    with pytest.raises(LostDatesError) as refused:
        check(workshop)
    assert "lacks observations of 8 published dates (2026-01-01, 2026-01-02, 2026-01-03, ...)" in str(refused.value)
    assert "--forget-dates 2026-01-01..2026-01-05,2026-01-07..2026-01-09`" in str(refused.value)


def test_exactly_the_lost_dates_can_be_forgotten(built: Workshop) -> None:
    older(built, 2)
    with pytest.raises(LostDatesError, match="a published date"):
        check(built)
    with pytest.raises(LostDatesError, match=r"2026-01-02 cannot be forgotten.* is --forget-dates 2026-01-03"):
        check(built, *DAYS[1:3])
    with pytest.raises(LostDatesError, match=r"2026-01-04 cannot be forgotten"):
        check(built, DAYS[2], DAYS[3])
    check(built, DAYS[2])
    older(built, 1)
    with pytest.raises(LostDatesError, match="2 published dates"):
        check(built, DAYS[2])


def test_a_backup_of_the_middle_of_a_date_has_lost_some_of_it(built: Workshop) -> None:
    older(built, 2)
    built.raw.crawl(DAYS[2], status="partial", model=[model(1)])
    with pytest.raises(LostDatesError, match=r"a published date \(2026-01-03\)"):
        check(built)


def test_without_any_list_of_what_is_published_there_is_one_line(built: Workshop) -> None:
    lose_analytics(built)
    spoil_manifest(built)
    with pytest.raises(CivitaiEtlError, match=r"manifest\.json is no list of the published files .* put back a backup"):
        check(built)


def test_where_nothing_is_published_nothing_can_be_lost(tmp_path: Path) -> None:
    nothing = Workshop(tmp_path)
    assert published_observations(nothing.directory) == {}
    check(nothing)
    with pytest.raises(LostDatesError, match="cannot be forgotten"):
        check(nothing, DAYS[0])


def test_a_run_of_a_year_is_one_range() -> None:
    year = [DAYS[0] + timedelta(days) for days in range(365)]
    assert as_ranges(year) == "2026-01-01..2026-12-31"
