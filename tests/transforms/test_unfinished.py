"""An upgrade that is killed leaves the old tables whole, and the next build goes on with it."""

import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from pipelines.raw.decisions import decisions
from pipelines.raw.warehouse import connect
from pipelines.settings import Limits
from tests.pipelines.conftest import Notes
from tests.transforms.conftest import DAYS, Workshop, model, version
from transforms.lake import publish
from transforms.quality.checks import LostRowsError

#: Builds the star in the folder argv[1], and is killed before it takes in one date more than argv[2].
KILLED = """
import os, signal, sys
from itertools import count
from pathlib import Path
from pipelines.storage.data_directory import DataDirectory
from transforms import unfinished
from transforms.build import build
from transforms.ranges import WIDTH

unfinished.EVERY_SECONDS = 0
WIDTH["model"] = 3
taken, dates = count(), int(sys.argv[2])
build(
    DataDirectory.at(Path(sys.argv[1])),
    safe_point=lambda: os.kill(os.getpid(), signal.SIGKILL) if next(taken) == dates else None,
)
"""
PUBLISHED = "SELECT snapshot_date, model_id, download_count, downloads_delta FROM star.fact_model_daily ORDER BY ALL"

pytestmark = pytest.mark.usefixtures("narrow_ranges")


def crowd(downloads: int = 100, versions: int = 5) -> list[dict[str, Any]]:
    return [
        model(n, *(version(100 * n + v) for v in range(versions)), stats={"downloadCount": downloads})
        for n in range(20, 40)
    ]


@pytest.fixture
def earlier(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    """Five dates that an earlier version has published: a model goes and is back, versions move, a name changes."""
    dates: list[list[dict[str, Any]]] = [
        [model(1), model(5, version(50), version(51)), model(9)],
        [model(1, name="Other"), model(5, version(50)), model(9, version(90), version(51))],
        [model(1, name="Other"), model(5, version(50))],
        [model(1), model(5, version(50)), model(9, version(90), version(51), stats={"downloadCount": 120})],
        [model(1), model(9, version(90))],
    ]
    for number, (on, models) in enumerate(zip(DAYS, dates, strict=False)):
        workshop.raw.crawl(on, model=[*models, *crowd(100 + number)], buried=(9,) if number == 2 else ())
    with monkeypatch.context() as before:
        before.setattr(publish, "tables_fingerprint", lambda: "another")
        workshop.build()
    return workshop


def kill(workshop: Workshop, dates: int) -> None:
    """An upgrade is killed when it has taken in so many dates; the published tables are as they were."""
    published = workshop.files(), workshop.sql(PUBLISHED)
    run = subprocess.run([sys.executable, "-c", KILLED, workshop.folder, str(dates)], check=False, capture_output=True)
    assert run.returncode == -9, run.stderr.decode()
    assert (workshop.files(), workshop.sql(PUBLISHED)) == published


def built(workshop: Workshop, **options: Any) -> tuple[date, ...]:
    """The dates that a build replays. Afterwards the star is that of a rebuild, and no upgrade is unfinished."""
    dates = workshop.build(**options).dates
    assert workshop.rebuild_into("again").files() == workshop.files()
    assert not (workshop.lake / "state" / "unfinished.json").exists()
    assert not workshop.build().published
    return dates


@pytest.mark.parametrize("taken", [1, 3, 4])
def test_an_upgrade_goes_on_where_it_was_killed(earlier: Workshop, taken: int) -> None:
    kill(earlier, taken)
    notes = Notes()
    assert built(earlier, progress=notes) == tuple(DAYS[taken:5])
    (told,) = notes.lines
    assert f"It goes on after {DAYS[taken - 1]}, where it was cut off. {5 - taken} date" in told


def test_it_may_be_killed_again_and_again(earlier: Workshop) -> None:
    for _ in range(4):
        kill(earlier, 1)
    assert built(earlier) == (DAYS[4],)


def test_it_begins_again_if_raw_has_something_else_of_a_date_that_it_has_taken_in(earlier: Workshop) -> None:
    kill(earlier, 3)
    earlier.raw.crawl(DAYS[1], number=2, model=[model(1, name="Late"), *crowd()])
    assert built(earlier) == tuple(DAYS[:5])


def test_it_goes_on_if_raw_has_a_later_date_too(earlier: Workshop) -> None:
    kill(earlier, 3)
    earlier.raw.crawl(DAYS[6], model=[model(1), *crowd(110)])
    assert built(earlier) == (DAYS[3], DAYS[4], DAYS[6])


def test_it_begins_again_with_other_settings(earlier: Workshop) -> None:
    kill(earlier, 3)
    assert earlier.build(limits=Limits(max_change_share=0.5)).dates == tuple(DAYS[:5])


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(path.read_bytes()[:-1])])
def test_it_begins_again_if_a_file_is_damaged(earlier: Workshop, damage: Any) -> None:
    before = set(earlier.lake.rglob("*.parquet"))
    kill(earlier, 3)
    damage(min(path for path in earlier.lake.rglob("*.parquet") if path not in before))
    assert built(earlier) == tuple(DAYS[:5])


def test_it_begins_again_if_its_note_is_damaged(earlier: Workshop) -> None:
    kill(earlier, 3)
    (earlier.lake / "state" / "unfinished.json").write_text("{")
    assert built(earlier) == tuple(DAYS[:5])


def test_a_refusal_is_not_lost_with_the_upgrade_that_found_it(earlier: Workshop) -> None:
    earlier.raw.crawl(DAYS[5], model=[model(1), model(9, version(90)), *crowd(110, versions=1)])
    for on in DAYS[6:8]:
        earlier.raw.crawl(on, model=[model(1), model(9, version(90)), *crowd(120)])
    kill(earlier, 7)
    with pytest.raises(LostRowsError, match=f"{DAYS[5]} is refused"):
        earlier.build()
    with connect(earlier.raw.path) as raw:
        assert [(each.verdict, each.snapshot_date) for each in decisions(raw)] == [("refused", DAYS[5])]
    assert earlier.rebuild_into("again").files() == earlier.files()
