"""Every chart in every situation, and pairs of them for those who have less time."""

import random
from itertools import combinations, product
from typing import NamedTuple

import polars as pl

from flows.reporting import charts
from tests.charts import star

WIDTHS, THEMES = (360, 1400), ("light", "dark")


class Case(NamedTuple):
    form: str
    days: int
    event: str
    names: str
    width: int
    theme: str


def all_cases():
    return [Case(*values) for values in product(FORMS, star.DAYS, star.EVENTS, star.NAMES, WIDTHS, THEMES)]


def pairwise(cases, seed=1):
    """Cases that together have every pair of values that all of them have: greedily, the best of some at a time."""
    pairs = {pair for case in cases for pair in combinations(enumerate(case), 2)}
    chosen, dice = [], random.Random(seed)
    while pairs:
        # A case with one of the pairs that are left, so that each step has something to gain.
        wanted = min(pairs)
        fitting = [case for case in cases if set(wanted) <= set(enumerate(case))]
        tried = dice.sample(fitting, min(len(fitting), 60))
        best = max(tried, key=lambda case: len(pairs & set(combinations(enumerate(case), 2))))
        pairs -= set(combinations(enumerate(best), 2))
        chosen.append(best)
    return chosen


def grain_of(days):
    return "day" if days <= 90 else "week" if days <= 540 else "month"


def lines(form, **options):
    def made(connection, names, grain):
        figure = charts.lines(charts.daily(connection), names, form=form, **options)
        return figure, _of(star.expected(connection, form, grain), names)

    return made


def stack(form, measure, column):
    def made(connection, names, grain):
        named = names[:3]
        figure = charts.stack(charts.daily(connection), named, measure, share=form == "share")
        values = star.expected(connection, form, grain, column)
        rest = {bucket: 0.0 for name, bucket in values if name not in named}
        for (name, bucket), value in values.items():
            if name not in named and value is not None:
                rest[bucket] += value
        return figure, _of(values, named) + list(rest.values())

    return made


def rating(connection, names, grain):
    figure = charts.lines(charts.daily(connection), names, charts.APPROVAL)
    values = connection.execute(
        f"""
        select base_model, max_by(approval_rate, snapshot_date)
        from star.mart_base_model_daily join calendar on day = snapshot_date
        where status in ('complete', 'withheld') group by base_model, date_trunc('{grain}', snapshot_date)
        """
    ).fetchall()
    return figure, [value for name, value in values if name in names]


def multiples(connection, names, grain):
    figure = charts.multiples(charts.daily(connection), names)
    return figure, _of(star.expected(connection, "absolute", grain), names)


def curves(**options):
    measure = charts.Measure("gained", "Downloads of a version", "downloads", whole=True)

    def made(connection, names, grain):
        frame = connection.sql(
            """
            select base_model, day - min(day) over () as days,
                sum(gained) over (partition by base_model order by day)::double as gained
            from given join calendar using (day) where status = 'complete'
            """
        ).pl()
        figure = charts.curves(frame, names, measure, **options)
        return figure, frame.filter(pl.col("base_model").is_in(names))["gained"].to_list()

    return made


def ranking(connection, names, grain):
    frame = connection.sql("select base_model, sum(gained)::bigint as gained from given group by all").pl()
    figure = charts.ranking(frame, charts.Measure("gained", "Downloads", "downloads", whole=True), most=60)
    return figure, [float(value) for value in frame["gained"]]


def _of(values, names):
    return [value for (name, _), value in values.items() if name in names and value is not None]


#: Per form: from a star to a figure and the numbers that its chart has to show, in any order.
FORMS = {
    "lines": lines("absolute"),
    "log": lines("absolute", log=True),
    "share": lines("share"),
    "indexed": lines("indexed"),
    "cumulative": lines("cumulative"),
    "rating": rating,
    "parts": stack("share", charts.DOWNLOADS, "downloads"),
    "versions": stack("absolute", charts.VERSIONS, "versions"),
    "multiples": multiples,
    "curves": curves(),
    "steps": curves(step=True, log=True),
    "ranking": ranking,
}
