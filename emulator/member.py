"""The service's member with the emulator's key: a user with a tier and a vault with a quota.

Except for the clock, this is the emulator's only state. It begins with an empty vault and ends with the process.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from emulator.versions import find_version, list_of, object_of

#: The quota of each tier in KB. Free members have no vault.
QUOTA_KB = {"Free": 0, "Founder": 20 * 2**20, "Bronze": 25 * 2**20, "Silver": 50 * 2**20, "Gold": 100 * 2**20}
USER_ID = 12_345
USERNAME = "test-member"
EMAIL = "test-member@example.com"
JOINED = "2023-02-03T04:05:06.789Z"
#: How long the service takes to store a new version of the vault.
_STORING = timedelta(hours=1)


class VaultRefusedError(Exception):
    """The vault does not take a version; the text says why and what to do."""


@dataclass(frozen=True)
class Stored:
    """A version in the vault, with its data from the moment it was added. It stays even if the version is deleted."""

    id: int
    version_id: int
    model_id: object
    added_at: datetime
    size_kb: float
    names: dict[str, object]
    files: list[dict[str, object]]

    def status(self, now: datetime) -> str:
        """Pending at first, then Stored; Failed if there was no file to store."""
        if not self.files:
            return "Failed"
        return "Stored" if now - self.added_at >= _STORING else "Pending"


class Member:
    """The user of the key.

    Args:
        tier: a key of `QUOTA_KB`.
    """

    def __init__(self, tier: str = "Silver") -> None:
        self.tier = tier
        self.vault: dict[int, Stored] = {}
        self._last_id = 0
        #: When the vault last changed; None if it never did.
        self.updated_at: datetime | None = None

    @property
    def quota_kb(self) -> int:
        return QUOTA_KB[self.tier]

    @property
    def used_kb(self) -> float:
        return sum(stored.size_kb for stored in self.vault.values())

    def toggle(self, version_id: int, owner: Callable[[int], bytes | None], now: datetime) -> Stored | None:
        """Puts a version into the vault, or removes it if it is there. Returns None if it was removed.

        Args:
            version_id: of the version; one that no longer exists can be removed.
            owner: gives the document of a version's model.
            now: the service's time.

        Raises:
            LookupError: no such version. VaultRefusedError: there is no vault, or no room in it.
        """
        if version_id in self.vault:
            del self.vault[version_id]
            self.updated_at = now
            return None
        if not self.quota_kb:
            raise VaultRefusedError(f"A {self.tier} membership has no vault; a paid one has")
        model = owner(version_id)
        if model is None:
            raise LookupError(version_id)
        self._last_id += 1
        stored = _stored(self._last_id, model, version_id, now)
        if self.used_kb + stored.size_kb > self.quota_kb:
            raise VaultRefusedError(
                f"Version {version_id} ({stored.size_kb:.0f} KB) does not fit into the vault: "
                f"{self.used_kb:.0f} of {self.quota_kb} KB are used; remove other versions first"
            )
        self.vault[version_id] = stored
        self.updated_at = now
        return stored


def _stored(stored_id: int, model: bytes, version_id: int, now: datetime) -> Stored:
    document, version, _ = find_version(model, version_id)
    files = [file for file in map(object_of, list_of(version.get("files"))) if _size(file)]
    file_fields = (("id", "id"), ("sizeKB", "sizeKB"), ("url", "downloadUrl"), ("displayName", "name"))
    return Stored(
        id=stored_id,
        version_id=version_id,
        model_id=document.get("id", 0),
        added_at=now,
        size_kb=sum(map(_size, files)),
        names={
            "modelName": document.get("name"),
            "versionName": version.get("name"),
            "creatorName": object_of(document.get("creator")).get("username"),
            "type": document.get("type"),
            "baseModel": version.get("baseModel"),
            "category": next(iter(list_of(document.get("tags"))), None),
            "createdAt": version.get("createdAt") or version.get("publishedAt"),
        },
        files=[{name: file.get(source) for name, source in file_fields} for file in files],
    )


def _size(file: dict[str, object]) -> float:
    size = file.get("sizeKB")
    return size if isinstance(size, int | float) and not isinstance(size, bool) else 0.0
