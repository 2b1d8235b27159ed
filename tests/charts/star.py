"""A small star from plain rows, and what SQL says that its charts show: written from the rules, not from the library.

A plain row is what a base model really gained on a day. The star then has what a snapshot shows of it: nothing on a day
without one; half on a partial day, and the rest with the next snapshot; on a withheld day no stock and no flow, and the
flow of two days after it.
"""

import math
from datetime import date, timedelta

import duckdb
import polars as pl

FIRST = date(2024, 11, 20)
DAYS = (1, 2, 60, 730)
EVENTS = ("none", "gap", "partial", "withheld")
HOSTILE = (
    "<script>alert('x')</script>",
    "&amp; <b>bold</b> &lt;",
    "\"quoted\" 'twice' \\ and back",
    "",
    "other base models",
    "all 3 others",
    "null",
    "undefined",
    "NaN",
    "__proto__",
    "constructor",
    "1",
    "datum.value; narrow ? 1 : 2",
    "a[0]['b'].c",
    "W" * 200,
    "a long name of many words that goes on and on until nobody reads it any more",
    "a long name of many words that goes on and on until nobody reads it any less",
    "line\nbreak\tand tab",
    "\u202eturned round",
    "🦄🌈 👩\u200d👩\u200d👧 emoji",
    "一个很长的基础模型名称用于测试",
    "نموذج",
    "${finding} $finding %s {0}",
    "</details></script><!--",
)
NAMES = {
    "plain": ("Flux.1 D", "Illustrious", "Pony", "SD 1.5", "SDXL 1.0", "Qwen", "ZImageTurbo", "NoobAI"),
    "one": ("Flux.1 D",),
    "sixty": tuple(f"Base model {number}" for number in range(1, 61)),
    "hostile": HOSTILE,
}


def status_of(number: int, days: int, event: str) -> str:
    """What became of the day with this number: the event happens in the middle and on the day before, or on the last
    of two.
    """
    middle = days // 2
    if event == "none" or number == 0 or not middle - 2 < number <= middle:
        return "complete"
    return {"gap": "missing"}.get(event, event)


def make(days: int, event: str, names: str) -> duckdb.DuckDBPyConnection:
    """A star in memory, with the plain rows beside it in `given`."""
    connection = duckdb.connect()
    connection.execute("create schema star")
    connection.execute("create table given (day date, base_model varchar, gained bigint, published bigint)")
    connection.execute("create table calendar (day date, status varchar)")
    calendar = [(FIRST + timedelta(days=number), status_of(number, days, event)) for number in range(days)]
    rows = [
        (str(on), name, int(_gained(place, number)), (place + number) % 3)
        for number, (on, _) in enumerate(calendar)
        for place, name in enumerate(NAMES[names])
    ]
    connection.executemany("insert into calendar values (?, ?)", [(str(on), status) for on, status in calendar])
    plain = pl.DataFrame(rows, schema=["day", "base_model", "gained", "published"], orient="row")
    connection.register("plain", plain)
    connection.execute("insert into given select day::date, base_model, gained, published from plain")
    connection.execute(_STAR)
    return connection


def _gained(place, number):
    if place == 1 and number == 40:
        return 60_000  # a spike
    wave = 1 + 0.3 * math.sin(number / 9 + place) + 0.2 * math.sin(number * 7.3 + place)
    return (2400 / (1 + place) + 3) * wave * (1 + number / 300 * (-1) ** place * 0.4)


_STAR = """
create table star.dim_date as
    select day as date, status != 'missing' as has_snapshot, status in ('complete', 'withheld') as is_complete
    from calendar;
create table star.mart_base_model_daily as
    with shown as (
        select day, base_model, published, status, day = min(day) over () as is_first,
            case status when 'complete' then gained when 'partial' then gained // 2 else 0 end as seen,
            gained - seen as later
        from given join calendar using (day)
    )
    select day as snapshot_date, base_model,
        if(is_first or status = 'withheld', null, seen + if(status = 'complete', carried, 0))::bigint
            as downloads_delta,
        if(is_first or status = 'withheld', null, published)::bigint as versions_published,
        if(status = 'withheld', null, 1000)::bigint as download_count,
        0.979 + 0.00001 * (day - date '2024-11-20') / 730 as approval_rate,
        null::double as rating, null::double as approval_lower_bound
    from (
        select *, coalesce(sum(later) over (
            partition by base_model, block order by day rows between unbounded preceding and 1 preceding
        ), 0) as carried
        from (
            select *, count(*) filter (status = 'complete') over (
                partition by base_model order by day rows between unbounded preceding and 1 preceding
            ) as block from shown
        )
    )
    where status != 'missing';
create table star.fact_model_version_daily (
    version_key bigint, snapshot_date date, downloads_delta bigint, downloads_days integer
);
create table star.dim_model_version (version_key bigint, base_model varchar);
"""

#: Name, bucket and value, from the plain rows: a day counts with the first complete one from it on.
EXPECTED = """
with complete as (
    select day, lag(day) over (order by day) as since from calendar where status = 'complete'
),
counted as (
    select base_model, until.day, {number}
    from given join (
        select given_day.day as from_day, (
            select min(complete.day) from complete where complete.day >= given_day.day
        ) as day
        from calendar as given_day
    ) as until on until.from_day = given.day
    where until.day > (select min(day) from calendar)
    group by all
),
rates as (
    select base_model as name, date_trunc('{grain}', day)::date as bucket,
        sum(number)::double as gained, sum(day - since)::double as days
    from counted join complete using (day)
    group by all
)
"""
#: Per form: what SQL selects from `rates`.
FORMS = {
    "absolute": "select name, bucket, gained / days from rates",
    "share": "select name, bucket, gained / sum(gained) over (partition by bucket) from rates",
    "cumulative": "select name, bucket, sum(gained) over (partition by name order by bucket) from rates",
    "indexed": """
        select name, bucket, 100 * (gained / days) / if(
            '{grain}' = 'day' and count(*) over (partition by name) >= 14,
            sum(gained) filter (bucket <= date '2024-11-27') over (partition by name) / 7,
            first_value(gained / days) over (partition by name order by bucket)
        ) from rates
    """,
}


def expected(connection, form, grain, column="downloads"):
    """Value by name and bucket as SQL says. Published versions of days that nobody saw are not made up for."""
    number = {
        "downloads": "sum(gained) as number",
        "versions": "sum(published) filter ((select status from calendar where calendar.day = given.day) "
        "in ('complete', 'partial')) as number",
    }[column]
    query = (EXPECTED + FORMS[form]).format(number=number, grain=grain)
    return {(name, bucket): value for name, bucket, value in connection.execute(query).fetchall()}
