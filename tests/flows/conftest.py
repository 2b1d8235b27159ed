"""A small published file made by hand: the tables that flows read, with a gap, a null flow and a partial crawl."""

import logging
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from flows.reporting.logs import LOG


@pytest.fixture
def records() -> Iterator[list[logging.LogRecord]]:
    """What goes to the log of this program meanwhile."""
    found: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = found.append  # type: ignore[method-assign]
    level = LOG.level
    LOG.setLevel(logging.DEBUG)
    LOG.addHandler(handler)
    yield found
    LOG.removeHandler(handler)
    LOG.setLevel(level)


@pytest.fixture
def analytics(tmp_path: Path) -> Path:
    """Base models A to D on 1, 2, 3 and 6 January 2026; 4 and 5 January have no snapshot; 3 January is partial."""
    path = tmp_path / "analytics.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("create schema star")
        connection.execute(
            """
            create table star.mart_base_model_daily as
            select
                make_date(2026, 1, day) as snapshot_date,
                base_model,
                case day when 1 then null when 6 then 3 else 1 end::int as days_since_previous,
                case day when 1 then null when 6 then 3 * size else size end::bigint as downloads_delta,
                case when day = 1 then null else 3 end::bigint as versions_published,
                1000::bigint as download_count,
                case when day = 1 then null else size / 1000 end::double as downloads_share,
                4.5 as rating,
                null::double as approval_rate,
                null::double as approval_lower_bound
            from (values (1), (2), (3), (6)) as days(day)
            cross join (values ('A', 600), ('B', 300), ('C', 99), ('D', 1)) as base_models(base_model, size)
            """
        )
        connection.execute("create table star.dim_model_version (version_key bigint, base_model varchar)")
        connection.execute(
            """
            create table star.fact_model_version_daily (
                version_key bigint, snapshot_date date, downloads_delta bigint, downloads_days integer
            )
            """
        )
        connection.execute(
            """
            create table star.dim_date as
            select make_date(2026, 1, day) as date, day in (1, 2, 3, 6) as has_snapshot, day in (1, 2, 6) as is_complete
            from (values (1), (2), (3), (4), (5), (6)) as days(day)
            """
        )
        connection.execute(
            """
            create table star.ops_snapshot as
            select
                format('2026-01-{:02d}.1', day) as crawl_id,
                make_date(2026, 1, day) as snapshot_date,
                case day when 3 then 'partial' else 'complete' end as status,
                case day when 3 then 'the totals changed' end as reason,
                make_timestamptz(2026, 1, day, 3, 0, 0, 'UTC') as started_at,
                12::bigint as pages, 2400::bigint as items, 3000000::bigint as bytes, 75.0 as seconds,
                2400::bigint as observations, case day when 6 then 0.9975 else 1 end::double as coverage
            from (values (1), (2), (3), (6)) as days(day)
            """
        )
        connection.execute("create schema build")
        connection.execute(
            """
            create table build.manifest (
                table_name varchar, part varchar, snapshot_date date, lake_path varchar, rows bigint, bytes bigint
            )
            """
        )
        connection.execute(
            """
            create table star.manifest as
            from (values ('fact_model_daily', 'a', 1000::bigint, 9::bigint), ('fact_model_daily', 'b', 234, 9),
                ('dim_model', 'c', 100, 9), ('ops_snapshot', 'd', 4, 9)) as files(table_name, path, rows, bytes)
            """
        )
    return path
