"""The list of broken rules fits the code as it is."""

from pathlib import Path

import pytest

from tests.mutants.__main__ import failing
from tests.mutants.mutants import MUTANTS, Mutant

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.rule)
def test_the_rule_stands_once_in_the_code_and_its_test_is_there(mutant: Mutant) -> None:
    assert (ROOT / mutant.file).read_text().count(mutant.old) == 1
    assert mutant.new != mutant.old
    file, test = mutant.caught_by.split("::")
    assert f"def {test.partition('[')[0]}(" in (ROOT / "tests" / file).read_text()


def test_those_that_fail_as_it_is_are_named(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_it.py").write_text(
        "import pytest\n"
        "def test_good(): pass\n"
        "@pytest.mark.parametrize('n', [1, 2])\n"
        "def test_bad(n): assert n == 1, 'with - a dash'\n"
        "def test_worse(no_such_fixture): pass\n"
    )
    failed = failing(tmp_path, "test_it.py")
    assert [line.split(" - ")[0] for line in failed] == [
        "tests/test_it.py::test_bad[2]",
        "tests/test_it.py::test_worse",
    ]
    assert len(failing(tmp_path, "test_it.py", first_alone=True)) == 1
