"""Makes docs/api-coverage.md from the declarations: what the pipeline does with each operation of the Site API.

    python -m flows.reporting.api_coverage            write it again (`make docs`)
    python -m flows.reporting.api_coverage --check    end with 1 if it differs from the declarations (`make check`)

This module has only the list of operations (a test compares it with the specification). Resources come from the
dialects, raw tables from payload kinds, star and account tables from their own `read_from`.
"""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipelines.api.dialects import DIALECTS, Dialect, Lookup
from pipelines.crawl.lookup_answers import HASH_MATCH
from pipelines.crawl.lookups import WATCHED
from pipelines.raw.tables import ACCOUNT_KINDS, documents_table, observations_table
from transforms.lookup_tables import LOOKUPS
from transforms.tables import TABLES, Table
from transforms.tables.account import ACCOUNT_TABLES

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "api-coverage.md"

#: The tests of each operation, from the request to the tables.
BATTERY = "tests/pipelines/test_every_resource.py"
RECONCILE_TESTS = "tests/pipelines/test_reconcile.py"
ACCOUNT_TESTS = "tests/flows/test_vault.py"


@dataclass(frozen=True)
class Operation:
    """An operation of the specification."""

    name: str
    method: str
    path: str


OPERATIONS = (
    Operation("listModels", "GET", "/models"),
    Operation("getModel", "GET", "/models/{id}"),
    Operation("getModelVersion", "GET", "/model-versions/{id}"),
    Operation("getModelVersionMini", "GET", "/model-versions/mini/{id}"),
    Operation("getModelVersionByHash", "GET", "/model-versions/by-hash/{hash}"),
    Operation("getModelVersionsByHashes", "POST", "/model-versions/by-hash"),
    Operation("getModelVersionIdsByHashes", "POST", "/model-versions/by-hash/ids"),
    Operation("listImages", "GET", "/images"),
    Operation("listCreators", "GET", "/creators"),
    Operation("listTags", "GET", "/tags"),
    Operation("getCurrentUser", "GET", "/me"),
    Operation("listUsers", "GET", "/users"),
    Operation("checkPermissions", "GET", "/permissions/check"),
    Operation("getVaultItem", "GET", "/vault/get"),
    Operation("getAllVaultItems", "GET", "/vault/all"),
    Operation("checkVault", "GET", "/vault/check-vault"),
    Operation("toggleVaultVersion", "POST", "/vault/toggle-version"),
    Operation("getEnums", "GET", "/enums"),
)


@dataclass(frozen=True)
class Use:
    """A dialect's use of an operation: the resource, the payload kinds, the commands, and the test."""

    resource: str
    kinds: tuple[str, ...]
    commands: tuple[str, ...]
    test: str


def uses(operation: Operation, dialect: Dialect) -> Iterator[Use]:
    """Every use that a dialect makes of an operation."""
    account = dialect.member
    if operation.method == "GET":
        for endpoint in dialect.endpoints:
            if endpoint.path == operation.path:
                news = [each for each in dialect.discovery if each.path == operation.path]
                commands = ("snapshot", *(["refresh"] if news else []))
                yield Use(endpoint.name, (endpoint.kind,), commands, BATTERY)
        if operation.path == f"{dialect.existence_check.path}/{{id}}":
            yield Use("reconcile", (dialect.existence_check.kind,), ("snapshot",), RECONCILE_TESTS)
    for lookup in dialect.lookups:
        if operation.path == path_of(lookup) and operation.method == method_of(lookup):
            kinds = dict.fromkeys((lookup.kind, HASH_MATCH) if lookup.by_hash else (lookup.kind,))
            commands = (f"look-up {lookup.name}", *(["snapshot"] if lookup.name in WATCHED else []))
            yield Use(lookup.name, tuple(kinds), commands, BATTERY)
    asked_of_account = {
        "/me": ("me", "account_me", "vault pull"),
        account.vault: ("vault", "account_vault", "vault pull"),
        "/vault/all": ("vault items", "account_vault_item", "vault pull"),
        "/permissions/check": ("permissions", "account_permission", "vault pull"),
    }
    if operation.path in asked_of_account:
        resource, kind, command = asked_of_account[operation.path]
        yield Use(resource, (kind,), (command,), ACCOUNT_TESTS)
    if operation.path == account.check:
        yield Use("vault check", (), ("vault apply",), ACCOUNT_TESTS)
    if operation.path == "/vault/toggle-version":
        yield Use("vault toggle", (), ("vault apply",), ACCOUNT_TESTS)


def path_of(lookup: Lookup) -> str:
    """The path of a look-up as in the specification."""
    return lookup.path.format("{id}" if lookup.key_type == "id" else "{hash}")


def method_of(lookup: Lookup) -> str:
    return "GET" if "{}" in lookup.path or lookup.argument else "POST"


def tables_of(kind: str) -> list[type[Table]]:
    """The tables of the star or the account that have data from documents of a kind."""
    if kind in LOOKUPS:
        return [LOOKUPS[kind][0]]
    if kind in ACCOUNT_KINDS:
        return [table for table in ACCOUNT_TABLES if table.table_name() == kind]
    paths = {endpoint.path for dialect in DIALECTS.values() for endpoint in dialect.endpoints if endpoint.kind == kind}
    named = re.compile("|".join(rf"GET {re.escape(path)}(?![/\w])" for path in sorted(paths)))
    return [table for table in TABLES if named.search(table.read_from or "")]


def text() -> str:
    """The document."""
    lines = [
        "# API coverage",
        "",
        "Operation by operation of the Site API: which resource asks it in which dialect, which command does so, what",
        "it is kept as in `warehouse.duckdb`, which tables it reaches, and which test runs it through. Made of the",
        "declarations by `make docs`; do not edit.",
        "",
        "| operation | | resource (dialects) | command | raw tables | tables | test |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [_line(operation) for operation in OPERATIONS]
    return "\n".join(lines) + "\n"


def _line(operation: Operation) -> str:
    found: dict[Use, list[str]] = {}
    for dialect in DIALECTS.values():
        for use in uses(operation, dialect):
            found.setdefault(use, []).append(dialect.name)
    kinds = list(dict.fromkeys(kind for use in found for kind in use.kinds))
    raw = [table(kind).name for kind in kinds for table in (documents_table, observations_table)]
    reached = dict.fromkeys(table.table_name() for kind in kinds for table in tables_of(kind))
    cells = [
        f"`{operation.name}`",
        f"`{operation.method} {operation.path}`",
        _several(f"{use.resource} ({', '.join(dialects)})" for use, dialects in found.items()),
        _several(f"`{command}`" for command in dict.fromkeys(command for use in found for command in use.commands)),
        _several(f"`{name}`" for name in raw) or "none: it changes the vault, and is read again",
        _several(f"`{name}`" for name in reached) or ("kept in raw only" if raw else "none"),
        _several(f"[{Path(test).stem}](../{test})" for test in dict.fromkeys(use.test for use in found)),
    ]
    return f"| {' | '.join(cells)} |"


def _several(cells: Iterator[str]) -> str:
    return ", ".join(cells)


def main() -> int:
    """Write the document, or check it."""
    if "--check" not in sys.argv:
        DOCUMENT.write_text(text())
    elif not DOCUMENT.exists() or DOCUMENT.read_text() != text():
        print(f"{DOCUMENT.name} is not what the declarations say: run `make docs`.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
