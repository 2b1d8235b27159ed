"""What every test starts from: no settings of the person who runs them, and no telemetry."""

import os

for name in [name for name in os.environ if name.startswith(("CIVITAI_", "PREFECT_"))]:
    del os.environ[name]
os.environ["DO_NOT_TRACK"] = "1"
