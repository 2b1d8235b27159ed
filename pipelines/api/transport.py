"""One exchange with the service: sends a request, reads its answer, and explains what each status means.

The API key is sent in the Authorization header only, and no message and no answer shows it.
"""

import threading
from datetime import UTC, datetime
from importlib.metadata import version
from urllib.parse import urlsplit

import urllib3
from urllib3.exceptions import HTTPError
from urllib3.response import BaseHTTPResponse

from pipelines.api.answers import Answer, excerpt
from pipelines.api.connections import failure_of, open_pool, reason_of, refusal_of_proxy
from pipelines.api.errors import BarredError, NotFoundError, RefusedError, ServiceError, TransientError
from pipelines.api.moments import http_date
from pipelines.api.pacing import retry_after
from pipelines.network import proxy_for
from pipelines.settings import Service

USER_AGENT = f"civitai-etl/{version('civitai-etl')} (daily catalogue snapshots; one request at a time)"

#: The service reports overload.
OVERLOAD = frozenset({429, 503})

_RETRYABLE_STATUS = frozenset({408, 425, 429})

#: A whole answer may take this multiple of the time-out, and be so large; of a larger one the beginning is kept.
_WHOLE_ANSWER = 5
_LARGEST_ANSWER, _KEPT_OF_LARGER = 256 * 2**20, 2**20
#: Bytes of an answer that are read at once: the memory for them is taken first, however many it announces.
_PIECE = 2**20
#: A shorter text is no key of the service, and may occur in any answer.
_SHORTEST_KEY = 8


class Transport:
    """Connections to one service, one request at a time; counts `bytes_received` in bodies.

    An exchange takes `longest_attempt_seconds` at most.
    """

    def __init__(self, service: Service) -> None:
        self.bytes_received = 0
        self.was_answered = False
        self.longest_attempt_seconds = _WHOLE_ANSWER * service.timeout_seconds
        self._api_url = service.api_url
        self._key = service.api_key.get_secret_value() if service.api_key else None
        headers = {"User-Agent": USER_AGENT, "Accept": "application/json", "Accept-Encoding": "gzip"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        self._proxy = proxy_for(service.api_url)
        timeout = urllib3.Timeout(connect=min(10, service.timeout_seconds), read=service.timeout_seconds)
        self._pool = open_pool(service.api_url, self._proxy, headers=headers, retries=False, timeout=timeout)

    @property
    def address_setting(self) -> str:
        """The setting to check if no server answers."""
        return self._proxy.variable if self._proxy else "CIVITAI_ETL_API_URL"

    def send(self, request: str, body: bytes | None) -> Answer:
        """Send a request once: a POST of `body`, a GET without one.

        Raises:
            TransientError: another attempt may help.
            BarredError: it cannot be reached.
            NotFoundError, RefusedError: it answered 4xx.
            ServiceError: it redirects.
        """
        response, answer = self._exchange(request, body)
        if response.status == 200:
            return answer
        text = excerpt(answer.body)
        if response.status >= 500 or (response.status in _RETRYABLE_STATUS and "too many pages" not in text):
            why = f"it answered {response.status} {text}".rstrip()
            wait = retry_after(response.headers.get("Retry-After"), answer.at)
            broken = None if response.status in _RETRYABLE_STATUS | OVERLOAD else answer
            raise TransientError(why, wait, broken=broken, status=response.status)
        if response.status == 403 and _is_challenge(response, answer.body):
            raise TransientError(f"a guard of the service answered 403 with a page for people: {text}", status=403)
        if response.status == 407 and self._proxy:
            raise BarredError(str(self.error(request, refusal_of_proxy(self._proxy, 407))))
        refusal = self.error(request, self._refusal(response.status, text, response.headers.get("Location")))
        if not 400 <= response.status < 500:
            raise refusal
        kind = NotFoundError if response.status == 404 else RefusedError
        raise kind(str(refusal), response.status, answer)

    def error(self, request: str, what: str) -> ServiceError:
        """What happened to a request."""
        return ServiceError(f"{self._api_url}{request}: {self.without_key(what)}")

    def without_key(self, text: str) -> str:
        """The text without the key."""
        return text.replace(self._key, "***") if self._key else text

    def _exchange(self, request: str, body: bytes | None) -> tuple[BaseHTTPResponse, Answer]:
        method = "GET" if body is None else "POST"
        headers = None if body is None else {**self._pool.headers, "Content-Type": "application/json"}
        with self._pool.deadline(self.longest_attempt_seconds) as is_cut:
            try:
                response = self._pool.request(
                    method, self._api_url + request, body=body, headers=headers, redirect=False, preload_content=False
                )
                self.was_answered = True
                return response, self._read(response, is_cut)
            except HTTPError as error:
                if is_cut.is_set():
                    raise TransientError(f"the connection failed ({self._too_slow})") from None
                failure = failure_of(error, urlsplit(self._api_url).hostname, self._proxy)
                if not failure.passes:
                    raise BarredError(str(self.error(request, failure.why))) from None
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
        self.bytes_received += len(body)
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

    def _body_without_key(self, body: bytes) -> bytes:
        """The body without the key, if the answer repeats it."""
        return body.replace(self._key.encode(), b"***") if self._key and len(self._key) >= _SHORTEST_KEY else body


def _is_challenge(response: BaseHTTPResponse, body: bytes) -> bool:
    """Whether a refusal is an HTML page, and so of a guard in front of the service, which itself sends JSON."""
    is_page = "html" in response.headers.get("Content-Type", "") or body.lstrip()[:1] == b"<"
    return is_page or response.headers.get("cf-mitigated") == "challenge"
