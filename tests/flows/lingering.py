"""Serves a flow whose process is still there for some seconds after its run is Completed; sys.argv[1] is the directory
of its record.
"""

import asyncio
import os
import sys
import time
from pathlib import Path

from prefect import flow

from flows.supervised import VARIABLE, join_serve

join_serve()


def linger(*_: object) -> None:
    time.sleep(30)


@flow(on_completion=[linger])
def lingering() -> None:
    pass


if __name__ == "__main__":
    from flows.cli.flow_runner import FlowRunner

    os.environ[VARIABLE] = f"{os.getpid()} {Path(sys.argv[1])}"
    runner = FlowRunner()
    deployment = lingering.to_deployment("lingering")
    # The runs load this file, too.
    deployment.entrypoint = "tests/flows/lingering.py:lingering"
    runner.add_deployment(deployment)
    asyncio.run(runner.start())
