-- Which creators took up another base model: those who had published for one, and since a date published for the other
-- for the first time. Creators are the owners that models had last; (unknown) is none. Only versions with a date of
-- publication count. One row per creator, those who left the first base model before those who use both.
--
-- @argument from_base: The base model that they published for before.
-- @argument to_base: The base model that they took up.
-- @argument since: First date on which taking up counts; null for all.
-- @column username: Name of the creator.
-- @column took_up_on: Day of the creator's first version for to_base, in UTC.
-- @column has_left: True if the creator published nothing for from_base on that day or later.
-- @column from_versions_before: Versions for from_base that were published before that day.
-- @column from_versions_after: Versions for from_base that were published on that day or later.
-- @column to_versions: Versions for to_base.
-- @column last_from_on: Day of the creator's last version for from_base.
WITH {versions},
{owned_models},
dated AS (
    SELECT models.username, versions.published_on, versions.base_model = to_base AS is_to
    FROM versions JOIN models ON models.model_id = versions.model_id
    WHERE versions.base_model IN (from_base, to_base)
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
        max(dated.published_on) FILTER (NOT dated.is_to) AS last_from_on
    FROM takers JOIN dated ON dated.username = takers.username
    WHERE since IS NULL OR takers.took_up_on >= CAST(since AS DATE)
    GROUP BY takers.username, takers.took_up_on
)
SELECT
    counts.username,
    counts.took_up_on,
    counts.from_versions_after = 0 AS has_left,
    counts.from_versions_before,
    counts.from_versions_after,
    counts.to_versions,
    counts.last_from_on
FROM counts
WHERE counts.from_versions_before > 0
ORDER BY has_left DESC, counts.took_up_on DESC, counts.username
