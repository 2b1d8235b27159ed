"""What the dates of a month have added to a table becomes one file, so that a history of years is not a file a day."""

from collections import Counter
from datetime import date

import pytest

from tests.transforms.conftest import Workshop, model, version
from transforms.lake import release
from transforms.lake.release import STAR

#: Two months are over.
DAYS = [date(2026, month, day) for month, days in {1: (5, 6, 31), 2: (1, 2, 28), 3: (1, 2)}.items() for day in days]
#: The rows that dates have added, by table: every date changes a name and a text, and brings versions and downloads.
ADDED = {
    "dim_model": "SELECT * FROM star.dim_model WHERE NOT is_current",
    "model_text": "FROM star.model_text",
    "state_watched": "FROM build.watched",
    "state_milestones": "FROM build.milestones",
}


def crawl(workshop: Workshop, number: int) -> None:
    stated = f"{DAYS[number]}T01:00:00.000Z"
    versions = [version(10 + each, stats={"downloadCount": 50 * number}, publishedAt=stated) for each in range(number)]
    only = model(1, *versions, name=f"name {number}", description=f"text {number}")
    workshop.raw.crawl(DAYS[number], model=[only, model(2)])


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """Built as the days come; for reading only."""
    workshop = Workshop(tmp_path_factory.mktemp("days"))
    for number in range(len(DAYS)):
        crawl(workshop, number)
        workshop.build()
    return workshop


def files(workshop: Workshop) -> list[tuple[str, str]]:
    return workshop.sql("SELECT table_name, lake_path FROM build.manifest ORDER BY ALL")


def star(workshop: Workshop) -> dict[str, list[tuple[object, ...]]]:
    queries = [*(f"FROM star.{name}" for name in STAR), *ADDED.values()]
    return {query: sorted(workshop.sql(query), key=str) for query in queries}


@pytest.mark.parametrize("table", ADDED)
def test_every_month_that_is_over_has_one_file(workshop: Workshop, table: str) -> None:
    months = Counter(
        on.month
        for (on,) in workshop.sql(
            f"SELECT snapshot_date FROM build.manifest WHERE table_name = '{table}' AND part IN ('closed', 'appended')"
        )
    )
    assert (months[1], months[2], months[3]) == (1, 1, 2)
    assert len(workshop.sql(ADDED[table])) > 6


def test_days_in_one_go_have_the_same_files(workshop: Workshop) -> None:
    assert files(workshop.rebuild_into("rebuilt")) == files(workshop)


def test_the_rows_are_those_of_files_that_are_too_large_to_be_merged(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(release, "SMALL_BYTES", 0)
    apart = workshop.rebuild_into("apart")
    assert len(files(apart)) > len(files(workshop)) + 10
    assert star(apart) == star(workshop)
