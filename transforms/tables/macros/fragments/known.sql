-- The value of an argument, as a column has it ({known ARGUMENT RELATION COLUMN}): one that it lacks is an error
-- that names the nearest three. Null stays null, and where nothing is known yet there is no error.
(
    SELECT
        CASE WHEN names.has_it IS NOT FALSE THEN {1} ELSE
            error(concat('no {3} is called ''', {1}, '''; the nearest are ', array_to_string(names.nearest[:3], ', ')))
        END
    FROM (
        SELECT
            bool_or(name.{3} = {1}) AS has_it,
            list(name.{3} ORDER BY jaro_winkler_similarity(lower(name.{3}), lower({1})) DESC, name.{3}) AS nearest
        FROM (SELECT DISTINCT each.{3} FROM {2} AS each WHERE each.{3} IS NOT NULL) AS name
    ) AS names
)
