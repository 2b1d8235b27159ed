"""The data dictionary in the terminal: all tables with their grain, or one table, view or macro in full."""

import difflib
import shutil
import sys
from collections.abc import Mapping

from rich.console import Console
from rich.markup import escape
from rich.table import Table as Grid

from pipelines.errors import CivitaiEtlError
from transforms.tables import TABLES, Table
from transforms.tables.account import ACCOUNT_TABLES
from transforms.tables.declaration import about
from transforms.tables.dictionary import column_comments, description, example_text, one_row_per, sql_type
from transforms.tables.macros import MACROS, VIEWS, Macro, View

#: Without a terminal that sets a width, lines are as long as in this project's texts.
WIDTH_OF_A_FILE = 120


class NoSuchTableError(CivitaiEtlError):
    """The dictionary has no such name."""


def show_documentation(name: str | None) -> None:
    """Print the list of the whole dictionary, or the entry of `name`.

    Raises:
        NoSuchTableError: there is no such name; the message lists similar names.
    """
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else WIDTH_OF_A_FILE
    console = Console(width=width, highlight=False)
    if name is None:
        _show_list(console)
        return
    wanted = name.removeprefix("star.").partition("(")[0]
    known: dict[str, type[Table] | View | Macro] = {table.table_name(): table for table in (*TABLES, *ACCOUNT_TABLES)}
    known |= {view.name: view for view in VIEWS} | {macro.name: macro for macro in MACROS}
    if wanted not in known:
        alike = difflib.get_close_matches(wanted, known, n=3)
        hint = f"Did you mean {' or '.join(alike)}? " if alike else ""
        raise NoSuchTableError(f"There is no table {name!r}. {hint}`civitai-etl docs` lists all.")
    entry = known[wanted]
    if isinstance(entry, Macro):
        _show_macro(console, entry)
    elif isinstance(entry, View):
        console.print(_heading(entry.name, entry.description))
        if entry.table is None:
            _show_pairs(console, "column", entry.columns)
        else:
            _show_columns(console, entry.table)
    else:
        console.print(_heading(wanted, description(entry), "star" if entry in TABLES else "account"))
        _show_columns(console, entry)


def _heading(name: str, words: str, schema: str = "star") -> str:
    return f"[bold]{schema}.{escape(name)}[/]  {escape(words)}"


def _show_list(console: Console) -> None:
    for title, rows in (
        ("Tables of schema star: one row per", [(table.table_name(), one_row_per(table)) for table in TABLES]),
        ("Views", [(view.name, view.description) for view in VIEWS]),
        (
            "Account: a Parquet file each, one row per",
            [(each.table_name(), one_row_per(each)) for each in ACCOUNT_TABLES],
        ),
        ("Table macros", [(macro.signature, macro.description.partition(". ")[0] + ".") for macro in MACROS]),
    ):
        console.print(f"\n[bold]{title}[/]")
        grid = Grid.grid(padding=(0, 2))
        for left, right in rows:
            grid.add_row(escape(left), escape(right))
        console.print(grid)
    console.print(
        "\n`civitai-etl docs dim_model` has the columns; docs/data-dictionary.md has all of it with a diagram."
    )


def _show_columns(console: Console, table: type[Table]) -> None:
    if table.read_from:
        console.print(f"$ is {escape(table.read_from)}.")
    grid = Grid(show_lines=True)
    for head in ("column", "type", "meaning", "example"):
        grid.add_column(head, no_wrap=head == "column", overflow="fold")
    texts = column_comments(table)
    for column, declared in table.columns().items():
        mark = " (key)" if declared.primary_key else ""
        example = about(declared).get("example")
        grid.add_row(
            escape(column) + mark,
            escape(sql_type(declared.dtype)),
            escape(texts[column]),
            "" if example is None else escape(example_text(example)),
        )
    console.print(grid)


def _show_macro(console: Console, macro: Macro) -> None:
    console.print(_heading(macro.signature, macro.description))
    _show_pairs(console, "parameter", macro.parameters)
    _show_pairs(console, "column", macro.columns)


def _show_pairs(console: Console, head: str, rows: Mapping[str, str]) -> None:
    if not rows:
        return
    grid = Grid(show_lines=True)
    grid.add_column(head, no_wrap=True)
    grid.add_column("meaning")
    for left, right in rows.items():
        grid.add_row(escape(left), escape(right))
    console.print(grid)
