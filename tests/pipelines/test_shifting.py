"""Snapshots of a catalogue that changes while it is read: models are published, updated, deleted and return.

The emulator's clock moves on between two answers of a crawl, which is told by its own account of every day it passed.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from emulator.launch import Emulator, launch
from pipelines.crawl.snapshot import SnapshotReport, take_snapshot
from pipelines.settings import Settings
from tests.pipelines.conftest import DAY, rows, settings_for

SECOND = DAY + timedelta(30)


@pytest.fixture(scope="module", params=["spec", "live"])
def emulator(request: pytest.FixtureRequest) -> Iterator[Emulator]:
    with launch(models=900, on=DAY, dialect=request.param) as emulator:
        emulator.dialect = request.param  # type: ignore[attr-defined]
        yield emulator


@dataclass(frozen=True)
class Crawled:
    """What became of a second snapshot while the days went by, and what was there on all of them."""

    report: SnapshotReport
    settings: Settings
    throughout: set[str]
    changed: dict[str, int]
    denied: set[str]

    def ids(self, table: str) -> list[str]:
        query = f"select entity_id from raw.{table} where snapshot_date = '{SECOND}' order by entity_id"
        return [entity_id for (entity_id,) in rows(self.settings, query)]

    @property
    def buried(self) -> list[str]:
        has_any = rows(self.settings, "select 1 from information_schema.tables where table_name = 'tombstones'")
        return self.ids("tombstones") if has_any else []


def crawl(emulator: Emulator, directory: Path, faults: str, **values: Any) -> Crawled:
    """A snapshot of DAY that nothing disturbs, and one of SECOND under `faults` of the kind `later`."""
    settings = settings_for(emulator.api_url, directory, dialect=emulator.dialect, **values)  # type: ignore[attr-defined]
    emulator.set_date(DAY)
    assert take_snapshot(settings, DAY).status == "complete"
    emulator.set_date(SECOND)
    asked_before = max(logged["number"] for logged in emulator.requests())
    emulator.order_faults(faults)
    try:
        report = take_snapshot(settings, SECOND)
    finally:
        emulator.order_faults("")
    asked = emulator.requests(asked_before)
    days = [SECOND]
    for logged in asked:
        if logged["fault"]:
            days.append(days[-1] + timedelta(int(re.match(r"later=(\d+)", logged["fault"])[1])))  # type: ignore[index]
    told = emulator.changes(SECOND, days[-1])["models"]
    return Crawled(
        report,
        settings,
        throughout=set.intersection(*(listed(emulator, day) for day in days)),
        changed={reason: len(ids) for reason, ids in told.items()},
        denied={
            logged["request"].removeprefix("/models/")
            for logged in asked
            if logged["status"] == 404 and logged["request"].startswith("/models/")
        },
    )


def listed(emulator: Emulator, on: date) -> set[str]:
    """The models in the lists of a day."""
    account = emulator.account(on)
    if "listed" not in account:
        return set(account["models"])
    return {str(model_id) for ids in account["listed"].values() for model_id in ids}


def assert_whole(crawled: Crawled) -> None:
    """Each model that was there throughout was observed, once, and only what answered 404 is buried."""
    observed = crawled.ids("model_observations")
    assert len(observed) == len(set(observed))
    assert crawled.throughout <= set(observed)
    assert set(crawled.buried) <= crawled.denied
    assert not set(crawled.buried) & crawled.throughout
    assert all(crawled.changed[reason] for reason in ("born", "gone", "changed")), "nothing has shifted"


def test_a_list_that_shifts_once_is_read_again_and_complete(emulator: Emulator, tmp_path: Path) -> None:
    crawled = crawl(emulator, tmp_path, "later=5 path=/models\\? nth=3", max_burial_share=0.2)
    assert (crawled.report.status, crawled.report.reason) == ("complete", None)
    assert_whole(crawled)
    assert set(crawled.buried) == crawled.denied
    assert crawled.buried


@pytest.mark.parametrize("seed", [1, 2])
def test_whatever_shifts_a_model_that_was_there_throughout_is_observed_or_the_snapshot_is_partial(
    emulator: Emulator, tmp_path: Path, seed: int
) -> None:
    faults = f"later=3 path=/(models\\?|creators|models/) chance=0.2 times=12; seed={seed}"
    crawled = crawl(emulator, tmp_path, faults, max_burial_share=0.2)
    if crawled.report.status == "complete":
        assert_whole(crawled)
    else:
        assert "changed while it was read" in str(crawled.report.reason)
        assert crawled.buried == []
    # By cursors nothing is lost, however much it shifts; page numbers cannot promise it.
    assert crawled.report.status == "complete" or emulator.dialect == "spec"  # type: ignore[attr-defined]


def test_a_wave_of_404s_while_it_shifts_buries_none(emulator: Emulator, tmp_path: Path) -> None:
    # A share for each of the 30 days since the snapshot before.
    crawled = crawl(emulator, tmp_path, "later=400 path=/models\\? nth=1", max_burial_share=0.0003)
    assert crawled.report.status == "partial"
    assert "none is marked as deleted" in str(crawled.report.reason)
    assert crawled.buried == []
