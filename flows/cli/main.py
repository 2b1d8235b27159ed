"""The command line `civitai-etl`.

The heavy packages (dlt, DuckDB, polars, Prefect, marimo, the emulator) are imported inside the command that needs them,
so `--help` answers at once. An error that a person can act on is one line on standard error. Any other error keeps its
traceback, because it is a bug.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import cast

from cyclopts import CycloptsError

# Each group registers its commands.
from flows.cli import (  # noqa: F401
    backup_commands,
    decision_commands,
    pipeline_commands,
    query_commands,
    service_commands,
    vault_commands,
)
from flows.cli.app import INTERRUPTED, WRONG_USAGE, app
from flows.reporting import logs
from flows.reporting.console import OutputError, open_standard_streams, set_least_width
from pipelines.errors import CivitaiEtlError

#: The text of DuckDB's error when Ctrl-C ends a query.
_INTERRUPTED_QUERY = ("Query interrupted", "INTERRUPT Error: Interrupted!")


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    try:
        code = _run(arguments)
    except BrokenPipeError:
        # The reader closed our output (`| head`). Python would complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except SystemExit as end:
        # Rich, which writes help and tables, ends the program itself in this case.
        if not isinstance(end.__context__, BrokenPipeError):
            raise
        code = 0
    sys.exit(code)


def _run(arguments: list[str] | None) -> int:
    try:
        _refuse_lost_letters(sys.argv[1:])
        with _interruptions():
            code = app.meta(arguments, exit_on_error=False, print_error=True)
        sys.stdout.flush()
    except CycloptsError:
        return WRONG_USAGE
    except CivitaiEtlError as error:
        logs.error(" ".join(str(error).splitlines()))
        return error.exit_code
    except UnicodeEncodeError as error:
        # Paths may have bytes that are not text. Other arguments must be text.
        wrong = [each for each in arguments or sys.argv[1:] if error.object[error.start] in each]
        if not wrong or error.reason != "surrogates not allowed":
            raise
        logs.error(f"{wrong[0]} is no UTF-8 text: give it in UTF-8.")
        return 1
    except MemoryError:
        logs.error(
            "There is not enough memory: raise the limit of this process, if any (`ulimit -v`), or use a larger "
            "machine."
        )
        return 1
    except KeyboardInterrupt:
        logs.error("interrupted; the next run continues from what was loaded.")
        return INTERRUPTED
    except Exception:
        logs.LOG.exception("An error that is a bug", extra=logs.SHOWN)
        raise
    return code or 0  # the help has no code


@contextmanager
def _interruptions() -> Iterator[None]:
    """Raises Ctrl-C again after DuckDB turned it into an error during a query; other libraries wrap that error."""
    try:
        yield
    except Exception as error:
        from pipelines.storage.directory import chain

        if any(isinstance(cause, KeyboardInterrupt) or str(cause) in _INTERRUPTED_QUERY for cause in chain(error)):
            raise KeyboardInterrupt from None
        raise


def _refuse_lost_letters(arguments: Sequence[str]) -> None:
    """Refuse a Python that does not read arguments as UTF-8: it would write to wrong paths."""
    encoding = sys.getfilesystemencoding()
    if encoding != "utf-8" and not all(map(str.isascii, arguments)):
        raise CivitaiEtlError(f"Python takes arguments for {encoding} here: unset PYTHONUTF8, or set a UTF-8 locale.")


def console_script() -> None:
    """Run `main` and exit at once. Everything is written and closed by then, and Python would take half a second to
    free the libraries' objects.
    """
    open_standard_streams()
    set_least_width()
    try:
        main()
    except SystemExit as end:
        # What was printed before an error. If that cannot be written, the error was that, or is the one to report.
        with suppress(OutputError, BrokenPipeError):
            sys.stdout.flush()
        sys.stderr.flush()
        os._exit(cast("int", end.code))
