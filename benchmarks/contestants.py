"""The two contestants, each run in a process of its own so that time and peak memory are its own.

`python -m benchmarks.contestants pipeline API_URL DATA_DIR` and `... duckdb DOCUMENTS STAR_DIR`.
"""

import os
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path

ON = date(2026, 1, 1)


def pipeline(api_url: str, data_dir: str) -> None:
    """A day as `civitai-etl snapshot` does it: HTTP, dlt, raw in DuckDB, polars, validated and published Parquet."""
    from pipelines.api.dialects import DIALECTS
    from pipelines.crawl.snapshot import take_snapshot
    from pipelines.settings import Settings
    from transforms.build import build

    # The same input for both: the list of models, and not what the service lists beside it.
    spec = DIALECTS["spec"]
    models = tuple(endpoint for endpoint in spec.endpoints if endpoint.kind == "model")
    DIALECTS["spec"] = replace(spec, endpoints=models)
    settings = Settings(data_dir=Path(data_dir), api_url=api_url, requests_per_second=0)
    take_snapshot(settings, ON)
    build(settings.directory)


def duckdb(documents: str, star: str) -> None:
    """The same tables with DuckDB alone."""
    import duckdb

    script = Path(__file__).with_name("duckdb_alone.sql").read_text()
    Path(star).mkdir(parents=True)
    base_models = str(Path("transforms/star/base_models.csv").absolute())
    for name, value in {"documents": documents, "star": star, "on": str(ON), "base_models": base_models}.items():
        script = script.replace("{{" + name + "}}", value)
    duckdb.connect().execute(script)


if __name__ == "__main__":
    {"pipeline": pipeline, "duckdb": duckdb}[sys.argv[1]](*sys.argv[2:])
    os._exit(0)  # as the command line ends (`flows.cli.main.console_script`); whoever raises ends otherwise
