"""Draws `results.json` of `make bench-scale`: seconds and memory against the size of the catalogue.

Of the pipeline it shows the build after the last answer of the service, of DuckDB alone the whole run: both begin with
documents that are there and end with tables.
"""

import json
import sys
from pathlib import Path

import altair as alt
import polars as pl

from benchmarks.scale import RESULTS
from flows.reporting.charts.theme import LIGHT

PICTURE = Path("docs/images/scale.png")
NAMES = {"live": "civitai-etl, live", "spec": "civitai-etl, spec", "duckdb": "DuckDB alone"}
COLOURS = ["#0072b2", "#d55e00", LIGHT.grey]
TITLES = {"seconds": "Documents to tables, in seconds", "GiB": "Peak memory of the process tree, in GiB"}
DAYS = {1: "first day", 2: "second day"}
SIZE_PX = (330, 260)


def lines() -> pl.DataFrame:
    """One row per run and measure: contestant, day, thousands of models, measure, value."""
    runs = pl.DataFrame(json.loads(RESULTS.read_text()))
    return runs.select(
        pl.col("contestant").replace_strict(NAMES),
        pl.col("day").replace_strict(DAYS),
        thousands=pl.col("models") / 1000,
        seconds=pl.coalesce("build_seconds", "seconds"),
        GiB=pl.col("peak_mib") / 1024,
    ).unpivot([*TITLES], index=["contestant", "day", "thousands"], variable_name="measure")


def panel(rows: pl.DataFrame, measure: str) -> alt.LayerChart:
    """A measure against the size, both logarithmic: what grows with the catalogue has the slope of the diagonal."""
    sizes = rows["thousands"].unique().sort().to_list()
    base = alt.Chart(rows.filter(pl.col("measure") == measure)).encode(
        x=alt.X("thousands:Q", title="thousands of models", scale=alt.Scale(type="log"), axis=alt.Axis(values=sizes)),
        y=alt.Y("value:Q", title=None, scale=alt.Scale(type="log", nice=False), axis=alt.Axis(tickCount=5)),
        color=alt.Color("contestant:N", title=None, scale=alt.Scale(domain=[*NAMES.values()], range=COLOURS)),
    )
    dash = alt.StrokeDash("day:N", title=None, scale=alt.Scale(domain=[*DAYS.values()], range=[[1, 0], [4, 3]]))
    drawn = alt.layer(base.mark_line(strokeWidth=2).encode(strokeDash=dash), base.mark_point(filled=True, opacity=1))
    title = alt.Title(TITLES[measure], fontSize=13)
    return drawn.properties(title=title, width=SIZE_PX[0], height=SIZE_PX[1])


def main() -> int:
    rows = lines()
    panels = alt.hconcat(*(panel(rows, measure) for measure in TITLES), config=LIGHT.config())
    panels.save(PICTURE, scale_factor=1.5)
    print(PICTURE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
