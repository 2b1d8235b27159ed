"""Records that are not what they should be, from the service to the quarantine: none is lost, the rest goes on."""

import json

from emulator.launch import launch

GOOD = [
    {"id": number, "name": f"Model {number}", "type": "LORA", "stats": {"downloadCount": number}, "modelVersions": []}
    for number in range(1, 31)
]
TEXT_COUNTER = '{"id": 101, "name": "Counter", "stats": {"downloadCount": "a lot"}, "modelVersions": []}'
OBJECT_VERSIONS = '{"id": 102, "name": "Versions", "stats": {"downloadCount": 5}, "modelVersions": {"id": 1}}'
STRING_ITEM = '"not an object at all"'


def test_broken_records_are_in_quarantine_as_received_all_else_is_loaded_and_the_books_are_printed(
    civitai_etl, tmp_path
):
    lines = [json.dumps(model) for model in GOOD]
    lines[3:3] = [TEXT_COUNTER]
    lines[10:10] = [OBJECT_VERSIONS]
    lines[20:20] = [STRING_ITEM]
    catalogue = tmp_path / "catalogue.ndjson"
    catalogue.write_text("".join(f"{line}\n" for line in lines))
    with launch(catalogue=catalogue) as service:
        civitai_etl.settings["CIVITAI_ETL_API_URL"] = service.api_url
        ended = civitai_etl.run("snapshot", "--date", "2026-01-01")
    assert ended.returncode == 0, ended.stderr
    assert "33 in = 31 out + 2 quarantined + 0 duplicates" in ended.stdout
    assert civitai_etl.sql("select count(*), sum(download_count) from star.fact_model_daily") == ["31,465"]
    answer = civitai_etl.run(
        "sql", "select level, payload, reason from star.ops_quarantine order by level", "--format", "json"
    )
    item, record, value = json.loads(answer.stdout)
    assert (item["level"], item["payload"]) == ("item", STRING_ITEM)
    assert "not a JSON object" in item["reason"]
    assert (record["level"], record["payload"]) == ("record", OBJECT_VERSIONS)
    assert "$.modelVersions" in record["reason"]
    assert (value["level"], value["payload"]) == ("value", '"a lot"')
    assert "$.stats.downloadCount" in value["reason"]
