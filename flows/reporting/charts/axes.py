"""Ticks and their labels, worked out before anything is drawn, so that no two labels are the same."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

from flows.reporting.charts.measures import Measure

#: Steps between two ticks of a time axis: a number of days (7 and 14 from a Monday on) or of months.
_STEPS = (*((days, 0) for days in (1, 2, 7, 14)), *((0, months) for months in (1, 2, 3, 6, 12, 24, 60, 120)))


@dataclass(frozen=True)
class Ticks:
    """Places of ticks, and the label of each: one line or two."""

    values: tuple[float, ...]
    labels: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Scale:
    """A value axis: its domain and ticks. `cap` is the highest value that it shows, if one higher is cut off."""

    low: float
    high: float
    ticks: Ticks
    is_log: bool = False
    cap: float | None = None

    def pixels(self, value: float, height: float) -> float:
        """How far below the top of an axis of this height a value stands."""
        low, high = self.low, self.high
        if self.is_log:
            low, high, value = math.log(low), math.log(high), math.log(value)
        return height * (1 - min(max((value - low) / (high - low), 0.0), 1.0))


def milliseconds(on: date, *, hours: float = 0) -> float:
    """The beginning of a UTC day since 1970, as a time axis counts."""
    return (datetime(on.year, on.month, on.day, tzinfo=UTC).timestamp() + 3600 * hours) * 1000


def time_ticks(first: date, last: date, most: int) -> Ticks:
    """At most `most` ticks at the beginnings of days, weeks, months or years; the first of a year names it."""
    for days, months in _STEPS:
        dates = _days(first, last, days) if days else _months(first, last, months)
        if len(dates) <= most:
            break
    years = bool(months) and months % 12 == 0
    if len(dates) < 2 <= most and first != last:
        # Between two months, or two years, there may be none: then the ends tell what is shown.
        dates, years, months = [first, last], False, 0
    texts = [f"{on:%Y}" if years else f"{on:%b}" if months else f"{on:%-d %b}" for on in dates]
    labels = []
    for index, (text, on) in enumerate(zip(texts, dates, strict=True)):
        new_year = index == 0 or on.year != dates[index - 1].year
        # "Apr" of two years would be the same tick twice.
        named = not years and (new_year or texts.count(text) > 1)
        labels.append((text, f"{on:%Y}") if named else (text,))
    return Ticks(tuple(map(milliseconds, dates)), tuple(labels))


def _days(first: date, last: date, step: int) -> list[date]:
    start = first + timedelta(days=-first.weekday() % 7) if step >= 7 else first
    return [start + timedelta(days=days) for days in range(0, (last - start).days + 1, step)]


def _months(first: date, last: date, step: int) -> list[date]:
    months = range(12 * first.year + first.month - 1, 12 * last.year + last.month)
    starts = [date(month // 12, month % 12 + 1, 1) for month in months if month % step == 0 or step == 1]
    return [on for on in starts if first <= on <= last]


def value_scale(series: Iterable[Sequence[float]], measure: Measure, *, log: bool = False, steps: int = 5) -> Scale:
    """The axis of the values of some series.

    It begins at zero if the measure does. A spike would press everything else flat, so the axis ends above all that is
    no spike (`_without_spikes`), and the chart marks what is cut off.
    """
    known = [[value for value in values if not log or value > 0] for values in series]
    everything = [value for values in known for value in values]
    if not everything:
        return Scale(0.0, 1.0, Ticks((), ()))
    low, high = min(everything), max(everything)
    if log:
        return _log_scale(low, high, measure)
    usual = max(value for values in known for value in _without_spikes(values))
    cap = 1.15 * usual if high > 1.15 * usual > 0 else None
    high = cap or high
    if measure.from_zero:
        low, high = min(low, 0.0), max(high, 0.0)
    air = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
    low = low if measure.from_zero and low == 0 else low - air
    if measure.is_share and not measure.from_zero:
        low = max(low, 0.0)
    high += 0.0 if cap else air
    return Scale(low, high, _value_ticks(low, high, measure, steps), cap=cap)


def _without_spikes(values: Sequence[float]) -> list[float]:
    """The values that are not more than four times as high as 49 of 50 of them (and all but one of a few)."""
    if len(values) < 8:
        return list(values)
    usual = sorted(values)[-1 - max(1, len(values) // 50)]
    return [value for value in values if usual <= 0 or value <= 4 * usual]


def _value_ticks(low: float, high: float, measure: Measure, steps: int) -> Ticks:
    scale = 100 if measure.is_share else 1
    step = _nice((high - low) * scale / steps)
    if measure.whole:
        step = max(1.0, step)
    places = range(math.ceil(low * scale / step - 1e-9), math.floor(high * scale / step + 1e-9) + 1)
    # As many decimals as the step has: two ticks never look the same, however near the values are.
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    unit = " %" if measure.is_share else ""
    values = [round(place * step, 12) for place in places]
    return Ticks(
        tuple(value / scale for value in values), tuple((f"{value or 0.0:,.{decimals}f}{unit}",) for value in values)
    )


def _nice(step: float) -> float:
    power: float = 10.0 ** math.floor(math.log10(step))
    return next(nice * power for nice in (1, 2, 5, 10) if nice * power >= step * (1 - 1e-9))


def _log_scale(low: float, high: float, measure: Measure) -> Scale:
    low, high = low / 1.15, high * 1.15
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9)):
        values = [step * 10.0**power for power in powers for step in steps if low <= step * 10.0**power <= high]
        if len(values) >= 3:
            break
    if len(values) < 2:
        # Less than a step of a logarithm: there it looks like a linear axis.
        linear = _value_ticks(low, high, replace(measure, whole=measure.whole and high - low > 2), 5)
        return Scale(low, high, linear, is_log=True)
    if len(values) > 8:
        values = values[:: math.ceil(len(values) / 8)]
    scale = 100 if measure.is_share else 1
    unit = " %" if measure.is_share else ""
    return Scale(
        low, high, Ticks(tuple(values), tuple((f"{value * scale:,.10g}{unit}",) for value in values)), is_log=True
    )


def number_ticks(low: float, high: float, most: int) -> Ticks:
    """At most `most` ticks at round integers, for an axis of days since an event."""
    step = max(1.0, _nice(max(high - low, 1.0) / most))
    values = [place * step for place in range(math.ceil(low / step), math.floor(high / step) + 1)]
    return Ticks(tuple(values), tuple((f"{value:,.0f}",) for value in values))


def apart(places: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Moves sorted places until each is `gap` after the one before, between `low` and `high` if there is room for all.

    Neighbours that would overlap become a block, which stands around the mean of where its members want to be.
    """
    blocks: list[tuple[float, int]] = []  # where the first member stands, and how many there are
    for place in places:
        blocks.append((place, 1))
        while len(blocks) > 1 and blocks[-2][0] + gap * blocks[-2][1] > blocks[-1][0]:
            (first, size), (second, more) = blocks[-2:]
            blocks[-2:] = [((first * size + (second - gap * size) * more) / (size + more), size + more)]
    moved = [first + gap * index for first, size in blocks for index in range(size)]
    for index, place in enumerate(moved):
        moved[index] = max(place, low + gap * index)
    for index in reversed(range(len(moved))):
        moved[index] = min(moved[index], high - gap * (len(moved) - 1 - index))
    assert all(after - before >= gap - 1e-6 for before, after in pairwise(moved))
    return moved
