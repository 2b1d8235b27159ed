"""The documents that people follow agree with the code."""

import re
from pathlib import Path

from flows.cli.app import EXIT_CODES
from pipelines.settings import Settings, variable

ROOT = Path(__file__).resolve().parents[2]
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()


def test_the_operations_guide_lists_every_setting_with_its_default():
    listed = dict(re.findall(r"^\| `(CIVITAI_\w+)` \| (.+?) \|", OPERATIONS, re.MULTILINE))
    assert set(listed) == {variable(field) for field in Settings.model_fields}
    for field, declaration in Settings.model_fields.items():
        if isinstance(declaration.default, int | float):
            assert listed[variable(field)] == f"{declaration.default:g}"


def test_the_operations_guide_and_the_help_list_the_same_exit_codes():
    listed = re.findall(r"^\| (\d+) \|", OPERATIONS, re.MULTILINE)
    assert listed == re.findall(r"(?:^|; |: )(\d+) ", EXIT_CODES)


def test_the_example_of_settings_names_only_settings_that_exist():
    named = re.findall(r"^#?(\w+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)
    assert named
    assert set(named) <= {variable(field) for field in Settings.model_fields}
