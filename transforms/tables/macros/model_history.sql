-- Everything that happened to a model: when it was first seen, what changed of it, its versions and its tags, when it
-- went and came back. One row per event, oldest first.
--
-- @argument id: The service's id of the model.
-- @column changed_on: First snapshot date that shows it; a change inside a gap dates to the gap's end.
-- @column what: model, version and its id, or tag.
-- @column change: first seen, removed, returned, added, or the column that changed.
-- @column before: The value before, as text; the title of what was removed. Null: there was none.
-- @column after: The value from then on, as text; the title of what was first seen or came back. Null: there is none.
WITH models AS (
    SELECT history.*, 'model' AS what FROM star.dim_model AS history WHERE history.model_id = id
),
versions AS (
    SELECT history.*, 'version ' || history.version_id AS what
    FROM star.dim_model_version AS history
    WHERE history.version_id IN (
        SELECT listed.version_id FROM star.dim_model_version AS listed WHERE listed.model_id = id
    )
),
periods AS (
    SELECT m.what, m.name, m.valid_from, m.valid_to, m.removed_on, [{attributes dim_model m}] AS attributes
    FROM models AS m
    UNION ALL
    SELECT v.what, v.name, v.valid_from, v.valid_to, v.removed_on, [{attributes dim_model_version v}] AS attributes
    FROM versions AS v
),
linked AS (
    SELECT
        p.*,
        lag(p.valid_from) OVER life IS NULL AS is_first,
        lag(p.removed_on) OVER life IS NOT NULL AS is_return
    FROM periods AS p
    WINDOW life AS (PARTITION BY p.what ORDER BY p.valid_from)
),
cells AS (
    SELECT l.what, l.valid_from, l.is_first, unnest(l.attributes) AS cell FROM linked AS l
),
changes AS (
    SELECT
        c.what,
        c.valid_from,
        c.is_first,
        c.cell.attribute AS attribute,
        c.cell.value AS after,
        lag(c.cell.value) OVER (PARTITION BY c.what, c.cell.attribute ORDER BY c.valid_from) AS before
    FROM cells AS c
),
tags AS (
    SELECT bridge.tag, bridge.valid_from, bridge.valid_to, bridge.valid_from > first.day AS is_later
    FROM star.bridge_model_tag AS bridge CROSS JOIN (SELECT min(m.valid_from) AS day FROM models AS m) AS first
    WHERE bridge.model_id = id
),
events AS (
    SELECT l.valid_from AS changed_on, l.what, 'first seen' AS change, NULL AS before, l.name AS after
    FROM linked AS l WHERE l.is_first
    UNION ALL
    SELECT l.valid_from, l.what, 'returned', NULL, l.name FROM linked AS l WHERE l.is_return
    UNION ALL
    SELECT l.removed_on, l.what, 'removed', l.name, NULL FROM linked AS l WHERE l.removed_on IS NOT NULL
    UNION ALL
    SELECT c.valid_from, c.what, c.attribute, c.before, c.after
    FROM changes AS c WHERE NOT c.is_first AND c.before IS DISTINCT FROM c.after
    UNION ALL
    SELECT t.valid_from, 'tag', 'added', NULL, t.tag FROM tags AS t WHERE t.is_later
    UNION ALL
    SELECT t.valid_to, 'tag', 'removed', t.tag, NULL FROM tags AS t WHERE t.valid_to IS NOT NULL
)
SELECT e.changed_on, e.what, e.change, e.before, e.after
FROM events AS e
ORDER BY e.changed_on, e.what, e.change, e.before, e.after
