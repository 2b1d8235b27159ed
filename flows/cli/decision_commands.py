"""Commands that decide about a snapshot date or a counter: exclude, include, accept."""

from datetime import date
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from flows.cli.app import Wait, app, read_settings
from flows.reporting.console import say

if TYPE_CHECKING:
    from collections.abc import Callable

    from transforms.build import BuildReport

Because = Annotated[str, Parameter(help="Why, in a few words; it is kept with the decision.")]


@app.command
def exclude(snapshot_date: date, /, *, because: Because, wait: Wait = False) -> int:
    """Leave a snapshot date out of the tables for good: it becomes a gap. Raw keeps what was crawled.

    Also confirms that a date that the checks refused stays out. The same day can be crawled again.

    Parameters
    ----------
    snapshot_date
        UTC date of the snapshot, such as 2026-01-31.
    """
    from flows.steps import exclude_date

    return _decide(f"{snapshot_date} is excluded.", exclude_date, snapshot_date, because, wait=wait)


@app.command
def include(snapshot_date: date, /, *, because: Because, wait: Wait = False) -> int:
    """Publish a snapshot date that was refused or excluded, whatever the checks say.

    Parameters
    ----------
    snapshot_date
        UTC date of the snapshot, such as 2026-01-31.
    """
    from flows.steps import include_date

    return _decide(f"{snapshot_date} is included.", include_date, snapshot_date, because, wait=wait)


@app.command
def accept(counter: str, snapshot_date: date, /, *, because: Because, wait: Wait = False) -> int:
    """Publish the values of a counter that were withheld on a date, because its collapse is real.

    `civitai-etl accept fact_model_daily.rating_count 2025-11-12 --because "the service dropped ratings"`

    Parameters
    ----------
    counter
        The counter, as `star.ops_withheld` names it: table.column.
    snapshot_date
        UTC date of the snapshot, such as 2026-01-31.
    """
    from flows.steps import accept_collapse

    sentence = f"The collapse of {counter} on {snapshot_date} is accepted."
    return _decide(sentence, accept_collapse, counter, snapshot_date, because, wait=wait)


def _decide(sentence: str, step: "Callable[..., BuildReport]", *what: object, wait: bool) -> int:
    """Takes a decision by a step, and prints it with the build that follows it."""
    from flows.reporting import outcome, report
    from flows.reporting.console import progress_display

    settings = read_settings()
    with progress_display() as progress:
        built = step(settings, *what, progress, wait=wait)
    outcome.log_build(built)
    say(sentence)
    say(report.build_line(built))
    say(*report.build_lines(built))
    return 0
