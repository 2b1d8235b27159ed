"""Snapshots of a simulated service in which something is always wrong, against undisturbed ones."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emulator.launch import Emulator, launch
from pipelines.settings import Settings
from pipelines.snapshot import take_snapshot
from tests.pipelines.conftest import DAY, rows, settings_for

#: Every kind of fault that passes, at one request in ten.
TRANSIENT = (
    "503=0 chance=0.01; 429=0 chance=0.01; 500 chance=0.01; 502 chance=0.01; html chance=0.01; cut chance=0.01; "
    "truncated chance=0.01; reset chance=0.01; repeated-cursor chance=0.01; duplicated chance=0.01; "
    "empty chance=0.01 path=/(models|creators|images)"
)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.client._FIRST_WAIT", 0.005)


@pytest.fixture(scope="module", params=["spec", "live"])
def emulator(request: pytest.FixtureRequest) -> Iterator[Emulator]:
    with launch(models=2000, on=DAY, dialect=request.param) as emulator:
        emulator.dialect = request.param  # type: ignore[attr-defined]
        yield emulator


def fresh(emulator: Emulator, directory: Path, **values: Any) -> Settings:
    return settings_for(emulator.api_url, directory, dialect=emulator.dialect, **values)  # type: ignore[attr-defined]


def observed(settings: Settings) -> list[tuple[Any, ...]]:
    kinds = ("model", "creator", "tag", "enum")
    columns = "entity_id, content_hash, metrics"
    return [
        row for kind in kinds for row in rows(settings, f"select {columns} from raw.{kind}_observations order by all")
    ]


def test_with_every_tenth_answer_faulty_a_snapshot_is_complete_and_equal(emulator: Emulator, tmp_path: Path) -> None:
    calm = fresh(emulator, tmp_path / "calm")
    assert take_snapshot(calm, DAY).status == "complete"
    for seed in (1, 2):
        emulator.order_faults(f"{TRANSIENT}; seed={seed}")
        try:
            disturbed = fresh(emulator, tmp_path / str(seed))
            report = take_snapshot(disturbed, DAY)
        finally:
            emulator.order_faults("")
        assert (report.status, report.reason) == ("complete", None)
        assert observed(disturbed) == observed(calm)


@pytest.mark.parametrize("alone", ["served", "always"])
def test_records_that_break_their_pages_cost_at_most_themselves(emulator: Emulator, tmp_path: Path, alone: str) -> None:
    calm = fresh(emulator, tmp_path / "calm")
    take_snapshot(calm, DAY)
    ids = sorted(int(entity_id) for (entity_id,) in rows(calm, "select entity_id from raw.model_observations"))
    poison = {str(ids[3]), str(ids[777])}
    emulator.order_faults("; ".join(f"poison={entity_id}:500:{alone}" for entity_id in poison))
    try:
        disturbed = fresh(emulator, tmp_path / "disturbed", max_attempts=2)
        report = take_snapshot(disturbed, DAY)
    finally:
        emulator.order_faults("")
    assert report.status == "complete"
    lost = set(observed(calm)) - set(observed(disturbed))
    assert {entity_id for entity_id, *_ in lost} == (poison if alone == "always" else set())
    assert (report.rejected > 0) == (alone == "always")
