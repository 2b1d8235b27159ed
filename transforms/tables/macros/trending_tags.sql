-- Which tags rise: downloads a day of the models that have a tag, in the last days against those in the same time
-- before. Both are of the same models, with the tags that they have at the end of the window: tagging alone is no rise.
-- As in trending_models, a model whose time before is unknown is left out; one that was published in the window had
-- nothing before. A tag needs {trending_downloads} downloads in the window, and fewer than {trending_per_day_before} a day
-- before counts as that many. One row per tag.
--
-- @argument days: {length}
-- @argument n: How many tags to list, before any condition of your own: ask for many, then filter.
-- @column tag: The tag.
-- @column models: Models with the tag whose downloads in both windows are known.
-- @column models_published: Those of them that were published in the window.
-- @column downloads: Downloads that they gained in the window. {by_share}
-- @column largest_model_share: Part in them of the model that gained most: near 1, one model rises and not the tag.
-- @column downloads_per_day: Their downloads a day: each model's over the days of the window that its flows span, and a
--   new model's over all days of the window, because it had none on those before.
-- @column downloads_per_day_before: The same in the window before, of those that were published then.
-- @column growth: downloads_per_day / downloads_per_day_before, the latter at least {trending_per_day_before}. Null: all
--   of them are new.
WITH {windows},
{flows star.fact_model_daily model_id window_days},
{new_models},
rates AS (
    SELECT
        flows.model_id,
        flows.downloads,
        flows.downloads / CASE WHEN births.model_id IS NULL THEN flows.days_recent ELSE windows.until - windows.since END
            AS per_day,
        flows.downloads_before / flows.days_before AS per_day_before,
        births.model_id IS NOT NULL AS is_new
    FROM flows LEFT JOIN births ON births.model_id = flows.model_id CROSS JOIN windows
    WHERE flows.downloads IS NOT NULL AND (flows.downloads_before IS NOT NULL OR births.model_id IS NOT NULL)
),
tags AS (
    SELECT
        bridge.tag,
        count(*) AS models,
        count(*) FILTER (rates.is_new) AS models_published,
        {whole sum(rates.downloads)} AS downloads,
        max(rates.downloads) / sum(greatest(rates.downloads, 0)) AS largest_model_share,
        round(sum(rates.per_day), 6) AS per_day,
        round(sum(rates.per_day_before), 6) AS per_day_before
    FROM rates
    JOIN star.bridge_model_tag AS bridge ON bridge.model_id = rates.model_id
    JOIN windows
        ON bridge.valid_from <= windows.until AND (bridge.valid_to IS NULL OR windows.until < bridge.valid_to)
    GROUP BY bridge.tag
)
SELECT
    tags.tag,
    tags.models,
    tags.models_published,
    tags.downloads,
    tags.largest_model_share,
    tags.per_day AS downloads_per_day,
    tags.per_day_before AS downloads_per_day_before,
    CASE WHEN tags.models > tags.models_published THEN
        tags.per_day / greatest(coalesce(tags.per_day_before, 0), {trending_per_day_before})
    END AS growth
FROM tags
WHERE tags.downloads >= {trending_downloads}
ORDER BY growth DESC NULLS LAST, tags.downloads DESC, tags.tag
LIMIT n
