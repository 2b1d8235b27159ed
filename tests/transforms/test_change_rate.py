"""A service that changes all documents at once is told of, with the paths that did it."""

from datetime import date
from typing import Any

import pytest

from pipelines.settings import Limits
from tests.transforms.conftest import DAYS, Workshop, model, version
from transforms.staging.change_rate import REWRITTEN, changed_paths


def changes(workshop: Workshop) -> list[str]:
    """What a build warns of, but for paths that are met for the first time."""
    return [line for line in workshop.build().warnings if " documents changed " in line]


def catalogue(**changes: Any) -> list[dict[str, Any]]:
    return [model(number, **changes) for number in range(1, 61)]


def test_a_counter_that_nobody_declared_is_warned_of_by_its_path(workshop: Workshop) -> None:
    workshop.raw.crawl(DAYS[0], model=[model(n, version(n * 10, viewCount=n)) for n in range(1, 61)])
    assert changes(workshop) == []
    workshop.raw.crawl(DAYS[1], model=[model(n, version(n * 10, viewCount=n + 1)) for n in range(1, 61)])
    (warning,) = changes(workshop)
    assert warning.startswith(f"60 of 60 model documents changed by {DAYS[1]}, more than the share of 20%")
    assert warning.endswith("Of 60 that were compared, it was: $.modelVersions[].viewCount (60).")


def test_the_warning_has_the_same_words_whenever_it_is_made(workshop: Workshop) -> None:
    # `compact` compares it with that of a rebuild, and Python's sets have another order in every process.
    for day, number in ((DAYS[0], 1), (DAYS[1], 2)):
        counts = dict.fromkeys("hgfedcba", number)
        workshop.raw.crawl(day, model=[model(n, version(n * 10, **counts)) for n in range(1, 61)])
        warnings = changes(workshop)
    assert warnings[0].endswith("it was: " + ", ".join(f"$.modelVersions[].{name} (60)" for name in "abcde") + ".")


@pytest.mark.parametrize(("changed", "warned"), [(12, False), (13, True)])
def test_a_fifth_of_the_documents_may_change_in_a_day(workshop: Workshop, changed: int, warned: bool) -> None:
    workshop.raw.crawl(DAYS[0], model=catalogue())
    new = [model(number) for number in range(100, 200)]
    workshop.raw.crawl(DAYS[1], model=[*catalogue(name="another")[:changed], *catalogue()[changed:], *new])
    warnings = workshop.build().warnings
    assert [line.split(" documents")[0] for line in warnings] == ([f"{changed} of 60 model"] if warned else [])
    # A rebuild judges what it makes anew.
    other = workshop.rebuild_into("again")
    assert other.sql("SELECT count(*) FROM star.fact_model_daily") == [(220,)]


def test_the_share_is_a_setting_and_a_handful_is_none(workshop: Workshop) -> None:
    workshop.raw.crawl(DAYS[0], model=catalogue()[:10], enum=[{"ModelType": ["LORA"]}])
    workshop.raw.crawl(DAYS[1], model=catalogue(name="b")[:10], enum=[{"ModelType": ["LORA", "VAE"]}])
    assert workshop.build().warnings == ()
    workshop.raw.crawl(DAYS[2], model=catalogue(name="b"))
    workshop.raw.crawl(DAYS[3], model=catalogue(name="c"))
    assert workshop.build(limits=Limits(max_change_share=1.0)).warnings == ()


def test_days_that_were_judged_already_are_not_told_of_again(workshop: Workshop) -> None:
    for day, name in zip(DAYS[:3], "abb", strict=False):
        workshop.raw.crawl(day, model=catalogue(name=name))
        told = [str(DAYS[1]) in line for line in workshop.build().warnings]
        assert told == ([True] if day == DAYS[1] else [])


def test_paths_are_counted_once_a_document_and_another_order_of_keys_is_said_to_be_that() -> None:
    assert changed_paths(
        [
            ('{"a":[{"b":1},{"b":2}],"c":3}', '{"a":[{"b":2},{"b":1},{"b":9}],"c":3}'),
            ('{"a":1,"c":null}', '{"a":"1"}'),
            ('{"a":1,"c":2}', '{"c":2,"a":1}'),
            ("no JSON", '{"a":1}'),
        ]
    ) == {"$.a[].b": 1, "$.a[]": 1, "$.a": 1, REWRITTEN: 1, "$": 1}


def test_a_record_that_was_set_aside_has_nothing_to_be_compared_with(workshop: Workshop) -> None:
    broken = [{"id": number, "modelVersions": 5} for number in range(1, 12)]
    workshop.raw.crawl(date(2026, 1, 1), model=broken + catalogue()[11:])
    workshop.raw.crawl(date(2026, 1, 2), model=catalogue())
    assert workshop.build(limits=Limits(max_quarantine_share=1.0, max_change_share=0.0)).warnings == ()
