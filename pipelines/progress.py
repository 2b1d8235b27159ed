"""Progress of long work: the steps report it, the command line draws it, tests and flows may ignore it. Also how all
lines show a span of time.
"""

from typing import Protocol


class Problem(str):
    """A note about something that went wrong: a log has it as a warning."""

    __slots__ = ()


class Progress(Protocol):
    """A listener for one run. `phase` is a short name ("models", "transform 2026-01-05")."""

    def update(self, phase: str, done: int, total: int | None = None, unit: str = "items") -> None:
        """`done` of `total` units of the phase are finished; `total` is None if unknown."""

    def note(self, message: str) -> None:
        """A plain line worth keeping in a log; a `Problem` is one that even a quiet log shows."""


class Silent:
    """Reports nothing."""

    def update(self, phase: str, done: int, total: int | None = None, unit: str = "items") -> None: ...

    def note(self, message: str) -> None: ...


def duration(seconds: float) -> str:
    """Seconds as a person reads them: `8 s`, `3 min 20 s`, `2 h 5 min`, `4 d 3 h`."""
    whole = round(seconds)
    for size, unit, below, smaller in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // below
            return f"{whole // size} {unit}" + (f" {rest} {smaller}" if rest else "")
    return f"{whole} s"
