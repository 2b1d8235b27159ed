"""`civitai-etl serve`: the flows on their schedules, on one machine, with its own Prefect server if need be."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipelines.errors import CivitaiEtlError
from pipelines.settings import Settings
from pipelines.storage import prepare_directory

#: Seconds until a Prefect server answers; the first start makes its database and took 20 to 40 s on two cores.
SERVER_START_SECONDS = 180


class PrefectServerError(CivitaiEtlError):
    """The Prefect server does not start."""


def prefect_environment(settings: Settings) -> dict[str, str]:
    """What Prefect has to know before it is imported: its files lie in the data directory, and it tells nobody."""
    return {
        "PREFECT_HOME": str(settings.data_dir / "prefect"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        # Half of all cold starts miss the default of 20 s and leave a half-migrated database behind.
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "90",
        # Kept in memory, a lease would be lost in a power cut while the slot that it holds stays taken in the database.
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
        # The runs are processes of their own: they find the same tables from wherever they are started.
        "CIVITAI_ETL_DATA_DIR": str(settings.data_dir),
    }


def serve_flows(settings: Settings, port: int) -> int:
    """Register the deployments and run what their schedules ask for, until it is interrupted or terminated.

    Raises:
        PrefectServerError: no server is given and none starts.
    """
    prepare_directory(settings.data_dir)
    os.environ.update(prefect_environment(settings))
    given = os.environ.get("PREFECT_API_URL")
    if given:
        _serve(given)
        return 0
    with prefect_server(settings, port) as api_url:
        os.environ["PREFECT_API_URL"] = api_url
        _serve(api_url)
    return 0


def _serve(api_url: str) -> None:
    import prefect

    from flows.deployments import DEPLOYMENTS

    lines = [deployment.line() for deployment in DEPLOYMENTS]
    lines.append(f"Prefect is at {api_url.removesuffix('/api')} (Ctrl-C ends it)")
    print("\n".join(lines), file=sys.stderr, flush=True)
    to_serve = [deployment.to_serve() for deployment in DEPLOYMENTS]
    # Schedules stay active over a restart: a machine that was down at night must not stay paused for ever.
    prefect.serve(*to_serve, pause_on_shutdown=False, print_starting_message=False)


@contextmanager
def prefect_server(settings: Settings, port: int) -> Iterator[str]:
    """A Prefect server on 127.0.0.1 as a child process, for the length of the block; yields the address of its API.

    Raises:
        PrefectServerError: the port is taken, or the server does not come up.
    """
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            raise PrefectServerError(
                f"Something listens on 127.0.0.1:{port}: choose another port with --port, or, if it is a Prefect "
                f"server, set PREFECT_API_URL=http://127.0.0.1:{port}/api to use it."
            )
    api_url = f"http://127.0.0.1:{port}/api"
    home = settings.data_dir / "prefect"
    home.mkdir(parents=True, exist_ok=True)
    log = home / "server.log"
    environment = os.environ | prefect_environment(settings)
    environment |= {"PREFECT_API_URL": api_url, "PREFECT_UI_API_URL": api_url}
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with (
        log.open("wb") as output,
        subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT) as server,  # noqa: S603
    ):
        try:
            _wait_for(api_url, server, log)
            yield api_url
        finally:
            server.terminate()


def _wait_for(api_url: str, server: "subprocess.Popen[bytes]", log: Path) -> None:
    print(f"Starting a Prefect server (its log: {log}) ...", file=sys.stderr)
    deadline = time.monotonic() + SERVER_START_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise PrefectServerError(f"The Prefect server ended with code {server.returncode}; see {log}.")
        try:
            with urllib.request.urlopen(f"{api_url}/health", timeout=2):  # noqa: S310 (our own address)
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise PrefectServerError(f"The Prefect server did not answer within {SERVER_START_SECONDS} s; see {log}.")
