"""How much memory this process and its children may use, and which part of it each connection of DuckDB may have.

Left to itself DuckDB takes 80 % of the machine, whatever the limit of a container is. The budget is the setting
`memory_mib` or, without it, a share of what machine and cgroup give. It is read once per process, because DuckDB
refuses a second connection to a file if its configuration differs.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pipelines.settings import LEAST_MEMORY_MIB, Settings

MIB = 2**20

#: The budget without a setting: half of what is there, so that the other half is left to everything else.
_SHARE = 1 / 2
_LARGEST_MIB = 2048
#: DuckDB's part of the budget. The rest is Python's, Arrow's and that of the tables that are built.
_DUCKDB_SHARE = 1 / 8
#: With less, DuckDB cannot merge the documents of a window of a crawl (`pipelines.crawl.crawl.WINDOW_BYTES`).
_LEAST_DUCKDB_MIB = 256

DuckDbConfig = dict[str, str | bool | int | float | list[str]]


@dataclass(frozen=True)
class MemoryKills:
    """How many processes of a cgroup the kernel has killed because memory ran out."""

    cgroup: str
    count: int


@cache
def budget_bytes() -> int:
    """What the whole process tree may use."""
    return budget_of(Settings().memory_mib, available_bytes())


def budget_of(memory_mib: int | None, available: int) -> int:
    """The budget with this setting on a machine that gives so many bytes."""
    share = int(_SHARE * available / MIB)
    return MIB * (memory_mib or max(LEAST_MEMORY_MIB, min(_LARGEST_MIB, share)))


def duckdb_config(spill_folder: Path | None = None) -> DuckDbConfig:
    """How to open a connection of DuckDB within the budget.

    Args:
        spill_folder: where a database in memory puts what the limit does not hold. One in a file puts it beside itself.
    """
    limit: DuckDbConfig = {"memory_limit": f"{max(_LEAST_DUCKDB_MIB, int(budget_bytes() * _DUCKDB_SHARE / MIB))}MiB"}
    return limit if spill_folder is None else limit | {"temp_directory": str(spill_folder)}


def available_bytes(
    meminfo: Path = Path("/proc/meminfo"),
    membership: Path = Path("/proc/self/cgroup"),
    cgroups: Path = Path("/sys/fs/cgroup"),
) -> int:
    """What the machine has or, if that is less, what the cgroup of this process may use.

    Args:
        meminfo: what the machine has, as Linux shows it; elsewhere there is no such file.
        membership: the cgroups of this process.
        cgroups: where the limits of the cgroups are mounted.
    """
    return min([_machine_bytes(meminfo), *_limits(membership, cgroups)])


def _machine_bytes(meminfo: Path) -> int:
    if meminfo.exists():
        for line in meminfo.read_text().splitlines():
            if line.startswith("MemTotal:"):
                return 1024 * int(line.split()[1])
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _limits(membership: Path, cgroups: Path) -> Iterator[int]:
    """The limits of the cgroup and of those around it. A container sees its own one as the outermost."""
    for file in _cgroup_files(membership, cgroups, "memory.max", "memory.limit_in_bytes"):
        text = file.read_text().strip()
        if text.isdigit():  # version 2 says `max` where there is no limit, version 1 a very large number
            yield int(text)


def memory_kills(
    membership: Path = Path("/proc/self/cgroup"), cgroups: Path = Path("/sys/fs/cgroup")
) -> MemoryKills | None:
    """What the kernel has counted in the cgroup of this process; None if it counts nothing. Args as above."""
    for file in _cgroup_files(membership, cgroups, "memory.events", "memory.oom_control"):
        for line in file.read_text().splitlines():
            name, _, count = line.partition(" ")
            if name == "oom_kill":
                return MemoryKills(str(file.parent), int(count))
    return None


def _cgroup_files(membership: Path, cgroups: Path, second: str, first: str) -> Iterator[Path]:
    """A file of the cgroup of this process and of those around it, innermost first: its name in version 2, and that in
    version 1.
    """
    if not membership.exists():
        return
    for line in membership.read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        # Version 2 has one tree and names no controller.
        mount, name = (cgroups / "memory", first) if controllers else (cgroups, second)
        innermost = mount / path.lstrip("/")
        for folder in (innermost, *innermost.parents):
            if folder.is_relative_to(mount) and (file := folder / name).is_file():
                yield file
