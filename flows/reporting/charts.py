"""Charts of the base models over time, for the demo and the notebook: the same data and the same look.

What the numbers mean: `mart_base_model_daily` has a flow (`downloads_delta`) per snapshot, which may span several days.
A chart divides the flow by these days and shows it at the date of the snapshot. What a version gained while its number
was hidden is spread over the snapshots in between by days, as in the table macros. A day without a snapshot, or with
withheld downloads, is a gap in the line. An unknown flow, as of the first snapshot, is not drawn. Neither is ever zero.
"""

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TypeVar

import altair as alt
import duckdb
import polars as pl

from pipelines.storage.replacement import replacing

#: Colours that most kinds of colour vision can distinguish (after Okabe and Ito).
PALETTE = ["#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#7a5195", "#8c6d31", "#5b8c2a", "#b0413e"]
OTHER = "other base models"
OTHER_COLOUR = "#c4c7cc"
WIDTH, HEIGHT = 680, 340
AnyChart = TypeVar("AnyChart", alt.Chart, alt.LayerChart)
#: The rating measures of the mart, with their axis titles and number formats.
RATING_MEASURES = {
    "rating": ("average rating, of 5", ".2f"),
    "approval_rate": ("thumbs up, share of all thumbs", ".1%"),
    "approval_lower_bound": ("approval, lower bound (Wilson, 95 %)", ".1%"),
}


def daily(connection: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """One row per base model and calendar day. Numbers are null except at complete snapshots.

    A partial snapshot has the flow of what it reached, and a later one has the rest. Alone it would look like a fall,
    and the day after it like a rise. So its flow counts with the next complete snapshot. The same holds for the flow
    up to a date with withheld downloads.

    Columns: `snapshot_date`, `base_model`; `downloads`, gained since the complete snapshot before;
    `downloads_per_day` and `versions_per_day`, flows divided by the days between the two; `downloads_share`; `rating`,
    `approval_rate`, `approval_lower_bound`.
    """
    frame: pl.DataFrame = connection.sql(Path(__file__).with_name("base_models_daily.sql").read_text()).pl()
    return frame


def leading(frame: pl.DataFrame, count: int) -> list[str]:
    """The `count` base models with the most downloads over the dates of `frame`, highest first."""
    return (
        frame.group_by("base_model")
        .agg(pl.col("downloads").sum())
        .sort("downloads", "base_model", descending=[True, False])
        .head(count)["base_model"]
        .to_list()
    )


def downloads_chart(frame: pl.DataFrame, base_models: Sequence[str]) -> alt.LayerChart:
    """Downloads per day, one line per base model with its name at the end."""
    return _lines(
        frame, base_models, "downloads_per_day", "downloads per day", ",.0f", "Downloads per day by base model"
    )


def rating_chart(frame: pl.DataFrame, base_models: Sequence[str], measure: str) -> alt.LayerChart:
    """A measure of `RATING_MEASURES` over time, one line per base model; its axis does not begin at zero."""
    axis, number_format = RATING_MEASURES[measure]
    title = "Rating by base model" if measure == "rating" else "Approval by base model"
    return _lines(frame, base_models, measure, axis, number_format, title, from_zero=False)


def share_chart(frame: pl.DataFrame, base_models: Sequence[str]) -> alt.Chart:
    """Share of each snapshot's downloads, stacked; all other base models are one grey part."""
    return _stacked(
        frame, base_models, "downloads_share", "share of downloads", ".0%", "Share of downloads by base model"
    )


def versions_chart(frame: pl.DataFrame, base_models: Sequence[str]) -> alt.Chart:
    """New versions per day, stacked; all other base models are one grey part."""
    return _stacked(
        frame, base_models, "versions_per_day", "new versions per day", ",.2~f", "New versions per day by base model"
    )


def write_chart(chart: alt.TopLevelMixin, directory: Path, name: str) -> tuple[Path, Path]:
    """Write a chart as `<name>.png` and `<name>.html`, which contains its scripts and needs no network."""
    directory.mkdir(parents=True, exist_ok=True)
    png, html = directory / f"{name}.png", directory / f"{name}.html"
    with replacing(png) as aside:
        chart.save(aside, format="png", scale_factor=2)
    with replacing(html) as aside:
        chart.save(aside, format="html", inline=True)
    return png, html


def _lines(
    frame: pl.DataFrame,
    base_models: Sequence[str],
    column: str,
    axis: str,
    number_format: str,
    title: str,
    *,
    from_zero: bool = True,
) -> alt.LayerChart:
    shown = frame.filter(pl.col("base_model").is_in(base_models)).select("snapshot_date", "base_model", column)
    low, high = _span(shown[column], from_zero=from_zero)
    scale = alt.Scale(domain=[low, high], nice=False)
    colour = _colour(base_models, legend=None)
    lines = (
        alt.Chart(shown)
        # A null breaks the line; the points show single dates between two gaps.
        .mark_line(strokeWidth=2, invalid="break-paths-show-domains", point=alt.OverlayMarkDef(size=14))
        .encode(
            x=_date_axis(),
            y=alt.Y(f"{column}:Q", title=axis, scale=scale, axis=alt.Axis(format=number_format)),
            color=colour,
            tooltip=_tooltip(column, axis, number_format),
        )
    )
    names = (
        alt.Chart(_end_labels(shown, column, low, high))
        .mark_text(align="left", fontSize=11, fontWeight="bold")
        .encode(
            x=alt.value(WIDTH + 8),
            y=alt.Y("label_at:Q", scale=scale, title=axis),
            text="base_model:N",
            color=colour,
        )
    )
    return _finished(alt.LayerChart(layer=[lines, names]), title, frame)


def _stacked(
    frame: pl.DataFrame, base_models: Sequence[str], column: str, axis: str, number_format: str, title: str
) -> alt.Chart:
    order = [*base_models, OTHER]
    known = pl.col(column).is_not_null().any()
    shown = (
        frame.with_columns(
            base_model=pl.when(pl.col("base_model").is_in(base_models)).then("base_model").otherwise(pl.lit(OTHER))
        )
        .group_by("snapshot_date", "base_model")
        # A sum of only nulls is unknown, not zero.
        .agg(pl.when(known).then(pl.col(column).sum()))
        .with_columns(rank=pl.col("base_model").replace_strict(order, range(len(order)), return_dtype=pl.Int32))
        .sort("snapshot_date", "rank")
    )
    bars: alt.Chart = (
        alt.Chart(shown)
        # Bars, not areas: an area would fill the gap between two snapshots.
        .mark_bar(binSpacing=1)
        .encode(
            x=_date_axis().timeUnit("yearmonthdate"),
            # Shares add up to one except for rounding: no nicer axis than that.
            y=alt.Y(f"{column}:Q", title=axis, scale=alt.Scale(nice=False), axis=alt.Axis(format=number_format)),
            color=_colour(order, legend=alt.Legend(title=None, orient="right", symbolType="square")),
            order="rank:Q",
            tooltip=_tooltip(column, axis, number_format),
        )
    )
    return _finished(bars, title, frame)


def _finished(chart: AnyChart, title: str, frame: pl.DataFrame) -> AnyChart:
    sized = chart.properties(title=_title(title, frame), width=WIDTH, height=HEIGHT)
    finished: AnyChart = sized.configure(
        font="DejaVu Sans, Helvetica, Arial, sans-serif",
        background="white",
        view={"stroke": None},
        axis={
            "labelColor": "#4a4f57",
            "titleColor": "#4a4f57",
            "titleFontWeight": "normal",
            "labelFontSize": 11,
            "titleFontSize": 12,
            "gridColor": "#eceef1",
            "domainColor": "#b8bdc5",
            "tickColor": "#b8bdc5",
        },
        title={"anchor": "start", "fontSize": 16, "subtitleFontSize": 12, "subtitleColor": "#6a7079", "offset": 14},
        legend={"labelFontSize": 11, "labelLimit": 220},
    )
    return finished


def _span(values: pl.Series, *, from_zero: bool) -> tuple[float, float]:
    """The domain of an axis with a small margin; it includes zero if `from_zero`."""
    known = values.drop_nulls()
    if known.is_empty():
        return 0.0, 1.0
    low, high = float(known.min()), float(known.max())  # type: ignore[arg-type]
    if from_zero:
        low, high = min(low, 0.0), max(high, 0.0)
    air = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
    return (low if from_zero and low == 0 else low - air), high + air


def _end_labels(shown: pl.DataFrame, column: str, low: float, high: float) -> pl.DataFrame:
    """The place of each name: at the last known value of its line, moved up or down until no two overlap."""
    ends = (
        shown.drop_nulls(column)
        .sort("snapshot_date")
        .group_by("base_model", maintain_order=True)
        .agg(pl.col(column).last().cast(pl.Float64).alias("label_at"))
        .sort("label_at", "base_model")
    )
    gap = (high - low) * 14 / HEIGHT
    places: list[float] = []
    for end in ends["label_at"]:
        places.append(end if not places else max(end, places[-1] + gap))
    overshoot = high
    for index in reversed(range(len(places))):
        places[index] = min(places[index], overshoot)
        overshoot = places[index] - gap
    return ends.with_columns(label_at=pl.Series(places, dtype=pl.Float64))


def _date_axis() -> alt.X:
    # The subtitle has the years.
    return alt.X(
        "snapshot_date:T", title=None, axis=alt.Axis(format="%-d %b", tickCount=8, labelFlush=False, grid=False)
    )


def _colour(base_models: Sequence[str], legend: alt.Legend | None) -> alt.Color:
    colours = [OTHER_COLOUR if name == OTHER else PALETTE[rank % len(PALETTE)] for rank, name in enumerate(base_models)]
    return alt.Color("base_model:N", scale=alt.Scale(domain=list(base_models), range=colours), legend=legend)


def _tooltip(column: str, title: str, number_format: str) -> list[alt.Tooltip]:
    return [
        alt.Tooltip("snapshot_date:T", title="snapshot", format="%-d %B %Y"),
        alt.Tooltip("base_model:N", title="base model"),
        alt.Tooltip(f"{column}:Q", title=title, format=number_format),
    ]


def _title(text: str, frame: pl.DataFrame) -> alt.TitleParams:
    first, last = frame["snapshot_date"].min(), frame["snapshot_date"].max()
    assert isinstance(first, date)
    assert isinstance(last, date)
    return alt.TitleParams(
        text, subtitle=f"{first:%-d %B %Y} to {last:%-d %B %Y}, daily snapshots (UTC); a day without one is a gap"
    )
