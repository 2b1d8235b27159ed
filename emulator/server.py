"""Puts the emulator together and runs it on 127.0.0.1."""

import errno
import socket
from datetime import date
from email.utils import format_datetime
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from emulator.clock import Clock, open_world
from emulator.control import Control
from emulator.faults import BadFaultsError, read_faults
from emulator.faulty import Faulty
from emulator.member import Member
from emulator.parameters import BadParameterError
from emulator.routes.live.answers import AnswerError, answer_error, answer_other_error
from emulator.routes.live.api import live_routes
from emulator.routes.live.service import LiveService
from emulator.routes.spec import BASE_PATH, SpecificationApi, answer_bad_parameter, answer_http_error
from emulator.service import Service
from emulator.simulation.columns import NotSimulatedError
from emulator.workers import Workers, default_count

HOST = "127.0.0.1"
DEFAULT_PORT = 8377
DIALECTS = ("spec", "live")


class CannotServeError(Exception):
    """The emulator cannot start; the text says in one line why and what to do."""


def make_application(
    clock: Clock, key: str, *, control: bool = False, dialect: str = "spec", faults: str = "", workers: int = 0
) -> ASGIApp:
    """The ASGI application: the Site API with its faults and, if requested, the control endpoint.

    Raises:
        BadFaultsError: the faults are not valid.
    """
    member = Member()
    service = Service(clock, key, member, Workers(workers))
    live = LiveService(service) if dialect == "live" else None
    application = Starlette(
        routes=live_routes(live) if live else SpecificationApi(service).routes(),
        exception_handlers={
            BadParameterError: answer_bad_parameter,
            NotSimulatedError: answer_bad_parameter,
            AnswerError: answer_error,
            HTTPException: answer_other_error if live else answer_http_error,
        },
    )
    faulty = Faulty(application, clock, dialect, read_faults(faults))
    if control:
        application.routes.extend(Control(clock, member, live, faulty).routes())

    async def with_date(scope: Scope, receive: Receive, send: Send) -> None:
        """Every answer has the emulator's time, which a client uses as the service's."""

        async def send_dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                now = format_datetime(clock.catalogue().now, usegmt=True)
                message["headers"] = [*message["headers"], (b"date", now.encode())]
            await send(message)

        # A fault that closes the connection needs the server's own `send`.
        await faulty({**scope, "connection": send}, receive, send_dated)

    return with_date


def serve(
    *,
    port: int = DEFAULT_PORT,
    models: int = 2000,
    seed: int = 1,
    on: date | None = None,
    dialect: str = "spec",
    catalogue: Path | None = None,
    key: str = "test-key",
    control: bool = False,
    faults: str = "",
    workers: int | None = None,
) -> None:
    """Serves until it is interrupted or terminated, and prints its address when it answers.

    Args:
        port: 0 takes any free one.
        models: size of the simulated catalogue on 2026-01-01.
        seed: of the simulated catalogue.
        on: the date of the emulator's clock; None follows the real one.
        dialect: "spec" for the service as specified, "live" for the service as it answers today.
        catalogue: documents to serve instead of a simulation (NDJSON, .zst or not).
        key: the bearer key that the service knows.
        control: whether to offer /control.
        faults: the faults, in the language of `emulator.faults`.
        workers: processes that make the documents of model lists (`emulator.workers`); None for one per core if the
            simulated catalogue is large, else for none.

    Raises:
        CannotServeError: an option is not valid, the file cannot be read, or the port is taken.
    """
    if dialect not in DIALECTS:
        raise CannotServeError(f"there is no dialect {dialect!r}; the dialects are {' and '.join(DIALECTS)}")
    if catalogue is not None:
        workers = 0  # its documents are made already
    elif workers is None:
        workers = default_count(models)
    if workers < 0:
        raise CannotServeError(f"there are no {workers} workers; 0 makes all documents in one process")
    # Declared as TCP, because asyncio turns Nagle's delay (40 ms an answer) off only for such sockets.
    with socket.socket(proto=socket.IPPROTO_TCP) as listener:
        _listen(listener, port)
        try:
            clock = Clock(open_world(models, seed, catalogue), on)
            application = make_application(clock, key, control=control, dialect=dialect, faults=faults, workers=workers)
        except (OSError, NotSimulatedError, BadFaultsError) as error:
            raise CannotServeError(str(error)) from None
        config = uvicorn.Config(
            application,
            access_log=False,
            log_level="warning",
            lifespan="off",
            date_header=False,
            server_header=False,
            timeout_graceful_shutdown=1,
        )
        print(f"http://{HOST}:{listener.getsockname()[1]}{BASE_PATH}", flush=True)
        uvicorn.Server(config).run(sockets=[listener])


def _listen(listener: socket.socket, port: int) -> None:
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen(128)
    except OSError as error:
        reason = "is taken" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
        raise CannotServeError(f"port {port} on {HOST} {reason}; choose another, or 0 for any") from None
