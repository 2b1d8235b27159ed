"""Charts over time: one function per form, from a frame to a `Figure`.

| function | shows |
|---|---|
| `lines` | a number per name over time: absolute, as a share, indexed or cumulative; linear or logarithmic |
| `stack` | parts of a whole over time |
| `multiples` | a little chart for every name |
| `curves` | lines by days since an event |
| `ranking` | one number per name |

`daily` reads the base models' numbers, `Measure` says what a column counts, `write_chart` writes a picture and a page.
What all forms keep to: a name has its colour for ever (`colours`), null is not zero, a gap is a gap, and a chart is
readable from 360 pixels on, on light and on dark paper (`layout`, `theme`).
"""

from flows.reporting.charts.curves import curves
from flows.reporting.charts.daily import daily, leading
from flows.reporting.charts.figure import Figure
from flows.reporting.charts.lines import lines
from flows.reporting.charts.measures import (
    APPROVAL,
    APPROVAL_LOWER_BOUND,
    DOWNLOADS,
    RATING,
    RATINGS,
    VERSIONS,
    Measure,
)
from flows.reporting.charts.multiples import multiples
from flows.reporting.charts.page import page, svg, write_chart
from flows.reporting.charts.ranking import ranking
from flows.reporting.charts.series import COLOURED
from flows.reporting.charts.stack import stack

__all__ = [
    "APPROVAL",
    "APPROVAL_LOWER_BOUND",
    "COLOURED",
    "DOWNLOADS",
    "RATING",
    "RATINGS",
    "VERSIONS",
    "Figure",
    "Measure",
    "curves",
    "daily",
    "leading",
    "lines",
    "multiples",
    "page",
    "ranking",
    "stack",
    "svg",
    "write_chart",
]
