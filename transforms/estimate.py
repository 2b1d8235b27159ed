"""How large a published catalogue is, and how long it takes to make its tables again from raw."""

from collections.abc import Sequence
from datetime import date

from pipelines.progress import duration
from transforms.lake.files import LakeFile
from transforms.tables import FactModelDaily

#: Seconds per 100,000 models, on two cores: the first date decodes every document, a later one what has changed.
FIRST_DATE_SECONDS = 23.0
LATER_DATE_SECONDS = 2.5


def models_by_date(files: Sequence[LakeFile]) -> dict[date, int]:
    """How many models each date of an open month has in the files of a release. The newest date is never closed."""
    return {
        file.snapshot_date: file.rows
        for file in files
        if file.table == FactModelDaily.table_name() and file.role == "daily" and file.snapshot_date
    }


def replay_seconds(dates: int, models: int) -> float:
    """How long a build of so many dates takes."""
    later = max(0, dates - 1)
    return (FIRST_DATE_SECONDS * min(dates, 1) + LATER_DATE_SECONDS * later) * models / 100_000


def replay_line(files: Sequence[LakeFile], dates: int) -> str:
    """One sentence for who waits until the dates of a release are made again."""
    models = max(models_by_date(files).values(), default=0)
    takes = duration(max(1, replay_seconds(dates, models)))
    return f"{dates:,} dates of up to {models:,} models take about {takes}; the present tables stay until then."
