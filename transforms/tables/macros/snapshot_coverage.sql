-- How much of the catalogue each day's crawls saw: what to look at before believing a dip. One row per calendar day,
-- gaps included.
--
-- @column date: The calendar day.
-- @column has_snapshot: True if a crawl observed anything on that day; false is a gap.
-- @column is_complete: True if a crawl of that day saw the whole catalogue.
-- @column days_since_previous: Days since the snapshot before. Null: a gap, or the first snapshot.
-- @column crawls: Crawls of that day.
-- @column reason: Why the last crawl of that day is not complete. Null: it is, or there was none.
-- @column models_known: Models that the service had, as far as was known by then: the open rows of dim_model.
-- @column models_observed: Models observed on that day. Null: a gap.
-- @column observed_share: models_observed / models_known. Null: a gap.
-- @column models_removed: Models that were found gone on that day.
-- @column quarantined: Records and values of that day that were set aside.
WITH steps AS (
    SELECT history.valid_from AS date, 1 AS step FROM star.dim_model AS history
    UNION ALL
    SELECT history.valid_to, -1 FROM star.dim_model AS history WHERE history.valid_to IS NOT NULL
),
known AS (
    SELECT s.date, sum(s.step) AS step FROM steps AS s GROUP BY s.date
),
observed AS (
    SELECT fact.snapshot_date, count(*) AS models FROM star.fact_model_daily AS fact GROUP BY fact.snapshot_date
),
crawled AS (
    SELECT crawl.snapshot_date, count(*) AS crawls, arg_max_null(crawl.reason, crawl.started_at) AS reason
    FROM star.ops_snapshot AS crawl GROUP BY crawl.snapshot_date
),
removed AS (
    SELECT history.removed_on, count(*) AS models
    FROM star.dim_model AS history WHERE history.removed_on IS NOT NULL GROUP BY history.removed_on
),
aside AS (
    SELECT record.snapshot_date, count(*) AS records
    FROM star.ops_quarantine AS record GROUP BY record.snapshot_date
),
days AS (
    SELECT
        d.date,
        d.has_snapshot,
        d.is_complete,
        CASE WHEN d.has_snapshot THEN
            d.date - max(CASE WHEN d.has_snapshot THEN d.date END)
                OVER (ORDER BY d.date ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
        END AS days_since_previous,
        CAST(sum(coalesce(known.step, 0)) OVER (ORDER BY d.date) AS BIGINT) AS models_known
    FROM star.dim_date AS d LEFT JOIN known ON known.date = d.date
)
SELECT
    days.date,
    days.has_snapshot,
    days.is_complete,
    days.days_since_previous,
    coalesce(crawled.crawls, 0) AS crawls,
    crawled.reason,
    days.models_known,
    observed.models AS models_observed,
    observed.models / nullif(days.models_known, 0) AS observed_share,
    coalesce(removed.models, 0) AS models_removed,
    coalesce(aside.records, 0) AS quarantined
FROM days
LEFT JOIN crawled ON crawled.snapshot_date = days.date
LEFT JOIN observed ON observed.snapshot_date = days.date
LEFT JOIN removed ON removed.removed_on = days.date
LEFT JOIN aside ON aside.snapshot_date = days.date
ORDER BY days.date
