"""Commands that run until they are stopped: serve, emulator."""

from datetime import date
from typing import Annotated, Literal

from cyclopts import Parameter
from cyclopts.types import PositiveInt

from flows.cli.app import NamedPath, Port, PortOrAny, app, read_settings
from pipelines.errors import CivitaiEtlError


@app.command
def serve(*, port: Port = 4200, host: str = "127.0.0.1", metrics_port: Port | None = None) -> int:
    """Take a snapshot every day and refresh every hour (`CIVITAI_ETL_DAILY_CRON`, `_REFRESH_CRON`).

    Uses the Prefect server of `PREFECT_API_URL`, or else starts one on this machine, with its pages at the port. Runs
    until it is stopped. Without a working server or scheduled runs it ends with code 1, so that a service manager
    starts it again.

    Parameters
    ----------
    port
        Port for the Prefect server that is started.
    host
        Address on which that server listens, and the metrics. Any other than this machine's own needs a password
        (`PREFECT_SERVER_API_AUTH_STRING`), because Prefect's pages can start runs.
    metrics_port
        Port for the metrics of `status --format prometheus`, which need no password. Default: none are offered.
    """
    from flows.cli.alongside import alongside
    from flows.cli.serving import serve_flows

    settings = read_settings()
    with alongside(settings, metrics_port, host):
        return serve_flows(settings, port, host)


@app.command
def emulator(
    *,
    port: PortOrAny = 8377,
    models: PositiveInt = 2000,
    seed: int = 1,
    on: Annotated[date | None, Parameter(name="--date")] = None,
    dialect: Literal["spec", "live"] = "spec",
    catalogue: NamedPath | None = None,
    key: str = "test-key",
    faults: str = "",
    control: bool = False,
) -> int:
    """Serve an emulated Civitai Site API on 127.0.0.1; ends with Ctrl-C.

    Point the pipeline at it with `CIVITAI_ETL_API_URL=http://127.0.0.1:8377/api/v1`.

    Parameters
    ----------
    port
        Port to listen on; 0 takes any free one.
    models
        Models in the simulated catalogue on 2026-01-01. From 50,000 on, one process per core makes the documents.
    seed
        Seed of the simulated catalogue: the same seed and date give the same catalogue.
    on
        UTC date of the emulator's clock. Default: today.
    dialect
        `spec`: as the service's specification says. `live`: as the service answers today.
    catalogue
        A file of real model documents, NDJSON (also with zstd), served as they are instead of a simulated
        catalogue.
    key
        The API key that it knows.
    faults
        Faults, by script or by seeded chance; `python -m emulator serve --help` has the grammar.
    control
        Offer `/control`, which sets the clock, orders faults and reports what the simulation did.
    """
    from emulator.server import CannotServeError
    from emulator.server import serve as serve_emulator

    try:
        serve_emulator(
            port=port,
            models=models,
            seed=seed,
            on=on,
            dialect=dialect,
            catalogue=catalogue,
            key=key,
            faults=faults,
            control=control,
        )
    except CannotServeError as error:
        raise CivitaiEtlError(str(error)) from None
    except KeyboardInterrupt:
        pass  # the way to end it
    return 0
