"""When the downloads of versions had fallen to half, as far as whole fortnights of age tell. The macro `half_life`
looks for the day among the rows until then. They are kept apart, because they are few of all that versions ever have.

Nothing here is an answer. A fall is noted only if the three numbers that show it are known on their very days, so the
rows until then show it, too. Of a version of which none is noted, as after gaps, all rows are kept. Of one that is said
to be published on an earlier day since, the macro reads the fact.
"""

from datetime import date

import polars as pl

#: The age in days until which the first week lasts; and every so many days a version is looked at.
WEEK, FORTNIGHT = 7, 14

#: A version that is watched: the downloads at the age of a week; those a week before it is looked at again, and when
#: that was; and the date on which those of the last seven days were at most half of those of the first week.
SCHEMA: dict[str, pl.DataType] = {
    "version_id": pl.Int64(),
    "published_on": pl.Date(),
    "first_week": pl.Int64(),
    "downloads": pl.Int64(),
    "downloads_on": pl.Date(),
    "fell_on": pl.Date(),
}
#: What is kept of the fact: the known downloads of these versions, up to the day of the fall.
WATCHED: dict[str, pl.DataType] = {
    "version_id": pl.Int64(),
    "snapshot_date": pl.Date(),
    "download_count": pl.Int64(),
    "downloads_days": pl.Int32(),
}


def fading(known: pl.DataFrame, published: pl.DataFrame, rows: pl.DataFrame, on: date) -> pl.DataFrame:
    """The versions that are watched (SCHEMA), after a snapshot date.

    Args:
        known: those before it.
        published: version_id and published_at of the versions whose documents were read on the date. Those that are not
            older than a week are watched from then on; one without a date may be published today.
        rows: version_id and download_count of the date.
        on: the date.
    """
    today = pl.lit(on)
    age = (today - pl.col("published_on")).dt.total_days()
    new = published.select("version_id", published_on=pl.min_horizontal(pl.col("published_at").dt.date(), today))
    new = new.drop_nulls().filter(age <= WEEK).join(known, on="version_id", how="anti", maintain_order="left")
    watched = pl.concat([known, new], how="diagonal").join(
        rows.select("version_id", now="download_count"), on="version_id", how="left", maintain_order="left"
    )
    is_between, is_half = age % FORTNIGHT == WEEK, 2 * (pl.col("now") - pl.col("downloads")) <= pl.col("first_week")
    is_looked_at = (age % FORTNIGHT == 0) & (pl.col("downloads_on") == today - pl.duration(days=WEEK))
    return watched.with_columns(
        first_week=pl.when(age == WEEK).then("now").otherwise("first_week"),
        downloads=pl.when(is_between).then("now").otherwise("downloads"),
        downloads_on=pl.when(is_between).then(today).otherwise("downloads_on"),
        fell_on=pl.when(pl.col("fell_on").is_null() & is_looked_at & is_half).then(today).otherwise("fell_on"),
    ).select(SCHEMA.keys())


def watched(versions: pl.DataFrame, rows: pl.DataFrame, on: date) -> pl.DataFrame:
    """The rows to keep of a date (WATCHED).

    Args:
        versions: those that are watched, after the date (`fading`).
        rows: those of the fact on the date.
        on: the date.
    """
    until_fall = versions.filter(pl.col("fell_on").is_null() | (pl.col("fell_on") == on))
    known = rows.select(WATCHED.keys()).drop_nulls("download_count")
    return known.join(until_fall, on="version_id", how="semi", maintain_order="left")
