"""One declaration, many documents: comments, Parquet files, data package, dictionary and diagram say the same."""

import json
import re
from datetime import date
from pathlib import Path

import duckdb
import polars as pl
import pyarrow.parquet as pq
import pytest

from tests.transforms.conftest import DAYS, Workshop, model
from transforms.tables import TABLES, Table, dictionary
from transforms.tables.declaration import surrogate_key
from transforms.tables.macros import MACROS, VIEWS

ROOT = Path(__file__).resolve().parents[2]
each_table = pytest.mark.parametrize("table", TABLES, ids=lambda table: table.__name__)
#: Words that say nothing by themselves.
IDLE = {"the", "a", "an", "of", "its", "it", "in", "is", "on", "for", "to", "and", "or", "that", "which", "was"}


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> Workshop:
    workshop = Workshop(tmp_path_factory.mktemp("published"))
    workshop.raw.crawl(DAYS[0], model=[model(1), model(2)], creator=[{"username": "ada"}], tag=[{"name": "landscape"}])
    workshop.raw.crawl(DAYS[1], model=[model(1, name="Renamed")], creator=[{"username": "ada"}], buried=(2,))
    workshop.build()
    return workshop


def example_row(table: type[Table]) -> pl.DataFrame:
    row = {name: dictionary.about(column).get("example") for name, column in table.columns().items()}
    return pl.DataFrame([row], schema=table.polars_schema(), orient="row", strict=True)


# Declarations


@each_table
def test_the_examples_of_a_table_are_a_valid_row_of_it(table):
    row = example_row(table)
    table.validate(row)
    assert [name for name in row.columns if row[name].null_count()] == []
    if table.surrogate_key:
        name, entity_id = table.surrogate_key
        assert row.select(surrogate_key(pl.col(entity_id), pl.col("valid_from")) == pl.col(name)).item()


@each_table
def test_exactly_the_columns_that_can_be_null_say_what_that_means(table):
    told = {name for name, column in table.columns().items() if "null" in dictionary.about(column)}
    assert told == {name for name, column in table.columns().items() if column.nullable}


@each_table
def test_a_column_says_where_it_is_from_and_no_other_path_than_that_of_a_named_answer(table):
    assert [name for name, column in table.columns().items() if not dictionary.origin(column)] == []
    assert table.read_from or not table.with_metadata().keys() & {
        name for name, said in table.with_metadata().items() if "source" in said
    }


@each_table
def test_no_column_says_less_than_its_name(table):
    for name, column in table.columns().items():
        words = set(re.findall(r"[a-z0-9]+", (column.description or "").lower()))
        known = set(re.findall(r"[a-z0-9]+", name)) | IDLE
        news = {word for word in words if word not in known and word.removesuffix("s") not in known}
        assert len(news) >= 2, (name, column.description)
        assert column.description.endswith("."), name


@each_table
def test_a_reference_is_to_a_column_of_the_same_type(table):
    declared = {other.table_name(): other.polars_schema() for other in TABLES}
    for name, said in table.with_metadata().items():
        if "references" in said:
            other, column = said["references"].split(".")
            assert declared[other][column] == table.polars_schema()[name], name


def test_a_reference_to_a_key_of_two_columns_is_one():
    file_hash = next(table for table in TABLES if table.table_name() == "file_hash")
    assert dictionary.foreign_keys(file_hash) == [
        dictionary.ForeignKey(("version_id", "file_id"), "dim_file", ("version_id", "file_id"))
    ]


# Documents


def test_the_dictionary_in_docs_is_what_make_docs_would_write():
    assert (ROOT / dictionary.DOCUMENT).read_text(encoding="utf-8") == dictionary.document(), "run `make docs`"


def test_a_dictionary_that_was_changed_by_hand_fails_the_check(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs").mkdir()
    assert dictionary.main(["--check"]) == 1
    assert dictionary.main([]) == 0
    assert dictionary.main(["--check"]) == 0
    with dictionary.DOCUMENT.open("a", encoding="utf-8") as document:
        document.write("by hand\n")
    assert dictionary.main(["--check"]) == 1
    assert "make docs" in capsys.readouterr().err


def test_the_diagram_has_every_reference_but_those_to_the_calendar():
    diagram = dictionary.diagram()
    for table in TABLES:
        for name, said in table.with_metadata().items():
            other = said.get("references", "").partition(".")[0]
            if other and other != "dim_date":
                assert f"    {table.table_name()} {{" in diagram
                assert f"    {other} {{" in diagram
                line = rf'^    {other} \S+ {table.table_name()} : ".*\b{name}\b.*"$'
                assert len(re.findall(line, diagram, re.MULTILINE)) == 1, (table, name)


# What is published


@each_table
def test_the_database_and_the_files_have_the_declared_types_and_comments(published, table):
    name = table.table_name()
    with duckdb.connect(published.analytics, read_only=True) as star:
        types = {row[0]: row[1] for row in star.execute(f"describe star.{name}").fetchall()}
        (grain,) = star.execute("select comment from duckdb_views() where view_name = ?", [name]).fetchone()
        comments = dict(
            star.execute(
                "select column_name, comment from duckdb_columns() where schema_name = 'star' and table_name = ?",
                [name],
            ).fetchall()
        )
        files = [
            path for (path,) in star.execute("select path from star.manifest where table_name = ?", [name]).fetchall()
        ]
    assert types == {column: dictionary.sql_type(declared.dtype) for column, declared in table.columns().items()}
    assert grain == table.grain()
    assert files
    for file in files:
        schema = pq.read_schema(file)
        assert pq.read_metadata(file).metadata[b"grain"].decode() == table.grain()
        assert schema.names == table.column_names()
        for column, declared in table.columns().items():
            field = schema.field(column)
            assert declared.description in comments[column]
            assert field.metadata[b"comment"].decode() == comments[column]
            assert field.nullable == declared.nullable
            for part in ("unit", "null", "references"):
                assert str(dictionary.about(declared).get(part, "")) in comments[column]


def test_every_view_and_macro_has_its_comments_and_columns(published):
    with duckdb.connect(published.analytics, read_only=True) as star:
        for view in VIEWS:
            commented = star.execute(
                "select column_name from duckdb_columns() where table_name = ? and comment <> ''", [view.name]
            ).fetchall()
            columns = [row[0] for row in star.execute(f"describe star.{view.name}").fetchall()]
            assert [name for (name,) in commented] == columns
        told = star.execute(
            "select function_name, parameters, comment from duckdb_functions() where schema_name = 'star'"
        ).fetchall()
    assert {name: (list(parameters), comment) for name, parameters, comment in told} == {
        macro.name: (list(macro.parameters), macro.description) for macro in MACROS
    }


def test_no_parameter_of_a_macro_is_a_column_of_a_table():
    columns = {name for table in TABLES for name in table.columns()}
    assert [(macro.name, name) for macro in MACROS for name in macro.parameters if name in columns] == []


def test_the_data_package_describes_the_files_beside_it(published):
    star = published.lake / "star"
    package = json.loads((star / "datapackage.json").read_text(encoding="utf-8"))
    resources = {resource["name"]: resource for resource in package["resources"]}
    assert set(resources) == {table.table_name() for table in TABLES}
    for table in TABLES:
        resource = resources[table.table_name()]
        rows = sum(pq.read_metadata(star / path).num_rows for path in resource["path"])
        assert rows == published.value(f"select count(*) from star.{table.table_name()}")
        assert [field["name"] for field in resource["schema"]["fields"]] == table.column_names()
        for key in resource["schema"].get("foreignKeys", []):
            fields = {field["name"] for field in resources[key["reference"]["resource"]]["schema"]["fields"]}
            assert set(key["reference"]["fields"]) <= fields
    model_key = next(f for f in resources["dim_model"]["schema"]["fields"] if f["name"] == "valid_to")
    assert model_key["type"] == "date"
    assert date.fromisoformat(model_key["example"])
    assert resources["dim_model"]["schema"]["primaryKey"] == ["model_id", "valid_from"]
