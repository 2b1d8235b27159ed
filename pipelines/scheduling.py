"""How the kernel schedules the threads of this process."""

import os
from contextlib import suppress


def compute_in_batches() -> None:
    """Has the threads that wake wait for their turn, where the kernel can: polars' threads wake each other for every
    operation, and a replay goes some 5 % faster if they do not interrupt those at work. Threads inherit it from the one
    that starts them, so it must be called before polars is imported.
    """
    if hasattr(os, "SCHED_BATCH"):  # Linux
        with suppress(OSError):  # a sandbox may forbid it
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
