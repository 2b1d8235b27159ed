-- Per `value`, the lives, those that ended, the ages by which a quarter, half and three quarters have ended, and how
-- many were at risk at these. Needs {kaplan_meier}.
ages AS (
    -- Rounded, because a product of fractions that should be a half may be a little more.
    SELECT
        c.value,
        min(c.age_days) FILTER (round(c.surviving, 9) <= 0.75) AS lower_quartile,
        min(c.age_days) FILTER (round(c.surviving, 9) <= 0.5) AS median,
        min(c.age_days) FILTER (round(c.surviving, 9) <= 0.25) AS upper_quartile,
        arg_min(c.at_risk, c.age_days) FILTER (round(c.surviving, 9) <= 0.75) AS at_risk_lower_quartile,
        arg_min(c.at_risk, c.age_days) FILTER (round(c.surviving, 9) <= 0.5) AS at_risk_median,
        arg_min(c.at_risk, c.age_days) FILTER (round(c.surviving, 9) <= 0.25) AS at_risk_upper_quartile
    FROM curve AS c
    GROUP BY c.value
),
counts AS (
    SELECT lives.value, count(*) AS lives, count(*) FILTER (lives.has_ended) AS ended
    FROM lives WHERE lives.entered_age < lives.left_age
    GROUP BY lives.value
),
quartiles AS (
    SELECT counts.*, ages.* EXCLUDE (value)
    FROM counts LEFT JOIN ages ON ages.value IS NOT DISTINCT FROM counts.value
)
