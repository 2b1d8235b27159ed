"""`civitai-etl docs`: the dictionary in the terminal."""

import pytest

from flows.cli import main
from transforms.tables import TABLES, DimModel
from transforms.tables.account import ACCOUNT_TABLES
from transforms.tables.macros import MACROS, VIEWS


def told(capsys, *arguments):
    with pytest.raises(SystemExit) as ended:
        main.main(["docs", *arguments])
    printed = capsys.readouterr()
    return ended.value.code, printed.out, printed.err


def test_without_a_name_it_lists_every_table_view_and_macro(capsys):
    code, out, _ = told(capsys)
    assert code == 0
    names = [table.table_name() for table in (*TABLES, *ACCOUNT_TABLES)] + [entry.name for entry in (*VIEWS, *MACROS)]
    first_words = {line.split()[0].partition("(")[0] for line in out.splitlines() if line.strip()}
    assert [name for name in names if name not in first_words] == []


def test_a_table_has_all_its_columns_with_meaning_unit_and_null(capsys):
    code, out, _ = told(capsys, "star.dim_model")
    assert code == 0
    for column in DimModel.columns():
        assert f"│ {column} " in out
    in_one_line = " ".join(out.replace("│", " ").split())
    assert "Unit: bit set." in in_one_line
    assert "VARCHAR[]" in in_one_line


@pytest.mark.parametrize("entry", [*VIEWS, *MACROS], ids=lambda entry: entry.name)
def test_a_view_and_a_macro_have_all_their_columns(capsys, entry):
    code, out, _ = told(capsys, entry.name)
    assert code == 0
    for column in entry.columns:
        assert f"│ {column} " in out


def test_a_name_that_is_not_there_is_told_with_names_like_it(capsys):
    code, out, err = told(capsys, "dim_modell")
    assert (code, out) == (1, "")
    assert "There is no table 'dim_modell'. Did you mean dim_model" in err
