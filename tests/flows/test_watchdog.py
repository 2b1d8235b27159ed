"""What counts as amiss, and for how long it has to be."""

from datetime import UTC, datetime, timedelta

import pytest

from flows.cli.watchdog import Seen, ServerLog, amiss, failing_services, lasting

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
WELL = Seen("daily_snapshot/daily", crons=("0 3 * * *",), next_run=NOW + timedelta(hours=15))
ON_DEMAND = Seen("rebuild/on-demand")
ERROR = (
    "15:43:52.202 | ERROR   | docket.dependencies - ↩ [    11ms] schedule_deployments(){schedule_deployments}\n"
    "Traceback (most recent call last):\n"
    "sqlalchemy.exc.InvalidRequestError: no\n"
)


@pytest.mark.parametrize(
    ("seen", "sentence"),
    [
        (WELL, None),
        (ON_DEMAND, None),
        (Seen("a/b", is_registered=False), "a/b is not registered at the Prefect server"),
        (Seen("a/b", crons=("0 3 * * *",)), "a/b has a schedule but no next run"),
        # The server does not look so far ahead.
        (Seen("a/b", crons=("0 3 1 6 *",)), None),
        (
            Seen("a/b", overdue=NOW - timedelta(seconds=30)),
            "a/b was due at 2026-11-25 11:59:30 UTC and has not begun",
        ),
    ],
)
def test_schedules_have_a_next_run_and_runs_begin_when_they_are_due(seen, sentence):
    assert amiss([WELL, ON_DEMAND, seen], NOW) == ({sentence} if sentence else set())


def test_a_run_may_wait_while_another_one_is_at_work():
    late = Seen("refresh/hourly", overdue=NOW - timedelta(minutes=30))
    assert amiss([late], NOW)
    assert not amiss([late, Seen("daily_snapshot/daily", is_running=True)], NOW)


def test_what_was_well_in_between_begins_anew():
    since = lasting({}, {"a", "b"}, 10)
    since = lasting(since, {"b"}, 20)
    assert lasting(since, {"a", "b"}, 30) == {"a": 30, "b": 10}


def test_a_service_that_reports_errors_is_named_by_its_function_or_its_part():
    log = ERROR + "15:43:53.202 | ERROR   | prefect.server.services.task_run_recorder - Error during periodic flush\n"
    assert failing_services(log) == {"schedule_deployments", "prefect.server.services.task_run_recorder"}
    for harmless in (
        ERROR.replace("ERROR", "WARNING"),
        "15:43:52.202 | ERROR   | prefect.server - Encountered exception in request: docket\n",
    ):
        assert failing_services(harmless) == set()


def test_the_log_is_read_on_and_an_error_counts_for_a_while(tmp_path):
    path = tmp_path / "server.log"
    path.write_text(ERROR)
    log = ServerLog(path)
    assert [sentence for sentence in log.amiss(0) if "schedule_deployments" in sentence]
    assert log.amiss(80)
    assert not log.amiss(100)
    half, rest = ERROR[:70], ERROR[70:]
    with path.open("a") as file:
        file.write(half)
    assert not log.amiss(110)
    with path.open("a") as file:
        file.write(rest)
    assert log.amiss(120)
