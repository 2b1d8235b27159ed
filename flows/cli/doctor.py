"""Checks everything that a snapshot needs before the night: settings, versions, disk, memory, service, schedules."""

import asyncio
import os
import platform
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version

from flows.cli.serving import api_url_file, check_api_url, prefect_environment
from flows.reporting.console import say
from pipelines.api.client import Client
from pipelines.crawl.clock import check_clocks
from pipelines.errors import CivitaiEtlError
from pipelines.network import VARIABLES, check_network, proxy_for, shown
from pipelines.run_note import cut_off_line
from pipelines.settings import Limits, Settings, variable
from pipelines.storage.directory import existing, refuse_lake_name
from pipelines.storage.lock import writer_lock

PACKAGES = ("civitai-etl", "dlt", "duckdb", "polars", "pyarrow", "dataframely", "prefect", "marimo")


def examine(settings: Settings) -> int:
    """Print every check and its result; returns 0, or 1 if a problem would prevent a snapshot."""
    say("Settings (from the environment or .env):")
    for line in setting_lines(settings):
        say(f"  {line}")
    say("", "Network (from the environment, as in other programs):")
    for variable_name, meaning in VARIABLES.items():
        value = shown(variable_name)
        say(f"  {variable_name} = {value or 'not set'}  ({'set' if value else 'default'}) {meaning}")
    say("", "Versions:")
    say(f"  python {platform.python_version()}, " + ", ".join(f"{name} {version(name)}" for name in PACKAGES))
    say("", "Room for the coming months:")
    say(*(f"  {line}" for line in _capacity(settings)))
    say("", "Checks:")
    checks: tuple[tuple[str, Callable[[Settings], str]], ...] = (
        ("data directory", _data_directory),
        ("lake", _lake),
        ("published tables", _published),
        ("service", _service),
        ("schedules", _schedules),
        ("messages", _messages),
    )
    failed = 0
    for name, check in checks:
        try:
            say(f"  ok       {name}: {check(settings)}")
        except CivitaiEtlError as error:
            failed += 1
            say(f"  PROBLEM  {name}: {error}")
    return 1 if failed else 0


def setting_lines(settings: Settings) -> list[str]:
    """Every setting: variable, value (secrets masked), whether it was set, and what it is for."""
    lines = []
    # The limits are inherited and would come first. A newcomer sets the others first.
    for field in sorted(Settings.model_fields, key=lambda field: field in Limits.model_fields):
        declaration = Settings.model_fields[field]
        value = getattr(settings, field)
        shown = "not set" if value is None else str(value)
        origin = "set" if field in settings.model_fields_set else "default"
        lines.append(f"{variable(field)} = {shown}  ({origin}) {declaration.description}")
    return lines


def _capacity(settings: Settings) -> list[str]:
    from flows.reporting.capacity import capacity_lines

    try:
        return capacity_lines(settings)
    except CivitaiEtlError:
        return ["unknown, because the published tables cannot be read (below)"]


def _data_directory(settings: Settings) -> str:
    with writer_lock(settings.data_dir):
        cut_off = cut_off_line(settings.data_dir)
    ready = f"{settings.data_dir} can be written, no other process is writing"
    return f"{ready}. {cut_off}" if cut_off else ready


def _lake(settings: Settings) -> str:
    refuse_lake_name(settings.directory.lake)
    found = existing(settings.directory.lake)
    if not os.access(found, os.W_OK | os.X_OK):
        raise CivitaiEtlError(f"{found} cannot be written: change its permissions or set CIVITAI_ETL_LAKE_URL.")
    return f"{settings.directory.lake} can be written"


def _published(settings: Settings) -> str:
    from flows.reporting.report import open_analytics, published_dates
    from transforms.estimate import replay_line
    from transforms.lake.publish import is_outdated, read_manifest
    from transforms.lake.published import is_there

    if not is_there(settings.directory.analytics):
        return "none yet; `civitai-etl snapshot` makes them"
    with open_analytics(settings.directory.analytics) as connection:
        dates = published_dates(connection)
    found = f"{len(dates):,} snapshot dates" + (f", the last one {dates[-1]}" if dates else "")
    if is_outdated(settings.directory.analytics):
        estimate = replay_line(read_manifest(settings.directory.analytics), len(dates))
        found += f". An earlier version made them, and the next `snapshot` makes them again from raw: {estimate}"
    return found


def _service(settings: Settings) -> str:
    # One attempt: the doctor reports the present state and does not wait for a better one.
    client = Client(settings, patience_seconds=0)
    page = client.list_page("/models", (("limit", "1"),))
    check_clocks(page.answered_at, settings)
    proxy = proxy_for(settings.api_url)
    way = f" through the proxy {proxy.url} of {proxy.variable}" if proxy else ""
    return (
        f"{settings.api_url} answers{way} in dialect {settings.dialect_name}, {len(page.items)} model in "
        f"{client.bytes_received:,} bytes, its clock says {page.answered_at:%Y-%m-%d %H:%M:%S} UTC"
    )


def _messages(settings: Settings) -> str:
    from flows.notifier import addresses

    if settings.notify_url is None:
        return f"none are sent: {variable('notify_url')} is not set"
    places = ", ".join(each.name for each in addresses(settings))
    hour = settings.notify_hour
    late = "" if hour == "off" else f", also if no snapshot is complete by {hour:02}:00 UTC"
    return f"they go to {places}{late}"


def _schedules(settings: Settings) -> str:
    own = api_url_file(settings)
    given = os.environ.get("PREFECT_API_URL")
    api_url = given or (own.read_text(errors="replace").strip() if os.access(own, os.R_OK) else None)
    if not api_url:
        return "no `civitai-etl serve` is running on this data directory"
    check_api_url(api_url, "PREFECT_API_URL" if given else str(own))
    check_network()
    os.environ.update(prefect_environment(settings) | {"PREFECT_API_URL": api_url})
    from flows.cli.watchdog import NoAnswerError, amiss, look
    from flows.deployments import deployments

    scheduled = [deployment.full_name for deployment in deployments(settings) if deployment.cron]
    try:
        seen = asyncio.run(look(scheduled))
    except NoAnswerError as error:
        raise CivitaiEtlError(f"{error}: check whether `civitai-etl serve` is running.") from error
    problems = [f"no runner asks for {one.name}" for one in seen if one.is_registered and not one.is_served]
    problems += sorted(amiss([replace(one, overdue=None) for one in seen], datetime.now(UTC)))
    if problems:
        raise CivitaiEtlError(f"{'; '.join(problems)}: start `civitai-etl serve` again.")
    return ", ".join(
        f"{one.name} " + (f"runs next at {one.next_run:%Y-%m-%d %H:%M} UTC" if one.next_run else "is paused")
        for one in seen
    )
