"""Extract and load: the answers of the service become documents and observations in the raw warehouse."""

import os

# dlt reads these when it is imported, before anything can configure it: no telemetry, and this program reports errors.
os.environ |= {"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "CRITICAL"}
