"""The HTTP client: keeps to a request budget, retries transient failures, and gives up at permanent ones.

It sends one request at a time, within the request budget, and slower for a while after the service reports overload.
Transient failures (a lost connection, 429, 5xx, a body that is cut off or is no JSON, the challenge page of a guard in
front of the service) are retried for a set time, with growing pauses and never before the service's own Retry-After.
Permanent failures (every other 4xx, an untrusted certificate, a refusing proxy) stop at once, with a message that says
what to do. If a request is answered, but never with usable content, the client raises an error after a few attempts:
maybe only this page is broken, and not the service.
"""

import logging
from collections.abc import Callable
from urllib.parse import urlencode

from pipelines.api.answers import (
    Answer,
    Decode,
    Page,
    UnusableAnswerError,
    decode_document,
    decode_list,
    decode_page,
    excerpt,
    is_json_object,
)
from pipelines.api.dialects import Arguments
from pipelines.api.errors import (
    BrokenAnswerError,
    NotFoundError,
    OutageError,
    RefusedError,
    ServiceError,
    TransientError,
    UnconfirmedError,
)
from pipelines.api.pacing import Patience, back_off, budget_of
from pipelines.api.read_ahead import ReadAhead
from pipelines.api.transport import OVERLOAD, Transport
from pipelines.progress import Progress, Silent
from pipelines.settings import Service
from pipelines.storage.lock import SafePoint, go_on

#: Sent by the service itself at the end of its work, or before it starts (403: a guard let nothing through); every
#: other failure may come from a proxy in between.
_ENDED = frozenset({403, 425, 429, 500, 503})

_SILENT = Silent()

_LOG = logging.getLogger("civitai_etl.client")


class Client:
    """Fetches pages of one service; counts `requests`, `retries` and `bytes_received` over its life.

    A service that does not answer is retried for `patience_seconds` since its last good answer; None is the time that
    is set for crawls, 0 is one attempt. While it pauses it calls `safe_point`, which may raise.
    """

    def __init__(
        self,
        service: Service,
        *,
        patience_seconds: float | None = None,
        progress: Progress = _SILENT,
        safe_point: SafePoint = go_on,
    ) -> None:
        self.requests = 0
        self.retries = 0
        self._api_url = service.api_url
        self._max_attempts = service.max_attempts
        seconds = service.retry_seconds if patience_seconds is None else patience_seconds
        self._patience = Patience(seconds, progress, safe_point)
        self._pauses = 0
        self._budget = budget_of(service)
        self._ahead: ReadAhead | None = None
        self._transport = Transport(service)

    @property
    def bytes_received(self) -> int:
        """The bytes of all bodies."""
        return self._transport.bytes_received

    @property
    def longest_attempt_seconds(self) -> float:
        """How long an attempt at a request takes at most."""
        return self._transport.longest_attempt_seconds

    def list_page(
        self, path: str, arguments: Arguments, attempts: int | None = None, *, says_next: bool = False
    ) -> Page:
        """Fetch one page of a list endpoint.

        With `says_next`, a page without metadata is broken, because it may not be the end. After `attempts` broken
        answers, or fewer if the settings say so, the page counts as broken.

        Raises:
            BrokenAnswerError: there are answers, but none is usable.
            OutageError: there is no answer within the retry time.
            ServiceError: another attempt cannot help.
        """
        return self._fetch(path, arguments, decode_page if says_next else decode_list, attempts)

    def document(self, path: str, arguments: Arguments, attempts: int | None = None) -> Page:
        """Fetch an endpoint whose body is itself the one item.

        Raises:
            NotFoundError: the service itself answered 404.
            BrokenAnswerError, OutageError, ServiceError: as for `list_page`.
        """
        return self._fetch(path, arguments, decode_document, attempts)

    def post(self, path: str, body: bytes, attempts: int | None = None) -> Page:
        """POST a JSON body; the answer is itself the one item. For reading only, because it may be sent twice.

        Raises:
            NotFoundError, BrokenAnswerError, OutageError, ServiceError: as for `document`.
        """
        return self._fetch(path, (), decode_document, attempts, body)

    def pause(self, failure: BrokenAnswerError) -> None:
        """Wait before all that failed is retried, because the service is broken and not one page.

        Raises:
            OutageError: the retry time is over.
        """
        if not self._patience.left:
            raise self._outage(failure.request, failure.fault)
        self._pauses += 1
        self.retries += 1
        self._patience.pause(back_off(self._pauses), f"{failure.request}: {failure.fault}")

    def change(self, path: str, arguments: Arguments, body: bytes, before_send: Callable[[], None]) -> None:
        """Send a POST that changes something, exactly once; the caller finds out whether it may be sent again.

        `before_send` is called right before the request, after all waiting.

        Raises:
            RefusedError: it answered 4xx; nothing was changed.
            BarredError: it cannot be reached.
            UnconfirmedError: there is no answer that says it was made.
            ServiceError: it redirects, or asks for a long pause.
        """
        request = _request(path, arguments)
        try:
            with self._budget:
                before_send()
                self._send(request, body)
        except TransientError as failure:
            ended = failure.refused or failure.status in _ENDED
            raise UnconfirmedError(str(self._transport.error(request, str(failure))), ended=ended) from None
        self._has_answered()

    def read_ahead(self, path: str, arguments: Arguments) -> None:
        """Fetch the next page in the background, while the caller processes the current one.

        One attempt is made ahead; if it fails, the next call makes the others.
        """
        self._ahead = ReadAhead(_request(path, arguments), self._attempt)

    def _fetch(
        self, path: str, arguments: Arguments, decode: Decode, attempts: int | None, body: bytes | None = None
    ) -> Page:
        request, tried, broken = _request(path, arguments), 0, 0
        most = min(attempts or self._max_attempts, self._max_attempts)
        while True:
            try:
                page = self._page(request, decode, body)
            except RefusedError:
                self._has_answered()
                raise
            except TransientError as failure:
                tried += 1
                broken += failure.broken is not None
                why = self._transport.without_key(f"{request}: {failure}")
                _LOG.debug("%s; attempt %d failed", why, tried)
                if broken == most or not self._patience.left:
                    raise self._gave_up(request, failure, tried) from None
                self.retries += 1
                wait = back_off(tried, is_refused=failure.refused)
                self._patience.pause(max(wait, failure.wait), why)
            else:
                self._has_answered()
                return page

    def _page(self, request: str, decode: Decode, body: bytes | None) -> Page:
        """The result of one attempt."""
        try:
            answer = self._answer_ahead(request) or self._attempt(request, body)
        except NotFoundError as refusal:
            # Only the service itself can report 404; a page of a proxy in between means nothing.
            if decode is decode_document and not is_json_object(refusal.answer.body):
                why = f"it answered 404 and not as the service does: {excerpt(refusal.answer.body)}"
                raise TransientError(why, broken=refusal.answer) from None
            raise
        try:
            items, metadata = decode(answer)
        except UnusableAnswerError as error:
            raise TransientError(str(error), broken=answer) from None
        return Page(request, items, metadata, answer.at)

    def _has_answered(self) -> None:
        self._pauses = 0
        self._patience.end()

    def _answer_ahead(self, request: str) -> Answer | None:
        """The answer that was read ahead, if it was for this request; a request under way ends first."""
        ahead, self._ahead = self._ahead, None
        if ahead is None:
            return None
        ahead.wait()
        return ahead.result() if ahead.request == request else None

    def _attempt(self, request: str, body: bytes | None = None) -> Answer:
        """One attempt, when the budget allows it: a POST of `body`, a GET without one."""
        with self._budget:
            return self._send(request, body)

    def _send(self, request: str, body: bytes | None) -> Answer:
        self.requests += 1
        self._patience.begin()
        try:
            return self._transport.send(request, body)
        except (TransientError, RefusedError) as failure:
            if failure.status in OVERLOAD:
                self._budget.slow_down()
            if isinstance(failure, TransientError):
                self._wait_as_told(request, failure)
            raise

    def _wait_as_told(self, request: str, failure: TransientError) -> None:
        """Keep to the pause that the service asks for.

        Raises:
            OutageError: it is longer than the retry time.
        """
        if failure.wait > self._patience.left:
            longer = f"{failure} and asks for a pause of {failure.wait:.0f} s, longer than it is tried"
            raise OutageError(str(self._transport.error(request, f"{longer}; run again after that"))) from None
        self._budget.pause(failure.wait)

    def _gave_up(self, request: str, failure: TransientError, tried: int) -> ServiceError:
        why = self._transport.without_key(str(failure))
        if failure.refused and not self._transport.was_answered:
            doubted = self._transport.address_setting
            return OutageError(
                f"No server answers at {self._api_url} ({failure}): is {doubted} right, is the service up?"
            )
        if failure.broken is None:
            return self._outage(request, why)
        times = "1 attempt" if tried == 1 else f"{tried} attempts"
        advice = f"{times} failed; run again later, it goes on where it stopped"
        return BrokenAnswerError(str(self._transport.error(request, f"{why}; {advice}")), request, failure.broken, why)

    def _outage(self, request: str, why: str) -> OutageError:
        tried = f"tried for {_span(self._patience.spent)}; " if self._patience.spent >= 1 else ""
        return OutageError(str(self._transport.error(request, f"{why}; {tried}run again later")))


def _request(path: str, arguments: Arguments) -> str:
    return path + (f"?{urlencode(arguments)}" if arguments else "")


def _span(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
