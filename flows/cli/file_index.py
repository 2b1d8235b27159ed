"""Finds the versions of local files by their hashes in the published tables.

The first known hash of SHA256, BLAKE3, AUTOV3 and AUTOV2 decides. AUTOV1 and CRC32 have 32 bits, which many of a
million files share. They are only a hint, and no hint if the file of the version has another known SHA256. Several
versions can have the same file: versions that still exist come first, then the oldest publication, as in the service's
answers (docs/api-notes.md, 4).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

import polars as pl

from pipelines.local_file_hashes import Fingerprints

if TYPE_CHECKING:
    import duckdb

#: What tells the files apart for the caller.
Key = TypeVar("Key")

#: In order of precedence.
DECISIVE = ("SHA256", "BLAKE3", "AUTOV3", "AUTOV2")
HINTS = ("AUTOV1", "CRC32")


@dataclass(frozen=True)
class Licence:
    """The licence flags of a model; None is not known."""

    allow_commercial_use: list[str] | None
    allow_no_credit: bool | None
    allow_derivatives: bool | None
    allow_different_license: bool | None

    def in_words(self) -> str:
        """Such as `commercial use: Image, RentCivit; credit needed; derivatives allowed, with the same licence`."""
        uses = self.allow_commercial_use
        named = [use for use in uses or () if use != "None"]
        words = [] if uses is None else [f"commercial use: {', '.join(named)}" if named else "no commercial use"]
        if self.allow_no_credit is not None:
            words.append("no credit needed" if self.allow_no_credit else "credit needed")
        if self.allow_derivatives is False:
            words.append("no derivatives")
        elif self.allow_derivatives:
            licence = {True: ", with any licence", False: ", with the same licence", None: ""}
            words.append("derivatives allowed" + licence[self.allow_different_license])
        return "; ".join(words) or "not known"


@dataclass(frozen=True)
class NamedVersion:
    """A version, by id and name."""

    version_id: int
    version: str | None
    base_model: str | None
    published_at: datetime | None


@dataclass(frozen=True)
class Match:
    """The version that a file is, by `algorithm`.

    `update` is the newest version of the same model that was published after it, or None. `update_is_known` separates
    "there is none" from "not known". `other_version_ids` have the same file.
    """

    algorithm: str
    model_id: int | None
    model: str | None
    named: NamedVersion
    licence: Licence
    update: NamedVersion | None
    update_is_known: bool
    other_version_ids: list[int] = field(default_factory=list)

    @property
    def is_hint(self) -> bool:
        return self.algorithm in HINTS


def hashes_to_ask(fingerprints: Fingerprints) -> dict[str, str]:
    """The hashes that identify a file, in order of precedence."""
    return {
        algorithm: fingerprints.hashes[algorithm]
        for algorithm in (*DECISIVE, *HINTS)
        if algorithm in fingerprints.hashes and (algorithm != "AUTOV1" or fingerprints.has_autov1)
    }


def find(connection: "duckdb.DuckDBPyConnection", wanted: Mapping[Key, Fingerprints]) -> dict[Key, Match]:
    """Look files up in `star.file_hash`.

    Args:
        connection: to `analytics.duckdb`.
        wanted: the hashes of each file, by any key.

    Returns:
        The match of each key. Keys without a match are missing.
    """
    keys = list(wanted)
    rows = [
        (file, rank, algorithm, text, wanted[key].hashes["SHA256"])
        for file, key in enumerate(keys)
        for rank, (algorithm, text) in enumerate(hashes_to_ask(wanted[key]).items())
    ]
    connection.register("wanted", pl.DataFrame(rows, schema=_WANTED, orient="row").to_arrow())
    found: dict[Key, Match] = {}
    for row in connection.sql(_FIND).pl().iter_rows(named=True):
        named = NamedVersion(row["version_id"], row["version"], row["base_model"], row["published_at"])
        update = NamedVersion(**row["newest"]) if row["newest"] else None
        licence = Licence(**{name: row[name] for name in Licence.__dataclass_fields__})
        found[keys[row["file"]]] = Match(
            row["algorithm"], row["model_id"], row["model"], named, licence, update, row["update_known"], row["others"]
        )
    return found


_WANTED = {"file": pl.Int64, "rank": pl.Int64, "algorithm": pl.String, "hash": pl.String, "sha256": pl.String}

_FIND = """
with matching as (
    select file, rank, algorithm, version_id, max(coalesce(valid_to, date '9999-12-31')) as valid_to
    from wanted join star.file_hash as known using (algorithm, hash)
    -- A file with another known SHA256 is no match by 32 bits or a shortened SHA256.
    where algorithm not in ('AUTOV2', 'AUTOV1', 'CRC32') or not exists (
        from star.file_hash as whole
        where (whole.version_id, whole.file_id) = (known.version_id, known.file_id)
            and whole.algorithm = 'SHA256' and whole.hash <> wanted.sha256
    )
    group by file, rank, algorithm, version_id
    qualify rank = min(rank) over (partition by file)
), version as (
    from star.dim_model_version
    where version_id in (select version_id from matching)
    qualify row_number() over (partition by version_id order by valid_from desc) = 1
), answer as (
    select file, algorithm, version_id, model_id, version.name as version, base_model, published_at,
        list(version_id) over by_age as version_ids, row_number() over by_age as place
    from matching join version using (version_id)
    window by_age as (
        partition by file order by matching.valid_to desc, published_at nulls last, version_id
        rows between unbounded preceding and unbounded following
    )
), model as (
    from star.dim_model
    where model_id in (select model_id from answer)
    qualify row_number() over (partition by model_id order by valid_from desc) = 1
)
select file, algorithm, answer.model_id, model.name as model, version_id, version, base_model, answer.published_at,
    allow_commercial_use, allow_no_credit, allow_derivatives, allow_different_license, version_ids[2:] as others,
    (
        select arg_max(
            {version_id: newer.version_id, version: newer.name, base_model: newer.base_model,
             published_at: newer.published_at},
            (newer.published_at, newer.version_id))
        from star.model_version as newer
        where newer.model_id = answer.model_id and newer.published_at > answer.published_at
    ) as newest, answer.published_at is not null and model.is_current is true as update_known
from answer left join model using (model_id)
where place = 1
"""
