"""The application `civitai-etl`: what all groups of commands share."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter, Token
from cyclopts.validators import Number

if TYPE_CHECKING:
    from pipelines.settings import Settings

Port = Annotated[int, Parameter(validator=Number(gte=1, lt=2**16))]
PortOrAny = Annotated[int, Parameter(validator=Number(gte=0, lt=2**16))]


def _path(_: type[Path], tokens: Sequence[Token]) -> Path:
    """A path that is not empty: an empty one is an unset shell variable, not the working directory."""
    if not tokens[0].value:
        raise ValueError("the path is empty")
    return Path(tokens[0].value)


NamedPath = Annotated[Path, Parameter(converter=_path)]

WRONG_USAGE = 2
PARTIAL = 3
INTERRUPTED = 130

EXIT_CODES = """\
Exit codes: 0 done; 1 failed (one line says why); 2 wrong usage; 3 the snapshot is partial, or vault and plan do not \
agree; 4 stale, a problem of `--fail-on`, or nothing published; 130 interrupted. Settings come from the environment or \
`.env`: see `civitai-etl doctor`.
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


def read_settings() -> "Settings":
    """The settings of this run.

    Raises:
        SettingsError: a setting is not valid.
    """
    from pipelines.settings import Settings

    return Settings()
