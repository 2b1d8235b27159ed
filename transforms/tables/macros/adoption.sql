-- How a base model was taken up, by weeks since its first version: versions, creators and downloads, each of the week
-- and so far, and its share in those of all base models. Versions and creators count from the day of publication, also
-- before the first snapshot, but only those that some snapshot saw. Downloads of a week are known only from the first
-- complete snapshot on. One row per week.
--
-- @argument of_base_model: The base model, as a version states it now or stated it last. A name that is not in
--   dim_base_model, or null, is an error.
-- @column weeks_since_first: Whole weeks since its first version was published; 0 is the first week.
-- @column week_from: First day of the week. It begins on the weekday of the first publication.
-- @column versions_published: Versions of the base model that were published in the week.
-- @column versions_share: Their part in the versions that were published in the week for all base models. Null: none.
-- @column versions_total: Versions that were published for it up to the end of the week.
-- @column creators_joined: Creators who published for it for the first time; (unknown) is none.
-- @column creators_total: Creators who published for it up to the end of the week.
-- @column days_observed: Days of the week whose downloads are known: those between the first complete snapshot and the
--   newest one. Downloads of a week with fewer than 7 are those of fewer days.
-- @column downloads: Downloads gained in the week by versions that had the base model then. A flow counts in each week
--   by its share of days. They are not the growth of download_count, which loses what left, was hidden or was
--   reclassified. Null: no version's gain is known.
-- @column downloads_share: Their part in the downloads gained by all versions. Null: there are none to share.
-- @column download_count: Downloads of all time of its versions, at the last complete snapshot of the week whose
--   downloads are not withheld. Null: there is none.
WITH {counted_days},
{versions},
{owned_models},
bounds AS (
    SELECT span.*, {known coalesce(of_base_model,'null') star.dim_base_model base_model} AS base_model
    FROM (SELECT min(c.date) AS since, max(c.date) AS until FROM counted_days AS c) AS span
),
-- Published up to the newest complete snapshot.
dated AS (
    SELECT
        versions.version_id,
        versions.published_on,
        versions.base_model = bounds.base_model AS is_its,
        CASE WHEN models.username <> '(unknown)' THEN models.username END AS username
    FROM versions
    JOIN bounds ON versions.published_on <= bounds.until
    LEFT JOIN models ON models.model_id = versions.model_id
),
origin AS (
    SELECT min(dated.published_on) AS date FROM dated WHERE dated.is_its HAVING count(*) > 0
),
weeks AS (
    SELECT
        unnest(range((bounds.until - origin.date) // 7 + 1)) AS number,
        origin.date AS origin,
        bounds.since,
        bounds.until
    FROM origin CROSS JOIN bounds
),
spans AS (
    SELECT weeks.*, weeks.origin + CAST(7 * weeks.number AS INTEGER) AS week_from FROM weeks
),
published AS (
    SELECT (dated.published_on - origin.date) // 7 AS number, count(*) FILTER (dated.is_its) AS its, count(*) AS versions
    FROM dated JOIN origin ON dated.published_on >= origin.date
    GROUP BY 1
),
debuts AS (
    SELECT min(dated.published_on) AS date FROM dated WHERE dated.is_its GROUP BY dated.username
    HAVING dated.username IS NOT NULL
),
joined AS (
    SELECT (debuts.date - origin.date) // 7 AS number, count(*) AS creators
    FROM debuts CROSS JOIN origin GROUP BY 1
),
{mart_flows star.dim_date},
flows AS (
    SELECT
        mart.snapshot_date,
        mart.downloads_days,
        sum(mart.downloads_delta) FILTER (mart.base_model = of_base_model) AS its,
        sum(mart.downloads_delta) AS downloads
    FROM mart_flows AS mart
    GROUP BY mart.snapshot_date, mart.downloads_days
),
daily AS (
    SELECT
        flows.snapshot_date AS until,
        flows.snapshot_date - CAST(unnest(range(flows.downloads_days)) AS INTEGER) AS date,
        flows.its / flows.downloads_days AS its,
        flows.downloads / flows.downloads_days AS downloads
    FROM flows
),
gained AS (
    SELECT
        (daily.date - origin.date) // 7 AS number,
        {whole sum(daily.its)} AS its,
        {whole sum(daily.downloads)} AS downloads
    FROM daily JOIN origin ON daily.date >= origin.date JOIN bounds ON daily.date > bounds.since AND daily.until <= bounds.until
    GROUP BY 1
),
stocks AS (
    SELECT
        (mart.snapshot_date - origin.date) // 7 AS number,
        arg_max(mart.download_count, mart.snapshot_date) AS download_count
    FROM star.mart_base_model_daily AS mart
    JOIN counted_days AS c ON c.date = mart.snapshot_date
    CROSS JOIN origin
    WHERE mart.base_model = of_base_model AND mart.snapshot_date >= origin.date
    GROUP BY 1
)
SELECT
    weeks.number AS weeks_since_first,
    weeks.week_from,
    coalesce(published.its, 0) AS versions_published,
    published.its / published.versions AS versions_share,
    CAST(sum(coalesce(published.its, 0)) OVER so_far AS BIGINT) AS versions_total,
    coalesce(joined.creators, 0) AS creators_joined,
    CAST(sum(coalesce(joined.creators, 0)) OVER so_far AS BIGINT) AS creators_total,
    greatest(
        least(weeks.week_from + 6, weeks.until) - greatest(weeks.week_from - 1, weeks.since), 0
    ) AS days_observed,
    gained.its AS downloads,
    gained.its / nullif(greatest(gained.downloads, 0), 0) AS downloads_share,
    stocks.download_count
FROM spans AS weeks
LEFT JOIN published ON published.number = weeks.number
LEFT JOIN joined ON joined.number = weeks.number
LEFT JOIN gained ON gained.number = weeks.number
LEFT JOIN stocks ON stocks.number = weeks.number
WINDOW so_far AS (ORDER BY weeks.number)
ORDER BY weeks.number
