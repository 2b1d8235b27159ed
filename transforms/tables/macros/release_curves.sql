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
-- Materialized, so that only their rows of the fact are read on.
cohort AS MATERIALIZED (
    SELECT versions.version_id, coalesce(versions.published_on, versions.first_seen_on) AS published_on
    FROM versions JOIN build.known_versions AS known ON known.version_id = versions.version_id
    WHERE known.born_on IS NOT NULL
        AND (base IS NULL OR versions.base_model = {known base star.dim_base_model base_model})
)
SELECT
    ages.age_days,
    ages.versions,
    ages.quartiles[1] AS downloads_lower_quartile,
    ages.quartiles[2] AS downloads_median,
    ages.quartiles[3] AS downloads_upper_quartile
FROM (
    SELECT
        fact.snapshot_date - cohort.published_on AS age_days,
        count(*) AS versions,
        quantile_cont(fact.download_count, [0.25, 0.5, 0.75]) AS quartiles
    FROM star.fact_model_version_daily AS fact JOIN cohort ON cohort.version_id = fact.version_id
    WHERE fact.download_count IS NOT NULL
    GROUP BY age_days
) AS ages
ORDER BY ages.age_days
