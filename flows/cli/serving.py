"""`civitai-etl serve`: runs the flows on their schedules on one machine, with its own Prefect server if necessary.

However it ends, its server and its runs end with it (`flows.supervised`), and no run stays Running: what it could not
report itself, the next `serve` reports when it starts.
"""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows import lost_server
from flows.cli.prefect_server import (
    GRACE_SECONDS,
    LOOPBACK,
    OwnServer,
    PrefectServerError,
    check_api_url,
    check_host,
    prefect_environment,
    prefect_server,
    processes_directory,
    refusal,
    runs_directory,
)
from flows.reporting.text import plain
from flows.supervised import VARIABLE, end_left_behind, forget, recorded
from pipelines.errors import CivitaiEtlError
from pipelines.network import check_network
from pipelines.settings import Settings
from pipelines.storage.directory import prepare_directory, storage_errors
from pipelines.storage.lock import has_locked

if TYPE_CHECKING:
    import httpx
    from prefect.runner import Runner

#: Seconds between two checks, and how long the same problem has to last.
PAUSE, PATIENCE = 10.0, 180.0
#: What the server shows of a run whose process is gone.
ENDED = "`civitai-etl serve` was ended while it ran."
LOST = "Its process is gone: `civitai-etl serve` or the machine went down, and it could not report its end."


class AlreadyServedError(CivitaiEtlError):
    """Another `serve` works for this data directory."""


def serve_flows(settings: Settings, port: int, host: str = LOOPBACK) -> int:
    """Register the deployments and run what their schedules ask for, until it is interrupted or terminated.

    Raises:
        AlreadyServedError: another `serve` works for this data directory.
        NetworkError: the environment names a proxy or authorities that cannot be used.
        PrefectServerError: the address is not that of a server, no server starts, or the server or the runner does not
            work.
    """
    check_network()
    check_host(host)
    given = os.environ.get("PREFECT_API_URL")
    if given:
        check_api_url(given, "PREFECT_API_URL")
    prepare_directory(settings.data_dir)
    os.environ.update(prefect_environment(settings))
    # Until the runner takes over: the server must not be left behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with one_serve(settings.data_dir):
        left = end_left_behind(processes_directory(settings)) + end_left_behind(runs_directory(settings))
        if left:
            ids = ", ".join(map(str, left))
            print(f"An earlier `civitai-etl serve` had left processes behind, which were ended: {ids}", file=sys.stderr)
        if given:
            _serve(settings, given, None)
            return 0
        with prefect_server(settings, port, host) as server:
            os.environ["PREFECT_API_URL"] = server.api_url
            _serve(settings, server.api_url, server)
    return 0


@contextmanager
def one_serve(data_dir: Path) -> Iterator[None]:
    """Hold the lock of the one `serve` of a data directory for the length of the block. The kernel releases it when the
    process ends in any way.

    Raises:
        AlreadyServedError: another process has it; names the process.
    """
    with storage_errors(data_dir):
        descriptor = os.open(data_dir / "serve.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        if not has_locked(descriptor):
            holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
            raise AlreadyServedError(
                f"Another `civitai-etl serve` (process {holder}) works for {data_dir}: end it first, or set "
                "CIVITAI_ETL_DATA_DIR to another directory."
            )
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _serve(settings: Settings, api_url: str, server: OwnServer | None) -> None:
    import httpx

    from flows.cli.flow_runner import FlowRunner
    from flows.deployments import deployments

    to_serve = deployments(settings)
    runner = FlowRunner()
    try:
        for one in to_serve:
            runner.add_deployment(one.to_serve())
    except httpx.HTTPError as error:
        raise PrefectServerError(_no_use(api_url, error)) from error
    lines = [one.line() for one in to_serve]
    lines.append(f"Prefect is at {api_url.removesuffix('/api')} (Ctrl-C ends it)")
    print("\n".join(lines), file=sys.stderr, flush=True)
    lost_server.leave_out_its_lines()
    os.environ[VARIABLE] = f"{os.getpid()} {runs_directory(settings).absolute()}"
    try:
        # The runner prints tracebacks about a lost server on standard output, where `serve` writes nothing.
        with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
            reason = asyncio.run(_run_watched(runner, settings, [one.full_name for one in to_serve], server))
    except KeyboardInterrupt:
        return
    except httpx.HTTPError as error:
        raise PrefectServerError(_no_use(api_url, error)) from error
    if reason:
        raise PrefectServerError(reason)


def _no_use(api_url: str, error: "httpx.HTTPError") -> str:
    import httpx

    if isinstance(error, httpx.HTTPStatusError):
        return f"{refusal(api_url, error.response.status_code)}."
    return f"The Prefect server at {api_url} does not answer: {error}"


async def _run_watched(
    runner: "Runner", settings: Settings, names: Sequence[str], server: OwnServer | None
) -> str | None:
    """Run what is due until somebody ends it or a problem lasts; returns the problem."""
    from flows.cli.watchdog import watch

    runs = RunRecords(runs_directory(settings), names, is_alone=server is not None)
    await _catch_up(settings, runs)
    running = asyncio.ensure_future(runner.start())
    # Ctrl-C is like SIGTERM, whose handler the runner sets. Without it asyncio cancels the runner, and no run reports.
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, runner.handle_sigterm)
    watching = asyncio.ensure_future(
        watch(
            names,
            server.log if server else None,
            server.ended if server else lambda: None,
            pause=PAUSE,
            patience=PATIENCE,
        )
    )
    going_on = asyncio.ensure_future(_go_on_after_kills(runner))
    for task in (running, watching, going_on):
        task.add_done_callback(_take_note)
    await asyncio.wait({running, watching}, return_when=asyncio.FIRST_COMPLETED)
    going_on.cancel()
    if runner.stopping:
        watching.cancel()
        await asyncio.wait({running}, timeout=GRACE_SECONDS)
        await runs.settle_at_the_end()
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
    await runs.settle_at_the_end()
    return reason


def _take_note(task: "asyncio.Future[Any]") -> None:
    # When a server dies, several of them fail at once, and one reason is told. Asyncio prints a traceback for an error
    # that nobody has asked for.
    if not task.cancelled():
        task.exception()


@dataclass(frozen=True)
class RunRecords:
    """The runs that this data directory knows (`flows.supervised`), and the deployments whose runs they are."""

    directory: Path
    deployment_names: Sequence[str]
    is_alone: bool

    async def settle(self, message: str) -> list[str]:
        """End the processes of runs that are left, report their runs and forget them; returns the names of the runs."""
        from flows.interrupted import report_lost

        end_left_behind(self.directory)
        own = None if self.is_alone else {path.stem for path, _ in recorded(self.directory)}
        lost = await report_lost(self.deployment_names, own, message)
        forget(self.directory)
        return lost

    async def settle_at_the_end(self) -> None:
        """The same when `serve` ends. If the server does not answer, the next `serve` does it."""
        import httpx

        with suppress(TimeoutError, httpx.HTTPError):
            async with asyncio.timeout(GRACE_SECONDS):
                await self.settle(ENDED)


async def _catch_up(settings: Settings, runs: RunRecords) -> None:
    """Report runs without a process, and continue the nightly run of today that was cut off, or make up for it."""
    from flows.deployments import DAILY
    from flows.interrupted import go_on
    from flows.missed import make_up

    for name in await runs.settle(LOST):
        print(f"The run {name} had lost its process and is marked as crashed", file=sys.stderr, flush=True)
    if again := await go_on(DAILY, datetime.now(UTC)):
        print(f"{DAILY}: the run {again.name} of today was cut off and goes on", file=sys.stderr, flush=True)
    elif instead := await make_up(DAILY, settings):
        print(f"{DAILY}: the run of today was missed; {instead} begins in its place", file=sys.stderr, flush=True)


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


async def _go_on_after_kills(runner: "Runner") -> None:
    """Continue the nightly run when its process was killed alone, for example because memory ran out.

    A run that ends with the runner is for the next `serve`.
    """
    import httpx
    from prefect.exceptions import ObjectNotFound

    from flows.deployments import DAILY
    from flows.interrupted import go_on

    while True:
        await asyncio.sleep(PAUSE)
        if runner.stopping:
            return
        # A server that does not answer, or lost its deployments, is for the watchdog.
        with suppress(httpx.HTTPError, ObjectNotFound):
            if again := await go_on(DAILY):
                when = f"{again.begins:%H:%M:%S} UTC"
                print(f"{DAILY}: the run {again.name} was killed and goes on at {when}", file=sys.stderr, flush=True)
