"""Files of the lake or of the archive that are damaged: one line that names the file and the way out."""

from datetime import date
from pathlib import Path

import pytest

from pipelines.errors import CivitaiEtlError
from pipelines.raw.warehouse import UnreadableFileError, archive_of
from tests.transforms.conftest import Workshop, model
from transforms.build import rebuild
from transforms.compact import compact
from transforms.lake.files import UnreadableStarError

JANUARY, FEBRUARY = date(2026, 1, 1), date(2026, 2, 1)


@pytest.fixture
def built(workshop: Workshop) -> Workshop:
    workshop.raw.crawl(JANUARY, model=[model(1), model(2)])
    workshop.build()
    workshop.raw.crawl(FEBRUARY, model=[model(1), model(2)])
    return workshop


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-7])


def test_a_truncated_file_of_the_star_is_named_and_a_rebuild_makes_it_anew(built: Workshop) -> None:
    (file,) = (built.lake / "state" / "state_model_entity").glob("*.parquet")
    truncate(file)
    with pytest.raises(UnreadableStarError, match=rf"{file} has [\d,]+ bytes and had .*: run `civitai-etl rebuild`"):
        built.build()
    file.unlink()
    with pytest.raises(UnreadableStarError, match=rf"{file} is gone: run `civitai-etl rebuild`"):
        built.build()
    rebuild(built.directory)
    assert built.value("select count(*) from star.fact_model_daily") == 4


def test_a_truncated_file_of_a_month_that_is_merged_is_named(built: Workshop) -> None:
    built.build()
    (file,) = (built.lake / "star" / "fact_model_daily").glob(f"*{JANUARY}/*.parquet")
    truncate(file)
    with pytest.raises(UnreadableStarError, match=str(file)):
        compact(built.directory)


def test_a_truncated_file_of_the_archive_is_named(built: Workshop) -> None:
    built.build()
    compact(built.directory)
    (file,) = archive_of(built.raw.path).glob("model_observations/*/*.parquet")
    truncate(file)
    with pytest.raises(UnreadableFileError, match=rf"{file} has [\d,]+ bytes and had .* restore it from a backup"):
        rebuild(built.directory)


def test_a_manifest_that_is_no_text_is_written_anew(built: Workshop) -> None:
    manifest = built.lake / "star" / "manifest.json"
    good = manifest.read_bytes()
    manifest.write_bytes(b"\xff\xfe\x00")
    rebuild(built.directory)
    assert manifest.read_bytes().startswith(good[:20])


def test_a_list_of_a_generation_that_is_none_is_named_and_nothing_is_deleted(built: Workshop) -> None:
    (generation,) = (built.lake / "state" / "generations").iterdir()
    generation.write_bytes(b"{")
    with pytest.raises(CivitaiEtlError, match=r"generations is no list of files .*: delete it and run again"):
        built.build()
    assert built.value("select count(*) from star.fact_model_daily") == 4
    generation.unlink()
    built.build()
