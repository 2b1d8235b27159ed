"""`civitai-etl quarantine`: what was set aside is listed, shown as received, and taken in once it can be read."""

from typing import Annotated

import pytest

from flows.quarantine import NotSetAsideError, group_lines, record_lines, replay
from pipelines.progress import Silent
from pipelines.settings import Settings
from tests.transforms.conftest import DAYS, Workshop, model, workshop
from transforms import payloads

__all__ = ["workshop"]


@pytest.fixture
def settings(workshop: Workshop) -> Settings:
    """Two days on which the counter of model 2 is text."""
    for day in DAYS[:2]:
        workshop.raw.crawl(day, model=[model(1), model(2, stats={"downloadCount": "many"}, mode="x"), "no object"])
        workshop.build()
    return Settings(data_dir=workshop.folder)


def test_it_is_listed_by_what_is_wrong(settings: Settings) -> None:
    told = group_lines(settings)
    assert told[0] == "4 records are set aside:"
    assert told[1].startswith("       2  model, 2026-01-01 to 2026-01-02: ")
    assert any("got `str` - at `$.stats.downloadCount` (such as 2)" in line for line in told)


def test_one_is_shown_as_it_was_received(settings: Settings) -> None:
    told = "\n".join(record_lines(settings, "model", "2"))
    assert told.startswith("model 2 of 2026-01-02 (crawl 2026-01-02.1): Expected `int | null`, got `str`")
    assert '"downloadCount": "many"' in told
    with pytest.raises(NotSetAsideError, match="No model 1 is set aside"):
        record_lines(settings, "model", "1")


def test_nothing_is_made_anew_while_nothing_is_mended(settings: Settings) -> None:
    before = settings.analytics.stat().st_mtime_ns
    assert replay(settings, Silent()) == (
        "None of the 4 records that are set aside can be read by today's declarations."
    )
    assert settings.analytics.stat().st_mtime_ns == before


def test_what_a_mended_declaration_reads_is_taken_in_at_its_dates(
    settings: Settings, workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Mended(payloads.Stats):
        """The same with counters that may be text."""

        downloadCount: Annotated[int | str | None, payloads.Canonical(int)] = None  # noqa: N815

        def __post_init__(self) -> None:
            if isinstance(self.downloadCount, str):
                self.downloadCount = None

    class MendedMetric(payloads.Metric):
        stats: Mended | None = None

    monkeypatch.setattr(payloads, "Metric", MendedMetric)
    assert replay(settings, Silent()) == "2 of 4 records were taken in at their dates; 2 stay set aside."
    rows = workshop.sql("SELECT snapshot_date, download_count FROM star.fact_model_daily WHERE model_id = 2 ORDER BY 1")
    assert rows == [(DAYS[0], None), (DAYS[1], None)]
