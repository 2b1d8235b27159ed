-- Two windows of about `days` days between complete snapshots: (since, until], and before it (before, since]. A history
-- that is too short gives a shorter window, and no time before.
{counted_days},
    newest AS (
        SELECT max(d.date) AS until, min(d.date) AS oldest FROM counted_days AS d
    ),
    recent AS (
        SELECT
            any_value(newest.until) AS until,
            coalesce(max(d.date) FILTER (d.date <= newest.until - CAST(days AS INTEGER)), any_value(newest.oldest))
                AS since
        FROM counted_days AS d CROSS JOIN newest
    ),
    windows AS (
        SELECT
            any_value(recent.until) AS until,
            any_value(recent.since) AS since,
            max(d.date) FILTER (d.date <= recent.since - CAST(days AS INTEGER)) AS before
        FROM counted_days AS d CROSS JOIN recent
    ),
    window_days AS (
        SELECT
            d.date,
            d.date > w.since AS is_recent,
            CASE WHEN d.date > w.since THEN w.until ELSE w.since END AS ends_on,
            w.before,
            w.since,
            w.until
        FROM star.dim_date AS d CROSS JOIN windows AS w
        WHERE d.date > coalesce(w.before, w.since) AND d.date <= w.until
    ),
    recent_days AS (
        SELECT w.* FROM window_days AS w WHERE w.is_recent
    )
