"""Creators and tags: whose models are downloaded, on how few creators downloads fall, who moves on, what rises.

A marimo notebook on the published tables of the data directory (`CIVITAI_ETL_DATA_DIR`). Read it with
`marimo run notebooks/creators_and_tags.py`, or change it with `marimo edit`. As a script it writes its charts.
"""

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Creators and tags")


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
    # Creators and tags

    Who is downloaded, and for what: the creators of the catalogue, and the tags that they put on their models.
    """)
    return


@app.cell
def _(CivitaiEtlError, Settings, mo, report):
    analytics = Settings().directory.analytics

    def ask(query, *values):
        """The answer of the published tables, a frame."""
        with report.open_analytics(analytics) as connection:
            return connection.sql(query, params=values).pl()

    # Nothing published yet is no accident: say what to do instead of showing a traceback.
    try:
        complete = ask("select date from star.dim_date where is_complete order by date")["date"]
        # With the most versions first, and of these the one that is older.
        names = ask("""
            select base_model, min(published_at) as since
            from star.model_version group by base_model order by count(*) desc, base_model
        """)
        _problem = None if len(complete) else f"{analytics} has no snapshot yet: run `civitai-etl snapshot`."
    except CivitaiEtlError as _error:
        _problem = str(_error)
    mo.stop(
        _problem is not None, mo.callout(mo.md(f"**No data yet.** {report.in_markdown(_problem or '')}"), kind="warn")
    )
    return analytics, ask, complete, names


@app.cell
def _(complete, mo):
    # Growth compares with as many days before: begin with what these snapshots can answer.
    _enough = (complete[-1] - complete[0]).days >= 2 * 28
    days = mo.ui.dropdown(
        {"7 days": 7, "28 days": 28, "90 days": 90},
        value="28 days" if _enough else "7 days",
        label="Downloads of the last",
    )
    most = mo.ui.slider(5, 50, step=5, value=10, show_value=True, label="How many to show")
    _controls = mo.hstack([days, most], justify="start", gap=2, wrap=True)
    _one = mo.callout(
        mo.md(
            "Downloads are the difference between two complete snapshots, and there is only one so far. Come back "
            "after the next one."
        ),
        kind="info",
    )
    mo.vstack([_controls, _one] if len(complete) == 1 else [_controls])
    return days, most


@app.cell
def _(mo):
    def shown(figure):
        """A chart on the paper of this page, and its numbers."""
        numbers = mo.accordion({"The numbers as a table": mo.ui.table(figure.table, selection=None)})
        return mo.vstack([figure.chart(mo.app_meta().theme or "light"), numbers])

    return (shown,)


@app.cell
def _(ask, charts, days, most, shown):
    leaderboard = ask("from star.creator_leaderboard(?)", days.value)
    # A window may be longer or shorter than was asked for.
    _windows = leaderboard.select("since", "until", "days_spanned").unique().rows() or [(None, None, days.value)]
    ((_since, _until, _spanned),) = _windows
    _title = f"Downloads between the snapshots of {_since} and {_until}" if _since else "Downloads"
    _gained = charts.Measure("downloads", _title, f"downloads in {_spanned} days")
    leaders = charts.ranking(leaderboard, _gained, by="username", most=most.value)
    shown(leaders)
    return leaderboard, leaders


@app.cell
def _(leaderboard, mo):
    mo.accordion({"Rank, models and share of each creator": mo.ui.table(leaderboard, selection=None)})
    return


@app.cell
def _(charts):
    concentrations = {
        "Gini coefficient": charts.Measure("gini", "Gini coefficient of downloads over creators", "(Gini)"),
        "part of the top 1 %": charts.Measure(
            "top_share", "Part of the top 1 % of creators in the downloads", "to its top 1 % of creators", is_share=True
        ),
        "HHI": charts.Measure("hhi", "Herfindahl-Hirschman index of downloads over creators", "(HHI)"),
    }
    return (concentrations,)


@app.cell
def _(concentrations, mo):
    measure = mo.ui.radio(list(concentrations), value="Gini coefficient", inline=True, label="Concentration:")
    least_creators = mo.ui.slider(
        1, 100, value=20, show_value=True, label="Only base models with as many creators or more"
    )
    mo.hstack([measure, least_creators], justify="start", gap=2, wrap=True)
    return least_creators, measure


@app.cell
def _(ask, days):
    by_base_model = ask(
        """
        select coalesce(base_model, '(all together)') as base_model, * exclude (base_model)
        from star.concentration(?)
        """,
        days.value,
    )
    return (by_base_model,)


@app.cell
def _(by_base_model, charts, concentrations, least_creators, measure, mo, most, pl, shown):
    _enough = by_base_model.filter(pl.col("creators") >= least_creators.value)
    _figure = charts.ranking(_enough, concentrations[measure.value], most=most.value)
    concentration = _figure if _enough.height or by_base_model.is_empty() else None
    _few = "No base model has as many creators whose downloads are known: choose fewer."
    shown(concentration) if concentration else mo.callout(mo.md(_few), kind="info")
    return (concentration,)


@app.cell
def _(by_base_model, mo):
    mo.accordion({"All measures of all base models": mo.ui.table(by_base_model, selection=None)})
    return


@app.cell
def _(complete, mo, names):
    # The two with the most versions: from the older one to the newer one.
    _old, _new = (names.head(2).sort("since", nulls_last=True)["base_model"].to_list() * 2)[:2]
    from_base = mo.ui.dropdown(sorted(names["base_model"]), value=_old, label="Creators who moved from")
    to_base = mo.ui.dropdown(sorted(names["base_model"]), value=_new, label="to")
    since = mo.ui.date(value=complete[-1].replace(year=complete[-1].year - 1, day=1), label="since")
    mo.hstack([from_base, to_base, since], justify="start", gap=2, wrap=True)
    return from_base, since, to_base


@app.cell
def _(ask, from_base, since, to_base):
    migration = ask("from star.creator_migration(?, ?, ?)", from_base.value, to_base.value, since.value)
    return (migration,)


@app.cell
def _(charts, complete, from_base, migration, mo, pl, report, shown, since, to_base):
    # Whoever took it up lately may still publish for the other one: has_left is null.
    _left, _both = f"Those who left {from_base.value}", f"Those who use {from_base.value}, too"
    _ways = [_left, _both, "Too early to tell"]
    # Every day has the number so far of both: a stock, which stands still on days without a change.
    _taken = migration.select(
        pl.col("took_up_on").alias("snapshot_date"),
        pl.col("has_left").replace_strict([True, False, None], _ways, return_dtype=pl.String).alias("way"),
    )
    _span = pl.date_range(since.value, max([complete[-1], *migration["took_up_on"]]), eager=True) if len(_taken) else []
    _days = pl.DataFrame({"snapshot_date": _span}, schema={"snapshot_date": pl.Date})
    _so_far = (
        _days.join(pl.DataFrame({"way": _ways}), how="cross")
        .join(
            _taken.group_by("snapshot_date", "way").len("creators"),
            on=["snapshot_date", "way"],
            how="left",
        )
        .sort("snapshot_date")
        .with_columns(pl.col("creators").fill_null(0).cum_sum().over("way"))
    )
    _took_up = charts.Measure(
        "creators", f"Creators of {from_base.value} who took up {to_base.value}", "creators", whole=True
    )
    moved = charts.stack(_so_far, _ways, _took_up, by="way", share=False) if migration.height else None
    _nobody = (
        f"No creator of {from_base.value} took up {to_base.value} since {since.value}: choose two other base models or "
        "an earlier date."
    )
    shown(moved) if moved else mo.callout(mo.md(report.in_markdown(_nobody)), kind="info")
    return (moved,)


@app.cell
def _(migration, mo):
    mo.accordion({f"The {migration.height:,} creators": mo.ui.table(migration, selection=None)})
    return


@app.cell
def _(mo):
    least_models = mo.ui.slider(1, 100, value=10, show_value=True, label="Only tags of as many models or more")
    mature = mo.ui.checkbox(label="also tags whose models are mostly not PG")
    mo.hstack([least_models, mature], justify="start", gap=2, wrap=True)
    return least_models, mature


@app.cell
def _(ask, days):
    # A tag has no level of its own: that of most of its models decides.
    tags = ask(
        """
        with rising as (from star.trending_tags(?, 1000)),
        levels as (
            select bridge.tag, avg((model.nsfw_level = 1 and not coalesce(model.nsfw, false))::integer) as pg_share
            from star.bridge_model_tag as bridge join star.model as model using (model_id)
            where bridge.valid_to is null and bridge.tag in (select tag from rising)
            group by bridge.tag
        )
        from rising left join levels using (tag)
        order by growth desc nulls last, tag
        """,
        days.value,
    )
    return (tags,)


@app.cell
def _(charts, days, least_models, mature, most, pl, shown, tags):
    _rises = charts.Measure(
        "growth",
        f"Downloads a day of the last {days.value} days, as multiples of the {days.value} days before",
        "times as many downloads a day as before",
    )
    chosen_tags = tags.filter(
        pl.col("growth").is_not_null(),
        pl.col("models") >= least_models.value,
        pl.lit(mature.value) | (pl.col("pg_share") > 0.5),
    )
    rising = charts.ranking(chosen_tags, _rises, by="tag", most=most.value)
    shown(rising)
    return chosen_tags, rising


@app.cell
def _(chosen_tags, days, mo):
    _nothing = mo.callout(
        mo.md(
            f"No such tag is known to have grown. Growth needs the snapshots of {2 * days.value} days: choose fewer "
            "days, or tags of fewer models."
        ),
        kind="info",
    )
    _numbers = mo.accordion({"Models and downloads of these tags": mo.ui.table(chosen_tags, selection=None)})
    _numbers if chosen_tags.height else _nothing
    return


@app.cell
def _(analytics, mo):
    mo.accordion(
        {
            "What the numbers mean": mo.md(f"""
    - **Downloads of the last days**: between two complete snapshots, the newest and one that is as many days older. If
      one is missing or partial, the window is longer, and the tables say its `since`, `until` and `days_spanned`. If no
      snapshot is that old, it is shorter. Numbers that a creator hides are null and in no sum.
    - **Creators**: the leaderboard counts a download for who owned the model on the day. Creators that the service
      omits, `(unknown)`, have no rank, but are in the whole of the shares.
    - **Gini**: 0 if all creators have the same, near 1 if one has all. **Top 1 %**: the part of as many creators, at
      least one. **HHI**: the sum of the squares of all parts; 1 if one has all. Few creators make any of them chance.
    - **Moved**: published for the one base model, and later for the first time for the other. *Left* means that the
      creator published nothing for the first one since then. Dates are those of publication, also before the first
      snapshot; what was removed before it, nobody knows.
    - **Rising tags**: downloads a day of the models with the tag, against the same time before. Both are of the same
      models, so tagging alone is no rise. Fewer than one download a day before count as one. A tag is shown if more
      than half of its models are PG.
    - Days are UTC. The tables: `{analytics}`; the macros: `star.creator_leaderboard`, `star.concentration`,
      `star.creator_migration`, `star.trending_tags`.
    """)
        }
    )
    return


@app.cell
def _(Settings, charts, concentration, leaders, mo, moved, rising):
    # As a script there is no reader: the charts go to files.
    written = []
    if mo.app_meta().mode == "script":
        _figures = {"leaders": leaders, "concentration": concentration, "moved": moved, "rising_tags": rising}
        for _name, _figure in _figures.items():
            if _figure is not None:
                written += charts.write_chart(
                    _figure, Settings().directory.root / "charts", f"creators_and_tags_{_name}"
                )
    return (written,)


if __name__ == "__main__":
    app.run()
