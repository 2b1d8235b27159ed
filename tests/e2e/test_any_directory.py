"""A data directory of any name works from crawl to SQL, or is refused before the first request."""

import shutil
from datetime import date
from pathlib import Path

import pytest

from flows import steps
from flows.reporting.report import open_analytics
from flows.vault import _attach_account
from pipelines.errors import CivitaiEtlError
from pipelines.settings import Settings
from pipelines.storage.directory import StorageError
from pipelines.storage.lock import writer_lock
from transforms.lake.published import MovedError
from transforms.member import account_file
from transforms.tables.account import ACCOUNT_TABLES

#: What ends a text, is a pattern, or looks like a column, an address, an option or a format, and other scripts.
ODD = "O'Brien; --\" env=prod [x] a*b {c} ünï名 #1 $HOME & snapshot_date=2020-01-01"


def settings(data_dir: Path, api_url: str) -> Settings:
    return Settings(data_dir=data_dir, api_url=api_url, dialect="spec", requests_per_second=0)


def answer(settings: Settings, query: str) -> object:
    with open_analytics(settings.directory.analytics) as connection:
        ((value,),) = connection.execute(query).fetchall()
    return value


def test_a_directory_of_an_odd_name_works_from_crawl_to_sql_and_after_it_was_moved(service, tmp_path):
    at_home = settings(tmp_path / ODD / "data", service.api_url)
    for day in (date(2026, 1, 1), date(2026, 2, 1)):
        service.set_date(day)
        assert steps.run_daily_snapshot(at_home, day).snapshot.status == "complete"
    assert steps.compact_closed_months(at_home).files_made
    days = "select count(distinct snapshot_date) from star.fact_model_daily"
    assert answer(at_home, days) == 2
    for table in ACCOUNT_TABLES:
        at_home.directory.account.mkdir(exist_ok=True)
        table.create_empty().write_parquet(account_file(at_home.directory.account, table))
    with open_analytics(at_home.directory.analytics) as connection:
        _attach_account(connection, at_home)

    away = settings(tmp_path / "away", service.api_url)
    shutil.move(at_home.data_dir, away.data_dir)
    with pytest.raises(MovedError, match="civitai-etl relocate"):
        answer(away, days)
    assert steps.relocate_star(away)
    assert answer(away, days) == 2
    assert not steps.relocate_star(away)

    shutil.move(away.data_dir, at_home.data_dir)  # whoever writes needs nobody to say so
    with writer_lock(at_home.data_dir, at_home.directory.lake):
        steps.publish(at_home)
    assert answer(at_home, days) == 2


@pytest.mark.parametrize("name", ["what?", "back\\slash", "50%", "new\nline", "\udcff"])
def test_a_name_that_the_libraries_cannot_have_is_refused_before_the_first_request(name, tmp_path):
    with pytest.raises(StorageError, match=r"cannot be used because it has .*CIVITAI_ETL_DATA_DIR") as error:
        steps.run_daily_snapshot(settings(tmp_path / name / "data", "http://127.0.0.1:1/api/v1"))
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_a_lake_that_the_libraries_cannot_have_is_refused(tmp_path):
    with pytest.raises(CivitaiEtlError, match="CIVITAI_ETL_LAKE_URL"):
        steps.run_daily_snapshot(
            Settings(data_dir=tmp_path / "data", lake_url=str(tmp_path / "what?"), api_url="http://127.0.0.1:1/api/v1")
        )
