"""The command line as a child process, against an emulator that is a process too."""

import io
import os
import subprocess
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from emulator.launch import launch
from flows.cli.main import main
from flows.reporting.logs import stop_logging

COMMAND = Path(sys.executable).with_name("civitai-etl")


@dataclass
class CommandLine:
    """`civitai-etl` with the settings of one test."""

    directory: Path
    settings: dict[str, str] = field(default_factory=dict)
    #: What stands before the command, such as a change of user.
    prefix: tuple[str, ...] = ()

    @property
    def data_dir(self) -> Path:
        return Path(self.settings["CIVITAI_ETL_DATA_DIR"])

    def start(self, *arguments, **options):
        # Working in an empty directory: no .env of whoever runs the tests is read.
        return subprocess.Popen(
            [*self.prefix, COMMAND, *map(str, arguments)],
            env=os.environ | self.settings,
            cwd=self.directory,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **options,
        )

    def run(self, *arguments, stdin=None):
        process = self.start(*arguments, stdin=subprocess.PIPE)
        out, err = process.communicate(stdin, timeout=240)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def fails(self, *arguments, code=1):
        """Run a command that ends with one line on standard error, and return that line."""
        ended = self.run(*arguments)
        assert ended.returncode == code, ended
        (line,) = [line for line in ended.stderr.splitlines() if line.startswith("civitai-etl: ")]
        assert ended.stderr.rstrip().endswith(line)
        assert "Traceback" not in ended.stderr
        return line

    def sql(self, query):
        ended = self.run("sql", query, "--format", "csv")
        assert ended.returncode == 0, ended.stderr
        return ended.stdout.splitlines()[1:]


@dataclass
class CommandHere(CommandLine):
    """The same in this process, for stories that are not about processes: each would import everything anew, which
    takes longer than most commands.
    """

    def run(self, *arguments):
        out, err = io.TextIOWrapper(io.BytesIO(), encoding="utf-8"), io.StringIO()
        with pytest.MonkeyPatch.context() as patch, chdir(self.directory):
            for name, value in self.settings.items():
                patch.setenv(name, value)
            with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as end:
                main([*map(str, arguments)])
        stop_logging()
        out.seek(0)
        return subprocess.CompletedProcess(arguments, end.value.code, out.read(), err.getvalue())


@pytest.fixture(scope="session")
def service():
    with launch(models=80) as emulator:
        yield emulator


def _settings(service, data_dir):
    return {
        "CIVITAI_ETL_DATA_DIR": str(data_dir),
        "CIVITAI_ETL_API_URL": service.api_url,
        "CIVITAI_ETL_REQUESTS_PER_SECOND": "0",
    }


@pytest.fixture
def civitai_etl(service, tmp_path):
    """The command line on an empty data directory, pointed at the emulator."""
    return CommandLine(tmp_path, _settings(service, tmp_path / "data"))


@pytest.fixture
def civitai_etl_here(service, tmp_path):
    return CommandHere(tmp_path, _settings(service, tmp_path / "data"))


@pytest.fixture(scope="session")
def _first(service, tmp_path_factory):
    directory = tmp_path_factory.mktemp("published")
    settings = _settings(service, directory / "data")
    return directory, settings, CommandLine(directory, settings).run("snapshot", "--date", "2026-01-01")


@pytest.fixture
def first_snapshot(_first):
    """How the snapshot behind `published` ended."""
    return _first[2]


@pytest.fixture
def published(_first):
    """The command line on a data directory with one snapshot, for tests that only read it."""
    directory, settings, _ = _first
    return CommandLine(directory, dict(settings))
