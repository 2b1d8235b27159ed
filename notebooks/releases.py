"""Releases: how fast versions gather downloads and lose them again, and how base models are taken up.

A marimo notebook on the published tables of the data directory (`CIVITAI_ETL_DATA_DIR`). Run it with
`marimo run notebooks/releases.py`, or change it with `marimo edit notebooks/releases.py`. As a script it writes its
charts to `charts` in the data directory.
"""

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Releases")


@app.cell
def _():
    from functools import cache

    import marimo as mo
    import polars as pl

    from flows.reporting import charts, report
    from pipelines.errors import CivitaiEtlError
    from pipelines.settings import Settings

    return CivitaiEtlError, Settings, cache, charts, mo, pl, report


@app.cell
def _(mo):
    mo.md("""
    # Releases

    What becomes of a version after its publication, by the base model that it was made for; and what becomes of a base
    model after its first version.
    """)
    return


@app.cell
def _(CivitaiEtlError, Settings, mo, report):
    # Nothing published yet is no accident: say what to do instead of showing a traceback.
    try:
        analytics = Settings().directory.analytics
        with report.open_analytics(analytics) as _connection:
            # First those with most releases since the first snapshot: only these were watched from their beginning.
            everything = _connection.sql("""
                select base_model, count(*) as versions, count(*) filter (first_seen_on > since.date) as released
                from (
                    select arg_max(base_model, valid_from) as base_model, min(valid_from) as first_seen_on
                    from star.dim_model_version
                    group by version_id
                )
                cross join (select min(date) as date from star.dim_date where has_snapshot) as since
                where since.date is not null
                group by base_model
                order by released desc, versions desc, base_model
            """).pl()
            types = _connection.sql(
                "from star.model select type where type <> '' group by type order by count(*) desc, type"
            )
            types = types.pl()["type"].to_list()
        _problem = f"{analytics} has no snapshot yet: run `civitai-etl snapshot`." if everything.is_empty() else None
    except CivitaiEtlError as _error:
        _problem = str(_error)
    mo.stop(
        _problem is not None, mo.callout(mo.md(f"**No data yet.** {report.in_markdown(_problem or '')}"), kind="warn")
    )

    def ask(query, **parameters):
        """The answer of the published tables to a query, as a frame."""
        with report.open_analytics(analytics) as connection:
            return connection.sql(query, params=parameters).pl()

    return analytics, ask, everything, types


@app.cell
def _(mo):
    def shown(figure, rows, nothing):
        """A chart on the paper of this page and its numbers; or what to do, if there is nothing to draw."""
        if figure.table["value"].is_null().all():
            return mo.callout(mo.md(nothing), kind="info")
        numbers = mo.accordion({"The numbers as a table": mo.ui.table(rows, selection=None)})
        return mo.vstack([figure.chart(mo.app_meta().theme or "light"), numbers])

    return (shown,)


@app.cell
def _(charts, everything, mo):
    base_models = mo.ui.multiselect(
        options=sorted(everything["base_model"]),
        value=everything["base_model"].head(4).to_list(),
        max_selections=charts.COLOURED,
        label="Base models",
        full_width=True,  # or a phone cuts it
    )
    fewest = mo.ui.slider(1, 50, value=10, show_value=True, label="No number from fewer versions than")
    mo.hstack([base_models, fewest], justify="start", gap=2, wrap=True)
    return base_models, fewest


@app.cell
def _(base_models, everything, mo):
    mo.stop(not base_models.value, mo.callout(mo.md("Choose at least one base model."), kind="info"))
    # The one with most releases comes first, whatever the order of the clicks.
    chosen = [name for name in everything["base_model"] if name in base_models.value]
    return (chosen,)


@app.cell
def _(charts, mo):
    _measures = {
        name: charts.Measure(column, f"Downloads of {version}", f"downloads of {version}", whole=True)
        for name, column, version in (
            ("median", "downloads_median", "the median version"),
            ("lower quartile", "downloads_lower_quartile", "the version at the lower quartile"),
            ("upper quartile", "downloads_upper_quartile", "the version at the upper quartile"),
        )
    }
    version = mo.ui.dropdown(_measures, value="median", label="Version at the")
    until_age = mo.ui.dropdown({"30 days": 30, "90 days": 90, "a year": 365}, value="90 days", label="Up to an age of")
    log = mo.ui.checkbox(label="logarithmic")
    mo.vstack(
        [
            mo.md("## How versions gather downloads"),
            mo.hstack([version, until_age, log], justify="start", gap=2, wrap=True),
        ]
    )
    return log, until_age, version


@app.cell
def _(ask, cache):
    # Each base model is asked for once, and not all of them together: a year of a large catalogue takes its time.
    @cache
    def ages_of(base_model):
        """The release curve of a base model. An age at which no version was observed has a row, too: it is a gap."""
        return ask(
            """
            with curve as materialized (from star.release_curves($base_model))
            select $base_model as base_model, every.age_days, curve.* exclude (age_days)
            from (select unnest(range((select max(age_days) + 1 from curve))) as age_days) as every
            left join curve on curve.age_days = every.age_days
            order by every.age_days
            """,
            base_model=base_model,
        )

    @cache
    def weeks_of(base_model):
        """The adoption of a base model. Downloads of a week that was observed in part would look like a fall."""
        return ask(
            """
            select
                $base_model as base_model,
                week.* replace (if(week.days_observed = 7, week.downloads, null) as downloads),
                7 * (week.weeks_since_first + 1) as days
            from star.adoption($base_model) as week
            """,
            base_model=base_model,
        )

    return ages_of, weeks_of


@app.cell
def _(ages_of, chosen, pl):
    ages = pl.concat([ages_of(name) for name in chosen])
    return (ages,)


@app.cell
def _(ages, charts, chosen, fewest, log, pl, shown, until_age, version):
    # Few versions are chance; without them the line has a gap.
    _column = version.value.column
    _curves = ages.filter(pl.col("age_days") <= until_age.value).with_columns(
        pl.when(pl.col("versions") >= fewest.value).then(_column).alias(_column)
    )
    releases = charts.curves(_curves, chosen, version.value, days="age_days", since="release", log=log.value)
    _nothing = (
        "At no age were so many versions observed that were watched from their publication: take more snapshots, "
        "choose other base models, or take numbers from fewer versions."
    )
    shown(releases, _curves, _nothing)
    return (releases,)


@app.cell
def _(mo, types):
    type_ = mo.ui.dropdown(
        {"all types": None, **{name: name for name in types}}, value="all types", label="Type of model"
    )
    mo.vstack([mo.md("## How soon downloads fade"), type_])
    return (type_,)


@app.cell
def _(ask, type_):
    half_lives = ask("from star.half_life(null, $type)", type=type_.value)
    return (half_lives,)


@app.cell
def _(charts, fewest, half_lives, mo, pl, shown):
    # The row of all base models together is no base model.
    half_life = charts.ranking(
        half_lives.filter(pl.col("versions") >= fewest.value).drop_nulls(["base_model", "days_median"]),
        charts.Measure("days_median", "Half-life of downloads, in days since release", "days, the longest half-life"),
    )
    _nothing = (
        "No half-life is known yet: it takes versions that were watched for more than a week, and half of them must "
        "have faded. Take more snapshots, choose another type, or take numbers from fewer versions."
    )
    _all = half_lives.filter(pl.col("base_model").is_null(), pl.col("days_median").is_not_null())
    _together = [
        mo.md(f"All base models together: **{days} days**, from {versions:,} versions, {halved:,} of which have faded.")
        for days, versions, halved in _all.select("days_median", "versions", "halved").iter_rows()
    ]
    mo.vstack([*_together, shown(half_life, half_lives, _nothing)])
    return (half_life,)


@app.cell
def _(mo):
    target = mo.ui.number(1, 10_000_000, step=1, value=1000, debounce=True, label="Downloads")
    part = mo.ui.dropdown(
        ["a quarter", "half", "three quarters"], value="a quarter", label="Days until so many of the versions have them"
    )
    mo.vstack([mo.md("## How long versions take"), mo.hstack([target, part], justify="start", gap=2, wrap=True)])
    return part, target


@app.cell
def _(ask, target):
    # A field that was emptied has no number.
    downloads = int(target.value or 1000)
    times = ask("from star.time_to_downloads($downloads)", downloads=downloads)
    return downloads, times


@app.cell
def _(charts, downloads, fewest, mo, part, pl, shown, times):
    _quartiles = {"a quarter": "days_lower_quartile", "half": "days_median", "three quarters": "days_upper_quartile"}
    _days = _quartiles[part.value]
    time_to_downloads = charts.ranking(
        times.filter(pl.col("versions") >= fewest.value).drop_nulls(["base_model", _days]),
        charts.Measure(
            _days, f"Days until {part.value} of the versions have {downloads:,} downloads", "days, the longest time"
        ),
    )
    _nothing = (
        f"Of no base model {part.value} of the versions are known to have come to {downloads:,} downloads: choose "
        "fewer downloads, a smaller part or numbers from fewer versions, or take more snapshots."
    )
    _all = times.filter(pl.col("base_model").is_null())
    _together = [
        mo.md(
            f"All base models together: {reached:,} of {versions:,} versions were seen to come to {downloads:,} "
            f"downloads; {part.value} of versions have them after **{'unknown' if days is None else days} days**."
        )
        for days, versions, reached in _all.select(_days, "versions", "reached").iter_rows()
    ]
    mo.vstack([*_together, shown(time_to_downloads, times, _nothing)])
    return (time_to_downloads,)


@app.cell
def _(charts, mo):
    _measures = [
        charts.Measure("versions_total", "Versions so far", "versions", whole=True),
        charts.Measure("creators_total", "Creators so far", "creators", whole=True),
        charts.Measure("versions_share", "Share of the versions of a week", "of the week's versions", is_share=True),
        charts.Measure("downloads", "Downloads in a week", "downloads in a week", whole=True),
        charts.Measure("downloads_share", "Share of the downloads of a week", "of the week's downloads", is_share=True),
    ]
    adopted = mo.ui.dropdown({of.title: of for of in _measures}, value=_measures[0].title, label="Measure")
    until_week = mo.ui.dropdown(
        {"half a year": 26, "a year": 52, "its whole life": None}, value="a year", label="Up to"
    )
    log_adopted = mo.ui.checkbox(label="logarithmic")
    mo.vstack(
        [
            mo.md("## How base models are taken up"),
            mo.hstack([adopted, until_week, log_adopted], justify="start", gap=2, wrap=True),
        ]
    )
    return adopted, log_adopted, until_week


@app.cell
def _(chosen, pl, weeks_of):
    weeks = pl.concat([weeks_of(name) for name in chosen])
    return (weeks,)


@app.cell
def _(adopted, charts, chosen, log_adopted, pl, shown, until_week, weeks):
    _weeks = weeks.filter(pl.col("weeks_since_first") < (until_week.value or weeks.height))
    adoption = charts.curves(_weeks, chosen, adopted.value, since="first version", log=log_adopted.value)
    _nothing = (
        "No such number is known of these weeks: choose another measure or a longer time, or take more snapshots."
    )
    shown(adoption, _weeks.drop("days"), _nothing)
    return (adoption,)


@app.cell
def _(analytics, mo):
    mo.accordion(
        {
            "What the numbers mean": mo.md(f"""
    - **Release curves**: downloads of all time by days since the publication, of versions that were watched from
      their beginning: published since the complete crawl before the one that saw them first. Half of the versions
      that were observed at an age had at most as many as the median. Fewer versions are that old the farther the line
      goes, so it can fall; an age with fewer versions than the slider says is a gap.
    - **Half-life**: the age at which a version's downloads of seven days are for the first time at most half of those
      of its first week, for half of the versions. Versions that did not fall so far count as long as they were
      watched (Kaplan-Meier).
    - **Days to a number of downloads**: likewise, until a part of the versions has the number. A version that was old
      at the first snapshot counts from its age then, and only if it had fewer. A base model of which so many are not
      known to have come to it has no bar; the table has it.
    - **Adoption**: each point is the end of a week since the base model's first version. Versions and creators count
      from their publication, if a snapshot saw them; downloads only in weeks that the snapshots observe wholly. The
      last week may not be over: shares of it are those so far.
    - A version has the base model that it states now, or stated last; of downloads in adoption, that it had then.
    - Days are UTC. The tables: `{analytics}`, `star.release_curves`, `star.half_life`, `star.time_to_downloads`,
      `star.adoption`.
    """)
        }
    )
    return


@app.cell
def _(Settings, adoption, charts, half_life, mo, releases, time_to_downloads):
    # As a script there is no reader: the charts go to files.
    written = []
    if mo.app_meta().mode == "script":
        _figures = {
            "curves": releases,
            "half_life": half_life,
            "time_to_downloads": time_to_downloads,
            "adoption": adoption,
        }
        for _name, _figure in _figures.items():
            written += charts.write_chart(_figure, Settings().directory.root / "charts", f"releases_{_name}")
    return (written,)


if __name__ == "__main__":
    app.run()
