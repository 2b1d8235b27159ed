"""Raw is lost, or an older backup is put back, and the lake is kept: nobody loses a published date without a word."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

from flows import steps
from pipelines.settings import Settings
from tests.pipelines.conftest import settings_for
from tests.pipelines.service import Service, running_service
from transforms.continuity import LostDatesError

DAYS = [date(2026, 1, day) for day in range(1, 5)]


@dataclass
class Desk:
    """A data directory with three days, and a copy of it after each."""

    service: Service
    settings: Settings
    backups: list[Path]

    def snapshot(self, on: date) -> steps.RunSummary:
        self.service.date = f"{on:%a, %d %b %Y} 12:00:00 GMT"
        return steps.run_daily_snapshot(self.settings, on)

    def put_back(self, day: int) -> None:
        shutil.copy(self.backups[day] / "warehouse.duckdb", self.settings.directory.warehouse)

    def published(self) -> list[tuple[Any, ...]]:
        with duckdb.connect(self.settings.directory.analytics, read_only=True) as connection:
            return connection.execute(
                "select snapshot_date, count(*) from star.fact_model_daily group by all order by all"
            ).fetchall()

    def files(self) -> dict[str, bytes]:
        found = [path for path in self.settings.data_dir.rglob("*") if path.is_file() and "lock" not in path.name]
        return {str(path): path.read_bytes() for path in found}


@pytest.fixture(scope="module")
def three_days(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("lost")
    with running_service() as service:
        desk = Desk(service, settings_for(service.api_url, folder / "data"), [])
        models: list[dict[str, Any]] = []
        service.pages("/models", lambda: models)
        for on in DAYS[:3]:
            models.append({"id": len(models) + 1, "name": "m", "type": "LORA", "modelVersions": []})
            desk.snapshot(on)
            desk.backups.append(folder / str(on))
            shutil.copytree(desk.settings.data_dir, desk.backups[-1])
        yield desk


@pytest.fixture
def desk(three_days: Desk, tmp_path: Path) -> Desk:
    shutil.copytree(three_days.backups[-1], tmp_path / "data")
    desk = Desk(three_days.service, settings_for(three_days.service.api_url, tmp_path / "data"), three_days.backups)
    steps.rebuild_star(desk.settings)  # the views name the files of this directory
    return desk


PUBLISHERS: dict[str, Callable[[Settings], Any]] = {
    "snapshot": lambda settings: steps.run_daily_snapshot(settings, DAYS[3]),
    "snapshot of a complete date": lambda settings: steps.run_daily_snapshot(settings, DAYS[0]),
    "crawl of the flow": lambda settings: steps.crawl(settings, DAYS[3]),
    "publish of the flow": steps.publish,
    "rebuild": steps.rebuild_star,
    "rebuild of later dates": lambda settings: steps.rebuild_star(settings, from_date=DAYS[2]),
    "rebuild of earlier dates": lambda settings: steps.rebuild_star(settings, to_date=DAYS[0]),
    "compact": steps.compact_closed_months,
    "look-up": lambda settings: steps.look_up_by_hand(settings, "versions", ["1"]),
}


@pytest.mark.parametrize("kept", [0, None], ids=["older backup", "no warehouse"])
def test_whatever_publishes_refuses_before_it_does_anything(desk: Desk, kept: int | None) -> None:
    desk.settings.directory.warehouse.unlink()
    if kept is not None:
        desk.put_back(kept)
    before = desk.files()
    del desk.service.requests[:]
    for name, publisher in PUBLISHERS.items():
        with pytest.raises(LostDatesError, match=r"--forget-dates 2026-01-0[12]\.\.2026-01-03"):
            publisher(desk.settings)
        assert (name, desk.service.requests) == (name, [])
        assert desk.files() == before, name


def test_dates_that_are_forgotten_are_gone_and_the_next_ones_come(desk: Desk) -> None:
    desk.put_back(0)
    with pytest.raises(LostDatesError):
        steps.rebuild_star(desk.settings, forget_dates=[DAYS[1]])
    steps.rebuild_star(desk.settings, forget_dates=DAYS[1:3])
    assert desk.published() == [(DAYS[0], 1)]
    desk.snapshot(DAYS[3])
    assert desk.published() == [(DAYS[0], 1), (DAYS[3], 3)]


def test_without_a_warehouse_all_can_be_forgotten(desk: Desk) -> None:
    desk.settings.directory.warehouse.unlink()
    desk.settings.directory.analytics.unlink()
    steps.rebuild_star(desk.settings, forget_dates=DAYS[:3])
    assert desk.published() == []
    desk.snapshot(DAYS[3])
    assert desk.published() == [(DAYS[3], 3)]


def test_a_star_elsewhere_loses_nothing_either(desk: Desk, tmp_path: Path) -> None:
    desk.put_back(0)
    steps.rebuild_star(desk.settings, into=tmp_path / "elsewhere")
    desk.put_back(2)
    steps.rebuild_star(desk.settings, into=tmp_path / "elsewhere")
    desk.put_back(0)
    with pytest.raises(LostDatesError, match=r"2026-01-02\.\.2026-01-03"):
        steps.rebuild_star(desk.settings, into=tmp_path / "elsewhere")
    steps.rebuild_star(desk.settings, into=tmp_path / "elsewhere", forget_dates=DAYS[1:3])
    assert desk.published() == [(DAYS[0], 1), (DAYS[1], 2), (DAYS[2], 3)]


def test_a_newer_backup_is_the_other_way_out(desk: Desk) -> None:
    desk.put_back(0)
    with pytest.raises(LostDatesError):
        desk.snapshot(DAYS[3])
    desk.put_back(2)
    desk.snapshot(DAYS[3])
    assert [on for on, _ in desk.published()] == DAYS


def test_the_command_line_ends_with_one_line_and_says_what_it_forgot(civitai_etl_here):
    civitai_etl = civitai_etl_here
    assert civitai_etl.run("snapshot", "--date", "2026-01-01").returncode == 0
    (civitai_etl.data_dir / "warehouse.duckdb").unlink()
    line = civitai_etl.fails("snapshot", "--date", "2026-01-02")
    assert line.endswith("let them go with `civitai-etl rebuild --forget-dates 2026-01-01`. Nothing was changed.")
    ended = civitai_etl.run("rebuild", "--forget-dates", "2026-01-01")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("Forgotten, as far as raw lacks them: 2026-01-01.\n")
