"""Days on which the service shows half of everything, or zeros: what is published, and what a person can decide."""

import json

import pytest

from tests.e2e.conftest import CommandHere
from tests.pipelines.service import Reply, running_service

STOCKS = "select snapshot_date, version_count, versions_left from star.mart_base_model_daily order by 1"


class Catalogue:
    """Sixty models of two versions, served by a real server: whole, half of each model, or with zeros for counters."""

    def __init__(self, service):
        self.versions, self.downloads = 2, 10
        service.routes["/models"] = lambda _: Reply({"items": [self.model(n) for n in range(1, 61)], "metadata": {}})
        service.routes["/creators"] = lambda _: Reply({"items": [{"username": "u"}], "metadata": {}})

    def model(self, number):
        stats = {"downloadCount": self.downloads}
        versions = [
            {"id": number * 10 + n, "name": f"v{n}", "baseModel": "SD 1.5", "stats": stats, "files": [], "images": []}
            for n in range(self.versions)
        ]
        told = {"id": number, "name": f"m{number}", "type": "LORA", "creator": {"username": "u"}, "tags": ["t"]}
        return told | {"stats": stats, "modelVersions": versions}


@pytest.fixture
def service():
    with running_service() as service:
        yield service


@pytest.fixture
def catalogue(service):
    return Catalogue(service)


@pytest.fixture
def civitai_etl(service, tmp_path):
    return CommandHere(
        tmp_path,
        {
            "CIVITAI_ETL_DATA_DIR": str(tmp_path / "data"),
            "CIVITAI_ETL_API_URL": service.api_url,
            "CIVITAI_ETL_REQUESTS_PER_SECOND": "0",
        },
    )


def snapshot(civitai_etl, day, code=0):
    ended = civitai_etl.run("snapshot", "--date", f"2026-01-0{day}")
    assert ended.returncode == code, ended
    return ended


def test_a_refused_day_is_told_until_somebody_decides_and_the_next_one_is_published(civitai_etl, catalogue):
    snapshot(civitai_etl, 1)
    catalogue.versions = 1
    line = civitai_etl.fails("snapshot", "--date", "2026-01-02")
    assert "fact_model_version_daily has 60 rows on 2026-01-02, and had 120" in line
    assert "civitai-etl include 2026-01-02" in line
    catalogue.versions = 2
    snapshot(civitai_etl, 3)
    assert civitai_etl.sql(STOCKS) == ["2026-01-01,120,0", "2026-01-03,120,0"]
    (told,) = [line for line in civitai_etl.run("status").stdout.splitlines() if line.startswith("REFUSED:")]
    assert "2026-01-02: fact_model_version_daily has 60 rows" in told
    ended = civitai_etl.run("exclude", "2026-01-02", "--because", "half of each model")
    assert (ended.returncode, ended.stdout.splitlines()[0]) == (0, "2026-01-02 is excluded.")
    status = civitai_etl.run("status").stdout
    assert "REFUSED" not in status
    assert "Excluded:  2026-01-02" in status
    assert civitai_etl.sql("select verdict, verdict_reason from star.ops_snapshot where verdict is not null") == [
        "excluded,half of each model"
    ]
    assert civitai_etl.run("include", "2026-01-02", "--because", "it was right").returncode == 0
    assert civitai_etl.sql(STOCKS) == ["2026-01-01,120,0", "2026-01-02,60,60", "2026-01-03,120,0"]


@pytest.mark.parametrize("left_out", ["refused", "excluded"])
def test_a_day_that_is_left_out_can_be_crawled_again_on_the_same_day(civitai_etl, catalogue, service, left_out):
    snapshot(civitai_etl, 1)
    if left_out == "refused":
        catalogue.versions = 1
        snapshot(civitai_etl, 2, code=1)
    else:
        catalogue.downloads = 7
        snapshot(civitai_etl, 2)
        assert civitai_etl.run("exclude", "2026-01-02", "--because", "old numbers").returncode == 0
    catalogue.versions, catalogue.downloads = 2, 13
    before = len(service.asked("/models"))
    again = snapshot(civitai_etl, 2)
    assert len(service.asked("/models")) > before
    assert f"2026-01-02 is {left_out}: it is crawled again" in again.stderr
    expected = ["2026-01-01,1200,", "2026-01-02,1560,360"]
    counted = "select snapshot_date, download_count, downloads_delta from star.mart_base_model_daily order by 1"
    assert civitai_etl.sql(counted) == expected
    before = len(service.asked("/models"))
    assert "is complete already" in snapshot(civitai_etl, 2).stdout
    assert len(service.asked("/models")) == before


def test_models_that_only_an_excluded_day_showed_are_not_asked_for(civitai_etl, catalogue, service):
    snapshot(civitai_etl, 1)
    honest, stranger = service.routes["/models"], catalogue.model(999)
    items = [stranger, *(catalogue.model(number) for number in range(1, 61))]
    service.routes["/models"] = lambda _: Reply({"items": items, "metadata": {}})
    snapshot(civitai_etl, 2)
    assert civitai_etl.run("exclude", "2026-01-02", "--because", "another catalogue").returncode == 0
    service.routes["/models"] = honest
    snapshot(civitai_etl, 3)
    assert "/models/999" not in [request.path for request in service.requests]
    assert civitai_etl.sql("select count(*) from star.dim_model where model_id = 999") == ["0"]


def test_zeros_are_withheld_with_a_warning_and_a_real_fall_is_accepted_by_name_and_date(civitai_etl, catalogue):
    snapshot(civitai_etl, 1)
    catalogue.downloads = 0
    warned = snapshot(civitai_etl, 2).stdout
    assert "WARNING: fact_model_daily.download_count fell to less than half for 60 of the 60" in warned
    catalogue.downloads = 11
    snapshot(civitai_etl, 3)
    sums = "sum(download_count), sum(downloads_delta)"
    downloads = f"select snapshot_date, {sums} from star.fact_model_daily group by 1 order by 1"
    assert civitai_etl.sql(downloads) == ["2026-01-01,600,", "2026-01-02,,", "2026-01-03,660,60"]
    counter = "fact_model_daily.download_count"
    for arguments, told in (
        (("fact_model_daily.downloads", "2026-01-02"), "There is no counter 'fact_model_daily.downloads'"),
        (
            (counter, "2026-01-03"),
            f"{counter} is not withheld on 2026-01-03; what is withheld: {counter} on 2026-01-02",
        ),
    ):
        assert told in civitai_etl.fails("accept", *arguments, "--because", "x")
    assert civitai_etl.run("accept", counter, "2026-01-02", "--because", "counted anew").returncode == 0
    assert civitai_etl.sql(downloads) == ["2026-01-01,600,", "2026-01-02,0,-600", "2026-01-03,660,660"]
    ended = civitai_etl.run("sql", "--format", "json", "from star.ops_decision")
    (decision,) = json.loads(ended.stdout)
    assert (decision["verdict"], decision["counter"], decision["reason"]) == ("accepted", counter, "counted anew")


def test_a_decision_on_a_date_without_a_snapshot_is_one_line(civitai_etl, catalogue):
    snapshot(civitai_etl, 1)
    assert "There is no snapshot of 2026-01-05" in civitai_etl.fails("exclude", "2026-01-05", "--because", "x")
    for command in (["exclude"], ["include"]):
        assert "say in a few words why" in civitai_etl.fails(*command, "2026-01-01", "--because", " ")
    assert civitai_etl.run("exclude", "2026-01-01").returncode == 2, "a decision has a reason"
