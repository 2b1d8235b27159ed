"""A chart before it has a paper: what it finds, the numbers behind it, and how it is drawn."""

from collections.abc import Callable
from dataclasses import dataclass

import altair as alt
import polars as pl

from flows.reporting.charts.theme import THEMES, Theme

Draw = Callable[[Theme, int | None], alt.LayerChart]


@dataclass(frozen=True)
class Figure:
    """What a function of a form makes of a frame.

    `finding` is the title, a sentence made of the data. `table` has the numbers that are drawn, for a reader who cannot
    or does not want to see them drawn.
    """

    finding: str
    table: pl.DataFrame
    draw: Draw

    def chart(self, theme: str = "light", width: int | None = None) -> alt.LayerChart:
        """The chart on light or dark paper, as wide as its container or as `width` pixels."""
        return self.draw(THEMES[theme], width)
