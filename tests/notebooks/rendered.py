"""`make notebooks`: every notebook as an .ipynb with its charts as pictures, to be read on a code host.

The charts are drawn from the demo's data. `--check` says which files are not current: their cells or what their charts
say. Pictures are not compared, because fonts differ between machines.
"""

import ast
import base64
import importlib
import io
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
from nbformat.v4 import new_output
from PIL import Image

from flows.reporting.charts import Figure

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted(path for path in (ROOT / "notebooks").glob("*.py") if path.stem != "__init__")
DEMO = ROOT / "data" / "demo"
#: Pixels and colours of a picture.
WIDTH, PICTURE_COLOURS = 800, 64


def main() -> int:
    os.environ["CIVITAI_ETL_DATA_DIR"] = str(DEMO)
    is_check = "--check" in sys.argv[1:]
    stale = []
    for path in NOTEBOOKS:
        target, notebook = path.with_suffix(".ipynb"), rendered(path)
        if not is_check:
            nbformat.write(notebook, target)
        elif not is_current(target, notebook):
            stale.append(target.name)
    if stale:
        print(f"Not current: {', '.join(stale)}. Run `make notebooks`, look at them, and commit them.", file=sys.stderr)
    return int(bool(stale))


def rendered(path: Path) -> nbformat.NotebookNode:
    """The cells of a marimo notebook, and the charts that it draws of the data directory in the environment."""
    export = [sys.executable, "-m", "marimo", "--yes", "export", "ipynb", str(path)]
    exported = subprocess.run(export, check=True, capture_output=True, text=True).stdout
    notebook = nbformat.reads(exported, as_version=4)
    _, definitions = importlib.import_module(f"notebooks.{path.stem}").app.run()
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"
        if cell.cell_type == "code":
            figures = [definitions[name] for name in assigned(cell.source) if name in definitions]
            cell.outputs = [output_of(figure) for figure in figures if isinstance(figure, Figure)]
    nbformat.validate(notebook)
    return notebook


def assigned(source: str) -> Iterator[str]:
    """The names that a cell gives to what it makes."""
    for statement in ast.parse(source).body:
        if isinstance(statement, ast.Assign):
            yield from (target.id for target in statement.targets if isinstance(target, ast.Name))


def output_of(figure: Figure) -> nbformat.NotebookNode:
    """A chart as a picture, and what it says."""
    drawn, picture = io.BytesIO(), io.BytesIO()
    figure.chart(width=WIDTH).save(drawn, format="png", scale_factor=1)
    Image.open(drawn).convert("RGB").quantize(PICTURE_COLOURS).save(picture, format="png", optimize=True)
    png = base64.b64encode(picture.getvalue()).decode()
    return new_output("display_data", data={"image/png": png, "text/plain": figure.finding})


def is_current(target: Path, notebook: nbformat.NotebookNode) -> bool:
    return target.exists() and told(nbformat.read(target, as_version=4)) == told(notebook)


def told(notebook: nbformat.NotebookNode) -> list[tuple[str, list[str]]]:
    """The cells of a notebook, and what its charts say."""
    return [(cell.source, [output.data["text/plain"] for output in cell.get("outputs", [])]) for cell in notebook.cells]


if __name__ == "__main__":
    sys.exit(main())
