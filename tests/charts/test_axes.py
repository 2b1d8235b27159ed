import random
from datetime import date, timedelta
from itertools import pairwise

import pytest

from flows.reporting.charts.axes import apart, number_ticks, time_ticks, value_scale
from flows.reporting.charts.measures import APPROVAL, DOWNLOADS, Measure

COUNT = Measure("count", "Count", "things", whole=True)


@pytest.mark.parametrize("most", [5, 10])
@pytest.mark.parametrize("first", [date(2026, 1, 1), date(2025, 12, 30), date(2024, 2, 29)])
def test_ticks_of_days_are_few_different_and_name_their_year(first, most):
    for days in (*range(100), *range(100, 1200, 7), 3000):
        last = first + timedelta(days=days)
        ticks = time_ticks(first, last, most)
        assert 1 <= len(ticks.values) <= most
        assert len(set(ticks.labels)) == len(ticks.labels)
        assert len({round(value / 86_400_000) for value in ticks.values}) == len(ticks.values)
        assert any(len(line) == 4 and line.isdigit() for line in ticks.labels[0]), "the first has its year"


def test_one_day_has_one_tick_and_two_days_have_two():
    assert time_ticks(date(2026, 1, 1), date(2026, 1, 1), 5).labels == (("1 Jan", "2026"),)
    assert time_ticks(date(2025, 12, 31), date(2026, 1, 1), 5).labels == (("31 Dec", "2025"), ("1 Jan", "2026"))


@pytest.mark.parametrize("measure", [DOWNLOADS, APPROVAL, COUNT], ids=lambda measure: measure.column)
@pytest.mark.parametrize("log", [False, True])
def test_ticks_of_values_differ_however_near_the_values_are(measure, log):
    dice = random.Random(1)
    for _ in range(300):
        middle = 10 ** dice.uniform(-4, 7)
        values = [middle * (1 + dice.uniform(0, 10 ** dice.uniform(-6, 1))) for _ in range(dice.randint(1, 30))]
        ticks = value_scale([values], measure, log=log).ticks
        assert len(ticks.labels) >= 2 or (measure.whole and not log)
        assert len(set(ticks.labels)) == len(ticks.labels)


def test_nearly_equal_shares_do_not_all_read_the_same():
    labels = value_scale([[0.9790, 0.9791]], APPROVAL).ticks.labels
    assert len(labels) >= 3
    assert len(set(labels)) == len(labels)


def test_counts_have_no_ticks_between_two_integers():
    assert value_scale([[0, 1]], COUNT).ticks.labels == (("0",), ("1",))
    assert all(value == round(value) for value in number_ticks(0, 3, 10).values)


def test_a_spike_is_cut_off_and_does_not_flatten_the_rest():
    scale = value_scale([[100.0] * 30 + [60_000.0], [50.0] * 31], DOWNLOADS)
    assert scale.cap == scale.high == pytest.approx(115)


def test_a_name_that_is_far_above_the_others_is_no_spike():
    scale = value_scale([[60_000.0] * 31, [50.0] * 31, [7.0]], DOWNLOADS)
    assert scale.cap is None
    assert scale.high > 60_000


def test_labels_that_would_overlap_move_as_little_as_they_must():
    assert apart([10, 100, 200], 16, 0, 300) == [10, 100, 200]
    assert apart([100, 100, 100], 16, 0, 300) == [84, 100, 116]
    for seed in range(200):
        dice = random.Random(seed)
        places = sorted(dice.uniform(-20, 340) for _ in range(dice.randint(1, 8)))
        moved = apart(places, 16, 4, 316)
        assert all(after - before > 15.9 for before, after in pairwise(moved))
        assert min(moved) >= 4 - 1e-9
        assert max(moved) <= 316 + 1e-9
