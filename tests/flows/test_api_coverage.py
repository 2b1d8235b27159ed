"""docs/api-coverage.md names every operation of the specification, and is what the declarations say."""

from pathlib import Path

import pytest

from flows.reporting.api_coverage import DOCUMENT, operations, tables_of, text, uses
from pipelines.api.dialects import DIALECTS
from pipelines.raw.kinds import KINDS
from transforms.staging.payloads import STAGED_KINDS

ROOT = Path(__file__).parents[2]
OPERATIONS = operations()


def test_the_document_is_what_the_declarations_say():
    assert text() == DOCUMENT.read_text(), "run `make docs`"


def test_the_specification_has_all_operations():
    assert len(OPERATIONS) == 18


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
    assert kind in STAGED_KINDS or KINDS[kind].group == "account"
    assert tables_of(kind) or kind == "enum"  # kept in raw; no table reads it yet
