"""The one policy for answers that stay broken, of lists, existence checks, look-ups and discovery.

A page or a batch that stays broken is requested in halves, until the broken record stands alone. This record is a
suspect. When the service answers again, the suspects are requested once more and rejected if they are still broken. If
more than three records in a row are broken, the service is broken and not its records: all of it is requested again, as
long as the client has patience.
"""

from collections.abc import Callable
from typing import Generic, TypeVar

from pipelines.api.answers import Page
from pipelines.api.client import Client
from pipelines.api.errors import BrokenAnswerError

#: If more records in a row are broken, the service is broken.
BROKEN_IN_A_ROW = 3

#: How often parts of a broken page are tried, and a record again before it is rejected. When a record first stands
#: alone, it is tried as often as a whole page.
PART_ATTEMPTS = 2

Request = TypeVar("Request")
Found = TypeVar("Found")


class Suspects(Generic[Request]):
    """Requests for one record each that got no usable answer since the last good one."""

    def __init__(self) -> None:
        # For each request, whether it is for the same record as the one before it.
        self._same: dict[Request, bool] = {}

    def __bool__(self) -> bool:
        return bool(self._same)

    def check(self, failure: BrokenAnswerError) -> None:
        """Check that one more broken answer may be the fault of its record.

        Raises:
            BrokenAnswerError: `failure`, because it is the fault of the service.
        """
        if len(self._same) - sum(self._same.values()) == BROKEN_IN_A_ROW:
            raise failure

    def add(self, request: Request, failure: BrokenAnswerError, *, same_record: bool = False) -> None:
        """Step over a record; with `same_record` it may be the previous one, and does not count.

        Raises:
            BrokenAnswerError: as for `check`.
        """
        self.check(failure)
        self._same[request] = same_record

    def take_back(self) -> list[Request]:
        """The requests to send again, because the service was broken."""
        requests = list(self._same)
        self._same.clear()
        return requests

    def clear_up(
        self,
        fetch: Callable[[Request], Found | None],
        check: Callable[[], Found | None],
        reject: Callable[[Request, BrokenAnswerError], None],
    ) -> Found | None:
        """Send the requests once more, now that the service answers, and reject those that are still broken.

        It ends early if `fetch` returns a result to go on with. Otherwise `check` makes sure before anything is
        rejected that the service still answers; then its result is returned.

        Raises:
            BrokenAnswerError: it does not answer any more, and nothing was rejected.
        """
        broken: dict[Request, BrokenAnswerError] = {}
        found = None
        for request in list(self._same):
            try:
                found = fetch(request)
            except BrokenAnswerError as failure:
                if not self._same[request]:
                    broken[request] = failure
                continue
            del self._same[request]
            if found is not None:
                break
        if broken and found is None:
            found = check()
        for request, answer in broken.items():
            reject(request, answer)
        self._same.clear()
        return found


def attempts_of(records: int, *, is_part: bool) -> int | None:
    """How often a request for so many records is tried; None is as often as any other."""
    return PART_ATTEMPTS if is_part and records > 1 else None


def half_of(records: int) -> int:
    """The size of the first part of a request that stays broken."""
    return max(1, records // 2)


def fetch_patiently(client: Client, fetch: Callable[[int | None], Page]) -> Page:
    """Fetch a page with so many attempts, and once more if the service answers something else; wait until it does.

    Raises:
        BrokenAnswerError: the page is broken, and not the service.
        OutageError: the retry time is over.
    """
    while True:
        try:
            return fetch(None)
        except BrokenAnswerError:
            try:
                probe(client)
            except BrokenAnswerError as failure:
                client.pause(failure)
                continue
        return fetch(PART_ATTEMPTS)


def probe(client: Client) -> None:
    """Check after a broken answer that the service works, with a list of one record. If this record itself is broken,
    it is still broken after the list has answered in another order; this is no failure of the service.

    Raises:
        BrokenAnswerError, OutageError, ServiceError: the service does not work, or did not just now.
    """
    one = ("limit", "1")
    try:
        client.list_page("/models", (one,), attempts=1)
    except BrokenAnswerError as failure:
        client.list_page("/models", (one, ("sort", "Newest")), attempts=1)
        try:
            client.list_page("/models", (one,), attempts=1)
        except BrokenAnswerError:
            return
        raise failure from None
