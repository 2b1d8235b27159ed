"""Whatever the pages of a list look like, the tables are the same: items in any order, repeated, split anywhere."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pipelines.crawl.snapshot import take_snapshot
from pipelines.settings import Settings
from tests.comparison import RUN_DEPENDENT, differences
from tests.pipelines.service import Reply, Service, running_service
from tests.transforms.conftest import model, version
from transforms.build import build

DAYS = (date(2026, 1, 1), date(2026, 1, 4))
#: What says how the pages were, and not what was on them.
HOW = RUN_DEPENDENT | {"crawl_pass", "pages", "items", "duplicates", "endpoints"}


def lists(on: date) -> dict[str, list[dict[str, Any]]]:
    """What the service has on a date: of the second, another counter everywhere, and other texts, versions and tags."""
    later = on == DAYS[1]
    models = [
        model(
            n,
            *(
                version(10 * n + k, stats={"downloadCount": 5 * n + k + 7 * later})
                for k in range(1 + (later and n > 6))
            ),
            name=f"Model {n}{' anew' if later and n % 3 == 0 else ''}",
            creator={"username": f"user {n % 4}"},
            tags=["landscape", f"tag {n % 3 + later}"],
            stats={"downloadCount": 100 * n + 3 * later},
        )
        for n in range(1, 10 + 2 * later)
    ]
    creators = [{"username": f"user {n}", "modelCount": 2 + later} for n in range(4 + later)]
    return {"/models": models, "/creators": creators, "/tags": [{"name": f"tag {n}"} for n in range(4)]}


Pages = list[list[int]]


@st.composite
def pagings(draw: st.DrawFn, count: int, *, empty: bool) -> Pages:
    """The indices of `count` items on pages: two pages or more, each item at least once, and on each page one that is
    new (or it were a loop); with `empty`, there are pages without any.
    """
    order = draw(st.permutations(range(count)))
    cuts = sorted(draw(st.sets(st.integers(1, count - 1), min_size=1, max_size=4)))
    pages: Pages = []
    for first, end in zip([0, *cuts], [*cuts, count], strict=True):
        again = draw(st.lists(st.sampled_from(order[:end]), max_size=3))
        pages.append(draw(st.permutations([*order[first:end], *again])))
        if empty and draw(st.booleans()):
            pages.append([])
    return pages


@dataclass(frozen=True)
class Paging:
    """How the lists are served on a date: models in two passes, of which the first shows only some."""

    first: Pages
    second: Pages
    creators: Pages
    tags: Pages


@st.composite
def histories(draw: st.DrawFn) -> list[Paging]:
    """The paging of each date."""
    history = []
    for on in DAYS:
        sizes = {path: len(items) for path, items in lists(on).items()}
        history.append(
            Paging(
                draw(pagings(draw(st.integers(2, sizes["/models"])), empty=True)),
                draw(pagings(sizes["/models"], empty=True)),
                draw(pagings(sizes["/creators"], empty=False)),
                draw(pagings(sizes["/tags"], empty=False)),
            )
        )
    return history


def serve(service: Service, on: date, paging: Paging) -> None:
    items = lists(on)
    service.date = on.strftime("%a, %d %b %Y 12:00:00 GMT")

    def by_cursor(query: dict[str, str]) -> Reply:
        pages = paging.first if "nsfw" in query else paging.second
        return page(items["/models"], pages, int(query.get("cursor", 0)), "nextCursor")

    def by_number(path: str, pages: Pages) -> None:
        service.routes[path] = lambda query: page(items[path], pages, int(query.get("page", 1)) - 1, "nextPage")

    service.routes["/models"] = by_cursor
    by_number("/creators", paging.creators)
    by_number("/tags", paging.tags)


def page(items: Sequence[dict[str, Any]], pages: Pages, number: int, name: str) -> Reply:
    following = {"nextCursor": str(number + 1), "nextPage": f"?page={number + 2}"}[name]
    shown = [items[index] for index in pages[number]] if number < len(pages) else []
    return Reply({"items": shown, "metadata": {name: following} if number + 1 < len(pages) else {}})


def run(history: Sequence[Paging], directory: Path, service: Service) -> None:
    settings = Settings(
        data_dir=directory,
        api_url=service.api_url,
        dialect="live",
        requests_per_second=0,
        window_pages=3,
        image_pages=0,
    )
    for on, paging in zip(DAYS, history, strict=True):
        serve(service, on, paging)
        report = take_snapshot(settings, on)
        assert (report.status, report.reason) == ("complete", None)
        build(settings.directory)


@pytest.fixture(scope="module")
def service():
    with running_service() as service:
        yield service


@pytest.fixture(scope="module")
def one_page(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Each list on one page, each item once."""
    whole = {on: [[list(range(len(items)))] for items in lists(on).values()] for on in DAYS}
    directory = tmp_path_factory.mktemp("one-page")
    run([Paging(models, models, creators, tags) for models, creators, tags in whole.values()], directory, service)
    return directory


# Few examples, since each is two snapshots and two builds.
@hypothesis_settings(max_examples=3, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(history=histories())
def test_any_order_repetition_and_splitting_of_pages_gives_the_same_tables(
    history: list[Paging], service: Service, one_page: Path
) -> None:
    with TemporaryDirectory() as folder:
        run(history, Path(folder), service)
        assert differences(one_page, Path(folder), HOW) == []
