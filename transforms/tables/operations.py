"""What the pipeline did: crawls, records that were set aside, and paths that no declaration knows."""

from datetime import UTC, date, datetime
from typing import get_args

import dataframely as dy

from pipelines.raw.crawls import CrawlStatus
from pipelines.raw.decisions import LEAVES_OUT
from pipelines.raw.kinds import SNAPSHOT_KINDS
from pipelines.raw.tables import Verdict
from transforms.tables.declaration import Table, made, timestamp


class OpsSnapshot(Table):
    """One row per crawl."""

    crawl_id = dy.String(
        primary_key=True,
        description="Snapshot date and, after a dot, the number of the crawl on that date.",
        metadata=made("raw.snapshots", example="2026-01-01.1"),
    )
    snapshot_date = dy.Date(
        description="UTC date on which the crawl began: the date of all rows that it observed.",
        metadata=made("raw.snapshots", example=date(2026, 1, 1)),
    )
    dialect = dy.String(
        description="How the service was spoken to: spec (as its specification has it) or live (as it answers today).",
        metadata=made("raw.snapshots", example="spec"),
    )
    api_url = dy.String(
        description="Base address of the service that was asked; a loopback address is the emulator.",
        metadata=made("raw.snapshots", example="http://127.0.0.1:8377/api/v1"),
    )
    status = dy.String(
        check=lambda column: column.is_in(get_args(CrawlStatus)),
        description="complete (every list reached its end, and what they lacked was asked for by id), partial (some of "
        "the catalogue was not seen) or failed (the crawl broke off).",
        metadata=made("raw.snapshots", example="complete"),
    )
    reason = dy.String(
        nullable=True,
        description="Why the crawl is partial or failed, in a sentence.",
        metadata=made("raw.snapshots", example="the cursor of page 3 of /models was met before", null="it is complete"),
    )
    started_at = timestamp(
        description="When the crawl began, by the service's clock.",
        metadata=made("raw.snapshots", example=datetime(2026, 1, 1, 12, 0, 0, 0, UTC)),
    )
    finished_at = timestamp(
        nullable=True,
        description="When the crawl ended, by the service's clock.",
        metadata=made(
            "raw.snapshots", example=datetime(2026, 1, 1, 12, 0, 0, 0, UTC), null="it is under way or was cut off"
        ),
    )
    passes = dy.Int32(
        description="How often the list of models was walked from its start; live snapshots are the union of two.",
        metadata=made("raw.snapshots", example=1),
    )
    pages = dy.Int64(
        description="Pages of lists that were read, over all endpoints.", metadata=made("raw.snapshots", example=40)
    )
    items = dy.Int64(
        description="Items on those pages, repeated ones counted again.", metadata=made("raw.snapshots", example=7583)
    )
    distinct_ids = dy.Int64(
        description="Different entities among the items.", metadata=made("raw.snapshots", example=7583)
    )
    duplicates = dy.Int64(
        description="Items whose entity the same crawl had met before; the first one counts.",
        metadata=made("raw.snapshots", example=0),
    )
    rejected = dy.Int64(
        description="Items without a readable id; their bytes are in ops_quarantine.",
        metadata=made("raw.snapshots", example=0),
    )
    retries = dy.Int64(
        description="Requests that were made again, after a failure or because the service asked to wait.",
        metadata=made("raw.snapshots", example=0),
    )
    bytes = dy.Int64(
        description="Size of all answers as received, failed ones included.",
        metadata=made("raw.snapshots", unit="bytes", example=19638410),
    )
    seconds = dy.Float64(
        description="How long the crawl worked, by this machine's clock, without the time between its parts.",
        metadata=made("raw.snapshots", unit="s", example=1.035),
    )
    reconciled_ids = dy.Int64(
        description="Entities that were known, were in no list, and were therefore asked for by id.",
        metadata=made("raw.snapshots", example=0),
    )
    observations = dy.Int64(
        description="Rows that the crawl has in the raw observations, over all kinds.",
        metadata=made("raw.*_observations", example=7583),
    )
    coverage = dy.Float64(
        nullable=True,
        min=0,
        max=1,
        description="Share of the entities that the service's lists announced (totalItems) which the crawl met.",
        metadata=made("raw.snapshots", unit="share", example=1.0, null="no list says how long it is"),
    )
    verdict = dy.String(
        nullable=True,
        check=lambda column: column.is_in(LEAVES_OUT),
        description="Why the crawl does not count: refused (by the checks of the build) or excluded (by a person). No "
        "other table has anything of it.",
        metadata=made("raw.decisions", example="refused", null="the crawl counts"),
    )
    verdict_reason = dy.String(
        nullable=True,
        description="What the checks found, or what the person gave as the reason.",
        metadata=made("raw.decisions", example="the lists show half of each model", null="the crawl counts"),
    )


class OpsDecision(Table):
    """One row per decision about a snapshot date, by the checks of a build or by a person, in their order."""

    number = dy.Int64(
        primary_key=True,
        min=1,
        description="Place of the decision: a later one goes before an earlier one on the same crawl.",
        metadata=made("raw.decisions", example=1),
    )
    decided_at = timestamp(
        description="When it was decided, by this machine's clock.",
        metadata=made("raw.decisions", example=datetime(2026, 1, 2, 4, 0, 0, 0, UTC)),
    )
    verdict = dy.String(
        check=lambda column: column.is_in(get_args(Verdict)),
        description="refused (by the checks), excluded, included (an earlier one of these is taken back), or accepted "
        "(a counter's collapse is real).",
        metadata=made("raw.decisions", example="refused"),
    )
    snapshot_date = dy.Date(
        description="Snapshot date that is meant; while it is left out, no row of the star has it.",
        metadata=made("raw.decisions", example=date(2026, 1, 2)),
    )
    crawl_ids = dy.List(
        dy.String(),
        description="The crawls that are meant.",
        metadata=made("raw.decisions", example=["2026-01-02.1"]),
    )
    counter = dy.String(
        nullable=True,
        description="The counter whose collapse is real, as table.column.",
        metadata=made("raw.decisions", example="fact_model_daily.rating_count", null="the decision is about crawls"),
    )
    reason = dy.String(
        description="What the checks found, or what the person gave as the reason.",
        metadata=made("raw.decisions", example="the lists show half of each model"),
    )


class OpsWithheld(Table):
    """One row per snapshot date and counter of a fact that collapsed on it: its values are withheld unless accepted.

    A withheld counter is null in the date's rows of its fact, and what the mart makes of it is null, too. Raw keeps the
    values. The flows of the next date span the day.
    """

    storage = "daily"

    snapshot_date = dy.Date(
        primary_key=True,
        description="Snapshot date whose values are meant.",
        metadata=made("raw.snapshots", example=date(2026, 1, 2), references="dim_date.date"),
    )
    counter = dy.String(
        primary_key=True,
        description="The counter, as table.column.",
        metadata=made("the counter guard", example="fact_model_daily.download_count"),
    )
    known_count = dy.Int64(
        min=1,
        description="Entities that had the counter above zero before and were given a value on the date.",
        metadata=made("the counter guard", example=600),
    )
    fallen_count = dy.Int64(
        min=1,
        description="Those of them whose value was less than half of the one known before.",
        metadata=made("the counter guard", example=600),
    )
    fallen_share = dy.Float64(
        min=0,
        max=1,
        description="fallen_count / known_count.",
        metadata=made("the counter guard", unit="share", example=1.0),
    )
    max_share = dy.Float64(
        min=0,
        max=1,
        description="The share from which on values are withheld: CIVITAI_ETL_MAX_COUNTER_COLLAPSE_SHARE.",
        metadata=made("the counter guard", unit="share", example=0.2),
    )
    is_accepted = dy.Bool(
        description="True if a person accepted the collapse as real: nothing is withheld.",
        metadata=made("raw.decisions", example=False),
    )
    reason = dy.String(
        description="What was found and what was made of it, as a sentence.",
        metadata=made(
            "the counter guard",
            example="fact_model_daily.download_count fell to less than half for 600 of the 600 that had any, more than "
            "the share of 20% of CIVITAI_ETL_MAX_COUNTER_COLLAPSE_SHARE. It was accepted as real.",
        ),
    )


#: How much a row of ops_quarantine sets aside, and what becomes of the rest.
LEVELS = {
    "item": "an entry of a list that has no readable id or is no JSON object: nothing of it is in any table",
    "record": "a whole document that cannot be read without what is wrong with it: it has no row on the date, and its "
    "id counts as seen, so that it is neither asked for nor taken for gone",
    "row": "a row of one table that breaks one of its rules, or whose key another record of the day has: the rest of "
    "its record counts",
    "value": "a single value: it is null, or left out of its list, and its record counts",
}


class OpsQuarantine(Table):
    """One row per item, record, row or single value that was set aside on a snapshot date, with its reason.

    What is wrong with one value sets aside that value: another type than the column's, a number out of range, a blank
    hash, half of a surrogate pair, a null in a list, a counter outside of what its column declares. The whole record is
    set aside only if it cannot be read, if its id or its name cannot, or if `modelVersions` or the id of a version in
    it cannot: a version that is not listed counts as gone, and one that cannot be read must not.
    """

    storage = "daily"

    snapshot_date = dy.Date(
        description="Snapshot date for which the record was set aside.",
        metadata=made("raw.snapshots", example=date(2026, 1, 2), references="dim_date.date"),
    )
    crawl_id = dy.String(
        description="The crawl that brought the record.",
        metadata=made("raw.snapshots", example="2026-01-02.1", references="ops_snapshot.crawl_id"),
    )
    kind = dy.String(
        description=f"What the record was taken for: a payload kind ({', '.join(SNAPSHOT_KINDS)}), or the star "
        "table whose rules refused a row.",
        metadata=made("the build", example="model"),
    )
    entity_id = dy.String(
        nullable=True,
        description="Id of the record, as text.",
        metadata=made("the record", example="6574", null="no id could be read"),
    )
    level = dy.String(
        check=lambda column: column.is_in(list(LEVELS)),
        description="How much is set aside: "
        + "; ".join(f"{level} ({words})" for level, words in LEVELS.items())
        + ".",
        metadata=made("the build", example="value"),
    )
    reason = dy.String(
        description="What was expected, what was found, and the JSON path at which.",
        metadata=made("the build", example="Expected `int | null`, got `str` - at `$.stats.downloadCount`"),
    )
    payload = dy.String(
        description="The item, record or value as it was received, or the refused row as JSON; bytes that are no text "
        "are escaped.",
        metadata=made("the record", example='"many"'),
    )


class OpsDrift(Table):
    """One row per JSON path that was met and that no declaration knows."""

    kind = dy.String(
        primary_key=True,
        description="Payload kind in which the path was met: "
        f"{', '.join(SNAPSHOT_KINDS[:-1])} or {SNAPSHOT_KINDS[-1]}.",
        metadata=made("the build", example="model"),
    )
    path = dy.String(
        primary_key=True,
        description="JSON path of the unknown key; its value stays in raw, untouched.",
        metadata=made("the record", example="$.modelVersions[].covered"),
    )
    first_seen_on = dy.Date(
        description="First snapshot date on which the path was met.",
        metadata=made("the snapshot dates", example=date(2026, 1, 2)),
    )
    example = dy.String(
        description="A value that was found at the path, as JSON, shortened.",
        metadata=made("the record", example="true"),
    )


class OpsWarning(Table):
    """One row per thing that was out of the ordinary on a snapshot date; nothing was held back for it."""

    storage = "daily"

    snapshot_date = dy.Date(
        primary_key=True,
        description="Snapshot date whose data are meant.",
        metadata=made("raw.snapshots", example=date(2026, 1, 2), references="dim_date.date"),
    )
    rule = dy.String(
        primary_key=True,
        description="What kind of thing it is: share of nulls, fallen counter, withheld counter, frozen counter, new "
        "value, unknown path, changed documents, waived check.",
        metadata=made("the quality gate", example="fallen counter"),
    )
    subject = dy.String(
        description="What it is about: a column (table.column), a payload kind, or a payload kind and a JSON path.",
        metadata=made("the quality gate", example="fact_model_daily.download_count"),
    )
    found = dy.Float64(
        nullable=True,
        description="The share, or the rise of a share, that was found.",
        metadata=made("the quality gate", unit="share", example=0.1, null="the warning is not about a share"),
    )
    limit = dy.Float64(
        nullable=True,
        description="The share from which on it is told: a setting that the message names.",
        metadata=made("the quality gate", unit="share", example=0.05, null="the warning is not about a share"),
    )
    message = dy.String(
        primary_key=True,
        description="The warning as a sentence, with what to make of it.",
        metadata=made(
            "the quality gate",
            example="fact_model_daily.download_count fell for 31 of the 310 whose flow is "
            "known, more than the share of 5% of CIVITAI_ETL_MAX_COUNTER_FALL_SHARE.",
        ),
    )
