"""From the raw layer to the published star: incrementally (`build`), or from the first date (`rebuild`).

Both apply the same step (`transforms.day`) to one snapshot date after the other, so both give the same files, byte for
byte. If raw has something new for a date that the star already has (a late re-run, a crawl that went on, a date that is
excluded or included), `build` replays all dates from the first. Facts from that date on and every dimension may change.
Files whose rows did not change keep their names. A month that `transforms.compact` merged stays merged if it ended
before that date. Later months are daily files until `compact` merges them again, which gives the same bytes as if
nothing had come late. The tables of look-ups are not replayed: every build makes them from all of raw.

A date that the checks refuse is a gap, and the next date is not compared with it. `build` stores the refusal in raw and
goes on, so a healthy catalogue recovers by itself. `rebuild` stops instead, and a person decides.
"""

from collections.abc import Callable, Collection, Sequence
from contextlib import closing
from dataclasses import astuple, dataclass, field, replace
from datetime import date, timedelta

import polars as pl

from pipelines.errors import CivitaiEtlError
from pipelines.progress import Progress, Silent
from pipelines.raw import decisions
from pipelines.raw.decisions import Decision
from pipelines.settings import Limits
from pipelines.storage.data_directory import DataDirectory
from pipelines.storage.lock import SafePoint, go_on
from transforms.day.ahead import Ahead
from transforms.day.build_day import build_day
from transforms.day.read_ahead import ReadAhead
from transforms.day.record_counts import RecordCounts
from transforms.day.snapshot_day import NOTHING, SnapshotDay
from transforms.day_checks import DEFECTS, CheckResult, run_checks
from transforms.estimate import replay_line
from transforms.lake.files import Lake, LakeFile, month_of
from transforms.lake.publish import has_other_analyses, is_outdated, post_commit, publish, read_manifest
from transforms.lake.release import Release
from transforms.lookup_tables import add_lookups, replace_where_changed
from transforms.staging.raw_reader import RawReader
from transforms.tables import DimDate, OpsDecision, OpsSnapshot
from transforms.unfinished import Unfinished

#: A crawl is the same in raw and in the star if these columns are equal.
AS_IT_IS = ["crawl_id", "status", "observations"]

_WAYS = (
    '`civitai-etl include {on} --because "..."` publishes it as it is, and `civitai-etl exclude {on} --because "..."` '
    "decides that it stays out"
)


@dataclass(frozen=True)
class BuildReport:
    """What a build did: the dates it replayed, rows per table of the published star, record counts per date and kind,
    and the warnings of the data-quality checks.
    """

    dates: tuple[date, ...]
    rows: dict[str, int]
    record_counts: tuple[RecordCounts, ...]
    published: bool
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Refusal:
    """A date that the checks refuse: the crawls that do not count for it, and why."""

    on: date
    crawl_ids: tuple[str, ...]
    error: CivitaiEtlError

    def left_out(self) -> CivitaiEtlError:
        """The error for a build that has left the date out."""
        return type(self.error)(
            f"{self.error} {self.on} is refused: it is a gap in the tables, and raw keeps it. `civitai-etl snapshot` "
            f"on the same day crawls it again, {_WAYS.format(on=self.on)}."
        )

    def nothing_changed(self) -> CivitaiEtlError:
        """The error for a build that decides nothing."""
        return type(self.error)(f"{self.error} Nothing was changed: {_WAYS.format(on=self.on)}, then rebuild again.")


@dataclass
class Replayed:
    """The result of replaying snapshot dates."""

    days: list[SnapshotDay] = field(default_factory=list)
    record_counts: list[RecordCounts] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)

    def decisions(self, taken: Sequence[Decision]) -> list[Decision]:
        """The refusals as decisions that follow those that were taken."""
        new: list[Decision] = []
        for each in self.refusals:
            following = decisions.next_decision(
                [*taken, *new], "refused", each.on, str(each.error), crawl_ids=each.crawl_ids
            )
            new.append(following)
        return new


@dataclass(frozen=True)
class Known:
    """What the published star has taken in: crawls, and the numbers of decisions."""

    crawls: pl.DataFrame
    decisions: frozenset[int]

    @property
    def standing(self) -> pl.DataFrame:
        """The crawls that count."""
        return self.crawls.filter(pl.col("verdict").is_null())


def build(
    directory: DataDirectory,
    *,
    limits: Limits = Limits(),
    progress: Progress = Silent(),
    ahead: Ahead | None = None,
    safe_point: SafePoint = go_on,
) -> BuildReport:
    """Adds what is new in raw to the star and publishes it. If nothing is new, it does nothing.

    If an earlier version declared the tables differently, the whole star is built again. If that is cut off, the next
    build goes on with it.

    Args:
        directory: where raw is, and where the star is to be; no other process writes there.
        limits: how much may be out of the ordinary.
        progress: receives every date.
        ahead: what was staged during the crawl.
        safe_point: called before every date. If it raises, nothing is published.

    Raises:
        CivitaiEtlError: the checks refuse a date. It is left out, everything else is published.
    """
    published, outdated = read_manifest(directory.analytics), is_outdated(directory.analytics)
    with RawReader(directory.warehouse) as raw:
        crawls = raw.crawls()
        known = _known(published, Lake(directory.lake))
        news = _dates_with_news(crawls, raw.decisions, known)
        if not news and not outdated:
            return _publish_changes(directory, (add_lookups, add_operations))
        days = snapshot_days(crawls, raw.decisions)
        start, kept, unfinished = published, list[LakeFile](), None
        if outdated:
            unfinished = Unfinished(Lake(directory.lake), days, limits)
            taken = unfinished.taken()
            start, days = (taken.files, [day for day in days if day.on > taken.until]) if taken else ([], days)
            goes_on = f" It goes on after {taken.until}, where it was cut off." if taken else ""
            estimate = replay_line(published, len(days))
            progress.note(f"An earlier version made the tables: they are made again from raw.{goes_on} {estimate}")
        elif known.standing.height and min(news) <= known.standing["snapshot_date"].max():  # type: ignore[operator]
            start, kept = [], files_before(published, min(news))
        else:
            days = [day for day in days if day.on in news]
        with Release(Lake(directory.lake), published=start, kept=kept, dates=len(days)) as star:
            replayed = replay(star, raw, days, news, limits, progress, safe_point, known, ahead, unfinished)
            refused = replayed.decisions(raw.decisions)
            add_lookups(star, raw)
            add_operations(star, raw, refused)
            files = star.finish()
    decisions.store(directory.warehouse, refused)
    # If no date is left there is nothing to publish, but an earlier release must be replaced.
    if replayed.days or published:
        publish(Lake(directory.lake), directory.analytics, files)
    if unfinished:
        unfinished.close()
    if replayed.refusals:
        raise replayed.refusals[0].left_out()
    return _report(replayed, files)


def _publish_changes(directory: DataDirectory, steps: Sequence[Callable[[Release, RawReader], bool]]) -> BuildReport:
    """Applies steps that replay no date, and publishes the star if they changed a table, or if its views and macros
    are those of another version.
    """
    published = read_manifest(directory.analytics)
    with RawReader(directory.warehouse) as raw, Release(Lake(directory.lake), published=published) as star:
        changed = [step(star, raw) for step in steps]
        if any(changed) or has_other_analyses(directory.analytics):
            files = star.finish()
            publish(star.lake, directory.analytics, files)
            return BuildReport((), rows_per_table(files), (), published=True)
    if published:
        post_commit(Lake(directory.lake), published)
    return BuildReport((), rows_per_table(published), (), published=False)


def build_lookups(directory: DataDirectory) -> BuildReport:
    """Updates only the tables of look-ups from raw, and publishes the star if one changed. If an earlier version
    declared the tables differently, this waits for the next `build`.
    """
    if is_outdated(directory.analytics):
        return BuildReport((), rows_per_table(read_manifest(directory.analytics)), (), published=False)
    return _publish_changes(directory, (add_lookups,))


def rebuild(
    directory: DataDirectory,
    *,
    from_date: date | None = None,
    to_date: date | None = None,
    limits: Limits = Limits(),
    progress: Progress = Silent(),
    safe_point: SafePoint = go_on,
) -> BuildReport:
    """Builds the star again from raw and publishes it.

    Args are those of `build`, and
        from_date, to_date: the dates to build again, by default all. Daily files of other dates, and merged files of
            other months, stay as published. A month that `compact` merged is built again as a whole, as daily files.
            Dimensions are always built again from the first date.

    Raises:
        CivitaiEtlError: the checks refuse a date; nothing is published.
    """
    with RawReader(directory.warehouse) as raw:
        crawls = raw.crawls()
        days = snapshot_days(crawls, raw.decisions)
        remade = {day.on for day in days if (from_date or date.min) <= day.on <= (to_date or date.max)}
        kept: list[LakeFile] = []
        if len(remade) < len(days) and not is_outdated(directory.analytics):
            published = read_manifest(directory.analytics)
            # What came late changes its date and every date after it.
            news = _dates_with_news(crawls, raw.decisions, _known(published, Lake(directory.lake)))
            covered = {(role, day) for on in remade for role, day in (("daily", on), ("monthly", month_of(on)))}
            kept = [
                file
                for file in files_before(published, min(news, default=date.max))
                if (file.role, file.snapshot_date) not in covered
            ]
        with Release(Lake(directory.lake), kept=kept, dates=len(days)) as star:
            replayed = replay(star, raw, days, remade, limits, progress, safe_point)
            if replayed.refusals:
                raise replayed.refusals[0].nothing_changed()
            add_lookups(star, raw)
            add_operations(star, raw)
            files = star.finish()
    publish(Lake(directory.lake), directory.analytics, files)
    return _report(replayed, files)


def replay(
    star: Release,
    raw: RawReader,
    days: Sequence[SnapshotDay],
    checked: Collection[date],
    limits: Limits,
    progress: Progress,
    safe_point: SafePoint,
    known: Known | None = None,
    ahead: Ahead | None = None,
    unfinished: Unfinished | None = None,
) -> Replayed:
    """Adds `days` to the star, oldest first; the only one may be staged `ahead`, and of several the next one is read
    while one is built. Only a date in `checked` can be refused. A refused date leaves no rows, and the next date is
    compared with the one before it. Of a `known` date only the new crawls can be refused. What an `unfinished` upgrade
    has taken in is noted now and then.

    Raises:
        CivitaiEtlError: a date that is already published has a defect.
    """
    replayed = Replayed()
    before = days[0].before if days else NOTHING
    with closing(ReadAhead(raw, days, star.shelf.folder)) as read_ahead:
        for number, planned in enumerate(days, start=1):
            safe_point()
            day = replace(planned, before=before)
            roll_back = star.savepoint()
            result, record_counts = _take(star, raw, day, limits, ahead if len(days) == 1 else read_ahead)
            if day.on in checked and result.errors:
                roll_back()
                refusal = Refusal(day.on, _new_crawls(day, known), result.errors[0])
                replayed.refusals.append(refusal)
                raw.leave_out(refusal.crawl_ids)
                day = day.without(refusal.crawl_ids)
                if day.is_empty:
                    continue
                result, record_counts = _take(star, raw, day, limits)
            elif day.on in checked:
                replayed.warnings += [each.message for each in result.warnings]
            for error in result.errors:
                if isinstance(error, DEFECTS):
                    raise error
            replayed.days.append(day)
            replayed.record_counts += record_counts
            before = day.as_before
            progress.update("transform", number, len(days), unit="days")
            if unfinished and not replayed.refusals:  # which are stored at the end
                unfinished.note(star, day.on)
    return replayed


def _take(
    star: Release, raw: RawReader, day: SnapshotDay, limits: Limits, ahead: Ahead | ReadAhead | None = None
) -> tuple[CheckResult, Sequence[RecordCounts]]:
    """Adds a date to the star; returns the result of its checks, and its record counts."""
    result = build_day(star, raw, day, limits, ahead)
    return run_checks(star, raw, limits, result), result.record_counts


def _new_crawls(day: SnapshotDay, known: Known | None) -> tuple[str, ...]:
    """The crawls of a date that are new or changed since the last publish; all of them if none is."""
    new = day.crawls if known is None else day.crawls.join(known.standing, on=AS_IT_IS, how="anti")
    return tuple((new if new.height else day.crawls)["crawl_id"])


def add_operations(star: Release, raw: RawReader, refused: Sequence[Decision] = ()) -> bool:
    """Updates the tables of crawls and decisions, and the calendar, from raw and from what was just `refused`; returns
    whether one changed.
    """
    taken = [*raw.decisions, *refused]
    crawls = raw.crawls(taken)
    rows = pl.DataFrame([astuple(each) for each in taken], schema=OpsDecision.polars_schema(), orient="row")
    changes = [
        replace_where_changed(star, table, table.validate(found.select(table.column_names()), cast=True))
        for table, found in (
            (OpsSnapshot, crawls),
            (OpsDecision, rows),
            (DimDate, calendar(snapshot_days(crawls, taken))),
        )
    ]
    return any(changes)


def files_before(files: Sequence[LakeFile], late: date) -> list[LakeFile]:
    """The daily and monthly files whose dates are all earlier than `late`: it does not change them."""
    end = {"daily": late, "monthly": month_of(late)}
    return [file for file in files if file.snapshot_date and file.role in end and file.snapshot_date < end[file.role]]


def snapshot_days(crawls: pl.DataFrame, taken: Sequence[Decision]) -> list[SnapshotDay]:
    """The snapshot dates of raw, oldest first, each with its crawls that count and what came before. A date without
    observations is a gap and no snapshot.
    """
    included = {crawl_id for each in taken for crawl_id in each.crawl_ids if each.verdict == "included"}
    days: list[SnapshotDay] = []
    for (on,), of_day in crawls.filter(pl.col("verdict").is_null()).group_by("snapshot_date", maintain_order=True):
        assert isinstance(on, date)
        if not of_day["observations"].sum():
            continue
        accepted = frozenset(each.counter for each in taken if each.counter and each.snapshot_date == on)
        before = days[-1].as_before if days else NOTHING
        days.append(SnapshotDay(on, of_day, before, accepted, bool(included.intersection(of_day["crawl_id"]))))
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
        weekday_name=day.dt.to_string("%A"),
        is_weekend=day.dt.weekday() >= 6,
        week_begins_on=day.dt.truncate("1w"),
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


def _known(published: list[LakeFile], lake: Lake) -> Known:
    """What the published star has of crawls and decisions; one that an earlier version made may lack columns."""
    crawls, taken = (
        lake.read([file for file in published if file.table == table.table_name()], table.polars_schema(), partly=True)
        for table in (OpsSnapshot, OpsDecision)
    )
    return Known(crawls.select("snapshot_date", "verdict", *AS_IT_IS), frozenset(taken["number"]))


def _dates_with_news(crawls: pl.DataFrame, taken: Sequence[Decision], known: Known) -> set[date]:
    """The dates that differ from the published star: a crawl is new, has grown, or counts no longer or again; or a
    counter was accepted.
    """
    counts = pl.col("verdict").is_null()
    new = crawls.filter(counts).join(known.standing, on=AS_IT_IS, how="anti")
    gone = known.standing.join(crawls.filter(~counts), on="crawl_id", how="semi")
    accepted = {each.snapshot_date for each in taken if each.counter and each.number not in known.decisions}
    return {*new["snapshot_date"], *gone["snapshot_date"], *accepted}


def _report(replayed: Replayed, files: Sequence[LakeFile]) -> BuildReport:
    dates = tuple(day.on for day in replayed.days)
    return BuildReport(
        dates, rows_per_table(files), tuple(replayed.record_counts), published=True, warnings=tuple(replayed.warnings)
    )
