"""What the pipeline did: crawls, records that were set aside, and paths that no declaration knows."""

import dataframely as dy

from transforms.tables.declaration import Table, timestamp

STATUSES = ("complete", "partial", "failed")


class OpsSnapshot(Table):
    """One row per crawl."""

    crawl_id = dy.String(primary_key=True, description="Snapshot date and the number of the crawl on that date.")
    snapshot_date = dy.Date(description="UTC date on which the crawl began.")
    dialect = dy.String(description="spec or live.")
    api_url = dy.String(description="The service that was asked.")
    status = dy.String(check=lambda column: column.is_in(STATUSES), description="complete, partial or failed.")
    reason = dy.String(nullable=True, description="Why it is not complete.")
    started_at = timestamp(description="Start, by the service's clock.")
    finished_at = timestamp(nullable=True, description="End; null while it is under way or cut off.")
    passes = dy.Int32(description="Passes over the lists.")
    pages = dy.Int64(description="Pages read.")
    items = dy.Int64(description="Items in them.")
    distinct_ids = dy.Int64(description="Distinct entities among the items.")
    duplicates = dy.Int64(description="Items met again in the same crawl.")
    rejected = dy.Int64(description="Items without a readable id.")
    retries = dy.Int64(description="Requests that had to be repeated.")
    bytes = dy.Int64(description="Bytes received.")
    seconds = dy.Float64(description="Time that the crawl took.")
    reconciled_ids = dy.Int64(description="Entities asked for by id because the lists no longer had them.")
    observations = dy.Int64(description="Rows that the crawl has in the raw observations.")


class OpsQuarantine(Table):
    """One row per record that was set aside on a snapshot date, with its reason and payload."""

    storage = "daily"

    snapshot_date = dy.Date(description="Snapshot date of the record.")
    crawl_id = dy.String(description="The crawl that brought it.")
    kind = dy.String(
        description="Payload kind (model, image, creator, tag, enum), or the star table that refused a row."
    )
    entity_id = dy.String(nullable=True, description="Id of the record; null where none could be read.")
    reason = dy.String(description="What was expected and what was found, with the JSON path.")
    payload = dy.String(
        description="The record as received; a refused row as JSON. Bytes that are no text are escaped."
    )


class OpsDrift(Table):
    """One row per JSON path that was met and that no declaration knows."""

    kind = dy.String(primary_key=True, description="Payload kind.")
    path = dy.String(primary_key=True, description="JSON path of the key.")
    first_seen_on = dy.Date(description="First snapshot date on which it was met.")
    example = dy.String(description="A value that was found there, shortened.")
