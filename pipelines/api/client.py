"""The HTTP client: keeps to a request budget, retries transient failures, and explains permanent ones.

It sends one request at a time, within the request budget, and slower for a while after the service reports overload.
Transient failures (a lost connection, 429, 5xx, a body that is cut off or is no JSON, the challenge page of a guard in
front of the service) are retried for a set time, with growing pauses and never before the service's own Retry-After.
Permanent failures (every other 4xx, an untrusted certificate, a refusing proxy) stop at once, with a message that says
what to do. If a request is answered, but never with usable content, the client raises an error after a few attempts:
maybe only this page is broken, and not the service. The API key is sent in the Authorization header only.
"""

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from urllib.parse import urlencode, urlsplit

import urllib3
from urllib3.exceptions import HTTPError
from urllib3.response import BaseHTTPResponse

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
from pipelines.api.connections import failure_of, open_pool, reason_of, refusal_of_proxy
from pipelines.api.dialects import Arguments
from pipelines.api.errors import (
    BarredError,
    BrokenAnswerError,
    NotFoundError,
    OutageError,
    RefusedError,
    ServiceError,
    TransientError,
    UnconfirmedError,
)
from pipelines.api.moments import http_date
from pipelines.api.pacing import Patience, back_off, budget_of, retry_after
from pipelines.api.read_ahead import ReadAhead
from pipelines.network import proxy_for
from pipelines.progress import Progress, Silent
from pipelines.settings import Settings

USER_AGENT = f"civitai-etl/{version('civitai-etl')} (daily catalogue snapshots; one request at a time)"

_RETRYABLE_STATUS = frozenset({408, 425, 429})

#: A whole answer may take this multiple of the time-out, and be so large; of a larger one the beginning is kept.
_WHOLE_ANSWER = 5
_LARGEST_ANSWER, _KEPT_OF_LARGER = 256 * 2**20, 2**20
#: Bytes of an answer that are read at once: the memory for them is taken first, however many it announces.
_PIECE = 2**20
#: A shorter text is no key of the service, and may occur in any answer.
_SHORTEST_KEY = 8

#: The service reports overload.
_TOO_MUCH = frozenset({429, 503})

#: Sent by the service itself at the end of its work, or before it starts (403: a guard let nothing through); every
#: other failure may come from a proxy in between.
_ENDED = frozenset({403, 425, 429, 500, 503})

_SILENT = Silent()


class Client:
    """Fetches pages of one service; counts `requests`, `retries` and body `bytes` over its life.

    An attempt at a request takes `longest_attempt_seconds` at most.

    A service that does not answer is retried for `patience_seconds` since its last good answer; None is the time that
    is set for crawls, 0 is one attempt.
    """

    def __init__(
        self, settings: Settings, *, patience_seconds: float | None = None, progress: Progress = _SILENT
    ) -> None:
        self.requests = 0
        self.retries = 0
        self.bytes = 0
        self._api_url = settings.api_url
        self._max_attempts = settings.max_attempts
        self._patience = Patience(settings.retry_seconds if patience_seconds is None else patience_seconds, progress)
        self._pauses = 0
        self._was_answered = False
        self._budget = budget_of(settings)
        self._key = settings.api_key.get_secret_value() if settings.api_key else None
        headers = {"User-Agent": USER_AGENT, "Accept": "application/json", "Accept-Encoding": "gzip"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        self._ahead: ReadAhead | None = None
        self.longest_attempt_seconds = _WHOLE_ANSWER * settings.timeout_seconds
        self._proxy = proxy_for(settings.api_url)
        timeout = urllib3.Timeout(connect=min(10, settings.timeout_seconds), read=settings.timeout_seconds)
        self._pool = open_pool(settings.api_url, self._proxy, headers=headers, retries=False, timeout=timeout)

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

    def probe(self) -> None:
        """Check after a broken answer that the service works, with a list of one record. If this record itself is
        broken, it is still broken after the list has answered in another order; this is no failure of the service.

        Raises:
            BrokenAnswerError, OutageError, ServiceError: the service does not work, or did not just now.
        """
        one = ("limit", "1")
        try:
            self.list_page("/models", (one,), attempts=1)
        except BrokenAnswerError as failure:
            self.list_page("/models", (one, ("sort", "Newest")), attempts=1)
            try:
                self.list_page("/models", (one,), attempts=1)
            except BrokenAnswerError:
                return
            raise failure from None

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
            raise UnconfirmedError(str(self._error(request, str(failure))), ended=ended) from None
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
                if broken == most or not self._patience.left:
                    raise self._gave_up(request, failure, tried) from None
                self.retries += 1
                wait = back_off(tried, is_refused=failure.refused)
                self._patience.pause(max(wait, failure.wait), self._without_key(f"{request}: {failure}"))
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
        response, answer = self._exchange(request, body)
        if response.status == 200:
            return answer
        if response.status in _TOO_MUCH:
            self._budget.slow_down()
        text = excerpt(answer.body)
        if response.status >= 500 or (response.status in _RETRYABLE_STATUS and "too many pages" not in text):
            why = f"it answered {response.status} {text}".rstrip()
            wait = retry_after(response.headers.get("Retry-After"), answer.at)
            if wait > self._patience.left:
                longer = f"{why} and asks for a pause of {wait:.0f} s, longer than it is tried; run again after that"
                raise OutageError(str(self._error(request, longer)))
            self._budget.pause(wait)
            broken = None if response.status in _RETRYABLE_STATUS | _TOO_MUCH else answer
            raise TransientError(why, wait, broken=broken, status=response.status)
        if response.status == 403 and _is_challenge(response, answer.body):
            raise TransientError(f"a guard of the service answered 403 with a page for people: {text}", status=403)
        if response.status == 407 and self._proxy:
            raise BarredError(str(self._error(request, refusal_of_proxy(self._proxy, 407))))
        refusal = self._error(request, self._refusal(response.status, text, response.headers.get("Location")))
        if not 400 <= response.status < 500:
            raise refusal
        kind = NotFoundError if response.status == 404 else RefusedError
        raise kind(str(refusal), response.status, answer)

    def _exchange(self, request: str, body: bytes | None) -> tuple[BaseHTTPResponse, Answer]:
        method = "GET" if body is None else "POST"
        headers = None if body is None else {**self._pool.headers, "Content-Type": "application/json"}
        with self._pool.deadline(self.longest_attempt_seconds) as is_cut:
            try:
                response = self._pool.request(
                    method, self._api_url + request, body=body, headers=headers, redirect=False, preload_content=False
                )
                self._was_answered = True
                return response, self._read(response, is_cut)
            except HTTPError as error:
                if is_cut.is_set():
                    raise TransientError(f"the connection failed ({self._too_slow})") from None
                failure = failure_of(error, urlsplit(self._api_url).hostname, self._proxy)
                if not failure.passes:
                    raise BarredError(str(self._error(request, failure.why))) from None
                raise TransientError(failure.why, refused=failure.nothing_sent) from None

    @property
    def _too_slow(self) -> str:
        return f"it had not come as a whole after {self.longest_attempt_seconds:.0f} s"

    def _read(self, response: BaseHTTPResponse, is_cut: threading.Event) -> Answer:
        body = bytearray()
        answered_at = http_date(response.headers.get("Date")) or datetime.now(UTC)
        try:
            # Piece by piece: a read of the whole body loses all of an answer that breaks off.
            while len(body) <= _LARGEST_ANSWER and (piece := response.read1(_PIECE)):
                body += piece
            fault = f"{response.length_remaining} bytes are missing" if response.length_remaining else None
        except HTTPError as error:
            fault = reason_of(error)
        self.bytes += len(body)
        if is_cut.is_set():
            fault = self._too_slow
        elif len(body) > _LARGEST_ANSWER:
            fault = f"it has more than {_LARGEST_ANSWER:,} bytes"
            del body[_KEPT_OF_LARGER:]
        answer = Answer(self._body_without_key(bytes(body)), answered_at)
        if fault:
            response.close()
            raise TransientError(f"its answer broke off ({fault})", broken=answer)
        return answer

    def _refusal(self, status: int, text: str, location: str | None) -> str:
        if status == 401:
            advice = "check CIVITAI_API_KEY, the key was refused" if self._key else "set CIVITAI_API_KEY to an API key"
            return f"it answered 401 (unauthorized): {advice}"
        if status == 451:
            return (
                "it answered 451: Civitai is not available in this region for legal reasons; "
                "run from a region where it is"
            )
        if 300 <= status < 400:
            try:
                host = urlsplit(location or "").netloc
            except ValueError:
                host = ""
            host = host or "another address"
            return f"it redirects to {host}: set CIVITAI_ETL_API_URL to the address that answers itself"
        return f"it answered {status} {text}; another attempt would not help"

    def _gave_up(self, request: str, failure: TransientError, tried: int) -> ServiceError:
        why = self._without_key(str(failure))
        if failure.refused and not self._was_answered:
            doubted = self._proxy.variable if self._proxy else "CIVITAI_ETL_API_URL"
            return OutageError(
                f"No server answers at {self._api_url} ({failure}): is {doubted} right, is the service up?"
            )
        if failure.broken is None:
            return self._outage(request, why)
        times = "1 attempt" if tried == 1 else f"{tried} attempts"
        advice = f"{times} failed; run again later, it goes on where it stopped"
        return BrokenAnswerError(str(self._error(request, f"{why}; {advice}")), request, failure.broken, why)

    def _outage(self, request: str, why: str) -> OutageError:
        tried = f"tried for {_span(self._patience.spent)}; " if self._patience.spent >= 1 else ""
        return OutageError(str(self._error(request, f"{why}; {tried}run again later")))

    def _error(self, request: str, what: str) -> ServiceError:
        return ServiceError(f"{self._api_url}{request}: {self._without_key(what)}")

    def _without_key(self, text: str) -> str:
        return text.replace(self._key, "***") if self._key else text

    def _body_without_key(self, body: bytes) -> bytes:
        """The body without the key, if the answer repeats it."""
        return body.replace(self._key.encode(), b"***") if self._key and len(self._key) >= _SHORTEST_KEY else body


def _is_challenge(response: BaseHTTPResponse, body: bytes) -> bool:
    """Whether a refusal is an HTML page, and so of a guard in front of the service, which itself sends JSON."""
    is_page = "html" in response.headers.get("Content-Type", "") or body.lstrip()[:1] == b"<"
    return is_page or response.headers.get("cf-mitigated") == "challenge"


def _request(path: str, arguments: Arguments) -> str:
    return path + (f"?{urlencode(arguments)}" if arguments else "")


def _span(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
