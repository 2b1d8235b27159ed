"""`make soak`: fifty kills of snapshots of 3,000 models, in both dialects; ends with 1 if anything is not as it was."""

import argparse
import random
import sys
import time
from collections import Counter
from contextlib import ExitStack
from datetime import timedelta
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory

from emulator.launch import launch
from tests.soak.kills import DAYS, PHASES, STEPS, Kill, Site, Trial, Undisturbed, moments

WINDOW_PAGES = {"spec": 5, "live": 15}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--models", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)
    began = time.monotonic()

    def tell(text: str) -> None:
        print(f"[{timedelta(seconds=round(time.monotonic() - began))}] {text}", flush=True)

    kills: list[Kill] = []
    problems: list[str] = []
    readings = 0
    with TemporaryDirectory(prefix="soak-") as folder, ExitStack() as stack:
        calm = {}
        for dialect, window in WINDOW_PAGES.items():
            emulator = stack.enter_context(launch(models=arguments.models, on=DAYS[0], dialect=dialect))
            calm[dialect] = Undisturbed(Site(Path(folder, f"calm-{dialect}"), emulator, dialect, window)).run()
            requests = {step: len(asked) for step, asked in calm[dialect].requests.items()}
            usual = ", ".join(f"{phase} {1000 * calm[dialect].usual(phase):.0f}" for phase in PHASES)
            tell(f"{dialect}, undisturbed: requests {requests}; ms a phase takes: {usual}")
        for number, dialect in enumerate(cycle(WINDOW_PAGES), start=1):
            left = arguments.kills - len(kills)
            if not left:
                break
            undisturbed = calm[dialect]
            site = Site(Path(folder, f"killed-{number}"), undisturbed.site.emulator, dialect, WINDOW_PAGES[dialect])
            trial = Trial(undisturbed, site, _planned(chance, left), tell).run()
            kills += trial.kills
            readings += trial.readings
            problems += [f"trial {number} ({dialect}): {problem}" for problem in trial.problems]
            tell(f"trial {number} ({dialect}) ended: {len(kills)} kills so far, {len(trial.problems)} problems")
    hit = Counter(kill.phase for kill in kills)
    lost = {phase: max((kill.asked_again for kill in kills if kill.phase == phase), default=0) for phase in hit}
    tell(f"{len(kills)} kills: " + ", ".join(f"{phase} {times}" for phase, times in hit.most_common()))
    tell("most requests asked again after a kill: " + ", ".join(f"{phase} {most}" for phase, most in lost.items()))
    tell(f"{readings:,} readings of analytics.duckdb meanwhile")
    problems += [f"no kill has hit {phase}" for phase in PHASES if phase not in hit]
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


def _planned(chance: random.Random, most: int) -> dict[str, list]:
    """Moments for each step of a trial, `most` at the most."""
    plan = {}
    for step, phases in zip(
        STEPS, ([*PHASES, "extract"], [*PHASES, "load"], ["extract", chance.choice(PHASES[:3])]), strict=True
    ):
        plan[step.name] = moments(chance, phases[: max(0, most)])
        most -= len(plan[step.name])
    return plan


if __name__ == "__main__":
    sys.exit(main())
