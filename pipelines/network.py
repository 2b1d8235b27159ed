"""The network settings that all programs read from the environment: proxies, and certificate authorities to trust.

These variables have no prefix, are not read from `.env`, and mean the same as in other programs. Proxies and their
exceptions are read as Python's `urllib` reads them. An empty variable counts as unset. Loopback never goes through
a proxy, because it always means this machine.
"""

import os
import re
import ssl
from base64 import b64encode
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from pipelines.errors import CivitaiEtlError

_AUTHORITIES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
_PORTS = {"http": 80, "https": 443}
#: All supported variables and their meaning.
VARIABLES = {
    "HTTPS_PROXY": "The proxy for https addresses: http://host:port, or http://user:password@host:port.",
    "HTTP_PROXY": "The proxy for http addresses.",
    "ALL_PROXY": "The proxy for addresses that none of the others is for.",
    "NO_PROXY": "Hosts and domains that are asked without a proxy, separated by commas; * is all of them.",
    "SSL_CERT_FILE": "Certificates (PEM) of the authorities that are trusted, in place of the system's file.",
    "REQUESTS_CA_BUNDLE": "Certificates (PEM) of authorities that are trusted besides: a file or a directory.",
}


class NetworkError(CivitaiEtlError):
    """A network setting of the environment cannot be used; names its variable, and never shows a password."""


@dataclass(frozen=True)
class Proxy:
    """A proxy: the variable that names it, its address without user and password, and the header that has them."""

    variable: str
    url: str
    headers: dict[str, str]


def shown(variable: str) -> str | None:
    """The value of a variable without user and password; None if it is unset."""
    kind = variable.lower().removesuffix("_proxy")
    value = os.environ.get(variable) if variable in _AUTHORITIES else getproxies().get(kind)
    return re.sub(r"^(\w+://)?.*@", r"\1***@", value, flags=re.DOTALL) if value else None


def is_loopback(host: str) -> bool:
    """Whether a host is this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def proxy_for(url: str) -> Proxy | None:
    """The proxy for `url`.

    Raises:
        NetworkError: the variable has no address of a proxy, or its proxy is not supported.
    """
    target = urlsplit(url)
    host = target.hostname or ""
    if is_loopback(host) or proxy_bypass(f"{host}:{target.port or _PORTS[target.scheme]}"):
        return None
    proxies = getproxies()
    kind = target.scheme if proxies.get(target.scheme) else "all"
    return _proxy(kind, proxies[kind]) if proxies.get(kind) else None


def trusted_authorities() -> ssl.SSLContext:
    """Verifies certificates with the authorities of this machine and of the environment.

    Raises:
        NetworkError: a file from the environment has no certificates.
    """
    for variable in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        if os.environ.get(variable) == "":
            del os.environ[variable]  # OpenSSL would look for a file without a name
    context = ssl.create_default_context()
    for variable in _AUTHORITIES:
        if path := os.environ.get(variable):
            try:
                context.load_verify_locations(**{"capath" if Path(path).is_dir() else "cafile": path})
            except OSError as error:
                raise NetworkError(
                    f"{variable}: {path!r} cannot be read as certificates ({error.strerror or error}); name a file in "
                    "PEM with the certificates of the authorities to trust, or unset it."
                ) from None
    return context


def check_network() -> None:
    """Check that all settings can be used, also by other libraries of this process, which read all of them.

    Raises:
        NetworkError: one cannot be used.
    """
    trusted_authorities()
    proxies = getproxies()
    for kind in ("https", "http", "all"):
        if proxies.get(kind):
            _proxy(kind, proxies[kind])


def with_direct_loopback() -> dict[str, str]:
    """The proxies as variables for this process and its children, so that no other library uses them for loopback.

    In lower case, which has priority, and with the system's own settings, which a set variable replaces.
    """
    proxies = getproxies()
    exempt = proxies.get("no", "")
    if exempt.strip() != "*":
        exempt = ",".join([*filter(None, [exempt]), "localhost", "127.0.0.1", "::1"])
    given = {f"{kind}_proxy": proxies[kind] for kind in ("https", "http", "all") if proxies.get(kind)}
    return given | {"no_proxy": exempt}


def _proxy(kind: str, text: str) -> Proxy:
    variable = f"{kind.upper()}_PROXY"
    text = text.strip()
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        port = parts.port
    except ValueError:
        raise _no_address(variable) from None
    if parts.scheme.startswith("socks"):
        raise NetworkError(
            f"{variable}: a SOCKS proxy is not supported; name one that begins with http:// or https://, or unset it."
        )
    if parts.scheme not in _PORTS or not parts.hostname or parts.path.strip("/") or parts.query or parts.fragment:
        raise _no_address(variable)
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return Proxy(variable, f"{parts.scheme}://{host}:{port or _PORTS[parts.scheme]}", _authorization(parts))


def _authorization(parts: SplitResult) -> dict[str, str]:
    if parts.username is None:
        return {}
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {"Proxy-Authorization": f"Basic {b64encode(pair.encode()).decode()}"}


def _no_address(variable: str) -> NetworkError:
    return NetworkError(
        f"{variable}: this is no address of a proxy; write http://host:port or http://user:password@host:port, with "
        "special characters of a password percent-encoded (%40 for @)."
    )
