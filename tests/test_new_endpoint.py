"""A new list endpoint takes five files: a patch adds /posts to a copy of the packages, and the copy publishes posts."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from tests.pipelines.service import Reply, running_service

ROOT = Path(__file__).parents[1]
PATCH = ROOT / "tests" / "new_endpoint" / "posts.patch"
PACKAGES = ("pipelines", "transforms", "flows")
SNAPSHOTS = """
from datetime import date
from flows.steps import run_daily_snapshot
from pipelines.settings import Settings
print([run_daily_snapshot(Settings(), date(2026, 1, day)).snapshot.status for day in (1, 2)])
"""


def post(number: int, hearts: int | None, views: int, **others: str) -> dict[str, object]:
    return {"id": number, "stats": {"heartCount": hearts, "viewCount": views}, **others}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The packages of this checkout with the patch."""
    copy = tmp_path / "copy"
    for package in PACKAGES:
        shutil.copytree(ROOT / package, copy / package)
    # A repository around the temporary directory is none of git's business here.
    alone = os.environ | {"GIT_CEILING_DIRECTORIES": str(tmp_path)}
    applied = subprocess.run(["git", "apply", PATCH], cwd=copy, env=alone, capture_output=True, text=True, check=False)
    assert applied.returncode == 0, f"{applied.stderr}{PATCH} says at its beginning how to write it again"
    return copy


def test_a_list_endpoint_with_its_table_and_its_fact_takes_five_files(copy: Path) -> None:
    files = re.findall(r"^\+\+\+ b/(.*)$", PATCH.read_text(), re.MULTILINE)
    assert all(file.startswith(PACKAGES) for file in files)
    assert len(files) <= 5

    data = copy.parent / "data"
    with running_service() as service:
        first = [post(1, 10, 100, title="Lanterns"), post(2, None, 5)]
        second = [
            post(1, 12, 90, title="Lanterns at sea"),
            post(2, 3, 6),
            post(3, 4, 7, publishedAt="2026-01-01T18:00:00Z"),
            post(4, 10**11, 8),
        ]
        service.replies("/posts", *(Reply({"items": items, "metadata": {}}) for items in (first, second)))
        settings = {
            "CIVITAI_ETL_DATA_DIR": str(data),
            "CIVITAI_ETL_API_URL": service.api_url,
            "CIVITAI_ETL_REQUESTS_PER_SECOND": "0",
        }
        command = [sys.executable, "-c", SNAPSHOTS]
        ended = subprocess.run(
            command, cwd=copy, env=os.environ | settings, capture_output=True, text=True, check=False
        )
    assert ended.stdout == "['complete', 'complete']\n", ended.stderr

    with duckdb.connect(str(data / "analytics.duckdb"), read_only=True) as star:
        assert star.execute(
            "SELECT post_id, title, CAST(published_at AT TIME ZONE 'UTC' AS VARCHAR), day(first_seen_on) "
            "FROM star.dim_post ORDER BY 1"
        ).fetchall() == [
            (1, "Lanterns at sea", None, 1),
            (2, None, None, 1),
            (3, None, "2026-01-01 18:00:00", 2),
            (4, None, None, 2),
        ]
        assert star.execute(
            "SELECT day(snapshot_date), post_id, heart_count, view_count, hearts_delta, views_delta "
            "FROM star.fact_post_daily ORDER BY ALL"
        ).fetchall() == [
            (1, 1, 10, 100, None, None),
            (1, 2, None, 5, None, None),
            (2, 1, 12, 90, 2, -10),
            (2, 2, 3, 6, None, 1),
            (2, 3, 4, 7, 4, 7),  # published after the first snapshot
            (2, 4, None, 8, None, None),
        ]
        assert star.execute("SELECT kind, entity_id, reason FROM star.ops_quarantine").fetchall() == [
            ("post", "4", "Expected 0 to 10000000000, got 100000000000 - at `$.stats.heartCount`")
        ]
