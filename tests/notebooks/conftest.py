"""Runs a notebook's cells without writing pictures, over the demo, over days made by hand, over one day and nothing."""

from datetime import date
from types import SimpleNamespace

import pytest

from flows.reporting import charts
from tests.transforms.conftest import Workshop, model, version

GONE, PARTIAL, ZEROS, SET_ASIDE = 10, 6, 8, 5


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


@pytest.fixture(scope="session")
def hard_days(tmp_path_factory):
    """Sixteen days of 60 models that gain a download a day (model 1 gains 100): no crawl on the 4th, a partial one that
    sees half of them on the 6th, zeros on the 8th; model 60 is gone on the 10th; from the 9th on, model 2 allows the
    sale of images. On the 5th a name is no text.
    """
    workshop = Workshop(tmp_path_factory.mktemp("hard_days"))
    for on in (day for day in range(1, 17) if day != 4):
        there = [_model(number, on) for number in range(1, 61) if number < 60 or on < GONE]
        workshop.raw.crawl(
            date(2026, 1, on),
            status="partial" if on == PARTIAL else "complete",
            buried=(60,) if on == GONE else (),
            model=there[:30] if on == PARTIAL else there,
        )
    workshop.build()
    return workshop


@pytest.fixture(scope="session")
def one_day(tmp_path_factory):
    workshop = Workshop(tmp_path_factory.mktemp("one_day"))
    workshop.raw.crawl(date(2026, 1, 1), model=[_model(number, 1) for number in range(1, 61)])
    workshop.build()
    return workshop


def _model(number, on):
    stats = {"downloadCount": 0 if on == ZEROS else 1000 + on * (100 if number == 1 else 1)}
    base_model = "Pony" if number % 3 else "SDXL 1.0"
    fields = {"name": 5} if (number, on) == (3, SET_ASIDE) else {}
    return model(
        number,
        version(number * 10, base_model, stats=stats),
        stats=stats,
        creator={"username": f"creator {number % 5}"},
        tags=["landscape", "sea" if number % 2 else "boat"],
        nsfwLevel=1 if number % 2 else 16,
        nsfw=False,
        allowCommercialUse=["Image"] if number == 2 and on >= 9 else [],
        **fields,
    )
