"""`python -m tests.flows.pages`: looks at the pages of a real Prefect server with Chromium, and takes the pictures of
docs/images.

Six days of an emulated service are loaded by the command line. The seventh is a run of the flow, slow enough to be seen
at work.
"""

import os
import subprocess
import sys
import time
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from emulator.launch import launch
from flows.cli.prefect_server import prefect_environment, prefect_server
from flows.steps import run_daily_snapshot
from pipelines.settings import Settings
from tests.charts import chromium
from tests.flows.servers import Server, free_port

IMAGES = Path(__file__).parents[2] / "docs" / "images"
FIRST, DAYS, MODELS = date(2026, 1, 1), 7, 1500
#: The menu, and the graph of a run, which has its width only after a while.
AROUND = ".context-sidebar, .flow-run-graphs"


def read(tab, address, *wanted, seconds=60):
    """The text of a page, once it shows what is wanted."""
    tab.open(address)
    deadline = time.monotonic() + seconds
    while not all(text in (shown := tab.run("document.body.innerText")) for text in wanted):
        if time.monotonic() > deadline:
            raise AssertionError(f"{address} does not show {wanted} after {seconds} s: {shown}")
        time.sleep(0.2)
    return shown


def artifact_page(server, row):
    return f"{server.api_url.removesuffix('/api')}/artifacts/artifact/{row['id']}"


def run_page(server, run):
    return f"{server.api_url.removesuffix('/api')}/runs/flow-run/{run}"


def main():
    with TemporaryDirectory() as folder, launch(models=MODELS) as emulator:
        settings = Settings(
            data_dir=Path(folder), api_url=emulator.api_url, requests_per_second=0, dialect="spec", image_pages=3
        )
        days = [FIRST + timedelta(days=number) for number in range(DAYS)]
        for day in days[:-1]:
            emulator.set_date(day)
            run_daily_snapshot(settings, day)
        emulator.set_date(days[-1])
        with prefect_server(settings, free_port()) as own:
            take_pictures(Server(own.api_url, settings.directory.prefect), settings, days[-1])


def take_pictures(server, settings, day):
    environment = os.environ | prefect_environment(settings) | {"PREFECT_API_URL": server.api_url}
    environment |= {
        "CIVITAI_ETL_API_URL": settings.api_url,
        "CIVITAI_ETL_DIALECT": "spec",
        "CIVITAI_ETL_REQUESTS_PER_SECOND": "0.25",
    }
    program = f"from datetime import date; from flows.daily_snapshot import daily_snapshot; daily_snapshot({day!r})"
    program = program.replace("datetime.date(", "date(")
    with (
        subprocess.Popen([sys.executable, "-c", program], env=environment, stderr=subprocess.DEVNULL) as process,
        chromium.tab() as tab,
    ):
        tab.size(900, 300)
        progress = artifact_of(server, "daily-snapshot-progress", lambda row: "left" in row["description"])
        read(tab, artifact_page(server, progress), "models: ", " left", "Progress: ")
        picture(tab, "prefect-progress")
        assert process.wait() == 0
        run = progress["flow_run_id"]
        tab.size(900, 900)
        read(tab, run_page(server, run), f"snapshot {day}", "models: 1,", "Completed")
        picture(tab, "prefect-run")
        tab.size(900, 1500)
        summary = artifact_of(server, "daily-snapshot", lambda row: True)
        read(tab, artifact_page(server, summary), "share met", "Slowest steps", "Downloads in the")
        assert tab.run("[...document.images].every(image => image.naturalWidth > 300)")
        picture(tab, "prefect-summary")
        table = artifact_of(server, "row-counts", lambda row: True)
        tab.size(900, 700)
        read(tab, artifact_page(server, table), "fact_model_daily", "change")
        picture(tab, "prefect-row-counts")


def artifact_of(server, key, is_wanted, seconds=120):
    """The artifact of this key, once it is as wanted."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for row in server.ask("/artifacts/filter", {"artifacts": {"key": {"any_": [key]}}}):
            if is_wanted(row):
                return row
        time.sleep(0.5)
    raise AssertionError(f"no such {key} after {seconds} s")


def picture(tab, name):
    tab.run(f"document.querySelectorAll('{AROUND}').forEach(part => part.remove())")
    tab.picture(IMAGES / f"{name}.png")


if __name__ == "__main__":
    main()
