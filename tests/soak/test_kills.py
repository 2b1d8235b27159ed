"""A handful of the kills of `make soak`: killed anywhere and started again, a run ends as if undisturbed."""

import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from emulator.launch import launch
from tests.soak.kills import DAYS, STEPS, Site, Step, Trial, Undisturbed, moments

# Fourteen runs of the command line, some 3 s each: over both dialects every step is killed, and every phase.
PLANS = {
    "spec": (STEPS[:2], {"day 1": ["extract"], "day 2": ["normalise", "publish"]}),
    "live": ((STEPS[0], STEPS[2]), {"day 1": ["load", "transform"], "refresh": ["extract"]}),
}


@pytest.mark.parametrize("dialect", PLANS)
def test_a_run_that_is_killed_anywhere_ends_as_if_undisturbed_and_readers_notice_nothing(
    dialect: str, tmp_path: Path
) -> None:
    steps: Sequence[Step]
    steps, phases = PLANS[dialect]
    chance = random.Random(7)
    with launch(models=300, on=DAYS[0], dialect=dialect) as emulator:
        calm = Undisturbed(Site(tmp_path / "calm", emulator, dialect, window_pages=2), steps).run()
        trial = Trial(
            calm,
            Site(tmp_path / "killed", emulator, dialect, window_pages=2),
            {step: moments(chance, of_step) for step, of_step in phases.items()},
        ).run()
    assert trial.problems == []
    assert trial.readings > 10
    assert len(trial.kills) >= len(phases), "most runs were caught before their end"
