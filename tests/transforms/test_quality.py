"""The quality gate: what stops a publish, what is warned of, and that the old star stays readable."""

from dataclasses import replace
from typing import Any

import polars as pl
import pytest

from pipelines.raw.decisions import include
from pipelines.settings import Limits
from tests.transforms.conftest import DAYS, Workshop, model, version
from transforms.day.changes import Changes
from transforms.quality.checks import BrokenReferenceError, LostRowsError, Reference, references
from transforms.staging.flatten import flatten_models
from transforms.staging.payloads import STAGED_KINDS
from transforms.tables import TABLES

#: A few models are in several ranges.
pytestmark = pytest.mark.usefixtures("ranges_of_dozens")


def catalogue(count: int = 60, **fields: Any) -> list[dict[str, Any]]:
    return [model(number, **fields) for number in range(1, count + 1)]


def test_a_complete_crawl_that_lost_many_versions_is_not_published(workshop: Workshop) -> None:
    """As in March 2024, when the service listed only the latest version of each model for a week."""
    two = [model(n, version(n * 10), version(n * 10 + 1)) for n in range(1, 61)]
    workshop.raw.crawl(DAYS[0], model=two)
    workshop.build()
    workshop.raw.crawl(DAYS[1], model=catalogue())
    with pytest.raises(LostRowsError, match=r"fact_model_version_daily has 60 rows on 2026-01-02, and had 120 at"):
        workshop.build()
    assert workshop.value("SELECT count(*) FROM star.model_version") == 120
    assert workshop.value("SELECT max(snapshot_date) FROM star.fact_model_daily") == DAYS[0]
    # Whoever knows that it is right includes it, and from then on it is not asked about again.
    include(workshop.raw.path, DAYS[1], "it lists less now")
    workshop.build()
    assert workshop.value("SELECT count(*) FROM star.model_version") == 60
    workshop.raw.crawl(DAYS[2], model=catalogue())
    assert workshop.build().dates == (DAYS[2],)


def test_a_partial_crawl_lost_nothing(workshop: Workshop) -> None:
    workshop.raw.crawl(DAYS[0], model=catalogue())
    workshop.raw.crawl(DAYS[1], model=catalogue(5), status="partial")
    workshop.raw.crawl(DAYS[2], model=catalogue())
    assert workshop.build().warnings == ()
    workshop.raw.crawl(DAYS[3], model=catalogue(49))
    assert workshop.build().dates == (DAYS[3],), "a fall of eleven of sixty is within the share"


def test_counters_that_fall_for_many_are_told_and_stay_as_they_are(workshop: Workshop) -> None:
    workshop.raw.crawl(DAYS[0], model=catalogue())
    less = [model(n, stats={"downloadCount": 90}) for n in range(1, 13)]
    workshop.raw.crawl(DAYS[1], model=less + catalogue()[12:])
    warnings = workshop.build().warnings
    told = [line.split(", more")[0] for line in warnings]
    assert told == [
        "fact_model_daily.download_count fell for 12 of the 60 whose flow is known",
        "fact_model_version_daily.download_count fell for 12 of the 60 whose flow is known",
    ]
    assert workshop.sql('SELECT rule, found, "limit", message FROM star.ops_warning') == [
        ("fallen counter", 0.2, 0.05, line) for line in warnings
    ]
    assert workshop.value("SELECT sum(downloads_delta) FROM star.fact_model_daily") == -120


def test_a_column_that_loses_its_values_is_told(workshop: Workshop) -> None:
    workshop.raw.crawl(DAYS[0], model=catalogue(mode="Archived"))
    hidden = [model(n, stats={"downloadCount": None}, mode="Archived") for n in range(1, 21)]
    workshop.raw.crawl(DAYS[1], model=hidden + catalogue(mode=None)[20:])
    subjects = {line.split(" has no value")[0] for line in workshop.build().warnings if " has no value " in line}
    assert subjects == {
        "dim_model.mode",
        "fact_model_daily.download_count",
        "fact_model_version_daily.download_count",
    }


def test_new_base_models_types_and_paths_are_told_once(workshop: Workshop) -> None:
    workshop.raw.crawl(DAYS[0], model=[model(1)])
    assert workshop.build().warnings == (), "at first everything is new"
    new = [model(1), model(2, version(20, "Flux.9 Z"), type="Hologram"), model(3, version(30, "SD 1.5", spin=1))]
    workshop.raw.crawl(DAYS[1], model=new)
    told = workshop.build().warnings
    assert [line.split(". ")[0] for line in told] == [
        "dim_base_model.base_model has a value that is new: Flux.9 Z",
        "dim_base_model.base_model has a value that is new: SD 1.5",
        "dim_model.type has a value that is new: Hologram",
        "model documents have a path that no declaration knows: $.modelVersions[].spin, for example 1",
    ]
    assert "Unclassified" in told[0]
    workshop.raw.crawl(DAYS[2], model=new)
    assert workshop.build().warnings == ()
    assert workshop.sql("SELECT snapshot_date, count(*) FROM star.ops_warning GROUP BY ALL") == [(DAYS[1], 4)]


def test_a_rebuild_tells_the_same(workshop: Workshop) -> None:
    workshop.raw.crawl(DAYS[0], model=catalogue())
    workshop.build()
    workshop.raw.crawl(DAYS[1], model=catalogue(stats={"downloadCount": 1}))
    workshop.build()
    other = workshop.rebuild_into("again")
    assert other.sql("FROM star.ops_warning ORDER BY ALL") == workshop.sql("FROM star.ops_warning ORDER BY ALL")
    assert len(other.sql("FROM star.ops_warning")) == 2


def test_a_value_that_points_nowhere_is_an_orphan_and_none_is_not() -> None:
    reference = Reference("dim_file", "version_id", "dim_model_version", "version_id")
    rows = pl.DataFrame({"version_id": [3, 1, None, 4, 4]})
    assert reference.orphans(rows, pl.DataFrame({"version_id": [1, 2]})).to_list() == [3, 4]


def test_rows_that_point_nowhere_stop_the_publish(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    """No input leads there; a build that forgot the names of its creators does."""
    workshop.raw.crawl(DAYS[0], model=[model(1)])
    workshop.build()
    workshop.raw.crawl(DAYS[1], model=[model(1), model(2, creator={"username": "grace"})])
    monkeypatch.setattr("transforms.day.build_day.build_list", lambda *_: Changes())
    with pytest.raises(BrokenReferenceError, match=r"dim_model.username -> dim_creator.username .* first is 'grace'"):
        workshop.build()
    assert workshop.value("SELECT count(*) FROM star.model") == 1


def test_rows_that_are_only_added_point_somewhere_too(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    """No input leads there; a flatten function that takes images for another version's does."""

    def flatten(documents: pl.DataFrame) -> dict[str, pl.DataFrame]:
        found = flatten_models(documents)
        return found | {"dim_image": found["dim_image"].with_columns(pl.col("version_id") + 1)}

    monkeypatch.setitem(STAGED_KINDS, "model", replace(STAGED_KINDS["model"], flatten=flatten))
    workshop.raw.crawl(DAYS[0], model=[model(1, version(10, images=[{"id": 5}]))])
    with pytest.raises(BrokenReferenceError, match=r"dim_image.version_id -> dim_model_version.version_id .* is 11"):
        workshop.build()


def test_what_hangs_on_rows_that_are_set_aside_points_somewhere_all_the_same(workshop: Workshop) -> None:
    again = version(10, name="other", files=[{"id": 7, "hashes": {"SHA256": "AB"}}], images=[{"id": 5}])
    of_no_file = version(20, files=[{"name": "a", "hashes": {"SHA256": "CD"}}])
    beyond_any_key = [model(10**15), model(4, version(10**15))]
    workshop.raw.crawl(DAYS[0], model=[model(1), model(2, of_no_file), model(3, version(30), again), *beyond_any_key])
    workshop.build(limits=Limits(max_quarantine_share=1.0))
    told = workshop.sql("SELECT kind, entity_id FROM star.ops_quarantine ORDER BY ALL")
    assert told == [
        ("dim_file", "20/null"),
        ("file_hash", "20/null/SHA256/CD/2026-01-01"),
        ("model", "1000000000000000"),
        ("model", "4"),
    ]
    for table in TABLES:
        for reference in references(table):
            query = (
                f"SELECT count(*) FROM star.{reference.table} AS one ANTI JOIN star.{reference.target} AS other "
                f"ON one.{reference.column} = other.{reference.target_column} WHERE one.{reference.column} IS NOT NULL"
            )
            assert workshop.value(query) == 0, str(reference)
