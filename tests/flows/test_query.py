import json

import duckdb
import pytest

from flows.query import QueryError, answer

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


def test_nothing_can_be_written_through_a_query(analytics):
    with pytest.raises(QueryError, match="read-only"):
        answer(analytics, "create table star.mine as select 1", "csv", None)


def test_an_output_that_cannot_be_written_is_named(analytics, tmp_path):
    with pytest.raises(QueryError, match=r"missing/answer\.csv"):
        answer(analytics, QUERY, "csv", tmp_path / "missing" / "answer.csv")
