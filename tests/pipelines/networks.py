"""A network around the loopback services of the tests: a proxy that alone knows their names, and an authority."""

import select
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

#: What the key of an authority is for: newer versions of Python insist that its certificate says so.
_OTHER_USES = (
    "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
    "encipher_only", "decipher_only",
)  # fmt: skip
_USES = {"key_cert_sign": True, "crl_sign": True} | dict.fromkeys(_OTHER_USES, False)
#: A name that no resolver knows.
HOST = "civitai.invalid"


@dataclass
class RunningProxy:
    """Brings whatever it is asked for to `port`. `asked` are the first lines of all that came, `authorized` what they
    had to say of who asks. A `status` is its answer to everything; with `drips`, it never ends an answer.
    """

    address: str = ""
    port: int = 0
    status: int = 200
    drips: bool = False
    asked: list[str] = field(default_factory=list)
    authorized: list[str | None] = field(default_factory=list)


class _Server(ThreadingHTTPServer):
    def __init__(self, proxy: RunningProxy) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.proxy = proxy

    def handle_error(self, *_: object) -> None: ...


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_CONNECT(self) -> None:
        if self.is_let_through():
            with socket.create_connection(("127.0.0.1", self.server.proxy.port)) as service:
                self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
                between(self.connection, service)

    def do_GET(self) -> None:
        if self.is_let_through():
            service = HTTPConnection("127.0.0.1", self.server.proxy.port)
            parts = urlsplit(self.path)
            service.request("GET", urlunsplit(("", "", parts.path, parts.query, "")), headers=dict(self.headers))
            answer = service.getresponse()
            self.send_response_only(answer.status)
            for name, value in answer.getheaders():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.read())
            service.close()

    def is_let_through(self) -> bool:
        proxy = self.server.proxy
        proxy.asked.append(self.requestline)
        proxy.authorized.append(self.headers["Proxy-Authorization"])
        while proxy.drips:
            self.wfile.write(b"X")
            time.sleep(0.05)
        if proxy.status != 200:
            self.send_error(proxy.status)
        return proxy.status == 200

    def log_message(self, *_: object) -> None: ...


@contextmanager
def running_proxy(port: int, tls: ssl.SSLContext | None = None) -> Iterator[RunningProxy]:
    proxy = RunningProxy(port=port)
    server = _Server(proxy)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    proxy.address = f"http{'s' if tls else ''}://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield proxy
    finally:
        proxy.drips = False
        server.shutdown()
        server.server_close()


def between(one: socket.socket, other: socket.socket) -> None:
    """Bring to each what the other sends, until one of them has ended."""
    with suppress(OSError):
        while True:
            # Of what TLS has decrypted already, `select` knows nothing.
            pending = [one] if isinstance(one, ssl.SSLSocket) and one.pending() else []
            for ready in pending or select.select([one, other], [], [])[0]:
                if not (piece := ready.recv(65536)):
                    return
                (other if ready is one else one).sendall(piece)


class Authority:
    """A certificate authority that nobody knows; its own certificate is in the file `certificates`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "An authority of its own")])
        is_ca, signs = x509.BasicConstraints(ca=True, path_length=0), x509.KeyUsage(**_USES)
        own = self._certificate(self._name, self._key, timedelta(days=1), is_ca, signs)
        self.certificates = directory / "authority.pem"
        self.certificates.write_bytes(own)

    def server(self, host: str = HOST, lasts: timedelta = timedelta(days=1)) -> ssl.SSLContext:
        """What a server of that name needs; its certificate has run out if it lasts for a negative time."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
        names = [x509.DNSName(host), x509.DNSName("localhost"), *_addresses(host)]
        signed = self._certificate(subject, key, lasts, x509.SubjectAlternativeName(names))
        both = self._directory / "server.pem"
        both.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + signed)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(both)
        return context

    def _certificate(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, lasts: timedelta, *extensions: x509.ExtensionType
    ) -> bytes:
        now = datetime.now(UTC)
        of_key, of_issuer = key.public_key(), self._key.public_key()
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(of_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=2))
            .not_valid_after(now + lasts)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(of_key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(of_issuer), critical=False)
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=not isinstance(extension, x509.SubjectAlternativeName))
        return builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM)


def _addresses(host: str) -> list[x509.GeneralName]:
    return [x509.IPAddress(ip_address("127.0.0.1"))] if host == "localhost" else []
