"""Finds the versions of a simulation that have a file with a given hash.

The index keeps the first eight hex digits of each hash as sorted integers. This takes a few megabytes, where whole
hashes would take hundreds. Then the whole hashes of the candidates are compared.
"""

from array import array

import numpy as np

from emulator.simulation import vocabulary
from emulator.simulation.columns import Simulation
from emulator.simulation.dice import Ints
from emulator.spec.documents import auto_v3, file_count, file_hashes, file_identity

_DIGITS = 8


class HashIndex:
    """Finds versions, as indices into a simulation, by any hash of any of their files."""

    def __init__(self, world: Simulation) -> None:
        self._world = world
        found, owners = array("q"), array("q")  # compact, for there are six hashes a version
        for version in range(len(world.version_id)):
            hashes = self.hashes(version)
            found.extend(int(text[:_DIGITS], 16) for text in hashes)
            owners.extend([version] * len(hashes))
        prefixes, versions = (np.frombuffer(column, dtype=np.int64) for column in (found, owners))
        order = np.lexsort((versions, prefixes))
        self._prefixes: Ints = prefixes[order]
        self._versions: Ints = versions[order]

    def hashes(self, version: int) -> set[str]:
        """All hashes of the files of a version, upper case."""
        world = self._world
        kind = vocabulary.MODEL_TYPES[world.model_type[world.version_model[version]]][0]
        rank, key = int(world.version_rank[version]), int(world.version_key[version])
        files = [file_identity(world.seed, rank, place, kind) for place in range(file_count(world.seed, key))]
        found: set[str] = set()
        for file in files:
            hashes = file_hashes(world.seed, file)
            found.update(hashes.values())
            if hashes and file.format == "SafeTensor":
                found.add(auto_v3(world.seed, file.id))
        return found

    def versions(self, hash_text: str) -> list[int]:
        """The versions, published or not, with a file that has this hash; any case."""
        wanted = hash_text.upper()
        try:
            prefix = int(wanted[:_DIGITS], 16)
        except ValueError:
            return []
        first, last = np.searchsorted(self._prefixes, [prefix, prefix + 1]).tolist()
        candidates = dict.fromkeys(self._versions[first:last].tolist())
        return [version for version in candidates if wanted in self.hashes(version)]
