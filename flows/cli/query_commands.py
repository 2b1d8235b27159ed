"""Commands that read: status, sql, identify, quarantine, docs, doctor, dashboard."""

import sys
from typing import Annotated, Literal

from cyclopts import App, Parameter

from flows.cli.app import NamedPath, Port, Wait, app, read_settings
from flows.reporting.console import say
from flows.reporting.logs import LOG
from pipelines.errors import CivitaiEtlError


@app.command
def status(
    *,
    max_age: str = "36h",
    format: Literal["text", "json", "prometheus"] = "text",  # noqa: A002 (the name of the option)
    fail_on: str = "",
    notify: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Report how fresh and how complete the published tables are, and how the last run ended.

    Ends with code 4, for a monitor, if nothing is published, if the newest complete snapshot is older than `max_age` or
    in the future, or if there is a problem of `fail_on`.

    Parameters
    ----------
    max_age
        How old the newest complete snapshot may be: a number and `m`, `h` or `d`, such as 90m, 36h or 7d.
    format
        `text` is for reading; `json` and `prometheus` have everything, for machines.
    fail_on
        Problems that end with code 4, too, separated by commas: partial, quarantine, withheld, missing, refused,
        warnings, disk, failed-run.
    notify
        Also send the message that is due, if any (`CIVITAI_ETL_NOTIFY_URL`).
    """
    from flows.reporting.freshness import parse_age
    from flows.reporting.status import parse_problems, report_status

    settings, age, problems = read_settings(), parse_age(max_age), parse_problems(fail_on)
    if notify:
        from flows.notifier import notify as send_messages

        send_messages(settings, LOG.warning)
    return report_status(settings, age, format, problems)


@app.command
def sql(
    query: str | None = None,
    *,
    format: Literal["table", "csv", "json", "parquet"] = "table",  # noqa: A002 (the name of the option)
    output: NamedPath | None = None,
) -> int:
    """Query the published tables with SQL, read-only, also while a pipeline runs.

    `civitai-etl sql "from star.mart_base_model_daily limit 5"`

    Parameters
    ----------
    query
        One SQL query (DuckDB). Default: read from standard input.
    format
        Format of the answer. `table` is for reading and shows at most 500 rows; the others are complete.
    output
        File to write to, replaced as a whole. Default: standard output.
    """
    from flows.reporting.query import answer

    if query is None:
        if sys.stdin.isatty():
            raise CivitaiEtlError('No query: give one, as in civitai-etl sql "show all tables", or pipe it in.')
        try:
            query = sys.stdin.buffer.read().decode("utf-8-sig")
        except UnicodeDecodeError:
            raise CivitaiEtlError("The query on standard input is no UTF-8 text: give it in UTF-8.") from None
    answer(read_settings().directory.analytics, query, format, output)
    return 0


@app.command
def identify(
    *paths: NamedPath,
    offline: bool = False,
    format: Literal["table", "json"] = "table",  # noqa: A002 (the name of the option)
) -> int:
    """Hash local model files and print their versions, their licences, and whether there is a newer version.

    The published tables answer first. The service is asked for the others. Ends with code 1 if a file cannot be read;
    an unknown file is no error.

    Parameters
    ----------
    paths
        Files, and directories that are searched for model files.
    offline
        Do not ask the service.
    format
        `table` is for reading; `json` has everything, with the hashes.
    """
    from flows.cli.identify import identify as identify_files
    from flows.cli.identify import render_files
    from flows.reporting.console import progress_display

    if not paths:
        raise CivitaiEtlError("No path: give files, or directories that hold model files.")
    settings = read_settings()
    with progress_display() as progress:
        files = identify_files(settings, paths, offline=offline, progress=progress)
    render_files(files, format)
    return 1 if any(file.status == "unreadable" for file in files) else 0


quarantine = App(name="quarantine", help="Quarantined records and values: list, show and replay them.")
app.command(quarantine)


@quarantine.default
def listed() -> int:
    """List the quarantine by reason, with counts, dates and an example."""
    from flows.cli.quarantine import group_lines

    say(*group_lines(read_settings()))
    return 0


@quarantine.command
def show(kind: str, entity_id: str, /) -> int:
    """Show a quarantined record, or its quarantined values, as received, with what was expected and found.

    Parameters
    ----------
    kind
        Its kind, as in the list: model, image, creator, tag, or a table.
    entity_id
        Its id, as in the list.
    """
    from flows.cli.quarantine import record_lines

    say(*record_lines(read_settings(), kind, entity_id))
    return 0


@quarantine.command
def replay(*, wait: Wait = False) -> int:
    """Add what today's declarations can read to its dates: the star is made again from raw."""
    from flows.cli.quarantine import replay as replay_records
    from flows.reporting.console import progress_display

    settings = read_settings()
    with progress_display() as progress:
        say(replay_records(settings, progress, wait=wait))
    return 0


@app.command
def docs(table: str | None = None, /) -> int:
    """Explain the published tables: every table with its grain, or all columns of one.

    Parameters
    ----------
    table
        A table, view or macro of schema `star`, such as dim_model. Default: list all.
    """
    from flows.reporting.documentation import show_documentation

    show_documentation(table)
    return 0


@app.command
def doctor(
    *,
    format: Literal["text", "json"] = "text",  # noqa: A002 (the name of the option)
) -> int:
    """List all settings (secrets masked) and versions, and try everything that a snapshot needs: a line per check.

    Ends with code 1 if a problem would prevent a snapshot. A warning does not change the code.

    Parameters
    ----------
    format
        `text` is for reading; `json` has the same for machines.
    """
    from flows.cli.doctor import examine

    return examine(read_settings(), format)


@app.command
def dashboard(*, port: Port = 2718, headless: bool = False) -> None:
    """Open the notebooks as dashboards on 127.0.0.1; ends with Ctrl-C.

    Parameters
    ----------
    port
        Port to listen on.
    headless
        Do not open a browser.
    """
    from flows.cli.dashboard import show

    show(read_settings(), port, headless=headless)
