"""The daily flow by the clock of `tests.soak.night_clock`."""

from flows.daily_snapshot import daily_snapshot
from tests.soak.night_clock import set_the_clock_of_messages, set_the_clock_of_runs

__all__ = ["daily_snapshot"]

set_the_clock_of_messages()
set_the_clock_of_runs()
