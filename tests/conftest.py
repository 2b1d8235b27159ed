"""What every test starts from: no settings of the person who runs them and none of their network, no telemetry, and one
demo for all.
"""

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import pytest

AUTHORITIES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
for name in [*os.environ]:
    if name.startswith(("CIVITAI_", "PREFECT_")) or name.lower().endswith("_proxy") or name in AUTHORITIES:
        del os.environ[name]
os.environ["DO_NOT_TRACK"] = "1"
# Three tests at a time keep the cores busy; threads of polars on a handful of rows only wait for each other.
os.environ["POLARS_MAX_THREADS"] = "1"


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in a hook of the same name
def pytest_collection_modifyitems(items):
    """`make test` deals the tests out to three processes, for some wait for a clock: file by file, since files share
    servers, and the demo to one.
    """
    for item in items:
        if "demo" in item.fixturenames:
            item.add_marker(pytest.mark.xdist_group("demo"))
            item.add_marker(
                pytest.mark.timeout(900)
            )  # the first of them waits for the demo, however busy the machine is
        else:
            item.add_marker(pytest.mark.xdist_group(str(item.path)))


@pytest.fixture(scope="session")
def looping_service(tmp_path_factory):
    """An emulator whose second page of models brings nothing new: a crawl that ends partial."""
    from emulator.launch import launch

    with launch(models=9) as emulator, urllib.request.urlopen(f"{emulator.api_url}/models") as page:
        model = json.load(page)["items"][0]
    catalogue = tmp_path_factory.mktemp("loop") / "models.ndjson"
    catalogue.write_text(500 * (json.dumps(model) + "\n"))
    with launch(catalogue=catalogue) as emulator:
        yield emulator


@pytest.fixture(scope="session")
def demo(tmp_path_factory):
    """The demo at its full size, as the command leaves it: `directory`, the ended runs `cut_short` and `whole`, and the
    `cpu_seconds` of the first; `sql` gives what `civitai-etl sql` prints for a query.

    It runs in two parts, 29 days and then the rest. The settings around it point at something real: none of that may
    be touched.
    """
    place = tmp_path_factory.mktemp("demo")
    environment = os.environ | {
        "CIVITAI_ETL_API_URL": "https://civitai.com/api/v1",
        "CIVITAI_ETL_LAKE_URL": str(place / "real-lake"),
        "CIVITAI_API_KEY": "a-real-key",
    }

    command = Path(sys.executable).with_name("civitai-etl")

    def run(*arguments, data_dir="demo"):
        demo = [command, "demo", "--data-dir", data_dir, *arguments]
        return subprocess.run(demo, env=environment, cwd=place, capture_output=True, text=True, check=False)

    def sql(query):
        ended = subprocess.run(
            [command, "sql", query],
            env=os.environ | {"CIVITAI_ETL_DATA_DIR": str(place / "demo")},
            cwd=place,
            capture_output=True,
            text=True,
            check=True,
        )
        return ended.stdout

    began = os.times()
    cut_short = run("--days", "29")
    ended = os.times()
    cpu_seconds = sum(after - before for after, before in zip(ended[2:4], began[2:4], strict=True))
    whole = run()
    assert whole.returncode == 0, cut_short.stderr + whole.stderr
    return SimpleNamespace(
        directory=place / "demo",
        place=place,
        cut_short=cut_short,
        cpu_seconds=cpu_seconds,
        whole=whole,
        run=run,
        sql=sql,
    )
