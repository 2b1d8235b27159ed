"""The list of broken rules fits the code as it is, and as it is after a change of layout and names."""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.mutants.__main__ import failing
from tests.mutants.edit import ROOT, Code, Edit, Sql, broken, read_sources, sql_tokens
from tests.mutants.mutants import MUTANTS, Mutant

SOURCES = read_sources()


class RenamedVariables(ast.NodeTransformer):
    """Gives every parameter and local variable of a module another name."""

    def __init__(self) -> None:
        self.local: frozenset[str] = frozenset()

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        before = self.local
        parameters = {each.arg for each in ast.walk(node) if isinstance(each, ast.arg)}
        assigned = {
            each.id for each in ast.walk(node) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)
        }
        self.local |= (parameters | assigned) - {"self", "cls"}
        renamed = self.generic_visit(node)
        self.local = before
        return renamed

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.Name(f"other_{node.id}", node.ctx) if node.id in self.local else node

    def visit_arg(self, node: ast.arg) -> ast.AST:
        return ast.arg(f"other_{node.arg}", node.annotation) if node.arg in self.local else node


def written_differently(file: str, text: str) -> str:
    """The same code with other names of variables, without comments, and in another layout."""
    if file.endswith(".sql"):
        return "\n".join(token[0] for token in sql_tokens(text))
    return ast.unparse(RenamedVariables().visit(ast.parse(text)))


OTHER_SOURCES = {file: written_differently(file, text) for file, text in SOURCES.items()}


@cache
def broken_by(mutant: Mutant, *, is_written_differently: bool) -> tuple[str, str]:
    """The file that a mutant breaks, and its broken text."""
    return broken(mutant.where, mutant.edit, OTHER_SOURCES if is_written_differently else SOURCES)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.rule)
def test_the_rule_stands_once_in_the_code_and_its_test_is_there(mutant: Mutant) -> None:
    file, text = broken_by(mutant, is_written_differently=False)
    if file.endswith(".py"):
        assert ast.dump(ast.parse(text)) != ast.dump(ast.parse(SOURCES[file]))
    else:
        assert text != SOURCES[file]
    file, test = mutant.caught_by.split("::")
    assert f"def {test.partition('[')[0]}(" in (ROOT / "tests" / file).read_text()


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.rule)
def test_the_rule_is_found_in_code_that_is_written_differently(mutant: Mutant) -> None:
    file, text = broken_by(mutant, is_written_differently=True)
    assert file == broken_by(mutant, is_written_differently=False)[0]
    if file.endswith(".py"):
        ast.parse(text)


@pytest.mark.parametrize("is_written_differently", [False, True])
def test_no_mutant_uses_a_name_that_its_module_does_not_have(is_written_differently: bool, tmp_path: Path) -> None:
    """Any test would fail for such a name, whatever it tests."""
    for number, mutant in enumerate(MUTANTS):
        file, text = broken_by(mutant, is_written_differently=is_written_differently)
        if file.endswith(".py"):
            (tmp_path / f"mutant_{number}.py").write_text(text)
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "F821", "--quiet", str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.parametrize(
    ("edit", "code", "result"),
    [
        (Code("$x + $x", "$x"), "a.b + (a.b)", "a.b"),
        (Code("$x - $y", "$y - $x"), "(a - b) * c", "(b - a) * c"),
        (Code("f($x, key='k')", "$x"), 'g(f(\n  a,  # why\n  key="k",\n))', "g(a)"),
        (Code("if $x:\n    return", "pass"), "if a and b: return", "pass"),
        (
            Sql("where $x = 1", "where $x = 2"),
            "query('select a WHERE  b=1 and c')",
            "query('select a where b = 2 and c')",
        ),
    ],
)
def test_a_pattern_matches_syntax(edit: Edit, code: str, result: str) -> None:
    _, text = broken("it", edit, {"it.py": f"def it():\n{'    ' + code.replace(chr(10), chr(10) + '    ')}"})
    assert ast.dump(ast.parse(text)) == ast.dump(ast.parse(f"def it():\n    {result}"))


@pytest.mark.parametrize("code", ["a + b", "(a + a) * (b + b)"])
def test_a_pattern_that_is_not_at_one_place_is_an_error(code: str) -> None:
    with pytest.raises(LookupError, match="places of It"):
        broken("It.value", Code("$x + $x", "$x"), {"it.py": f"class It:\n    value = {code}"})


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
