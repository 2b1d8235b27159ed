"""The real catalogue of 2023-07-04 through the emulator and the command line, against DuckDB straight from the NDJSON.

Nothing here shares code with the transforms: the expected numbers come from SQL on the documents as they are on disk.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from emulator.launch import launch

CATALOGUE = Path(__file__).parents[3] / "shared" / "real" / "models-2023-07.ndjson.zst"

pytestmark = pytest.mark.skipif(
    not CATALOGUE.exists(), reason=f"the recorded catalogue {CATALOGUE} is not on this machine"
)

#: What is counted, as SQL on the documents (`document`, one JSON value a row) and as SQL on the star.
COMPARISONS = {
    "models": (
        "SELECT count(DISTINCT document->>'$.id') FROM documents",
        "SELECT count(*) FROM star.dim_model",
    ),
    "versions": (
        "SELECT count(DISTINCT version->>'$.id') FROM versions",
        "SELECT count(*) FROM star.dim_model_version",
    ),
    "files": (
        "SELECT count(DISTINCT (version->>'$.id', file->>'$.id')) FROM files",
        "SELECT count(*) FROM star.dim_file",
    ),
    "showcase images": (
        (
            "SELECT count(DISTINCT image->>'$.id') FROM "
            "(SELECT unnest((version->'$.images')::JSON[]) AS image FROM versions)"
        ),
        "SELECT count(*) FROM star.dim_image WHERE version_id IS NOT NULL",
    ),
    "hashes per algorithm": (
        (
            "SELECT upper(algorithm), count(*) FROM "
            "(SELECT file, unnest(json_keys(file->'$.hashes')) AS algorithm FROM files) "
            "WHERE ((file->'$.hashes')->>algorithm) IS NOT NULL GROUP BY 1"
        ),
        "SELECT algorithm, count(*) FROM star.file_hash GROUP BY 1",
    ),
    "every hash": (
        "SELECT (version->>'$.id')::BIGINT, upper(file->'$.hashes'->>'SHA256') FROM files",
        "SELECT version_id, hash FROM star.file_hash WHERE algorithm = 'SHA256'",
    ),
    "tags": (
        "SELECT count(DISTINCT trim(tag)) FROM tags WHERE trim(tag) != ''",
        "SELECT count(*) FROM star.dim_tag",
    ),
    "model-tag pairs": (
        "SELECT count(DISTINCT (model_id, trim(tag))) FROM tags WHERE trim(tag) != ''",
        "SELECT count(*) FROM star.bridge_model_tag",
    ),
    "creators": (
        "SELECT count(DISTINCT document->>'$.creator.username') FROM documents",
        "SELECT count(*) FROM star.dim_creator WHERE username != '(unknown)'",
    ),
    "models per creator": (
        "SELECT coalesce(document->>'$.creator.username', '(unknown)'), count(*) FROM documents GROUP BY 1",
        "SELECT username, count(*) FROM star.model GROUP BY 1",
    ),
    "downloads, ratings, favourites and comments per type": (
        (
            "SELECT document->>'$.type', sum((document->>'$.stats.downloadCount')::BIGINT), "
            "sum((document->>'$.stats.ratingCount')::BIGINT), sum((document->>'$.stats.favoriteCount')::BIGINT), "
            "sum((document->>'$.stats.commentCount')::BIGINT) FROM documents GROUP BY 1"
        ),
        (
            "SELECT type, sum(download_count), sum(rating_count), sum(favorite_count), sum(comment_count) "
            "FROM star.fact_model_daily JOIN star.dim_model USING (model_key) GROUP BY 1"
        ),
    ),
    "downloads and ratings per base model": (
        (
            "SELECT version->>'$.baseModel', count(*), sum((version->>'$.stats.downloadCount')::BIGINT), "
            "sum((version->>'$.stats.ratingCount')::BIGINT) FROM versions GROUP BY 1"
        ),
        (
            "SELECT base_model, count(*), sum(download_count), sum(rating_count) "
            "FROM star.fact_model_version_daily JOIN star.dim_model_version USING (version_key) GROUP BY 1"
        ),
    ),
    "the mart's stocks": (
        (
            "SELECT version->>'$.baseModel', count(*), sum((version->>'$.stats.downloadCount')::BIGINT), "
            "sum((version->>'$.stats.ratingCount')::BIGINT) FROM versions GROUP BY 1"
        ),
        "SELECT base_model, version_count, download_count, rating_count FROM star.mart_base_model_daily",
    ),
    "every rating": (
        "SELECT (version->>'$.id')::BIGINT, (version->>'$.stats.rating')::DOUBLE FROM versions",
        "SELECT version_id, rating FROM star.fact_model_version_daily",
    ),
    "publication and trigger words of versions": (
        (
            "SELECT (version->>'$.id')::BIGINT, (version->>'$.createdAt')::TIMESTAMPTZ::VARCHAR, "
            "(version->'$.trainedWords')::VARCHAR[] FROM versions"
        ),
        "SELECT version_id, created_at::VARCHAR, trained_words FROM star.dim_model_version",
    ),
    "descriptions": (
        (
            "SELECT (document->>'$.id')::BIGINT, document->>'$.description' FROM documents "
            "WHERE coalesce(document->>'$.description', '') != ''"
        ),
        "SELECT model_id, description FROM star.model JOIN star.model_text USING (model_id, description_hash)",
    ),
    "file sizes and scans": (
        (
            "SELECT (file->>'$.id')::BIGINT, (file->>'$.sizeKB')::DOUBLE, file->>'$.metadata.format', "
            "file->>'$.pickleScanResult' FROM files"
        ),
        "SELECT file_id, size_kb, format, pickle_scan_result FROM star.dim_file",
    ),
    "licences": (
        (
            "SELECT (document->>'$.id')::BIGINT, [document->>'$.allowCommercialUse'], "
            "(document->>'$.allowNoCredit')::BOOLEAN FROM documents"
        ),
        "SELECT model_id, allow_commercial_use, allow_no_credit FROM star.model",
    ),
}


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """The documents as DuckDB reads them from disk."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(
            f"CREATE TABLE documents AS SELECT json AS document "
            f"FROM read_ndjson_objects('{CATALOGUE}', maximum_object_size = 50000000)"
        )
        connection.execute(
            "CREATE TABLE versions AS SELECT unnest((document->'$.modelVersions')::JSON[]) AS version FROM documents"
        )
        connection.execute(
            "CREATE TABLE files AS SELECT version, unnest((version->'$.files')::JSON[]) AS file FROM versions"
        )
        connection.execute(
            "CREATE TABLE tags AS SELECT document->>'$.id' AS model_id, unnest((document->'$.tags')::VARCHAR[]) AS tag "
            "FROM documents"
        )
        yield connection


@pytest.fixture(scope="module")
def star(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """The star that `civitai-etl snapshot` makes of an emulator that serves the documents."""
    data_dir = tmp_path_factory.mktemp("real")
    with launch(catalogue=CATALOGUE) as emulator:
        environment = os.environ | {
            "CIVITAI_ETL_DATA_DIR": str(data_dir),
            "CIVITAI_ETL_API_URL": emulator.api_url,
            "CIVITAI_ETL_REQUESTS_PER_SECOND": "0",
        }
        command = [str(Path(sys.executable).with_name("civitai-etl")), "snapshot"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    with duckdb.connect(data_dir / "analytics.duckdb", read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection


@pytest.mark.parametrize("what", COMPARISONS)
def test_the_star_equals_what_duckdb_reads_straight_from_the_documents(
    what: str, documents: duckdb.DuckDBPyConnection, star: duckdb.DuckDBPyConnection
) -> None:
    from_documents, from_star = COMPARISONS[what]
    expected = documents.execute(from_documents).fetchall()
    assert expected, "the oracle found nothing to compare with"
    assert sorted(star.execute(from_star).fetchall(), key=repr) == sorted(expected, key=repr)


def test_the_ratings_of_a_base_model_are_the_mean_of_its_versions_weighted_with_their_counts(
    documents: duckdb.DuckDBPyConnection, star: duckdb.DuckDBPyConnection
) -> None:
    expected = documents.execute(
        "SELECT version->>'$.baseModel', "
        "sum((version->>'$.stats.rating')::DECIMAL(9, 2) * (version->>'$.stats.ratingCount')::INT) "
        "/ sum((version->>'$.stats.ratingCount')::INT) FROM versions GROUP BY 1"
    ).fetchall()
    ratings = dict(star.execute("SELECT base_model, rating FROM star.mart_base_model_daily").fetchall())
    assert ratings == pytest.approx({name: float(rating) for name, rating in expected})
