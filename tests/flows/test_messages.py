"""Which message is due when: nights as they come, and what is said of them."""

from datetime import UTC, date, datetime

import pytest

from flows.reporting.condition import Condition, DayWithReason, DiskSpace, LastRun
from flows.reporting.messages import Deadline, Said, due

NOON = Deadline(12, "0 3 * * *")
COUNTER = "fact_model_daily.download_count"


def day(number, hour=3, minute=0):
    return datetime(2026, 1, number, hour, minute, tzinfo=UTC)


def run(number, result, error=None, ended=4, again=None):
    """The run of that day in January, which ended at that hour."""
    ended_at = day(number, ended)
    return LastRun(date(2026, 1, number), result, day(number), ended_at, 3600, error, again)


def condition(now, last_run, complete=None, **fields):
    """A catalogue whose newest complete snapshot is of that day."""
    newest = date(2026, 1, complete) if complete else None
    known = {
        "is_published": complete is not None,
        "dates": (newest,) if newest else (),
        "newest": newest,
        "newest_is_complete": True if newest else None,
        "newest_complete": newest,
        "newest_complete_at": day(complete) if complete else None,
    }
    return Condition(now, 129_600, last_run, **(known | fields))


class Person:
    """Whoever gets the messages."""

    def __init__(self, deadline=NOON):
        self.said = Said()
        self.deadline = deadline

    def sees(self, *arguments, **fields):
        """The titles of the messages at one moment, looked at three times."""
        titles = []
        for _ in range(3):
            message, self.said = due(condition(*arguments, **fields), self.said, self.deadline, "here")
            titles += [message.title.removeprefix("civitai-etl ")] if message else []
        return titles


@pytest.fixture
def person():
    return Person()


def test_good_days_are_silent(person):
    for number in range(1, 5):
        assert person.sees(day(number, 4), run(number, "complete"), number) == []
        assert person.sees(day(number, 13), run(number, "complete"), number) == []


@pytest.mark.parametrize(
    ("result", "title"),
    [
        ("failed", "the snapshot failed"),
        ("refused", "the checks refused the date"),
        ("partial", "the snapshot is partial"),
    ],
)
def test_a_bad_day_is_said_once_and_so_is_the_first_good_one_after_it(person, result, title):
    assert person.sees(day(2, 5), run(2, result, "why"), 1) == [f"2026-01-02: {title}"]
    assert person.sees(day(2, 13), run(2, result, "another reason", ended=12), 1) == []
    assert person.sees(day(3, 2), run(2, result, "why"), 1) == []
    assert person.sees(day(3, 5), run(3, "complete"), 3) == ["2026-01-03: good again"]
    assert person.sees(day(4, 5), run(4, "complete"), 4) == []


def test_a_refusal_after_a_message_of_its_date_is_said_for_it_awaits_a_decision(person):
    assert len(person.sees(day(2, 12), run(2, "failed", "why", ended=11, again=day(2, 13)), 1)) == 1
    refused = run(2, "refused", "far fewer models", ended=14)
    assert person.sees(day(2, 14), refused, 1) == ["2026-01-02: the checks refused the date"]
    assert person.sees(day(3, 2), refused, 1) == []


def test_two_bad_days_are_two_incidents_with_one_end(person):
    assert len(person.sees(day(2, 5), run(2, "failed", "why"), 1)) == 1
    assert len(person.sees(day(3, 5), run(3, "partial", "why"), 1)) == 1
    message, person.said = due(condition(day(4, 5), run(4, "complete"), 4), person.said, NOON, "here")
    assert message is not None
    assert "about 2026-01-02, 2026-01-03." in message.body
    assert person.said == Said()


def test_nothing_is_said_of_an_attempt_while_another_one_is_to_come_and_a_night_that_mends_itself_is_silent(person):
    for hour in (3, 5, 8):
        assert person.sees(day(2, hour), run(2, "failed", "why", ended=hour, again=day(2, hour + 1)), 1) == []
    assert person.sees(day(2, 10), run(2, "complete", ended=10), 2) == []


def test_the_hour_ends_the_patience_with_a_night_and_its_end_is_no_second_message(person):
    waiting = run(2, "failed", "no network", ended=11, again=day(2, 12, 20))
    assert person.sees(day(2, 11, 59), waiting, 1) == []
    assert person.sees(day(2, 12), waiting, 1) == ["2026-01-02: no complete snapshot by 12:00 UTC"]
    assert person.sees(day(2, 23), run(2, "failed", "no network", ended=23), 1) == []
    assert person.sees(day(3, 5), run(3, "complete"), 3) == ["2026-01-03: good again"]


def test_a_granted_attempt_that_never_came_is_said_when_its_day_is_over():
    person = Person(deadline=None)
    waiting = run(2, "failed", "no network", ended=22, again=day(2, 23, 20))
    assert person.sees(day(2, 23, 59), waiting, 1) == []
    assert person.sees(day(3, 0), waiting, 1) == ["2026-01-02: the snapshot failed"]


def test_a_night_that_never_began_is_said_at_the_hour(person):
    before = run(1, "complete")
    assert person.sees(day(2, 11, 59), before, 1) == []
    assert person.sees(day(2, 12), before, 1) == ["2026-01-02: no complete snapshot by 12:00 UTC"]
    assert person.sees(day(3, 11), before, 1) == []
    assert person.sees(day(3, 12), before, 1) == ["2026-01-03: no complete snapshot by 12:00 UTC"]
    assert person.sees(day(3, 15), run(3, "complete", ended=14), 3) == ["2026-01-03: good again"]


def test_nothing_is_late_before_anybody_has_begun_or_after_a_person_has_excluded_the_date(person):
    assert person.sees(day(2, 13), None) == []
    assert person.sees(day(2, 13), run(1, "complete"), 1, excluded=(date(2026, 1, 2),)) == []


def test_the_expected_date_is_that_of_the_last_scheduled_time_before_the_hour():
    assert NOON.expected(day(2, 11, 59)) == date(2026, 1, 1)
    assert NOON.expected(day(2, 12)) == date(2026, 1, 2)
    assert Deadline(12, "0 20 * * *").expected(day(2, 12)) == date(2026, 1, 1)
    assert Deadline(12, "0 3 * * 1").expected(day(8, 12)) == date(2026, 1, 5), "Mondays"


def test_withheld_counters_and_a_heavy_quarantine_are_incidents_of_their_own(person):
    withheld = {"withheld": (COUNTER,)}
    heavy = {"quarantined": {"value": 600}, "quarantine_is_heavy": True}
    assert person.sees(day(2, 5), run(2, "withheld"), 2, **withheld) == ["2026-01-02: counters are withheld"]
    assert person.sees(day(2, 6), run(2, "withheld"), 2, **withheld, **heavy) == ["2026-01-02: much is quarantined"]
    assert person.sees(day(3, 5), run(3, "complete"), 3, quarantined={"value": 1}, quarantine_is_heavy=False) == [
        "2026-01-03: good again"
    ]


def test_what_is_wrong_at_once_is_one_message_and_what_a_later_attempt_may_replace_is_none(person):
    bad = {"withheld": (COUNTER,), "newest": date(2026, 1, 2)}
    trying = run(2, "partial", "cut off", again=day(2, 5))
    assert person.sees(day(2, 4, 30), trying, 1, **bad) == []
    assert person.sees(day(2, 6), run(2, "partial", "cut off", ended=6), 1, **bad) == [
        "2026-01-02: the snapshot is partial (and 1 more)"
    ]


def test_a_day_that_failed_and_then_succeeds_with_withheld_counters_is_not_good_again(person):
    assert len(person.sees(day(2, 5), run(2, "failed", "why"), 1)) == 1
    assert person.sees(day(2, 7), run(2, "withheld", ended=7), 2, withheld=(COUNTER,)) == [
        "2026-01-02: counters are withheld"
    ]
    assert person.sees(day(3, 5), run(3, "complete"), 3) == ["2026-01-03: good again"]


def test_an_unfinished_watch_list_is_said(person):
    assert person.sees(day(2, 5), run(2, "complete", "the watch list ..."), 2) == [
        "2026-01-02: the watch list was not looked up"
    ]


def test_a_good_run_before_the_incident_is_not_its_end(person):
    """As when the disk is full: the record is that of the run before."""
    assert len(person.sees(day(2, 5), run(2, "failed", "disk"), 1)) == 1
    assert person.sees(day(2, 6), run(1, "complete"), 1) == []


def test_a_message_says_what_happened_the_numbers_and_what_to_do_in_plain_text():
    known = condition(
        day(2, 5),
        run(2, "partial", "the list /creators\x1b[31m\nended early"),
        1,
        met_share=0.5,
        missing=(date(2025, 12, 31),),
        quarantined={"value": 7, "row": 0},
        warnings=(),
        disks=(DiskSpace("/", 1, 1.0, 1.0, ("/ is full in 1 days: make room.",)),),
        newest_partial=DayWithReason(date(2026, 1, 2), "x"),
    )
    message, _ = due(known, Said(), None, "Data directory: data on here")
    assert message is not None
    assert message.title == "civitai-etl 2026-01-02: the snapshot is partial"
    advice = "`civitai-etl snapshot` on 2026-01-02 (UTC) crawls it again. Otherwise the next snapshot covers the day."
    assert message.body.splitlines() == [
        "The snapshot of 2026-01-02 is published, but partial: the list /creators\\u001b[31m",
        "ended early.",
        "",
        f"What to do: {advice}",
        "",
        "Newest complete snapshot: 2026-01-01",
        "Share of the announced items that the newest crawl met: 50.00%",
        "Days: 1 (partial: 0), missing: 1",
        "Quarantined on 2026-01-01: 7 rows",
        "Warnings on 2026-01-01: 0",
        "Disk: / is full in 1 days: make room.",
        "Data directory: data on here",
    ]
