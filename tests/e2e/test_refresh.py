"""`civitai-etl refresh` between two snapshots, against a service that publishes meanwhile."""

import re
from datetime import date, timedelta

import duckdb
import pytest

from emulator.launch import launch
from pipelines.storage.lock import writer_lock
from tests.e2e.conftest import CommandLine

DAY = date(2026, 1, 1)


@pytest.fixture(params=["spec", "live"])
def growing(request, tmp_path):
    """An emulator a day after the snapshot that the command line has of it."""
    with launch(models=600, on=DAY, dialect=request.param) as emulator:
        settings = {"CIVITAI_ETL_DATA_DIR": str(tmp_path / "data"), "CIVITAI_ETL_API_URL": emulator.api_url}
        settings |= {"CIVITAI_ETL_REQUESTS_PER_SECOND": "0", "CIVITAI_ETL_DIALECT": request.param}
        civitai_etl = CommandLine(tmp_path, settings)
        assert civitai_etl.run("snapshot", "--date", DAY).returncode == 0
        emulator.set_date(DAY + timedelta(1))
        yield emulator, civitai_etl


def stored(civitai_etl, query):
    with duckdb.connect(str(civitai_etl.data_dir / "warehouse.duckdb"), read_only=True) as raw:
        return raw.execute(query).fetchall()


def test_a_refresh_brings_the_documents_of_new_models_and_leaves_the_tables_as_they_are(growing):
    emulator, civitai_etl = growing
    born = set(map(str, emulator.changes(DAY, DAY + timedelta(1))["models"]["born"]))
    assert born
    analytics = (civitai_etl.data_dir / "analytics.duckdb").read_bytes()
    documents = dict(stored(civitai_etl, "select entity_id, content_hash from raw.model_documents"))
    asked = len(emulator.requests())
    ended = civitai_etl.run("refresh")
    assert ended.returncode == 0, ended.stderr
    new = int(re.match(r"New documents: ([\d,]+) of models, [\d,]+ of images; ", ended.stdout).group(1))
    assert f"; {len(emulator.requests()) - asked} requests, " in ended.stdout
    assert "new_models" in ended.stderr
    found = stored(civitai_etl, "select entity_id from raw.model_documents")
    assert len(found) == len(documents) + new
    assert born <= {entity_id for (entity_id,) in found} - set(documents)
    assert (civitai_etl.data_dir / "analytics.duckdb").read_bytes() == analytics
    again = civitai_etl.run("refresh")
    assert again.stdout.startswith("New documents: 0 of models, 0 of images; ")
    (later,) = stored(civitai_etl, "select count(*) from raw.model_observations where snapshot_date > '2026-01-01'")
    assert later == (0,)


def test_a_refresh_without_a_snapshot_is_one_line_that_says_what_to_run(civitai_etl):
    assert "run `civitai-etl snapshot` first" in civitai_etl.fails("refresh")


def test_a_refresh_leaves_the_data_directory_to_the_writer_that_has_it(published):
    with writer_lock(published.data_dir):
        assert "Another civitai-etl (process " in published.fails("refresh")
