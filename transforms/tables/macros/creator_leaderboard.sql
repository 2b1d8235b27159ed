-- Whose models are downloaded most in the last days. A download counts for the creator who owned the model on the day.
-- (unknown) pools the creators that the service omits, so it has no rank, but its part in the whole. One row per
-- creator.
--
-- @argument days: {length}
-- @column rank: Place by downloads; equal numbers share a place.
-- @column username: Name of the creator.
-- @columns window
-- @column models: Models of the creator that were observed in the window.
-- @column models_published: Those of them that were published in the window: first seen in it, and published since the
--   complete crawl before.
-- @column downloads: Downloads that they gained in the window. {by_share} Null: the creator hides all of them.
-- @column downloads_share: Part of the creator in the downloads that all models gained. Null: there are none to share.
WITH {windows},
{flows star.fact_model_daily model_key recent_days},
{new_models},
totals AS (
    SELECT
        history.username,
        count(DISTINCT history.model_id) AS models,
        count(DISTINCT births.model_id) AS models_published,
        any_value(windows.since) AS since,
        any_value(windows.until) AS until,
        {whole sum(flows.downloads)} AS downloads
    FROM flows
    JOIN star.dim_model AS history ON history.model_key = flows.model_key
    LEFT JOIN births ON births.model_id = history.model_id
    CROSS JOIN windows
    GROUP BY history.username
),
shares AS (
    SELECT totals.*, totals.downloads / nullif(greatest(sum(totals.downloads) OVER (), 0), 0) AS downloads_share
    FROM totals
)
SELECT
    rank() OVER (ORDER BY shares.downloads DESC NULLS LAST) AS rank,
    shares.username,
    shares.since,
    shares.until,
    shares.until - shares.since AS days_spanned,
    shares.models,
    shares.models_published,
    shares.downloads,
    shares.downloads_share
FROM shares
WHERE shares.username <> '(unknown)'
ORDER BY rank, shares.username
