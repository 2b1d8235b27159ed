-- Downloads gained per value of a key ({flows FLOWS KEY DAYS}) in both windows, each flow by its share of days, and the
-- days of these shares; null if no gain is known. FLOWS is a fact, or mart_flows. DAYS are window_days; recent_days if the
-- time before is not asked for. Needs {windows}.
--
-- Nearly all flows are of one day, and it does not matter which day of a window that is. So those of a window are added
-- up first, as if all were of its last day; to share every flow takes half as long again.
gains AS (
    SELECT
        fact.{2},
        fact.downloads_days,
        CASE WHEN fact.downloads_days > 1 THEN fact.snapshot_date ELSE w.ends_on END AS gained_on,
        sum(fact.downloads_delta) AS downloads,
        count(fact.downloads_delta) AS flows
    FROM {1} AS fact JOIN {3} AS w ON w.date = fact.snapshot_date
    GROUP BY 1, 2, 3
),
spans AS (
    SELECT
        gains.*,
        CASE WHEN gains.flows > 0 THEN
            gains.gained_on - greatest(gains.gained_on - gains.downloads_days, w.since)
        END AS days_recent,
        CASE WHEN gains.flows > 0 AND w.before IS NOT NULL THEN
            least(gains.gained_on, w.since) - greatest(gains.gained_on - gains.downloads_days, w.before)
        END AS days_before
    FROM gains CROSS JOIN windows AS w
),
flows AS (
    SELECT
        spans.{2},
        sum(spans.downloads * spans.days_recent / spans.downloads_days) FILTER (spans.days_recent > 0) AS downloads,
        CAST(sum(spans.flows * spans.days_recent) FILTER (spans.days_recent > 0) AS BIGINT) AS days_recent,
        sum(spans.downloads * spans.days_before / spans.downloads_days) FILTER (spans.days_before > 0)
            AS downloads_before,
        CAST(sum(spans.flows * spans.days_before) FILTER (spans.days_before > 0) AS BIGINT) AS days_before
    FROM spans
    GROUP BY spans.{2}
)
