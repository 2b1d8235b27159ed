-- Which models grew most: downloads a day in the last days against those in the same time before. Against noise, a
-- model needs {trending_downloads} downloads in the window, and fewer than {trending_per_day_before} a day before
-- counts as that many. A model whose time before is unknown is left out. One that was published in the window had
-- nothing before, so it has no growth: new models are ranked apart, by downloads a day. One row per model that the
-- service still has: first those that are not new, then the new ones.
--
-- @argument days: {length}
-- @argument n: How many models to list of each: of those that are not new, and of the new ones.
-- @column model_id: The service's id of the model.
-- @column name: Title of the model, as it is now.
-- @column type: Kind of the model, as it is now.
-- @column username: Creator of the model, as it is now.
-- @column is_new: True if it was published in the window.
-- @column downloads: Downloads gained in the window. {by_share}
-- @column days_spanned: Days over which they were gained: those of the window that its flows span, fewer than it has
--   where the number was hidden at its end or the model is new.
-- @column downloads_per_day: downloads / days_spanned.
-- @column downloads_per_day_before: The same in the window before. Null: it was not published yet.
-- @column growth: downloads_per_day / downloads_per_day_before, the latter at least {trending_per_day_before}. Null: it
--   is new.
WITH {windows},
{flows star.fact_model_daily model_id window_days},
grown AS (
    SELECT flows.* FROM flows WHERE round(flows.downloads, 3) >= {trending_downloads}
),
{new_models},
rates AS (
    SELECT
        grown.model_id,
        {whole grown.downloads} AS downloads,
        grown.days_recent AS days_spanned,
        grown.downloads / grown.days_recent AS per_day,
        grown.downloads_before / grown.days_before AS per_day_before,
        births.model_id IS NOT NULL AS is_new
    FROM grown LEFT JOIN births ON births.model_id = grown.model_id
)
SELECT
    model.model_id,
    model.name,
    model.type,
    model.username,
    rates.is_new,
    rates.downloads,
    rates.days_spanned,
    rates.per_day AS downloads_per_day,
    rates.per_day_before AS downloads_per_day_before,
    CASE WHEN NOT rates.is_new THEN rates.per_day / greatest(rates.per_day_before, {trending_per_day_before}) END AS growth
FROM rates JOIN star.model AS model ON model.model_id = rates.model_id
WHERE rates.is_new OR rates.per_day_before IS NOT NULL
QUALIFY row_number() OVER (
    PARTITION BY rates.is_new
    ORDER BY CASE WHEN rates.is_new THEN downloads_per_day ELSE growth END DESC, rates.downloads DESC, model.model_id
) <= n
ORDER BY rates.is_new, growth DESC, downloads_per_day DESC, rates.downloads DESC, model.model_id
