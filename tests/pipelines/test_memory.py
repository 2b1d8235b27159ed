"""The memory budget comes from the setting, else from what machine and cgroup give."""

import ast
from pathlib import Path

import duckdb
import pytest

from pipelines.memory import MIB, MemoryKills, available_bytes, budget_bytes, budget_of, duckdb_config, memory_kills
from pipelines.progress import Silent
from pipelines.raw.loader import Loader
from pipelines.raw.warehouse import writer_config
from pipelines.settings import Settings, SettingsError
from pipelines.storage.data_directory import DataDirectory

ROOT = Path(__file__).parents[2]
GIB = 2**30


class Machine:
    """The files in which Linux shows its memory and limits."""

    def __init__(self, folder: Path) -> None:
        self.meminfo = folder / "meminfo"
        self.membership = folder / "membership"
        self.cgroups = folder / "cgroups"
        self.meminfo.write_text("MemFree:   1 kB\nMemTotal:       8388608 kB\n")

    def limit(self, file: str, text: object) -> None:
        path = self.cgroups / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")

    @property
    def available(self) -> int:
        return available_bytes(self.meminfo, self.membership, self.cgroups)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_without_cgroups_all_of_the_machine_is_there(machine: Machine) -> None:
    assert machine.available == 8 * GIB


def test_a_system_without_proc_tells_its_memory_otherwise(machine: Machine) -> None:
    machine.meminfo.unlink()
    assert machine.available > 0


@pytest.mark.parametrize(
    ("limits", "available"),
    [
        ({"memory.max": "max", "a/memory.max": "max", "a/b/memory.max": 3 * GIB}, 3 * GIB),
        ({"a/memory.max": 2 * GIB, "a/b/memory.max": 3 * GIB}, 2 * GIB),
        ({"a/b/memory.max": "max"}, 8 * GIB),
        ({"a/b/memory.max": 20 * GIB}, 8 * GIB),
        ({"memory.max": GIB}, GIB),  # a container that sees its own cgroup as the outermost
        ({"other/memory.max": GIB}, 8 * GIB),
    ],
)
def test_the_smallest_limit_around_a_process_counts(
    machine: Machine, limits: dict[str, object], available: int
) -> None:
    machine.membership.write_text("0::/a/b\n")
    for file, text in limits.items():
        machine.limit(file, text)
    assert machine.available == available


@pytest.mark.parametrize(
    ("limits", "available"),
    [
        ({"memory/memory.limit_in_bytes": 9223372036854771712, "memory/a/memory.limit_in_bytes": 3 * GIB}, 3 * GIB),
        ({"memory/memory.limit_in_bytes": GIB}, GIB),
        ({"cpu/a/memory.limit_in_bytes": GIB, "a/memory.max": GIB}, 8 * GIB),
    ],
)
def test_limits_of_the_first_version_count(machine: Machine, limits: dict[str, object], available: int) -> None:
    machine.membership.write_text("9:name=systemd:/\n4:memory,hugetlb:/a\n1:cpu:/a\n0::/\n")
    for file, text in limits.items():
        machine.limit(file, text)
    assert machine.available == available


@pytest.mark.parametrize(
    ("membership", "file", "folder"),
    [
        ("0::/a/b", "a/b/memory.events", "a/b"),
        ("0::/a/b", "memory.events", ""),  # a container that sees its own cgroup as the outermost
        ("4:memory:/a\n0::/", "memory/a/memory.oom_control", "memory/a"),
        ("0::/a/b", None, None),
    ],
)
def test_the_kernel_counts_whom_it_killed_for_memory(
    machine: Machine, membership: str, file: str | None, folder: str | None
) -> None:
    machine.membership.write_text(f"{membership}\n")
    if file is not None:
        machine.limit(file, "oom_kill_disable 0\noom 9\noom_kill 3\noom_group_kill 0")
    found = None if folder is None else MemoryKills(str(machine.cgroups / folder), 3)
    assert memory_kills(machine.membership, machine.cgroups) == found


@pytest.mark.parametrize(
    ("set_mib", "available", "budget"),
    [
        (None, 24 * GIB, 2048 * MIB),
        (None, 3 * GIB, 1536 * MIB),
        (None, GIB // 2, 512 * MIB),
        (5000, GIB, 5000 * MIB),
    ],
)
def test_the_budget_is_the_setting_or_half_of_what_is_there(set_mib: int | None, available: int, budget: int) -> None:
    assert budget_of(set_mib, available) == budget


def test_too_small_a_budget_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"CIVITAI_ETL_MEMORY_MIB.*greater than or equal to 512"):
        Settings(memory_mib=100)


@pytest.mark.parametrize(("budget", "part"), [("4096", "512.0 MiB"), ("2048", "256.0 MiB"), ("512", "256.0 MiB")])
def test_duckdb_gets_a_part_of_the_budget(
    budget: str, part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CIVITAI_ETL_MEMORY_MIB", budget)
    budget_bytes.cache_clear()
    try:
        with duckdb.connect(config=duckdb_config(tmp_path)) as connection:
            ((limit, folder),) = connection.execute(
                "select current_setting('memory_limit'), current_setting('temp_directory')"
            ).fetchall()
    finally:
        budget_bytes.cache_clear()
    assert (limit, folder) == (part, str(tmp_path))


def opened_without_a_limit(file: Path) -> list[str]:
    """The calls of `duckdb.connect` in a file whose configuration does not come from `duckdb_config`."""
    tree = ast.parse(file.read_text())
    calls = [
        node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == "duckdb.connect"
    ]
    configured = {
        call.lineno: ast.unparse(keyword.value)
        for call in calls
        for keyword in call.keywords
        if keyword.arg == "config"
    }
    return [
        f"{file.relative_to(ROOT)}:{call.lineno}"
        for call in calls
        if not configured.get(call.lineno, "").startswith(("duckdb_config(", "writer_config("))
    ]


def test_every_connection_of_duckdb_has_the_limit() -> None:
    sources = [file for package in ("pipelines", "transforms", "flows") for file in (ROOT / package).rglob("*.py")]
    assert [call for file in sources for call in opened_without_a_limit(file)] == []


def test_dlt_opens_the_warehouse_with_the_limit(tmp_path: Path) -> None:
    loader = Loader(DataDirectory.at(tmp_path))
    loader.drain(Silent())
    with loader._pipeline.sql_client() as client:
        ((limit,),) = client.execute_sql("select current_setting('memory_limit')")
    with duckdb.connect(config=writer_config()) as connection:
        assert connection.execute("select current_setting('memory_limit')").fetchall() == [(limit,)]
