"""When versions came to round numbers of downloads, so that `time_to_downloads` need not look for it in every row."""

import polars as pl

#: 10, 20, 50, 100 and so on, beyond what any version has. The macro knows them by their digits.
ROUND = pl.Series([digit * 10**zeros for zeros in range(1, 11) for digit in (1, 2, 5)])

#: A version came to a number of downloads on a date. It does so again if it fell in between.
MILESTONES: dict[str, pl.DataType] = {"version_id": pl.Int64(), "downloads": pl.Int64(), "reached_on": pl.Date()}


def milestones(rows: pl.DataFrame) -> pl.DataFrame:
    """MILESTONES from rows of fact_model_version_daily. Flows count from the last known number."""
    now, flow = pl.col("download_count"), pl.col("downloads_delta")
    first, end = (pl.lit(ROUND).search_sorted(number, side="right") for number in (now - flow, now))
    return (
        rows.filter(flow > 0)
        .select("version_id", downloads=pl.int_ranges(first, end), reached_on="snapshot_date")
        .explode("downloads", empty_as_null=False)
        .with_columns(downloads=pl.lit(ROUND).gather("downloads"))
    )
