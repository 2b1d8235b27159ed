"""What a person is told when the data directory cannot be used, and how a writer keeps others out."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from pipelines.crawl.discovery import refresh
from pipelines.crawl.lookups import look_up
from pipelines.crawl.snapshot import drain, take_snapshot
from pipelines.errors import CivitaiEtlError
from pipelines.progress import Silent
from pipelines.raw.warehouse import UnreadableFileError, connect
from pipelines.settings import Settings
from pipelines.storage.directory import StorageError, storage_errors
from pipelines.storage.lock import ForeignLakeError, LockedError, writer_lock
from tests.pipelines.conftest import DAY, rows, settings_for
from tests.pipelines.service import Service

NOBODY = 65534
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk]
    if os.geteuid() or not shutil.which("mount") or subprocess.run(command, check=False).returncode:
        pytest.skip("only a user who may mount can make a small disk")
    yield disk
    # Lazily: an error that is still being reported may hold a file open.
    subprocess.run(["umount", "-l", disk], check=True)


def test_a_full_disk_is_one_line_and_the_crawl_goes_on_with_more_room(service: Service, small_disk: Path) -> None:
    settings = settings_for(service.api_url, small_disk / "data", window_pages=2)
    noise = [os.urandom(400_000).hex() for _ in range(9)]
    service.pages("/models", lambda: [{"id": number, "x": text} for number, text in enumerate(noise)])
    for _ in range(2):
        with pytest.raises(StorageError) as error:
            take_snapshot(settings, DAY)
        assert str(error.value) == (
            f"The disk that holds {settings.data_dir} is full: make room "
            "or set CIVITAI_ETL_DATA_DIR to a larger one, then run again."
        )
    subprocess.run(["mount", "-o", "remount,size=200m", small_disk], check=True)
    assert take_snapshot(settings, DAY).status == "complete"
    counts = "count(*), count(distinct entity_id), sum(length(payload))"
    ((documents, distinct, size),) = rows(settings, f"select {counts} from raw.model_documents")
    assert documents == distinct == 9
    assert size > sum(map(len, noise))


def test_of_data_directory_and_lake_the_one_that_is_full_is_named(tmp_path: Path, small_disk: Path) -> None:
    full = small_disk / "here"
    for data_dir, lake, setting in (
        (tmp_path / "data", full, "CIVITAI_ETL_LAKE_URL"),
        (full, tmp_path / "lake", "CIVITAI_ETL_DATA_DIR"),
        (full, full / "lake", "CIVITAI_ETL_DATA_DIR"),
    ):
        full.mkdir(exist_ok=True)
        with pytest.raises(StorageError, match=f"holds {full} is full.* set {setting}"), storage_errors(data_dir, lake):
            (full / "file").write_bytes(bytes(1 << 22))


def as_nobody(action: Callable[[], object]) -> str:
    """What an ordinary user is told; root may write anywhere. A fork, since that user may not read this interpreter."""
    if os.geteuid():
        return told(action)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        os.write(writing, told(action).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        text = answer.read()
    os.waitpid(child, 0)
    return text


def told(action: Callable[[], object]) -> str:
    try:
        action()
    except CivitaiEtlError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 - whatever else comes is what the test is to show
        return f"unexpected {error!r}"
    return "no error"


@pytest.fixture
def open_path(tmp_path: Path) -> Path:
    """A directory whose parents everybody may pass."""
    for parent in [tmp_path, *tmp_path.parents]:
        if not os.access(parent, os.W_OK) or parent == Path("/tmp"):
            break
        parent.chmod(0o755)
    return tmp_path


@pytest.mark.parametrize("missing", [False, True], ids=["it is there", "it would have to be made"])
def test_a_directory_without_write_permission_is_one_line(open_path: Path, settings: Settings, missing: bool) -> None:
    locked = open_path / "locked"
    locked.mkdir(mode=0o555)
    data_dir = locked / "data" if missing else locked
    expected = (
        f"{data_dir} cannot be written: give this user write permission there "
        "or set CIVITAI_ETL_DATA_DIR to a directory of its own."
    )
    chosen = settings.model_copy(update={"data_dir": data_dir})
    assert as_nobody(lambda: take_snapshot(chosen, DAY)) == expected
    assert as_nobody(lambda: writer_lock(data_dir).__enter__()) == expected
    assert list(locked.iterdir()) == []


def test_a_directory_that_this_user_cannot_look_into_is_one_line(open_path: Path) -> None:
    closed = open_path / "closed"
    closed.mkdir(mode=0)
    line = as_nobody(lambda: writer_lock(closed / "data").__enter__())
    assert line.startswith(f"{closed / 'data'} cannot be written: give this user write permission there")


def test_a_data_directory_that_is_a_file_is_one_line(tmp_path: Path, settings: Settings) -> None:
    file = tmp_path / "file"
    file.touch()
    for data_dir in (file, file / "data"):
        with pytest.raises(StorageError, match="is no directory: set CIVITAI_ETL_DATA_DIR"):
            take_snapshot(settings.model_copy(update={"data_dir": data_dir}), DAY)


def test_a_directory_where_a_file_belongs_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "new").touch()
    place = tmp_path / "analytics.duckdb"
    place.mkdir()
    with pytest.raises(StorageError, match=f"^{place} is a directory.*: move it away"), storage_errors(tmp_path):
        (tmp_path / "new").replace(place)


def test_a_second_writer_is_told_who_writes(tmp_path: Path) -> None:
    with (
        writer_lock(tmp_path),
        pytest.raises(LockedError, match=f"process {os.getpid()}, since .* UTC\\) is writing to {tmp_path}"),
    ):
        writer_lock(tmp_path).__enter__()
    with writer_lock(tmp_path):
        pass


def test_a_lake_belongs_to_one_data_directory_wherever_that_is_moved(tmp_path: Path) -> None:
    first, second, lake = tmp_path / "first", tmp_path / "second", tmp_path / "shared" / "lake"
    with writer_lock(first, lake):
        pass
    with pytest.raises(ForeignLakeError, match=f"{lake} is the lake of another data directory, {first}, .*delete"):
        writer_lock(second, lake).__enter__()
    with writer_lock(second):
        pass
    shutil.copytree(first, tmp_path / "copied")
    with pytest.raises(ForeignLakeError, match=f"{lake} is the lake of another data directory, {first}, "):
        writer_lock(tmp_path / "copied", lake).__enter__()
    first.rename(tmp_path / "moved")
    with writer_lock(tmp_path / "moved", lake):
        pass
    (lake / "owner").unlink()
    with writer_lock(second, lake):
        pass
    with pytest.raises(ForeignLakeError):
        writer_lock(tmp_path / "moved", lake).__enter__()


@pytest.mark.parametrize("damaged", ["identity", "lake/owner"])
@pytest.mark.parametrize("content", [b"", b"\xf5\x00"], ids=["empty", "no text"])
def test_a_damaged_name_is_said_to_be_that(tmp_path: Path, damaged: str, content: bytes) -> None:
    lake = tmp_path / "lake"
    with writer_lock(tmp_path, lake):
        pass
    (tmp_path / damaged).write_bytes(content)
    with pytest.raises(StorageError, match=f"^{tmp_path / damaged} is damaged: delete "):
        writer_lock(tmp_path, lake).__enter__()
    (tmp_path / "identity").unlink()
    (lake / "owner").unlink()
    with writer_lock(tmp_path, lake):
        pass


OPEN = """
import sys
import duckdb
with duckdb.connect(sys.argv[1], read_only=sys.argv[2] == "reading"):
    print("have it", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("how", ["reading", "writing"])
def test_a_warehouse_that_another_program_has_open_is_one_line_that_names_the_process(
    service: Service, settings: Settings, how: str
) -> None:
    take_snapshot(settings, DAY)
    with subprocess.Popen(
        [sys.executable, "-c", OPEN, str(settings.directory.warehouse), how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"have it\n"
        attempts = [lambda: take_snapshot(settings, DAY)]
        if how == "writing":
            attempts.append(lambda: connect(settings.directory.warehouse))
        for attempt in attempts:
            assert told(attempt) == (
                f"{settings.directory.warehouse} is open in another program (process {holder.pid}): close it there "
                "and run again. Nobody but civitai-etl opens that file; the tables are in analytics.duckdb."
            )
        holder.communicate()
    assert take_snapshot(settings, DAY).already_complete


HOLD = """
import sys
from pathlib import Path
from pipelines.storage.lock import writer_lock
with writer_lock(Path(sys.argv[1])):
    print("have it", flush=True)
    sys.stdin.read()
"""


def test_a_killed_writer_leaves_no_lock(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"have it\n"
        with pytest.raises(LockedError, match=f"process {holder.pid}"):
            writer_lock(tmp_path).__enter__()
        holder.send_signal(signal.SIGKILL)
    with writer_lock(tmp_path):
        pass


def empty(file: Path) -> None:
    file.write_bytes(b"")


def text(file: Path) -> None:
    file.write_text("moved to the other disk\n" * 100)


def sqlite(file: Path) -> None:
    file.write_bytes(b"SQLite format 3\0" + bytes(8192))


def other_program(file: Path) -> None:
    file.unlink()
    with duckdb.connect(str(file)) as connection:
        connection.execute("create table sales (amount int)")


def pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


@pytest.mark.parametrize("spoil", [empty, text, sqlite, other_program, pipe])
def test_a_warehouse_that_is_none_is_one_line_that_names_it_and_is_left_alone(
    service: Service, settings: Settings, spoil: Callable[[Path], None]
) -> None:
    take_snapshot(settings, DAY)
    spoil(settings.directory.warehouse)
    before = settings.directory.warehouse.lstat()
    del service.requests[:]
    for attempt in (
        lambda: take_snapshot(settings, DAY),
        lambda: refresh(settings),
        lambda: look_up(settings, {"versions": ["1"]}),
        lambda: drain(settings, Silent()),
        lambda: connect(settings.directory.warehouse),
    ):
        with pytest.raises(UnreadableFileError) as refused:
            attempt()
        line = str(refused.value)
        assert line.startswith(f"{settings.directory.warehouse} cannot be read as the warehouse (")
        assert "put back a backup of it" in line
        assert "\n" not in line
    assert service.requests == []
    after = settings.directory.warehouse.lstat()
    assert (after.st_mtime_ns, after.st_size, after.st_ino) == (before.st_mtime_ns, before.st_size, before.st_ino)


@pytest.mark.parametrize("lost", ["its end", "most of it", "its middle"])
def test_a_warehouse_that_lacks_or_lost_a_part_is_one_line(service: Service, settings: Settings, lost: str) -> None:
    service.pages("/models", lambda: [{"id": n, "name": f"model {n * n}"} for n in range(3000)], size=3000)
    take_snapshot(settings, DAY)
    whole = settings.directory.warehouse.read_bytes()
    headers = 3 * 4096
    spoiled = {
        "its end": whole[:-5000],
        "most of it": whole[: headers + 8192],
        "its middle": whole[:headers] + b"\xaa" * (len(whole) - headers),
    }
    settings.directory.warehouse.write_bytes(spoiled[lost])
    line = told(lambda: take_snapshot(settings, DAY + timedelta(1)))
    assert str(settings.data_dir) in line
    assert "put back" in line
    assert "\n" not in line
