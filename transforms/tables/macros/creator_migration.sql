-- Which creators took up another base model: those who had published for one, and since a date published for the other
-- for the first time. Creators are the owners that models had last; (unknown) is none. Only versions with a date of
-- publication count. One row per creator: those who left the first base model, then those who use both, then those of
-- whom it is too early to tell.
--
-- @argument from_base: The base model that they published for before. Here as below, a name that is not in
--   dim_base_model, or null, is an error.
-- @argument to_base: The base model that they took up.
-- @optional since: First date on which taking up counts; null for all.
-- @column username: Name of the creator.
-- @column took_up_on: Day of the creator's first version for to_base, in UTC.
-- @column has_left: False if the creator published for from_base on that day or later, else true. Null: nothing yet, but
--   fewer than {settling_days} days have passed until the newest complete snapshot.
-- @column from_versions_before: Versions for from_base that were published before that day.
-- @column from_versions_after: Versions for from_base that were published on that day or later.
-- @column to_versions: Versions for to_base.
-- @column last_from_on: Day of the creator's last version for from_base.
-- @column days_since_from: Days from the creator's last version for from_base before took_up_on to that day. If they are
--   many, the creator had stopped long before, and moved from nothing.
WITH {versions},
{owned_models},
asked AS (
    SELECT
        {known coalesce(from_base,'null') star.dim_base_model base_model} AS from_name,
        {known coalesce(to_base,'null') star.dim_base_model base_model} AS to_name,
        newest.date AS until
    FROM (SELECT max(d.date) AS date FROM star.dim_date AS d WHERE d.is_complete) AS newest
),
dated AS (
    SELECT models.username, versions.published_on, versions.base_model = asked.to_name AS is_to
    FROM versions JOIN models ON models.model_id = versions.model_id CROSS JOIN asked
    WHERE versions.base_model IN (asked.from_name, asked.to_name)
        AND versions.published_on IS NOT NULL AND models.username <> '(unknown)'
),
takers AS (
    SELECT dated.username, min(dated.published_on) AS took_up_on
    FROM dated WHERE dated.is_to
    GROUP BY dated.username
),
counts AS (
    SELECT
        takers.username,
        takers.took_up_on,
        count(*) FILTER (NOT dated.is_to AND dated.published_on < takers.took_up_on) AS from_versions_before,
        count(*) FILTER (NOT dated.is_to AND dated.published_on >= takers.took_up_on) AS from_versions_after,
        count(*) FILTER (dated.is_to) AS to_versions,
        max(dated.published_on) FILTER (NOT dated.is_to) AS last_from_on,
        max(dated.published_on) FILTER (NOT dated.is_to AND dated.published_on < takers.took_up_on) AS stopped_on
    FROM takers JOIN dated ON dated.username = takers.username
    WHERE since IS NULL OR takers.took_up_on >= CAST(since AS DATE)
    GROUP BY takers.username, takers.took_up_on
)
SELECT
    counts.username,
    counts.took_up_on,
    CASE
        WHEN counts.from_versions_after > 0 THEN false
        WHEN asked.until - counts.took_up_on >= {settling_days} THEN true
    END AS has_left,
    counts.from_versions_before,
    counts.from_versions_after,
    counts.to_versions,
    counts.last_from_on,
    counts.took_up_on - counts.stopped_on AS days_since_from
FROM counts CROSS JOIN asked
WHERE counts.from_versions_before > 0
ORDER BY has_left DESC NULLS LAST, counts.took_up_on DESC, counts.username
