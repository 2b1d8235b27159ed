"""How a mutant finds its code: by the name of what defines it, and by syntax. Layout, comments and names do not matter.

A mutant names a definition: a function, class or constant by its qualified name (`Day.deleted_models`), wherever it
is, or a `.sql` file. Its edit has a pattern and a template. In a pattern, `$name` stands for any expression (in SQL for
any word), and for the same one each time; in the template it stands for what it stood for in the pattern. So a
pattern writes every local variable as `$name`. The pattern of a mutant matches at exactly one place.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PACKAGES = ("pipelines", "transforms", "flows")

#: `$name` as an identifier that Python can parse.
ANY = "_any_"
#: What differs between two equal expressions: whether they are read or written, and how a text was quoted.
IGNORED = {"ctx", "kind", "type_comment"}
SQL_TOKEN = re.compile(r"--[^\n]*|'(?:[^']|'')*'|\$?\w+|[<>!]=|\S")

Bound = dict[str, ast.AST]


@dataclass(frozen=True)
class Code:
    """An expression or a statement of Python that becomes another one. `pass` removes a statement."""

    old: str
    new: str

    def in_code(self, definition: ast.AST) -> list[tuple[ast.AST, ast.AST]]:
        """The nodes of a definition that match, each with its replacement."""
        pattern, template = parsed(self.old), parsed(self.new)
        if not (isinstance(pattern, ast.Expr) and isinstance(template, ast.Expr)):
            return [(node, filled(template, bound)) for node, bound in found(pattern, definition)]
        return [(node, filled(template.value, bound)) for node, bound in found(pattern.value, definition)]


@dataclass(frozen=True)
class Sql:
    """Words of SQL that become others, in a `.sql` file or in the texts of a Python definition."""

    old: str
    new: str

    def in_code(self, definition: ast.AST) -> list[tuple[ast.AST, ast.AST]]:
        """The texts of a definition that match, each with its replacement."""
        texts = (
            node for node in ast.walk(definition) if isinstance(node, ast.Constant) and isinstance(node.value, str)
        )
        return [(node, ast.Constant(text)) for node in texts for text in self.in_sql(str(node.value))]

    def in_sql(self, text: str) -> list[str]:
        """The text with one match replaced, for each match."""
        pattern = [word[0] for word in sql_tokens(self.old)]
        tokens = list(sql_tokens(text))
        texts = []
        for first in range(len(tokens) - len(pattern) + 1):
            here = tokens[first : first + len(pattern)]
            bound: dict[str, str] = {}
            if all(same_word(word, token[0], bound) for word, token in zip(pattern, here, strict=True)):
                new = re.sub(r"\$[a-z_]\w*", lambda name, bound=bound: bound[name[0]], self.new)
                texts.append(text[: here[0].start()] + new + text[here[-1].end() :])
        return texts


Edit = Code | Sql


def broken(where: str, edit: Edit, sources: Mapping[str, str]) -> tuple[str, str]:
    """The file that has the definition, and its text with the edit.

    Raises:
        LookupError: no definition has that name, or the pattern does not match at exactly one place.
    """
    texts = list(places(where, edit, sources))
    if len(texts) != 1:
        raise LookupError(f"{edit.old!r} is at {len(texts)} places of {where}; it has to be at one.")
    return texts[0]


def places(where: str, edit: Edit, sources: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """For each place that matches: its file, and the text of the file with the edit there."""
    if where.endswith(".sql"):
        if not isinstance(edit, Sql):
            raise LookupError(f"{where} is SQL, and {edit.old!r} is Python.")
        for file in (file for file in sources if file.endswith(f"/{where}")):
            yield from ((file, text) for text in edit.in_sql(sources[file]))
        return
    for file, text in sources.items():
        if file.endswith(".py") and where.rpartition(".")[2] in text:
            tree, definitions = definitions_of(text)
            for definition in definitions.get(where, ()):
                for node, replacement in edit.in_code(definition):
                    yield file, ast.unparse(replaced(tree, node, replacement))


def read_sources(root: Path = ROOT) -> dict[str, str]:
    """The code of the packages that mutants break, by file."""
    files = (file for package in PACKAGES for file in sorted((root / package).rglob("*.*")))
    return {file.relative_to(root).as_posix(): file.read_text() for file in files if file.suffix in {".py", ".sql"}}


@cache
def definitions_of(text: str) -> tuple[ast.Module, dict[str, list[ast.AST]]]:
    """A module, and what it defines: functions, classes and assignments, by qualified name."""
    tree = ast.parse(text)
    definitions: dict[str, list[ast.AST]] = {}

    for owner in [tree, *(node for node in tree.body if isinstance(node, ast.ClassDef))]:
        for node in owner.body:
            match node:
                case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                    names = {name}
                case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                    names = {name}
                case _:
                    continue
            if isinstance(owner, ast.ClassDef):
                names.add(f"{owner.name}.{name}")
            for each in names:
                definitions.setdefault(each, []).append(node)
    return tree, definitions


def parsed(code: str) -> ast.stmt:
    """The one statement of a pattern or a template."""
    (statement,) = ast.parse(re.sub(r"\$(?=[a-z_])", ANY, code)).body
    return statement


def found(pattern: ast.AST, definition: ast.AST) -> Iterator[tuple[ast.AST, Bound]]:
    """The nodes that match, with what the names of the pattern stand for."""
    for node in ast.walk(definition):
        bound: Bound = {}
        if matches(pattern, node, bound):
            yield node, bound


def matches(pattern: object, node: object, bound: Bound) -> bool:
    """Whether syntax matches a pattern; adds to `bound` what its names stand for."""
    match pattern, node:
        case ast.Name(id=name), ast.expr() if name.startswith(ANY):
            return same(bound.setdefault(name, node), node)
        case ast.AST(), ast.AST():
            fields = [field for field in pattern._fields if field not in IGNORED]
            return type(pattern) is type(node) and all(
                matches(getattr(pattern, field), getattr(node, field), bound) for field in fields
            )
        case list(), list():
            return len(pattern) == len(node) and all(map(matches, pattern, node, [bound] * len(node)))
    return type(pattern) is type(node) and pattern == node


def same(one: ast.AST, other: ast.AST) -> bool:
    return ast.unparse(one) == ast.unparse(other)


def filled(template: ast.AST, bound: Bound) -> ast.AST:
    """A template with its names replaced by what they stand for."""

    class Filler(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.AST:
            return bound[node.id] if node.id.startswith(ANY) else node

    return Filler().visit(deepcopy(template))


def replaced(tree: Any, node: ast.AST, by: ast.AST) -> Any:
    """A copy of a tree in which another node takes the place of one."""
    if tree is node:
        return by
    if isinstance(tree, list):
        return [replaced(each, node, by) for each in tree]
    if isinstance(tree, ast.AST):
        fields = {field: replaced(value, node, by) for field, value in ast.iter_fields(tree)}
        return ast.copy_location(type(tree)(**fields), tree)
    return tree


def sql_tokens(text: str) -> Iterator[re.Match[str]]:
    return (token for token in SQL_TOKEN.finditer(text) if not token[0].startswith("--"))


def same_word(word: str, token: str, bound: dict[str, str]) -> bool:
    """Whether a word of SQL matches one of a pattern; keywords and names have no case."""
    if re.fullmatch(r"\$[a-z_]\w*", word):
        return re.fullmatch(r"\w+", token) is not None and bound.setdefault(word, token) == token
    return word.lower() == token.lower()
