-- Kaplan and Meier's estimate of how many lives last longer than an age, per `value`; of use from every age on that
-- some life was watched at. Needs lives(value, entered_age, left_age, has_ended), ages in days. Whoever is watched
-- after `entered_age` (delayed entry) and until `left_age` (its end, or else the last time that it was seen: right
-- censoring) is at risk in between: entered_age < age <= left_age.
steps AS (
    SELECT lives.value, lives.entered_age AS age_days, 1 AS entered, 0 AS gone, 0 AS ended
    FROM lives WHERE lives.entered_age < lives.left_age
    UNION ALL
    SELECT lives.value, lives.left_age, 0, 1, CAST(lives.has_ended AS INTEGER)
    FROM lives WHERE lives.entered_age < lives.left_age
),
risks AS (
    SELECT
        s.value,
        s.age_days,
        CAST(sum(s.ended) AS BIGINT) AS ended,
        CAST(sum(sum(s.entered) - sum(s.gone)) OVER (
            PARTITION BY s.value ORDER BY s.age_days ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS BIGINT) AS at_risk
    FROM steps AS s
    GROUP BY s.value, s.age_days
),
curve AS (
    SELECT
        r.value,
        r.age_days,
        r.at_risk,
        r.ended,
        product(1 - r.ended / r.at_risk) OVER ages AS surviving,
        -- Greenwood's sum. Null: all have ended.
        sum(r.ended / nullif(r.at_risk * (r.at_risk - r.ended), 0)) OVER ages AS spread
    FROM risks AS r
    WHERE r.ended > 0
    WINDOW ages AS (PARTITION BY r.value ORDER BY r.age_days)
)
