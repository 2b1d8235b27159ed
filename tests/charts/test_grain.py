"""Days, weeks and months, against plain loops over the days."""

import random
from datetime import date, timedelta

import polars as pl
import pytest

from flows.reporting.charts.grain import aggregated, grain_of, mean_of_seven_days
from flows.reporting.charts.measures import APPROVAL, DOWNLOADS
from flows.reporting.charts.values import formed

FIRST = date(2026, 1, 1)


def flows(*numbers, name="A", first=FIRST):
    """Days with a flow each; None is a day without a snapshot, whose flow comes with the next one."""
    rows, since = [], None
    for place, number in enumerate(numbers):
        on = first + timedelta(days=place)
        known = number is not None and since is not None
        days = (on - since).days if known else None
        rows.append({"snapshot_date": on, "base_model": name, "downloads": number if known else None, "days": days})
        since = on if number is not None else since
    return pl.DataFrame(rows, schema_overrides={"downloads": pl.Int64, "days": pl.Int64})


def test_a_week_is_above_ninety_days_and_a_month_above_540():
    grains = {days: grain_of(FIRST, FIRST + timedelta(days=days - 1)) for days in (1, 90, 91, 540, 541)}
    assert grains == {1: "day", 90: "day", 91: "week", 540: "week", 541: "month"}


@pytest.mark.parametrize("grain", ["day", "week", "month"])
@pytest.mark.parametrize("seed", range(8))
def test_a_rate_is_what_came_by_the_days_that_it_took(grain, seed):
    dice = random.Random(seed)
    numbers = [dice.choice([None, -5, 0, *range(40)]) for _ in range(dice.randint(2, 150))]
    frame = flows(*numbers)
    gained, days = {}, {}
    for on, _, number, span in frame.iter_rows():
        first = {"day": on, "week": on - timedelta(days=on.weekday()), "month": on.replace(day=1)}[grain]
        gained.setdefault(first, []).append(number)
        days.setdefault(first, []).append(span)
    expected = {
        first: sum(number or 0 for number in gained[first]) / sum(span or 0 for span in days[first])
        if any(number is not None for number in gained[first])
        else None
        for first in gained
    }
    found = aggregated(frame, "base_model", DOWNLOADS, grain)
    assert dict(found.select("bucket", "value").iter_rows()) == pytest.approx(expected)
    assert found["gained"].sum() == sum(number or 0 for number in frame["downloads"])


def test_a_bar_spans_the_days_since_the_snapshot_before_its_first_flow():
    bars = aggregated(flows(1, None, None, 12, 5), "base_model", DOWNLOADS, "day").drop_nulls("value")
    assert bars.select("begins", "ends", "value").rows() == [
        (date(2026, 1, 2), date(2026, 1, 4), 4.0),
        (date(2026, 1, 5), date(2026, 1, 5), 5.0),
    ]


def test_what_is_unknown_in_a_whole_week_is_unknown_and_not_zero():
    frame = flows(*[None] * 14)
    assert aggregated(frame, "base_model", DOWNLOADS, "week")["value"].to_list() == [None] * 3


def test_a_level_is_that_of_the_last_day_which_has_it():
    levels = flows(1, 2, 3, 4, first=date(2026, 1, 5)).with_columns(approval_rate=pl.Series([0.5, 0.6, None, None]))
    week = aggregated(levels, "base_model", APPROVAL, "week")
    assert week.select("value", "ends").rows() == [(0.6, date(2026, 1, 6))]


def test_the_mean_of_seven_days_begins_with_the_seventh_and_counts_a_gap_by_its_days():
    days = mean_of_seven_days(aggregated(flows(0, *[7] * 7, None, 28, 7), "base_model", DOWNLOADS, "day"))
    # The tenth day has the flow of two days: with the six before it that spans seven days.
    assert days["mean"].to_list() == [None] * 7 + [7.0, None, pytest.approx((5 * 7 + 28) / 7), pytest.approx(9.0)]


@pytest.fixture
def two():
    frame = pl.concat([flows(0, 30, None, 60, 0), flows(0, 10, None, 20, 0, name="B")])
    return aggregated(frame, "base_model", DOWNLOADS, "day")


def by_name(frame):
    return {name: rows["value"].to_list() for (name,), rows in frame.sort("bucket").group_by("name")}


def test_shares_are_of_all_names_and_unknown_where_nothing_came(two):
    assert by_name(formed(two, "share")) == {
        "A": [None, 0.75, None, 0.75, None],
        "B": [None, 0.25, None, 0.25, None],
    }


def test_an_index_begins_at_100_and_a_sum_goes_on_behind_a_gap(two):
    assert by_name(formed(two, "indexed"))["A"] == [None, 100, None, 100, 0]
    assert by_name(formed(two, "cumulative"))["A"] == [None, 30, None, 90, 90]


def test_an_index_of_a_first_value_of_zero_is_unknown():
    zero = aggregated(flows(0, 0, 5), "base_model", DOWNLOADS, "day")
    assert by_name(formed(zero, "indexed"))["A"] == [None, None, None]
