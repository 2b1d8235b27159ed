"""The HTTP client: keeps to a request budget, retries transient failures, and explains permanent ones.

It sends one request at a time, within the request budget, and slower for a while after the service reports overload.
Transient failures (a lost connection, 429, 5xx, a body that is cut off or is no JSON, the challenge page of a guard in
front of the service) are retried for a set time, with growing pauses and never before the service's own Retry-After.
Permanent failures (every other 4xx, an untrusted certificate, a refusing proxy) stop at once, with a message that says
what to do. If a request is answered, but never with usable content, the client raises an error after a few attempts:
maybe only this page is broken, and not the service. The API key is sent in the Authorization header only.
"""

import math
import random
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from typing import Any, cast
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec
import urllib3
from urllib3.exceptions import HTTPError
from urllib3.response import BaseHTTPResponse

from pipelines.api.connections import failure_of, open_pool, reason_of, refusal_of_proxy
from pipelines.api.dialects import Arguments
from pipelines.api.json_text import decoded, verbatim
from pipelines.api.moments import with_zone
from pipelines.errors import CivitaiEtlError
from pipelines.network import proxy_for
from pipelines.progress import Progress, Silent
from pipelines.settings import Settings

USER_AGENT = f"civitai-etl/{version('civitai-etl')} (daily catalogue snapshots; one request at a time)"

_RETRYABLE_STATUS = frozenset({408, 425, 429})
_FIRST_WAIT, _LONGEST_WAIT = 1.0, 60.0
#: A server that restarts is back within a second.
_FIRST_WAIT_REFUSED = 0.2
#: Shorter pauses are not reported.
_TRIVIAL_PAUSE = 5.0
_EXCERPT = 200
#: A whole answer may take this multiple of the time-out, and be so large; of a larger one the beginning is kept.
_WHOLE_ANSWER = 5
_LARGEST_ANSWER, _KEPT_OF_LARGER = 256 * 2**20, 2**20
#: Bytes of an answer that are read at once: the memory for them is taken first, however many it announces.
_PIECE = 2**20
#: A shorter text is no key of the service, and may occur in any answer.
_SHORTEST_KEY = 8

#: How the rate recovers after an overload: shares of the budget.
_CALM_ANSWERS, _RECOVERY, _SLOWEST = 10, 1 / 8, 1 / 16
#: The service reports overload.
_TOO_MUCH = frozenset({429, 503})
#: Every request is refused: a wrong key, a budget, a region.
_OF_ALL = frozenset({401, 429, 451})
#: Sent by the service itself at the end of its work, or before it starts (403: a guard let nothing through); every
#: other failure may come from a proxy in between.
_ENDED = frozenset({403, 425, 429, 500, 503})


#: What decoding raises; texts that are no UTF-8 have an error of their own.
UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class ServiceError(CivitaiEtlError):
    """The service did not give a usable answer; names the request, what was wrong and what to do."""


class OutageError(ServiceError):
    """The service gave no usable answer within the retry time, or requests a longer pause."""


class BarredError(ServiceError):
    """No request reaches the service until a person acts: a certificate is not trusted, or a proxy refuses."""


class RefusedError(ServiceError):
    """The service refuses a request with the 4xx `status`, and another attempt would not help; at `answered_at`."""

    def __init__(self, message: str, status: int, answer: "Answer") -> None:
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

    def __init__(self, message: str, request: str, answer: "Answer", fault: str) -> None:
        super().__init__(message)
        self.request = request
        self.body = answer.body
        self.answered_at = answer.at
        self.fault = fault


@dataclass(frozen=True)
class Answer:
    """The readable part of an answer, and the service's own time of it."""

    body: bytes
    at: datetime


class _TransientError(Exception):
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


@dataclass(frozen=True)
class Page:
    """One answered request: its items as raw bytes, its metadata, and the service's own time of it.

    `request` names the request for people (path and query), without any secret.
    """

    request: str
    items: list[msgspec.Raw]
    metadata: dict[str, Any]
    answered_at: datetime


_SILENT = Silent()

Decode = Callable[["Answer"], tuple[list[msgspec.Raw], dict[str, Any]]]


class _ListBody(msgspec.Struct):
    items: list[msgspec.Raw]
    metadata: Any = None


_LIST_BODY = msgspec.json.Decoder(_ListBody)
_ANY_BODY = msgspec.json.Decoder(msgspec.Raw)


class RequestBudget:
    """A token bucket of capacity one: requests start at least `1 / per_second` apart; 0 is no budget.

    As a context manager it waits until a request may start, and blocks any other request until this one has ended, so
    all clients that share it send one at a time. No window of one second has more than `per_second` requests, wherever
    in it they arrive. Every `slow_down` halves the rate; after every ten answers without overload it recovers by an
    eighth of the budget.
    """

    def __init__(self, per_second: float) -> None:
        self._per_second = per_second
        self._share = 1.0
        self._calm = 0
        self._last = self._paused_until = -math.inf
        # A request reaches the service at any moment until it is answered, so the window counts from its answer.
        self._window = max(1.0, 1 / per_second) if per_second else 0.0
        self._answered: deque[float] = deque(maxlen=max(1, int(per_second)))
        self._turn = threading.Lock()

    def __enter__(self) -> None:
        self._turn.acquire()
        try:
            self._wait()
        except BaseException:
            self._turn.release()
            raise

    def __exit__(self, *_: object) -> None:
        self._answered.append(time.monotonic())
        self._calm += 1
        if self._calm == _CALM_ANSWERS:
            self._calm, self._share = 0, min(1.0, self._share + _RECOVERY)
        self._turn.release()

    def _wait(self) -> None:
        start = self._paused_until
        if self._per_second:
            start = max(start, self._last + 1 / (self._per_second * self._share))
        if len(self._answered) == self._answered.maxlen:
            start = max(start, self._answered[0] + self._window)
        if (wait := start - time.monotonic()) > 0:
            time.sleep(wait)
        self._last = time.monotonic()

    def slow_down(self) -> None:
        """The service reports overload."""
        self._calm, self._share = 0, max(_SLOWEST, self._share / 2)

    def pause(self, seconds: float) -> None:
        """No request may start for so many seconds."""
        self._paused_until = max(self._paused_until, time.monotonic() + seconds)


#: One budget for each service (host and port, and what it is allowed), shared by all clients of the process.
_BUDGETS: dict[tuple[str, float], RequestBudget] = {}


def _budget(settings: Settings) -> RequestBudget:
    per_second = settings.requests_per_second
    return _BUDGETS.setdefault((urlsplit(settings.api_url).netloc, per_second), RequestBudget(per_second))


class _Patience:
    """How long to retry a service that does not answer: `seconds` since the first request without a good answer.

    Each pause is reported to `progress`.
    """

    def __init__(self, seconds: float, progress: Progress) -> None:
        self._seconds = seconds
        self._progress = progress
        self._since: float | None = None

    def begin(self) -> None:
        """A request begins."""
        if self._since is None:
            self._since = time.monotonic()

    def end(self) -> None:
        """There is a good answer."""
        self._since = None

    @property
    def spent(self) -> float:
        """Seconds of retrying so far."""
        return 0.0 if self._since is None else time.monotonic() - self._since

    @property
    def left(self) -> float:
        """Seconds of retrying that are left."""
        return max(0.0, self._seconds - self.spent)

    def pause(self, seconds: float, why: str) -> None:
        """Wait, but not beyond the end; there the last attempt follows."""
        seconds = min(seconds, self.left)
        if seconds >= _TRIVIAL_PAUSE:
            until = datetime.now(UTC) + timedelta(seconds=self.left)
            self._progress.note(f"{why}; trying again in {seconds:.0f} s, until {until:%H:%M} UTC")
        time.sleep(seconds)


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
        self._patience = _Patience(settings.retry_seconds if patience_seconds is None else patience_seconds, progress)
        self._pauses = 0
        self._was_answered = False
        self._budget = _budget(settings)
        self._key = settings.api_key.get_secret_value() if settings.api_key else None
        headers = {"User-Agent": USER_AGENT, "Accept": "application/json", "Accept-Encoding": "gzip"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        self._ahead: _ReadAhead | None = None
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
        return self._fetch(path, arguments, _decode_page if says_next else _decode_list, attempts)

    def document(self, path: str, arguments: Arguments, attempts: int | None = None) -> Page:
        """Fetch an endpoint whose body is itself the one item.

        Raises:
            NotFoundError: the service itself answered 404.
            BrokenAnswerError, OutageError, ServiceError: as for `list_page`.
        """
        return self._fetch(path, arguments, _decode_document, attempts)

    def post(self, path: str, body: bytes, attempts: int | None = None) -> Page:
        """POST a JSON body; the answer is itself the one item. For reading only, because it may be sent twice.

        Raises:
            NotFoundError, BrokenAnswerError, OutageError, ServiceError: as for `document`.
        """
        return self._fetch(path, (), _decode_document, attempts, body)

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
        self._patience.pause(_back_off(self._pauses, _FIRST_WAIT), f"{failure.request}: {failure.fault}")

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
        except _TransientError as failure:
            ended = failure.refused or failure.status in _ENDED
            raise UnconfirmedError(str(self._error(request, str(failure))), ended=ended) from None
        self._has_answered()

    def read_ahead(self, path: str, arguments: Arguments) -> None:
        """Fetch the next page in the background, while the caller processes the current one.

        One attempt is made ahead; if it fails, the next call makes the others.
        """
        self._ahead = _ReadAhead(_request(path, arguments), self._attempt)

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
            except _TransientError as failure:
                tried += 1
                broken += failure.broken is not None
                if broken == most or not self._patience.left:
                    raise self._gave_up(request, failure, tried) from None
                self.retries += 1
                wait = _back_off(tried, _FIRST_WAIT_REFUSED if failure.refused else _FIRST_WAIT)
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
            if decode is _decode_document and not _is_json_object(refusal.answer.body):
                why = f"it answered 404 and not as the service does: {_excerpt(refusal.answer.body)}"
                raise _TransientError(why, broken=refusal.answer) from None
            raise
        items, metadata = decode(answer)
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
        text = _excerpt(answer.body)
        if response.status >= 500 or (response.status in _RETRYABLE_STATUS and "too many pages" not in text):
            why = f"it answered {response.status} {text}".rstrip()
            wait = _retry_after(response.headers.get("Retry-After"), answer.at)
            if wait > self._patience.left:
                longer = f"{why} and asks for a pause of {wait:.0f} s, longer than it is tried; run again after that"
                raise OutageError(str(self._error(request, longer)))
            self._budget.pause(wait)
            broken = None if response.status in _RETRYABLE_STATUS | _TOO_MUCH else answer
            raise _TransientError(why, wait, broken=broken, status=response.status)
        if response.status == 403 and _is_challenge(response, answer.body):
            raise _TransientError(f"a guard of the service answered 403 with a page for people: {text}", status=403)
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
                    raise _TransientError(f"the connection failed ({self._too_slow})") from None
                failure = failure_of(error, urlsplit(self._api_url).hostname, self._proxy)
                if not failure.passes:
                    raise BarredError(str(self._error(request, failure.why))) from None
                raise _TransientError(failure.why, refused=failure.nothing_sent) from None

    @property
    def _too_slow(self) -> str:
        return f"it had not come as a whole after {self.longest_attempt_seconds:.0f} s"

    def _read(self, response: BaseHTTPResponse, is_cut: threading.Event) -> Answer:
        body = bytearray()
        answered_at = _http_date(response.headers.get("Date")) or datetime.now(UTC)
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
            raise _TransientError(f"its answer broke off ({fault})", broken=answer)
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

    def _gave_up(self, request: str, failure: _TransientError, tried: int) -> ServiceError:
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


class _ReadAhead:
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


def _is_challenge(response: BaseHTTPResponse, body: bytes) -> bool:
    """Whether a refusal is an HTML page, and so of a guard in front of the service, which itself sends JSON."""
    is_page = "html" in response.headers.get("Content-Type", "") or body.lstrip()[:1] == b"<"
    return is_page or response.headers.get("cf-mitigated") == "challenge"


def _request(path: str, arguments: Arguments) -> str:
    return path + (f"?{urlencode(arguments)}" if arguments else "")


def next_page_query(url: str) -> Arguments:
    """The query of a `nextPage` address; its host is not followed, and a `token` in it is dropped.

    Raises:
        ValueError: it is no address, or its page or its limit is no number.
    """
    query = parse_qsl(urlsplit(url).query, keep_blank_values=True)
    for name, value in query:
        if name in ("page", "limit") and not (value.isascii() and value.isdigit() and int(value)):
            raise ValueError(f"the {name} of its next page is {value!r}")
    return tuple((name, value) for name, value in query if name != "token")


def _check_next(metadata: Any) -> None:
    """Check that the reference of a page to the next one is readable.

    Raises:
        TypeError, ValueError: it is not.
    """
    address, cursor = (
        (metadata.get("nextPage"), metadata.get("nextCursor")) if isinstance(metadata, dict) else (None, None)
    )
    if not (isinstance(address, str | None) and isinstance(cursor, str | int | float | None)):
        raise TypeError(f"its next page is {address!r}, {cursor!r}")
    if address:
        next_page_query(address)


def _decode_list(answer: Answer) -> tuple[list[msgspec.Raw], dict[str, Any]]:
    page = _list_body(answer)
    return page.items, page.metadata if isinstance(page.metadata, dict) else {}


def _decode_page(answer: Answer) -> tuple[list[msgspec.Raw], dict[str, Any]]:
    page = _list_body(answer)
    if not isinstance(page.metadata, dict):
        why = f"it answered 200 with a page without metadata: {_excerpt(answer.body)}"
        raise _TransientError(why, broken=answer)
    return page.items, page.metadata


def _list_body(answer: Answer) -> _ListBody:
    try:
        page, seen = decoded(_LIST_BODY.decode, answer.body)
        _check_next(page.metadata)
    except (*UNREADABLE, TypeError, ValueError) as error:  # it does not say which page is the next
        why = f"it answered 200 with a body that is no page of items ({error}): {_excerpt(answer.body)}"
        raise _TransientError(why, broken=answer) from None
    if seen is not answer.body:
        page.items = [msgspec.Raw(verbatim(item, seen, answer.body)) for item in page.items]
    return cast("_ListBody", page)


def _decode_document(answer: Answer) -> tuple[list[msgspec.Raw], dict[str, Any]]:
    try:
        body, seen = decoded(_ANY_BODY.decode, answer.body)
        return [msgspec.Raw(verbatim(body, seen, answer.body))], {}
    except UNREADABLE as error:
        why = f"it answered 200 with a body that is no JSON ({error}): {_excerpt(answer.body)}"
        raise _TransientError(why, broken=answer) from None


def _is_json_object(body: bytes) -> bool:
    try:
        return isinstance(msgspec.json.decode(body), dict)
    except UNREADABLE:
        return False


def _back_off(attempt: int, first: float) -> float:
    jitter = random.uniform(0.5, 1)  # noqa: S311 - spreads retries, guards nothing
    # Doubling ends where it is the longest, or the number would have no room.
    return min(_LONGEST_WAIT, first * 2.0 ** min(attempt - 1, 30)) * jitter


def _retry_after(value: str | None, answered_at: datetime) -> float:
    """The minimum wait in seconds: sent as such, or as a date by the clock of the service."""
    if value is None:
        return 0.0
    if value.strip().isdecimal():
        return float(value)
    until = _http_date(value)
    return 0.0 if until is None else max(0.0, (until - answered_at).total_seconds())


def _span(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"


def _http_date(value: str | None) -> datetime | None:
    try:
        return with_zone(parsedate_to_datetime(value or "")).astimezone(UTC)
    except (ValueError, OverflowError):  # OverflowError: by its own time zone it lies beyond the last year
        return None


def _excerpt(body: bytes) -> str:
    return " ".join(body[:_EXCERPT].decode(errors="replace").split())
