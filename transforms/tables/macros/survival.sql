-- How long models stay: the Kaplan-Meier estimate of the share of models that the service still has at an age. A model
-- is at risk from the age at which it was first seen (delayed entry: of models that were removed before, nothing is
-- known) until it is first found gone, or else until the newest complete snapshot (right censoring). What came back
-- after it was gone does not count again. A model without a date of publication is left out. At young ages few models
-- are watched: look at at_risk. One row per value and age at which a model was found gone.
--
-- @optional dimension: What to compare: base_model, ecosystem, family, modality, type, username, nsfw or availability;
--   null for all models together. Anything else is an error.
-- @column value: Value of the dimension that the model had when it was first seen; the base model is that of the newest
--   version that it had then. Null: not known, or no dimension is named.
-- @column age_days: Days from the day of publication, in UTC. A model that is seen before the day that it states was
--   published when it was first seen.
-- @column at_risk: Models that were watched at that age: seen before, and not gone yet.
-- @column removed: Those of them that were found gone at that age.
-- @column survival: Share of models that stay longer than that age.
-- @column survival_lower_bound: Lower end of its 95 % interval (Greenwood, log-log). Null: no model stays.
-- @column survival_upper_bound: Upper end of its 95 % interval. Null: no model stays.
WITH newest AS (
    SELECT max(d.date) AS date FROM star.dim_date AS d WHERE d.is_complete
),
models AS (
    SELECT
        history.model_id,
        min(history.valid_from) AS first_seen_on,
        min(history.removed_on) AS removed_on,
        min(history.published_at) AS published_at,
        arg_min_null(history.type, history.valid_from) AS type,
        arg_min_null(history.username, history.valid_from) AS username,
        arg_min_null(history.nsfw, history.valid_from) AS nsfw,
        arg_min_null(history.availability, history.valid_from) AS availability
    FROM star.dim_model AS history
    GROUP BY history.model_id
),
bases AS (
    SELECT models.model_id, arg_max(history.base_model, history.version_id) AS base_model
    FROM models JOIN star.dim_model_version AS history
        ON history.model_id = models.model_id
        AND history.valid_from <= models.first_seen_on
        AND (history.valid_to IS NULL OR models.first_seen_on < history.valid_to)
    GROUP BY models.model_id
),
dated AS (
    SELECT
        models.*,
        bases.base_model,
        -- By way of microseconds, so that the day is one of UTC in every session.
        least(CAST(make_timestamp(epoch_us(models.published_at)) AS DATE), models.first_seen_on) AS published_on
    FROM models LEFT JOIN bases ON bases.model_id = models.model_id
    WHERE models.published_at IS NOT NULL
),
lives AS (
    SELECT
        CASE WHEN dimension IS NULL THEN NULL ELSE
            CASE dimension
                WHEN 'base_model' THEN dated.base_model
                WHEN 'ecosystem' THEN base.ecosystem
                WHEN 'family' THEN base.family
                WHEN 'modality' THEN base.modality
                WHEN 'type' THEN dated.type
                WHEN 'username' THEN dated.username
                WHEN 'nsfw' THEN CAST(dated.nsfw AS VARCHAR)
                WHEN 'availability' THEN dated.availability
                ELSE error(
                    'survival takes base_model, ecosystem, family, modality, type, username, nsfw, availability or null, '
                    || 'not ' || dimension
                )
            END
        END AS value,
        dated.first_seen_on - dated.published_on AS entered_age,
        coalesce(dated.removed_on, newest.date) - dated.published_on AS left_age,
        dated.removed_on IS NOT NULL AS has_ended
    FROM dated CROSS JOIN newest LEFT JOIN star.dim_base_model AS base ON base.base_model = dated.base_model
),
{kaplan_meier}
SELECT
    c.value,
    c.age_days,
    c.at_risk,
    c.ended AS removed,
    c.surviving AS survival,
    CASE WHEN c.surviving > 0 THEN pow(c.surviving, exp(1.959963984540054 * sqrt(c.spread) / -ln(c.surviving))) END
        AS survival_lower_bound,
    CASE WHEN c.surviving > 0 THEN pow(c.surviving, exp(-1.959963984540054 * sqrt(c.spread) / -ln(c.surviving))) END
        AS survival_upper_bound
FROM curve AS c
ORDER BY c.value NULLS FIRST, c.age_days
