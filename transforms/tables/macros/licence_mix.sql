-- What creators allow: the catalogue of a date by licence, at the newest complete snapshot up to it. One row per
-- combination of licence flags.
--
-- @argument as_of: The date; before the first complete snapshot there is no answer.
-- @column counted_on: The complete snapshot that is shown.
-- @column allow_commercial_use: Commercial uses that are allowed, sorted; an empty list allows none.
-- @column allow_no_credit: True if no credit is needed. Null: the service did not say.
-- @column allow_derivatives: True if derivatives may be shared. Null: the service did not say.
-- @column allow_different_license: True if derivatives may have another licence. Null: the service did not say.
-- @column models: Models with this licence.
-- @column models_share: Their part in all models of that snapshot.
-- @column download_count: Their downloads of all time, where known. Null: none is known.
-- @column downloads_share: Their part in the downloads of all models. Null: none is known.
WITH {counted_days},
counted AS (
    SELECT max(d.date) AS counted_on FROM counted_days AS d WHERE d.date <= CAST(as_of AS DATE)
),
counters AS (
    SELECT fact.model_id, fact.download_count
    FROM star.fact_model_daily AS fact JOIN counted ON counted.counted_on = fact.snapshot_date
),
licences AS (
    SELECT
        counted.counted_on,
        history.allow_commercial_use,
        history.allow_no_credit,
        history.allow_derivatives,
        history.allow_different_license,
        count(*) AS models,
        CAST(sum(counters.download_count) AS BIGINT) AS download_count
    FROM star.dim_model AS history
    JOIN counted
        ON history.valid_from <= counted.counted_on
        AND (history.valid_to IS NULL OR counted.counted_on < history.valid_to)
    LEFT JOIN counters ON counters.model_id = history.model_id
    GROUP BY ALL
)
SELECT
    licences.counted_on,
    licences.allow_commercial_use,
    licences.allow_no_credit,
    licences.allow_derivatives,
    licences.allow_different_license,
    licences.models,
    licences.models / sum(licences.models) OVER () AS models_share,
    licences.download_count,
    licences.download_count / nullif(greatest(sum(licences.download_count) OVER (), 0), 0) AS downloads_share
FROM licences
ORDER BY licences.models DESC, licences.allow_commercial_use, licences.allow_no_credit NULLS LAST,
    licences.allow_derivatives NULLS LAST, licences.allow_different_license NULLS LAST
