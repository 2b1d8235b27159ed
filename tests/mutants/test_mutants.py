"""The list of broken rules fits the code as it is, and docs/testing.md tells it."""

from pathlib import Path

import pytest

from tests.mutants.mutants import MUTANTS, Mutant

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.rule)
def test_the_rule_stands_once_in_the_code_and_its_test_is_there(mutant: Mutant) -> None:
    assert (ROOT / mutant.file).read_text().count(mutant.old) == 1
    assert mutant.new != mutant.old
    file, test = mutant.caught_by.split("::")
    assert f"def {test.partition('[')[0]}(" in (ROOT / "tests" / file).read_text()


def test_the_documentation_lists_them_all() -> None:
    lines = (ROOT / "docs" / "testing.md").read_text().splitlines()
    heading = lines.index("| mutation | caught by |")
    assert lines[heading + 2 : heading + 2 + len(MUTANTS)] == [mutant.line for mutant in MUTANTS]
