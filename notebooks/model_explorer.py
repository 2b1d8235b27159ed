"""Model explorer: one model's names, licences, versions and counters, from its first snapshot on.

A marimo notebook on the published tables of the data directory (`CIVITAI_ETL_DATA_DIR`). Run it with
`marimo run notebooks/model_explorer.py`, or change it with `marimo edit notebooks/model_explorer.py`. As a script it
writes its charts of the model with most downloads to `charts` in the data directory.
"""

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Model explorer")


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
    # Model explorer

    Search a model by a name, an id or a creator, also by those that it had earlier, and choose it in the table.
    """)
    return


@app.cell
def _(CivitaiEtlError, Settings, mo, report):
    # Nothing published yet is no accident: say what to do instead of showing a traceback.
    try:
        analytics = Settings().directory.analytics
        with report.open_analytics(analytics) as _connection:
            newest = _connection.execute("select max(date) from star.dim_date where has_snapshot").fetchone()[0]
        _problem = f"{analytics} has no snapshot yet: run `civitai-etl snapshot`." if newest is None else None
    except CivitaiEtlError as _error:
        _problem = str(_error)
    mo.stop(
        _problem is not None, mo.callout(mo.md(f"**No data yet.** {report.in_markdown(_problem or '')}"), kind="warn")
    )

    def ask(query, **parameters):
        """The answer of the published tables to a query, as a frame."""
        with report.open_analytics(analytics) as connection:
            return connection.sql(query, params=parameters).pl()

    return analytics, ask, newest


@app.cell
def _(mo):
    words = mo.ui.text(placeholder="all, by downloads", label="Name, id or creator")
    mature = mo.ui.checkbox(label="also models that are not rated PG")
    mo.hstack([words, mature], justify="start", gap=2, wrap=True)
    return mature, words


@app.cell
def _(ask, mature, mo, newest, words):
    found = ask(
        """
        with ever as (
            select
                model_id,
                arg_max(name, valid_from) as name,
                arg_max(type, valid_from) as type,
                arg_max(username, valid_from) as creator,
                min(valid_from) as first_seen_on,
                if(bool_or(is_current), null, max(removed_on)) as removed_on,
                bool_or(contains(lower(name), $words) or contains(lower(username), $words)) as is_named_so,
                bool_or($words in (lower(name), lower(username))) as is_exact,
                coalesce(arg_max(nsfw_level, valid_from) = 1 and not bool_or(coalesce(nsfw, false)), false) as is_pg
            from star.dim_model
            group by model_id
        )
        select
            ever.model_id,
            ever.name,
            ever.type,
            ever.creator,
            counted.download_count as downloads,
            ever.first_seen_on,
            ever.removed_on
        from ever
        left join star.models_as_of($newest) as counted on counted.model_id = ever.model_id
        where (ever.is_named_so or ever.model_id::varchar = $words) and (ever.is_pg or $mature)
        order by ever.model_id::varchar = $words desc, ever.is_exact desc, downloads desc nulls last, ever.model_id
        limit 100
        """,
        words=words.value.strip().lower(),
        mature=mature.value,
        newest=newest,
    )
    _rated = "Try fewer words." if mature.value else "Try fewer words, or tick that models need not be rated PG."
    mo.stop(found.is_empty(), mo.callout(mo.md(f"No model or creator is or was called so. {_rated}"), kind="info"))
    matches = mo.ui.table(found, selection="single", initial_selection=[0], page_size=5)
    matches
    return found, matches


@app.cell
def _(ask, matches, mo, report):
    mo.stop(matches.value.is_empty(), mo.callout(mo.md("Choose a model in the table."), kind="info"))
    chosen = matches.value.row(0, named=True)
    model_id = chosen["model_id"]
    _licence = ask(
        """
        select
            if(allow_commercial_use in ([], ['None']), 'not allowed', array_to_string(allow_commercial_use, ', '))
                as "Commercial use",
            case allow_no_credit when true then 'not needed' when false then 'needed' end as "Credit",
            case allow_derivatives when true then 'allowed' when false then 'not allowed' end as "Derivatives",
            case allow_different_license when true then 'allowed' when false then 'not allowed' end
                as "Another licence of derivatives"
        from star.dim_model
        where model_id = $id
        order by valid_from desc
        limit 1
        """,
        id=model_id,
    ).row(0, named=True)
    _gone = f", removed {chosen['removed_on']}" if chosen["removed_on"] else ""
    _who = " · ".join(report.in_markdown(chosen[part] or "unknown") for part in ("type", "creator"))
    mo.md(
        f"""
    ## {report.in_markdown(chosen["name"] or "(no name)")}

    {model_id} · {_who} · first seen {chosen["first_seen_on"]}{_gone}

    {" · ".join(f"{term}: {report.in_markdown(said or 'unknown')}" for term, said in _licence.items())}
    """
    )
    return chosen, model_id


@app.cell
def _(mo):
    topic = mo.ui.dropdown(["everything", "names", "licence", "versions", "tags"], "everything", label="History of")
    topic
    return (topic,)


@app.cell
def _(ask, chosen, mo, model_id, pl, topic):
    _of_model, _change = pl.col("what") == "model", pl.col("change")
    _topics = {
        "everything": pl.lit(value=True),
        "names": _of_model & _change.is_in(["first seen", "name", "username"]),
        "licence": _of_model & _change.str.starts_with("allow_"),
        "versions": pl.col("what").str.starts_with("version "),
        "tags": pl.col("what") == "tag",
    }
    history = ask("from star.model_history($id)", id=model_id).filter(_topics[topic.value])
    _nothing = f"No such change since the model was first seen on {chosen['first_seen_on']}: choose another history."
    mo.callout(mo.md(_nothing), kind="info") if history.is_empty() else mo.ui.table(history, selection=None)
    return (history,)


@app.cell
def _(ask, charts, mo, model_id):
    # A version that is gone has a history, but no row of version_wide.
    listed = ask(
        """
        with listed as (
            select
                version_id,
                coalesce(arg_max(name, valid_from), '(no name)') || ' (' || version_id || ')' as version,
                if(bool_or(is_current), null, max(removed_on)) as removed_on
            from star.dim_model_version
            where model_id = $id
            group by version_id
        )
        select
            listed.version,
            wide.base_model,
            wide.version_published_at::date as published_on,
            listed.removed_on,
            wide.version_counted_on as counted_on,
            wide.version_download_count as downloads,
            wide.version_thumbs_up_count as thumbs_up,
            wide.version_thumbs_down_count as thumbs_down,
            wide.version_rating as rating,
            main.name as main_file,
            main.type as file_type,
            main.format as file_format,
            main.precision as file_precision,
            round(main.size_kb / 1024, 1) as file_size_mib
        from listed
        left join (from star.version_wide where model_id = $id) as wide on wide.version_id = listed.version_id
        left join star.dim_file as main on main.version_id = wide.version_id and main.file_id = wide.file_id
        order by downloads desc nulls last, listed.version_id desc
        """,
        id=model_id,
    )
    # One of the colours is that of the whole model.
    _names = listed["version"].to_list()
    versions = mo.ui.multiselect(
        _names,
        value=_names[:3],
        max_selections=charts.COLOURED - 1,
        label="Versions side by side",
        full_width=True,  # or a phone cuts it
    )
    _nothing = "The model lists no version: it has only the counters of its own."
    versions if _names else mo.callout(mo.md(_nothing), kind="info")
    return listed, versions


@app.cell
def _(listed, mo, pl, versions):
    beside = listed.filter(pl.col("version").is_in(versions.value))
    mo.stop(beside.is_empty())
    _columns = beside["version"].to_list()
    _attributes = beside.drop("version").cast(pl.String)
    mo.ui.table(
        _attributes.transpose(include_header=True, header_name="of the version", column_names=_columns),
        selection=None,
        freeze_columns_left=["of the version"],
        page_size=20,
    )
    return (beside,)


@app.cell
def _(ask, model_id):
    # What a model gained is right also on the day of a partial crawl, if that crawl saw the model.
    counters = ask(
        """
        with withheld as (
            select distinct snapshot_date
            from star.ops_withheld
            where not is_accepted
                and counter in ('fact_model_daily.download_count', 'fact_model_version_daily.download_count')
        ),
        names as (
            select version_id, coalesce(arg_max(name, valid_from), '(no name)') || ' (' || version_id || ')' as line
            from star.dim_model_version
            where model_id = $id
            group by version_id
        ),
        seen as materialized (
            select
                snapshot_date, 'The whole model' as line, downloads_delta, downloads_days,
                thumbs_up_delta, days_since_previous, thumbs_up_count, thumbs_down_count, rating_count, rating
            from star.fact_model_daily
            where model_id = $id
            union all
            select
                fact.snapshot_date, names.line, fact.downloads_delta, fact.downloads_days,
                fact.thumbs_up_delta, fact.days_since_previous, fact.thumbs_up_count, fact.thumbs_down_count,
                fact.rating_count, fact.rating
            from star.fact_model_version_daily as fact
            join names on names.version_id = fact.version_id
            where fact.model_id = $id
        ),
        days as (
            select
                day.date,
                case
                    when not day.has_snapshot then 'missing'
                    when withheld.snapshot_date is not null then 'withheld'
                    when day.is_complete then 'complete'
                    when day.date not in (select snapshot_date from seen) then 'partial'
                end as status
            from star.dim_date as day
            left join withheld on withheld.snapshot_date = day.date
            where day.date between (select min(snapshot_date) from seen) and (select max(snapshot_date) from seen)
        )
        select
            days.date as snapshot_date,
            lines.line,
            days.status,
            seen.downloads_days as days,
            seen.downloads_delta as downloads,
            -- From the last day on which the number was known, as downloads_days; at a new entity from its publication.
            coalesce(
                days.date - lag(if(seen.thumbs_up_count is null, null, days.date) ignore nulls)
                    over (partition by lines.line order by days.date),
                seen.days_since_previous
            ) as thumbs_days,
            seen.thumbs_up_delta as thumbs_up_gained,
            seen.thumbs_up_count as thumbs_up,
            seen.thumbs_down_count as thumbs_down,
            seen.thumbs_up_count / nullif(seen.thumbs_up_count + seen.thumbs_down_count, 0) as approval_rate,
            if(seen.rating_count > 0, seen.rating, null) as rating
        from days
        cross join (select distinct line from seen) as lines
        left join seen on seen.snapshot_date = days.date and seen.line = lines.line
        order by lines.line, days.date
        """,
        id=model_id,
    )
    return (counters,)


@app.cell
def _(charts, counters, listed, mo, versions):
    # The line of an only version would hide that of its model.
    lines = ["The whole model", *(versions.value if listed.height > 1 else [])]
    _measures = [
        charts.Measure("thumbs_up_gained", "Thumbs up per day", "thumbs up a day", is_flow=True),
        charts.Measure("thumbs_up", "Thumbs up of all time", "thumbs up", whole=True, from_zero=False),
        charts.Measure("thumbs_down", "Thumbs down of all time", "thumbs down", whole=True, from_zero=False),
        charts.APPROVAL,
        charts.RATING,
    ]
    # The service gave ratings until 2025 and gives thumbs since 2024: offer what these snapshots have.
    _known = [measure for measure in _measures if counters[measure.column].is_not_null().any()]
    _offered = {measure.title: measure for measure in _known or _measures}
    grain = mo.ui.dropdown(
        {"by length": None, "days": "day", "weeks": "week", "months": "month"}, value="by length", label="A point is"
    )
    form = mo.ui.dropdown(["absolute", "indexed", "cumulative"], value="absolute", label="Downloads")
    log = mo.ui.checkbox(label="logarithmic")
    opinion = mo.ui.dropdown(_offered, value=next(iter(_offered)), label="Opinion")
    mo.hstack([grain, form, log, opinion], justify="start", gap=2, wrap=True)
    return form, grain, lines, log, opinion


@app.cell
def _(mo):
    def shown(figure):
        """A chart on the paper of this page, and its numbers."""
        numbers = mo.accordion({"The numbers as a table": mo.ui.table(figure.table, selection=None)})
        return mo.vstack([figure.chart(mo.app_meta().theme or "light"), numbers])

    return (shown,)


@app.cell
def _(charts, counters, form, grain, lines, log, shown):
    downloads = charts.lines(counters, lines, by="line", grain=grain.value, form=form.value, log=log.value)
    shown(downloads)
    return (downloads,)


@app.cell
def _(charts, counters, grain, lines, opinion, shown):
    _counted = counters.with_columns(days="thumbs_days")
    opinions = charts.lines(_counted, lines, opinion.value, by="line", grain=grain.value)
    shown(opinions)
    return (opinions,)


@app.cell
def _(analytics, mo):
    mo.accordion(
        {
            "What the numbers mean": mo.md(f"""
    - **Search**: a part of a name or of a creator's name, now or earlier, or a whole id. Removed models are found,
      too. At most 100 are listed, by downloads of all time. Without the tick only models that are rated PG are
      listed.
    - **History**: the first snapshot that shows a change; a change inside a gap dates to the gap's end. A description
      is named by its hash, and its text stands in `star.model_text`.
    - **Versions side by side**: each as it is now, with the counters of the snapshot that saw them last and the file
      that most users would take. A version that was removed has only the date.
    - **The whole model**: what the service says of the model, not the sum of its versions. A model keeps the
      downloads of versions that were deleted, and who takes two versions may count once for it.
    - **Downloads per day**: what the counter gained since it was last known, divided by the days in between. While it
      is not known there is a gap, never a zero; the first snapshot of all has no flow. The service corrects its
      counters now and then, so a day can be negative.
    - **Thumbs up per day** are counted like downloads. Other numbers are of all time, as the snapshot saw them.
      **Approval**: thumbs up out of all thumbs. **Rating**: the average that the service gave until 2025, 0 to 5.
    - Days are UTC. The tables: `{analytics}`, `star.model_history`, `star.version_wide`, `star.fact_model_daily`,
      `star.fact_model_version_daily`.
    """)
        }
    )
    return


@app.cell
def _(Settings, charts, downloads, mo, opinions):
    # As a script there is no reader: the charts go to files.
    written = []
    if mo.app_meta().mode == "script":
        for _name, _figure in {"downloads": downloads, "opinion": opinions}.items():
            written += charts.write_chart(_figure, Settings().directory.root / "charts", f"model_explorer_{_name}")
    return (written,)


if __name__ == "__main__":
    app.run()
