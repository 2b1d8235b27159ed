"""Requests through a proxy, certificates of an authority of one's own, and guards that stand before the service."""

import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from pipelines.api.client import Client
from pipelines.api.errors import BarredError, OutageError, RefusedError, ServiceError, UnconfirmedError
from pipelines.network import VARIABLES, NetworkError, check_network, proxy_for, shown, with_direct_loopback
from tests.pipelines.conftest import settings_for
from tests.pipelines.networks import HOST, Authority, RunningProxy, running_proxy
from tests.pipelines.service import Reply, Service, running_service

PAGE = Reply({"items": [{"id": 1}], "metadata": {}})
PLAIN, SECURE = f"http://{HOST}/api/v1", f"https://{HOST}/api/v1"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.api.pacing._FIRST_WAIT", 0.02)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def secure(authority: Authority) -> Iterator[Service]:
    with running_service(authority.server()) as service:
        service.replies("/models", PAGE)
        yield service


@pytest.fixture
def proxy(service: Service) -> Iterator[RunningProxy]:
    service.replies("/models", PAGE)
    with running_proxy(port_of(service)) as proxy:
        yield proxy


def port_of(service: Service) -> int:
    port = urlsplit(service.api_url).port
    assert port
    return port


def client_for(url: str, tmp_path: Path, patience: float = 0, **values: Any) -> Client:
    return Client(settings_for(url, tmp_path, **values), patience_seconds=patience)


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"])
def test_the_named_proxy_is_asked(
    service: Service, proxy: RunningProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, proxy.address)
    client = client_for(PLAIN, tmp_path)
    for _ in range(2):
        assert len(client.list_page("/models", (("limit", "1"),)).items) == 1
    assert proxy.asked == 2 * [f"GET {PLAIN}/models?limit=1 HTTP/1.1"]
    assert [request.headers["Host"] for request in service.requests] == 2 * [HOST]


def test_https_goes_through_a_tunnel_and_the_proxy_sees_nothing_of_it(
    secure: Service, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_proxy(port_of(secure)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.address.replace("//", "//me%40home:p%C3%A4ss@"))
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificates))
        client = client_for(SECURE, tmp_path, api_key="a-key-of-mine")
        for _ in range(2):
            assert len(client.list_page("/models", ()).items) == 1
    # The version of HTTP in it is that of Python's own client.
    assert [line.rpartition(" ")[0] for line in proxy.asked] == [f"CONNECT {HOST}:443"], "one tunnel for all requests"
    assert proxy.authorized == ["Basic bWVAaG9tZTpww6Rzcw=="]
    assert [request.headers["Authorization"] for request in secure.requests] == 2 * ["Bearer a-key-of-mine"]
    assert "Proxy-Authorization" not in secure.requests[0].headers


def test_a_proxy_that_speaks_tls_itself_is_trusted_by_the_same_authorities(
    secure: Service, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_proxy(port_of(secure), authority.server("localhost")) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.address)
        with pytest.raises(BarredError, match=f"certificate of {proxy.address} is not trusted"):
            client_for(SECURE, tmp_path).list_page("/models", ())
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.certificates))
        assert len(client_for(SECURE, tmp_path).list_page("/models", ()).items) == 1


@pytest.mark.parametrize(
    ("exempt", "url", "variable"),
    [
        ("", "https://civitai.com/api/v1", "HTTPS_PROXY"),
        ("other.org", "https://civitai.com/api/v1", "HTTPS_PROXY"),
        ("civitai.com", "https://civitai.com/api/v1", None),
        (".com, other.org", "https://civitai.com/api/v1", None),
        ("civitai.com:443", "https://civitai.com/api/v1", None),
        ("*", "https://civitai.com/api/v1", None),
        ("", "http://civitai.com/api/v1", "ALL_PROXY"),
        ("", "http://127.0.0.1:8377/api/v1", None),
        ("", "http://localhost:8377/api/v1", None),
        ("", "https://[::1]/api/v1", None),
        ("", "http://127.8.8.8/api/v1", None),
    ],
)
def test_what_is_exempt_and_loopback_have_no_proxy(
    monkeypatch: pytest.MonkeyPatch, exempt: str, url: str, variable: str | None
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://one.invalid:1")
    monkeypatch.setenv("ALL_PROXY", "two.invalid:2")
    monkeypatch.setenv("NO_PROXY", exempt)
    proxy = proxy_for(url)
    assert (proxy and proxy.variable) == variable
    assert proxy is None or proxy.url == {"HTTPS_PROXY": "http://one.invalid:1"}.get(variable, "http://two.invalid:2")


def test_loopback_is_asked_directly(
    service: Service, proxy: RunningProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(variable, proxy.address)
    client_for(service.api_url, tmp_path).list_page("/models", ())
    assert not proxy.asked


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("socks5h://me:secret@proxy.invalid:1080", "ALL_PROXY: a SOCKS proxy is not supported"),
        ("socks://proxy.invalid", "ALL_PROXY: a SOCKS proxy is not supported"),
        ("http://me:secret@", "ALL_PROXY: this is no address of a proxy"),
        ("http://me:sec/ret@proxy.invalid:1", "ALL_PROXY: this is no address of a proxy"),
        ("ftp://proxy.invalid", "ALL_PROXY: this is no address of a proxy"),
        ("me:secret@proxy.invalid:port", "ALL_PROXY: this is no address of a proxy"),
    ],
)
def test_what_is_no_proxy_is_told_in_one_line_without_its_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str, told: str
) -> None:
    monkeypatch.setenv("ALL_PROXY", address)
    for attempt in (lambda: client_for(PLAIN, tmp_path), check_network):
        with pytest.raises(NetworkError, match=told) as error:
            attempt()
        assert "sec" not in str(error.value)
        assert "\n" not in str(error.value)


def test_what_is_shown_of_the_network_has_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    for address, seen in (
        ("http://me:s@cr/t#@proxy.invalid:1", "http://***@proxy.invalid:1"),
        ("me:s@cr@proxy.invalid:1", "***@proxy.invalid:1"),
        ("proxy.invalid:1", "proxy.invalid:1"),
        ("", None),
    ):
        monkeypatch.setenv("HTTPS_PROXY", address)
        assert shown("HTTPS_PROXY") == seen
    monkeypatch.setenv("no_proxy", "a.org,b.org")
    monkeypatch.setenv("SSL_CERT_FILE", "/certificates.pem")
    assert {name: shown(name) for name in VARIABLES if shown(name)} == {
        "NO_PROXY": "a.org,b.org",
        "SSL_CERT_FILE": "/certificates.pem",
    }


@pytest.mark.parametrize(("given", "then"), [("a.org", "a.org,localhost,127.0.0.1,::1"), ("*", "*")])
def test_children_and_other_libraries_reach_loopback_directly(
    monkeypatch: pytest.MonkeyPatch, given: str, then: str
) -> None:
    monkeypatch.setenv("NO_PROXY", given)
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.invalid:1")
    assert with_direct_loopback() == {"https_proxy": "http://proxy.invalid:1", "no_proxy": then}


def test_a_proxy_that_wants_to_know_who_asks_is_not_asked_again(
    proxy: RunningProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy.status = 407
    monkeypatch.setenv("ALL_PROXY", proxy.address)
    for url in (PLAIN, SECURE):
        with pytest.raises(BarredError, match=r"asks for a user and a password \(407\): set ALL_PROXY to"):
            client_for(url, tmp_path, patience=30).list_page("/models", ())
    monkeypatch.setenv("ALL_PROXY", proxy.address.replace("//", "//me:hidden@"))
    with pytest.raises(BarredError, match="does not take the user and password") as error:
        client_for(SECURE, tmp_path, patience=30).list_page("/models", ())
    assert "hidden" not in str(error.value)
    assert len(proxy.asked) == 3


def test_a_proxy_that_refuses_the_host_is_not_asked_again(
    proxy: RunningProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy.status = 403
    monkeypatch.setenv("HTTPS_PROXY", proxy.address)
    with pytest.raises(BarredError, match=f"the proxy {proxy.address} of HTTPS_PROXY refuses with 403: ask whoever"):
        client_for(SECURE, tmp_path, patience=30).list_page("/models", ())
    assert len(proxy.asked) == 1


def test_a_proxy_that_does_not_reach_the_service_is_asked_again(
    secure: Service, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificates))
    with running_proxy(port_of(secure)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.address)
        proxy.status = 502
        with pytest.raises(OutageError, match=f"the proxy {proxy.address} answered 502.* is HTTPS_PROXY right"):
            client_for(SECURE, tmp_path).list_page("/models", ())
        threading.Timer(0.3, lambda: setattr(proxy, "status", 200)).start()
        assert len(client_for(SECURE, tmp_path, patience=30).list_page("/models", ()).items) == 1
    with pytest.raises(
        OutageError, match=f"the proxy {proxy.address} is not reached: .*refused.* is HTTPS_PROXY right"
    ):
        client_for(SECURE, tmp_path).list_page("/models", ())


def test_a_proxy_that_drips_is_cut(proxy: RunningProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy.drips = True
    monkeypatch.setenv("HTTPS_PROXY", proxy.address)
    began = time.monotonic()
    with pytest.raises(ServiceError, match="it had not come as a whole after 1 s"):
        client_for(SECURE, tmp_path, timeout_seconds=0.2).list_page("/models", ())
    assert 1 <= time.monotonic() - began < 10


def test_an_answer_that_drips_through_a_tunnel_is_cut(
    secure: Service, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificates))
    secure.routes["/models"] = lambda _: time.sleep(1.5) or PAGE
    with running_proxy(port_of(secure)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.address)
        client = client_for(SECURE, tmp_path, timeout_seconds=10)
        client._transport.longest_attempt_seconds = 0.5
        with pytest.raises(ServiceError, match="it had not come as a whole"):
            client.list_page("/models", ())


def test_an_authority_that_nobody_knows_is_told_once_and_trusted_when_it_is_named(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_service(authority.server("localhost")) as service:
        service.replies("/models", PAGE)
        began = time.monotonic()
        with pytest.raises(
            BarredError, match=r"/models: the certificate of 127.0.0.1 is not trusted \(.*SSL_CERT_FILE"
        ):
            client_for(service.api_url, tmp_path, patience=30).list_page("/models", ())
        assert time.monotonic() - began < 5
        for variable in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
            with monkeypatch.context() as environment:
                environment.setenv(variable, str(authority.certificates))
                assert len(client_for(service.api_url, tmp_path).list_page("/models", ()).items) == 1
        monkeypatch.setenv("SSL_CERT_FILE", "")
        with pytest.raises(BarredError):
            client_for(service.api_url, tmp_path).list_page("/models", ())


@pytest.mark.parametrize(
    ("host", "lasts", "told"),
    [
        (HOST, timedelta(days=-1), r"of civitai\.invalid is not trusted \(certificate has expired\): is the clock"),
        ("other.invalid", timedelta(days=1), r"is not trusted \(Hostname mismatch.*\): is the address right"),
    ],
)
def test_a_certificate_of_another_time_or_host_says_so(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str, lasts: timedelta, told: str
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificates))
    with running_service(authority.server(host, lasts)) as service, running_proxy(port_of(service)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.address)
        with pytest.raises(BarredError, match=told):
            client_for(SECURE, tmp_path, patience=30).list_page("/models", ())
    assert len(proxy.asked) == 1


@pytest.mark.parametrize("content", [None, b"", b"no certificate"], ids=["no file", "empty", "other text"])
@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
def test_a_file_without_certificates_is_named_by_its_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, content: bytes | None
) -> None:
    file = tmp_path / "certificates.pem"
    if content is not None:
        file.write_bytes(content)
    monkeypatch.setenv(variable, str(file))
    with pytest.raises(NetworkError, match=f"{variable}: '{file}' cannot be read as certificates"):
        client_for(SECURE, tmp_path)
    client_for(PLAIN, tmp_path)


CHALLENGES = [
    Reply(b"<!DOCTYPE html><title>Just a moment...</title>", 403, {"Content-Type": "text/html; charset=UTF-8"}),
    Reply(b" \n<html>Attention required</html>", 403),
    Reply({"error": "who are you?"}, 403, {"cf-mitigated": "challenge"}),
]


@pytest.mark.parametrize("challenge", CHALLENGES, ids=["content type", "HTML", "header"])
def test_a_challenge_passes(service: Service, tmp_path: Path, challenge: Reply) -> None:
    service.replies("/models", *3 * [challenge], PAGE)
    service.replies("/models/1", challenge, Reply({"id": 1}))
    client = client_for(service.api_url, tmp_path, patience=30, max_attempts=2)
    assert len(client.list_page("/models", ()).items) == 1, "it is not one page that is broken"
    assert len(client.document("/models/1", ()).items) == 1
    service.replies("/models", challenge)
    with pytest.raises(OutageError, match="answered 403 with a page for people"):
        client_for(service.api_url, tmp_path).list_page("/models", ())


def test_a_change_that_meets_a_challenge_was_not_made(service: Service, tmp_path: Path) -> None:
    service.posts["/vault"] = lambda _: CHALLENGES[0]
    with pytest.raises(UnconfirmedError) as error:
        client_for(service.api_url, tmp_path).change("/vault", (), b"{}", lambda: None)
    assert error.value.ended


@pytest.mark.parametrize("refusal", [Reply({"error": "Forbidden"}, 403), Reply(b"", 403), Reply(b"Forbidden", 403)])
def test_a_403_of_the_service_itself_is_final(service: Service, tmp_path: Path, refusal: Reply) -> None:
    service.replies("/models", refusal)
    with pytest.raises(RefusedError, match="403"):
        client_for(service.api_url, tmp_path, patience=30).list_page("/models", ())
    assert len(service.requests) == 1
