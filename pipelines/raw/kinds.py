"""The payload kinds, each declared once: its group, the owners of counters in its documents, and the order of its list.

A payload kind is one shape of document: an item of a list, the answer to a look-up, or a part of the member's account.
The raw tables, the split of documents, the high-water marks and every loop over kinds derive from `KINDS`. What becomes
of a kind in the star is declared in `transforms.staging.payloads`.
"""

from dataclasses import dataclass, field
from typing import Literal

from pipelines.raw.tables import RawTable, documents_table, observations_table

#: What brings the documents of a kind:
#: `snapshot`: the lists that a snapshot reads.
#: `lookup`: requests by name, id or hash (`pipelines.crawl.lookups`). They belong to no snapshot: their `crawl_id` is
#: `lookup_id` of their date and is in no row of `raw.snapshots`.
#: `account`: requests for the key's member (`pipelines.vault.member`); kept like look-ups, and never part of the star.
Group = Literal["snapshot", "lookup", "account"]

#: How the service orders a list that is read down to a high-water mark (`pipelines.raw.high_water_mark`).
Order = Literal["published", "id"]

#: What can be a counter, and the blank that the stored payload has instead: of an object of counters, or of one number.
BLANKS = {"stats": b"{}", "modelCount": b"null"}


@dataclass(frozen=True)
class Owner:
    """An object that has counters: its name in `metrics`, the key of its id, its counters and the owners inside it."""

    name: str
    id: str | None = "id"
    counters: tuple[str, ...] = ()
    objects: dict[str, "Owner"] = field(default_factory=dict)
    lists: dict[str, "Owner"] = field(default_factory=dict)


@dataclass(frozen=True)
class Kind:
    """A payload kind. `owner` is its whole document; the kind has its name and its id."""

    owner: Owner
    group: Group
    order: Order | None = None

    @property
    def name(self) -> str:
        return self.owner.name

    @property
    def is_named(self) -> bool:
        """Whether a text, not a number, identifies its records."""
        return self.owner.id not in (None, "id")

    @property
    def tables(self) -> tuple[RawTable, RawTable]:
        """Its raw tables: documents and observations."""
        return documents_table(self.name), observations_table(self.name)


_CREATOR = Owner("creator", id="username", counters=("modelCount",))
_IMAGE = Owner("image", counters=("stats",))
_VERSION = Owner("version", counters=("stats",), lists={"images": _IMAGE})
_MODEL = Owner("model", counters=("stats",), objects={"creator": _CREATOR}, lists={"modelVersions": _VERSION})

HASH_MATCH = Kind(Owner("hash_match", id="hash"), "lookup")

KINDS = {
    kind.name: kind
    for kind in (
        Kind(_MODEL, "snapshot", order="published"),
        Kind(_IMAGE, "snapshot", order="id"),
        Kind(_CREATOR, "snapshot"),
        Kind(Owner("tag", id="name", counters=("modelCount",)), "snapshot"),
        Kind(Owner("enum", id=None), "snapshot"),
        Kind(Owner("user"), "lookup"),
        Kind(_VERSION, "lookup"),
        Kind(Owner("version_mini", id=None), "lookup"),
        HASH_MATCH,
        Kind(Owner("account_me"), "account"),
        Kind(Owner("account_vault", id=None), "account"),
        Kind(Owner("account_vault_item"), "account"),
        Kind(Owner("account_permission", id=None), "account"),
    )
}


def _names(group: Group) -> tuple[str, ...]:
    return tuple(kind.name for kind in KINDS.values() if kind.group == group)


SNAPSHOT_KINDS = _names("snapshot")
LOOKUP_KINDS = _names("lookup")
