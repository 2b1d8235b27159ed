"""Serves the daily flow as a deployment whose failed runs wait for seconds, not for minutes."""

from datetime import timedelta

from prefect import serve

from flows import retries
from flows.daily_snapshot import daily_snapshot
from flows.deployments import ONE_AFTER_THE_OTHER

retries.FIRST_PAUSE = timedelta(seconds=3)

if __name__ == "__main__":
    deployment = daily_snapshot.to_deployment("short-pauses", concurrency_limit=ONE_AFTER_THE_OTHER)
    # The runs load this file, too.
    deployment.entrypoint = "tests/flows/short_pauses.py:daily_snapshot"
    serve(deployment, pause_on_shutdown=False)
