"""`python -m tests.soak.year`: a year of simulated days, written to raw as crawls would leave them, with gaps, partial
crawls, burials and a day that comes late; built now and then, and then anew from the first day. Both stars must be the
same, file by file and byte by byte, and its books and periods sound.
"""

import argparse
import random
import sys
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from emulator.catalogue import ImageQuery, ModelQuery
from emulator.spec.catalogue import SimulatedWorld
from tests.transforms.conftest import Workshop
from tests.transforms.test_generated_histories import (
    assert_flows_are_carried,
    assert_mart_balances,
    assert_periods_are_sound,
)

FIRST = date(2025, 7, 1)
#: Chances of a gap, of a partial crawl, of a model to be missed by one, and of a build after a crawl.
GAP, PARTIAL, MISSED, BUILD = 0.1, 0.08, 0.3, 0.3


class Year:
    """Crawls of a simulated catalogue, day after day; what is gone from it answers 404 to the next complete one."""

    def __init__(self, workshop: Workshop, models: int, seed: int) -> None:
        self.workshop = workshop
        self.world = SimulatedWorld(models, seed)
        self.chance = random.Random(seed)
        self.known: set[int] = set()
        self.buried = 0

    def crawl(self, on: date, status: str) -> None:
        shown = self.world.on(on)
        models = shown.models(ModelQuery())
        rows = [row for row in models.rows if status == "complete" or self.chance.random() > MISSED]
        there = {int(self.world.columns.model_id[row]) for row in models.rows}
        gone = self.known - there if status == "complete" else set()
        images, creators, tags = shown.images(ImageQuery(sort="Newest")), shown.creators(None), shown.tags(None)
        self.workshop.raw.crawl(
            on,
            status=status,
            buried=tuple(sorted(gone)),
            model=[models.document(row) for row in rows],
            image=images.documents(0, 20),
            creator=creators.documents(0, len(creators)),
            tag=tags.documents(0, len(tags)),
        )
        self.known = (self.known - gone) | {int(self.world.columns.model_id[row]) for row in rows}
        self.buried += len(gone)

    def stock(self) -> dict[int, int | None]:
        """The downloads of each version at the end, as its facts have them; None while they are hidden."""
        return dict(
            self.workshop.sql(
                "SELECT version_id, arg_max_null(download_count, snapshot_date) "
                "FROM star.fact_model_version_daily GROUP BY 1"
            )
        )

    def run(self, days: int) -> None:
        """Crawls and builds; one complete day from the middle comes last of all.

        Raises:
            AssertionError: the star and a rebuild of it differ, or its books do not balance.
        """
        dates = [on for on in (FIRST + timedelta(n) for n in range(days)) if self.chance.random() > GAP]
        late = dates.pop(len(dates) // 2)
        for on in dates:
            self.crawl(on, "partial" if self.chance.random() < PARTIAL else "complete")
            if self.chance.random() < BUILD:
                self.workshop.build()
        self.known = set()  # of what was known on that day: the others are buried already
        self.crawl(late, "complete")
        self.workshop.build()
        assert_mart_balances(self.workshop, self.stock(), set())
        assert_flows_are_carried(self.workshop)
        assert_periods_are_sound(self.workshop)
        assert self.workshop.files() == self.workshop.rebuild_into("again").files(), "a rebuild gives other files"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--models", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    with TemporaryDirectory(prefix="year-") as folder:
        workshop = Workshop(Path(folder))
        year = Year(workshop, options.models, options.seed)
        year.run(options.days)
        told = workshop.sql(
            "SELECT count(*), count(*) FILTER (has_snapshot), count(*) FILTER (has_snapshot AND NOT is_complete) "
            "FROM star.dim_date"
        )
        ((days, snapshots, partial),) = told
        print(
            f"{days} days, {snapshots} snapshots, {partial} of them partial, {year.buried} burials: "
            f"{len(workshop.files())} files, the same by a rebuild."
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
