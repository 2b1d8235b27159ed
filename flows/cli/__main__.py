"""The entry point. It imports the command line in a block that handles Ctrl-C."""

import signal
import sys

from pipelines.allocators import give_memory_back
from pipelines.scheduling import compute_in_batches

#: The commands that replay all dates.
REPLAYS = {"rebuild", "compact"}


def console_script() -> None:
    """Run the command line. A Ctrl-C during its import ends it as a later one does."""
    is_replay = not REPLAYS.isdisjoint(sys.argv)
    give_memory_back(is_replay=is_replay)
    if is_replay:
        compute_in_batches()
    try:
        from flows.cli.main import console_script as run
    except KeyboardInterrupt:
        print("civitai-etl: interrupted before it began.", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
    run()


if __name__ == "__main__":
    console_script()
