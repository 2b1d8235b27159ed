-- On which weekdays the catalogue is busy: medians over the days of the window, so that one spike changes little. Only
-- days count that follow on a complete snapshot of the day before and are complete themselves, and of them only flows of
-- one day. A day's downloads are those between the two snapshots: if crawls begin in the morning, they are mostly
-- downloads of the weekday before (ops_snapshot.started_at). One row per weekday that has such a day.
--
-- @argument days: {length}
-- @column weekday: ISO day of the week: 1 is Monday, 7 is Sunday.
-- @column weekday_name: Its English name.
-- @column days_counted: Days of the window that count.
-- @column downloads_median: Median of the downloads of such a day, over all models.
-- @column downloads_min: The least of them. Where the ranges of weekdays overlap, the medians differ by chance.
-- @column downloads_max: The most of them.
-- @column downloads_index: downloads_median / the median over all days that count. Null: that is not above zero.
-- @column models_median: Median of the models that were published on such a day: seen first on it, and published since
--   the crawl of the day before.
WITH {windows},
pairs AS (
    SELECT d.date
    FROM recent_days AS d
    JOIN counted_days AS c ON c.date = d.date
    JOIN counted_days AS before ON before.date = d.date - 1
),
flows AS (
    SELECT fact.snapshot_date, CAST(sum(fact.downloads_delta) AS BIGINT) AS downloads
    FROM star.fact_model_daily AS fact JOIN pairs ON pairs.date = fact.snapshot_date
    WHERE fact.downloads_days = 1
    GROUP BY fact.snapshot_date
),
{new_models},
came AS (
    SELECT births.born_on, count(*) AS models FROM births GROUP BY births.born_on
),
daily AS (
    SELECT pairs.date, flows.downloads, coalesce(came.models, 0) AS models
    FROM pairs
    LEFT JOIN flows ON flows.snapshot_date = pairs.date
    LEFT JOIN came ON came.born_on = pairs.date
)
SELECT
    CAST(isodow(daily.date) AS BIGINT) AS weekday,
    dayname(any_value(daily.date)) AS weekday_name,
    count(*) AS days_counted,
    median(daily.downloads) AS downloads_median,
    min(daily.downloads) AS downloads_min,
    max(daily.downloads) AS downloads_max,
    median(daily.downloads) / nullif(greatest((SELECT median(each.downloads) FROM daily AS each), 0), 0)
        AS downloads_index,
    median(daily.models) AS models_median
FROM daily
GROUP BY isodow(daily.date)
ORDER BY weekday
