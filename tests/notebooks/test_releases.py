"""The notebook's cells, run by marimo over the demo's tables, days with gaps, one snapshot and nothing."""

import statistics
from datetime import date, timedelta

import duckdb
import polars as pl
import pytest

from flows.reporting import charts
from notebooks.releases import app
from tests.transforms.conftest import Workshop, model, version

#: Days of January with a complete crawl: a gap from the 8th to the 12th.
CRAWLED = [*range(1, 8), *range(13, 27)]
#: Versions by base model and day of publication; each gains as many downloads a day as its number among them.
PUBLISHED = {"Flux.1 D": [2, 3, 4], "SDXL 1.0": [-40, 5, 6, 14], "": [-3]}


def crawled(on):
    listed = []
    for place, (base_model, days) in enumerate(PUBLISHED.items()):
        for number, published in enumerate(days, 1):
            if published < on:
                at = date(2026, 1, 1) + timedelta(days=published - 1)
                stats = {"downloadCount": 100 * number * min(on - published, 8) if published > 0 else 50 + on}
                id_ = 100 * (place + 1) + number
                of = version(10 * id_, base_model, stats=stats, publishedAt=f"{at}T12:00:00Z")
                listed.append(model(id_, of, creator={"username": f"creator {number}"}, nsfwLevel=1, stats=stats))
    return listed


@pytest.fixture(scope="module")
def days(tmp_path_factory):
    workshop = Workshop(tmp_path_factory.mktemp("days"))
    for on in CRAWLED:
        workshop.raw.crawl(date(2026, 1, on), model=crawled(on))
    workshop.build()
    return workshop.folder


@pytest.fixture
def releases(run_notebook):
    def run_on(data_dir, **controls):
        return run_notebook(app, data_dir, **controls)

    return run_on


def of(figure, name):
    """The numbers of a name in the order in which they are drawn."""
    return figure.table.filter(pl.col("name") == name)["value"].to_list()


def test_over_the_demo_its_curves_are_the_medians_of_the_facts(demo, releases):
    _, cells = releases(demo.directory)
    assert sorted(cells["pictures"]) == [
        f"releases_{name}" for name in ("adoption", "curves", "half_life", "time_to_downloads")
    ]
    assert len(cells["chosen"]) == 4
    with duckdb.connect(str(demo.directory / "analytics.duckdb"), read_only=True) as star:
        facts = star.sql(
            "select snapshot_date, version_id, download_count from star.fact_model_version_daily "
            "where download_count is not null"
        ).pl()
        history = star.sql(
            "select version_id, base_model, valid_from, published_at::date as published_on from star.dim_model_version"
        ).pl()
    versions = history.group_by("version_id").agg(
        pl.col("base_model").sort_by("valid_from").last(), pl.col("published_on").min(), pl.col("valid_from").min()
    )
    # Every day has a complete crawl: versions of that day or the day before were watched from their beginning.
    young = versions.filter(
        pl.col("valid_from") > date(2026, 1, 1), (pl.col("valid_from") - pl.col("published_on")).dt.total_days() <= 1
    )
    ages = facts.join(young, on="version_id").with_columns(
        age=(pl.col("snapshot_date") - pl.min_horizontal("published_on", "valid_from")).dt.total_days()
    )
    for name in cells["chosen"]:
        expected = (
            ages.filter(pl.col("base_model") == name)
            .group_by("age")
            .agg(pl.len(), pl.col("download_count").median())
            .filter(pl.col("len") >= 10)
            .sort("age")
        )
        drawn = cells["releases"].table.filter(pl.col("name") == name).drop_nulls("value")
        assert drawn.select(pl.nth(1).cast(pl.Int64), "value").rows() == expected.select("age", "download_count").rows()
        published = versions.filter(pl.col("base_model") == name)["published_on"].sort()
        on_time = published.filter(published < published[0] + timedelta(weeks=52))
        assert max(of(cells["adoption"], name)) == len(on_time)


def test_a_control_says_how_many_downloads_and_which_part(demo, releases):
    def bars(target, part):
        texts, cells = releases(demo.directory, target=target, part=part)
        return "".join(texts), cells["time_to_downloads"].table

    texts, few = bars(50, "half")
    assert "came to 50 downloads" not in texts
    assert "were seen to come to 50 downloads" in texts
    assert few.height > 5
    texts, none = bars(9_000_000, "three quarters")
    assert none.is_empty()
    assert "come to 9,000,000 downloads: choose fewer" in texts
    _, emptied = bars(None, "a quarter")
    with duckdb.connect(str(demo.directory / "analytics.duckdb"), read_only=True) as star:
        expected = star.sql(
            "select base_model, days_lower_quartile from star.time_to_downloads(1000) where base_model is not null "
            "and versions >= 10 and days_lower_quartile is not null"
        ).fetchall()
    assert sorted(emptied.rows()) == sorted(expected)


def test_ages_and_weeks_that_nobody_observed_are_gaps(days, releases):
    _, cells = releases(days, base_models=["Flux.1 D", "SDXL 1.0", ""], fewest=1)
    expected = []
    for age in range(25):
        there = [number for number, published in enumerate(PUBLISHED["Flux.1 D"], 1) if published + age in CRAWLED]
        expected.append(statistics.median(100 * number * min(age, 8) for number in there) if age and there else None)
    assert of(cells["releases"], "Flux.1 D") == expected
    assert expected[5:9] == [500, None, None, None]
    # Weeks from the 2nd: downloads until the 8th are known by the share of the gap.
    downloads = charts.Measure("downloads", "Downloads", "downloads", whole=True)
    _, cells = releases(days, base_models=["Flux.1 D"], fewest=1, adopted=downloads, until_week=None, log_adopted=False)
    known = of(cells["adoption"], "Flux.1 D")
    assert [value is None for value in known] == [False, False, False, True]
    assert cells["weeks"]["versions_total"].to_list() == [3, 3, 3, 3]


def test_too_few_versions_say_what_to_do(days, releases):
    texts, cells = releases(days, base_models=["Flux.1 D"], fewest=40)
    for sentence in ("At no age were so many versions observed", "No half-life is known yet", "Of no base model"):
        assert any(sentence in text for text in texts)
    assert cells["adoption"].table.height > 0
    texts, cells = releases(days, base_models=[], fewest=1)
    assert any("Choose at least one base model" in text for text in texts)
    assert "releases" not in cells


def test_over_a_single_snapshot_it_says_what_is_missing(tmp_path, releases):
    workshop = Workshop(tmp_path)
    workshop.raw.crawl(date(2026, 1, 7), model=crawled(7))
    workshop.build()
    texts, cells = releases(tmp_path)
    for sentence in ("At no age were so many versions observed", "No half-life is known yet", "Of no base model"):
        assert any(sentence in text and "more snapshots" in text for text in texts)
    assert of(cells["adoption"], "Flux.1 D") == [3]
    assert len(cells["pictures"]) == 4


def test_without_any_data_it_says_what_to_run(tmp_path, releases):
    texts, cells = releases(tmp_path)
    assert any("No data yet" in text and "civitai-etl snapshot" in text for text in texts)
    assert cells["pictures"] == {}
