"""`civitai-etl serve`: runs the flows on their schedules on one machine, with its own Prefect server if necessary."""

import asyncio
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from flows.reporting.text import plain
from pipelines.errors import CivitaiEtlError
from pipelines.network import check_network, with_direct_loopback
from pipelines.settings import Settings
from pipelines.storage.directory import prepare_directory

if TYPE_CHECKING:
    from prefect.runner import Runner

#: Seconds until a Prefect server answers. The first start makes its database and took 20 to 40 s on two cores.
SERVER_START_SECONDS = 180
#: Seconds between two checks, and how long the same problem has to last.
PAUSE, PATIENCE = 10.0, 180.0
#: Seconds that runs and a server have to end by themselves.
GRACE_SECONDS = 20.0


class PrefectServerError(CivitaiEtlError):
    """The Prefect server does not start, or the server or the runner does not work."""


def prefect_environment(settings: Settings) -> dict[str, str]:
    """The environment that Prefect needs before its import: its files are in the data directory, it sends no telemetry,
    and it uses no proxy for its server on this machine.
    """
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


def serve_flows(settings: Settings, port: int) -> int:
    """Register the deployments and run what their schedules ask for, until it is interrupted or terminated.

    Raises:
        NetworkError: the environment names a proxy or authorities that cannot be used.
        PrefectServerError: the address is not that of a server, no server starts, or the server or the runner does not
            work.
    """
    check_network()
    given = os.environ.get("PREFECT_API_URL")
    if given:
        check_api_url(given, "PREFECT_API_URL")
    prepare_directory(settings.data_dir)
    os.environ.update(prefect_environment(settings))
    # Until the runner takes over: the server must not be left behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    if given:
        _serve(settings, given, None)
        return 0
    with prefect_server(settings, port) as server:
        os.environ["PREFECT_API_URL"] = server.api_url
        _serve(settings, server.api_url, server)
    return 0


def _serve(settings: Settings, api_url: str, server: OwnServer | None) -> None:
    import httpx
    from prefect.runner import Runner

    from flows.deployments import deployments

    to_serve = deployments(settings)
    # Schedules stay active over a restart. Otherwise a machine that was down at night would stay paused.
    runner = Runner(pause_on_shutdown=False)
    try:
        for one in to_serve:
            runner.add_deployment(one.to_serve())
    except httpx.HTTPError as error:
        raise PrefectServerError(f"The Prefect server at {api_url} does not take the deployments: {error}") from error
    lines = [one.line() for one in to_serve]
    lines.append(f"Prefect is at {api_url.removesuffix('/api')} (Ctrl-C ends it)")
    print("\n".join(lines), file=sys.stderr, flush=True)
    # This logger reports a lost server with a traceback. The code below reports it in one line.
    logging.getLogger("prefect.FlowRunCancellingObserver").setLevel(logging.ERROR)
    try:
        reason = asyncio.run(_run_watched(runner, [one.full_name for one in to_serve], server))
    except KeyboardInterrupt:
        return
    if reason:
        raise PrefectServerError(reason)


async def _run_watched(runner: "Runner", names: Sequence[str], server: OwnServer | None) -> str | None:
    """Run what is due until somebody ends it or a problem lasts; returns the problem."""
    from flows.cli.watchdog import watch
    from flows.deployments import DAILY
    from flows.interrupted import go_on

    if again := await go_on(DAILY, is_alone=server is not None):
        print(f"{DAILY}: the run {again} of today was cut off and goes on", file=sys.stderr, flush=True)
    running = asyncio.ensure_future(runner.start())
    watching = asyncio.ensure_future(
        watch(
            names,
            server.log if server else None,
            server.ended if server else lambda: None,
            pause=PAUSE,
            patience=PATIENCE,
        )
    )
    await asyncio.wait({running, watching}, return_when=asyncio.FIRST_COMPLETED)
    if runner.stopping:
        watching.cancel()
        await asyncio.wait({running}, timeout=GRACE_SECONDS)
        return None
    if watching.done():
        reason = watching.result()
    else:
        watching.cancel()
        reason = (server.ended() if server else None) or await _why_it_ended(running.exception(), names)
    # The runner asks the server about each run that it ends, and the server may be dead.
    _exit_in(GRACE_SECONDS, reason, server)
    running.cancel()
    await asyncio.wait({running})
    return reason


async def _why_it_ended(error: BaseException | None, names: Sequence[str]) -> str:
    """Why the runner ended by itself: most often it has lost its server."""
    from flows.cli.watchdog import NoAnswerError, look

    try:
        await look(names)
    except NoAnswerError as silence:
        return f"{silence}."
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"The runner of the flows ended: {error or 'without an error'}"


def _exit_in(seconds: float, reason: str, server: OwnServer | None) -> None:
    """End this process after at most `seconds`, even if it waits for something."""

    def end() -> None:
        print(f"civitai-etl: {plain(reason)}", file=sys.stderr, flush=True)
        if server:
            server.process.kill()
        os._exit(PrefectServerError.exit_code)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()


@contextmanager
def prefect_server(settings: Settings, port: int) -> Iterator[OwnServer]:
    """A Prefect server on 127.0.0.1 as a child process, for the length of the block.

    Meanwhile the data directory has the address of its API, for `civitai-etl doctor`.

    Raises:
        PrefectServerError: the port is taken, or the server does not come up.
    """
    if is_taken(port):
        raise PrefectServerError(
            f"Something listens on 127.0.0.1:{port}: choose another port with --port, or, if it is a Prefect server, "
            f"set PREFECT_API_URL=http://127.0.0.1:{port}/api to use it."
        )
    api_url = f"http://127.0.0.1:{port}/api"
    home = settings.directory.prefect
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
            own = OwnServer(api_url, server, log)
            _wait_for(own)
            api_url_file(settings).write_text(api_url)
            yield own
        finally:
            api_url_file(settings).unlink(missing_ok=True)
            _end(server)


def is_taken(port: int) -> bool:
    """Whether a program listens on that port of this machine."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def api_url_file(settings: Settings) -> Path:
    """The file that has the address of the server of `serve` while it runs."""
    return settings.directory.prefect / "api_url"


def _end(server: "subprocess.Popen[bytes]") -> None:
    server.terminate()
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
