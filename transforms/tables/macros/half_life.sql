-- How soon downloads of versions fade: the age at which a version's downloads of seven days are for the first time at
-- most half of those of its first week. The first week is all downloads up to the age of 7 days. From the age of 8 on,
-- the downloads of the last seven days are compared with it, on each snapshot that knows the number; over days on which
-- it is not known a flow counts by its share of days. Kaplan-Meier quartiles, in which versions that did not fall to
-- half yet count as long as they were watched (right censoring). A version enters at the end of its first week (delayed
-- entry), and only if its downloads were known at some time in that week: of a version that was older at the first
-- snapshot nobody knows them. Fewer than {trending_downloads} downloads in the first week are left out. One row per base
-- model; if none is named, after one for all of them together.
--
-- @argument of_base_model: The base model, as a version states it now or stated it last; null for each of them.
-- @argument of_type: The type that the model has now or had last; null for all types.
-- @column base_model: The base model. Null: all together.
-- @column versions: Versions that were watched beyond their first week.
-- @column halved: Those of them that were seen to fall to half.
-- @column days_lower_quartile: Age in days by which a quarter of versions has fallen to half. Null: fewer than a quarter
--   are known to have.
-- @column days_median: The half-life: age in days by which half of versions have. Null: fewer than half are known to
--   have.
-- @column days_upper_quartile: Age in days by which three quarters of versions have. Null: fewer are known to have.
WITH {versions},
{owned_models},
cohort AS MATERIALIZED (
    SELECT versions.version_id, versions.base_model, versions.published_on
    FROM versions LEFT JOIN models ON models.model_id = versions.model_id
    WHERE (of_base_model IS NULL OR versions.base_model = of_base_model)
        AND (of_type IS NULL OR models.type = of_type)
        AND versions.first_seen_on - versions.published_on <= 7
),
-- Each known number, with what was gained and the days since the number before: since the publication, where it is the
-- first.
known AS MATERIALIZED (
    SELECT
        fact.version_id,
        fact.snapshot_date - cohort.published_on AS age_days,
        fact.download_count AS downloads,
        coalesce(fact.downloads_delta, fact.download_count) AS gained,
        least(coalesce(fact.downloads_days, fact.snapshot_date - cohort.published_on), fact.snapshot_date - cohort.published_on)
            AS span
    FROM star.fact_model_version_daily AS fact JOIN cohort ON cohort.version_id = fact.version_id
    WHERE fact.download_count IS NOT NULL
),
-- The number at every age from the first known one on, and also of days on which it is not known.
daily AS (
    SELECT known.version_id, known.age_days, known.downloads FROM known
    UNION ALL
    SELECT k.version_id, k.age_days - k.back, k.downloads - k.gained * k.back / k.span
    FROM (SELECT known.*, unnest(range(1, known.span)) AS back FROM known WHERE known.span > 1) AS k
),
watched AS (
    SELECT known.version_id, max(known.age_days) AS left_age
    FROM known
    GROUP BY known.version_id
    HAVING min(known.age_days) <= 7
),
first_weeks AS (
    SELECT watched.version_id, watched.left_age, daily.downloads
    FROM watched JOIN daily ON daily.version_id = watched.version_id AND daily.age_days = 7
    WHERE round(daily.downloads, 6) >= {trending_downloads}
),
halved AS (
    SELECT known.version_id, min(known.age_days) AS age_days
    FROM known
    JOIN first_weeks ON first_weeks.version_id = known.version_id
    JOIN daily ON daily.version_id = known.version_id AND daily.age_days = known.age_days - 7
    WHERE known.age_days > 7 AND round(known.downloads - daily.downloads - first_weeks.downloads / 2, 6) <= 0
    GROUP BY known.version_id
),
lives AS (
    SELECT
        unnest(CASE WHEN of_base_model IS NULL THEN [cohort.base_model, NULL] ELSE [cohort.base_model] END) AS value,
        7 AS entered_age,
        coalesce(halved.age_days, first_weeks.left_age) AS left_age,
        halved.age_days IS NOT NULL AS has_ended
    FROM first_weeks
    JOIN cohort ON cohort.version_id = first_weeks.version_id
    LEFT JOIN halved ON halved.version_id = first_weeks.version_id
),
{kaplan_meier},
{quartiles}
SELECT
    q.value AS base_model,
    q.lives AS versions,
    q.ended AS halved,
    q.lower_quartile AS days_lower_quartile,
    q.median AS days_median,
    q.upper_quartile AS days_upper_quartile
FROM quartiles AS q
ORDER BY q.value IS NOT NULL, q.lives DESC, q.value
