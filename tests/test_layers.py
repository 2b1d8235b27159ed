"""Imports run one way: each room of a package, a sub-package or a module, imports only rooms that stand before it."""

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
#: The rooms of each package, from the ground up.
ROOMS = {
    "pipelines": (
        "allocators",
        "scheduling",
        "errors",
        "progress",
        "network",
        "storage",
        "settings",
        "memory",
        "run_note",
        "run_record",
        "local_file_hashes",
        "api",
        "raw",
        "crawl",
        "public_source",
        "vault",
    ),
    "transforms": (
        *("ranges", "ordered", "tables", "staging", "star", "quality", "lake", "estimate", "member", "lookup_tables"),
        *("day", "day_checks", "unfinished", "build", "continuity", "compact"),
    ),
    "flows": (
        *("reporting", "lost_server", "supervised", "notifier", "daily_run", "retries", "interrupted", "missed"),
        *("run_names", "run_log", "artifacts", "runs", "backup", "steps", "vault", "restore"),
        *("daily_snapshot", "refresh", "rebuild", "sync_vault", "deployments", "cli"),
    ),
    "emulator": (
        *("request_log", "recent", "simulation", "catalogue", "versions", "member", "parameters", "faults", "launch"),
        *(
            "recent",
            "spec",
            "catalogue_file",
            "given",
            "clock",
            "workers",
            "service",
            "live",
            "routes",
            "truth",
            "faulty",
            "control",
            "server",
            "__main__",
        ),
    ),
}
#: What each package may import of the others; the emulator is started by the commands `emulator` and `demo` alone.
PACKAGES = {
    "pipelines": set[str](),
    "transforms": {"pipelines"},
    "flows": {"pipelines", "transforms", "emulator"},
    "emulator": set[str](),
}


def imports(file: Path) -> Iterator[tuple[str, str]]:
    """Package and room of each import of ours in a file; the room is empty where a whole package is imported."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            package, *rooms = node.module.split(".")
            if package in ROOMS:
                yield from ((package, room) for room in rooms[:1] or [name.name for name in node.names])
        elif isinstance(node, ast.Import):
            for name in node.names:
                package, room, *_ = [*name.name.split("."), ""]
                if package in ROOMS:
                    yield package, room


def imported_names(file: Path) -> Iterator[str]:
    """Whatever a file imports, by its whole name: modules, and names that may be modules."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names)


def files(package: str) -> Iterator[tuple[str, Path]]:
    for file in sorted((ROOT / package).rglob("*.py")):
        room = file.relative_to(ROOT / package).parts[0].removesuffix(".py")
        if room != "__init__":
            yield room, file


@pytest.mark.parametrize("package", ROOMS)
def test_every_import_runs_downwards(package: str) -> None:
    order = ROOMS[package]
    upwards = [
        f"{file.relative_to(ROOT)} imports {other}"
        for room, file in files(package)
        for target, other in imports(file)
        if target == package and other != room and order.index(other) > order.index(room)
    ]
    assert upwards == []


@pytest.mark.parametrize("package", ROOMS)
def test_no_modules_import_each_other_in_a_circle(package: str) -> None:
    modules = {
        ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): file
        for _, file in files(package)
    }
    TopologicalSorter({name: modules.keys() & set(imported_names(file)) for name, file in modules.items()}).prepare()


@pytest.mark.parametrize("package", ROOMS)
def test_every_room_has_its_place(package: str) -> None:
    assert {room for room, _ in files(package)} == set(ROOMS[package])


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_import_those_below_them_only(package: str) -> None:
    others = {other for _, file in files(package) for other, _ in imports(file) if other != package}
    assert others <= PACKAGES[package]


def test_only_the_commands_emulator_and_demo_import_the_emulator() -> None:
    importing = {file.name for _, file in files("flows") if "emulator" in {package for package, _ in imports(file)}}
    assert importing == {"demo.py", "service_commands.py"}
