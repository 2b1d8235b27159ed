"""Progress of long work: the steps report it, the command line draws it, tests and flows may ignore it."""

from typing import Protocol


class Progress(Protocol):
    """A listener for one run. `phase` is a short name ("models", "transform 2026-01-05")."""

    def update(self, phase: str, done: int, total: int | None = None, unit: str = "items") -> None:
        """`done` of `total` units of the phase are finished; `total` is None if unknown."""

    def note(self, message: str) -> None:
        """A plain line worth keeping in a log."""


class Silent:
    """Reports nothing."""

    def update(self, phase: str, done: int, total: int | None = None, unit: str = "items") -> None: ...

    def note(self, message: str) -> None: ...
