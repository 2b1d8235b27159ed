"""The Prefect server of `civitai-etl serve`: its address, its environment, and its process."""

import ipaddress
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from flows.cli.server_log import write_in_background
from pipelines.errors import CivitaiEtlError
from pipelines.network import with_direct_loopback
from pipelines.settings import Settings

#: Seconds until a Prefect server answers. The first start makes its database and took 20 to 40 s on two cores.
SERVER_START_SECONDS = 180
#: Seconds that runs and a server have to end by themselves.
GRACE_SECONDS = 20.0
LOOPBACK = "127.0.0.1"
#: The status of an answer to a client without the password.
_LOGIN = 401
#: Prefect's setting of the user and password that its server asks for, and the one of its clients.
SERVER_AUTH, CLIENT_AUTH = "PREFECT_SERVER_API_AUTH_STRING", "PREFECT_API_AUTH_STRING"


class PrefectServerError(CivitaiEtlError):
    """The Prefect server does not start, or the server or the runner does not work."""


def prefect_environment(settings: Settings) -> dict[str, str]:
    """The environment that Prefect needs before its import: its files are in the data directory, it sends no telemetry,
    it uses no proxy for its server on this machine, and it shows a server of ours the password that it asks for.
    """
    password = os.environ.get(CLIENT_AUTH) or os.environ.get(SERVER_AUTH)
    return {
        "PREFECT_HOME": str(settings.directory.prefect),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        # Half of all cold starts miss the default of 20 s and leave a half-migrated database behind.
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "90",
        # A lease in memory would be lost in a power cut, but its slot in the database would stay taken.
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
        # The runs are separate processes. They find the same tables from any working directory.
        "CIVITAI_ETL_DATA_DIR": str(settings.data_dir),
        **({CLIENT_AUTH: password} if password else {}),
        **with_direct_loopback(),
    }


@dataclass(frozen=True)
class OwnServer:
    """A Prefect server that this process has started: the address of its API, its process, and its log."""

    api_url: str
    process: "subprocess.Popen[bytes]"
    log: Path

    def ended(self) -> str | None:
        code = self.process.poll()
        return None if code is None else f"The Prefect server ended with code {code} (see {self.log})."


def check_api_url(url: str, origin: str) -> None:
    """Refuse an invalid address. Prefect would start its own server for it, or fail at import.

    Raises:
        PrefectServerError: `url` is not the address of an API; `origin` says where it comes from.
    """
    try:
        parts = urlsplit(url)
        is_address = (
            parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and url.isprintable()
        )
    except ValueError:
        is_address = False
    if not is_address:
        raise PrefectServerError(
            f"{origin} has {url!r}, which is no address of a Prefect server: it is one as in http://127.0.0.1:4200/api."
        )


def refusal(api_url: str, status: int) -> str:
    """What an answer of a server that is no success means, in a sentence without its point."""
    advice = f": set {CLIENT_AUTH} to its user:password (PREFECT_API_KEY for Prefect Cloud)" if status == _LOGIN else ""
    return f"The Prefect server at {api_url} answers {status}{advice}"


def check_host(host: str) -> None:
    """Refuse to offer Prefect's pages to other machines without a password: they can start runs.

    Raises:
        PrefectServerError: `host` is not loopback, and the server would ask for no password.
    """
    if not is_loopback(host) and not os.environ.get(SERVER_AUTH):
        raise PrefectServerError(
            f"Whoever reaches {host} could start runs: set {SERVER_AUTH}=user:password, or leave out --host to serve "
            "this machine alone."
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address to listen on."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@contextmanager
def prefect_server(settings: Settings, port: int, host: str = LOOPBACK) -> Iterator[OwnServer]:
    """A Prefect server as a child process that listens on `host`, for the length of the block.

    Meanwhile the data directory has the address of its API, for `civitai-etl doctor`.

    Raises:
        PrefectServerError: the port is taken, or the server does not come up.
    """
    reached = _reached_at(host)
    if is_taken(port, reached):
        raise PrefectServerError(
            f"Something listens on {reached}:{port}: choose another port with --port, or, if it is a Prefect server, "
            f"set PREFECT_API_URL=http://{_in_url(reached)}:{port}/api to use it."
        )
    api_url = f"http://{_in_url(reached)}:{port}/api"
    home = settings.directory.prefect
    home.mkdir(parents=True, exist_ok=True)
    log = home / "server.log"
    environment = os.environ | prefect_environment(settings) | {"PREFECT_API_URL": api_url}
    # A browser on another machine reaches the server by a name that is not known here.
    environment.setdefault("PREFECT_UI_API_URL", api_url if is_loopback(host) else "/api")
    server_command = ["-m", "prefect", "server", "start", "--host", host, "--port", str(port)]
    record = processes_directory(settings) / "server.json"
    command = [sys.executable, "-P", "-m", "flows.supervised", str(os.getpid()), str(record), *server_command]
    with subprocess.Popen(  # noqa: S603
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        # Ctrl-C in a terminal goes to its whole group. The runs need their server until they have reported their end.
        start_new_session=True,
    ) as server:
        assert server.stdout
        writing = write_in_background(server.stdout, log)
        try:
            own = OwnServer(api_url, server, log)
            _wait_for(own)
            api_url_file(settings).write_text(api_url)
            yield own
        finally:
            api_url_file(settings).unlink(missing_ok=True)
            _end(server)
            writing.join(timeout=GRACE_SECONDS)
            record.unlink(missing_ok=True)


def is_taken(port: int, host: str = LOOPBACK) -> bool:
    """Whether a program listens on that port of this machine."""
    try:
        with socket.create_connection((host, port), timeout=2):
            return True
    except OSError:
        return False


def api_url_file(settings: Settings) -> Path:
    """The file that has the address of the server of `serve` while it runs."""
    return settings.directory.prefect / "api_url"


def processes_directory(settings: Settings) -> Path:
    """The record of the server's process (`flows.supervised`)."""
    return settings.directory.prefect / "processes"


def runs_directory(settings: Settings) -> Path:
    """The records of the processes of runs, by the ids of the runs."""
    return processes_directory(settings) / "runs"


def _reached_at(host: str) -> str:
    """Where this machine reaches a server that listens on `host`."""
    return {"0.0.0.0": LOOPBACK, "::": "::1"}.get(host, host)  # noqa: S104


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _end(server: "subprocess.Popen[bytes]") -> None:
    # It does not take SIGTERM (`flows.supervised`).
    server.send_signal(signal.SIGINT)
    try:
        server.wait(timeout=GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()


def _wait_for(server: OwnServer) -> None:
    print(f"Starting a Prefect server (its log: {server.log}) ...", file=sys.stderr)
    deadline = time.monotonic() + SERVER_START_SECONDS
    directly = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while time.monotonic() < deadline:
        if ended := server.ended():
            raise PrefectServerError(ended)
        try:
            with directly.open(f"{server.api_url}/health", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise PrefectServerError(f"The Prefect server did not answer within {SERVER_START_SECONDS} s; see {server.log}.")
