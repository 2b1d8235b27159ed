"""The cookbook's questions have the cookbook's answers on the demo's data, and every macro is in it."""

import re
from pathlib import Path

import pytest

from flows.reporting.query import answer as query_answer
from transforms.tables.macros import MACROS

ROOT = Path(__file__).resolve().parents[2]
COOKBOOK = (ROOT / "docs" / "sql-cookbook.md").read_text(encoding="utf-8")
RECIPES = re.findall(r"```sql\n(.*?)\n```\n\n```text\n(.*?)\n```", COOKBOOK, re.DOTALL)


def test_every_macro_is_asked_and_every_question_has_an_answer():
    asked = {name for query, _ in RECIPES for name in re.findall(r"star\.(\w+)\(", query)}
    assert asked == {macro.name for macro in MACROS}
    assert len(RECIPES) == COOKBOOK.count("```sql")


@pytest.mark.parametrize(
    ("query", "answer"), RECIPES, ids=[re.search(r"star\.(\w+)", query)[1] for query, _ in RECIPES]
)
def test_a_recipe_has_its_answer_on_the_demo(demo, capsys, query, answer):
    query_answer(demo.directory / "analytics.duckdb", query, "table", None)  # as `civitai-etl sql`, without its start
    assert capsys.readouterr().out.strip("\n") == answer
