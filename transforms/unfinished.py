"""An upgrade that is not finished: the files of the dates that it has taken in. If it is cut off, the next goes on.

They are no release, and nothing else reads them. They count for the same program, declarations, settings and crawls.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from datetime import date
from importlib.metadata import version
from time import monotonic

import msgspec

from pipelines.settings import Limits
from pipelines.storage.replacement import replace_text
from transforms.day.snapshot_day import SnapshotDay
from transforms.lake.declarations import tables_fingerprint
from transforms.lake.files import Lake, LakeFile, UnreadableStarError
from transforms.lake.release import Release

#: What a kill costs at most. To write the rows that may still change takes three seconds for 144,000 models.
EVERY_SECONDS = 120.0


@dataclass(frozen=True)
class Taken:
    """The dates up to `until` are in `files`; `made_of` tells from what."""

    made_of: str
    until: date
    files: list[LakeFile]


class Unfinished:
    """The upgrade of a lake that replays `days`."""

    def __init__(self, lake: Lake, days: Sequence[SnapshotDay], limits: Limits) -> None:
        self._lake, self._days, self._limits = lake, days, limits
        self._place = lake.root / "state" / "unfinished.json"
        self._noted = monotonic()

    def taken(self) -> Taken | None:
        """What an upgrade that was cut off has taken in, if it is of use for this one."""
        try:
            found = msgspec.json.decode(self._place.read_bytes(), type=Taken)
            self._lake.refuse_damaged(found.files)
        except (OSError, msgspec.MsgspecError, UnreadableStarError):
            return None
        return found if found.made_of == self._made_of(found.until) else None

    def note(self, star: Release, until: date) -> None:
        """Notes that `star` has taken in the dates up to this one, if that was not noted for a while."""
        if monotonic() - self._noted < EVERY_SECONDS:
            return
        taken = Taken(self._made_of(until), until, star.finish())
        replace_text(self._place, msgspec.json.encode(taken).decode())
        self._noted = monotonic()

    def close(self) -> None:
        """It is finished."""
        self._place.unlink(missing_ok=True)

    def _made_of(self, until: date) -> str:
        """What the dates up to this one are made of, and by what."""
        made_of = hashlib.sha256(f"{version('civitai-etl')} {tables_fingerprint()} {self._limits}".encode())
        for day in self._days:
            if day.on <= until:
                said = day.crawls.to_dicts(), sorted(day.accepted), day.is_included, astuple(day.before)
                made_of.update(f"{day.on} {said}".encode())
        return made_of.hexdigest()
