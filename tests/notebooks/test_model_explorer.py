"""The notebook's cells, run by marimo over the demo's tables, days with gaps, one snapshot and nothing."""

from datetime import date

import duckdb
import polars as pl
import pytest

from notebooks.model_explorer import app
from tests.transforms.conftest import Workshop, model, version

#: Downloads and thumbs up of model 1 by day of January. There is no crawl on the 4th. The crawl of the 6th is partial
#: and lacks the model; that of the 8th is partial, has it, and lacks its thumbs. On the 9th its downloads are hidden.
COUNTED = {
    1: (100, 4),
    2: (110, 5),
    3: (125, 5),
    5: (145, 9),
    7: (175, 9),
    8: (176, None),
    9: (None, 12),
    10: (200, 12),
}
PARTIAL = {6, 8}


def harbour(on):
    downloads, thumbs = COUNTED[on]
    stats = {"downloadCount": downloads, "thumbsUpCount": thumbs, "thumbsDownCount": 1}
    first = version(10, "SDXL 1.0", stats=stats | {"downloadCount": downloads and downloads - 10})
    second = version(11, "Pony", name="<b>v2</b>", publishedAt="2026-01-02T12:00:00Z", stats={"downloadCount": on})
    return model(
        1,
        *([first, second] if on > 2 else [first]),
        name="Harbour" if on < 5 else "Harbour *at* dawn",
        creator={"username": "ada"},
        allowNoCredit=on < 7,
        allowCommercialUse=["Image"],
        nsfwLevel=1,
        stats=stats,
    )


OTHERS = [
    model(2, name="Red light", creator={"username": "bob"}, nsfwLevel=16, stats={"downloadCount": 9000}),
    model(3, name="Empty quay", creator={"username": "cleo"}, nsfwLevel=1, modelVersions=[]),
    model(5, name="Marked", creator={"username": "dora"}, nsfwLevel=1, nsfw=True, stats={"downloadCount": 4}),
    model(6, name="Not rated", creator={"username": "dora"}, nsfwLevel=0, stats={"downloadCount": 3}),
]
GONE = model(4, name="Sunken pier", creator={"username": "Ada"}, nsfwLevel=1, stats={"downloadCount": 5000})


@pytest.fixture(scope="module")
def days(tmp_path_factory):
    workshop = Workshop(tmp_path_factory.mktemp("days"))
    for on in (1, 2, 3, 5, 6, 7, 8, 9, 10):
        there = ([harbour(on)] if on in COUNTED else []) + OTHERS + ([GONE] if on < 5 else [])
        status = "partial" if on in PARTIAL else "complete"
        workshop.raw.crawl(date(2026, 1, on), status=status, model=there, buried=(4,) if on == 5 else ())
    workshop.build()
    return workshop.folder


@pytest.fixture
def explore(run_notebook):
    def run_on(data_dir, words="", mature=False, **controls):
        return run_notebook(app, data_dir, words=words, mature=mature, **controls)

    return run_on


def test_over_the_demo_the_charts_are_the_differences_of_the_counters(demo, run_notebook):
    _, cells = run_notebook(app, demo.directory)
    assert sorted(cells["pictures"]) == ["model_explorer_downloads", "model_explorer_opinion"]
    with duckdb.connect(str(demo.directory / "analytics.duckdb"), read_only=True) as star:
        expected = star.execute(
            """
            select snapshot_date, download_count - lag(download_count) over (order by snapshot_date) as downloads,
                thumbs_up_count - lag(thumbs_up_count) over (order by snapshot_date) as thumbs
            from star.fact_model_daily where model_id = ? order by snapshot_date
            """,
            [cells["model_id"]],
        ).fetchall()
        counters = star.execute(
            "select version_id, download_count from star.fact_model_version_daily "
            "where model_id = ? and snapshot_date = '2026-01-30' order by all",
            [cells["model_id"]],
        ).fetchall()
    assert len(expected) == 30
    for name, column in (("downloads", 1), ("opinions", 2)):
        drawn = cells[name].table.filter(pl.col("name") == "The whole model").sort("ends")
        assert drawn.select("ends", "value").rows() == [(row[0], row[column]) for row in expected]
    beside = {
        int(name.split("(")[-1][:-1]): count for name, count in cells["listed"].select("version", "downloads").rows()
    }
    assert sorted(beside.items()) == counters


def test_a_search_finds_names_creators_and_ids_of_now_and_earlier(days, explore):
    def found(words, **options):
        return explore(days, words, **options)[1]["found"]["model_id"].to_list()

    # By downloads; a removed model has no counter of now.
    assert found("", mature=True) == [2, 1, 3, 5, 6, 4]
    assert found("") == [1, 3, 4]
    assert found(" at* DAWN ") == [1]
    assert found("ada") == [1, 4]
    assert found("3") == [3]
    assert found("bob") == []
    assert found("bob", mature=True) == [2]
    assert found("dora") == []


def test_nothing_found_says_what_to_try(days, explore):
    texts, cells = explore(days, "zeppelin")
    assert any("is or was called so" in text and "tick" in text for text in texts)
    assert "downloads" not in cells
    texts, _ = explore(days, "zeppelin", mature=True)
    assert any("is or was called so" in text and "tick" not in text for text in texts)


def test_no_choice_in_the_table_asks_for_one(days, explore):
    _, cells = explore(days)
    texts, cells = explore(days, found=cells["found"], matches=cells["found"].clear())
    assert any("Choose a model" in text for text in texts)
    assert "downloads" not in cells


def test_history_is_told_by_topic(days, explore):
    def told(topic):
        texts, cells = explore(days, "harbour", topic=topic)
        return texts, cells["history"].select("what", "change", "before", "after").rows()

    assert told("names")[1] == [
        ("model", "first seen", None, "Harbour"),
        ("model", "name", "Harbour", "Harbour *at* dawn"),
    ]
    assert told("licence")[1] == [("model", "allow_no_credit", "true", "false")]
    assert [row[0] for row in told("versions")[1]] == ["version 10", "version 11"]
    texts, tags = told("tags")
    assert tags == []
    assert any("No such change since the model was first seen on 2026-01-01" in text for text in texts)


def test_gaps_and_hidden_numbers_are_no_fall(days, explore):
    _, cells = explore(days, "harbour")
    drawn = cells["downloads"].table.filter(pl.col("name") == "The whole model").sort("ends")
    # The 5th, 7th and 10th show what two days gained.
    expected = [None, 10, 15, None, 10, None, 15, 1, None, 12]
    assert drawn["value"].to_list() == expected
    thumbs = cells["opinions"].table.filter(pl.col("name") == "The whole model").sort("ends")
    assert thumbs["value"].to_list() == [None, 1, 0, None, 2, None, 0, None, 1.5, 0]
    status = cells["counters"].filter(pl.col("line") == "The whole model")["status"].to_list()
    assert status == ["complete"] * 3 + ["missing", "complete", "partial", "complete", None, "complete", "complete"]


def test_versions_stand_side_by_side_with_their_main_file(days, explore):
    texts, cells = explore(days, "harbour")
    rows = cells["beside"].select("version", "base_model", "downloads", "main_file").rows()
    assert rows == [("v10 (10)", "SDXL 1.0", 190, "a.safetensors"), ("<b>v2</b> (11)", "Pony", 10, "a.safetensors")]
    assert any("Harbour \\*at\\* dawn" in text or "Harbour *at* dawn" in text for text in texts)
    assert not any("<em>at</em>" in text for text in texts)


def test_a_model_without_versions_and_one_that_is_gone_still_have_charts(days, explore):
    texts, cells = explore(days, "empty quay")
    assert any("lists no version" in text for text in texts)
    assert cells["downloads"].table["name"].unique().to_list() == ["The whole model"]
    texts, cells = explore(days, "sunken pier")
    assert any("removed 2026-01-05" in text for text in texts)
    assert cells["counters"]["snapshot_date"].max() == date(2026, 1, 3)
    assert cells["lines"] == ["The whole model"]


def test_over_a_single_snapshot_it_explains_that_flows_need_two(tmp_path, explore):
    workshop = Workshop(tmp_path)
    workshop.raw.crawl(date(2026, 1, 1), model=[harbour(1)])
    workshop.build()
    _, cells = explore(tmp_path)
    assert "there is only one so far" in cells["downloads"].chart().to_json()
    assert cells["opinions"].finding == "The whole model stands at 4 thumbs up"


def test_without_any_data_it_says_what_to_run(tmp_path, run_notebook):
    texts, cells = run_notebook(app, tmp_path)
    assert any("No data yet" in text and "civitai-etl snapshot" in text for text in texts)
    assert "downloads" not in cells
    assert cells["pictures"] == {}
