-- Downloads gained on the dates of a relation, by base model and by the days that they span ({mart_flows DAYS}). The mart
-- has them whole, on the date that showed them: what is longer than a day is noted by the build, and taken from it.
longer AS (
    SELECT noted.base_model, noted.snapshot_date, noted.downloads_days, noted.downloads_delta
    FROM build.longer_flows AS noted JOIN {1} AS d ON d.date = noted.snapshot_date
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
