"""Snapshots of a simulated service in which something is always wrong, against undisturbed ones."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from emulator.launch import Emulator, launch
from pipelines.crawl.snapshot import take_snapshot
from pipelines.settings import Settings
from tests.comparison import RUN_DEPENDENT, differences
from tests.pipelines.conftest import DAY, rows, settings_for
from transforms.build import build

#: Every kind of fault that passes, together at one request in ten.
TRANSIENT = (
    "408", "425", "429=0", "429=+0", "500", "502", "503=0", "504", "520", "html", "cut", "truncated", "reset",
    "slow=0.05", "repeated-cursor", "duplicated", "empty",
)  # fmt: skip
#: What is asked for twice is counted twice.
EFFORT = {"pages", "items", "duplicates", "endpoints"}


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.api.pacing._FIRST_WAIT", 0.005)


@pytest.fixture(scope="module", params=["spec", "live"])
def emulator(request: pytest.FixtureRequest) -> Iterator[Emulator]:
    # On pages of 200 and of 100: as many requests, among which every kind of fault has its turn.
    with launch(models={"spec": 2000, "live": 1000}[request.param], on=DAY, dialect=request.param) as emulator:
        emulator.dialect = request.param  # type: ignore[attr-defined]
        yield emulator


def fresh(emulator: Emulator, directory: Path, **values: Any) -> Settings:
    return settings_for(emulator.api_url, directory, dialect=emulator.dialect, **values)  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def calm(emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The data directory of an undisturbed snapshot, built."""
    settings = fresh(emulator, tmp_path_factory.mktemp("calm"))
    assert take_snapshot(settings, DAY).status == "complete"
    published(settings)
    return settings


def published(settings: Settings) -> None:
    build(settings.directory)


def observed(settings: Settings) -> list[tuple[Any, ...]]:
    kinds = ("model", "creator", "tag", "enum")
    columns = "entity_id, content_hash, metrics"
    return [
        row for kind in kinds for row in rows(settings, f"select {columns} from raw.{kind}_observations order by all")
    ]


def test_with_every_tenth_answer_faulty_a_snapshot_is_complete_and_equal(
    emulator: Emulator, calm: Settings, tmp_path: Path
) -> None:
    # Each rule counts what those before it have let pass.
    chances = [0.1 / len(TRANSIENT) / (1 - 0.1 * n / len(TRANSIENT)) for n in range(len(TRANSIENT))]
    parts = [f"{kind} chance={chance:.5f}" for kind, chance in zip(TRANSIENT, chances, strict=True)]
    emulator.order_faults("; ".join(parts))
    try:
        disturbed = fresh(emulator, tmp_path)
        report = take_snapshot(disturbed, DAY)
    finally:
        emulator.order_faults("")
    assert (report.status, report.reason) == ("complete", None)
    published(disturbed)
    assert differences(calm.data_dir, disturbed.data_dir, RUN_DEPENDENT | EFFORT) == []


def test_every_kind_of_fault_changes_nothing(emulator: Emulator, calm: Settings, tmp_path: Path) -> None:
    since = len(emulator.requests())
    emulator.order_faults("; ".join(f"{kind} nth={number}" for number, kind in enumerate(TRANSIENT, start=2)))
    try:
        disturbed = fresh(emulator, tmp_path)
        report = take_snapshot(disturbed, DAY)
    finally:
        emulator.order_faults("")
    assert {logged["fault"].split()[0] for logged in emulator.requests(since) if logged["fault"]} == set(TRANSIENT)
    assert (report.status, report.reason) == ("complete", None)
    assert observed(disturbed) == observed(calm)


def test_records_that_break_their_pages_cost_at_most_themselves(
    emulator: Emulator, calm: Settings, tmp_path: Path
) -> None:
    ids = sorted(int(entity_id) for (entity_id,) in rows(calm, "select entity_id from raw.model_observations"))
    places = {"served": (3, 777), "spoiled": (150, 500), "always": (320, 640)}
    poison = {alone: {str(ids[place]) for place in of_these} for alone, of_these in places.items()}
    emulator.order_faults("; ".join(f"poison={n}:500:{alone}" for alone, of_these in poison.items() for n in of_these))
    try:
        disturbed = fresh(emulator, tmp_path, max_attempts=2)
        report = take_snapshot(disturbed, DAY)
    finally:
        emulator.order_faults("")
    assert report.status == "complete"
    lost = {entity_id for entity_id, *_ in set(observed(calm)) - set(observed(disturbed))}
    assert lost == poison["spoiled"] | poison["always"]
    published(disturbed)
    with duckdb.connect() as connection:
        for name, settings in (("calm", calm), ("disturbed", disturbed)):
            connection.execute(f"attach '{settings.directory.analytics}' as {name} (read_only)")
        for table in ("fact_model_daily", "fact_model_version_daily", "dim_model", "dim_model_version"):
            all_else = f"select * from calm.star.{table} where model_id not in ({', '.join(lost)})"
            # A record whose name is none is there without it.
            named = f"where model_id not in ({', '.join(poison['spoiled'])})"
            left = f"select * from disturbed.star.{table} {named}"
            for one, other in ((all_else, left), (left, all_else)):
                assert connection.execute(f"({one}) except all ({other})").fetchall() == [], table
        set_aside = connection.execute("select kind, reason from disturbed.star.ops_quarantine").fetchall()
    assert {kind for kind, _ in set_aside} == {"model"}
    # What no answer has brought is set aside by each pass that asks for it.
    assert report.rejected >= len(poison["always"])
    assert sum("it answered 500" in reason for _, reason in set_aside) == report.rejected
    assert sum("$.name" in reason for _, reason in set_aside) == len(poison["spoiled"])
    assert len(set_aside) == report.rejected + len(poison["spoiled"])


def test_a_cursor_loop_that_persists_ends_partial_and_says_so(emulator: Emulator, tmp_path: Path) -> None:
    emulator.order_faults("repeated-cursor path=/models\\? nth=3-")
    try:
        report = take_snapshot(fresh(emulator, tmp_path, image_pages=0), DAY)
    finally:
        emulator.order_faults("")
    assert report.status == "partial"
    assert "models: /models?" in report.reason
    assert "leads back to pages that were already read" in report.reason


def test_requests_keep_to_the_budget_in_every_second_and_never_undercut_a_retry_after(
    emulator: Emulator, tmp_path: Path
) -> None:
    budget = 12
    since = len(emulator.requests())
    emulator.order_faults("429=1 nth=5; 503=+1 nth=12; 503=0 nth=16; slow=0.3 every=7; html every=9; reset nth=20")
    try:
        settings = fresh(emulator, tmp_path, requests_per_second=budget, image_pages=0)
        assert take_snapshot(settings, DAY).status == "complete"
    finally:
        emulator.order_faults("")
    asked = emulator.requests(since)
    times = [logged["at"] for logged in asked]
    assert max(sum(first <= at < first + 1 for at in times) for first in times) <= budget
    paused = [n for n, logged in enumerate(asked) if logged["fault"] and logged["fault"][:5] in ("429=1", "503=+")]
    assert len(paused) == 2
    for n in paused:
        assert asked[n + 1]["at"] - asked[n]["at"] >= 1
    assert len(asked) > 2 * budget
