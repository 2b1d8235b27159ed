-- Which models vanished, and what was last known of them. The service does not say why: deleted, unpublished and taken
-- down all look the same. Only complete crawls bury, so a partial one never adds to this list. One row per removal,
-- newest first.
--
-- @optional since: First date of removals to list; null for all.
-- @column model_id: The service's id of the model.
-- @column name: Title of the model when it vanished.
-- @column type: Kind of the model when it vanished.
-- @column username: Creator of the model when it vanished.
-- @column removed_on: Snapshot date on which it was found gone.
-- @column returned_on: Snapshot date on which it was back. Null: it is still gone.
-- @column last_seen_on: Last snapshot date before on which it was observed.
-- @column download_count: Downloads of all time as last known before. Null: its creator hid them throughout.
WITH removals AS MATERIALIZED (
    SELECT history.model_id, history.name, history.type, history.username, history.removed_on
    FROM star.dim_model AS history WHERE history.removed_on IS NOT NULL AND (since IS NULL OR history.removed_on >= CAST(since AS DATE))
),
returns AS (
    SELECT removals.model_id, removals.removed_on, min(later.valid_from) AS returned_on
    FROM star.dim_model AS later
    JOIN removals ON removals.model_id = later.model_id AND later.valid_from > removals.removed_on
    GROUP BY removals.model_id, removals.removed_on
),
known AS (
    SELECT
        removals.model_id,
        removals.removed_on,
        max(fact.snapshot_date) AS last_seen_on,
        arg_max(fact.download_count, fact.snapshot_date) AS download_count
    FROM star.fact_model_daily AS fact
    JOIN removals ON removals.model_id = fact.model_id AND fact.snapshot_date < removals.removed_on
    GROUP BY removals.model_id, removals.removed_on
)
SELECT
    removals.model_id,
    removals.name,
    removals.type,
    removals.username,
    removals.removed_on,
    returns.returned_on,
    known.last_seen_on,
    known.download_count
FROM removals
LEFT JOIN returns ON returns.model_id = removals.model_id AND returns.removed_on = removals.removed_on
LEFT JOIN known ON known.model_id = removals.model_id AND known.removed_on = removals.removed_on
ORDER BY removals.removed_on DESC, removals.model_id
