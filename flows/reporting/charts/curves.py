"""Lines by days since an event: release curves, survival, adoption."""

from collections.abc import Sequence

import altair as alt
import polars as pl

from flows.reporting.charts.axes import number_ticks, value_scale
from flows.reporting.charts.figure import Figure
from flows.reporting.charts.layout import Around, finished, flat_axis, left_of, sentence
from flows.reporting.charts.lines import drawable, labelled, line_ends, line_layers
from flows.reporting.charts.measures import Measure
from flows.reporting.charts.series import COLOURED, SOURCE, alone, cut_off, grey_note, hover_rule
from flows.reporting.charts.text import shown
from flows.reporting.charts.theme import Theme


def curves(
    frame: pl.DataFrame,
    names: Sequence[str],
    measure: Measure,
    *,
    by: str = "base_model",
    days: str = "days",
    since: str = "release",
    log: bool = False,
    step: bool = False,
    source: str = SOURCE,
) -> Figure:
    """One curve per name over the days since something happened to it, all beginning at the same place.

    Args:
        frame: a row per name and day since: the name in `by`, the number of days in `days`, the measure's column. A day
            without a number is null, and a gap.
        since: the event, as in "days since release".
        step: the value holds until the next one, as that of a survival curve does.
    """
    names = list(dict.fromkeys(names))
    rows = (
        frame.select(name=by, day=pl.col(days).cast(pl.Float64), value=pl.col(measure.column).cast(pl.Float64))
        .filter(pl.col("name").is_in(names))
        .sort("name", "day")
    )
    known = rows.drop_nulls("value")
    subtitle = f"{measure.title}, by days since {since}"
    footer = [f"Source: {source}."]
    table = rows.select("name", pl.col("day").alias(f"days since {since}"), "value")
    if known.is_empty():
        title = f"{measure.title}: nothing to draw yet"
        around = Around(title, subtitle, footer)
        text = f"No {by.replace('_', ' ')} was watched since its {since} yet."
        return Figure(title, table, lambda theme, width: sentence(around, text, theme, width=width))
    coloured = names[:COLOURED]
    finding = _finding(known.filter(pl.col("name").is_in(coloured)) if coloured else known, measure, since)
    first, last = (float(edge) for edge in known.select(pl.col("day").min(), pl.col("day").max().alias("last")).row(0))
    # What is unknown beyond has no place in the plot, and would make it narrow.
    rows = rows.filter(pl.col("day").is_between(first, last))
    drawn = []
    for place, name in enumerate(names):
        of_name = rows.filter(pl.col("name") == name)
        single = alone(of_name["value"].to_list())
        drawn += [
            {
                "series": place,
                "name": name,
                "x": day,
                "value": value,
                "mean": None,
                "alone": alone,
                "faint": False,
                "when": f"day {day:,.0f}",
            }
            for (day, value), alone in zip(of_name.select("day", "value").iter_rows(), single, strict=True)
        ]
    per_name = [known.filter(pl.col("name") == name)["value"].to_list() for name in names]
    scale = value_scale(per_name, measure, log=log)
    rest = grey_note(len(names) - len(coloured))
    around = Around(finding, subtitle, [*cut_off(drawn, scale, measure), *rest, *footer])

    def draw(theme: Theme, width: int | None) -> alt.LayerChart:
        air = 0.5 if first == last else 0.0
        x = alt.X(
            "x:Q",
            title=None,
            scale=alt.Scale(domain=[first - air, last + air], nice=False, zero=False),
            axis=flat_axis(number_ticks(first, last, 5), number_ticks(first, last, 10)),
        )
        painted = drawable(drawn, coloured, scale)
        entries, beside = labelled(line_ends(drawn, coloured, scale, theme, measure), x)
        at_days: dict[float, dict[str, float | None]] = {}
        for row in drawn:
            if row["name"] in coloured:
                at_days.setdefault(row["x"], {})[row["name"]] = row["value"]
        places = [(at, f"{at:,.0f} days since {since}", list(values.items())) for at, values in sorted(at_days.items())]
        layers = [
            *line_layers(painted, coloured, scale, x, theme, "value", step=step),
            *beside,
            hover_rule(places, measure, x, theme),
        ]
        return finished(
            layers, around, theme, left=left_of(scale), bottom=22, entries=entries, width=width, points=painted
        )

    return Figure(finding, table, draw)


def _finding(known: pl.DataFrame, measure: Measure, since: str) -> str:
    """Who is highest on the last day that most of them have reached."""
    reached = known.group_by("name").agg(pl.col("day").max())["day"].sort()
    until = reached[(len(reached) - 1) // 2]
    latest = known.filter(pl.col("day") <= until).sort("day").group_by("name").agg(pl.col("value").last())
    name, value = latest.sort("value", "name", descending=[True, False]).row(0)
    days = "day" if until == 1 else "days"
    return f"{shown(name)} leads {until:,.0f} {days} after its {since}: {measure.said(value)}"
