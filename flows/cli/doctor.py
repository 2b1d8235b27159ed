"""Tries everything that a snapshot needs before the night, and ends with a table: one line per check.

A check that fails does not stop the next ones. Whatever else is wrong with a file or a server, down to an error that no
check expects, is a line of the table, too.
"""

import platform
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from typing import Literal

import msgspec

from flows.cli.checks import Check, Doubt, NotTried
from flows.cli.directory_checks import directory_checks
from flows.cli.schedule_checks import schedule_checks
from flows.cli.service_checks import service_checks
from flows.reporting.console import say
from flows.reporting.text import plain
from pipelines.errors import CivitaiEtlError
from pipelines.network import VARIABLES, shown
from pipelines.settings import Limits, Settings, variable
from pipelines.storage.directory import storage_errors

PACKAGES = ("civitai-etl", "dlt", "duckdb", "polars", "pyarrow", "dataframely", "prefect", "marimo")

Format = Literal["text", "json"]
#: A warning prevents no snapshot. `not tried` is a check that has nothing to look at, because another one failed.
Result = Literal["ok", "warning", "problem", "not tried"]
_SHOWN: dict[Result, str] = {"ok": "ok", "warning": "WARNING", "problem": "PROBLEM", "not tried": "-"}


class Finding(msgspec.Struct, frozen=True):
    """A line of the table: the check, its result, and what was found, with what helps."""

    check: str
    result: Result
    found: str


def examine(settings: Settings, form: Format = "text") -> int:
    """Print settings, versions and the table; returns 0, or 1 if a problem would prevent a snapshot."""
    if form == "text":
        say("Settings (from the environment or .env):", *(f"  {line}" for line in setting_lines(settings)))
        say("", "Network (from the environment, as in other programs):")
        for name, meaning in VARIABLES.items():
            value = shown(name)
            say(f"  {name} = {value or 'not set'}  ({'set' if value else 'default'}) {meaning}")
        say("", "Versions:", "  " + ", ".join(f"{name} {number}" for name, number in versions().items()))
    findings = list(findings_of(settings))
    code = 1 if any(each.result == "problem" for each in findings) else 0
    if form == "json":
        everything = {
            "settings": {variable(field): _shown(settings, field) for field in Settings.model_fields},
            "network": {name: shown(name) for name in VARIABLES},
            "versions": versions(),
            "checks": findings,
        }
        print(msgspec.json.format(msgspec.json.encode(everything), indent=2).decode())
    else:
        say("", "Checks:", *table(findings))
    return code


def findings_of(settings: Settings) -> Iterator[Finding]:
    """The result of every check, in the order of the table."""
    for group in (directory_checks, service_checks, schedule_checks):
        for check in group(settings):
            yield _tried(check, settings)


def _tried(check: Check, settings: Settings) -> Finding:
    result: Result
    try:
        with storage_errors(settings.data_dir, settings.directory.lake):
            result, found = "ok", check.look()
    except Doubt as doubt:
        result, found = "warning", str(doubt)
    except NotTried as reason:
        result, found = "not tried", str(reason)
    except CivitaiEtlError as error:
        result, found = "problem", str(error)
    except Exception as error:  # noqa: BLE001 (whoever asks the doctor has a problem, and needs all other checks)
        result, found = "problem", f"{type(error).__name__}: {error}"
    return Finding(check.name, result, plain(" ".join(found.split())))


def table(findings: Sequence[Finding]) -> Iterator[str]:
    """The findings in columns."""
    width = max(len(each.check) for each in findings)
    for each in findings:
        yield f"  {_SHOWN[each.result]:<7}  {each.check:<{width}}  {each.found}"


def versions() -> dict[str, str]:
    """The versions of Python, this program and its libraries."""
    return {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}


def setting_lines(settings: Settings) -> list[str]:
    """Every setting: variable, value (secrets masked), whether it was set, and what it is for."""
    lines = []
    # The limits are inherited and would come first. A newcomer sets the others first.
    for field in sorted(Settings.model_fields, key=lambda field: field in Limits.model_fields):
        value = _shown(settings, field)
        origin = "set" if field in settings.model_fields_set else "default"
        description = Settings.model_fields[field].description
        lines.append(f"{variable(field)} = {'not set' if value is None else value}  ({origin}) {description}")
    return lines


def _shown(settings: Settings, field: str) -> str | None:
    value = getattr(settings, field)
    return None if value is None else str(value)
