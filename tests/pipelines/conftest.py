from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from pipelines.progress import Silent
from pipelines.raw.crawls import CrawlRow
from pipelines.raw.tables import SNAPSHOTS
from pipelines.raw.warehouse import connect
from pipelines.settings import Settings
from tests.pipelines.service import Service, running_service

DAY = date(2026, 1, 1)


class Notes(Silent):
    """Keeps the lines that a log would have."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, message: str) -> None:
        self.lines.append(message)


@pytest.fixture
def service() -> Iterator[Service]:
    with running_service() as service:
        yield service


@pytest.fixture
def settings(tmp_path: Path, service: Service) -> Settings:
    return settings_for(service.api_url, tmp_path / "data")


def settings_for(api_url: str, data_dir: Path, **values: Any) -> Settings:
    fixed = {"api_url": api_url, "data_dir": data_dir, "requests_per_second": 0, "image_pages": 2}
    return Settings(**(fixed | {"retry_minutes": 0.2} | values))


@pytest.fixture
def raw(settings: Settings) -> Callable[[str], list[tuple[Any, ...]]]:
    """Rows of a query on the warehouse of `settings`."""
    return lambda query: rows(settings, query)


def crawl_row(**columns: object) -> CrawlRow:
    """A row of raw.snapshots that has only these columns."""
    return CrawlRow(**dict.fromkeys(SNAPSHOTS.schema.names) | columns)


def rows(settings: Settings, query: str) -> list[tuple[Any, ...]]:
    with connect(settings.directory.warehouse) as connection:
        return connection.execute(query).fetchall()
