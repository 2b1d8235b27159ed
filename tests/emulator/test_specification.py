"""The specification's dialect against the specification: schemathesis sends what it allows and what it forbids."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from emulator.launch import launch
from tests.emulator.conftest import SPECIFICATION


def test_every_operation_keeps_what_the_specification_promises(tmp_path, specification):
    """All checks but status_code_conformance: most operations of the specification declare nothing but 200."""
    schemathesis = shutil.which("schemathesis", path=Path(sys.executable).parent)
    if schemathesis is None:
        pytest.skip("schemathesis is not installed")
    operations = sum(len(methods) for methods in specification["paths"].values())
    with launch(models=120) as emulator:
        result = subprocess.run(
            [
                schemathesis, "run", SPECIFICATION, "--url", emulator.api_url,
                "--checks", "all", "--exclude-checks", "status_code_conformance",
                "--phases", "coverage,fuzzing", "--max-examples", "100", "--generation-deterministic",
                "--header", "Authorization: Bearer test-key", "--no-color",
            ],
            cwd=tmp_path, capture_output=True, text=True, check=False, timeout=240,
        )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    assert operations == 18
    assert f"Tested: {operations}" in result.stdout
