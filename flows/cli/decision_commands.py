"""Commands that decide about a snapshot date or a counter: exclude, include, accept."""

from collections.abc import Callable
from datetime import date
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from flows.cli.app import app, read_settings
from flows.reporting.console import say

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipelines.progress import Progress
    from transforms.build import BuildReport

Because = Annotated[str, Parameter(help="Why, in a few words; it is kept with the decision.")]


@app.command
def exclude(snapshot_date: date, /, *, because: Because) -> int:
    """Leave a snapshot date out of the tables for good: it becomes a gap. Raw keeps what was crawled.

    Also confirms that a date that the checks refused stays out. The same day can be crawled again.

    Parameters
    ----------
    snapshot_date
        UTC date of the snapshot, such as 2026-01-31.
    """
    from flows.steps import exclude_date

    settings = read_settings()
    _print_decision(
        f"{snapshot_date} is excluded.", lambda progress: exclude_date(settings, snapshot_date, because, progress)
    )
    return 0


@app.command
def include(snapshot_date: date, /, *, because: Because) -> int:
    """Publish a snapshot date that was refused or excluded, whatever the checks say.

    Parameters
    ----------
    snapshot_date
        UTC date of the snapshot, such as 2026-01-31.
    """
    from flows.steps import include_date

    settings = read_settings()
    _print_decision(
        f"{snapshot_date} is included.", lambda progress: include_date(settings, snapshot_date, because, progress)
    )
    return 0


@app.command
def accept(counter: str, snapshot_date: date, /, *, because: Because) -> int:
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

    settings = read_settings()
    sentence = f"The collapse of {counter} on {snapshot_date} is accepted."
    _print_decision(sentence, lambda progress: accept_collapse(settings, counter, snapshot_date, because, progress))
    return 0


def _print_decision(sentence: str, decide: "Callable[[Progress], BuildReport]") -> None:
    from flows.reporting import report
    from flows.reporting.console import progress_display

    with progress_display() as progress:
        built = decide(progress)
    say(sentence)
    say(report.build_line(built))
    say(*report.build_lines(built))
