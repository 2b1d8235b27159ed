"""`civitai-etl look-up` and the watch list of `civitai-etl snapshot`, as a person meets them."""

import json
import urllib.request

DAY = ("--date", "2026-01-01")


def models_of(service):
    with urllib.request.urlopen(f"{service.api_url}/models?limit=5") as page:
        return json.load(page)["items"]


def test_what_is_looked_up_is_printed_and_can_be_asked_in_sql(service, civitai_etl):
    version = models_of(service)[0]["modelVersions"][0]
    ended = civitai_etl.run("look-up", "versions", version["id"])
    assert ended.returncode == 0, ended.stderr
    heading, row, summary = ended.stdout.splitlines()
    assert heading.split()[:4] == ["asked", "for", "id", "modelId"]
    assert row.split()[:2] == [str(version["id"])] * 2
    assert version["baseModel"] in row
    assert summary.startswith("Looked up: 1 versions; 1 requests in ")
    assert civitai_etl.sql("select version_id, base_model, air from star.model_version_detail") == [
        f"{version['id']},{version['baseModel']},{version['air']}"
    ]
    assert civitai_etl.run("status").returncode == 4  # there is no snapshot


def test_what_is_not_found_is_told_and_what_is_found_is_kept(service, civitai_etl):
    name = models_of(service)[0]["creator"]["username"]
    line = civitai_etl.fails("look-up", "users", name, "nobody-at-all")
    assert line == "civitai-etl: Not found: nobody-at-all is not known to the service."
    assert civitai_etl.sql("select username from star.dim_user") == [name]


def test_what_cannot_be_asked_for_is_told_in_one_line(civitai_etl):
    assert "expected a number from 1 to 2147483647, found '12x'" in civitai_etl.fails("look-up", "versions", "12x")
    assert "take one of users, " in civitai_etl.fails("look-up", "shoes", "12")
    assert "Nothing to look up" in civitai_etl.fails("look-up", "versions")


def test_a_snapshot_looks_up_what_is_watched_once(service, civitai_etl):
    model = models_of(service)[0]
    version = model["modelVersions"][0]
    civitai_etl.settings |= {
        "CIVITAI_ETL_WATCH_VERSIONS": f"{version['id']}, 99999999",
        "CIVITAI_ETL_WATCH_USERS": model["creator"]["username"],
        "CIVITAI_ETL_WATCH_MODELS": "99999999",
    }
    first = civitai_etl.run("snapshot", *DAY)
    assert first.returncode == 0, first.stderr
    told = "Looked up: 1 versions (1 not found), 1 minis (1 not found), 1 users; 5 requests in "
    assert [line for line in first.stdout.splitlines() if line.startswith(told)]
    tables = ("model_version_detail", "model_version_mini", "dim_user")
    query = " union all ".join(f"select count(*) from star.{table}" for table in tables)
    assert civitai_etl.sql(query) == ["1", "1", "1"]
    assert civitai_etl.sql("select status, reconciled_ids from star.ops_snapshot") == ["complete,1"]
    before = len(service.requests())
    second = civitai_etl.run("snapshot", *DAY)
    assert "complete already" in second.stdout
    assert "Looked up" not in second.stdout
    assert len(service.requests()) == before


def test_a_watch_list_that_cannot_be_looked_up_costs_no_snapshot(service, civitai_etl):
    civitai_etl.settings |= {"CIVITAI_ETL_WATCH_USERS": "ann", "CIVITAI_ETL_RETRY_MINUTES": "0.02"}
    service.order_faults("503 path=/users")
    try:
        line = civitai_etl.fails("snapshot", *DAY)
    finally:
        service.order_faults("")
    assert line.startswith("civitai-etl: The snapshot is published, but the watch list was not looked up to its end: ")
    assert civitai_etl.sql("select status from star.ops_snapshot") == ["complete"]
    assert civitai_etl.run("snapshot", *DAY).stdout.count("Looked up: 0 users (1 not found)") == 1


def test_a_watch_list_that_makes_no_sense_is_told_with_its_variable(civitai_etl):
    civitai_etl.settings["CIVITAI_ETL_WATCH_VERSIONS"] = "12, some"
    assert civitai_etl.fails("snapshot").startswith("civitai-etl: CIVITAI_ETL_WATCH_VERSIONS: ")
