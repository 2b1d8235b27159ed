"""The doctor's checks of the service and the way to it: proxy, certificate, service, clock, API key.

One request for a model tells most of it. A failure is shown at the check that it belongs to; the checks behind it are
not tried.
"""

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from flows.cli.checks import Check, Doubt, NotTried
from pipelines.api.answers import Page
from pipelines.api.client import Client
from pipelines.api.connections import certificate_ends
from pipelines.api.errors import RefusedError, ServiceError
from pipelines.crawl.clock import check_clocks
from pipelines.network import check_network, proxy_for
from pipelines.settings import Settings, variable
from pipelines.storage.directory import chain

#: A certificate that ends sooner is worth a word.
SOON = timedelta(days=14)
#: A clock that is further away from the service's is worth a word.
FAR = timedelta(minutes=5)
_UNAUTHORIZED = 401


def service_checks(settings: Settings) -> Iterator[Check]:
    """The checks of the way to the service and of the service itself."""
    service = _Service(settings)
    yield Check("proxy", service.proxy)
    yield Check("certificate", service.certificate)
    yield Check("service", service.answers)
    yield Check("clock", service.clock)
    yield Check("API key", service.key)


class _Service:
    """What one request to the service shows."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client: Client | None = None
        self._answer: Page | Exception | None = None
        self._is_told = False

    def proxy(self) -> str:
        check_network()
        proxy = proxy_for(self._settings.api_url)
        if proxy is None:
            return f"none is used for {self._settings.api_url}"
        answer = self._asked()
        if isinstance(answer, ServiceError) and proxy.url in str(answer):
            self._is_told = True
            raise answer
        return f"{proxy.url} of {proxy.variable}"

    def certificate(self) -> str:
        if urlsplit(self._settings.api_url).scheme != "https":
            return f"{self._settings.api_url} has none"
        answer = self._asked()
        if isinstance(answer, Exception):
            if not self._is_told and any(isinstance(cause, ssl.SSLCertVerificationError) for cause in chain(answer)):
                self._is_told = True
                raise answer
            raise NotTried("the service was not reached")
        ends = certificate_ends(self._settings.api_url, proxy_for(self._settings.api_url))
        if ends is None:
            return "it is trusted"
        line = f"it is trusted, and valid until {ends:%Y-%m-%d}"
        if ends - datetime.now(UTC) < SOON:
            raise Doubt(f"{line}: whoever runs the service, or the proxy, has to renew it")
        return line

    def answers(self) -> str:
        answer = self._asked()
        if self._is_told:
            raise NotTried("it was not reached")
        if isinstance(answer, Exception):
            raise answer
        settings, client = self._settings, self._client
        assert client
        proxy = proxy_for(settings.api_url)
        way = f" through the proxy {proxy.url} of {proxy.variable}" if proxy else ""
        return (
            f"{settings.api_url} answers{way} in dialect {settings.dialect_name}, {len(answer.items)} model in "
            f"{client.bytes_received:,} bytes"
        )

    def clock(self) -> str:
        answer = self._asked()
        now = datetime.now(UTC)
        if isinstance(answer, Exception):
            raise NotTried(f"the service did not answer; this machine's says {now:%Y-%m-%d %H:%M:%S} UTC")
        check_clocks(answer.answered_at, self._settings)
        line = f"the service's says {answer.answered_at:%Y-%m-%d %H:%M:%S}, this machine's {now:%Y-%m-%d %H:%M:%S} UTC"
        if abs(answer.answered_at - now) > FAR and not self._settings.is_loopback:
            raise Doubt(f"{line}: set this machine's clock")
        return line

    def key(self) -> str:
        """Lists of the live service answer with any key. The member's profile needs a valid one."""
        settings = self._settings
        if settings.api_key is None:
            return f"{variable('api_key')} is not set; the catalogue can be read without one"
        answer = self._asked()
        refused = isinstance(answer, RefusedError) and answer.status == _UNAUTHORIZED
        if isinstance(answer, Exception) and not refused:
            raise NotTried("the service was not reached")
        try:
            Client(settings, patience_seconds=0).document("/me", ())
        except RefusedError as error:
            if error.status != _UNAUTHORIZED:
                raise Doubt(f"it could not be tried: {error}") from error
            what = f"the service does not know the key of {variable('api_key')}: set a new one, or unset it"
            if refused:
                raise ServiceError(what) from None
            raise Doubt(f"{what}. The lists are read without it; `vault` needs it") from None
        except ServiceError as error:
            raise Doubt(f"it could not be tried: {error}") from error
        return "the service knows it"

    def _asked(self) -> Page | Exception:
        """The answer for one model, or what was in the way. Asked once: the present state is of interest."""
        if self._answer is None:
            try:
                self._client = Client(self._settings, patience_seconds=0)
                self._answer = self._client.list_page("/models", (("limit", "1"),))
            except Exception as error:  # noqa: BLE001 (the check that it belongs to raises it)
                self._answer = error
        return self._answer
