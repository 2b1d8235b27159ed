"""`civitai-etl quarantine`: what was set aside is listed, shown as received, and taken in once it can be read."""

from typing import Annotated

import pytest

from flows.cli.quarantine import NotQuarantinedError, group_lines, record_lines, replay
from pipelines.progress import Silent
from pipelines.settings import Settings
from tests.transforms.conftest import DAYS, Workshop, model, workshop
from transforms.staging import payloads
from transforms.staging.quarantine import value_now
from transforms.staging.validation import Canonical
from transforms.tables import FactModelDaily

__all__ = ["workshop"]


@pytest.fixture
def settings(workshop: Workshop) -> Settings:
    """Two days on which a counter of model 2 is text, one of model 4 cannot be true, and model 3 has no list."""
    for day in DAYS[:2]:
        odd = [model(2, stats={"downloadCount": "many"}, mode="x"), model(4, stats={"commentCount": 10**11})]
        workshop.raw.crawl(day, model=[model(1), *odd, {"id": 3, "modelVersions": "none"}, "no object"])
        workshop.build()
    return Settings(data_dir=workshop.folder)


def test_it_is_listed_by_what_is_wrong(settings: Settings) -> None:
    told = group_lines(settings)
    assert told[0] == "Set aside: 2 items, 2 records, 6 values."
    assert told[1].startswith("       2  model, items, 2026-01-01 to 2026-01-02: ")
    expected = "model, values, 2026-01-01 to 2026-01-02: Expected `int | null`, got `str` - at"
    assert f"       2  {expected} `$.stats.downloadCount` (such as 2)" in told
    assert f"       2  {expected} `$.modelVersions[].stats.downloadCount` (such as 2)" in told


def test_one_is_shown_as_it_was_received(settings: Settings) -> None:
    told = "\n".join(record_lines(settings, "model", "3"))
    assert told.startswith("model 3 of 2026-01-02 (crawl 2026-01-02.1): Expected `array | null`, got `str`")
    assert '"modelVersions": "none"' in told
    told = "\n".join(record_lines(settings, "model", "4"))
    assert told.startswith("a value of model 4 of 2026-01-02 (crawl 2026-01-02.1): Expected 0 to 10000000000, got")
    with pytest.raises(NotQuarantinedError, match="No model 1 is quarantined"):
        record_lines(settings, "model", "1")


@pytest.mark.parametrize("odd", ["[" * 101 + "]" * 101, r'"cut \ud83d"'], ids=["deep", "surrogate"])
def test_whatever_a_value_is_it_is_shown(workshop: Workshop, odd: str) -> None:
    workshop.raw.crawl(DAYS[0], model=[model(1), f'{{"id": 2, "modelVersions": {odd}}}'.encode()])
    workshop.build()
    told = "".join(record_lines(Settings(data_dir=workshop.folder), "model", "2"))
    assert odd in "".join(told.encode().decode().replace("\n", "").split("  "))


def test_nothing_is_made_anew_while_nothing_is_mended(settings: Settings) -> None:
    before = settings.directory.analytics.stat().st_mtime_ns
    assert replay(settings, Silent()) == (
        "Today's declarations can read none of the 10 quarantined records and values."
    )
    assert settings.directory.analytics.stat().st_mtime_ns == before


def test_a_bound_that_was_widened_takes_the_value_in_at_its_dates(
    settings: Settings, workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    column = FactModelDaily.columns()["comment_count"]
    monkeypatch.setitem(column.metadata, "most", 10**12)
    assert replay(settings, Silent()) == "Of 10 in quarantine, 2 were added to their dates; 8 stay in quarantine."
    rows = workshop.sql("SELECT comment_count FROM star.fact_model_daily WHERE model_id = 4")
    assert rows == [(10**11,), (10**11,)]


@pytest.mark.parametrize(
    ("path", "value", "is_odd"),
    [
        ("$.stats.downloadCount", "-1", True),
        ("$.stats.downloadCount", "5", False),
        ("$.modelVersions[id=7].stats.rating", "5.5", True),
        ("$.modelVersions[id=7].stats.rating", "4.5", False),
        ("$..images[id=None].stats.heartCount", "5", False),
        ("$.creator.modelCount", "{}", True),
        ("$.creator.modelCount", "3", False),
        ("$.stats", '{"downloadCount":{}}', True),
        ("$.tags[2]", "null", True),
        ("$.tags[2]", '{"name":"sea"}', False),
        ("$.modelVersions[0].files[3].hashes.SHA256", '" "', True),
        ("$.modelVersions[0].files[3].hashes.SHA256", '"AB"', False),
        ("$.modelVersions[0].images[1].id", '"7"', True),
        ("$.poi", "true", False),
        ("$.gone.since", "1", True),
    ],
)
def test_a_value_is_judged_by_what_is_declared_at_its_path(path: str, value: str, is_odd: bool) -> None:
    assert (value_now("model", path, value.encode()) is not None) is is_odd


@pytest.mark.parametrize("kind", ["creator", "tag"])
def test_a_value_is_judged_by_the_counters_of_its_own_kind(kind: str) -> None:
    assert value_now(kind, "$.modelCount", b"-1") == "Expected 0 to 10000000000"
    assert value_now(kind, "$.modelCount", b"1") is None


def test_what_a_mended_declaration_reads_is_taken_in_at_its_dates(
    settings: Settings, workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Mended(payloads.Stats):
        """The same with counters that may be text."""

        downloadCount: Annotated[int | str | None, Canonical(int)] = None  # noqa: N815

        def __post_init__(self) -> None:
            if isinstance(self.downloadCount, str):
                self.downloadCount = None

    class MendedMetric(payloads.Metric):
        stats: Mended | None = None

    monkeypatch.setattr(payloads, "Metric", MendedMetric)
    assert replay(settings, Silent()) == "Of 10 in quarantine, 4 were added to their dates; 6 stay in quarantine."
    rows = workshop.sql("SELECT snapshot_date, download_count FROM star.fact_model_daily WHERE model_id = 2 ORDER BY 1")
    assert rows == [(DAYS[0], None), (DAYS[1], None)]
