"""The command line `civitai-etl`.

Everything heavy (dlt, DuckDB, polars, Prefect, marimo, the emulator) is imported inside the command that needs it, so
that `--help` answers at once. An error that a person can act on is one line on standard error; anything else keeps its
traceback, because it is a bug.
"""

import os
import sys
from collections.abc import Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

from cyclopts import App, CycloptsError, Parameter, Token
from cyclopts.types import PositiveInt
from cyclopts.validators import Number

from flows.console import open_standard_streams, plain, say, set_least_width
from pipelines.errors import CivitaiEtlError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flows.steps import RunSummary
    from pipelines.progress import Progress
    from pipelines.settings import Settings
    from transforms.build import BuildReport

Port = Annotated[int, Parameter(validator=Number(gte=1, lt=2**16))]
PortOrAny = Annotated[int, Parameter(validator=Number(gte=0, lt=2**16))]


def _path(_: type[Path], tokens: Sequence[Token]) -> Path:
    """A path that is named: an empty one is a variable of the shell that is not set, and not the working directory."""
    if not tokens[0].value:
        raise ValueError("the path is empty")
    return Path(tokens[0].value)


NamedPath = Annotated[Path, Parameter(converter=_path)]

WRONG_USAGE = 2
PARTIAL = 3
INTERRUPTED = 130

#: What DuckDB's errors say when Ctrl-C ends a query.
_INTERRUPTED_QUERY = ("Query interrupted", "INTERRUPT Error: Interrupted!")

EXIT_CODES = """\
Exit codes: 0 done; 1 failed (one line says why); 2 wrong usage; 3 the snapshot is partial, or vault and plan do not \
agree; 4 stale or nothing published; 130 interrupted. Settings come from the environment or `.env`: see \
`civitai-etl doctor`.
"""


def _version() -> str:
    from importlib.metadata import version

    return version("civitai-etl")


app = App(
    name="civitai-etl",
    help="Daily snapshots of the Civitai catalogue as analytics tables, with the history that the service forgets.",
    help_epilogue=EXIT_CODES,
    version=_version,
    help_format="markdown",
    suppress_keyboard_interrupt=False,
    result_action="return_value",
)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    try:
        code = _run(arguments)
    except BrokenPipeError:
        # Whoever read our output has seen enough (`| head`). Python would complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except SystemExit as end:
        # So does rich, which writes help and tables: it ends the program itself.
        if not isinstance(end.__context__, BrokenPipeError):
            raise
        code = 0
    sys.exit(code)


def _run(arguments: list[str] | None) -> int:
    try:
        _refuse_lost_letters(sys.argv[1:])
        with _interruptions():
            code = app(arguments, exit_on_error=False, print_error=True)
        sys.stdout.flush()
    except CycloptsError:
        return WRONG_USAGE
    except CivitaiEtlError as error:
        print(f"civitai-etl: {plain(' '.join(str(error).splitlines()))}", file=sys.stderr)
        return error.exit_code
    except UnicodeEncodeError as error:
        # Paths may have bytes that are no text. Of anything else in them nothing can be made.
        wrong = [each for each in arguments or sys.argv[1:] if error.object[error.start] in each]
        if not wrong or error.reason != "surrogates not allowed":
            raise
        print(f"civitai-etl: {plain(wrong[0])} is no UTF-8 text: give it in UTF-8.", file=sys.stderr)
        return 1
    except MemoryError:
        print(
            "civitai-etl: There is not enough memory: raise the limit of this process, if any (`ulimit -v`), or run "
            "it where there is more.",
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt:
        print("civitai-etl: interrupted; the next run goes on from what was loaded.", file=sys.stderr)
        return INTERRUPTED
    return code or 0  # no command, no code: the help was asked for


@contextmanager
def _interruptions() -> "Iterator[None]":
    """Gives a Ctrl-C back that came while DuckDB was at work: it makes an error of it, and others wrap that."""
    try:
        yield
    except Exception as error:
        cause: BaseException | None = error
        while cause:
            if isinstance(cause, KeyboardInterrupt) or str(cause) in _INTERRUPTED_QUERY:
                raise KeyboardInterrupt from None
            cause = cause.__cause__ or cause.__context__
        raise


def _refuse_lost_letters(arguments: Sequence[str]) -> None:
    """Keeps a Python that was told not to take arguments for UTF-8 from writing to paths that nobody named."""
    encoding = sys.getfilesystemencoding()
    if encoding != "utf-8" and not all(map(str.isascii, arguments)):
        raise CivitaiEtlError(f"Python takes arguments for {encoding} here: unset PYTHONUTF8, or set a UTF-8 locale.")


def console_script() -> None:
    """`main`, ended at once: all is written and closed by then, and to free every object that the libraries have made
    Python would take half a second.
    """
    open_standard_streams()
    set_least_width()
    try:
        main()
    except SystemExit as end:
        sys.stderr.flush()
        os._exit(cast("int", end.code))


def _settings() -> "Settings":
    from pipelines.settings import Settings

    return Settings()


# ------------------------------------------------------------------------------------------------------------ running


@app.command
def demo(
    *,
    days: PositiveInt = 30,
    models: PositiveInt = 2000,
    data_dir: NamedPath = Path("data/demo"),
) -> int:
    """See it work: simulated days through the whole pipeline, without a network or a key.

    Starts an emulated Civitai on this machine, takes one snapshot for each simulated day from 2026-01-01 on, prints a
    summary and draws charts. Run again, it goes on where it was.

    Parameters
    ----------
    days
        Simulated days, one snapshot each.
    models
        Models in the simulated catalogue on the first day.
    data_dir
        Where to work; refused if it holds snapshots of a real service. Charts go to `charts` in it.
    """
    from flows.demo import run_demo

    return run_demo(days=days, models=models, data_dir=data_dir)


@app.command
def snapshot(
    *,
    snapshot_date: Annotated[date | None, Parameter(name="--date")] = None,
    service_moved: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Take today's full snapshot and publish it; resumes one that was cut off.

    A date that is complete already is not asked for again. What is watched (`CIVITAI_ETL_WATCH_MODELS`, `_VERSIONS`,
    `_USERS`) is looked up with it. Ends with code 3 if the snapshot is partial: what was seen
    is published, and the reason is told.

    Parameters
    ----------
    snapshot_date
        UTC date of the snapshot, such as 2026-01-31. Default: today. A real service answers only for today, so
        another date is for an emulator.
    service_moved
        The service is the one of the snapshots before, at a new address; needed once.
    """
    from flows.console import progress_display
    from flows.lookups import WatchListError
    from flows.steps import run_daily_snapshot

    settings = _settings()
    with progress_display() as progress:
        summary = run_daily_snapshot(settings, snapshot_date, progress, service_moved=service_moved)
    _print_summary(settings, summary)
    if summary.snapshot.status != "complete":
        return PARTIAL
    if summary.watched and summary.watched.problem:
        raise WatchListError(summary.watched.problem)
    return 0


def _print_summary(settings: "Settings", summary: "RunSummary") -> None:
    from flows import report

    say(report.crawl_line(summary.snapshot))
    if not summary.snapshot.already_complete:
        say(report.coverage_line(summary.snapshot))
    if summary.watched:
        say(report.lookup_line(summary.watched))
    if summary.snapshot.already_complete and not summary.build.published:
        return
    say(*report.build_lines(summary.build))
    say("", "Rows:")
    say(*report.row_lines(summary.build.rows))
    say("")
    say(*report.place_lines(settings))


@app.command
def refresh() -> int:
    """Take in what is new since the last look: documents of models and images, between two snapshots.

    The published tables stay as they are: the next snapshot observes what was found here.
    """
    from flows import report
    from flows.console import progress_display
    from flows.steps import refresh_documents

    with progress_display() as progress:
        refreshed = refresh_documents(_settings(), progress)
    say(report.refresh_line(refreshed))
    return 0


@app.command(name="look-up")
def look_up(name: str, /, *texts: str) -> int:
    """Ask the service for things by id, name or hash, and print what it says; the answers are kept and published.

    `civitai-etl look-up versions 128713 130072` has the details of two versions in `star.model_version_detail`. Ends
    with code 1 if anything was not found.

    Parameters
    ----------
    name
        What to look up: `versions` or `minis` (ids of versions), `users` (names), `user-ids` (live dialect only),
        `hash` (hashes of any kind, one request each), `hashes` or `hash-ids` (SHA256, many at once).
    texts
        The ids, names or hashes.
    """
    from flows.console import progress_display
    from flows.lookups import tell
    from flows.steps import look_up_by_hand

    if not texts:
        raise CivitaiEtlError(f"Nothing to look up: give ids, names or hashes after {name!r}.")
    with progress_display() as progress:
        looked_up = look_up_by_hand(_settings(), name, texts, progress)
    tell(looked_up)
    return 0


@app.command
def rebuild(
    *,
    from_date: Annotated[date | None, Parameter(name="--from")] = None,
    to_date: Annotated[date | None, Parameter(name="--to")] = None,
    into: NamedPath | None = None,
    forget_dates: str | None = None,
) -> int:
    """Make the star tables anew from what was loaded; the service is not asked.

    Parameters
    ----------
    from_date
        First snapshot date to be made anew. Default: the first there is.
    to_date
        Last snapshot date to be made anew. Default: the last there is.
    into
        Write `lake` and `analytics.duckdb` under this directory instead of the data directory.
    forget_dates
        Published dates that raw no longer has, to be dropped from the tables for good: exactly those that the refusal
        names, such as 2026-01-01,2026-01-05..2026-01-31.
    """
    from flows import report
    from flows.console import progress_display
    from flows.steps import rebuild_star
    from transforms.continuity import as_ranges, from_ranges

    settings = _settings()
    forgotten = sorted({*from_ranges(forget_dates)}) if forget_dates else []
    with progress_display() as progress:
        built = rebuild_star(settings, from_date, to_date, into, forgotten, progress)
    if forgotten:
        say(f"Forgotten, as far as raw lacks them: {as_ranges(forgotten)}.")
    say(report.build_line(built))
    say(*report.build_lines(built))
    say("", "Rows:")
    say(*report.row_lines(built.rows))
    return 0


@app.command
def relocate() -> int:
    """Make the tables readable after the data directory was moved or copied; takes seconds.

    `analytics.duckdb` names its Parquet files by their absolute paths. Whoever finds that it is not where it was
    published says so; a command that writes does this by itself.
    """
    from flows import report
    from flows.steps import relocate_star

    settings = _settings()
    moved = relocate_star(settings)
    say("The tables now name the files that are here." if moved else "The tables name the files that are here already.")
    say(*report.place_lines(settings))
    return 0


Because = Annotated[str, Parameter(help="Why, in a few words; it is kept with the decision.")]


@app.command
def exclude(snapshot_date: date, /, *, because: Because) -> int:
    """Leave a snapshot date out of the tables: it becomes a gap, for good. Raw keeps what was crawled.

    Also confirms that a date which the checks refused stays out. On the same day it can be crawled again.

    Parameters
    ----------
    snapshot_date
        UTC date of the snapshot, such as 2026-01-31.
    """
    from flows.steps import exclude_date

    settings = _settings()
    _print_decision(
        f"{snapshot_date} is excluded.", lambda progress: exclude_date(settings, snapshot_date, because, progress)
    )
    return 0


@app.command
def include(snapshot_date: date, /, *, because: Because) -> int:
    """Take a snapshot date into the tables that was refused or excluded, however implausible the checks find it.

    Parameters
    ----------
    snapshot_date
        UTC date of the snapshot, such as 2026-01-31.
    """
    from flows.steps import include_date

    settings = _settings()
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

    settings = _settings()
    told = f"The collapse of {counter} on {snapshot_date} is accepted."
    _print_decision(told, lambda progress: accept_collapse(settings, counter, snapshot_date, because, progress))
    return 0


def _print_decision(told: str, decide: "Callable[[Progress], BuildReport]") -> None:
    from flows import report
    from flows.console import progress_display

    with progress_display() as progress:
        built = decide(progress)
    say(told)
    say(report.build_line(built))
    say(*report.build_lines(built))


@app.command
def compact() -> int:
    """Make the data directory small: closed months become one file a table, their raw observations an archive.

    A month is closed when a later one has a complete snapshot. Every row stays where SQL finds it, which is proven by a
    rebuild before anything is replaced: this takes as long as `civitai-etl rebuild`, and as much space for a while.
    """
    from flows import report
    from flows.console import progress_display
    from flows.steps import compact_closed_months

    with progress_display() as progress:
        compacted = compact_closed_months(_settings(), progress)
    say(*report.compact_lines(compacted))
    return 0


# ------------------------------------------------------------------------------------------------------------ looking


@app.command
def status(*, max_age: str = "36h") -> int:
    """Say how fresh and how complete the published tables are.

    Ends with code 4 if nothing is published or the newest snapshot is older than `max_age`: fit for a monitor.

    Parameters
    ----------
    max_age
        How old the newest snapshot may be: a number and `m`, `h` or `d`, such as 90m, 36h or 7d.
    """
    from flows.freshness import parse_age, print_status

    return print_status(_settings(), parse_age(max_age))


@app.command
def sql(
    query: str | None = None,
    *,
    format: Literal["table", "csv", "json", "parquet"] = "table",  # noqa: A002 (the name of the option)
    output: NamedPath | None = None,
) -> int:
    """Ask the published tables in SQL, read-only, while a pipeline may be running.

    `civitai-etl sql "from star.mart_base_model_daily limit 5"`

    Parameters
    ----------
    query
        One SQL query (DuckDB). Default: read from standard input.
    format
        How the answer is written. `table` is for reading and shows at most 500 rows; the others are complete.
    output
        File to write to, replaced as a whole. Default: standard output.
    """
    from flows.query import answer

    if query is None:
        if sys.stdin.isatty():
            raise CivitaiEtlError('No query: give one, as in civitai-etl sql "show all tables", or pipe it in.')
        try:
            query = sys.stdin.buffer.read().decode("utf-8-sig")
        except UnicodeDecodeError:
            raise CivitaiEtlError("The query on standard input is no UTF-8 text: give it in UTF-8.") from None
    answer(_settings().analytics, query, format, output)
    return 0


@app.command
def identify(
    *paths: NamedPath,
    offline: bool = False,
    format: Literal["table", "json"] = "table",  # noqa: A002 (the name of the option)
) -> int:
    """Hash local model files and name the versions they are, their licence, and whether there is a newer version.

    The published tables answer first, then the service for what they do not know. Ends with code 1 if a file cannot be
    read; an unknown file is no error.

    Parameters
    ----------
    paths
        Files, and directories that are searched for model files.
    offline
        Do not ask the service.
    format
        `table` is for reading; `json` has all there is, hashes included.
    """
    from flows.console import progress_display
    from flows.identify import identify as identify_files
    from flows.identify import tell

    if not paths:
        raise CivitaiEtlError("No path: give files, or directories that hold model files.")
    settings = _settings()
    with progress_display() as progress:
        files = identify_files(settings, paths, offline=offline, progress=progress)
    tell(files, format)
    return 1 if any(file.status == "unreadable" for file in files) else 0


quarantine = App(
    name="quarantine", help="What was set aside: list it, show a record or its values, take it in once it can be read."
)
app.command(quarantine)


@quarantine.default
def listed() -> int:
    """List what is set aside: what was wrong, how often, on which dates, and an example."""
    from flows.quarantine import group_lines

    say(*group_lines(_settings()))
    return 0


@quarantine.command
def show(kind: str, entity_id: str, /) -> int:
    """Show a record that was set aside, or what was of it, as it was received, with what was expected and found.

    Parameters
    ----------
    kind
        What it was taken for, as the list says: model, image, creator, tag, or a table.
    entity_id
        Its id, as the list says.
    """
    from flows.quarantine import record_lines

    say(*record_lines(_settings(), kind, entity_id))
    return 0


@quarantine.command
def replay() -> int:
    """Take in what today's declarations can read: the star is made anew from raw with all of it at its dates."""
    from flows.console import progress_display
    from flows.quarantine import replay as replay_records

    settings = _settings()
    with progress_display() as progress:
        say(replay_records(settings, progress))
    return 0


@app.command
def docs(table: str | None = None, /) -> int:
    """Say what the published tables mean: every table with its grain, or all columns of one.

    Parameters
    ----------
    table
        A table, view or macro of schema `star`, such as dim_model. Default: list them all.
    """
    from flows.documentation import show_documentation

    show_documentation(table)
    return 0


@app.command
def doctor() -> int:
    """List all settings (secrets masked) and versions, try disk and service, and tell the next scheduled runs.

    Ends with code 1 if something would keep a snapshot from working.
    """
    from flows.doctor import examine

    return examine(_settings())


@app.command
def dashboard(*, port: Port = 2718, headless: bool = False) -> None:
    """Open the base-model notebook as a dashboard on 127.0.0.1; ends with Ctrl-C.

    Parameters
    ----------
    port
        Port to listen on.
    headless
        Do not open a browser.
    """
    from flows.dashboard import show

    show(_settings(), port, headless=headless)


# -------------------------------------------------------------------------------------------------------------- vault

vault = App(name="vault", help="The account of your API key, and its vault: store, plan, bring in line with a query.")
app.command(vault)


@vault.command
def pull() -> int:
    """Store the account of the key: who it is, its vault and its items, the permissions for them.

    The tables lie under `account/` in the data directory, apart from the published ones.
    """
    from flows.console import progress_display
    from flows.vault import pull as pull_account

    settings = _settings()
    with progress_display() as progress:
        rows = pull_account(settings, progress)
    say(f"Stored in {settings.account}: " + ", ".join(f"{name} {count:,}" for name, count in rows.items()) + " rows.")
    return 0


@vault.command
def plan(*, sql: str) -> int:
    """Show what is to be added and removed so that the vault holds what a query gives, and write it to a file.

    `civitai-etl vault plan --sql "select version_id from star.model_version where base_model = 'Pony'"`

    Parameters
    ----------
    sql
        One SQL query (DuckDB) on the published tables with a column `version_id`. The stored account can be read in
        it: account.me, account.vault, account.vault_item, account.permission.
    """
    from flows.vault import plan as plan_vault
    from flows.vault import plan_lines

    settings = _settings()
    made = plan_vault(settings, sql)
    say(*plan_lines(made))
    say(f"The plan is {settings.account / 'plan.json'}; `civitai-etl vault apply --yes` carries it out.")
    return 0


@vault.command
def apply(*, yes: Annotated[bool, Parameter(negative="")] = False) -> int:
    """Carry the plan out: toggle versions until the vault agrees with it. Without --yes nothing is changed.

    Killed or cut off, it goes on when it is run again; no version is toggled twice. Ends with code 3 if vault and plan
    do not agree at the end, and says why for each version.

    Parameters
    ----------
    yes
        Change the vault. Default: only show what would be changed.
    """
    from flows.console import progress_display
    from flows.vault import applied_lines, change_lines, rehearse
    from flows.vault import apply as apply_plan

    settings = _settings()
    if not yes:
        changes = rehearse(settings)
        say(f"{len(changes):,} versions would be toggled; --yes does it.")
        say(*change_lines(changes))
        return 0
    with progress_display() as progress:
        applied = apply_plan(settings, progress)
    say(*applied_lines(applied))
    return 0 if applied.is_settled else PARTIAL


# ---------------------------------------------------------------------------------------------------------- services


@app.command
def serve(*, port: Port = 4200) -> int:
    """Take a snapshot every day and look for news every hour (`CIVITAI_ETL_DAILY_CRON`, `_REFRESH_CRON`).

    Uses the Prefect server of `PREFECT_API_URL`, or else starts one on this machine, with its pages at the port. Runs
    until it is stopped, or until it is no use (no server, no scheduled runs): then it ends with code 1, to be started
    again by a service manager.

    Parameters
    ----------
    port
        Port on 127.0.0.1 for the Prefect server that is started.
    """
    from flows.serving import serve_flows

    return serve_flows(_settings(), port)


@app.command
def emulator(
    *,
    port: PortOrAny = 8377,
    models: PositiveInt = 2000,
    seed: int = 1,
    on: Annotated[date | None, Parameter(name="--date")] = None,
    dialect: Literal["spec", "live"] = "spec",
    catalogue: NamedPath | None = None,
    key: str = "test-key",
    faults: str = "",
    control: bool = False,
) -> int:
    """Serve an emulated Civitai Site API on 127.0.0.1; ends with Ctrl-C.

    Point the pipeline at it with `CIVITAI_ETL_API_URL=http://127.0.0.1:8377/api/v1`.

    Parameters
    ----------
    port
        Port to listen on; 0 takes any free one.
    models
        Models in the simulated catalogue on 2026-01-01.
    seed
        Seed of the simulated catalogue: the same seed and date give the same catalogue.
    on
        UTC date of the emulator's clock. Default: today.
    dialect
        `spec`: the service as its specification has it. `live`: as it answers today.
    catalogue
        A file of real model documents, NDJSON or NDJSON compressed with zstd, served as they are instead of a
        simulated catalogue.
    key
        The API key that it knows.
    faults
        What goes wrong, by script or by seeded chance; `python -m emulator serve --help` has the grammar.
    control
        Offer `/control`, which sets the clock, orders faults and tells what the simulation did.
    """
    from emulator.server import CannotServeError
    from emulator.server import serve as serve_emulator

    try:
        serve_emulator(
            port=port,
            models=models,
            seed=seed,
            on=on,
            dialect=dialect,
            catalogue=catalogue,
            key=key,
            faults=faults,
            control=control,
        )
    except CannotServeError as error:
        raise CivitaiEtlError(str(error)) from None
    except KeyboardInterrupt:
        pass  # the way to end it
    return 0
