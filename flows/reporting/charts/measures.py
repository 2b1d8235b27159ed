"""What a chart counts: the column of a frame, and the words for it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from flows.reporting.charts.text import number, percent

Form = Literal["absolute", "share", "indexed", "cumulative"]


@dataclass(frozen=True)
class Measure:
    """A column of a frame, and how a chart speaks of it.

    `title` begins the subtitle; `unit` follows a number in a sentence ("1,974 downloads a day"). A flow is divided by
    its days (see `grain.py`); anything else is a level. `per_day` is what is said of a flow's sum. `is_share` numbers
    are shown as percentages; `whole` ones have no ticks between two integers.
    """

    column: str
    title: str
    unit: str
    is_flow: bool = False
    noun: str = ""
    is_share: bool = False
    whole: bool = False
    from_zero: bool = True

    @property
    def written(self) -> Callable[[float], str]:
        """A number of this measure as text."""
        return percent if self.is_share else number

    def said(self, value: float) -> str:
        """A number with its unit: "1,974 downloads a day", "93 % thumbs up"."""
        return f"{self.written(value)} {self.unit}".rstrip()

    def in_form(self, form: Form) -> "Measure":
        """The measure of what `values.formed` makes of it."""
        noun = self.noun or self.unit
        if form == "share":
            return replace(self, title=f"Share of {noun}", unit=f"of {noun}", is_share=True, whole=False)
        if form == "indexed":
            title = f"{self.title}, first value = 100"
            return replace(self, title=title, unit="", is_share=False, whole=False)
        if form == "cumulative":
            return replace(self, title=f"{noun.capitalize()} since the first snapshot", unit=noun, whole=True)
        return self


DOWNLOADS = Measure("downloads", "Downloads per day", "downloads a day", is_flow=True, noun="downloads")
VERSIONS = Measure("versions", "New versions per day", "new versions a day", is_flow=True, noun="new versions")
RATING = Measure("rating", "Average rating, of 5", "of 5", from_zero=False)
APPROVAL = Measure(
    "approval_rate", "Approval: thumbs up out of all thumbs", "thumbs up", is_share=True, from_zero=False
)
APPROVAL_LOWER_BOUND = Measure(
    "approval_lower_bound", "Approval, lower bound (Wilson, 95 %)", "approval at least", is_share=True, from_zero=False
)
#: The measures of how a base model is rated, by their column.
RATINGS = {measure.column: measure for measure in (APPROVAL, APPROVAL_LOWER_BOUND, RATING)}
