from datetime import date
from types import SimpleNamespace

import pytest

from flows import report
from pipelines.errors import CivitaiEtlError
from tests.transforms.conftest import Workshop, model


def balance(kind, received, loaded, quarantined=0, duplicates=0):
    return SimpleNamespace(kind=kind, received=received, loaded=loaded, quarantined=quarantined, duplicates=duplicates)


def test_the_balance_is_one_line_per_kind_over_all_dates():
    lines = report.balance_lines([balance("tag", 5, 5), balance("model", 1003, 1000, 2, 1), balance("model", 10, 10)])
    assert lines == [
        "model:       1,013 in = 1,010 out + 2 quarantined + 1 duplicates",
        "tag:             5 in = 5 out + 0 quarantined + 0 duplicates",
    ]


def test_a_balance_that_does_not_add_up_says_so():
    assert "IS NOT" in report.balance_lines([balance("model", 10, 9)])[0]


def test_rows_are_told_dimensions_first_and_added_up_over_the_files_of_a_table(analytics):
    with report.open_analytics(analytics) as connection:
        rows = report.published_rows(connection)
    assert [line.split() for line in report.row_lines(rows)] == [
        ["dim_model", "100"],
        ["fact_model_daily", "1,234"],
        ["ops_snapshot", "4"],
    ]


def test_the_top_base_models_count_the_last_days_only(analytics):
    with report.open_analytics(analytics) as connection:
        week = report.top_base_models(connection, days=7, limit=2)
        newest = report.top_base_models(connection, days=1, limit=1)
    assert [(row.base_model, row.downloads) for row in week] == [("A", 3000), ("B", 1500)]
    assert week[0].share == pytest.approx(0.6)
    assert newest[0].downloads == 1800


def test_a_partial_crawl_says_partial_and_why(analytics):
    with report.open_analytics(analytics) as connection:
        record = report.crawl_record(connection, date(2026, 1, 3))
    assert record.line().startswith("Snapshot 2026-01-03: PARTIAL (the totals changed); 12 pages, 2,400 items, 3.0 MB")


def test_the_markdown_summary_has_balance_and_bars(analytics):
    with report.open_analytics(analytics) as connection:
        built = SimpleNamespace(balances=[balance("model", 3, 3)], warnings=["Much changed."])
        text = report.markdown("A run", "It ran.", built, report.top_base_models(connection))
    assert text.startswith("# A run\n\nIt ran.\n")
    assert "| A | 3,000 | 60.0 % | ████████████████████████ |" in text
    assert "3 in = 3 out" in text
    assert "WARNING: Much changed." in text


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
        pytest.raises(CivitaiEtlError, match=r"cannot be read .*: run `civitai-etl rebuild`, which makes them anew"),
        report.open_analytics(workshop.analytics) as connection,
    ):
        connection.execute("select count(*) from star.dim_model").fetchall()
