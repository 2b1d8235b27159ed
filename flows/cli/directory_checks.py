"""The doctor's checks of this machine: data directory, lake, tables, versions, room, last run, backup, messages."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial

from flows.cli.checks import Check, Doubt, NotTried
from pipelines.errors import CivitaiEtlError
from pipelines.progress import duration
from pipelines.run_note import cut_off_line
from pipelines.run_record import NAME as LAST_RUN
from pipelines.run_record import read_record
from pipelines.settings import Settings, variable
from pipelines.storage.directory import existing, refuse_lake_name
from pipelines.storage.lock import LockedError, writer_lock

#: A backup that is older is worth a word: the service does not show past dates again.
OLD_BACKUP = timedelta(days=8)


def directory_checks(settings: Settings) -> Iterator[Check]:
    """The checks that need no network."""
    yield Check("data directory", partial(_data_directory, settings))
    yield Check("lake", partial(_lake, settings))
    yield Check("raw data", partial(_raw, settings))
    yield Check("published tables", partial(_published, settings))
    yield Check("disk", partial(_disk, settings))
    yield Check("memory", partial(_memory, settings))
    yield Check("last run", partial(_last_run, settings))
    yield Check("backup", partial(_backup, settings))
    yield Check("messages", partial(_messages, settings))


def _data_directory(settings: Settings) -> str:
    try:
        with writer_lock(settings.data_dir):
            cut_off = cut_off_line(settings.data_dir)
    except LockedError as error:
        # A snapshot of the schedule waits for it.
        raise Doubt(str(error)) from None
    if cut_off:
        raise Doubt(cut_off)
    return f"{settings.data_dir} can be written, no other process is writing"


def _lake(settings: Settings) -> str:
    refuse_lake_name(settings.directory.lake)
    found = existing(settings.directory.lake)
    if not os.access(found, os.W_OK | os.X_OK):
        raise CivitaiEtlError(f"{found} cannot be written: change its permissions or set CIVITAI_ETL_LAKE_URL.")
    return f"{settings.directory.lake} can be written"


def _raw(settings: Settings) -> str:
    import duckdb

    from pipelines.raw.loader import refuse_newer, stored_version
    from pipelines.raw.tables import RAW_VERSION
    from pipelines.raw.warehouse import maker_of

    warehouse = settings.directory.warehouse
    if not warehouse.exists():
        return "none yet; `civitai-etl snapshot` makes it"
    try:
        with writer_lock(settings.data_dir):
            stored = stored_version(warehouse)
    except LockedError:
        raise NotTried("another process is writing it") from None
    refuse_newer(warehouse, stored)
    maker = maker_of(warehouse)
    made = f", its file made by DuckDB {maker}" if maker else ""
    differs = f" (this is {duckdb.__version__})" if maker not in (None, f"v{duckdb.__version__}") else ""
    return f"version {stored}, this program has {RAW_VERSION}{made}{differs}"


def _published(settings: Settings) -> str:
    from flows.reporting.report import open_analytics, published_dates
    from transforms.estimate import models_by_date, replay_line
    from transforms.lake.publish import MANIFEST, is_outdated, read_manifest
    from transforms.lake.published import is_there
    from transforms.tables import DECLARATIONS_VERSION

    analytics = settings.directory.analytics
    if not is_there(analytics):
        if (settings.directory.lake / "star" / MANIFEST).exists():
            raise Doubt(f"{analytics} is gone: `civitai-etl rebuild` makes it again from raw, without requests")
        return "none yet; `civitai-etl snapshot` makes them"
    outdated = is_outdated(analytics)
    try:
        with open_analytics(analytics) as connection:
            dates = published_dates(connection)
    except CivitaiEtlError:
        if not outdated:
            raise
        # Its files were moved. They are made again anyway; those of closed months do not say their dates.
        dates = sorted(models_by_date(read_manifest(analytics)))
    found = f"{len(dates):,} snapshot dates" + (f", the last one {dates[-1]}" if dates else "")
    if outdated:
        estimate = replay_line(read_manifest(analytics), len(dates))
        return f"{found}. An earlier version made them, and the next `snapshot` makes them again from raw: {estimate}"
    return f"{found}; tables of version {DECLARATIONS_VERSION}, as this program's"


def _disk(settings: Settings) -> str:
    from flows.reporting.capacity import day_line, disk_warnings, disks_of, footprint_of, needs_line, outlook_line

    footprint = footprint_of(settings.directory)
    disks = list(disks_of(settings.directory, footprint))
    lines = [line for disk in disks for line in (day_line(disk, footprint), needs_line(disk), outlook_line(disk))]
    return _all(lines, [warning for disk in disks for warning in disk_warnings(disk)])


def _memory(settings: Settings) -> str:
    from flows.reporting.capacity import footprint_of, memory_line, memory_warnings
    from pipelines.memory import available_bytes, budget_bytes

    known = (footprint_of(settings.directory).models, budget_bytes(), available_bytes())
    return _all([memory_line(*known)], list(memory_warnings(*known)))


def _all(lines: list[str], warnings: list[str]) -> str:
    if warnings:
        raise Doubt(" ".join([*warnings, *lines]))
    return " ".join(lines)


def _last_run(settings: Settings) -> str:
    from flows.reporting.condition import LastRun

    record = read_record(settings.data_dir)
    if record is None:
        path = settings.data_dir / LAST_RUN
        if path.exists():
            raise Doubt(f"{path} cannot be read: move it away, and the next run writes it again")
        return "none is recorded"
    line = (
        f"the snapshot of {record.snapshot_date} ended at {record.ended_at:%Y-%m-%d %H:%M} UTC after "
        f"{duration(record.seconds)}, {record.result}" + (f": {record.error}" if record.error else "")
    )
    if record.result != "complete" or LastRun.of(record).has_failed:
        raise Doubt(line)
    return line


def _backup(settings: Settings) -> str:
    from flows.backup import LAST_BACKUP, last_backup

    last = last_backup(settings.data_dir)
    if last is None:
        path = settings.data_dir / LAST_BACKUP
        if path.exists():
            raise Doubt(f"{path} cannot be read: the next `civitai-etl backup DIR` writes it again")
        return "none yet; `civitai-etl backup DIR` makes one"
    age = datetime.now(UTC) - last.at
    line = (
        f"the last one is {duration(age.total_seconds())} old, of {last.at:%Y-%m-%d %H:%M:%S} UTC, in {last.directory}"
    )
    if age > OLD_BACKUP:
        raise Doubt(f"{line}: make a new one with `civitai-etl backup {last.directory}`")
    return line


def _messages(settings: Settings) -> str:
    from flows.notifier import addresses

    if settings.notify_url is None:
        return f"none are sent: {variable('notify_url')} is not set"
    places = ", ".join(each.name for each in addresses(settings))
    hour = settings.notify_hour
    late = "" if hour == "off" else f", also if no snapshot is complete by {hour:02}:00 UTC"
    return f"they go to {places}{late}"
