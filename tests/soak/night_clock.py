"""`python -m tests.soak.night_clock ARGUMENTS...`: the command line on nights that last a minute.

The nights are those of an emulator, and a file has the present one. From it a run takes its date, and messages take the
hour. A date ends for a failed run as the file says. The pauses before another attempt are those of a test. All else,
also the clock of Prefect, is that of this machine.
"""

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

#: The file that has the present night.
VARIABLE = "NIGHT"
#: The runs of the deployment load this, so that the clock is theirs, too.
FLOW = "tests.soak.night_flow.daily_snapshot"
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=5), timedelta(seconds=20)


class Night(msgspec.Struct, frozen=True):
    """The date and the hour (UTC) that it is, and whether a failed run has time for another attempt."""

    date: date
    hour: int = 3
    has_time: bool = True


def present_night() -> Night:
    return msgspec.json.decode(Path(os.environ[VARIABLE]).read_bytes(), type=Night)


def set_the_clock_of_messages() -> None:
    from flows.reporting import condition

    without_tables = condition.without_tables

    def at_night(*arguments: Any) -> condition.Condition:
        night = present_night()
        return replace(without_tables(*arguments), as_of=datetime.combine(night.date, time(night.hour), UTC))

    condition.without_tables = at_night


def set_the_clock_of_runs() -> None:
    """Imports Prefect."""
    import flows.daily_snapshot
    from flows import retries

    end_of_date = retries.end_of_date
    retries.end_of_date = lambda began: end_of_date(began) if present_night().has_time else began
    retries.FIRST_PAUSE, retries.LONGEST_PAUSE = FIRST_PAUSE, LONGEST_PAUSE
    flows.daily_snapshot.first_date = lambda: present_night().date


def main() -> None:
    from flows.cli import alongside, serving
    from flows.cli.main import console_script

    set_the_clock_of_messages()
    alongside.watched = partial(alongside.watched, pause=5, longer_pause=5)  # type: ignore[assignment]
    serving.PAUSE = 2
    serving._serve = partial(_serve, serving._serve)  # type: ignore[assignment]
    console_script()


def _serve(serve: Callable[..., None], *arguments: Any) -> None:
    """When `serve` has its server: Prefect reads its settings when it is imported."""
    from flows.deployments import DAILY, Deployment

    set_the_clock_of_runs()
    to_serve = Deployment.to_serve

    def at_night(deployment: Deployment) -> Any:
        served = to_serve(deployment)
        if deployment.full_name == DAILY:
            served.entrypoint = FLOW
        return served

    Deployment.to_serve = at_night  # type: ignore[method-assign]
    serve(*arguments)


if __name__ == "__main__":
    main()
