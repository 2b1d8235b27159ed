-- On how few creators the downloads of the last days fall: per base model, and for all of them together. Creators are
-- the owners that models had last; (unknown) pools many and is left out. A creator counts if some gain is known, also if
-- it is zero; a gain below zero, where the service counted anew, counts as zero. One row per base model that gained
-- downloads, after one for all.
--
-- @argument days: {length}
-- @column base_model: The base model that versions had then. Null: all together.
-- @columns window
-- @column creators: Creators whose versions' gain is known.
-- @column downloads: Downloads that these versions gained in the window. {by_share}
-- @column gini: Gini coefficient of downloads over creators: 0 if all have the same, near 1 if one has all.
-- @column top_creators: How many creators 1 % of them are, rounded up.
-- @column top_share: Part of these creators, those with most downloads, in the downloads of all.
-- @column hhi: Herfindahl-Hirschman index: the sum of the squares of the creators' parts, from 1 / creators to 1.
-- @column largest_model_id: The model that gained most: one viral model looks like one strong creator.
-- @column largest_model_share: Its part in the downloads of all models that gained some.
WITH {windows},
{flows star.fact_model_version_daily version_key recent_days},
{owned_models},
gained AS (
    SELECT
        unnest([history.base_model, NULL]) AS base_model,
        models.username,
        models.model_id,
        flows.downloads
    FROM flows
    JOIN star.dim_model_version AS history ON history.version_key = flows.version_key
    JOIN models ON models.model_id = history.model_id
    WHERE flows.downloads IS NOT NULL AND models.username <> '(unknown)'
),
amounts AS (
    SELECT gained.base_model, gained.username, greatest(round(sum(gained.downloads), 3), 0) AS downloads
    FROM gained
    GROUP BY gained.base_model, gained.username
),
of_models AS (
    SELECT gained.base_model, gained.model_id, greatest(round(sum(gained.downloads), 3), 0) AS downloads
    FROM gained
    GROUP BY gained.base_model, gained.model_id
),
largest AS (
    SELECT
        o.base_model,
        arg_max(o.model_id, {'downloads': o.downloads, 'first': -o.model_id}) AS model_id,
        max(o.downloads) / sum(o.downloads) AS share
    FROM of_models AS o
    GROUP BY o.base_model
),
placed AS (
    SELECT
        amounts.base_model,
        amounts.downloads,
        row_number() OVER (PARTITION BY amounts.base_model ORDER BY amounts.downloads) AS place,
        count(*) OVER (PARTITION BY amounts.base_model) AS creators,
        sum(amounts.downloads) OVER (PARTITION BY amounts.base_model) AS total
    FROM amounts
),
measures AS (
    SELECT
        placed.base_model,
        any_value(placed.creators) AS creators,
        any_value(placed.total) AS total,
        2 * sum(placed.place * placed.downloads) / (any_value(placed.creators) * any_value(placed.total))
            - (any_value(placed.creators) + 1) / any_value(placed.creators) AS gini,
        CAST(ceil(any_value(placed.creators) / 100) AS BIGINT) AS top_creators,
        sum(placed.downloads) FILTER (placed.place > placed.creators - ceil(placed.creators / 100))
            / any_value(placed.total) AS top_share,
        sum(pow(placed.downloads / placed.total, 2)) AS hhi
    FROM placed
    WHERE placed.total > 0
    GROUP BY placed.base_model
)
SELECT
    m.base_model,
    windows.since,
    windows.until,
    windows.until - windows.since AS days_spanned,
    m.creators,
    {whole m.total} AS downloads,
    m.gini,
    m.top_creators,
    m.top_share,
    m.hhi,
    largest.model_id AS largest_model_id,
    largest.share AS largest_model_share
FROM measures AS m
JOIN largest ON largest.base_model IS NOT DISTINCT FROM m.base_model
CROSS JOIN windows
ORDER BY m.base_model IS NOT NULL, m.total DESC, m.base_model
