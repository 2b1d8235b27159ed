"""Extract and load: the answers of the service become documents and observations in the raw warehouse.

`civitai` is the public dlt source (`pipelines.public_source`).
"""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipelines.public_source import civitai

__all__ = ["civitai"]

# dlt reads these when it is imported, before anything can configure it: no telemetry, and this program reports errors.
os.environ |= {"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "CRITICAL"}


def __getattr__(name: str) -> object:
    """The source, imported when it is first used: importing dlt takes a second."""
    if name != "civitai":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from pipelines.public_source import civitai

    return civitai
