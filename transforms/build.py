"""From the raw layer to the published star: day by day (`build`), or all of it anew (`rebuild`).

Both fold the same step (`transforms.day`) over the snapshot dates, so that they give the same files, byte for byte.
When raw has something new for a date that the star has already (a late re-run, a crawl that went on), the star is
folded from the first date again: facts from that date on and every dimension may change, and files whose rows did not
change keep their names. A month that `transforms.compact` merged stays merged if it was over before that date; later
ones are daily files again until `compact` merges them, which gives the same bytes as if nothing had come late. What was
looked up is no part of that fold: its tables are made anew from all of raw.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import polars as pl

from pipelines.errors import CivitaiEtlError
from pipelines.progress import Progress, Silent
from pipelines.settings import Limits
from transforms.day import Balance, DayBuild, SnapshotDay
from transforms.facts import CompleteCrawl
from transforms.gate import judge
from transforms.generation import Generation
from transforms.lake import Lake, LakeFile, month_of
from transforms.lookups import add_lookups
from transforms.publish import follow, publish, read_manifest
from transforms.raw_reader import RawReader
from transforms.tables import DimDate, OpsQuarantine, OpsSnapshot

#: A handful of broken records stops nothing, however small the catalogue is.
QUARANTINE_TOLERATED = 10


@dataclass(frozen=True)
class BuildReport:
    """What a build did: the dates it folded, rows per table of the published star, one balance per date and kind, and
    the warnings of the quality gate.
    """

    dates: tuple[date, ...]
    rows: dict[str, int]
    balances: tuple[Balance, ...]
    published: bool
    warnings: tuple[str, ...] = ()


class UnevenBooksError(CivitaiEtlError):
    """Records in and records out of a day do not agree; nothing was published."""


class QuarantineError(CivitaiEtlError):
    """More records of a day were set aside than the settings allow; nothing was published."""


def build(
    warehouse: Path,
    lake: Path,
    analytics: Path,
    *,
    limits: Limits = Limits(),
    progress: Progress = Silent(),
) -> BuildReport:
    """Adds to the star what raw has and the star has not, and publishes it; without news it does nothing.

    Args:
        warehouse: the raw DuckDB file; nobody else has it open for writing.
        lake: root directory of the star's files.
        analytics: the DuckDB file of views that is replaced.
        limits: how much may be out of the ordinary.
        progress: is told of every date.

    Raises:
        CivitaiEtlError: the books do not balance, or the quality gate refuses; the published star stays as it was.
    """
    with RawReader(warehouse) as raw:
        crawls = raw.crawls()
        published = read_manifest(analytics)
        known = _crawls_in(published, Lake(lake))
        news = _dates_with_news(crawls, known)
        if not news:
            return build_lookups(warehouse, lake, analytics)
        is_late = not known.is_empty() and min(news) <= known["snapshot_date"].max()  # type: ignore[operator]
        days = [day for day in snapshot_days(crawls) if is_late or day.on in news]
        start, kept = ([], files_before(published, min(news))) if is_late else (published, [])
        with Generation(Lake(lake), published=start, kept=kept) as star:
            return _fold(star, raw, analytics, crawls, days, news, limits, progress)


def build_lookups(warehouse: Path, lake: Path, analytics: Path) -> BuildReport:
    """Takes only the tables of look-ups to what raw has, and publishes the star with them if that changed any."""
    published = read_manifest(analytics)
    with RawReader(warehouse) as raw, Generation(Lake(lake), published=published) as star:
        if add_lookups(star, raw):
            files = star.finish()
            publish(star.lake, analytics, files)
            return BuildReport((), rows_per_table(files), (), published=True)
    if published:
        follow(Lake(lake), published)
    return BuildReport((), rows_per_table(published), (), published=False)


def rebuild(
    warehouse: Path,
    lake: Path,
    analytics: Path,
    *,
    from_date: date | None = None,
    to_date: date | None = None,
    limits: Limits = Limits(),
    progress: Progress = Silent(),
) -> BuildReport:
    """Makes the star anew from raw and publishes it.

    Args and errors are those of `build`, and
        from_date, to_date: daily files of earlier and of later dates, and files of earlier and of later months, stay
            as they are published; by default all are made anew. A month that `compact` merged is made anew as a
            whole, as daily files. The rest of the star always is, for history has no middle.
    """
    with RawReader(warehouse) as raw:
        crawls = raw.crawls()
        days = snapshot_days(crawls)
        remade = {day.on for day in days if (from_date or date.min) <= day.on <= (to_date or date.max)}
        kept: list[LakeFile] = []
        if len(remade) < len(days):
            published = read_manifest(analytics)
            # What came late changes its date and every date after it.
            late = min(_dates_with_news(crawls, _crawls_in(published, Lake(lake))), default=date.max)
            covered = {(part, day) for on in remade for part, day in (("daily", on), ("monthly", month_of(on)))}
            kept = [file for file in files_before(published, late) if (file.part, file.snapshot_date) not in covered]
        with Generation(Lake(lake), kept=kept) as star:
            return _fold(star, raw, analytics, crawls, days, remade, limits, progress)


def _fold(
    star: Generation,
    raw: RawReader,
    analytics: Path,
    crawls: pl.DataFrame,
    days: list[SnapshotDay],
    judged: set[date],
    limits: Limits,
    progress: Progress,
) -> BuildReport:
    """Takes the star through `days`, publishes it and reports. Only the dates in `judged` can be refused."""
    balances: list[Balance] = []
    warnings: list[str] = []
    for number, day in enumerate(days, start=1):
        work = DayBuild(star, raw, day)
        of_day = work.run()
        _refuse_uneven_books(of_day)
        verdict = judge(work, limits)
        if day.on in judged:
            _refuse_too_much_quarantine(of_day, work.added[OpsQuarantine.table_name()], limits.max_quarantine_share)
            if verdict.errors:
                raise verdict.errors[0]
            warnings += [each.message for each in verdict.warnings]
        balances += of_day
        progress.update("transform", number, len(days), unit="days")
    add_lookups(star, raw)
    star.replace(OpsSnapshot.table_name(), OpsSnapshot.validate(crawls.select(OpsSnapshot.column_names()), cast=True))
    star.replace(DimDate.table_name(), calendar(snapshot_days(crawls)))
    files = star.finish()
    publish(star.lake, analytics, files)
    dates = tuple(day.on for day in days)
    return BuildReport(dates, rows_per_table(files), tuple(balances), published=True, warnings=tuple(warnings))


def files_before(files: Sequence[LakeFile], late: date) -> list[LakeFile]:
    """The files of daily tables, a day's or a month's, all of whose dates are earlier than `late`: what came for that
    date changes none of their rows.
    """
    end = {"daily": late, "monthly": month_of(late)}
    return [file for file in files if file.snapshot_date and file.part in end and file.snapshot_date < end[file.part]]


def snapshot_days(crawls: pl.DataFrame) -> list[SnapshotDay]:
    """The snapshot dates of raw, oldest first, each with its crawls and what came before. A date without a single
    observation is a gap: it makes no snapshot.
    """
    days: list[SnapshotDay] = []
    last_complete = None
    for (on,), of_day in crawls.group_by("snapshot_date", maintain_order=True):
        assert isinstance(on, date)
        if not of_day["observations"].sum():
            continue
        days.append(SnapshotDay(on, of_day, days[-1].on if days else None, last_complete))
        complete = of_day.filter(pl.col("status") == "complete")
        if complete.height:
            last_complete = CompleteCrawl(on, complete["started_at"][-1])
    return days


def calendar(observed: list[SnapshotDay]) -> pl.DataFrame:
    """dim_date: every day from the first snapshot to the last."""
    is_complete = {day.on: day.is_complete for day in observed}
    if not is_complete:
        return DimDate.empty()
    day = pl.col("date")
    rows = pl.select(date=pl.date_range(min(is_complete), max(is_complete), timedelta(days=1))).with_columns(
        year=day.dt.year(),
        month=day.dt.month(),
        iso_week=day.dt.week(),
        weekday=day.dt.weekday(),
        has_snapshot=day.is_in(list(is_complete)),
        is_complete=day.is_in([on for on, complete in is_complete.items() if complete]),
    )
    return DimDate.validate(rows, cast=True)


def rows_per_table(files: Sequence[LakeFile]) -> dict[str, int]:
    """Rows of every star table."""
    rows: dict[str, int] = {}
    for file in files:
        if file.path.startswith("star/"):
            rows[file.table] = rows.get(file.table, 0) + file.rows
    return rows


def _crawls_in(published: list[LakeFile], lake: Lake) -> pl.DataFrame:
    """What the published star has of each crawl."""
    name = OpsSnapshot.table_name()
    files = [file for file in published if file.table == name]
    rows = lake.read(files, OpsSnapshot.polars_schema())
    return rows.select("crawl_id", "snapshot_date", "status", "observations")


def _dates_with_news(crawls: pl.DataFrame, known: pl.DataFrame) -> set[date]:
    """The dates of crawls that the published star has not, or not as they are now."""
    return set(crawls.join(known, on=["crawl_id", "status", "observations"], how="anti")["snapshot_date"])


def _refuse_uneven_books(balances: list[Balance]) -> None:
    for books in balances:
        if not books.is_even:
            raise UnevenBooksError(
                f"The books of {books.snapshot_date} do not balance for {books.kind}: received {books.received}, but "
                f"loaded {books.loaded} + quarantined {books.quarantined} + duplicates {books.duplicates}. "
                "Nothing was published; please report this with the row of raw.snapshots."
            )


def _refuse_too_much_quarantine(balances: list[Balance], quarantined: pl.DataFrame, most: float) -> None:
    received = sum(books.received for books in balances)
    number = sum(books.quarantined for books in balances)
    if number > max(QUARANTINE_TOLERATED, most * received):
        reasons = quarantined.group_by("kind", "reason").agg(pl.len(), pl.col("entity_id").first())
        kind, reason, times, entity_id = reasons.sort("len", "reason", descending=[True, False]).row(0)
        raise QuarantineError(
            f"{number} of {received} records of {balances[0].snapshot_date} do not fit their declaration, more than "
            f"the share of {most:.1%} that CIVITAI_ETL_MAX_QUARANTINE_SHARE allows. {times} times, first in {kind} "
            f"{entity_id}: {reason}. Nothing was published and raw keeps every record: mend the declaration or allow a "
            "larger share, then run `civitai-etl rebuild`."
        )
