"""`civitai-etl compact` on what dlt has loaded: the next crawl and its tables are as if it had never run."""

import shutil
from datetime import date

import duckdb
import pytest

from emulator.launch import launch
from flows.steps import relocate_star, run_daily_snapshot
from pipelines.settings import Settings
from pipelines.storage.lock import writer_lock
from tests.comparison import RUN_DEPENDENT
from tests.e2e.conftest import CommandHere

DAYS = [date(2026, 1, 30), date(2026, 1, 31), date(2026, 2, 1)]
NEXT = date(2026, 2, 2)


def star(data_dir):
    """The rows of every star table, but for columns that are another run's in every run."""
    with duckdb.connect(data_dir / "analytics.duckdb", read_only=True) as connection:
        tables = connection.execute(
            "select table_name, string_agg('\"' || column_name || '\"') from information_schema.columns "
            f"where table_schema = 'star' and column_name not in {tuple(RUN_DEPENDENT)} "
            "and table_name in (select table_name from build.manifest) group by all"
        ).fetchall()
        return {name: connection.execute(f"select {columns} from star.{name} order by all").fetchall()
                for name, columns in tables}  # fmt: skip


def raw(data_dir, query):
    with duckdb.connect(data_dir / "warehouse.duckdb", read_only=True) as connection:
        return connection.execute(query).fetchall()


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_a_crawl_goes_on_from_a_compacted_warehouse_as_from_any_other(tmp_path):
    directories = {"compacted": tmp_path / "compacted", "calm": tmp_path / "calm"}
    with launch(models=40, on=DAYS[0]) as emulator:
        settings = {
            name: Settings(data_dir=folder, api_url=emulator.api_url, requests_per_second=0, image_pages=1)
            for name, folder in directories.items()
        }
        for day in DAYS:
            emulator.set_date(day)
            run_daily_snapshot(settings["calm"], day)
        shutil.copytree(directories["calm"], directories["compacted"])
        relocate_star(settings["compacted"])
        observed = raw(
            directories["calm"], "select count(*) from raw.model_observations where snapshot_date < '2026-02-01'"
        )
        documents = raw(directories["calm"], "select count(*) from raw.model_documents")
        dlt = "select count(*) from raw._dlt_loads"

        command = CommandHere(tmp_path, {"CIVITAI_ETL_DATA_DIR": str(directories["compacted"])})
        loads = raw(directories["compacted"], dlt)
        stored = "select distinct compression from pragma_storage_info('raw.{}') where column_name = '{}'"
        stored += " and segment_type = 'VARCHAR' and compression != 'Constant'"
        for table, column in (("model_observations", "metrics"), ("model_documents", "payload")):
            assert raw(directories["compacted"], stored.format(table, column)) == [("ZSTD",)]
        ended = command.run("compact")
        assert ended.returncode == 0, ended.stderr
        assert ended.stdout.startswith("Compacted the months before 2026-02-01: ")
        assert "warehouse.duckdb" in ended.stdout
        compacted = directories["compacted"]
        assert raw(compacted, "select distinct snapshot_date from raw.model_observations") == [(DAYS[2],)]
        assert raw(compacted, "select sum(rows) from raw.archived where table_name = 'model_observations'") == observed
        assert raw(compacted, "select count(*) from raw.model_documents") == documents
        assert raw(compacted, dlt) == loads
        assert command.run("compact").stdout == "Nothing to do: everything before 2026-02-01 is compacted.\n"

        with writer_lock(compacted):
            assert "is writing to" in command.fails("compact")

        emulator.set_date(NEXT)
        reports = {name: run_daily_snapshot(each, NEXT).snapshot for name, each in settings.items()}
        assert reports["compacted"].status == "complete"
        assert reports["compacted"].endpoints == reports["calm"].endpoints
        assert reports["compacted"].reconciled_ids == reports["calm"].reconciled_ids
    began = f"(select min(started_at) from raw.snapshots where snapshot_date = '{NEXT}')"
    new = f"select count(*) from raw.model_documents where fetched_at > {began}"
    assert raw(directories["compacted"], new) == raw(directories["calm"], new)
    assert star(directories["compacted"]) == star(directories["calm"])
