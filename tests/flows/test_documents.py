"""The documents that people follow agree with the code."""

import re
from collections import Counter
from pathlib import Path
from typing import get_args

import yaml
from prefect.client.schemas.objects import StateType

from flows.cli.app import EXIT_CODES
from flows.cli.directory_checks import directory_checks
from flows.cli.schedule_checks import schedule_checks
from flows.cli.service_checks import service_checks
from flows.reporting.condition import PROBLEMS
from pipelines.run_record import Result
from pipelines.settings import Settings, variable

ROOT = Path(__file__).resolve().parents[2]
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()


def test_the_operations_guide_lists_every_setting_with_its_default():
    listed = dict(re.findall(r"^\| `(CIVITAI_\w+)` \| (.+?) \|", OPERATIONS, re.MULTILINE))
    assert set(listed) == {variable(field) for field in Settings.model_fields}
    for field, declaration in Settings.model_fields.items():
        if isinstance(declaration.default, int | float):
            assert listed[variable(field)] == f"{declaration.default:g}"


def test_the_operations_guide_and_the_help_list_the_same_exit_codes():
    listed = re.findall(r"^\| (\d+) \|", OPERATIONS, re.MULTILINE)
    assert listed == re.findall(r"(?:^|; |: )(\d+) ", EXIT_CODES)


def test_the_example_of_settings_names_only_settings_that_exist():
    named = re.findall(r"^#?(\w+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)
    assert named
    assert set(named) <= {variable(field) for field in Settings.model_fields}


# ------------------------------------------------------------------------------------------------------------- alarms

ALARMS = OPERATIONS.partition("\n## Alarms\n")[2].partition("\n## ")[0]
#: The entries of problems: heading and text.
ENTRIES = dict(re.findall(r"^### (.+)\n((?:(?!^###? ).*\n)+)", ALARMS, re.MULTILINE))


def of_problem(name: str) -> str:
    (entry,) = (text for heading, text in ENTRIES.items() if heading.startswith(f"`{name}`: "))
    return entry


def test_each_problem_has_an_entry_that_says_what_to_look_at_to_do_and_not_to_do():
    for name in PROBLEMS:
        entry = of_problem(name)
        for part in ("It means", "Look at", "Do", "Do not"):
            assert entry.count(f"- **{part}**") == 1, (name, part)


def test_each_alert_of_prometheus_is_in_the_entry_of_its_problem():
    rules = yaml.safe_load((ROOT / "deploy/prometheus/civitai-etl-alerts.yml").read_text())
    alerts = {rule["alert"]: rule["expr"] for group in rules["groups"] for rule in group["rules"]}
    assert set(re.findall(r"`(CivitaiEtl\w+)`", ALARMS)) == set(alerts)
    for alert, expression in alerts.items():
        for name in re.findall(r'problem="(.+?)"} == 1', expression):
            assert f"`{alert}`" in of_problem(name)


def test_each_message_has_an_entry():
    source = (ROOT / "flows/reporting/messages.py").read_text()
    titles = re.findall(r'Incident\(\s+on,\s+"\w+",\s+f?"(.+?)",', source)
    assert len(titles) == 7
    for title in titles:
        assert f'"{title.replace("{deadline.hour:02}", "12")}"' in ALARMS, title
    assert '"good again"' in ALARMS


def test_each_result_of_a_run_and_each_state_of_prefect_has_a_row():
    rows = re.findall(r"^\| (.+?) \|", ENTRIES["Run states"], re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == set(get_args(Result))
    states = {name for row in rows for name in re.findall(r"\*(\w+)\*", row)}
    assert states >= {kind.value.capitalize() for kind in StateType} - {"Paused"}


def test_each_check_of_the_doctor_is_named(tmp_path):
    settings = Settings(data_dir=tmp_path)
    names = [check.name for group in (directory_checks, service_checks, schedule_checks) for check in group(settings)]
    install = " ".join(OPERATIONS.partition("\n## Install\n")[2].partition("\n## ")[0].split())
    assert f"{', '.join(names[:-1])} and {names[-1]}" in install


def test_cron_and_systemd_do_what_the_guide_says():
    for path in ("cron/civitai-etl", "systemd/civitai-etl-snapshot.service"):
        assert "civitai-etl snapshot --wait --quiet\n" in (ROOT / "deploy" / path).read_text()


def test_the_guide_says_nothing_twice():
    prose = re.sub(r"```.*?```|^\|.*\|$|^#.*$", "", OPERATIONS, flags=re.DOTALL | re.MULTILINE)
    sentences = [each for each in re.split(r"(?<=[.:])\s+", " ".join(prose.split())) if len(each) > 30]
    assert [each for each, count in Counter(sentences).items() if count > 1] == []
