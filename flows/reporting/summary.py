"""The summary of a run as Markdown, for Prefect's pages: what to look at first, the details of it, and a chart.

The numbers of a day come from the published tables, so the page says what an analyst finds.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from flows.reporting.freshness import LAST_CRAWL
from flows.reporting.logged_progress import slowest
from flows.reporting.report import (
    base_model_lines,
    build_lines,
    downloads_title,
    in_a_block,
    in_markdown,
    reading_order,
    top_base_models,
)

if TYPE_CHECKING:
    import duckdb

    from transforms.build import BuildReport

#: Pixels of the chart, and how many base models it shows.
_WIDTH, _NAMES = 700, 6
#: How many rows a table of details has, and how many steps are shown.
_ROWS, _STEPS = 10, 8

Row = tuple[object, ...]


@dataclass(frozen=True)
class Day:
    """What the published tables say of a snapshot date, beside its rows.

    `coverage` is the share of the announced entities that the last crawl that counts met, None if no list says how long
    it is. `quarantined` has a count per kind, level and reason; `withheld` a counter with the entities that fell and
    those that had one; `drift` the unknown JSON paths that the date was the first to show, by kind.
    """

    coverage: float | None
    quarantined: list[Row]
    withheld: list[Row]
    drift: list[Row]
    known_drift: int
    warnings: list[str]

    @property
    def glance(self) -> dict[str, str]:
        """Each number that somebody watches, also where there is nothing to see."""
        return {
            "share met": "unknown" if self.coverage is None else f"{self.coverage:.2%}",
            "quarantined": f"{sum(int(str(count)) for *_, count in self.quarantined):,}",
            "counters withheld": f"{len(self.withheld):,}",
            "new JSON paths": f"{len(self.drift):,} ({self.known_drift:,} are unknown in all)",
            "warnings": f"{len(self.warnings):,}",
        }

    def line(self, title: str) -> str:
        """A line for a list of days."""
        return f"{title}: {', '.join(f'{name} {found}' for name, found in self.glance.items())}."


def day_of(connection: "duckdb.DuckDBPyConnection", on: date) -> Day:
    """What `star.ops_*` have of a snapshot date."""

    def rows(query: str) -> list[Row]:
        return connection.execute(query, [on]).fetchall()

    coverage = rows(f"select arg_max_null(coverage, {LAST_CRAWL}) from star.ops_snapshot where snapshot_date = ?")
    quarantined = rows(
        r"""
        select kind, level, regexp_replace(reason, '\[[^]]*\]', '[]', 'g') as reason_of_all, count(*)
        from star.ops_quarantine where snapshot_date = ? group by all
        order by count(*) desc, kind, level, reason_of_all
        """
    )
    withheld = rows(
        """
        select counter, fallen_count, known_count
        from star.ops_withheld where snapshot_date = ? and not is_accepted order by counter
        """
    )
    drift = rows("select kind, path, example from star.ops_drift where first_seen_on = ? order by all")
    ((known_drift,),) = connection.execute("select count(*) from star.ops_drift").fetchall()
    warnings = rows("select message from star.ops_warning where snapshot_date = ? order by rule, subject, message")
    return Day(coverage[0][0], quarantined, withheld, drift, known_drift, [str(text) for (text,) in warnings])  # type: ignore[arg-type]


def markdown(
    title: str,
    sentence: str,
    built: "BuildReport",
    seconds: Mapping[str, float],
    gained: str,
    day: Day | None = None,
) -> str:
    """The page of a run.

    Args:
        title: its headline.
        sentence: what the run did.
        built: what it built.
        seconds: how long each of its steps took.
        gained: what base models gained, as Markdown (`downloads`).
        day: the day that it published, if it is about one.
    """
    parts = [f"# {title}", in_markdown(sentence)]
    if day:
        parts += [_table(("what", "found"), list(day.glance.items())), *_details(day)]
    parts += [
        gained,
        "## Records",
        "\n".join(in_a_block(build_lines(built) or ["nothing new to build"])),
        "## Slowest steps",
        _table(("step", "seconds"), [(step, f"{took:,.1f}") for step, took in slowest(dict(seconds))[:_STEPS]]),
    ]
    return "\n\n".join(parts) + "\n"


def _details(day: Day) -> list[str]:
    parts = []
    for headline, names, rows in (
        ("Quarantine", ("kind", "level", "reason", "count"), day.quarantined),
        ("Withheld counters", ("counter", "fell to less than half", "of"), day.withheld),
        ("New JSON paths", ("kind", "path", "example"), day.drift),
        ("Warnings", ("warning",), [(warning,) for warning in day.warnings]),
    ):
        if rows:
            parts += [f"## {headline}", _table(names, rows[:_ROWS])]
            if len(rows) > _ROWS:
                parts.append(f"... and {len(rows) - _ROWS:,} more")
    return parts


def _table(names: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [names, ["---"] * len(names), *([_cell(value) for value in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else in_markdown(str(value))


def row_table(rows: Mapping[str, int], before: Mapping[str, int]) -> list[dict[str, object]]:
    """Rows of each table, in reading order, with those of the tables that were published before, and the change; null
    if the table was not there.
    """
    return [
        {
            "table": name,
            "rows": rows[name],
            "before": before.get(name),
            "change": rows[name] - before[name] if name in before else None,
        }
        for name in reading_order(rows)
    ]


def downloads(connection: "duckdb.DuckDBPyConnection") -> str:
    """What the leading base models gained, as Markdown: a picture of their days, and the numbers of the last week."""
    from flows.reporting import charts

    top = top_base_models(connection)
    parts = [f"## {downloads_title(top)}"]
    if top and top[0].since != top[0].until:
        frame = charts.daily(connection)
        figure = charts.lines(frame, charts.leading(frame, _NAMES))
        picture = base64.b64encode(charts.svg(figure, _WIDTH).encode()).decode()
        parts.append(f"![{in_markdown(figure.finding)}](data:image/svg+xml;base64,{picture})")
        parts.append("\n".join(in_a_block(base_model_lines(top))))
    return "\n\n".join(parts)
