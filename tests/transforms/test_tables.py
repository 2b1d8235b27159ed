"""The declarations hold together: every source path exists in what may arrive, every flow in its table."""

from typing import Annotated, Any, get_args, get_origin, get_type_hints

import pytest
from msgspec import Struct

from pipelines.raw.kinds import LOOKUP_KINDS
from transforms.staging import payloads
from transforms.staging.payloads import STAGED_KINDS
from transforms.tables import TABLES, HistoryTable, Table
from transforms.tables.dimensions import DimCreator, DimImage, DimTag
from transforms.tables.facts import FactCreatorDaily, FactImageDaily, FactTagDaily

ROOTS: dict[type[Table], type[Struct]] = {
    DimCreator: payloads.Creator,
    DimImage: payloads.Image,
    FactImageDaily: payloads.Image,
}
LOOKED_UP = {STAGED_KINDS[kind].table: STAGED_KINDS[kind].payload for kind in LOOKUP_KINDS}
MODEL_COUNTS = (FactCreatorDaily, FactTagDaily)


def paths_of(kind: Any, prefix: str = "$") -> set[str]:
    """The JSON paths that a payload declaration knows."""
    if get_origin(kind) is Annotated:
        return paths_of(get_args(kind)[0], prefix)
    if get_origin(kind) is list:
        return {f"{prefix}[]"} | paths_of(get_args(kind)[0], f"{prefix}[]")
    if isinstance(kind, type) and issubclass(kind, Struct):
        hints = get_type_hints(kind, include_extras=True)
        return {prefix}.union(*(paths_of(hint, f"{prefix}.{name}") for name, hint in hints.items()))
    arms = [arm for arm in get_args(kind) if arm is not type(None)]
    return {prefix}.union(*(paths_of(arm, prefix) for arm in arms)) if arms else {prefix}


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.__name__)
def test_every_source_path_is_one_that_may_arrive(table: type[Table]) -> None:
    if table in LOOKED_UP:
        known = paths_of(LOOKED_UP[table])
    elif table in MODEL_COUNTS:
        known = {"$.modelCount"}  # blanked by the load, so it stands in the metrics only
    else:
        known = paths_of(ROOTS.get(table, payloads.Model)) | paths_of(payloads.Model)
        known |= paths_of(payloads.Stats, "$.stats") | paths_of(payloads.Stats, "$.modelVersions[].stats")
    if table is DimTag:
        known |= paths_of(payloads.Tag)
    paths = {metadata["source"] for metadata in table.with_metadata().values() if "source" in metadata}
    assert paths - known == set()


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.__name__)
def test_every_column_is_described_and_every_table_says_its_grain(table: type[Table]) -> None:
    assert table.grain().startswith("One row per ")
    for name, column in table.columns().items():
        assert column.description, name


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.__name__)
def test_every_counter_names_a_flow_that_the_table_has(table: type[Table]) -> None:
    flows = {metadata["flow"] for metadata in table.with_metadata(counter=True).values()} - {None}
    assert (
        flows == {name for name in table.columns() if name.endswith("_delta")} or table.storage != "daily" or not flows
    )


@pytest.mark.parametrize("table", [t for t in TABLES if issubclass(t, HistoryTable)], ids=lambda table: table.__name__)
def test_a_history_table_says_of_every_attribute_how_it_changes(table: type[HistoryTable]) -> None:
    period = {"valid_from", "valid_to", "is_current", "removed_on"}
    made = {table.surrogate_key[0]} if table.surrogate_key else set()
    attributes = set(table.columns()) - period - made - set(table.primary_key())
    assert {name for name in attributes if "history" not in (table.columns()[name].metadata or {})} == set()
