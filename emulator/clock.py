"""The emulator's clock and its catalogue: every answer is of the date that is set."""

from datetime import UTC, date, datetime
from pathlib import Path

from emulator.catalogue import Catalogue
from emulator.given import GivenCatalogue
from emulator.simulation.columns import NotSimulatedError
from emulator.spec.catalogue import SimulatedDay, SimulatedWorld


class Clock:
    """The catalogue at the present moment of the emulator.

    Args:
        world: a simulated world or a given catalogue.
        on: the date to show; None follows the real date.

    Raises:
        NotSimulatedError: the simulated catalogue has no such date.
    """

    def __init__(self, world: SimulatedWorld | GivenCatalogue, on: date | None) -> None:
        self._world = world
        self._date = on
        self._day: SimulatedDay | None = None
        self.catalogue()  # refuse a date at once that the catalogue does not have

    @property
    def today(self) -> date:
        return self._date or datetime.now(UTC).date()

    def set(self, on: date) -> None:
        """Set another date; an impossible one raises NotSimulatedError and changes nothing."""
        if isinstance(self._world, SimulatedWorld):
            self._day = self._world.on(on)
        self._date = on

    def catalogue(self) -> Catalogue:
        if isinstance(self._world, GivenCatalogue):
            return self._world.on(self._date)
        if self._day is None or self._day.date != self.today:
            self._day = self._world.on(self.today)
        return self._day

    def simulated(self, on: date) -> SimulatedDay:
        """The state of a simulated catalogue on any date, without the clock.

        Raises:
            NotSimulatedError: the catalogue is a given one, or has no such date.
        """
        if isinstance(self._world, GivenCatalogue):
            raise NotSimulatedError("a given catalogue is no simulation: there is no account of it")
        return self._world.on(on)


def open_world(models: int, seed: int, catalogue: Path | None) -> SimulatedWorld | GivenCatalogue:
    """The world of the options.

    Raises:
        NotSimulatedError: no such simulation. OSError: the file cannot be read.
    """
    return SimulatedWorld(models, seed) if catalogue is None else GivenCatalogue(catalogue)
