"""Base-model trends: what the catalogue downloads, rates and publishes, day by day.

A marimo notebook on the published tables of the data directory (`CIVITAI_ETL_DATA_DIR`). Run it with
`civitai-etl dashboard`, or change it with `marimo edit notebooks/base_model_trends.py`.
"""

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Base-model trends")


@app.cell
def _():
    import marimo as mo
    import polars as pl

    from flows.reporting import charts, report
    from pipelines.errors import CivitaiEtlError
    from pipelines.settings import Settings

    return CivitaiEtlError, Settings, charts, mo, pl, report


@app.cell
def _(mo):
    mo.md("""
    # Base-model trends

    Every model version on Civitai is made for a *base model*, the architecture that it was trained on. One snapshot a
    day counts what each of them gained.
    """)
    return


@app.cell
def _(CivitaiEtlError, Settings, charts, mo, report):
    # Nothing published yet is no accident: say what to do instead of showing a traceback.
    try:
        analytics = Settings().directory.analytics
        with report.open_analytics(analytics) as _connection:
            everything = charts.daily(_connection)
        _problem = f"{analytics} has no snapshot yet: run `civitai-etl snapshot`." if everything.is_empty() else None
    except CivitaiEtlError as _error:
        _problem = str(_error)
    mo.stop(
        _problem is not None, mo.callout(mo.md(f"**No data yet.** {report.in_markdown(_problem or '')}"), kind="warn")
    )
    return analytics, everything


@app.cell
def _(charts, everything, mo):
    _first, _last = everything["snapshot_date"].min(), everything["snapshot_date"].max()
    dates = mo.ui.date_range(start=_first, stop=_last, value=(_first, _last), label="Snapshots from")
    base_models = mo.ui.multiselect(
        options=sorted(everything["base_model"].unique()),
        value=charts.leading(everything, 6),
        max_selections=charts.COLOURED,
        label="Base models",
        full_width=True,  # or a phone cuts it
    )
    grain = mo.ui.dropdown(
        {"by length": None, "days": "day", "weeks": "week", "months": "month"}, value="by length", label="A point is"
    )
    form = mo.ui.dropdown(["absolute", "share", "indexed", "cumulative"], value="absolute", label="Downloads")
    log = mo.ui.checkbox(label="logarithmic")
    mo.vstack(
        [
            mo.hstack([dates, base_models], justify="start", gap=2, wrap=True),
            mo.hstack([grain, form, log], justify="start", gap=2, wrap=True),
        ]
    )
    return base_models, dates, form, grain, log


@app.cell
def _(base_models, charts, dates, everything, mo, pl):
    since, until = dates.value
    mo.stop(
        since > until,
        mo.callout(
            mo.md(f"The range ends on {until}, before it begins on {since}: exchange the two dates."), kind="warn"
        ),
    )
    frame = everything.filter(pl.col("snapshot_date").is_between(since, until))
    mo.stop(not base_models.value, mo.callout(mo.md("Choose at least one base model."), kind="info"))
    # The one with most downloads comes first, whatever the order of the clicks.
    chosen = [name for name in charts.leading(frame, frame.height) if name in base_models.value]
    return chosen, frame


@app.cell
def _(mo):
    def shown(figure):
        """A chart on the paper of this page, and its numbers."""
        numbers = mo.accordion({"The numbers as a table": mo.ui.table(figure.table, selection=None)})
        return mo.vstack([figure.chart(mo.app_meta().theme or "light"), numbers])

    return (shown,)


@app.cell
def _(charts, chosen, form, frame, grain, log, shown):
    downloads = charts.lines(frame, chosen, grain=grain.value, form=form.value, log=log.value)
    shown(downloads)
    return (downloads,)


@app.cell
def _(charts, chosen, frame, grain, shown):
    share = charts.stack(frame, chosen, grain=grain.value)
    shown(share)
    return (share,)


@app.cell
def _(charts, everything, mo):
    # The service gave ratings until 2025 and gives thumbs since 2024: offer what these snapshots have.
    _names = {"approval": "approval_rate", "approval, lower bound": "approval_lower_bound", "rating, 0 to 5": "rating"}
    _known = {name: column for name, column in _names.items() if everything[column].is_not_null().any()} or _names
    measure = mo.ui.radio(options=_known, value=next(iter(_known)), inline=True, label="Measure:")
    measure
    return (measure,)


@app.cell
def _(charts, chosen, frame, grain, measure, shown):
    rating = charts.lines(frame, chosen, charts.RATINGS[measure.value], grain=grain.value)
    shown(rating)
    return (rating,)


@app.cell
def _(charts, chosen, frame, grain, shown):
    versions = charts.stack(frame, chosen, charts.VERSIONS, grain=grain.value, share=False)
    shown(versions)
    return (versions,)


@app.cell
def _(charts, frame, grain, shown):
    panels = charts.multiples(frame, charts.leading(frame, frame.height), grain=grain.value)
    shown(panels)
    return (panels,)


@app.cell
def _(analytics, mo):
    mo.accordion(
        {
            "What the numbers mean": mo.md(f"""
    - **Downloads per day**: what the counters of the versions gained since the complete snapshot before, divided by the
      days in between. A day without a complete snapshot is a gap in the line, never a zero; the first snapshot of all
      has no flow and is not drawn. The service corrects its counters now and then, so a day can be negative. The
      seven-day mean is what the last seven days gained, by the days that their snapshots span; it begins after seven
      days.
    - **Weeks and months**: what the snapshots of a week gained, divided by the days that they span. From 91 days on a
      point is a week, from 541 days on a month.
    - **Share**: the base model's part of all downloads of that bar. **Indexed**: its first value is 100.
      **Cumulative**: all downloads since the first snapshot of the range.
    - **Rating**: the average that the service gave until 2025, 0 to 5, weighted with its counts. **Approval**: thumbs
      up out of all thumbs. Its **lower bound** (Wilson, 95 %) ranks 9 of 10 below 900 of 1,000. All three are about
      everything that was ever rated, not about the day.
    - **New versions per day**: versions first seen in these snapshots and published since the one before, per day.
    - **Colours**: each base model has its own for ever. Its hue says the ecosystem.
    - Days are UTC. The tables: `{analytics}`, `star.mart_base_model_daily`.
    """)
        }
    )
    return


@app.cell
def _(Settings, charts, downloads, mo, panels, rating, share, versions):
    # As a script there is no reader: the charts go to files.
    written = []
    if mo.app_meta().mode == "script":
        _figures = {"downloads": downloads, "share": share, "rating": rating, "versions": versions, "panels": panels}
        for _name, _figure in _figures.items():
            written += charts.write_chart(_figure, Settings().directory.root / "charts", f"base_model_trends_{_name}")
    return (written,)


if __name__ == "__main__":
    app.run()
