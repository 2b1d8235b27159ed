"""The tables of look-ups: one row per entity, as of the latest answer.

Every build makes them from all of raw. They have no snapshot date and no history. If the latest answer does not decode,
it is quarantined, and its entity has no row until a readable answer comes. An odd value is quarantined alone.
"""

import polars as pl

from pipelines.raw.kinds import LOOKUP_KINDS
from pipelines.raw.tables import lookup_id
from transforms.lake.release import Release
from transforms.staging.drift import unknown_paths
from transforms.staging.payloads import STAGED_KINDS
from transforms.staging.quarantine import check, refused, rejected
from transforms.staging.raw_reader import RawReader
from transforms.staging.stage import odd_values, set_aside
from transforms.staging.validation import read, validate
from transforms.tables import HashMatch, OpsDrift, OpsQuarantine, Table


def add_lookups(star: Release, raw: RawReader) -> bool:
    """Update the tables of look-ups from raw; returns whether one changed."""
    changed = False
    quarantine = [rejected(raw.rejects_of(LOOKUP_KINDS))]
    for kind in LOOKUP_KINDS:
        staged = STAGED_KINDS[kind]
        assert staged.table, f"the look-up {kind} has no table"
        table = staged.table
        answers, set_aside_rows, drift = latest_answers(raw, kind)
        candidates = staged.flatten(answers)[table.table_name()]
        if table is HashMatch:
            candidates = with_unknown_hashes(candidates, answers, raw.denials(kind))
        good, bad = check(table, candidates)
        quarantine += [
            set_aside_rows,
            refused(table, bad, pl.col("observed_on"), pl.format(lookup_id("{}"), "observed_on")),
        ]
        changed |= replace_where_changed(star, table, good.sort(table.primary_key()))
        known = star.rows(OpsDrift.table_name())
        if not (new := drift.join(known, on=["kind", "path"], how="anti")).is_empty():
            changed |= replace_where_changed(star, OpsDrift, pl.concat([known, new]))
    broken = OpsQuarantine.validate(pl.concat(quarantine), cast=True)
    return changed | replace_where_changed(star, OpsQuarantine, broken.sort(OpsQuarantine.column_names()))


def replace_where_changed(star: Release, table: type[Table], rows: pl.DataFrame) -> bool:
    """Replace the rows of a table if they changed; returns whether they did."""
    if rows.equals(star.rows(table.table_name())):
        return False
    star.replace(table.table_name(), rows)
    return True


def latest_answers(raw: RawReader, kind: str) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """The latest document of each entity of a kind, decoded; rows of ops_quarantine for the others; rows of ops_drift.

    Besides the fields of the payload, the first has `entity_id`, `snapshot_date`, `observed_at` and `unknown_since`,
    the first date after it with the answer "not found".
    """
    payload = STAGED_KINDS[kind].payload
    observed = raw.latest_observations(kind)
    denied = raw.denials(kind).join(observed.select("entity_id", "observed_at"), on="entity_id", suffix="_last")
    denied = denied.filter(pl.col("observed_at") > pl.col("observed_at_last"))
    unknown_since = denied.group_by("entity_id").agg(unknown_since=pl.col("snapshot_date").min())
    wanted = observed.join(unknown_since, on="entity_id", how="left", maintain_order="left")
    decoded = [wanted.clear().with_columns(read(payload, []).alias("document"))]
    quarantine, drift = [OpsQuarantine.empty()], OpsDrift.empty()
    for batch in raw.documents(kind, raw.places(kind, wanted)):
        found = validate(payload, batch["payload"].cast(pl.Binary))
        reasons = pl.Series("reason", [found.errors.get(place) for place in range(batch.height)], dtype=pl.String)
        records = batch.with_columns(reasons)
        sound = records.filter(pl.col("reason").is_null())
        decoded.append(sound.select(wanted.columns).with_columns(read(payload, found.canonical).alias("document")))
        quarantine.append(set_aside(kind, pl.col("snapshot_date"), records.drop_nulls("reason")))
        quarantine.append(odd_values(kind, pl.col("snapshot_date"), batch, found.odd))
        for (on,), of_day in batch.sort("snapshot_date").group_by("snapshot_date", maintain_order=True):
            paths = unknown_paths(payload, of_day["payload"])
            unknown = pl.DataFrame(
                [(kind, path, on, example) for path, example in paths.items()],
                schema=OpsDrift.polars_schema(),
                orient="row",
            )
            drift = pl.concat([drift, unknown]).unique(["kind", "path"], keep="first", maintain_order=True)
    return pl.concat(decoded).unnest("document"), pl.concat(quarantine), drift


def with_unknown_hashes(known: pl.DataFrame, answers: pl.DataFrame, denials: pl.DataFrame) -> pl.DataFrame:
    """hash_match rows of all requested hashes: the `known` ones, and those whose last answer was "not found"."""
    latest = denials.group_by("entity_id").agg(pl.col("snapshot_date", "observed_at").max())
    unknown = latest.join(
        answers.join(latest, on="entity_id", suffix="_denied").filter(
            pl.col("observed_at") >= pl.col("observed_at_denied")
        ),
        on="entity_id",
        how="anti",
    )
    nobody = pl.lit(None, pl.Int64)
    return pl.concat(
        [
            known.join(unknown, on="entity_id", how="anti").drop("entity_id"),
            unknown.select(
                hash="entity_id",
                version_id=nobody,
                model_id=nobody,
                version_count=pl.lit(0, pl.Int64),
                observed_on="snapshot_date",
            ),
        ]
    )
