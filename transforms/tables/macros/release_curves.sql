-- How downloads of a version grow with its age: the spread over the versions of a base model that were watched from
-- their beginning: published since the complete crawl before the one that saw them first. Every age has the versions
-- that were observed at it with a known number, fewer at greater ages; nothing is filled in. One row per age.
--
-- @optional base: The base model, as a version states it now or stated it last; null for all. A name that is not in
--   dim_base_model is an error.
-- @column age_days: Days from the day of publication to the snapshot, both in UTC. A version that is seen before the
--   day that it states was published when it was first seen.
-- @column versions: Versions that were observed at that age with a known number.
-- @column downloads_lower_quartile: A quarter of them had at most so many downloads of all time.
-- @column downloads_median: Half of them had at most so many downloads of all time.
-- @column downloads_upper_quartile: Three quarters of them had at most so many downloads of all time.
WITH {versions},
-- None is of the first complete crawl or before it: nobody saw their beginning.
candidates AS MATERIALIZED (
    SELECT
        versions.version_id,
        versions.first_seen_on,
        coalesce(versions.published_on, versions.first_seen_on) AS published_on
    FROM versions
    WHERE (base IS NULL OR versions.base_model = {known base star.dim_base_model base_model})
        AND versions.first_seen_on > (SELECT min(d.date) FROM star.dim_date AS d WHERE d.is_complete)
),
-- Materialized, like the candidates, so that the facts are read once, and only theirs.
observed AS MATERIALIZED (
    SELECT
        fact.version_id,
        fact.snapshot_date - candidates.published_on AS age_days,
        fact.download_count,
        -- A first row has a span only if the version was published since the complete crawl before.
        fact.snapshot_date = candidates.first_seen_on AND fact.days_since_previous IS NOT NULL AS begins
    FROM star.fact_model_version_daily AS fact JOIN candidates ON candidates.version_id = fact.version_id
),
cohort AS (
    SELECT observed.version_id FROM observed WHERE observed.begins
)
SELECT
    ages.age_days,
    ages.versions,
    ages.quartiles[1] AS downloads_lower_quartile,
    ages.quartiles[2] AS downloads_median,
    ages.quartiles[3] AS downloads_upper_quartile
FROM (
    SELECT
        observed.age_days,
        count(*) AS versions,
        quantile_cont(observed.download_count, [0.25, 0.5, 0.75]) AS quartiles
    FROM observed SEMI JOIN cohort ON cohort.version_id = observed.version_id
    WHERE observed.download_count IS NOT NULL
    GROUP BY observed.age_days
) AS ages
ORDER BY ages.age_days
