import json
import os
import subprocess

import duckdb
import pytest

from flows.reporting.query import QueryError, answer

QUERY = "select snapshot_date, base_model, approval_rate from star.mart_base_model_daily order by all limit 2"


def test_csv_and_json_keep_null_apart_from_zero(analytics, capsysbinary):
    answer(analytics, QUERY, "csv", None)
    assert capsysbinary.readouterr().out == (b"snapshot_date,base_model,approval_rate\n2026-01-01,A,\n2026-01-01,B,\n")
    answer(analytics, QUERY, "json", None)
    assert json.loads(capsysbinary.readouterr().out)[0] == {
        "snapshot_date": "2026-01-01",
        "base_model": "A",
        "approval_rate": None,
    }


def test_parquet_goes_into_a_file_with_its_types(analytics, tmp_path):
    output = tmp_path / "out" / "answer.parquet"
    output.parent.mkdir()
    answer(analytics, QUERY, "parquet", output)
    types = duckdb.sql(f"describe from '{output}'").fetchall()
    assert [row[1] for row in types] == ["DATE", "VARCHAR", "DOUBLE"]
    assert list(output.parent.iterdir()) == [output]


def test_the_format_for_reading_shows_every_column(analytics, capsys):
    answer(analytics, "from star.mart_base_model_daily limit 1", "table", None)
    shown = capsys.readouterr().out
    assert "approval_lower_bound" in shown
    assert "null" in shown


def test_a_query_that_duckdb_refuses_is_one_line_with_its_hint(analytics):
    with pytest.raises(QueryError) as error:
        answer(analytics, "select base_modl from star.mart_base_model_daily", "csv", None)
    assert "base_model" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_failed_query_leaves_the_old_file_as_it_was(analytics, tmp_path):
    output = tmp_path / "answer.csv"
    output.write_text("yesterday")
    with pytest.raises(QueryError):
        answer(analytics, "select error('boom') from star.mart_base_model_daily", "csv", output)
    assert output.read_text() == "yesterday"


@pytest.mark.parametrize(
    "query",
    [
        "create table star.mine as select 1",
        "create temp table mine as select 1",
        "copy (select 1) to '{0}'",
        "copy (pivot (select 1 as a) on a) to '{0}'",
        "explain analyze copy (select 1) to '{0}'",
        "attach '{0}' as mine",
        "export database '{0}'",
        "install httpfs",
        "set log_query_path = '{0}'",
        "select 1; copy (select 1) to '{0}'",
        "",
    ],
)
def test_nothing_can_be_written_through_a_query(analytics, tmp_path, query):
    before = set(tmp_path.iterdir())
    with pytest.raises(QueryError, match="read-only"):
        answer(analytics, query.format(tmp_path / "mine"), "csv", None)
    assert set(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    "query",
    [
        "from star.dim_date",
        "select 1; -- one",
        "with a as (select 1 as b) from a",
        "show all tables",
        "describe star.dim_date",
        "summarize star.dim_date",
        "values (1)",
        "explain select 1",
        "explain analyze from star.dim_date",
        "pivot star.dim_date on is_complete",
        "from (pivot star.dim_date on is_complete)",
    ],
)
def test_whatever_reads_is_answered(analytics, capsys, query):
    answer(analytics, query, "csv", None)
    assert capsys.readouterr().out


def test_json_has_null_for_what_it_has_no_number_for(analytics, tmp_path):
    output = tmp_path / "answer.json"
    text = 'NaN, "Infinity" \\'
    query = f"""
        select 'nan'::double as a, '-inf'::float as b, [1.5::double, 'inf'::double] as c, {{'x': 'nan'::double}} as d,
            '{text}' as t, 'nan'::double::variant as v
    """
    answer(analytics, query, "json", output)
    assert json.loads(output.read_text(), parse_constant=pytest.fail) == [
        {"a": None, "b": None, "c": [1.5, None], "d": {"x": None}, "t": text, "v": None}
    ]
    assert not list(tmp_path.glob(".*"))


def test_an_output_is_a_file_a_link_or_a_pipe(analytics, tmp_path):
    link, pipe = tmp_path / "link.csv", tmp_path / "pipe"
    link.symlink_to("shared.csv")
    os.mkfifo(pipe)
    with subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE) as reader:
        for output in (link, pipe):
            answer(analytics, "select 1 as a", "csv", output)
        assert reader.communicate(timeout=10)[0] == (tmp_path / "shared.csv").read_bytes() == b"a\n1\n"
    assert link.is_symlink()
    assert pipe.is_fifo()


def test_an_output_that_cannot_be_written_is_named(analytics, tmp_path):
    with pytest.raises(QueryError, match=r"missing/answer\.csv"):
        answer(analytics, QUERY, "csv", tmp_path / "missing" / "answer.csv")
