"""Where the program begins: the command line is imported where a Ctrl-C is expected already."""

import signal
import sys


def console_script() -> None:
    """The command line; interrupted while it is imported, it ends as it does later."""
    try:
        from flows.cli.main import console_script as run
    except KeyboardInterrupt:
        print("civitai-etl: interrupted before it began.", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
    run()


if __name__ == "__main__":
    console_script()
