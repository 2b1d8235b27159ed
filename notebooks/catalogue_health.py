"""Catalogue health: what the snapshots saw, what vanished, and what files and licences there are.

A marimo notebook on the published tables of the data directory (`CIVITAI_ETL_DATA_DIR`). Read it with
`marimo run notebooks/catalogue_health.py`, or change it with `marimo edit`. As a script it writes its charts.
"""

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Catalogue health")


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
    # Catalogue health

    How far the numbers can be trusted, and the state of what they count: models that vanish, files, scans, licences.
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
        coverage = ask("""
            with withheld as (
                select snapshot_date as date, list(counter order by counter) as counters
                from star.ops_withheld where not is_accepted group by snapshot_date
            )
            select
                date as snapshot_date,
                case when not has_snapshot then 'missing' when not is_complete then 'partial'
                    when counters is not null then 'withheld' else 'complete' end as status,
                models_known, models_observed, observed_share, models_removed, quarantined,
                array_to_string(counters, ', ') as withheld_counters, reason
            from star.snapshot_coverage() left join withheld using (date)
            order by date
        """)
        _problem = None if coverage.height else f"{analytics} has no snapshot yet: run `civitai-etl snapshot`."
    except CivitaiEtlError as _error:
        _problem = str(_error)
    mo.stop(
        _problem is not None, mo.callout(mo.md(f"**No data yet.** {report.in_markdown(_problem or '')}"), kind="warn")
    )
    return analytics, ask, coverage


@app.cell
def _(coverage, mo):
    _first, _last = coverage["snapshot_date"][0], coverage["snapshot_date"][-1]
    dates = mo.ui.date_range(start=_first, stop=_last, value=(_first, _last), label="Snapshots from")
    most = mo.ui.slider(5, 50, step=5, value=10, show_value=True, label="How many to show")
    mo.hstack([dates, most], justify="start", gap=2, wrap=True)
    return dates, most


@app.cell
def _(coverage, dates, mo, pl):
    since, until = dates.value
    mo.stop(
        since > until,
        mo.callout(
            mo.md(f"The range ends on {until}, before it begins on {since}: exchange the two dates."), kind="warn"
        ),
    )
    frame = coverage.filter(pl.col("snapshot_date").is_between(since, until)).with_columns(what=pl.lit("Coverage"))
    return frame, since, until


@app.cell
def _(mo):
    def shown(figure):
        """A chart on the paper of this page, and its numbers."""
        numbers = mo.accordion({"The numbers as a table": mo.ui.table(figure.table, selection=None)})
        return mo.vstack([figure.chart(mo.app_meta().theme or "light"), numbers])

    def found(figure, otherwise):
        """The chart, or the sentence that says what to do because there is nothing to draw."""
        return shown(figure) if figure else mo.callout(mo.md(otherwise), kind="info")

    return found, shown


@app.cell
def _(frame, mo):
    _days = dict(frame["status"].value_counts().rows())
    _withheld = _days.get("withheld", 0)
    mo.md(f"""
    ## What the snapshots saw

    Of {frame.height:,} days, {_days.get("complete", 0) + _withheld:,} have a complete snapshot ({_withheld:,} of
    them with withheld counters), {_days.get("partial", 0):,} a partial one, and {_days.get("missing", 0):,} none.
    """)
    return


@app.cell
def _(charts, frame, shown):
    _observed = charts.Measure(
        "observed_share", "Models observed, out of the models known", "of the models known", is_share=True
    )
    observed = charts.lines(frame, ["Coverage"], _observed, by="what", grain="day")
    shown(observed)
    return (observed,)


@app.cell
def _(frame, mo, pl):
    _odd = frame.filter(pl.col("status") != "complete").drop("what").sort("snapshot_date", descending=True)
    mo.accordion(
        {
            f"The {_odd.height:,} days that are missing, partial or withheld, and why": mo.ui.table(
                _odd, selection=None
            ),
            "All days": mo.ui.table(frame.drop("what"), selection=None),
        }
    )
    return


@app.cell
def _(mo):
    dimension = mo.ui.dropdown(
        ["type", "base_model", "ecosystem", "family", "modality", "nsfw", "availability"],
        value="type",
        label="Compare by",
    )
    least_watched = mo.ui.slider(1, 100, value=10, show_value=True, label="Only curves of as many models or more")
    mo.vstack([mo.md("## What vanished"), mo.hstack([dimension, least_watched], justify="start", gap=2, wrap=True)])
    return dimension, least_watched


@app.cell
def _(ask, dimension):
    survival = ask(
        "select coalesce(value::varchar, '(unknown)') as value, * exclude (value) from star.survival(?)",
        dimension.value,
    )
    return (survival,)


@app.cell
def _(charts, dimension, found, most, pl, survival):
    _per_value = survival.group_by("value").agg(pl.col("removed").sum())
    _gone = charts.Measure("removed", "Models that were found gone, each once", "of the models gone", whole=True)
    removed = charts.ranking(_per_value, _gone, by="value", most=most.value) if survival.height else None
    _none = (
        f"No model was found gone: removals by {dimension.value} need two complete snapshots and a model that vanished."
    )
    found(removed, _none)
    return (removed,)


@app.cell
def _(charts, found, least_watched, pl, survival):
    # Those with the most models watched at once: the curve of a handful is chance. Every curve begins with all models.
    _watched = (
        survival.group_by("value").agg(pl.col("at_risk").max()).sort("at_risk", "value", descending=[True, False])
    )
    _watched = _watched.filter(pl.col("at_risk") >= least_watched.value)
    _all = _watched.select("value", age_days=pl.lit(0, pl.Int64), survival=pl.lit(1.0))
    _later = survival.filter(pl.col("age_days") > 0).select("value", "age_days", "survival")
    _stay = charts.Measure("survival", "Models that the service still has", "still there", is_share=True)
    staying = (
        charts.curves(
            pl.concat([_all, _later]),
            _watched["value"][:6].to_list(),
            _stay,
            by="value",
            days="age_days",
            since="publication",
            step=True,
        )
        if _watched.height
        else None
    )
    found(staying, "No model of so large a group was found gone: choose curves of fewer models, or come back later.")
    return (staying,)


@app.cell
def _(ask, mo, since, until):
    # Ids, not titles: the page is PG. star.removed_models tells more of each.
    _removals = ask(
        """
        select model_id, type, username, removed_on from star.dim_model
        where removed_on between ? and ? order by removed_on desc, model_id limit 1000
        """,
        since,
        until,
    )
    mo.accordion({"Models removed in these days, the last first": mo.ui.table(_removals, selection=None)})
    return


@app.cell
def _(ask, mo):
    _types = ask("select type from star.model where type is not null group by type order by count(*) desc, type")[
        "type"
    ]
    of_type = mo.ui.dropdown({"all types": None} | {name: name for name in _types}, value="all types", label="Files of")
    scan = mo.ui.radio(["pickle", "virus"], value="pickle", inline=True, label="Scan:")
    least_versions = mo.ui.slider(
        1, 100, value=10, show_value=True, label="Only base models of as many versions or more"
    )
    mo.vstack([mo.md("## Files"), mo.hstack([of_type, scan, least_versions], justify="start", gap=2, wrap=True)])
    return least_versions, of_type, scan


@app.cell
def _(ask, of_type):
    # Counted in the database: one row per base model, format and outcome, not one per file.
    files = ask(
        """
        select
            version.base_model,
            coalesce(file.format, '(not said)') as format,
            coalesce(file.pickle_scan_result, '(not said)') as pickle,
            coalesce(file.virus_scan_result, '(not said)') as virus,
            count(*) as files,
            round(sum(file.size_kb) / 1048576, 1) as gib
        from star.dim_file as file
        join star.model_version as version using (version_id)
        join star.model as model using (model_id)
        where file.removed_on is null and ($1 is null or model.type = $1)
        group by all
        order by files desc, base_model, format, pickle, virus
        """,
        of_type.value,
    )
    return (files,)


@app.cell
def _(charts, files, found, pl, scan):
    _outcomes = files.group_by(scan.value).agg(pl.col("files").sum())
    _scanned = charts.Measure("files", f"Files by the outcome of the {scan.value} scan", "files", whole=True)
    scans = charts.ranking(_outcomes, _scanned, by=scan.value) if files.height else None
    found(scans, "There is no file of this type: choose another one.")
    return (scans,)


@app.cell
def _(ask, mo, of_type):
    # Ids, not names: these may be anything.
    _failed = ask(
        """
        select version.model_id, file.version_id, file.file_id, version.base_model, file.type, file.format,
            file.pickle_scan_result, file.virus_scan_result, file.scanned_at
        from star.dim_file as file
        join star.model_version as version using (version_id)
        join star.model as model using (model_id)
        where file.removed_on is null and ($1 is null or model.type = $1)
            and (file.pickle_scan_result in ('Danger', 'Error') or file.virus_scan_result in ('Danger', 'Error'))
        order by file.scanned_at desc nulls last, file.version_id, file.file_id
        limit 1000
        """,
        of_type.value,
    )
    mo.accordion({"Files that failed a scan, the last scanned first": mo.ui.table(_failed, selection=None)})
    return


@app.cell
def _(charts, files, found, most, pl):
    _kinds = charts.Measure("files", "Files by format", "files", whole=True)
    _by_format = files.group_by("format").agg(pl.col("files").sum())
    formats = charts.ranking(_by_format, _kinds, by="format", most=most.value) if files.height else None
    found(formats, "There is no file of this type: choose another one.")
    return (formats,)


@app.cell
def _(files, mo, pl):
    _formats = files.group_by("base_model", "format").agg(pl.col("files", "gib").sum())
    _formats = _formats.sort("files", "base_model", "format", descending=[True, False, False])
    mo.accordion({"Formats by base model": mo.ui.table(_formats, selection=None)})
    return


@app.cell
def _(ask, of_type):
    sizes = ask(
        """
        select version.base_model, count(*) as versions,
            quantile_cont(file.size_kb, 0.25) / 1024 as mib_lower_quartile, median(file.size_kb) / 1024 as mib_median,
            quantile_cont(file.size_kb, 0.75) / 1024 as mib_upper_quartile, max(file.size_kb) / 1024 as mib_largest
        from star.main_file(null) as file
        join star.model_version as version using (version_id)
        join star.model as model using (model_id)
        where file.size_kb is not null and ($1 is null or model.type = $1)
        group by version.base_model
        order by versions desc, version.base_model
        """,
        of_type.value,
    )
    return (sizes,)


@app.cell
def _(charts, found, least_versions, mo, most, pl, sizes):
    _mib = charts.Measure("mib_median", "Median size of the main file of a version, MiB", "MiB")
    _enough = sizes.filter(pl.col("versions") >= least_versions.value)
    main_files = charts.ranking(_enough, _mib, most=most.value) if _enough.height else None
    _chart = found(main_files, "No base model has as many versions with a file: choose fewer, or another type.")
    mo.vstack([_chart, mo.accordion({"Sizes of all base models": mo.ui.table(sizes, selection=None)})])
    return (main_files,)


@app.cell
def _(ask, charts, found, mo, most, until):
    _mix = ask(
        """
        select
            coalesce(nullif(list_aggregate(list_filter(allow_commercial_use, lambda use: use <> 'None'),
                'string_agg', ', '), ''), 'no commercial use') as uses,
            sum(models)::bigint as models
        from star.licence_mix(?)
        group by uses
        """,
        until,
    )
    _allowed = charts.Measure("models", "Models by the commercial uses that they allow", "models", whole=True)
    licences = charts.ranking(_mix, _allowed, by="uses", most=most.value) if _mix.height else None
    mo.vstack(
        [
            mo.md("## Licences"),
            found(licences, "No complete snapshot is as old as the end of these dates: choose a later one."),
        ]
    )
    return (licences,)


@app.cell
def _(ask):
    # How many models allow what, on each day with a complete snapshot. What the service does not say is in no share.
    permissions = ask("""
        with terms as (
            select valid_from, valid_to, unnest([
                {permission: 'sell images', allowed: list_contains(allow_commercial_use, 'Image')},
                {permission: 'generate on Civitai', allowed: list_contains(allow_commercial_use, 'RentCivit')},
                {permission: 'generate elsewhere', allowed: list_contains(allow_commercial_use, 'Rent')},
                {permission: 'sell the model', allowed: list_contains(allow_commercial_use, 'Sell')},
                {permission: 'give no credit', allowed: allow_no_credit},
                {permission: 'share derivatives', allowed: allow_derivatives},
                {permission: 'license otherwise', allowed: allow_different_license}
            ], recursive := true)
            from star.dim_model
        ),
        said as (from terms where allowed is not null),
        steps as (
            select valid_from as date, permission, allowed::integer as allowed, 1 as known from said
            union all
            select valid_to, permission, -allowed::integer, -1 from said where valid_to is not null
        ),
        changes as (select date, permission, sum(allowed) as allowed, sum(known) as known from steps group by all),
        stocks as (
            select day.date, day.has_snapshot, day.is_complete, permission,
                sum(coalesce(changes.allowed, 0)) over so_far as allowed,
                sum(coalesce(changes.known, 0)) over so_far as known
            from star.dim_date as day
            cross join (select distinct permission from terms)
            left join changes using (date, permission)
            window so_far as (partition by permission order by day.date)
        )
        select
            date as snapshot_date,
            permission,
            case when not has_snapshot then 'missing' when not is_complete then 'partial' else 'complete' end as status,
            case when is_complete and known > 0 then (allowed / known)::double end as share
        from stocks
        order by date, permission
    """)
    return (permissions,)


@app.cell
def _(charts, permissions, pl, shown, since, until):
    _share = charts.Measure(
        "share", "Share of the models whose licence allows it", "of the models", is_share=True, from_zero=False
    )
    _days = permissions.filter(pl.col("snapshot_date").is_between(since, until))
    _names = list(dict.fromkeys(permissions["permission"]))
    allowed = charts.lines(_days, _names, _share, by="permission")
    shown(allowed)
    return (allowed,)


@app.cell
def _(ask, charts, found, mo, pl, since, until):
    # Titles are left out: the page is PG. The newest are listed, all are counted.
    _changes = ask(
        """
        select changed_on, model_id, username, attribute, before, after, direction
        from star.licence_changes(?) where changed_on <= ?
        """,
        since,
        until,
    )
    _kinds = _changes.group_by(pl.format("{}, {}", "attribute", "direction").alias("change")).len("changes")
    _changed = charts.Measure("changes", "Changes of licences", "of the changes", whole=True)
    changes = charts.ranking(_kinds, _changed, by="change") if _changes.height else None
    _chart = found(changes, f"No licence changed from {since} to {until}: choose more days.")
    mo.vstack([_chart, mo.accordion({"The last changes": mo.ui.table(_changes.head(1000), selection=None)})])
    return (changes,)


@app.cell
def _(ask, charts, found, mo, since, until):
    _kinds = ask(
        """
        select kind || ': ' || level as what, count(*) as records from star.ops_quarantine
        where snapshot_date between ? and ? group by what
        """,
        since,
        until,
    )
    _last = ask(
        """
        select snapshot_date, kind, level, entity_id, reason from star.ops_quarantine
        where snapshot_date between ? and ? order by snapshot_date desc, kind, entity_id limit 1000
        """,
        since,
        until,
    )
    _aside = charts.Measure("records", "Records and values that were set aside", "set aside", whole=True)
    quarantine = charts.ranking(_kinds, _aside, by="what") if _kinds.height else None
    _chart = found(quarantine, f"Nothing was set aside from {since} to {until}. There is nothing to do.")
    _reasons = mo.accordion({"The last ones, and why": mo.ui.table(_last, selection=None)})
    mo.vstack([mo.md("## What was held back"), _chart, _reasons])
    return (quarantine,)


@app.cell
def _(ask, charts, found, mo, pl, since, until):
    _collapsed = ask(
        "from star.ops_withheld where snapshot_date between ? and ? order by snapshot_date desc, counter", since, until
    )
    _days = _collapsed.filter(~pl.col("is_accepted")).group_by("counter").len("days")
    _withheld = charts.Measure("days", "Days on which a counter is withheld", "of these days")
    withheld = charts.ranking(_days, _withheld, by="counter") if _days.height else None
    _chart = found(withheld, f"No counter is withheld from {since} to {until}. There is nothing to do.")
    mo.vstack([_chart, mo.accordion({"Counters that collapsed": mo.ui.table(_collapsed, selection=None)})])
    return (withheld,)


@app.cell
def _(analytics, mo):
    mo.accordion(
        {
            "What the numbers mean": mo.md(f"""
    - **Coverage**: models that the crawls of a day observed, out of those that the service had as far as was known. A
      day without a snapshot is a gap. A *partial* snapshot did not see everything; on a *withheld* day counters
      collapsed, so their values are unknown and not zero (`civitai-etl accept`, if the fall is real).
    - **Vanished**: found gone by a complete crawl. The service does not say why. What came back does not count again.
      Removals and survival are about all snapshots, not about the chosen dates.
    - **Survival**: the share of models that are still there at an age (Kaplan-Meier). A model counts from the age at
      which it was first seen, so young ages have few: see `at_risk` of `star.survival`. Drawn are the six values with
      the most models watched at once.
    - **Files**: those that are there now. A scan that is *Pending* is no failure. The **main file** is the one that a
      reader would take (`star.main_file`). Sizes that the service does not say are left out.
    - **Licences**: the first chart is of the newest complete snapshot of the chosen dates. In the shares, a model for
      which the service did not say is in neither number. What was not known before is no change.
    - **Set aside**: records and values that break a rule; raw keeps them (`civitai-etl quarantine`).
    - Days are UTC. The tables: `{analytics}`; `star.snapshot_coverage()`, `star.dim_file`, `star.ops_quarantine`,
      `star.ops_withheld`.
    """)
        }
    )
    return


@app.cell
def _(
    Settings,
    allowed,
    changes,
    charts,
    formats,
    licences,
    main_files,
    mo,
    observed,
    quarantine,
    removed,
    scans,
    staying,
    withheld,
):
    # As a script there is no reader: the charts go to files.
    written = []
    if mo.app_meta().mode == "script":
        _figures = {
            "coverage": observed,
            "removed": removed,
            "survival": staying,
            "scans": scans,
            "formats": formats,
            "sizes": main_files,
            "licences": licences,
            "permissions": allowed,
            "licence_changes": changes,
            "quarantine": quarantine,
            "withheld": withheld,
        }
        for _name, _figure in _figures.items():
            if _figure is not None:
                written += charts.write_chart(
                    _figure, Settings().directory.root / "charts", f"catalogue_health_{_name}"
                )
    return (written,)


if __name__ == "__main__":
    app.run()
