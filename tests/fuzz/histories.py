"""`python -m tests.fuzz.histories [SEED]`: generated histories, from raw to the star, held against the oracle.

Ends with 1 at the first catalogue of which the star says anything else than the oracle, and tells it as small as it
gets. The same seed gives the same histories.
"""

import argparse
import random
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from pipelines.raw import decisions
from pipelines.settings import Limits
from tests.fuzz.happenings import Catalogue, Crawl, Step, catalogue
from tests.fuzz.oracle import Oracle
from tests.fuzz.shrink import shrink
from tests.fuzz.star import differences
from tests.transforms.conftest import Workshop

HISTORIES = 500
#: Histories that share a calendar and a build.
SIDE_BY_SIDE = 20
#: How long a catalogue is shrunk, and how many of its problems are told.
SHRINK_SECONDS, TOLD = 300, 20
#: However odd a date is, it is not refused: what refuses one is tested elsewhere.
LIMITS = Limits(max_quarantine_share=1, max_row_fall_share=1)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seed", type=int, nargs="?", default=random.randrange(10**6))
    parser.add_argument("--histories", type=int, default=HISTORIES)
    arguments = parser.parse_args()
    print(f"{arguments.histories} histories from seed {arguments.seed}", flush=True)
    began = time.monotonic()
    for done in range(0, arguments.histories, SIDE_BY_SIDE):
        seed = arguments.seed + done // SIDE_BY_SIDE
        told = catalogue(seed, SIDE_BY_SIDE)
        if found := problems(told):
            print(f"The star is not what the oracle has. Again: python -m tests.fuzz.histories {seed} --histories 1")
            print(*found[:TOLD], f"({len(found)} problems; made smaller for {SHRINK_SECONDS} s)", sep="\n", flush=True)
            smallest = shrink(told, lambda each: bool(problems(each)), SHRINK_SECONDS)
            print(smallest, *problems(smallest)[:TOLD], sep="\n")
            return 1
        print(f"{done + SIDE_BY_SIDE} histories are as they should be, {time.monotonic() - began:.0f} s", flush=True)
    return 0


def problems(told: Catalogue) -> list[str]:
    """What the star says of a catalogue and should not."""
    with TemporaryDirectory() as folder:
        workshop = Workshop(Path(folder))
        try:
            for place, step in enumerate(told.steps):
                write(workshop, step)
                if place in told.built:
                    workshop.build(limits=LIMITS)
            rebuilt = workshop.rebuild_into("rebuilt", limits=LIMITS)
            found = list(differences(rebuilt, Oracle(told)))
            if told.built:
                workshop.build(limits=LIMITS)
                found += [] if workshop.files() == rebuilt.files() else ["builds day by day give other files"]
        except Exception as error:  # noqa: BLE001 (whatever it is, it has to be told with the history that did it)
            return [f"{type(error).__name__}: {error}"]
    return found


def write(workshop: Workshop, step: Step) -> None:
    """Adds a crawl or a decision to raw."""
    if isinstance(step, Crawl):
        workshop.raw.crawl(
            step.on,
            number=step.number,
            status="complete" if step.is_complete else "partial",
            started_at=step.started_at,
            buried=step.gone,
            reconciled=tuple(step.answered.values()),
            model=list(step.listed.values()),
        )
    elif step.verdict == "accepted":
        decisions.accept(workshop.raw.path, step.on, step.counter, "a generated reason")
    else:
        decide = decisions.exclude if step.verdict == "excluded" else decisions.include
        decide(workshop.raw.path, step.on, "a generated reason")


if __name__ == "__main__":
    sys.exit(main())
