"""docs/api-coverage.md names every operation of the specification, and is what the declarations say."""

from pathlib import Path

import pytest
import yaml

from flows.reporting.api_coverage import DOCUMENT, OPERATIONS, tables_of, text, uses
from pipelines.api.dialects import DIALECTS
from pipelines.raw.kinds import ACCOUNT_KINDS, KINDS
from transforms.staging.payloads import STAGED_KINDS

ROOT = Path(__file__).parents[2]
SPECIFICATION = ROOT / "docs" / "civitai-openapi.yaml"


def test_the_document_is_what_the_declarations_say():
    assert text() == DOCUMENT.read_text(), "run `make docs`"


def test_the_operations_are_those_of_the_specification():
    declared = [
        (operation["operationId"], method.upper(), path)
        for path, methods in yaml.safe_load(SPECIFICATION.read_text())["paths"].items()
        for method, operation in methods.items()
    ]
    assert len(declared) == 18
    assert [(each.name, each.method, each.path) for each in OPERATIONS] == declared


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_every_operation_is_used_and_its_use_is_tested(operation):
    found = [use for dialect in DIALECTS.values() for use in uses(operation, dialect)]
    assert found
    for use in found:
        assert (ROOT / use.test).exists()
        assert use.commands


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=lambda dialect: dialect.name)
def test_every_resource_of_a_dialect_is_some_operation(dialect):
    named = {use.resource for operation in OPERATIONS for use in uses(operation, dialect)}
    assert {each.name for each in (*dialect.endpoints, *dialect.lookups)} <= named


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_declared_and_reaches_a_table(kind):
    assert kind in STAGED_KINDS or kind in ACCOUNT_KINDS
    assert tables_of(kind) or kind == "enum"  # kept in raw; no table reads it yet
