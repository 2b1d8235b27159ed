"""What the operations of both dialects share."""

from dataclasses import dataclass

from emulator.clock import Clock
from emulator.member import Member
from emulator.workers import Workers


@dataclass(frozen=True)
class Service:
    """The state behind the operations.

    Args:
        clock: gives the catalogue of the moment.
        key: the bearer key that the service knows.
        member: the owner of the key.
        workers: make the documents of model lists.
    """

    clock: Clock
    key: str
    member: Member
    workers: Workers
