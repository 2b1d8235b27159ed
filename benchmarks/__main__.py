"""`make bench`: 20,000 simulated documents from HTTP to the published star, side by side with DuckDB alone.

Both make the same tables of the same documents; their outputs are compared before a time counts. The report says the
ratio of the medians, not a single time, and the peak memory of each process.
"""

import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path

import duckdb

from benchmarks.contestants import ON
from emulator.launch import launch

MODELS = 20_260  # a few more than DOCUMENTS are published on the day
DOCUMENTS = 20_000
ROUNDS = 3
FOLDER = Path("data/bench").absolute()

#: What the pipeline may take: times of DuckDB alone, and GiB.
RATIO_ALLOWED = 5.0
PEAK_ALLOWED_GIB = 1.5

#: Columns that DuckDB alone has no use for, or that it makes with a hash of its own.
NOT_COMPARED = {"description_hash"}
#: Tables that have rows of other endpoints too: compared for the keys that the documents have.
ALSO_FROM_OTHER_ENDPOINTS = {
    "dim_image": "image_id",
    "fact_image_daily": "image_id",
    "dim_creator": "username",
    "dim_tag": "tag",
}
#: Columns that the gallery fills for images which the documents have without them.
FROM_GALLERY = {"dim_image": {"post_id", "username", "created_at", "nsfw_level", "type"}}


def main() -> int:
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    dump, documents = FOLDER / "dump.ndjson", FOLDER / "documents.ndjson"
    command = [
        sys.executable,
        "-m",
        "emulator",
        "dump",
        "--models",
        str(MODELS),
        "--date",
        str(ON),
        "--out",
        str(dump),
    ]
    subprocess.run(command, check=True)
    with dump.open("rb") as every, documents.open("wb") as chosen:
        chosen.writelines(islice(every, DOCUMENTS))
    dump.unlink()
    print(f"{DOCUMENTS:,} documents, {documents.stat().st_size / 1e6:.0f} MB")
    times: dict[str, list[float]] = {"pipeline": [], "duckdb": []}
    peaks: dict[str, float] = {}
    with launch(catalogue=documents, on=ON) as emulator:
        for number in range(1, ROUNDS + 1):
            for name, source in (("duckdb", str(documents)), ("pipeline", emulator.api_url)):
                target = FOLDER / name
                shutil.rmtree(target, ignore_errors=True)
                seconds, peak = run(name, source, target)
                times[name].append(seconds)
                peaks[name] = max(peak, peaks.get(name, 0))
                print(f"round {number}: {name:9} {seconds:6.1f} s, peak {peak:.2f} GiB", flush=True)
            if number == 1:
                print(f"{compare()} tables compared: equal", flush=True)
    ratio = statistics.median(times["pipeline"]) / statistics.median(times["duckdb"])
    print(f"ratio {ratio:.2f} (allowed {RATIO_ALLOWED}), peak {peaks['pipeline']:.2f} GiB (allowed {PEAK_ALLOWED_GIB})")
    return int(ratio > RATIO_ALLOWED or peaks["pipeline"] > PEAK_ALLOWED_GIB)


def run(name: str, source: str, target: Path) -> tuple[float, float]:
    """Seconds and peak GiB of a contestant, imports included."""
    start = time.perf_counter()
    child = subprocess.Popen([sys.executable, "-m", "benchmarks.contestants", name, source, str(target)])
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - start
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{name} failed")
    return seconds, resident_gib(usage)


def resident_gib(usage: resource.struct_rusage) -> float:
    """Peak resident memory (Linux counts it in KiB)."""
    return usage.ru_maxrss / 1024**2


def compare() -> int:
    """Compares every table that DuckDB alone made with the star's, in both directions. Returns how many there are.

    Raises:
        SystemExit: a table differs.
    """
    tables = sorted((FOLDER / "duckdb").glob("*.parquet"))
    with duckdb.connect(FOLDER / "pipeline" / "analytics.duckdb", read_only=True) as connection:
        for path in tables:
            name = path.stem
            alone = f"read_parquet('{path}')"
            columns = [
                # Both round in the last digit when they divide.
                f'round("{column}", 12)' if dtype == "DOUBLE" else f'"{column}"'
                for column, dtype, *_ in connection.execute(f"DESCRIBE FROM {alone}").fetchall()
                if column not in NOT_COMPARED | FROM_GALLERY.get(name, set())
            ]
            star = f"star.{name}"
            if key := ALSO_FROM_OTHER_ENDPOINTS.get(name):
                star = f"(FROM star.{name} SEMI JOIN {alone} USING ({key}))"
            listed = ", ".join(columns)
            for one, other in ((alone, star), (star, alone)):
                query = f"SELECT {listed} FROM {one} EXCEPT ALL SELECT {listed} FROM {other} LIMIT 3"
                if rows := connection.execute(query).fetchall():
                    raise SystemExit(f"{name} differs: {rows}")
    return len(tables)


if __name__ == "__main__":
    sys.exit(main())
