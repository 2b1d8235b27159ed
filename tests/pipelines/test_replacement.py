"""Files are replaced whole; links, pipes and folders stay what they are."""

import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from pipelines.storage.replacement import replace_database, replacing


def write(path: Path, text: str) -> None:
    with replacing(path) as aside:
        aside.write_text(text)


def test_a_file_is_replaced_whole_and_keeps_its_permissions(tmp_path: Path) -> None:
    path = tmp_path / "answer.csv"
    path.write_text("old")
    path.chmod(0o640)
    with path.open() as opened:
        write(path, "new")
        assert opened.read() == "old"
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o640
    assert list(tmp_path.iterdir()) == [path]


def test_what_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "answer.csv"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), replacing(path) as aside:
        aside.write_text(str(1 / 0))
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("there", [True, False])
def test_a_link_is_followed(tmp_path: Path, there: bool) -> None:
    target, link = tmp_path / "share" / "answer.csv", tmp_path / "answer.csv"
    target.parent.mkdir()
    if there:
        target.write_text("old")
    link.symlink_to("share/answer.csv")
    write(link, "new")
    assert link.is_symlink()
    assert target.read_text() == "new"
    assert list(target.parent.iterdir()) == [target]


def test_a_pipe_is_written_into(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE) as reader:
        write(pipe, "an answer")
        assert reader.communicate(timeout=10)[0] == b"an answer"
    assert pipe.is_fifo()
    assert list(tmp_path.iterdir()) == [pipe]


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        write(tmp_path, "new")


#: Someone who uses a database, and whose program is then killed.
KILLED_USER = """
import duckdb, os, sys
connection = duckdb.connect(sys.argv[1])
connection.execute("create table mine (note text)")
connection.execute("checkpoint")
connection.execute("pragma disable_checkpoint_on_shutdown")
connection.execute("insert into mine values ('look at LORAs')")
os._exit(9)
"""


@pytest.mark.parametrize("opened_by", ["file", "link"])
def test_a_database_is_replaced_with_its_log(tmp_path: Path, opened_by: str) -> None:
    database, link = tmp_path / "disk" / "a.duckdb", tmp_path / "a.duckdb"
    database.parent.mkdir()
    link.symlink_to(database)
    by = database.with_name("new.duckdb")
    for path in (database, by):
        with duckdb.connect(path) as connection:
            connection.execute(f"create view v as select '{path.stem}' as name")
    opened = database if opened_by == "file" else link
    subprocess.run([sys.executable, "-c", KILLED_USER, opened], check=False)
    assert any(path.name.endswith(".wal") for path in (*tmp_path.iterdir(), *database.parent.iterdir()))
    replace_database(link, by)
    assert link.is_symlink()
    assert list(database.parent.iterdir()) == [database]
    with duckdb.connect(link, read_only=True) as connection:
        assert connection.execute("from v").fetchall() == [("new",)]
