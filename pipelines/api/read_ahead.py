"""The next request of a list, sent while the page before it is being worked on."""

import threading
from collections.abc import Callable
from concurrent.futures import Future

from pipelines.api.answers import Answer


class ReadAhead:
    """One attempt at a request, in a thread that does not keep the process alive."""

    def __init__(self, request: str, attempt: Callable[[str], Answer]) -> None:
        self.request = request
        self._answer: Future[Answer] = Future()
        self._thread = threading.Thread(target=self._run, args=(attempt,), daemon=True)
        self._thread.start()

    def _run(self, attempt: Callable[[str], Answer]) -> None:
        try:
            self._answer.set_result(attempt(self.request))
        except BaseException as error:  # noqa: BLE001 (raised again by `result`, where somebody waits for it)
            self._answer.set_exception(error)

    def wait(self) -> None:
        self._thread.join()

    def result(self) -> Answer:
        """The answer of the attempt; raises its error."""
        return self._answer.result()
