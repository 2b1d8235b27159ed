"""What a build carries from one snapshot date to the next, declared once, so that a day costs what the day brought.

These tables lie under lake/state. They are no product, and a rebuild makes them again.
"""

from dataclasses import dataclass
from typing import Literal

import polars as pl

from pipelines.raw.kinds import SNAPSHOT_KINDS
from transforms.quality.checks import MEASURES
from transforms.ranges import AXIS_OF_KIND, Axis
from transforms.star.facts import ENTITY_ID, empty_state
from transforms.star.fading import SCHEMA, WATCHED
from transforms.star.mart import CELL, LONGER_FLOWS
from transforms.star.milestones import MILESTONES
from transforms.tables import DimImage, ModelText, Table


@dataclass(frozen=True)
class StateTable:
    """A table of state: its name, schema and key, whose ids cut it into ranges, and whether a date replaces its rows or
    adds to them.
    """

    name: str
    schema: dict[str, pl.DataType]
    key: list[str]
    axis: Axis | None = None
    storage: Literal["whole", "appended"] = "whole"


#: The append-only tables whose rows may be met again, and the key by which they are known.
APPENDED: dict[type[Table], list[str]] = {ModelText: ["model_id", "description_hash"], DimImage: ["image_id"]}

#: Of each version, the model that had it last. Never a row less: a version that comes back has its earlier counters.
STATE_VERSIONS = StateTable("state_versions", {"version_id": pl.Int64(), "model_id": pl.Int64()}, ["version_id"])
#: The measures of the last complete crawl.
STATE_MEASURES = StateTable("state_measures", MEASURES, ["table_name", "column_name"])
#: The measures of each range of the dimensions, as they are.
STATE_RANGES = StateTable("state_ranges", {"range": pl.Int64(), **MEASURES}, ["range", *STATE_MEASURES.key])
#: While downloads are withheld: the versions at the last snapshot with downloads. Otherwise no row.
STATE_STOCK = StateTable(
    "state_stock",
    {
        "version_id": pl.Int64(),
        **dict.fromkeys(CELL, pl.String()),
        "download_count": pl.Int64(),
        "counted_on": pl.Date(),
    },
    ["version_id"],
    "model",
)
#: The models whose list item the last complete crawls did not read, each with the last crawl that could have listed it.
STATE_UNREAD = StateTable(
    "state_unread",
    {"model_id": pl.Int64(), "complete_on": pl.Date(), "complete_from": pl.Datetime("us", "UTC")},
    ["model_id"],
    "model",
)
#: The versions whose downloads are watched until they have fallen to half.
STATE_FADING = StateTable("state_fading", SCHEMA, ["version_id"], "model")
#: Their known downloads until then.
STATE_WATCHED = StateTable("state_watched", WATCHED, ["version_id", "snapshot_date"], "model", "appended")
#: When versions came to round numbers of downloads.
STATE_MILESTONES = StateTable("state_milestones", MILESTONES, [*MILESTONES], "model", "appended")
#: The flows of more than a day of each date, by base model.
STATE_LONGER_FLOWS = StateTable("state_longer_flows", LONGER_FLOWS, [*LONGER_FLOWS][:-1])
#: Which models list a version of another model, and since when.
STATE_CLAIMS = StateTable(
    "state_claims",
    {"version_id": pl.Int64(), "model_id": pl.Int64(), "since": pl.Date()},
    ["version_id", "model_id"],
)


def entities_state(kind: str) -> StateTable:
    """The documents of a kind that were seen last, one row per entity.

    `is_settled` says that this document needs no second look: it was valid, it was decoded under a complete crawl, and
    the entity was not found gone since. `is_listed` says that a list has shown the entity since it was last gone: then
    lists are its source, and else its answers by id.
    """
    schema = {
        "entity_id": pl.String(),
        "content_hash": pl.String(),
        "is_settled": pl.Boolean(),
        "is_listed": pl.Boolean(),
    }
    return StateTable(f"state_{kind}_entity", schema, ["entity_id"], AXIS_OF_KIND.get(kind))


def counters_state(fact: type[Table]) -> StateTable:
    """The last known counters of a daily fact (`facts.empty_state`)."""
    return StateTable(f"state_{fact.table_name()}", dict(empty_state(fact).schema), [ENTITY_ID[fact]], fact.axis)


def keys_state(table: type[Table]) -> StateTable:
    """The keys that a table of APPENDED has."""
    columns = table.polars_schema()
    return StateTable(
        f"state_{table.table_name()}", {name: columns[name] for name in APPENDED[table]}, APPENDED[table], table.axis
    )


STATE = {
    state.name: state
    for state in (
        *map(entities_state, SNAPSHOT_KINDS),
        *map(counters_state, ENTITY_ID),
        *map(keys_state, APPENDED),
        STATE_VERSIONS,
        STATE_MEASURES,
        STATE_RANGES,
        STATE_STOCK,
        STATE_UNREAD,
        STATE_FADING,
        STATE_WATCHED,
        STATE_MILESTONES,
        STATE_LONGER_FLOWS,
        STATE_CLAIMS,
    )
}
