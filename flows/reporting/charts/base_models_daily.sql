with complete as (
    select date as snapshot_date, lag(date) over (order by date) as since, date - since as days
    from star.dim_date
    where is_complete and date not in (
        select snapshot_date from star.mart_base_model_daily where download_count is null
    )
),
counted as (
    select day.date, complete.snapshot_date, complete.since
    from star.dim_date as day asof join complete on day.date <= complete.snapshot_date
),
-- The flows that began before the previous complete snapshot: few, and not divided in the mart.
long as (
    select
        version.base_model,
        counted.snapshot_date,
        fact.snapshot_date - fact.downloads_days as began_on,
        fact.snapshot_date as ended_on,
        fact.downloads_delta,
        fact.downloads_days
    from star.fact_model_version_daily as fact
    join counted
        on counted.date = fact.snapshot_date and fact.snapshot_date - fact.downloads_days < counted.since
    join star.dim_model_version as version using (version_key)
),
moved as (
    select
        complete.snapshot_date,
        long.base_model,
        long.downloads_delta * (
            least(long.ended_on, complete.snapshot_date) - greatest(long.began_on, complete.since)
        ) / long.downloads_days as downloads,
    from long
    join complete
        on complete.snapshot_date > long.began_on
        and (complete.since is null or complete.since < long.ended_on)
    union all
    select snapshot_date, base_model, -downloads_delta from long
),
flow as (
    select snapshot_date, base_model,
        round(round(sum(downloads), 3))::bigint as downloads, sum(published) as published
    from (
        select counted.snapshot_date, base_model, downloads_delta as downloads, versions_published as published
        from star.mart_base_model_daily as mart join counted on counted.date = mart.snapshot_date
        union all
        select snapshot_date, base_model, downloads, null from moved
    )
    group by all
)
select
    day.date as snapshot_date,
    named.base_model,
    case
        when not day.has_snapshot then 'missing'
        when not day.is_complete then 'partial'
        when complete.snapshot_date is null then 'withheld'
        else 'complete'
    end as status,
    complete.days,
    flow.downloads,
    flow.published::bigint as versions,
    flow.downloads / complete.days as downloads_per_day,
    flow.published::double / complete.days as versions_per_day,
    flow.downloads / nullif(greatest(sum(flow.downloads) over (partition by day.date), 0), 0)
        as downloads_share,
    if(day.is_complete, mart.rating, null)::double as rating,
    if(day.is_complete, mart.approval_rate, null)::double as approval_rate,
    if(day.is_complete, mart.approval_lower_bound, null)::double as approval_lower_bound
from star.dim_date as day
cross join (select distinct base_model from star.mart_base_model_daily) as named
left join complete on complete.snapshot_date = day.date
left join flow on flow.snapshot_date = day.date and flow.base_model = named.base_model
left join star.mart_base_model_daily as mart
    on mart.snapshot_date = day.date and mart.base_model = named.base_model
order by named.base_model, day.date
