-- Downloads gained per value of a key ({flows FLOWS KEY DAYS}) in both windows, each flow by its share of days, and the
-- days of these shares; null if no gain is known. FLOWS is a fact, or mart_flows. DAYS are window_days; recent_days if the
-- time before is not asked for. Needs {windows}.
spans AS (
    SELECT
        fact.{2},
        fact.downloads_delta,
        fact.downloads_days,
        CASE WHEN fact.downloads_delta IS NOT NULL THEN
            fact.snapshot_date - greatest(fact.snapshot_date - fact.downloads_days, w.since)
        END AS days_recent,
        CASE WHEN fact.downloads_delta IS NOT NULL AND w.before IS NOT NULL THEN
            least(fact.snapshot_date, w.since) - greatest(fact.snapshot_date - fact.downloads_days, w.before)
        END AS days_before
    FROM {1} AS fact JOIN {3} AS w ON w.date = fact.snapshot_date
),
flows AS (
    SELECT
        spans.{2},
        sum(spans.downloads_delta * spans.days_recent / spans.downloads_days) FILTER (spans.days_recent > 0)
            AS downloads,
        CAST(sum(spans.days_recent) FILTER (spans.days_recent > 0) AS BIGINT) AS days_recent,
        sum(spans.downloads_delta * spans.days_before / spans.downloads_days) FILTER (spans.days_before > 0)
            AS downloads_before,
        sum(spans.days_before) FILTER (spans.days_before > 0) AS days_before
    FROM spans
    GROUP BY spans.{2}
)
