"""Writes raw tables as a crawl would leave them, from items given as Python objects or bytes: for tests of the
transforms that need histories no emulator has (gaps, partial crawls, tombstones, broken records)."""

import json
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from pipelines.raw.decisions import decisions, left_out
from pipelines.raw.documents import UnreadableItemError, split
from pipelines.raw.kinds import SNAPSHOT_KINDS
from pipelines.raw.tables import (
    RECONCILE_PASS,
    REJECTS,
    SCHEMA_NAME,
    SNAPSHOTS,
    TOMBSTONES,
    RawTable,
    documents_table,
    lookup_id,
    observations_table,
)


class RawWriter:
    """A warehouse file that grows crawl by crawl."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def crawl(
        self,
        on: date,
        *,
        status: str = "complete",
        number: int = 1,
        buried: tuple[int, ...] = (),
        reconciled: tuple[Any, ...] = (),
        started_at: datetime | None = None,
        **items: list[Any],
    ) -> None:
        """Adds a crawl of `on`: `model=[{...}, b"..."], creator=[...]`, ...; `buried` are models that answered 404 when
        they were asked for by id, `reconciled` those that answered with a document.
        """
        started_at = started_at or datetime.combine(on, time(3), tzinfo=UTC)
        crawl_id = f"{on}.{number}"
        rows: dict[str, list[dict[str, Any]]] = {REJECTS.name: [], TOMBSTONES.name: [], SNAPSHOTS.name: []}
        counts = {}
        tables = {table.name: table for table in (REJECTS, TOMBSTONES, SNAPSHOTS)}
        for kind in SNAPSHOT_KINDS:
            documents, observations = documents_table(kind), observations_table(kind)
            tables |= {documents.name: documents, observations.name: observations}
            rows |= {documents.name: [], observations.name: []}
            seen: set[str] = set()
            rejected = duplicates = 0
            asked_for = reconciled if kind == "model" else ()
            received_items = [*items.get(kind, []), *asked_for]
            for position, item in enumerate(received_items):
                received = item if isinstance(item, bytes) else json.dumps(item).encode()
                try:
                    entity_id, content_hash, payload, metrics = split(kind, received)
                except UnreadableItemError as error:
                    rejected += 1
                    rows[REJECTS.name].append(
                        {
                            "crawl_id": crawl_id,
                            "snapshot_date": on,
                            "kind": kind,
                            "request": f"/{kind}s",
                            "position": position,
                            "fetched_at": started_at,
                            "reason": str(error),
                            "payload": received,
                        }
                    )
                    continue
                if entity_id in seen:
                    duplicates += 1
                    continue
                seen.add(entity_id)
                row = {"entity_id": entity_id, "content_hash": content_hash, "fetched_at": started_at}
                rows[documents.name].append(row | {"payload": payload.decode()})
                rows[observations.name].append(
                    {
                        "snapshot_date": on,
                        "entity_id": entity_id,
                        "content_hash": content_hash,
                        "observed_at": started_at,
                        "crawl_id": crawl_id,
                        "crawl_pass": 1 if position < len(received_items) - len(asked_for) else RECONCILE_PASS,
                        "metrics": metrics.decode(),
                    }
                )
            counts[kind] = {
                "pages": 1,
                "items": len(received_items),
                "distinct_ids": len(seen),
                "duplicates": duplicates,
                "rejected": rejected,
            }
        rows[TOMBSTONES.name] = [
            {
                "snapshot_date": on,
                "kind": "model",
                "entity_id": str(model_id),
                "crawl_id": crawl_id,
                "observed_at": started_at,
            }
            for model_id in buried
        ]
        total = {name: sum(count[name] for count in counts.values()) for name in counts["model"]}
        rows[SNAPSHOTS.name] = [
            {
                "crawl_id": crawl_id,
                "snapshot_date": on,
                "dialect": "spec",
                "api_url": "http://127.0.0.1:8377/api/v1",
                "status": status,
                "reason": None if status == "complete" else "cut off by a test",
                "started_at": started_at,
                "finished_at": started_at,
                "passes": 1,
                "retries": 0,
                "bytes": 0,
                "seconds": 0.0,
                "reconciled_ids": len(reconciled) + len(buried),
                "arguments": "{}",
                "endpoints": json.dumps(counts),
                **total,
            }
        ]
        self._insert(rows, tables)

    def look_up(
        self, on: date, at: time = time(12), unknown: dict[str, tuple[str, ...]] | None = None, **items: list[Any]
    ) -> None:
        """Adds look-ups of `on`: `version=[{...}, b"..."], version_mini=[("12", {...})], ...`, where a pair names a
        document that does not name itself, and those `unknown` to the service by kind.
        """
        moment = datetime.combine(on, at, tzinfo=UTC)
        rows: dict[str, list[dict[str, Any]]] = {TOMBSTONES.name: []}
        tables = {TOMBSTONES.name: TOMBSTONES}
        for kind, received in items.items():
            documents, observations = documents_table(kind), observations_table(kind)
            tables |= {documents.name: documents, observations.name: observations}
            rows |= {documents.name: [], observations.name: []}
            for item in received:
                name, told = item if isinstance(item, tuple) else ("", item)
                split_item = split(kind, told if isinstance(told, bytes) else json.dumps(told).encode(), name)
                row = {"entity_id": split_item.entity_id, "content_hash": split_item.content_hash}
                rows[documents.name].append(row | {"fetched_at": moment, "payload": split_item.payload.decode()})
                rows[observations.name].append(
                    row
                    | {"snapshot_date": on, "observed_at": moment, "crawl_id": lookup_id(on), "crawl_pass": 1}
                    | {"metrics": split_item.metrics.decode()}
                )
        for kind, texts in (unknown or {}).items():
            rows[TOMBSTONES.name] += [
                {"snapshot_date": on, "kind": kind, "entity_id": text, "crawl_id": lookup_id(on), "observed_at": moment}
                for text in texts
            ]
        self._insert(rows, tables)

    def _insert(self, rows: dict[str, list[dict[str, Any]]], tables: dict[str, RawTable]) -> None:
        with duckdb.connect(self.path) as connection:
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA_NAME}")
            for name, new in rows.items():
                if not new:  # as in a crawl: a table exists when something of its kind was loaded
                    continue
                table = tables[name]
                arrow = pa.Table.from_pylist(new, schema=table.schema)
                connection.register("new", arrow)
                connection.execute(f"CREATE TABLE IF NOT EXISTS {table.qualified_name} AS SELECT * FROM new LIMIT 0")
                # As a crawl does it: what another crawl of the date has observed is not observed again, if it counts,
                # but for what it was answered by id and a list shows now.
                key = ", ".join(name for name in table.key if name != "crawl_id" or "entity_id" not in table.key)
                known = f"SELECT * FROM {table.qualified_name}"
                if "crawl_id" in table.schema.names:
                    out = "', '".join(["", *left_out(decisions(connection))])
                    known += f" WHERE crawl_id NOT IN ('{out}')"
                observed = f"SELECT * FROM new ANTI JOIN ({known}) USING ({key})"
                if "crawl_pass" in table.schema.names:
                    is_listed = f"crawl_pass <> {RECONCILE_PASS}"
                    listed = f"SELECT * FROM ({known}) WHERE {is_listed}"
                    observed += f" UNION SELECT * FROM new ANTI JOIN ({listed}) USING ({key}) WHERE {is_listed}"
                connection.execute(f"INSERT INTO {table.qualified_name} SELECT DISTINCT ON ({key}) * FROM ({observed})")
                connection.unregister("new")
