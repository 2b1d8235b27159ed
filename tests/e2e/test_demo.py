import json
import re
import shutil

import duckdb

from transforms.tables import TABLES


def test_the_demo_takes_less_than_three_minutes_and_goes_on_where_it_was(demo):
    assert re.search(
        r"^29 simulated days, 2026-01-01 to 2026-01-29; 29 of them new; (\d+ min)?( ?\d+ s)?\.$",
        demo.cut_short.stdout,
        re.MULTILINE,
    )
    assert demo.cpu_seconds < 180, "by the clock it takes longer where others are at work"
    assert "30 simulated days, 2026-01-01 to 2026-01-30; 1 of them new" in demo.whole.stdout


def test_its_summary_tells_what_the_tables_hold(demo):
    with duckdb.connect(str(demo.directory / "analytics.duckdb"), read_only=True) as star:
        told = dict(re.findall(r"^([a-z]+_\w+) +([\d,]+)$", demo.whole.stdout, re.MULTILINE))
        assert told.keys() == {table.table_name() for table in TABLES}
        for table, rows in told.items():
            assert star.execute(f"select count(*) from star.{table}").fetchone()[0] == int(rows.replace(",", ""))
        top = star.execute(
            """
            select base_model, sum(downloads_delta)::bigint from star.mart_base_model_daily
            where snapshot_date between date '2026-01-24' and date '2026-01-30' group by all order by 2 desc limit 3
            """
        ).fetchall()
    for base_model, downloads in top:
        assert re.search(rf"^{re.escape(base_model)} +{downloads:,} ", demo.whole.stdout, re.MULTILINE)


def test_it_leaves_a_chart_as_png_and_as_html_and_says_where(demo):
    png, html = (demo.directory / "charts" / f"downloads_by_base_model.{ending}" for ending in ("png", "html"))
    assert png.read_bytes().startswith(b"\x89PNG")
    assert "Flux.1 D" in html.read_text()
    assert str(png) in demo.whole.stdout
    assert str(html) in demo.whole.stdout


def test_it_touches_nothing_but_its_own_directory(demo):
    assert [path.name for path in demo.place.iterdir()] == ["demo"]


def test_a_finished_demo_runs_again_without_a_service(demo):
    again = demo.run()
    assert again.returncode == 0
    assert "30 simulated days, 2026-01-01 to 2026-01-30; 0 of them new" in again.stdout


def test_a_demo_with_another_catalogue_does_not_mix(demo):
    ended = demo.run("--models", "100")
    assert ended.returncode == 1
    assert "holds snapshots of 2,000 models" in ended.stderr
    assert json.loads((demo.directory / "demo.json").read_text())["models"] == 2000


def test_a_directory_with_snapshots_of_a_real_service_is_refused(demo):
    real = demo.directory.with_name("real")
    real.mkdir()
    try:
        shutil.copy(demo.directory / "demo.json", real)
        with duckdb.connect(str(real / "warehouse.duckdb")) as warehouse:
            warehouse.execute("create schema raw")
            warehouse.execute("create table raw.snapshots as select 'https://civitai.com/api/v1' as api_url")
        ended = demo.run(data_dir="real")
        assert ended.returncode == 1
        assert "holds snapshots of https://civitai.com/api/v1" in ended.stderr
        assert "--data-dir" in ended.stderr
    finally:
        shutil.rmtree(real)
