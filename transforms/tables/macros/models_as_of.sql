-- The catalogue as it was on a date: the rows of dim_model that held then, with the counters of the newest complete
-- snapshot up to that date. One row per model.
--
-- @argument as_of: The date; before the first snapshot nothing is known.
-- @columns dim_model
-- @column counted_on: The snapshot that the counters are from. Null: there was no complete one yet, or it did not have
--   the model.
-- @column download_count: Downloads of all time. Null: hidden by its creator, or counted_on is null.
-- @column thumbs_up_count: Users who recommend it. Null: not known, or counted_on is null.
WITH {counted_days},
counted AS (
    SELECT max(d.date) AS counted_on FROM counted_days AS d WHERE d.date <= CAST(as_of AS DATE)
),
counters AS (
    SELECT fact.model_id, fact.snapshot_date, fact.download_count, fact.thumbs_up_count
    FROM star.fact_model_daily AS fact JOIN counted ON counted.counted_on = fact.snapshot_date
)
SELECT history.*, counters.snapshot_date AS counted_on, counters.download_count, counters.thumbs_up_count
FROM star.dim_model AS history LEFT JOIN counters ON counters.model_id = history.model_id
WHERE history.valid_from <= CAST(as_of AS DATE) AND (history.valid_to IS NULL OR CAST(as_of AS DATE) < history.valid_to)
