"""Light and dark paper: every colour of a chart that is not a base model's."""

from dataclasses import dataclass
from typing import Any

from flows.reporting.charts.text import FONT


@dataclass(frozen=True)
class Theme:
    name: str
    paper: str
    text: str
    #: Axis labels, subtitle, footer and the labels of what is grey.
    quiet: str
    grid: str
    #: Lines and parts that have no colour of their own.
    grey: str

    @property
    def is_dark(self) -> bool:
        return self.name == "dark"

    def config(self) -> dict[str, Any]:
        """Vega-Lite's configuration. All of it is explicit: a page's own theme changes no text into its paper."""
        return {
            "font": FONT,
            "background": self.paper,
            "view": {"stroke": None},
            "axis": {
                "labelColor": self.quiet,
                "labelFontSize": LABEL_SIZE,
                "labelOverlap": False,
                "labelLimit": 0,
                "gridColor": self.grid,
                "domainColor": self.quiet,
                "tickColor": self.quiet,
                "titleColor": self.quiet,
            },
            "title": {
                "anchor": "start",
                "align": "left",
                "frame": "bounds",
                "color": self.text,
                "fontSize": TITLE_SIZE,
                "lineHeight": TITLE_SIZE + 5,
                "offset": 8,
                "limit": 0,
            },
        }


TITLE_SIZE, SUBTITLE_SIZE, LABEL_SIZE = 17, 12, 11
LIGHT = Theme("light", paper="#ffffff", text="#1b1f26", quiet="#545b66", grid="#e6e8ec", grey="#a9aeb8")
DARK = Theme("dark", paper="#15181e", text="#f0f2f5", quiet="#aab1bd", grid="#2b3038", grey="#656c78")
THEMES = {theme.name: theme for theme in (LIGHT, DARK)}
