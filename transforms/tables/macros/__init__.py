"""The views and table macros of `analytics.duckdb`: questions that analysts ask first, answered once and by the rules.

Each macro is a `.sql` file here, and so is a view that is more than a line. Its header says what it answers, its
arguments and its columns:

    -- Which models ... One row per model.
    --
    -- @argument days: What it is asked.
    -- @optional since: an argument that is null unless it is given.
    -- @column model_id: What it answers.
    -- @columns window: columns that several macros share.
    -- @counters fact_model_daily: the counters of a fact.

`{name ...}` stands for a fragment that macros share: a file in `fragments`, or text that is declared below.

The rules on numbers are those of the facts (docs/architecture.md, Numbers): null is not zero, a gap is a gap, and a
crawl that did not see everything never looks like a fall. So windows of days run from one complete snapshot to another
and say how many days they span, rates are per day of that span, and stocks are those of complete snapshots only. A
snapshot whose downloads are withheld (ops_withheld) is no end of a window and has no stock. Days count back from the
newest complete snapshot, not from the wall clock.

A flow that began before a window counts in it by its share of days: of 3,000 downloads that were hidden for 25 days and
then shown, a day has 120, wherever the window begins. Facts and mart have flows whole, as they were observed, because
their balance needs them; so windows are made of the facts. The sum of two adjacent windows is that of both as one.

In the SQL every column is qualified: an unqualified name is an argument. No argument has the name of a column of a
table, because DuckDB would find it twice in the table's view.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from transforms.tables import TABLES, DimModel, DimModelVersion, HistoryTable, Table
from transforms.tables.approval import approval_lower_bound, approval_rate
from transforms.tables.cube_views import cube_views

#: A model with fewer downloads than this in the window is not trending, whatever its growth.
TRENDING_DOWNLOADS = 10
#: A time before with fewer downloads a day than this counts as this many: 1 after 0.1 is no tenfold growth.
TRENDING_PER_DAY_BEFORE = 1
#: Who published nothing more for a base model has left it only after so many days.
SETTLING_DAYS = 90

_FOLDER = Path(__file__).parent
_PLACEHOLDER = re.compile(r"\{(\w+) ?([^{}]*)\}")
_TAG = re.compile(r"@(argument|optional|columns?|counters) (\w+):? ?(.*)")
#: Text that headers and queries share.
_TEXTS = {
    "length": "Length of the window in days, back from the newest complete snapshot whose downloads are not withheld.",
    "by_share": "A flow that began before the window counts by its share of days.",
    "trending_downloads": str(TRENDING_DOWNLOADS),
    "trending_per_day_before": str(TRENDING_PER_DAY_BEFORE),
    "settling_days": str(SETTLING_DAYS),
}
_FORMULAS = {"approval_rate": approval_rate, "approval_lower_bound": approval_lower_bound}
_TABLES = {table.table_name(): table for table in TABLES}
#: Columns that headers share, besides those of tables.
_COLUMNS = {
    "window": {
        "since": "Complete snapshot after which the window begins.",
        "until": "Complete snapshot with which the window ends: the newest whose downloads are not withheld.",
        "days_spanned": "Days from since to until: more than were asked for where snapshots are missing or partial, "
        "fewer where there is no older complete one.",
    }
}


@dataclass(frozen=True)
class View:
    """A view beside those of the tables; with `table`, its columns are those of that table."""

    name: str
    description: str
    sql: str
    table: type[Table] | None = None
    columns: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Macro:
    """A table macro: what it is asked, what it answers, and the query. Arguments and columns are in order; those in
    `optional` are null unless they are given.
    """

    name: str
    description: str
    parameters: Mapping[str, str]
    columns: Mapping[str, str]
    sql: str
    optional: frozenset[str] = frozenset()

    @property
    def signature(self) -> str:
        parameters = (f"{name} := null" if name in self.optional else name for name in self.parameters)
        return f"{self.name}({', '.join(parameters)})"


def _read(name: str) -> Macro:
    """The macro that a file of the folder declares."""
    header, query = _parts(_FOLDER / f"{name}.sql")
    description, _, tags = header.partition("\n\n")
    parameters: dict[str, str] = {}
    columns: dict[str, str] = {}
    optional: set[str] = set()
    for kind, word, text in _tags(tags):
        if kind == "columns":
            columns |= _COLUMNS.get(word) or _descriptions(_TABLES[word])
        elif kind == "counters":
            every = _descriptions(_TABLES[word])
            columns |= {each: f"{every[each]} Null: hidden, or not known." for each in _counters(_TABLES[word])}
        else:
            (columns if kind == "column" else parameters)[word] = _filled(text)
            optional |= {word} if kind == "optional" else set()
    return Macro(
        name, _filled(description.replace("\n", " ")), parameters, columns, _filled(query), frozenset(optional)
    )


def _descriptions(table: type[Table]) -> dict[str, str]:
    return {name: column.description or "" for name, column in table.columns().items()}


def _counters(table: type[Table]) -> list[str]:
    return list(table.with_metadata(counter=True))


def _parts(file: Path) -> tuple[str, str]:
    """The header of a file, without its comment signs, and the query."""
    lines = file.read_text(encoding="utf-8").splitlines()
    length = next(number for number, line in enumerate(lines) if not line.startswith("--"))
    header = "\n".join(line.removeprefix("--").removeprefix(" ") for line in lines[:length])
    return header, "\n".join(lines[length:])


def _tags(header: str) -> Iterator[tuple[str, str, str]]:
    """Kind, name and text of each tag; a line that is indented goes on with the one before."""
    for line in header.replace("\n  ", " ").splitlines():
        if not (found := _TAG.fullmatch(line)):
            raise ValueError(f"{line!r} is no tag of a header")
        yield found[1], found[2], found[3]


def _filled(text: str) -> str:
    """The text with its fragments, and theirs, in their places."""
    return _PLACEHOLDER.sub(lambda found: _fragment(found[1], found[2]), text)


def _fragment(name: str, arguments: str) -> str:
    if name in _TEXTS:
        return _TEXTS[name]
    if name == "attributes":
        table, row = arguments.split()
        return _attributes(_TABLES[table], row)
    if name in _FORMULAS:
        return _FORMULAS[name](*arguments.split())
    if name == "last_counters":
        return _last_counters(_TABLES[arguments])
    _, query = _parts(_FOLDER / "fragments" / f"{name}.sql")
    values = [arguments] if name == "whole" else arguments.split()
    for number, value in enumerate(values, start=1):
        query = query.replace(f"{{{number}}}", value)
    return _filled(query)


def _attributes(table: type[Table], row: str) -> str:
    """A list of the tracked columns of a row with their values as text."""
    assert issubclass(table, HistoryTable)
    columns = table.with_metadata(history="tracked")
    return ", ".join(f"{{'attribute': '{name}', 'value': CAST({row}.{name} AS VARCHAR)}}" for name in columns)


def _last_counters(table: type[Table]) -> str:
    """Each counter of rows `fact` as it was last seen, without the dates on which it is in the list `w.counters`."""
    is_withheld = f"coalesce(list_contains(w.counters, '{table.table_name()}.{{name}}'), false)"
    last = f"arg_max_null(fact.{{name}}, fact.snapshot_date) FILTER (NOT {is_withheld}) AS {{name}}"
    return ", ".join(last.format(name=name) for name in _counters(table))


def _read_view(name: str) -> View:
    """The view that a file of the folder declares."""
    read = _read(name)
    return View(name, read.description, read.sql, columns=read.columns)


VIEWS = (
    View(
        "model",
        "The current rows of dim_model: every model that the service has, as it is now.",
        "SELECT * FROM star.dim_model WHERE is_current",
        table=DimModel,
    ),
    View(
        "model_version",
        "The current rows of dim_model_version: every version that the service has, as it is now.",
        "SELECT * FROM star.dim_model_version WHERE is_current",
        table=DimModelVersion,
    ),
    _read_view("version_wide"),
    View(
        "manifest",
        "The Parquet files of this generation, one row per file.",
        "SELECT table_name, part, snapshot_date, path, rows, bytes FROM build.manifest "
        "WHERE starts_with(lake_path, 'star/')",
        columns={
            "table_name": "The table that the file belongs to.",
            "part": "How the file fits into the table: whole, open or closed rows of a type 2 table, daily, monthly "
            "(days that compact merged), appended, or empty for a table without rows.",
            "snapshot_date": "The snapshot date that the file belongs to, of a monthly one the first of its month, of "
            "closed and appended ones of several dates the last of these. Null: it belongs to none.",
            "path": "Absolute path of the file.",
            "rows": "Rows in the file.",
            "bytes": "Size of the file. Unit: bytes.",
        },
    ),
    *(View(name, description, sql, columns=columns) for name, description, sql, columns in cube_views()),
)

#: In reading order.
MACROS = tuple(
    map(
        _read,
        (
            *("trend_base_model", "trending_models", "models_as_of", "model_history", "removed_models"),
            *("release_curves", "half_life", "time_to_downloads", "survival", "adoption", "creator_migration"),
            *("creator_leaderboard", "concentration", "trending_tags", "weekday_pattern"),
            *("licence_mix", "licence_changes", "main_file", "find_hash", "snapshot_coverage"),
        ),
    )
)
