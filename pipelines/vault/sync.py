"""Syncs the vault with a plan, through an operation that undoes itself when it is repeated.

/vault/toggle-version puts a version in, or takes it out if it is in. So the sync reads the state of a version right
before and right after each toggle. It writes each toggle to a write-ahead log on disk, then sends it once. After a lost
answer or a kill, the toggle may have been made, not made, or may still be under way, and the sync reads the vault to
find out. It sends the toggle again only if the vault does not show it long after the attempt has ended. It never sends
a confirmed toggle again under the same plan, whatever the vault shows.
"""

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import msgspec

from pipelines.api.errors import RefusedError, UnconfirmedError
from pipelines.errors import CivitaiEtlError
from pipelines.progress import Progress
from pipelines.storage.directory import storage_errors
from pipelines.vault.member import MemberOfKey

#: Seconds between two checks of what is unsettled: first pause, doubled up to the longest.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 10.0
#: The service may still work on an attempt for so long after its end: a proxy in between gives up an answer after 100
#: seconds, and the service may not notice.
SETTLE = timedelta(seconds=100)
#: The key or the region is refused: no other version would succeed.
_FINAL_STATUS = frozenset({401, 451})


@dataclass(frozen=True)
class Change:
    """A version that should be in the vault, or should not."""

    version_id: int
    stored: bool

    def __str__(self) -> str:
        return f"{'add' if self.stored else 'remove'} {self.version_id}"


class WriteAheadLogError(CivitaiEtlError):
    """The write-ahead log cannot be written, or cannot be read, so that it is unknown what was sent."""


@dataclass(frozen=True)
class Outcome:
    """The result of a change.

    done: made now, or by a toggle that was under way. no-op: the vault had this state already. refused: the service
    refuses the change. unconfirmed: the service reported success, but the vault does not show it. failed: no attempt
    was successful.
    """

    change: Change
    result: Literal["done", "no-op", "refused", "unconfirmed", "failed"]
    why: str | None = None

    @property
    def is_settled(self) -> bool:
        return self.result in ("done", "no-op")


#: sent: the request follows. unanswered: the attempt has ended, and the service may still work on it. confirmed: the
#: service reported success. ended: the service has finished, successfully or not. made, not made: the answer was lost,
#: and the vault shows the result. refused: the service refused it.
Event = Literal["sent", "unanswered", "confirmed", "ended", "made", "not made", "refused"]


class Entry(msgspec.Struct, frozen=True):
    """A line of the log. `sent` is written before the request, the other events when the result is known."""

    at: datetime
    plan: str
    version_id: int
    stored: bool
    event: Event


class WriteAheadLog:
    """What was sent and the results: JSON lines, each on disk before the next step."""

    def __init__(self, descriptor: int, entries: Iterable[Entry]) -> None:
        self._descriptor = descriptor
        self._last: dict[int, Entry] = {}
        self._confirmed: set[tuple[str, int]] = set()
        for entry in entries:
            self._note(entry)

    def write(self, plan: str, change: Change, event: Event) -> None:
        """Append an entry and flush it to disk, completely or not at all.

        Raises:
            WriteAheadLogError: the entry cannot be written.
        """
        entry = Entry(datetime.now(UTC), plan, change.version_id, change.stored, event)
        line = msgspec.json.encode(entry) + b"\n"
        before = os.fstat(self._descriptor).st_size
        try:
            while line:  # a disk that is nearly full writes a part
                line = line[os.write(self._descriptor, line) :]
            os.fsync(self._descriptor)
        except OSError as error:
            os.ftruncate(self._descriptor, before)
            raise WriteAheadLogError(
                f"The journal of the vault cannot be written ({error.strerror}), so no further toggle is sent: free "
                "space on its disk, then run again; it continues."
            ) from error
        self._note(entry)

    def under_way(self, version_id: int) -> Entry | None:
        """The toggle of a version whose result is unknown, sent under any plan."""
        last = self._last.get(version_id)
        return last if last is not None and last.event in ("sent", "unanswered") else None

    def was_confirmed(self, plan: str, version_id: int) -> bool:
        """Whether the service reported under this plan that it toggled a version."""
        return (plan, version_id) in self._confirmed

    def _note(self, entry: Entry) -> None:
        self._last[entry.version_id] = entry
        if entry.event in ("confirmed", "made"):
            self._confirmed.add((entry.plan, entry.version_id))


@contextmanager
def open_write_ahead_log(path: Path) -> Iterator[WriteAheadLog]:
    """The log at `path`, for the one process that holds the lock of its directory.

    Raises:
        WriteAheadLogError: a line was not written by this program.
    """
    with storage_errors(path.parent):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            text = path.read_bytes()
            # An incomplete line was being written when the process was killed: its request was not sent.
            whole = text[: text.rfind(b"\n") + 1]
            os.ftruncate(descriptor, len(whole))
            yield WriteAheadLog(descriptor, _entries(path, whole))
        finally:
            os.close(descriptor)


def _entries(path: Path, text: bytes) -> list[Entry]:
    try:
        return [msgspec.json.decode(line, type=Entry) for line in text.splitlines()]
    except msgspec.MsgspecError as error:
        raise WriteAheadLogError(
            f"{path} cannot be read ({error}): it is unknown what was sent to the vault. Check the vault, "
            "move the file away, and plan again."
        ) from None


class VaultSync:
    """Makes the changes of one plan.

    Args:
        member: the member whose vault it is.
        log: the write-ahead log of the data directory.
        plan: the id of the plan.
        longest_attempt: the longest time that an attempt takes.
        attempts: how often one run sends one change at most.
    """

    def __init__(
        self, member: MemberOfKey, log: WriteAheadLog, plan: str, longest_attempt: timedelta, attempts: int
    ) -> None:
        self._member = member
        self._log = log
        self._plan = plan
        self._longest_attempt = longest_attempt
        self._attempts = attempts
        self._sent: dict[int, int] = {}
        self._why: dict[int, str] = {}

    def run(self, changes: Sequence[Change], progress: Progress) -> list[Outcome]:
        """Make the changes in their order; check the unsettled ones again after the others.

        Raises:
            MemberError, ServiceError: the contents of the vault are unknown; another run continues.
        """
        outcomes: dict[Change, Outcome] = {}
        stored = self._member.stored_versions()
        left = []
        for change in changes:
            if (change.version_id in stored) == change.stored and not self._log.under_way(change.version_id):
                outcomes[change] = Outcome(change, "no-op")
            else:
                left.append(change)
        pause = _FIRST_PAUSE
        while left:
            unsettled = []
            for change in left:
                if outcome := self._step(change):
                    outcomes[change] = outcome
                    progress.note(_render(outcome))
                else:
                    unsettled.append(change)
                progress.update("vault", len(outcomes), len(changes), "versions")
            left = unsettled
            if left:
                if pause == _FIRST_PAUSE:
                    lost = f"no answer yet for {len(left):,}; each is checked again until"
                    progress.note(f"{lost} the vault shows it or {SETTLE.total_seconds():.0f} s after its attempt")
                time.sleep(pause)
                pause = min(_LONGEST_PAUSE, 2 * pause)
        return [outcomes[change] for change in changes]

    def _step(self, change: Change) -> Outcome | None:
        """Read the state, toggle, read the state; None if the change must be checked again."""
        version_id = change.version_id
        is_stored = self._member.is_stored(version_id)
        if (earlier := self._log.under_way(version_id)) and not self._resolve(earlier, is_stored=is_stored):
            return None
        if is_stored == change.stored:
            was_sent = version_id in self._sent or self._log.was_confirmed(self._plan, version_id)
            return Outcome(change, "done" if was_sent else "no-op")
        if self._log.was_confirmed(self._plan, version_id):
            why = "it was toggled under this plan, and the vault does not show it; check again later, then plan again"
            return Outcome(change, "unconfirmed", why)
        if self._sent.get(version_id, 0) == self._attempts:
            return Outcome(change, "failed", self._why[version_id])
        return self._toggle(change)

    def _resolve(self, earlier: Entry, *, is_stored: bool) -> bool:
        """Settle a toggle whose answer was lost; False if it may still be under way."""
        sent = Change(earlier.version_id, earlier.stored)
        if is_stored == earlier.stored:
            self._log.write(earlier.plan, sent, "made")
        elif abs(datetime.now(UTC) - earlier.at) < self._under_way_for(earlier):
            return False
        else:
            self._log.write(earlier.plan, sent, "not made")
        return True

    def _under_way_for(self, entry: Entry) -> timedelta:
        """How long after an entry the service may still work on its toggle."""
        return SETTLE if entry.event == "unanswered" else self._longest_attempt + SETTLE

    def _toggle(self, change: Change) -> Outcome | None:
        version_id = change.version_id
        self._sent[version_id] = self._sent.get(version_id, 0) + 1
        try:
            self._member.toggle(version_id, lambda: self._log.write(self._plan, change, "sent"))
        except RefusedError as refusal:
            self._log.write(self._plan, change, "refused")
            if refusal.status in _FINAL_STATUS:
                raise
            return Outcome(change, "refused", str(refusal))
        except UnconfirmedError as error:
            self._why[version_id] = str(error)
            self._log.write(self._plan, change, "ended" if error.ended else "unanswered")
            return None
        self._log.write(self._plan, change, "confirmed")
        return self._step(change)


def _render(outcome: Outcome) -> str:
    return f"{outcome.change}: {outcome.result}" + (f" ({outcome.why})" if outcome.why else "")


def in_order(changes: Iterable[Change]) -> list[Change]:
    """The order of changes: removals first, because they free space; then by id."""
    return sorted(changes, key=lambda change: (change.stored, change.version_id))
