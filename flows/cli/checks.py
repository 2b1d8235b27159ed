"""What a check of `civitai-etl doctor` is, and how it ends."""

from collections.abc import Callable
from dataclasses import dataclass


class Doubt(Exception):  # noqa: N818 (it is no error)
    """Something that a person should know, and that prevents no snapshot."""


class NotTried(Exception):  # noqa: N818
    """There is nothing to look at; says why."""


@dataclass(frozen=True)
class Check:
    """A line of the doctor's table: its name, and what finds out what it says.

    `look` returns what is there if that is well. It raises `Doubt`, `NotTried`, or any other error, which is a problem.
    """

    name: str
    look: Callable[[], str]
