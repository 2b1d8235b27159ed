-- How soon downloads of versions fade: the age at which a version's downloads of seven days are for the first time at
-- most half of those of its first week. The first week is all downloads up to the age of 7 days. From the age of 8 on,
-- the downloads of the last seven days are compared with it, on each snapshot that knows the number; over days on which
-- it is not known a flow counts by its share of days. Kaplan-Meier quartiles, in which versions that did not fall to
-- half yet count as long as they were watched (right censoring). A version enters at the end of its first week (delayed
-- entry), and only if its downloads were known at some time in that week: of a version that was older at the first
-- snapshot nobody knows them. Fewer than {trending_downloads} downloads in the first week are left out. One row per base
-- model; if none is named, after one for all of them together.
--
-- @optional of_base_model: The base model, as a version states it now or stated it last; null for each of them. A name
--   that is not in dim_base_model is an error.
-- @optional of_type: The type that the model has now or had last, as the service spells it, such as LORA (LoCon is
--   another one); null for all types. One that no model has is an error.
-- @column base_model: The base model. Null: all together.
-- @column versions: Versions that were watched beyond their first week.
-- @column halved: Those of them that were seen to fall to half.
-- @column days_lower_quartile: Age in days by which a quarter of versions has fallen to half. Null: fewer than a quarter
--   are known to have.
-- @column days_median: The half-life: age in days by which half of versions have. Null: fewer than half are known to
--   have.
-- @column days_upper_quartile: Age in days by which three quarters of versions have. Null: fewer are known to have.
-- @column at_risk_lower_quartile: Versions that were watched at the age of the lower quartile: seen before, and not halved
--   yet. An estimate that rests on few of them is chance: below 10 do not quote it.
-- @column at_risk_median: The same at the median.
-- @column at_risk_upper_quartile: The same at the upper quartile.
WITH {versions},
models AS (
    SELECT history.model_id, arg_max(history.type, history.valid_from) AS type
    FROM star.dim_model AS history
    WHERE of_type IS NOT NULL  -- else it is not read
    GROUP BY history.model_id
),
cohort AS MATERIALIZED (
    SELECT
        versions.version_id,
        versions.base_model,
        versions.published_on,
        -- Nearly all fall within weeks, and have rows for years. The build has kept those until the fall.
        fading.version_id IS NOT NULL AS is_kept
    FROM versions
    LEFT JOIN build.fading AS fading
        ON fading.version_id = versions.version_id AND fading.published_on = versions.published_on
    WHERE (of_base_model IS NULL OR versions.base_model = {known of_base_model star.dim_base_model base_model})
        AND (
            of_type IS NULL
            OR versions.model_id IN (
                SELECT models.model_id FROM models WHERE models.type = {known of_type models type}
            )
        )
        AND versions.first_seen_on - versions.published_on <= 7
),
-- Each known number, and the days since the number before. Null: it is the first one, and no date before it counts.
known AS MATERIALIZED (
    SELECT
        found.version_id,
        CAST(found.snapshot_date - cohort.published_on AS INTEGER) AS age_days,
        found.download_count AS downloads,
        found.downloads_days AS days
    FROM (
        SELECT watched.version_id, watched.snapshot_date, watched.download_count, watched.downloads_days
        FROM build.watched AS watched
        SEMI JOIN (SELECT c.version_id FROM cohort AS c WHERE c.is_kept) AS kept ON kept.version_id = watched.version_id
        UNION ALL
        SELECT fact.version_id, fact.snapshot_date, fact.download_count, fact.downloads_days
        FROM star.fact_model_version_daily AS fact
        SEMI JOIN (SELECT c.version_id FROM cohort AS c WHERE NOT c.is_kept) AS other
            ON other.version_id = fact.version_id
        WHERE fact.download_count IS NOT NULL
    ) AS found
    JOIN cohort ON cohort.version_id = found.version_id
),
-- What was gained over several days. To find the number before takes a fifth less than to read all flows.
spans AS MATERIALIZED (
    SELECT known.version_id, known.age_days, known.downloads, known.age_days - known.days AS age_before
    FROM known WHERE known.days > 1
),
earlier AS MATERIALIZED (
    SELECT spans.version_id, spans.age_days, known.downloads
    FROM known JOIN spans ON spans.version_id = known.version_id AND spans.age_before = known.age_days
),
gains AS MATERIALIZED (
    SELECT
        spans.version_id,
        spans.age_days,
        -- Without a number before, all was gained since the publication; else it is not known.
        spans.downloads - coalesce(earlier.downloads, CASE WHEN spans.age_before <= 0 THEN 0 END) AS gained,
        earlier.downloads IS NOT NULL AS is_between
    FROM spans
    LEFT JOIN earlier ON earlier.version_id = spans.version_id AND earlier.age_days = spans.age_days
),
-- The number at the age of 7 is in the span of one known number. A first number after the first week says nothing of that
-- week, even if all of it was gained since the publication.
first_weeks AS MATERIALIZED (
    SELECT week.version_id, week.downloads
    FROM (
        SELECT
            known.version_id,
            known.downloads - CASE WHEN known.age_days = 7 THEN 0 ELSE
                gains.gained * (known.age_days - 7) / least(known.days, known.age_days)
            END AS downloads
        FROM known
        LEFT JOIN gains ON gains.version_id = known.version_id AND gains.age_days = known.age_days
        WHERE known.age_days = 7 OR (known.age_days > 7 AND known.age_days - known.days < 7 AND gains.is_between)
    ) AS week
    WHERE round(week.downloads, 6) >= {trending_downloads}
),
searched AS MATERIALIZED (
    SELECT known.*, first_weeks.downloads AS first_week
    FROM known JOIN first_weeks ON first_weeks.version_id = known.version_id
),
-- The number at every age from the first known one on, and also of days on which it is not known.
daily AS (
    SELECT s.version_id, s.age_days, s.downloads FROM searched AS s
    UNION ALL
    SELECT
        k.version_id,
        k.age_days - k.back,
        k.downloads - CASE WHEN k.days > 1 THEN gains.gained ELSE k.downloads END * k.back / k.span
    FROM (
        SELECT s.*, least(s.days, s.age_days) AS span, unnest(range(1, least(s.days, s.age_days))) AS back
        FROM searched AS s WHERE s.days > 1 OR s.days IS NULL
    ) AS k
    LEFT JOIN gains ON gains.version_id = k.version_id AND gains.age_days = k.age_days
),
halved AS (
    SELECT s.version_id, min(s.age_days) AS age_days
    FROM searched AS s
    JOIN daily ON daily.version_id = s.version_id AND daily.age_days = s.age_days - 7
    WHERE s.age_days > 7 AND round(s.downloads - daily.downloads - s.first_week / 2, 6) <= 0
    GROUP BY s.version_id
),
watched AS (
    SELECT s.version_id, max(s.age_days) AS left_age FROM searched AS s GROUP BY s.version_id
),
lives AS (
    SELECT
        unnest(CASE WHEN of_base_model IS NULL THEN [cohort.base_model, NULL] ELSE [cohort.base_model] END) AS value,
        7 AS entered_age,
        CAST(coalesce(halved.age_days, watched.left_age) AS BIGINT) AS left_age,
        halved.age_days IS NOT NULL AS has_ended
    FROM watched
    JOIN cohort ON cohort.version_id = watched.version_id
    LEFT JOIN halved ON halved.version_id = watched.version_id
),
{kaplan_meier},
{quartiles}
SELECT
    q.value AS base_model,
    q.lives AS versions,
    q.ended AS halved,
    q.lower_quartile AS days_lower_quartile,
    q.median AS days_median,
    q.upper_quartile AS days_upper_quartile,
    q.at_risk_lower_quartile,
    q.at_risk_median,
    q.at_risk_upper_quartile
FROM quartiles AS q
ORDER BY q.value IS NOT NULL, q.lives DESC, q.value
