"""Dates that are refused, excluded and included: gaps that stay gaps, in every build and rebuild."""

import shutil
from typing import Any

import pytest

from pipelines.progress import Silent
from pipelines.raw import decisions
from pipelines.raw.warehouse import connect
from pipelines.settings import Limits
from tests.transforms.conftest import DAYS, Workshop, model, version
from transforms.continuity import put_back_decisions
from transforms.day_checks import QuarantineError
from transforms.quality.checks import LostRowsError


def whole(downloads: int = 100) -> list[dict[str, Any]]:
    """Twenty models of five versions."""
    return [
        model(
            n,
            *(version(n * 100 + v, stats={"downloadCount": downloads}) for v in range(5)),
            stats={"downloadCount": 500},
        )
        for n in range(1, 21)
    ]


def latest() -> list[dict[str, Any]]:
    """As the service showed them in March 2024: the newest version of each model."""
    return [each | {"modelVersions": each["modelVersions"][:1]} for each in whole()]


def dates(workshop: Workshop) -> list[Any]:
    return [on for (on,) in workshop.sql("SELECT DISTINCT snapshot_date FROM star.fact_model_daily ORDER BY 1")]


def verdicts(workshop: Workshop) -> list[tuple[Any, ...]]:
    return workshop.sql("SELECT crawl_id, verdict FROM star.ops_snapshot ORDER BY 1")


def refused(workshop: Workshop, on: int) -> None:
    """Two whole days before, and a damaged one."""
    workshop.raw.crawl(DAYS[on - 1], model=whole())
    workshop.build()
    workshop.raw.crawl(DAYS[on], model=latest())
    with pytest.raises(LostRowsError, match=f"{DAYS[on]} is refused: it is a gap in the tables, and raw keeps it"):
        workshop.build()


def test_a_healthy_catalogue_recovers_by_itself_and_no_date_is_compared_with_a_refused_one(workshop: Workshop) -> None:
    refused(workshop, 1)
    assert verdicts(workshop) == [("2026-01-01.1", None), ("2026-01-02.1", "refused")]
    workshop.raw.crawl(DAYS[2], model=latest())
    with pytest.raises(LostRowsError, match="had 100 at the complete crawl before"):
        workshop.build()
    workshop.raw.crawl(DAYS[3], model=whole(104))
    assert workshop.build().dates == (DAYS[3],)
    assert dates(workshop) == [DAYS[0], DAYS[3]]
    assert workshop.sql(
        "SELECT day(snapshot_date), version_count, versions_left, versions_entered, downloads_delta, "
        "days_since_previous FROM star.mart_base_model_daily ORDER BY 1"
    ) == [(1, 100, 0, 100, None, None), (4, 100, 0, 0, 400, 3)]
    assert workshop.value("SELECT count(*) FROM star.dim_model_version") == 100, "no version was gone and came back"
    assert workshop.sql("SELECT date, has_snapshot FROM star.dim_date WHERE NOT has_snapshot") == [
        (DAYS[1], False),
        (DAYS[2], False),
    ]
    assert workshop.files() == workshop.rebuild_into("again").files()


def test_a_refusal_is_kept_with_its_reason_and_told_once(workshop: Workshop) -> None:
    refused(workshop, 1)
    assert workshop.sql("SELECT verdict, snapshot_date, crawl_ids, reason[:41] FROM star.ops_decision") == [
        ("refused", DAYS[1], ["2026-01-02.1"], "fact_model_version_daily has 20 rows on 2")
    ]
    assert workshop.value("SELECT verdict_reason FROM star.ops_snapshot WHERE verdict = 'refused'").startswith(
        "fact_model_v"
    )
    assert not workshop.build().published, "it is decided: there is no news"


def test_a_refused_date_that_is_included_counts_and_its_checks_are_waived_in_every_rebuild(workshop: Workshop) -> None:
    refused(workshop, 1)
    workshop.raw.crawl(DAYS[2], model=whole())
    workshop.build()
    decisions.include(workshop.raw.path, DAYS[1], "the service does list less")
    built = workshop.build()
    assert built.dates == tuple(DAYS[:3])
    assert dates(workshop) == DAYS[:3]
    assert workshop.sql("SELECT rule, subject FROM star.ops_warning WHERE rule = 'waived check'") == [
        ("waived check", "2026-01-02")
    ]
    assert workshop.files() == workshop.rebuild_into("again").files()


def test_an_excluded_date_is_a_gap_as_if_it_had_never_been_crawled(workshop: Workshop) -> None:
    for on, models in zip(DAYS, (whole(), latest()[:19], whole(110)), strict=False):
        workshop.raw.crawl(on, model=models, buried=(20,) if len(models) == 19 else ())
        workshop.build(limits=Limits(max_row_fall_share=1))
    assert workshop.value("SELECT count(*) FROM star.dim_model WHERE removed_on IS NOT NULL") == 1
    decisions.exclude(workshop.raw.path, DAYS[1], "half of each model")
    assert workshop.build().dates == (DAYS[0], DAYS[2])
    never = Workshop(workshop.folder / "never")
    never.folder.mkdir()
    for on, models in ((DAYS[0], whole()), (DAYS[2], whole(110))):
        never.raw.crawl(on, model=models)
    never.build()
    assert workshop.files() == never.files()
    assert workshop.files() == workshop.rebuild_into("again").files()
    assert workshop.sql(
        "SELECT verdict, verdict_reason, observations FROM star.ops_snapshot WHERE crawl_id = '2026-01-02.1'"
    ) == [("excluded", "half of each model", 19)]
    decisions.include(workshop.raw.path, DAYS[1], "it was right")
    assert workshop.build(limits=Limits(max_row_fall_share=1)).dates == tuple(DAYS[:3])
    assert workshop.value("SELECT count(*) FROM star.dim_model WHERE removed_on IS NOT NULL") == 1


def test_a_date_that_was_crawled_again_has_the_second_crawl_alone(workshop: Workshop) -> None:
    refused(workshop, 1)
    workshop.raw.crawl(DAYS[1], number=2, model=whole(103))
    workshop.build()
    assert workshop.sql(
        "SELECT sum(download_count), sum(downloads_delta) FROM star.fact_model_version_daily "
        "WHERE snapshot_date = '2026-01-02'"
    ) == [(10300, 300)]
    assert verdicts(workshop) == [("2026-01-01.1", None), ("2026-01-02.1", "refused"), ("2026-01-02.2", None)]
    assert workshop.files() == workshop.rebuild_into("again").files()


def test_a_crawl_that_completes_a_published_date_and_is_refused_leaves_what_was_published(workshop: Workshop) -> None:
    workshop.raw.crawl(DAYS[0], model=whole())
    workshop.raw.crawl(DAYS[1], status="partial", model=whole(101)[:5])
    workshop.build()
    workshop.raw.crawl(DAYS[1], number=2, model=latest())
    with pytest.raises(LostRowsError):
        workshop.build()
    assert verdicts(workshop)[1:] == [("2026-01-02.1", None), ("2026-01-02.2", "refused")]
    assert workshop.value("SELECT count(*) FROM star.fact_model_daily WHERE snapshot_date = '2026-01-02'") == 5
    assert workshop.files() == workshop.rebuild_into("again").files()


def test_a_rebuild_decides_nothing(workshop: Workshop) -> None:
    workshop.raw.crawl(DAYS[0], model=whole())
    workshop.raw.crawl(DAYS[1], model=latest())
    workshop.build(limits=Limits(max_row_fall_share=1))
    before = workshop.files()
    with pytest.raises(LostRowsError, match="Nothing was changed: `civitai-etl include 2026-01-02"):
        workshop.rebuild_into("again")
    assert not workshop.build().published
    assert workshop.files() == before
    decisions.include(workshop.raw.path, DAYS[1], "it is right")
    assert workshop.rebuild_into("once more").files() == before


def test_a_date_whose_records_do_not_fit_does_not_stop_those_after_it(workshop: Workshop) -> None:
    workshop.raw.crawl(DAYS[0], model=[model(1)])
    workshop.build()
    workshop.raw.crawl(DAYS[1], model=[model(1), *(b'{"id": %d, "modelVersions": 5}' % n for n in range(100, 120))])
    with pytest.raises(QuarantineError):
        workshop.build()
    workshop.raw.crawl(DAYS[2], model=[model(1)])
    assert workshop.build().dates == (DAYS[2],)


def test_a_date_without_a_crawl_cannot_be_decided_on(workshop: Workshop) -> None:
    workshop.raw.crawl(DAYS[0], model=whole())
    for decide in (decisions.exclude, decisions.include):
        with pytest.raises(decisions.DecisionError, match="There is no snapshot of 2026-01-02 in the raw data"):
            decide(workshop.raw.path, DAYS[1], "?")


def test_the_only_date_that_is_excluded_leaves_empty_tables(workshop: Workshop) -> None:
    workshop.raw.crawl(DAYS[0], model=whole())
    workshop.build()
    decisions.exclude(workshop.raw.path, DAYS[0], "a rehearsal")
    workshop.build()
    assert workshop.value("SELECT count(*) FROM star.fact_model_daily") == 0
    assert workshop.value("SELECT count(*) FROM star.dim_date") == 0
    assert verdicts(workshop) == [("2026-01-01.1", "excluded")]


def test_two_dates_that_come_at_once_are_judged_one_by_one(workshop: Workshop) -> None:
    workshop.raw.crawl(DAYS[0], model=whole())
    workshop.build()
    workshop.raw.crawl(DAYS[1], model=latest())
    workshop.raw.crawl(DAYS[2], model=whole(102))
    with pytest.raises(LostRowsError, match="2026-01-02 is refused"):
        workshop.build()
    assert dates(workshop) == [DAYS[0], DAYS[2]]
    assert workshop.value("SELECT max(days_since_previous) FROM star.mart_base_model_daily") == 2
    assert not workshop.build().published


def test_decisions_that_a_restored_warehouse_lacks_are_put_back_from_the_tables(workshop: Workshop) -> None:
    for on in DAYS[:2]:
        workshop.raw.crawl(on, model=whole())
    workshop.build()
    backup = workshop.raw.path.with_name("backup")
    shutil.copy(workshop.raw.path, backup)
    decisions.exclude(workshop.raw.path, DAYS[1], "old numbers")
    workshop.raw.crawl(DAYS[2], model=latest())
    with pytest.raises(LostRowsError):
        workshop.build()
    shutil.copy(backup, workshop.raw.path)
    put_back_decisions(workshop.directory, Silent())
    # Of the crawl that raw has; the other one is gone, and another of its number may come.
    with connect(workshop.raw.path) as connection:
        assert [(each.verdict, each.crawl_ids) for each in decisions.decisions(connection)] == [
            ("excluded", ("2026-01-02.1",))
        ]
    put_back_decisions(workshop.directory, Silent())
    workshop.build()
    assert dates(workshop) == [DAYS[0]]
    assert workshop.value("SELECT count(*) FROM star.ops_decision") == 1
