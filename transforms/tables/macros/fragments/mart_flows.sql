-- Downloads gained on the dates of a relation, by base model and by the days that they span ({mart_flows DAYS}). The mart
-- has them whole, on the date that showed them: what is longer than a day is read from the fact, and taken from it.
longer AS (
    SELECT
        history.base_model,
        fact.snapshot_date,
        fact.downloads_days,
        sum(fact.downloads_delta) AS downloads_delta
    FROM star.fact_model_version_daily AS fact
    JOIN {1} AS d ON d.date = fact.snapshot_date
    JOIN star.dim_model_version AS history ON history.version_key = fact.version_key
    WHERE fact.downloads_days > 1
    GROUP BY history.base_model, fact.snapshot_date, fact.downloads_days
),
mart_flows AS (
    SELECT longer.* FROM longer
    UNION ALL
    SELECT mart.base_model, mart.snapshot_date, 1, mart.downloads_delta - coalesce(longest.downloads_delta, 0)
    FROM star.mart_base_model_daily AS mart
    JOIN {1} AS d ON d.date = mart.snapshot_date
    LEFT JOIN (
        SELECT longer.base_model, longer.snapshot_date, sum(longer.downloads_delta) AS downloads_delta
        FROM longer GROUP BY longer.base_model, longer.snapshot_date
    ) AS longest ON longest.base_model = mart.base_model AND longest.snapshot_date = mart.snapshot_date
)
