"""The policy for answers that stay broken, alone: which records are stepped over, and when they are rejected."""

from datetime import UTC, datetime

import pytest

from pipelines.api.answers import Answer
from pipelines.api.errors import BrokenAnswerError
from pipelines.crawl.broken_records import BROKEN_IN_A_ROW, Suspects


def broken(request: str = "/models/1") -> BrokenAnswerError:
    answer = Answer(b"<html>", datetime(2026, 1, 1, tzinfo=UTC))
    return BrokenAnswerError(f"{request} is broken", request, answer, "500")


def suspects(*requests: str) -> Suspects[str]:
    those = Suspects[str]()
    for request in requests:
        those.add(request, broken(request))
    return those


class Service:
    """Answers some requests; `rejected` are those that the policy gave up."""

    def __init__(self, *answering: str, is_up: bool = True) -> None:
        self.answering = answering
        self.is_up = is_up
        self.asked: list[str] = []
        self.rejected: list[str] = []

    def fetch(self, request: str) -> None:
        self.asked.append(request)
        if request not in self.answering:
            raise broken(request)

    def page(self, request: str) -> str:
        self.fetch(request)
        return f"page of {request}"

    def check(self) -> None:
        self.asked.append("check")
        if not self.is_up:
            raise broken("check")

    def reject(self, request: str, _: BrokenAnswerError) -> None:
        self.rejected.append(request)


def test_one_more_broken_record_than_three_in_a_row_is_the_fault_of_the_service() -> None:
    those = suspects("1", "2", "3")
    with pytest.raises(BrokenAnswerError, match="4 is broken"):
        those.add("4", broken("4"))
    assert those.take_back() == ["1", "2", "3"]
    assert not those


def test_another_request_for_the_same_record_does_not_count() -> None:
    those = suspects(*map(str, range(BROKEN_IN_A_ROW - 1)))
    those.add("same", broken(), same_record=True)
    those.add("last", broken())
    with pytest.raises(BrokenAnswerError):
        those.check(broken())


def test_what_is_still_broken_is_rejected_once_the_service_has_answered_after_it() -> None:
    those, service = suspects("1", "2", "3"), Service("2")
    those.clear_up(service.fetch, service.check, service.reject)
    assert (service.asked, service.rejected) == (["1", "2", "3", "check"], ["1", "3"])
    assert not those


def test_nothing_is_rejected_if_the_service_fails_again_and_what_answered_is_not_fetched_again() -> None:
    those, service = suspects("1", "2", "3"), Service("2", is_up=False)
    with pytest.raises(BrokenAnswerError, match="check"):
        those.clear_up(service.fetch, service.check, service.reject)
    assert (service.rejected, those.take_back()) == ([], ["1", "3"])


def test_no_check_is_made_if_every_record_answers() -> None:
    those, service = suspects("1", "2"), Service("1", "2")
    those.clear_up(service.fetch, service.check, service.reject)
    assert (service.asked, service.rejected) == (["1", "2"], [])


def test_a_list_goes_on_from_the_first_record_that_is_readable_again() -> None:
    those, service = suspects("1", "2", "3"), Service("2", "3")
    assert those.clear_up(service.page, lambda: "another page", service.reject) == "page of 2"
    assert (service.asked, service.rejected) == (["1", "2"], ["1"])
    assert not those


def test_a_second_request_for_a_record_is_not_rejected_as_well() -> None:
    those, service = suspects("1"), Service()
    those.add("same", broken(), same_record=True)
    those.clear_up(service.fetch, service.check, service.reject)
    assert service.rejected == ["1"]
