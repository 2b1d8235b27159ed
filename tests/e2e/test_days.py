"""Simulated days over HTTP into the star, against the emulator's own account of what it served."""

from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import pytest

from emulator.launch import launch
from flows.steps import run_daily_snapshot
from pipelines.settings import Settings
from pipelines.storage.data_directory import DataDirectory
from transforms.build import rebuild

#: Four snapshots, with a gap before the last.
DATES = [date(2026, 1, 1), date(2026, 1, 2), date(2026, 1, 3), date(2026, 1, 13)]


@dataclass(frozen=True)
class SnapshotRun:
    """What was built, and what the emulator says that there was."""

    settings: Settings
    accounts: dict[date, dict[str, Any]]
    changes: list[dict[str, Any]]

    def sql(self, query: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(self.settings.directory.analytics, read_only=True) as connection:
            return connection.execute(query).fetchall()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> SnapshotRun:
    data_dir = tmp_path_factory.mktemp("days")
    with launch(models=800, on=DATES[0]) as emulator:
        settings = Settings(data_dir=data_dir, api_url=emulator.api_url, requests_per_second=0)
        accounts = {}
        for on in DATES:
            emulator.set_date(on)
            accounts[on] = emulator.account(on)
            assert run_daily_snapshot(settings, on).snapshot.status == "complete"
        changes = [emulator.changes(first, second) for first, second in pairwise(DATES)]
    return SnapshotRun(settings, accounts, changes)


def test_every_counter_of_every_model_and_version_on_every_date_is_the_true_one(run: SnapshotRun) -> None:
    for table, entity, told in (
        ("fact_model_daily", "model_id", "models"),
        ("fact_model_version_daily", "version_id", "versions"),
    ):
        rows = run.sql(
            f"SELECT snapshot_date, {entity}::VARCHAR, "
            "download_count, thumbs_up_count, thumbs_down_count, rating_count, rating "
            f"FROM star.{table}"
        )
        true = [
            (on, key, *(counters[name] for name in COUNTERS))
            for on, account in run.accounts.items()
            for key, counters in account[told].items()
        ]
        assert sorted(rows) == sorted(true)


COUNTERS = ("downloadCount", "thumbsUpCount", "thumbsDownCount", "ratingCount", "rating")


def test_flows_are_the_differences_of_the_true_counters_also_over_a_gap(run: SnapshotRun) -> None:
    expected = {}
    known: dict[str, int] = {}
    for on, account in run.accounts.items():
        for version_id, counters in account["versions"].items():
            if version_id in known:
                expected[on, int(version_id)] = counters["downloadCount"] - known[version_id]
            known[version_id] = counters["downloadCount"]
    rows = run.sql("SELECT snapshot_date, version_id, downloads_delta FROM star.fact_model_version_daily")
    assert expected
    assert {(on, version_id): flow for on, version_id, flow in rows if (on, version_id) in expected} == expected


def test_what_is_born_between_two_snapshots_enters_with_its_whole_counter_as_flow(run: SnapshotRun) -> None:
    born = {
        (on, model_id): run.accounts[on]["models"][str(model_id)]["downloadCount"]
        for on, changes in zip(DATES[1:], run.changes, strict=True)
        for model_id in changes["models"]["born"]
    }
    rows = run.sql("SELECT snapshot_date, model_id, downloads_delta FROM star.fact_model_daily")
    assert born
    assert {(on, model_id): flow for on, model_id, flow in rows if (on, model_id) in born} == born


def test_the_mart_has_the_true_stock_of_every_base_model_on_the_first_date(run: SnapshotRun) -> None:
    rows = run.sql(
        "SELECT base_model, version_count, download_count FROM star.mart_base_model_daily "
        f"WHERE snapshot_date = DATE '{DATES[0]}'"
    )
    account = run.accounts[DATES[0]]["baseModels"]
    assert sorted(rows) == sorted((name, told["versions"], told["downloadCount"]) for name, told in account.items())


@pytest.mark.parametrize(
    ("reason", "column"), [("renamed", "name"), ("description", "description_hash"), ("creator_deleted", "username")]
)
def test_history_opens_a_row_where_the_emulator_changed_a_model_and_nowhere_else(
    run: SnapshotRun, reason: str, column: str
) -> None:
    changed = {
        (on, int(model_id))
        for on, changes in zip(DATES[1:], run.changes, strict=True)
        for model_id, reasons in changes["models"]["changed"].items()
        if reason in reasons
    }
    rows = run.sql(
        f"SELECT valid_from, model_id FROM (SELECT *, lag({column}) OVER w AS before, lag(valid_to) OVER w AS ended "
        f"FROM star.dim_model WINDOW w AS (PARTITION BY model_id ORDER BY valid_from)) "
        f"WHERE ended = valid_from AND {column} IS DISTINCT FROM before"
    )
    assert set(rows) == changed


def test_the_books_of_every_date_and_kind_balance(run: SnapshotRun) -> None:
    for on, account in run.accounts.items():
        for table, kind in (
            ("fact_model_daily", "models"),
            ("fact_creator_daily", "creators"),
            ("fact_tag_daily", "tags"),
        ):
            ((rows,),) = run.sql(f"SELECT count(*) FROM star.{table} WHERE snapshot_date = DATE '{on}'")
            assert rows == len(account[kind]), (on, kind)


def test_a_rebuild_elsewhere_gives_the_same_files_name_for_name_and_byte_for_byte(
    run: SnapshotRun, tmp_path: Path
) -> None:
    rebuild(DataDirectory.at(tmp_path, warehouse=run.settings.directory.warehouse))

    def files(analytics: Path, lake: Path) -> dict[str, bytes]:
        with duckdb.connect(analytics, read_only=True) as connection:
            paths = connection.execute("SELECT path FROM star.manifest").fetchall()
        return {str(Path(path).relative_to(lake)): Path(path).read_bytes() for (path,) in paths}

    day_by_day = files(run.settings.directory.analytics, run.settings.directory.lake)
    assert len(day_by_day) > len(DATES) * 5
    assert files(tmp_path / "analytics.duckdb", tmp_path / "lake") == day_by_day


def test_days_between_snapshots_are_gaps_in_the_calendar(run: SnapshotRun) -> None:
    gaps = run.sql("SELECT date FROM star.dim_date WHERE NOT has_snapshot ORDER BY 1")
    assert [day for (day,) in gaps] == [DATES[2] + timedelta(days=number) for number in range(1, 10)]
