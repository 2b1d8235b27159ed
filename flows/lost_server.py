"""Prefect's lines about a server that it has lost: each part of Prefect has its own, most with a traceback. A run goes
on without its server, and `civitai-etl serve` reports the loss in one line. So these are left out, in both.
"""

import logging

#: What listens for cancellations and suspensions, and what sends events and logs.
_NAMES = (
    "FlowRunCancellingObserver",
    "FlowRunSuspendingObserver",
    "events.clients",
    "runner.event_emitter",
    "_internal.concurrency",
)


def leave_out_its_lines() -> None:
    """Leave them out in this process."""
    for name in _NAMES:
        # Not its level, which one of them does not look at.
        logging.getLogger(f"prefect.{name}").disabled = True
    # A handler writes to standard error itself if it cannot send a record.
    logging.raiseExceptions = False
