"""`python -m emulator serve|dump`: the emulator without the rest of the project. The default is `serve`."""

import argparse
import os
import signal
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from threading import Thread

from emulator import faults
from emulator.catalogue_file import write_day
from emulator.server import DEFAULT_PORT, DIALECTS, CannotServeError, serve
from emulator.simulation.columns import MANY_MODELS, NotSimulatedError


def main(arguments: list[str] | None = None) -> int:
    arguments = sys.argv[1:] if arguments is None else arguments
    if not arguments or arguments[0] not in ("serve", "dump", "-h", "--help"):
        arguments = ["serve", *arguments]
    parser = argparse.ArgumentParser(prog="python -m emulator", description="A Civitai on one machine.")
    commands = parser.add_subparsers(dest="command", required=True)
    simulation = argparse.ArgumentParser(add_help=False)
    simulation.add_argument("--models", type=int, default=2000, help="models on 2026-01-01 (2000)")
    simulation.add_argument("--seed", type=int, default=1, help="another seed is another catalogue (1)")
    simulation.add_argument("--date", type=date.fromisoformat, help="the emulator's date (today)")
    server = commands.add_parser(
        "serve",
        parents=[simulation],
        help="serve the Site API on 127.0.0.1",
        epilog=faults.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    server.add_argument("--port", type=int, default=DEFAULT_PORT, help=f"0 for any free one ({DEFAULT_PORT})")
    server.add_argument(
        "--dialect", choices=DIALECTS, default="spec", help="as specified, or as it answers today (spec)"
    )
    server.add_argument("--catalogue", type=Path, help="serve these documents (NDJSON, .zst or not)")
    server.add_argument("--key", default="test-key", help="the valid bearer key (test-key)")
    server.add_argument("--faults", default="", metavar="SPEC", help="faults to make, see below")
    server.add_argument("--control", action="store_true", help="offer /control: clock, account, faults, requests")
    server.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help=f"processes that make the documents of model lists (one per core from {MANY_MODELS:,} models on, else 0)",
    )
    server.add_argument("--attached", action="store_true", help="end when standard input is closed")
    dump = commands.add_parser("dump", parents=[simulation], help="write a day's model documents as NDJSON")
    dump.add_argument("--out", type=Path, required=True, help="file to write; .zst compresses")
    options = parser.parse_args(arguments)
    try:
        if options.command == "dump":
            on = options.date or datetime.now(UTC).date()
            count = write_day(options.out, models=options.models, seed=options.seed, on=on)
            print(f"{count} documents of {on} in {options.out}")
        else:
            if options.attached:
                Thread(target=_end_with_standard_input, daemon=True).start()
            serve(
                port=options.port,
                models=options.models,
                seed=options.seed,
                on=options.date,
                dialect=options.dialect,
                catalogue=options.catalogue,
                key=options.key,
                control=options.control,
                faults=options.faults,
                workers=options.workers,
            )
    except (CannotServeError, NotSimulatedError, OSError) as error:
        print(f"emulator: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _end_with_standard_input() -> None:
    """Waits for the end of standard input, which comes when the process at its other end stops in any way."""
    while os.read(sys.stdin.fileno(), 65_536):  # sys.stdin has a lock that would block the interpreter's exit
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
