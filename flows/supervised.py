"""The processes of `civitai-etl serve`, its Prefect server and its runs: they end with it, however it ends, and the
next `serve` knows them.

On Linux the kernel kills them when `serve` ends. Elsewhere a killed `serve` leaves them behind. So each process is
recorded in a file, with the time at which it began, and the next `serve` ends those that still run. A process that only
has the number of a recorded one began at another time.

As a program, `python -P -m flows.supervised PARENT RECORD ARGUMENTS...` becomes the Python of these arguments.
"""

import atexit
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from pipelines.storage.replacement import replace_text

#: `serve` sets it for its runs: its process id, and the directory of their records.
VARIABLE = "_CIVITAI_ETL_SERVE"
#: Linux: the option of prctl for the signal that a process gets when its parent ends.
_PR_SET_PDEATHSIG = 1
#: Seconds in which a killed process has to be gone: the kernel frees its memory first.
_GONE = 30.0


class SupervisedProcess(msgspec.Struct, frozen=True):
    """A process by its number and by what the system says of its start, None if it had already ended."""

    process: int
    began: str | None

    def is_alive(self) -> bool:
        return self.began is not None and began(self.process) == self.began


def began(process: int) -> str | None:
    """When a process began, in a form that only equality makes use of; None if it does not run."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    if not boot.exists():
        command = ["ps", "-o", "lstart=", "-p", str(process)]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or None  # noqa: S603
    try:
        # The name of the program, in parentheses, can have spaces. The state follows, and 19 fields later the start.
        state, *fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if state in "ZX" else f"{boot.read_text().strip()} {fields[18]}"


def record(path: Path) -> None:
    """Record this process at `path`."""
    replace_text(path, msgspec.json.encode(SupervisedProcess(os.getpid(), began(os.getpid()))).decode())


def recorded(directory: Path) -> Iterator[tuple[Path, SupervisedProcess]]:
    """The records of a directory."""
    for path in sorted(directory.glob("*.json")):
        with suppress(msgspec.DecodeError):  # no text: the machine went down
            yield path, msgspec.json.decode(path.read_bytes(), type=SupervisedProcess)


def end_left_behind(directory: Path) -> list[int]:
    """End the recorded processes that still run, and return their ids when they are gone.

    A kill loses nothing: raw, the tables and Prefect's database are whole at every moment.
    """
    alive = [one for _, one in recorded(directory) if one.is_alive()]
    for one in alive:
        with suppress(ProcessLookupError):
            os.kill(one.process, signal.SIGKILL)
    deadline = time.monotonic() + _GONE
    while any(one.is_alive() for one in alive) and time.monotonic() < deadline:
        time.sleep(0.05)
    return [one.process for one in alive]


def forget(directory: Path) -> None:
    """Delete all records."""
    for path in directory.glob("*.json"):
        path.unlink(missing_ok=True)


def end_with(parent: int) -> None:
    """Have the kernel kill this process when its parent ends; exits at once if the parent has gone already."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def join_serve() -> None:
    """Record this process and end it with `serve`, if it is one of its runs."""
    run, serve = os.environ.get("PREFECT__FLOW_RUN_ID"), os.environ.get(VARIABLE)
    if not run or not serve:
        return
    parent, _, directory = serve.partition(" ")
    path = Path(directory, f"{run}.json")
    # Before the check: if `serve` has gone, the next one has to know of this run.
    record(path)
    end_with(int(parent))
    atexit.register(path.unlink, missing_ok=True)


def _become(parent: int, path: Path, arguments: list[str]) -> None:
    # A service manager may send SIGTERM to all processes of a service. The runs need their server until they have
    # reported their end. `serve` ends it with SIGINT.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    record(path)
    end_with(parent)
    os.execv(sys.executable, [sys.executable, *arguments])  # noqa: S606


if __name__ == "__main__":
    _become(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
