-- The counters of each entity as they were last seen up to a date ({last_known FACT ID NAME}): a table NAME with the
-- date of the entity's newest row, `counted_on`, and its counters. A counter that its creator hides is null; one that is
-- withheld on that date is that of the row before. Needs asked(date).
--
-- A complete snapshot on which nothing is withheld has a row of nearly every entity that is there. So rows are read from
-- the newest such one on, and those before it only of entities that it lacks.
{3}_withheld AS (
    SELECT w.snapshot_date, list(w.counter) AS counters
    FROM star.ops_withheld AS w
    WHERE NOT w.is_accepted AND starts_with(w.counter, '{1}.')
    GROUP BY w.snapshot_date
),
{3}_base AS (
    SELECT max(d.date) AS date
    FROM star.dim_date AS d
    JOIN asked ON d.date <= asked.date
    ANTI JOIN {3}_withheld AS w ON w.snapshot_date = d.date
    WHERE d.is_complete
),
{3}_days AS (
    SELECT d.date, b.date IS NOT NULL AND d.date >= b.date AS is_recent
    FROM star.dim_date AS d JOIN asked ON d.date <= asked.date CROSS JOIN {3}_base AS b
    WHERE d.has_snapshot
),
{3}_recent AS (
    SELECT fact.*
    FROM star.{1} AS fact
    JOIN (SELECT d.date FROM {3}_days AS d WHERE d.is_recent) AS day ON day.date = fact.snapshot_date
),
{3}_lacking AS (
    SELECT DISTINCT history.{2}
    FROM star.{4} AS history
    JOIN asked ON history.valid_from <= asked.date AND (history.valid_to IS NULL OR asked.date < history.valid_to)
    ANTI JOIN (
        SELECT r.{2} FROM {3}_recent AS r JOIN {3}_base AS b ON b.date = r.snapshot_date
    ) AS base ON base.{2} = history.{2}
),
{3}_rows AS (
    SELECT recent.* FROM {3}_recent AS recent
    UNION ALL
    SELECT fact.*
    FROM star.{1} AS fact
    JOIN (SELECT d.date FROM {3}_days AS d WHERE NOT d.is_recent) AS day ON day.date = fact.snapshot_date
    SEMI JOIN {3}_lacking AS lacking ON lacking.{2} = fact.{2}
),
{3} AS (
    SELECT fact.{2}, max(fact.snapshot_date) AS counted_on, {last_counters {1}}
    FROM {3}_rows AS fact LEFT JOIN {3}_withheld AS w ON w.snapshot_date = fact.snapshot_date
    GROUP BY fact.{2}
)
