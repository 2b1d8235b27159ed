-- The catalogue as it was on a date: the rows of dim_model that held then, with all counters of the model as they were
-- last seen by then. A model that the crawl of the date did not reach has those of the crawl before, so a partial crawl
-- is no fall, and neither is a withheld counter: it is that of the snapshot before. One row per model.
--
-- @argument as_of: The date; before the first snapshot nothing is known.
-- @columns dim_model
-- @column counted_on: The snapshot that saw the counters: the newest one up to the date that has the model. Null: none.
-- @counters fact_model_daily
WITH asked AS (
    SELECT CAST(as_of AS DATE) AS date
),
{last_known fact_model_daily model_id counters dim_model}
SELECT history.*, counters.* EXCLUDE (model_id)
FROM star.dim_model AS history LEFT JOIN counters ON counters.model_id = history.model_id
WHERE history.valid_from <= CAST(as_of AS DATE) AND (history.valid_to IS NULL OR CAST(as_of AS DATE) < history.valid_to)
