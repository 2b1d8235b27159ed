"""Data directories that earlier versions really left, with an unfinished crawl, taken on by this one.

`earlier/<commit>.tar.xz` was made by that commit: two dates of 24 simulated models, and a third whose tags failed.
"""

import re
import tarfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

from emulator.launch import Emulator, launch
from flows.cli.doctor import examine
from flows.steps import run_daily_snapshot
from pipelines.crawl.snapshot import take_snapshot
from pipelines.raw import loader
from pipelines.raw.loader import NewerRawError
from pipelines.settings import Settings
from pipelines.storage.sql import parquet_rows
from tests.pipelines.conftest import Notes
from transforms.lake import publish
from transforms.lake.publish import NewerStarError, read_manifest
from transforms.tables import DECLARATIONS_VERSION

EARLIER = Path(__file__).parent / "earlier"
DAYS = [date(2026, 1, day) for day in (1, 2, 3)]
COUNTERS = "snapshot_date, model_id, download_count, thumbs_up_count"


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with launch(models=24, on=DAYS[2]) as emulator:
        yield emulator


@pytest.fixture(params=["dc21367", "e486096"])
def settings(request: pytest.FixtureRequest, tmp_path: Path, emulator: Emulator) -> Settings:
    """Those of the data directory that an earlier version left."""
    with tarfile.open(EARLIER / f"{request.param}.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    return Settings(
        api_url=emulator.api_url,
        data_dir=tmp_path / request.param,
        requests_per_second=0,
        image_pages=1,
        dialect="spec",
    )


def published(settings: Settings) -> set[tuple[Any, ...]]:
    """The counters of models on the first two dates, whatever the views are called."""
    files = [file for file in read_manifest(settings.directory.analytics) if file.table == "fact_model_daily"]
    rows = parquet_rows(settings.directory.lake / file.path for file in files)
    with duckdb.connect(":memory:") as connection:
        return set(connection.execute(f"select {COUNTERS} from {rows} where snapshot_date < '{DAYS[2]}'").fetchall())


def test_an_earlier_directory_is_made_anew_and_its_unfinished_crawl_begun_again(settings: Settings) -> None:
    before, notes = published(settings), Notes()
    assert len(before) > 40
    summary = run_daily_snapshot(settings, DAYS[2], notes, service_moved=True)
    assert (summary.snapshot.status, summary.snapshot.crawl_id) == ("complete", "2026-01-03.2")
    assert published(settings) == before
    assert "2026-01-03.1 was begun by another version of civitai-etl: it is begun again" in notes.lines
    (told,) = (line for line in notes.lines if line.startswith("An earlier version made the tables"))
    assert told.endswith("from raw. 3 dates of up to 24 models take about 1 s; the present tables stay until then.")
    with duckdb.connect(str(settings.directory.analytics), read_only=True) as connection:
        dates = connection.execute("select date from star.dim_date where has_snapshot order by 1").fetchall()
        coverage = connection.execute("select count(*) from star.snapshot_coverage()").fetchall()
    assert dates == [(day,) for day in DAYS]
    assert coverage == [(3,)]


def test_doctor_says_beforehand_that_the_tables_will_be_made_again(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    examine(settings)
    assert re.search(
        "2 snapshot dates, the last one 2026-01-02. An earlier version made them, and the next `snapshot` makes them "
        r"again from raw: 2 dates of up to 24 models take about \d+ s; the present tables stay until then\.",
        capsys.readouterr().out,
    )


def test_an_earlier_program_refuses_a_later_directory_in_one_line(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_daily_snapshot(settings, DAYS[2], service_moved=True)
    monkeypatch.setattr(publish, "DECLARATIONS_VERSION", DECLARATIONS_VERSION - 1)
    with pytest.raises(NewerStarError, match="upgrade it, or set CIVITAI_ETL_DATA_DIR") as star:
        run_daily_snapshot(settings, DAYS[2])
    monkeypatch.setattr(loader, "RAW_VERSION", loader.RAW_VERSION - 1)
    before = settings.directory.warehouse.read_bytes()
    with pytest.raises(NewerRawError, match="upgrade it, or set CIVITAI_ETL_DATA_DIR") as raw:
        take_snapshot(settings, DAYS[2])
    assert "\n" not in str(star.value) + str(raw.value)
    assert settings.directory.warehouse.read_bytes() == before
