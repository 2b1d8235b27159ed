"""Opens the notebooks as a dashboard: marimo, on this machine only."""

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

from flows.cli.prefect_server import is_taken
from pipelines.errors import CivitaiEtlError
from pipelines.settings import Settings


def show(settings: Settings, port: int, *, headless: bool) -> NoReturn:
    """Replace this process with marimo, which serves the notebooks on the data directory and a page that lists them.

    Raises:
        CivitaiEtlError: the port is taken.
    """
    if is_taken(port):
        raise CivitaiEtlError(f"Something listens on 127.0.0.1:{port}: choose another port with --port.")
    command = [sys.executable, "-m", "marimo", "--quiet", "run", *map(str, notebooks())]
    command += ["--host", "127.0.0.1", "--port", str(port), "--no-token"]
    if headless:
        command.append("--headless")
    print(
        f"Dashboard of {settings.directory.analytics} at http://127.0.0.1:{port} (Ctrl-C ends it)",
        file=sys.stderr,
        flush=True,
    )
    environment = os.environ | {"CIVITAI_ETL_DATA_DIR": str(settings.data_dir), "MARIMO_SKIP_UPDATE_CHECK": "1"}
    os.execve(sys.executable, command, environment)  # noqa: S606 (our own notebooks; signals reach marimo itself)


def notebooks() -> list[Path]:
    """The files of the notebooks, in a checkout or an installation."""
    package = find_spec("notebooks")
    if package is None or not package.submodule_search_locations:
        raise AssertionError("the package `notebooks` belongs to civitai-etl")
    return sorted(Path(package.submodule_search_locations[0]).glob("[!_]*.py"))
