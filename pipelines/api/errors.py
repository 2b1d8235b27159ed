"""What can go wrong with a request, and what each error says about the service."""

from pipelines.api.answers import Answer
from pipelines.errors import CivitaiEtlError

#: Every request is refused: a wrong key, a budget, a region.
_OF_ALL = frozenset({401, 429, 451})


class ServiceError(CivitaiEtlError):
    """The service did not give a usable answer; names the request, what was wrong and what to do."""


class OutageError(ServiceError):
    """The service gave no usable answer within the retry time, or requests a longer pause."""


class BarredError(ServiceError):
    """No request reaches the service until a person acts: a certificate is not trusted, or a proxy refuses."""


class RefusedError(ServiceError):
    """The service refuses a request with the 4xx `status`, and another attempt would not help; at `answered_at`."""

    def __init__(self, message: str, status: int, answer: Answer) -> None:
        super().__init__(message)
        self.status = status
        self.answer = answer
        self.answered_at = answer.at

    @property
    def is_of_one(self) -> bool:
        """Whether this one request may be refused, and not every request of this client."""
        return self.status not in _OF_ALL


class NotFoundError(RefusedError):
    """The service reports that it does not have the requested thing."""


class UnconfirmedError(ServiceError):
    """A change was sent once, and the service did not confirm it.

    With `ended` the service has finished, successfully or not; without, it may still work on the change.
    """

    def __init__(self, message: str, *, ended: bool) -> None:
        super().__init__(message)
        self.ended = ended


class BrokenAnswerError(ServiceError):
    """The service answers `request`, but never with usable content.

    `body` is what could be read of its last answer, which came at `answered_at`; `fault` says what was wrong with it.
    """

    def __init__(self, message: str, request: str, answer: Answer, fault: str) -> None:
        super().__init__(message)
        self.request = request
        self.body = answer.body
        self.answered_at = answer.at
        self.fault = fault


class TransientError(Exception):
    """A transient failure: why, and the minimum wait.

    `broken` is the answer if this one page may fail, and not the service. `status` is that of an answer.
    """

    def __init__(
        self,
        why: str,
        wait: float = 0.0,
        refused: bool = False,
        broken: Answer | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(why)
        self.status = status
        self.wait = wait
        self.refused = refused
        self.broken = broken
