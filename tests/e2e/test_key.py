"""A key that is used through requests that fail in every way, by a service that repeats it, is found nowhere."""

import gzip
import socket
import time
import traceback
from contextlib import closing, suppress
from datetime import date

import duckdb
import pytest

from pipelines.crawl.snapshot import take_snapshot
from pipelines.errors import CivitaiEtlError
from pipelines.settings import Settings
from tests.pipelines.service import Reply, running_service

SENTINEL = "sk-sentinel-0f3a9c55e1"
#: Stands beside the key in what the service says: where this is found, the key could have been.
ECHO = "echoed-by-the-service"


@pytest.fixture
def service():
    """401 models, whose next page repeats the key that was sent; so does the 400th, which has no id."""
    with running_service() as service:

        def key():
            return service.requests[-1].headers.get("Authorization", "")

        def models(query):
            limit, page = int(query["limit"]), int(query.get("page", 1))
            items = [{"id": n} for n in range(1, 400)] + [{"name": f"{ECHO} {key()}"}, {"id": 401}]
            shown = items[(page - 1) * limit : page * limit]
            address = f"http://x.invalid/api/v1/models?limit={limit}&page={page + 1}&token={SENTINEL}"
            return Reply({"items": shown, "metadata": {"nextPage": address} if page * limit < len(items) else {}})

        service.key = key
        service.models = models
        service.routes["/models"] = models
        yield service


def failures(service):
    """Ways in which the service fails every request, repeating the key where it says anything."""

    def late(_):
        time.sleep(1)
        return Reply({"items": []})

    yield lambda _: Reply({"error": f"{ECHO} {service.key()}"}, 401)
    yield lambda _: Reply({"error": f"{ECHO} {service.key()}"}, 400)
    yield lambda _: Reply(f"{ECHO} {service.key()}".encode(), 500)
    yield lambda _: Reply(f"{ECHO} {service.key()}".encode(), 429, {"Retry-After": "0"})
    yield lambda _: Reply(f"{ECHO} {'x' * 170} {service.key()}".encode(), 503, {"Retry-After": "0"})
    yield lambda _: Reply(f'{{"items": [{{"{ECHO} {service.key()}'.encode())
    yield lambda _: Reply(f'{{"items": [{{"{ECHO} {service.key()}'.encode(), promised=5000)
    yield lambda _: Reply(b"", 301, {"Location": f"http://x.invalid/?token={SENTINEL}"})
    yield late


def found_in(data_dir, text):
    """The files under a directory and the columns of tables that hold a text, compressed or not."""
    found = []
    for path in (path for path in data_dir.rglob("*") if path.is_file()):
        content = path.read_bytes()
        with suppress(OSError, EOFError):
            content += gzip.decompress(content)
        if text.encode() in content:
            found.append(str(path))
        if path.suffix == ".parquet":
            with duckdb.connect() as connection:
                found += _rows_with(connection, f"read_parquet('{path}', hive_partitioning = false)", text, path)
    for path in data_dir.rglob("*.duckdb"):
        with duckdb.connect(path, read_only=True) as connection:
            for schema, table in connection.execute(
                "select table_schema, table_name from information_schema.tables"
            ).fetchall():
                found += _rows_with(connection, f'{schema}."{table}"', text, f"{path.name} {schema}.{table}")
    return found


def _rows_with(connection, relation, text, place):
    rows = connection.execute(f"select count(*) from {relation} as t where t::varchar like '%{text}%'").fetchone()[0]
    return [str(place)] if rows else []


def test_a_key_that_the_service_repeats_is_found_nowhere(civitai_etl, service, capfd, caplog):
    caplog.set_level(0)
    told = []
    values = {
        "requests_per_second": 0,
        "max_attempts": 1,
        "retry_minutes": 0,
        "timeout_seconds": 0.5,
        "window_pages": 1,
    }
    settings = Settings(data_dir=civitai_etl.data_dir, api_url=service.api_url, api_key=SENTINEL, **values)

    def fails(**others):
        with pytest.raises(CivitaiEtlError) as error:
            take_snapshot(settings.model_copy(update=others), date(2026, 1, 1))
        told.extend(traceback.format_exception(error.value))

    # The first page arrives and is loaded; then everything fails, in one way after the other.
    for failure in failures(service):
        service.routes["/models"] = lambda query, failure=failure: (
            service.models(query) if query.get("page", "1") == "1" and query["limit"] == "200" else failure(query)
        )
        fails()
    with closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))
        fails(api_url=f"http://127.0.0.1:{unused.getsockname()[1]}/api/v1")
    fails(api_url=service.api_url.replace("http", "https"))
    told += [*capfd.readouterr(), caplog.text]

    # A record that breaks its page always, and one without an id: what they say is kept, without the key.
    civitai_etl.settings |= {"CIVITAI_ETL_API_URL": service.api_url, "CIVITAI_API_KEY": SENTINEL}
    civitai_etl.settings |= {"CIVITAI_ETL_MAX_ATTEMPTS": "1"}
    broken = Reply(f"{ECHO} Bearer {SENTINEL}".encode(), 500)

    def models(query):
        last = int(query["limit"]) * int(query.get("page", 1))
        return broken if last - int(query["limit"]) < 401 <= last else service.models(query)

    service.routes["/models"] = models
    endings = []
    for command in (["snapshot", "--date", "2026-01-02"], ["refresh"], ["doctor"]):
        ended = civitai_etl.run(*command)
        endings.append(ended.returncode)
        told += [ended.stdout, ended.stderr]
    assert endings == [0, 0, 0], told[-6:]

    assert {request.headers.get("Authorization") for request in service.requests} == {f"Bearer {SENTINEL}"}
    assert [text for text in told if SENTINEL in text] == []
    assert any(ECHO in text for text in told), "the errors say what the service said"
    kept = found_in(civitai_etl.data_dir, ECHO)
    assert {"warehouse.duckdb raw.rejects", "analytics.duckdb star.ops_quarantine"} <= set(kept)
    # The log has every request that failed, in the words of the service.
    assert str(civitai_etl.data_dir / "logs" / "civitai-etl.jsonl") in kept
    assert found_in(civitai_etl.directory, SENTINEL) == []
