"""The application `civitai-etl`: what all groups of commands share."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Group, Parameter, Token
from cyclopts.validators import MutuallyExclusive, Number

from flows.reporting import logs

if TYPE_CHECKING:
    from pipelines.settings import Settings

Port = Annotated[int, Parameter(validator=Number(gte=1, lt=2**16))]
PortOrAny = Annotated[int, Parameter(validator=Number(gte=0, lt=2**16))]


def _path(_: type[Path], tokens: Sequence[Token]) -> Path:
    """A path that is not empty: an empty one is an unset shell variable, not the working directory."""
    if not tokens[0].value:
        raise ValueError("the path is empty")
    return Path(tokens[0].value)


#: A command that writes can wait for another one.
Wait = Annotated[
    bool, Parameter(negative="", help="Wait while another process writes, at most `CIVITAI_ETL_WAIT_MINUTES`.")
]
NamedPath = Annotated[Path, Parameter(converter=_path)]

WRONG_USAGE = 2
PARTIAL = 3
INTERRUPTED = 130

EXIT_CODES = """\
Exit codes: 0 done; 1 failed (one line says why); 2 wrong usage; 3 the snapshot is partial, or vault and plan do not \
agree; 4 stale, a problem of `--fail-on`, or nothing published; 5 stopped for a snapshot that waited; 130 interrupted. \
Settings come from the environment or `.env`: see `civitai-etl doctor`.
"""


def _version() -> str:
    from importlib.metadata import version

    return version("civitai-etl")


app = App(
    name="civitai-etl",
    help="Daily snapshots of the Civitai catalogue as analytics tables, with the history that the service forgets.",
    help_epilogue=EXIT_CODES,
    version=_version,
    help_format="markdown",
    suppress_keyboard_interrupt=False,
    result_action="return_value",
)
_LOG = app.meta.group_parameters = Group("Log")
_ONE_OF = Group("How much", validator=MutuallyExclusive(), show=False)  # type: ignore[no-untyped-call]
HowMuch = Annotated[bool, Parameter(negative="", group=(_LOG, _ONE_OF))]


@app.meta.default
def any_command(
    *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    quiet: HowMuch = False,
    verbose: HowMuch = False,
    log_format: logs.LogFormat = "text",
) -> int | None:
    """Run a command with the options that all have.

    Parameters
    ----------
    tokens
        The command and its own arguments.
    quiet
        Show problems and results only. A good snapshot, refresh, rebuild or compact prints nothing, as cron wants it.
    verbose
        Show more: each attempt at a request that failed, and the seconds of each phase.
    log_format
        What is written to standard error: lines for people, or a JSON object per line.
    """
    run = logs.run_id(tokens[0] if tokens else "help")
    logs.log_to_standard_error(run, quiet=quiet, verbose=verbose, log_format=log_format)
    code: int | None = app(tokens, exit_on_error=False, print_error=True)
    return code


def read_settings() -> "Settings":
    """The settings of this run. From now on the data directory keeps its log.

    Raises:
        SettingsError: a setting is not valid.
    """
    from pipelines.settings import Settings

    settings = Settings()
    logs.log_to_file(settings.directory.logs)
    return settings
