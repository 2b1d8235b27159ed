"""The journal of the vault on a disk that is nearly full."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipelines.vault.sync import Change, WriteAheadLogError, open_write_ahead_log


@contextmanager
def room_up_to(size: int) -> Iterator[None]:
    """No file of this process may be longer: a write beyond it is cut short, as by a disk that gets full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("room", [0, 60], ids=["none", "for a part of the line"])
def test_a_line_is_written_whole_or_not_at_all(tmp_path: Path, room: int) -> None:
    path = tmp_path / "journal.ndjson"
    with open_write_ahead_log(path) as journal:
        journal.write("plan", Change(1, stored=True), "sent")
        before = path.read_bytes()
        with room_up_to(len(before) + room), pytest.raises(WriteAheadLogError, match="no further toggle is sent"):
            journal.write("plan", Change(2, stored=True), "sent")
        assert path.read_bytes() == before
        assert journal.under_way(2) is None
        journal.write("plan", Change(3, stored=True), "sent")
    with open_write_ahead_log(path) as journal:
        assert [bool(journal.under_way(one)) for one in (1, 2, 3)] == [True, False, True]
