"""Colours, measured otherwise than the library does: contrast as WCAG 2 defines it, CIELAB, matrices of Viénot."""

import random
from itertools import combinations

import polars as pl
import pytest

from flows.reporting import charts
from flows.reporting.charts.colours import colour, dashes
from flows.reporting.charts.theme import THEMES
from tests.charts.looks import _channels, _contrast
from tests.charts.star import HOSTILE, make
from transforms.star.base_models import colours, describe

LISTED = colours()["base_model"].to_list()
#: Viénot, Brettel and Mollon 1999, in linear RGB; tritanopia as by Brettel's plane of 460 nm, simplified.
VIENOT = {
    "normal": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": ((0.11238, 0.88762, 0), (0.11238, 0.88762, 0), (0.00401, -0.00401, 1)),
    "deuteranopia": ((0.29275, 0.70725, 0), (0.29275, 0.70725, 0), (-0.02234, 0.02234, 1)),
}


@pytest.mark.parametrize("theme", THEMES.values(), ids=lambda theme: theme.name)
def test_every_colour_can_be_text_on_its_paper(theme):
    texts = [colour(name, dark=theme.is_dark) for name in (*LISTED, *HOSTILE, *map(str, range(500)))]
    assert min(_contrast(paint, theme.paper) for paint in (*texts, theme.text, theme.quiet)) >= 4.5


def test_a_colour_is_that_of_the_name_whatever_else_is_shown():
    for names in (["Flux.1 D", "Pony"], ["Illustrious", "Pony", "SD 1.5", "Flux.1 D"]):
        spec = charts.lines(charts.daily(make(60, "none", "plain")), names).chart().to_json()
        assert colour("Flux.1 D") in spec
        assert colour("Pony") in spec


def test_an_unknown_name_has_a_colour_and_keeps_it():
    assert colour("Flux.9 of 2031") == colour("Flux.9 of 2031") != colour("Flux.8 of 2031")


def test_base_models_of_one_ecosystem_share_a_hue():
    hues = describe(colours().select("base_model")).join(colours(), on="base_model")
    assert hues.group_by("ecosystem").agg(pl.col("hue").n_unique())["hue"].unique().to_list() == [1]


@pytest.mark.parametrize("dark", [False, True])
def test_any_seven_lines_differ_in_colour_for_everybody_or_in_their_dashes(dark):
    dice = random.Random(7)
    for _ in range(300):
        names = dice.sample(LISTED, 7)
        strokes = dashes(names)
        for one, other in combinations(names, 2):
            if strokes[one] == strokes[other]:
                assert _difference(colour(one, dark=dark), colour(other, dark=dark)) > 6, (one, other)


def test_dashes_depend_on_no_rank():
    names = ["Pony", "Pony V7", "SD 1.5", "Flux.1 D", "NoobAI", "Illustrious"]
    assert dashes(names) == dashes(list(reversed(names)))


def _difference(one, other):
    """The least difference in CIELAB (1976) over the kinds of colour vision."""
    return min(
        sum((a - b) ** 2 for a, b in zip(_lab(one, vision), _lab(other, vision), strict=True)) ** 0.5
        for vision in VIENOT.values()
    )


def _lab(paint, vision):
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in (channel / 255 for channel in _channels(paint))
    ]
    red, green, blue = (max(sum(a * b for a, b in zip(row, linear, strict=True)), 0) for row in vision)
    x = (0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.9505
    y = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    z = (0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.089
    f = [value ** (1 / 3) if value > 0.008856 else 7.787 * value + 16 / 116 for value in (x, y, z)]
    return 116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])
