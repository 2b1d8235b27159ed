"""Views that add up the cube `mart_daily` over what they do not name: by ecosystem, family, type, base model of PG
versions, and by week.

Stocks and flows are sums, null only if all their parts are; rates are computed from sums, never averaged.
"""

from collections.abc import Iterator

from transforms.tables.approval import approval_rate
from transforms.tables.dimensions import DimBaseModel, DimDate
from transforms.tables.marts import MartBaseModelDaily, MartDaily

_SPANS = ("days_since_previous", "downloads_days")
_STOCKS = (
    *("version_count", "download_count", "thumbs_up_count", "thumbs_down_count", "reviews_up", "reviews_down"),
    *("rating_count", "rating_points", "rating_points_count"),
)
_AMOUNTS = [name for name in MartDaily.column_names() if name not in {*MartDaily.primary_key(), *_SPANS}]
_FLOWS = [name for name in _AMOUNTS if name not in _STOCKS]
_RATES = {
    "approval_rate": approval_rate("added.reviews_up", "added.reviews_down"),
    "rating": "added.rating_points / nullif(added.rating_points_count, 0) / 100",
}
_RATES_OF_SUMS = ", ".join(f"{rate} AS {name}" for name, rate in _RATES.items())
_DESCRIPTIONS = {
    name: column.description or ""
    for table in (DimDate, DimBaseModel, MartBaseModelDaily, MartDaily)
    for name, column in table.columns().items()
}

#: Name of a view, what it cuts by, the column of that, and a condition.
_DAILY = (
    ("mart_ecosystem_daily", "ecosystem", "coalesce(named.ecosystem, '(unknown)') AS ecosystem", ""),
    ("mart_family_daily", "family", "named.family", ""),
    ("mart_type_daily", "type", "cube.type", ""),
    ("mart_pg_daily", "base_model", "cube.base_model", "WHERE cube.browsing_level = 'PG'"),
)


def cube_views() -> Iterator[tuple[str, str, str, dict[str, str]]]:
    """Name, description, query, and descriptions of the columns of each view."""
    for name, key, expression, condition in _DAILY:
        which = "base model, of versions all of whose images are PG," if condition else key.replace("_", " ")
        description = f"Stocks and flows of versions by {which} and snapshot date: mart_daily added up."
        columns = ("snapshot_date", key, *_SPANS, *_AMOUNTS, *_RATES)
        yield name, description, _daily(expression, condition), {each: _DESCRIPTIONS[each] for each in columns}
    yield _weekly()


def _daily(expression: str, condition: str) -> str:
    spans = ", ".join(f"any_value(cube.{name}) AS {name}" for name in _SPANS)
    return (
        f"WITH added AS (SELECT cube.snapshot_date, {expression}, {spans}, {_sums(_AMOUNTS)} "
        "FROM star.mart_daily AS cube "
        f"LEFT JOIN star.dim_base_model AS named ON named.base_model = cube.base_model {condition} GROUP BY ALL) "
        f"SELECT added.*, {_RATES_OF_SUMS} FROM added ORDER BY ALL"
    )


def _sums(names: list[str], suffix: str = "") -> str:
    return ", ".join(f"CAST(sum(cube.{name}){suffix} AS BIGINT) AS {name}" for name in names)


def _weekly() -> tuple[str, str, str, dict[str, str]]:
    """By base model and ISO week. Stocks are those of the week's last complete snapshot that has downloads."""
    stocks = _sums(list(_STOCKS), " FILTER (cube.snapshot_date = week.stocks_on)")
    query = f"""
        WITH weeks AS (
            SELECT
                day.week_begins_on,
                count(*) AS snapshots,
                CAST(sum(mart.days_since_previous) AS BIGINT) AS days_spanned,
                max(day.date) FILTER (day.is_complete AND mart.has_downloads) AS stocks_on
            FROM star.dim_date AS day
            JOIN (
                SELECT
                    cube.snapshot_date,
                    any_value(cube.days_since_previous) AS days_since_previous,
                    count(cube.download_count) > 0 AS has_downloads
                FROM star.mart_daily AS cube GROUP BY cube.snapshot_date
            ) AS mart ON mart.snapshot_date = day.date
            GROUP BY day.week_begins_on
        ),
        added AS (
            SELECT
                week.week_begins_on, cube.base_model, any_value(week.snapshots) AS snapshots,
                any_value(week.days_spanned) AS days_spanned, any_value(week.stocks_on) AS stocks_on,
                {stocks}, {_sums(_FLOWS)}
            FROM star.mart_daily AS cube
            JOIN star.dim_date AS day ON day.date = cube.snapshot_date
            JOIN weeks AS week ON week.week_begins_on = day.week_begins_on
            GROUP BY week.week_begins_on, cube.base_model
        )
        SELECT added.*, {_RATES_OF_SUMS} FROM added ORDER BY ALL"""
    own = {
        "snapshots": "Snapshot dates in the week, complete or not.",
        "days_spanned": "Days that the flows of these snapshots span, from the snapshot before the week. Null: the "
        "only one is the first of all.",
        "stocks_on": "The week's last complete snapshot with downloads, whose stocks are given. Null: there was none, "
        "and no stock is known.",
    }
    columns = {
        name: own.get(name) or _DESCRIPTIONS[name]
        for name in ("week_begins_on", "base_model", *own, *_STOCKS, *_FLOWS, *_RATES)
    }
    description = (
        "Stocks and flows of versions by base model and ISO week: mart_daily added up. A week without a snapshot has "
        "no row. A flow counts in the week of the snapshot that showed it."
    )
    return "mart_base_model_weekly", description, query, columns
