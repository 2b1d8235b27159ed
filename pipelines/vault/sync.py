"""Brings the vault in line with a plan, by an operation that undoes itself when it is repeated.

/vault/toggle-version puts a version in, or takes it out if it is in. So whether a version is in the vault is asked
right before each toggle and right after it; that a toggle is about to be sent is on disk before it is; and it is sent
once. An answer that was lost, or a process that was killed, is resolved by asking: the toggle may have been made, may
not, or may still be under way. Only when the vault does not show it long after the attempt has ended, is it sent again.
A toggle that was confirmed is never sent again under the same plan, whatever the vault says.
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

from pipelines.api.client import RefusedError, UnconfirmedError
from pipelines.errors import CivitaiEtlError
from pipelines.progress import Progress
from pipelines.storage.directory import storage_errors
from pipelines.vault.member import MemberOfKey

#: Seconds between two looks at what is unsettled: they double up to the last.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 10.0
#: So long after the end of an attempt the service may still be at work on it: whoever stands between gives an answer up
#: after 100 seconds, and the service may not hear of it.
SETTLE = timedelta(seconds=100)
#: A key that is refused, or a region: no other version would fare better.
_FINAL_STATUS = frozenset({401, 451})


@dataclass(frozen=True)
class Change:
    """A version that is to be in the vault, or not to be."""

    version_id: int
    stored: bool

    def __str__(self) -> str:
        return f"{'add' if self.stored else 'remove'} {self.version_id}"


class JournalError(CivitaiEtlError):
    """The journal cannot be read, so nobody knows what was sent, or cannot be written."""


@dataclass(frozen=True)
class Outcome:
    """What became of a change.

    done: it was made now, or by a toggle that was under way. agreed: the vault was like that already. refused: the
    service does not do it. unconfirmed: the service said that it is done and the vault does not show it. failed: it did
    not do it, time and again.
    """

    change: Change
    result: Literal["done", "agreed", "refused", "unconfirmed", "failed"]
    why: str | None = None

    @property
    def is_settled(self) -> bool:
        return self.result in ("done", "agreed")


#: sent: about to be sent. unanswered: the attempt has ended, and the service may still be at work on it. confirmed: the
#: service says that it was made. ended: the service is done with it, made or not. made, not made: its answer was lost,
#: and the vault says so. refused: the service does not do it.
Event = Literal["sent", "unanswered", "confirmed", "ended", "made", "not made", "refused"]


class Entry(msgspec.Struct, frozen=True):
    """A line of the journal. `sent` is written before the request, the others when it is known what became of it."""

    at: datetime
    plan: str
    version_id: int
    stored: bool
    event: Event


class Journal:
    """What was sent and what became of it: JSON lines, each on disk before the next step is taken."""

    def __init__(self, descriptor: int, entries: Iterable[Entry]) -> None:
        self._descriptor = descriptor
        self._last: dict[int, Entry] = {}
        self._confirmed: set[tuple[str, int]] = set()
        for entry in entries:
            self._note(entry)

    def write(self, plan: str, change: Change, event: Event) -> None:
        """Append an entry and sync it, all of it or nothing.

        Raises:
            JournalError: the disk does not take it.
        """
        entry = Entry(datetime.now(UTC), plan, change.version_id, change.stored, event)
        line = msgspec.json.encode(entry) + b"\n"
        before = os.fstat(self._descriptor).st_size
        try:
            while line:  # a disk that is nearly full takes a part
                line = line[os.write(self._descriptor, line) :]
            os.fsync(self._descriptor)
        except OSError as error:
            os.ftruncate(self._descriptor, before)
            raise JournalError(
                f"The journal of the vault takes no line ({error.strerror}), so no further toggle is sent: make room "
                "on its disk, then run again; it goes on."
            ) from error
        self._note(entry)

    def under_way(self, version_id: int) -> Entry | None:
        """The toggle of a version of which nobody knows what became, under whatever plan it was sent."""
        last = self._last.get(version_id)
        return last if last is not None and last.event in ("sent", "unanswered") else None

    def was_confirmed(self, plan: str, version_id: int) -> bool:
        """Whether the service said under this plan that a version was toggled."""
        return (plan, version_id) in self._confirmed

    def _note(self, entry: Entry) -> None:
        self._last[entry.version_id] = entry
        if entry.event in ("confirmed", "made"):
            self._confirmed.add((entry.plan, entry.version_id))


@contextmanager
def open_journal(path: Path) -> Iterator[Journal]:
    """The journal at `path`, for the one process that holds the lock of its directory.

    Raises:
        JournalError: a line is none of ours.
    """
    with storage_errors(path.parent):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            text = path.read_bytes()
            # A line that was cut off was being written when the process was killed: its request was not sent.
            whole = text[: text.rfind(b"\n") + 1]
            os.ftruncate(descriptor, len(whole))
            yield Journal(descriptor, _entries(path, whole))
        finally:
            os.close(descriptor)


def _entries(path: Path, text: bytes) -> list[Entry]:
    try:
        return [msgspec.json.decode(line, type=Entry) for line in text.splitlines()]
    except msgspec.MsgspecError as error:
        raise JournalError(
            f"{path} cannot be read ({error}): what was sent to the vault is not known. Look at the vault, "
            "move the file away, and plan again."
        ) from None


class Toggling:
    """Carries out the changes of one plan.

    Args:
        member: whose vault it is.
        journal: of the data directory.
        plan: the id of the plan.
        longest_attempt: how long an attempt takes at most.
        attempts: how often one change is sent at most, in one run.
    """

    def __init__(
        self, member: MemberOfKey, journal: Journal, plan: str, longest_attempt: timedelta, attempts: int
    ) -> None:
        self._member = member
        self._journal = journal
        self._plan = plan
        self._longest_attempt = longest_attempt
        self._attempts = attempts
        self._sent: dict[int, int] = {}
        self._why: dict[int, str] = {}

    def run(self, changes: Sequence[Change], progress: Progress) -> list[Outcome]:
        """Make the changes, in their order; what is unsettled is looked at again after the others.

        Raises:
            AccountError, ServiceError: the service does not say what is in the vault; run again, it goes on.
        """
        outcomes: dict[Change, Outcome] = {}
        stored = self._member.stored_versions()
        left = []
        for change in changes:
            if (change.version_id in stored) == change.stored and not self._journal.under_way(change.version_id):
                outcomes[change] = Outcome(change, "agreed")
            else:
                left.append(change)
        pause = _FIRST_PAUSE
        while left:
            unsettled = []
            for change in left:
                if outcome := self._step(change):
                    outcomes[change] = outcome
                    progress.note(_line(outcome))
                else:
                    unsettled.append(change)
                progress.update("vault", len(outcomes), len(changes), "versions")
            left = unsettled
            if left:
                if pause == _FIRST_PAUSE:
                    lost = f"no answer yet for {len(left):,}; each is looked at again until"
                    progress.note(f"{lost} the vault shows it or {SETTLE.total_seconds():.0f} s after its attempt")
                time.sleep(pause)
                pause = min(_LONGEST_PAUSE, 2 * pause)
        return [outcomes[change] for change in changes]

    def _step(self, change: Change) -> Outcome | None:
        """Ask, toggle, ask; None if it is to be looked at again."""
        version_id = change.version_id
        is_stored = self._member.is_stored(version_id)
        if (earlier := self._journal.under_way(version_id)) and not self._resolve(earlier, is_stored=is_stored):
            return None
        if is_stored == change.stored:
            was_sent = version_id in self._sent or self._journal.was_confirmed(self._plan, version_id)
            return Outcome(change, "done" if was_sent else "agreed")
        if self._journal.was_confirmed(self._plan, version_id):
            why = "it was toggled under this plan, and the vault does not show it; look again later, then plan anew"
            return Outcome(change, "unconfirmed", why)
        if self._sent.get(version_id, 0) == self._attempts:
            return Outcome(change, "failed", self._why[version_id])
        return self._toggle(change)

    def _resolve(self, earlier: Entry, *, is_stored: bool) -> bool:
        """Settle a toggle of which the answer was lost; False if it may still be under way."""
        sent = Change(earlier.version_id, earlier.stored)
        if is_stored == earlier.stored:
            self._journal.write(earlier.plan, sent, "made")
        elif abs(datetime.now(UTC) - earlier.at) < self._under_way_for(earlier):
            return False
        else:
            self._journal.write(earlier.plan, sent, "not made")
        return True

    def _under_way_for(self, entry: Entry) -> timedelta:
        """How long after an entry the service may be at work on its toggle."""
        return SETTLE if entry.event == "unanswered" else self._longest_attempt + SETTLE

    def _toggle(self, change: Change) -> Outcome | None:
        version_id = change.version_id
        self._sent[version_id] = self._sent.get(version_id, 0) + 1
        try:
            self._member.toggle(version_id, lambda: self._journal.write(self._plan, change, "sent"))
        except RefusedError as refusal:
            self._journal.write(self._plan, change, "refused")
            if refusal.status in _FINAL_STATUS:
                raise
            return Outcome(change, "refused", str(refusal))
        except UnconfirmedError as error:
            self._why[version_id] = str(error)
            self._journal.write(self._plan, change, "ended" if error.ended else "unanswered")
            return None
        self._journal.write(self._plan, change, "confirmed")
        return self._step(change)


def _line(outcome: Outcome) -> str:
    return f"{outcome.change}: {outcome.result}" + (f" ({outcome.why})" if outcome.why else "")


def in_order(changes: Iterable[Change]) -> list[Change]:
    """What makes room comes first; else by id."""
    return sorted(changes, key=lambda change: (change.stored, change.version_id))
