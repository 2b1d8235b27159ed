-- The dates that can be compared: of complete snapshots whose downloads are not withheld.
    withheld AS (
        SELECT DISTINCT w.snapshot_date
        FROM star.ops_withheld AS w
        WHERE NOT w.is_accepted
            AND w.counter IN ('fact_model_daily.download_count', 'fact_model_version_daily.download_count')
    ),
    counted_days AS (
        SELECT d.date
        FROM star.dim_date AS d ANTI JOIN withheld ON withheld.snapshot_date = d.date
        WHERE d.is_complete
    )
