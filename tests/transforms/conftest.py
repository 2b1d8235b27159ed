"""A workshop for the transform tests: raw tables written by hand, and the star that becomes of them."""

from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

from pipelines.storage.data_directory import DataDirectory
from tests.transforms.raw_writer import RawWriter
from transforms.build import BuildReport, build, rebuild
from transforms.ranges import WIDTH


class Workshop:
    """A warehouse to write crawls into, and the star beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.raw = RawWriter(folder / "warehouse.duckdb")
        self.lake = folder / "lake"
        self.analytics = folder / "analytics.duckdb"

    @property
    def directory(self) -> DataDirectory:
        return DataDirectory(self.folder, self.lake, self.raw.path)

    def build(self, **options: Any) -> BuildReport:
        return build(self.directory, **options)

    def rebuild_into(self, name: str, **options: Any) -> "Workshop":
        other = Workshop(self.folder / name)
        other.folder.mkdir()
        other.raw = self.raw
        rebuild(other.directory, **options)
        return other

    def sql(self, query: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(self.analytics, read_only=True) as connection:
            return connection.execute(query).fetchall()

    def value(self, query: str) -> Any:
        ((value,),) = self.sql(query)
        return value

    def files(self) -> dict[str, bytes]:
        """The star's files by name relative to the lake, as the published generation names them; ops_* left out."""
        rows = self.sql("SELECT path FROM star.manifest WHERE NOT starts_with(table_name, 'ops_')")
        return {str(Path(path).relative_to(self.lake)): Path(path).read_bytes() for (path,) in rows}


@pytest.fixture
def narrow_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    """A handful of models is in several ranges, so that a rule is seen to hold across them."""
    _set_widths(monkeypatch, model=3, image=50)


@pytest.fixture
def ranges_of_dozens(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same, for tests with dozens of models."""
    _set_widths(monkeypatch, model=25, image=400)


def _set_widths(monkeypatch: pytest.MonkeyPatch, **widths: int) -> None:
    for axis, width in widths.items():
        monkeypatch.setitem(WIDTH, axis, width)


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


def model(model_id: int, *versions: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A model document; without versions given it has one, with id `model_id * 10`."""
    stats = fields.pop("stats", {"downloadCount": 100})
    return {
        "id": model_id,
        "name": f"Model {model_id}",
        "type": "LORA",
        "creator": {"username": "ada"},
        "tags": ["landscape"],
        "stats": stats,
        "modelVersions": list(versions) or [version(model_id * 10, stats=stats)],
    } | fields


def version(version_id: int, base_model: str | None = "SDXL 1.0", **fields: Any) -> dict[str, Any]:
    return {
        "id": version_id,
        "name": f"v{version_id}",
        "baseModel": base_model,
        "publishedAt": "2025-06-01T12:00:00.000Z",
        "stats": {"downloadCount": 100},
        "files": [
            {"id": version_id * 10, "name": "a.safetensors", "sizeKB": 1.5, "hashes": {"SHA256": f"{version_id:064X}"}}
        ],
        "images": [],
    } | fields


DAYS = [date(2026, 1, day) for day in range(1, 32)]
