-- Which base models are downloaded most in the last days, and how that compares with the same time before. One row per
-- base model.
--
-- @argument days: {length}
-- @column base_model: Architecture, as in dim_base_model.
-- @columns window
-- @column version_count: Versions that the service had at the end of the window.
-- @column versions_published: Versions published in the window. Null: unknown, for want of a complete crawl before.
-- @column download_count: Downloads of all time at the end of the window, of the versions that were there then.
-- @column downloads: Downloads gained in the window, by versions that had the base model then. {by_share} Null: no
--   version's gain is known.
-- @column downloads_share: Part of the base model in the downloads gained by all. Null: there are none to share.
-- @column downloads_per_day: Downloads gained per day of the window.
-- @column downloads_per_day_before: The same in the window before, which has as many days or, after gaps, a few more.
--   Null: there is no such window, or no gain in it is known.
-- @column growth: downloads_per_day / downloads_per_day_before. Null: one is unknown, or nothing was gained before.
WITH {windows},
{mart_flows window_days},
{flows mart_flows base_model window_days},
gained AS (
    SELECT
        flows.base_model,
        {whole flows.downloads} AS downloads,
        {whole flows.downloads_before} AS downloads_before
    FROM flows
),
stocks AS (
    SELECT
        mart.base_model,
        any_value(w.since) AS since,
        any_value(w.until) AS until,
        any_value(w.before) AS before,
        coalesce(max(mart.version_count) FILTER (mart.snapshot_date = w.until), 0) AS version_count,
        CAST(sum(mart.versions_published) FILTER (w.is_recent) AS BIGINT) AS versions_published,
        coalesce(max(mart.download_count) FILTER (mart.snapshot_date = w.until), 0) AS download_count
    FROM star.mart_base_model_daily AS mart JOIN window_days AS w ON w.date = mart.snapshot_date
    GROUP BY mart.base_model
),
rates AS (
    SELECT
        stocks.*,
        gained.downloads,
        gained.downloads / (stocks.until - stocks.since) AS per_day,
        gained.downloads_before / (stocks.since - stocks.before) AS per_day_before
    FROM stocks LEFT JOIN gained ON gained.base_model = stocks.base_model
)
SELECT
    rates.base_model,
    rates.since,
    rates.until,
    rates.until - rates.since AS days_spanned,
    rates.version_count,
    rates.versions_published,
    rates.download_count,
    rates.downloads,
    rates.downloads / nullif(greatest(sum(rates.downloads) OVER (), 0), 0) AS downloads_share,
    rates.per_day AS downloads_per_day,
    rates.per_day_before AS downloads_per_day_before,
    CASE WHEN rates.per_day_before > 0 THEN rates.per_day / rates.per_day_before END AS growth
FROM rates
ORDER BY rates.downloads DESC NULLS LAST, rates.base_model
