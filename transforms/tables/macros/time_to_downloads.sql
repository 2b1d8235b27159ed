-- How many days versions take from their publication to a number of downloads, by base model: Kaplan-Meier quartiles,
-- in which versions that are not there yet count as long as they were watched (right censoring). A version that was
-- published since the complete crawl before the one that saw it first is watched from its beginning. Any other is
-- watched from the age at which its downloads were first known (delayed entry), and only if they were fewer then. A
-- version without a date of publication is left out. One row per base model, after one for all of them together.
--
-- @argument n: The number of downloads, above zero; 10, 20, 50, 100 and so on are answered soonest.
-- @column base_model: The base model, as a version states it now or stated it last. Null: all together.
-- @column versions: Versions that were watched below the number.
-- @column reached: Those of them that were seen to come to it.
-- @column days_lower_quartile: Age in days by which a quarter of versions has the number. Null: fewer than a quarter
--   are known to have come to it.
-- @column days_median: Age in days by which half of versions have the number. Null: fewer than half are known to have.
-- @column days_upper_quartile: Age in days by which three quarters of versions have the number. Null: fewer are known
--   to have.
-- @column at_risk_lower_quartile: Versions that were watched at the age of the lower quartile: seen before, and not there
--   yet. An estimate that rests on few of them is chance: below 10 do not quote it.
-- @column at_risk_median: The same at the median.
-- @column at_risk_upper_quartile: The same at the upper quartile.
WITH {versions},
-- The dates on which a number came to `n`. The build has noted those of 10, 20, 50, 100 and so on; for another number all
-- rows are read. A flow is counted from the last known number, and from zero at a version that was watched from its
-- beginning. That it is positive follows, and lets most rows be left out sooner.
arrivals AS (
    SELECT noted.version_id, noted.reached_on FROM build.milestones AS noted WHERE noted.downloads = n
    UNION ALL
    SELECT fact.version_id, fact.snapshot_date
    FROM star.fact_model_version_daily AS fact
    WHERE NOT regexp_full_match(CAST(n AS VARCHAR), '[125]0+')
        AND fact.download_count >= n
        AND fact.downloads_delta > 0
        AND fact.download_count - fact.downloads_delta < n
),
reached AS (
    SELECT arrivals.version_id, min(arrivals.reached_on) AS date FROM arrivals GROUP BY arrivals.version_id
),
lives AS (
    SELECT
        unnest([versions.base_model, NULL]) AS value,
        -- Whoever is watched from its beginning is at risk at the age of zero, too.
        coalesce(known.entered_on - versions.published_on, -1) AS entered_age,
        coalesce(reached.date, known.downloads_on) - versions.published_on AS left_age,
        reached.date IS NOT NULL AS has_ended
    FROM versions
    JOIN build.known_versions AS known ON known.version_id = versions.version_id
    LEFT JOIN reached ON reached.version_id = versions.version_id
    WHERE versions.published_on IS NOT NULL
        AND known.downloads_on IS NOT NULL
        AND (known.entered_with IS NULL OR known.entered_with < n)
),
{kaplan_meier},
{quartiles}
SELECT
    q.value AS base_model,
    q.lives AS versions,
    q.ended AS reached,
    q.lower_quartile AS days_lower_quartile,
    q.median AS days_median,
    q.upper_quartile AS days_upper_quartile,
    q.at_risk_lower_quartile,
    q.at_risk_median,
    q.at_risk_upper_quartile
FROM quartiles AS q
ORDER BY q.value IS NOT NULL, q.lives DESC, q.value
