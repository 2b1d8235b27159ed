"""What the dictionary says is true of the demo's data: examples look like its values, references lead somewhere."""

import re
from datetime import date, datetime

import duckdb
import pytest

from transforms.tables import TABLES
from transforms.tables.declaration import about
from transforms.tables.dictionary import foreign_keys

each_table = pytest.mark.parametrize("table", TABLES, ids=lambda table: table.__name__)
#: A column of text with no more values than this is a set of words, and its example has to be one of them.
WORDS = 60
#: A column of numbers or dates with fewer values than this has no range to speak of.
RANGE = 10
#: Tables of the catalogue; what the ops_ tables hold is up to the run.
CATALOGUE = [table for table in TABLES if not table.table_name().startswith("ops_")]


@pytest.fixture(scope="module")
def star(demo):
    with duckdb.connect(str(demo.directory / "analytics.duckdb"), read_only=True) as connection:
        yield connection


def shape(text: str) -> str:
    """What kind of characters a text has, in their order: words, numbers and signs."""
    return re.sub(r"[0-9]+", "9", re.sub(r"[^\W\d_]+", "a", text))


@pytest.mark.parametrize("table", CATALOGUE, ids=lambda table: table.__name__)
def test_an_example_is_like_the_values_of_the_demo(star, table):
    for name, column in table.columns().items():
        values = [
            value for (value,) in star.execute(f'select distinct "{name}" from star.{table.table_name()}').fetchall()
        ]
        values = [value for value in values if value is not None]
        if not values:
            continue
        example = about(column)["example"]
        if isinstance(example, list):
            assert set(example) <= {word for value in values for word in value}, name
        elif isinstance(example, str) and len(values) <= WORDS and name != "description":
            assert example in values, name
        elif isinstance(example, str) and len(example) < WORDS:
            assert shape(example) in {shape(value) for value in values} or " " in example, name
        elif isinstance(example, int | float | date | datetime) and len(values) >= RANGE:
            assert min(values) <= example <= max(values), name


@each_table
def test_every_reference_leads_to_a_row(star, table):
    for key in foreign_keys(table):
        pairs = list(zip(key.columns, key.referenced, strict=True))
        there = " and ".join(f'row."{name}" = other."{column}"' for name, column in pairs)
        known = " and ".join(f'row."{name}" is not null' for name in key.columns)
        rows = f"star.{table.table_name()} as row anti join star.{key.table} as other on {there} where {known}"
        assert star.execute(f"select count(*) from {rows}").fetchone() == (0,), key
