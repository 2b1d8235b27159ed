"""The doctor's checks of the schedules: the Prefect server of `civitai-etl serve`, and what it shows of its runs."""

import asyncio
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING

from flows.cli.checks import Check, NotTried
from flows.cli.prefect_server import api_url_file, check_api_url, prefect_environment
from pipelines.errors import CivitaiEtlError
from pipelines.network import check_network
from pipelines.settings import Settings

if TYPE_CHECKING:
    from flows.cli.watchdog import Seen


def schedule_checks(settings: Settings) -> Iterator[Check]:
    """The checks of `serve`."""
    server = _PrefectServer(settings)
    yield Check("Prefect server", server.answers)
    yield Check("schedules", server.schedules)


class _PrefectServer:
    """The server that `serve` started, or that of PREFECT_API_URL, and what it shows."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._seen: list[Seen] | None = None

    @cached_property
    def _api_url(self) -> str | None:
        own = api_url_file(self._settings)
        given = os.environ.get("PREFECT_API_URL")
        api_url = given or (own.read_text(errors="replace").strip() if own.exists() else None)
        if api_url:
            check_api_url(api_url, "PREFECT_API_URL" if given else str(own))
        return api_url

    def answers(self) -> str:
        if not self._api_url:
            return "no `civitai-etl serve` is running on this data directory"
        check_network()
        os.environ.update(prefect_environment(self._settings) | {"PREFECT_API_URL": self._api_url})
        from flows.cli.watchdog import NoAnswerError, look
        from flows.deployments import deployments

        scheduled = [deployment.full_name for deployment in deployments(self._settings) if deployment.cron]
        try:
            self._seen = asyncio.run(look(scheduled))
        except NoAnswerError as error:
            raise CivitaiEtlError(f"{error}: check whether `civitai-etl serve` is running.") from error
        return f"{self._api_url} answers"

    def schedules(self) -> str:
        if self._seen is None:
            raise NotTried("there is no Prefect server to ask")
        from flows.cli.watchdog import amiss

        problems = [f"no runner asks for {one.name}" for one in self._seen if one.is_registered and not one.is_served]
        problems += sorted(amiss([replace(one, overdue=None) for one in self._seen], datetime.now(UTC)))
        if problems:
            raise CivitaiEtlError(f"{'; '.join(problems)}: start `civitai-etl serve` again.")
        return ", ".join(
            f"{one.name} " + (f"runs next at {one.next_run:%Y-%m-%d %H:%M} UTC" if one.next_run else "is paused")
            for one in self._seen
        )
