"""The record of the last daily run, in a small file of the data directory: how it ended, and how long it took.

Whoever takes a daily snapshot, the command line or the flow, writes it when the run ends. A kill leaves the record of
the run before; `pipelines.run_note` then says that a run was cut off.
"""

from datetime import date, datetime
from pathlib import Path
from typing import Literal

import msgspec

from pipelines.storage.directory import storage_errors
from pipelines.storage.replacement import replace_text

NAME = "last-run.json"

#: How a run ended: the snapshot is complete; it is complete, but counters of the date are withheld; it is partial; the
#: checks refused the date; or the run failed in another way.
Result = Literal["complete", "withheld", "partial", "refused", "failed"]


class RunRecord(msgspec.Struct, frozen=True):
    """One daily run, by this machine's clock. `error` is the line that says why it is not a complete snapshot, or that
    its watch list was not looked up. `next_attempt_at` is when a failed run is tried again, if it is.
    """

    snapshot_date: date
    began_at: datetime
    ended_at: datetime
    result: Result
    error: str | None = None
    next_attempt_at: datetime | None = None

    @property
    def seconds(self) -> float:
        return (self.ended_at - self.began_at).total_seconds()


def write_record(data_dir: Path, record: RunRecord) -> None:
    """Replace the record, whole or not at all.

    Raises:
        StorageError: the data directory cannot be written.
    """
    with storage_errors(data_dir):
        replace_text(data_dir / NAME, msgspec.json.encode(record).decode())


def read_record(data_dir: Path) -> RunRecord | None:
    """The record of the last run; None if there is none that can be read."""
    try:
        return msgspec.json.decode((data_dir / NAME).read_bytes(), type=RunRecord)
    except (OSError, msgspec.DecodeError):  # missing, closed to this user, or of another version
        return None
