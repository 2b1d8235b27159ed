-- Every version that was ever there, as it was stated last, with the day of its publication in UTC. A version that is
-- seen before the day that it states was published when it was first seen. Null: the service gave no date.
versions AS (
    SELECT
        history.version_id,
        arg_max(history.model_id, history.valid_from) AS model_id,
        arg_max(history.base_model, history.valid_from) AS base_model,
        min(history.valid_from) AS first_seen_on,
        -- By way of microseconds, so that the day is one of UTC in every session.
        CASE WHEN min(history.published_at) IS NOT NULL THEN least(
            CAST(make_timestamp(epoch_us(min(history.published_at))) AS DATE), min(history.valid_from)
        ) END AS published_on
    FROM star.dim_model_version AS history
    GROUP BY history.version_id
)
