"""The notebooks that are to be read on a code host are those of the code, with the charts of the demo's data."""

import ast

import nbformat
import pytest

from flows.reporting import charts
from tests.notebooks.rendered import NOTEBOOKS, is_current, rendered


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_rendered_notebook_is_current_and_has_its_charts(demo, monkeypatch, path):
    monkeypatch.setenv("CIVITAI_ETL_DATA_DIR", str(demo.directory))
    monkeypatch.setattr(charts, "write_chart", lambda *_: ())
    target = path.with_suffix(".ipynb")
    assert is_current(target, rendered(path)), "run `make notebooks`, look at them, and commit them"
    outputs = [output for cell in nbformat.read(target, as_version=4).cells for output in cell.get("outputs", [])]
    assert outputs
    assert all(output.data["image/png"] for output in outputs)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_uses_only_public_names(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = [node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    names += [each.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for each in node.names]
    assert [name for name in names if name.startswith("_")] == []
