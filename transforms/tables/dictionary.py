"""The data dictionary: what the declarations say, as comments, as Markdown with a diagram, and as a data package.

Everything here derives from `transforms.tables` and `transforms.tables.macros`; a column's words are written there and
nowhere else. `python -m transforms.tables.dictionary` writes docs/data-dictionary.md anew (`make docs`), with `--check`
it only says whether the file is as it would be written (`make check`).
"""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import dataframely as dy
import msgspec
import polars as pl
import pyarrow as pa

from transforms.tables import TABLES, DimDate, Table
from transforms.tables.account import ACCOUNT_TABLES
from transforms.tables.declaration import about
from transforms.tables.macros import MACROS, VIEWS, Macro, View

DOCUMENT = Path("docs/data-dictionary.md")
#: The list that dim_base_model is made with.
BASE_MODELS = Path(__file__).parents[1] / "star" / "base_models.csv"

SQL_TYPES: dict[type[pl.DataType], str] = {
    pl.Int8: "TINYINT",
    pl.Int16: "SMALLINT",
    pl.Int32: "INTEGER",
    pl.Int64: "BIGINT",
    pl.Float64: "DOUBLE",
    pl.String: "VARCHAR",
    pl.Boolean: "BOOLEAN",
    pl.Date: "DATE",
    pl.Datetime: "TIMESTAMP WITH TIME ZONE",
}
#: The types of the Table Schema standard (datapackage.org).
TABLE_SCHEMA_TYPES: dict[type[pl.DataType], str] = {
    pl.Int8: "integer",
    pl.Int16: "integer",
    pl.Int32: "integer",
    pl.Int64: "integer",
    pl.Float64: "number",
    pl.String: "string",
    pl.Boolean: "boolean",
    pl.Date: "date",
    pl.Datetime: "datetime",
    pl.List: "array",
    pl.Struct: "object",
}


@dataclass(frozen=True)
class ForeignKey:
    """Columns of a table that point to columns of another, in the same order."""

    columns: tuple[str, ...]
    table: str
    referenced: tuple[str, ...]


def sql_type(dtype: pl.DataType) -> str:
    """The type that DuckDB shows for a column."""
    if isinstance(dtype, pl.List):
        return f"{sql_type(dtype.inner)}[]"  # type: ignore[arg-type]  # a declared list has an instance inside
    if isinstance(dtype, pl.Struct):
        fields = ", ".join(f"{field.name} {sql_type(field.dtype)}" for field in dtype.fields)  # type: ignore[arg-type]
        return f"STRUCT({fields})"
    return SQL_TYPES[dtype.base_type()]


def origin(column: dy.Column) -> str | None:
    """Where a column's values come from: a JSON path of the table's payload, or what they are made of."""
    return about(column).get("source") or about(column).get("origin")


def comment(column: dy.Column) -> str:
    """All that is to be said of a column where there is one text for it: in DuckDB and in Parquet."""
    said = about(column)
    parts = [column.description or ""]
    if "unit" in said:
        parts.append(f"Unit: {said['unit']}.")
    if "null" in said:
        parts.append(f"Null: {said['null']}.")
    if "references" in said:
        parts.append(f"References {said['references']}.")
    if where := origin(column):
        parts.append(f"From: {where}.")
    return " ".join(parts)


@cache
def column_comments(table: type[Table]) -> dict[str, str]:
    """The comment of every column of a table."""
    return {name: comment(column) for name, column in table.columns().items()}


def arrow_schema(table: type[Table]) -> pa.Schema:
    """The schema of a table's Parquet files: grain and comments as metadata, and what may be null."""
    columns = table.columns()
    fields = [
        field.with_metadata({"comment": comment(columns[field.name])}).with_nullable(columns[field.name].nullable)
        for field in table.empty().to_arrow().schema
    ]
    return pa.schema(fields, metadata={"table": table.table_name(), "grain": table.grain()})


def foreign_keys(table: type[Table]) -> list[ForeignKey]:
    """The references of a table; those that together make up the primary key of another are one."""
    single = {
        name: tuple(said["references"].split("."))
        for name, said in table.with_metadata().items()
        if "references" in said
    }
    found = []
    for name, (target, column) in single.items():
        key = {c for c in _table(target).primary_key() if len(_table(target).primary_key()) > 1}
        together = [(n, c) for n, (t, c) in single.items() if t == target and c in key]
        if column in key and {c for _, c in together} == key:
            found.append(ForeignKey(tuple(n for n, _ in together), target, tuple(c for _, c in together)))
        else:
            found.append(ForeignKey((name,), target, (column,)))
    return list(dict.fromkeys(found))


def _table(name: str) -> type[Table]:
    return next(table for table in TABLES if table.table_name() == name)


# ------------------------------------------------------------------------------------------------------- data package


def data_package(files: Mapping[str, Sequence[str]]) -> str:
    """`datapackage.json` (datapackage.org, 2.0) of the Parquet files: their schema, keys, units and examples.

    Args:
        files: the paths of each table's files, relative to the data package.
    """
    package = {
        "$schema": "https://datapackage.org/profiles/2.0/datapackage.json",
        "name": "civitai-star",
        "title": "The Civitai catalogue as a star schema",
        "description": "Daily snapshots of models, versions, files, images, creators and tags, with their history.",
        "resources": [_resource(table, files[table.table_name()]) for table in TABLES if files.get(table.table_name())],
    }
    return msgspec.json.format(json.dumps(package, default=str, ensure_ascii=False), indent=1)


def _resource(table: type[Table], paths: Sequence[str]) -> dict[str, object]:
    return {
        "name": table.table_name(),
        "type": "table",
        "description": description(table),
        "path": list(paths),
        "format": "parquet",
        "mediatype": "application/vnd.apache.parquet",
        "schema": _schema(table),
    }


@cache
def _schema(table: type[Table]) -> dict[str, object]:
    schema: dict[str, object] = {"fields": [_field(name, column) for name, column in table.columns().items()]}
    if key := table.primary_key():
        schema["primaryKey"] = key
    if keys := foreign_keys(table):
        schema["foreignKeys"] = [
            {"fields": list(key.columns), "reference": {"resource": key.table, "fields": list(key.referenced)}}
            for key in keys
        ]
    return schema


def _field(name: str, column: dy.Column) -> dict[str, object]:
    said = about(column)
    field: dict[str, object] = {
        "name": name,
        "type": TABLE_SCHEMA_TYPES[column.dtype.base_type()],
        "description": column.description,
        "constraints": {"required": not column.nullable},
    }
    field |= {key: said[key] for key in ("example", "unit") if key in said}
    if "null" in said:
        field["nullMeaning"] = said["null"]
    if where := origin(column):
        field["origin"] = where
    return field


# ----------------------------------------------------------------------------------------------------------- Markdown


def description(table: type[Table]) -> str:
    """The whole docstring of a table, paragraphs joined: its grain, then what else is to be known."""
    return " ".join((table.__doc__ or "").split())


HEAD = """\
<!-- Written by `make docs` from transforms/tables and transforms/tables/macros: change those. -->

# Data dictionary

What `analytics.duckdb` holds, in schema `star`. The same words stand in the database (`select comment from
duckdb_columns() where table_name = 'dim_model'`), in the Parquet files (metadata of each field), in `datapackage.json`
beside them, and in the terminal (`civitai-etl docs dim_model`).

How to read it: **bold** columns are the table's primary key. *Tracked* columns open a new row when they change,
*latest* ones are corrected in place. `$` is the answer of the service that is named above the table; what does not
begin with `$` is made by us, from what is named. A null is never a zero: each column that can be null says what that
means; "the service did not say" is often a field that its answers of some years lack. All times are UTC. Examples are
from a simulated catalogue."""

DIAGRAM_NOTE = """\
Keys only, and without dim_date, to which every date leads. A fact meets a type 2 table in two ways: by its `_key`, the
one row that held on the day of the fact, or by the id, all rows of the entity; `star.model` and `star.model_version`
have the one that holds now. Tables that are not drawn refer to none."""

MACRO_NOTE = """\
Called like tables: `from star.trend_base_model(7)`. [The cookbook](sql-cookbook.md) has each of them with its answer on
the demo's data. They look for schema `star` in the database in use: where the file is attached beside others, say
`use` first."""

ECOSYSTEM_NOTE = """\
Which base models `ecosystem` counts together: those whose models work together. A name that is not
listed has none yet."""

ACCOUNT_NOTE = """\
What belongs to the member of the API key is no part of the published tables: `civitai-etl vault pull` writes one
Parquet file for each of these under `account/` in the data directory."""


def document() -> str:
    """docs/data-dictionary.md."""
    table_list = [(f"[`{table.table_name()}`](#{table.table_name()})", one_row_per(table)) for table in TABLES]
    parts = [
        HEAD,
        "## Tables",
        _markdown_table(("table", "one row per"), table_list),
        "## Diagram",
        DIAGRAM_NOTE,
        f"```mermaid\n{diagram()}\n```",
        *(part for table in TABLES for part in _table_section(table)),
        "## Ecosystems",
        ECOSYSTEM_NOTE,
        _markdown_table(("ecosystem", "base models"), ecosystems()),
        "## Views",
        *(part for view in VIEWS for part in _view_section(view)),
        "## Table macros",
        MACRO_NOTE,
        *(part for macro in MACROS for part in _macro_section(macro)),
        "## Account",
        ACCOUNT_NOTE,
        *(part for table in ACCOUNT_TABLES for part in _table_section(table)),
    ]
    return "\n\n".join(parts) + "\n"


def ecosystems() -> list[tuple[str, str]]:
    """Each ecosystem of the list, and its base models."""
    listed = pl.read_csv(BASE_MODELS).drop_nulls("ecosystem").sort("ecosystem", "base_model")
    return [
        (f"`{ecosystem}`", ", ".join(names))
        for ecosystem, names in listed.group_by("ecosystem", maintain_order=True).agg("base_model").iter_rows()
    ]


def one_row_per(table: type[Table]) -> str:
    """The grain without its beginning, which is the same for all."""
    return table.grain().removeprefix("One row per ").removesuffix(".")


def _table_section(table: type[Table]) -> list[str]:
    notes = [f"`$` is {table.read_from}."] if table.read_from else []
    return [
        f"### {table.table_name()}",
        " ".join([description(table), *notes]),
        _markdown_table(
            ("column", "type", "meaning", "from", "example"),
            [_column_row(name, column) for name, column in table.columns().items()],
        ),
    ]


def _column_row(name: str, column: dy.Column) -> tuple[str, ...]:
    said = about(column)
    meaning = [column.description or ""]
    if "null" in said:
        meaning.append(f"*Null:* {said['null']}.")
    if "references" in said:
        meaning.append(f"→ `{said['references']}`")
    if "history" in said:
        meaning.append(f"*{said['history'].capitalize()}.*")
    kind = sql_type(column.dtype) + (f", {said['unit']}" if "unit" in said else "")
    where = origin(column) or ""
    return (
        f"**`{name}`**" if column.primary_key else f"`{name}`",
        kind,
        " ".join(meaning),
        code(where) if where.startswith("$") else where,
        code(example_text(said["example"])) if "example" in said else "",
    )


def code(text: str) -> str:
    """Text as Markdown code, whatever is in it."""
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def example_text(example: object) -> str:
    """An example as DuckDB prints it."""
    if isinstance(example, bool):
        return str(example).lower()
    if isinstance(example, list):
        return f"[{', '.join(map(example_text, example))}]"
    return str(example)


def _view_section(view: View) -> list[str]:
    columns = [(f"`{name}`", text) for name, text in view.columns.items()]
    return [
        f"### {view.name}",
        view.description,
        *([_markdown_table(("column", "meaning"), columns)] if columns else []),
    ]


def _macro_section(macro: Macro) -> list[str]:
    parameters = [(f"`{name}`", text) for name, text in macro.parameters.items()]
    return [
        f"### {macro.signature}",
        macro.description,
        *([_markdown_table(("parameter", "meaning"), parameters)] if parameters else []),
        _markdown_table(("column", "meaning"), [(f"`{name}`", text) for name, text in macro.columns.items()]),
    ]


def _markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def diagram() -> str:
    """An entity-relationship diagram in mermaid: each table that refers or is referred to, with its keys.

    Two tables are joined by one line, whichever columns join them; the calendar, to which all dates lead, is left out.
    """
    lines, drawn = [], set()
    for table in TABLES:
        to: dict[str, list[ForeignKey]] = {}
        for key in foreign_keys(table):
            if key.table != DimDate.table_name():
                to.setdefault(key.table, []).append(key)
        for other, keys in to.items():
            joins = " or ".join(", ".join(key.columns) for key in keys)
            best = max(keys, key=_is_unique)
            lines.append(f'    {other} {_cardinality(table, best)} {table.table_name()} : "{joins}"')
            drawn |= {other, table.table_name()}
    entities = [_entity(table) for table in TABLES if table.table_name() in drawn]
    return "\n".join(["erDiagram", *lines, *entities])


def _entity(table: type[Table]) -> str:
    """A table with the columns that are part of a key, as mermaid draws it."""
    referring = {name for key in foreign_keys(table) for name in key.columns}
    attributes = []
    for name, column in table.columns().items():
        marks = {"PK": column.primary_key, "FK": name in referring, "UK": column.unique}
        if any(marks.values()):
            kind = sql_type(column.dtype).replace(" ", "_")
            attributes.append(f"        {kind} {name} {', '.join(mark for mark, holds in marks.items() if holds)}")
    return "\n".join([f"    {table.table_name()} {{", *attributes, "    }"])


def _is_unique(key: ForeignKey) -> bool:
    """Whether the columns referred to name one row."""
    columns = _table(key.table).columns()
    return set(key.referenced) == set(_table(key.table).primary_key()) or all(
        columns[name].unique for name in key.referenced
    )


def _cardinality(table: type[Table], key: ForeignKey) -> str:
    """How many rows of the referenced table stand against how many of `table`."""
    may_be_null = any(table.columns()[name].nullable for name in key.columns)
    left = {(True, False): "||", (True, True): "|o", (False, False): "}|", (False, True): "}o"}
    return f"{left[_is_unique(key), may_be_null]}--o{{"


def main(arguments: Sequence[str]) -> int:
    """Writes the document, or with `--check` says whether it is up to date."""
    if "--check" not in arguments:
        DOCUMENT.write_text(document(), encoding="utf-8")
        return 0
    if DOCUMENT.exists() and DOCUMENT.read_text(encoding="utf-8") == document():
        return 0
    print(f"{DOCUMENT} is not what the declarations say: run `make docs`.", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
