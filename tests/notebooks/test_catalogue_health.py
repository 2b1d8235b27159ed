"""The notebook's cells over the demo's tables, over days made by hand, over one snapshot and over nothing."""

from datetime import date, timedelta
from statistics import median

import duckdb
import pytest

from notebooks.catalogue_health import app

MOST = 10
DAYS = (date(2026, 1, 1), date(2026, 1, 30))


@pytest.fixture
def run(run_notebook):
    return lambda data_dir, **controls: run_notebook(app, data_dir, **controls)


@pytest.fixture
def star(demo):
    with duckdb.connect(str(demo.directory / "analytics.duckdb"), read_only=True) as connection:
        yield connection


def test_over_the_demo_it_draws_what_there_is_and_says_what_there_is_not(demo, run):
    texts, cells = run(demo.directory)
    drawn = {name.removeprefix("catalogue_health_") for name in cells["pictures"]}
    assert drawn == {
        *("coverage", "removed", "survival", "scans", "formats", "sizes", "licences", "permissions", "licence_changes"),
    }
    assert any("Nothing was set aside" in text for text in texts)
    assert any("No counter is withheld" in text for text in texts)


def test_files_are_counted_and_measured_as_the_dimension_has_them(demo, run, star):
    _, cells = run(demo.directory, of_type="LORA", scan="pickle", least_versions=5, dates=DAYS, most=50)
    files = star.sql(
        """
        select base_model, format, pickle_scan_result, size_kb,
            version.download_url = dim_file.download_url as is_main
        from star.dim_file join star.dim_model_version as version using (version_id)
        join star.dim_model as model using (model_id)
        where dim_file.removed_on is null and version.is_current and model.is_current and model.type = 'LORA'
        """
    ).fetchall()
    for figure, place in (("formats", 1), ("scans", 2)):
        found = dict(cells[figure].table.rows())
        assert found == {value: sum(row[place] == value for row in files) for value in {row[place] for row in files}}
    sizes = {}
    for base_model, _, _, size, is_main in files:
        if is_main and size is not None:
            sizes.setdefault(base_model, []).append(size / 1024)
    enough = {name: median(of) for name, of in sizes.items() if len(of) >= 5}
    assert dict(cells["main_files"].table.rows()) == pytest.approx(enough)


def test_the_shares_of_permissions_are_those_of_the_licence_mix(demo, run, star):
    _, cells = run(demo.directory)
    found = {(name, on): value for name, on, value in cells["allowed"].table.select("name", "ends", "value").rows()}
    for on in (date(2026, 1, 3), date(2026, 1, 30)):
        for name, condition in (
            ("sell images", "list_contains(allow_commercial_use, 'Image')"),
            ("share derivatives", "allow_derivatives"),
        ):
            ((expected,),) = star.execute(
                f"select sum(models) filter ({condition}) / sum(models) filter ({condition} is not null) "
                "from star.licence_mix(?)",
                [on],
            ).fetchall()
            assert found[name, on] == pytest.approx(expected)


def test_removals_are_counted_once_per_model_by_the_chosen_dimension(demo, run, star):
    _, cells = run(demo.directory, dimension="nsfw", least_watched=1)
    expected = star.sql(
        """
        select first_nsfw::varchar, count(*)::double from (
            select model_id, arg_min(nsfw, valid_from) as first_nsfw, count(removed_on) as removals,
                min(published_at) as published_at
            from star.dim_model group by model_id
        ) where removals > 0 and published_at is not null group by all
        """
    ).fetchall()
    assert dict(cells["removed"].table.rows()) == dict(expected)
    assert cells["staying"].table["value"].max() == 1.0


def test_gaps_partial_and_withheld_days_are_told_and_never_look_like_a_fall(hard_days, run):
    texts, cells = run(hard_days.folder)
    status = dict(cells["frame"].select("snapshot_date", "status").rows())
    odd = {date(2026, 1, 4): "missing", date(2026, 1, 6): "partial", date(2026, 1, 8): "withheld"}
    assert status == {date(2026, 1, 1) + timedelta(n): "complete" for n in range(16)} | odd
    share = dict(cells["observed"].table.select("ends", "value").rows())
    assert share[date(2026, 1, 4)] is None
    assert share[date(2026, 1, 6)] == 0.5
    assert {share[on] for on in share if on not in {date(2026, 1, 4), date(2026, 1, 6)}} == {1.0}
    text = " ".join(" ".join(texts).split())
    assert "have a complete snapshot (1 of them with withheld counters), 1 a partial one, and 1 none" in text


def test_what_was_removed_changed_set_aside_and_withheld_is_counted(hard_days, run):
    _, cells = run(hard_days.folder)
    assert cells["removed"].table.rows() == [("LORA", 1.0)]
    assert cells["changes"].table.rows() == [("allow_commercial_use, looser", 1.0)]
    assert cells["quarantine"].table.rows() == [("model: value", 1.0)]
    assert dict(cells["withheld"].table.rows()) == {
        "fact_model_daily.download_count": 1.0,
        "fact_model_version_daily.download_count": 1.0,
    }
    # One of 60 models, then one of 59; a partial and a missing day have no share.
    images = cells["allowed"].table.filter(name="sell images").sort("ends")["value"].to_list()
    assert images == pytest.approx([0.0] * 3 + [None, 0.0, None, 0.0, 0.0, 1 / 60] + 7 * [1 / 59])


def test_before_anything_happened_it_says_so_for_the_chosen_dates(hard_days, run):
    texts, cells = run(hard_days.folder, dates=(date(2026, 1, 1), date(2026, 1, 3)), most=MOST)
    assert cells["changes"] is cells["quarantine"] is cells["withheld"] is None
    assert any("No licence changed from 2026-01-01 to 2026-01-03" in text for text in texts)


def test_a_range_that_ends_before_it_begins_is_named(hard_days, run):
    texts, cells = run(hard_days.folder, dates=(date(2026, 1, 9), date(2026, 1, 3)), most=MOST)
    assert any("The range ends on 2026-01-03, before it begins on 2026-01-09" in text for text in texts)
    assert "observed" not in cells


def test_over_one_snapshot_it_draws_its_state_and_says_that_nothing_vanished(one_day, run):
    texts, cells = run(one_day.folder)
    assert cells["observed"].table["value"].to_list() == [1.0]
    assert cells["licences"].table.rows() == [("no commercial use", 60.0)]
    assert cells["removed"] is cells["staying"] is None
    assert any("No model was found gone" in text for text in texts)


def test_without_any_data_it_says_what_to_run(tmp_path, run):
    texts, cells = run(tmp_path)
    assert any("No data yet" in text and "civitai-etl snapshot" in text for text in texts)
    assert "observed" not in cells
