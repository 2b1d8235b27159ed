"""The state of the simulation on one day. Each part of it is computed on first use."""

from datetime import UTC, date, datetime, time
from functools import cached_property

import numpy as np
import numpy.typing as npt

from emulator.simulation.columns import Simulation, day_number
from emulator.simulation.counters import ModelCounters, VersionCounters, model_counters, version_counters
from emulator.simulation.dice import Ints


class DayState:
    """What is visible at noon of a date, and its counters.

    Raises:
        NotSimulatedError: the date is outside the simulated years.
    """

    def __init__(self, columns: Simulation, on: date) -> None:
        self.columns = columns
        self.date = on
        self.day = day_number(on)

    @property
    def now(self) -> datetime:
        return datetime.combine(self.date, time(12), UTC)

    @cached_property
    def model_visible(self) -> npt.NDArray[np.bool_]:
        return self.columns.model_visible(self.day)

    @cached_property
    def version_shown(self) -> npt.NDArray[np.bool_]:
        """Per version: it and its model are published."""
        return self.columns.version_visible(self.day) & self.model_visible[self.columns.version_model]

    @cached_property
    def version_counters(self) -> VersionCounters:
        return version_counters(self.columns, self.day)

    @cached_property
    def model_counters(self) -> ModelCounters:
        return model_counters(self.columns, self.version_counters)

    @cached_property
    def events(self) -> Ints:
        return self.columns.events_so_far(self.day)

    @cached_property
    def model_count_of_creator(self) -> Ints:
        """Per creator: models that are visible."""
        owners = self.columns.model_creator[self.model_visible]
        return np.bincount(owners, minlength=len(self.columns.creator_joined))

    @cached_property
    def model_count_of_tag(self) -> Ints:
        """Per tag: visible models that have it."""
        columns = self.columns
        counted = columns.tags.active(self.day) & self.model_visible[columns.tags.model]
        return np.bincount(columns.tags.tag[counted], minlength=len(columns.tags.first_used))

    @cached_property
    def last_version_second(self) -> Ints:
        """Per model: the publication of its latest visible version (the service's lastVersionAt), else its own."""
        columns = self.columns
        visible = columns.version_visible(self.day)
        latest = columns.model_born_second.copy()
        np.maximum.at(latest, columns.version_model[visible], columns.version_second[visible])
        return latest
