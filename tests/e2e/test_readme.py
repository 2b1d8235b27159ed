"""The README's questions have the README's answers: asked again of the demo's data."""

import re
from pathlib import Path

import duckdb
import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
QUESTIONS = re.findall(r"```sql\n(.*?)\n```\n\n```text\n(.*?)\n```", README, re.DOTALL)


def test_there_are_three_questions():
    assert len(QUESTIONS) == 3


@pytest.mark.parametrize(("query", "answer"), QUESTIONS, ids=["weeks", "renamed", "new"])
def test_a_question_has_its_answer_on_the_demo(demo, query, answer):
    assert demo.sql(query).strip("\n") == answer


def test_the_table_list_is_that_of_the_published_file(demo):
    section = README.partition("## Tables")[2].partition("## ")[0]
    rows = re.findall(r"^\| (`[a-z].+?) \|", section, re.MULTILINE)
    listed = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    with duckdb.connect(str(demo.directory / "analytics.duckdb"), read_only=True) as star:
        views = {
            name
            for (name,) in star.execute(
                "select table_name from information_schema.tables where table_schema = 'star'"
            ).fetchall()
        }
    assert listed == views - {"manifest"}


def test_every_file_that_it_names_is_there():
    named = re.findall(r"`((?:docs|notebooks)/\S+?)`|\((docs/\S+?)\)", README)
    paths = [first or second for first, second in named]
    assert paths
    assert [path for path in paths if not (ROOT / path).exists()] == []
