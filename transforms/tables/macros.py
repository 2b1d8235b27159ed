"""The views and table macros of `analytics.duckdb`: questions that analysts ask first, answered once and by the rules.

The rules on numbers are those of the facts (docs/architecture.md, Numbers): null is not zero, a gap is a gap, and a
crawl that did not see everything never looks like a fall. So windows of days run from one complete snapshot to another
and tell how many days they span, rates are per day of that span, and stocks are those of complete snapshots only. A
snapshot whose downloads are withheld (ops_withheld) is no end of a window and has no stock. Days count back from the
newest complete snapshot, not from the wall clock.

A flow that began before a window counts in it by its share of days: of 3,000 downloads that were hidden for 25 days and
then shown, a day has 120, wherever the window begins. Facts and mart have flows whole, as they were observed, for their
balance needs them; so windows are made of the facts. What two windows have adds up to what both have as one.

In the SQL every column is qualified: an unqualified name is a parameter. No parameter has the name of a column of a
table, for DuckDB would find two of it in the table's view.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from transforms.tables import DimModel, DimModelVersion, HistoryTable, Table

#: A model with fewer downloads than this in the window is not trending, whatever its growth.
TRENDING_DOWNLOADS = 10
#: A time before with fewer downloads a day than this counts as this many: 1 after 0.1 is no tenfold growth.
TRENDING_PER_DAY_BEFORE = 1


@dataclass(frozen=True)
class View:
    """A view beside those of the tables; with `table`, its columns are those of that table."""

    name: str
    description: str
    sql: str
    table: type[Table] | None = None
    columns: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Macro:
    """A table macro: what it is asked, what it answers, and the query. Parameters and columns are in order."""

    name: str
    description: str
    parameters: Mapping[str, str]
    columns: Mapping[str, str]
    sql: str

    @property
    def signature(self) -> str:
        return f"{self.name}({', '.join(self.parameters)})"


VIEWS = (
    View(
        "model",
        "The current rows of dim_model: every model that the service has, as it is now.",
        "SELECT * FROM star.dim_model WHERE is_current",
        table=DimModel,
    ),
    View(
        "model_version",
        "The current rows of dim_model_version: every version that the service has, as it is now.",
        "SELECT * FROM star.dim_model_version WHERE is_current",
        table=DimModelVersion,
    ),
    View(
        "manifest",
        "The Parquet files of this generation, one row per file.",
        "SELECT table_name, part, snapshot_date, path, rows, bytes FROM build.manifest "
        "WHERE starts_with(lake_path, 'star/')",
        columns={
            "table_name": "The table that the file belongs to.",
            "part": "How the file fits into the table: whole, open or closed rows of a type 2 table, daily, monthly "
            "(days that compact merged), appended, or empty for a table without rows.",
            "snapshot_date": "The snapshot date that the file belongs to, of a monthly one the first of its month. "
            "Null: it belongs to none.",
            "path": "Absolute path of the file.",
            "rows": "Rows in the file.",
            "bytes": "Size of the file. Unit: bytes.",
        },
    ),
)

#: The dates that can be compared: of complete snapshots whose downloads are not withheld.
_COUNTED_DAYS = """
    withheld AS (
        SELECT DISTINCT w.snapshot_date
        FROM star.ops_withheld AS w
        WHERE NOT w.is_accepted
            AND w.counter IN ('fact_model_daily.download_count', 'fact_model_version_daily.download_count')
    ),
    counted_days AS (
        SELECT d.date
        FROM star.dim_date AS d ANTI JOIN withheld ON withheld.snapshot_date = d.date
        WHERE d.is_complete
    )"""

#: Two windows of about `days` days between complete snapshots: (since, until], and before it (before, since]. A history
#: that is too short gives a shorter window, and no time before.
_WINDOWS = f"""{_COUNTED_DAYS},
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
        SELECT d.date, d.date > w.since AS is_recent, w.before, w.since, w.until
        FROM star.dim_date AS d CROSS JOIN windows AS w
        WHERE d.date > coalesce(w.before, w.since) AND d.date <= w.until
    )"""


def _flows(fact: str, key: str) -> str:
    """Downloads gained per row of `key` in both windows, each flow by its share of days, and the days of these shares.
    Needs `_WINDOWS`.
    """
    return f"""
spans AS (
    SELECT
        fact.{key},
        fact.downloads_delta,
        fact.downloads_days,
        fact.snapshot_date - greatest(fact.snapshot_date - fact.downloads_days, w.since) AS days_recent,
        CASE WHEN w.before IS NOT NULL THEN
            least(fact.snapshot_date, w.since) - greatest(fact.snapshot_date - fact.downloads_days, w.before)
        END AS days_before
    FROM star.{fact} AS fact JOIN window_days AS w ON w.date = fact.snapshot_date
    WHERE fact.downloads_delta IS NOT NULL
),
flows AS (
    SELECT
        spans.{key},
        sum(spans.downloads_delta * spans.days_recent / spans.downloads_days) FILTER (spans.days_recent > 0)
            AS downloads,
        CAST(sum(spans.days_recent) FILTER (spans.days_recent > 0) AS BIGINT) AS days_recent,
        sum(spans.downloads_delta * spans.days_before / spans.downloads_days) FILTER (spans.days_before > 0)
            AS downloads_before,
        sum(spans.days_before) FILTER (spans.days_before > 0) AS days_before
    FROM spans
    GROUP BY spans.{key}
)"""


#: The models that were published in the recent window. Needs `_WINDOWS`.
_BIRTHS = """
births AS (
    SELECT fact.model_id
    FROM star.fact_model_daily AS fact
    JOIN (
        SELECT history.model_id, min(history.valid_from) AS first_seen_on
        FROM star.dim_model AS history CROSS JOIN windows
        GROUP BY history.model_id
        HAVING min(history.valid_from) > any_value(windows.since)
    ) AS seen ON seen.model_id = fact.model_id AND seen.first_seen_on = fact.snapshot_date
    JOIN window_days AS w ON w.date = fact.snapshot_date
    -- A first row has a span only if the model was published since the complete crawl before.
    WHERE w.is_recent AND fact.days_since_previous IS NOT NULL
)"""

#: A sum of parts as a whole number, so that an answer is the same every time: it differs in its last digits with the
#: order of the parts, and a half would be rounded now up and now down.
_WHOLE = "CAST(round(round({}, 3)) AS BIGINT)"

_SINCE = {
    "since": "Complete snapshot after which the window begins.",
    "until": "Complete snapshot with which the window ends: the newest whose downloads are not withheld.",
    "days_spanned": "Days from since to until: more than were asked for where snapshots are missing or partial, fewer "
    "where there is no older complete one.",
}
_BY_SHARE = "A flow that began before the window counts by its share of days."
_DAYS = "Length of the window in days, back from the newest complete snapshot whose downloads are not withheld."


def _attributes(table: type[HistoryTable], row: str) -> str:
    """A list of the tracked columns of a row with their values as text."""
    columns = table.with_metadata(history="tracked")
    return ", ".join(f"{{'attribute': '{name}', 'value': CAST({row}.{name} AS VARCHAR)}}" for name in columns)


TREND_BASE_MODEL = Macro(
    "trend_base_model",
    "Which base models are downloaded most in the last days, and how that compares with the same time before. One row "
    "per base model.",
    {"days": _DAYS},
    {
        "base_model": "Architecture, as in dim_base_model.",
        **_SINCE,
        "version_count": "Versions that the service had at the end of the window.",
        "versions_published": "Versions published in the window. Null: unknown, for want of a complete crawl before.",
        "download_count": "Downloads of all time at the end of the window, of the versions that were there then.",
        "downloads": f"Downloads gained in the window, by versions that had the base model then. {_BY_SHARE} Null: no "
        "version's gain is known.",
        "downloads_share": "Part of the base model in the downloads gained by all. Null: there are none to share.",
        "downloads_per_day": "Downloads gained per day of the window.",
        "downloads_per_day_before": "The same in the window before, which has as many days or, after gaps, a few more. "
        "Null: there is no such window, or no gain in it is known.",
        "growth": "downloads_per_day / downloads_per_day_before. Null: one is unknown, or nothing was gained before.",
    },
    f"""
WITH {_WINDOWS},
{_flows("fact_model_version_daily", "version_key")},
gained AS (
    SELECT
        history.base_model,
        {_WHOLE.format("sum(flows.downloads)")} AS downloads,
        {_WHOLE.format("sum(flows.downloads_before)")} AS downloads_before
    FROM flows JOIN star.dim_model_version AS history ON history.version_key = flows.version_key
    GROUP BY history.base_model
),
stocks AS (
    SELECT
        mart.base_model,
        any_value(w.since) AS since,
        any_value(w.until) AS until,
        any_value(w.before) AS before,
        coalesce(max(mart.version_count) FILTER (mart.snapshot_date = w.until), 0) AS version_count,
        CAST(sum(mart.versions_published) FILTER (w.is_recent) AS BIGINT) AS versions_published,
        coalesce(max(mart.download_count) FILTER (mart.snapshot_date = w.until), 0) AS download_count
    FROM star.mart_base_model_daily AS mart JOIN window_days AS w ON w.date = mart.snapshot_date
    GROUP BY mart.base_model
),
rates AS (
    SELECT
        stocks.*,
        gained.downloads,
        gained.downloads / (stocks.until - stocks.since) AS per_day,
        gained.downloads_before / (stocks.since - stocks.before) AS per_day_before
    FROM stocks LEFT JOIN gained ON gained.base_model = stocks.base_model
)
SELECT
    rates.base_model,
    rates.since,
    rates.until,
    rates.until - rates.since AS days_spanned,
    rates.version_count,
    rates.versions_published,
    rates.download_count,
    rates.downloads,
    rates.downloads / nullif(greatest(sum(rates.downloads) OVER (), 0), 0) AS downloads_share,
    rates.per_day AS downloads_per_day,
    rates.per_day_before AS downloads_per_day_before,
    CASE WHEN rates.per_day_before > 0 THEN rates.per_day / rates.per_day_before END AS growth
FROM rates
ORDER BY rates.downloads DESC NULLS LAST, rates.base_model
""",
)

TRENDING_MODELS = Macro(
    "trending_models",
    "Which models grew most: downloads a day in the last days against those in the same time before. Against noise, "
    f"a model needs {TRENDING_DOWNLOADS} downloads in the window, and fewer than {TRENDING_PER_DAY_BEFORE} a day "
    "before counts as that many. A model whose time before is unknown is left out; one that was published in the "
    "window had nothing before. One row per model that the service still has.",
    {"days": _DAYS, "n": "How many models to list."},
    {
        "model_id": "The service's id of the model.",
        "name": "Title of the model, as it is now.",
        "type": "Kind of the model, as it is now.",
        "username": "Creator of the model, as it is now.",
        "is_new": "True if it was published in the window.",
        "downloads": f"Downloads gained in the window. {_BY_SHARE}",
        "days_spanned": "Days over which they were gained: those of the window that its flows span, fewer than it has "
        "where the number was hidden at its end or the model is new.",
        "downloads_per_day": "downloads / days_spanned.",
        "downloads_per_day_before": "The same in the window before. Null: it was not published yet.",
        "growth": f"downloads_per_day / downloads_per_day_before, the latter at least {TRENDING_PER_DAY_BEFORE}.",
    },
    f"""
WITH {_WINDOWS},
{_flows("fact_model_daily", "model_id")},
grown AS (
    SELECT flows.* FROM flows WHERE round(flows.downloads, 3) >= {TRENDING_DOWNLOADS}
),
{_BIRTHS},
rates AS (
    SELECT
        grown.model_id,
        {_WHOLE.format("grown.downloads")} AS downloads,
        grown.days_recent AS days_spanned,
        grown.downloads / grown.days_recent AS per_day,
        grown.downloads_before / grown.days_before AS per_day_before,
        births.model_id IS NOT NULL AS is_new
    FROM grown LEFT JOIN births ON births.model_id = grown.model_id
)
SELECT
    model.model_id,
    model.name,
    model.type,
    model.username,
    rates.is_new,
    rates.downloads,
    rates.days_spanned,
    rates.per_day AS downloads_per_day,
    rates.per_day_before AS downloads_per_day_before,
    rates.per_day / greatest(coalesce(rates.per_day_before, 0), {TRENDING_PER_DAY_BEFORE}) AS growth
FROM rates JOIN star.model AS model ON model.model_id = rates.model_id
WHERE rates.is_new OR rates.per_day_before IS NOT NULL
ORDER BY growth DESC, rates.downloads DESC, model.model_id
LIMIT n
""",
)

MODELS_AS_OF = Macro(
    "models_as_of",
    "The catalogue as it was on a date: the rows of dim_model that held then, with the counters of the newest complete "
    "snapshot up to that date. One row per model.",
    {"as_of": "The date; before the first snapshot nothing is known."},
    {
        **{name: column.description or "" for name, column in DimModel.columns().items()},
        "counted_on": "The snapshot that the counters are from. Null: there was no complete one yet, or it did not "
        "have the model.",
        "download_count": "Downloads of all time. Null: hidden by its creator, or counted_on is null.",
        "thumbs_up_count": "Users who recommend it. Null: not known, or counted_on is null.",
    },
    f"""
WITH {_COUNTED_DAYS},
counted AS (
    SELECT max(d.date) AS counted_on FROM counted_days AS d WHERE d.date <= CAST(as_of AS DATE)
),
counters AS (
    SELECT fact.model_id, fact.snapshot_date, fact.download_count, fact.thumbs_up_count
    FROM star.fact_model_daily AS fact JOIN counted ON counted.counted_on = fact.snapshot_date
)
SELECT history.*, counters.snapshot_date AS counted_on, counters.download_count, counters.thumbs_up_count
FROM star.dim_model AS history LEFT JOIN counters ON counters.model_id = history.model_id
WHERE history.valid_from <= CAST(as_of AS DATE) AND (history.valid_to IS NULL OR CAST(as_of AS DATE) < history.valid_to)
""",
)

MODEL_HISTORY = Macro(
    "model_history",
    "Everything that happened to a model: when it was first seen, what changed of it, its versions and its tags, when "
    "it went and came back. One row per event, oldest first.",
    {"id": "The service's id of the model."},
    {
        "changed_on": "First snapshot date that shows it; a change inside a gap dates to the gap's end.",
        "what": "model, version and its id, or tag.",
        "change": "first seen, removed, returned, added, or the column that changed.",
        "before": "The value before, as text; the title of what was removed. Null: there was none.",
        "after": "The value from then on, as text; the title of what was first seen or came back. Null: there is none.",
    },
    f"""
WITH models AS (
    SELECT history.*, 'model' AS what FROM star.dim_model AS history WHERE history.model_id = id
),
versions AS (
    SELECT history.*, 'version ' || history.version_id AS what
    FROM star.dim_model_version AS history
    WHERE history.version_id IN (
        SELECT listed.version_id FROM star.dim_model_version AS listed WHERE listed.model_id = id
    )
),
periods AS (
    SELECT m.what, m.name, m.valid_from, m.valid_to, m.removed_on, [{_attributes(DimModel, "m")}] AS attributes
    FROM models AS m
    UNION ALL
    SELECT v.what, v.name, v.valid_from, v.valid_to, v.removed_on, [{_attributes(DimModelVersion, "v")}] AS attributes
    FROM versions AS v
),
linked AS (
    SELECT
        p.*,
        lag(p.valid_from) OVER life IS NULL AS is_first,
        lag(p.removed_on) OVER life IS NOT NULL AS is_return
    FROM periods AS p
    WINDOW life AS (PARTITION BY p.what ORDER BY p.valid_from)
),
cells AS (
    SELECT l.what, l.valid_from, l.is_first, unnest(l.attributes) AS cell FROM linked AS l
),
changes AS (
    SELECT
        c.what,
        c.valid_from,
        c.is_first,
        c.cell.attribute AS attribute,
        c.cell.value AS after,
        lag(c.cell.value) OVER (PARTITION BY c.what, c.cell.attribute ORDER BY c.valid_from) AS before
    FROM cells AS c
),
tags AS (
    SELECT bridge.tag, bridge.valid_from, bridge.valid_to, bridge.valid_from > first.day AS is_later
    FROM star.bridge_model_tag AS bridge CROSS JOIN (SELECT min(m.valid_from) AS day FROM models AS m) AS first
    WHERE bridge.model_id = id
),
events AS (
    SELECT l.valid_from AS changed_on, l.what, 'first seen' AS change, NULL AS before, l.name AS after
    FROM linked AS l WHERE l.is_first
    UNION ALL
    SELECT l.valid_from, l.what, 'returned', NULL, l.name FROM linked AS l WHERE l.is_return
    UNION ALL
    SELECT l.removed_on, l.what, 'removed', l.name, NULL FROM linked AS l WHERE l.removed_on IS NOT NULL
    UNION ALL
    SELECT c.valid_from, c.what, c.attribute, c.before, c.after
    FROM changes AS c WHERE NOT c.is_first AND c.before IS DISTINCT FROM c.after
    UNION ALL
    SELECT t.valid_from, 'tag', 'added', NULL, t.tag FROM tags AS t WHERE t.is_later
    UNION ALL
    SELECT t.valid_to, 'tag', 'removed', t.tag, NULL FROM tags AS t WHERE t.valid_to IS NOT NULL
)
SELECT e.changed_on, e.what, e.change, e.before, e.after
FROM events AS e
ORDER BY e.changed_on, e.what, e.change, e.before, e.after
""",
)

REMOVED_MODELS = Macro(
    "removed_models",
    "Which models vanished, and what was last known of them. The service does not say why: deleted, unpublished and "
    "taken down all look the same. Only complete crawls bury, so a partial one never adds to this list. One row per "
    "removal, newest first.",
    {"since": "First date of removals to list."},
    {
        "model_id": "The service's id of the model.",
        "name": "Title of the model when it vanished.",
        "type": "Kind of the model when it vanished.",
        "username": "Creator of the model when it vanished.",
        "removed_on": "Snapshot date on which it was found gone.",
        "returned_on": "Snapshot date on which it was back. Null: it is still gone.",
        "last_seen_on": "Last snapshot date before on which it was observed.",
        "download_count": "Downloads of all time as last known before. Null: its creator hid them throughout.",
    },
    """
WITH removals AS MATERIALIZED (
    SELECT history.model_id, history.name, history.type, history.username, history.removed_on
    FROM star.dim_model AS history WHERE history.removed_on >= CAST(since AS DATE)
),
returns AS (
    SELECT removals.model_id, removals.removed_on, min(later.valid_from) AS returned_on
    FROM star.dim_model AS later
    JOIN removals ON removals.model_id = later.model_id AND later.valid_from > removals.removed_on
    GROUP BY removals.model_id, removals.removed_on
),
known AS (
    SELECT
        removals.model_id,
        removals.removed_on,
        max(fact.snapshot_date) AS last_seen_on,
        arg_max(fact.download_count, fact.snapshot_date) AS download_count
    FROM star.fact_model_daily AS fact
    JOIN removals ON removals.model_id = fact.model_id AND fact.snapshot_date < removals.removed_on
    GROUP BY removals.model_id, removals.removed_on
)
SELECT
    removals.model_id,
    removals.name,
    removals.type,
    removals.username,
    removals.removed_on,
    returns.returned_on,
    known.last_seen_on,
    known.download_count
FROM removals
LEFT JOIN returns ON returns.model_id = removals.model_id AND returns.removed_on = removals.removed_on
LEFT JOIN known ON known.model_id = removals.model_id AND known.removed_on = removals.removed_on
ORDER BY removals.removed_on DESC, removals.model_id
""",
)

RELEASE_CURVES = Macro(
    "release_curves",
    "How downloads of a version grow with its age: the spread over the versions of a base model that were watched from "
    "their beginning: published since the complete crawl before the one that saw them first. Every age has the "
    "versions that were observed at it with a known number, fewer at greater ages; nothing is filled in. One row per "
    "age.",
    {"base": "The base model, as a version states it now or stated it last."},
    {
        "age_days": "Days from the day of publication to the snapshot, both in UTC. A version that is seen before the "
        "day that it states was published when it was first seen.",
        "versions": "Versions that were observed at that age with a known number.",
        "downloads_lower_quartile": "A quarter of them had at most so many downloads of all time.",
        "downloads_median": "Half of them had at most so many downloads of all time.",
        "downloads_upper_quartile": "Three quarters of them had at most so many downloads of all time.",
    },
    """
WITH versions AS (
    SELECT
        history.version_id,
        min(history.valid_from) AS first_seen_on,
        min(history.published_at) AS published_at,
        arg_max(history.base_model, history.valid_from) AS base_model
    FROM star.dim_model_version AS history
    GROUP BY history.version_id
),
cohort AS (
    SELECT
        versions.version_id,
        -- By way of microseconds, so that the day is one of UTC in every session.
        least(CAST(make_timestamp(epoch_us(versions.published_at)) AS DATE), versions.first_seen_on) AS published_on
    FROM versions JOIN star.fact_model_version_daily AS first_row
        ON first_row.version_id = versions.version_id AND first_row.snapshot_date = versions.first_seen_on
    -- A first row has a span only if the version was published since the complete crawl before.
    WHERE versions.base_model = base AND first_row.days_since_previous IS NOT NULL
)
SELECT
    fact.snapshot_date - cohort.published_on AS age_days,
    count(*) AS versions,
    quantile_cont(fact.download_count, 0.25) AS downloads_lower_quartile,
    quantile_cont(fact.download_count, 0.5) AS downloads_median,
    quantile_cont(fact.download_count, 0.75) AS downloads_upper_quartile
FROM star.fact_model_version_daily AS fact JOIN cohort ON cohort.version_id = fact.version_id
WHERE fact.download_count IS NOT NULL
GROUP BY age_days
ORDER BY age_days
""",
)

CREATOR_LEADERBOARD = Macro(
    "creator_leaderboard",
    "Whose models are downloaded most in the last days. A download counts for the creator who owned the model on the "
    "day. (unknown) pools the creators that the service omits, so it has no rank, but its part in the whole. One row "
    "per creator.",
    {"days": _DAYS},
    {
        "rank": "Place by downloads; equal numbers share a place.",
        "username": "Name of the creator.",
        **_SINCE,
        "models": "Models of the creator that were observed in the window.",
        "models_published": "Those of them that were published in the window: first seen in it, and published since "
        "the complete crawl before.",
        "downloads": f"Downloads that they gained in the window. {_BY_SHARE} Null: the creator hides all of them.",
        "downloads_share": "Part of the creator in the downloads that all models gained. Null: there are none to "
        "share.",
    },
    f"""
WITH {_WINDOWS},
{_flows("fact_model_daily", "model_key")},
{_BIRTHS},
observed AS (
    SELECT DISTINCT fact.model_key
    FROM star.fact_model_daily AS fact JOIN window_days AS w ON w.date = fact.snapshot_date
    WHERE w.is_recent
),
totals AS (
    SELECT
        history.username,
        count(DISTINCT history.model_id) AS models,
        count(DISTINCT births.model_id) AS models_published,
        any_value(windows.since) AS since,
        any_value(windows.until) AS until,
        {_WHOLE.format("sum(flows.downloads)")} AS downloads
    FROM observed
    JOIN star.dim_model AS history ON history.model_key = observed.model_key
    LEFT JOIN flows ON flows.model_key = observed.model_key
    LEFT JOIN births ON births.model_id = history.model_id
    CROSS JOIN windows
    GROUP BY history.username
),
shares AS (
    SELECT totals.*, totals.downloads / nullif(greatest(sum(totals.downloads) OVER (), 0), 0) AS downloads_share
    FROM totals
)
SELECT
    rank() OVER (ORDER BY shares.downloads DESC NULLS LAST) AS rank,
    shares.username,
    shares.since,
    shares.until,
    shares.until - shares.since AS days_spanned,
    shares.models,
    shares.models_published,
    shares.downloads,
    shares.downloads_share
FROM shares
WHERE shares.username <> '(unknown)'
ORDER BY rank, shares.username
""",
)

LICENCE_MIX = Macro(
    "licence_mix",
    "What creators allow: the catalogue of a date by licence, at the newest complete snapshot up to it. One row per "
    "combination of licence flags.",
    {"as_of": "The date; before the first complete snapshot there is no answer."},
    {
        "counted_on": "The complete snapshot that is shown.",
        "allow_commercial_use": "Commercial uses that are allowed, sorted; an empty list allows none.",
        "allow_no_credit": "True if no credit is needed. Null: the service did not say.",
        "allow_derivatives": "True if derivatives may be shared. Null: the service did not say.",
        "allow_different_license": "True if derivatives may have another licence. Null: the service did not say.",
        "models": "Models with this licence.",
        "models_share": "Their part in all models of that snapshot.",
        "download_count": "Their downloads of all time, where known. Null: none is known.",
        "downloads_share": "Their part in the downloads of all models. Null: none is known.",
    },
    f"""
WITH {_COUNTED_DAYS},
counted AS (
    SELECT max(d.date) AS counted_on FROM counted_days AS d WHERE d.date <= CAST(as_of AS DATE)
),
counters AS (
    SELECT fact.model_id, fact.download_count
    FROM star.fact_model_daily AS fact JOIN counted ON counted.counted_on = fact.snapshot_date
),
licences AS (
    SELECT
        counted.counted_on,
        history.allow_commercial_use,
        history.allow_no_credit,
        history.allow_derivatives,
        history.allow_different_license,
        count(*) AS models,
        CAST(sum(counters.download_count) AS BIGINT) AS download_count
    FROM star.dim_model AS history
    JOIN counted
        ON history.valid_from <= counted.counted_on
        AND (history.valid_to IS NULL OR counted.counted_on < history.valid_to)
    LEFT JOIN counters ON counters.model_id = history.model_id
    GROUP BY ALL
)
SELECT
    licences.counted_on,
    licences.allow_commercial_use,
    licences.allow_no_credit,
    licences.allow_derivatives,
    licences.allow_different_license,
    licences.models,
    licences.models / sum(licences.models) OVER () AS models_share,
    licences.download_count,
    licences.download_count / nullif(greatest(sum(licences.download_count) OVER (), 0), 0) AS downloads_share
FROM licences
ORDER BY licences.models DESC, licences.allow_commercial_use, licences.allow_no_credit NULLS LAST,
    licences.allow_derivatives NULLS LAST, licences.allow_different_license NULLS LAST
""",
)

FIND_HASH = Macro(
    "find_hash",
    "Which version a local file is, by any of its hashes, also of files that the service no longer has. Short hashes "
    "(AUTOV1, CRC32) are shared by different files, and one file can stand under several versions: one row per version "
    "and file that has or had the hash.",
    {"digest": "The hash, hexadecimal in either case."},
    {
        "algorithm": "Which of its hashes matches.",
        "model_id": "The service's id of the model.",
        "model_name": "Title of the model, as it was last.",
        "version_id": "The service's id of the version.",
        "version_name": "Title of the version, as it was last.",
        "base_model": "The base model that it stated last.",
        "file_id": "The service's id of the file.",
        "file_name": "Name that a download of the file gets.",
        "valid_from": "First snapshot date on which the file had the hash.",
        "valid_to": "First snapshot date on which it had not. Null: it still has.",
    },
    """
WITH hits AS (
    SELECT h.* FROM star.file_hash AS h WHERE h.hash = upper(trim(digest))
),
versions AS (
    SELECT history.version_id, history.model_id, history.name, history.base_model
    FROM star.dim_model_version AS history SEMI JOIN hits ON hits.version_id = history.version_id
    QUALIFY row_number() OVER (PARTITION BY history.version_id ORDER BY history.valid_from DESC) = 1
),
models AS (
    SELECT history.model_id, history.name
    FROM star.dim_model AS history SEMI JOIN versions ON versions.model_id = history.model_id
    QUALIFY row_number() OVER (PARTITION BY history.model_id ORDER BY history.valid_from DESC) = 1
)
SELECT
    hits.algorithm,
    versions.model_id,
    models.name AS model_name,
    hits.version_id,
    versions.name AS version_name,
    versions.base_model,
    hits.file_id,
    file.name AS file_name,
    hits.valid_from,
    hits.valid_to
FROM hits
LEFT JOIN versions ON versions.version_id = hits.version_id
LEFT JOIN models ON models.model_id = versions.model_id
LEFT JOIN star.dim_file AS file ON file.version_id = hits.version_id AND file.file_id = hits.file_id
ORDER BY hits.algorithm, hits.version_id, hits.file_id, hits.valid_from
""",
)

SNAPSHOT_COVERAGE = Macro(
    "snapshot_coverage",
    "How much of the catalogue each day's crawls saw: what to look at before believing a dip. One row per calendar "
    "day, gaps included.",
    {},
    {
        "date": "The calendar day.",
        "has_snapshot": "True if a crawl observed anything on that day; false is a gap.",
        "is_complete": "True if a crawl of that day saw the whole catalogue.",
        "days_since_previous": "Days since the snapshot before. Null: a gap, or the first snapshot.",
        "crawls": "Crawls of that day.",
        "reason": "Why the last crawl of that day is not complete. Null: it is, or there was none.",
        "models_known": "Models that the service had, as far as was known by then: the open rows of dim_model.",
        "models_observed": "Models observed on that day. Null: a gap.",
        "observed_share": "models_observed / models_known. Null: a gap.",
        "models_removed": "Models that were found gone on that day.",
        "quarantined": "Records and values of that day that were set aside.",
    },
    """
WITH steps AS (
    SELECT history.valid_from AS date, 1 AS step FROM star.dim_model AS history
    UNION ALL
    SELECT history.valid_to, -1 FROM star.dim_model AS history WHERE history.valid_to IS NOT NULL
),
known AS (
    SELECT s.date, sum(s.step) AS step FROM steps AS s GROUP BY s.date
),
observed AS (
    SELECT fact.snapshot_date, count(*) AS models FROM star.fact_model_daily AS fact GROUP BY fact.snapshot_date
),
crawled AS (
    SELECT crawl.snapshot_date, count(*) AS crawls, arg_max_null(crawl.reason, crawl.started_at) AS reason
    FROM star.ops_snapshot AS crawl GROUP BY crawl.snapshot_date
),
removed AS (
    SELECT history.removed_on, count(*) AS models
    FROM star.dim_model AS history WHERE history.removed_on IS NOT NULL GROUP BY history.removed_on
),
aside AS (
    SELECT record.snapshot_date, count(*) AS records
    FROM star.ops_quarantine AS record GROUP BY record.snapshot_date
),
days AS (
    SELECT
        d.date,
        d.has_snapshot,
        d.is_complete,
        CASE WHEN d.has_snapshot THEN
            d.date - max(CASE WHEN d.has_snapshot THEN d.date END)
                OVER (ORDER BY d.date ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
        END AS days_since_previous,
        CAST(sum(coalesce(known.step, 0)) OVER (ORDER BY d.date) AS BIGINT) AS models_known
    FROM star.dim_date AS d LEFT JOIN known ON known.date = d.date
)
SELECT
    days.date,
    days.has_snapshot,
    days.is_complete,
    days.days_since_previous,
    coalesce(crawled.crawls, 0) AS crawls,
    crawled.reason,
    days.models_known,
    observed.models AS models_observed,
    observed.models / nullif(days.models_known, 0) AS observed_share,
    coalesce(removed.models, 0) AS models_removed,
    coalesce(aside.records, 0) AS quarantined
FROM days
LEFT JOIN crawled ON crawled.snapshot_date = days.date
LEFT JOIN observed ON observed.snapshot_date = days.date
LEFT JOIN removed ON removed.removed_on = days.date
LEFT JOIN aside ON aside.snapshot_date = days.date
ORDER BY days.date
""",
)

MACROS = (
    TREND_BASE_MODEL,
    TRENDING_MODELS,
    MODELS_AS_OF,
    MODEL_HISTORY,
    REMOVED_MODELS,
    RELEASE_CURVES,
    CREATOR_LEADERBOARD,
    LICENCE_MIX,
    FIND_HASH,
    SNAPSHOT_COVERAGE,
)
