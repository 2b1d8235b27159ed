"""The public dlt source as its users run it: against emulators, with dlt's own pipelines and destinations."""

import gzip
import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import dlt
import duckdb
import pytest
from dlt.pipeline.exceptions import PipelineStepFailed

from emulator.launch import Emulator, launch
from pipelines import civitai
from pipelines.settings import SettingsError
from tests.pipelines.conftest import DAY
from tests.pipelines.service import Reply, Service

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs/dlt-source.md").read_text()
KEY = "sk-sentinel-5b1e07c2aa"


@pytest.fixture(scope="module")
def emulators() -> Iterator[dict[str, Emulator]]:
    with launch(models=40, dialect="spec", key=KEY) as spec, launch(models=40, dialect="live", key=KEY) as live:
        yield {"spec": spec, "live": live}


@pytest.fixture(params=["spec", "live"])
def emulator(request: pytest.FixtureRequest, emulators: dict[str, Emulator]) -> Emulator:
    """The emulator of a dialect; dlt's environment variables name it."""
    monkeypatch: pytest.MonkeyPatch = request.getfixturevalue("monkeypatch")
    configure(monkeypatch, api_url=emulators[request.param].api_url, dialect=request.param)
    return emulators[request.param]


@pytest.fixture
def spec(emulators: dict[str, Emulator], monkeypatch: pytest.MonkeyPatch) -> Emulator:
    configure(monkeypatch, api_url=emulators["spec"].api_url)
    return emulators["spec"]


def configure(monkeypatch: pytest.MonkeyPatch, **values: object) -> None:
    for name, value in ({"requests_per_second": 0, "image_pages": 2} | values).items():
        monkeypatch.setenv(f"SOURCES__CIVITAI__{name.upper()}", str(value))


def pipeline_in(directory: Path) -> dlt.Pipeline:
    destination = dlt.destinations.duckdb(str(directory / "catalogue.duckdb"))
    return dlt.pipeline("catalogue", directory / "dlt", destination=destination, dataset_name="main")


def rows(directory: Path, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(directory / "catalogue.duckdb", read_only=True) as connection:
        return connection.execute(query).fetchall()


def tables(directory: Path) -> set[str]:
    found = {name for (name,) in rows(directory, "select table_name from duckdb_tables()")}
    return {name for name in found if "__" not in name and not name.startswith("_")}


def served(emulator: Emulator, path: str) -> Any:
    with urllib.request.urlopen(emulator.api_url + path) as answer:
        return json.load(answer)


def by(key: str, items: list[dict[str, Any]]) -> dict[Any, dict[str, Any]]:
    return {item[key]: item for item in items}


def test_all_lists_reach_duckdb_with_what_the_service_has(emulator: Emulator, tmp_path: Path) -> None:
    pipeline_in(tmp_path).run(civitai())
    truth = emulator.account(DAY)
    assert tables(tmp_path) == {"models", "images", "creators", "tags", "enums"}
    assert {str(model_id) for (model_id,) in rows(tmp_path, "select id from models")} == truth["models"].keys()
    versions = rows(tmp_path, "select id, stats__thumbs_up_count from models__model_versions")
    assert {str(version_id): likes for version_id, likes in versions} == {
        version_id: version["thumbsUpCount"] for version_id, version in truth["versions"].items()
    }
    for table, key in (("creators", "username"), ("tags", "name")):
        assert {row[0] for row in rows(tmp_path, f"select {key} from {table}")} == truth[table].keys()
    assert rows(tmp_path, "select count(*) from enums") == [(1,)]
    newest = served(emulator, "/images?limit=200&sort=Newest")["items"]
    images = [image_id for (image_id,) in rows(tmp_path, "select id from images order by id desc")]
    assert len(images) == len(set(images)) > 200
    assert images[0] == truth["images"]["lastId"]
    assert set(images) > {image["id"] for image in newest}


def test_items_are_those_that_the_service_sends(emulator: Emulator) -> None:
    source = civitai()
    sent = [item for nsfw in ("", "&nsfw=true") for item in served(emulator, f"/models?limit=100{nsfw}")["items"]]
    assert by("id", list(source.models)) == by("id", sent)
    assert list(source.enums) == [served(emulator, "/enums")]


def test_details_of_models_and_versions_are_looked_up_by_the_ids_of_the_list(emulator: Emulator) -> None:
    source = civitai().with_resources("model_details", "version_details")
    found = list(source)
    versions = by("id", [item for item in found if "modelId" in item])
    models = by("id", [item for item in found if "modelVersions" in item])
    assert versions.keys() == {int(version_id) for version_id in emulator.account(DAY)["versions"]}
    listed = list(civitai().models)
    # The live service lists a few models that it does not find by their ids.
    answered = {request["request"]: request["status"] for request in emulator.requests()}
    assert models.keys() == {model["id"] for model in listed if answered[f"/models/{model['id']}"] == 200}
    some_model, some_version = next(iter(models)), next(iter(versions))
    assert models[some_model] == served(emulator, f"/models/{some_model}")
    assert versions[some_version] == served(emulator, f"/model-versions/{some_version}")


def test_details_are_extracted_only_if_they_are_selected(spec: Emulator, tmp_path: Path) -> None:
    source = civitai()
    assert set(source.selected_resources) == {"models", "images", "creators", "tags", "enums"}
    pipeline_in(tmp_path).run(source.with_resources("version_details"))
    assert tables(tmp_path) == {"version_details"}


def test_a_limit_counts_pages(spec: Emulator) -> None:
    before = len(spec.requests())
    assert len(list(civitai().images.add_limit(1))) == 200
    assert len(spec.requests()) == before + 1


def test_a_file_system_gets_every_run(spec: Emulator, tmp_path: Path) -> None:
    destination = dlt.destinations.filesystem((tmp_path / "lake").as_uri())
    pipeline = dlt.pipeline("lake", tmp_path / "dlt", destination=destination, dataset_name="civitai")
    for _ in range(2):
        pipeline.run(civitai().with_resources("creators"))
    pattern = tmp_path / "lake/civitai/creators/*.jsonl*"
    found = duckdb.sql(f"select username, count(*) from read_json('{pattern}') group by all").fetchall()
    assert dict(found) == dict.fromkeys(spec.account(DAY)["creators"], 2)


def test_a_later_run_reads_images_down_to_the_newest_of_the_run_before(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pipeline = pipeline_in(tmp_path)
    with launch(models=40) as emulator:
        configure(monkeypatch, api_url=emulator.api_url, image_pages=1)
        images = civitai().with_resources("images")
        pipeline.run(images)
        first = emulator.account(DAY)["images"]["lastId"]
        later = date(2026, 1, 20)
        emulator.set_date(later)
        pipeline.run(civitai().with_resources("images").add_limit(1))
        limited = rows(tmp_path, f"select count(*) from images where id > {first}")[0][0]
        pipeline.run(images)
        new = emulator.account(later)["images"]["count"] - emulator.account(DAY)["images"]["count"]
    counted = rows(tmp_path, f"select count(*), count(distinct id) from images where id > {first}")
    assert counted == [(limited + new, new)], "a limit does not hide images from the next run"
    assert new >= limited > 0


def test_the_key_is_sent_in_the_header_and_found_nowhere(
    monkeypatch: pytest.MonkeyPatch, service: Service, tmp_path: Path
) -> None:
    configure(monkeypatch, api_url=service.api_url, api_key=KEY)
    service.pages("/creators", lambda: [{"username": "ada", "modelCount": 1}])
    pipeline = pipeline_in(tmp_path)
    pipeline.run(civitai().with_resources("creators"))
    service.replies("/creators", Reply({"error": f"no creators for {KEY}"}, 400))
    with pytest.raises(PipelineStepFailed, match=r"no creators for \*\*\*") as failure:
        pipeline.run(civitai().with_resources("creators"))
    assert {request.headers["Authorization"] for request in service.requests} == {f"Bearer {KEY}"}
    assert KEY not in f"{failure.value} {pipeline.last_trace.asstr(verbosity=2)} {civitai()}"
    assert "sources.civitai.api_key" in pipeline.last_trace.asstr(verbosity=2)
    assert [str(path) for path in files_with(KEY, tmp_path)] == []


def files_with(text: str, directory: Path) -> Iterator[Path]:
    for path in directory.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            content += gzip.decompress(content) if path.suffix == ".gz" else b""
            if text.encode() in content:
                yield path


def test_a_broken_record_is_a_reject_and_the_rest_arrives(
    monkeypatch: pytest.MonkeyPatch, service: Service, tmp_path: Path
) -> None:
    monkeypatch.setattr("pipelines.api.pacing._FIRST_WAIT", 0.001)
    configure(monkeypatch, api_url=service.api_url, max_attempts=1)
    models = [{"id": number, "modelVersions": [{"id": 10 * number}]} for number in range(1, 5)] + [{"name": "no id"}]

    def route(query: dict[str, str]) -> Reply:
        first, limit = (int(query.get("page", 1)) - 1) * int(query["limit"]), int(query["limit"])
        shown = models[first : first + limit]
        if any(model.get("id") == 3 for model in shown):
            return Reply(b"<html>Internal error</html>", 500)
        more = {"nextPage": f"?limit={limit}&page={first // limit + 2}"} if first + limit < len(models) else {}
        return Reply({"items": shown, "metadata": {"totalItems": len(models)} | more})

    service.routes["/models"] = route
    for number in (10, 20, 40):
        service.replies(f"/model-versions/{number}", Reply({"id": number, "modelId": number // 10}))
    service.replies("/model-versions/20", Reply({"id": 21, "modelId": 2}))
    pipeline_in(tmp_path).run(civitai().with_resources("models", "version_details"))
    assert {model_id for (model_id,) in rows(tmp_path, "select id from models")} == {1, 2, 4}
    assert {version_id for (version_id,) in rows(tmp_path, "select id from version_details")} == {10, 40}
    rejects = rows(tmp_path, "select kind, payload from rejects order by all")
    assert rejects == [
        ("model", b"<html>Internal error</html>"),
        ("model", b'{"name": "no id"}'),
        ("version", b'{"id": 21, "modelId": 2}'),
    ]


def test_a_list_that_cannot_be_read_to_its_end_fails_the_run(
    monkeypatch: pytest.MonkeyPatch, service: Service, tmp_path: Path
) -> None:
    configure(monkeypatch, api_url=service.api_url)
    page = {"items": [{"username": "ada"}], "metadata": {"nextPage": "?limit=200"}}
    service.replies("/creators", Reply(page))
    with pytest.raises(PipelineStepFailed, match=r"creators: /creators\?limit=200 leads back .* nothing .* is loaded"):
        pipeline_in(tmp_path).run(civitai().with_resources("creators"))
    assert not tables(tmp_path)


def test_a_service_that_answers_no_look_up_fails_the_run(
    monkeypatch: pytest.MonkeyPatch, service: Service, tmp_path: Path
) -> None:
    configure(monkeypatch, api_url=service.api_url)
    service.pages("/models", lambda: [{"id": 1}])
    service.replies("/models/1", Reply({"error": "unauthorized"}, 401))
    with pytest.raises(PipelineStepFailed, match="401"):
        pipeline_in(tmp_path).run(civitai().with_resources("model_details"))


def test_a_wrong_setting_is_named() -> None:
    with pytest.raises(SettingsError, match="DIALECT: input should be 'live' or 'spec'"):
        civitai(dialect="dead")


def test_the_example_of_the_guide_runs_with_the_configuration_files_of_dlt(spec: Emulator, tmp_path: Path) -> None:
    example, config, secrets = (
        re.search(rf"```{language}\n({begin}.*?)```", GUIDE, re.DOTALL)[1]  # type: ignore[index]
        for language, begin in (("python", "import"), ("toml", r"# \.dlt/config"), ("toml", r"# \.dlt/secrets"))
    )
    (tmp_path / ".dlt").mkdir()
    (tmp_path / ".dlt/config.toml").write_text(config.replace("https://civitai.com/api/v1", spec.api_url))
    (tmp_path / ".dlt/secrets.toml").write_text(secrets.replace("your key", KEY))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SOURCES__")}
    environment |= {"DLT_DATA_DIR": str(tmp_path / "dlt")}
    ran = subprocess.run(
        [sys.executable, "-c", example], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    with duckdb.connect(tmp_path / "catalogue.duckdb", read_only=True) as connection:
        found = connection.execute("select count(*) from civitai.creators").fetchall()
    assert found == [(len(spec.account(DAY)["creators"]),)]
    assert [path.name for path in files_with(KEY, tmp_path)] == ["secrets.toml"]


def test_importing_pipelines_does_not_import_dlt() -> None:
    program = "import pipelines, sys; assert 'civitai' in pipelines.__all__; assert 'dlt' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)
