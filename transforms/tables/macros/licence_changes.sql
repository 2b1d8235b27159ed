-- Which models changed what they allow. A value counts as changed if another one was known before: what the service did
-- not say is no change, and neither is None for an empty list: both allow nothing. One row per model, date and licence column, newest first.
--
-- @optional since: First date of changes to list; null for all.
-- @column changed_on: First snapshot date that shows it; a change inside a gap dates to the gap's end.
-- @column model_id: The service's id of the model.
-- @column name: Title of the model from then on.
-- @column username: Creator of the model from then on.
-- @column attribute: The column of dim_model that changed: allow_commercial_use, allow_no_credit, allow_derivatives or
--   allow_different_license.
-- @column before: The value that was last known before, as text.
-- @column after: The value from then on, as text.
-- @column direction: looser if more is allowed than before, stricter if less, mixed if some more and some less.
WITH changed AS (  -- hardly any model ever changes what it allows
    SELECT history.model_id
    FROM star.dim_model AS history
    GROUP BY history.model_id
    HAVING min(history.allow_commercial_use) <> max(history.allow_commercial_use)
        OR min(history.allow_no_credit) <> max(history.allow_no_credit)
        OR min(history.allow_derivatives) <> max(history.allow_derivatives)
        OR min(history.allow_different_license) <> max(history.allow_different_license)
),
terms AS (
    SELECT
        history.model_id,
        history.valid_from,
        history.name,
        history.username,
        -- Each licence as a set of what is allowed. Null: the service did not say.
        unnest([
            {'attribute': 'allow_commercial_use',
                'value': list_filter(history.allow_commercial_use, lambda use: use <> 'None')},
            {'attribute': 'allow_no_credit', 'value': CASE history.allow_no_credit
                WHEN true THEN ['true'] WHEN false THEN [] END},
            {'attribute': 'allow_derivatives', 'value': CASE history.allow_derivatives
                WHEN true THEN ['true'] WHEN false THEN [] END},
            {'attribute': 'allow_different_license', 'value': CASE history.allow_different_license
                WHEN true THEN ['true'] WHEN false THEN [] END}
        ]) AS term
    FROM star.dim_model AS history SEMI JOIN changed ON changed.model_id = history.model_id
),
pairs AS (
    SELECT
        t.*,
        lag(t.term.value) OVER (PARTITION BY t.model_id, t.term.attribute ORDER BY t.valid_from) AS before
    FROM terms AS t
    WHERE t.term.value IS NOT NULL
)
SELECT
    p.valid_from AS changed_on,
    p.model_id,
    p.name,
    p.username,
    p.term.attribute AS attribute,
    CASE WHEN p.term.attribute = 'allow_commercial_use' THEN CAST(p.before AS VARCHAR)
        ELSE CAST(len(p.before) > 0 AS VARCHAR) END AS before,
    CASE WHEN p.term.attribute = 'allow_commercial_use' THEN CAST(p.term.value AS VARCHAR)
        ELSE CAST(len(p.term.value) > 0 AS VARCHAR) END AS after,
    CASE
        WHEN list_has_all(p.term.value, p.before) THEN 'looser'
        WHEN list_has_all(p.before, p.term.value) THEN 'stricter'
        ELSE 'mixed'
    END AS direction
FROM pairs AS p
WHERE list_sort(p.before) <> list_sort(p.term.value) AND (since IS NULL OR p.valid_from >= CAST(since AS DATE))
ORDER BY p.valid_from DESC, p.model_id, p.term.attribute
