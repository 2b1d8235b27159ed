from datetime import date
from pathlib import Path
from types import SimpleNamespace

import pytest

from flows.reporting import report
from pipelines.errors import CivitaiEtlError
from tests.transforms.conftest import Workshop, model, version


def counts(kind, received, loaded, quarantined=0, duplicates=0):
    return SimpleNamespace(kind=kind, received=received, loaded=loaded, quarantined=quarantined, duplicates=duplicates)


def test_record_counts_are_one_line_per_kind_over_all_dates():
    lines = report.record_count_lines([counts("tag", 5, 5), counts("model", 1003, 1000, 2, 1), counts("model", 10, 10)])
    assert lines == [
        "model:       1,013 in = 1,010 out + 2 quarantined + 1 duplicates",
        "tag:             5 in = 5 out + 0 quarantined + 0 duplicates",
    ]


def test_record_counts_that_do_not_add_up_say_so():
    assert "IS NOT" in report.record_count_lines([counts("model", 10, 9)])[0]


def test_rows_are_told_dimensions_first_and_added_up_over_the_files_of_a_table(analytics):
    with report.open_analytics(analytics) as connection:
        rows = report.published_rows(connection)
    assert [line.split() for line in report.row_lines(rows)] == [
        ["dim_model", "100"],
        ["fact_model_daily", "1,234"],
        ["ops_snapshot", "4"],
    ]


def published(folder: Path, *days: tuple[date, int, int], partial: date | None = None) -> Workshop:
    """A star of two versions, of SDXL 1.0 and of Pony, with their downloads of all time by day."""
    workshop = Workshop(folder)
    for on, sdxl, pony in days:
        workshop.raw.crawl(
            on,
            status="partial" if on == partial else "complete",
            model=[
                model(1, version(10, stats={"downloadCount": sdxl})),
                model(2, version(20, "Pony", stats={"downloadCount": pony})),
            ],
        )
    workshop.build()
    return workshop


def test_the_top_base_models_say_of_what_time_they_are_and_leave_out_a_partial_crawl(tmp_path):
    month_ago, today, tomorrow = date(2026, 1, 1), date(2026, 1, 31), date(2026, 2, 1)
    workshop = published(tmp_path, (month_ago, 100, 50), (today, 3100, 1050), (tomorrow, 9999, 9999), partial=tomorrow)
    with report.open_analytics(workshop.analytics) as connection:
        top = report.top_base_models(connection)
        (first,) = report.top_base_models(connection, limit=1)
    assert [(row.base_model, row.downloads, row.share) for row in top] == [
        ("SDXL 1.0", 3000, 0.75),
        ("Pony", 1000, 0.25),
    ]
    assert report.downloads_title(top) == "Downloads in the 30 days to 2026-01-31"
    assert first == top[0]


@pytest.mark.parametrize("sdxl", [100, 80], ids=["zero", "negative"])
def test_a_total_that_is_not_positive_has_no_shares(tmp_path, sdxl):
    days = (date(2026, 1, 1), 100, 50), (date(2026, 1, 2), sdxl, 50 if sdxl == 100 else 60)
    with report.open_analytics(published(tmp_path, *days).analytics) as connection:
        top = report.top_base_models(connection)
    assert [row.share for row in top] == [None, None]
    assert "%" not in "".join(report.base_model_lines(top))
    assert report.downloads_title(top) == "Downloads in the day to 2026-01-02"


def test_after_one_snapshot_no_downloads_are_told(tmp_path):
    workshop = published(tmp_path, (date(2026, 1, 1), 100, 50))
    with report.open_analytics(workshop.analytics) as connection:
        top = report.top_base_models(connection)
    assert report.downloads_title(top) == "Downloads: unknown before the second complete snapshot"
    assert report.downloads_title([]) == report.downloads_title(top)


def test_a_partial_crawl_says_partial_and_why(analytics):
    with report.open_analytics(analytics) as connection:
        record = report.crawl_record(connection, date(2026, 1, 3))
    assert record.line().startswith("Snapshot 2026-01-03: PARTIAL (the totals changed); 12 pages, 2,400 items, 3.0 MB")


def test_without_a_published_file_the_error_says_what_to_run(tmp_path):
    with (
        pytest.raises(report.NothingPublishedError, match="run `civitai-etl snapshot`"),
        report.open_analytics(tmp_path / "analytics.duckdb"),
    ):
        pass


@pytest.mark.parametrize("spoiled", ["analytics.duckdb", "lake/star"])
def test_tables_that_are_damaged_are_one_line_with_the_way_out(tmp_path, spoiled):
    workshop = Workshop(tmp_path)
    workshop.raw.crawl(date(2026, 1, 1), model=[model(1)])
    workshop.build()
    place = tmp_path / spoiled
    for file in [place] if place.is_file() else place.rglob("*.parquet"):
        file.write_bytes(file.read_bytes()[:100])
    with (
        pytest.raises(CivitaiEtlError, match=r"cannot be read .*: run `civitai-etl rebuild`, which makes them again"),
        report.open_analytics(workshop.analytics) as connection,
    ):
        connection.execute("select count(*) from star.dim_model").fetchall()
