-- The models that were published in the recent window. Needs {windows}.
births AS (
    SELECT fact.model_id
    FROM star.fact_model_daily AS fact
    JOIN (
        SELECT history.model_id, min(history.valid_from) AS first_seen_on
        FROM star.dim_model AS history CROSS JOIN windows
        GROUP BY history.model_id
        HAVING min(history.valid_from) > any_value(windows.since)
    ) AS seen ON seen.model_id = fact.model_id AND seen.first_seen_on = fact.snapshot_date
    JOIN recent_days AS w ON w.date = fact.snapshot_date
    -- A first row has a span only if the model was published since the complete crawl before.
    WHERE fact.days_since_previous IS NOT NULL
)
