"""What holds across ranges of ids, which are three models wide here (`conftest.narrow_ranges`)."""

from pathlib import Path

import pytest

from tests.transforms.conftest import DAYS, Workshop, model, version
from transforms.lake import release
from transforms.staging import exchange

#: A few models are in several ranges.
pytestmark = pytest.mark.usefixtures("narrow_ranges")


def test_a_version_that_moves_to_another_range_takes_its_counters_and_files_along(workshop: Workshop) -> None:
    stated = f"{DAYS[0]}T01:00:00.000Z"
    workshop.raw.crawl(DAYS[0], model=[model(1, version(77, publishedAt=stated)), model(9)])
    workshop.build()
    grown = version(77, publishedAt=stated, stats={"downloadCount": 107})
    workshop.raw.crawl(DAYS[1], model=[model(1, modelVersions=[]), model(9, version(90), grown)])
    workshop.build()
    flows = "SELECT model_id, downloads_delta FROM star.fact_model_version_daily WHERE version_id = 77 ORDER BY ALL"
    assert workshop.sql(flows) == [(1, None), (9, 7)]
    held = "SELECT model_id, day(valid_from), day(valid_to) FROM star.dim_model_version WHERE version_id = 77"
    assert workshop.sql(f"{held} ORDER BY valid_from") == [(1, 1, 2), (9, 2, None)]
    files = "SELECT day(first_seen_on), removed_on FROM star.dim_file WHERE version_id = 77"
    assert workshop.sql(files) == [(1, None)]
    # A second row would be a second version in `half_life`.
    assert workshop.sql("SELECT version_id FROM build.fading WHERE version_id = 77") == [(77,)]
    assert workshop.rebuild_into("again").files() == workshop.files()


def test_versions_of_a_range_without_records_stay_in_the_stock_of_the_mart(workshop: Workshop) -> None:
    workshop.raw.crawl(DAYS[0], model=[model(1), model(9)])
    workshop.raw.crawl(DAYS[1], model=[model(1)])
    workshop.build()
    stocks = (
        "SELECT version_count, versions_left, download_count FROM star.mart_base_model_daily ORDER BY snapshot_date"
    )
    assert workshop.sql(stocks) == [(2, 0, 200), (2, 0, 200)]


def test_rows_of_ranges_without_news_count_in_the_share_of_nulls(workshop: Workshop) -> None:
    workshop.raw.crawl(DAYS[0], model=[model(number, mode="Archived") for number in range(1, 61)])
    workshop.raw.crawl(
        DAYS[1], model=[model(number, mode=None if number < 13 else "Archived") for number in range(1, 61)]
    )
    workshop.build()
    assert workshop.sql("SELECT subject, found FROM star.ops_warning WHERE rule = 'share of nulls'") == [
        ("dim_model.mode", 0.2)
    ]


def test_a_change_writes_the_file_of_its_ranges_and_leaves_the_others_alone(workshop: Workshop) -> None:
    def files() -> set[tuple[str, int]]:
        found = workshop.sql("SELECT path FROM star.manifest WHERE table_name = 'dim_model' AND part = 'open'")
        return {(path, Path(path).stat().st_ino) for (path,) in found}

    models = [model(number) for number in range(1, 61)]
    workshop.raw.crawl(DAYS[0], model=models)
    workshop.build()
    before = files()
    workshop.raw.crawl(DAYS[1], model=[model(1, nsfwLevel=3), *models[1:]])
    workshop.build()
    assert len(before) == len(files()) > 2
    assert len(before - files()) == 1
    assert workshop.value("SELECT nsfw_level FROM star.model WHERE model_id = 1") == 3


def test_what_memory_does_not_hold_goes_over_the_disk_and_gives_the_same_files(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, on in enumerate(DAYS[:3]):
        workshop.raw.crawl(on, model=[model(each, nsfwLevel=each + number) for each in range(1, 9)])
    workshop.build()
    monkeypatch.setattr(exchange, "HELD_BYTES", 0)
    monkeypatch.setattr(release, "KEPT_BYTES", 0)
    monkeypatch.setattr(release, "KEPT_SHARE", 0)
    spilled = workshop.rebuild_into("again")
    assert spilled.files() == workshop.files()
    assert sorted(path.name for path in spilled.lake.iterdir()) == ["star", "state"]


def test_a_day_without_news_leaves_the_files_of_the_dimensions(workshop: Workshop) -> None:
    def files() -> set[str]:
        rows = workshop.sql("SELECT path FROM build.manifest WHERE part IN ('open', 'whole') ORDER BY ALL")
        return {path for (path,) in rows if "/ops_" not in path and "/dim_date/" not in path}

    models = [model(number) for number in range(1, 9)]
    for on in DAYS[:2]:
        workshop.raw.crawl(on, model=models)
        workshop.build()
    before = files()
    workshop.raw.crawl(DAYS[2], model=models)
    workshop.build()
    changed = {Path(path).parent.name for path in before ^ files()}
    assert changed <= {"state_fact_model_daily", "state_fact_model_version_daily", "state_fact_image_daily"}
