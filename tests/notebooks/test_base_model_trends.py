"""The notebook's cells, run by marimo over the demo's tables, over one snapshot and over nothing."""

import os
import subprocess
import sys
from datetime import date

import duckdb
import pytest

from notebooks import base_model_trends
from notebooks.base_model_trends import app


@pytest.fixture
def run(run_notebook):
    return lambda data_dir, **controls: run_notebook(app, data_dir, **controls)


def test_over_the_demo_it_draws_five_charts_of_the_leading_base_models(demo, run):
    _, cells = run(demo.directory)
    assert len(cells["chosen"]) == 6
    assert cells["base_models"].value == cells["chosen"]
    assert cells["dates"].value[0].isoformat() == "2026-01-01"
    for name in ("downloads", "share", "rating", "versions", "panels"):
        assert "nothing to draw" not in cells[name].finding
        assert cells[name].chart("dark").to_json()


def test_its_flows_add_up_to_the_difference_of_the_counters(demo, run):
    _, cells = run(demo.directory)
    drawn = cells["frame"].select("base_model", "downloads").group_by("base_model").sum()
    with duckdb.connect(str(demo.directory / "analytics.duckdb"), read_only=True) as star:
        expected = star.sql(
            """
            select base_model,
                max_by(download_count, snapshot_date) - min_by(download_count, snapshot_date)
                - sum(downloads_entered - downloads_left + downloads_reclassified + downloads_hidden)
                    filter (snapshot_date > first_date) as downloads
            from star.mart_base_model_daily
            join (select base_model, min(snapshot_date) as first_date from star.mart_base_model_daily group by all)
                using (base_model)
            where first_date = date '2026-01-01'
            group by base_model
            """
        ).fetchall()
    drawn = dict(drawn.rows())
    assert len(expected) > 30
    assert {name: drawn[name] for name, _ in expected} == dict(expected)


def test_without_any_data_it_says_what_to_run(tmp_path, run):
    texts, cells = run(tmp_path)
    assert any("No data yet" in text and "civitai-etl snapshot" in text for text in texts)
    assert "downloads" not in cells


def test_over_a_file_without_a_snapshot_it_says_so_too(demo, tmp_path, run):
    _copy(demo, tmp_path, "false")
    texts, cells = run(tmp_path)
    assert any("has no snapshot yet" in text for text in texts)
    assert "downloads" not in cells


def test_over_a_single_snapshot_it_explains_that_flows_need_two(demo, tmp_path, run):
    _copy(demo, tmp_path, "snapshot_date = date '2026-01-01'")
    _, cells = run(tmp_path)
    assert "there is only one so far" in cells["downloads"].chart().to_json()
    assert "there is only one so far" in cells["share"].chart().to_json()


def test_as_a_script_it_writes_its_charts_into_the_data_directory(hard_days):
    environment = os.environ | {"CIVITAI_ETL_DATA_DIR": str(hard_days.folder)}
    script = [sys.executable, base_model_trends.__file__]
    ended = subprocess.run(script, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    folder = hard_days.folder / "charts"
    names = {f"base_model_trends_{name}" for name in ("downloads", "share", "rating", "versions", "panels")}
    assert {file.name for file in folder.iterdir()} == {f"{name}.{kind}" for name in names for kind in ("png", "html")}
    assert "downloads a day" in (folder / "base_model_trends_downloads.html").read_text()


CONTROLS = {"grain": None, "form": "absolute", "log": False}


def test_a_range_that_ends_before_it_begins_is_named_and_nothing_breaks(demo, run):
    reversed_ = {"dates": (date(2026, 1, 20), date(2026, 1, 10)), "base_models": ["Flux.1 D"]}
    texts, cells = run(demo.directory, **reversed_, **CONTROLS)
    assert any("The range ends on 2026-01-10, before it begins on 2026-01-20" in text for text in texts)
    assert "downloads" not in cells


def test_base_models_may_be_called_like_the_grey_part_or_nothing(demo, tmp_path, run):
    _copy(demo, tmp_path, "true")
    with duckdb.connect(str(tmp_path / "analytics.duckdb")) as copy:
        for was, now in (("Pony", "other base models"), ("SD 1.5", "")):
            copy.execute("update star.mart_base_model_daily set base_model = ? where base_model = ?", [now, was])
    days = (date(2026, 1, 1), date(2026, 1, 30))
    _, odd = run(tmp_path, dates=days, base_models=["other base models", "", "Flux.1 D"], **CONTROLS)
    _, plain = run(demo.directory, dates=days, base_models=["Pony", "SD 1.5", "Flux.1 D"], **CONTROLS)
    for name in ("downloads", "share", "rating", "versions"):
        assert odd[name].chart().to_json()
        odd_values, plain_values = (sorted(of[name].table["value"].drop_nulls()) for of in (odd, plain))
        assert odd_values == pytest.approx(plain_values)


def _copy(demo, directory, condition):
    with duckdb.connect(str(directory / "analytics.duckdb")) as copy:
        copy.execute(f"attach '{demo.directory / 'analytics.duckdb'}' as demo (read_only)")
        copy.execute("create schema star")
        copy.execute(
            "create table star.dim_date as from (select *, date as snapshot_date from demo.star.dim_date) "
            f"where {condition}"
        )
        for table in ("mart_base_model_daily", "fact_model_version_daily"):
            copy.execute(f"create table star.{table} as from demo.star.{table} where {condition}")
        copy.execute("create table star.dim_model_version as from demo.star.dim_model_version")
