"""The condition of a data directory, in all formats, against what the tables were made of."""

import json
import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from prometheus_client.parser import text_string_to_metric_families

from flows.reporting.condition import (
    PROBLEMS,
    Condition,
    DayWithReason,
    DiskSpace,
    LastRun,
    Warned,
    condition_of,
)
from flows.reporting.metrics import METRICS, exposition
from flows.reporting.status import FailOnError, as_json, freshness_lines, parse_problems, report_status
from pipelines.run_record import NAME, RunRecord, read_record, write_record
from pipelines.settings import Settings
from tests.transforms.conftest import DAYS, Workshop, model, version
from transforms.quality.checks import LostRowsError

OPERATIONS = (Path(__file__).resolve().parents[2] / "docs" / "operations.md").read_text()
NOW = datetime(2026, 1, 6, 12, tzinfo=UTC)
EVER = timedelta(days=36500)
RUN = RunRecord(DAYS[4], NOW - timedelta(seconds=90), NOW, "partial", "cut off by a test")


def catalogue(downloads, versions=2, odd=0):
    """Sixty models; the counter of the first `odd` ones is text."""
    return [
        model(
            n,
            *(version(n * 10 + v, stats={"downloadCount": downloads}) for v in range(versions)),
            stats={"downloadCount": "many" if n <= odd else 2 * downloads},
        )
        for n in range(1, 61)
    ]


@pytest.fixture(scope="module")
def bad_days(tmp_path_factory):
    """A whole day, a gap, a day of zeros, a refused day, and a partial one with fourteen values in quarantine."""
    workshop = Workshop(tmp_path_factory.mktemp("bad-days"))
    workshop.raw.crawl(DAYS[0], model=[*catalogue(100, odd=1), "no object"])
    workshop.build()
    workshop.raw.crawl(DAYS[2], model=catalogue(0))
    workshop.build()
    workshop.raw.crawl(DAYS[3], model=catalogue(100, versions=1))
    with pytest.raises(LostRowsError):
        workshop.build()
    workshop.raw.crawl(DAYS[4], status="partial", model=catalogue(101, odd=14))
    workshop.build()
    write_record(workshop.folder, RUN)
    return workshop


@pytest.fixture(scope="module")
def settings(bad_days):
    return Settings(data_dir=bad_days.folder)


def values(text):
    """Each sample of the metrics, as the library that reads them understands them; labels in their written order."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_the_condition_is_what_the_days_were(bad_days, settings):
    found = condition_of(settings)
    assert found.dates == (DAYS[0], DAYS[2], DAYS[4])
    assert found.missing == (DAYS[1], DAYS[3])
    assert found.partial == (DAYS[4],)
    assert [day.date for day in found.refused] == [DAYS[3]]
    assert "has 60 rows on 2026-01-04, and had 120" in found.refused[0].reason
    assert (found.newest, found.newest_is_complete, found.newest_complete) == (DAYS[4], False, DAYS[2])
    assert found.newest_complete_at == datetime(2026, 1, 3, 3, tzinfo=UTC)
    assert found.newest_partial == DayWithReason(DAYS[4], "cut off by a test")
    assert found.quarantined == {"item": 0, "record": 0, "row": 0, "value": 14}
    assert found.quarantined_in_total == {"item": 1, "record": 0, "row": 0, "value": 15}
    assert found.quarantine_is_heavy, "fourteen of sixty"
    assert found.withheld == ()
    assert found.withheld_in_total == bad_days.value("select count(*) from star.ops_withheld where not is_accepted") > 0
    messages = bad_days.sql("select message from star.ops_warning where snapshot_date = '2026-01-05' order by 1")
    assert sorted(each.message for each in found.warnings) == [message for (message,) in messages]
    assert found.rows["fact_model_daily"] == 180
    for table, rows in found.rows.items():
        assert rows == bad_days.value(f"select count(*) from star.{table}"), table
    published = bad_days.sql("select path from star.manifest")
    assert found.bytes == {
        "star": sum(Path(path).stat().st_size for (path,) in published),
        "warehouse": bad_days.raw.path.stat().st_size,
        "archive": 0,
    }
    assert found.last_run == LastRun(DAYS[4], "partial", RUN.began_at, NOW, 90.0, "cut off by a test", None)
    assert set(found.problems) == {"stale", "partial", "quarantine", "missing", "refused"} | (
        {"warnings"} if messages else set()
    )


def test_text_names_everything_that_is_not_as_it_should_be(settings, capsys):
    assert report_status(settings, EVER) == 0
    told = capsys.readouterr().out
    newest, partial = told.splitlines()[:2]
    assert re.fullmatch(
        r"Newest:    complete snapshot of 2026-01-03 03:00 UTC, .+ old; fresh .+, but see below\.", newest
    )
    assert partial == "PARTIAL:   the newest day, 2026-01-05: cut off by a test."
    assert "Missing:   2026-01-02, 2026-01-04" in told
    assert "REFUSED:   2026-01-04: fact_model_version_daily has 60 rows" in told
    assert "Quarantine: MORE THAN USUAL; 14 values on 2026-01-05, 16 rows on all dates." in told
    assert "Last run:  of 2026-01-05 ended at 2026-01-06 12:00 UTC after 1 min 30 s: PARTIAL." in told
    assert "Problems:" not in told
    assert report_status(settings, EVER, fail_on=["partial", "disk"]) == 4
    assert "Problems:  partial (the newest date is partial" in capsys.readouterr().out


def test_the_formats_for_machines_say_the_same_as_the_condition(settings, capsys):
    assert report_status(settings, EVER, "json", ["refused"]) == 4
    told = json.loads(capsys.readouterr().out)
    assert told["newest_partial"] == {"date": "2026-01-05", "reason": "cut off by a test"}
    assert told["quarantined"] == {"item": 0, "record": 0, "row": 0, "value": 14}
    assert told["last_run"]["seconds"] == 90
    assert told["met_share"] is None, "no list said how long it is"
    assert "refused" in told["problems"]

    assert report_status(settings, EVER, "prometheus", ["withheld"]) == 0
    told = values(capsys.readouterr().out)
    assert told["civitai_etl_newest_complete_timestamp_seconds",] == datetime(2026, 1, 3, 3, tzinfo=UTC).timestamp()
    assert told["civitai_etl_newest_timestamp_seconds",] == datetime(2026, 1, 5, tzinfo=UTC).timestamp()
    assert told["civitai_etl_newest_partial_info", "cut off by a test", "2026-01-05"] == 1
    assert told["civitai_etl_newest_quarantined_rows", "value"] == 14
    assert told["civitai_etl_quarantined_rows", "item"] == 1
    assert told["civitai_etl_table_rows", "fact_model_daily"] == 180
    assert told["civitai_etl_missing_dates",] == 2
    assert told["civitai_etl_last_run_duration_seconds",] == 90
    assert [told["civitai_etl_last_run_result", result] for result in ("complete", "partial", "failed")] == [0, 1, 0]
    assert told["civitai_etl_problem", "refused"] == 1
    assert told["civitai_etl_problem", "withheld"] == 0
    assert not [name for name in told if name[0] == "civitai_etl_newest_met_ratio"], "null is not zero"


def test_the_counters_of_the_newest_day_are_told_as_withheld(tmp_path, capsys):
    workshop = Workshop(tmp_path)
    workshop.raw.crawl(DAYS[0], model=catalogue(100))
    workshop.raw.crawl(DAYS[1], model=catalogue(0))
    workshop.build()
    found = condition_of(Settings(data_dir=tmp_path))
    counters = workshop.sql("select counter from star.ops_withheld where snapshot_date = '2026-01-02' order by 1")
    assert found.withheld == tuple(counter for (counter,) in counters)
    assert "fact_model_daily.download_count" in found.withheld
    assert {"withheld", "warnings"} <= set(found.problems)
    report_status(Settings(data_dir=tmp_path), EVER)
    assert "WITHHELD:  on 2026-01-02: fact_model_daily.download_count" in capsys.readouterr().out


def test_before_the_first_publish_machines_see_the_last_run_and_people_the_way_on(tmp_path, capsys):
    write_record(tmp_path, RunRecord(DAYS[0], NOW, NOW, "failed", "no network"))
    settings = Settings(data_dir=tmp_path)
    assert report_status(settings, EVER, "json") == 4
    told = json.loads(capsys.readouterr().out)
    assert (told["is_published"], told["quarantined"], told["age_seconds"]) == (False, None, None)
    assert set(told["problems"]) - {"disk"} == {"stale", "failed-run"}
    names = {name for name, *_ in values(exposition(condition_of(settings)))}
    assert "civitai_etl_last_run_result" in names
    assert not names & {"civitai_etl_snapshot_dates", "civitai_etl_table_rows", "civitai_etl_disk_left_seconds"}


def test_a_record_that_cannot_be_read_is_none(tmp_path):
    assert read_record(tmp_path) is None
    (tmp_path / NAME).write_text('{"result": "another"}')
    assert read_record(tmp_path) is None


# ---------------------------------------------------------------------------------------------- tables made by hand


def test_tables_of_an_earlier_version_leave_unknown_what_they_do_not_have(analytics):
    found = condition_of(Settings(data_dir=analytics.parent))
    assert (found.quarantined, found.withheld, found.warnings, found.last_run) == (None, None, None, None)
    assert found.met_share == 0.9975
    names = {name for name, *_ in values(exposition(found))}
    assert not names & {
        "civitai_etl_newest_quarantined_rows",
        "civitai_etl_newest_withheld_counters",
        "civitai_etl_newest_warnings",
        "civitai_etl_last_run_result",
    }


def test_a_reason_with_quotes_and_new_lines_is_one_label(analytics):
    hostile = 'the "list"\nended \\ early\r\n# TYPE x counter\u2028é'
    with duckdb.connect(str(analytics)) as connection:
        connection.execute("update star.ops_snapshot set reason = ? where status = 'partial'", [hostile])
    found = condition_of(Settings(data_dir=analytics.parent))
    text = exposition(found)
    (line,) = [line for line in text.split("\n") if line.startswith("civitai_etl_newest_partial_info")]
    assert line.endswith("} 1.0")
    assert r"the \"list\"\nended \\ early" in line
    assert values(exposition(found))["civitai_etl_newest_partial_info", hostile, "2026-01-03"] == 1
    assert json.loads(as_json(found))["newest_partial"]["reason"] == hostile


@pytest.mark.parametrize(("ahead", "code"), [(timedelta(minutes=30), 0), (timedelta(days=3), 4)])
def test_a_snapshot_in_the_future_is_an_error_if_the_clocks_cannot_explain_it(analytics, capsys, ahead, code):
    with duckdb.connect(str(analytics)) as connection:
        connection.execute(
            "update star.ops_snapshot set started_at = ? where crawl_id = '2026-01-06.1'", [datetime.now(UTC) + ahead]
        )
    assert report_status(Settings(data_dir=analytics.parent), EVER) == code
    first = capsys.readouterr().out.splitlines()[0]
    assert ("IN THE FUTURE" in first, "fresh" in first) == (code == 4, code == 0)
    assert " -" not in first


def test_a_newest_day_that_met_nothing_is_not_fresh_without_a_word(analytics, capsys):
    with duckdb.connect(str(analytics)) as connection:
        connection.execute("update star.ops_snapshot set coverage = 0 where crawl_id = '2026-01-06.1'")
    assert report_status(Settings(data_dir=analytics.parent), EVER, fail_on=["partial"]) == 4
    problems, first, second = capsys.readouterr().out.splitlines()[:3]
    assert problems.startswith("Problems:  partial (")
    assert first.endswith(", but see below.")
    assert second == "INCOMPLETE: the newest crawl met only 0.00% of what the lists announced."


def test_a_partial_crawl_that_saw_nothing_is_the_newest_day(analytics):
    with duckdb.connect(str(analytics)) as connection:
        connection.execute(
            """
            insert into star.ops_snapshot by name
            select '2026-01-07.1' as crawl_id, '2026-01-07'::date as snapshot_date, 'partial' as status,
                '2026-01-07 03:00:00+00'::timestamptz as started_at, 0 as observations
            """
        )
    found = condition_of(Settings(data_dir=analytics.parent))
    assert (found.newest, found.newest_complete) == (date(2026, 1, 7), date(2026, 1, 6))
    assert found.newest_partial == DayWithReason(date(2026, 1, 7), "its crawl was cut off or is under way")


# ------------------------------------------------------------------------------------------------------- problems

FINE = Condition(
    as_of=NOW,
    max_age_seconds=86_400,
    last_run=LastRun(DAYS[5], "complete", NOW, NOW, 0, None, None),
    disks=(DiskSpace("/", 1, 1000.0, 2000.0, ()),),
    is_published=True,
    dates=tuple(DAYS[:6]),
    newest=DAYS[5],
    newest_is_complete=True,
    newest_complete=DAYS[5],
    newest_complete_at=NOW - timedelta(hours=9),
    met_share=1.0,
    quarantined={"value": 0},
    withheld=(),
    warnings=(),
)
FAILED = LastRun(DAYS[5], "failed", NOW, NOW, 0, "no network", None)


@pytest.mark.parametrize(
    ("problem", "fields"),
    [
        ("stale", {"newest_complete_at": NOW - timedelta(hours=25)}),
        ("stale", {"newest_complete_at": None}),
        ("future", {"newest_complete_at": NOW + timedelta(minutes=61)}),
        ("partial", {"newest_is_complete": False}),
        ("partial", {"met_share": 0.98}),
        ("quarantine", {"quarantined": {"value": 1}}),
        ("withheld", {"withheld": ("fact_model_daily.download_count",)}),
        ("missing", {"missing": (DAYS[0], DAYS[3])}),
        ("refused", {"refused": (DayWithReason(DAYS[0], "half"),)}),
        ("warnings", {"warnings": (Warned("new value", "x", "y"),)}),
        ("disk", {"disks": (DiskSpace("/", 1, 1.0, 1.0, ("full",)),)}),
        ("failed-run", {"last_run": FAILED}),
        ("failed-run", {"last_run": replace(FAILED, result="refused")}),
        ("failed-run", {"last_run": replace(FAILED, result="complete", error="the watch list")}),
    ],
)
def test_each_problem_is_there_alone(problem, fields):
    assert replace(FINE, **fields).problems == (problem,)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"met_share": None},
        {"met_share": 0.99},
        {"quarantined": None, "withheld": None, "warnings": None, "last_run": None},
        {"newest": DAYS[9], "missing": (DAYS[1],)},  # eight days ago
        {"missing": (DAYS[3],), "excluded": (DAYS[3],)},
        {"last_run": replace(FAILED, result="partial")},
    ],
)
def test_what_is_unknown_old_or_decided_is_no_problem(fields):
    assert replace(FINE, **fields).problems == ()


def test_a_snapshot_that_is_as_it_should_be_is_fresh():
    assert freshness_lines(FINE) == [
        "Newest:    complete snapshot of 2026-01-06 03:00 UTC, 9 h old; fresh (at most 1 d)."
    ]


def test_the_names_of_problems_are_separated_by_commas_and_others_are_refused():
    assert parse_problems("partial, failed-run,") == ("partial", "failed-run")
    with pytest.raises(FailOnError, match="'partail' is no problem: give some of stale, future, partial,"):
        parse_problems("partail")


def test_the_guide_lists_every_problem_and_metric():
    listed = re.findall(r"^\| `([a-z-]+)` \| (.+?)(?: \(always\))? \|$", OPERATIONS, re.MULTILINE)
    assert [each for each in listed if each[0] in PROBLEMS] == [(name, words) for name, (words, _) in PROBLEMS.items()]
    listed = re.findall(r"^\| `(civitai_etl_\w+)` \| (.*?) \| (.+) \|$", OPERATIONS, re.MULTILINE)
    assert listed == [
        (metric.name, ", ".join(f"`{label}`" for label in metric.labels), metric.help) for metric in METRICS
    ]
