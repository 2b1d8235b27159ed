"""Commands that back up a data directory and restore it."""

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from flows.cli.app import NamedPath, Wait, app, read_settings
from flows.reporting.console import say

if TYPE_CHECKING:
    from pipelines.storage.backup_folder import Manifest


@app.command
def backup(
    directory: NamedPath, /, *, verify: Annotated[bool, Parameter(negative="")] = False, wait: Wait = False
) -> int:
    """Back up the data directory: raw data, tables and account, with checksums. Copies only what is new there.

    Readers go on reading. A backup that is cut off leaves the earlier one as it was. Ends with code 5 if
    it stopped because a snapshot waits; with --wait it starts again after it.

    Parameters
    ----------
    directory
        The directory of the backup, best on another disk. The directory above it must exist.
    verify
        Back up nothing: read the backup that is there, and compare it with its checksums.
    """
    from flows.backup import verify as verify_backup
    from flows.reporting.console import progress_display
    from flows.steps import back_up_directory

    with progress_display() as progress:
        if verify:
            _say_contents(f"The backup in {directory} is whole", verify_backup(directory, progress))
            return 0
        report = back_up_directory(read_settings(), directory, progress, wait=wait)
    _say_contents(f"Backed up to {directory}", report.manifest)
    say(f"New:       {report.files_copied:,} files, {report.bytes_copied / 1e6:,.1f} MB")
    return 0


@app.command
def restore(directory: NamedPath, /, *, replace: Annotated[bool, Parameter(negative="")] = False) -> int:
    """Make the data directory what it was when it was backed up, here or on another machine.

    Verifies the whole backup first. What is replaced is kept beside it, as `*.before-restore-*`. If a restore is cut
    off, run it again.

    Parameters
    ----------
    directory
        The directory of the backup.
    replace
        Also replace other data, or snapshot dates that the backup lacks.
    """
    from flows.reporting.console import progress_display
    from flows.restore import restore as restore_backup

    settings = read_settings()
    with progress_display() as progress:
        report = restore_backup(settings, directory, progress, replace=replace)
    _say_contents(f"Restored to {settings.data_dir}", report.manifest)
    for path in report.moved_aside:
        say(f"Kept:      {path} (delete it when you do not need it)")
    if report.is_outdated:
        say("An earlier version made the tables: `civitai-etl rebuild` makes them again.")
    return 0


def _say_contents(what: str, manifest: "Manifest") -> None:
    dates = sorted(manifest.observations)
    span = f"{len(dates):,} snapshot dates, {dates[0]} to {dates[-1]}" if dates else "no snapshot date"
    say(
        f"{what}: {span}; as of {manifest.created_at:%Y-%m-%d %H:%M:%S} UTC.",
        f"Files:     {len(manifest.files):,}, {manifest.bytes / 1e6:,.1f} MB",
        f"Tables:    {len(manifest.tables):,}, {sum(table.rows for table in manifest.tables):,} rows",
    )
