"""Connections to a service, through a proxy if there is one, and what connection errors mean.

A connection is cut when the whole answer takes too long: a time-out only measures silence, not a slow drip.
"""

import re
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from weakref import WeakSet

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager, ProxyManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, NewConnectionError, ProxyError, SSLError
from urllib3.util.ssltransport import SSLTransport

from pipelines.network import Proxy, trusted_authorities

#: What the standard library says of a proxy that opens no tunnel: there is no other trace of its status.
_NO_TUNNEL = re.compile(r"Tunnel connection failed: (?P<status>\d{3})")
#: 4xx that pass.
_PASSING = frozenset({408, 425, 429})
#: OpenSSL's numbers for a certificate that holds at another time, and for one of another host.
_NOT_NOW, _NOT_THIS_HOST = frozenset({9, 10}), frozenset({62, 64})


@dataclass(frozen=True)
class Failure:
    """Why there is no answer; whether that may pass by itself, and whether nothing can have reached the service."""

    why: str
    passes: bool = True
    nothing_sent: bool = False


class CuttablePool(PoolManager):
    """A pool for one request at a time, which a `deadline` ends wherever it is: in its headers, too, or in a chunk."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        opened = self._opened = WeakSet[socket.socket]()

        class Noted:
            """Notes whatever is read from as soon as it is there: a proxy can drip before there is a connection."""

            _sock: socket.socket | SSLTransport | None = None

            @property
            def sock(self) -> socket.socket | SSLTransport | None:
                return self._sock

            @sock.setter
            def sock(self, sock: socket.socket | SSLTransport | None) -> None:
                self._sock = sock
                if sock is not None:
                    # TLS through a proxy that speaks TLS itself is no socket, but has one.
                    opened.add(sock if isinstance(sock, socket.socket) else sock.socket)

        class Plain(Noted, HTTPConnection): ...

        class Secure(Noted, HTTPSConnection): ...

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = Plain

        class SecurePool(HTTPSConnectionPool):
            ConnectionCls = Secure

        self.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}

    @contextmanager
    def deadline(self, seconds: float) -> Iterator[threading.Event]:
        """Cut what is under way after so long; gives an event that says whether it was."""
        is_cut = threading.Event()
        timer = threading.Timer(seconds, self._cut, (is_cut,))
        timer.daemon = True
        timer.start()
        try:
            yield is_cut
        finally:
            timer.cancel()

    def _cut(self, is_cut: threading.Event) -> None:
        is_cut.set()
        for each in [*self._opened]:
            with suppress(OSError):
                # Not as TLS would: that is taken apart while the other thread reads from it.
                socket.socket.shutdown(each, socket.SHUT_RDWR)


class CuttableProxyPool(CuttablePool, ProxyManager):
    """The same, through a proxy: a tunnel for https, and for http whole addresses."""


def open_pool(url: str, proxy: Proxy | None, **options: Any) -> CuttablePool:
    """The connections to the service at `url`; `options` are those of urllib3's pools.

    Raises:
        NetworkError: the environment names authorities that cannot be read.
    """
    addresses = (url, proxy.url if proxy else "")
    context = trusted_authorities() if any(each.startswith("https:") for each in addresses) else None
    if proxy is None:
        return CuttablePool(ssl_context=context, **options)
    through = {"proxy_url": proxy.url, "proxy_headers": proxy.headers, "proxy_ssl_context": context}
    return CuttableProxyPool(ssl_context=context, **through, **options)


def certificate_ends(url: str, proxy: Proxy | None, timeout: float = 10.0) -> datetime | None:
    """Until when the certificate of the server at `url` is valid; None if it does not answer. For a look by hand."""
    try:
        pool = open_pool(url, proxy, retries=False, timeout=timeout)
        response = pool.request("GET", url, redirect=False, preload_content=False)
        connection = response.connection
        sock = connection.sock if isinstance(connection, HTTPSConnection) else None
        certificate = sock.getpeercert() if isinstance(sock, ssl.SSLSocket | SSLTransport) else None
        response.close()
    except HTTPError:
        return None
    ends = certificate.get("notAfter") if isinstance(certificate, dict) else None
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(ends), UTC) if isinstance(ends, str) else None


def failure_of(error: HTTPError, host: str | None, proxy: Proxy | None) -> Failure:
    """What an error of a pool means for requests to `host`."""
    if proxy and isinstance(error, ProxyError):
        cause = error.original_error
        if tunnel := _NO_TUNNEL.search(str(cause)):
            status = int(tunnel["status"])
            if 400 <= status < 500 and status not in _PASSING:
                return Failure(refusal_of_proxy(proxy, status), passes=False, nothing_sent=True)
            return Failure(f"the proxy {proxy.url} answered {status}", nothing_sent=True)
        untrusted = _untrusted(cause, proxy.url)
        return untrusted or Failure(f"the proxy {proxy.url} is not reached: {reason_of(cause)}", nothing_sent=True)
    if isinstance(error, NewConnectionError):
        return Failure(reason_of(error), nothing_sent=True)
    return _untrusted(error, f"{host}") or Failure(f"the connection failed ({reason_of(error)})")


def reason_of(error: Exception) -> str:
    """The gist of an error, in one line."""
    text = str(error)
    return text.rsplit(": ", 1)[-1] if isinstance(error, NewConnectionError) else text


def refusal_of_proxy(proxy: Proxy, status: int) -> str:
    """That a proxy refuses with a 4xx, and what to do."""
    if status == 407:
        wrong = "does not take the user and password" if proxy.headers else "asks for a user and a password"
        return f"the proxy {proxy.url} {wrong} (407): set {proxy.variable} to http://user:password@host:port"
    whom = f"the proxy {proxy.url} of {proxy.variable} refuses with {status}"
    return f"{whom}: ask whoever runs it, or name the host in NO_PROXY if it is reached without"


def _untrusted(error: Exception, whose: str) -> Failure | None:
    cause = error.args[0] if isinstance(error, SSLError) else None
    if not isinstance(cause, ssl.SSLCertVerificationError):
        return None
    if cause.verify_code in _NOT_NOW:
        advice = f"is the clock of this machine right? It says {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    elif cause.verify_code in _NOT_THIS_HOST:
        advice = "is the address right, and who stands between?"
    else:
        advice = "name a file (PEM) with the certificate of the authority that signed it in SSL_CERT_FILE"
    what = f"the certificate of {whose} is not trusted ({cause.verify_message.rstrip('.')})"
    return Failure(f"{what}: {advice}", passes=False, nothing_sent=True)
