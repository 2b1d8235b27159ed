"""The notebook's cells over the demo's tables, over days made by hand, over one snapshot and over nothing."""

from datetime import date
from math import ceil

import duckdb
import pytest

from notebooks.creators_and_tags import app

ALL_DAYS = 90  # more than the demo has, so that no flow is divided at the edge of the window
MOST = 10


@pytest.fixture
def run(run_notebook):
    return lambda data_dir, **controls: run_notebook(app, data_dir, **controls)


@pytest.fixture
def star(demo):
    with duckdb.connect(str(demo.directory / "analytics.duckdb"), read_only=True) as connection:
        yield connection


def test_over_the_demo_it_draws_and_writes_every_chart(demo, run):
    _, cells = run(demo.directory)
    names = ("leaders", "concentration", "moved", "rising_tags")
    assert list(cells["pictures"]) == [f"creators_and_tags_{name}" for name in names]
    for name in ("leaders", "concentration", "moved", "rising"):
        assert cells[name].table.height > 1
        assert "nothing to draw" not in cells[name].finding


def test_the_leaders_have_the_flows_of_the_models_that_they_owned(demo, run, star):
    _, cells = run(demo.directory, days=ALL_DAYS, most=MOST)
    expected = star.sql(
        """
        select username, sum(downloads_delta)::double from star.fact_model_daily
        join star.dim_model using (model_key) where username <> '(unknown)' and snapshot_date > date '2026-01-01'
        group by username
        """
    ).fetchall()
    assert len(expected) > 400
    assert dict(cells["leaders"].table.rows()) == dict(expected)


def test_gini_top_and_hhi_are_those_of_the_gains_of_the_creators(demo, run, star):
    gains = star.sql(
        """
        with owners as (select model_id, arg_max(username, valid_from) as username from star.dim_model group by all)
        select version.base_model, owners.username, greatest(sum(fact.downloads_delta), 0)
        from star.fact_model_version_daily as fact
        join star.dim_model_version as version using (version_key)
        join owners on owners.model_id = fact.model_id
        where owners.username <> '(unknown)'
        group by all having count(fact.downloads_delta) > 0
        """
    ).fetchall()
    found = {}
    for measure in ("Gini coefficient", "part of the top 1 %", "HHI"):
        _, cells = run(demo.directory, days=ALL_DAYS, most=MOST, measure=measure, least_creators=20)
        found[measure] = dict(cells["concentration"].table.rows())
    assert len(found["HHI"]) > 10
    for base_model in set(found["HHI"]) - {"(all together)"}:
        of = sorted(float(gain) for name, _, gain in gains if name == base_model)
        apart = sum(abs(one - other) for one in of for other in of)
        assert found["Gini coefficient"][base_model] == pytest.approx(apart / (2 * len(of) * sum(of)))
        assert found["part of the top 1 %"][base_model] == pytest.approx(sum(of[-ceil(len(of) / 100) :]) / sum(of))
        assert found["HHI"][base_model] == pytest.approx(sum((gain / sum(of)) ** 2 for gain in of))
    few = {name for name in {row[0] for row in gains} if sum(row[0] == name for row in gains) < 20}
    assert few.isdisjoint(found["HHI"])


def test_who_moved_is_counted_from_the_dates_of_publication(demo, run, star):
    controls = {"from_base": "SDXL 1.0", "to_base": "Flux.1 D", "since": date(2025, 6, 1)}
    _, cells = run(demo.directory, **controls)
    published = star.sql(
        """
        select username, arg_max(version.base_model, version.valid_from), min(version.published_at)::date
        from star.dim_model_version as version
        join (select model_id, arg_max(username, valid_from) as username from star.dim_model group by all) as owner
            using (model_id)
        where version.published_at is not null and username <> '(unknown)'
        group by username, version_id
        """
    ).fetchall()
    left = both = early = 0
    for creator in {row[0] for row in published}:
        old, new = ([on for name, base, on in published if (name, base) == (creator, which)] for which in
                    ("SDXL 1.0", "Flux.1 D"))  # fmt: skip
        if new and min(new) >= date(2025, 6, 1) and old and min(old) < min(new):
            both += max(old) >= min(new)
            # Thirty days of the demo, up to the 30th of January: who took it up less than 90 days before may come back.
            is_early = (date(2026, 1, 30) - min(new)).days < 90
            left += max(old) < min(new) and not is_early
            early += max(old) < min(new) and is_early
    last = cells["moved"].table.sort("ends").group_by("name", maintain_order=True).last()
    assert min(left, early) > 1
    assert dict(last.select("name", "value").rows()) == {
        "Those who left SDXL 1.0": left,
        "Those who use SDXL 1.0, too": both,
        "Too early to tell": early,
    }


def test_nobody_moved_from_a_base_model_to_itself_and_it_says_what_to_choose(demo, run):
    controls = {"from_base": "Pony", "to_base": "Pony", "since": date(2025, 6, 1)}
    texts, cells = run(demo.directory, **controls)
    assert cells["moved"] is None
    assert any("choose two other base models or an earlier date" in text for text in texts)
    assert "creators_and_tags_moved" not in cells["pictures"]
    assert "creators_and_tags_leaders" in cells["pictures"]


def test_tags_whose_models_are_mostly_not_pg_are_shown_only_if_asked_for(hard_days, run):
    # Every model has "landscape", the odd ones, which are PG, have "sea", the others "boat".
    controls = {"days": 7, "most": MOST, "least_models": 1}
    _, cells = run(hard_days.folder, **controls, mature=False)
    assert set(cells["rising"].table["name"]) == {"landscape", "sea"}
    _, cells = run(hard_days.folder, **controls, mature=True)
    assert set(cells["rising"].table["name"]) == {"landscape", "sea", "boat"}


def test_over_gaps_the_leaders_have_what_their_counters_gained(hard_days, run):
    # In the 7 days to the 16th 12 models of each creator gain one a day, but model 1 gains 100. Model 60, of creator 0,
    # is gone on the 10th.
    texts, cells = run(hard_days.folder, days=7, most=MOST)
    others = {"creator 2": 84, "creator 3": 84, "creator 4": 84}
    assert dict(cells["leaders"].table.rows()) == {"creator 0": 77, "creator 1": 77 + 700} | others
    assert "7 days" in cells["leaders"].finding
    # There are five creators, and only base models of 20 are shown unless somebody chooses fewer.
    assert cells["concentration"] is None
    assert any("No base model has as many creators" in text for text in texts)


def test_over_one_snapshot_it_says_what_is_missing_and_breaks_nowhere(one_day, run):
    texts, cells = run(one_day.folder)
    assert any("there is only one so far" in text for text in texts)
    for name in ("leaders", "concentration", "rising"):
        assert "nothing to draw yet" in cells[name].finding


def test_without_any_data_it_says_what_to_run(tmp_path, run):
    texts, cells = run(tmp_path)
    assert any("No data yet" in text and "civitai-etl snapshot" in text for text in texts)
    assert "leaders" not in cells
