"""`civitai-etl backup` and `restore`: every table comes back, and the next day is as if nothing had happened.

The data directory has three days with a quarantined record, an excluded date, an archive of a closed month and an
account.
"""

import json
import multiprocessing
import os
import re
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from threading import Thread
from typing import Any

import duckdb
import pytest

from emulator.launch import Emulator, launch
from flows import steps
from flows.backup import back_up, verify
from flows.restore import restore
from flows.vault import pull
from pipelines.progress import Silent
from pipelines.settings import Settings
from pipelines.storage.backup_folder import BackupError
from pipelines.storage.lock import GaveWayError, HalfRestoredError, give_way, writer_lock
from tests.comparison import differences
from tests.e2e.conftest import CommandHere
from tests.e2e.test_any_directory import ODD
from tests.e2e.test_failures import small_disk  # noqa: F401 (a fixture)

DAYS = (date(2026, 1, 30), date(2026, 1, 31), date(2026, 2, 1))
NEXT = date(2026, 2, 2)
ACCOUNT = {"account_me.parquet", "account_permission.parquet", "account_vault.parquet", "account_vault_item.parquet"}


@dataclass
class Desk:
    """A data directory, the service that it is of, and its backup."""

    emulator: Emulator
    settings: Settings
    folder: Path

    def at(self, data_dir: Path, **changes: Any) -> Settings:
        return self.settings.model_copy(update={"data_dir": data_dir, **changes})

    def copied(self, place: Path) -> Settings:
        """The data directory at another place."""
        shutil.copytree(self.settings.data_dir, place)
        there = self.at(place)
        steps.relocate_star(there)
        return there


@contextmanager
def served(directory: Path, dialect: str, days: Sequence[date]) -> Iterator[Desk]:
    """Snapshots of some days, one record of which is in quarantine, and an account."""
    with launch(models=20, on=days[0], dialect=dialect, faults="poison=1012:500:always") as emulator:
        settings = Settings(
            data_dir=directory / "data",
            api_url=emulator.api_url,
            dialect=dialect,
            requests_per_second=0,
            image_pages=1,
            max_attempts=1,
            CIVITAI_API_KEY="test-key",
        )
        for day in days:
            emulator.set_date(day)
            steps.run_daily_snapshot(settings, day)
        pull(settings)
        yield Desk(emulator, settings, directory / "backup")


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """For reading only, but that a backup may be made again."""
    with served(tmp_path_factory.mktemp("desk"), "spec", DAYS) as desk:
        steps.exclude_date(desk.settings, DAYS[1], "half of each model")
        steps.compact_closed_months(desk.settings)
        back_up(desk.settings, desk.folder)
        yield desk


@pytest.fixture
def backup(desk: Desk, tmp_path: Path) -> Path:
    """A copy of the backup."""
    return Path(shutil.copytree(desk.folder, tmp_path / "backup"))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def rows(data_dir: Path, query: str, file: str = "analytics.duckdb") -> list[tuple[Any, ...]]:
    with duckdb.connect(data_dir / file, read_only=True) as connection:
        return connection.execute(query).fetchall()


def account(data_dir: Path) -> dict[str, bytes]:
    return {name: (data_dir / "account" / name).read_bytes() for name in ACCOUNT}


# --------------------------------------------------------------------------------------------------------- the way back


def refuse_difference_now_and_after_the_next_day(desk: Desk, calm: Settings, away: Settings) -> None:
    assert restore(away, desk.folder).moved_aside == ()
    assert differences(calm.data_dir, away.data_dir, ignored=()) == []
    assert account(away.data_dir) == account(calm.data_dir)
    for table in ("ops_quarantine", "ops_decision", "ops_snapshot", "ops_drift"):
        query = f"select * from star.{table} order by all"
        assert rows(away.data_dir, query) == rows(calm.data_dir, query)
    assert rows(away.data_dir, "select count(*) from star.ops_quarantine") != [(0,)]
    assert not (away.data_dir / "lake").exists()
    desk.emulator.set_date(NEXT)
    for settings in (calm, away):
        steps.run_daily_snapshot(settings, NEXT)
    assert rows(away.data_dir, "select max(snapshot_date) from star.fact_model_daily") == [(NEXT,)]
    assert differences(calm.data_dir, away.data_dir) == []


def elsewhere(desk: Desk, tmp_path: Path) -> Settings:
    (tmp_path / "an other machine").mkdir()
    return desk.at(tmp_path / "an other machine" / "data", lake_url=str(tmp_path / "a lake"))


@pytest.mark.timeout(600)
def test_restored_elsewhere_every_table_is_the_same_and_so_is_the_next_day(desk: Desk, tmp_path: Path) -> None:
    away = elsewhere(desk, tmp_path)
    refuse_difference_now_and_after_the_next_day(desk, desk.copied(tmp_path / "calm"), away)
    steps.rebuild_star(away)
    # `compact` had made months of files that a rebuild makes by day.
    assert [line for line in differences(tmp_path / "calm", away.data_dir) if "files differ" not in line] == []


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_a_live_service_restored_elsewhere_is_the_same_too(tmp_path: Path) -> None:
    with served(tmp_path, "live", DAYS[2:]) as desk:
        back_up(desk.settings, desk.folder)
        refuse_difference_now_and_after_the_next_day(desk, desk.settings, elsewhere(desk, tmp_path))


def test_a_directory_of_an_odd_name_is_backed_up_and_restored_while_it_is_read(desk: Desk, tmp_path: Path) -> None:
    odd = desk.at(tmp_path / ODD / "data")
    odd.data_dir.parent.mkdir()
    restore(odd, desk.folder)
    query = "select count(*), sum(hash(f)) from star.fact_model_daily as f"
    there = rows(desk.settings.data_dir, query)
    with duckdb.connect(odd.directory.analytics, read_only=True) as reader:
        assert reader.execute(query).fetchall() == there
        report = back_up(odd, tmp_path / f"backup of {ODD}")
        assert reader.execute(query).fetchall() == there
        odd.directory.warehouse.unlink()
        restore(odd, report_folder := tmp_path / f"backup of {ODD}")
        assert reader.execute(query).fetchall() == there
    assert rows(odd.data_dir, query) == there
    assert verify(report_folder) == report.manifest


def test_what_a_killed_process_left_in_the_log_of_the_warehouse_is_backed_up(desk: Desk, tmp_path: Path) -> None:
    settings = desk.copied(tmp_path / "data")
    with duckdb.connect(settings.directory.warehouse) as connection:
        connection.execute("pragma disable_checkpoint_on_shutdown")
        connection.execute("create table raw.left_in_the_log as select 42 as answer")
    assert settings.directory.warehouse.with_name("warehouse.duckdb.wal").exists()
    back_up(settings, tmp_path / "backup")
    restored = desk.at(tmp_path / "restored")
    restore(restored, tmp_path / "backup")
    assert rows(restored.data_dir, "from raw.left_in_the_log", "warehouse.duckdb") == [(42,)]


# ---------------------------------------------------------------------------------------------------------- incremental


def test_a_second_backup_copies_what_is_new_and_deletes_what_no_manifest_names(
    desk: Desk, backup: Path, tmp_path: Path
) -> None:
    settings = desk.copied(tmp_path / "data")
    assert back_up(settings, backup).files_copied == 1  # the views name the files at the new place
    assert back_up(settings, backup).files_copied == 0
    before = {path.name: path.stat() for path in (backup / "files").iterdir()}
    (backup / "files" / ".123.tmp").write_bytes(b"of a killed backup")
    (backup / "files" / ("0" * 64)).write_bytes(b"of one that was killed later")
    (backup / "a person's").write_text("notes")
    named = "select distinct lake_path from build.manifest"
    old = rows(settings.data_dir, named)
    steps.include_date(settings, DAYS[1], "it was right")
    new = {*rows(settings.data_dir, named)} - {*old}
    report = back_up(settings, backup)
    assert report.files_copied == len(new) + len({"warehouse.duckdb", "analytics.duckdb"})
    stored = {path.name: path.stat() for path in (backup / "files").iterdir()}
    assert {*stored} == {file.sha256 for file in report.manifest.files}
    assert all(before[name].st_ino == stored[name].st_ino for name in before.keys() & stored.keys())
    assert before.keys() - stored.keys()
    assert (backup / "a person's").read_text() == "notes"
    restored = desk.at(tmp_path / "restored")
    restore(restored, backup)
    assert differences(settings.data_dir, restored.data_dir, ignored=()) == []


def test_the_manifest_counts_rows_and_observations(desk: Desk) -> None:
    manifest = json.loads((desk.folder / "manifest.json").read_bytes())
    tables = {table["name"]: table["rows"] for table in manifest["tables"]}
    for name, count in tables.items():
        assert rows(desk.settings.data_dir, f"select count(*) from star.{name}") == [(count,)], name
    assert len(tables) == 28
    assert [*manifest["observations"]] == [str(day) for day in DAYS]
    assert manifest["format"] == 1


# ------------------------------------------------------------------------------------------------------------- refusals


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def largest(backup: Path) -> Path:
    return max((backup / "files").iterdir(), key=lambda path: path.stat().st_size)


def manifest_of(backup: Path) -> Path:
    return backup / "manifest.json"


def edited(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def edit(backup: Path) -> None:
        manifest = json.loads(manifest_of(backup).read_bytes())
        change(manifest)
        manifest_of(backup).write_text(json.dumps(manifest))

    return edit


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a bit of a file": (lambda backup: flipped(largest(backup)), r"warehouse.duckdb\) is not what was written"),
    "a file is gone": (lambda backup: largest(backup).unlink(), r"warehouse.duckdb\) is gone"),
    "a file is cut": (lambda backup: os.truncate(largest(backup), 4096), "is not what was written"),
    "a bit of the manifest": (lambda backup: flipped(manifest_of(backup)), "manifest.json is damaged"),
    "a manifest that is cut": (lambda backup: os.truncate(manifest_of(backup), 5000), "manifest.json is damaged"),
    "another program's": (lambda backup: manifest_of(backup).write_text('{"files": []}'), "manifest.json is damaged"),
    "a count is edited": (
        edited(lambda manifest: manifest["observations"].update({str(DAYS[0]): 1})),
        "its checksum does not fit",
    ),
    "a path outside": (
        edited(lambda manifest: manifest["files"][1].update(path="lake/../../passwd")),
        "manifest.json is damaged",
    ),
    "a later format": (edited(lambda manifest: manifest.update(format=2)), "later version of civitai-etl .*upgrade"),
    "no manifest": (lambda backup: manifest_of(backup).unlink(), "There is no whole backup"),
    "no backup": (lambda backup: backup.rename(backup.with_name("elsewhere")), "There is no backup at"),
}


@pytest.mark.parametrize(("damage", "line"), DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_backup_is_refused_before_anything_is_replaced(
    desk: Desk, backup: Path, tmp_path: Path, damage: Callable[[Path], object], line: str
) -> None:
    damage(backup)
    with pytest.raises(BackupError, match=line) as error:
        verify(backup)
    assert "\n" not in str(error.value)
    settings = desk.at(tmp_path / "data")
    with pytest.raises(BackupError, match=line):
        restore(settings, backup)
    assert not settings.data_dir.exists()


def test_a_damaged_file_is_copied_again_after_it_was_deleted(desk: Desk, backup: Path, tmp_path: Path) -> None:
    damaged = min((backup / "files").iterdir(), key=lambda path: path.stat().st_size)
    flipped(damaged)
    with pytest.raises(BackupError, match="delete these files and run"):
        verify(backup)
    damaged.unlink()
    report = back_up(desk.settings, backup)
    assert report.files_copied == 1
    assert verify(backup) == report.manifest


@pytest.mark.parametrize("place", ["archive", "lake/star"])
def test_a_damaged_file_of_the_data_directory_stays_out_of_a_backup_which_puts_it_back(
    desk: Desk, backup: Path, tmp_path: Path, place: str
) -> None:
    settings = desk.copied(tmp_path / "data")
    flipped(max((settings.data_dir / place).rglob("*.parquet"), key=lambda path: path.stat().st_size))
    before = contents(backup)
    with pytest.raises(BackupError, match="is damaged: its content is not that of its name"):
        back_up(settings, backup)
    assert contents(backup) == before
    restore(settings, backup)
    for name in contents(desk.settings.data_dir / place):
        assert (settings.data_dir / place / name).read_bytes() == (desk.settings.data_dir / place / name).read_bytes()
    assert differences(desk.settings.data_dir, settings.data_dir, ignored=()) == []


@pytest.mark.parametrize("name", ["warehouse.duckdb", "analytics.duckdb"])
@pytest.mark.parametrize("state", ["damaged", "gone"])
def test_a_lost_database_comes_back_from_a_backup(
    desk: Desk, backup: Path, tmp_path: Path, name: str, state: str
) -> None:
    settings = desk.copied(tmp_path / "data")
    if state == "gone":
        (settings.data_dir / name).unlink()
    else:
        (settings.data_dir / name).write_bytes(bytes(100_000))
    restore(settings, backup)
    assert differences(desk.settings.data_dir, settings.data_dir, ignored=()) == []


def test_a_directory_of_the_data_or_around_it_is_refused(desk: Desk, tmp_path: Path) -> None:
    settings = desk.at(tmp_path / "data", lake_url=str(tmp_path / "lake"))
    for folder in (settings.data_dir, settings.directory.lake):
        folder.mkdir()
    settings.directory.warehouse.touch()
    (tmp_path / "link").symlink_to(settings.data_dir, target_is_directory=True)
    before = contents(tmp_path)
    for folder in (
        tmp_path,
        settings.data_dir,
        settings.data_dir / "b",
        tmp_path / "lake" / "b",
        tmp_path / "link" / "b",
    ):
        for command in (back_up, restore):
            with pytest.raises(BackupError, match="inside of each other"):
                command(settings, folder)
    assert contents(tmp_path) == before
    with pytest.raises(BackupError, match=r"no directory .*/not-mounted: mount its disk"):
        back_up(desk.settings, tmp_path / "not-mounted" / "backup")
    with pytest.raises(BackupError, match="nothing to back up"):
        back_up(desk.at(tmp_path / "typo"), tmp_path / "backup")
    assert not (tmp_path / "typo").exists()


def first_day(desk: Desk, data_dir: Path) -> Settings:
    """Another data directory of the same service, with one date."""
    settings = desk.at(data_dir)
    desk.emulator.set_date(DAYS[0])
    steps.run_daily_snapshot(settings, DAYS[0])
    return settings


@pytest.mark.timeout(600)
def test_nobody_loses_what_a_backup_or_a_data_directory_has_alone(desk: Desk, backup: Path, tmp_path: Path) -> None:
    other = first_day(desk, tmp_path / "other")
    before = contents(backup)
    with pytest.raises(BackupError, match=r"is the backup of other data, of .*name another directory"):
        back_up(other, backup)
    assert contents(backup) == before
    with pytest.raises(BackupError, match=r"holds other data than the backup .*--replace"):
        restore(other, backup)
    back_up(other, tmp_path / "of one day")
    later = desk.at(tmp_path / "later")
    restore(later, tmp_path / "of one day")
    desk.emulator.set_date(DAYS[1])
    steps.run_daily_snapshot(later, DAYS[1])
    back_up(later, tmp_path / "of two days")
    with pytest.raises(BackupError, match=r"has observations of 1 date \(2026-01-31\) that the data directory lacks"):
        back_up(other, tmp_path / "of two days")
    raw, star = (contents(later.data_dir / name) for name in ("account", "lake"))
    with pytest.raises(BackupError, match=r"has observations of 1 date \(2026-01-31\) that the backup in .* lacks"):
        restore(later, tmp_path / "of one day")
    assert (contents(later.data_dir / "account"), contents(later.data_dir / "lake")) == (raw, star)

    report = restore(later, tmp_path / "of one day", replace=True)
    assert differences(other.data_dir, later.data_dir, ignored=()) == []
    (kept,) = [path for path in report.moved_aside if path.name.startswith("warehouse.duckdb.before-restore-")]
    dates = "select distinct snapshot_date from raw.model_observations order by 1"
    assert rows(later.data_dir, dates, kept.name) == [(DAYS[0],), (DAYS[1],)]
    restore(later, tmp_path / "of two days")  # it has more, and all that is here
    assert rows(later.data_dir, dates, "warehouse.duckdb") == [(DAYS[0],), (DAYS[1],)]


def test_a_backup_of_a_later_version_is_refused(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.restore.DECLARATIONS_VERSION", 1)
    with pytest.raises(BackupError, match="later version of civitai-etl"):
        restore(desk.at(tmp_path / "data"), desk.folder)
    assert not (tmp_path / "data").exists()


def test_a_disk_without_room_is_told_before_anything_is_written(desk: Desk, small_disk: Path, tmp_path: Path) -> None:  # noqa: F811
    filler = small_disk / "filler"
    filler.write_bytes(bytes(36 * 2**20))
    with pytest.raises(BackupError, match=r"MB free, and .* MB are to be written: make room, or back up to another"):
        back_up(desk.settings, small_disk / "backup")
    assert contents(small_disk / "backup") == {}
    with pytest.raises(BackupError, match="CIVITAI_ETL_DATA_DIR"):
        restore(desk.at(small_disk / "data"), desk.folder)
    assert not (small_disk / "data" / "warehouse.duckdb").exists()
    filler.unlink()
    assert back_up(desk.settings, small_disk / "backup").files_copied
    restore(desk.at(small_disk / "data"), desk.folder)


# ---------------------------------------------------------------------------------------------------------------- kills


def until(
    kill_at: str, told: Any, command: Callable[[Settings, Path, Any], object], data_dir: Path, folder: Path
) -> None:
    """Runs a command in a process that kills itself at a step of that name: the first report of a phase, or the moment
    before the first rename or removal of that name. It tells the steps that it came to.
    """
    steps: list[str] = []

    def step(name: str) -> None:
        if name not in steps:
            steps.append(name)
            told.send(name)
            if name == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

    class Reports:
        def update(self, phase: str, *_: object, **__: object) -> None:
            step(phase)

        def note(self, message: str) -> None: ...

    def on_event(event: str, arguments: tuple[Any, ...]) -> None:
        verb, index = {"os.rename": ("->", 1), "os.remove": ("delete", 0)}.get(event, ("", 0))
        if verb:
            path = Path(os.fsdecode(arguments[index]))
            name = re.sub("[0-9a-f]{64}", "SHA", re.sub(r"before-restore-.*", "before", path.name))
            if ".tmp" not in name and (path.is_relative_to(folder) or path.parent == data_dir):
                step(f"{verb} {name}")

    sys.addaudithook(on_event)
    command(Settings(data_dir=data_dir), folder, Reports())


#: A fork of this process would have no threads of polars.
PROCESSES = multiprocessing.get_context("spawn")


def killed(at: str, command: Callable[..., object], settings: Settings, folder: Path) -> str:
    """Runs a command until it kills itself; gives the last step that it came to."""
    told, telling = PROCESSES.Pipe(duplex=False)
    process = PROCESSES.Process(target=until, args=(at, telling, command, settings.data_dir, folder))
    process.start()
    telling.close()
    last = ""
    with suppress(EOFError):
        while True:
            last = told.recv()
    process.join()
    assert process.exitcode == -signal.SIGKILL, last
    return last


BACKUP_STEPS = ["copy", "-> manifest.json", "delete SHA"]


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_a_backup_that_is_killed_at_any_step_leaves_the_old_or_the_new_one_whole(
    desk: Desk, backup: Path, tmp_path: Path
) -> None:
    settings = desk.copied(tmp_path / "data")
    steps.include_date(settings, DAYS[1], "it was right")
    old = verify(backup)
    for step in BACKUP_STEPS:
        assert killed(step, back_up, settings, backup) == step
        assert (verify(backup) == old) == (BACKUP_STEPS.index(step) <= BACKUP_STEPS.index("-> manifest.json")), step
        # The next kill is to find as much to do.
        shutil.rmtree(backup)
        shutil.copytree(desk.folder, backup)
        (backup / "files" / ".1.tmp").touch()
    report = back_up(settings, backup)
    assert {path.name for path in (backup / "files").iterdir()} == {file.sha256 for file in report.manifest.files}
    restore(desk.at(tmp_path / "restored"), backup)
    assert differences(settings.data_dir, tmp_path / "restored", ignored=()) == []


RESTORE_STEPS = [
    *("copy", "-> restoring", "-> warehouse.duckdb.before", "-> warehouse.duckdb", "-> account"),
    *("-> analytics.duckdb", "delete restoring"),
]


@pytest.mark.timeout(600)
def test_a_restore_that_is_killed_at_any_step_is_completed_by_the_next_one(
    desk: Desk, backup: Path, tmp_path: Path
) -> None:
    settings = desk.copied(tmp_path / "data")
    steps.include_date(settings, DAYS[1], "it was right")
    (settings.directory.account / "plan.json").write_text("{}")
    (settings.data_dir / "last-backup.json").write_text("{}")
    query = "select distinct snapshot_date from star.fact_model_daily order by 1"
    old, new = rows(settings.data_dir, query), rows(desk.settings.data_dir, query)
    assert old != new
    for step in RESTORE_STEPS:
        assert killed(step, restore, settings, backup) == step
        is_published = RESTORE_STEPS.index(step) > RESTORE_STEPS.index("-> analytics.duckdb")
        assert rows(settings.data_dir, query) == (new if is_published else old), step
        if RESTORE_STEPS.index(step) > RESTORE_STEPS.index("-> restoring"):
            with pytest.raises(HalfRestoredError, match=r"run `civitai-etl restore .*backup` again"):
                steps.refresh_documents(settings)
        else:
            with writer_lock(settings.data_dir):
                pass
    restore(settings, backup)
    assert differences(desk.settings.data_dir, settings.data_dir, ignored=()) == []
    assert account(settings.data_dir) == account(desk.settings.data_dir)
    assert not (settings.directory.account / "plan.json").exists()
    assert [path for path in settings.data_dir.rglob("*") if path.name.endswith(".tmp")] == []
    (kept,) = settings.data_dir.glob("warehouse.duckdb.before-restore-*")
    assert rows(settings.data_dir, "select count(*) from raw.decisions", kept.name) == [(2,)]
    with writer_lock(settings.data_dir):
        pass


# ----------------------------------------------------------------------------------------------------- the command line


def test_the_commands_say_what_they_did_and_refuse_in_one_line(desk, tmp_path):
    command = CommandHere(
        tmp_path,
        {"CIVITAI_ETL_DATA_DIR": str(tmp_path / "data"), "CIVITAI_ETL_API_URL": desk.emulator.api_url},
    )
    assert "There is no backup at" in command.fails("restore", tmp_path / "nowhere")
    ended = command.run("restore", desk.folder)
    assert ended.returncode == 0, ended.stderr
    assert f"Restored to {tmp_path / 'data'}: 3 snapshot dates, 2026-01-30 to 2026-02-01; as of " in ended.stdout
    assert command.sql("select count(distinct snapshot_date) from star.fact_model_daily") == ["2"]
    assert "ok       backup            none yet" in command.run("doctor").stdout
    ended = command.run("backup", "my backup")
    assert ended.returncode == 0, ended.stderr
    assert "Backed up to my backup: 3 snapshot dates" in ended.stdout
    assert "copy: " in ended.stderr
    ended = command.run("backup", "my backup", "--verify")
    assert ended.stdout.startswith("The backup in my backup is whole: 3 snapshot dates")
    assert "s old, of 2" in command.run("doctor").stdout
    flipped(largest(tmp_path / "my backup"))
    assert "is damaged" in command.fails("backup", "my backup", "--verify")
    with writer_lock(tmp_path / "data"):
        for name in ("backup", "restore"):
            assert "is writing to" in command.fails(name, desk.folder)


class SnapshotComes(Silent):
    """While the first files are read, a snapshot begins to wait for the lock; it has it for a moment, later."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.thread = Thread(target=self._snapshot)
        self.turns: list[str] = []

    def _snapshot(self) -> None:
        with writer_lock(self.data_dir, wait_seconds=60, is_snapshot=True):
            self.turns.append("snapshot")

    def update(self, phase: str, *_: object, **__: object) -> None:
        if self.thread.ident is None and phase == "read":
            self.thread.start()
            while True:
                try:
                    give_way(self.data_dir)
                except GaveWayError:
                    return

    def note(self, line: object) -> None:
        self.turns.append(str(line))


def test_a_backup_stops_for_a_snapshot_that_waits_and_starts_again_after_it(desk: Desk, tmp_path: Path) -> None:
    settings, folder = desk.copied(tmp_path / "data"), tmp_path / "backup"
    comes = SnapshotComes(settings.data_dir)
    with pytest.raises(GaveWayError, match="goes first"):
        steps.back_up_directory(settings, folder, comes)
    comes.thread.join()
    assert (comes.turns, (folder / "manifest.json").exists()) == (["snapshot"], False)
    comes = SnapshotComes(settings.data_dir)
    report = steps.back_up_directory(settings, folder, comes, wait=True)
    assert "starts again after the snapshot" in comes.turns[0]
    assert comes.turns[-1] == "snapshot"
    assert verify(folder) == report.manifest
