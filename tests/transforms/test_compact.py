"""Compacting: closed months become one file a table and an archive of observations, and no row is lost, ever."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from pipelines.errors import CivitaiEtlError
from pipelines.raw.archive import LossError
from pipelines.raw.tables import observations_table
from pipelines.raw.warehouse import connect, expected_ids, known
from pipelines.storage.directory import StorageError, storage_errors
from pipelines.storage.lock import GaveWayError
from tests.transforms.conftest import Workshop, model
from transforms.build import rebuild
from transforms.compact import CompactReport, compact
from transforms.lake.files import Lake
from transforms.lake.publish import publish, read_manifest
from transforms.lake.release import STAR
from transforms.staging.raw_reader import RawReader


class StopsAt:
    """A safe point at which the `number`th call finds a snapshot that waits."""

    def __init__(self, number: int) -> None:
        self.left = number

    def __call__(self) -> None:
        self.left -= 1
        if not self.left:
            raise GaveWayError


ROOT = Path(__file__).resolve().parents[2]
#: Two months are closed.
DAYS = (date(2026, 1, 5), date(2026, 1, 31), date(2026, 2, 1), date(2026, 2, 28), date(2026, 3, 1))
#: What compacting makes of the days of DAYS, in every daily table that has rows.
MONTHS_AND_DAYS = [("daily", date(2026, 3, 1)), ("monthly", date(2026, 1, 1)), ("monthly", date(2026, 2, 1))]


def crawl(workshop: Workshop, number: int, day: date | None = None, status: str = "complete") -> None:
    """A crawl of the `number`th day: counters move, names change, and a record that does not decode stays."""
    items = [model(i, name=f"{i} {number // 2}", stats={"downloadCount": i * number}) for i in range(1, 6)]
    workshop.raw.crawl(
        day or DAYS[number],
        model=[*items, b'{"id": 99, "modelVersions": 5}'],
        tag=[{"name": f"tag {number}", "modelCount": number}],
        status=status,
    )


def compact_in(workshop: Workshop) -> CompactReport:
    return compact(workshop.directory)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """DAYS, not compacted; for reading only."""
    workshop = Workshop(tmp_path_factory.mktemp("built"))
    for number in range(len(DAYS)):
        crawl(workshop, number)
    workshop.build()
    return workshop


def copy(workshop: Workshop, folder: Path) -> Workshop:
    """The same raw layer and star elsewhere."""
    other = Workshop(folder)
    shutil.copytree(workshop.lake, other.lake)
    shutil.copyfile(workshop.raw.path, other.raw.path)
    publish(Lake(other.lake), other.analytics, read_manifest(workshop.analytics))
    return other


@pytest.fixture
def filled(built: Workshop, tmp_path: Path) -> Workshop:
    return copy(built, tmp_path)


@pytest.fixture(scope="module")
def finished(built: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """DAYS, compacted; for reading only."""
    workshop = copy(built, tmp_path_factory.mktemp("finished"))
    compact_in(workshop)
    return workshop


def star_rows(workshop: Workshop) -> dict[str, list[tuple[object, ...]]]:
    with duckdb.connect(workshop.analytics, read_only=True) as connection:
        return {name: connection.execute(f"SELECT * FROM star.{name} ORDER BY ALL").fetchall() for name in STAR}


def dated(workshop: Workshop, table: str) -> list[tuple[str, date]]:
    """Part and date of the files of a daily table."""
    return workshop.sql(f"SELECT part, snapshot_date FROM build.manifest WHERE table_name = '{table}' ORDER BY ALL")


def raw_rows(workshop: Workshop, table: str = "model_observations") -> int:
    """Rows that the warehouse itself still has."""
    with duckdb.connect(workshop.raw.path, read_only=True) as connection:
        ((count,),) = connection.execute(f"SELECT count(*) FROM raw.{table}").fetchall()
    return int(count)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file under a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_closed_months_are_one_file_a_daily_table_with_the_same_rows(built: Workshop, filled: Workshop) -> None:
    before = star_rows(built)
    report = compact_in(filled)
    assert star_rows(filled) == before
    daily = [name for name, table in STAR.items() if table.storage == "daily" and before[name]]
    assert {"fact_model_daily", "fact_tag_daily", "mart_base_model_daily", "ops_quarantine"} <= set(daily)
    for name in daily:
        assert dated(filled, name) == MONTHS_AND_DAYS, name
    assert (report.files_merged, report.files_made) == (4 * len(daily), 2 * len(daily))
    assert report.after.star < report.before.star
    # Five models and the broken one a day, and one tag.
    assert report.rows_archived == 4 * (6 + 1)


def test_a_month_is_sorted_by_key_and_date_and_says_what_its_columns_are(built: Workshop, finished: Workshop) -> None:
    def file(workshop: Workshop, part: str, month: int) -> str:
        return str(
            workshop.value(
                f"SELECT min(path) FROM build.manifest WHERE (table_name, part) = ('fact_model_daily', '{part}') "
                f"AND month(snapshot_date) = {month}"
            )
        )

    merged = file(finished, "monthly", 1)
    rows = pq.read_table(merged).select(["model_id", "snapshot_date"]).to_pylist()
    order = [(row["model_id"], row["snapshot_date"]) for row in rows]
    assert order == [(i, day) for i in range(1, 6) for day in DAYS[:2]]
    assert pq.read_schema(merged).equals(pq.read_schema(file(built, "daily", 1)), check_metadata=True)


def test_observations_of_closed_months_leave_the_warehouse_and_are_read_all_the_same(
    built: Workshop, finished: Workshop
) -> None:
    assert (raw_rows(finished), raw_rows(finished, "tag_observations")) == (6, 1)
    assert raw_rows(finished, "model_documents") == raw_rows(built, "model_documents")
    assert observed(finished) == observed(built)
    on = date(2026, 1, 31)
    for kind in ("model", "tag"):
        with connect(finished.raw.path) as after, connect(built.raw.path) as before:
            assert known(after, kind, on, f"{on}.1") == known(before, kind, on, f"{on}.1")
            assert known(after, kind, DAYS[-1], "new") == known(before, kind, DAYS[-1], "new")
            assert expected_ids(after, kind, DAYS[-1]) == expected_ids(before, kind, DAYS[-1]) != set()


def test_a_second_run_does_nothing(filled: Workshop) -> None:
    compact_in(filled)
    before = contents(filled.folder)
    report = compact_in(filled)
    assert (report.rows_archived, report.files_made, report.after) == (0, 0, report.before)
    assert contents(filled.folder) == before


def test_a_compact_that_gives_way_has_changed_nothing_and_the_next_one_ends_as_if_it_had_never_been(
    filled: Workshop, finished: Workshop
) -> None:
    published, observations = filled.analytics.read_bytes(), raw_rows(filled)
    for number in (1, 40, 84):  # the first of about 85
        with pytest.raises(GaveWayError):
            compact(filled.directory, safe_point=StopsAt(number))
        assert (filled.analytics.read_bytes(), raw_rows(filled)) == (published, observations), number
        assert not (filled.folder / "compacting").exists()
    compact_in(filled)
    assert filled.files() == finished.files()
    assert contents(filled.folder / "archive") == contents(finished.folder / "archive")


def test_a_rebuild_that_gives_way_at_any_date_has_published_nothing(filled: Workshop, built: Workshop) -> None:
    published = filled.analytics.read_bytes()
    for number in (1, len(DAYS)):
        with pytest.raises(GaveWayError):
            rebuild(filled.directory, safe_point=StopsAt(number))
        assert filled.analytics.read_bytes() == published
    rebuild(filled.directory)
    assert filled.files() == built.files()


def test_a_month_is_closed_by_a_complete_snapshot_of_a_later_one_only(workshop: Workshop) -> None:
    for number in range(2):
        crawl(workshop, number)
    crawl(workshop, 2, status="partial")
    workshop.build()
    assert compact_in(workshop).closed_before == date(2026, 1, 1)
    assert raw_rows(workshop) == 3 * 6
    crawl(workshop, 3)
    workshop.build()
    assert compact_in(workshop).closed_before == date(2026, 2, 1)
    assert raw_rows(workshop) == 2 * 6


def test_without_a_complete_snapshot_nothing_is_closed(workshop: Workshop) -> None:
    crawl(workshop, 0, status="partial")
    workshop.build()
    assert compact_in(workshop).closed_before is None


def test_compacting_as_the_days_come_gives_the_same_files_as_at_the_end(workshop: Workshop, finished: Workshop) -> None:
    for number in range(len(DAYS)):
        crawl(workshop, number)
        workshop.build()
        compact_in(workshop)
    assert workshop.files() == finished.files()
    assert contents(workshop.folder / "archive") == contents(finished.folder / "archive")


def test_a_rebuild_writes_days_again_and_compacting_it_gives_the_same_bytes(
    filled: Workshop, built: Workshop, finished: Workshop
) -> None:
    compact_in(filled)
    rebuild(filled.directory)
    assert filled.files() == built.files()
    compact_in(filled)
    assert filled.files() == finished.files()


def test_a_rebuild_of_some_dates_makes_their_months_anew_and_keeps_the_files_of_others(
    filled: Workshop, built: Workshop
) -> None:
    compact_in(filled)
    rebuild(filled.directory, from_date=DAYS[2], to_date=DAYS[2])
    february = [("daily", day) for day in DAYS[2:]]
    assert dated(filled, "fact_model_daily") == [*february, ("monthly", date(2026, 1, 1))]
    assert star_rows(filled) == star_rows(built)


def test_late_data_after_compacting_ends_where_it_would_have_ended_before(filled: Workshop) -> None:
    compact_in(filled)
    late = date(2026, 2, 10)
    crawl(filled, 3, late)
    filled.build()
    assert dated(filled, "fact_model_daily") == [
        *[("daily", day) for day in (DAYS[2], late, *DAYS[3:])],
        ("monthly", date(2026, 1, 1)),
    ]
    assert filled.value("SELECT count(*) FROM star.fact_model_daily") == 5 * (len(DAYS) + 1)
    compact_in(filled)
    assert dated(filled, "fact_model_daily") == MONTHS_AND_DAYS
    assert raw_rows(filled) == 6
    undisturbed = Workshop(filled.folder / "undisturbed")
    undisturbed.folder.mkdir()
    for number, day in ((0, None), (1, None), (2, None), (3, late), (3, None), (4, None)):
        crawl(undisturbed, number, day)
    undisturbed.build()
    compact_in(undisturbed)
    assert filled.files() == undisturbed.files()


def test_what_a_rebuild_would_not_give_again_is_not_given_up(filled: Workshop) -> None:
    with duckdb.connect(filled.raw.path) as connection:
        connection.execute(
            "UPDATE raw.model_observations SET metrics = replace(metrics, 'Count\": 4', 'Count\": 5') "
            "WHERE entity_id = '4' AND snapshot_date = ?",
            [DAYS[1]],
        )
    before = contents(filled.folder)
    with pytest.raises(LossError, match=r"^fact_model_daily has 25 rows and would have 25, or others: nothing was cha"):
        compact_in(filled)
    after = contents(filled.folder)
    assert {name for name in after if after[name] != before.get(name)} == {
        name for name in after if name.startswith("archive/")
    }
    assert before.keys() <= after.keys()


def test_an_archive_that_is_gone_is_told_in_a_line(filled: Workshop) -> None:
    compact_in(filled)
    (file,) = (filled.folder / "archive" / "model_observations" / "2026-01").iterdir()
    file.unlink()
    with pytest.raises(CivitaiEtlError, match=f"^{file} is gone, and model_observations has rows there: restore it"):
        rebuild(filled.directory)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(disk)]
    if os.geteuid() or not shutil.which("mount") or subprocess.run(command, check=False).returncode:
        pytest.skip("only a user who may mount can make a small disk")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


def test_a_full_disk_is_one_line_and_changes_nothing(built: Workshop, small_disk: Path) -> None:
    workshop = copy(built, small_disk / "data")
    rest = small_disk / "rest"
    with rest.open("wb") as file:
        file.write(bytes(shutil.disk_usage(small_disk).free - 1_000_000))
    with (
        pytest.raises(StorageError, match=f"^The disk that holds {workshop.folder} is full: make room"),
        storage_errors(workshop.folder, workshop.lake),
    ):
        compact_in(workshop)
    assert raw_rows(workshop) == 5 * 6
    assert star_rows(workshop) == star_rows(built)
    rest.unlink()
    compact_in(workshop)
    assert raw_rows(workshop) == 6


#: Compacts, and kills itself at a step of that name. A step is the first report of a phase, or the moment before the
#: first rename to a place in the data directory; what is written in the folder of the proof is none.
KILLED = """
import os, signal, sys
from pathlib import Path
from pipelines.storage.data_directory import DataDirectory
from transforms.compact import compact

folder, at = Path(sys.argv[1]), sys.argv[2]
steps = []

def step(name):
    if name not in steps:
        steps.append(name)
        print(name, flush=True)
        if name == at:
            os.kill(os.getpid(), signal.SIGKILL)

class Reports:
    def update(self, phase, done, total=None, unit="items"):
        step(phase)
    def note(self, message): ...

def on_event(event, arguments):
    if event == "os.rename":
        place = Path(arguments[1]).relative_to(folder)
        if place.parts[0] != "compacting":
            # Tables and months alike: one step.
            step("-> " + "/".join(place.parts[:2] if place.suffix == ".parquet" else place.parts))

sys.addaudithook(on_event)
compact(DataDirectory.at(folder), progress=Reports())
"""

#: What a run passes, in its order, up to the last rename that matters: the one that publishes the star.
STEPS = [
    "-> archive/model_observations",
    "archive",
    "-> archive/tag_observations",
    "compare raw",
    "transform",
    "compare star",
    "-> lake/star",
    "merge",
    "-> warehouse.duckdb",
    "-> analytics.duckdb",
    "-> lake/star/datapackage.json",
]


def compact_in_a_child(workshop: Workshop, kill_at: str) -> tuple[int, list[str]]:
    """Exit code of the child, and the steps that it came to."""
    command = [sys.executable, "-c", KILLED, str(workshop.folder), kill_at]
    child = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert not child.stderr, child.stderr
    return child.returncode, child.stdout.splitlines()


def observed(workshop: Workshop) -> list[tuple[object, ...]]:
    """What raw has been told of models, wherever it lies."""
    with RawReader(workshop.raw.path) as raw:
        return sorted(raw.rows(observations_table("model")).rows())


@pytest.mark.timeout(600)
def test_killed_at_any_step_nothing_is_lost_or_counted_twice_and_the_next_run_ends_well(workshop: Workshop) -> None:
    """Takes long, for it starts a process for every step."""
    for number in (1, 2):
        crawl(workshop, number)
    workshop.build()
    disturbed, undisturbed = (copy(workshop, workshop.folder / name) for name in ("disturbed", "undisturbed"))
    code, steps = compact_in_a_child(undisturbed, "nowhere")
    assert code == 0
    assert steps[: len(STEPS)] == STEPS
    star, raw = star_rows(workshop), observed(workshop)
    for step in STEPS:
        code, reached = compact_in_a_child(disturbed, step)
        assert (code, reached[-1]) == (-signal.SIGKILL, step)
        assert star_rows(disturbed) == star, step
        assert observed(disturbed) == raw, step
        assert raw_rows(disturbed) == (6 if step in STEPS[-2:] else 2 * 6), step
    assert compact_in(disturbed).files_made == 0
    disturbed.build()
    assert contents(disturbed.folder / "archive") == contents(undisturbed.folder / "archive")
    assert disturbed.files() == undisturbed.files()
    for name in ("manifest.json", "datapackage.json"):
        assert (disturbed.lake / "star" / name).read_text() == (undisturbed.lake / "star" / name).read_text()
    here = [{path.name for path in each.folder.iterdir()} for each in (disturbed, undisturbed)]
    assert here[0] == here[1] == {"analytics.duckdb", "warehouse.duckdb", "lake", "archive"}
