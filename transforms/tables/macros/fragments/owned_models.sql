-- Every model that was ever there, with the type and the creator that it had last.
models AS (
    SELECT
        history.model_id,
        arg_max(history.type, history.valid_from) AS type,
        arg_max(history.username, history.valid_from) AS username
    FROM star.dim_model AS history
    GROUP BY history.model_id
)
