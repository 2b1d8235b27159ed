"""Runs a notebook's cells without writing pictures."""

from types import SimpleNamespace

import pytest

from flows.reporting import charts


@pytest.fixture
def run_notebook(monkeypatch):
    """Texts and definitions of an app's cells. Definitions have `pictures`, the names of the charts that it writes."""

    def run_on(app, data_dir, **controls):
        monkeypatch.setenv("CIVITAI_ETL_DATA_DIR", str(data_dir))
        pictures = {}
        monkeypatch.setattr(
            charts,
            "write_chart",
            lambda figure, directory, name: pictures.update({name: figure.chart().to_json()}) or (),
        )
        chosen = {name: SimpleNamespace(value=value) for name, value in controls.items()}
        outputs, definitions = app.run(defs=chosen)
        return [getattr(output, "text", "") for output in outputs], {**definitions, "pictures": pictures}

    return run_on
