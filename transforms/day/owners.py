"""Whose the versions are, over all ranges of a snapshot date: a version is owned by one of the models that list it.

Most versions are listed by one model, the one that had them. Only the others are settled here, by their ids; so this is
all that a range needs to know of another one.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

from transforms.day.inputs import MODEL_ID
from transforms.day.snapshot_day import SnapshotDay
from transforms.lake.release import Release
from transforms.lake.state import STATE_CLAIMS, STATE_FADING, STATE_STOCK, STATE_VERSIONS, counters_state
from transforms.ranges import range_of
from transforms.staging.records import StagedKind
from transforms.tables import DimFile, DimModelVersion, FactModelVersionDaily, FileHash

_OWNED = ["version_id", "model_id"]

#: What moves to another range with a version. All of it has the version's id.
_OF_VERSIONS = (
    DimModelVersion.table_name(),
    DimFile.table_name(),
    FileHash.table_name(),
    counters_state(FactModelVersionDaily).name,
    STATE_STOCK.name,
    STATE_FADING.name,
)


@dataclass(frozen=True)
class Owners:
    """`contested`: version_id of the versions that another model lists than the one that had them, or several do.
    `resolved`: version_id, model_id: the owners of these. `claims`: rows of STATE_CLAIMS: the models that list a
    version of another one, and since when; None if they are as before. `of_others`: model_id of those of today. They
    are read every day, because the version may become theirs.
    """

    contested: pl.DataFrame
    resolved: pl.DataFrame
    claims: pl.DataFrame | None
    of_others: pl.DataFrame

    def only(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows of versions, and of what they have, that the owners list."""
        rows = rows.drop_nulls("version_id")
        if self.contested.is_empty():
            return rows
        return (
            rows.join(
                self.contested.with_columns(is_contested=True), on="version_id", how="left", maintain_order="left"
            )
            .join(self.resolved.with_columns(is_owned=True), on=_OWNED, how="left", maintain_order="left")
            .filter(pl.col("is_contested").is_null() | pl.col("is_owned").is_not_null())
            .select(rows.columns)
        )


def settle_owners(star: Release, day: SnapshotDay, models: StagedKind, deleted: pl.DataFrame) -> Owners:
    """The owner of each version, by the rule of dim_model_version.

    A model whose document was not read today lists what it listed before, unless it is `deleted` (model_id).
    """
    table = DimModelVersion.table_name()
    listed = _of_ranges(models.candidates(table, each).select(_OWNED).drop_nulls().unique() for each in models.ranges)
    had, known = star.rows(STATE_VERSIONS.name), star.rows(STATE_CLAIMS.name)
    contested = pl.concat(
        [
            listed.filter(pl.col("version_id").is_duplicated()).select("version_id"),
            listed.join(had, on="version_id", suffix="_before")
            .filter(pl.col("model_id") != pl.col("model_id_before"))
            .select("version_id"),
            known.select("version_id"),
        ]
    ).unique(maintain_order=True)
    if contested.is_empty():
        return Owners(contested, listed.clear(), None, pl.DataFrame(schema={"model_id": pl.Int64}))
    decoded = _of_ranges(models.decoded(number).select(MODEL_ID) for number in models.ranges)
    candidates = listed.join(contested, on="version_id", how="semi", maintain_order="left")
    candidates = candidates.join(known, on=_OWNED, how="left", maintain_order="left")
    candidates = candidates.with_columns(pl.col("since").fill_null(pl.lit(day.on)))
    current = _current(star, candidates, had)
    let_go = current.join(decoded, on="model_id", how="semi").join(candidates, on=_OWNED, how="anti")
    first = current.join(let_go, on="version_id", how="anti").join(deleted, on="model_id", how="anti")
    successors = candidates.sort("since", "model_id").unique("version_id", keep="first", maintain_order=True)
    resolved = pl.concat([first, successors.select(_OWNED).join(first, on="version_id", how="anti")])

    of_others = candidates.join(resolved, on=_OWNED, how="anti")
    unread = known.join(decoded, on="model_id", how="anti").join(deleted, on="model_id", how="anti")
    claims = pl.concat([unread, of_others]) if known.height or of_others.height else None
    return Owners(contested, resolved, claims, of_others.select("model_id").unique())


def move_versions(star: Release, owners: Owners) -> None:
    """Moves the versions whose new owner is in another range there, with all that is known of them."""
    had = star.rows(STATE_VERSIONS.name)
    here, there = (range_of("model", pl.col(name)) for name in ("model_id_before", "model_id"))
    moved = owners.resolved.join(had, on="version_id", suffix="_before").select("version_id", here=here, there=there)
    moved = moved.filter(pl.col("here") != pl.col("there"))
    for (source, target), versions in moved.group_by("here", "there", maintain_order=True):
        assert isinstance(source, int)
        assert isinstance(target, int)
        for table in _OF_VERSIONS:
            rows = star.rows(table, source)
            leaving = rows.join(versions, on="version_id", how="semi", maintain_order="left")
            if leaving.height:
                star.replace(table, rows.join(versions, on="version_id", how="anti", maintain_order="left"), source)
                star.replace(table, pl.concat([star.rows(table, target), leaving]), target)


def note_owners(star: Release, listed: pl.DataFrame) -> None:
    """Notes which models have had which versions (version_id, model_id) on the date."""
    had = star.rows(STATE_VERSIONS.name)
    new = listed.join(had, on=_OWNED, how="anti")
    if new.height:
        star.replace(STATE_VERSIONS.name, pl.concat([had.join(new, on="version_id", how="anti"), new]))


def _current(star: Release, candidates: pl.DataFrame, had: pl.DataFrame) -> pl.DataFrame:
    """version_id, model_id of the open rows of versions; they are where their last owner is."""
    places = candidates.select("version_id").unique().join(had, on="version_id")
    ranges = places.select(number=range_of("model", pl.col("model_id"))).unique().sort("number")["number"]
    rows = _of_ranges(star.rows(DimModelVersion.table_name(), number, _OWNED) for number in ranges)
    return rows.join(candidates, on="version_id", how="semi")


def _of_ranges(frames: Iterable[pl.DataFrame]) -> pl.DataFrame:
    found = [*frames]
    return pl.concat(found) if found else pl.DataFrame(schema=dict.fromkeys(_OWNED, pl.Int64))
