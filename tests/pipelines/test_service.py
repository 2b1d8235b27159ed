"""A data directory holds one service: another one is refused before anything is asked or written."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from pipelines.crawl.discovery import refresh
from pipelines.crawl.lookups import look_up
from pipelines.crawl.service import OtherServiceError, refuse_other_service
from pipelines.crawl.snapshot import take_snapshot
from pipelines.settings import Settings
from tests.pipelines.conftest import DAY, crawl_row, rows
from tests.pipelines.service import Service, running_service

ADDRESS = "https://civitai.com/api/v1"


@pytest.mark.parametrize(
    ("address", "is_other"),
    [
        (ADDRESS, False),
        (ADDRESS + "/", False),
        ("https://CIVITAI.com:443/api/v1", False),
        ("http://civitai.com/api/v1", True),
        ("https://civitai.com:8443/api/v1", True),
        ("https://civitai.green/api/v1", True),
        ("https://civitai.com/api/v2", True),
    ],
)
def test_a_service_is_told_by_scheme_host_port_and_path(address: str, is_other: bool) -> None:
    settings = Settings(api_url=address)
    crawls = [crawl_row(api_url="http://elsewhere.invalid"), crawl_row(api_url=ADDRESS)]
    if not is_other:
        refuse_other_service(settings, crawls)
        return
    with pytest.raises(OtherServiceError, match=r"holds snapshots of https://civitai\.com/api/v1, and CIVITAI_ETL_API"):
        refuse_other_service(settings, crawls)


@pytest.mark.parametrize(
    "work",
    [
        lambda settings: take_snapshot(settings, DAY),
        lambda settings: take_snapshot(settings, DAY + timedelta(1)),
        refresh,
        lambda settings: look_up(settings, {"versions": ["1"]}),
    ],
    ids=["a complete date", "the next date", "refresh", "look-up"],
)
def test_another_service_is_refused_and_a_move_is_accepted_once(
    service: Service, settings: Settings, work: Callable[[Settings], Any]
) -> None:
    take_snapshot(settings, DAY)
    with running_service() as other:
        moved = settings.model_copy(update={"api_url": other.api_url})
        before = settings.directory.warehouse.read_bytes()
        with pytest.raises(OtherServiceError, match="run `civitai-etl snapshot --service-moved` once"):
            work(moved)
        assert other.requests == []
        assert settings.directory.warehouse.read_bytes() == before
        take_snapshot(moved, DAY + timedelta(1), service_moved=True)
        work(moved.model_copy(update={"image_pages": 0}))
    assert rows(settings, "select distinct api_url from raw.snapshots order by crawl_id") == [
        (service.api_url,),
        (other.api_url,),
    ]
