"""The numbers of the base models per day, as the charts read them from `analytics.duckdb`.

`mart_base_model_daily` has a flow (`downloads_delta`) per snapshot, which may span several days. What a version gained
while its number was hidden is spread over the snapshots in between by days, as in the table macros. An unknown flow, as
of the first snapshot, is null. A null is never a zero.
"""

from pathlib import Path

import duckdb
import polars as pl


def daily(connection: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """One row per base model and calendar day. Numbers are null except at complete snapshots.

    A partial snapshot has the flow of what it reached, and a later one has the rest. Alone it would look like a fall,
    and the day after it like a rise. So its flow counts with the next complete snapshot. The same holds for the flow
    up to a date with withheld downloads.

    Columns: `snapshot_date`, `base_model`; `status` of the day: complete, partial, withheld (its downloads), missing;
    `days` since the complete snapshot before; `downloads` and `versions`, gained and published in these days;
    `downloads_per_day` and `versions_per_day`; `downloads_share`; `rating`, `approval_rate`, `approval_lower_bound`.
    """
    frame: pl.DataFrame = connection.sql(Path(__file__).with_name("base_models_daily.sql").read_text()).pl()
    return frame


def leading(frame: pl.DataFrame, count: int, *, by: str = "base_model", column: str = "downloads") -> list[str]:
    """The `count` names with the highest sum of a column over the dates of `frame`, highest first."""
    return (
        frame.group_by(by)
        .agg(pl.col(column).sum())
        .sort(column, by, descending=[True, False])
        .head(count)[by]
        .to_list()
    )
